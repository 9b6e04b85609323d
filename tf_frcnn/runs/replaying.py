"""A bad step repeated, and the first of its parts that is not finite."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_frcnn.models import Detector
from tf_frcnn.models.batch import Batch, tensors_of
from tf_frcnn.runs.black_box import KeptStep


class Replay(NamedTuple):
    """What a repeated step showed.

    Attributes:
        first: what is not finite first, in the order of the computation; None if all
            is finite this time.
        losses: by name.
        gradient_norms: of the trained variables, by their paths.
    """

    first: str | None
    losses: dict[str, float]
    gradient_norms: dict[str, float]


def replay(kept: KeptStep) -> Replay:
    """Repeats a step, one operation after the other, and looks at every layer.

    The order is: the batch, the weights, the layers from the images to the losses, the
    losses, and the gradients from the losses back to the images.

    Args:
        kept: the step and its model, whose weights stay.
    """
    bad, model = kept.bad, kept.model
    batch = tensors_of({n: tf.constant(values) for n, values in bad.batch.items()})
    with tf.GradientTape() as tape, _watched(model) as layers:
        turn = model.turn_of(tf.constant(bad.step), tf.shape(batch["images"])[0])
        losses = model.compute_losses(batch, turn, training=True)
    gradients = tape.gradient(losses["loss"], [v.value for v in kept.trained])
    norms = {
        v.path: 0.0 if g is None else float(tf.norm(g))
        for v, g in zip(kept.trained, gradients, strict=True)
    }
    figures = {name: float(loss) for name, loss in losses.items()}
    first = next(_not_finite(batch, model, layers, figures, norms), None)
    return Replay(first, figures, norms)


def _not_finite(
    batch: Batch, model: Detector, layers: list[str], losses, norms
) -> Iterator[str]:
    """Yields what is not finite, in the order of the computation."""
    for name, values in batch.items():
        if not _is_finite(values):
            yield f"{name} of the batch"
    for weight in model.weights:
        if not _is_finite(weight.value):
            yield f"the weight {weight.path}, before the step"
    for layer in layers:
        yield f"the output of the layer {layer}"
    for name, loss in losses.items():
        if name != "loss" and not np.isfinite(loss):
            yield name
    for name, norm in reversed(norms.items()):
        if not np.isfinite(norm):
            yield f"the gradient of {name}"


@contextlib.contextmanager
def _watched(model: Detector) -> Iterator[list[str]]:
    """Yields the names of layers with outputs that are not finite, as they come."""
    found: list[str] = []
    layers = list(model._flatten_layers(include_self=False))
    calls = [layer.call for layer in layers]
    for layer, call in zip(layers, calls, strict=True):
        object.__setattr__(layer, "call", _noting(layer, call, found))
    try:
        yield found
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


def _noting(
    layer: keras.layers.Layer, call: Callable[..., Any], found: list[str]
) -> Callable[..., Any]:
    def noting(*arguments: Any, **settings: Any) -> Any:
        outputs = call(*arguments, **settings)
        if not all(map(_is_finite, tf.nest.flatten(outputs))):
            found.append(layer.path)
        return outputs

    return noting


def _is_finite(values: Any) -> bool:
    values = tf.convert_to_tensor(values)
    if not values.dtype.is_floating:
        return True
    return bool(tf.reduce_all(tf.math.is_finite(values)))
