"""Keras models that detect objects in pictures as users hold them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_frcnn.config import Config
from tf_frcnn.data.decoding.encoded import reason_of
from tf_frcnn.data.decoding.file_to_canvas import room_check
from tf_frcnn.data.decoding.pictures import PICTURES, ImageError, Picture
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.layers import Preprocessing
from tf_frcnn.models.detecting import (
    Found,
    detect_in_pictures,
    detect_picture_by_picture,
)
from tf_frcnn.models.inputs import build_resizing
from tf_frcnn.models.replicated_model import ReplicatedModel
from tf_frcnn.models.roi_head import RoIHead
from tf_frcnn.models.tiled_detection import TiledDetection


class PictureModel(ReplicatedModel):
    """A Keras model that brings pictures to its own size, or cuts them into tiles.

    Attributes:
        preprocessing: of its images.
        roi_head: the RoI head, if it has one.
        class_names: of the K classes.
    """

    preprocessing: Preprocessing
    roi_head: RoIHead | None
    class_names: tuple[str, ...]
    # The graph of `detect_in_tiles`, once it is made.
    _in_tiles: Any = None

    @property
    def settings(self) -> Config:
        """The configuration that it was built from."""
        raise NotImplementedError

    @property
    def resizing(self) -> Resizing:
        """The way in which images are brought to the network's size."""
        return build_resizing(self.preprocessing.images)

    def detect(
        self, images: Sequence[Picture], *, batch_size: int | None = None
    ) -> list[Found]:
        """Detects objects in pictures of any sizes.

        With `settings.tiles.size` larger ones are cut into tiles.

        Args:
            images: a list of paths, of the bytes of files, of arrays or of Pillow's
                pictures, mixed as you like; see `data.decoding.pictures.read_picture`.
            batch_size: most images per batch; None for the recipe's number. Tiles have
                batches of their own.

        Returns:
            One result per picture, in their order; boxes are (ymin, xmin, ymax, xmax)
            in pixels of the upright picture.

        Raises:
            FileNotFoundError: there is no such file.
            ImageError: a picture is damaged, or its values lie in 0..1.
        """
        if isinstance(images, PICTURES) and getattr(images, "ndim", 0) < 4:
            images = [images]
        if self.settings.tiles.size is not None:
            return detect_picture_by_picture(
                self.detect_in_tiles, images, self.class_names
            )
        return detect_in_pictures(
            self.predict_on_batch,
            images,
            self.resizing,
            self.class_names,
            batch_size or self.settings.data.batch_size,
        )

    def tiled_detection(
        self, resizing: Resizing, detect: Callable[..., Any] | None = None
    ) -> TiledDetection:
        """Returns what detects objects in an image of any size as `tiles` has it.

        Args:
            resizing: how images are brought to the network's size.
            detect: what detects in a batch, if not the model itself.
        """
        # `Config` lets no other model have tiles.
        roi_head: RoIHead = self.roi_head  # type: ignore[assignment]
        return TiledDetection(
            detect or self,
            resizing,
            self.settings.tiles,
            roi_head.detection_layer,
            len(self.class_names),
        )

    def detect_in_tiles(self, image: tf.Tensor) -> dict[str, np.ndarray]:
        """Detects objects in a decoded picture, cut as `settings.tiles` has it.

        Args:
            image: uint8 or float32 [h, w, 3], RGB in 0..255.

        Returns:
            `Detections` of the one picture as a dict of arrays, without their first
            axis, boxes in its pixels; `file_sizes` float32 [2]; and `cut_below`, see
            `TiledDetection`.

        Raises:
            ImageError: no canvas holds the picture, or a tile of it.
        """
        if self._in_tiles is None:
            detect = self.tiled_detection(self.resizing)
            check_size = room_check(self.resizing.canvases)
            self._in_tiles = tf.function(
                lambda pixels: detect(pixels, check_size), autograph=False
            )
        spec = tf.TensorSpec([None, None, 3], image.dtype)
        try:
            found = self._in_tiles.get_concrete_function(spec)(image)
        except tf.errors.InvalidArgumentError as error:
            if (reason := reason_of(error)) is None:
                raise
            raise ImageError(f"{reason}.") from error
        return {name: values.numpy() for name, values in found.items()}

    def make_predict_function(self, force=False):
        """Makes the graph of `predict`, anew if settings were changed by hand."""
        if force:
            self._in_tiles = None
        return super().make_predict_function(force=force)
