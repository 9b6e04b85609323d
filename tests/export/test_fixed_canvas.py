import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data import Resizing
from tf_frcnn.export.fixed_canvas import (
    canvas_function,
    canvas_inputs,
    default_canvas,
)


@pytest.mark.parametrize(
    ("long_side", "canvases", "expected"),
    [
        (160, ((96, 128), (96, 160), (160, 96)), (96, 160)),
        (160, ((96, 160), (160, 160), (192, 96)), (160, 160)),
        (160, ((160, 96), (128, 96)), (160, 96)),
        (131, 32, (96, 160)),
    ],
)
def test_the_default_canvas_is_the_largest_that_is_not_upright(
    long_side, canvases, expected
):
    assert default_canvas(Resizing((96,), long_side, canvases)) == expected


def test_without_a_longest_side_the_canvas_must_be_given():
    with pytest.raises(ValueError, match="no largest canvas; give one with --canvas"):
        default_canvas(Resizing((96,), None, 32, "bicubic"))


@pytest.fixture(scope="module", params=["one head", "cascade"])
def model(request, model, tiny_detector):
    if request.param == "one head":
        return model
    roi = {"cascade_ious": [0.6], "class_agnostic": True}
    return tiny_detector(roi=roi, detections={"score_threshold": 0.1})


@pytest.fixture(scope="module")
def graph(model):
    function = canvas_function(model)
    inputs = canvas_inputs((96, 128))
    return tf.function(function, input_signature=inputs, autograph=False)


def test_a_graph_holds_its_weights_and_has_operations_that_others_know(graph, model):
    concrete = graph.get_concrete_function()
    assert not concrete.captured_inputs
    pooling = model.roi_head.pooling
    assert not (
        pooling.for_xla or pooling.unroll or model.roi_head.detection_layer.unroll
    )
    kinds = {operation.type for operation in concrete.graph.get_operations()}
    assert "Conv2D" in kinds
    foreign = {"CropAndResize", "ReadVariableOp", "Assert", "StatelessWhile", "While"}
    assert not foreign & kinds and concrete.graph.as_graph_def().ByteSize() > 1e5


def test_a_graph_gives_the_detections_of_the_model(graph, model):
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, [1, 96, 128, 3]).astype(np.float32)
    batch = {
        "images": images,
        "image_sizes": np.float32([[96, 120]]),
        "scales": np.float32([[0.5, 0.4]]),
        "file_sizes": np.float32([[192, 300]]),
    }
    own, outputs = model(batch), graph(**batch)
    assert set(outputs) == {
        *("detection_boxes", "detection_scores", "detection_classes"),
        "num_detections",
    }
    count = int(outputs["num_detections"][0])
    assert count == np.count_nonzero(own["valid"]) > 0
    boxes = outputs["detection_boxes"] * np.float32([192, 300, 192, 300])
    np.testing.assert_allclose(boxes, own["boxes"], atol=0.01)
    np.testing.assert_allclose(outputs["detection_scores"], own["scores"], atol=1e-4)


def test_a_model_of_another_precision_is_refused(model, monkeypatch):
    backbone = model.backbone
    monkeypatch.setattr(type(backbone), "compute_dtype", "bfloat16")
    with pytest.raises(ValueError, match=r"computes in bfloat16.* train.precision"):
        canvas_function(model)
