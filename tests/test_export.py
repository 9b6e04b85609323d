import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2

from tf_frcnn import export
from tf_frcnn.data import Resizing, evaluation_batches, make_shapes, write_voc
from tf_frcnn.data.images import find_images, read_images
from tf_frcnn.export import ExportError, export_model
from tf_frcnn.inference import detect, detections_of_image

RESIZING = Resizing((96,), 160, ((96, 128), (128, 96), (160, 160)))


@pytest.fixture(scope="module")
def model(tiny_detector):
    """A detector whose box head is no longer symmetric in its two classes."""
    model = tiny_detector(score_threshold=0.3)
    logits = model.box_predictor.logits
    logits.set_weights([10 * logits.kernel.numpy(), np.array([0, 0.5, 0.2])])
    return model


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """An upright and a lying picture as files, one a JPEG, with classes' names."""
    folder = tmp_path_factory.mktemp("pictures")
    write_voc(make_shapes(12, seed=4), folder, "all")
    images = [Image.open(path) for path in find_images([folder / "JPEGImages"])]
    lying = next(image for image in images if image.width > image.height)
    upright = next(image for image in images if image.width < image.height)
    lying.save(folder / "lying.png")
    upright.save(folder / "upright.jpg", quality=90)
    return read_images([folder / "lying.png", folder / "upright.jpg"])


@pytest.fixture(scope="module")
def exported(model, pictures, tmp_path_factory):
    """The folder of the first version."""
    directory = tmp_path_factory.mktemp("exports") / "new" / "shapes"
    return export_model(model, RESIZING, directory, pictures)


@pytest.fixture(scope="module")
def reloaded(exported):
    return tf.saved_model.load(exported)


@pytest.fixture(scope="module")
def expected(model, pictures):
    """The model's own detections of each picture."""
    batches = evaluation_batches(pictures, RESIZING, batch_size=1)
    found = detect(model, pictures, batches)
    return [detections_of_image(found, row) for row in range(len(pictures.records))]


def bytes_of(pictures):
    return [data for _, data in pictures.stream().as_numpy_iterator()]


def assert_same(output, row, own):
    count = int(output["num_detections"][row])
    assert count == len(own.scores) > 3
    boxes, scores = output["detection_boxes"][row], output["detection_scores"][row]
    np.testing.assert_allclose(boxes[:count], own.boxes, atol=0.01)
    np.testing.assert_allclose(scores[:count], own.scores, atol=1e-4)
    labels = output["detection_classes"][row]
    np.testing.assert_array_equal(labels[:count], own.labels)
    assert not np.any(boxes[count:]) and not np.any(scores[count:])
    assert np.all(labels[count:] == -1)


def test_the_first_version_is_written_below_the_folder_and_nothing_else(exported):
    assert exported.name == "1" and exported.parent.name == "shapes"
    assert [path.name for path in exported.parent.iterdir()] == ["1"]


def test_files_are_detected_as_the_model_itself_does(expected, pictures, reloaded):
    for data, own in zip(bytes_of(pictures), expected, strict=True):
        assert_same(reloaded.serving_default(tf.constant([data])), 0, own)


def test_pixels_are_detected_as_the_model_itself_does(expected, pictures, reloaded):
    png, jpeg = bytes_of(pictures)
    images = [tf.io.decode_png(png, channels=3)]
    images += [tf.io.decode_jpeg(jpeg, dct_method="INTEGER_ACCURATE")]
    for image, own in zip(images, expected, strict=True):
        assert_same(reloaded.images(tf.cast([image], tf.float32)), 0, own)


def test_files_of_different_sizes_may_share_a_batch(expected, pictures, reloaded):
    together = reloaded.serving_default(tf.constant(bytes_of(pictures)))
    for row, own in enumerate(expected):
        assert_same(together, row, own)


def test_classes_are_named_and_padded_rows_are_not(reloaded, pictures):
    output = reloaded.serving_default(tf.constant(bytes_of(pictures)))
    labels = output["detection_classes"].numpy()
    assert {0, 1} <= set(labels.ravel()) <= {-1, 0, 1}
    names = {0: b"wide", 1: b"tall", -1: b""}
    expected = np.vectorize(names.get, otypes=[object])(labels)
    np.testing.assert_array_equal(output["detection_class_names"], expected)


def test_signatures_can_be_called_by_name(reloaded, pictures):
    assert {"serving_default", "images"} <= set(reloaded.signatures)
    data = tf.constant(bytes_of(pictures)[:1])
    output = reloaded.signatures["serving_default"](image_bytes=data)
    assert set(output) == {
        *("detection_boxes", "detection_scores", "detection_classes"),
        *("detection_class_names", "num_detections"),
    }


@pytest.mark.parametrize("method", ["caffe", "chainer", "torchvision", "bicubic"])
def test_an_export_resizes_and_pads_as_evaluation_does(
    model, pictures, tmp_path, method
):
    long_side = None if method == "bicubic" else 131
    resizing = Resizing((96,), long_side, 32, method)
    path = export_model(model, resizing, tmp_path, pictures)  # raises if they differ
    reloaded = tf.saved_model.load(path)
    # A picture of another shape has a canvas of its own, too.
    output = reloaded.images(tf.zeros([1, 40, 300, 3]))
    assert output["detection_boxes"].shape == (1, 20, 4)


def test_the_graph_needs_no_python(exported):
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((exported / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    nodes = [*graph.node]
    nodes += [node for function in graph.library.function for node in function.node_def]
    kinds = {node.op for node in nodes}
    assert {"Conv2D", "DecodeJpeg", "NonMaxSuppressionV4"} <= kinds
    assert not {kind for kind in kinds if "PyFunc" in kind}


@pytest.fixture
def copying(exported, monkeypatch):
    """Makes writing a model a copy of the exported one."""
    monkeypatch.setattr(
        export, "_write", lambda model, resizing, path: shutil.copytree(exported, path)
    )


def test_versions_count_on(model, pictures, copying, monkeypatch, tmp_path):
    monkeypatch.setattr(export, "_check", lambda *arguments: None)
    for name in ("2", "notes"):
        (tmp_path / name).mkdir()
    assert export_model(model, RESIZING, tmp_path, pictures) == tmp_path / "3"
    assert (tmp_path / "3" / "saved_model.pb").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "3", "notes"]


@pytest.mark.parametrize(
    ("kernel_factor", "background", "what"),
    [(1.0, 1e3, "20 detections instead of 0"), (1.02, 0.0, "boxes differ by")],
)
def test_an_export_that_detects_otherwise_is_discarded(
    tiny_detector, model, pictures, copying, tmp_path, kernel_factor, background, what
):
    other = tiny_detector(score_threshold=0.3)
    other.set_weights(model.get_weights())
    kernel, bias = other.box_predictor.logits.get_weights()
    bias[0] += background
    other.box_predictor.logits.set_weights([kernel * kernel_factor, bias])
    message = rf"serving_default of .*lying\.png: {what}.*; the export was discarded"
    with pytest.raises(ExportError, match=message):
        export_model(other, RESIZING, tmp_path, pictures.subset([0]))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_no_version(model, pictures, monkeypatch, tmp_path):
    def fail(model, resizing, path):
        path.mkdir()
        raise OSError("No space left on device")

    monkeypatch.setattr(export, "_write", fail)
    with pytest.raises(OSError, match="No space"):
        export_model(model, RESIZING, tmp_path, pictures)
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_several_sizes_is_not_exported(model, pictures, tmp_path):
    several = RESIZING._replace(short_sides=(96, 64))
    with pytest.raises(ValueError, match=r"short_sides = \(96, 64\).* exactly one"):
        export_model(model, several, tmp_path / "new", pictures)
    assert list(tmp_path.iterdir()) == []
