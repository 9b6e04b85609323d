"""The settings of a run that do not concern the network: data, training, evaluation."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tf_frcnn.config.settings import (
    BelowOne,
    ConfigError,
    Count,
    CountOrZero,
    Distinct,
    FromList,
    NotNegative,
    Positive,
    Rising,
    Settings,
    Share,
    ShareOrZero,
    Text,
)


class ModelSettings(Settings):
    """The stages of the model."""

    section: ClassVar[str] = "model"

    kind: Literal["faster_rcnn", "rpn", "fast_rcnn"] = "faster_rcnn"
    """Both stages, the proposals alone, or the second stage on stored proposals."""


class DataSettings(Settings):
    """The images of a run and how training draws them."""

    section: ClassVar[str] = "data"

    reader: Text = "voc"
    """Name of the reader: "voc", "coco", "yolo", "csv" or "tfrecord" (folders and files
    in these forms), "tfds" (any data set of TensorFlow Datasets), "tfds_voc" (its VOC,
    years joined), "shapes" (drawn), or another name of `DATASETS`."""
    directory: Text | None = None
    """The data set's folder or file. For "tfds" the builder's name, such as
    "coco/2017", for "tfds_voc" the data directory of TensorFlow Datasets."""
    data_dir: Text | None = None
    """Data directory of TensorFlow Datasets for the reader "tfds"; null: its
    default."""
    class_file: Text | None = None
    """File of the class names for the readers "tfrecord" (a label map) and "csv" (rows
    name,number); null: the one beside the data."""
    train_split: Text = "trainval"
    """Split to train on; readers may allow sums such as "train+val". A part of any
    split is "train[:90%]", the rest of it "train[90%:]"."""
    validation_split: Text = "test"
    """Split whose mAP is measured during training."""
    test_split: Text = "test"
    """Split of the final evaluation."""
    max_images: Count | None = None
    """Most images of each split that are used, spread evenly over it, for a trial;
    null: all. The whole split is read and checked all the same."""
    class_names: Annotated[tuple[Text, ...], FromList, Distinct] = ()
    """Classes in the order of their labels; empty: those of the data."""
    one_based: bool = True
    """Whether the annotations count pixels from 1, both corners inclusive, as in
    VOC."""
    follow_links: bool = True
    """Whether readers of folders follow symbolic links, and names of images, that lead
    out of the folder."""
    train_short_sides: Annotated[tuple[Count, ...], FromList, Rising] = ()
    """Short sides, of which training draws one for each image; empty:
    images.short_side."""
    batch_size: Count = 1
    """Images per training step."""
    flip: bool = True
    """Whether half of the training images, drawn anew every epoch, are mirrored."""
    train_on_difficult: bool = False
    """Whether objects marked difficult are learned."""
    repeat_below: Share | None = None
    """Images with a class that fewer than this share of the images have are repeated
    within an epoch, sqrt(this / the class's share) times on average; null: none."""
    max_negatives: BelowOne | None = None
    """Largest share of an epoch's images that have no object; if there are more, other
    ones are drawn in each epoch. Null: as many as there are."""
    max_unreadable: CountOrZero = 10
    """Images that may vanish or break during training; another one takes the place of
    each. One more, and training ends; 0: the first one ends it."""
    cache: Literal["none", "memory", "disk"] = "none"
    """Where training images are kept that were decoded, and resized if that is the same
    in each epoch; "disk" is the folder of TF_FRCNN_CACHE."""
    num_workers: Count | None = None
    """Training images that are prepared side by side; null: as many as pay."""
    proposals: Text | None = None
    """Folder of stored proposals, on which model.kind fast_rcnn trains."""
    policy: dict[str, Literal["repair", "drop", "keep", "raise"]] = Field(
        default_factory=dict
    )
    """Action for each kind of bad data, where it is not the kind's default."""
    num_train: Count = 800
    """Training images drawn by the reader "shapes"."""
    num_validation: Count = 100
    """Validation images drawn by the reader "shapes"."""
    num_test: Count = 100
    """Test images drawn by the reader "shapes"."""


class TrainSettings(Settings):
    """The optimization."""

    section: ClassVar[str] = "train"

    scheme: Literal["joint", "alternating"] = "joint"
    """Both stages at once, or the four steps of alternating training."""
    step_epochs: Annotated[tuple[Count, ...], FromList] = ()
    """Epochs of the four steps: RPN, detector, RPN, detector. A step keeps the
    schedule of the learning rate, stretched from train.epochs to its own length."""
    epochs: Count = 14
    """Passes over the training split in the joint scheme."""
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    """SGD with momentum, as in all publications, Adam, or AdamW."""
    learning_rate: Positive = 0.001
    """Initial learning rate."""
    rate_batch_size: Count | None = None
    """Batch size that the learning rate is meant for; with larger batches the rate is
    larger by as much, and rises to it over the first 1000 steps, or the first epoch,
    unless warmup_steps is set. Null: the rate is as given."""
    momentum: BelowOne = 0.9
    """Momentum of SGD."""
    schedule: Literal["steps", "cosine", "plateau"] = "steps"
    """Fall of the learning rate: in steps, along half a cosine over all epochs, or
    whenever validations have brought nothing better for a while."""
    decay_epochs: Annotated[tuple[Positive, ...], FromList, Rising] = (10.0,)
    """Epochs after which "steps" multiplies the learning rate by the factor below."""
    decay_factor: Share = 0.1
    """Factor of each decay of "steps" and "plateau"."""
    plateau_patience: Count = 3
    """Validations without a better train.best_by after which "plateau" multiplies the
    learning rate by this factor."""
    final_factor: ShareOrZero = 0.01
    """Share of the learning rate at which "cosine" ends."""
    final_epochs: NotNegative = 0.0
    """Epochs at the end that "cosine" leaves at this rate."""
    warmup_steps: CountOrZero = 0
    """Steps over which the learning rate rises linearly to its initial value."""
    warmup_factor: Share = 0.1
    """Share of the learning rate in the first of these steps."""
    weight_decay: NotNegative = 0.0005
    """Factor of half the squared weights in the loss; with "adamw" the share of the
    weights, times the learning rate, that each step takes away. Biases do not decay."""
    double_bias_rate: bool = False
    """Whether biases learn at twice the rate and do not decay, as in caffe."""
    clip_norm: Positive | None = None
    """Largest norm of all gradients together; null: no limit."""
    ema: BelowOne = 0.0
    """Share of itself that a moving average of the weights keeps at each step, such as
    0.999, less in the first steps; what is validated, kept and exported is the average.
    0: the weights themselves."""
    on_non_finite: Literal["stop", "skip"] = "stop"
    """What becomes of a step with a loss or a gradient that is NaN or infinite: it ends
    the training, or it is passed over and counted; ten in a row end it then too."""
    precision: Literal["float32", "bfloat16", "mixed_float16"] = "float32"
    """Type that backbone and heads compute in; weights and boxes are float32. With
    "mixed_float16" the loss is scaled, and steps whose gradients overflow are passed
    over."""
    strategy: Literal["none", "mirrored", "multi_worker"] = "none"
    """Whether all devices of this machine divide each batch, or those of the workers
    that the variable TF_CONFIG names."""
    jit_compile: Literal[True, False, "auto"] = False
    """Whether XLA compiles the training step; "auto": on a GPU or TPU, without a
    strategy for several devices."""
    validation_every: Count = 1
    """Epochs from one validation to the next."""
    keep_images: CountOrZero = 4
    """Validation images that are drawn with their detections."""
    best_by: Text | None = None
    """Figure of the validations that decides which weights are the best: "val_mAP",
    "val_AP/NAME" of a class, "val_loss" or another loss; null: the mAP, of an RPN alone
    the recall of its proposals ("val_recall")."""
    patience: Count | None = None
    """Validations without a better train.best_by after which the training ends; null:
    it has all of its epochs."""
    save_minutes: Positive = 10.0
    """Minutes between two checkpoints within an epoch."""
    keep_checkpoints: Count = 3
    """Checkpoints that are kept, beside the best weights."""

    def check(self) -> None:
        """Raises a ConfigError where settings contradict each other."""
        if (self.scheme == "alternating") != (len(self.step_epochs) == 4):
            raise ConfigError(
                f"train.step_epochs = {list(self.step_epochs)} with train.scheme = "
                f"{self.scheme!r}: alternating needs the epochs of its four steps, "
                "joint takes none.",
                "train.step_epochs",
                "train.scheme",
            )
        if self.strategy != "none":
            self._check_devices()
        if self.schedule == "cosine" and self.final_epochs >= self.epochs:
            raise ConfigError(
                f"train.final_epochs = {self.final_epochs} must be less than "
                f"train.epochs = {self.epochs}.",
                "train.final_epochs",
                "train.epochs",
            )

    def _check_devices(self) -> None:
        for name, value in (("scheme", "alternating"), ("on_non_finite", "skip")):
            if getattr(self, name) == value:
                raise ConfigError(
                    f"train.{name} = {value!r} needs train.strategy = 'none', not "
                    f"{self.strategy!r}.",
                    f"train.{name}",
                    "train.strategy",
                )


class EvaluationSettings(Settings):
    """The mean average precision."""

    section: ClassVar[str] = "evaluation"

    metric: Text = "11-point"
    """VOC's metric until 2009 ("11-point"), the area under the precision envelope
    ("area"), COCO's average over the IoU from 0.5 to 0.95 ("coco"), or another name of
    `METRICS`."""
    iou: Share = 0.5
    """IoU that a correct detection needs; "coco" has its own."""
    plus_one: bool = False
    """Whether the evaluation adds 1 to the sides of boxes whose corners are pixels; not
    with "coco"."""
