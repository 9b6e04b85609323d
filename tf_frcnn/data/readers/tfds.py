"""Reads any detection data set of TensorFlow Datasets."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from tf_frcnn.data.checks.boxes import DrawnObject
from tf_frcnn.data.checks.problems import (
    DEFAULT_POLICY,
    DataError,
    MissingSplitError,
    Policy,
    Problems,
    nearest_name,
)
from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.data.readers.streamed import StreamedImage, read_streamed
from tf_frcnn.data.tfds_features import (
    CROWD,
    DIFFICULT,
    FILE_NAMES,
    LABELS,
    OBJECTS,
    counts_from_one,
    is_upside_down,
)


class _Form(NamedTuple):
    """Where a builder keeps what.

    Attributes:
        objects: name of the feature of the objects.
        label: name of an object's label, or None.
        class_names: of the labels; that of the builder where there are none.
        marks: names of what makes an object difficult or a crowd.
        file_name: name of the feature of the file's name, or None.
        one_based, upside_down: see `tfds_features`.
    """

    objects: str
    label: str | None
    class_names: tuple[str, ...]
    marks: tuple[str, ...]
    file_name: str | None
    one_based: bool
    upside_down: bool


def read_tfds(
    location: str | Path | None,
    split: str,
    *,
    class_names: Sequence[str] = (),
    policy: Policy = DEFAULT_POLICY,
    data_dir: str | None = None,
    download: bool = False,
) -> ExampleSet:
    """Reads a split of a builder whose examples are images with boxes.

    Boxes come out continuous and counting from 0: VOC's, which count from 1, and
    KITTI's, which count from the lower border, are brought into line. Objects marked
    difficult or invalid are difficult, and those marked a crowd or a group are crowds.

    Args:
        location: the builder's name, such as "coco/2017", "kitti" or "wider_face".
        split: in the words of TensorFlow Datasets, such as "train", "train+validation"
            or "train[:10%]".
        class_names: K names. Empty: those of the builder, in its order; a builder
            without labels has one class, its own name.
        policy: the action for each kind of fault.
        data_dir: where TensorFlow Datasets keeps prepared data; None: its default.
        download: whether to download and prepare missing data; otherwise that is an
            error.

    Raises:
        DataError: there is no such builder or split, it is not prepared, has no boxes
            or no image that can be used, or the policy says so.
    """
    if location is None:
        raise DataError(
            "data.directory is not set; give a builder's name, such as coco/2017."
        )
    builder = _prepared_builder(str(location), data_dir, download)
    form = _form(builder)
    dataset = _dataset(builder, form, split)
    return read_streamed(
        f"{builder.info.full_name}:{split}",
        dataset.map(lambda example: example["image"]),
        _images(dataset, form, split),
        tuple(class_names) or form.class_names,
        Problems(policy),
        builder.data_path,
        one_based=form.one_based,
    )


def tfds_splits(location: str | Path, *, data_dir: str | None = None) -> list[str]:
    """Returns the names of a prepared builder's splits."""
    return [*_prepared_builder(str(location), data_dir, download=False).info.splits]


def _prepared_builder(
    name: str, data_dir: str | None, download: bool
) -> tfds.core.DatasetBuilder:
    folder = None if data_dir is None else os.path.expanduser(data_dir)
    try:
        builder = tfds.builder(name, data_dir=folder)
    except (tfds.core.registered.DatasetNotFoundError, ValueError) as error:
        known = nearest_name(name.partition("/")[0], tfds.list_builders())
        raise DataError(
            f"TensorFlow Datasets has no builder {name!r}{known or '.'}"
        ) from error
    if builder.is_prepared():
        return builder
    if not download:
        raise DataError(f"{builder.data_path} does not exist. {_advice(builder)}")
    try:
        builder.download_and_prepare()
    except (OSError, tfds.download.DownloadError) as error:
        raise DataError(
            f"{_short_name(builder)} could not be downloaded ({error}). "
            f"{_advice(builder)}"
        ) from error
    return builder


def _short_name(builder: tfds.core.DatasetBuilder) -> str:
    config = builder.builder_config
    return f"{builder.name}/{config.name}" if config else builder.name


def _advice(builder: tfds.core.DatasetBuilder) -> str:
    name = _short_name(builder)
    root = builder.data_path.parents[1 + name.count("/")]
    # VOC's configurations name their tars.
    files = getattr(builder.builder_config, "filenames", {}).values()
    tars = " and ".join(files) or "its archives"
    return (
        f"Prepare it by `tfds build {name} --data_dir {root}`; without a network, put "
        f"{tars} into {root}/downloads/manual first."
    )


def _form(builder: tfds.core.DatasetBuilder) -> _Form:
    features = builder.info.features
    name = next((n for n in OBJECTS if n in features), None)
    objects: Any = {} if name is None else features[name]
    if name is None or "image" not in features or "bbox" not in objects.keys():
        raise DataError(
            f"{_short_name(builder)} is no detection data set: it has the features "
            f"{', '.join(features)}; image and one of {', '.join(OBJECTS)} with bbox "
            "are needed."
        )
    label = next((n for n in LABELS if n in objects.keys()), None)
    names = [builder.name] if label is None else getattr(objects[label], "names", None)
    if not names:
        raise DataError(f"{_short_name(builder)}: {name}/{label} has no class names.")
    return _Form(
        name,
        label,
        tuple(names),
        tuple(n for n in (*DIFFICULT, *CROWD) if n in objects.keys()),
        next((n for n in FILE_NAMES if n in features), None),
        counts_from_one(features),
        is_upside_down(objects.keys()),
    )


def _dataset(builder: tfds.core.DatasetBuilder, form: _Form, split: str):
    """Returns the examples in stored order, images encoded, without other features."""
    asked = {name: True for name in ("bbox", form.label, *form.marks) if name}
    features: dict[str, Any] = {"image": True, form.objects: asked}
    features |= {form.file_name: True} if form.file_name else {}
    decoders = tfds.decode.PartialDecoding(
        features, decoders={"image": tfds.decode.SkipDecoding()}
    )
    try:
        return builder.as_dataset(split=split, decoders=decoders, shuffle_files=False)
    except (ValueError, KeyError) as error:
        raise MissingSplitError(
            f"{_short_name(builder)} has no split {split!r}; its splits are "
            f"{', '.join(builder.info.splits)}."
        ) from error


def _images(dataset, form: _Form, split: str) -> Iterator[StreamedImage]:
    for place, example in enumerate(dataset.as_numpy_iterator()):
        name = example.get(form.file_name, f"{split}_{place:06d}")
        name = name.decode() if isinstance(name, bytes) else str(name)
        objects = _drawn_objects(example[form.objects], form)
        yield StreamedImage(example["image"], name, objects)


def _drawn_objects(objects: dict[str, np.ndarray], form: _Form) -> list[DrawnObject]:
    boxes = objects["bbox"].astype(np.float64)
    if form.upside_down:
        ymin, xmin, ymax, xmax = boxes.T
        boxes = np.stack([1 - ymax, xmin, 1 - ymin, xmax], axis=1)
    labels = objects[form.label] if form.label else np.zeros(len(boxes), int)
    difficult, crowd = (_marked(objects, kind) for kind in (DIFFICULT, CROWD))
    rows = zip(boxes.tolist(), labels, difficult, crowd, strict=True)
    return [
        DrawnObject(form.class_names[label], tuple(box), *marks)
        for box, label, *marks in rows
        if label >= 0
    ]


def _marked(objects: dict[str, np.ndarray], names: Sequence[str]) -> list[bool]:
    """Returns which objects have one of the marks."""
    marks = [objects[name] > 0 for name in names if name in objects]
    return np.any([np.zeros(len(objects["bbox"]), bool), *marks], axis=0).tolist()
