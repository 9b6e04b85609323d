"""Class scores and box deltas of each RoI."""

import keras
import tensorflow as tf

from tf_frcnn.config import RoISettings, settings_config


@keras.saving.register_keras_serializable("tf_frcnn")
class BoxPredictor(keras.layers.Layer):
    """Predicts K + 1 class logits and one set of deltas per class, or one for all.

    Args:
        num_classes: K, without background.
        roi: `RoISettings`; `class_agnostic` and `regress_boxes` are read.

    Source: Girshick 2015, section 2.1; initial weights of standard deviation 0.01 and
        0.001, section 2.3.
    """

    def __init__(
        self, num_classes: int, roi: RoISettings | dict | None = None, **kwargs
    ):
        super().__init__(**kwargs)
        self.num_classes, self.roi = num_classes, RoISettings.of(roi)
        num_sets = 1 if self.roi.class_agnostic else num_classes + 1
        self.logits = _dense(num_classes + 1, 0.01, "logits")
        self.deltas = None
        if self.roi.regress_boxes:
            self.deltas = _dense(4 * num_sets, 0.001, "deltas")

    def build(self, hidden_shape):
        """Creates the weights for hidden units of shape [B, R, C]."""
        self.logits.build(hidden_shape)
        if self.deltas is not None:
            self.deltas.build(hidden_shape)

    def call(self, hidden):
        """Predicts from float [B, R, C].

        Returns:
            logits: float32 [B, R, K + 1], background first.
            deltas: float32 [B, R, K + 1, 4] with background first, or [B, R, 1, 4] if
                class agnostic; (dy, dx, dh, dw), normalised. Zeros [B, R, 1, 4] if the
                predictor does not regress.
        """
        logits = self.logits(hidden)
        if self.deltas is None:
            none = tf.zeros_like(logits[..., :1, tf.newaxis])
            return logits, tf.repeat(none, 4, axis=-1)
        deltas = self.deltas(hidden)
        num_rois = deltas.shape[1] or tf.shape(deltas)[1]
        num_sets = deltas.shape[-1] // 4
        return logits, tf.reshape(deltas, [-1, num_rois, num_sets, 4])

    def deltas_of(self, deltas, labels):
        """Picks from deltas [B, R, sets, 4] those of labels int32 [B, R], 0..K.

        A label of -1 takes the deltas of the background.
        """
        if deltas.shape[2] == 1:
            return deltas[:, :, 0]
        return tf.gather(deltas, tf.maximum(labels, 0), axis=2, batch_dims=2)

    def get_config(self):
        """Returns the constructor's arguments."""
        own = {"num_classes": self.num_classes} | settings_config(roi=self.roi)
        return super().get_config() | own


def _dense(units, stddev, name):
    initializer = keras.initializers.RandomNormal(stddev=stddev)
    return keras.layers.Dense(
        units, kernel_initializer=initializer, name=name, dtype="float32"
    )
