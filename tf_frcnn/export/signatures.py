"""The signatures of an exported detector, as functions of tensors.

All give B rows, D detections each:

    detection_boxes        float32 [B, D, 4]  (ymin, xmin, ymax, xmax) as shares of the
                                              upright picture's height and width
    detection_scores       float32 [B, D]     by falling score
    detection_classes      float32 [B, D]     the first class is 1; 0 in padded rows
    detection_class_names  string [B, D]      empty in padded rows
    num_detections         float32 [B]        rows that are not padding; these are first

Source: names, types and the first class as the TensorFlow Object Detection API has them
(models:research/object_detection/exporter_lib_v2.py), whose padded rows are of class 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from tf_frcnn.data import Resizing
from tf_frcnn.data.decoding.encoded import read_picture, refuse
from tf_frcnn.data.decoding.resizing import plan_resize, resize
from tf_frcnn.data.pipeline.canvases import own_canvases, smallest_canvas
from tf_frcnn.models import FasterRCNN

Signature = tuple[Callable[..., dict[str, tf.Tensor]], list[tf.TensorSpec]]


@dataclass(frozen=True, eq=False)
class Signatures:
    """The functions of a detector.

    Attributes:
        model: the detector.
        resizing: how pictures are brought to the network's size, with one short side.
        max_pixels: what an encoded picture may claim to have, and what any picture may
            have in the network's size.
    """

    model: FasterRCNN
    resizing: Resizing
    max_pixels: int

    def of_bytes(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Detects objects in encoded pictures, string [B].

        One by one, so that what is found in one does not depend on the others.
        """
        with tf.control_dependencies([_refuse_none(image_bytes, "image_bytes")]):
            rows = tf.range(tf.size(image_bytes))
        found = tf.map_fn(
            self._of_one_file,
            (rows, image_bytes),
            fn_output_signature=_found_spec(
                self.model.roi_head.detections.max_per_image
            ),
        )
        return detection_outputs(found, found["file_sizes"], self.model.class_names)

    def _of_one_file(self, element):
        row, data = element
        name = tf.strings.join(["image_bytes[", tf.strings.as_string(row), "]"])
        image = read_picture(data, name, self.max_pixels)
        batch = _batch(image[tf.newaxis], name, self.resizing, self.max_pixels)
        found = self.model(batch) | {"file_sizes": batch["file_sizes"]}
        return {key: value[0] for key, value in found.items()}

    def of_tensor(self, image_tensor: tf.Tensor) -> dict[str, tf.Tensor]:
        """Detects objects in decoded pictures of one size, uint8 [B, H, W, 3]."""
        name = "image_tensor"
        with tf.control_dependencies([_refuse_none(image_tensor, name)]):
            images = tf.identity(image_tensor)
        batch = _batch(images, name, self.resizing, self.max_pixels)
        return detection_outputs(
            self.model(batch), batch["file_sizes"], self.model.class_names
        )

    def of_canvases(self, images, image_sizes, scales, file_sizes):
        """Detects objects in a batch as `data.batching` makes it."""
        with tf.control_dependencies([_refuse_none(images, "images")]):
            images = tf.identity(images)
        batch = {"images": images, "image_sizes": image_sizes, "scales": scales}
        found = self.model(batch | {"file_sizes": file_sizes})
        return detection_outputs(found, file_sizes, self.model.class_names)

    def with_inputs(self) -> dict[str, Signature]:
        """Returns function and inputs under each signature's name."""
        pictures, pairs = [None, None, None, 3], ("image_sizes", "scales", "file_sizes")
        of_canvases = [tf.TensorSpec(pictures, tf.float32, "images")]
        of_canvases += [tf.TensorSpec([None, 2], tf.float32, name) for name in pairs]
        of_tensor = [tf.TensorSpec(pictures, tf.uint8, "image_tensor")]
        of_bytes = [tf.TensorSpec([None], tf.string, "image_bytes")]
        return {
            "serving_default": (self.of_bytes, of_bytes),
            "image_tensor": (self.of_tensor, of_tensor),
            "preprocessed": (self.of_canvases, of_canvases),
        }


def _refuse_none(values, name):
    return refuse(tf.size(values) == 0, name, "it is empty")


def _found_spec(num):
    return {
        "boxes": tf.TensorSpec([num, 4], tf.float32),
        "scores": tf.TensorSpec([num], tf.float32),
        "labels": tf.TensorSpec([num], tf.int32),
        "valid": tf.TensorSpec([num], tf.bool),
        "file_sizes": tf.TensorSpec([2], tf.float32),
    }


def _batch(images, name, resizing, max_pixels):
    """Returns the batch of pictures of one size, on the canvas that evaluation takes.

    Args:
        images: uint8 [B, h, w, 3].
        name: string [], what messages call them.
        resizing, max_pixels: see `Signatures`.
    """
    (short_side,), long_side, canvases, method = resizing
    file_size = tf.shape(images)[1:3]
    plan = plan_resize(*tf.unstack(file_size), short_side, long_side, method)
    reason = f"it is so long that the network would see over {max_pixels} pixels"
    too_long = tf.reduce_prod(tf.minimum(plan.sizes, 2**31)) > max_pixels
    with tf.control_dependencies([refuse(too_long, name, reason)]):
        size = tf.identity(plan.sizes)
    rows, columns = tf.unstack(_canvas(size, canvases) - size)
    plan = plan._replace(sizes=size)

    def on_canvas(image):
        image, _ = resize(image, tf.zeros([0, 4]), plan, method)
        return tf.pad(image, [[0, rows], [0, columns], [0, 0]])

    spec = tf.TensorSpec([None, None, 3], tf.float32)
    num = tf.shape(images)[0]

    def for_each(pair):
        return tf.tile(tf.cast(pair, tf.float32)[tf.newaxis], [num, 1])

    return {
        "images": tf.map_fn(on_canvas, images, fn_output_signature=spec),
        "image_sizes": for_each(size),
        "scales": for_each(plan.scales),
        "file_sizes": for_each(file_size),
    }


def _canvas(size, canvases):
    """Returns int64 [2], the canvas that evaluation lays a picture of this size on."""
    if isinstance(canvases, int):
        return own_canvases(size, canvases)
    canvases = tf.constant(canvases, tf.int64)
    largest = tf.reduce_max(canvases, axis=0)
    canvases = tf.concat([canvases, largest[tf.newaxis]], axis=0)
    return canvases[smallest_canvas(size, canvases)]


def detection_outputs(
    found: dict[str, tf.Tensor], file_sizes: tf.Tensor, class_names: Sequence[str]
) -> dict[str, tf.Tensor]:
    """Turns a model's detections of B pictures into the outputs of the module's list.

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
