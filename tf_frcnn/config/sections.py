"""The sections of a configuration: one frozen dataclass each, checked when made.

`config_network` has those that describe the network.

Lengths are pixels of the network's input picture unless a field says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tf_frcnn.config.rules import (
    BELOW_ONE,
    COUNT,
    COUNT_OR_ZERO,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    ConfigError,
    Section,
    choice,
    distinct,
    flag,
    mapping,
    optional,
    rising,
    sequence,
    setting,
    text,
)


@dataclass(frozen=True, kw_only=True)
class DataConfig(Section):
    """Which pictures there are and how they reach the network."""

    prefix = "data."

    reader: str = setting("voc", text)
    """A name of `data.readers.DATASETS`: voc (a folder in VOC's layout), tfds_voc
    (TensorFlow Datasets' VOC), shapes (drawn ones), or what was added there."""
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
    short_side: int = setting(600, COUNT)
    """Pictures are scaled so that their short side has this length ..."""
    long_side: int | None = setting(1000, optional(COUNT))
    """... unless the long side would exceed this one; null: any length."""
    resize: str = setting(
        "bilinear", choice("bilinear", "caffe", "chainer", "torchvision", "bicubic")
    )
    """The program whose rounding and interpolation are followed, or "bilinear"."""
    train_short_sides: tuple[int, ...] = setting((), rising(sequence(COUNT)))
    """Short sides that training draws from anew for each picture; empty: the above."""
    canvases: tuple[tuple[int, int], ...] = setting(
        (), sequence(sequence(COUNT, length=2))
    )
    """Heights and widths that pictures are padded to; empty derives them."""
    pad_to: int | None = setting(None, optional(COUNT))
    """Instead, each picture's own sides are padded to multiples of this."""
    batch_size: int = setting(1, COUNT)
    """Pictures per training step."""
    flip: bool = setting(True, flag)
    """Whether half of the training pictures, drawn anew every epoch, are mirrored."""
    train_on_difficult: bool = setting(False, flag)
    """Whether objects marked difficult are learned."""
    proposals: str | None = setting(None, optional(text))
    """Folder of stored proposals, on which model.kind fast_rcnn trains."""
    policy: Mapping[str, str] = setting({}, mapping(choice("repair", "drop", "raise")))
    """What to do with each kind of bad data, where it is not the kind's default."""
    num_train: int = setting(800, COUNT)
    """Training pictures drawn by the reader "shapes"."""
    num_validation: int = setting(100, COUNT)
    """Validation pictures drawn by the reader "shapes"."""
    num_test: int = setting(100, COUNT)
    """Test pictures drawn by the reader "shapes"."""

    def check(self) -> None:
        """Raises a ConfigError where settings contradict each other."""
        if self.pad_to is not None and self.canvases:
            raise ConfigError(
                f"data.pad_to = {self.pad_to} gives each picture a canvas of its own; "
                "set either it or data.canvases.",
                "data.pad_to",
                "data.canvases",
            )
        if self.long_side is None:
            if self.pad_to is None and not self.canvases:
                raise ConfigError(
                    "data.long_side = null leaves open how large the canvases are; set "
                    "data.pad_to or data.canvases.",
                    "data.long_side",
                )
            return
        self.require_order("short_side", "long_side")
        if self.train_short_sides and self.train_short_sides[-1] > self.long_side:
            raise ConfigError(
                f"data.train_short_sides = {list(self.train_short_sides)} must not "
                f"exceed data.long_side = {self.long_side}.",
                "data.train_short_sides",
                "data.long_side",
            )


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Section):
    """Which stages there are."""

    prefix = "model."

    kind: str = setting("faster_rcnn", choice("faster_rcnn", "rpn", "fast_rcnn"))
    """Both stages, the proposals alone, or the second stage on stored proposals."""


@dataclass(frozen=True, kw_only=True)
class BackboneConfig(Section):
    """The trunk."""

    prefix = "backbone."

    name: str = setting("vgg16", text)
    """Name of the trunk, or the class name of a network of keras.applications."""
    layer: str | None = setting(None, optional(text))
    """Layer whose output is the map, of a network of keras.applications."""
    image_mode: str | None = setting(
        None,
        optional(
            choice("caffe", "chainer", "fast_rcnn", "raw", "scaled", "torch", "unit")
        ),
    )
    """How pictures are normalised, see `ImageNormalization`; null: as the trunk's
    pretrained weights expect."""
    normalization: str = setting("frozen_batch", choice("frozen_batch", "group"))
    """Batch statistics as they are, or groups of channels, to learn from random."""
    weights: str = setting("imagenet", text)
    """Initial weights: "imagenet", "random", or the path of a file."""
    frozen_blocks: int = setting(2, COUNT_OR_ZERO)
    """Blocks, from the picture on, whose weights stay as they are."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Section):
    """The optimization."""

    prefix = "train."

    scheme: str = setting("joint", choice("joint", "alternating"))
    """Both stages at once, or the four steps of alternating training."""
    step_epochs: tuple[int, ...] = setting((), sequence(COUNT))
    """Epochs of the four steps: RPN, detector, RPN, detector. A step keeps the
    schedule of the learning rate, stretched from train.epochs to its own length."""

    epochs: int = setting(14, COUNT)
    """Passes over the training split, of the joint scheme."""
    optimizer: str = setting("sgd", choice("sgd", "adam"))
    """SGD with momentum, as in all publications, or Adam."""
    learning_rate: float = setting(0.001, POSITIVE)
    """Initial learning rate."""
    momentum: float = setting(0.9, BELOW_ONE)
    """Momentum of SGD."""
    decay_epochs: tuple[float, ...] = setting((10.0,), rising(sequence(POSITIVE)))
    """Epochs after which the learning rate is multiplied by the factor below."""
    decay_factor: float = setting(0.1, SHARE)
    """Factor of each decay."""
    warmup_steps: int = setting(0, COUNT_OR_ZERO)
    """Steps in which the learning rate rises linearly to its initial value."""
    warmup_factor: float = setting(0.1, SHARE)
    """Share of the learning rate that the first of these steps has."""
    weight_decay: float = setting(0.0005, NOT_NEGATIVE)
    """Factor of half the squared weights in the loss; biases do not decay."""
    double_bias_rate: bool = setting(False, flag)
    """Whether biases learn at twice the rate and do not decay, as in caffe."""
    clip_norm: float | None = setting(None, optional(POSITIVE))
    """Largest norm of all gradients together; null leaves them as they are."""
    precision: str = setting("float32", choice("float32", "bfloat16"))
    """Type the trunk and the heads compute in; weights and boxes are float32."""
    jit_compile: bool = setting(False, flag)
    """Whether XLA compiles the training step."""
    validation_every: int = setting(1, COUNT)
    """Epochs from one validation to the next."""
    keep_images: int = setting(4, COUNT_OR_ZERO)
    """Validation pictures that are drawn with their detections."""

    def check(self) -> None:
        """Raises a ConfigError where settings contradict each other."""
        if (self.scheme == "alternating") != (len(self.step_epochs) == 4):
            raise ConfigError(
                f"train.step_epochs = {list(self.step_epochs)} with train.scheme = "
                f"{self.scheme!r}: alternating needs the epochs of its four steps, "
                "joint has none.",
                "train.step_epochs",
                "train.scheme",
            )


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig(Section):
    """The mean average precision."""

    prefix = "evaluation."

    metric: str = setting("11-point", choice("11-point", "area"))
    """VOC's metric until 2009, or the area under the precision envelope."""
    iou: float = setting(0.5, SHARE)
    """IoU that a correct detection needs."""
    plus_one: bool = setting(False, flag)
    """Whether the evaluation adds 1 to the sides of boxes whose corners are pixels."""
