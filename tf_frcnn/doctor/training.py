"""Rules for the training settings of a data set of one's own.

The recipes of the publications are made for VOC and COCO: tens of thousands of steps on
thousands of images. These rules say what to change for other data, by its numbers.
"""

import math
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np

from tf_frcnn.assembly import backbone_of
from tf_frcnn.config import Config
from tf_frcnn.data import ExampleSet

# Below so many steps SGD at the recipes' rates does not learn rare classes: VOC07 has
# 70,000 of them. docs/measurements.md has the experiment.
_STEPS_OF_SGD = 20_000
# Steps after which Adam was near its best there, and epochs that no set goes below.
_STEPS_OF_ADAM, _FEWEST_EPOCHS, _MOST_EPOCHS = 1_000, 4, 100
# Factor of steps and rate where the backbone has to be learned, too.
_FROM_RANDOM = 3
_ADAM_RATE, _WARMUP_STEPS = 1e-4, 100
_ADAM_ALONE = {"train.clip_norm": 10.0, "train.weight_decay": 0.0}
# When the rate falls, as a share of the epochs.
_DECAY_AT = 0.75
# A class that is less than this share of the objects in its own images is rare there.
_RARE = 0.1
# RoIs of an image that should be of its rarest class, and samples that may be drawn.
_RARE_ROIS = 8
_SAMPLES = ((128, 0.25), (128, 0.5), (256, 0.5), (512, 0.5))
# Two layers of 4096 units have 119 million weights, of 1024 units (Lin et al. 2017,
# section 4.2) 27 million; below so many objects to learn from the latter are taken.
_OBJECTS_OF_LARGE_HEAD, _SMALL_HEAD = 100_000, 1024
# Share of the time that validation may take; an image costs a third of a step.
_VALIDATION_SHARE, _VALIDATION_COST = 0.05, 1 / 3
# Detections and proposals of an image, as multiples of the most objects of one.
_DETECTIONS, _PROPOSALS = 1.5, 5


class Counts(NamedTuple):
    """The numbers that the rules read.

    Attributes:
        images: number of training images.
        objects: number of objects of each class, int64 [K].
        most: largest number of objects of an image.
        shares: float64 [K], the median share of a class among the objects of an image
            that has it; 1 for a class without objects.
        class_names: K names.
        validation_images: number of validation images.
    """

    images: int
    objects: np.ndarray
    most: int
    shares: np.ndarray
    class_names: tuple[str, ...]
    validation_images: int

    @property
    def rarest(self) -> int:
        """Label of the class with the smallest share."""
        return int(np.argmin(self.shares))


def counts_of(examples: ExampleSet, validation: ExampleSet) -> Counts:
    """Counts the objects of the training split."""
    num_classes = len(examples.class_names)
    per_image = np.stack(
        [
            np.bincount(r.labels[~r.crowd], minlength=num_classes)
            for r in examples.records
        ]
    )
    shares = np.ones(num_classes)
    for label, counts in enumerate(per_image.T):
        if (has := counts > 0).any():
            shares[label] = np.median(counts[has] / per_image[has].sum(axis=1))
    return Counts(
        images=len(examples.records),
        objects=per_image.sum(axis=0),
        most=int(per_image.sum(axis=1).max()),
        shares=shares,
        class_names=examples.class_names,
        validation_images=len(validation.records),
    )


class Choice(NamedTuple):
    """Settings that belong together, and why they are chosen.

    Attributes:
        settings: dotted path -> value.
        reason: a sentence, with numbers of the data.
    """

    settings: dict[str, Any]
    reason: str


def training_choices(
    counts: Counts,
    config: Config,
    can_bfloat16: bool = False,
    *,
    keep: Collection[str] = (),
    is_trained: bool = False,
) -> list[Choice]:
    """Returns the settings of the training that differ from the configuration's.

    Args:
        counts: of the data.
        config: the configuration that the choices start from.
        can_bfloat16: whether the machine multiplies bfloat16.
        keep: dotted paths of settings that stay as they are.
        is_trained: whether training starts from a trained network's weights.
    """
    from_random = config.backbone.weights == "random" and not is_trained
    choices = [
        *_optimization(counts, config, keep, _FROM_RANDOM if from_random else 1),
        *_rois(counts, config),
        *_head(counts, config),
        *_crowds(counts, config),
        *_precision(config, can_bfloat16),
    ]
    kept = [
        Choice({p: v for p, v in settings.items() if p not in keep}, reason)
        for settings, reason in choices
    ]
    return [choice for choice in kept if choice.settings]


def _optimization(
    counts: Counts, config: Config, keep: Collection[str], factor: int
) -> list[Choice]:
    """Takes Adam where SGD would have too few steps, or a class is rare.

    Its steps and its rate are multiplied by the factor.
    Alternating training keeps its own steps.
    """
    train, batch_size = config.train, config.data.batch_size
    if train.scheme == "alternating":
        return []
    own_steps = counts.images * train.epochs // batch_size
    share, name = counts.shares.min(), counts.class_names[counts.rarest]
    is_long = own_steps >= _STEPS_OF_SGD
    needs_adam = train.optimizer == "sgd" and (not is_long or share < _RARE)
    if "train.optimizer" in keep or (is_long and not needs_adam):
        return _validation(counts, config, train.epochs)
    steps_per_epoch = math.ceil(counts.images / batch_size)
    epochs = math.ceil(_STEPS_OF_ADAM * factor / steps_per_epoch)
    epochs = min(max(epochs, _FEWEST_EPOCHS), _MOST_EPOCHS)
    epochs = train.epochs if "train.epochs" in keep else epochs
    steps = epochs * steps_per_epoch
    schedule: dict[str, Any] = {"train.epochs": epochs}
    if train.schedule == "steps":
        schedule["train.decay_epochs"] = [_DECAY_AT * epochs]
    rate: dict[str, Any] = {
        "train.learning_rate": round(_ADAM_RATE * factor, 6),
        "train.warmup_steps": min(_WARMUP_STEPS, steps // 10),
    }
    reason = f"The rate and its rise are for {steps} steps of Adam."
    if factor > 1:
        reason = "A random backbone, which is learned too, takes more and larger steps."
    if needs_adam:
        rate = {"train.optimizer": "adam", **rate, **_ADAM_ALONE}
        cause = (
            f"{counts.images} images give {own_steps} steps in {train.epochs} epochs"
        )
        if is_long:
            cause = f"{name} is {share:.0%} of the objects in the images that have it"
        reason = (
            f"{cause}; SGD, whose steps shrink with the gradients, learns rare objects "
            "only in tens of thousands of steps. Adam would divide a decay of the "
            "weights by their gradients, so there is none."
        )
    return [
        Choice(
            schedule,
            f"{epochs} epochs of {counts.images} images are {steps} steps; if the "
            "validation's mAP still rises at the end, take more.",
        ),
        Choice(_changed(rate, config), reason),
        *_validation(counts, config, epochs),
    ]


def _changed(settings: dict[str, Any], config: Config) -> dict[str, Any]:
    """Returns those settings of the training that differ from the configuration's."""
    return {
        path: value
        for path, value in settings.items()
        if getattr(config.train, path.partition(".")[2]) != value
    }


def _validation(counts: Counts, config: Config, epochs: int) -> list[Choice]:
    """Spends little of the time on validation."""
    cost = _VALIDATION_COST * counts.validation_images / counts.images
    every = max(math.ceil(cost / _VALIDATION_SHARE), math.ceil(epochs / 20))
    every = min(every, epochs)
    if every == config.train.validation_every:
        return []
    reason = (
        f"The {counts.validation_images} validation images take about {cost:.0%} of "
        "the time of an epoch."
    )
    return [Choice({"train.validation_every": every}, reason)]


def _rois(counts: Counts, config: Config) -> list[Choice]:
    """Samples so many RoIs that some are of the rarest class."""
    share, roi = counts.shares.min(), config.roi
    name = counts.class_names[counts.rarest]
    if roi.hard_examples is not None:
        return []
    own = (roi.num_samples, roi.foreground_fraction)
    larger = [s for s in _SAMPLES if s[0] * s[1] > own[0] * own[1] and s[0] >= own[0]]
    for samples, fraction in (own, *larger):
        if samples * fraction * share >= _RARE_ROIS:
            break
    if (samples, fraction) == own:
        return []
    settings = {"roi.num_samples": samples, "roi.foreground_fraction": fraction}
    return [
        Choice(
            settings,
            f"{name} is {share:.0%} of the objects in the images that have it: among "
            f"{own[0] * own[1]:.0f} RoIs with objects {own[0] * own[1] * share:.1f} "
            f"would show it, among {samples * fraction:.0f} they are "
            f"{samples * fraction * share:.1f}.",
        )
    ]


def _head(counts: Counts, config: Config) -> list[Choice]:
    """Takes a smaller head where few objects are to be learned from."""
    has_layers = backbone_of(config).build_tail is None and not config.roi.head_convs
    num_objects = int(counts.objects.sum())
    is_large = has_layers and config.roi.head_units > _SMALL_HEAD
    if not is_large or num_objects >= _OBJECTS_OF_LARGE_HEAD:
        return []
    return [
        Choice(
            {"roi.head_units": _SMALL_HEAD, "roi.dropout": 0.0},
            f"{num_objects} objects are few for two layers of "
            f"{config.roi.head_units} units; {_SMALL_HEAD} without dropout learn "
            "faster, and Adam needs a quarter of the memory.",
        )
    ]


def _crowds(counts: Counts, config: Config) -> list[Choice]:
    """Makes room for all objects of the fullest image."""
    limits = {
        "detections.max_per_image": (config.detections.max_per_image, _DETECTIONS),
        "proposals.test_post_nms": (config.proposals.test_post_nms, _PROPOSALS),
    }
    settings = {
        path: math.ceil(counts.most * factor / 100) * 100
        for path, (own, factor) in limits.items()
        if own < counts.most * factor
    }
    wanted = settings.get("proposals.test_post_nms", 0)
    entering = config.proposals.test_pre_nms
    if entering is not None and entering < wanted:
        settings["proposals.test_pre_nms"] = wanted
    return [Choice(settings, f"An image has up to {counts.most} objects.")]


def _precision(config: Config, can_bfloat16: bool) -> list[Choice]:
    if not can_bfloat16 or config.train.precision == "bfloat16":
        return []
    reason = "This machine multiplies bfloat16 faster; others need float32."
    return [Choice({"train.precision": "bfloat16"}, reason)]
