"""Detection in one encoded image."""

import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_frcnn.data import Resizing
from tf_frcnn.data.decoding.encoded import reason_of
from tf_frcnn.data.decoding.pictures import ImageError
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.export.signatures import Signatures
from tf_frcnn.models import FasterRCNN
from tf_frcnn.runs.predictions import list_detections


def image_detector(
    model: FasterRCNN, resizing: Resizing, max_pixels: int
) -> Callable[[bytes], dict]:
    """Returns a function that detects objects in an image as an exported model does.

    Args:
        model: the detector.
        resizing: how images are brought to the network's size, with one short side.
        max_pixels: the most pixels that an image may claim.

    Returns:
        A function of a JPEG, PNG, BMP or GIF, of which the first frame counts. It
        returns `height` and `width` of the upright image in pixels, `detections` as
        `predictions.list_detections` lists them, and `milliseconds`, the time that
        reading and detecting took. It raises ImageError for an image that is damaged,
        too large or of another format.
    """
    resizing.require_one_short_side()
    signatures = Signatures(model, resizing, max_pixels)

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
    def detect_in_graph(data):
        return signatures.detect_in_file(data, tf.constant("image"))

    def detect(data):
        start = time.perf_counter()
        try:
            found = detect_in_graph(tf.constant(data))
        except tf.errors.InvalidArgumentError as error:
            reason = reason_of(error)
            if reason is None:
                raise
            raise ImageError(f"{reason}.") from error
        height, width = found["file_sizes"].numpy().astype(int).tolist()
        detections = _detected_boxes(found)
        return {
            "height": height,
            "width": width,
            "detections": list_detections(detections, model.class_names),
            "milliseconds": round(1000 * (time.perf_counter() - start), 1),
        }

    return detect


def _detected_boxes(found):
    valid = found["valid"].numpy()
    own = (found[name].numpy()[valid] for name in ("boxes", "scores", "labels"))
    return DetectedBoxes(np.zeros(valid.sum(), int), *own)
