"""The model that a configuration describes."""

import contextlib
import difflib
from collections.abc import Sequence

import keras

from tf_frcnn import layers
from tf_frcnn.backbones import BACKBONES, Backbone, application_backbone
from tf_frcnn.backbones.pretrained import LoadReport, read_weights_file, set_weights
from tf_frcnn.config import Config, ConfigError
from tf_frcnn.models.faster_rcnn import FasterRCNN, FastRCNN, Parts
from tf_frcnn.models.rpn import RegionProposalNetwork, StageLosses


def build_model(config: Config, class_names: Sequence[str]) -> RegionProposalNetwork:
    """Builds the configured kind of model for these classes, with random weights.

    The weights follow from the seed of the configuration.
    """
    keras.utils.set_random_seed(config.seed)
    with _precision(config.train.precision):
        parts = _parts(config, len(class_names))
    settings = {
        "class_names": tuple(class_names),
        "rpn_losses": _losses(config, "rpn"),
        "weight_decay": config.train.weight_decay,
        "bias_rate": 2.0 if config.train.double_bias_rate else 1.0,
        "plus_one": config.boxes.plus_one,
        "seed": config.seed,
    }
    if config.model.kind == "rpn":
        model = RegionProposalNetwork(parts.of_rpn, **settings)
    else:
        model_type = FasterRCNN if config.model.kind == "faster_rcnn" else FastRCNN
        model = model_type(
            parts,
            roi_losses=_losses(config, "roi"),
            num_hard_rois=config.roi.hard_examples,
            level_rule=config.roi.level_rule,
            **settings,
        )
    model.build()
    return model


def load_initial_weights(
    config: Config, model: RegionProposalNetwork
) -> LoadReport | None:
    """Sets the weights training starts from; None where they stay random.

    Raises:
        ConfigError: the trunk has no pretrained weights, or random ones would stay.
        RuntimeError: the download failed.
        FileNotFoundError, ValueError: the file is missing or does not fit.
    """
    source = config.backbone.weights
    backbone = _backbone(config)
    if source == "random":
        _check_that_random_weights_learn(config, backbone)
        return None
    if source == "imagenet" and backbone.imagenet is None:
        raise ConfigError(
            f"backbone.weights = 'imagenet': {config.backbone.name} has no pretrained "
            "weights; set backbone.weights to random or to the path of a file."
        )
    weights = backbone.imagenet() if source == "imagenet" else read_weights_file(source)
    heads = [model.box_head] if isinstance(model, FasterRCNN) else []
    return set_weights(weights, model.backbone, *heads)


def _check_that_random_weights_learn(config: Config, backbone: Backbone) -> None:
    frozen, normalization = config.backbone.frozen_blocks, config.backbone.normalization
    if frozen:
        raise ConfigError(
            f"backbone.frozen_blocks = {frozen} would keep random weights as they are; "
            "set it to 0, or backbone.weights to pretrained ones."
        )
    if backbone.has_normalization and normalization == "frozen_batch":
        raise ConfigError(
            "backbone.normalization = 'frozen_batch' normalises nothing while "
            "backbone.weights = 'random'; set it to group."
        )


def _backbone(config: Config) -> Backbone:
    name, layer = config.backbone.name, config.backbone.layer
    if layer is not None:
        if name in BACKBONES:
            raise ConfigError(
                f"backbone.layer = {layer!r}: {name} is no network of "
                "keras.applications; leave the layer out."
            )
        backbone = application_backbone(name, layer)
    elif name in BACKBONES:
        backbone = BACKBONES[name]
    elif name[0].isupper() and hasattr(keras.applications, name):
        raise ConfigError(
            f"backbone.name = {name!r}: set backbone.layer to the layer whose output "
            "is the feature map."
        )
    else:
        near = difflib.get_close_matches(name, BACKBONES, n=1)
        hint = f"did you mean {near[0]}? There are" if near else "there are"
        raise ConfigError(
            f"backbone.name = {name!r} is no trunk; {hint} "
            f"{', '.join(sorted(BACKBONES))}, and with backbone.layer the networks of "
            "keras.applications."
        )
    frozen = config.backbone.frozen_blocks
    if frozen > backbone.num_blocks:
        raise ConfigError(
            f"backbone.frozen_blocks = {frozen}: {name} has only "
            f"{backbone.num_blocks} blocks."
        )
    return backbone


@contextlib.contextmanager
def _precision(name: str):
    """Gives layers made within the type they compute in."""
    before = keras.config.dtype_policy()
    policy = "mixed_bfloat16" if name == "bfloat16" else "float32"
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _losses(config: Config, stage: str) -> StageLosses:
    loss = config.loss
    is_focal = getattr(loss, f"{stage}_classes") == "focal"
    return StageLosses(
        sigma=getattr(loss, f"{stage}_sigma"),
        focal=(loss.focal_alpha, loss.focal_gamma) if is_focal else None,
        divisor=getattr(loss, f"{stage}_divisor"),
    )


def _parts(config: Config, num_classes: int) -> Parts:
    backbone = _backbone(config)
    anchor_grid = layers.AnchorGrid(
        backbone.strides,
        style=config.anchors.style,
        ratios=config.anchors.ratios,
        scales=config.anchors.scales,
        sizes=config.anchors.sizes,
        on_padding=config.anchors.on_padding,
    )
    return Parts(
        normalization=layers.ImageNormalization(
            config.backbone.image_mode or backbone.image_mode
        ),
        backbone=_trunk(config, backbone),
        anchor_grid=anchor_grid,
        rpn_head=layers.RPNHead(
            anchor_grid.num_anchors,
            channels=config.rpn.channels,
            score_form=config.rpn.score_form,
            num_convs=config.rpn.num_convs,
            output_size=config.rpn.output_size,
        ),
        anchor_targets=_anchor_targets(config),
        proposal_layer=_proposal_layer(config),
        proposal_targets=_proposal_targets(config),
        roi_pooling=_roi_pooling(config, backbone),
        box_head=_box_head(config, backbone),
        box_predictor=layers.BoxPredictor(
            num_classes,
            class_agnostic=config.roi.class_agnostic,
            regresses=config.roi.regress_boxes,
        ),
        detection_layer=_detection_layer(config),
    )


def _trunk(config: Config, backbone: Backbone) -> keras.Model:
    settings = {"frozen_blocks": config.backbone.frozen_blocks}
    if backbone.has_normalization:
        settings["normalization"] = config.backbone.normalization
    return backbone.build(**settings)


def _anchor_targets(config: Config) -> layers.AnchorTargetLayer:
    rpn = config.rpn
    return layers.AnchorTargetLayer(
        positive_iou=rpn.positive_iou,
        negative_iou=rpn.negative_iou,
        best_is_positive=rpn.best_is_positive,
        clobber_positives=rpn.clobber_positives,
        allowed_border=rpn.allowed_border,
        num_samples=rpn.num_samples,
        positive_fraction=rpn.positive_fraction,
        plus_one=config.boxes.plus_one,
    )


def _proposal_layer(config: Config) -> layers.ProposalLayer:
    proposals = config.proposals
    return layers.ProposalLayer(
        train_counts=(proposals.train_pre_nms, proposals.train_post_nms),
        test_counts=(proposals.test_pre_nms, proposals.test_post_nms),
        nms_iou=proposals.nms_iou,
        test_nms=proposals.test_nms,
        per_level=proposals.per_level,
        min_size=proposals.min_size,
        min_size_in=proposals.min_size_in,
        min_score=proposals.min_score,
        cut_first=proposals.cut_first,
        max_log_scale=config.boxes.max_log_scale,
        plus_one=config.boxes.plus_one,
        nms_plus_one=proposals.nms_plus_one,
    )


def _proposal_targets(config: Config) -> layers.ProposalTargetLayer:
    roi, mines = config.roi, config.roi.hard_examples is not None
    return layers.ProposalTargetLayer(
        # Hard examples are sought among all proposals.
        num_samples=config.proposals.train_post_nms if mines else roi.num_samples,
        foreground_fraction=1.0 if mines else roi.foreground_fraction,
        foreground_iou=roi.foreground_iou,
        background_iou=(roi.background_iou_low, roi.background_iou_high),
        add_ground_truth=roi.add_ground_truth,
        fill_with_repeats=roi.fill_with_repeats and not mines,
        delta_stds=roi.delta_stds,
        plus_one=config.boxes.plus_one,
    )


def _roi_pooling(config: Config, backbone: Backbone) -> layers.RoIPooling:
    roi = config.roi
    return layers.RoIPooling(
        backbone.strides[: backbone.num_roi_levels],
        method=roi.pooling,
        pooled_size=roi.pooled_size,
        crop_max_pool=roi.crop_max_pool,
        aligned=roi.aligned,
        sampling_ratio=roi.sampling_ratio,
        cell_size=roi.cell_size,
    )


def _box_head(config: Config, backbone: Backbone) -> keras.layers.Layer:
    roi = config.roi
    if backbone.build_tail is not None:
        if roi.head_convs:
            raise ConfigError(
                f"roi.head_convs = {roi.head_convs} means nothing with backbone.name = "
                f"{config.backbone.name!r}, whose own tail is the head; leave it out."
            )
        return layers.TailHead(backbone.build_tail(config.backbone.normalization))
    if roi.head_convs:
        return layers.ConvolutionalHead(
            roi.head_units,
            num_convs=roi.head_convs,
            normalization=config.backbone.normalization,
        )
    return layers.FullyConnectedHead(roi.head_units, dropout=roi.dropout)


def _detection_layer(config: Config) -> layers.DetectionLayer:
    detections = config.detections
    return layers.DetectionLayer(
        score_threshold=detections.score_threshold,
        nms_iou=detections.nms_iou,
        class_agnostic_nms=detections.class_agnostic_nms,
        max_per_image=detections.max_per_image,
        delta_stds=config.roi.delta_stds,
        max_log_scale=config.boxes.max_log_scale,
        min_size=detections.min_size,
        clip=detections.clip,
        plus_one=config.boxes.plus_one,
    )
