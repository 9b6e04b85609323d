"""Run folders: their files, and the models in them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from tf_frcnn.assembly import build_model
from tf_frcnn.config import Config, dump_config, load_config
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.models import Detector

CONFIG_FILE, CLASSES_FILE = "config.yaml", "classes.txt"
BEST_WEIGHTS, LAST_WEIGHTS = "weights/best.weights.h5", "weights/last.weights.h5"


class Run(NamedTuple):
    """A trained model with its folder and configuration.

    Attributes:
        directory: the run folder.
        config: the effective configuration.
        model: the model with the weights of the run.
    """

    directory: Path
    config: Config
    model: Detector


def write_settings(directory: Path, config: Config, class_names: Sequence[str]) -> None:
    """Writes the effective configuration and the class names into a run folder."""
    (directory / CONFIG_FILE).write_text(dump_config(config))
    names = "".join(f"{name}\n" for name in class_names)
    (directory / CLASSES_FILE).write_text(names, encoding="utf-8")


def load_run(directory: str | Path, overrides: Sequence[str] = ()) -> Run:
    """Loads a run with its best weights, or the last ones where none was validated.

    Args:
        directory: the run folder.
        overrides: settings that replace those of the run; see `config.load_config`.

    Raises:
        FileNotFoundError: the folder lacks a file that every run has.
    """
    directory = Path(directory)
    return load_run_as(directory, load_config(run_config(directory), overrides))


def load(directory: str | Path) -> Detector:
    """Returns the trained model of a run folder, or of any folder of that form.

    Args:
        directory: of a run, of a converted checkpoint, or of `save_to_preset`.

    Raises:
        FileNotFoundError: the folder lacks a file that every run has.
    """
    return load_run(directory).model


def load_run_as(directory: Path, config: Config) -> Run:
    """Loads a run's weights into the network of a configuration; see `load_run`."""
    run_config(directory)
    model = build_model(config, run_classes(directory))
    weights = [directory / BEST_WEIGHTS, directory / LAST_WEIGHTS]
    found = [path for path in weights if path.is_file()]
    if not found:
        raise FileNotFoundError(
            f"{directory} has no weights yet: neither {BEST_WEIGHTS} nor "
            f"{LAST_WEIGHTS}. The run ended within its first epoch; resume it."
        )
    load_weights(model, found[0])
    return Run(directory, config, model)


def load_detector(directory: Path, overrides: Sequence[str] = ()) -> Run:
    """Loads a run whose model detects objects in images alone.

    Args:
        directory: the run folder.
        overrides: settings that replace those of the run.

    Raises:
        ValueError: the model has one stage only.
    """
    run = load_run(directory, overrides)
    if run.model.rpn is None or run.model.roi_head is None:
        raise ValueError(
            f"{directory}: a {type(run.model).__name__} does not detect objects in "
            "images alone; give a run of model.kind faster_rcnn."
        )
    return run


def run_config(directory: Path) -> Path:
    """Returns the configuration file of a run folder.

    Raises:
        FileNotFoundError: the folder lacks a file that every run has.
    """
    for name in (CONFIG_FILE, CLASSES_FILE):
        if not (directory / name).is_file():
            raise FileNotFoundError(
                f"{directory} is not a run folder: it has no {name}. Give the folder "
                "that tf-frcnn train or convert printed."
            )
    return directory / CONFIG_FILE


def run_classes(directory: Path) -> tuple[str, ...]:
    """Returns the class names of a run folder."""
    return tuple((directory / CLASSES_FILE).read_text(encoding="utf-8").splitlines())


def load_weights(model: Detector, path: Path) -> None:
    """Loads weights; raises a ValueError of one line for a file that does not fit."""
    try:
        model.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(
            f"{path}: these are not weights of the configured network "
            f"({str(error).splitlines()[0]})"
        ) from error


def take_weights(run: Run, model: Detector) -> None:
    """Sets a model's weights to those of a run, for the parts that both have.

    Where the model has other classes, its box predictor keeps its own weights. The
    result is printed.

    Raises:
        ValueError: the networks differ.
    """
    has_its_classes = model.class_names == run.model.class_names
    targets, sources = _weighted_parts(model), _weighted_parts(run.model)
    names = targets.keys() & sources.keys()
    for name in sorted(names if has_its_classes else names - {"predictor"}):
        target, source = targets[name], sources[name]
        shapes = [[tuple(w.shape) for w in part.weights] for part in (target, source)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"{run.directory}: its {name} differs from the configuration's; "
                f"train with {run.directory / CONFIG_FILE}."
            )
        target.set_weights(source.get_weights())
    print(f"Weights of {run.directory}.")
    if not has_its_classes:
        print(
            f"Its {len(run.model.class_names)} classes differ from these "
            f"{len(model.class_names)}: the box predictor starts from random weights."
        )


def _weighted_parts(model: Detector) -> dict[str, keras.layers.Layer]:
    """Returns the layers of a model that have weights, by their role."""
    parts = {"backbone": model.backbone}
    if model.rpn is not None:
        parts |= {"rpn": model.rpn}
    if model.roi_head is not None:
        head = model.roi_head
        parts |= {"box_head": head.box_head, "predictor": head.predictor}
    return parts


def detections_of_image(detections: DetectedBoxes, image: int) -> DetectedBoxes:
    """Returns the detections of one image, best first."""
    rows = np.flatnonzero(detections.image_index == image)
    rows = rows[np.argsort(-detections.scores[rows], kind="stable")]
    return DetectedBoxes(*(column[rows] for column in detections))
