"""Four images in one."""

from collections.abc import Sequence

import tensorflow as tf

from tf_frcnn.data.augmentation.draws import split_seed, uniform
from tf_frcnn.data.augmentation.geometry import moved
from tf_frcnn.data.decoding.resizing import RESIZE_METHODS, Resizing
from tf_frcnn.data.pipeline.grouping import OF_OBJECTS, Example

NUM_IMAGES = 4
# How near the borders the images meet, as shares of the sides.
_FIRST_SPLIT, _LAST_SPLIT = 0.3, 0.7


def with_followers(images: tf.data.Dataset, num_images: int) -> tf.data.Dataset:
    """Joins each image with the three after it; the first ones follow the last.

    Args:
        images: of (index int64 [], bytes string []).
        num_images: of that dataset, at least 1.

    Returns:
        A dataset of (index int64 [4], bytes string [4]), of as many elements.
    """

    def join(held, image):
        window = tuple(
            tf.concat([earlier[1:], own[tf.newaxis]], axis=0)
            for earlier, own in zip(held, image, strict=True)
        )
        return window, window

    start = tf.zeros([NUM_IMAGES], tf.int64), tf.fill([NUM_IMAGES], "")
    looped = images.repeat().take(num_images + NUM_IMAGES - 1)
    return looped.scan(start, join).skip(NUM_IMAGES - 1)


def mosaic_of(
    examples: Sequence[Example],
    target: tf.Tensor,
    resizing: Resizing,
    min_visible: float,
    seed: tf.Tensor,
) -> Example:
    """Fills an image with four, which meet at a random point in its middle.

    Each is scaled until it fills its part, and what does not fit is cut at random.

    Args:
        examples: the four, in the file's pixels.
        target: int64 [2], (height, width) in network pixels.
        resizing: by what method.
        min_visible: share of a box that must be left.
        seed: int64 [2].

    Returns:
        The example in network pixels; what is not of its objects is of the first.

    Source: Bochkovskiy et al. 2020 (YOLOv4), section 3.4.
    """
    of_split, *seeds = split_seed(seed, 1 + NUM_IMAGES)
    shares = uniform(of_split, _FIRST_SPLIT, _LAST_SPLIT, shape=(2,))
    middle = tf.cast(tf.cast(target, tf.float32) * shares, tf.int32)
    rest = tf.cast(target, tf.int32) - middle

    # A function of the graph: four traces would take seconds.
    @tf.function(autograph=False)
    def part_of(example, right_of, own_seed):
        size = tf.where(right_of, rest, middle)
        part = _filling_part(example, size, resizing, min_visible, own_seed)
        corner = tf.tile(tf.cast(tf.where(right_of, middle, 0), tf.float32), [2])
        return part._replace(boxes=part.boxes + corner)

    places = [[False, False], [False, True], [True, False], [True, True]]
    parts = [
        part_of(example, tf.constant(right_of), own_seed)
        for example, right_of, own_seed in zip(examples, places, seeds, strict=True)
    ]
    rows = [
        tf.concat([left.image, right.image], axis=1)
        for left, right in (parts[:2], parts[2:])
    ]
    fields = {
        name: tf.concat([part.fields[name] for part in parts], axis=0)
        if name in OF_OBJECTS
        else value
        for name, value in parts[0].fields.items()
    }
    boxes = tf.concat([part.boxes for part in parts], axis=0)
    return Example(tf.concat(rows, axis=0), boxes, fields)


def _filling_part(example, size, resizing, min_visible, seed):
    """Returns a part of an example, int32 [2] `size`, of all of its one side."""
    own = tf.cast(tf.shape(example.image)[:2], tf.float64)
    factor = tf.reduce_max(tf.cast(size, tf.float64) / own)
    whole = tf.maximum(tf.cast(tf.round(own * factor), tf.int32), size)
    scales = tf.cast(whole, tf.float64) / own
    image = RESIZE_METHODS[resizing.method].sample(example.image, whole, scales)
    room = tf.cast(whole - size, tf.float32)
    begin = tf.cast(room * uniform(seed, shape=(2,)), tf.int32)
    image = image[begin[0] : begin[0] + size[0], begin[1] : begin[1] + size[1]]
    shift = -tf.cast(begin, tf.float32)
    return moved(example, image, tf.cast(scales, tf.float32), shift, min_visible)
