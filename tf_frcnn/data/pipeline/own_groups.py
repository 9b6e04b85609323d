"""Groups by the canvas that each image needs, known only when it has been read."""

import tensorflow as tf

from tf_frcnn.data.augmentation.plan import Augmentation
from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.decoding.to_canvas import (
    fits_a_canvas,
    own_canvases,
    smallest_canvas,
)
from tf_frcnn.data.pipeline.grouping import Batch
from tf_frcnn.data.pipeline.tensor_examples import require

Canvases = tuple[tuple[int, int], ...] | int

# Keeps (height, width) apart in one number.
_SIDES = 2**31


def in_own_group(fields: Batch, canvases: Canvases) -> tuple[tf.Tensor, Batch]:
    """Returns the group of an image, int64 [], and its fields.

    Args:
        fields: of a batch, for one image.
        canvases: as `lay_on_canvas` takes them.

    Raises:
        tf.errors.InvalidArgumentError: no canvas holds the image; the message begins
            with `BAD_DATA`.
    """
    does_fit = require(
        fits_a_canvas(fields["image_sizes"], canvases),
        *("image ", fields["image_ids"], ": resized, it is larger than all of "),
        f"images.canvases = {canvases}",
    )
    with tf.control_dependencies([does_fit]):
        images = tf.identity(fields["images"])
    size = tf.shape(images, tf.int64)[:2]
    return group_of_size(size, canvases), fields | {"images": images}


def group_of_size(size: tf.Tensor, canvases: Canvases) -> tf.Tensor:
    """Returns the group of an image that some canvas holds, int64 [].

    Args:
        size: int64 [2], its (height, width) in network pixels.
        canvases: as `lay_on_canvas` takes them.
    """
    if isinstance(canvases, int):
        height, width = tf.unstack(own_canvases(size, canvases))
        return height * _SIDES + width
    return smallest_canvas(size, tf.constant(canvases, tf.int64))


def check_room(resizing: Resizing, augmentation: Augmentation) -> None:
    """Raises a DataError if changed images may be larger than all listed canvases."""
    canvases, longest = resizing.canvases, resizing.long_side
    if isinstance(canvases, int) or not augmentation.changes_shape:
        return
    short = resizing.short_sides[-1]
    longest = short if augmentation.letterbox else longest or short
    for size in ((short, longest), (longest, short)):
        if not fits_a_canvas(tf.constant(size), canvases):
            raise DataError(
                f"images.canvases = {canvases}: none holds {size[0]} x {size[1]} "
                "pixels (height x width), which augment may make of an image; add one, "
                "or leave the list empty."
            )
