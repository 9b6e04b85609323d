"""From the bytes of a file to its place on a canvas, file by file."""

import functools
from collections.abc import Callable, Sequence

import tensorflow as tf

from tf_frcnn.data.decoding.encoded import reason_of, refuse
from tf_frcnn.data.decoding.foreign import UnreadableImageError
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.decoding.to_canvas import (
    fits_a_canvas,
    lay_on_canvas,
    to_network_size,
)
from tf_frcnn.data.decoding.transforms import decode_image

CanvasReader = Callable[[bytes, int], dict[str, tf.Tensor]]


def room_check(
    canvases: Sequence[tuple[int, int]] | int,
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function that refuses a size, int64 [2], that no canvas holds.

    Args:
        canvases: as `lay_on_canvas` takes them.
    """

    def require_room(size: tf.Tensor) -> tf.Tensor:
        sides = tf.strings.as_string(size)
        words = (
            *("it becomes ", sides[0], " x ", sides[1]),
            " pixels (height x width), but none of images.canvases = ",
            f"{canvases} holds it",
        )
        is_too_large = ~fits_a_canvas(size, canvases)
        check = refuse(is_too_large, "image", tf.strings.join(words))
        with tf.control_dependencies([check]):
            return tf.identity(size)

    return require_room


# Its graph takes half a second to make, and pipelines ask for it again and again.
@functools.lru_cache(maxsize=4)
def canvas_reader(resizing: Resizing) -> CanvasReader:
    """Returns a function that reads an image as batches of evaluation have it.

    Args:
        resizing: how images are brought to the network's size, with one short side.

    Returns:
        A function of a JPEG, PNG, BMP or GIF, and of its EXIF orientation 1..8, which
        several threads may call. It returns the image's part of a batch, see
        `pipeline.batching`: `images` float32 [H, W, 3], padded to the smallest canvas,
        and float32 [2] `image_sizes`, `scales` and `file_sizes`. It raises
        UnreadableImageError for an image that is damaged or that no canvas holds.
    """
    resizing.require_one_short_side()
    canvases = resizing.canvases
    require_room = room_check(canvases)

    @tf.function(
        input_signature=[tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int32)],
        autograph=False,
    )
    def read_in_graph(data, orientation):
        with tf.device("CPU:0"):
            image = decode_image(data, orientation)
            example, _ = to_network_size(image, resizing, check_size=require_room)
            padded = lay_on_canvas(example["images"][tf.newaxis], canvases)
            return example | {"images": padded[0]}

    # Traced now, once: threads that call it for the first time would each do so.
    concrete = read_in_graph.get_concrete_function()

    def read(data: bytes, orientation: int) -> dict[str, tf.Tensor]:
        try:
            return concrete(tf.constant(data), tf.constant(orientation, tf.int32))
        except tf.errors.InvalidArgumentError as error:
            reason = reason_of(error) or f"it is damaged or cut off ({error.message})"
            raise UnreadableImageError(reason) from error

    return read
