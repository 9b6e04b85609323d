"""The optimizer that a configuration names, and what a step asks of any other."""

from collections.abc import Sequence

import keras

from tf_frcnn.config import TrainSettings


@keras.saving.register_keras_serializable("tf_frcnn")
class AdamW(keras.optimizers.AdamW):
    """AdamW whose weight decay leaves out biases and the scales of normalisations.

    These are the variables of fewer than two axes.

    Source: Loshchilov and Hutter 2019, algorithm 2, where a step takes away the share
        learning rate times weight decay.
    """

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates the moments of the variables."""
        self.exclude_from_weight_decay([v for v in variables if len(v.shape) < 2])
        super().build(variables)


def build_optimizer(
    train: TrainSettings,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
) -> keras.optimizers.Optimizer:
    """Returns a new optimizer.

    Args:
        train: `optimizer`, `momentum`, `clip_norm` and, for AdamW, `weight_decay` are
            read.
        learning_rate: a number or a schedule.
    """
    if train.optimizer == "sgd":
        return keras.optimizers.SGD(
            learning_rate, momentum=train.momentum, global_clipnorm=train.clip_norm
        )
    if train.optimizer == "adamw":
        return AdamW(
            learning_rate,
            weight_decay=train.weight_decay,
            global_clipnorm=train.clip_norm,
        )
    return keras.optimizers.Adam(learning_rate, global_clipnorm=train.clip_norm)


def step_count(optimizer: keras.optimizers.Optimizer) -> keras.Variable:
    """Returns the variable that every training step increases by one.

    It is not `iterations`, which stands still while gradients are accumulated; and
    where an optimizer that scales the loss wraps another, only the inner one counts.
    """
    return getattr(optimizer, "inner_optimizer", optimizer)._iterations


def accumulated_steps(optimizer: keras.optimizers.Optimizer | None) -> int:
    """Returns the number of steps whose gradients make one update of the weights."""
    own = getattr(optimizer, "inner_optimizer", optimizer)
    return getattr(own, "gradient_accumulation_steps", None) or 1


def loss_scale(optimizer: keras.optimizers.Optimizer) -> keras.Variable | float:
    """Returns what the loss is multiplied by, and with it the gradients."""
    return getattr(optimizer, "dynamic_scale", 1.0)


def decays_weights(optimizer: keras.optimizers.Optimizer | None) -> bool:
    """Returns whether an optimizer such as AdamW has a weight decay of its own."""
    own = getattr(optimizer, "inner_optimizer", optimizer)
    return getattr(own, "weight_decay", None) is not None
