"""The files of a VOC folder, and those that a split names."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tf_frcnn.data.checks.images import IMAGE_ENDINGS
from tf_frcnn.data.checks.listing import Listing, existing_folder
from tf_frcnn.data.checks.problems import (
    DataError,
    MissingSplitError,
    Problems,
    nearest_name,
)
from tf_frcnn.data.readers.split_lists import finder, listed_ids
from tf_frcnn.data.readers.voc_layout import (
    Place,
    is_split_name,
    places_in,
    same_split,
)

NEEDED_FOLDERS = ("JPEGImages", "Annotations")


class VocFolder(NamedTuple):
    """The files of a VOC folder.

    An image's id is its path in the folder of images, without its ending.

    Attributes:
        root: the folder.
        places: the folders of images and of annotations.
        images: id -> paths of the images of that name, the one to use first.
        annotations: id -> path of the XML file.
        lists: split -> path of its list.
    """

    root: Path
    places: list[Place]
    images: dict[str, list[Path]]
    annotations: dict[str, Path]
    lists: dict[str, Path]

    def name(self, path: Path) -> str:
        """Returns a file's name in messages: its path below the folder."""
        return path.relative_to(self.root).as_posix()

    def image_name(self, image_id: str) -> str:
        """Returns the name of an image that does not exist."""
        return self._name_of(image_id, "images")

    def annotation_name(self, image_id: str) -> str:
        """Returns the name of an annotation that does not exist."""
        return f"{self._name_of(image_id, 'annotations')}.xml"

    def _name_of(self, image_id: str, kind: str) -> str:
        place = next(p for p in self.places if image_id.startswith(p.prefix))
        folder: Path = getattr(place, kind)
        return self.name(folder / image_id.removeprefix(place.prefix))


def open_voc_folder(
    directory: str | Path,
    problems: Problems | None = None,
    *,
    follow_links: bool = True,
) -> VocFolder:
    """Lists a VOC folder, in one of the layouts of `voc_layout`.

    Args:
        directory: the folder.
        problems: records every `outside_link`.
        follow_links: whether links out of the folder are followed.

    Raises:
        DataError: if it does not exist or is not a VOC folder; the message names VOC
            folders below it.
    """
    root = existing_folder(directory)
    problems = problems or Problems()
    listing = Listing(root, problems, follow_links)
    places = places_in(root, listing)
    if not places:
        raise problems.fatal(_lacking(root))
    images: dict[str, list[Path]] = {}
    annotations: dict[str, Path] = {}
    for place in places:
        _add_files(images, annotations, place, listing)
    for paths in images.values():
        paths.sort(key=_by_ending)
    annotations = _joined(images, annotations)
    return VocFolder(root, places, images, annotations, _lists_in(root, listing))


def split_ids(folder: VocFolder, split: str, problems: Problems) -> list[str]:
    """Returns the image ids of a split, each once, in the order of its file.

    Args:
        folder: the VOC folder.
        split: a name such as "train", or a sum such as "train+val". A folder without
            lists has the splits that its subfolders are named after; without these it
            has one split, of all its images and annotations, under any name.
        problems: records every `repeated_image`.

    Raises:
        MissingSplitError: if the folder has splits, but not this one.
        DataError: if its list cannot be read.
    """
    ids: dict[str, None] = {}
    for name in split.split("+"):
        for image_id in _ids_of(folder, name.strip()):
            if image_id in ids:
                file = f"{name.strip()}.txt"
                problems.add("repeated_image", file, f"{image_id} is listed twice")
            ids[image_id] = None
    return list(ids)


def _ids_of(folder: VocFolder, split: str) -> list[str]:
    known = folder.images.keys() | folder.annotations.keys()
    if (folder.root / "ImageSets").is_dir():
        return _ids_in_lists(folder, split, known)
    firsts = {one.partition("/")[0] for one in known if "/" in one}
    flat = any("/" not in one for one in known)
    if flat or not all(is_split_name(name) for name in firsts):
        return sorted(known)
    chosen = _called(split, firsts)
    if chosen is None:
        raise _no_such_split(folder.root / split, sorted(firsts))
    return sorted(one for one in known if one.startswith(f"{chosen}/"))


def _ids_in_lists(folder: VocFolder, split: str, known: set[str]) -> list[str]:
    """Returns the ids of a list; without one, those in the lists for single classes.

    VoTT writes CLASS_train.txt only, each with all images of the split.
    """
    chosen, find = _called(split, folder.lists), finder(known)
    if chosen is not None:
        lines = listed_ids(folder.lists[chosen], find)
        return [image_id for image_id, is_in in lines if is_in]
    of_classes = [n for n in folder.lists if n.lower().endswith(f"_{split.lower()}")]
    if not of_classes:
        folder_of_lists = folder.root / "ImageSets" / "Main"
        raise _no_such_split(folder_of_lists / f"{split}.txt", sorted(folder.lists))
    lists = [listed_ids(folder.lists[name], find) for name in of_classes]
    return list(dict.fromkeys(image_id for lines in lists for image_id, _ in lines))


def _called(split: str, names: Iterable[str]) -> str | None:
    """Returns the name that is the split's, or another one for the same split."""
    names = sorted(names)
    if split in names:
        return split
    return next((name for name in names if same_split(split, name)), None)


def _add_files(images, annotations, place: Place, listing: Listing) -> None:
    """Adds the files of a place to the images and annotations of a folder."""
    side_by_side = place.images == place.annotations
    for name, path in listing.files(place.annotations, below=place.below):
        stem, ending = _parts(name)
        if ending == ".xml":
            annotations.setdefault(place.prefix + stem, path)
        elif side_by_side and ending in IMAGE_ENDINGS:
            images.setdefault(place.prefix + stem, []).append(path)
    if not side_by_side:
        for name, path in listing.files(place.images):
            images.setdefault(place.prefix + _parts(name)[0], []).append(path)


def _parts(name: str) -> tuple[str, str]:
    """Returns a file's name without its ending, and the ending in lower case."""
    stem, ending = os.path.splitext(name)
    return stem, ending.lower()


def _joined(images, annotations: dict[str, Path]) -> dict[str, Path]:
    """Returns the annotations by the ids of their images.

    Where the subfolders of images and annotations differ, a file's bare name decides if
    no other one has it.
    """
    loose = [one for one in annotations if one not in images]
    lonely = [one for one in images if one not in annotations]
    by_name = {name: one for one, name in _with_unique_names(lonely)}
    ids = {one: by_name.get(name, one) for one, name in _with_unique_names(loose)}
    return {ids.get(one, one): path for one, path in annotations.items()}


def _with_unique_names(ids: list[str]) -> list[tuple[str, str]]:
    names = [one.rpartition("/")[2] for one in ids]
    counts = Counter(names)
    return [pair for pair in zip(ids, names, strict=True) if counts[pair[1]] == 1]


def _lists_in(root: Path, listing: Listing) -> dict[str, Path]:
    """Returns the lists in ImageSets/Main, or in ImageSets where that has none."""
    for folder in (root / "ImageSets" / "Main", root / "ImageSets"):
        files = listing.files(folder, below=False) if folder.is_dir() else []
        lists = {_parts(name)[0]: p for name, p in files if _parts(name)[1] == ".txt"}
        if lists:
            return lists
    return {}


def _lacking(root: Path) -> str:
    """Returns the message about a folder that is no VOC folder."""
    lacking = [name for name in NEEDED_FOLDERS if not (root / name).is_dir()]
    inner = sorted(str(path.parent) for path in root.glob("*/JPEGImages"))
    hint = f". Did you mean {' or '.join(inner)}?" if inner else ""
    lacks = " and ".join(lacking) or "folders that do not lead out of it"
    return (
        f"{root} is not a VOC folder: it lacks {lacks}. A VOC folder "
        "holds JPEGImages (or images), Annotations and, for splits, ImageSets/Main; or "
        f"images and XML files side by side, also in train, valid and test{hint}"
    )


def _no_such_split(path: Path, names: list[str]) -> DataError:
    return MissingSplitError(
        f"{path} does not exist; the splits there are {', '.join(names) or 'none'}"
        f"{nearest_name(path.stem, names) or '.'}"
    )


def _by_ending(path: Path) -> tuple[bool, str]:
    return path.suffix.lower() not in IMAGE_ENDINGS, path.name
