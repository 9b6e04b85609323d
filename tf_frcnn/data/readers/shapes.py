"""A synthetic data set of drawn shapes: hard enough to learn from, quick to make."""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image

from tf_frcnn.data.checks.problems import (
    DEFAULT_POLICY,
    DataError,
    Policy,
    Problems,
    nearest_name,
)
from tf_frcnn.data.examples import ExampleSet, Record, StoredImages
from tf_frcnn.data.readers.shape_drawing import (
    SHAPE_CLASSES,
    contrasting_color,
    draw_background,
    draw_shape,
)

MAX_OBJECTS = 6
EMPTY_SHARE = 0.08
# Shares of the image's short side. Small ones are the most frequent.
SIZE_RANGE = (0.18, 0.7)
MIN_VISIBLE_SHARE = 0.6
MAX_BOX_IOU = 0.35
PLACEMENT_TRIES = 8
# Added to the seed: far apart, so that no image is in two splits.
SPLIT_SEEDS = {"train": 0, "validation": 1_000_000, "test": 2_000_000}


class _Placed(NamedTuple):
    """A drawn object; the masks are bool [height, width] of the image."""

    label: int
    drawn: np.ndarray
    visible: np.ndarray


def read_shapes(
    location: str | None,
    split: str,
    *,
    class_names: Sequence[str] = (),
    policy: Policy = DEFAULT_POLICY,
    num_train: int = 800,
    num_validation: int = 100,
    num_test: int = 100,
    seed: int = 0,
) -> ExampleSet:
    """Draws the images of a split; see `make_shapes`. No image is in two splits.

    Args:
        location: None, since nothing is read.
        split: "train", "validation" or "test".
        class_names: the classes of `SHAPE_CLASSES` in the wanted order; empty: in their
            own.
        policy: the default one, since nothing can be wrong.
        num_train, num_validation, num_test: images of each split.
        seed: with the split it decides the images.

    Raises:
        DataError: the split does not exist, or an argument has no effect.
    """
    for name, value in {"directory": location, "policy": policy.actions}.items():
        if value:
            raise DataError(
                f"data.{name} = {value!r} has no effect with the reader shapes; leave "
                "it out, or set data.reader."
            )
    if split not in SPLIT_SEEDS:
        raise DataError(
            f"split = {split!r}: the reader shapes has {', '.join(SPLIT_SEEDS)} only"
            f"{nearest_name(split, SPLIT_SEEDS) or '.'} Set data.train_split, "
            "data.validation_split and data.test_split to these."
        )
    counts = {"train": num_train, "validation": num_validation, "test": num_test}
    shapes = make_shapes(counts[split], seed=seed + SPLIT_SEEDS[split])
    return shapes.with_classes(class_names) if class_names else shapes


def make_shapes(
    num_images: int,
    *,
    seed: int,
    short_side: tuple[int, int] = (128, 160),
    max_aspect: float = 1.4,
) -> ExampleSet:
    """Draws images of shapes, some filled and some in outline.

    Backgrounds are textured and strewn with lines, dots and letters that are not
    objects. Objects overlap, but at least 60 % of each stays visible, and its box is
    tight around what is visible. About 8 % of the images have no object. Most objects
    are wider than high, so that x and y cannot be confused unnoticed. Nothing is marked
    difficult.

    Args:
        num_images: number of images.
        seed: image i depends on the seed and i alone, not on `num_images`.
        short_side: smallest and largest length of the shorter side, in pixels.
        max_aspect: largest ratio of the longer side to the shorter.

    Returns:
        PNG images, kept in memory, with the classes `SHAPE_CLASSES`.
    """
    if num_images < 1:
        raise DataError(f"make_shapes: num_images = {num_images} must be at least 1.")
    made = [
        _make_example(np.random.default_rng([seed, i]), i, seed, short_side, max_aspect)
        for i in range(num_images)
    ]
    return ExampleSet(
        name=f"shapes of seed {seed}",
        class_names=SHAPE_CLASSES,
        records=tuple(record for record, _ in made),
        problems=Problems(),
        images=StoredImages(tf.constant([png for _, png in made]), are_paths=False),
    )


def _make_example(
    rng: np.random.Generator,
    index: int,
    seed: int,
    short_side: tuple[int, int],
    max_aspect: float,
) -> tuple[Record, bytes]:
    short = int(rng.integers(short_side[0], short_side[1] + 1))
    long = round(short * rng.uniform(1, max_aspect))
    height, width = (short, long) if rng.random() < 0.6 else (long, short)
    image = draw_background(rng, height, width)
    placed: list[_Placed] = []
    if rng.random() >= EMPTY_SHARE:
        for _ in range(min(1 + rng.poisson(1.6), MAX_OBJECTS)):
            placed = _with_one_more(rng, image, placed)
    image_id = f"shapes_{seed}_{index:05d}"
    record = Record(
        image_id,
        f"{image_id}.png",
        height,
        width,
        orientation=1,
        boxes=np.array([_box(p.visible) for p in placed], np.float32).reshape(-1, 4),
        labels=np.array([p.label for p in placed], np.int32),
        difficult=np.zeros(len(placed), bool),
        crowd=np.zeros(len(placed), bool),
    )
    return record, _png(image)


def _with_one_more(
    rng: np.random.Generator, image: np.ndarray, placed: list[_Placed]
) -> list[_Placed]:
    """Draws one more object where it hides no other too much; gives up in a crowd."""
    short = min(image.shape[:2])
    for _ in range(PLACEMENT_TRIES):
        label = int(rng.integers(len(SHAPE_CLASSES)))
        size = short * np.exp(rng.uniform(*np.log(SIZE_RANGE)))
        stamp = draw_shape(rng, SHAPE_CLASSES[label], size)
        room = np.array(image.shape[:2]) - stamp.shape
        if (room < 0).any():
            continue
        top, left = rng.integers(room + 1)
        drawn = np.zeros(image.shape[:2], bool)
        drawn[top : top + stamp.shape[0], left : left + stamp.shape[1]] = stamp
        covered = [p._replace(visible=p.visible & ~drawn) for p in placed]
        if _acceptable(covered, drawn):
            color = contrasting_color(rng, image[drawn])
            noise = rng.normal(0, 8, (int(drawn.sum()), 3))
            image[drawn] = np.clip(color + noise, 0, 255)
            return [*covered, _Placed(label, drawn, drawn)]
    return placed


def _acceptable(covered: list[_Placed], drawn: np.ndarray) -> bool:
    box = _box(drawn)
    return all(
        p.visible.sum() >= MIN_VISIBLE_SHARE * p.drawn.sum()
        and _iou(_box(p.drawn), box) <= MAX_BOX_IOU
        for p in covered
    )


def _box(mask: np.ndarray) -> np.ndarray:
    """Returns int64 [4]: the tight (ymin, xmin, ymax, xmax), continuous corners."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])


def _iou(box: np.ndarray, other: np.ndarray) -> float:
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    common = np.prod(np.maximum(sides, 0))
    areas = np.prod(box[2:] - box[:2]) + np.prod(other[2:] - other[:2])
    return common / (areas - common)


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image.astype(np.uint8)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
