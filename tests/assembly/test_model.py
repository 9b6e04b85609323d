import keras
import numpy as np
import pytest

from tf_frcnn import layers
from tf_frcnn.assembly import (
    build_model,
    build_plan,
    compile_model,
    load_initial_weights,
)
from tf_frcnn.config import ConfigError, load_config
from tf_frcnn.models import FastRCNN, ProposalNetwork
from tf_frcnn.models.evaluating import metric_of

# Settings other than the defaults, of which hardly two have the same value.
UNUSUAL = """
base: null
seed: 7
conventions: {base: tf_faster_rcnn, max_log_scale: 1.5}
images: {mode: scaled}
backbone: {name: tiny, weights: random, frozen_blocks: 1, normalization: group}
anchors: {style: centred, ratios: [0.4, 2.5], scales: [1, 3, 9], sizes: [20, 40, 50]}
rpn: {channels: 24, num_convs: 2, output_size: 3, score_form: sigmoid}
proposals: {train_pre_nms: 811, train_post_nms: 412, per_level: true}
roi: {num_samples: 77, add_ground_truth: false, pooling: align, pooled_size: 3,
  level_rule: anchor, class_agnostic: true, head_units: 20, dropout: 0.23}
detections: {score_threshold: 0.11, nms_iou: 0.39, max_per_image: 42}
loss: {rpn_sigma: 2.25, roi_sigma: 1.75, roi_classes: focal}
train: {epochs: 5, learning_rate: 0.04, momentum: 0.85, decay_epochs: [1, 2.5],
  decay_factor: 0.25, warmup_steps: 13, warmup_factor: 0.17, weight_decay: 0.003,
  double_bias_rate: true, clip_norm: 8.5, precision: bfloat16, jit_compile: true,
  validation_every: 3, keep_images: 6, ema: 0.97}
evaluation: {metric: area, iou: 0.65, plus_one: true}
"""


@pytest.fixture(scope="module")
def unusual_config(tmp_path_factory):
    path = tmp_path_factory.mktemp("configs") / "unusual.yaml"
    path.write_text(UNUSUAL)
    return load_config(path)


@pytest.fixture(scope="module")
def unusual_model(unusual_config):
    model = build_model(unusual_config, ("a", "b", "c"))
    compile_model(unusual_config, model, 4)
    return model


def test_every_layer_has_the_settings_of_its_part(unusual_model, unusual_config):
    config, rpn, head = unusual_config, unusual_model.rpn, unusual_model.roi_head
    conventions = config.conventions
    assert conventions.plus_one and conventions.max_log_scale == 1.5
    assert unusual_model.preprocessing.images == config.images
    assert rpn.anchor_grid.anchors == config.anchors
    assert rpn.head.rpn == rpn.anchor_targets.rpn == config.rpn
    assert rpn.proposal_layer.proposals == config.proposals
    for layer in (rpn.anchor_grid, rpn.anchor_targets, rpn.proposal_layer):
        assert layer.conventions == conventions
    for layer in (head.proposal_targets, head.pooling, head.box_head, head.predictor):
        assert layer.roi == config.roi
    assert head.detection_layer.detections == config.detections
    assert head.detection_layer.roi == config.roi
    for layer in (head.proposal_targets, head.pooling, head.detection_layer):
        assert layer.conventions == conventions
    assert rpn.loss == head.loss == config.loss
    assert rpn.stage_losses.sigma == 2.25 and head.stage_losses.sigma == 1.75


def test_a_head_of_convolutions_has_the_normalisation_of_the_backbone(config_of):
    settings = {"roi.head_convs": 3, "backbone.normalization": "group"}
    head = build_model(config_of(settings), ("a",)).roi_head.box_head
    assert (head.units, len(head.convs), head.channels) == (8, 3, 256)
    assert head.normalization == "group"


def test_convolutions_before_a_tail_are_an_error(config_of):
    tail = {"backbone.name": "mobilenet_v1_025_c4", "roi.head_convs": 3}
    with pytest.raises(ConfigError, match=r"roi\.head_convs = 3 has no effect with"):
        build_model(config_of(tail), ("a",))


def test_the_settings_arrive_in_the_model_and_the_optimizer(unusual_model):
    model, optimizer = unusual_model, unusual_model.optimizer
    assert (model.seed, model.weight_decay, model.bias_rate) == (7, 0.003, 2.0)
    assert model.roi_head.box_head.compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"
    assert model.backbone.name == "tiny" and model.uses_xla
    assert isinstance(optimizer, keras.optimizers.SGD)
    assert (optimizer.momentum, optimizer.global_clipnorm) == (0.85, 8.5)
    schedule = optimizer.get_config()["learning_rate"]["config"]
    # The decays come after 1 and 2.5 epochs of 4 steps.
    assert schedule == {
        "learning_rate": 0.04,
        "decay_steps": (4, 10),
        "decay_factor": 0.25,
        "warmup_steps": 13,
        "warmup_factor": 0.17,
    }
    # Built, so that the state of a run can be loaded before its first step.
    assert len(optimizer.variables) == 1 + len(model.trainable_variables)


def test_adam_takes_the_same_schedule_and_clipping(config_of):
    config = config_of({"train.optimizer": "adam", "train.clip_norm": 3})
    model = build_model(config, ("a",))
    compile_model(config, model, 4)
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert model.optimizer.global_clipnorm == 3
    assert float(model.optimizer.learning_rate) == np.float32(0.001)


def test_the_plan_holds_what_a_run_has_to_know(unusual_config):
    assert build_plan(unusual_config) == (5, 3, 6, 10.0, 3, None, None, 3, 0.97)


def test_the_model_knows_its_configuration_and_metric(unusual_model, unusual_config):
    metric = {"metric": "area", "iou_threshold": 0.65, "plus_one": True}
    assert metric_of(unusual_model) == metric
    assert unusual_model.settings == unusual_model.config == unusual_config


def test_the_weights_fit_the_settings(unusual_model):
    # 6 anchors with one score each; 3 * 3 cells of the backbone's 128 channels.
    assert unusual_model.rpn.head.scores.kernel.shape == (3, 3, 24, 6)
    assert unusual_model.roi_head.box_head.fc6.kernel.shape == (3 * 3 * 128, 20)
    assert unusual_model.roi_head.predictor.logits.kernel.shape == (20, 4)
    assert unusual_model.roi_head.predictor.deltas.kernel.shape == (20, 4)
    assert unusual_model.class_names == ("a", "b", "c")


def test_the_backbone_brings_its_stride_and_norm_and_is_frozen_in_part(config_of):
    vgg16 = config_of({"backbone.name": "vgg16", "backbone.frozen_blocks": 2})
    model = build_model(vgg16, ("a",))
    assert model.preprocessing.images.mode == "caffe"
    assert model.rpn.anchor_grid.strides == model.roi_head.pooling.strides == (16,)
    frozen = [layer.name for layer in model.backbone.layers if not layer.trainable]
    convs = [name for name in frozen if "conv" in name]
    assert convs == [f"block{block}_conv{n}" for block in (1, 2) for n in (1, 2)]


def test_the_kind_decides_which_stages_there_are(config_of):
    rpn = build_model(config_of({"model.kind": "rpn"}), ("a",))
    assert type(rpn) is ProposalNetwork and rpn.roi_head is None
    settings = {"model.kind": "fast_rcnn", "data.proposals": "somewhere"}
    fast_rcnn = build_model(config_of(settings), ("a",))
    assert type(fast_rcnn) is FastRCNN and fast_rcnn.rpn is None


def test_hard_examples_are_sought_among_all_proposals(config_of):
    settings = {"roi.hard_examples": 32, "proposals.train_post_nms": 500}
    model = build_model(config_of(settings), ("a",))
    sampling = model.roi_head.proposal_targets.roi
    assert sampling.hard_examples == 32 and sampling.num_samples == 500
    assert sampling.foreground_fraction == 1.0


def test_a_head_may_leave_the_boxes_alone(config_of):
    model = build_model(config_of({"roi.regress_boxes": "false"}), ("a",))
    assert model.roi_head.predictor.deltas is None


@pytest.mark.slow
def test_a_pyramid_gives_every_level_to_the_rpn_and_the_last_not_to_the_rois(config_of):
    model = build_model(config_of({"backbone.name": "resnet50_fpn"}), ("a",))
    assert model.rpn.anchor_grid.strides == (4, 8, 16, 32, 64)
    assert model.roi_head.pooling.strides == (4, 8, 16, 32)
    assert isinstance(model.roi_head.box_head, layers.FullyConnectedHead)


def test_a_tail_is_the_box_head(config_of):
    model = build_model(config_of({"backbone.name": "mobilenet_v1_025_c4"}), ("a",))
    assert isinstance(model.roi_head.box_head, layers.TailHead)


@pytest.mark.slow
def test_a_network_of_keras_applications_is_cut_at_a_layer(config_of):
    settings = {"backbone.name": "MobileNetV2", "backbone.layer": "block_12_add"}
    settings["backbone.frozen_blocks"] = 0
    model = build_model(config_of(settings), ("a",))
    assert model.rpn.anchor_grid.strides == (16,)
    with pytest.raises(ConfigError, match=r"MobileNetV2.*set backbone\.layer"):
        build_model(config_of({"backbone.name": "MobileNetV2"}), ("a",))
    with pytest.raises(
        ConfigError, match=r"backbone\.layer = 'x': tiny is not a network"
    ):
        build_model(config_of({"backbone.layer": "x"}), ("a",))


def test_equal_seeds_give_equal_weights(config_of):
    kernels = [
        build_model(config_of({"seed": seed}), ("a",)).rpn.head.convs[0].kernel.numpy()
        for seed in (3, 3, 4)
    ]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).max() > 0.01


def test_an_unknown_backbone_is_named_with_those_there_are(config_of):
    message = r"'vgg61' is not a backbone; did you mean vgg16\? There are .*zf"
    with pytest.raises(ConfigError, match=message):
        build_model(config_of({"backbone.name": "vgg61"}), ("a",))


def test_more_frozen_blocks_than_there_are_are_an_error(config_of):
    message = r"backbone\.frozen_blocks = 5: tiny has only 4 blocks\."
    with pytest.raises(ConfigError, match=message):
        build_model(config_of({"backbone.frozen_blocks": 5}), ("a",))


def test_a_backbone_without_pretrained_weights_is_not_given_any(config_of):
    config = config_of({"backbone.weights": "imagenet"})
    message = r"backbone\.weights = 'imagenet': tiny has no .* set backbone\.weights"
    with pytest.raises(ConfigError, match=message):
        load_initial_weights(config, None)


def test_random_weights_stay_as_they_are(config_of):
    assert load_initial_weights(config_of(), None) is None  # there is nothing to set


def test_random_weights_must_be_able_to_learn(config_of):
    message = r"backbone\.frozen_blocks = 2 would keep random weights as they are"
    with pytest.raises(ConfigError, match=message):
        load_initial_weights(config_of({"backbone.frozen_blocks": 2}), None)
    backbone = {"backbone.name": "mobilenet_v1_c4"}
    with pytest.raises(ConfigError, match=r"'frozen_batch' normalises nothing"):
        load_initial_weights(config_of(backbone), None)
    grouped = backbone | {"backbone.normalization": "group"}
    assert load_initial_weights(config_of(grouped), None) is None


def test_a_file_of_another_network_is_named_with_the_backbone(config_of, tmp_path):
    path = tmp_path / "other.weights.h5"
    inputs = keras.Input((None, None, 3))
    other = keras.layers.Conv2D(2, 1, name="conv1_conv")(inputs)
    keras.Model(inputs, other).save_weights(path)
    config = config_of({"backbone.weights": path})
    message = f"backbone.weights = '{path}' for tiny: .* another network, with conv1"
    with pytest.raises(ValueError, match=message):
        load_initial_weights(config, build_model(config, ("a",)))


def test_a_missing_file_of_weights_is_named(config_of, tmp_path):
    path = tmp_path / "vgg16.h5"
    config = config_of({"backbone.name": "vgg16", "backbone.weights": path})
    with pytest.raises(FileNotFoundError, match=f"{path}.*no such file"):
        load_initial_weights(config, None)
