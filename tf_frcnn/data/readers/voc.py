"""Reads folders in PASCAL VOC's layout."""

import os
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
    is_usable,
)
from tf_frcnn.data.checks.pixel_origin import notice_counting_from_0
from tf_frcnn.data.checks.problems import DEFAULT_POLICY, DataError, Policy, Problems
from tf_frcnn.data.checks.stated_size import Fit, fit_to_image
from tf_frcnn.data.examples import ExampleSet, Record, StoredImages
from tf_frcnn.data.readers.voc_annotation import (
    Annotation,
    UnreadableAnnotationError,
    read_annotation,
)
from tf_frcnn.data.readers.voc_folder import VocFolder, open_voc_folder, split_ids

_NO_ANNOTATION = Annotation(None, [], [])


class _Pair(NamedTuple):
    image_id: str
    image: Path
    image_name: str
    annotation_name: str
    annotation: Annotation


def read_voc(
    location: str | Path | None,
    split: str,
    *,
    class_names: Sequence[str] = (),
    policy: Policy = DEFAULT_POLICY,
    one_based: bool = True,
    follow_links: bool = True,
) -> ExampleSet:
    """Reads one split of a folder with images and an XML file for each.

    The folder is VOC's own, with JPEGImages, Annotations and ImageSets/Main, or in
    another layout of `voc_layout`. Every image is opened and decoded once, so that
    training meets no damaged file. The contents are kept in a `FactsCache`, and the
    next reading, of any split and with any settings, opens only the files that were
    changed. Only whole objects count, not their parts as in VOC's layout task.

    Args:
        location: the folder, such as VOCdevkit/VOC2007.
        split: a name such as "trainval", or a sum such as "train+val". A folder without
            ImageSets and without subfolders named train, valid or test is read as a
            whole under any name.
        class_names: K names, as written in the files; label k is the k-th. None: the
            sorted names of all the folder's annotations, whatever the split.
        policy: the action for each kind of fault.
        one_based: whether corners are VOC's whole pixels, counted from 1 and inclusive,
            so that a box covers [min - 1, max]. False: corners are taken as they are,
            continuous and counted from 0. The problem `counted_from_0` says that True
            seems to be wrong.
        follow_links: whether symbolic links are followed that lead out of the folder;
            False for a folder from others, which shall not read yours.

    Returns:
        The records in the order of the split, and the problems found.

    Raises:
        MissingSplitError: the folder has splits, but not this one.
        DataError: if the folder does not exist, if no image can be used, or where the
            policy says so.

    Source: Everingham et al., VOC2007 development kit, section 4.
    """
    if location is None:
        raise DataError(
            "data.directory is not set; the reader voc needs the folder that holds "
            "JPEGImages and Annotations."
        )
    problems = Problems(policy)
    folder = open_voc_folder(location, problems, follow_links=follow_links)
    ids = split_ids(folder, split, problems)
    with FactsCache(folder.root) as cache:
        class_names = tuple(class_names) or _names_in(folder, cache)
        pairs = list(_pairs(folder, ids, problems, cache))
        facts = inspect_files([pair.image for pair in pairs], cache, copies=True)
        found = [
            _record(pair, fact, class_names, one_based, problems)
            for pair, fact in zip(pairs, facts, strict=True)
        ]
    name = f"{folder.root}:{split}"
    if one_based:
        drawn = (pair.annotation.objects for pair in pairs)
        notice_counting_from_0(drawn, problems, name)
    used = [one for one in found if one is not None]
    if not used:
        lack = "has no image that can be used" if ids else "lists no image"
        raise problems.fatal(f"{name} {lack}")
    records, paths = zip(*used, strict=True)
    images = StoredImages(tf.constant(paths), are_paths=True)
    return ExampleSet(name, class_names, records, problems, images)


def _names_in(folder: VocFolder, cache: FactsCache) -> tuple[str, ...]:
    names: set[str] = set()
    reasons = []
    for path in folder.annotations.values():
        try:
            names.update(drawn.name for drawn in _annotation(path, cache).objects)
        except UnreadableAnnotationError as error:
            # Reported where its image belongs to the split.
            reasons.append(f"{folder.name(path)}: {error}")
    if names:
        return tuple(sorted(names))
    unread = f"{len(reasons)} of {len(folder.annotations)} XML files cannot be read, "
    raise DataError(
        f"{folder.root} names no object; give class_names, or the folder that holds "
        "the annotations." + (f" {unread}the first is {reasons[0]}." if reasons else "")
    )


def _annotation(path: Path, cache: FactsCache) -> Annotation:
    size, objects, faults = cache.recall_file(path, lambda: read_annotation(path))
    return Annotation(
        size and tuple(size),
        [DrawnObject(name, tuple(box), *marks) for name, box, *marks in objects],
        [(kind, detail) for kind, detail in faults],
    )


def _pairs(
    folder: VocFolder, ids: Sequence[str], problems: Problems, cache: FactsCache
) -> Iterator[_Pair]:
    """Yields the images that have a file, with an annotation that can be read."""
    for image_id in ids:
        paths = folder.images.get(image_id, [])
        if not paths:
            name = folder.image_name(image_id)
            problems.add("missing_image", name, "no image has this name")
        elif len(paths) == 1 or _chosen(paths, folder, problems):
            xml = folder.annotations.get(image_id)
            name = folder.name(xml) if xml else folder.annotation_name(image_id)
            annotation = _settled(xml, name, problems, cache)
            if annotation is not None:
                image_name = folder.name(paths[0])
                yield _Pair(image_id, paths[0], image_name, name, annotation)


def _settled(
    path: Path | None, name: str, problems: Problems, cache: FactsCache
) -> Annotation | None:
    """Returns an annotation, None if its image is dropped."""
    if path is None:
        action = problems.add("missing_annotation", name, "the file does not exist")
        return _NO_ANNOTATION if action == "keep" else None
    try:
        annotation = _annotation(path, cache)
    except UnreadableAnnotationError as error:
        problems.add("unreadable_annotation", name, str(error))
        return None
    actions = [problems.add(kind, name, detail) for kind, detail in annotation.faults]
    return None if "drop" in actions else annotation


def _chosen(paths: Sequence[Path], folder: VocFolder, problems: Problems) -> bool:
    names = " and ".join(path.name for path in paths)
    detail = f"{names} have the same stem; the first is used"
    return problems.add("ambiguous_image", folder.name(paths[0]), detail) == "repair"


def _record(
    pair: _Pair,
    facts: ImageFacts | UnreadableImageError,
    class_names: tuple[str, ...],
    one_based: bool,
    problems: Problems,
) -> tuple[Record, bytes] | None:
    """Returns the checked record and the path to read, or None for a dropped image."""
    if not is_usable(facts, pair.image_name, problems):
        return None
    fit = _fit(pair, facts, problems)
    if fit is None:
        return None
    if facts.orientation != 1:
        problems.add("rotated_image", pair.image_name, f"EXIF {facts.orientation}")
    checked = check_objects(
        pair.annotation.objects,
        lambda corners: fit.apply(corners - ([1, 1, 0, 0] if one_based else 0), facts),
        facts.upright_size,
        class_names,
        problems,
        pair.annotation_name,
    )
    if not len(checked.boxes) and pair.annotation is not _NO_ANNOTATION:
        problems.add(
            "empty_annotation",
            pair.annotation_name,
            f"none of the {len(pair.annotation.objects)} objects in the file remains",
        )
    record = Record(
        pair.image_id, str(pair.image), *facts.upright_size, facts.orientation, *checked
    )
    return record, os.fsencode(facts.copy or pair.image)


def _fit(pair: _Pair, facts: ImageFacts, problems: Problems) -> Fit | None:
    """Returns how the boxes fit the image, None if it is dropped."""
    fit = fit_to_image(pair.annotation.size, facts)
    words = fit.words() if fit else "no common ratio, so that no box can be trusted"
    # A file that states no size states no wrong one.
    if pair.annotation.size is None or not words:
        return fit
    height, width = facts.upright_size
    stated_height, stated_width = pair.annotation.size
    action = problems.add(
        "wrong_size",
        pair.annotation_name,
        f"it says {stated_width} x {stated_height} pixels, but the upright image has "
        f"{width} x {height}; " + (f"the boxes are {words}" if fit else words),
        "" if fit else "drop",
    )
    return fit if action == "repair" else None
