"""Reads TFRecord files of the TensorFlow Object Detection API."""

import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_frcnn.data.checks.boxes import DrawnObject
from tf_frcnn.data.checks.problems import DEFAULT_POLICY, DataError, Policy, Problems
from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.data.readers.forms import form_advice
from tf_frcnn.data.readers.label_map import LabelMapItem, read_label_map
from tf_frcnn.data.readers.locating import (
    chosen_splits,
    existing_location,
    root_of,
    tells_a_split,
)
from tf_frcnn.data.readers.streamed import StreamedImage, read_streamed

PATTERNS = ("*.record*", "*.tfrecord*")
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})")
_SIDES = ("ymin", "xmin", "ymax", "xmax")
_BOXES = [f"image/object/bbox/{side}" for side in _SIDES]
_TEXT, _LABEL = "image/object/class/text", "image/object/class/label"
_DIFFICULT = ("image/object/difficult",)
_CROWD = ("image/object/is_crowd", "image/object/group_of")


def read_tfrecord(
    location: str | Path | None,
    split: str,
    *,
    class_names: Sequence[str] = (),
    policy: Policy = DEFAULT_POLICY,
    class_file: str | None = None,
) -> ExampleSet:
    """Reads splits of records with `image/encoded` and `image/object/...`.

    Boxes are shares of the image's sides. `is_crowd` and `group_of` mark crowds.

    Args:
        location: the folder of `train.record`, `train.record-00000-of-00010` and the
            like; or a file, or a pattern such as "data/train.record-?????-of-00010".
        split: a name such as "train", or a sum such as "train+val"; a file or a pattern
            is read under any name.
        class_names: K names. Empty: those of the label map, in the order of its ids;
            without one the sorted names in the records.
        policy: the action for each kind of fault.
        class_file: the label map; None: the .pbtxt file beside the records, if there is
            one.

    Raises:
        DataError: there are no such records, one is damaged or of another form, a shard
            or the label map is missing, no image can be used, or the policy says so.

    Source: TensorFlow Object Detection API, `dataset_tools` and
    `data_decoders/tf_example_decoder.py`.
    """
    place, splits = _opened(location)
    files = [f for _, own in chosen_splits(splits, split, place) for f in own]
    items = _label_map(class_file, files, place)
    dataset = _examples(files)
    names = tuple(class_names) or tuple(dict.fromkeys(item.shown for item in items))
    names = names or _names_in(dataset, files)
    name = f"{place}:{split}"
    problems = Problems(policy)
    images = _images(dataset, files, items, problems)
    encoded = dataset.map(lambda example: example["image/encoded"])
    return read_streamed(name, encoded, images, names, problems, place)


def tfrecord_splits(location: str | Path) -> list[str]:
    """Returns the names of the splits; "" stands for a data set without splits."""
    return [*_opened(location)[1]]


def _opened(location: str | Path | None) -> tuple[Path, dict[str, list[Path]]]:
    """Returns the data set's place, and split -> its files in order."""
    pattern = Path(location or "").expanduser()
    if glob.has_magic(str(pattern)) and not pattern.exists():
        if files := sorted(map(Path, glob.glob(str(pattern)))):
            return pattern, {"": _complete(files)}
        raise DataError(f"{pattern}: no file has such a name.")
    place = existing_location(location, "the folder of the records, or a file")
    splits = {"": [place]} if place.is_file() else _files_by_split(place)
    if not splits:
        raise DataError(
            f"{place} holds no records; looked for {', '.join(PATTERNS)}."
            f"{form_advice(place, 'tfrecord')}"
        )
    return place, {name: _complete(files) for name, files in splits.items()}


def _files_by_split(root: Path) -> dict[str, list[Path]]:
    """Groups files by what their names begin with, or by their folders.

    "coco_train.record-00000-of-00010" is of the split "train" where "train" is the
    end of no other name.
    """
    found: dict[str, list[Path]] = {}
    for path in _records(root, ""):
        found.setdefault(re.split(r"\.(tf)?record", path.name)[0], []).append(path)
    if not found:
        for path in _records(root, "*/"):
            found.setdefault(path.parent.name, []).append(path)
    if len(found) == 1 and not tells_a_split(next(iter(found))):
        return {"": next(iter(found.values()))}
    ends = {re.split(r"[-_]", name)[-1]: files for name, files in found.items()}
    return ends if len(ends) == len(found) else found


def _records(root: Path, folders: str) -> list[Path]:
    paths = [p for name in PATTERNS for p in root.glob(folders + name) if p.is_file()]
    return sorted(path for path in paths if not path.name.startswith("."))


def _complete(files: list[Path]) -> list[Path]:
    """Returns the files of a split.

    Raises:
        DataError: a shard is missing.
    """
    shards = [match for file in files if (match := _SHARD.search(file.name))]
    missing = {int(shard[2]) for shard in shards} - {len(shards)}
    if shards and missing:
        raise DataError(
            f"{files[0]}: {len(shards)} of {max(missing)} files of its kind are there."
        )
    return files


def _label_map(
    class_file: str | None, files: Sequence[Path], place: Path
) -> list[LabelMapItem]:
    if class_file is not None:
        return read_label_map(existing_location(class_file, "the label map"))
    for folder in dict.fromkeys([files[0].parent, root_of(place), place.parent]):
        maps = sorted(folder.glob("*.pbtxt"))
        if len(maps) > 1:
            names = ", ".join(path.name for path in maps)
            raise DataError(f"{folder} has {names}; set class_file to the label map.")
        if maps:
            return read_label_map(maps[0])
    return []


def _examples(files: Sequence[Path]) -> tf.data.Dataset:
    """Returns the parsed examples of files in order."""

    def many(dtype):
        return tf.io.FixedLenSequenceFeature([], dtype, allow_missing=True)

    features = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/filename": tf.io.FixedLenFeature([], tf.string, ""),
        "image/source_id": tf.io.FixedLenFeature([], tf.string, ""),
        "image/height": tf.io.FixedLenFeature([], tf.int64, 0),
        "image/width": tf.io.FixedLenFeature([], tf.int64, 0),
        **dict.fromkeys(_BOXES, many(tf.float32)),
        _TEXT: many(tf.string),
        **dict.fromkeys((_LABEL, *_DIFFICULT, *_CROWD), many(tf.int64)),
    }
    compression = "GZIP" if files[0].suffix == ".gz" else ""
    records = tf.data.TFRecordDataset([str(f) for f in files], compression)
    return records.map(lambda record: tf.io.parse_single_example(record, features))


def _read(dataset: tf.data.Dataset, files: Sequence[Path]) -> Iterator[dict]:
    try:
        yield from dataset.as_numpy_iterator()
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        reason = error.message.split("}} ")[-1].splitlines()[0].split(" [Op:")[0]
        raise _damaged(files, reason) from error
    except UnicodeDecodeError as error:  # TensorFlow quotes the record's bytes.
        raise _damaged(files, "it is no tf.train.Example") from error


def _damaged(files: Sequence[Path], reason: str) -> DataError:
    return DataError(
        f"{files[0]} and the like: a record is damaged, or not of the TensorFlow "
        f"Object Detection API: {reason}."
    )


def _names_in(dataset: tf.data.Dataset, files: Sequence[Path]) -> tuple[str, ...]:
    """Returns the sorted names in the records, which are read to the end."""
    names: set[bytes] = set()
    num_boxes = 0
    for example in _read(dataset, files):
        names.update(example[_TEXT].tolist())
        num_boxes += len(example[_BOXES[0]])
    if not names or b"" in names:
        raise DataError(
            f"{files[0]} and the like name no classes (of {num_boxes} objects); set "
            "class_file to the label map, a .pbtxt file."
        )
    return tuple(sorted(map(_words, names)))


def _images(
    dataset: tf.data.Dataset,
    files: Sequence[Path],
    items: Sequence[LabelMapItem],
    problems: Problems,
) -> Iterator[StreamedImage]:
    for place, example in enumerate(_read(dataset, files)):
        name = example["image/filename"] or example["image/source_id"]
        name = name.decode(errors="replace") or f"record_{place:06d}"
        height, width = int(example["image/height"]), int(example["image/width"])
        size = (height, width) if height > 0 and width > 0 else None
        objects = None
        if lengths := _uneven_lengths(example):
            problems.add("unreadable_annotation", name, lengths)
        else:
            objects = _drawn_objects(example, items, f"{files[0].name}: {name}")
        yield StreamedImage(example["image/encoded"], name, objects, size)


def _uneven_lengths(example: dict[str, np.ndarray]) -> str:
    """Returns what is wrong where an object lacks a corner or its class, or nothing."""
    lengths = [len(example[name]) for name in (*_BOXES, _TEXT, _LABEL)]
    classes = {*lengths[4:]} - {0}
    if len({*lengths[:4], *classes}) == 1 and (classes or not lengths[0]):
        return ""
    return (
        f"it has {', '.join(map(str, lengths))} values of ymin, xmin, ymax, xmax, text "
        "and label; each object needs all corners, and a text or a label"
    )


def _drawn_objects(
    example: dict[str, np.ndarray], items: Sequence[LabelMapItem], where: str
) -> list[DrawnObject]:
    corners = [example[name].tolist() for name in _BOXES]
    count = len(corners[0])
    difficult, crowd = _marks(example, _DIFFICULT), _marks(example, _CROWD)
    texts = example[_TEXT].tolist() or [b""] * count
    labels = example[_LABEL].tolist() or [None] * count
    names = [_name(t, n, items, where) for t, n in zip(texts, labels, strict=True)]
    rows = zip(names, zip(*corners, strict=True), difficult, crowd, strict=True)
    return [DrawnObject(*row) for row in rows]


def _marks(example: dict[str, np.ndarray], names: Sequence[str]) -> list[bool]:
    """Returns which objects have one of the marks; a record may lack any of them."""
    count = len(example[_BOXES[0]])
    marks = np.zeros(count, bool)
    for name in names:
        if len(example[name]) == count:
            marks |= example[name] > 0
    return marks.tolist()


def _name(
    text: bytes, label: int | None, items: Sequence[LabelMapItem], where: str
) -> str:
    """Returns the name of an object's class by the label map, or else its text."""
    written = _words(text)
    by_text = next((i for i in items if written in (i.name, i.shown)), None)
    by_label = next((i for i in items if i.label == label), None)
    if by_text and by_label and by_text.shown != by_label.shown:
        raise DataError(
            f"{where}: an object is {written!r} and has the label {label}, which the "
            f"label map calls {by_label.shown!r}; give the label map of these records."
        )
    item = by_text or by_label
    return item.shown if item else written or f"label {label}"


def _words(text: bytes) -> str:
    return " ".join(text.decode(errors="replace").split())
