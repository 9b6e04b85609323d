"""The ImageNet weights of `keras.applications`."""

import collections
import itertools
import re

import keras
import numpy as np

from tf_frcnn.backbones.pretrained import RENAMED, weighted_layers


def imagenet_application(
    name: str, *, include_top: bool = False, **settings
) -> dict[str, list[np.ndarray]]:
    """Downloads the ImageNet weights of a network of `keras.applications`.

    Args:
        name: of the network's function, such as `ResNet50`.
        include_top: whether the fully connected layers are included, fc1 and fc2 of
            VGG16 as fc6 and fc7.
        settings: further arguments of the function.

    Returns:
        Layer name -> arrays, in the order of `layer.get_weights()`.

    Raises:
        RuntimeError: the download failed.
    """
    build = getattr(keras.applications, name)
    # MobileNet's weights differ with the size of the image that they were trained on.
    settings |= {"include_top": include_top, "input_shape": (224, 224, 3)}
    try:
        network = build(weights="imagenet", **settings)
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise RuntimeError(
            f'backbone.weights = "imagenet": the {name} weights could not be '
            f"downloaded ({reason}). Without network, set backbone.weights to the path "
            f"of an HDF5 file with {name} weights, or to random and "
            "backbone.frozen_blocks to 0."
        ) from error
    number_unnamed_layers(network)
    weights = {
        RENAMED.get(layer.name, layer.name): layer.get_weights()
        for layer in weighted_layers(network.layers)
    }
    return weights | _folded_rescaling(network.layers)


def number_unnamed_layers(network: keras.Model) -> None:
    """Numbers the unnamed layers within their network.

    Keras numbers them across the whole program, so that two copies of a network name
    such layers differently.
    """
    counts: collections.Counter[str] = collections.Counter()
    for layer in network.layers:
        name = re.sub(r"_\d+$", "", layer.name)
        if name.replace("_", "") == type(layer).__name__.lower():
            number = counts[name]
            layer.name = f"{name}_{number}" if number else name
            counts[name] += 1


def _folded_rescaling(layers):
    """Returns the weights of a normalisation that includes the rescaling after it.

    EfficientNet has that rescaling only with its ImageNet weights.
    """
    folded = {}
    for layer, following in itertools.pairwise(layers):
        if isinstance(layer, keras.layers.Normalization) and isinstance(
            following, keras.layers.Rescaling
        ):
            mean, variance, count = layer.get_weights()
            folded[layer.name] = [mean, variance / np.square(following.scale), count]
    return folded
