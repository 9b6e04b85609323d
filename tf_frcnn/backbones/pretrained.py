"""Pretrained weights for VGG16: conv1_1 to conv5_3 and, where present, fc6 and fc7."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import h5py
import keras
import numpy as np

# The published files of `keras.applications`: block1_conv1/block1_conv1_W_1:0.
_PUBLISHED = re.compile(r"(block\d_conv\d|fc[12])_([Wb])_1:0$")
# Files that Keras saves under layer names: block1_conv1/.../kernel or .../vars/0.
_NAMED = re.compile(r"(block\d_conv\d|fc[1267])/(?:.*/)?(kernel|bias)(?::0)?$")
_SAVED = re.compile(r"(?:^|/)(block\d_conv\d|fc[1267])/vars/([01])$")
# Keras 3 numbers the layers of a model, or of each group block1 to block5.
_IN_GROUP = re.compile(r"block(\d)/(?:layers/)?conv2d(?:_(\d))?/vars/([01])$")
_IN_MODEL = re.compile(r"^(?:backbone/)?layers/conv2d(?:_(\d+))?/vars/([01])$")
_CONV_NAMES = tuple(
    f"block{block}_conv{number}"
    for block, count in enumerate((2, 2, 3, 3, 3), start=1)
    for number in range(1, count + 1)
)
_VARIABLES = {"W": "kernel", "b": "bias", "0": "kernel", "1": "bias"}
_FULLY_CONNECTED = {"fc1": "fc6", "fc2": "fc7"}


class LoadReport(NamedTuple):
    """What a weights file gave and what it lacked.

    Attributes:
        loaded: layers whose weights were set.
        random: layers that keep their random weights.
    """

    loaded: tuple[str, ...]
    random: tuple[str, ...]


def imagenet_vgg16() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Downloads VGG16 as trained on ImageNet: layer name -> (kernel, bias).

    Raises:
        RuntimeError: the download failed.
    """
    try:
        network = keras.applications.VGG16(weights="imagenet", include_top=True)
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise RuntimeError(
            'backbone.weights = "imagenet": the VGG16 weights could not be downloaded '
            f"({reason}). Without network, set backbone.weights to the path of an HDF5 "
            "file with VGG16 weights, or to random."
        ) from error
    return {
        _FULLY_CONNECTED.get(layer.name, layer.name): tuple(layer.get_weights())
        for layer in network.layers
        if len(layer.get_weights()) == 2 and layer.name != "predictions"
    }


def read_vgg16_file(path: str | Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Reads VGG16 layers from an HDF5 file: layer name -> (kernel, bias).

    Reads the files of `keras.applications`, of `model.save_weights`, and Keras 3 files
    whose layers are numbered within groups block1 to block5.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no VGG16 layer.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"backbone.weights = {str(path)!r}: no such file. Give an HDF5 file with "
            "VGG16 weights, imagenet, or random."
        )
    found: dict[str, dict[str, np.ndarray]] = {}

    def visit(name, item):
        key = _layer_and_variable(name)
        if key and isinstance(item, h5py.Dataset):
            found.setdefault(key[0], {})[key[1]] = np.asarray(item)

    try:
        with h5py.File(path) as file:
            file.visititems(visit)
    except OSError as error:
        raise ValueError(
            f"backbone.weights = {str(path)!r}: not an HDF5 file ({error})."
        ) from error
    layers = {
        layer: (variables["kernel"], variables["bias"])
        for layer, variables in found.items()
        if len(variables) == 2
    }
    if not layers:
        raise ValueError(
            f"backbone.weights = {str(path)!r}: the file holds no layer named as in "
            "VGG16 (block1_conv1 to block5_conv3, fc6, fc7)."
        )
    return layers


def set_weights(
    weights: Mapping[str, tuple[np.ndarray, np.ndarray]],
    trunk: keras.Model,
    head: keras.layers.Layer,
) -> LoadReport:
    """Sets the trunk's layers, and fc6 and fc7 of the head where they fit.

    Args:
        weights: layer name -> (kernel, bias).
        trunk: a VGG16 trunk; every convolution must be in `weights`.
        head: a `FullyConnectedHead`.

    Raises:
        ValueError: a convolution is missing or has another shape.
    """
    convs = [layer for layer in trunk.layers if layer.weights]
    missing = [layer.name for layer in convs if layer.name not in weights]
    if missing:
        raise ValueError(
            f"backbone.weights lacks {len(missing)} of {len(convs)} convolutions: "
            f"{', '.join(missing)}."
        )
    for layer in convs:
        layer.set_weights(weights[layer.name])
    loaded, random = [layer.name for layer in convs], []
    for layer in (head.fc6, head.fc7):
        kernel, bias = weights.get(layer.name, (None, None))
        if kernel is not None and kernel.shape == tuple(layer.kernel.shape):
            layer.set_weights([kernel, bias])
            loaded.append(layer.name)
        else:
            random.append(layer.name)
    return LoadReport(tuple(loaded), tuple(random))


def _layer_and_variable(name):
    """Returns ("block1_conv2", "kernel") for a dataset's path, or None."""
    for pattern in (_PUBLISHED, _NAMED, _SAVED):
        if match := pattern.search(name):
            layer, variable = match.groups()
            break
    else:
        if match := _IN_GROUP.search(name):
            block, number, variable = match.groups()
            layer = f"block{block}_conv{int(number or 0) + 1}"
        elif match := _IN_MODEL.search(name):
            number, variable = int(match[1] or 0), match[2]
            layer = _CONV_NAMES[number] if number < len(_CONV_NAMES) else ""
        else:
            return None
    return _FULLY_CONNECTED.get(layer, layer), _VARIABLES.get(variable, variable)
