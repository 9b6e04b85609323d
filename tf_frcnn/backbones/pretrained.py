"""Pretrained weights: read from files that Keras saved, set in a detector's layers."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import keras
import numpy as np

from tf_frcnn.backbones.weight_files import require_own_numbers
from tf_frcnn.layers import ConvolutionalHead, FullyConnectedHead, TailHead

# The variables of a layer, in the order of `layer.get_weights()`.
_VARIABLES = (
    *("kernel", "depthwise_kernel", "pointwise_kernel", "bias", "gamma", "beta"),
    *("moving_mean", "moving_variance", "mean", "variance", "count"),
)
# The published files of VGG: block1_conv1/block1_conv1_W_1:0.
_PUBLISHED = re.compile(r"(?:^|/)([^/]+)_([Wb])_1:0$")
# Files with a variable's name at the end: block1_conv1/.../block1_conv1/kernel:0.
_NAMED = re.compile(rf"(?:^|/)([^/]+)/({'|'.join(_VARIABLES)})(?::0)?$")
# Keras 3: .../vars/0, where the group `vars` has the layer's name as an attribute, or,
# in files of its first versions, nothing.
_NUMBERED = re.compile(r"(?:^|/)(([^/]+)/vars)/(\d+)$")
# Without that name: VGG16's convolutions counted through the model, or, in files of
# third parties, through each of the groups block1 to block5.
_AUTOMATIC = re.compile(r"conv2d(?:_(\d+))?$")
_IN_GROUP = re.compile(r"block([1-5])/(?:layers/)?conv2d(?:_(\d))?/vars/\d+$")
_VGG16 = tuple(
    f"block{block}_conv{number}"
    for block, count in enumerate((2, 2, 3, 3, 3), start=1)
    for number in range(1, count + 1)
)
# Names of keras.applications, and those of this package.
RENAMED = {"fc1": "fc6", "fc2": "fc7"}
# Layers that pretrained networks lack, or have in other sizes.
_MAY_BE_RANDOM = re.compile(r"fc[67]$|fpn_|head_conv")
_NAMES_IN_MESSAGES = 5
# What may stand instead of a file, and what to do with files that are not HDF5.
_NAMES = ("imagenet", "random")
_DAMAGED = "It is damaged, or another kind of file under this name."
_HINTS = {
    ".h5": _DAMAGED,
    ".hdf5": _DAMAGED,
    ".keras": "Load it with Keras and write model.save_weights('NAME.weights.h5').",
}
_OTHER_HINT = (
    "Files of PyTorch and TensorFlow become runs by tf-frcnn convert, from which "
    "training starts by --init."
)


class LoadReport(NamedTuple):
    """The layers that pretrained weights set, and those that they lacked.

    Attributes:
        loaded: layers whose weights were set.
        random: layers that keep their random weights.
    """

    loaded: tuple[str, ...]
    random: tuple[str, ...]


def read_weights_file(path: str | Path) -> dict[str, list[np.ndarray]]:
    """Reads an HDF5 file: layer name -> arrays in the order of `layer.get_weights()`.

    Reads the files of `keras.applications`, of `model.save` to .h5 and of
    `model.save_weights`, and files that number VGG16's convolutions instead of naming
    them. The first two fully connected layers of VGG16 come as fc6 and fc7.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is not HDF5, is damaged, holds no layers, refers to other
            files, or is to take much more memory than it has bytes.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"backbone.weights = {str(path)!r}: {_no_file(path)}")
    found: dict[str, dict[int, np.ndarray]] = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            layer, position = _layer_and_position(name, item.parent)
            if layer:
                values = np.asarray(item)
                found.setdefault(layer, {}).setdefault(position, values)

    try:
        with h5py.File(path) as file:
            require_own_numbers(file, path.stat().st_size)
            file.visititems(visit)
    except Exception as error:  # Damaged files raise almost any.
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"backbone.weights = {str(path)!r}: not an HDF5 file that can be read "
            f"({reason}). {_HINTS.get(path.suffix, _OTHER_HINT)}"
        ) from error
    if not found:
        raise ValueError(
            f"backbone.weights = {str(path)!r}: the file holds no layer as Keras saves "
            "them, neither <layer>/kernel nor <layer>/vars/0."
        )
    return {
        layer: [variables[position] for position in sorted(variables)]
        for layer, variables in found.items()
    }


def _no_file(path: Path) -> str:
    """Returns why a path is no file, and what to give instead."""
    if path.is_dir():
        return (
            "a folder. Give an HDF5 file with the backbone's weights; a trained or "
            "converted detector's folder is where training starts by --init, or the "
            "preset of from_preset."
        )
    if near := difflib.get_close_matches(str(path), _NAMES, n=1, cutoff=0.8):
        return f"no such file; did you mean {near[0]}?"
    return (
        "no such file. Give an HDF5 file with the backbone's weights, imagenet, or "
        "random."
    )


def set_weights(
    weights: Mapping[str, Sequence[np.ndarray]], *parts: keras.layers.Layer
) -> LoadReport:
    """Sets the weights of layers by name; sets none where one is missing or misshapen.

    Args:
        weights: layer name -> arrays, in the order of `layer.get_weights()`.
        parts: of a detector, the backbone and the box head. Only fc6, fc7, the head's
            convolutions and the layers of a feature pyramid may be missing or have
            other shapes.

    Raises:
        ValueError: another layer is missing, or has other shapes.
    """
    layers = list(weighted_layers(parts))
    fitting = [layer for layer in layers if _fits(weights.get(layer.name), layer)]
    required = [layer for layer in layers if not _MAY_BE_RANDOM.match(layer.name)]
    _check(weights, required)
    for layer in fitting:
        layer.set_weights(weights[layer.name])
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    return LoadReport(
        tuple(layer.name for layer in fitting),
        tuple(layer.name for layer in layers if layer not in fitting),
    )


def weighted_layers(
    parts: Iterable[keras.layers.Layer],
) -> Iterator[keras.layers.Layer]:
    """Yields the layers that have weights, also those within models and heads."""
    for part in parts:
        if isinstance(part, keras.Model):
            yield from weighted_layers(part.layers)
        elif isinstance(part, TailHead):
            yield from weighted_layers(part.tail.layers)
        elif isinstance(part, FullyConnectedHead):
            yield from (part.fc6, part.fc7)
        elif isinstance(part, ConvolutionalHead):
            for conv, norm in zip(part.convs, part.norms, strict=True):
                yield from (conv, norm)
            yield part.fc6
        elif part.weights:
            yield part


def _layer_and_position(name, group):
    """Returns a dataset's layer and its position among the layer's variables.

    The layer is None where the path names no layer.
    """
    if match := _PUBLISHED.search(name):
        layer, position = match[1], "Wb".index(match[2])
    elif match := _NAMED.search(name):
        layer, position = match[1], _VARIABLES.index(match[2])
    elif match := _NUMBERED.search(name):
        layer, position = _numbered_layer(name, match[2], group), int(match[3])
    else:
        return None, 0
    return RENAMED.get(layer, layer), position


def _numbered_layer(name, own_group, group):
    """Returns the name of the layer whose variables are numbered."""
    if match := _IN_GROUP.search(name):
        return f"block{match[1]}_conv{int(match[2] or 0) + 1}"
    if "name" in group.attrs:
        return group.attrs["name"]
    if match := _AUTOMATIC.match(own_group):
        number = int(match[1] or 0)
        return _VGG16[number] if number < len(_VGG16) else own_group
    return own_group


def _check(weights, layers):
    """Raises unless the weights hold all layers, in their shapes."""
    missing = [layer for layer in layers if layer.name not in weights]
    if missing:
        names = [layer.name for layer in missing]
        message = f"it lacks {len(missing)} of {len(layers)} layers: {_listed(names)}."
        if len(missing) == len(layers):
            message += f" It is of another network, with {_listed(list(weights))}."
        elif all(isinstance(one, keras.layers.GroupNormalization) for one in missing):
            message += (
                " These normalise groups; for a file with batch normalisation set "
                "backbone.normalization to frozen_batch."
            )
        raise ValueError(message)
    for layer in layers:
        if not _fits(weights[layer.name], layer):
            raise ValueError(
                f"its {layer.name} has the shapes "
                f"{_shapes(weights[layer.name])}, but the backbone needs "
                f"{_shapes(layer.weights)}."
            )


def _fits(arrays, layer):
    return arrays is not None and _shapes(arrays) == _shapes(layer.weights)


def _shapes(arrays):
    return [tuple(array.shape) for array in arrays]


def _listed(names):
    """Joins the first names and counts the others."""
    listed = ", ".join(names[:_NAMES_IN_MESSAGES])
    more = len(names) - _NAMES_IN_MESSAGES
    return f"{listed} and {more} more" if more > 0 else listed
