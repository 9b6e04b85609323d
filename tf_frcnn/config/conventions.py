"""The conventions of the published programs, by the name of the program.

They change figures in the third digit and no concept, so that a configuration names a
program instead of listing them.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Self

import pydantic

from tf_frcnn.config.settings import Positive, Settings


class Conventions(Settings):
    """How boxes are measured, clipped and dropped where programs differ."""

    section: ClassVar[str] = "conventions"

    base: Literal[
        "plain", "caffe", "tf_faster_rcnn", "chainer", "bubbliiiing", "torchvision"
    ] = "plain"
    """Program whose conventions apply where no other setting here changes them; "plain"
    measures continuous corners everywhere."""
    plus_one: bool = False
    """Whether widths are xmax - xmin + 1, as in caffe, wherever boxes are coded,
    clipped and compared, except in the NMS of proposals."""
    nms_plus_one: bool = False
    """Whether the NMS of proposals adds 1 to sides."""
    max_log_scale: Positive | None = None
    """Largest log of a predicted height or width over the source's; null: any."""
    on_padding: bool = False
    """Whether the canvas around an image has anchors too."""
    cut_first: bool = False
    """Whether the best proposals are taken before small ones are dropped."""
    min_size_in: Literal["file", "network"] = "file"
    """Pixels in which proposals.min_size counts: those of the file, or of the
    network's input image."""
    cell_size: Literal["stride", "canvas"] = "stride"
    """Pixels of a feature map's cell: its stride, or the canvas's sides over the
    map's."""
    fill_with_repeats: bool = False
    """Whether sampled RoIs are repeated until there are roi.num_samples."""
    clip: Literal["all_sides", "own_side", "none"] = "all_sides"
    """How detections are clipped to the image: on all sides, each corner only at its
    own side, or not at all."""

    @classmethod
    def of(cls, value: Self | str | Mapping[str, Any] | None) -> Self:
        """Returns conventions from an instance, a name, a mapping, or None."""
        return super().of({"base": value} if isinstance(value, str) else value)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _start_from_base(cls, values: Any) -> Any:
        values = {"base": values} if isinstance(values, str) else values
        if not isinstance(values, dict):
            return values
        return CONVENTIONS.get(values.get("base", "plain"), {}) | values

    @pydantic.model_serializer(mode="wrap")
    def _as_differences(self, handler: Callable[[Self], dict[str, Any]]) -> Any:
        """Returns the name alone where nothing differs from it."""
        values = handler(self)
        base = values.pop("base")
        named = Conventions(base=base)
        changed = {n: v for n, v in values.items() if v != getattr(named, n)}
        return {"base": base, **changed} if changed else base


# Source: py-faster-rcnn:lib/fast_rcnn and lib/rpn; tf-faster-rcnn:lib/model/test.py,
# lib/layer_utils and lib/nets/network.py; torchvision:models/detection/_utils.py,
# rpn.py and anchor_utils.py; faster-rcnn-pytorch (bubbliiiing):nets/rpn.py,
# nets/classifier.py and utils/utils_bbox.py. "chainer" stands for ChainerCV's line
# (simple-faster-rcnn-pytorch), which measures plainly.
CONVENTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "caffe": {"plus_one": True, "nms_plus_one": True},
    "tf_faster_rcnn": {
        "plus_one": True,
        "fill_with_repeats": True,
        "clip": "own_side",
    },
    "chainer": {},
    "bubbliiiing": {
        "min_size_in": "network",
        "cell_size": "canvas",
        "clip": "none",
    },
    "torchvision": {
        "max_log_scale": math.log(1000 / 16),
        "on_padding": True,
        "cut_first": True,
        "min_size_in": "network",
    },
}
