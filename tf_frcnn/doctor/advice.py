"""Advice on the image size and the anchors for a data set."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_frcnn.config import Config
from tf_frcnn.data import DataError, ExampleSet
from tf_frcnn.doctor.anchors import AnchorReport, report_of
from tf_frcnn.doctor.image_size import (
    REACH_WANTED,
    advised_sizes,
    following_long_side,
    size_reason,
)
from tf_frcnn.doctor.reach import Objects, file_boxes, network_objects
from tf_frcnn.doctor.search import (
    fit_anchors,
    fit_of_own,
    reach_limit,
    sample_of,
    with_anchors,
)

# A configuration's own anchors stay if others fit by no more than this better, and its
# border if anchors beyond it reach no more than that.
_WORTH_CHANGING, _WORTH_CROSSING = 0.01, 0.02
# Largest share of a class that may be narrower than the shortest proposal.
_DROPPED = 0.01
_NAMED = 6  # classes in a sentence


class Advice(NamedTuple):
    """Settings that raise what anchors reach, and why.

    Attributes:
        settings: dotted path of a setting -> its advised value; only what differs from
            the configuration.
        why: dotted path of the first setting of a group -> a sentence, with numbers of
            the data.
        before: what the configuration's own anchors reach.
        after: what the advised ones reach.
    """

    settings: dict[str, Any]
    why: dict[str, str]
    before: AnchorReport
    after: AnchorReport

    @property
    def reasons(self) -> list[str]:
        """The sentences, one for each group of settings."""
        return [*self.why.values()]

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON can hold them."""
        return {
            "settings": self.settings,
            "reasons": self.reasons,
            "before": self.before.to_json(),
            "after": self.after.to_json(),
        }

    def text(self) -> str:
        """Returns the settings and the reasons as text for a terminal."""
        if not self.settings:
            return "The anchors fit: no other image size or anchors reach more."
        lines = [f"{path} = {value}" for path, value in self.settings.items()]
        return "\n".join([*lines, "", *self.reasons])


def advise(
    examples: ExampleSet,
    config: Config,
    *,
    keep: Collection[str] = (),
    may_shrink: bool = True,
) -> Advice:
    """Advises on the image size and the anchors for a data set.

    Args:
        examples: the training split.
        config: the configuration that the advice starts from.
        keep: dotted paths of settings that stay as they are.
        may_shrink: whether images may become smaller than configured where their files
            are; otherwise they only become larger.

    Raises:
        DataError: no image has an object to learn.
    """
    objects = network_objects(examples, config)
    if not len(objects.labels):
        raise DataError(f"{examples.name}: no image has an object to learn.")
    before = report_of(objects, examples.class_names, config)
    advised, why = _image_size(examples, _style(config, keep), keep, may_shrink)
    advised, crossing = _border(examples, advised, keep)
    better = _with_better_anchors(examples, advised, keep)
    advised = better or advised.replace(anchors=config.anchors)
    advised, shortest = _shortest_proposal(examples, advised, keep)
    seen = network_objects(examples, advised)
    after = report_of(seen, examples.class_names, advised)
    why |= crossing | shortest
    if better:
        path = "anchors.sizes" if better.anchors.sizes else "anchors.scales"
        why[path] = _anchor_reason(seen, examples.class_names, before, after)
    return Advice(_differences(config, advised), why, before, after)


_Change = tuple[Config, dict[str, str]]


def _style(config: Config, keep: Collection[str]) -> Config:
    """Measures anchors in whole pixels no longer where nothing else is so measured."""
    rounds = config.anchors.style == "caffe" and not config.conventions.plus_one
    if not rounds or "anchors.style" in keep:
        return config
    return config.replace(anchors=config.anchors.replace(style="centred"))


def _image_size(
    examples: ExampleSet, config: Config, keep: Collection[str], may_shrink: bool
) -> _Change:
    """Takes the smallest size at which enough objects can be reached."""
    fixed = {"images.short_side", "images.long_side"} & {*keep}
    if config.images.canvases or config.data.train_short_sides:
        return config, {}
    if fixed == {"images.short_side"}:
        return _long_side(examples, config)
    if fixed:
        return config, {}
    sizes = advised_sizes(examples, config, may_shrink)
    limits: list[float] = []
    for size in sizes:
        limits.append(_limit(examples, _resized(config, size)))
        if limits[-1] >= REACH_WANTED:
            break
    row = next(i for i, own in enumerate(limits) if own > max(limits) - _WORTH_CHANGING)
    advised = _resized(config, sizes[row])
    if advised == config:
        return config, {}
    reason = size_reason(examples, config, sizes[row], limits[row], limits[0])
    return advised, {"images.short_side": reason}


def _long_side(examples: ExampleSet, config: Config) -> _Change:
    """Lets the long side follow a short side that was given."""
    short, own = config.images.short_side, config.images.long_side
    long = following_long_side(examples, short)
    if own is None or long <= own:
        return config, {}
    reason = f"Of most images the longer side has up to {long} pixels then."
    return _resized(config, (short, long)), {"images.long_side": reason}


def _resized(config: Config, size: tuple[int, int]) -> Config:
    short, long = size
    if config.images.long_side is None:
        images = config.images.replace(short_side=short)
    else:
        images = config.images.replace(short_side=short, long_side=long)
    return config.replace(images=images)


def _limit(examples: ExampleSet, config: Config) -> float:
    """Returns the share of objects (mean of the classes) that can be reached."""
    return reach_limit(sample_of(network_objects(examples, config)), config)


def _border(examples: ExampleSet, config: Config, keep: Collection[str]) -> _Change:
    """Lets anchors cross the border where objects need such ones."""
    if config.rpn.allowed_border is None or "rpn.allowed_border" in keep:
        return config, {}
    crossing = config.replace(rpn=config.rpn.replace(allowed_border=None))
    within, beyond = _limit(examples, config), _limit(examples, crossing)
    if beyond < within + _WORTH_CROSSING:
        return config, {}
    reason = (
        f"Anchors that cross the border raise the share of objects that can be reached "
        f"from {within:.1%} to {beyond:.1%}."
    )
    return crossing, {"rpn.allowed_border": reason}


def _with_better_anchors(
    examples: ExampleSet, config: Config, keep: Collection[str]
) -> Config | None:
    """Returns the configuration with anchors that fit better, or None."""
    if {"anchors.scales", "anchors.sizes", "anchors.ratios"} & {*keep}:
        return None
    sample = sample_of(network_objects(examples, config))
    own, best = fit_of_own(sample, config), fit_anchors(sample, config)
    is_near = own.reach >= best.reach - _WORTH_CHANGING
    is_near &= own.score >= best.score - _WORTH_CHANGING
    if is_near:
        return None
    return with_anchors(config, best.scales, best.ratios)


def _anchor_reason(
    objects: Objects,
    class_names: Sequence[str],
    before: AnchorReport,
    after: AnchorReport,
) -> str:
    sides = objects.sides
    ranges = [
        f"{name} {np.quantile(own, 0.05):.0f}-{np.quantile(own, 0.95):.0f}"
        for label, name in enumerate(class_names)
        if len(own := sides[objects.labels == label])
    ]
    more = f" and {len(ranges) - _NAMED} more classes" if len(ranges) > _NAMED else ""
    reached = [
        f"{report.smallest_anchor:.0f} to {report.largest_anchor:.0f} pixels reach "
        f"{report.class_ceiling:.1%} at an IoU of 0.5 and "
        f"{np.mean([row.reach_70 for row in report.by_class]):.1%} at 0.7"
        for report in (after, before)
    ]
    return (
        f"The sides of objects (5 % to 95 % of them) in network pixels are "
        f"{', '.join(ranges[:_NAMED])}{more}. Anchors of {reached[0]} (mean of the "
        f"classes); at the start those of {reached[1]}."
    )


def _shortest_proposal(
    examples: ExampleSet, config: Config, keep: Collection[str]
) -> _Change:
    """Keeps proposals as narrow as the objects."""
    limit = config.proposals.min_size
    if not limit or "proposals.min_size" in keep:
        return config, {}
    objects = network_objects(examples, config)
    boxes = objects.boxes
    if config.conventions.min_size_in == "file":
        boxes = file_boxes(examples, config)
    narrow = (boxes[:, 2:] - boxes[:, :2]).min(axis=1) < limit
    for label, name in enumerate(examples.class_names):
        share = narrow[objects.labels == label].mean() if label in objects.labels else 0
        if share > _DROPPED:
            advised = config.replace(proposals=config.proposals.replace(min_size=0.0))
            reason = f"{share:.1%} of {name} are narrower than {limit:g} pixels."
            return advised, {"proposals.min_size": reason}
    return config, {}


def _differences(config: Config, advised: Config) -> dict[str, Any]:
    """Returns dotted path -> advised value of the settings that differ."""
    before, after = config.model_dump(mode="json"), advised.model_dump(mode="json")
    return {
        f"{section}.{name}": value
        for section, own in after.items()
        if isinstance(own, dict) and isinstance(before[section], dict)
        for name, value in own.items()
        if value != before[section].get(name)
    }
