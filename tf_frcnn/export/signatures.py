"""The signatures of an exported detector, as functions of tensors.

All return B rows, D detections each:

    detection_boxes        float32 [B, D, 4]  (ymin, xmin, ymax, xmax) as shares of the
                                              upright image's height and width
    detection_scores       float32 [B, D]     by falling score
    detection_classes      float32 [B, D]     the first class is 1; 0 in padded rows
    detection_class_names  string [B, D]      empty in padded rows
    num_detections         float32 [B]        rows that are not padding; these are first

Source: names, types and the first class as the TensorFlow Object Detection API has them
(models:research/object_detection/exporter_lib_v2.py), whose padded rows are of class 1.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from tf_frcnn.data import Resizing
from tf_frcnn.data.decoding.encoded import decode_or_refuse, refuse
from tf_frcnn.data.decoding.to_canvas import lay_on_canvas, to_network_size
from tf_frcnn.export.grouping import detect_in_groups
from tf_frcnn.models import FasterRCNN
from tf_frcnn.models.tiled_detection import SIZED, TOLD, TiledDetection, found_spec

Signature = tuple[Callable[..., dict[str, tf.Tensor]], list[tf.TensorSpec]]
_PAIRS = ("image_sizes", "scales", "file_sizes")


@dataclass(frozen=True, eq=False)
class Signatures:
    """The functions of a detector.

    Attributes:
        model: the detector.
        resizing: how images are brought to the network's size, with one short side.
        max_pixels: the most pixels that an encoded image may claim, and that any image
            may have in the network's size.
    """

    model: FasterRCNN
    resizing: Resizing
    max_pixels: int

    def of_bytes(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Detects objects in encoded images, string [B].

        Those of one canvas pass the network together, which no image's result depends
        on, but for rounding. Where images are cut into tiles, each passes by itself.
        """
        with tf.control_dependencies([_refuse_none(image_bytes, "image_bytes")]):
            count = tf.size(image_bytes)

        def name_of(row):
            return tf.strings.join(["image_bytes[", tf.strings.as_string(row), "]"])

        def read(row):
            batch = self._read(image_bytes[row], name_of(row))
            return {name: values[0] for name, values in batch.items()}

        if self._in_tiles is None:
            most = self.model.roi_head.detections.max_per_image
            found = detect_in_groups(count, read, self._detect, found_spec(most))
        else:
            found = _one_by_one(
                self._in_tiles,
                lambda row: self.detect_in_file(image_bytes[row], name_of(row)),
                tf.range(count),
            )
        return detection_outputs(found, found["file_sizes"], self.model.class_names)

    def detect_in_file(self, data: tf.Tensor, name: tf.Tensor) -> dict[str, tf.Tensor]:
        """Detects objects in one encoded image.

        Args:
            data: string [].
            name: string [], its name in messages.

        Returns:
            `Detections` of this image as a dict, and its `file_sizes` float32 [2].
        """
        if self._in_tiles is not None:
            image = decode_or_refuse(data, name, self.max_pixels)
            return self._in_tiles(image, self._size_check(name))
        batch = self._read(data, name)
        found = self._detect(batch) | {"file_sizes": batch["file_sizes"]}
        return {key: value[0] for key, value in found.items()}

    def _read(self, data, name):
        """Returns the batch of one encoded image."""
        image = decode_or_refuse(data, name, self.max_pixels)
        return self._batch(image[tf.newaxis], name)

    def of_tensor(self, image_tensor: tf.Tensor) -> dict[str, tf.Tensor]:
        """Detects objects in decoded images of one size, uint8 [B, H, W, 3]."""
        name = "image_tensor"
        with tf.control_dependencies([_refuse_none(image_tensor, name)]):
            images = tf.identity(image_tensor)
        if self._in_tiles is not None:
            detect, check_size = self._in_tiles, self._size_check(name)
            found = _one_by_one(detect, lambda image: detect(image, check_size), images)
            return detection_outputs(found, found["file_sizes"], self.model.class_names)
        batch = self._batch(images, name)
        return detection_outputs(
            self._detect(batch), batch["file_sizes"], self.model.class_names
        )

    @functools.cached_property
    def _detect(self) -> Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]:
        """The model as one function, which all signatures call: it is traced once."""
        batch = {
            name: tf.TensorSpec([None, *spec.shape], spec.dtype)
            for name, spec in SIZED.items()
        }
        with tf.init_scope():
            detect = tf.function(self.model, autograph=False)
            return detect.get_concrete_function(batch)

    @functools.cached_property
    def _in_tiles(self) -> TiledDetection | None:
        """What detects objects in an image that is cut into tiles, if they are."""
        if self.model.settings.tiles.size is None:
            return None
        return self.model.tiled_detection(self.resizing, self._detect)

    def _size_check(self, name):
        """Returns what refuses a size in the network, int64 [2], that is too large."""

        def check_size(size):
            reason = (
                f"it is so long that the network would see over {self.max_pixels} "
                "pixels"
            )
            is_too_long = tf.reduce_prod(tf.minimum(size, 2**31)) > self.max_pixels
            with tf.control_dependencies([refuse(is_too_long, name, reason)]):
                return tf.identity(size)

        return check_size

    def _batch(self, images, name):
        """Returns the batch of images of one size, uint8 [B, h, w, 3]."""
        check_size = self._size_check(name)

        def resize(image):
            return to_network_size(image, self.resizing, check_size=check_size)[0]

        batch = tf.map_fn(resize, images, fn_output_signature=SIZED)
        images = lay_on_canvas(batch["images"], self.resizing.canvases)
        return batch | {"images": images}

    def of_canvases(self, images, image_sizes, scales, file_sizes):
        """Detects objects in a batch as `data.pipeline.batching` makes it."""
        with tf.control_dependencies([_refuse_none(images, "images")]):
            images = tf.identity(images)
        batch = {"images": images, "image_sizes": image_sizes, "scales": scales}
        found = self._detect(batch | {"file_sizes": file_sizes})
        return detection_outputs(found, file_sizes, self.model.class_names)

    def with_inputs(self) -> dict[str, Signature]:
        """Returns function and inputs under each signature's name."""
        images = [None, None, None, 3]
        of_canvases = [tf.TensorSpec(images, tf.float32, "images")]
        of_canvases += [tf.TensorSpec([None, 2], tf.float32, name) for name in _PAIRS]
        of_tensor = [tf.TensorSpec(images, tf.uint8, "image_tensor")]
        of_bytes = [tf.TensorSpec([None], tf.string, "image_bytes")]
        return {
            "serving_default": (self.of_bytes, of_bytes),
            "image_tensor": (self.of_tensor, of_tensor),
            "preprocessed": (self.of_canvases, of_canvases),
        }


def _one_by_one(in_tiles, detect, elements):
    """Returns what is detected in each of some images, one after the other."""
    spec = found_spec(in_tiles.max_per_image) | TOLD
    return tf.map_fn(detect, elements, parallel_iterations=1, fn_output_signature=spec)


def _refuse_none(values, name):
    return refuse(tf.size(values) == 0, name, "it is empty")


def detection_outputs(
    found: dict[str, tf.Tensor], file_sizes: tf.Tensor, class_names: Sequence[str]
) -> dict[str, tf.Tensor]:
    """Turns a model's detections of B images into the outputs of the module's list.

    Args:
        found: `Detections` as a dict.
        file_sizes: float32 [B, 2], (height, width) in pixels.
        class_names: of the classes.
    """
    labels, valid = found["labels"], found["valid"]
    names = tf.constant(["", *class_names])
    classes = tf.where(valid, labels + 1, 0)
    sides = tf.tile(file_sizes, [1, 2])[:, tf.newaxis]  # [B, 1, 4]
    return {
        "detection_boxes": found["boxes"] / sides,
        "detection_scores": found["scores"],
        "detection_classes": tf.cast(classes, tf.float32),
        "detection_class_names": tf.gather(names, classes),
        "num_detections": tf.math.count_nonzero(valid, 1, dtype=tf.float32),
    }
