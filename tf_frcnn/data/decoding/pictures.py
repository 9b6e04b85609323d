"""Pictures as users hold them, as RGB arrays in 0..255."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import ExifTags, Image

from tf_frcnn.data.decoding.encoded import decode_or_refuse, reason_of
from tf_frcnn.data.decoding.exif import exif_orientation
from tf_frcnn.data.decoding.foreign import (
    UnreadableImageError,
    foreign_format,
    to_png,
)
from tf_frcnn.data.decoding.transforms import decode_image, turn_upright

# A file, encoded bytes, or pixels.
PICTURES = (str, os.PathLike, bytes, bytearray, np.ndarray, tf.Tensor, Image.Image)
Picture = Any  # One of `PICTURES`.
UNIT_RANGE = "its values lie in 0..1, but the model takes 0..255: multiply by 255"
_CHANNELS = (1, 3, 4)
# Of an encoded picture: its pixels take 0.8 GB.
_MAX_PIXELS = 2**28


class ImageError(ValueError):
    """An image is refused; the message is the reason."""


def read_picture(picture: Picture, name: str) -> tf.Tensor:
    """Reads a picture; files and PIL pictures are turned upright.

    Args:
        picture: the path of a file; the bytes of a JPEG, PNG, BMP or GIF, also as a
            string [], or of a TIFF, WebP, AVIF or HEIC, which Pillow decodes; numbers
            in 0..255, [h, w], or [h, w, C] of 1, 3 (RGB) or 4 channels, whose
            transparency is ignored; or a picture of Pillow.
        name: what messages call it, where it is no file.

    Returns:
        uint8 or float32 [h, w, 3], RGB.

    Raises:
        FileNotFoundError: there is no such file.
        ImageError: it is damaged, or nothing of these.
    """
    if isinstance(picture, str | os.PathLike):
        path = Path(picture)
        if not path.is_file():
            kind = "a folder" if path.is_dir() else "no such file"
            raise FileNotFoundError(f"{path}: {kind}; give the paths of image files.")
        return _decode(path.read_bytes(), str(path))
    if isinstance(picture, tf.Tensor) and picture.dtype == tf.string:
        picture = picture.numpy()
    if isinstance(picture, bytes | bytearray):
        return _decode(bytes(picture), name)
    if isinstance(picture, Image.Image):
        return _from_pillow(picture)
    return _from_numbers(picture, name)


def to_rgb(image: tf.Tensor) -> tf.Tensor:
    """Returns a picture of any kind as uint8 or float32 [h, w, 3], in the graph.

    Args:
        image: string [], encoded and turned upright here; or a number [h, w], or
            [h, w, C] of 1, 3 or 4 channels, whose transparency is ignored.
    """
    if isinstance(image, tf.RaggedTensor):
        image = image.to_tensor()
    if image.dtype == tf.string:
        return decode_image(image, exif_orientation(image))
    if image.shape.rank == 2:
        image = image[..., tf.newaxis]
    if image.dtype != tf.uint8:
        image = tf.cast(image, tf.float32)
    image = image[..., :3]
    return tf.broadcast_to(image, tf.concat([tf.shape(image)[:2], [3]], axis=0))


def lies_in_unit_range(image: tf.Tensor) -> tf.Tensor:
    """Returns bool [], whether an image seems to lie in 0..1 instead of 0..255.

    A black image in 0..255 has whole numbers; one scaled to 0..1 has not.
    """
    if image.dtype == tf.uint8:
        return tf.constant(False)
    is_small = tf.reduce_all((image >= 0.0) & (image <= 1.0))
    return is_small & tf.reduce_any(image != tf.round(image))


def _from_pillow(picture: Image.Image) -> tf.Tensor:
    """Turns by the rule of `exif_orientation`: only a whole number counts."""
    image = tf.constant(np.asarray(picture.convert("RGB")))
    # Only now: Pillow turns a TIFF when it decodes it.
    orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    is_number = isinstance(orientation, int)
    return turn_upright(image, tf.constant(orientation if is_number else 1))


def _decode(data: bytes, name: str) -> tf.Tensor:
    try:
        data = to_png(data) if foreign_format(data) else data
        return _decode_in_graph(tf.constant(data))
    except UnreadableImageError as error:
        raise ImageError(f"{name}: {error}.") from error
    except tf.errors.InvalidArgumentError as error:
        reason = reason_of(error)
        if reason is None:
            raise
        raise ImageError(f"{name}: {reason}.") from error


@tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
def _decode_in_graph(data):
    return decode_or_refuse(data, tf.constant("image"), _MAX_PIXELS)


def _from_numbers(picture: Any, name: str) -> tf.Tensor:
    array = np.asarray(picture)
    is_picture = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in _CHANNELS)
    if array.dtype.kind not in "uif" or not is_picture or not array.size:
        raise ImageError(
            f"{name}: {array.dtype} of shape {array.shape} is not a picture; give "
            "numbers of shape [height, width, channels] with 1, 3 or 4 channels, "
            "a path, or the bytes of a file."
        )
    if not np.isfinite(array).all() or array.min() < 0 or array.max() > 255:
        raise ImageError(f"{name}: its values must lie in 0..255.")
    image = to_rgb(tf.constant(array))
    if lies_in_unit_range(image):
        raise ImageError(f"{name}: {UNIT_RANGE}.")
    return image
