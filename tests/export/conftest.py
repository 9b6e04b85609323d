"""Fixtures of the tests of exported models."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.made_once import made_once
from tf_frcnn.data import Resizing, evaluation_batches, make_shapes, write_voc
from tf_frcnn.data.readers.images import find_images, read_images
from tf_frcnn.export import export_model
from tf_frcnn.models.evaluating import observe
from tf_frcnn.runs.inference import detections_of_image


@pytest.fixture
def strict_model(model, monkeypatch):
    """The detector while no score of its reaches the threshold."""
    head = model.roi_head
    strict = head.detections.replace(score_threshold=0.999)
    with monkeypatch.context() as changed:
        changed.setattr(head, "detections", strict)
        changed.setattr(head.detection_layer, "detections", strict)
        yield model
    # The graph that was made meanwhile is not the other tests'.
    model.make_predict_function(force=True)


@pytest.fixture(scope="session")
def resizing():
    return Resizing((96,), 160, ((96, 128), (128, 96), (160, 160)))


@pytest.fixture(scope="session")
def model(tiny_detector):
    """A detector whose box head is no longer symmetric in its two classes."""
    model = tiny_detector(detections={"score_threshold": 0.3})
    logits = model.roi_head.predictor.logits
    logits.set_weights([10 * logits.kernel.numpy(), np.array([0, 0.5, 0.2])])
    return model


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """Two lying images and an upright one as files: PNG, JPEG and a turned JPEG."""
    folder = tmp_path_factory.mktemp("images")
    write_voc(make_shapes(12, seed=4), folder, "all")
    images = [Image.open(path) for path in find_images([folder / "JPEGImages"])]
    lying = next(image for image in images if image.width > image.height)
    upright = next(image for image in images if image.width < image.height)
    lying.save(folder / "lying.png")
    upright.save(folder / "upright.jpg", quality=90)
    exif = Image.Exif()
    exif[274] = 6
    upright.save(folder / "turned.jpg", quality=90, exif=exif)
    names = ("lying.png", "upright.jpg", "turned.jpg")
    return read_images([folder / name for name in names])


@pytest.fixture(scope="session")
def files(images):
    """The images' bytes."""
    return [data for _, data in images.stream().as_numpy_iterator()]


@pytest.fixture(scope="session")
def exported(model, resizing, images, tmp_path_factory):
    """The folder of the first version; images may have 0.5 megapixels."""
    settings = {"max_megapixels": 0.5, "info": {"made": "here"}}

    def export(folder):
        export_model(model, resizing, folder / "new" / "shapes", images, **settings)

    folder = made_once(tmp_path_factory, "export", export)
    return folder / "new" / "shapes" / "1"


@pytest.fixture(scope="session")
def signatures(exported):
    return tf.saved_model.load(exported).signatures


@pytest.fixture(scope="session")
def expected(model, resizing, images):
    """The model's own detections of each image."""
    batches = evaluation_batches(images, resizing, batch_size=1)
    _, found = observe(model, batches)
    return [detections_of_image(found, row) for row in range(len(images.records))]
