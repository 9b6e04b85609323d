"""Images of any sizes in one request: read side by side, detected canvas by canvas."""

from collections.abc import Callable

import tensorflow as tf

from tf_frcnn.models.tiled_detection import PASS_PIXELS, SIZED

# Images read at once; each may take the memory of the largest that is let in.
READ_AT_ONCE = 4
Tensors = dict[str, tf.Tensor]


def detect_in_groups(
    count: tf.Tensor,
    read: Callable[[tf.Tensor], Tensors],
    detect: Callable[[Tensors], Tensors],
    found: dict[str, tf.TensorSpec],
) -> Tensors:
    """Detects objects in images, those of one canvas together.

    Args:
        count: int32 [], B, at least 1.
        read: of a row, int32 [], returns `images` float32 [H, W, 3], the image on its
            canvas, and float32 [2] `image_sizes`, `scales` and `file_sizes`.
        detect: returns tensors with a row per image of a batch of one canvas.
        found: what it returns, without the rows.

    Returns:
        What `detect` returns and `file_sizes`, B rows each, in the images' order.
    """
    images = _fill(_arrays(SIZED, count), count, READ_AT_ONCE, _put(read))
    canvases = tf.map_fn(
        lambda row: tf.shape(images["images"].read(row))[:2], tf.range(count)
    )
    groups = group_of_each(canvases, PASS_PIXELS)

    def detect_group(group, arrays):
        rows = tf.cast(tf.where(groups == group)[:, 0], tf.int32)
        batch = {name: array.gather(rows) for name, array in images.items()}
        for name, rows_found in detect(batch).items():
            arrays[name] = arrays[name].scatter(rows, rows_found)
        return arrays

    detected = _fill(_arrays(found, count), tf.reduce_max(groups) + 1, 1, detect_group)
    stacked = {name: array.stack() for name, array in detected.items()}
    return stacked | {"file_sizes": images["file_sizes"].stack()}


def group_of_each(canvases: tf.Tensor, pass_pixels: int) -> tf.Tensor:
    """Returns int32 [B], the group of each image, counted from 0.

    A group's images have one canvas, and as many pixels as fit into a pass, or are one.

    Args:
        canvases: int32 [B, 2], (height, width) of each image's canvas in pixels.
        pass_pixels: the most pixels of a group.
    """
    is_same = tf.reduce_all(canvases[:, tf.newaxis] == canvases, axis=2)
    is_same = tf.cast(is_same, tf.int32)  # [B, B]
    place = tf.reduce_sum(tf.linalg.band_part(is_same, -1, 0), axis=1) - 1
    per_pass = tf.maximum(1, pass_pixels // tf.reduce_prod(canvases, axis=1))
    first = tf.argmax(is_same, axis=1, output_type=tf.int32)
    return tf.unique(first * tf.size(place) + place // per_pass).idx


def _arrays(specs, count):
    return {
        name: tf.TensorArray(
            spec.dtype, count, element_shape=spec.shape, infer_shape=False
        )
        for name, spec in specs.items()
    }


def _put(read):
    """Returns the step that writes what `read` returns for a row."""

    def step(row, arrays):
        return {name: arrays[name].write(row, v) for name, v in read(row).items()}

    return step


def _fill(arrays, count, at_once, step):
    """Returns the arrays after a step for each number below the count."""
    _, arrays = tf.while_loop(
        lambda number, _: number < count,
        lambda number, arrays: (number + 1, step(number, arrays)),
        (0, arrays),
        parallel_iterations=at_once,
    )
    return arrays
