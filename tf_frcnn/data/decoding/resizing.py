"""The ways in which the published programs resize an image for the network."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

# Longer than an image can be, and short enough for products in 64 bits.
_NO_LIMIT = 2**31


class Resizing(NamedTuple):
    """The way in which the images of a data set are resized for the network.

    Attributes:
        short_sides: in pixels, see `plan_resize`; if there are several, training draws
            one for each image.
        long_side: in pixels, see `plan_resize`; None for no limit.
        canvases: (height, width) of each, in pixels, see `derive_canvases`; or the
            multiple to which the sides of each image's own canvas are rounded up.
        method: a key of `RESIZE_METHODS`.
    """

    short_sides: tuple[int, ...]
    long_side: int | None
    canvases: tuple[tuple[int, int], ...] | int
    method: str = "bilinear"

    def require_one_short_side(self) -> None:
        """Raises a ValueError unless there is exactly one short side."""
        if len(self.short_sides) != 1:
            raise ValueError(
                f"Resizing: short_sides = {self.short_sides}, but evaluation and "
                "export need exactly one; only training draws from several."
            )


class ResizePlan(NamedTuple):
    """The sizes of resized images, and the scales of their boxes.

    Attributes:
        sizes: int64 [..., 2], (height, width) in network pixels, each at least 1.
        scales: float64 [..., 2], network / file pixels along y and x, by which boxes
            are scaled; where a program has one scale for both axes, twice that.
    """

    sizes: tf.Tensor
    scales: tf.Tensor


class ResizeMethod(NamedTuple):
    """The resizing rules of a program.

    Attributes:
        plan: returns the sizes and scales, see `plan_resize`, for int64 (height, width)
            [..., 2], short_side int64 [] and long_side.
        sample: returns the new image, float32 [size[0], size[1], 3], for the image, its
            new size and scales.
    """

    plan: Callable[[tf.Tensor, tf.Tensor, int], tuple[tf.Tensor, tf.Tensor]]
    sample: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def plan_resize(
    height: tf.Tensor,
    width: tf.Tensor,
    short_side: tf.Tensor | int,
    long_side: int | None,
    method: str = "bilinear",
) -> ResizePlan:
    """Returns the size of an image in the network, and the scales of its boxes.

    The shorter side becomes `short_side`, unless the longer one would then exceed
    `long_side`; then the longer one becomes `long_side`. The method decides how the
    other side is rounded. The result is the same eagerly and in graphs.

    Args:
        height, width: integer, any shape; pixels of the image.
        short_side: integer [], pixels.
        long_side: pixels; None for no limit.
        method: a key of `RESIZE_METHODS`.

    Source: Girshick 2015, section 3; see the methods for theirs.
    """
    files = tf.stack([tf.cast(height, tf.int64), tf.cast(width, tf.int64)], axis=-1)
    plan = RESIZE_METHODS[method].plan
    sizes, scales = plan(files, tf.cast(short_side, tf.int64), long_side or _NO_LIMIT)
    return ResizePlan(tf.maximum(sizes, 1), scales)


def resize(
    image: tf.Tensor, boxes: tf.Tensor, plan: ResizePlan, method: str = "bilinear"
) -> tuple[tf.Tensor, tf.Tensor]:
    """Resizes an image, and its boxes with it.

    Args:
        image: uint8 or float32 [h, w, 3].
        boxes: float32 [n, 4] in pixels of `image`.
        plan: of this image, `sizes` [2] and `scales` [2].
        method: a key of `RESIZE_METHODS`.

    Returns:
        image: float32 [sizes[0], sizes[1], 3], in the range of the input.
        boxes: float32 [n, 4] in pixels of the new image.
    """
    size = tf.cast(plan.sizes, tf.int32)
    image = RESIZE_METHODS[method].sample(image, size, plan.scales)
    return image, boxes * tf.tile(tf.cast(plan.scales, tf.float32), [2])


# Sizes ------------------------------------------------------------------------------


def _plan_nearest(files, short_side, long_side):
    """Rounds to the nearest pixel, halves upwards, in whole-number arithmetic."""
    shorter, longer = _sorted_sides(files)
    long_side_decides = short_side * longer > long_side * shorter
    target = tf.where(long_side_decides, tf.constant(long_side, tf.int64), short_side)
    side = tf.where(long_side_decides, longer, shorter)
    sizes = (2 * files * target + side) // (2 * side)
    return sizes, _ratios(tf.maximum(sizes, 1), files)


def _plan_caffe(files, short_side, long_side):
    """Rounds halves to even; the limit applies to the rounded long side."""
    shorter, longer = (tf.cast(side, tf.float64) for side in _sorted_sides(files))
    scale = tf.cast(short_side, tf.float64) / shorter
    scale = tf.where(tf.round(scale * longer) > long_side, long_side / longer, scale)
    sizes = tf.cast(tf.round(tf.cast(files, tf.float64) * scale), tf.int64)
    return sizes, tf.broadcast_to(scale, tf.shape(sizes))


def _plan_chainer(files, short_side, long_side):
    """Rounds halves to even; boxes have the scale of the width along both axes."""
    shorter, longer = (tf.cast(side, tf.float64) for side in _sorted_sides(files))
    short_side = tf.cast(short_side, tf.float64)
    scale = tf.minimum(short_side / shorter, long_side / longer)
    sides = tf.cast(files, tf.float64)
    # The detour of scikit-image's resize, which moves some halves; XLA cuts it short.
    zoom = 1.0 / (sides / (sides * scale))
    sizes = tf.cast(tf.round(sides * zoom), tf.int64)
    scales = _ratios(tf.maximum(sizes, 1), files)
    return sizes, tf.repeat(scales[..., 1:], 2, axis=-1)


def _plan_torchvision(files, short_side, long_side):
    """Rounds down; the scale is of single precision."""

    def over(number, side):
        # PyTorch divides a number by a tensor as number * (1 / tensor). In single
        # precision TensorFlow's reciprocal is none of the nearest numbers.
        reciprocal = tf.cast(1.0 / tf.cast(side, tf.float64), tf.float32)
        return tf.cast(number, tf.float32) * reciprocal

    shorter, longer = _sorted_sides(files)
    scale = tf.minimum(over(short_side, shorter), over(long_side, longer))
    scale = tf.cast(scale, tf.float64)
    sizes = tf.cast(tf.floor(tf.cast(files, tf.float64) * scale), tf.int64)
    return sizes, _ratios(tf.maximum(sizes, 1), files)


def _plan_bicubic(files, short_side, long_side):
    """Rounds down."""
    shorter, longer = (tf.cast(side, tf.float64) for side in _sorted_sides(files))
    short_side = tf.cast(short_side, tf.float64)
    scale = tf.minimum(short_side / shorter, long_side / longer)
    sizes = tf.cast(tf.floor(tf.cast(files, tf.float64) * scale), tf.int64)
    # The shorter side, in a square the width, is set and not computed.
    is_set = tf.stack(
        [files[..., 0] < files[..., 1], files[..., 1] <= files[..., 0]], -1
    )
    is_set &= short_side / shorter <= long_side / longer
    sizes = tf.where(is_set, tf.cast(short_side, tf.int64), sizes)
    return sizes, _ratios(tf.maximum(sizes, 1), files)


def _sorted_sides(files):
    """Returns int64 [..., 1] twice: the shorter and the longer side."""
    return (
        tf.reduce_min(files, axis=-1, keepdims=True),
        tf.reduce_max(files, axis=-1, keepdims=True),
    )


def _ratios(sizes, files):
    return tf.cast(sizes, tf.float64) / tf.cast(files, tf.float64)


# Pixels -----------------------------------------------------------------------------


def _sample_bilinear(image, size, scales):
    """Interpolates between pixel centres, without smoothing when it shrinks."""
    return tf.image.resize(image, size, antialias=False)


def _sample_caffe(image, size, scales):
    """Interpolates at steps of 1 / scale; the border's pixels continue beyond it."""

    def clip(index, side):
        return tf.clip_by_value(index, 0, side - 1)

    return _interpolate(image, size, 1.0 / scales, clip)


def _sample_chainer(image, size, scales):
    """Interpolates at steps of old / new side; the image is mirrored at the border.

    The mirrored image does not repeat the border's own pixels.
    """

    def mirror(index, side):
        return tf.maximum(side - 1 - tf.abs(side - 1 - tf.abs(index)), 0)

    return _interpolate(image, size, _ratios(tf.shape(image)[:2], size), mirror)


def _interpolate(image, size, steps, in_image):
    """Interpolates linearly along y, then along x.

    Args:
        image: [h, w, 3].
        size: int32 [2].
        steps: float64 [2], file pixels from one new pixel to the next.
        in_image: returns the row to take, for any int32 row and the number of rows.
    """
    image = tf.cast(image, tf.float32)
    for axis in (0, 1):
        side = tf.shape(image)[axis]
        centres = tf.cast(tf.range(size[axis]), tf.float64) + 0.5
        positions = centres * steps[axis] - 0.5
        before = tf.floor(positions)
        weights = tf.cast(positions - before, tf.float32)
        weights = tf.reshape(weights, [-1, 1] if axis else [-1, 1, 1])
        before = tf.cast(before, tf.int32)
        near = tf.gather(image, in_image(before, side), axis=axis)
        far = tf.gather(image, in_image(before + 1, side), axis=axis)
        image = near * (1.0 - weights) + far * weights
    return image


def _sample_bicubic(image, size, scales):
    """Interpolates bicubically to whole numbers, smoothing when it shrinks.

    As Pillow does, exactly: along x, then along y, rounding after each.
    """
    image = tf.cast(image, tf.float64)
    for axis in (1, 0):
        image = tf.floor(_weigh_by_cubes(image, size[axis], axis) + 0.5)
        image = tf.clip_by_value(image, 0.0, 255.0)
    return tf.cast(image, tf.float32)


def _weigh_by_cubes(image, new_side, axis):
    """Returns weighted means along an axis, float64."""
    side = tf.shape(image)[axis]
    step = _ratios(side, new_side)
    unit = tf.maximum(step, 1.0)  # Of the kernel, in pixels; it reaches two.
    centres = (tf.cast(tf.range(new_side), tf.float64) + 0.5) * step
    first = tf.cast(tf.floor(centres - 2.0 * unit + 0.5), tf.int32)
    num_taps = 2 * tf.cast(tf.math.ceil(2.0 * unit), tf.int32) + 1
    taps = tf.range(num_taps)[:, tf.newaxis] + first
    weights = _cubic_kernel((tf.cast(taps, tf.float64) + 0.5 - centres) / unit)
    weights = tf.where((taps >= 0) & (taps < side), weights, 0.0)
    weights /= tf.reduce_sum(weights, axis=0)
    weights = tf.round(weights * 2.0**22) / 2.0**22  # Whole numbers there.
    weights = tf.reshape(weights, [num_taps, -1, 1] if axis else [num_taps, -1, 1, 1])
    taps = tf.clip_by_value(taps, 0, side - 1)
    new_shape = tf.tensor_scatter_nd_update(tf.shape(image), [[axis]], [new_side])
    return tf.foldl(
        lambda total, tap: total + tf.gather(image, tap[0], axis=axis) * tap[1],
        (taps, weights),
        initializer=tf.zeros(new_shape, tf.float64),
    )


def _cubic_kernel(x):
    x = tf.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((2.5 - 0.5 * x) * x - 4.0) * x + 2.0
    return tf.where(x < 1.0, near, tf.where(x < 2.0, far, 0.0))


# "bilinear" is what most programs do, without the rounding errors of any.
# Source, of the others:
#   caffe: py-faster-rcnn:lib/utils/blob.py and tf-faster-rcnn:lib/model/test.py, with
#     OpenCV's resize.
#   chainer: simple-faster-rcnn-pytorch:data/dataset.py and model/faster_rcnn.py, with
#     scikit-image's resize since version 0.19.
#   torchvision: torchvision:models/detection/transform.py, version 0.14.
#   bicubic: faster-rcnn-pytorch (bubbliiiing):utils/utils.py, with Pillow's resize; it
#     has no limit for the long side.
RESIZE_METHODS = {
    "bilinear": ResizeMethod(_plan_nearest, _sample_bilinear),
    "caffe": ResizeMethod(_plan_caffe, _sample_caffe),
    "chainer": ResizeMethod(_plan_chainer, _sample_chainer),
    "torchvision": ResizeMethod(_plan_torchvision, _sample_bilinear),
    "bicubic": ResizeMethod(_plan_bicubic, _sample_bicubic),
}
