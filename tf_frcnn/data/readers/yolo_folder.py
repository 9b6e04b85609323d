"""The files of a YOLO data set: its classes, its splits and their images."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tf_frcnn.data.checks.images import IMAGE_ENDINGS
from tf_frcnn.data.checks.problems import DataError, Problems
from tf_frcnn.data.readers.forms import form_advice
from tf_frcnn.data.readers.locating import locate_images
from tf_frcnn.data.readers.text_files import read_list
from tf_frcnn.plain_yaml import PlainYamlError, parse_plain_yaml

DESCRIPTIONS = ("data.yaml", "data.yml", "dataset.yaml")
NAME_FILES = ("classes.txt", "labels/classes.txt", "obj.names")
SPLITS = ("train", "val", "test")
# Also listed, so that they are counted as unreadable and not passed over.
_LISTED_ENDINGS = (*IMAGE_ENDINGS, ".webp", ".tif", ".tiff", ".heic", ".avif", ".mpo")


class YoloFolder(NamedTuple):
    """A YOLO data set.

    Attributes:
        root: the folder.
        names: number in the label files -> name of the class, in rising order.
        splits: split -> names of folders of images, of lists of them, or of images; the
            split "" where there is but one, without name.
        roots: the folders that these names start from.
        has_keypoints: whether keypoints follow the boxes in the label files.
    """

    root: Path
    names: dict[int, str]
    splits: dict[str, list[str]]
    roots: list[Path]
    has_keypoints: bool


def open_yolo_folder(place: Path) -> YoloFolder:
    """Reads the description of a data set.

    Args:
        place: the folder, or its YAML file.

    Raises:
        DataError: there is neither a description nor a list of the classes.
    """
    root = place if place.is_dir() else place.parent
    file = place if place.is_file() else _description(root)
    content = {} if file is None else _load(file)
    names = _names(content, file or root) or _listed_names(root)
    if not names:
        raise DataError(
            f"{file or root} does not name the classes; a YOLO data set has a "
            f"data.yaml with names, or {' or '.join(NAME_FILES)} with a name per line."
            f"{form_advice(place, 'yolo')}"
        )
    roots = list(dict.fromkeys([root / str(content.get("path") or ""), root]))
    splits = _stated_splits(content, root) or _found_splits(root)
    return YoloFolder(root, names, splits, roots, "kpt_shape" in content)


def entries_of(folder: YoloFolder, split: str) -> list[Path]:
    """Returns the folders, lists and images of a split.

    A name is a path below the root or the YAML file's folder, even where it climbs
    above them, as Roboflow's do, or an absolute one, of another computer perhaps, whose
    last two parts or more lie there.

    Raises:
        DataError: one does not exist.
    """
    return [_existing(name, split, folder) for name in folder.splits[split]]


def images_in(entries: list[Path], root: Path, problems: Problems) -> list[Path]:
    """Returns the images of folders with all below them, of list files, and images."""
    images: list[Path] = []
    for entry in entries:
        if entry.is_dir():
            images += [path for path in sorted(entry.rglob("*")) if _is_image(path)]
        elif entry.suffix == ".txt":
            lines = entry.read_text(encoding="utf-8-sig").splitlines()
            names = [line.strip() for line in lines if line.strip()]
            folders = list(dict.fromkeys([entry.parent, root]))
            images += locate_images(names, folders, problems, entry.name).values()
        else:
            images.append(entry)
    return images


def _is_image(path: Path) -> bool:
    is_listed = path.suffix.lower() in _LISTED_ENDINGS
    return is_listed and not path.name.startswith(".") and path.is_file()


def _description(root: Path) -> Path | None:
    """Returns the YAML file of one of the usual names, or one with names in it."""
    usual = [root / name for name in DESCRIPTIONS if (root / name).is_file()]
    others = (path for path in sorted(root.glob("*.y*ml")) if _has_names(path))
    return usual[0] if usual else next(others, None)


def _has_names(file: Path) -> bool:
    """Says whether a YAML file, perhaps that of another program, names classes."""
    with contextlib.suppress(DataError):
        return "names" in _load(file)
    return False


def _load(file: Path) -> dict[str, Any]:
    try:
        content = parse_plain_yaml("\n".join(read_list(file)), str(file))
    except PlainYamlError as error:
        raise DataError(str(error)) from error
    if not isinstance(content, dict):
        raise DataError(f"{file} holds no description of a YOLO data set.")
    return content


def _names(content: Mapping[str, Any], file: Path) -> dict[int, str]:
    names = content.get("names") or []
    if isinstance(names, list):
        names = dict(enumerate(names))
    try:
        pairs = sorted((int(key), str(name)) for key, name in names.items())
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(
            f"{file}: names = {names!r} must be a list, or number: name for each."
        ) from error
    named = {key: " ".join(name.split()) for key, name in pairs}
    count = content.get("nc", len(named))
    if named and count != len(named):
        raise DataError(f"{file}: nc is {count}, but names has {len(named)} names.")
    return named


def _listed_names(root: Path) -> dict[int, str]:
    for name in NAME_FILES:
        if (root / name).is_file():
            lines = (root / name).read_text(encoding="utf-8-sig").splitlines()
            return dict(enumerate(" ".join(n.split()) for n in lines if n.strip()))
    return {}


def _stated_splits(content: Mapping[str, Any], root: Path) -> dict[str, list[str]]:
    """Returns the splits that the YAML file names."""
    splits: dict[str, list[str]] = {}
    for split in SPLITS:
        names = content.get(split) or []
        names = [names] if isinstance(names, str) else names
        if not isinstance(names, list):
            raise DataError(
                f"{root}: {split} = {names!r} must be a path, or a list of paths."
            )
        if names:
            splits[split] = [str(name) for name in names]
    return splits


def _existing(name: str, split: str, folder: YoloFolder) -> Path:
    own = Path(name)
    parts = [part for part in own.parts if part not in ("..", own.anchor)]
    tails = [Path(*parts[start:]) for start in range(max(1, len(parts) - 1))]
    for candidate in [root / path for path in (own, *tails) for root in folder.roots]:
        if candidate.exists():
            return Path(os.path.normpath(candidate))
    raise DataError(
        f"{folder.root}: {split or 'images'} = {name!r} does not exist; looked in "
        f"{', '.join(map(str, folder.roots))}."
    )


def _found_splits(root: Path) -> dict[str, list[str]]:
    """Returns the splits of a folder without a description, by its layout."""
    lists = [path for path in sorted(root.glob("*.txt")) if path.stem in SPLITS]
    if lists:
        return {path.stem: [path.name] for path in lists}
    inner = sorted(p.name for p in root.glob("images/*") if p.is_dir())
    if inner:
        return {name: [f"images/{name}"] for name in inner}
    outer = sorted(p.parent.name for p in root.glob("*/images") if p.is_dir())
    if outer:
        return {name: [f"{name}/images"] for name in outer}
    return {"": ["images" if (root / "images").is_dir() else "."]}
