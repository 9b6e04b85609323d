"""The score thresholds of the classes, as a part of a run's settings."""

from pathlib import Path

from tf_frcnn.config import load_config
from tf_frcnn.evaluation.operating_points import OperatingPoint
from tf_frcnn.report.figures import Thresholds
from tf_frcnn.runs.locks import claimed
from tf_frcnn.runs.settings_files import run_classes, run_config, write_settings
from tf_frcnn.runs.state import RunState, read_state, write_state

# By what thresholds are chosen.
F1, PRECISION = "f1", "precision"


def write_thresholds(directory: Path, thresholds: Thresholds, by: str) -> None:
    """Writes `detections.class_thresholds` into a run's configuration.

    A class that does not reach the precision gets the threshold of its best F1; one
    without any right detection gets 0.5, from which detections are shown without it.

    Args:
        directory: the run folder.
        thresholds: of each class.
        by: `F1`, or `PRECISION` for that of the precision that was asked for.
    """
    names = run_classes(directory)
    with claimed(directory):
        values = _write(directory, names, thresholds, by)
    scores = ", ".join(f"{n} {v:.2f}" for n, v in zip(names, values, strict=True))
    print(f"detections.class_thresholds: {scores}.")


def _write(directory, names, thresholds, by) -> tuple[float, ...]:
    points = thresholds.best_f1 if by == F1 else thresholds.at_precision
    chosen = [own or best for own, best in zip(points, thresholds.best_f1, strict=True)]
    for name, own, best in zip(names, points, thresholds.best_f1, strict=True):
        if own is None and by == PRECISION:
            own_score = "its best F1's score" if best else "0.5, nothing of it is found"
            print(f"{name} does not reach the precision; it gets {own_score}.")
    values = tuple(_score(point) for point in chosen)
    config = load_config(run_config(directory))
    detections = config.detections.replace(class_thresholds=values)
    files = write_settings(directory, config.replace(detections=detections), names)
    write_state(directory, (read_state(directory) or RunState()).replace(files=files))
    return values


def _score(point: OperatingPoint | None) -> float:
    return 0.5 if point is None else round(point.threshold, 6)
