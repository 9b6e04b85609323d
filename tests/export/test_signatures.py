import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data import Resizing
from tf_frcnn.data.decoding.transforms import decode_image
from tf_frcnn.export.sample_requests import sample_requests
from tf_frcnn.export.signatures import Signatures

# They share an export, which takes seconds.
pytestmark = pytest.mark.slow
OUTPUTS = {
    *("detection_boxes", "detection_scores", "detection_classes"),
    *("detection_class_names", "num_detections"),
}


def assert_same(output, row, own, record):
    """Compares a row of a signature's output with the model's own detections."""
    count = int(output["num_detections"][row])
    assert count == len(own.scores) > 3
    boxes, scores = output["detection_boxes"][row], output["detection_scores"][row]
    boxes = boxes * np.float32([record.height, record.width] * 2)
    np.testing.assert_allclose(boxes[:count], own.boxes, atol=0.01)
    np.testing.assert_allclose(scores[:count], own.scores, atol=1e-4)
    classes = output["detection_classes"][row].numpy()
    np.testing.assert_array_equal(classes[:count], own.labels + 1)
    assert not np.any(boxes[count:]) and not np.any(scores[count:])
    assert np.all(classes[count:] == 0)


def test_files_of_different_sizes_may_share_a_batch(
    signatures, files, images, expected
):
    together = signatures["serving_default"](image_bytes=tf.constant(files))
    for row, own in enumerate(expected):
        assert_same(together, row, own, images.records[row])
        alone = signatures["serving_default"](image_bytes=tf.constant([files[row]]))
        assert_same(alone, 0, own, images.records[row])


def test_decoded_images_of_one_size_may_share_a_batch(
    signatures, files, images, expected
):
    record, own = images.records[1], expected[1]
    image = decode_image(tf.constant(files[1]), tf.constant(record.orientation))
    images = tf.stack([tf.reverse(image, [1]), image])
    output = signatures["image_tensor"](image_tensor=images)
    assert_same(output, 1, own, record)
    mirrored = output["detection_boxes"][0, :, 1] - output["detection_boxes"][1, :, 1]
    assert np.abs(mirrored).max() > 0.01


def test_images_may_come_in_the_size_of_the_network(
    signatures, images, resizing, expected
):
    requests = sample_requests(images, resizing)
    same = [r for r in requests if r.inputs["preprocessed"]["images"].shape[1] == 128]
    names = same[0].inputs["preprocessed"]
    assert set(names) == {"images", "image_sizes", "scales", "file_sizes"}
    arrays = [[r.inputs["preprocessed"][n] for r in same] for n in names]
    batch = {n: np.concatenate(a) for n, a in zip(names, arrays, strict=True)}
    tensors = {name: tf.constant(array) for name, array in batch.items()}
    output = signatures["preprocessed"](**tensors)
    for row, request in enumerate(same):
        record = images.records[request.row]
        assert_same(output, row, expected[request.row], record)


def test_classes_count_from_one_and_have_names(signatures, files):
    output = signatures["serving_default"](image_bytes=tf.constant(files))
    assert set(output) == OUTPUTS
    for name in OUTPUTS - {"detection_class_names"}:
        assert output[name].dtype == tf.float32 and output[name].shape[0] == len(files)
    classes = output["detection_classes"].numpy()
    assert {1, 2} <= set(classes.ravel()) <= {0, 1, 2}
    names = {1: b"wide", 2: b"tall", 0: b""}
    expected = np.vectorize(names.get, otypes=[object])(classes)
    np.testing.assert_array_equal(output["detection_class_names"], expected)


def test_boxes_are_shares_of_the_sides(signatures, files):
    boxes = signatures["serving_default"](image_bytes=tf.constant(files))
    boxes = boxes["detection_boxes"].numpy()
    assert boxes.min() >= 0 and 0.8 < boxes.max() <= 1.0


@pytest.mark.parametrize(
    ("signature", "inputs"),
    [
        ("serving_default", {"image_bytes": np.zeros([0], object)}),
        ("image_tensor", {"image_tensor": np.zeros([0, 8, 8, 3], np.uint8)}),
        ("image_tensor", {"image_tensor": np.zeros([1, 0, 8, 3], np.uint8)}),
        (
            "preprocessed",
            {
                "images": np.zeros([0, 96, 128, 3], np.float32),
                "image_sizes": np.zeros([0, 2], np.float32),
                "scales": np.zeros([0, 2], np.float32),
                "file_sizes": np.zeros([0, 2], np.float32),
            },
        ),
    ],
)
def test_a_batch_of_nothing_is_refused(signatures, signature, inputs):
    inputs = {
        name: tf.constant(a, tf.string) if a.dtype == object else tf.constant(a)
        for name, a in inputs.items()
    }
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[im.*: it is empty\]"):
        signatures[signature](**inputs)


def test_one_bad_element_refuses_the_request_and_is_named(signatures, files):
    batch = tf.constant([files[0], b"hello", files[1]])
    message = r"image_bytes\[1\]: it is not a JPEG, PNG, BMP or GIF"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        signatures["serving_default"](image_bytes=batch)


def test_an_image_without_limit_of_its_longer_side_is_not_stretched(model):
    resizing = Resizing((96,), None, 32, "bicubic")
    signatures = Signatures(model, resizing, 10_000)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"image_tensor: .*so long"
    ):
        signatures.of_tensor(tf.zeros([1, 1, 1000, 3], tf.uint8))


def graph_functions(signatures):
    return {name: function.graph for name, function in signatures.items()}


def test_a_graph_serves_every_size_and_number(signatures):
    before = graph_functions(signatures)
    rng = np.random.default_rng(0)
    for num, height, width in rng.integers([1, 20, 20], [4, 90, 90], [12, 3]):
        image = rng.integers(0, 256, [height, width, 3], np.uint8)
        images = tf.constant(np.repeat(image[np.newaxis], num, 0))
        output = signatures["image_tensor"](image_tensor=images)
        assert output["num_detections"].shape == (num,)
        files = tf.constant([tf.io.encode_png(image).numpy()] * num)
        output = signatures["serving_default"](image_bytes=files)
        assert output["num_detections"].shape == (num,)
    after = graph_functions(signatures)
    assert all(after[name] is graph for name, graph in before.items())


def test_the_inputs_have_no_fixed_sizes(signatures):
    shapes = {
        name: {key: spec.shape.as_list() for key, spec in inputs.items()}
        for name, function in signatures.items()
        for inputs in [function.structured_input_signature[1]]
    }
    pairs = {key: [None, 2] for key in ("image_sizes", "scales", "file_sizes")}
    assert shapes == {
        "serving_default": {"image_bytes": [None]},
        "image_tensor": {"image_tensor": [None, None, None, 3]},
        "preprocessed": {"images": [None, None, None, 3], **pairs},
    }
