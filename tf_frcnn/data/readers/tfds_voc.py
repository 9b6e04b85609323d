"""Reads PASCAL VOC 2007 and 2012 through TensorFlow Datasets."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tf_frcnn.data.checks.boxes import DrawnObject, check_objects
from tf_frcnn.data.checks.facts_cache import FactsCache
from tf_frcnn.data.checks.images import ImageFacts, UnreadableImageError, inspect_image
from tf_frcnn.data.checks.problems import DEFAULT_POLICY, DataError, Policy, Problems
from tf_frcnn.data.examples import ExampleSet, Record, concatenate, shuffled

YEARS = {"07": "2007", "12": "2012", "2007": "2007", "2012": "2012"}
SPLITS = {
    "train": ("train",),
    "validation": ("validation",),
    "val": ("validation",),
    "trainval": ("train", "validation"),
    "test": ("test",),
}
# VOC photographs take about 90 kB each: at most 200 MB.
SHUFFLE_BUFFER = 2048


@dataclass(frozen=True)
class TfdsImages:
    """Encoded images of one prepared split, which can only be read in order.

    Shuffled, `SHUFFLE_BUFFER` images are held in memory and yielded in random order,
    then the next ones: a set no larger than that is shuffled uniformly, a larger one
    nearly so, its stored order being random already. `tf.data.Dataset.shuffle` would
    not do, since its order also depends on TensorFlow's global seed.

    Attributes:
        dataset: the split's examples in stored order, images left encoded.
        rows: int64 [stored images], each one's record, -1 for none.
    """

    dataset: tf.data.Dataset
    rows: np.ndarray

    def stream(self, shuffle_seed: tf.Tensor | None) -> tf.data.Dataset:
        """Streams in stored order, or through the shuffle buffer."""
        rows = tf.constant(self.rows)
        images = self.dataset.enumerate()
        images = images.map(lambda place, example: (rows[place], example["image"]))
        images = images.filter(lambda row, _: row >= 0)
        if shuffle_seed is None:
            return images

        def mixed(number, block):
            rows, encoded = block
            order = shuffled(tf.range(tf.size(rows)), shuffle_seed + number)
            return tf.data.Dataset.from_tensor_slices(order).map(
                lambda place: (rows[place], encoded[place])
            )

        return images.batch(SHUFFLE_BUFFER).enumerate().flat_map(mixed)

    def select(self, rows: Sequence[int]) -> "TfdsImages":
        """Returns the source of these rows only."""
        new_rows = np.full(max(self.rows.max(), 0) + 2, -1)  # the last one is for -1
        new_rows[list(rows)] = np.arange(len(rows))
        return TfdsImages(self.dataset, new_rows[self.rows])


def read_tfds_voc(
    location: str | Path | None,
    split: str,
    *,
    class_names: Sequence[str] = (),
    policy: Policy = DEFAULT_POLICY,
    download: bool = False,
) -> ExampleSet:
    """Reads splits of the builder voc/2007 or voc/2012.

    Boxes come out as `read_voc` reads them from the same annotation files: the builder
    keeps VOC's inclusive pixels counted from 1, which become continuous corners here.

    Args:
        location: where TensorFlow Datasets keeps prepared data; None: its default.
        split: a sum of terms YEAR/SPLIT, such as "2007/train+2007/validation". The year
            may be short ("07"); the split is train, validation (or val), trainval
            (both) or test. A year alone means its trainval: "07+12" is the union that
            the literature calls so. The test images of 2012 have no annotations.
        class_names: K of VOC's names in the wanted order; empty: all 20, sorted.
        policy: the action for each kind of fault.
        download: whether to download and prepare missing data; otherwise that is an
            error.

    Returns:
        The records in stored order, term by term, and the problems found.
    """
    terms = [(year, part) for term in split.split("+") for year, part in _parse(term)]
    sets = [
        _read_split(
            _prepared_builder(year, location, download), part, class_names, policy
        )
        for year, part in terms
    ]
    return concatenate(sets) if len(sets) > 1 else sets[0]


def _parse(term: str) -> list[tuple[str, str]]:
    """Returns the builder's (year, split) pairs of one term of a sum."""
    year, _, part = term.strip().partition("/")
    if year not in YEARS or (part or "trainval") not in SPLITS:
        raise DataError(
            f"split {term!r} is not a VOC split; write YEAR/SPLIT or YEAR with a year "
            f"of {', '.join(YEARS)} and a split of {', '.join(SPLITS)}, joined by '+'."
        )
    return [(YEARS[year], name) for name in SPLITS[part or "trainval"]]


def _prepared_builder(year: str, location, download: bool) -> tfds.core.DatasetBuilder:
    builder = tfds.builder(f"voc/{year}", data_dir=location)
    if builder.is_prepared():
        return builder
    if not download:
        raise DataError(f"{builder.data_path} does not exist. {_advice(builder)}")
    try:
        builder.download_and_prepare()
    except (OSError, tfds.download.DownloadError) as error:
        raise DataError(
            f"voc/{year} could not be downloaded ({error}). {_advice(builder)}"
        ) from error
    return builder


def _advice(builder: tfds.core.DatasetBuilder) -> str:
    root = builder.data_path.parent.parent.parent
    tars = " and ".join(builder.builder_config.filenames.values())
    return (
        f"Prepare it by `tfds build voc/{builder.builder_config.name} --data_dir "
        f"{root}`; without a network, put {tars} into {root}/downloads/manual first."
    )


def _read_split(builder, part: str, class_names, policy: Policy) -> ExampleSet:
    features = builder.info.features
    tfds_names = features["objects"]["label"].names
    class_names = tuple(class_names) or tuple(tfds_names)
    problems = Problems(policy)

    decoders = {"image": tfds.decode.SkipDecoding()}
    dataset = builder.as_dataset(split=part, decoders=decoders, shuffle_files=False)
    records: list[Record] = []
    rows: list[int] = []
    with FactsCache(builder.data_path) as cache:
        for example in dataset.as_numpy_iterator():
            record = _record(example, tfds_names, class_names, problems, cache)
            rows.append(-1 if record is None else len(records))
            records += [] if record is None else [record]
    name = f"{builder.info.full_name}:{part}"
    if not records:
        raise DataError(f"{name} has no image that can be used: {problems.counts()}.")
    images = TfdsImages(dataset, np.array(rows, np.int64))
    return ExampleSet(name, class_names, tuple(records), problems, images)


def _record(
    example, tfds_names, class_names, problems: Problems, cache: FactsCache
) -> Record | None:
    """Returns the checked record, or None if the image is dropped."""
    file, image = example["image/filename"].decode(), example["image"]
    stamp = (len(image), hashlib.blake2b(image).hexdigest())
    try:
        facts = ImageFacts(*cache.recall(file, stamp, lambda: inspect_image(image)))
    except UnreadableImageError as error:
        problems.add("unreadable_image", file, str(error))
        return None
    checked = check_objects(
        _drawn_objects(example["objects"], tfds_names, facts),
        lambda corners: corners - [1, 1, 0, 0],
        facts.upright_size,
        class_names,
        problems,
        file,
    )
    if facts.orientation != 1:
        problems.add("rotated_image", file, f"EXIF {facts.orientation}")
    if not len(checked.boxes):
        problems.add("empty_annotation", file, "it has no objects")
    return Record(
        Path(file).stem, file, *facts.upright_size, facts.orientation, *checked
    )


def _drawn_objects(objects, tfds_names, facts: ImageFacts) -> list[DrawnObject]:
    """Returns objects with the corners of the annotation file.

    The builder divided them by the image's size in float32, good for about 1e-4
    pixels; rounding to 1e-3 restores whole pixels.
    """
    height, width = facts.upright_size
    corners = objects["bbox"].astype(np.float64) * [height, width, height, width]
    names = [tfds_names[label] for label in objects["label"]]
    rows = zip(names, corners.round(3), objects["is_difficult"], strict=True)
    return [DrawnObject(name, tuple(row), bool(hard)) for name, row, hard in rows]
