"""The anchors of a picture."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tf_frcnn.ops.anchors import BASE_ANCHORS, cells_of_picture, shift_over_grid
from tf_frcnn.structures import Anchors


@keras.saving.register_keras_serializable("tf_frcnn")
class AnchorGrid(keras.layers.Layer):
    """Lays anchors over every cell of the feature maps.

    An anchor of scale 1 and ratio 1 is a square whose side is the map's stride.

    Args:
        strides: pixels per cell of each map, finest first.
        style: "caffe" (whole pixels), "centred" (unrounded), "corner" or "torchvision"
            (about the cell's corner, unrounded and rounded), see `ops.anchors`.
            "torchvision" moves from cell to cell by floor(canvas / cells) pixels.
        ratios: height / width.
        scales: sides in multiples of the stride.
        sizes: sides in pixels, the same on every map, in place of the scales; empty
            for the scales.
        on_padding: whether the cells of the canvas padding belong to the picture too.

    Source: Ren et al. 2015, section 3.1.1; Lin et al. 2017 (feature pyramids),
        section 4.1, for several maps; torchvision AnchorGenerator for sizes and
        anchors on the padding.
    """

    def __init__(
        self,
        strides: Sequence[int] = (16,),
        *,
        style: str = "caffe",
        ratios: Sequence[float] = (0.5, 1.0, 2.0),
        scales: Sequence[float] = (8.0, 16.0, 32.0),
        sizes: Sequence[float] = (),
        on_padding: bool = False,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        if style not in BASE_ANCHORS:
            raise ValueError(
                f"AnchorGrid: style = {style!r} must be one of {sorted(BASE_ANCHORS)}."
            )
        self.strides, self.style = tuple(strides), style
        self.ratios, self.scales = tuple(ratios), tuple(scales)
        self.sizes, self.on_padding = tuple(sizes), on_padding

    @property
    def num_anchors(self) -> int:
        """A, the anchors per cell."""
        return len(self.ratios) * len(self.sizes or self.scales)

    def call(self, features, image_sizes, canvas_size) -> Anchors:
        """Returns the anchors of the maps and which of them belong to each picture.

        Args:
            features: float [B, h, w, C] of each level; only the sizes are read.
            image_sizes: float32 [B, 2], (height, width) of each picture in pixels.
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
        scales = [size / stride for size in self.sizes] or self.scales
        base = BASE_ANCHORS[self.style](stride, self.ratios, scales)
        height, width = tf.unstack(map_size)
        step = canvas_size // map_size if self.style == "torchvision" else stride
        boxes = shift_over_grid(base, height, width, step)
        valid = cells_of_picture(image_sizes, height, width, stride, self.num_anchors)
        return boxes, valid | self.on_padding

    def get_config(self):
        """Returns the constructor's arguments."""
        return super().get_config() | {
            "strides": self.strides,
            "style": self.style,
            "ratios": self.ratios,
            "scales": self.scales,
            "sizes": self.sizes,
            "on_padding": self.on_padding,
        }
