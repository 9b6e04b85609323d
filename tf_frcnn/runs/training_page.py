"""The page of a run's training."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from tf_frcnn.config import load_config
from tf_frcnn.report.curves import Curves, read_curves
from tf_frcnn.report.training import Training, page_of
from tf_frcnn.runs.logs import LOG_FILE, TIMES_FILE
from tf_frcnn.runs.safe_files import write_text
from tf_frcnn.runs.settings_files import CONFIG_FILE
from tf_frcnn.runs.state import RunState, read_state

PAGE_FILE = "report.html"
# Drawings that are shown, and most pixels of a side.
_PICTURES, _SIDE = 6, 800
_FILES = {
    CONFIG_FILE: "the settings",
    LOG_FILE: "the losses and figures of each epoch",
    TIMES_FILE: "images per second, and the share of the time that waits for data",
    "problems.json": "what was wrong with the data",
    "drawings": "images of the validations and of the evaluation",
    "tensorboard": "the same curves, those of precision over recall, and confusions",
}


def write_training_page(directory: Path) -> Path | None:
    """Writes report.html into a run folder.

    Args:
        directory: of a run that has trained.

    Returns:
        The page; None where there is no log of a finished epoch.
    """
    if not (directory / LOG_FILE).is_file():
        return None
    state = read_state(directory) or RunState()
    best = state.best
    kept = None if best is None else (best.figure, best.value, best.epoch)
    training = Training(
        name=str(directory),
        config=load_config(directory / CONFIG_FILE),
        log=read_curves(directory / LOG_FILE, directory.name),
        times=_times_of(directory),
        best=kept,
        metrics=_metrics_of(directory),
        pictures=_pictures_of(directory),
        files=_files_of(directory),
    )
    path = directory / PAGE_FILE
    write_text(path, page_of(training))
    return path


def _times_of(directory: Path) -> Curves | None:
    path = directory / TIMES_FILE
    return read_curves(path, directory.name) if path.is_file() else None


def _metrics_of(directory: Path) -> dict[str, float]:
    """Returns the mAP of each split that was evaluated."""
    found = {}
    for path in sorted(directory.glob("metrics_*.json")):
        voc = json.loads(path.read_text(encoding="utf-8")).get("voc", {})
        split = path.stem.removeprefix("metrics_")
        for metric, mean in voc.get("mAP", {}).items():
            found[f"mAP ({metric}) on {split}"] = np.nan if mean is None else mean
    return found


def _pictures_of(directory: Path) -> dict[str, np.ndarray]:
    """Returns the last drawings, those of the evaluation first."""
    paths = (directory / "drawings").glob("*.png")
    names = sorted((path.name for path in paths), reverse=True)
    of_epochs = [name for name in names if name.startswith("epoch_")]
    last = [name for name in of_epochs if name[:9] == of_epochs[0][:9]]
    evaluated = sorted(name for name in names if name not in of_epochs)
    return {
        f"drawings/{name}": _thumbnail(directory / "drawings" / name)
        for name in (evaluated or sorted(last))[:_PICTURES]
    }


def _thumbnail(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        image.thumbnail((_SIDE, _SIDE))
        return np.asarray(image.convert("RGB"))


def _files_of(directory: Path) -> dict[str, str]:
    reports = {
        path.name: "why objects are missed" for path in directory.glob("report_*.html")
    }
    files = {**reports, **_FILES}
    return {file: what for file, what in files.items() if (directory / file).exists()}
