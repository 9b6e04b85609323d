"""The model that a configuration describes."""

import contextlib
import difflib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from tf_frcnn import layers
from tf_frcnn.assembly.names import look_up
from tf_frcnn.backbones import BACKBONES, Backbone, application_backbone
from tf_frcnn.backbones.pretrained import LoadReport, read_weights_file, set_weights
from tf_frcnn.config import Config, ConfigError
from tf_frcnn.data import DATASETS
from tf_frcnn.evaluation import COCO_METRIC, METRICS, evaluate_coco
from tf_frcnn.models import (
    BOX_LOSSES,
    CLASS_LOSSES,
    CascadeHead,
    Detector,
    FasterRCNN,
    FastRCNN,
    ProposalNetwork,
    RegionProposalNetwork,
    RoIHead,
)


def build_model(config: Config, class_names: Sequence[str]) -> Detector:
    """Builds the configured kind of model for these classes, with random weights.

    The weights follow from the seed of the configuration.
    """
    check_parts(config)
    keras.utils.set_random_seed(config.seed)
    backbone, kind = backbone_of(config), _KINDS[config.model.kind]
    mode = config.images.mode or backbone.image_mode
    config = config.replace(images=config.images.replace(mode=mode))
    with _precision(config.train.precision):
        model = kind.model(
            layers.Preprocessing(config.images),
            _backbone_model(config, backbone),
            _rpn(config, backbone) if kind.has_rpn else None,
            _roi_head(config, backbone, class_names) if kind.has_roi_head else None,
            class_names=class_names,
            weight_decay=config.train.weight_decay,
            bias_rate=2.0 if config.train.double_bias_rate else 1.0,
            seed=config.seed,
            config=config,
        )
    model.build()
    return model


def check_parts(config: Config) -> None:
    """Raises a ConfigError for a name that no registry has, or parts that do not fit.

    A run checks them before it writes or reads anything.
    """
    look_up(DATASETS, config.data.reader, "data.reader")
    look_up(layers.ROI_POOLINGS, config.roi.pooling, "roi.pooling")
    look_up(CLASS_LOSSES, config.loss.rpn_classes, "loss.rpn_classes")
    look_up(CLASS_LOSSES, config.loss.roi_classes, "loss.roi_classes")
    look_up(BOX_LOSSES, config.loss.roi_boxes, "loss.roi_boxes")
    metrics = {**METRICS, COCO_METRIC: evaluate_coco}
    look_up(metrics, config.evaluation.metric, "evaluation.metric")
    backbone = backbone_of(config)
    if backbone.build_tail is not None and config.roi.head_convs:
        raise ConfigError(
            f"roi.head_convs = {config.roi.head_convs} has no effect with "
            f"backbone.name = {config.backbone.name!r}, whose own tail is the head; "
            "leave it out.",
            "roi.head_convs",
            "backbone.name",
        )


class _Kind(NamedTuple):
    """A kind of model, and the parts that it has."""

    model: type[Detector]
    has_rpn: bool = True
    has_roi_head: bool = True


_KINDS = {
    "faster_rcnn": _Kind(FasterRCNN),
    "rpn": _Kind(ProposalNetwork, has_roi_head=False),
    "fast_rcnn": _Kind(FastRCNN, has_rpn=False),
}


def read_initial_weights(config: Config) -> dict[str, list[np.ndarray]] | None:
    """Reads the weights that a training starts from; returns None for random ones.

    A run does so before it reads data, too: what is missing is told at once.

    Raises:
        ConfigError: the backbone has no pretrained weights, or random ones would stay.
        RuntimeError: the download failed.
        FileNotFoundError, ValueError: the file is missing or damaged.
    """
    source = config.backbone.weights
    backbone = backbone_of(config)
    if source == "random":
        _check_that_random_weights_learn(config, backbone)
        return None
    if source != "imagenet":
        return read_weights_file(source)
    if backbone.imagenet is None:
        raise ConfigError(
            f"backbone.weights = 'imagenet': {config.backbone.name} has no pretrained "
            "weights; set backbone.weights to random or to the path of a file."
        )
    return backbone.imagenet()


def load_initial_weights(config: Config, model: Detector) -> LoadReport | None:
    """Sets the initial weights; returns None if they stay random.

    Raises:
        ConfigError, FileNotFoundError, RuntimeError: as `read_initial_weights`.
        ValueError: the file is damaged or does not fit.
    """
    weights = read_initial_weights(config)
    if weights is None:
        return None
    heads = [] if model.roi_head is None else model.roi_head.heads()
    try:
        return set_weights(weights, model.backbone, *(h.box_head for h in heads))
    except ValueError as error:
        source, name = config.backbone.weights, config.backbone.name
        raise ValueError(
            f"backbone.weights = {source!r} for {name}: {error}"
        ) from error


def _check_that_random_weights_learn(config: Config, backbone: Backbone) -> None:
    frozen, normalization = config.backbone.frozen_blocks, config.backbone.normalization
    if frozen:
        raise ConfigError(
            f"backbone.frozen_blocks = {frozen} would keep random weights as they are; "
            "set it to 0, or backbone.weights to pretrained ones.",
            "backbone.weights",
            "backbone.frozen_blocks",
        )
    if backbone.has_normalization and normalization == "frozen_batch":
        raise ConfigError(
            "backbone.normalization = 'frozen_batch' normalises nothing while "
            "backbone.weights = 'random'; set it to group."
        )


def backbone_of(config: Config) -> Backbone:
    """Returns the configured backbone.

    Raises:
        ConfigError: there is none of that name, or a setting does not fit it.
    """
    name, layer = config.backbone.name, config.backbone.layer
    if layer is not None:
        if name in BACKBONES:
            raise ConfigError(
                f"backbone.layer = {layer!r}: {name} is not a network of "
                "keras.applications; leave out the layer."
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
            f"backbone.name = {name!r} is not a backbone; {hint} "
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
def _precision(name: str) -> Iterator[None]:
    """Sets the type that layers made within the context compute in."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy({"bfloat16": "mixed_bfloat16"}.get(name, name))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _backbone_model(config: Config, backbone: Backbone) -> keras.Model:
    settings: dict[str, Any] = {"frozen_blocks": config.backbone.frozen_blocks}
    if backbone.has_normalization:
        settings["normalization"] = config.backbone.normalization
    return backbone.build(**settings)


def _rpn(config: Config, backbone: Backbone) -> RegionProposalNetwork:
    return RegionProposalNetwork(
        backbone.strides,
        anchors=config.anchors,
        rpn=config.rpn,
        proposals=config.proposals,
        loss=config.loss,
        conventions=config.conventions,
    )


def _roi_head(
    config: Config, backbone: Backbone, class_names: Sequence[str]
) -> RoIHead:
    make = CascadeHead if config.roi.cascade_ious else RoIHead
    return make(
        len(class_names),
        _box_head(config, backbone),
        backbone.strides[: backbone.num_roi_levels],
        num_proposals=config.proposals.train_post_nms,
        roi=config.roi,
        detections=config.detections,
        loss=config.loss,
        conventions=config.conventions,
    )


def _box_head(config: Config, backbone: Backbone) -> keras.layers.Layer:
    roi = config.roi
    if backbone.build_tail is not None:
        return layers.TailHead(backbone.build_tail(config.backbone.normalization))
    if roi.head_convs:
        return layers.ConvolutionalHead(
            roi, normalization=config.backbone.normalization
        )
    return layers.FullyConnectedHead(roi)
