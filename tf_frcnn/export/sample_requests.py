"""Requests with sample images, one per image and signature."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_frcnn.data import ExampleSet, Resizing
from tf_frcnn.data.decoding.transforms import decode_image
from tf_frcnn.data.pipeline.batching import evaluation_batches

Inputs = dict[str, np.ndarray]


class SampleRequest(NamedTuple):
    """The requests with one image.

    Attributes:
        row: of the image's record.
        inputs: signature -> name -> array, a batch of one.
    """

    row: int
    inputs: dict[str, Inputs]


def sample_requests(samples: ExampleSet, resizing: Resizing) -> list[SampleRequest]:
    """Makes the requests with each image, in the order of the records."""
    canvases = {
        batch["image_ids"][0]: batch
        for batch in evaluation_batches(
            samples, resizing, batch_size=1
        ).as_numpy_iterator()
    }
    requests = []
    for row, data in samples.stream().as_numpy_iterator():
        record = samples.records[row]
        image = decode_image(tf.constant(data), tf.constant(record.orientation))
        batch = canvases[record.image_id.encode()]
        names = ("images", "image_sizes", "scales", "file_sizes")
        inputs = {
            "serving_default": {"image_bytes": np.array([data], object)},
            "image_tensor": {"image_tensor": image.numpy()[np.newaxis]},
            "preprocessed": {name: batch[name] for name in names},
        }
        requests.append(SampleRequest(int(row), inputs))
    return requests
