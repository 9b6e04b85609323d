"""A configuration for a data set of one's own, each setting with its reason."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import yaml

from tf_frcnn.config import DEFAULT_RECIPE, Config, make_config, override_paths
from tf_frcnn.data import ExampleSet
from tf_frcnn.doctor.advice import Advice, advise
from tf_frcnn.doctor.canvases import canvas_choices
from tf_frcnn.doctor.overlaps import overlap_choices
from tf_frcnn.doctor.training import Choice, counts_of, training_choices

_WIDTH = 88


class Recipe(NamedTuple):
    """A configuration, and how it came about.

    Attributes:
        config: the configuration.
        base: name of the recipe that it starts from.
        choices: the settings of its file, in groups with a reason; the values are those
            of `config`.
        advice: on image size and anchors.
    """

    config: Config
    base: str
    choices: list[Choice]
    advice: Advice

    def text(self, heading: str) -> str:
        """Returns the configuration file.

        Args:
            heading: the comment at its beginning, lines of text.
        """
        lines = [f"# {line}".rstrip() for line in heading.splitlines()]
        lines.append(f"base: {_yaml(self.base)}")
        dump = self.config.model_dump(mode="json")
        for section in dict.fromkeys(_section(p) for c in self.choices for p in c[0]):
            if not isinstance(dump[section], dict):
                lines.append(f"{section}: {_yaml(dump[section])}")
                continue
            lines.append(f"{section}:")
            for settings, reason in self.choices:
                own = [path for path in settings if _section(path) == section]
                lines += _comment(reason) if own and reason else []
                for path in own:
                    name = path.partition(".")[2]
                    lines.append(f"  {name}: {_yaml(dump[section][name])}")
        return "\n".join(lines) + "\n"


def build_recipe(
    data: dict[str, Any],
    train: ExampleSet,
    validation: ExampleSet,
    *,
    base: str = DEFAULT_RECIPE,
    overrides: Sequence[str] = (),
    can_bfloat16: bool = False,
    is_trained: bool = False,
    is_published: bool = False,
) -> Recipe:
    """Makes a configuration for a data set.

    Args:
        data: the settings of the section `data`.
        train: the training split.
        validation: the validation split.
        base: recipe to start from, its name or its file.
        overrides: settings such as "train.epochs=3" that win over all others.
        can_bfloat16: whether the machine multiplies bfloat16.
        is_trained: whether training starts from weights of the base's network, so that
            the settings that they were trained for stay.
        is_published: whether these weights are of a published detector, whose schedule
            was for other data.

    Raises:
        DataError: no image has an object to learn.
    """
    start = [Choice({f"data.{name}": value for name, value in data.items()}, "")]
    if is_published:
        start.append(_own_training())
    given = override_paths(overrides)
    keep = [*given, *(_TRAINED_FOR if is_trained else ())]
    config = _config(start, base, overrides)
    advice = advise(train, config, keep=keep, may_shrink=base == DEFAULT_RECIPE)
    advised = _groups(advice)
    config = _config([*start, *advised], base, overrides)
    advised += canvas_choices(train.records, config, keep)
    advised += overlap_choices(train.records, train.class_names, config, keep)
    counts = counts_of(train, validation)
    rules = training_choices(
        counts, config, can_bfloat16, keep=keep, is_trained=is_trained
    )
    own = Choice(dict.fromkeys(given), "Given by --set.")
    choices = [*_without([*start, *advised, *rules], given), own]
    config = _config([*start, *advised, *rules], base, overrides)
    return Recipe(config, base, choices, advice)


# What a network's weights were trained for, and do not fit without.
_TRAINED_FOR = (
    *("anchors.style", "anchors.scales", "anchors.sizes", "anchors.ratios"),
    *("images.short_side", "images.long_side"),
    *("roi.head_units", "roi.dropout"),
)


def _own_training() -> Choice:
    """Returns how the recipe for own images trains and suppresses."""
    own = make_config({"base": DEFAULT_RECIPE}, "the new configuration")
    settings = {
        "train.schedule": own.train.schedule,
        "train.ema": own.train.ema,
        "detections.suppression": own.detections.suppression,
    }
    return Choice(settings, f"As {DEFAULT_RECIPE} has them, for data of one's own.")


def _config(choices: Sequence[Choice], base: str, overrides: Sequence[str]) -> Config:
    tree: dict[str, Any] = {"base": base}
    for settings, _ in choices:
        for path, value in settings.items():
            tree.setdefault(_section(path), {})[path.partition(".")[2]] = value
    return make_config(tree, "the new configuration", texts=overrides)


def _groups(advice: Advice) -> list[Choice]:
    """Returns the advised settings, those of a section together with their reason."""
    groups: dict[str, dict[str, Any]] = {}
    for path, value in advice.settings.items():
        groups.setdefault(_section(path), {})[path] = value
    reasons = {_section(path): reason for path, reason in advice.why.items()}
    return [Choice(own, reasons.get(name, "")) for name, own in groups.items()]


def _without(choices: Sequence[Choice], paths: Sequence[str]) -> list[Choice]:
    kept = [
        Choice({p: v for p, v in settings.items() if p not in paths}, reason)
        for settings, reason in choices
    ]
    return [choice for choice in kept if choice.settings]


def _section(path: str) -> str:
    return path.partition(".")[0]


def _comment(text: str) -> list[str]:
    prefix = "  # "
    return textwrap.wrap(text, _WIDTH, initial_indent=prefix, subsequent_indent=prefix)


def _yaml(value: Any) -> str:
    """Returns a value as YAML on one line."""
    text = yaml.safe_dump(
        [value], default_flow_style=True, allow_unicode=True, width=math.inf
    )
    return text[1:-2]
