from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import slim_original as slim
from tests.helpers.detector_stages import first_stage, second_stage
from tf_frcnn import checkpoints
from tf_frcnn.assembly import build_evaluation_batches, build_model
from tf_frcnn.checkpoints import CheckpointError, tf_faster_rcnn
from tf_frcnn.checkpoints.class_lists import COCO, VOC
from tf_frcnn.checkpoints.files import Checkpoint
from tf_frcnn.checkpoints.name_map import named_variables
from tf_frcnn.config import make_config
from tf_frcnn.data import make_shapes
from tf_frcnn.models.evaluating import observe

pytestmark = pytest.mark.slow

SHORT_SIDE, LONG_SIDE = 160, 240
NETWORKS = ("vgg_16", "resnet_v1_50", "MobilenetV1")
MEANS = np.float32([102.9801, 115.9465, 122.7717])  # BGR
random_arrays, write_checkpoint = slim.random_arrays, slim.write_checkpoint


@pytest.fixture(scope="module", params=NETWORKS)
def pair(request, tmp_path_factory):
    """Gives a loaded checkpoint, a batch, and what the original and ours find."""
    scope, folder = request.param, tmp_path_factory.mktemp("tf")
    arrays = random_arrays(scope)
    is_old = scope == "MobilenetV1"
    version = getattr(tf.compat.v1.train.SaverDef, "V1" if is_old else "V2")
    path = write_checkpoint(folder / "iter_70000.ckpt", arrays, version)
    loaded = checkpoints.load("tf-faster-rcnn", path)
    size = {"short_side": SHORT_SIDE, "long_side": LONG_SIDE}
    config = loaded.config.replace(images=loaded.config.images.replace(**size))
    # Few RoIs share their crop here; of equal scores, rounding chooses the first.
    examples = make_shapes(1, seed=6, short_side=(125, 125))
    batches = build_evaluation_batches(config, examples).dataset
    image = tf.io.decode_png(examples.images.items[0]).numpy()
    scale = SHORT_SIDE / min(image.shape[:2])
    blob = image[..., ::-1].astype(np.float32) - MEANS
    blob = cv2.resize(blob, None, None, fx=scale, fy=scale)[np.newaxis]
    batch = next(iter(batches))
    stages = first_stage(loaded.model, batch)
    return SimpleNamespace(
        loaded=loaded,
        batch=batch,
        stages=stages,
        found=observe(loaded.model, batches)[1],
        expected=slim.Original(arrays, scope).run(blob, scale, image.shape[:2]),
    )


def close(found, expected, tolerance=1e-4):
    """Compares relative to the largest number."""
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found / scale, expected / scale, atol=tolerance)


def test_the_backbone_and_the_rpn_are_the_originals(pair):
    close(pair.stages.features[0], pair.expected["features"])
    (maps,) = pair.stages.rpn.maps
    close(maps.scores, pair.expected["rpn_cls_score"])
    yxhw = maps.deltas.numpy().reshape(-1, 4)
    close(yxhw[:, [1, 0, 3, 2]], pair.expected["rpn_bbox_pred"].reshape(-1, 4))


def test_the_proposals_are_the_originals(pair):
    proposals = pair.stages.proposals
    boxes = proposals.boxes.numpy()[proposals.valid.numpy()]
    assert len(boxes) > 40
    np.testing.assert_allclose(boxes[:, [1, 0, 3, 2]], pair.expected["rois"], atol=5e-3)


def test_the_second_stage_is_the_originals(pair):
    stages = pair.stages
    logits, deltas = second_stage(
        pair.loaded.model, pair.batch, stages.features, stages.proposals
    )
    count = len(pair.expected["rois"])
    assert np.ptp(pair.expected["logits"]) > 2.0
    close(logits[0, :count], pair.expected["logits"])
    xywh = deltas.numpy()[0, :count][..., [1, 0, 3, 2]]
    close(xywh, pair.expected["deltas"])


def test_the_detections_are_the_originals(pair, share_found):
    rows = pair.expected["detections"][:, [0, 1, 3, 2, 5, 4]]
    # Ours end behind the last pixel, the original's with it.
    boxes = pair.found.boxes - [0, 0, 1, 1]
    found = np.column_stack([pair.found.labels, pair.found.scores, boxes])
    assert len(found) == 100
    assert share_found(found, rows) >= 0.99


def test_slots_and_counters_are_ignored_and_all_else_is_used(pair):
    report = pair.loaded.report
    assert not (report.missing or report.unexpected or report.random)
    assert {"Variable", "global_step"} < set(report.ignored)
    assert "box_predictor/deltas/kernel" in report.loaded
    slots = [name for name in report.ignored if name.endswith("/biases/Momentum")]
    assert len(slots) >= 5


def test_the_settings_are_the_originals(pair):
    loaded = pair.loaded
    config = loaded.config
    is_resnet = config.backbone.name.startswith("resnet")
    assert loaded.model.class_names == VOC
    assert config.anchors.scales == (8.0, 16.0, 32.0)
    assert config.roi.crop_max_pool != is_resnet
    assert config.train.double_bias_rate == (config.backbone.name == "vgg16")
    assert "8, 16, 32" in loaded.notes[0]


@pytest.fixture
def small(tmp_path):
    """Gives a function that writes a MobileNet and loads it."""

    def load(arrays, *args, **kwargs):
        version = tf.compat.v1.train.SaverDef.V2
        path = write_checkpoint(tmp_path / "model.ckpt", arrays, version)
        return checkpoints.load("tf-faster-rcnn", path, *args, **kwargs)

    return load


def test_other_classes_give_a_new_predictor(small):
    loaded = small(random_arrays("MobilenetV1"), ("red cell", "platelet"))
    assert loaded.model.class_names == ("red cell", "platelet")
    assert all(name.startswith("box_predictor/") for name in loaded.report.random)
    assert len(loaded.report.random) == 4
    assert "new and random" in loaded.notes[-1]


def test_coco_has_smaller_anchors_too(small):
    loaded = small(random_arrays("MobilenetV1", num_scales=4, num_classes=80))
    assert loaded.model.class_names == COCO
    assert loaded.config.anchors.scales == (4.0, 8.0, 16.0, 32.0)


def test_a_missing_weight_is_named(small):
    arrays = random_arrays("MobilenetV1")
    del arrays["MobilenetV1/Conv2d_7_pointwise/BatchNorm/beta"]
    with pytest.raises(
        CheckpointError, match=r"lacks 1 of \d+.*7_pointwise/BatchNorm/b"
    ):
        small(arrays)


def test_an_unexpected_weight_is_named(small):
    arrays = random_arrays("MobilenetV1")
    arrays["MobilenetV1/mask/weights"] = np.zeros([3, 3], np.float32)
    with pytest.raises(CheckpointError, match="no place for: MobilenetV1/mask/weights"):
        small(arrays)


def describe(**sizes):
    arrays = {f"resnet_v1_{name}": np.zeros(n, np.float32) for name, n in sizes.items()}
    arrays = {name.replace("__", "/"): array for name, array in arrays.items()}
    return tf_faster_rcnn.SOURCE.describe(Checkpoint("model.ckpt", arrays), None)


def test_the_deepest_resnet_has_all_its_weights():
    sizes = {"152__cls_score__biases": 21, "152__rpn_cls_score__biases": 30}
    description = describe(**sizes)
    config = make_config(description.settings, "test")
    assert (config.images.short_side, config.images.long_side) == (800, 1333)
    assert (config.anchors.scales[0], config.proposals.test_post_nms) == (2.0, 1000)
    model = build_model(config, description.class_names)
    assert set(named_variables(model)) == set(description.name_map)
    taken = description.name_map["backbone/conv4_block36_3_conv/kernel"]
    assert taken.names == ("resnet_v1_152/block3/unit_36/bottleneck_v1/conv3/weights",)


def test_unknown_numbers_of_anchors_are_refused():
    with pytest.raises(CheckpointError, match="7 anchors per cell"):
        describe(**{"50__cls_score__biases": 21, "50__rpn_cls_score__biases": 14})


def test_a_classifier_is_not_of_this_source(small):
    with pytest.raises(CheckpointError, match="not a checkpoint of this source"):
        small({"resnet_v1_50/conv1/weights": np.zeros([7, 7, 3, 64], np.float32)})
