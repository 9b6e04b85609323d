"""The presets that come with the package, and what is known of them."""

import re
from typing import NamedTuple

from tf_frcnn.checkpoints.published import PUBLISHED
from tf_frcnn.config import recipe_names, recipe_path

# Millions of parameters with the 20 classes of VOC.
_MILLIONS: dict[str, float] = {}


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
    source = re.search(r"Source: ([^:.]*(?:\.[^:. ]+)*)", text)
    return Preset(
        title=" ".join(head[: head.index("")]),
        source=source[1].strip() if source else "",
        figure=_figure(text),
        millions=_MILLIONS[name],
        weights=tuple(weights for recipe, weights in PUBLISHED if recipe == name),
    )


def _figure(head: str) -> str:
    if match := re.search(r"Published: (.*)\. Not run here", head):
        return f"published: {match[1]}"
    match = re.search(r"Reached\b.*?: mAP \([^)]*\) (0\.\d+)", head)
    return f"here: mAP {match[1]}" if match else ""
