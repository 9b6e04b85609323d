"""Versions of an exported model: written beside, checked, then renamed into place."""

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from tf_frcnn.export.limits import require_within
from tf_frcnn.export.runtimes import RUNTIMES
from tf_frcnn.models import FasterRCNN
from tf_frcnn.runs.writing import named_errors
from tf_frcnn.version import __version__

LABEL_MAP, CLASS_LIST = "assets/label_map.pbtxt", "assets/classes.txt"
INFO_FILE = "model_info.json"
SAVED_MODEL = "savedmodel"
# The file that a version of each format has.
_FILES = {SAVED_MODEL: "saved_model.pb"} | {n: r.file for n, r in RUNTIMES.items()}
_VERSIONS = (1, 2**63 - 1)  # TensorFlow Serving's numbers have 64 bits.


def add_version(
    directory: str | Path,
    version: int | None,
    file_format: str,
    fill: Callable[[Path], None],
) -> Path:
    """Adds a version, which appears whole or not at all and replaces no other.

    Args:
        directory: versions are directory/1, directory/2, ...
        version: the number; None for the one after the highest.
        file_format: `SAVED_MODEL` or a key of `RUNTIMES`; all versions have the same.
        fill: creates the folder of the given path and writes its files; if it raises,
            nothing stays.

    Returns:
        The folder of the version.

    Raises:
        FileExistsError: the version exists.
        OSError: it cannot be written, for example on a full disk.
        ValueError: the number is not allowed, or other versions have another format.
    """
    if version is not None:
        require_within("export: version", version, _VERSIONS)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    require_free(directory, version, file_format)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".part-") as folder:
        part = Path(folder) / "model"
        with named_errors(directory):
            fill(part)
        return _into_place(part, directory, version, file_format)


def require_free(directory: Path, version: int | None, file_format: str) -> None:
    """Raises where a version could not be added.

    Args:
        directory: of the versions; need not exist.
        version: the number; None for a free one.
        file_format: of `add_version`.

    Raises:
        FileExistsError: the version exists.
        ValueError: other versions have another format.
    """
    for path in versions_in(directory):
        for other, file in _FILES.items():
            if other != file_format and (path / file).exists():
                raise ValueError(
                    f"export: {path} is of the format {other}, and versions in one "
                    "folder must all be of one, because a server takes the highest; "
                    f"give {file_format} another folder."
                )
    if version is not None and (directory / str(version)).exists():
        raise FileExistsError(
            f"{directory / str(version)} exists, and a version is never overwritten; "
            f"the next free one is {_next_version(directory)}."
        )


def describe(path: Path, model: FasterRCNN, info: Mapping) -> None:
    """Writes the classes of a version, for clients of every kind, and model_info.json.

    Args:
        path: of the version.
        model: the detector.
        info: further contents of model_info.json, beside versions and classes.
    """
    _write_classes(path, model.class_names)
    info = _version_info(model) | dict(info)
    (path / INFO_FILE).write_text(json.dumps(info, indent=1, allow_nan=False))


def _into_place(part, directory, version, file_format):
    """Renames the folder to its version; another export may do so at the same time."""
    while True:
        require_free(directory, version, file_format)
        target = directory / str(version or _next_version(directory))
        try:
            # Fails where another export's version is, which is not an empty folder.
            os.rename(part, target)
        except OSError:
            if not target.exists():
                raise
        else:
            return target


def is_version(path: Path, file_format: str) -> bool:
    """Says whether a folder is a whole version; formats as of `add_version`."""
    return all((path / name).is_file() for name in (_FILES[file_format], INFO_FILE))


def versions_in(directory: Path) -> list[Path]:
    """Returns the folders of the versions, in any order; none if there is no folder."""
    if not directory.is_dir():
        return []
    return [path for path in directory.iterdir() if path.name.isdecimal()]


def _next_version(directory):
    return 1 + max((int(path.name) for path in versions_in(directory)), default=0)


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
