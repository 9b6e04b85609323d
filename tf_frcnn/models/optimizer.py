"""The optimizer that a configuration names, and what a step asks of any other."""

import keras

from tf_frcnn.config import TrainSettings


def build_optimizer(
    train: TrainSettings,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
) -> keras.optimizers.Optimizer:
    """Returns a new optimizer.

    Args:
        train: `optimizer`, `momentum` and `clip_norm` are read.
        learning_rate: a number or a schedule.
    """
    if train.optimizer == "sgd":
        return keras.optimizers.SGD(
            learning_rate, momentum=train.momentum, global_clipnorm=train.clip_norm
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
