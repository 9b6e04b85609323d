"""Updates of the weights that pass over the memory once."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tf_frcnn.models.optimizer import AdamW


def fuse_updates(optimizer: keras.optimizers.Optimizer, decay: float = 0.0) -> bool:
    """Has SGD, Adam and AdamW update each weight by one kernel of TensorFlow.

    Keras writes an update as up to a dozen operations, each of which reads and writes
    arrays of the weight's size; with large dense layers they take a third of a step.
    The values are the same, but for Adam's rounding. Other optimizers, and classes
    derived from these, are left as they are.

    Args:
        optimizer: of a model, or one that scales the loss for another.
        decay: factor of half the sum of squares of the kernels, a part of the loss.

    Returns:
        Whether the updates have the gradient of the decay in them, so that it is to be
        left out of the gradients: as SGD with momentum does, if it does not clip.

    Source: the kernels ResourceApplyKerasMomentum and ResourceApplyAdam.
    """
    own: Any = getattr(optimizer, "inner_optimizer", optimizer)
    update = _UPDATES.get(type(own))
    if update is None or getattr(own, "amsgrad", False):
        return False
    clips = own.clipnorm or own.global_clipnorm or own.clipvalue
    descends = update is _descend and own.momentum and not own.nesterov
    folds = bool(descends and not clips and own.weight_decay is None)
    settings = {"decay": decay} if folds else {}
    own.update_step = functools.partial(update, own, **settings)
    if own.global_clipnorm and not own.clipnorm:
        own._clip_gradients = functools.partial(_clipped, own.global_clipnorm)
    return folds


def _clipped(norm: float, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """Clips as Keras does, without an array of squares beside each gradient."""
    return tf.clip_by_global_norm(gradients, norm)[0]


def _descend(own, gradient, variable, learning_rate, decay=0.0) -> None:
    rate = tf.cast(learning_rate, variable.dtype)
    gradient = tf.cast(gradient, variable.dtype)
    if not own.momentum:
        tf.raw_ops.ResourceApplyGradientDescent(
            var=variable.handle, alpha=rate, delta=gradient
        )
        return
    row = own._get_variable_index(variable)
    moving = own.momentums[row].value
    if decay and own._trainable_variables[row].name == "kernel":
        # The next kernel multiplies it by the momentum.
        tf.raw_ops.ResourceApplyGradientDescent(
            var=moving.handle,
            alpha=rate * tf.constant(decay / own.momentum, variable.dtype),
            delta=tf.convert_to_tensor(variable),
        )
    tf.raw_ops.ResourceApplyKerasMomentum(
        var=variable.handle,
        accum=moving.handle,
        lr=rate,
        grad=gradient,
        momentum=tf.constant(own.momentum, variable.dtype),
        use_nesterov=own.nesterov,
    )


def _adapt(own, gradient, variable, learning_rate) -> None:
    row, dtype = own._get_variable_index(variable), variable.dtype
    betas = [tf.constant(beta, dtype) for beta in (own.beta_1, own.beta_2)]
    powers = [tf.pow(beta, tf.cast(own.iterations + 1, dtype)) for beta in betas]
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=own._momentums[row].value.handle,
        v=own._velocities[row].value.handle,
        beta1_power=powers[0],
        beta2_power=powers[1],
        lr=tf.cast(learning_rate, dtype),
        beta1=betas[0],
        beta2=betas[1],
        epsilon=tf.constant(own.epsilon, dtype),
        grad=tf.cast(gradient, dtype),
    )


_UPDATES: dict[type, Callable[..., None]] = {
    keras.optimizers.SGD: _descend,
    keras.optimizers.Adam: _adapt,
    keras.optimizers.AdamW: _adapt,
    AdamW: _adapt,
}
