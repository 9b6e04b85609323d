"""Reads data sets in YOLO's form: a text file of relative boxes beside each image."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tf_frcnn.data.checks.boxes import DrawnObject
from tf_frcnn.data.checks.problems import DEFAULT_POLICY, DataError, Policy, Problems
from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.data.readers.described import DescribedImage, read_described
from tf_frcnn.data.readers.locating import (
    chosen_splits,
    existing_location,
    id_below,
)
from tf_frcnn.data.readers.yolo_folder import (
    YoloFolder,
    entries_of,
    images_in,
    open_yolo_folder,
)

# Beyond it a number is no share of a side: the file has pixels.
LARGEST_SHARE = 2.0
_NEEDED = "the folder of data.yaml, or the YAML file"


def read_yolo(
    location: str | Path | None,
    split: str,
    *,
    class_names: Sequence[str] = (),
    policy: Policy = DEFAULT_POLICY,
    follow_links: bool = True,
) -> ExampleSet:
    """Reads splits of a data set in YOLO's form.

    Each image has a text file, with `labels` instead of `images` in its path, or beside
    it. A line is a class's number and a box (centre x, centre y, width, height), or a
    polygon (x, y, x, y ...), around which the box is put; all as shares of the image's
    sides. An image without a file, or with an empty one, has no object.

    Args:
        location: the folder that holds data.yaml, or classes.txt, beside `images` and
            `labels`; or the YAML file.
        split: "train", "val" or "test", or a sum such as "train+val"; without a
            data.yaml that names splits, the folders below `images`. A data set without
            splits is read as a whole under any name.
        class_names: K names. Empty: those of the data set, in the order of their
            numbers.
        policy: the action for each kind of fault.
        follow_links: False leaves out images outside the folder.

    Raises:
        DataError: there is no such data set or split, no image can be used, none has a
            label file, or the policy says so.

    Source: https://docs.ultralytics.com/datasets/detect
    """
    place = existing_location(location, _NEEDED)
    folder = open_yolo_folder(place)
    problems = Problems(policy)
    described: list[DescribedImage] = []
    num_labels = 0
    for name, _ in chosen_splits(folder.splits, split, place):
        entries = entries_of(folder, name)
        images = images_in(entries, folder.root, problems)
        labels = [_label_file(path) for path in images]
        num_labels += sum(map(Path.is_file, labels))
        pairs = [*zip(images, labels, strict=True)]
        described += _described(folder, entries, pairs, problems)
    if described and not num_labels:
        raise DataError(
            f"{place}:{split}: none of the {len(described)} images has a label file; "
            f"looked for {_label_file(described[0].path)} and the like."
        )
    class_names = tuple(class_names) or tuple(dict.fromkeys(folder.names.values()))
    return read_described(
        f"{place}:{split}",
        described,
        class_names,
        problems,
        folder.root,
        as_shares=True,
        follow_links=follow_links,
    )


def yolo_splits(location: str | Path) -> list[str]:
    """Returns the names of the splits; "" stands for a data set without splits."""
    place = existing_location(location, _NEEDED)
    return [*open_yolo_folder(place).splits]


def _described(
    folder: YoloFolder,
    entries: list[Path],
    pairs: list[tuple[Path, Path]],
    problems: Problems,
) -> list[DescribedImage]:
    described = []
    for path, file in pairs:
        name = os.path.relpath(file, folder.root)
        try:
            objects = _read_labels(file, folder)
        except (ValueError, OSError) as error:
            problems.add("unreadable_annotation", name, str(error))
        else:
            image_id = id_below(path, entries)
            described.append(DescribedImage(path, image_id, name, objects))
    return described


def _label_file(image: Path) -> Path:
    """Returns the path of an image's label file, which need not exist."""
    parts = list(image.with_suffix(".txt").parts)
    if "images" in parts[:-1]:
        last = len(parts) - 2 - parts[-2::-1].index("images")
        parts[last] = "labels"
        if Path(*parts).exists():
            return Path(*parts)
    beside = image.with_suffix(".txt")
    return beside if beside.exists() else Path(*parts)


def _read_labels(file: Path, folder: YoloFolder) -> list[DrawnObject]:
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8-sig").splitlines()
    return [
        _drawn_object(line.split(), f"line {number}", folder)
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]


def _drawn_object(words: list[str], line: str, folder: YoloFolder) -> DrawnObject:
    try:
        number, *values = map(float, words)
    except ValueError:
        raise ValueError(f"{line}: {' '.join(words)!r} is not numbers") from None
    if not number.is_integer():
        raise ValueError(f"{line}: {words[0]} is no number of a class")
    values = values[:4] if folder.has_keypoints else values
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        raise ValueError(
            f"{line} has {len(words)} numbers; a box has 5, a polygon an odd number "
            "from 7 on"
        )
    if values and max(map(abs, values)) > LARGEST_SHARE:
        raise ValueError(
            f"{line}: {max(values, key=abs):g} is no share of the image's side; divide "
            "pixels by the image's width and height"
        )
    name = folder.names.get(int(number), f"class {number:g}")
    return DrawnObject(name, _corners(values), difficult=False)


def _corners(values: list[float]) -> tuple[float, float, float, float]:
    if len(values) == 4:
        x, y, width, height = values
        return (y - height / 2, x - width / 2, y + height / 2, x + width / 2)
    xs, ys = np.array(values).reshape(-1, 2).T
    return (float(ys.min()), float(xs.min()), float(ys.max()), float(xs.max()))
