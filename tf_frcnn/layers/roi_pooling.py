"""A fixed-size piece of the feature map for each region of interest."""

import keras

from tf_frcnn.ops.roi import crop_pool

POOLINGS = {"crop": crop_pool}


@keras.saving.register_keras_serializable("tf_frcnn")
class RoIPooling(keras.layers.Layer):
    """Pools each RoI to S x S cells.

    Args:
        stride: pixels per cell of the feature map.
        method: "crop", crop_and_resize to 2S and 2x2 max pooling.
        pooled_size: S.
        for_xla: uses the route that XLA compiles; the results agree to rounding.

    Source: see `ops.roi`.
    """

    def __init__(
        self,
        stride: int = 16,
        *,
        method: str = "crop",
        pooled_size: int = 7,
        for_xla: bool = False,
        **kwargs,
    ):
        super().__init__(**{"autocast": False, **kwargs})
        if method not in POOLINGS:
            raise ValueError(
                f"RoIPooling: method = {method!r} must be one of {sorted(POOLINGS)}."
            )
        self.stride, self.method, self.pooled_size = stride, method, pooled_size
        self.for_xla = for_xla

    def call(self, features, boxes):
        """Pools float [B, h, w, C] over boxes float32 [B, R, 4] to [B, R, S, S, C]."""
        return POOLINGS[self.method](
            features,
            boxes,
            stride=self.stride,
            pooled_size=self.pooled_size,
            by_matmul=self.for_xla,
        )

    def get_config(self):
        """Returns the constructor's arguments."""
        return super().get_config() | {
            "stride": self.stride,
            "method": self.method,
            "pooled_size": self.pooled_size,
            "for_xla": self.for_xla,
        }
