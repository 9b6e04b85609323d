"""The region proposal network's head."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from tf_frcnn.config import RPNSettings, settings_config
from tf_frcnn.layers.sparse_convolution import SparselyUsedConv2D
from tf_frcnn.ops.rpn_scores import flatten_to_anchors, softmax_over_pairs
from tf_frcnn.structures import RPNOutputs


class RPNMaps(NamedTuple):
    """The head's outputs at every cell, in the layout of the original.

    Attributes:
        scores: float32 [B, h, w, 2A] logits (A background, then A object) in the
            softmax form; [B, h, w, A] in the sigmoid form.
        probabilities: float32, the same shape, 0..1.
        deltas: float32 [B, h, w, 4A], (dy, dx, dh, dw) of each anchor in turn.
    """

    scores: tf.Tensor
    probabilities: tf.Tensor
    deltas: tf.Tensor


@keras.saving.register_keras_serializable("tf_frcnn")
class RPNHead(keras.layers.Layer):
    """Scores every anchor and predicts its deltas: a 3x3 and two 1x1 convolutions.

    The same weights serve every level of a pyramid.

    Args:
        num_anchors: A, anchors per cell.
        rpn: `RPNSettings`; those of the head are read. The score form "softmax" has 2A
            channels and caffe's reshape-softmax, "sigmoid" A channels.

    Source: Ren et al. 2015, section 3.1; initial weights of standard deviation 0.01.
        Lin et al. 2017 (feature pyramids), section 4.1, for several levels.
    """

    def __init__(
        self, num_anchors: int = 9, rpn: RPNSettings | dict | None = None, **kwargs
    ):
        super().__init__(**kwargs)
        self.num_anchors, self.rpn = num_anchors, RPNSettings.of(rpn)
        self.convs = [
            _conv(
                self.rpn.channels,
                3,
                "relu",
                f"conv{n}" if n else "conv",
                self.dtype_policy,
            )
            for n in range(self.rpn.num_convs)
        ]
        per_anchor = 2 if self.rpn.score_form == "softmax" else 1
        size = self.rpn.output_size
        self.scores, self.deltas = (
            _conv(values * num_anchors, size, None, name, "float32")
            for name, values in (("scores", per_anchor), ("deltas", 4))
        )

    def build(self, features_shape):
        """Creates the weights for maps of shape [B, h, w, C]."""
        for layer in (*self.convs, self.scores, self.deltas):
            layer.build(features_shape)
            if layer in self.convs:
                features_shape = (*features_shape[:-1], self.rpn.channels)

    def call(self, features):
        """Computes the score and delta maps of features float [B, h, w, C]."""
        hidden = features
        for conv in self.convs:
            hidden = conv(hidden)
        scores, deltas = self.scores(hidden), self.deltas(hidden)
        if self.rpn.score_form == "softmax":
            return RPNMaps(scores, softmax_over_pairs(scores), deltas)
        return RPNMaps(scores, tf.sigmoid(scores), deltas)

    def flatten(self, levels: Sequence[RPNMaps]) -> RPNOutputs:
        """Flattens the maps of all levels into the order of the anchors."""
        parts = zip(*map(self._flatten_level, levels), strict=True)
        return RPNOutputs(*(tf.concat(part, axis=1) for part in parts))

    def _flatten_level(self, maps):
        logits, probabilities = (
            flatten_to_anchors(values, self.num_anchors, values_first=True)
            for values in (maps.scores, maps.probabilities)
        )
        deltas = flatten_to_anchors(maps.deltas, self.num_anchors, values_first=False)
        return RPNOutputs(logits, probabilities[..., -1], deltas)

    def get_config(self):
        """Returns the constructor's arguments."""
        own = {"num_anchors": self.num_anchors} | settings_config(rpn=self.rpn)
        return super().get_config() | own


def _conv(filters, size, activation, name, dtype):
    return SparselyUsedConv2D(
        filters,
        size,
        activation=activation,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        name=name,
        dtype=dtype,
    )
