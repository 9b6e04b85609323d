"""Where an epoch begins, for data whose order follows from it."""

import keras
import tensorflow as tf

from tf_frcnn.models.optimizer import accumulated_steps, step_count


class StartOfEpoch(keras.callbacks.Callback):
    """Tells the data the optimizer's step at which an epoch starts.

    Their order and mirroring follow from it, so that they are other ones in each epoch,
    also of a second `fit`, and the same if an epoch is repeated after an interruption.

    Args:
        initial_batch: of the first epoch.

    Attributes:
        initial_batch: as given.
        step: int64 variable, of updates of the weights.
        skipped: int64 variable, batches at the epoch's start that were done before.
    """

    def __init__(self, initial_batch: int = 0):
        super().__init__()
        self.initial_batch = initial_batch
        with tf.device("CPU:0"):
            self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
            self.skipped = tf.Variable(0, dtype=tf.int64, trainable=False)

    def on_train_begin(self, logs=None):
        """Notes that the next epoch is the first one."""
        self._next_skipped = self.initial_batch

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the variables, before the epoch's first batch is made."""
        done = self._next_skipped
        optimizer = self.model.optimizer
        steps = step_count(optimizer).numpy() - done
        updates, more = divmod(steps, accumulated_steps(optimizer))
        # Within an update no epoch begins like another one.
        self.step.assign(updates + (more << 32))
        self.skipped.assign(done)
        self._next_skipped = 0
