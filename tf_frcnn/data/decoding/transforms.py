"""Decoding and mirroring of one image, all in the graph."""

import tensorflow as tf


def decode_image(image_bytes: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Decodes a JPEG, PNG, BMP or GIF and turns it upright.

    Grey, palette and CMYK images become RGB, 16-bit ones 8-bit (the high byte
    counts), transparency is ignored, and of an animation the first frame is taken.
    JPEG is decoded by the accurate integer DCT, so that pixels do not depend on the
    machine.

    Args:
        image_bytes: string [].
        orientation: integer [], EXIF 1..8; see `turn_upright`.

    Returns:
        uint8 [h, w, 3], RGB.
    """
    return turn_upright(decode_stored(image_bytes), orientation)


def decode_stored(image_bytes: tf.Tensor) -> tf.Tensor:
    """Decodes an image as `decode_image` does, but does not turn it."""
    image = tf.cond(
        tf.io.is_jpeg(image_bytes),
        lambda: tf.io.decode_jpeg(
            image_bytes, channels=3, dct_method="INTEGER_ACCURATE"
        ),
        lambda: tf.io.decode_image(image_bytes, channels=3, expand_animations=False),
    )
    return tf.ensure_shape(image, [None, None, 3])


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

    def turned():
        turned = turn_if([5, 6, 7, 8], _transposed, image)
        turned = turn_if([2, 3, 6, 7], lambda x: tf.reverse(x, [1]), turned)
        return turn_if([3, 4, 7, 8], lambda x: tf.reverse(x, [0]), turned)

    def turn_if(orientations, turn, image):
        is_so = tf.reduce_any(tf.equal(orientation, orientations))
        return tf.cond(is_so, lambda: turn(image), lambda: image)

    # Most images stand upright: one question, not three.
    return tf.cond(tf.equal(orientation, 1), lambda: image, turned)


def _transposed(image):
    # Not by tf.transpose: of bytes, oneDNN tells every program that it has to pass.
    height, width = tf.unstack(tf.shape(image)[:2])
    cells = tf.range(height) * width + tf.range(width)[:, tf.newaxis]
    return tf.gather(tf.reshape(image, [height * width, image.shape[2]]), cells)


def flip(image: tf.Tensor, boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mirrors an image left-right, and its boxes with it.

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
