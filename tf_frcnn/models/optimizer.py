"""The optimizer that a configuration names."""

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
