"""Run folders: the models in them."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from tf_frcnn.assembly import build_model
from tf_frcnn.config import Config, load_config
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.models import Detector
from tf_frcnn.runs.safe_files import checksum
from tf_frcnn.runs.settings_files import (
    CONFIG_FILE,
    changed_files,
    run_classes,
    run_config,
    write_settings,
)
from tf_frcnn.runs.state import (
    Best,
    Checkpoint,
    RunState,
    is_as_written,
    read_state,
    write_state,
)
from tf_frcnn.runs.weights import BEST_WEIGHTS, load_weights, save_weights


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


def write_finished(directory: Path, config: Config, model: Detector) -> None:
    """Writes a model as a run folder, as if it had been trained there.

    The settings come last: with them the folder is a run.
    """
    digest = save_weights(model, directory / BEST_WEIGHTS)
    files = write_settings(directory, config, model.class_names)
    best = Best(file=BEST_WEIGHTS, sha256=digest)
    write_state(directory, RunState(files=files, best=best))


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
    load_weights(model, find_weights(directory))
    return Run(directory, config, model)


def find_weights(directory: Path) -> Path:
    """Returns the file of a run's best weights, or of the newest that are whole.

    Files that are not as the run wrote them are told in warnings, and passed over if
    they are weights.

    Raises:
        FileNotFoundError: there are no weights.
        ValueError: none of them is as it was written.
    """
    state = read_state(directory) or RunState()
    for name in changed_files(directory, state):
        warnings.warn(
            f"{directory / name} was changed since the run wrote it; it may not fit "
            "the weights.",
            stacklevel=2,
        )
    own: list[Best | Checkpoint] = [state.best] if state.best else []
    own += state.checkpoints
    for part in own:
        if is_as_written(directory, part):
            return directory / part.file
        warnings.warn(
            f"{directory / part.file} is missing, or not as the run wrote it, and is "
            "passed over.",
            stacklevel=2,
        )
    if own:
        raise ValueError(f"{directory}: none of the weights is as the run wrote it.")
    if (directory / BEST_WEIGHTS).is_file():
        return directory / BEST_WEIGHTS
    raise FileNotFoundError(
        f"{directory} has no weights: there is no {BEST_WEIGHTS}, and no checkpoint. "
        "The run ended before its first step; resume it."
    )


def weights_checksum(directory: Path) -> str:
    """Returns the SHA-256 of the weights that a run is loaded with."""
    with warnings.catch_warnings():
        # Of files that changed whoever loads the run is warned.
        warnings.simplefilter("ignore")
        return checksum(find_weights(directory))


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


def shown_from(config: Config) -> float:
    """Returns the score from which detections are shown unless the user says so."""
    return 0.0 if config.detections.class_thresholds else 0.5


def take_weights(run: Run, model: Detector) -> None:
    """Sets a model's weights to those of a run, for the parts that both have.

    Where the model has other classes, its box predictors keep their own weights. Of a
    cascade's heads that the run lacks, so do the predictors; the box heads start as the
    first one. The result is printed.

    Raises:
        ValueError: the networks differ.
    """
    has_its_classes = model.class_names == run.model.class_names
    targets, sources = _weighted_parts(model), _weighted_parts(run.model)
    later = {name for name in targets if name.startswith("box_head ")}
    if "box_head" in sources:
        sources = dict.fromkeys(later, sources["box_head"]) | sources
    names = sorted(targets.keys() & sources.keys())
    for name in names:
        if name.startswith("predictor") and not has_its_classes:
            continue
        target, source = targets[name], sources[name]
        shapes = [[tuple(w.shape) for w in part.weights] for part in (target, source)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"{run.directory}: its {name} differs from the configuration's; "
                f"train with {run.directory / CONFIG_FILE}."
            )
        target.set_weights(source.get_weights())
    print(f"Weights of {run.directory}.")
    if lacking := [name for name in targets if name not in sources]:
        print(f"It has no {', no '.join(lacking)}: they start from random weights.")
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
        for number, head in enumerate(model.roi_head.heads(), start=1):
            place = f" {number}" if number > 1 else ""
            parts |= {f"box_head{place}": head.box_head}
            parts |= {f"predictor{place}": head.predictor}
    return parts


def detections_of_image(detections: DetectedBoxes, image: int) -> DetectedBoxes:
    """Returns the detections of one image, best first."""
    rows = np.flatnonzero(detections.image_index == image)
    rows = rows[np.argsort(-detections.scores[rows], kind="stable")]
    return DetectedBoxes(*(column[rows] for column in detections))
