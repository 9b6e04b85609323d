import io

import numpy as np
import pytest
from PIL import Image

from tf_frcnn.data import Resizing
from tf_frcnn.data.readers.images import read_images
from tf_frcnn.demo import ImageError, image_detector
from tf_frcnn.models.evaluating import observe
from tf_frcnn.runs.predictions import list_detections

pytestmark = pytest.mark.slow


def encode(image, kind, **settings):
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


@pytest.mark.parametrize("name", ["plain.png", "plain.jpg", "turned.jpg"])
def test_detections_are_those_of_predict(name, run, detect, shape_file, tmp_path):
    exif = Image.Exif()
    if name == "turned.jpg":
        exif[274] = 6
    with Image.open(shape_file) as image:
        image.save(tmp_path / name, quality=95, exif=exif)
        sides = image.size if name == "turned.jpg" else image.size[::-1]
    examples = read_images([tmp_path / name], run.model.class_names)
    _, found = observe(run.model, examples)
    expected = list_detections(found, run.model.class_names)
    answer = detect((tmp_path / name).read_bytes())
    assert (answer["height"], answer["width"]) == sides
    assert sides[0] != sides[1]
    assert len(answer["detections"]) == len(expected) == 9
    for own, other in zip(answer["detections"], expected, strict=True):
        assert own.keys() == other.keys() and own["class"] == other["class"]
        numbers = [
            [found[key] for key in found if key != "class"] for found in (own, other)
        ]
        np.testing.assert_allclose(*numbers, atol=2e-3)
    assert answer["milliseconds"] > 0


PNG = encode(Image.new("RGB", (30, 20), "red"), "PNG")
JPEG = encode(Image.effect_noise((90, 80), 50), "JPEG")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty."),
        (b"hello", "it is not a JPEG, PNG, BMP or GIF."),
        (JPEG[:200], "it cannot be decoded: it is damaged"),
        (PNG[:16] + b"\0\1\0\0\0\1\0\0" + PNG[24:], "its header claims 65536 x 65536"),
    ],
)
def test_a_bad_image_is_refused_and_the_next_one_is_not(detect, data, reason):
    with pytest.raises(ImageError) as caught:
        detect(data)
    assert str(caught.value).startswith(reason) and str(caught.value).endswith(".")
    assert detect(PNG)["width"] == 30


def test_a_resizing_with_several_sides_is_refused(run):
    resizing = Resizing((96, 128), 160, ((160, 160),))
    with pytest.raises(ValueError, match="short_sides"):
        image_detector(run.model, resizing, 500_000)
