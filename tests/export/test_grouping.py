import numpy as np
import tensorflow as tf

from tf_frcnn.export.grouping import detect_in_groups, group_of_each


def test_a_group_has_one_canvas_and_no_more_pixels_than_a_pass():
    sides = [(2, 3), (3, 2), (2, 3), (2, 3), (3, 2), (6, 6), (6, 6)]
    groups = group_of_each(tf.constant(sides), pass_pixels=13).numpy()
    assert groups.tolist() == [0, 1, 0, 2, 1, 3, 4]


def test_images_are_detected_in_their_groups_and_given_in_their_order():
    sizes = np.array([(2, 3), (3, 2), (2, 3), (4, 4)])
    pairs, passes = tf.constant(sizes, tf.float32), []

    def read(row):
        height, width = tf.unstack(tf.gather(sizes, row))
        image = tf.fill([height, width, 3], tf.cast(row, tf.float32))
        names = ("image_sizes", "scales", "file_sizes")
        return {"images": image, **dict.fromkeys(names, pairs[row])}

    def detect(batch):
        rows = batch["images"][:, 0, 0, 0]
        tf.numpy_function(lambda rows: passes.append(rows.tolist()), [rows], [])
        return {"scores": tf.stack([rows, batch["image_sizes"][:, 0]], axis=1)}

    scores = {"scores": tf.TensorSpec([2], tf.float32)}
    find = tf.function(lambda: detect_in_groups(tf.constant(4), read, detect, scores))
    found = find()
    np.testing.assert_array_equal(found["scores"], list(enumerate(sizes[:, 0])))
    np.testing.assert_array_equal(found["file_sizes"], sizes)
    assert passes == [[0, 2], [1], [3]]
