"""Versions of an exported model: written beside, checked, then renamed into place."""

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from tf_frcnn.faster_rcnn import FasterRCNN
from tf_frcnn.version import __version__

LABEL_MAP, CLASS_LIST = "assets/label_map.pbtxt", "assets/classes.txt"
INFO_FILE = "model_info.json"


def add_version(
    directory: str | Path, version: int | None, fill: Callable[[Path], None]
) -> Path:
    """Adds a version, which appears whole or not at all and replaces none.

    Args:
        directory: versions are directory/1, directory/2, ...
        version: the number; None for the one after the highest.
        fill: makes the folder of the given path and writes what belongs into it; where
            it raises, nothing stays.

    Returns:
        The folder of the version.

    Raises:
        FileExistsError: the version exists.
        ValueError: it is not positive.
    """
    require_positive("version", 1 if version is None else version)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    _require_new(directory, version)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".part-") as folder:
        part = Path(folder) / "model"
        fill(part)
        _require_new(directory, version)
        target = directory / str(version or _next_version(directory))
        os.rename(part, target)
    return target


def describe(path: Path, model: FasterRCNN, info: Mapping) -> None:
    """Writes the classes of a version, for clients of every kind, and what it is.

    Args:
        path: of the version.
        model: the detector.
        info: what model_info.json is to say besides versions and classes.
    """
    _write_classes(path, model.class_names)
    info = _version_info(model) | dict(info)
    (path / INFO_FILE).write_text(json.dumps(info, indent=1, allow_nan=False))


def require_positive(name: str, value: float) -> None:
    """Raises a ValueError for a setting that is zero or below."""
    if value <= 0:
        raise ValueError(f"export: {name} = {value} must be positive.")


def _require_new(directory, version):
    if version is not None and (directory / str(version)).exists():
        raise FileExistsError(
            f"{directory / str(version)} exists, and a version is never overwritten; "
            f"the next free one is {_next_version(directory)}."
        )


def _next_version(directory):
    return (
        max((int(p.name) for p in directory.iterdir() if p.name.isdecimal()), default=0)
        + 1
    )


def _write_classes(path, class_names: Sequence[str]):
    items = [
        f"item {{\n  id: {number}\n  name: {json.dumps(name, ensure_ascii=False)}\n}}\n"
        for number, name in enumerate(class_names, start=1)
    ]
    (path / LABEL_MAP).parent.mkdir(exist_ok=True)
    (path / LABEL_MAP).write_text("".join(items), encoding="utf-8")
    names = "".join(f"{name}\n" for name in class_names)
    (path / CLASS_LIST).write_text(names, encoding="utf-8")


def _version_info(model):
    return {
        "versions": {
            "tf_frcnn": __version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
        "classes": list(model.class_names),
    }
