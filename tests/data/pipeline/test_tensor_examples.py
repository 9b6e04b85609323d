import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.pipeline.tensor_examples import (
    BAD_DATA,
    BOX_FORMATS,
    check_box_format,
    check_form,
    has_objects,
    is_of_batches,
    read_example,
    single_examples,
)

# (ymin, xmin, ymax, xmax) in an image of 40 x 80 pixels.
BOX = np.array([[10.0, 20.0, 30.0, 60.0]], np.float32)
IN_FORMATS = {
    "yxyx": [10, 20, 30, 60],
    "xyxy": [20, 10, 60, 30],
    "xywh": [20, 10, 40, 20],
    "center_xywh": [40, 20, 40, 20],
    "center_yxhw": [20, 40, 20, 40],
    "rel_yxyx": [0.25, 0.25, 0.75, 0.75],
    "rel_xyxy": [0.25, 0.25, 0.75, 0.75],
    "rel_xywh": [0.25, 0.25, 0.5, 0.5],
    "rel_center_xywh": [0.5, 0.5, 0.5, 0.5],
}
IMAGE = np.random.default_rng(0).integers(0, 256, (40, 80, 3), dtype=np.uint8)


def read(element, box_format="yxyx", num_classes=3):
    element = tf.nest.map_structure(tf.constant, element)
    return read_example(
        element,
        tf.constant(7, tf.int64),
        box_format=box_format,
        num_classes=num_classes,
    )


def pair(boxes, labels):
    return IMAGE, {"boxes": boxes, "labels": labels}


@pytest.mark.parametrize("box_format", BOX_FORMATS)
def test_boxes_of_every_format_become_corners_in_pixels(box_format):
    example = read(pair([IN_FORMATS[box_format]], [2]), box_format)
    np.testing.assert_allclose(example.boxes, BOX, rtol=1e-6)
    assert BOX_FORMATS == tuple(IN_FORMATS)


@pytest.mark.parametrize("box_format", ["yxyx", "rel_xyxy"])
def test_formats_mean_what_they_mean_in_keras(box_format):
    from keras.utils.bounding_boxes import convert_format

    box = convert_format(BOX, "yxyx", box_format, height=40, width=80)
    np.testing.assert_allclose(
        read(pair(np.array(box), [0]), box_format).boxes, BOX, rtol=1e-6
    )


def test_padded_rows_are_left_out_and_types_are_brought_into_line():
    boxes = np.array([[0, 0, 9, 9], [1, 2, 30, 40], [0, 0, 0, 0]], np.float64)
    example = read(pair(boxes, np.array([-1, 2, -1], np.int64)))
    np.testing.assert_array_equal(example.boxes, boxes[1:2])
    assert example.boxes.dtype == tf.float32
    np.testing.assert_array_equal(example.fields["labels"], [2])
    assert example.fields["labels"].dtype == tf.int32
    assert not example.fields["difficult"].numpy().any()
    assert example.fields["image_ids"] == b"7" and example.fields["rows"] == 7


@pytest.mark.parametrize(
    ("objects", "label", "mark"),
    [
        ("objects", "label", "is_crowd"),  # COCO
        ("objects", "type", None),  # KITTI
        ("bobjects", "label", "is_group_of"),  # Open Images
    ],
)
def test_features_of_tensorflow_datasets_are_known(objects, label, mark):
    own = {
        "bbox": np.array([[0.25, 0.25, 0.75, 0.75], [0, 0, 1, 1]], np.float32),
        label: np.array([1, 2], np.int64),
    }
    if mark:
        own[mark] = np.array([-1, 1])
    element = {"image": IMAGE, objects: own}
    if objects == "bobjects":
        element["objects"] = {"label": np.array([1])}  # of the whole image
    example = read(element, box_format=None)
    np.testing.assert_allclose(example.boxes, [*BOX, [0, 0, 40, 80]])
    np.testing.assert_array_equal(example.fields["labels"], [1, 2])
    np.testing.assert_array_equal(example.fields["difficult"], [False, False])
    assert ("crowd" in example.fields) == bool(mark)
    np.testing.assert_array_equal(
        example.fields.get("crowd", [False, True]), [False, True]
    )


def test_vocs_boxes_are_pixels_from_one_as_its_files_have_them():
    boxes = np.array([[10, 20, 30, 60]], np.float32) / [40, 80, 40, 80]
    element = {
        "image": IMAGE,
        "labels_no_difficult": [1],
        "objects": {
            "bbox": boxes.astype(np.float32),
            "label": [1],
            "is_difficult": [True],
        },
    }
    example = read(element, box_format=None)
    np.testing.assert_array_equal(example.boxes, [[9, 19, 30, 60]])
    np.testing.assert_array_equal(example.fields["difficult"], [True])


def test_images_alone_have_no_objects():
    for alone in (IMAGE, (IMAGE,), {"image": IMAGE}):
        assert not has_objects(tf.data.Dataset.from_tensors(alone))
    assert has_objects(tf.data.Dataset.from_tensors(pair(BOX, [1])))
    example = read(IMAGE)
    np.testing.assert_array_equal(example.image, IMAGE)
    assert example.boxes.shape == (0, 4) and example.fields["labels"].shape == (0,)


def test_batches_are_taken_apart_and_those_for_the_network_are_known():
    batched = tf.data.Dataset.from_tensors(
        (np.stack([IMAGE] * 2), {"boxes": np.stack([BOX] * 2), "labels": [[1], [2]]})
    )
    singles = single_examples(batched)
    assert not is_of_batches(batched)
    assert [int(own["labels"][0]) for _, own in singles] == [1, 2]
    own = tf.data.Dataset.from_tensors({"images": np.zeros([1, 8, 8, 3])})
    assert is_of_batches(own)
    assert is_of_batches(tf.data.Dataset.from_tensors(np.zeros([1, 8, 8, 3])))
    images = {"images": np.zeros([1, 8, 8, 3])}
    assert is_of_batches(tf.data.Dataset.from_tensors((images, {"boxes": [[BOX]]})))


@pytest.mark.parametrize(
    ("element", "message"),
    [
        (pair(BOX, [1]), "their format is not stated: give box_format"),
        ({"image": IMAGE, "boxes": BOX, "labels": [1]}, "their format is not stated"),
        ({"picture": IMAGE}, "not understood: one has picture. Give dicts"),
        ((IMAGE, {"boxes": BOX, "labels": [1]}, [1.0]), "sample weights"),
        ({"image": IMAGE, "objects": {"bbox": BOX}}, "bbox and label are needed"),
        ((IMAGE, BOX), r"second part .* no dict; give pairs \(image, {boxes, labels}"),
        (({"images": IMAGE}, {"boxes": BOX}), "not understood: one has images"),
    ],
)
def test_other_forms_are_refused_with_what_would_do(element, message):
    with pytest.raises(DataError, match=message):
        check_form(tf.data.Dataset.from_tensors(element), None)


def test_a_pair_without_labels_is_refused():
    with pytest.raises(DataError, match="boxes and labels are needed"):
        check_form(tf.data.Dataset.from_tensors((IMAGE, {"boxes": BOX})), "yxyx")


@pytest.mark.parametrize(
    ("boxes", "labels", "message"),
    [
        ([[0, np.nan, 5, 5]], [1], "image 7: a box has a corner that is NaN or inf"),
        ([[0, 1, np.inf, 5]], [1], "image 7: a box has a corner that is NaN or inf"),
        (BOX, [3], "image 7: labels must lie in 0..2, the classes of the model, but"),
        (BOX, [-2], "but are -2"),
        (BOX / 80, [1], "image 7: its boxes lie in 0..1 and .*box_format = yxyx"),
    ],
)
def test_bad_objects_are_named_with_their_image(boxes, labels, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{BAD_DATA}.*{message}"):
        read(pair(np.array(boxes, np.float32), labels))


def test_pixels_are_no_shares():
    message = "image 7: its boxes are no shares of the sides, but box_format = rel_xyxy"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        read(pair(BOX, [1]), box_format="rel_xyxy")
    whole = np.array([[0, 0, 1, 1]], np.float32)
    np.testing.assert_array_equal(
        read(pair(whole, [1]), "rel_xyxy").boxes, [[0, 0, 40, 80]]
    )


@pytest.mark.parametrize(
    ("boxes", "labels", "message"),
    [
        (BOX, ["cat"], "labels are texts; give whole numbers, the places of the names"),
        (BOX, [1, 2], "has 1 boxes, but 2 labels"),
    ],
)
def test_objects_of_another_form_are_refused_at_once(boxes, labels, message):
    with pytest.raises(DataError, match=message):
        check_form(tf.data.Dataset.from_tensors(pair(boxes, labels)), "yxyx")


def test_numbers_of_boxes_and_labels_that_differ_are_named_with_the_image():
    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)])
    def run(labels):
        element = tf.constant(IMAGE), {"boxes": tf.constant(BOX), "labels": labels}
        row = tf.constant(7, tf.int64)
        read_example(element, row, box_format="yxyx", num_classes=3)

    run([1])
    with pytest.raises(tf.errors.InvalidArgumentError, match="image 7: 1 boxes, but 2"):
        run([1, 2])


def test_an_image_in_the_range_of_0_to_1_is_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="multiply by 255"):
        read((IMAGE / np.float32(255), {"boxes": BOX, "labels": [1]}))


def test_an_unknown_box_format_is_named_with_those_there_are():
    with pytest.raises(
        ValueError, match="box_format = 'xxyy' must be one of yxyx, xyx"
    ):
        check_box_format("xxyy")


def test_kittis_boxes_are_turned_upright():
    """TensorFlow Datasets counts KITTI's rows from the lower border."""
    boxes = np.array([[0.1, 0.25, 0.6, 0.75]], np.float32)
    objects = {"bbox": boxes, "type": [1], "alpha": [0.5], "rotation_y": [1.5]}
    example = read({"image": IMAGE, "objects": objects}, None)
    np.testing.assert_allclose(example.boxes, [[16, 20, 36, 60]], rtol=1e-6)
    del objects["alpha"]
    example = read({"image": IMAGE, "objects": objects}, None)
    np.testing.assert_allclose(example.boxes, [[4, 20, 24, 60]], rtol=1e-6)
