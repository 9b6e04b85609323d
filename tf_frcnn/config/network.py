"""The settings of the network, a class per part; the part's layers take it.

Lengths are pixels of the network's input image unless a field says otherwise.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tf_frcnn.config.settings import (
    BelowOne,
    ConfigError,
    Count,
    CountOrZero,
    FromList,
    NotNegative,
    Positive,
    Rising,
    Settings,
    Share,
    ShareOrZero,
    Text,
)

Canvas = Annotated[tuple[Count, ...], FromList, Field(min_length=2, max_length=2)]


class ImageSettings(Settings):
    """How an image is brought to the network's size and range of values."""

    section: ClassVar[str] = "images"

    short_side: Count = 600
    """Images are scaled so that their short side has this length ..."""
    long_side: Count | None = 1000
    """... unless the long side would exceed this one; null: any length."""
    resize: Literal["bilinear", "caffe", "chainer", "torchvision", "bicubic"] = (
        "bilinear"
    )
    """Program whose rounding and interpolation are followed, or "bilinear"."""
    canvases: Annotated[tuple[Canvas, ...], FromList] = ()
    """Heights and widths that images are padded to; empty derives them."""
    pad_to: Count | None = None
    """Number to multiples of which each image is padded, instead of to canvases."""
    mode: (
        Literal["caffe", "chainer", "fast_rcnn", "raw", "scaled", "torch", "unit"]
        | None
    ) = None
    """How values are normalised, see `Preprocessing`; null: as the backbone's
    pretrained weights expect."""

    def check(self) -> None:
        """Raises a ConfigError where settings contradict each other."""
        if self.pad_to is not None and self.canvases:
            raise ConfigError(
                f"images.pad_to = {self.pad_to} gives each image its own canvas; "
                "set either it or images.canvases.",
                "images.pad_to",
                "images.canvases",
            )
        if self.long_side is not None:
            self.require_order("short_side", "long_side")
        elif self.pad_to is None and not self.canvases:
            raise ConfigError(
                "images.long_side = null leaves the size of the canvases open; set "
                "images.pad_to or images.canvases.",
                "images.long_side",
            )


class BackboneSettings(Settings):
    """The backbone."""

    section: ClassVar[str] = "backbone"

    name: Text = "vgg16"
    """Name of the backbone, or the class name of a network of keras.applications."""
    layer: Text | None = None
    """Layer whose output is the feature map, of a network of keras.applications."""
    normalization: Literal["frozen_batch", "group"] = "frozen_batch"
    """Batch normalisation with frozen statistics, or group normalisation, with which a
    network trains from random weights."""
    weights: Text = "imagenet"
    """Initial weights: "imagenet", "random", or the path of a file."""
    frozen_blocks: CountOrZero = 2
    """Blocks, counted from the image, whose weights stay fixed."""


class AnchorSettings(Settings):
    """The anchors of every cell."""

    section: ClassVar[str] = "anchors"

    style: Literal["caffe", "centred", "corner", "torchvision"] = "caffe"
    """Whole-pixel windows as in caffe, real-valued ones about the cell's centre or its
    corner, or about the corner and rounded as in torchvision."""
    ratios: Annotated[tuple[Positive, ...], FromList, Field(min_length=1)] = (
        0.5,
        1.0,
        2.0,
    )
    """Heights over widths."""
    scales: Annotated[tuple[Positive, ...], FromList, Field(min_length=1)] = (
        8.0,
        16.0,
        32.0,
    )
    """Sides in multiples of the stride."""
    sizes: Annotated[tuple[Positive, ...], FromList, Rising] = ()
    """Sides in pixels, the same on every map, instead of the scales; empty: scales."""

    @property
    def per_cell(self) -> int:
        """The number A of anchors per cell."""
        return len(self.ratios) * len(self.sizes or self.scales)


class RPNSettings(Settings):
    """The region proposal network's head and the anchors it is trained on."""

    section: ClassVar[str] = "rpn"

    channels: Count = 512
    """Channels of the 3x3 convolutions: 512 for VGG16, 256 for ZF."""
    num_convs: Count = 1
    """3x3 convolutions before the outputs."""
    output_size: Count = 1
    """Kernel side of the convolutions that predict scores and deltas."""
    score_form: Literal["softmax", "sigmoid"] = "softmax"
    """Two scores per anchor under caffe's reshape-softmax, or one under a sigmoid."""
    positive_iou: Share = 0.7
    """An anchor of at least this IoU is an object."""
    negative_iou: ShareOrZero = 0.3
    """An anchor below this IoU is background."""
    best_is_positive: bool = True
    """Whether an object's best anchor is an object whatever its IoU."""
    allowed_border: NotNegative | None = 0.0
    """How far a training anchor may cross the image's border; null: any distance."""
    num_samples: Count = 256
    """Anchors per image that are sampled for the loss."""
    positive_fraction: Share = 0.5
    """Largest share of objects among them."""

    def check(self) -> None:
        """Raises a ConfigError where settings contradict each other."""
        self.require_order("negative_iou", "positive_iou")


class ProposalSettings(Settings):
    """The selection of proposals among the RPN's boxes."""

    section: ClassVar[str] = "proposals"

    train_pre_nms: Count | None = 12000
    """Boxes that enter NMS in training; null: all."""
    train_post_nms: Count = 2000
    """Boxes that NMS keeps in training."""
    test_pre_nms: Count | None = 6000
    """Boxes that enter NMS in inference; null: all."""
    test_post_nms: Count = 300
    """Boxes that NMS keeps in inference."""
    nms_iou: Share = 0.7
    """IoU above which the worse of two boxes is suppressed."""
    test_nms: bool = True
    """Whether inference uses NMS; otherwise it takes the best test_post_nms boxes."""
    per_level: bool = False
    """Whether each level of a pyramid is cut and suppressed separately."""
    min_size: NotNegative = 0.0
    """Shortest side of a proposal, in the pixels of conventions.min_size_in."""
    min_score: BelowOne = 0.0
    """Lowest score of a proposal."""

    def check(self) -> None:
        """Raises a ConfigError where settings contradict each other."""
        for mode in ("train", "test"):
            limited = getattr(self, f"{mode}_pre_nms") is not None
            if limited and not self.per_level:
                self.require_order(f"{mode}_post_nms", f"{mode}_pre_nms")

    def counts(self, training: bool | None) -> tuple[int | None, int]:
        """Returns how many boxes enter NMS (None: all) and how many leave it."""
        if training:
            return self.train_pre_nms, self.train_post_nms
        return self.test_pre_nms, self.test_post_nms


class RoISettings(Settings):
    """The RoIs that the RoI head sees, and the head."""

    section: ClassVar[str] = "roi"

    num_samples: Count = 128
    """RoIs per image in training."""
    foreground_fraction: Share = 0.25
    """Largest share of objects among them."""
    foreground_iou: Share = 0.5
    """A RoI of at least this IoU is an object."""
    background_iou_high: Share = 0.5
    """A RoI below this IoU is background ..."""
    background_iou_low: BelowOne = 0.0
    """... if its IoU is at least this one."""
    add_ground_truth: bool = True
    """Whether ground-truth boxes join the proposals in training."""
    hard_examples: Count | None = None
    """Number of RoIs of the highest loss to learn from; null: a random sample."""
    pooling: Text = "crop"
    """How the features of a RoI are pooled: "crop" (crop and resize, then max pooling),
    "pool" (RoIPool), "align" (RoIAlign), or another name of `ROI_POOLINGS`."""
    pooled_size: Count = 7
    """Rows and columns of a RoI's features."""
    crop_max_pool: bool = True
    """Whether "crop" takes twice as many samples per side and their 2x2 maxima."""
    aligned: bool = False
    """Whether "align" shifts by half a cell, so that samples lie between centres."""
    sampling_ratio: CountOrZero = 2
    """Samples of "align" per cell and axis; 0: as many as the RoI has cells."""
    level_rule: Literal["size", "anchor"] = "size"
    """Choice of the map that a RoI is pooled from: by its size, or by the level of the
    anchor that it came from (the coarsest map serves those beyond it)."""
    class_agnostic: bool = False
    """Whether one box per RoI serves all classes."""
    regress_boxes: bool = True
    """Whether the head refines boxes; otherwise detections keep their proposals."""
    delta_stds: Annotated[
        tuple[Positive, ...], FromList, Field(min_length=4, max_length=4)
    ] = (0.1, 0.1, 0.2, 0.2)
    """Divisors of the target deltas (dy, dx, dh, dw)."""
    cascade_ious: Annotated[tuple[Share, ...], FromList] = ()
    """The foreground_iou of further heads, each of which refines the boxes of the one
    before (Cascade R-CNN); empty: one head."""
    head_units: Count = 4096
    """Units of each fully connected layer, where the backbone has no tail."""
    head_convs: CountOrZero = 0
    """3x3 convolutions of 256 channels before a single such layer; 0: two layers."""
    dropout: BelowOne = 0.5
    """Dropout rate in training, where there are two layers."""

    def check(self) -> None:
        """Raises a ConfigError where settings contradict each other."""
        self.require_order("background_iou_high", "foreground_iou")
        self.require_order("background_iou_low", "background_iou_high", strict=True)
        if self.cascade_ious and not (self.class_agnostic and self.regress_boxes):
            raise ConfigError(
                f"roi.cascade_ious = {list(self.cascade_ious)} needs "
                "roi.class_agnostic = true and roi.regress_boxes = true: a head passes "
                "one refined box per RoI to the next.",
                "roi.cascade_ious",
                "roi.class_agnostic",
                "roi.regress_boxes",
            )
        if any(iou <= self.background_iou_low for iou in self.cascade_ious):
            raise ConfigError(
                f"roi.cascade_ious = {list(self.cascade_ious)}: each must be more than "
                f"roi.background_iou_low = {self.background_iou_low:g}.",
                "roi.cascade_ious",
                "roi.background_iou_low",
            )
        if self.level_rule == "anchor" and self.add_ground_truth:
            raise ConfigError(
                "roi.level_rule = 'anchor' needs roi.add_ground_truth = false: "
                "ground-truth boxes have no anchor.",
                "roi.level_rule",
                "roi.add_ground_truth",
            )


class DetectionSettings(Settings):
    """The final detections."""

    section: ClassVar[str] = "detections"

    score_threshold: BelowOne = 0.05
    """Score that a box must exceed."""
    class_thresholds: Annotated[tuple[BelowOne, ...], FromList] = ()
    """Scores that boxes of each class must exceed as well, in the order of the
    classes; empty: none. `tf-frcnn evaluate` does not use them."""
    nms_iou: Share = 0.3
    """IoU above which the worse of two boxes of a class is suppressed."""
    suppression: Literal["hard", "soft"] = "hard"
    """Whether the worse of two such boxes is dropped, or its score multiplied by one
    minus their IoU (Soft-NMS)."""
    class_agnostic_nms: bool = False
    """Whether boxes of different classes also suppress each other."""
    min_size: NotNegative = 0.0
    """Shortest side of a detection, in pixels of the file."""
    max_per_image: Count = 100
    """Number of best boxes kept over all classes."""

    def check_classes(self, num_classes: int) -> None:
        """Raises a ConfigError where the thresholds are not those of K classes."""
        count = len(self.class_thresholds)
        if count not in (0, num_classes):
            raise ConfigError(
                f"detections.class_thresholds has {count} values, but there are "
                f"{num_classes} classes; set it to [] or to one value per class.",
                "detections.class_thresholds",
            )
