"""From the names of a published program to the weights of a detector."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

import keras
import numpy as np

from tf_frcnn.backbones.pretrained import weighted_layers
from tf_frcnn.checkpoints.files import Checkpoint, CheckpointError, listed
from tf_frcnn.models import FasterRCNN

NameMap = dict[str, "Taken"]
# The ends of weights without which a detector still detects.
MAY_LACK = ("/bias", "/beta")


@dataclass(frozen=True)
class Taken:
    """Where a weight comes from.

    Attributes:
        names: of the checkpoint's arrays.
        change: makes the weight of these arrays.
    """

    names: tuple[str, ...]
    change: Callable[..., np.ndarray] = np.asarray


@dataclass
class LoadReport:
    """The fate of every weight. A weight is named "part/layer/variable".

    Attributes:
        loaded: weight -> the name it had in the file.
        reshaped: weight -> its two shapes, where they differ.
        random: weights that keep their random values, as intended.
        missing: weights the file lacks.
        unexpected: names of the file that the detector has no place for.
        ignored: names in the file that do not belong to a detector, such as those of an
            optimizer.
    """

    loaded: dict[str, str] = field(default_factory=dict)
    reshaped: dict[str, str] = field(default_factory=dict)
    random: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """Returns the counts, and some names of all that is not simply loaded."""
        lines = [f"Weights: {len(self.loaded)} loaded ({len(self.reshaped)} reshaped)."]
        for what, names in asdict(self).items():
            if what not in ("loaded", "reshaped") and names:
                lines.append(f"  {what}: {len(names)} ({listed(names, 4)})")
        return "\n".join(lines)


def named_variables(model: FasterRCNN) -> dict[str, keras.Variable]:
    """Returns every weight of a detector under "part/layer/variable"."""
    rpn = model.rpn.head
    layers = {
        "backbone": weighted_layers([model.backbone]),
        "rpn_head": [*rpn.convs, rpn.scores, rpn.deltas],
    }
    for number, head in enumerate(model.roi_head.heads(), start=1):
        place = f"/head{number}" if number > 1 else ""
        deltas = head.predictor.deltas
        layers |= {
            f"box_head{place}": weighted_layers([head.box_head]),
            f"box_predictor{place}": [head.predictor.logits, *filter(None, [deltas])],
        }
    return {
        f"{part}/{layer.name}/{variable.name}": variable
        for part, own in layers.items()
        for layer in own
        for variable in layer.weights
    }


def for_all_heads(name_map: Mapping[str, Taken], model: FasterRCNN) -> dict[str, Taken]:
    """Returns a map by which the box heads of a cascade all start as the first does."""
    firsts = {
        weight: re.sub(r"^box_head/head\d+/", "box_head/", weight)
        for weight in named_variables(model)
    }
    later = {w: name_map[first] for w, first in firsts.items() if first in name_map}
    return {**name_map, **later}


def apply_map(
    model: FasterRCNN,
    checkpoint: Checkpoint,
    name_map: Mapping[str, Taken],
    *,
    ignored: str,
    random: str,
    strict: bool = True,
) -> LoadReport:
    """Sets the weights of a detector from a checkpoint.

    Nothing is set unless every shape fits, and the load is complete or, if not
    `strict`, nearly so.

    Args:
        model: the detector.
        checkpoint: the file's contents.
        name_map: weight -> where it comes from.
        ignored: regular expression of names that do not belong to a detector.
        random: regular expression of weights that the file need not have.
        strict: whether any missing or unexpected weight is an error; otherwise only
            where more than biases lack, or the file has more backbone.

    Raises:
        CheckpointError: the file is incomplete, or an array has another shape.
    """
    report, arrays = LoadReport(), checkpoint.arrays
    variables, values = named_variables(model), {}
    for weight, variable in variables.items():
        taken = name_map.get(weight)
        if taken is None or not all(name in arrays for name in taken.names):
            may_stay = re.match(random, weight) is not None
            (report.random if may_stay else report.missing).append(weight)
            continue
        sources = [arrays[name] for name in taken.names]
        values[weight] = _changed(checkpoint, weight, taken, sources, variable)
        report.loaded[weight] = " and ".join(taken.names)
        if sources[0].shape != tuple(variable.shape):
            shapes = f"{list(sources[0].shape)} -> {list(variable.shape)}"
            report.reshaped[weight] = shapes
    used = {name for weight in values for name in name_map[weight].names}
    for name in sorted(set(arrays) - used):
        is_ignored = re.search(ignored, name) is not None
        (report.ignored if is_ignored else report.unexpected).append(name)
    if strict:
        _require_complete(checkpoint, report, len(variables), name_map)
    else:
        _require_essentials(checkpoint, report, name_map)
    for weight, value in values.items():
        variables[weight].assign(value)
    return report


def _changed(checkpoint, weight, taken, sources, variable):
    """Returns the value of one weight, or says that its source does not fit."""
    shape = tuple(variable.shape)
    try:
        value = taken.change(*sources)
        fits = value.shape == shape and value.dtype.kind in "biuf"
    except (ValueError, IndexError, TypeError):
        fits = False
    if not fits:
        raise CheckpointError(
            f"{checkpoint.path}: {taken.names[0]} has the shape "
            f"{list(sources[0].shape)}, which does not give {weight} of the shape "
            f"{list(shape)}."
        )
    return value


def _require_complete(checkpoint, report, num_weights, name_map):
    if report.missing:
        raise CheckpointError(
            f"{checkpoint.path} lacks {len(report.missing)} of {num_weights} weights: "
            f"{_sources(report.missing, name_map)}."
        )
    if report.unexpected:
        raise CheckpointError(
            f"{checkpoint.path} holds {len(report.unexpected)} weights that the "
            f"detector has no place for: {listed(report.unexpected)}."
        )


def _require_essentials(checkpoint, report, name_map):
    """Raises where what lacks, or has no place, makes another network of the detector.

    A file with more backbone than the detector is one of a deeper network.
    """
    lacking = [w for w in report.missing if not w.endswith(MAY_LACK)]
    if lacking:
        raise CheckpointError(
            f"{checkpoint.path} lacks {len(lacking)} weights without which it is no "
            f"detector: {_sources(lacking, name_map)}. Only biases may be missing."
        )
    modules = {
        _module_of(name)
        for weight, names in report.loaded.items()
        if weight.startswith("backbone/")
        for name in names.split(" and ")
    }
    more = [name for name in report.unexpected if _module_of(name) in modules]
    if more:
        raise CheckpointError(
            f"{checkpoint.path} has more of a backbone than the detector: "
            f"{listed(more)}. It is of another network."
        )


def _sources(weights, name_map):
    """Returns the names that weights would have in the file, some of them."""
    return listed(
        " and ".join(name_map[weight].names) if weight in name_map else weight
        for weight in weights
    )


def _module_of(name):
    """Returns what holds the module's sequence: of layer3.5.conv3.weight, layer3."""
    levels = re.split(r"[./]", name)
    return tuple(levels[: max(len(levels) - 3, 1)])
