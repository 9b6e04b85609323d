"""Any network of `keras.applications` as a backbone, cut at one of its layers."""

import difflib
import functools

import keras

from tf_frcnn.backbones.backbone import Backbone
from tf_frcnn.backbones.imagenet import imagenet_application, number_unnamed_layers
from tf_frcnn.backbones.pretrained import weighted_layers
from tf_frcnn.layers.max_pooling import MaxPooling2D

# The mode of each family's `preprocess_input`; "raw" networks normalise inside.
_IMAGE_MODES = {
    "convnext": "raw",
    "densenet": "torch",
    "efficientnet": "raw",
    "efficientnet_v2": "raw",
    "inception_resnet_v2": "unit",
    "inception_v3": "unit",
    "mobilenet": "unit",
    "mobilenet_v2": "unit",
    "mobilenet_v3": "raw",
    "nasnet": "unit",
    "resnet": "caffe",
    "resnet_v2": "unit",
    "vgg16": "caffe",
    "vgg19": "caffe",
    "xception": "unit",
}
# Side of an image that every stride in question divides.
_PROBE_SIDE = 448


def application_backbone(name: str, layer: str) -> Backbone:
    """Returns a network of `keras.applications` up to the output of a layer.

    Its batch normalisations are frozen, and it drops nothing at random. Its blocks end
    where its map becomes smaller.

    Args:
        name: of the network's function, such as `EfficientNetB0`.
        layer: name of the last layer; its output is a map.

    Raises:
        ValueError: the network or the layer does not exist, or the layer's output is
            not a map of a whole stride.
    """
    network = _network(name)
    known = [own.name for own in network.layers]
    if layer not in known:
        raise ValueError(f"{name} has no layer {layer!r}{_nearest(layer, known)}.")
    stride = _stride(network, name, layer)
    strides = _strides_of_layers(network, layer, stride)
    return Backbone(
        functools.partial(_build, name=name, layer=layer, strides=strides),
        strides=(stride,),
        image_mode=_IMAGE_MODES[_family(name)],
        num_blocks=len(set(strides.values())),
        imagenet=functools.partial(imagenet_application, name),
    )


def _build(
    frozen_blocks: int = 0,
    normalization: str | None = None,
    *,
    name: str,
    layer: str,
    strides: dict[str, int],
) -> keras.Model:
    """Builds the backbone: float [B, H, W, 3] -> float [B, h, w, C].

    Args:
        frozen_blocks: blocks, from the first, whose weights stay fixed.
        normalization: without effect; the network keeps its own.
        name: of the network.
        layer: the last one.
        strides: layer name -> pixels per cell, of the layers that can learn.
    """
    network = _network(name)
    backbone = keras.Model(network.input, network.get_layer(layer).output, name=name)
    backbone = keras.models.clone_model(backbone, network.input, _for_xla)
    frozen_strides = sorted(set(strides.values()))[:frozen_blocks]
    for part in backbone.layers:
        if strides.get(part.name) in frozen_strides:
            part.trainable = False
        if isinstance(part, keras.layers.Dropout):
            part.rate = 0.0
    for part in weighted_layers(backbone.layers):
        if isinstance(part, keras.layers.BatchNormalization):
            part.trainable = False
    return backbone


def _for_xla(layer):
    """Returns the layer itself, or one in its place that XLA differentiates."""
    if type(layer) is keras.layers.MaxPooling2D:
        return MaxPooling2D.from_config(layer.get_config())
    return layer


def _network(name):
    """Builds the network with random weights, for images of any size."""
    known = [own for own in dir(keras.applications) if own[0].isupper()]
    if name not in known:
        raise ValueError(
            f"keras.applications has no network {name!r}{_nearest(name, known)}."
        )
    build = getattr(keras.applications, name)
    network = build(include_top=False, weights=None, input_shape=(None, None, 3))
    number_unnamed_layers(network)
    return network


def _family(name):
    """Returns the module of `keras.applications` that a network is defined in."""
    return getattr(keras.applications, name).__module__.rsplit(".", 1)[-1]


def _nearest(name, known):
    """Returns a hint with the most similar known names."""
    near = difflib.get_close_matches(name, known, n=5, cutoff=0.4)
    return f"; the nearest are {', '.join(near)}" if near else ""


def _side(shape):
    """Returns the rows of a square map of more than one cell, 0 for anything else."""
    return shape[1] if len(shape) == 4 and 1 < shape[1] == shape[2] else 0


def _shapes(network, names):
    """Returns the output shapes of layers for an image of the probe's size."""
    outputs = [network.get_layer(name).output for name in names]
    probe = keras.Model(network.input, outputs)
    return probe.compute_output_shape((1, _PROBE_SIDE, _PROBE_SIDE, 3))


def _stride(network, name, layer):
    """Returns the pixels per cell of a layer's output."""
    (shape,) = _shapes(network, [layer])
    side = _side(shape)
    if not side:
        raise ValueError(
            f"The output of {layer} of {name} is not a map: it has the shape "
            f"{tuple(shape)} for an image of {_PROBE_SIDE} x {_PROBE_SIDE}."
        )
    if _PROBE_SIDE % side:
        raise ValueError(
            f"{layer} of {name} has no whole stride: {side} x {side} cells "
            f"for an image of {_PROBE_SIDE} x {_PROBE_SIDE}."
        )
    return _PROBE_SIDE // side


def _strides_of_layers(network, last, stride):
    """Returns the pixels per cell of each layer that can learn, up to the last one.

    A layer whose output is not a map, as in squeeze and excitation, has the stride of
    the layer before it.
    """
    backbone = keras.Model(network.input, network.get_layer(last).output)
    names = [layer.name for layer in backbone.layers]
    strides, latest = {}, 1
    for layer, shape in zip(backbone.layers, _shapes(network, names), strict=True):
        side = _side(shape)
        if side and _PROBE_SIDE // side <= stride:
            latest = _PROBE_SIDE // side
        if layer.trainable_weights:
            strides[layer.name] = latest
    return strides
