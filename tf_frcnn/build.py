"""From a configuration to the objects it describes: the only reader of its fields."""

import contextlib
import os
from collections.abc import Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from tf_frcnn import layers
from tf_frcnn.backbones import BACKBONES, Backbone
from tf_frcnn.backbones.pretrained import (
    LoadReport,
    imagenet_vgg16,
    read_vgg16_file,
    set_weights,
)
from tf_frcnn.config import Config, ConfigError
from tf_frcnn.data import DATASETS, ExampleSet, Policy
from tf_frcnn.data.batching import (
    derive_canvases,
    evaluation_batches,
    num_batches,
    training_batches,
)
from tf_frcnn.faster_rcnn import FasterRCNN, Parts
from tf_frcnn.schedule import WarmUpStepDecay

# Seeds far apart, so that no picture is in two splits.
_SHAPES_SEEDS = {"train": 0, "validation": 1_000_000, "test": 2_000_000}


class Resizing(NamedTuple):
    """How pictures are brought to the network's size; see `data.transforms`."""

    short_side: int
    long_side: int
    canvases: tuple[tuple[int, int], ...]


class RunPlan(NamedTuple):
    """The settings of a run that concern neither the model nor the data.

    Attributes:
        epochs: to train in all.
        validation_every: epochs from one validation to the next.
        keep_images: validation images that are drawn.
        metric: keyword arguments of `evaluation.evaluate_voc`.
    """

    epochs: int
    validation_every: int
    keep_images: int
    metric: dict[str, str | float | bool]


def build_examples(
    config: Config, split: str, class_names: Sequence[str] = ()
) -> ExampleSet:
    """Reads a split of the configured data.

    Args:
        config: the configuration.
        split: "train", "validation" or "test" for the splits of the configuration, or
            a split in the reader's own terms.
        class_names: overrides those of the configuration; a run's own classes.
    """
    data = config.data
    roles = tuple(_SHAPES_SEEDS)
    read = DATASETS[data.reader]
    if data.reader == "shapes":
        if split not in roles:
            raise ConfigError(
                f"split = {split!r}: the shapes have {', '.join(roles)} only."
            )
        for name in ("directory", "class_names", "policy"):
            if getattr(data, name):
                raise ConfigError(
                    f"data.{name} = {getattr(data, name)!r} means nothing to the "
                    "reader shapes; leave it out, or set data.reader."
                )
        return read(getattr(data, f"num_{split}"), seed=split_seed(config, split))
    name = getattr(data, f"{split}_split") if split in roles else split
    settings = {
        "class_names": tuple(class_names) or data.class_names,
        "policy": Policy(data.policy),
    }
    if data.reader == "tfds_voc":
        return read(name, data_dir=_folder(data.directory), **settings)
    if data.directory is None:
        raise ConfigError(
            "data.directory is not set; the reader voc needs the folder that holds "
            "JPEGImages and Annotations."
        )
    return read(_folder(data.directory), name, one_based=data.one_based, **settings)


def _folder(path: str | None) -> str | None:
    """Returns the path with ~ resolved, which shells leave alone behind an "="."""
    return path and os.path.expanduser(path)


def split_seed(config: Config, split: str) -> int:
    """Returns the seed of the shapes of "train", "validation" or "test"."""
    return config.seed + _SHAPES_SEEDS[split]


def build_resizing(config: Config) -> Resizing:
    """Returns how pictures are brought to the network's size."""
    data = config.data
    canvases = data.canvases or derive_canvases(data.short_side, data.long_side)
    return Resizing(data.short_side, data.long_side, tuple(canvases))


def build_training_batches(
    config: Config, examples: ExampleSet, start_epoch: int = 0
) -> tuple[tf.data.Dataset, int]:
    """Returns the endless stream of training batches and the batches per epoch."""
    settings = build_resizing(config)._asdict()
    settings["batch_size"] = config.data.batch_size
    batches = training_batches(
        examples,
        flip=config.data.flip,
        drop_difficult=not config.data.train_on_difficult,
        seed=config.seed,
        start_epoch=start_epoch,
        **settings,
    )
    return batches, num_batches(examples, **settings)


def build_evaluation_batches(config: Config, examples: ExampleSet) -> tf.data.Dataset:
    """Returns the batches of one pass over the examples."""
    return evaluation_batches(
        examples,
        batch_size=config.data.batch_size,
        **build_resizing(config)._asdict(),
    )


def build_model(config: Config, class_names: Sequence[str]) -> FasterRCNN:
    """Builds a detector of these classes with random weights, seeded by the config."""
    keras.utils.set_random_seed(config.seed)
    with _precision(config.train.precision):
        parts = _parts(config, len(class_names))
    model = FasterRCNN(
        parts,
        tuple(class_names),
        rpn_sigma=config.loss.rpn_sigma,
        roi_sigma=config.loss.roi_sigma,
        weight_decay=config.train.weight_decay,
        bias_rate=2.0 if config.train.double_bias_rate else 1.0,
        plus_one=config.boxes.plus_one,
        seed=config.seed,
    )
    model.build()
    return model


@contextlib.contextmanager
def _precision(name: str):
    """Gives layers made within the type they compute in."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(
        "mixed_bfloat16" if name == "bfloat16" else "float32"
    )
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def load_initial_weights(config: Config, model: FasterRCNN) -> LoadReport | None:
    """Sets the weights training starts from; None where they stay random.

    Raises:
        ConfigError: the trunk has no pretrained weights.
        RuntimeError: the download failed.
        FileNotFoundError, ValueError: the file is missing or does not fit.
    """
    source = config.backbone.weights
    if source == "random":
        return None
    if config.backbone.name != "vgg16":
        raise ConfigError(
            f"backbone.weights = {source!r}: {config.backbone.name} has no pretrained "
            "weights; set backbone.weights to random."
        )
    weights = imagenet_vgg16() if source == "imagenet" else read_vgg16_file(source)
    return set_weights(weights, model.backbone, model.box_head)


def compile_model(config: Config, model: FasterRCNN, steps_per_epoch: int) -> None:
    """Compiles a model with the configured optimizer."""
    train = config.train
    schedule = WarmUpStepDecay(
        train.learning_rate,
        decay_steps=tuple(round(at * steps_per_epoch) for at in train.decay_epochs),
        decay_factor=train.decay_factor,
        warmup_steps=train.warmup_steps,
        warmup_factor=train.warmup_factor,
    )
    optimizer = keras.optimizers.SGD(
        schedule, momentum=train.momentum, global_clipnorm=train.clip_norm
    )
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, jit_compile=train.jit_compile)


def build_plan(config: Config) -> RunPlan:
    """Returns what a run needs to know beside its model and its data."""
    return RunPlan(
        epochs=config.train.epochs,
        validation_every=config.train.validation_every,
        keep_images=config.train.keep_images,
        metric={
            "metric": config.evaluation.metric,
            "iou_threshold": config.evaluation.iou,
            "plus_one": config.evaluation.plus_one,
        },
    )


def _backbone(config: Config) -> Backbone:
    name, frozen = config.backbone.name, config.backbone.frozen_blocks
    if name not in BACKBONES:
        raise ConfigError(
            f"backbone.name = {name!r} must be one of {', '.join(sorted(BACKBONES))}."
        )
    if frozen > BACKBONES[name].num_blocks:
        raise ConfigError(
            f"backbone.frozen_blocks = {frozen}: {name} has only "
            f"{BACKBONES[name].num_blocks} blocks."
        )
    return BACKBONES[name]


def _parts(config: Config, num_classes: int) -> Parts:
    backbone = _backbone(config)
    anchor_grid = layers.AnchorGrid(
        backbone.stride,
        style=config.anchors.style,
        base_size=config.anchors.base_size,
        ratios=config.anchors.ratios,
        scales=config.anchors.scales,
    )
    return Parts(
        normalization=layers.ImageNormalization(backbone.image_mode),
        backbone=backbone.build(config.backbone.frozen_blocks),
        anchor_grid=anchor_grid,
        rpn_head=layers.RPNHead(
            anchor_grid.num_anchors,
            channels=config.rpn.channels,
            score_form=config.rpn.score_form,
        ),
        anchor_targets=_anchor_targets(config),
        proposal_layer=_proposal_layer(config),
        proposal_targets=_proposal_targets(config),
        roi_pooling=layers.RoIPooling(
            backbone.stride,
            method=config.roi.pooling,
            pooled_size=config.roi.pooled_size,
        ),
        box_head=layers.FullyConnectedHead(
            config.roi.head_units, dropout=config.roi.dropout
        ),
        box_predictor=layers.BoxPredictor(
            num_classes, class_agnostic=config.roi.class_agnostic
        ),
        detection_layer=layers.DetectionLayer(
            score_threshold=config.detections.score_threshold,
            nms_iou=config.detections.nms_iou,
            max_per_image=config.detections.max_per_image,
            delta_stds=config.roi.delta_stds,
            plus_one=config.boxes.plus_one,
        ),
    )


def _anchor_targets(config: Config) -> layers.AnchorTargetLayer:
    rpn = config.rpn
    return layers.AnchorTargetLayer(
        positive_iou=rpn.positive_iou,
        negative_iou=rpn.negative_iou,
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
        min_size=proposals.min_size,
        plus_one=config.boxes.plus_one,
    )


def _proposal_targets(config: Config) -> layers.ProposalTargetLayer:
    roi = config.roi
    return layers.ProposalTargetLayer(
        num_samples=roi.num_samples,
        foreground_fraction=roi.foreground_fraction,
        foreground_iou=roi.foreground_iou,
        background_iou=(roi.background_iou_low, roi.background_iou_high),
        add_ground_truth=roi.add_ground_truth,
        fill_with_repeats=roi.fill_with_repeats,
        delta_stds=roi.delta_stds,
        plus_one=config.boxes.plus_one,
    )
