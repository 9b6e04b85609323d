"""Turns, cuts and places of an image; its boxes follow."""

import tensorflow as tf

from tf_frcnn.data.augmentation.draws import around_one, split_seed, uniform
from tf_frcnn.data.augmentation.plan import Augmentation
from tf_frcnn.data.decoding.resizing import RESIZE_METHODS, Resizing
from tf_frcnn.data.pipeline.grouping import Example, map_boxes, select_objects

# What surrounds an image. Source: faster-rcnn-pytorch (bubbliiiing):
# utils/dataloader.py.
GREY = 128.0
_CROP_ATTEMPTS = 50
# Sides of a cut box, in pixels, that it must exceed.
_MIN_SIDE = 1.0


def turned(example: Example, seed: tf.Tensor) -> Example:
    """Turns an image counter-clockwise by 0 to 3 quarters, drawn evenly.

    Args:
        example: in the file's pixels.
        seed: int64 [2].
    """
    quarters = tf.random.stateless_uniform(
        [], seed, maxval=4, dtype=tf.int32, alg="philox"
    )
    height, width = tf.unstack(_size_of(example.image))

    def turn(boxes):
        ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=1)
        sides = (
            [ymin, xmin, ymax, xmax],
            [width - xmax, ymin, width - xmin, ymax],
            [height - ymax, width - xmax, height - ymin, width - xmin],
            [xmin, height - ymax, xmax, height - ymin],
        )
        return tf.stack([tf.stack(one, axis=1) for one in sides])[quarters]

    image = tf.ensure_shape(tf.image.rot90(example.image, quarters), [None, None, 3])
    return map_boxes(example._replace(image=image), turn)


def cropped(example: Example, augmentation: Augmentation, seed: tf.Tensor) -> Example:
    """Takes a random part of some images.

    The part's width is half to twice its height. Of at least one object it covers
    `crop_cover`; if none such is found in 50 attempts, the image stays whole.

    Args:
        example: in the file's pixels.
        augmentation: how many, and what parts.
        seed: int64 [2].

    Source: Liu et al. 2016 (SSD), section 2.2; that draws the share that is covered.
    """
    is_drawn, where = split_seed(seed, 2)

    def part():
        size = tf.shape(example.image)
        sides = tf.tile(tf.cast(size[:2], tf.float32), [2])
        begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
            size,
            tf.clip_by_value(example.boxes / sides, 0.0, 1.0)[tf.newaxis],
            where,
            min_object_covered=augmentation.crop_cover,
            aspect_ratio_range=(0.5, 2.0),
            area_range=(augmentation.crop_area, 1.0),
            max_attempts=_CROP_ATTEMPTS,
            use_image_if_no_bounding_boxes=True,
        )
        image = tf.slice(example.image, begin, extent)
        image = tf.ensure_shape(image, [None, None, 3])
        shift = -tf.cast(begin[:2], tf.float32)
        return moved(example, image, tf.ones([2]), shift, augmentation.min_visible)

    return tf.cond(uniform(is_drawn) < augmentation.crop, part, lambda: example)


def placed(
    example: Example,
    target: tf.Tensor,
    resizing: Resizing,
    augmentation: Augmentation,
    seed: tf.Tensor,
) -> Example:
    """Scales an image and places it at random on a grey ground of a given size.

    Args:
        example: in any pixels.
        target: int64 [2], (height, width) of the ground in network pixels. An image
            whose scale is 1 fills it as far as its shape allows.
        resizing: by what method.
        augmentation: scale and distortion.
        seed: int64 [2].

    Returns:
        The example in network pixels; the ground beyond it is 128. Its field `scales`
        has what it is scaled by.

    Source: Ghiasi et al. 2021 (Simple Copy-Paste), figure 2; faster-rcnn-pytorch
        (bubbliiiing):utils/dataloader.py, get_random_data.
    """
    of_scale, of_width, of_height, of_place = split_seed(seed, 4)
    own = tf.shape(example.image)[:2]
    ratio = tf.cast(own[1] / own[0], tf.float32)
    ratio *= around_one(of_width, augmentation.aspect)
    ratio /= around_one(of_height, augmentation.aspect)
    least, most = augmentation.scale
    size = _filling(ratio, target) * uniform(of_scale, least, most)
    size = tf.maximum(tf.cast(tf.round(size), tf.int32), 1)
    scales = tf.cast(size, tf.float64) / tf.cast(own, tf.float64)
    image = RESIZE_METHODS[resizing.method].sample(example.image, size, scales)
    target = tf.cast(target, tf.int32)
    room = tf.cast(target - size, tf.float32)
    corner = tf.cast(room * uniform(of_place, shape=(2,)), tf.int32)
    scales = tf.cast(scales, tf.float32)
    return moved(
        example,
        _on_grey(image, corner, target),
        scales,
        tf.cast(corner, tf.float32),
        augmentation.min_visible,
    )


def moved(
    example: Example,
    image: tf.Tensor,
    scales: tf.Tensor,
    shift: tf.Tensor,
    min_visible: float,
) -> Example:
    """Scales and shifts the boxes of an example onto another image, and clips them.

    An object that the image's border cuts is dropped if too little of it is left, or
    no more than one pixel of a side; a crowd region stays as long as anything is left.

    Args:
        example: its image is not read.
        image: [h, w, 3], what is to be seen instead.
        scales: float32 [2], along y and x.
        shift: float32 [2], in pixels of the new image.
        min_visible: share of a box that must be left.
    """
    limits = tf.tile(_size_of(image), [2])

    def move(boxes):
        return boxes * tf.tile(scales, [2]) + tf.tile(shift, [2])

    whole = move(example.boxes)
    example = map_boxes(
        example._replace(image=image),
        lambda boxes: tf.clip_by_value(move(boxes), 0.0, limits),
    )
    sides = example.boxes[:, 2:] - example.boxes[:, :2]
    shares = _areas(example.boxes) / _areas(whole)
    is_left = (shares >= min_visible) & tf.reduce_all(sides > _MIN_SIDE, axis=1)
    is_left |= tf.reduce_all(example.boxes == whole, axis=1)
    if "crowd" in example.fields:
        is_left |= example.fields["crowd"]
    example = select_objects(example, is_left & tf.reduce_all(sides > 0.0, axis=1))
    fields = dict(example.fields)
    if "proposals" in fields:
        has_area = _areas(fields["proposals"]) > 0.0
        fields["proposal_valid"] &= has_area
    if "scales" in fields:
        fields["scales"] = fields["scales"] * scales
    return example._replace(fields=fields)


def _filling(ratio, target):
    """Returns float32 [2], the largest size of a ratio width / height in a target."""
    height, width = tf.unstack(tf.cast(target, tf.float32))
    height = tf.minimum(height, width / ratio)
    return tf.stack([height, height * ratio])


def _on_grey(image, corner, target):
    """Returns float32 [*target, 3]; parts of the image beyond it are not seen."""
    start, begin = tf.maximum(corner, 0), tf.maximum(-corner, 0)
    extent = tf.minimum(tf.shape(image)[:2] - begin, target - start)
    seen = image[begin[0] : begin[0] + extent[0], begin[1] : begin[1] + extent[1]]
    ends = target - start - extent
    margins = tf.stack([start, ends], axis=1)
    return tf.pad(seen, tf.pad(margins, [[0, 1], [0, 0]]), constant_values=GREY)


def _areas(boxes):
    return tf.reduce_prod(boxes[:, 2:] - boxes[:, :2], axis=1)


def _size_of(image):
    return tf.cast(tf.shape(image)[:2], tf.float32)
