"""Steps that move the weights only where their losses and gradients are finite."""

import functools
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_frcnn.models.batch import Batch
from tf_frcnn.models.errors import NON_FINITE, OF_ONE_DEVICE
from tf_frcnn.models.optimizer import loss_scale, step_count
from tf_frcnn.models.replicas import num_replicas

# So many steps in a row that are passed over stop a training.
MOST_IN_A_ROW = 10


class BadStep(NamedTuple):
    """A step with a loss or a gradient that is not finite.

    Attributes:
        step: its number.
        batch: arrays by name, see `models.batch`; names of images as texts.
        losses: by name.
        gradient_norms: of the trainable variables, by their paths; without the scale
            of an optimizer that scales the loss.
        is_part: whether the batch is what one of several devices had of it.
    """

    step: int
    batch: dict[str, np.ndarray]
    losses: dict[str, float]
    gradient_norms: dict[str, float]
    is_part: bool = False

    def __str__(self) -> str:
        names = ", ".join(self.batch.get("image_ids", ["unknown"]))
        images = f"{OF_ONE_DEVICE} {names}" if self.is_part else names
        head = f"{NON_FINITE} {self.step} (images {images}):"
        losses = ", ".join(f"{n} {value:g}" for n, value in self.losses.items())
        if not np.isfinite(list(self.losses.values())).all():
            return f"{head} {losses}"
        return f"{head} {self._bad_gradients()}, while the losses are finite ({losses})"

    def _bad_gradients(self) -> str:
        norms = self.gradient_norms.items()
        # The last layer is the first of the way back.
        *others, first = [name for name, norm in norms if not np.isfinite(norm)]
        more = f" and {len(others)} more" if others else ""
        return f"the gradient of {first}{more}"


class Update(NamedTuple):
    """What became of a step.

    Attributes:
        is_sound: bool [], whether it was sound. What depends on it runs after the
            update.
        gradient_norm: float32 [], of all gradients together, before they are clipped;
            not finite where they are not.
    """

    is_sound: tf.Tensor
    gradient_norm: tf.Tensor


class SoundSteps:
    """Looks at the losses and gradients of a step before the weights move.

    Attributes:
        skips: whether a bad step is passed over, with a warning, and not an error.
        on_bad_step: called with the `BadStep`, while the weights are those before it;
            not where several devices divide the batch.
    """

    def __init__(self) -> None:
        self.skips = False
        self.on_bad_step: Callable[[BadStep], None] | None = None
        self._last, self._in_a_row = -1, 0

    def update(
        self,
        optimizer: keras.optimizers.Optimizer,
        variables: Sequence[keras.Variable],
        gradients: Sequence[tf.Tensor],
        losses: dict[str, tf.Tensor],
        batch: Batch,
        masked: Callable[[Sequence[tf.Tensor], tf.Tensor], None] | None = None,
    ) -> Update:
        """Applies the gradients if all is finite; the count of steps moves anyway.

        An optimizer that scales the loss passes over gradients that are not finite
        itself and halves the scale. While it is above 1, they are no fault.

        Args:
            optimizer: of the model.
            variables: those that it trains.
            gradients: one per variable.
            losses: scalars by name.
            batch: what they were computed from.
            masked: `apply_where` of the optimizer, compiled by XLA: a device goes on
                while the host looks at the step. None: the host takes one of two
                branches, before the weights move; where several devices divide the
                batch, none of them waits for it.

        Raises:
            tf.errors.InvalidArgumentError: the step was not sound, and is not to be
                passed over, or too many before were not either; the message has
                `NON_FINITE`. Nothing has moved, but where several devices divide the
                batch.
        """
        step = tf.convert_to_tensor(step_count(optimizer))
        scale = tf.convert_to_tensor(loss_scale(optimizer))
        norms = tf.stack([_norm(gradient) for gradient in gradients]) / scale
        total = tf.where(scale > 1.0, 0.0, tf.reduce_sum(norms))
        is_sound = tf.reduce_all(tf.math.is_finite([*losses.values(), total]))

        is_part = num_replicas() > 1
        names = [v.path for v in variables], [*losses], [*batch], is_part
        # TensorFlow keeps the function to the end of the process, but not the model.
        own = weakref.proxy(self)

        def note() -> tf.Tensor:
            values = [step, norms, list(losses.values()), list(batch.values())]
            flat = tf.nest.flatten(values)
            noted = tf.py_function(lambda *flat: own._note(*names, flat), flat, tf.bool)
            return tf.ensure_shape(noted, [])

        def apply() -> tf.Tensor:
            optimizer.apply([tf.identity(g) for g in gradients], variables)
            if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
                # It has not counted a step that it passed over.
                step_count(optimizer).assign(step + 1)
            return tf.constant(True)

        def pass_over() -> tf.Tensor:
            with tf.control_dependencies([note()]):
                step_count(optimizer).assign(step + 1)
                return tf.constant(False)

        if self.skips and is_part:
            raise ValueError(
                "on_non_finite = 'skip' is for one device; with a strategy compile "
                "the model with 'stop'."
            )
        noted_if_bad = functools.partial(
            tf.cond, is_sound, lambda: tf.constant(True), note
        )
        if masked is not None:
            masked([tf.identity(g) for g in gradients], is_sound)
            with tf.control_dependencies([noted_if_bad()]):
                return Update(tf.identity(is_sound), tf.norm(norms))
        if self.skips:
            return Update(tf.cond(is_sound, apply, pass_over), tf.norm(norms))
        looked_at = noted_if_bad()
        # All reads of the weights come before it in either case.
        with tf.control_dependencies([is_sound if is_part else looked_at]):
            apply()
        with tf.control_dependencies([looked_at]):
            return Update(tf.identity(is_sound), tf.norm(norms))

    def _note(
        self,
        variables: Sequence[str],
        losses: Sequence[str],
        batch: Sequence[str],
        is_part: bool,
        values: Sequence[tf.Tensor],
    ) -> bool:
        """Tells of a bad step; its values come in the order of `update`."""
        step, norms, *others = [value.numpy() for value in values]
        arrays = [_as_texts(array) for array in others[len(losses) :]]
        bad = BadStep(
            step=int(step),
            batch=dict(zip(batch, arrays, strict=True)),
            losses=dict(zip(losses, map(float, others), strict=False)),
            gradient_norms=dict(zip(variables, map(float, norms), strict=True)),
            is_part=is_part,
        )
        if self.on_bad_step is not None and not is_part:
            self.on_bad_step(bad)
        self._in_a_row = self._in_a_row + 1 if bad.step == self._last + 1 else 1
        self._last = bad.step
        if not self.skips:
            raise ValueError(f"{bad}")
        if self._in_a_row == MOST_IN_A_ROW:
            raise ValueError(f"{bad}. It is the {MOST_IN_A_ROW}th step in a row")
        warnings.warn(f"{bad}. The step is passed over.", stacklevel=2)
        return False


def apply_where(
    optimizer: keras.optimizers.Optimizer,
    variables: Sequence[keras.Variable],
    gradients: Sequence[tf.Tensor],
    is_sound: tf.Tensor,
    *,
    counts_anyway: bool,
) -> None:
    """Applies gradients, or leaves all as it was, without a branch.

    XLA makes one pass over the weights of it, and no host is asked.

    Args:
        optimizer: of the model.
        variables: those that it trains.
        gradients: one per variable.
        is_sound: bool [], whether they are applied.
        counts_anyway: whether the count of steps moves where they are not.
    """
    moving = [*variables, *optimizer.variables]
    before = [tf.convert_to_tensor(variable) for variable in moving]
    count = step_count(optimizer)
    counted = tf.convert_to_tensor(count) + tf.cast(is_sound | counts_anyway, "int64")
    optimizer.apply(gradients, variables)
    for variable, old in zip(moving, before, strict=True):
        variable.assign(tf.where(is_sound, variable, old))
    # An optimizer that scales the loss has not counted a step that it passed over.
    count.assign(counted)


def _norm(gradient: tf.Tensor | None) -> tf.Tensor:
    if gradient is None:
        return tf.constant(0.0)
    return tf.sqrt(2.0 * tf.nn.l2_loss(tf.cast(gradient, tf.float32)))


def _as_texts(array: Any) -> np.ndarray:
    """Returns an array whose bytes, if it holds such, are texts."""
    array = np.asarray(array)
    if array.dtype.kind not in "OS":
        return array
    texts = [item.decode(errors="replace") for item in array.ravel()]
    return np.array(texts, np.str_).reshape(array.shape)
