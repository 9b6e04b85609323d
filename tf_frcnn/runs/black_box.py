"""The black box: a step that was not finite, kept so that it can be repeated."""

import json
import warnings
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from tf_frcnn.assembly import build_model
from tf_frcnn.config import Config
from tf_frcnn.models import Detector
from tf_frcnn.models.sound_steps import BadStep
from tf_frcnn.runs.safe_files import replaced

_NAME = "black_box_{:08d}.npz"
_FACTS, _BATCH, _WEIGHTS = "facts", "batch/", "weights/"


class BlackBox:
    """Writes the first bad step of a training to the run folder, and says so.

    Args:
        directory: the run folder.
        model: whose weights are those before the step.
    """

    def __init__(self, directory: Path, model: Detector):
        self._directory, self._model = directory, model
        self._is_written = False

    def __call__(self, bad: BadStep) -> None:
        """Writes the step, if it is the first; a full disk is a warning."""
        if self._is_written:
            return
        file = self._directory / _NAME.format(bad.step)
        try:
            write_step(file, self._model, bad)
        except OSError as error:
            warnings.warn(f"The bad step was not kept: {error}", stacklevel=2)
            return
        self._is_written = True
        print(f"\nStep {bad.step} is kept; tf-frcnn replay {file} looks into it.")


class KeptStep(NamedTuple):
    """A bad step as its file has it.

    Attributes:
        bad: the step.
        model: with the weights before it.
        trained: those of its weights that the step would have moved.
        weight_norms: of all of its weights, in their order.
    """

    bad: BadStep
    model: Detector
    trained: tuple[keras.Variable, ...]
    weight_norms: tuple[float, ...]


def write_step(file: Path, model: Detector, bad: BadStep) -> None:
    """Writes a bad step with the model's settings and weights.

    Args:
        file: ends in .npz.
        model: whose weights are those before the step.
        bad: the step.

    Raises:
        OSError: it cannot be written.
    """
    weights = model.get_weights()
    facts = {
        "config": model.settings.model_dump(mode="json"),
        "class_names": list(model.class_names),
        # Their paths have numbers that differ between programs.
        "trained": [
            n for n, w in enumerate(model.weights) if w.path in bad.gradient_norms
        ],
        "weight_norms": [
            float(np.linalg.norm(values.astype(np.float64))) for values in weights
        ],
        **bad._replace(batch={})._asdict(),
    }
    arrays: dict[str, Any] = {_FACTS: json.dumps(facts)}
    arrays |= {f"{_BATCH}{name}": values for name, values in bad.batch.items()}
    arrays |= {f"{_WEIGHTS}{n}": values for n, values in enumerate(weights)}
    with replaced(file) as part:
        np.savez(part, **arrays)


def read_step(file: Path) -> KeptStep:
    """Reads what `write_step` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or another one.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file}: there is no such file.")
    try:
        # What is no archive, NumPy would take for a pickle.
        with zipfile.ZipFile(file), np.load(file, allow_pickle=False) as arrays:
            return _step_of(dict(arrays))
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{file} is not the file of a step ({reason}).") from error


def _step_of(arrays: dict[str, np.ndarray]) -> KeptStep:
    facts: dict[str, Any] = json.loads(str(arrays.pop(_FACTS)))
    model = build_model(Config.of(facts["config"]), facts["class_names"])
    model.set_weights([arrays[f"{_WEIGHTS}{n}"] for n in range(len(model.weights))])
    bad = BadStep(
        step=facts["step"],
        batch={
            name.removeprefix(_BATCH): values
            for name, values in arrays.items()
            if name.startswith(_BATCH)
        },
        losses=facts["losses"],
        gradient_norms=facts["gradient_norms"],
    )
    trained = tuple(model.weights[n] for n in facts["trained"])
    return KeptStep(bad, model, trained, tuple(facts["weight_norms"]))
