"""Makes small data sets in temporary folders."""

import io
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_frcnn.data.checks.problems import Problems
from tf_frcnn.data.examples import ExampleSet, Record, StoredImages

# Five lie, two stand.
PAINTED_SIZES = [(32, 50), (32, 64), (60, 32), (32, 40), (48, 32), (32, 64), (32, 56)]


def smooth_image(height, width, seed=0):
    """Returns an RGB image whose neighbouring pixels are alike, as JPEG likes it."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encode(image, image_format, **options):
    """Returns the bytes of the file that Pillow would write."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def object_xml(name, xmin, ymin, xmax, ymax, extra=""):
    """Returns an <object> element of a VOC annotation."""
    return (
        f"<object><name>{name}</name>{extra}<bndbox><xmin>{xmin}</xmin>"
        f"<ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>"
    )


class VocBuilder:
    """Writes the files of a VOC folder one by one."""

    def __init__(self, root):
        self.root = Path(root)
        for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
            (self.root / folder).mkdir(parents=True)

    def image(self, name, image_bytes=None, *, height=40, width=60):
        """Writes JPEGImages/NAME; by default a PNG of the size given."""
        if image_bytes is None:
            image_bytes = encode(smooth_image(height, width), "PNG")
        (self.root / "JPEGImages" / name).write_bytes(image_bytes)

    def annotation(self, stem, *objects, height=40, width=60):
        """Writes Annotations/STEM.xml."""
        size = f"<size><width>{width}</width><height>{height}</height></size>"
        text = f"<annotation>{size}{''.join(objects)}</annotation>"
        (self.root / "Annotations" / f"{stem}.xml").write_text(text, encoding="utf-8")

    def split(self, name, *lines):
        """Writes ImageSets/Main/NAME.txt."""
        path = self.root / "ImageSets" / "Main" / f"{name}.txt"
        path.write_text("\n".join(lines) + "\n")

    def example(self, stem, *objects, height=40, width=60):
        """Writes a PNG and its annotation."""
        self.image(f"{stem}.png", height=height, width=width)
        self.annotation(stem, *objects, height=height, width=width)


def painted(height, width, box, value):
    """Returns the PNG of a black image with a grey box."""
    image = np.zeros([height, width, 3], np.uint8)
    ymin, xmin, ymax, xmax = box
    image[ymin:ymax, xmin:xmax] = value
    return tf.io.encode_png(image).numpy()


def painted_set_of(sizes=PAINTED_SIZES):
    """Returns images "image0", "image1" ...; see the fixture."""
    records, images = [], []
    for i, (height, width) in enumerate(sizes):
        boxes = np.array([[4, 2, 20, 12 + i], [0, 0, 8, 8]], np.float32)[: i % 3]
        box = boxes[0].astype(int) if len(boxes) else (0, 0, 0, 0)
        images.append(painted(height, width, box, 100 + i))
        labels, difficult = np.array([i, 1], np.int32)[: i % 3], np.arange(i % 3) == 1
        facts = boxes, labels, difficult, np.zeros(i % 3, bool)
        records.append(Record(f"image{i}", f"image{i}.png", height, width, 1, *facts))
    return ExampleSet(
        "painted",
        tuple("abcdefg"),
        tuple(records),
        Problems(),
        StoredImages(tf.constant(images), are_paths=False),
    )


@pytest.fixture(scope="session")
def with_crowds():
    """Marks all boxes of painted images but the second ones, which are difficult."""

    def mark(examples):
        records = (r._replace(crowd=~r.difficult) for r in examples.records)
        return replace(examples, records=tuple(records))

    return mark


@pytest.fixture
def pipe(tmp_path):
    """The path of a named pipe; a test that waits for its end is ended."""

    def give_up(*_):
        raise TimeoutError("the pipe was opened")

    path = tmp_path / "pipe.xml"
    os.mkfifo(path)
    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(20)
    yield path
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))  # Ends a thread that waits.


@pytest.fixture
def voc(tmp_path):
    """A `VocBuilder` in an empty folder."""
    return VocBuilder(tmp_path / "voc")


@pytest.fixture(scope="session")
def make_voc():
    """The class `VocBuilder`, for tests that need several folders."""
    return VocBuilder


@pytest.fixture(scope="session")
def xml_of():
    """The function `object_xml`."""
    return object_xml


@pytest.fixture(scope="session")
def image_of():
    """The function `smooth_image`."""
    return smooth_image


@pytest.fixture(scope="session")
def file_of():
    """The function `encode`."""
    return encode


@pytest.fixture(scope="session")
def painted_set():
    """The function that gives a set of images of the (height, width) asked for.

    Image i is "image<i>" and has i % 3 boxes; the first is painted, a second is
    difficult. The short side of the default ones is the 32 pixels that the network
    sees in most tests, so that pixels pass unchanged.
    """
    return painted_set_of
