"""The files of a VOC folder, and those that a split names."""

from pathlib import Path
from typing import NamedTuple

from tf_frcnn.data.checks.images import IMAGE_ENDINGS
from tf_frcnn.data.checks.problems import DataError, Problems, nearest_name

NEEDED_FOLDERS = ("JPEGImages", "Annotations")


class VocFolder(NamedTuple):
    """The files of a VOC folder.

    Attributes:
        root: the folder.
        images: stem -> paths of that stem in JPEGImages, the one to use first.
        annotations: stem -> path of the XML file.
    """

    root: Path
    images: dict[str, list[Path]]
    annotations: dict[str, Path]


def open_voc_folder(directory: str | Path) -> VocFolder:
    """Lists a VOC folder.

    Raises:
        DataError: if it is not one; the message names VOC folders below it.
    """
    root = Path(directory)
    lacking = [name for name in NEEDED_FOLDERS if not (root / name).is_dir()]
    if lacking:
        inner = sorted(str(path.parent) for path in root.glob("*/JPEGImages"))
        hint = f" Did you mean {' or '.join(inner)}?" if inner else ""
        raise DataError(
            f"{root} is not a VOC folder: it lacks {' and '.join(lacking)}. A VOC "
            "folder holds JPEGImages, Annotations and, for splits, "
            f"ImageSets/Main.{hint}"
        )
    images: dict[str, list[Path]] = {}
    for path in sorted((root / "JPEGImages").iterdir(), key=_by_ending):
        if path.is_file() and not path.name.startswith("."):
            images.setdefault(path.stem, []).append(path)
    annotations = sorted((root / "Annotations").glob("[!.]*.xml"))
    return VocFolder(root, images, {path.stem: path for path in annotations})


def split_ids(folder: VocFolder, split: str, problems: Problems) -> list[str]:
    """Returns the image ids of a split, each once, in the order of its file.

    Args:
        folder: the VOC folder.
        split: a name such as "train", or a sum such as "train+val". A folder without
            ImageSets has one split, of all its images and annotations, under any
            name.
        problems: records every `repeated_image`.

    Raises:
        DataError: if the folder has splits, but not this one.
    """
    if not (folder.root / "ImageSets").is_dir():
        return sorted(folder.images.keys() | folder.annotations.keys())
    ids: dict[str, None] = {}
    for name in split.split("+"):
        path = folder.root / "ImageSets" / "Main" / f"{name.strip()}.txt"
        if not path.is_file():
            raise _no_such_split(path)
        for image_id in _listed_ids(path, folder):
            if image_id in ids:
                problems.add("repeated_image", path.name, f"{image_id} is listed twice")
            ids[image_id] = None
    return list(ids)


def _listed_ids(path: Path, folder: VocFolder):
    """Yields the ids of one split file.

    VOC's files for one class have a second column: 1 the class is in the image,
    0 only difficult objects of it, -1 it is not, and then the image is not in the
    split. A name with spaces counts as a whole if a file has it.
    """
    for line in path.read_text(encoding="utf-8-sig").splitlines():
        name, *columns = line.strip().rsplit(maxsplit=1) or [""]
        if columns in (["1"], ["0"], ["-1"]) and line.strip() not in folder.images:
            if columns != ["-1"]:
                yield name
        elif line.strip():
            yield line.strip()


def _no_such_split(path: Path) -> DataError:
    names = sorted(other.stem for other in path.parent.glob("*.txt"))
    return DataError(
        f"{path} does not exist; the splits there are {', '.join(names) or 'none'}"
        f"{nearest_name(path.stem, names) or '.'}"
    )


def _by_ending(path: Path) -> tuple[bool, str]:
    return path.suffix.lower() not in IMAGE_ENDINGS, path.name
