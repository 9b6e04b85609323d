"""The presets that come with the package, and what is known of them."""

import re
from typing import NamedTuple

from tf_frcnn.checkpoints.published import PUBLISHED
from tf_frcnn.config import recipe_names, recipe_path

# What the head of a recipe says.
_SOURCE = re.compile(r"Source: (.*?)(?:[:;]|(?<! al)\. )")
_PUBLISHED = re.compile(r"Published: (.*)\. Not run here")
_REACHED = re.compile(r"Reached\b.*?: mAP \([^)]*\) (0\.\d+)")
_SIZE = re.compile(r"Size: ([\d.]+) million")


class Preset(NamedTuple):
    """A recipe.

    Attributes:
        title: what it is, in a sentence.
        source: the publication or program that it follows; "" for one of this package.
        figure: the mAP that was published, or reached here; "" for none.
        millions: of parameters, with the 20 classes of VOC.
        weights: names of published weights of whole detectors or backbones, for
            `from_preset(..., weights=)`.
    """

    title: str
    source: str
    figure: str
    millions: float
    weights: tuple[str, ...]


def list_presets() -> dict[str, Preset]:
    """Returns the recipes by name."""
    return {name: _preset(name) for name in recipe_names()}


def _preset(name: str) -> Preset:
    lines = recipe_path(name).read_text(encoding="utf-8").splitlines()
    head = [line[2:] for line in lines if line.startswith("#")]
    text = " ".join(head)
    return Preset(
        title=" ".join(head[: head.index("")]),
        source=_said(_SOURCE, text),
        figure=_figure(text),
        millions=float(_said(_SIZE, text)),
        weights=tuple(weights for recipe, weights in PUBLISHED if recipe == name),
    )


def _figure(head: str) -> str:
    if published := _said(_PUBLISHED, head):
        return f"published: {published}"
    reached = _said(_REACHED, head)
    return f"here: mAP {reached}" if reached else ""


def _said(pattern: re.Pattern, head: str) -> str:
    """Returns what the head of a recipe says, "" if it does not."""
    found = pattern.search(head)
    return found[1] if found else ""
