"""The learning rate over a run."""

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
        if not self.warmup_steps:
            return tf.convert_to_tensor(rate, tf.float32)
        progress = tf.minimum(step / self.warmup_steps, 1.0)
        return rate * (self.warmup_factor + (1.0 - self.warmup_factor) * progress)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "learning_rate": self.learning_rate,
            "decay_steps": self.decay_steps,
            "decay_factor": self.decay_factor,
            "warmup_steps": self.warmup_steps,
            "warmup_factor": self.warmup_factor,
        }
