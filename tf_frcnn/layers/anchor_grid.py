"""The anchors of a picture."""

import keras
import tensorflow as tf

from tf_frcnn.ops.anchors import BASE_ANCHORS, cells_of_picture, shift_over_grid


@keras.saving.register_keras_serializable("tf_frcnn")
class AnchorGrid(keras.layers.Layer):
    """Lays anchors over every cell of a feature map.

    Args:
        stride: pixels per cell of the map.
        style: "caffe" (whole pixels) or "centred" (unrounded), see `ops.anchors`.
        base_size: side of the unscaled anchor in pixels.
        ratios: height / width.
        scales: factors of `base_size`.

    Source: Ren et al. 2015, section 3.1.1.
    """

    def __init__(
        self,
        stride: int = 16,
        *,
        style: str = "caffe",
        base_size: int = 16,
        ratios: tuple[float, ...] = (0.5, 1.0, 2.0),
        scales: tuple[float, ...] = (8.0, 16.0, 32.0),
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        if style not in BASE_ANCHORS:
            raise ValueError(
                f"AnchorGrid: style = {style!r} must be one of {sorted(BASE_ANCHORS)}."
            )
        self.stride, self.style, self.base_size = stride, style, base_size
        self.ratios, self.scales = tuple(ratios), tuple(scales)

    @property
    def num_anchors(self) -> int:
        """A, the anchors per cell."""
        return len(self.ratios) * len(self.scales)

    def call(self, features, image_sizes):
        """Returns the anchors of a map and which of them belong to each picture.

        Args:
            features: float [B, h, w, C]; only its size is read.
            image_sizes: float32 [B, 2], (height, width) of each picture in pixels.

        Returns:
            anchors: float32 [N, 4] in pixels; by row, by column, by anchor of a cell.
            valid: bool [B, N], False for cells of the canvas padding.
        """
        base = BASE_ANCHORS[self.style](self.base_size, self.ratios, self.scales)
        height, width = tf.shape(features)[1], tf.shape(features)[2]
        anchors = shift_over_grid(base, height, width, self.stride)
        valid = cells_of_picture(
            image_sizes, height, width, self.stride, self.num_anchors
        )
        return anchors, valid

    def get_config(self):
        """Returns the constructor's arguments."""
        return super().get_config() | {
            "stride": self.stride,
            "style": self.style,
            "base_size": self.base_size,
            "ratios": self.ratios,
            "scales": self.scales,
        }
