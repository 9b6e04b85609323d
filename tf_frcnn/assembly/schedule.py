"""The learning rate over a run."""

import math
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tf_frcnn")
class WarmUpStepDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly to the learning rate, then falls by a factor at given steps.

    Args:
        learning_rate: after the warm-up and before the first decay.
        decay_steps: steps at which the rate falls, in increasing order.
        decay_factor: of each decay.
        warmup_steps: length of the rise; 0 for none.
        warmup_factor: share of the rate at step 0.

    Source: Ren et al. 2015, section 3.1.3 (steps); Goyal et al. 2017, section 2.2
        (warm-up).
    """

    def __init__(
        self,
        learning_rate: float,
        *,
        decay_steps: tuple[int, ...] = (),
        decay_factor: float = 0.1,
        warmup_steps: int = 0,
        warmup_factor: float = 0.1,
    ):
        self.learning_rate = learning_rate
        self.decay_steps, self.decay_factor = tuple(decay_steps), decay_factor
        self.warmup_steps, self.warmup_factor = warmup_steps, warmup_factor

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the rate at a step, a float32 scalar."""
        step = tf.cast(step, tf.float32)
        num_decays = sum(tf.cast(step >= at, tf.float32) for at in self.decay_steps)
        rate = self.learning_rate * self.decay_factor**num_decays
        return _warmed_up(rate, step, self.warmup_steps, self.warmup_factor)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "learning_rate": self.learning_rate,
            "decay_steps": self.decay_steps,
            "decay_factor": self.decay_factor,
            "warmup_steps": self.warmup_steps,
            "warmup_factor": self.warmup_factor,
        }


@keras.saving.register_keras_serializable("tf_frcnn")
class WarmUpCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly to the learning rate, then falls along half a cosine.

    Args:
        learning_rate: after the warm-up.
        last_step: step at which the fall ends; then the rate stays.
        final_factor: share of the rate that is left there.
        warmup_steps: length of the rise; 0 for none. The fall begins at its end.
        warmup_factor: share of the rate at step 0.

    Source: Loshchilov and Hutter 2017 (SGDR), equation 5, without restarts; YOLOX for
        the constant rate at the end.
    """

    def __init__(
        self,
        learning_rate: float,
        *,
        last_step: int,
        final_factor: float = 0.0,
        warmup_steps: int = 0,
        warmup_factor: float = 0.1,
    ):
        self.learning_rate, self.last_step = learning_rate, last_step
        self.final_factor = final_factor
        self.warmup_steps, self.warmup_factor = warmup_steps, warmup_factor

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the rate at a step, a float32 scalar."""
        step = tf.cast(step, tf.float32)
        length = max(1, self.last_step - self.warmup_steps)
        progress = tf.clip_by_value((step - self.warmup_steps) / length, 0.0, 1.0)
        share = 0.5 * (1.0 + tf.cos(math.pi * progress))
        share = self.final_factor + (1.0 - self.final_factor) * share
        rate = self.learning_rate * share
        return _warmed_up(rate, step, self.warmup_steps, self.warmup_factor)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "learning_rate": self.learning_rate,
            "last_step": self.last_step,
            "final_factor": self.final_factor,
            "warmup_steps": self.warmup_steps,
            "warmup_factor": self.warmup_factor,
        }


@keras.saving.register_keras_serializable("tf_frcnn")
class WarmUpPlateau(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly to the learning rate, then falls by a factor whenever it is told.

    Args:
        learning_rate: after the warm-up and before the first decay.
        decay_factor: of each decay.
        warmup_steps: length of the rise; 0 for none.
        warmup_factor: share of the rate at step 0.

    Attributes:
        num_decays: float32 variable, how often it has fallen; whoever trains sets it.
    """

    def __init__(
        self,
        learning_rate: float,
        *,
        decay_factor: float = 0.1,
        warmup_steps: int = 0,
        warmup_factor: float = 0.1,
    ):
        self.learning_rate, self.decay_factor = learning_rate, decay_factor
        self.warmup_steps, self.warmup_factor = warmup_steps, warmup_factor
        self.num_decays = tf.Variable(0.0, trainable=False)

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the rate at a step, a float32 scalar."""
        rate = self.learning_rate * self.decay_factor**self.num_decays
        step = tf.cast(step, tf.float32)
        return _warmed_up(rate, step, self.warmup_steps, self.warmup_factor)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "learning_rate": self.learning_rate,
            "decay_factor": self.decay_factor,
            "warmup_steps": self.warmup_steps,
            "warmup_factor": self.warmup_factor,
        }


def _warmed_up(
    rate: Any, step: tf.Tensor, warmup_steps: int, warmup_factor: float
) -> tf.Tensor:
    if not warmup_steps:
        return tf.convert_to_tensor(rate, tf.float32)
    progress = tf.minimum(step / warmup_steps, 1.0)
    return rate * (warmup_factor + (1.0 - warmup_factor) * progress)
