"""The sections of a configuration: one frozen dataclass each, checked when made.

Lengths are pixels of the network's input picture unless a field says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tf_frcnn.config_rules import (
    Section,
    choice,
    distinct,
    flag,
    mapping,
    number,
    optional,
    rising,
    sequence,
    setting,
    text,
)

_COUNT = number("[1, inf)", whole=True)
_COUNT_OR_ZERO = number("[0, inf)", whole=True)
_POSITIVE = number("(0, inf)")
_NOT_NEGATIVE = number("[0, inf)")
_SHARE = number("(0, 1]")
_SHARE_OR_ZERO = number("[0, 1]")
_BELOW_ONE = number("[0, 1)")


@dataclass(frozen=True, kw_only=True)
class DataConfig(Section):
    """Which pictures there are and how they reach the network."""

    prefix = "data."

    reader: str = setting("voc", choice("voc", "tfds_voc", "shapes"))
    """A folder in VOC's layout, TensorFlow Datasets' VOC, or drawn shapes."""
    directory: str | None = setting(None, optional(text))
    """The VOC folder, or the data directory of TensorFlow Datasets."""
    train_split: str = setting("trainval", text)
    """Split to train on; readers may allow sums such as "train+val"."""
    validation_split: str = setting("test", text)
    """Split whose mAP is taken during training."""
    test_split: str = setting("test", text)
    """Split of the final evaluation."""
    class_names: tuple[str, ...] = setting((), distinct(sequence(text)))
    """Classes in the order of their labels; empty takes those of the data."""
    one_based: bool = setting(True, flag)
    """Whether the annotations count pixels from 1, both corners inclusive, as VOC."""
    short_side: int = setting(600, _COUNT)
    """Pictures are scaled so that their short side has this length ..."""
    long_side: int = setting(1000, _COUNT)
    """... unless the long side would exceed this one."""
    canvases: tuple[tuple[int, int], ...] = setting(
        (), sequence(sequence(_COUNT, length=2))
    )
    """Heights and widths that pictures are padded to; empty derives them."""
    batch_size: int = setting(1, _COUNT)
    """Pictures per training step."""
    flip: bool = setting(True, flag)
    """Whether half of the training pictures, drawn anew every epoch, are mirrored."""
    train_on_difficult: bool = setting(False, flag)
    """Whether objects marked difficult are learned."""
    policy: Mapping[str, str] = setting({}, mapping(choice("repair", "drop", "raise")))
    """What to do with each kind of bad data, where it is not the kind's default."""
    num_train: int = setting(800, _COUNT)
    """Training pictures drawn by the reader "shapes"."""
    num_validation: int = setting(100, _COUNT)
    """Validation pictures drawn by the reader "shapes"."""
    num_test: int = setting(100, _COUNT)
    """Test pictures drawn by the reader "shapes"."""

    def check(self) -> None:
        """Raises a ConfigError where settings contradict each other."""
        self.require_order("short_side", "long_side")


@dataclass(frozen=True, kw_only=True)
class BackboneConfig(Section):
    """The trunk."""

    prefix = "backbone."

    name: str = setting("vgg16", text)
    """Name of the trunk."""
    weights: str = setting("imagenet", text)
    """Initial weights: "imagenet", "random", or the path of a file."""
    frozen_blocks: int = setting(2, _COUNT_OR_ZERO)
    """Blocks, from the picture on, whose weights stay as they are."""


@dataclass(frozen=True, kw_only=True)
class AnchorsConfig(Section):
    """The anchors of every cell."""

    prefix = "anchors."

    style: str = setting("caffe", choice("caffe", "centred"))
    """Whole-pixel windows as in caffe, or real-valued ones about the cell's centre."""
    base_size: float = setting(16.0, _POSITIVE)
    """Side of an anchor of scale 1."""
    ratios: tuple[float, ...] = setting(
        (0.5, 1.0, 2.0), sequence(_POSITIVE, filled=True)
    )
    """Heights over widths."""
    scales: tuple[float, ...] = setting(
        (8.0, 16.0, 32.0), sequence(_POSITIVE, filled=True)
    )
    """Sides in multiples of the base size."""


@dataclass(frozen=True, kw_only=True)
class BoxesConfig(Section):
    """How boxes are measured."""

    prefix = "boxes."

    plus_one: bool = setting(False, flag)
    """Whether widths are xmax - xmin + 1, as in caffe, wherever boxes are handled."""


@dataclass(frozen=True, kw_only=True)
class RPNConfig(Section):
    """The region proposal network and the anchors it is trained on."""

    prefix = "rpn."

    channels: int = setting(512, _COUNT)
    """Channels of the 3x3 convolution."""
    score_form: str = setting("softmax", choice("softmax", "sigmoid"))
    """Two scores per anchor under a softmax, or one under a sigmoid."""
    positive_iou: float = setting(0.7, _SHARE)
    """From this IoU on an anchor is an object."""
    negative_iou: float = setting(0.3, _SHARE_OR_ZERO)
    """Below this IoU an anchor is background."""
    clobber_positives: bool = setting(False, flag)
    """Whether an object's best anchor is background if below the negative IoU."""
    allowed_border: float | None = setting(0.0, optional(_NOT_NEGATIVE))
    """How far a training anchor may cross the picture's border; null: any distance."""
    num_samples: int = setting(256, _COUNT)
    """Anchors per picture that the loss counts."""
    positive_fraction: float = setting(0.5, _SHARE)
    """Largest share of objects among them."""

    def check(self) -> None:
        """Raises a ConfigError where settings contradict each other."""
        self.require_order("negative_iou", "positive_iou")


@dataclass(frozen=True, kw_only=True)
class ProposalsConfig(Section):
    """From the RPN's boxes to the box head's proposals."""

    prefix = "proposals."

    train_pre_nms: int = setting(12000, _COUNT)
    """Boxes that enter the suppression in training."""
    train_post_nms: int = setting(2000, _COUNT)
    """Boxes that leave it in training."""
    test_pre_nms: int = setting(6000, _COUNT)
    """Boxes that enter the suppression in inference."""
    test_post_nms: int = setting(300, _COUNT)
    """Boxes that leave it in inference."""
    nms_iou: float = setting(0.7, _SHARE)
    """Above this IoU the worse of two boxes is suppressed."""
    min_size: float = setting(0.0, _NOT_NEGATIVE)
    """Shortest side of a proposal, in pixels of the file."""

    def check(self) -> None:
        """Raises a ConfigError where settings contradict each other."""
        self.require_order("train_post_nms", "train_pre_nms")
        self.require_order("test_post_nms", "test_pre_nms")


@dataclass(frozen=True, kw_only=True)
class RoIConfig(Section):
    """The regions the box head sees, and the head."""

    prefix = "roi."

    num_samples: int = setting(128, _COUNT)
    """Regions per picture in training."""
    foreground_fraction: float = setting(0.25, _SHARE)
    """Largest share of objects among them."""
    foreground_iou: float = setting(0.5, _SHARE)
    """From this IoU on a region is an object."""
    background_iou_high: float = setting(0.5, _SHARE)
    """Below this IoU a region is background ..."""
    background_iou_low: float = setting(0.0, _BELOW_ONE)
    """... if its IoU is at least this one."""
    add_ground_truth: bool = setting(True, flag)
    """Whether ground-truth boxes join the proposals in training."""
    fill_with_repeats: bool = setting(False, flag)
    """Whether regions are repeated until there are num_samples, as tf-faster-rcnn."""
    pooling: str = setting("crop", choice("crop"))
    """How features of a region are taken: crop and resize, then 2x2 maximum."""
    pooled_size: int = setting(7, _COUNT)
    """Rows and columns of a region's features."""
    class_agnostic: bool = setting(False, flag)
    """Whether one box per region serves all classes."""
    delta_stds: tuple[float, ...] = setting(
        (0.1, 0.1, 0.2, 0.2), sequence(_POSITIVE, length=4)
    )
    """Divisors of the target deltas (dy, dx, dh, dw)."""
    head_units: int = setting(4096, _COUNT)
    """Units of either fully connected layer."""
    dropout: float = setting(0.5, _BELOW_ONE)
    """Share of the units that is dropped in training."""

    def check(self) -> None:
        """Raises a ConfigError where settings contradict each other."""
        self.require_order("background_iou_high", "foreground_iou")
        self.require_order("background_iou_low", "background_iou_high", strict=True)


@dataclass(frozen=True, kw_only=True)
class DetectionsConfig(Section):
    """The final boxes."""

    prefix = "detections."

    score_threshold: float = setting(0.05, _BELOW_ONE)
    """Boxes must score more than this."""
    nms_iou: float = setting(0.3, _SHARE)
    """Above this IoU the worse of two boxes of a class is suppressed."""
    max_per_image: int = setting(100, _COUNT)
    """Best boxes that are kept of all classes together."""


@dataclass(frozen=True, kw_only=True)
class LossConfig(Section):
    """The smooth L1 losses: quadratic up to 1 / sigma^2."""

    prefix = "loss."

    rpn_sigma: float = setting(3.0, _POSITIVE)
    """Sigma of the RPN's box loss."""
    roi_sigma: float = setting(1.0, _POSITIVE)
    """Sigma of the box head's loss."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Section):
    """The optimization, by SGD with momentum."""

    prefix = "train."

    epochs: int = setting(14, _COUNT)
    """Passes over the training split."""
    learning_rate: float = setting(0.001, _POSITIVE)
    """Initial learning rate."""
    momentum: float = setting(0.9, _BELOW_ONE)
    """Momentum of SGD."""
    decay_epochs: tuple[float, ...] = setting((10.0,), rising(sequence(_POSITIVE)))
    """Epochs after which the learning rate is multiplied by the factor below."""
    decay_factor: float = setting(0.1, _SHARE)
    """Factor of each decay."""
    warmup_steps: int = setting(0, _COUNT_OR_ZERO)
    """Steps in which the learning rate rises linearly to its initial value."""
    warmup_factor: float = setting(0.1, _SHARE)
    """Share of the learning rate that the first of these steps has."""
    weight_decay: float = setting(0.0005, _NOT_NEGATIVE)
    """Factor of the squared weights in the loss."""
    double_bias_rate: bool = setting(False, flag)
    """Whether biases learn at twice the rate and do not decay, as in caffe."""
    clip_norm: float | None = setting(None, optional(_POSITIVE))
    """Largest norm of all gradients together; null leaves them as they are."""
    precision: str = setting("float32", choice("float32", "bfloat16"))
    """Type the trunk and the heads compute in; weights and boxes are float32."""
    jit_compile: bool = setting(False, flag)
    """Whether XLA compiles the training step."""
    validation_every: int = setting(1, _COUNT)
    """Epochs from one validation to the next."""
    keep_images: int = setting(4, _COUNT_OR_ZERO)
    """Validation pictures that are drawn with their detections."""


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig(Section):
    """The mean average precision."""

    prefix = "evaluation."

    metric: str = setting("11-point", choice("11-point", "area"))
    """VOC's metric until 2009, or the area under the precision envelope."""
    iou: float = setting(0.5, _SHARE)
    """IoU that a correct detection needs."""
    plus_one: bool = setting(False, flag)
    """Whether the evaluation adds 1 to the sides of boxes whose corners are pixels."""
