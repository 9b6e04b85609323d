"""A detector as a SavedModel, checked."""

from collections.abc import Mapping
from pathlib import Path

import keras
import tensorflow as tf

from tf_frcnn.data import ExampleSet, Resizing
from tf_frcnn.export.limits import MEGAPIXELS, require_within
from tf_frcnn.export.sample_requests import sample_requests
from tf_frcnn.export.signatures import Signatures
from tf_frcnn.export.verification import verify
from tf_frcnn.export.versions import SAVED_MODEL, add_version, describe
from tf_frcnn.export.warmup import write_warmup
from tf_frcnn.models import FasterRCNN
from tf_frcnn.ops.gradients import without_gradients


def export_model(
    model: FasterRCNN,
    resizing: Resizing,
    directory: str | Path,
    samples: ExampleSet,
    *,
    version: int | None = None,
    max_megapixels: float = 50.0,
    info: Mapping | None = None,
) -> Path:
    """Writes a version of a SavedModel and checks it; see `signatures` for its outputs.

    Signatures, with B images:

        serving_default: `image_bytes` string [B], encoded JPEG, PNG, BMP or GIF.
        image_tensor: `image_tensor` uint8 [B, H, W, 3], RGB.
        preprocessed: `images` float32 [B, H, W, 3], RGB 0..255, on a canvas of the
            network; `image_sizes`, `scales`, `file_sizes` float32 [B, 2]; see
            `data.pipeline.batching`.

    A version appears whole or not at all, and none is ever overwritten.

    Args:
        model: the detector.
        resizing: how images are brought to the network's size, with one short side.
        directory: versions are written to directory/1, directory/2, ...
        samples: images to test the written model on and warm it up with.
        version: the number; None for the one after the highest.
        max_megapixels: encoded images that claim to have more are refused.
        info: further contents of model_info.json, beside versions and classes.

    Returns:
        The folder of the version.

    Raises:
        ExportError: the reloaded model's detections differ from the model's own.
        FileExistsError: the version exists.
        ValueError: the resizing does not have exactly one short side, the version or
            the limit is not allowed, or the versions there have another format.
    """
    resizing.require_one_short_side()
    require_within("export: max_megapixels", max_megapixels, MEGAPIXELS)

    def fill(part):
        requests = sample_requests(samples, resizing)
        write_graph(model, resizing, part, max_megapixels)
        verify(part, model, resizing, samples, requests)
        write_warmup(part, requests)
        describe(part, model, {"max_megapixels": max_megapixels} | dict(info or {}))

    return add_version(directory, version, SAVED_MODEL, fill)


def _traced(function, inputs):
    """Returns what calls a function's graph: Keras traces what it is given twice."""
    return tf.function(function, inputs, autograph=False).get_concrete_function()


def write_graph(
    model: FasterRCNN, resizing: Resizing, path: Path, max_megapixels: float
) -> None:
    """Writes the SavedModel itself, without the gradients of operations."""
    archive = keras.export.ExportArchive()
    archive.track(model)
    signatures = Signatures(model, resizing, int(max_megapixels * 1e6))
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    with without_gradients():
        for name, (function, inputs) in signatures.with_inputs().items():
            archive.add_endpoint(name, _traced(function, inputs), inputs)
        archive.write_out(path, options=options, verbose=False)
