import json
import shutil

import keras
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tf_frcnn.export import ExportError, export_model, saved_model
from tf_frcnn.version import __version__

pytestmark = pytest.mark.slow


@pytest.fixture
def copying(exported, monkeypatch):
    """Makes writing a model a copy of the exported one."""
    monkeypatch.setattr(
        saved_model,
        "write_graph",
        lambda model, resizing, path, limit: shutil.copytree(exported, path),
    )


def test_the_first_version_is_written_below_the_folder_and_nothing_else(exported):
    assert exported.name == "1" and exported.parent.name == "shapes"
    assert [path.name for path in exported.parent.iterdir()] == ["1"]


def test_a_version_says_what_it_is(exported):
    assert json.loads((exported / "model_info.json").read_text()) == {
        "versions": {
            "tf_frcnn": __version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
        "classes": ["wide", "tall"],
        "max_megapixels": 0.5,
        "made": "here",
    }


def test_a_version_has_its_classes_for_clients_of_every_kind(exported):
    assert (exported / "assets" / "classes.txt").read_text() == "wide\ntall\n"
    assert (exported / "assets" / "label_map.pbtxt").read_text() == (
        'item {\n  id: 1\n  name: "wide"\n}\nitem {\n  id: 2\n  name: "tall"\n}\n'
    )


def nodes_of(version):
    """Returns the operations of all functions of a version."""
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((version / "saved_model.pb").read_bytes())
    functions = saved.meta_graphs[0].graph_def.library.function
    return [node for function in functions for node in function.node_def]


def test_a_version_has_the_network_once_for_all_signatures(exported):
    pooled = [node for node in nodes_of(exported) if node.op == "CropAndResize"]
    assert len(pooled) == 1


def test_a_version_holds_no_operation_of_a_gradient(exported):
    nodes = nodes_of(exported)
    kinds = {node.op for node in nodes}
    assert "CropAndResize" in kinds
    assert not [kind for kind in kinds if kind.startswith("Sparse")]
    # Of each TensorFlow would warn when the version is loaded.
    own = [
        n.attr["_gradient_op_type"].s for n in nodes if "_gradient_op_type" in n.attr
    ]
    assert not [name for name in own if name.startswith(b"CustomGradient")]


def test_an_export_resizes_and_pads_by_the_method_and_multiple(
    model, resizing, images, tmp_path
):
    resizing = resizing._replace(long_side=None, canvases=32, method="bicubic")
    path = export_model(model, resizing, tmp_path, images)  # raises if they differ
    signatures = tf.saved_model.load(path).signatures
    # An image of another shape has a canvas of its own, too.
    images = tf.zeros([1, 40, 300, 3], tf.uint8)
    output = signatures["image_tensor"](image_tensor=images)
    assert output["detection_boxes"].shape == (1, 20, 4)


def test_versions_count_on(model, resizing, images, copying, tmp_path):
    for name in ("2", "notes"):
        (tmp_path / name).mkdir()
    assert export_model(model, resizing, tmp_path, images) == tmp_path / "3"
    assert (tmp_path / "3" / "saved_model.pb").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "3", "notes"]
    export_model(model, resizing, tmp_path, images, version=10)
    assert (tmp_path / "10" / "model_info.json").is_file()


def test_a_version_is_never_overwritten(model, resizing, images, tmp_path):
    for name in ("4", "7"):
        (tmp_path / name).mkdir()
    message = "4 exists, and a version is never overwritten; the next free one is 8"
    with pytest.raises(FileExistsError, match=message):
        export_model(model, resizing, tmp_path, images, version=4)
    assert not any((tmp_path / "4").iterdir())


@pytest.mark.parametrize("limit", [0, 1e-9, float("inf"), float("nan")])
def test_a_limit_that_makes_no_sense_is_refused(
    model, resizing, images, tmp_path, limit
):
    with pytest.raises(ValueError, match=f"export: max_megapixels = {limit} must lie"):
        export_model(model, resizing, tmp_path / "new", images, max_megapixels=limit)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kernel_factor", "background", "what"),
    [(1.0, 1e3, "20 detections instead of 0"), (1.02, 0.0, ".*boxes differ by")],
)
def test_an_export_that_detects_otherwise_is_discarded(
    tiny_detector,
    model,
    resizing,
    images,
    copying,
    tmp_path,
    kernel_factor,
    background,
    what,
):
    other = tiny_detector(detections={"score_threshold": 0.3})
    other.set_weights(model.get_weights())
    kernel, bias = other.roi_head.predictor.logits.get_weights()
    bias[0] += background
    other.roi_head.predictor.logits.set_weights([kernel * kernel_factor, bias])
    message = rf"serving_default of .*lying\.png: {what}.*; the export was discarded"
    with pytest.raises(ExportError, match=message):
        export_model(other, resizing, tmp_path, images.subset([0]))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_no_version(
    model, resizing, images, monkeypatch, tmp_path
):
    def fail(model, resizing, path, max_megapixels):
        path.mkdir()
        raise OSError("No space left on device")

    monkeypatch.setattr(saved_model, "write_graph", fail)
    with pytest.raises(OSError, match="No space"):
        export_model(model, resizing, tmp_path, images)
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_several_sizes_is_not_exported(model, resizing, images, tmp_path):
    several = resizing._replace(short_sides=(96, 64))
    with pytest.raises(ValueError, match=r"short_sides = \(96, 64\).* exactly one"):
        export_model(model, several, tmp_path / "new", images)
    assert list(tmp_path.iterdir()) == []
