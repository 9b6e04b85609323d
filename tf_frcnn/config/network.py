"""The sections of a configuration that describe the network: `config_sections` has
the others.

Lengths are pixels of the network's input picture unless a field says otherwise.
"""

from dataclasses import dataclass

from tf_frcnn.config.rules import (
    BELOW_ONE,
    COUNT,
    COUNT_OR_ZERO,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    SHARE_OR_ZERO,
    ConfigError,
    Section,
    choice,
    flag,
    optional,
    rising,
    sequence,
    setting,
)


@dataclass(frozen=True, kw_only=True)
class AnchorsConfig(Section):
    """The anchors of every cell."""

    prefix = "anchors."

    style: str = setting("caffe", choice("caffe", "centred", "corner", "torchvision"))
    """Whole-pixel windows as in caffe, real-valued ones about the cell's centre or its
    corner, or about the corner and rounded as in torchvision."""
    ratios: tuple[float, ...] = setting(
        (0.5, 1.0, 2.0), sequence(POSITIVE, filled=True)
    )
    """Heights over widths."""
    scales: tuple[float, ...] = setting(
        (8.0, 16.0, 32.0), sequence(POSITIVE, filled=True)
    )
    """Sides in multiples of the stride."""
    sizes: tuple[float, ...] = setting((), rising(sequence(POSITIVE)))
    """Sides in pixels, the same on every map, in place of the scales; empty: scales."""
    on_padding: bool = setting(False, flag)
    """Whether the canvas around a picture has anchors too, as in torchvision."""


@dataclass(frozen=True, kw_only=True)
class BoxesConfig(Section):
    """How boxes are measured."""

    prefix = "boxes."

    plus_one: bool = setting(False, flag)
    """Whether widths are xmax - xmin + 1, as in caffe, wherever boxes are handled."""
    max_log_scale: float | None = setting(None, optional(POSITIVE))
    """Largest log of a predicted height or width over the source's; null: any."""


@dataclass(frozen=True, kw_only=True)
class RPNConfig(Section):
    """The region proposal network and the anchors it is trained on."""

    prefix = "rpn."

    channels: int = setting(512, COUNT)
    """Channels of the 3x3 convolutions."""
    num_convs: int = setting(1, COUNT)
    """3x3 convolutions before the outputs."""
    output_size: int = setting(1, COUNT)
    """Side of the convolutions that give scores and deltas."""
    score_form: str = setting("softmax", choice("softmax", "sigmoid"))
    """Two scores per anchor under a softmax, or one under a sigmoid."""
    positive_iou: float = setting(0.7, SHARE)
    """From this IoU on an anchor is an object."""
    negative_iou: float = setting(0.3, SHARE_OR_ZERO)
    """Below this IoU an anchor is background."""
    best_is_positive: bool = setting(True, flag)
    """Whether an object's best anchor is an object whatever its IoU."""
    clobber_positives: bool = setting(False, flag)
    """Whether an object's best anchor is background if below the negative IoU."""
    allowed_border: float | None = setting(0.0, optional(NOT_NEGATIVE))
    """How far a training anchor may cross the picture's border; null: any distance."""
    num_samples: int = setting(256, COUNT)
    """Anchors per picture that the loss counts."""
    positive_fraction: float = setting(0.5, SHARE)
    """Largest share of objects among them."""

    def check(self) -> None:
        """Raises a ConfigError where settings contradict each other."""
        self.require_order("negative_iou", "positive_iou")
        if self.clobber_positives and not self.best_is_positive:
            raise ConfigError(
                "rpn.clobber_positives = true means nothing while "
                "rpn.best_is_positive = false; leave it out.",
                "rpn.clobber_positives",
            )


@dataclass(frozen=True, kw_only=True)
class ProposalsConfig(Section):
    """From the RPN's boxes to the box head's proposals."""

    prefix = "proposals."

    train_pre_nms: int | None = setting(12000, optional(COUNT))
    """Boxes that enter the suppression in training; null: all."""
    train_post_nms: int = setting(2000, COUNT)
    """Boxes that leave it in training."""
    test_pre_nms: int | None = setting(6000, optional(COUNT))
    """Boxes that enter the suppression in inference; null: all."""
    test_post_nms: int = setting(300, COUNT)
    """Boxes that leave it in inference."""
    nms_iou: float = setting(0.7, SHARE)
    """Above this IoU the worse of two boxes is suppressed."""
    nms_plus_one: bool | None = setting(None, optional(flag))
    """Whether the suppression adds 1 to sides; null: as boxes.plus_one says."""
    test_nms: bool = setting(True, flag)
    """Whether inference suppresses; without, it takes the best test_post_nms boxes."""
    per_level: bool = setting(False, flag)
    """Whether each level of a pyramid is cut and suppressed of its own."""
    min_size: float = setting(0.0, NOT_NEGATIVE)
    """Shortest side of a proposal, in pixels ..."""
    min_size_in: str = setting("file", choice("file", "network"))
    """... of the file, or of the network's input picture."""
    min_score: float = setting(0.0, BELOW_ONE)
    """Lowest score of a proposal."""
    cut_first: bool = setting(False, flag)
    """Whether the best boxes are taken before small ones are dropped, as torchvision
    does."""

    def check(self) -> None:
        """Raises a ConfigError where settings contradict each other."""
        for mode in ("train", "test"):
            limited = getattr(self, f"{mode}_pre_nms") is not None
            if limited and not self.per_level:
                self.require_order(f"{mode}_post_nms", f"{mode}_pre_nms")


@dataclass(frozen=True, kw_only=True)
class RoIConfig(Section):
    """The regions the box head sees, and the head."""

    prefix = "roi."

    num_samples: int = setting(128, COUNT)
    """Regions per picture in training."""
    foreground_fraction: float = setting(0.25, SHARE)
    """Largest share of objects among them."""
    foreground_iou: float = setting(0.5, SHARE)
    """From this IoU on a region is an object."""
    background_iou_high: float = setting(0.5, SHARE)
    """Below this IoU a region is background ..."""
    background_iou_low: float = setting(0.0, BELOW_ONE)
    """... if its IoU is at least this one."""
    add_ground_truth: bool = setting(True, flag)
    """Whether ground-truth boxes join the proposals in training."""
    fill_with_repeats: bool = setting(False, flag)
    """Whether regions are repeated until there are num_samples, as tf-faster-rcnn."""
    hard_examples: int | None = setting(None, optional(COUNT))
    """Learn from as many regions of the highest loss of all; null: from a sample."""
    pooling: str = setting("crop", choice("crop", "pool", "align"))
    """How features of a region are taken: crop and resize, RoIPool or RoIAlign."""
    pooled_size: int = setting(7, COUNT)
    """Rows and columns of a region's features."""
    crop_max_pool: bool = setting(True, flag)
    """Whether "crop" takes twice as many samples and their 2x2 maxima."""
    aligned: bool = setting(False, flag)
    """Whether "align" shifts by half a cell, so that samples lie between centres."""
    sampling_ratio: int = setting(2, COUNT_OR_ZERO)
    """Samples of "align" per cell and axis; 0: as many as the region has cells."""
    cell_size: str = setting("stride", choice("stride", "canvas"))
    """Pixels of a map's cell: its stride, or the canvas's sides over the map's."""
    level_rule: str = setting("size", choice("size", "anchor"))
    """Map a region is taken from: the one for its size, or its anchor's."""
    class_agnostic: bool = setting(False, flag)
    """Whether one box per region serves all classes."""
    regress_boxes: bool = setting(True, flag)
    """Whether the head moves boxes; without, detections are proposals."""
    delta_stds: tuple[float, ...] = setting(
        (0.1, 0.1, 0.2, 0.2), sequence(POSITIVE, length=4)
    )
    """Divisors of the target deltas (dy, dx, dh, dw)."""
    head_units: int = setting(4096, COUNT)
    """Units of either fully connected layer, where the trunk brings no tail."""
    head_convs: int = setting(0, COUNT_OR_ZERO)
    """3x3 convolutions of 256 channels before a single such layer; 0: two layers."""
    dropout: float = setting(0.5, BELOW_ONE)
    """Share of the units that is dropped in training, where there are two layers."""

    def check(self) -> None:
        """Raises a ConfigError where settings contradict each other."""
        self.require_order("background_iou_high", "foreground_iou")
        self.require_order("background_iou_low", "background_iou_high", strict=True)
        if self.level_rule == "anchor" and self.add_ground_truth:
            raise ConfigError(
                "roi.level_rule = 'anchor' needs roi.add_ground_truth = false: "
                "ground-truth boxes have no anchor.",
                "roi.level_rule",
                "roi.add_ground_truth",
            )


@dataclass(frozen=True, kw_only=True)
class DetectionsConfig(Section):
    """The final boxes."""

    prefix = "detections."

    score_threshold: float = setting(0.05, BELOW_ONE)
    """Boxes must score more than this."""
    nms_iou: float = setting(0.3, SHARE)
    """Above this IoU the worse of two boxes of a class is suppressed."""
    class_agnostic_nms: bool = setting(False, flag)
    """Whether boxes of different classes suppress each other, too."""
    min_size: float = setting(0.0, NOT_NEGATIVE)
    """Shortest side of a detection, in pixels of the file."""
    clip: str = setting("all_sides", choice("all_sides", "own_side", "none"))
    """Where boxes end at the picture's border: everywhere, each corner only at its own
    side, as in tf-faster-rcnn, or nowhere."""
    max_per_image: int = setting(100, COUNT)
    """Best boxes that are kept of all classes together."""


@dataclass(frozen=True, kw_only=True)
class LossConfig(Section):
    """The losses of both stages; smooth L1 is quadratic up to 1 / sigma^2."""

    prefix = "loss."

    rpn_sigma: float | None = setting(3.0, optional(POSITIVE))
    """Sigma of the RPN's box loss; null: plain L1."""
    roi_sigma: float | None = setting(1.0, optional(POSITIVE))
    """Sigma of the box head's loss; null: plain L1."""
    rpn_divisor: str = setting("sampled", choice("sampled", "objects"))
    """Anchors the RPN's box loss is divided by: all sampled, or the objects."""
    roi_divisor: str = setting("sampled", choice("sampled", "objects"))
    """Regions the head's box loss is divided by: all sampled, or the objects."""
    rpn_classes: str = setting("cross_entropy", choice("cross_entropy", "focal"))
    """Form of the RPN's class loss."""
    roi_classes: str = setting("cross_entropy", choice("cross_entropy", "focal"))
    """Form of the head's class loss."""
    focal_alpha: float = setting(0.25, SHARE)
    """Weight of objects in the focal loss; background has one minus it."""
    focal_gamma: float = setting(2.0, NOT_NEGATIVE)
    """Power in the focal loss."""
