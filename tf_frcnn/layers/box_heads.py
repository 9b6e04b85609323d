"""The networks between the pooled RoI and the predictor."""

import keras
import tensorflow as tf

from tf_frcnn.config import RoISettings, settings_config
from tf_frcnn.layers.dense import Dense
from tf_frcnn.layers.normalization import normalization_layer
from tf_frcnn.ops.sampling import random_keys

# Of the normalisations, torchvision's.
_EPSILON = 1e-5


@keras.saving.register_keras_serializable("tf_frcnn")
class FullyConnectedHead(keras.layers.Layer):
    """Two fully connected layers with ReLU and dropout: fc6 and fc7 of VGG16.

    Dropout is a pure function of the seed given to the call, so that a resumed run
    repeats the uninterrupted one.

    Args:
        roi: `RoISettings`; `head_units` and `dropout` are read.

    Attributes:
        units: of each layer.

    Source: Girshick 2015, section 2; Ren et al. 2015, section 3.2.
    """

    def __init__(self, roi: RoISettings | dict | None = None, **kwargs):
        super().__init__(**kwargs)
        self.roi = RoISettings.of(roi)
        self.units = units = self.roi.head_units
        self.fc6 = Dense(units, "relu", name="fc6", dtype=self.dtype_policy)
        self.fc7 = Dense(units, "relu", name="fc7", dtype=self.dtype_policy)

    def build(self, pooled_shape):
        """Creates the weights for pooled RoIs of shape [B, R, S, S, C]."""
        _, _, height, width, channels = pooled_shape
        self.fc6.build((None, None, height * width * channels))
        self.fc7.build((None, None, self.units))

    def call(self, pooled, seed=None, training=None):
        """Computes float [B, R, units] from float [B, R, S, S, C].

        `seed`, int64 [3], is needed in training; see `random_keys`.
        """
        num_rois = pooled.shape[1] or tf.shape(pooled)[1]
        hidden = tf.reshape(pooled, [-1, num_rois, self.fc6.kernel.shape[0]])
        for number, layer in enumerate((self.fc6, self.fc7)):
            hidden = layer(hidden, training=training)
            if training and self.roi.dropout:
                own_seed = tf.stack([seed[0] + number, seed[1], seed[2]])
                keys = random_keys(tf.shape(hidden), own_seed)
                kept = hidden / (1.0 - self.roi.dropout)
                hidden = tf.where(keys >= self.roi.dropout, kept, tf.zeros_like(kept))
        return hidden

    def get_config(self):
        """Returns the constructor's arguments."""
        return super().get_config() | settings_config(roi=self.roi)


@keras.saving.register_keras_serializable("tf_frcnn")
class ConvolutionalHead(keras.layers.Layer):
    """Normalised 3x3 convolutions, then one fully connected layer, all with ReLU.

    Args:
        roi: `RoISettings`; `head_convs` and `head_units` are read.
        channels: of each convolution.
        normalization: of `normalization_layer`, "frozen_batch" or "group". torchvision
            trains its batch normalisations; here they are fixed.

    Attributes:
        units: of the fully connected layer.

    Source: Li et al. 2021 (Benchmarking detection transfer learning), section 3.1;
        torchvision:models/detection/faster_rcnn.py, `FastRCNNConvFCHead`.
    """

    def __init__(
        self,
        roi: RoISettings | dict | None = None,
        *,
        channels: int = 256,
        normalization: str = "frozen_batch",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.roi = RoISettings.of(roi)
        self.channels, self.normalization = channels, normalization
        self.units = units = self.roi.head_units
        names = [f"head_conv{n}" for n in range(1, self.roi.head_convs + 1)]
        self.convs = [self._convolution(name) for name in names]
        self.norms = [
            normalization_layer(
                normalization,
                channels,
                name=name,
                epsilon=_EPSILON,
                dtype=self.dtype_policy,
            )
            for name in names
        ]
        self.fc6 = Dense(units, "relu", name="fc6", dtype=self.dtype_policy)

    def build(self, pooled_shape):
        """Creates the weights for pooled RoIs of shape [B, R, S, S, C]."""
        _, _, height, width, channels = pooled_shape
        for conv, norm in zip(self.convs, self.norms, strict=True):
            conv.build((None, height, width, channels))
            channels = self.channels
            norm.build((None, height, width, channels))
        self.fc6.build((None, None, height * width * channels))

    def call(self, pooled, seed=None, training=None):
        """Computes float [B, R, units] from float [B, R, S, S, C].

        `seed` is taken as by every head; nothing here is random.
        """
        num_rois = pooled.shape[1] or tf.shape(pooled)[1]
        features = tf.reshape(pooled, [-1, *pooled.shape[2:]])
        for conv, norm in zip(self.convs, self.norms, strict=True):
            features = tf.nn.relu(norm(conv(features)))
        flat = tf.reshape(features, [-1, num_rois, self.fc6.kernel.shape[0]])
        return self.fc6(flat, training=training)

    def get_config(self):
        """Returns the constructor's arguments."""
        return super().get_config() | {
            "channels": self.channels,
            "normalization": self.normalization,
            **settings_config(roi=self.roi),
        }

    def _convolution(self, name):
        return keras.layers.Conv2D(
            self.channels,
            3,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"{name}_conv",
            dtype=self.dtype_policy,
        )


@keras.saving.register_keras_serializable("tf_frcnn")
class TailHead(keras.layers.Layer):
    """The last stage of a convolutional network, then the mean over its map.

    Args:
        tail: network from float [N, S, S, C] to float [N, s, s, C2].

    Attributes:
        units: C2, the features per RoI.

    Source: He et al. 2015 (ResNet), appendix A; tf-faster-rcnn:lib/nets/resnet_v1.py.
    """

    def __init__(self, tail: keras.Model, **kwargs):
        super().__init__(**kwargs)
        self.tail, self.units = tail, tail.output_shape[-1]

    def call(self, pooled, seed=None, training=None):
        """Computes float [B, R, C2] from float [B, R, S, S, C].

        `seed` is taken as by every head; nothing here is random.
        """
        num_rois = pooled.shape[1] or tf.shape(pooled)[1]
        rois = tf.reshape(pooled, [-1, *pooled.shape[2:]])
        features = tf.cast(self.tail(rois, training=training), tf.float32)
        means = tf.reduce_mean(features, axis=[1, 2])
        return tf.cast(
            tf.reshape(means, [-1, num_rois, self.units]), self.compute_dtype
        )

    def get_config(self):
        """Returns the constructor's arguments."""
        tail = keras.saving.serialize_keras_object(self.tail)
        return super().get_config() | {"tail": tail}

    @classmethod
    def from_config(cls, config):
        """Builds the head from what `get_config` returned."""
        tail = keras.saving.deserialize_keras_object(config["tail"])
        return cls(**{**config, "tail": tail})
