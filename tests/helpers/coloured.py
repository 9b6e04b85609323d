"""Black images with rectangles of a colour each, and where the colours are seen."""

import numpy as np
import tensorflow as tf

from tf_frcnn.data.pipeline.grouping import Example

# Red, green, blue and yellow, by label; the grey around an image is none of them.
COLOURS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]], bool)


def coloured_image(height, width, boxes, labels):
    """Returns uint8 [height, width, 3]; boxes are whole numbers."""
    image = np.zeros([height, width, 3], np.uint8)
    for (ymin, xmin, ymax, xmax), label in zip(boxes, labels, strict=True):
        image[ymin:ymax, xmin:xmax] = 255 * COLOURS[label]
    return image


def coloured_example(height, width, boxes, labels, **fields):
    """Returns the example of such an image; objects of odd labels are difficult."""
    labels = np.array(labels, np.int32)
    return Example(
        tf.constant(coloured_image(height, width, boxes, labels)),
        tf.constant(np.reshape(boxes, [-1, 4]), tf.float32),
        {
            "labels": tf.constant(labels),
            "difficult": tf.constant(labels % 2 == 1),
            "image_ids": tf.constant("image"),
            "rows": tf.constant(0, tf.int64),
            **fields,
        },
    )


def seen(image, label):
    """Returns bool [h, w], where an image has the colour of a label."""
    return (np.asarray(image) > 127).astype(bool) @ np.eye(3) @ [1, 2, 4] == COLOURS[
        label
    ] @ [1, 2, 4]


def extent(mask):
    """Returns the box of a mask that is not empty."""
    rows, columns = np.nonzero(mask)
    return np.array([rows.min(), columns.min(), rows.max() + 1, columns.max() + 1])


def assert_boxes_are_where_colours_are(fields, tolerance=0.0):
    """Compares boxes with what is seen; each label occurs once, and marks fit it."""
    image, boxes = np.asarray(fields["images"]), np.asarray(fields["boxes"])
    labels = np.asarray(fields["labels"])
    assert len(boxes) == len(labels) == len(set(labels.tolist()))
    np.testing.assert_array_equal(fields["difficult"], labels % 2 == 1)
    for box, label in zip(boxes, labels, strict=True):
        found = extent(seen(image, label))
        np.testing.assert_allclose(box, found, atol=tolerance, err_msg=str(label))
