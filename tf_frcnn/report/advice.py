"""What to change, from what costs most."""

from typing import NamedTuple

import numpy as np

from tf_frcnn.assembly import backbone_of
from tf_frcnn.config import Config
from tf_frcnn.doctor.anchors import anchor_sides_of
from tf_frcnn.report.causes import MISS, Cause
from tf_frcnn.report.trials import Trials

# Causes that are advised on, and the mAP that one must cost.
_ADVISED, _WORTH = 2, 0.003
# What the limit of the final suppression decides about.
_OF_SUPPRESSION = ("nms", "duplicate")
# What stands between the detected class and that of the object.
_BETWEEN = {"class": "for", "class_and_box": "beside"}
# Classes named in a sentence.
_NAMED = 3
# Objects of fewer pixels are small for one map of stride 16, and for a pyramid.
_SMALL_SIDE = 32.0

# A text and settings.
_Remedy = tuple[str, tuple[str, ...]]


class Advice(NamedTuple):
    """What to do about a cause.

    Attributes:
        cause: the cause.
        finding: what it took, a sentence.
        remedy: what to change, a sentence or two.
        settings: SECTION.NAME=VALUE, to try without training; empty if it needs one.
    """

    cause: Cause
    finding: str
    remedy: str
    settings: tuple[str, ...] = ()


def advice_on(
    causes: list[Cause],
    config: Config,
    class_names: tuple[str, ...],
    used: np.ndarray,
    trials: Trials,
) -> list[Advice]:
    """Returns advice on the two costliest causes, the costliest first.

    The final suppression counts by what another limit of it wins, because what mends
    its misses makes duplicates. Where that is not among the two, it is a third.

    Args:
        causes: that occur.
        config: of the run.
        class_names: K names.
        used: bool [n], the detections with a score from their class's best F1 on.
        trials: of other settings.
    """
    worth = [cause for cause in causes if _gain(cause, trials) >= _WORTH]
    worth.sort(key=lambda cause: -_gain(cause, trials))
    tried = [cause for cause in worth[_ADVISED:] if cause.name in _OF_SUPPRESSION]
    return [
        _advice(cause, config, class_names, used, trials)
        for cause in [*worth[:_ADVISED], *tried]
    ]


def _gain(cause: Cause, trials: Trials) -> float:
    """Returns what can be won by doing something about a cause."""
    if cause.name not in _OF_SUPPRESSION:
        return cause.cost
    if cause.name == "nms":
        return max(_gain_of_iou(trials, raised=True), trials.gain("suppression"))
    return _gain_of_iou(trials, raised=False)


def _gain_of_iou(trials: Trials, *, raised: bool) -> float:
    """Returns what a larger, or a smaller, IoU of the suppression would win."""
    is_raised = float(trials.best("nms_iou").value) > trials.nms_iou
    return trials.gain("nms_iou") if is_raised == raised else 0.0


def _advice(
    cause: Cause,
    config: Config,
    class_names: tuple[str, ...],
    used: np.ndarray,
    trials: Trials,
) -> Advice:
    finding = _missed(cause, class_names)
    if cause.group != MISS:
        finding = _alarmed(cause, class_names, int(used[cause.rows].sum()))
    remedy, settings = _remedy(cause, config, trials)
    if not settings:
        remedy += _larger_images(cause, config)
    finding += f" This costs {cause.cost:.3f} of mAP."
    return Advice(cause, finding, remedy, settings)


def _remedy(cause: Cause, config: Config, trials: Trials) -> _Remedy:
    if cause.name == "nms":
        if trials.gain("suppression") >= _gain_of_iou(trials, raised=True):
            say = "Let detections that overlap lose score, instead of dropping them"
            return _tried(say, trials, "suppression")
        return _tried("Let detections overlap more", trials, "nms_iou")
    if cause.name == "duplicate":
        say = "Let detections suppress each other at less overlap"
        return _tried(say, trials, "nms_iou")
    if cause.group == MISS:
        return _of_miss(cause, config)
    if cause.name == "class" and trials.gain("class_agnostic_nms") >= _WORTH:
        say = "Let detections of different classes suppress each other"
        return _tried(say, trials, "class_agnostic_nms")
    return _of_false_alarm(cause), ()


def _tried(say: str, trials: Trials, name: str) -> _Remedy:
    best = trials.best(name)
    return (
        f"{say}: on these images `{best.setting}` raises the mAP from "
        f"{trials.mean:.3f} to {best.mean:.3f}."
    ), (best.setting,)


def _missed(cause: Cause, class_names: tuple[str, ...]) -> str:
    things = _counted(len(cause.rows), "object was", "objects were")
    classes = _classes(cause, class_names)
    return f"{things} missed, since {cause.title}: {classes}; {_sides(cause)}."


def _alarmed(cause: Cause, class_names: tuple[str, ...], number_used: int) -> str:
    things = _counted(len(cause.rows), "false alarm is", "false alarms are")
    classes = _classes(cause, class_names)
    if cause.name in _BETWEEN:
        pairs, word = cause.pairs(class_names).items(), _BETWEEN[cause.name]
        said = [f"{n} {own} {word} {true}" for (true, own), n in pairs]
        classes = ", ".join(said[:_NAMED])
    return (
        f"{things} {cause.title}, {number_used} of them with a score above that of the "
        f"best F1: {classes}; {_sides(cause)}."
    )


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _sides(cause: Cause) -> str:
    low, high = np.quantile(cause.sides, (0.05, 0.95))
    return f"sides of {low:.0f} to {high:.0f} pixels at the network's scale"


def _classes(cause: Cause, class_names: tuple[str, ...]) -> str:
    numbers = list(cause.by_class(class_names).items())
    named = ", ".join(f"{number} {name}" for name, number in numbers[:_NAMED])
    return named + (" and others" if len(numbers) > _NAMED else "")


def _of_miss(cause: Cause, config: Config) -> _Remedy:
    proposals, detections = config.proposals, config.detections
    if cause.name == "anchor":
        return _anchors(cause, config), ()
    if cause.name in _OF_TRAINING:
        return _OF_TRAINING[cause.name], ()
    if cause.name == "min_size":
        names = "proposals.min_size", "detections.min_size"
        values = proposals.min_size, detections.min_size
        too_large = [f"{n}=0" for n, v in zip(names, values, strict=True) if v]
        return "Keep narrow boxes.", tuple(too_large)
    remedies = {
        "rpn_rank": (
            "Let more boxes enter the RPN's suppression, or train its ranking longer.",
            f"proposals.test_pre_nms={2 * (proposals.test_pre_nms or 6000)}",
        ),
        "rpn_nms": (
            "Let proposals overlap more before one suppresses the other.",
            f"proposals.nms_iou={_between(proposals.nms_iou):.2g}",
        ),
        "rpn_count": (
            "Keep more proposals; the RoI head takes time for each.",
            f"proposals.test_post_nms={2 * proposals.test_post_nms}",
        ),
        "score": (
            "Accept lower scores.",
            f"detections.score_threshold={detections.score_threshold / 2:.2g}",
        ),
        "count": (
            "Keep more detections of an image.",
            f"detections.max_per_image={2 * detections.max_per_image}",
        ),
    }
    remedy, setting = remedies[cause.name]
    return remedy, (setting,)


_OF_TRAINING = {
    "rpn_box": "Anchors lie on them, so the RPN has not learned such objects: train "
    "longer, and look at whether their boxes are marked alike.",
    "background": "Proposals lie on them, so the RoI head has not learned what they "
    "look like: train longer, augment, or add images with such objects; look at "
    "whether all of them are marked in the training data.",
    "class": "Train longer, and add images of these classes; look at whether they are "
    "told apart alike in all annotations.",
    "box": "The RoI head has not learned where such objects end: look at whether their "
    "boxes are drawn alike, and train longer.",
}


def _of_false_alarm(cause: Cause) -> str:
    if cause.name in ("class", "class_and_box"):
        return _OF_TRAINING["class"]
    if cause.name == "box":
        return _OF_TRAINING["box"]
    return (
        "Look at those of the highest scores below: objects that nobody marked are to "
        "be marked, in the training data above all; for what is truly background, "
        "train longer or add images with it."
    )


def _anchors(cause: Cause, config: Config) -> str:
    """Returns which anchors are lacking."""
    own, median = anchor_sides_of(config), float(np.median(cause.sides))
    what = "add to `anchors.ratios`, or sizes between these"
    if not own.min() <= median <= own.max():
        stride = backbone_of(config).strides[0 if median < own.min() else -1]
        what = f"add about {median / stride:.2g} to `anchors.scales`"
        if config.anchors.sizes:
            what = f"add about {median:.0f} to `anchors.sizes`"
    return (
        f"The anchors have sides of {own.min():.0f} to {own.max():.0f} pixels, half of "
        f"the objects below {median:.0f}: {what}, and train again. `tf-frcnn doctor "
        "DATA` proposes anchors that fit the training data."
    )


def _larger_images(cause: Cause, config: Config) -> str:
    """Returns advice to show small objects larger, if they are small."""
    median = float(np.median(cause.sides))
    if median >= _SMALL_SIDE:
        return ""
    return (
        f" Half of them have sides below {median:.0f} pixels at the network's scale: "
        f"larger images (`images.short_side`, now {config.images.short_side}) show "
        "them larger."
    )


def _between(iou: float) -> float:
    """Returns an IoU limit that is raised, but stays below 1."""
    return min(iou + 0.15, (1 + iou) / 2)
