import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, features

from tests.helpers.image_files import encode
from tf_frcnn.data.decoding.foreign import (
    UnreadableImageError,
    foreign_format,
    to_png,
)

PIXELS = np.random.default_rng(3).integers(0, 256, (6, 8, 3), np.uint8)
PIXELS = PIXELS.repeat(4, 0).repeat(4, 1)
IMAGE = Image.fromarray(PIXELS)
SMOOTH = IMAGE.resize((4, 3)).resize((64, 48), Image.Resampling.BICUBIC)
HEIC = b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(40)


def pixels_of(png):
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    return np.asarray(image)


@pytest.mark.parametrize(
    ("image", "kind", "settings"),
    [
        (IMAGE, "TIFF", {}),
        (IMAGE, "TIFF", {"compression": "tiff_lzw"}),
        (IMAGE, "TIFF", {"save_all": True, "append_images": [IMAGE.rotate(180)]}),
        (IMAGE.convert("RGBA"), "TIFF", {}),
        (IMAGE, "WEBP", {"lossless": True}),
    ],
)
def test_the_pixels_are_kept(image, kind, settings):
    np.testing.assert_array_equal(
        pixels_of(to_png(encode(image, kind, **settings))), PIXELS
    )


@pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
def test_avif_is_decoded_too():
    data = encode(SMOOTH, "AVIF", quality=95)
    assert foreign_format(data) == "AVIF"
    difference = pixels_of(to_png(data)).astype(float) - np.asarray(SMOOTH)
    assert np.abs(difference).mean() < 3


def test_heic_is_decoded_with_its_package():
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    data = encode(SMOOTH, "HEIF", quality=95)
    assert foreign_format(data) == "HEIC"
    difference = pixels_of(to_png(data)).astype(float) - np.asarray(SMOOTH)
    assert np.abs(difference).mean() < 3


def test_without_its_package_a_heic_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnreadableImageError) as error:
        to_png(HEIC)
    assert str(error.value) == (
        'it is HEIC; pip install "tf-frcnn[images]", or convert it to JPEG or PNG'
    )


def test_what_no_installed_reader_knows_says_so(monkeypatch):
    stub = SimpleNamespace(register_heif_opener=lambda: None)
    monkeypatch.setitem(sys.modules, "pillow_heif", stub)
    with pytest.raises(
        UnreadableImageError, match=r"it is HEIC.*pip install -U Pillow"
    ):
        to_png(HEIC)


@pytest.mark.parametrize("kind", ["TIFF", "WEBP"])
def test_a_turned_photograph_becomes_upright(kind):
    exif = Image.Exif()
    exif[274] = 6
    settings = {"lossless": True} if kind == "WEBP" else {}
    upright = pixels_of(to_png(encode(IMAGE, kind, exif=exif, **settings)))
    np.testing.assert_array_equal(upright, np.rot90(PIXELS, -1))


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bits_of_grey_stay_16_bits(order):
    grey = PIXELS[..., 0].astype(np.uint16) * 257
    png = to_png(encode(Image.fromarray(grey.astype(order)), "TIFF"))
    np.testing.assert_array_equal(pixels_of(png), grey)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_32_bits_have_no_known_range(dtype):
    data = encode(Image.fromarray(PIXELS[..., 0].astype(dtype)), "TIFF")
    with pytest.raises(UnreadableImageError, match=r"32 bits a pixel.*convert it to 8"):
        to_png(data)


@pytest.mark.parametrize("kind", ["TIFF", "WEBP"])
def test_a_cut_file_is_damaged(kind):
    data = encode(IMAGE, kind)
    with pytest.raises(UnreadableImageError, match="damaged"):
        to_png(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
        (b"II+\0", "TIFF"),
        (b"RIFF\1\2\3\4WEBPVP8 ", "WebP"),
        (b"RIFF\1\2\3\4WAVE", None),
        (b"\0\0\0\x1cftypavif\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
        (HEIC, "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", None),
        (b"\xff\xd8\xff\xe0", None),
        (b"", None),
    ],
)
def test_a_format_is_known_by_its_first_bytes(data, kind):
    assert foreign_format(data) == kind
