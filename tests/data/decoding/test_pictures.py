import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.image_files import with_exif_entry
from tf_frcnn.data.decoding.pictures import (
    ImageError,
    lies_in_unit_range,
    read_picture,
    to_rgb,
)

PIXELS = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def encoded(image, image_format="PNG", **options):
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def forms(folder):
    """Returns the same picture in every form that is taken."""
    data = encoded(Image.fromarray(PIXELS))
    (folder / "picture.png").write_bytes(data)
    return {
        "path": folder / "picture.png",
        "text": str(folder / "picture.png"),
        "bytes": data,
        "bytearray": bytearray(data),
        "array": PIXELS,
        "floats": PIXELS.astype(np.float64),
        "int64": PIXELS.astype(np.int64),
        "rgba": np.dstack([PIXELS, np.full([20, 30], 9, np.uint8)]),
        "tensor": tf.constant(PIXELS),
        "string": tf.constant(data),
        "pillow": Image.fromarray(PIXELS),
        "pillow with transparency": Image.fromarray(PIXELS).convert("RGBA"),
    }


@pytest.mark.slow
def test_every_form_gives_the_same_pixels(tmp_path):
    for name, picture in forms(tmp_path).items():
        image = read_picture(picture, "it")
        assert image.dtype in (tf.uint8, tf.float32)
        np.testing.assert_array_equal(image, PIXELS, err_msg=name)


@pytest.mark.parametrize("grey", [PIXELS[..., 0], PIXELS[..., :1]])
def test_grey_pictures_get_three_channels(grey):
    expected = np.repeat(PIXELS[..., :1], 3, axis=-1)
    np.testing.assert_array_equal(read_picture(grey, "it"), expected)
    np.testing.assert_array_equal(
        read_picture(Image.fromarray(PIXELS[..., 0]), "it"), expected
    )


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_files_and_pillows_pictures_are_turned_upright_alike(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    data = encoded(Image.fromarray(PIXELS), "PNG", exif=exif)
    upright = read_picture(data, "it").numpy()
    assert upright.shape[:2] == ((30, 20) if orientation >= 5 else (20, 30))
    np.testing.assert_array_equal(
        read_picture(Image.open(io.BytesIO(data)), "it"), upright
    )


@pytest.mark.parametrize("kind", ["TIFF", "WEBP"])
def test_formats_that_tensorflow_does_not_decode_are_read(tmp_path, kind):
    exif = Image.Exif()
    exif[274] = 6
    settings = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(Image.fromarray(PIXELS), kind, exif=exif, **settings)
    (tmp_path / "a.jpg").write_bytes(data)
    for picture in (data, tmp_path / "a.jpg", Image.open(io.BytesIO(data))):
        image = read_picture(picture, "it")
        np.testing.assert_array_equal(image, np.rot90(PIXELS, -1))


def test_a_damaged_file_of_such_a_format_is_named(tmp_path):
    data = encoded(Image.fromarray(PIXELS), "WEBP")[:60]
    with pytest.raises(ImageError, match="it: it is damaged or cut off"):
        read_picture(data, "it")


@pytest.mark.parametrize("field_type", [1, 2, 11])
def test_an_orientation_of_a_wrong_type_turns_no_form_of_a_picture(field_type):
    data = with_exif_entry("JPEG", field_type, 1, b"\6\0\0\0")
    for picture in (data, Image.open(io.BytesIO(data))):
        assert read_picture(picture, "it").shape == (4, 5, 3)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (b"", "it: it is empty"),
        (b"hello", "it: it is not a JPEG, PNG, BMP or GIF"),
        (PIXELS / 255.0, "it: its values lie in 0..1, .* multiply by 255"),
        (PIXELS - 300.0, "it: its values must lie in 0..255"),
        (PIXELS.astype(np.uint16) * 100, "it: its values must lie in 0..255"),
        (PIXELS * np.nan, "it: its values must lie in 0..255"),
        (PIXELS[..., :2], r"uint8 of shape \(20, 30, 2\) is not a picture"),
        (PIXELS[np.newaxis], r"shape \(1, 20, 30, 3\) is not a picture"),
        (PIXELS > 9, "bool of shape"),
        (PIXELS[:0], r"shape \(0, 30, 3\) is not a picture"),
        (None, "object of shape"),
    ],
)
def test_what_is_no_picture_is_refused_with_its_name(picture, message):
    with pytest.raises(ImageError, match=message):
        read_picture(picture, "it")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"none.jpg: no such file; give the pat"
    ):
        read_picture(tmp_path / "none.jpg", "it")
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}: a folder"):
        read_picture(tmp_path, "it")


def test_a_damaged_file_is_named_by_its_path(tmp_path):
    path = tmp_path / "a: b.png"
    path.write_bytes(encoded(Image.fromarray(PIXELS))[:60])
    with pytest.raises(ImageError, match=r"a: b.png: it cannot be decoded"):
        read_picture(path, "it")


def test_black_is_not_taken_for_a_picture_of_0_to_1():
    dark = np.zeros([4, 4, 3], np.float32)
    dark[0, 0] = 1
    assert not lies_in_unit_range(tf.constant(dark))
    assert lies_in_unit_range(tf.constant(dark + 0.25 * (dark == 0)))
    assert not lies_in_unit_range(tf.constant(dark.astype(np.uint8)))


def test_pictures_become_rgb_in_a_graph_as_well():
    spec = tf.TensorSpec([None, None, None], tf.int32)
    graph = tf.function(to_rgb, input_signature=[spec])
    for channels in (1, 3, 4):
        image = np.resize(PIXELS, (20, 30, channels)).astype(np.int32)
        expected = np.broadcast_to(image[..., :3], (20, 30, 3))
        np.testing.assert_array_equal(graph(image), expected)
    ragged = tf.RaggedTensor.from_tensor(PIXELS, ragged_rank=1)
    np.testing.assert_array_equal(to_rgb(ragged), PIXELS)
