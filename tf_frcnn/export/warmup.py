"""Requests that TensorFlow Serving replays before a version answers its first."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_frcnn.export.sample_requests import Inputs, SampleRequest

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"


def write_warmup(directory: Path, requests: Sequence[SampleRequest]) -> None:
    """Writes the warm-up file of a version.

    Each signature gets the images one by one, those of tensors one per shape, and
    several at once; `serving_default` also gets one as a JPEG.

    Args:
        directory: of the version.
        requests: of sample images, at least one.

    Source: serving:tensorflow_serving/g3doc/saved_model_warmup.md.
    """
    path = directory / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as file:
        for signature, inputs in _warmup_inputs(requests):
            file.write(_prediction_log(signature, inputs))


def _warmup_inputs(requests) -> Iterator[tuple[str, Inputs]]:
    first = requests[0].inputs
    for signature in first:
        by_shape = {}
        for row, request in enumerate(requests):
            inputs = request.inputs[signature]
            shapes = tuple(array.shape for array in inputs.values())
            by_shape[row if signature == "serving_default" else shapes] = inputs
        for inputs in by_shape.values():
            yield signature, inputs
        if signature == "serving_default":
            files = [request.inputs[signature]["image_bytes"] for request in requests]
            together = {"image_bytes": np.concatenate([*files, _as_jpeg(first)])}
        else:
            together = {n: np.repeat(a, 2, 0) for n, a in first[signature].items()}
        yield signature, together


def _as_jpeg(inputs):
    (image,) = inputs["image_tensor"]["image_tensor"]
    return np.array([tf.io.encode_jpeg(image).numpy()], object)


def _prediction_log(signature: str, inputs: Inputs) -> bytes:
    """Encodes a PredictionLog.

    It is done by hand because the classes are in a package that only clients need.

    Source: serving:tensorflow_serving/apis/prediction_log.proto, predict.proto,
        model.proto.
    """
    model_spec = _field(3, signature.encode())  # signature_name
    request = _field(1, model_spec)
    for name, array in inputs.items():
        tensor = tf.make_tensor_proto(array).SerializeToString()
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))  # inputs
    return _field(6, _field(1, request))  # predict_log.request


def _field(number: int, payload: bytes) -> bytes:
    """Encodes a field of text or of a message as protocol buffers do."""
    length, size = b"", len(payload)
    while size >= 128:
        length += bytes([size % 128 + 128])
        size //= 128
    return bytes([number * 8 + 2]) + length + bytes([size]) + payload
