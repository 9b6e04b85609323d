"""Decoding, resizing and mirroring of one picture, all in the graph."""

import tensorflow as tf


def decode_image(image_bytes: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Decodes a JPEG, PNG, BMP or GIF and turns it upright.

    Grey, palette and CMYK pictures become RGB, 16-bit ones 8-bit (the high byte
    counts), transparency is ignored, and of an animation the first frame is taken.
    JPEG is decoded by the accurate integer DCT, so that pixels do not depend on the
    machine.

    Args:
        image_bytes: string [].
        orientation: integer [], EXIF 1..8; see `turn_upright`.

    Returns:
        uint8 [h, w, 3], RGB.
    """
    image = tf.cond(
        tf.io.is_jpeg(image_bytes),
        lambda: tf.io.decode_jpeg(
            image_bytes, channels=3, dct_method="INTEGER_ACCURATE"
        ),
        lambda: tf.io.decode_image(image_bytes, channels=3, expand_animations=False),
    )
    return turn_upright(tf.ensure_shape(image, [None, None, 3]), orientation)


def turn_upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Undoes the turn that a camera noted in the EXIF orientation.

    Args:
        image: any dtype [h, w, C].
        orientation: integer [], 1..8; 5 to 8 exchange height and width.

    Returns:
        The same dtype, [h, w, C] or [w, h, C].

    Source: Exif 2.3, tag 274. The orientations are a transposition (5, 6, 7, 8),
        then a mirroring left-right (2, 3, 6, 7), then one upside down (3, 4, 7, 8).
    """

    def turn_if(orientations, turn, image):
        is_so = tf.reduce_any(tf.equal(orientation, orientations))
        return tf.cond(is_so, lambda: turn(image), lambda: image)

    image = turn_if([5, 6, 7, 8], lambda x: tf.transpose(x, [1, 0, 2]), image)
    image = turn_if([2, 3, 6, 7], lambda x: tf.reverse(x, [1]), image)
    return turn_if([3, 4, 7, 8], lambda x: tf.reverse(x, [0]), image)


def resized_size(
    height: tf.Tensor, width: tf.Tensor, short_side: int, long_side: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the size at which the network sees a picture.

    The shorter side becomes `short_side`, unless the longer one would then exceed
    `long_side`, which it then becomes. The other side is rounded to the nearest
    pixel, halves upwards, in whole-number arithmetic: the answer is the same eagerly,
    in graphs and under XLA.

    Args:
        height, width: integer, any shape; pixels of the picture.
        short_side, long_side: pixels.

    Returns:
        (height, width): int64, the same shape, each at least 1.

    Source: Girshick 2015, section 3; py-faster-rcnn:lib/utils/blob.py.
    """
    height, width = tf.cast(height, tf.int64), tf.cast(width, tf.int64)
    shorter, longer = tf.minimum(height, width), tf.maximum(height, width)
    long_side_decides = short_side * longer > long_side * shorter
    target = tf.where(long_side_decides, tf.constant(long_side, tf.int64), short_side)
    side = tf.where(long_side_decides, longer, shorter)

    def scaled(length):
        return tf.maximum((2 * length * target + side) // (2 * side), 1)

    return scaled(height), scaled(width)


def resize(
    image: tf.Tensor, boxes: tf.Tensor, size: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Resizes a picture bilinearly, without antialiasing, and its boxes with it.

    Args:
        image: uint8 or float32 [h, w, 3].
        boxes: float32 [n, 4] in pixels of `image`.
        size: integer [2], the new (height, width).

    Returns:
        image: float32 [size[0], size[1], 3], in the range of the input.
        boxes: float32 [n, 4] in pixels of the new picture.
        scales: float32 [2], new / old along y and x.
    """
    old_size = tf.cast(tf.shape(image)[:2], tf.float32)
    scales = tf.cast(size, tf.float32) / old_size
    image = tf.image.resize(image, tf.cast(size, tf.int32), antialias=False)
    return image, boxes * tf.tile(scales, [2]), scales


def flip(image: tf.Tensor, boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mirrors a picture left-right, and its boxes with it.

    Args:
        image: any dtype [h, w, C].
        boxes: float32 [n, 4] in pixels of `image`; no padded rows.

    Returns:
        The same shapes and dtypes.
    """
    width = tf.cast(tf.shape(image)[1], boxes.dtype)
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=1)
    flipped = tf.stack([ymin, width - xmax, ymax, width - xmin], axis=1)
    return tf.reverse(image, [1]), flipped
