import base64
import io

import numpy as np
from PIL import Image

from tf_frcnn.data import read_voc
from tf_frcnn.doctor.findings import Place
from tf_frcnn.doctor.thumbnails import thumbnails
from tf_frcnn.drawing.boxes import class_color

CORNERS = {"xmin": 21, "ymin": 61, "xmax": 300, "ymax": 600}
TAGS = "".join(f"<{name}>{value}</{name}>" for name, value in CORNERS.items())
BOX = f"<bndbox>{TAGS}</bndbox>"


def decoded(uri):
    kind, _, data = uri.partition(",")
    assert kind == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_images_of_places_are_small_upright_and_have_their_boxes(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # The stored image is to be turned clockwise.
    for folder in ("JPEGImages", "Annotations"):
        (tmp_path / folder).mkdir()
    for number, size in enumerate([(720, 360), (60, 40)]):
        image = Image.new("RGB", size, (255, 255, 255))
        image.save(tmp_path / "JPEGImages" / f"{number}.jpg", exif=exif)
        objects = "" if number else f"<object><name>x</name>{BOX}</object>"
        xml = tmp_path / "Annotations" / f"{number}.xml"
        xml.write_text(f"<annotation>{objects}</annotation>")
    sets = {"train": read_voc(tmp_path, "train", class_names=["x"])}
    one, other = Place("train", 0), Place("train", 1)
    found = thumbnails(sets, [other, one, other])
    assert found.keys() == {one, other}
    assert decoded(found[one]).size == (180, 360)
    assert decoded(found[other]).size == (40, 60)
    pixels = np.asarray(decoded(found[one])).astype(int)
    assert abs(pixels[150, 10] - class_color(0)).max() < 80
    assert pixels[150, 60].min() > 240


def test_no_place_needs_no_image():
    assert thumbnails({}, []) == {}
