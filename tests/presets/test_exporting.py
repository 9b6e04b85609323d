import json

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn import FasterRCNN


@pytest.mark.slow
def test_a_model_in_memory_is_exported_and_detects_alike(
    run_folder, pictures, tmp_path
):
    model = FasterRCNN.from_preset(run_folder)
    assert model.export(tmp_path / "out") == tmp_path / "out" / "1"
    assert model.export(tmp_path / "out", version=7) == tmp_path / "out" / "7"
    info = json.loads((tmp_path / "out" / "1" / "model_info.json").read_text())
    assert info["config"]["images"]["short_side"] == 96
    (expected,) = model.detect(pictures[:1])
    served = tf.saved_model.load(tmp_path / "out" / "1").signatures["serving_default"]
    png = tf.io.encode_png(pictures[0])
    found = served(image_bytes=png[tf.newaxis])
    count = int(found["num_detections"][0])
    assert count == len(expected.names) > 3
    np.testing.assert_allclose(
        found["detection_boxes"][0, :count] * np.tile(expected.size, 2),
        expected.boxes,
        atol=0.01,
    )


def test_an_unknown_format_is_named(run_folder, tmp_path):
    model = FasterRCNN.from_preset(run_folder)
    with pytest.raises(ValueError, match="'onxx' must be one of savedmodel, onnx, tfl"):
        model.export(tmp_path, format="onxx")
