import io

import numpy as np
import pytest
from PIL import Image

from tf_frcnn.data import make_shapes, read_voc, write_voc
from tf_frcnn.doctor import fingerprints as module
from tf_frcnn.doctor.copies import ALIKE
from tf_frcnn.doctor.fingerprints import features, fingerprint, fingerprints


def encoded(image, form="PNG", **settings):
    file = io.BytesIO()
    image.save(file, form, **settings)
    return file.getvalue()


@pytest.fixture(scope="module")
def image():
    noise = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    return Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC)


def likeness(*contents):
    """Returns the product of the features of two images."""
    one, other = features([fingerprint(content) for content in contents])
    return float(one @ other)


COPIES = {
    "other format": lambda image: encoded(image, "JPEG", quality=50),
    "smaller": lambda image: encoded(image.resize((96, 72)), "JPEG"),
    "brighter": lambda image: encoded(image.point(lambda v: min(255, int(1.2 * v)))),
    "grey": lambda image: encoded(image.convert("L")),
    "palette": lambda image: encoded(image.convert("P")),
    "16 bits": lambda image: encoded(
        Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257)
    ),
}


@pytest.mark.parametrize("change", COPIES.values(), ids=[*COPIES])
def test_a_changed_copy_looks_alike(image, change):
    assert likeness(encoded(image), change(image)) > max(ALIKE, 0.95)


def test_a_copy_that_its_note_turns_upright_looks_alike(image):
    exif = Image.Exif()
    exif[0x0112] = 6  # To be turned clockwise.
    turned = image.transpose(Image.Transpose.ROTATE_90)
    assert likeness(encoded(image), encoded(turned, "JPEG", exif=exif)) > ALIKE
    assert likeness(encoded(image), encoded(turned, "JPEG")) < 0.5


def test_different_images_do_not():
    contents = [c for _, c in make_shapes(40, seed=3).stream().as_numpy_iterator()]
    vectors = features([fingerprint(content) for content in contents])
    products = vectors @ vectors.T - np.eye(40)
    assert products.max() < ALIKE - 0.1


def test_images_of_one_brightness_are_like_nothing():
    flat = [encoded(Image.new("RGB", (50, 40), (level,) * 3)) for level in (0, 200)]
    assert likeness(flat[0], flat[0]) == 0.0 and likeness(*flat) == 0.0


def test_bytes_that_are_no_image_have_a_digest_only():
    one, other = fingerprint(b"no image"), fingerprint(b"another")
    assert one.looks == "" and one.digest != other.digest
    assert not features([one]).any()


def test_fingerprints_of_files_are_kept_until_a_file_changes(tmp_path, monkeypatch):
    write_voc(make_shapes(3, seed=1), tmp_path, "train")
    examples = read_voc(tmp_path, "train")
    first = fingerprints(examples)
    assert len({one.digest for one in first}) == 3
    read = []
    monkeypatch.setattr(
        module, "fingerprint", lambda content: read.append(1) or fingerprint(content)
    )
    assert fingerprints(examples) == first and not read
    file = sorted((tmp_path / "JPEGImages").iterdir())[1]
    file.write_bytes(file.read_bytes() + b"more")
    changed = fingerprints(read_voc(tmp_path, "train"))
    assert len(read) == 1 and changed[::2] == first[::2]
    assert changed[1].looks == first[1].looks and changed[1].digest != first[1].digest


def test_images_in_memory_have_the_fingerprints_of_their_records():
    examples = make_shapes(4, seed=2)
    contents = [content for _, content in examples.stream().as_numpy_iterator()]
    assert fingerprints(examples) == [fingerprint(content) for content in contents]
