"""Reads folders in PASCAL VOC's layout."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from tf_frcnn.data.checks.boxes import DrawnObject, check_objects
from tf_frcnn.data.checks.facts_cache import FactsCache
from tf_frcnn.data.checks.images import (
    ImageFacts,
    UnreadableImageError,
    inspect_files,
    turn_boxes_upright,
)
from tf_frcnn.data.checks.problems import DEFAULT_POLICY, DataError, Policy, Problems
from tf_frcnn.data.examples import ExampleSet, Record, StoredImages
from tf_frcnn.data.readers.voc_annotation import (
    Annotation,
    UnreadableAnnotationError,
    read_annotation,
)
from tf_frcnn.data.readers.voc_folder import VocFolder, open_voc_folder, split_ids


class _Pair(NamedTuple):
    image_id: str
    image: Path
    annotation_name: str
    annotation: Annotation


def read_voc(
    location: str | Path | None,
    split: str,
    *,
    class_names: Sequence[str] = (),
    policy: Policy = DEFAULT_POLICY,
    one_based: bool = True,
) -> ExampleSet:
    """Reads one split of a folder with JPEGImages, Annotations and ImageSets/Main.

    Every image is opened and decoded once, so that training meets no damaged file.
    The contents are kept in a `FactsCache`, and the next reading, of any split and with
    any settings, opens only the files that were changed. Only whole objects count, not
    their parts as in VOC's layout task.

    Args:
        location: the folder, such as VOCdevkit/VOC2007.
        split: a name such as "trainval", or a sum such as "train+val". A folder without
            ImageSets is read as a whole under any name.
        class_names: K names, as written in the files; label k is the k-th. None: the
            sorted names of all the folder's annotations, whatever the split.
        policy: the action for each kind of fault.
        one_based: whether corners are VOC's whole pixels, counted from 1 and inclusive,
            so that a box covers [min - 1, max]. False: corners are taken as they are,
            continuous and counted from 0. Many `box_outside` at the left and upper
            border show that True was wrong.

    Returns:
        The records in the order of the split, and the problems found.

    Raises:
        DataError: if the folder or the split does not exist, if no image can be
            used, or where the policy says so.

    Source: Everingham et al., VOC2007 development kit, section 4.
    """
    if location is None:
        raise DataError(
            "data.directory is not set; the reader voc needs the folder that holds "
            "JPEGImages and Annotations."
        )
    folder = open_voc_folder(location)
    problems = Problems(policy)
    ids = split_ids(folder, split, problems)
    with FactsCache(folder.root) as cache:
        class_names = tuple(class_names) or _names_in(folder, cache)
        pairs = list(_pairs(folder, ids, problems, cache))
        facts = inspect_files((pair.image for pair in pairs), cache)
        found = [
            _record(pair, fact, class_names, one_based, problems)
            for pair, fact in zip(pairs, facts, strict=True)
        ]
    records = [record for record in found if record is not None]
    name = f"{folder.root}:{split}"
    if not records:
        raise DataError(f"{name} has no image that can be used: {problems.counts()}.")
    images = StoredImages(tf.constant([r.source for r in records]), are_paths=True)
    return ExampleSet(name, class_names, tuple(records), problems, images)


def _names_in(folder: VocFolder, cache: FactsCache) -> tuple[str, ...]:
    names: set[str] = set()
    for path in folder.annotations.values():
        try:
            names.update(drawn.name for drawn in _annotation(path, cache).objects)
        except UnreadableAnnotationError:
            continue  # reported where its image belongs to the split
    if not names:
        raise DataError(
            f"{folder.root}/Annotations names no object; give class_names, or the "
            "folder that holds the annotations."
        )
    return tuple(sorted(names))


def _annotation(path: Path, cache: FactsCache) -> Annotation:
    size, objects = cache.recall_file(path, lambda: read_annotation(path))
    objects = [DrawnObject(name, tuple(box), hard) for name, box, hard in objects]
    return Annotation(size and tuple(size), objects)


def _pairs(
    folder: VocFolder, ids: Sequence[str], problems: Problems, cache: FactsCache
) -> Iterator[_Pair]:
    """Yields the images that have a file and an annotation that can be read."""
    for image_id in ids:
        image_name, xml_name = f"JPEGImages/{image_id}", f"Annotations/{image_id}.xml"
        paths = folder.images.get(image_id, [])
        if not paths:
            problems.add("missing_image", image_name, "no image has this name")
        elif image_id not in folder.annotations:
            problems.add("missing_annotation", xml_name, "the file does not exist")
        elif len(paths) == 1 or _chosen(paths, problems):
            try:
                annotation = _annotation(folder.annotations[image_id], cache)
                yield _Pair(image_id, paths[0], xml_name, annotation)
            except UnreadableAnnotationError as error:
                problems.add("unreadable_annotation", xml_name, str(error))


def _chosen(paths: Sequence[Path], problems: Problems) -> bool:
    names = " and ".join(path.name for path in paths)
    detail = f"{names} have the same stem; the first is used"
    return problems.add("ambiguous_image", f"JPEGImages/{paths[0].name}", detail) == (
        "repair"
    )


def _record(
    pair: _Pair,
    facts: ImageFacts | UnreadableImageError,
    class_names: tuple[str, ...],
    one_based: bool,
    problems: Problems,
) -> Record | None:
    """Returns the checked record, or None if the image is dropped."""
    image_name, xml_name = f"JPEGImages/{pair.image.name}", pair.annotation_name
    if isinstance(facts, UnreadableImageError):
        problems.add("unreadable_image", image_name, str(facts))
        return None
    size_is_right = pair.annotation.size in (None, facts.upright_size)
    if not size_is_right and _settle_size(pair, facts, problems) == "drop":
        return None
    if facts.orientation != 1:
        problems.add("rotated_image", image_name, f"EXIF {facts.orientation}")

    def to_boxes(corners):
        boxes = corners - ([1, 1, 0, 0] if one_based else 0)
        if not size_is_right and _drawn_as_stored(pair, facts):
            boxes = turn_boxes_upright(boxes, facts)
        return boxes

    checked = check_objects(
        pair.annotation.objects,
        to_boxes,
        facts.upright_size,
        class_names,
        problems,
        xml_name,
    )
    if not len(checked.boxes):
        problems.add(
            "empty_annotation",
            xml_name,
            f"none of the {len(pair.annotation.objects)} objects in the file remains",
        )
    return Record(
        pair.image_id, str(pair.image), *facts.upright_size, facts.orientation, *checked
    )


def _drawn_as_stored(pair: _Pair, facts: ImageFacts) -> bool:
    return pair.annotation.size == (facts.stored_height, facts.stored_width)


def _settle_size(pair: _Pair, facts: ImageFacts, problems: Problems) -> str:
    height, width = facts.upright_size
    # A file that states no size states no wrong one.
    stated: tuple[int, int] = pair.annotation.size  # type: ignore[assignment]
    outcome = "the boxes are taken as they are"
    if _drawn_as_stored(pair, facts):
        outcome = "the boxes are turned upright with it"
    return problems.add(
        "wrong_size",
        pair.annotation_name,
        f"it says {stated[1]} x {stated[0]} pixels, but the upright image has "
        f"{width} x {height}; {outcome}",
    )
