"""The anchors of an image."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tf_frcnn.config import AnchorSettings, Conventions, settings_config
from tf_frcnn.ops.anchors import BASE_ANCHORS, cells_of_image, shift_over_grid
from tf_frcnn.structures import Anchors


def base_anchors(anchors: AnchorSettings, stride: int) -> np.ndarray:
    """Returns the anchors of cell (0, 0) of a map.

    Args:
        anchors: the settings.
        stride: pixels per cell of the map.

    Returns:
        float32 [A, 4], (ymin, xmin, ymax, xmax) in pixels; ratio slowest.
    """
    scales = [size / stride for size in anchors.sizes] or anchors.scales
    return BASE_ANCHORS[anchors.style](stride, anchors.ratios, scales)


@keras.saving.register_keras_serializable("tf_frcnn")
class AnchorGrid(keras.layers.Layer):
    """Places anchors at every cell of the feature maps.

    An anchor of scale 1 and ratio 1 is a square whose side is the map's stride. The
    style "torchvision" moves from cell to cell by floor(canvas / cells) pixels.

    Args:
        strides: pixels per cell of each map, finest first.
        anchors: `AnchorSettings`.
        conventions: `Conventions`; `on_padding` is read.

    Source: Ren et al. 2015, section 3.1.1; Lin et al. 2017 (feature pyramids),
        section 4.1, for several maps; torchvision AnchorGenerator for sizes and
        anchors on the padding.
    """

    def __init__(
        self,
        strides: Sequence[int] = (16,),
        anchors: AnchorSettings | dict | None = None,
        conventions: Conventions | str | dict | None = None,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.strides = tuple(strides)
        self.anchors = AnchorSettings.of(anchors)
        self.conventions = Conventions.of(conventions)

    def call(self, features, image_sizes, canvas_size) -> Anchors:
        """Returns the anchors of the maps and which of them belong to each image.

        Args:
            features: float [B, h, w, C] of each level; only the sizes are read.
            image_sizes: float32 [B, 2], (height, width) of each image in pixels.
            canvas_size: int32 [2], (height, width) of the batch in pixels.
        """
        if len(features) != len(self.strides):
            raise ValueError(
                f"AnchorGrid: {len(features)} feature maps but {len(self.strides)} "
                f"strides {self.strides}."
            )
        levels = [
            self._of_level(stride, tf.shape(maps)[1:3], image_sizes, canvas_size)
            for stride, maps in zip(self.strides, features, strict=True)
        ]
        boxes, valid = zip(*levels, strict=True)
        sizes = tuple(tf.shape(level)[0] for level in boxes)
        return Anchors(tf.concat(boxes, 0), tf.concat(valid, 1), sizes)

    def _of_level(self, stride, map_size, image_sizes, canvas_size):
        style = self.anchors.style
        base = base_anchors(self.anchors, stride)
        height, width = tf.unstack(map_size)
        step = canvas_size // map_size if style == "torchvision" else stride
        boxes = shift_over_grid(base, height, width, step)
        valid = cells_of_image(
            image_sizes, height, width, stride, self.anchors.per_cell
        )
        return boxes, valid | self.conventions.on_padding

    def get_config(self):
        """Returns the constructor's arguments."""
        own = settings_config(anchors=self.anchors, conventions=self.conventions)
        return super().get_config() | {"strides": self.strides, **own}
