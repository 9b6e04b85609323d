"""The path of an image to the network, for training, evaluation, export and demo.

An image is decoded (`transforms.decode_image`; of requests `encoded.decode_or_refuse`),
brought to the network's size by `to_network_size` and, with the other images of its
batch, padded by `lay_on_canvas`. All of it runs in the graph.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from tf_frcnn.data.decoding.resizing import Resizing, plan_resize, resize


def to_network_size(
    image: tf.Tensor,
    resizing: Resizing,
    *,
    short_side: tf.Tensor | int | None = None,
    boxes: tf.Tensor | None = None,
    check_size: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Resizes an upright image, and its boxes with it.

    Args:
        image: uint8 [h, w, 3].
        resizing: how.
        short_side: integer [], one of the resizing's; None for its only one.
        boxes: float32 [n, 4] in file pixels; None for no boxes.
        check_size: returns the int64 [2], (height, width) in network pixels, that it
            is given, or fails before memory is taken for the pixels.

    Returns:
        An image's part of a batch: `images` float32 [h', w', 3], and float32 [2]
        `image_sizes`, `scales` and `file_sizes`; see `pipeline.batching`.
        float32 [n, 4], the boxes in network pixels.
    """
    if short_side is None:
        (short_side,) = resizing.short_sides
    if boxes is None:
        boxes = tf.zeros([0, 4])
    file_size = tf.shape(image)[:2]
    height, width = tf.unstack(file_size)
    plan = plan_resize(height, width, short_side, resizing.long_side, resizing.method)
    plan = plan._replace(sizes=check_size(plan.sizes))
    resized, boxes = resize(image, boxes, plan, resizing.method)
    return {"images": resized, **_sides(plan, file_size)}, boxes


def sides_in_network(file_size: tf.Tensor, resizing: Resizing) -> dict[str, tf.Tensor]:
    """Returns what `to_network_size` tells of an image, without the image.

    Args:
        file_size: integer [2], (height, width) of the upright image.
        resizing: to its only short side.

    Returns:
        float32 [2] each: `image_sizes`, `scales` and `file_sizes`.
    """
    (short_side,) = resizing.short_sides
    height, width = tf.unstack(file_size)
    plan = plan_resize(height, width, short_side, resizing.long_side, resizing.method)
    return _sides(plan, file_size)


def _sides(plan, file_size):
    sides = {"image_sizes": plan.sizes, "scales": plan.scales, "file_sizes": file_size}
    return {name: tf.cast(pair, tf.float32) for name, pair in sides.items()}


def lay_on_canvas(
    images: tf.Tensor, canvases: tf.Tensor | Sequence[tuple[int, int]] | int
) -> tf.Tensor:
    """Pads the images of a batch with zeros, below and on the right.

    Args:
        images: float32 [B, h, w, 3], as large as the largest of them.
        canvases: integer [canvases, 2], (height, width) of each; the smallest that
            holds the images is taken, or their largest sides if none does; or the
            multiple to which the sides are rounded up.

    Returns:
        float32 [B, H, W, 3].
    """
    size = tf.shape(images, tf.int64)[1:3]
    rows, columns = tf.unstack(canvas_for(size, canvases) - size)
    return tf.pad(images, [[0, 0], [0, rows], [0, columns], [0, 0]])


def canvas_for(
    size: tf.Tensor, canvases: tf.Tensor | Sequence[tuple[int, int]] | int
) -> tf.Tensor:
    """Returns int64 [2], the (height, width) of the canvas for images.

    Args:
        size: int64 [2], the (height, width) of a rectangle that holds the images.
        canvases: as `lay_on_canvas` takes them.
    """
    if isinstance(canvases, int):
        return own_canvases(size, canvases)
    canvases = tf.cast(canvases, tf.int64)
    largest = tf.reduce_max(canvases, axis=0, keepdims=True)
    canvases = tf.concat([canvases, largest], axis=0)
    return canvases[smallest_canvas(size, canvases)]


def fits_a_canvas(
    size: tf.Tensor, canvases: Sequence[tuple[int, int]] | int
) -> tf.Tensor:
    """Returns bool [], whether some canvas holds an image; its own one does.

    Args:
        size: number [2], (height, width) in pixels.
        canvases: as `lay_on_canvas` takes them.
    """
    if isinstance(canvases, int):
        return tf.constant(True)
    fits = tf.cast(size, tf.int64) <= tf.constant(canvases, tf.int64)
    return tf.reduce_any(tf.reduce_all(fits, axis=1))


def own_canvases(sizes: tf.Tensor, multiple: int) -> tf.Tensor:
    """Returns each size's own canvas: its sides, rounded up.

    Args:
        sizes: int64 [..., 2], (height, width) in pixels.
        multiple: sides are rounded up to a multiple of this.

    Returns:
        int64 [..., 2], (height, width) in pixels.

    Source: torchvision:models/detection/transform.py, for one image in a batch.
    """
    return -(-sizes // multiple) * multiple


def smallest_canvas(sizes: tf.Tensor, canvases: tf.Tensor) -> tf.Tensor:
    """Returns the row of the canvas of least area that holds each size.

    Args:
        sizes: int64 [..., 2], (height, width) in pixels; each fits some canvas.
        canvases: int64 [canvases, 2], (height, width) in pixels.

    Returns:
        int64 [...]; the first of equal canvases.
    """
    fits = tf.reduce_all(sizes[..., tf.newaxis, :] <= canvases, axis=-1)
    areas = tf.where(fits, tf.reduce_prod(canvases, axis=1), tf.int64.max)
    return tf.argmin(areas, axis=-1)
