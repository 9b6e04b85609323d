"""A trained detector as a SavedModel that needs no Python."""

import os
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tf_frcnn.data import ExampleSet, Resizing
from tf_frcnn.data.batching import evaluation_batches
from tf_frcnn.data.canvases import own_canvases, smallest_canvas
from tf_frcnn.data.resizing import plan_resize, resize
from tf_frcnn.data.transforms import decode_image
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.faster_rcnn import FasterRCNN
from tf_frcnn.inference import detect, detections_of_image

# How far the reloaded model's detections may be from the model's own.
MAX_BOX_ERROR, MAX_SCORE_ERROR = 0.1, 1e-3


class ExportError(RuntimeError):
    """The exported model does not give the detections of the original."""


def export_model(
    model: FasterRCNN,
    resizing: Resizing,
    directory: str | Path,
    samples: ExampleSet,
) -> Path:
    """Writes the next version of a SavedModel and checks it.

    Signatures, both with B images and detections in pixels of the pictures given:

        serving_default: `image_bytes` string [B], encoded JPEG, PNG, BMP or GIF.
        images: `images` float32 [B, H, W, 3], RGB, 0..255.

    Both return `detection_boxes` float32 [B, D, 4] as (ymin, xmin, ymax, xmax),
    `detection_scores` float32 [B, D], `detection_classes` int32 [B, D] in 0..K-1 and
    -1 in padded rows, `detection_class_names` string [B, D], `num_detections`
    int32 [B].

    Args:
        model: the detector.
        resizing: how pictures are brought to the network's size, with one short side.
        directory: versions are written to directory/1, directory/2, ...
        samples: pictures, stored upright, that the written model is tried on.

    Returns:
        The folder of the version.

    Raises:
        ExportError: the reloaded model's detections differ from the model's own.
        ValueError: the resizing has not exactly one short side.
    """
    resizing.require_one_short_side()
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".part-") as folder:
        part = Path(folder) / "model"
        _write(model, resizing, part)
        _check(model, resizing, part, samples)
        versions = [int(p.name) for p in directory.iterdir() if p.name.isdecimal()]
        target = directory / str(max(versions, default=0) + 1)
        os.rename(part, target)
    return target


def _write(model, resizing, path):
    def of_bytes(image_bytes):
        return _detect(
            model,
            resizing,
            # TensorFlow cannot read EXIF: pictures count as they are stored.
            lambda encoded: decode_image(encoded, tf.constant(1)),
            image_bytes,
        )

    def of_images(images):
        return _detect(model, resizing, tf.identity, images)

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serving_default", of_bytes, [tf.TensorSpec([None], tf.string, "image_bytes")]
    )
    archive.add_endpoint(
        "images",
        of_images,
        [tf.TensorSpec([None, None, None, 3], tf.float32, "images")],
    )
    archive.write_out(path, verbose=False)


def _detect(model, resizing, decode, pictures):
    """Detects objects in pictures one by one, each on the canvas it trains on."""
    (short_side,), long_side, canvases, method = resizing

    def detect_one(picture):
        image = decode(picture)
        file_size = tf.shape(image)[:2]
        plan = plan_resize(*tf.unstack(file_size), short_side, long_side, method)
        image, _ = resize(image, tf.zeros([0, 4]), plan, method)
        rows, columns = tf.unstack(_canvas(plan.sizes, canvases) - plan.sizes)
        example = {
            "images": tf.pad(image, [[0, rows], [0, columns], [0, 0]]),
            "image_sizes": tf.cast(plan.sizes, tf.float32),
            "scales": tf.cast(plan.scales, tf.float32),
            "file_sizes": tf.cast(file_size, tf.float32),
        }
        batch = {name: value[tf.newaxis] for name, value in example.items()}
        found = model(batch, training=False)
        return {name: value[0] for name, value in found.items()}

    num = model.detection_layer.max_per_image
    found = tf.map_fn(
        detect_one,
        pictures,
        fn_output_signature={
            "boxes": tf.TensorSpec([num, 4], tf.float32),
            "scores": tf.TensorSpec([num], tf.float32),
            "labels": tf.TensorSpec([num], tf.int32),
            "valid": tf.TensorSpec([num], tf.bool),
        },
    )
    return _named_outputs(found, model.class_names)


def _canvas(size, canvases):
    """Returns int64 [2], the canvas that evaluation lays a picture of this size on."""
    if isinstance(canvases, int):
        return own_canvases(size, canvases)
    canvases = tf.constant(canvases, tf.int64)
    largest = tf.reduce_max(canvases, axis=0)
    canvases = tf.concat([canvases, largest[tf.newaxis]], axis=0)
    return canvases[smallest_canvas(size, canvases)]


def _named_outputs(found, class_names):
    names = tf.constant([*class_names, ""])
    labels = tf.where(found["valid"], found["labels"], len(class_names))
    return {
        "detection_boxes": found["boxes"],
        "detection_scores": found["scores"],
        "detection_classes": found["labels"],
        "detection_class_names": tf.gather(names, labels),
        "num_detections": tf.math.count_nonzero(found["valid"], 1, dtype=tf.int32),
    }


def _check(model, resizing, path, samples: ExampleSet):
    """Compares the written model with the original, picture by picture."""
    loaded = tf.saved_model.load(path)
    batches = evaluation_batches(samples, resizing, batch_size=1)
    expected = detect(model, samples, batches)
    for index, image_bytes in samples.stream():
        image = decode_image(image_bytes, tf.constant(1))
        outputs = {
            "serving_default": loaded.serving_default(image_bytes[tf.newaxis]),
            "images": loaded.images(tf.cast(image, tf.float32)[tf.newaxis]),
        }
        own = detections_of_image(expected, int(index))
        for signature, output in outputs.items():
            _compare(own, output, f"{signature} of {samples.records[index].source}")


def _compare(own: DetectedBoxes, output, what: str):
    count = int(output["num_detections"][0])
    if count != len(own.scores):
        raise ExportError(
            f"{what}: {count} detections instead of {len(own.scores)}; the export was "
            "discarded."
        )
    boxes, scores = output["detection_boxes"][0], output["detection_scores"][0]
    box_error = np.abs(boxes[:count] - own.boxes).max(initial=0.0)
    score_error = np.abs(scores[:count] - own.scores).max(initial=0.0)
    if box_error > MAX_BOX_ERROR or score_error > MAX_SCORE_ERROR:
        raise ExportError(
            f"{what}: boxes differ by {box_error:.3g} pixels (allowed "
            f"{MAX_BOX_ERROR}) and scores by {score_error:.3g} (allowed "
            f"{MAX_SCORE_ERROR}); the export was discarded."
        )
