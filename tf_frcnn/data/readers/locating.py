"""The files that the names in a data set's annotations lead to, and its splits."""

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from tf_frcnn.data.checks.problems import (
    DataError,
    MissingSplitError,
    Problems,
    nearest_name,
)

Value = TypeVar("Value")

# Names of one and the same split.
_VALIDATION = ("val", "valid", "validation")
# Part of a file's name that tells its split.
_SPLIT_NAME = re.compile(r"train|val|test|dev", re.IGNORECASE)


def existing_location(location: str | os.PathLike | None, needed: str) -> Path:
    """Returns the place of a data set.

    Args:
        location: as the user gave it; ~ is the home folder.
        needed: the place that the reader needs, in words.

    Raises:
        DataError: there is none, or it does not exist.
    """
    if location is None:
        raise DataError(f"data.directory is not set; give {needed}.")
    path = Path(location).expanduser()
    if not path.exists():
        looked = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise DataError(f"{path} does not exist{looked}; give {needed}.")
    return path


def files_by_split(
    root: Path, layouts: Sequence[str], *, leave_out: Sequence[str] = ()
) -> dict[str, Path]:
    """Returns split -> annotation file of a data set.

    Args:
        root: its folder, or its only file.
        layouts: patterns of files, in which a star stands for the split; the first that
            finds files is the layout.
        leave_out: names of other files.

    Returns:
        The files; under "" the only one of a layout, if its name tells no split.
    """
    if root.is_file():
        return {"": root}
    for layout in layouts:
        pattern = re.compile(re.escape(layout).replace(r"\*", "([^/]+)"))
        found = {
            named[1]: path
            for path in sorted(root.glob(layout))
            if path.is_file() and path.name not in leave_out
            if not path.name.startswith(".")
            if (named := pattern.fullmatch(path.relative_to(root).as_posix()))
        }
        if len(found) == 1 and not tells_a_split(next(iter(found))):
            return {"": next(iter(found.values()))}
        if found:
            return found
    return {}


def tells_a_split(name: str) -> bool:
    """Says whether a file's name tells of which split it is."""
    return bool(_SPLIT_NAME.search(name))


def root_of(place: Path) -> Path:
    """Returns the folder of a data set, given itself or the annotation file."""
    if place.is_dir():
        return place
    is_inner = place.parent.name in ("annotations", "data")
    return place.parent.parent if is_inner else place.parent


def image_folders(root: Path, file: Path, split: str) -> list[Path]:
    """Returns the folders that images may lie in, the most likely first.

    Args:
        root: of the data set.
        file: its annotation file.
        split: name of the split; "" if it has none.
    """
    split = split or file.stem.removeprefix("instances_").removesuffix("_labels")
    folders = [root / split, root / "images" / split, file.parent]
    folders += [file.parent / name for name in ("images", "data")]
    folders += [root / name for name in ("images", "data", "JPEGImages", "")]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def chosen_splits(
    splits: Mapping[str, Value], asked: str, place: Path
) -> list[tuple[str, Value]]:
    """Returns (name, value) of each split of a sum such as "train+val".

    "val", "valid" and "validation" stand for each other where only one exists.

    Args:
        splits: name -> value; the name "" stands for a data set without splits, which
            is the same under any name.
        asked: the name of a split, or a sum of them.
        place: of the data set, for messages.

    Raises:
        MissingSplitError: there is no such split.
    """
    if "" in splits:
        return [("", splits[""])]
    chosen = []
    for name in map(str.strip, asked.split("+")):
        names = [name, *(_VALIDATION if name in _VALIDATION else ())]
        found = next((own for own in names if own in splits), None)
        if found is None:
            raise MissingSplitError(
                f"{place} has no split {name!r}; the splits there are "
                f"{', '.join(splits) or 'none'}{nearest_name(name, splits) or '.'}"
            )
        chosen.append((found, splits[found]))
    return chosen


def locate_images(
    names: Iterable[str], folders: Sequence[Path], problems: Problems, file: str
) -> dict[str, Path]:
    """Finds the files of images that annotations name.

    A name is a path below one of the folders, or one on another computer, whose last
    parts lie below one of them. Letters with accents may be stored in one or in two
    characters. Two names that lead to one file tell nothing about it: both are dropped.

    Args:
        names: as written in the annotations, with slashes of either kind.
        folders: to look in, the most likely first.
        problems: records every `missing_image` and `ambiguous_image`.
        file: name of the annotations, for messages.

    Returns:
        name -> path, of those that were found.
    """
    found: dict[str, Path] = {}
    owners: dict[Path, dict[str, None]] = {}
    places = ", ".join(map(str, folders))
    for name in dict.fromkeys(names):
        path = find_file(name, folders)
        if path is None:
            problems.add("missing_image", name, f"{file} names it; not in {places}")
        else:
            found[name] = path
            owners.setdefault(path, {})["/".join(_parts(name))] = None
    ambiguous = {path for path, spelled in owners.items() if len(spelled) > 1}
    for path in ambiguous:
        detail = f"{' and '.join(owners[path])} lead to the same file {path}"
        problems.add("ambiguous_image", file, detail, "drop")
    return {name: path for name, path in found.items() if path not in ambiguous}


def find_file(name: str, folders: Sequence[Path]) -> Path | None:
    """Returns the file that a name means, see `locate_images`, or None."""
    if os.path.isabs(name) and os.path.isfile(name):
        return Path(name)
    parts = _parts(name)
    for start in range(len(parts)):
        tail = "/".join(parts[start:])
        for form in dict.fromkeys([tail, *_composed(tail)]):
            for folder in folders:
                if os.path.isfile(os.path.join(folder, form)):
                    return folder / form
    return None


def id_below(path: Path, folders: Sequence[Path]) -> str:
    """Returns the path below the innermost of the folders, without its ending."""
    stem = path.with_suffix("").as_posix()
    starts = [f"{folder.as_posix().rstrip('/')}/" for folder in folders]
    inside = [start for start in starts if stem.startswith(start)]
    return stem.removeprefix(max(inside, key=len)) if inside else path.stem


def _parts(name: str) -> list[str]:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return [part for part in parts if part not in ("/", "//", "..", ".")]


def _composed(name: str) -> list[str]:
    if name.isascii():
        return []
    return [unicodedata.normalize(form, name) for form in ("NFC", "NFD")]
