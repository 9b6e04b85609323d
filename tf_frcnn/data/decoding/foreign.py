"""Images of formats that TensorFlow does not decode, turned into PNG by Pillow."""

import io

from PIL import Image, ImageOps, UnidentifiedImageError

# The endings of their files.
FOREIGN_ENDINGS = (".tif", ".tiff", ".webp", ".avif", ".heic", ".heif")
_BEGINNINGS = {b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF"}
# Of the box "ftyp" that opens a file; "mif1" and "msf1" alone say neither.
_BRANDS = {
    "AVIF": {b"avif", b"avis"},
    "HEIC": {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"},
}
_OF_16_BITS = ("I;16", "I;16B", "I;16L")
_REMEDY = "or convert it to JPEG or PNG"


class UnreadableImageError(ValueError):
    """An image cannot be decoded; the message says why."""


def foreign_format(data: bytes) -> str | None:
    """Returns "TIFF", "WebP", "AVIF" or "HEIC", None for any other file.

    Source: ISO/IEC 23008-12, section 10 (the brands of HEIC and AVIF).
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp":
        size = min(int.from_bytes(data[:4]), 256)
        brands = {data[at : at + 4] for at in range(8, size, 4)}
        return next((kind for kind, own in _BRANDS.items() if brands & own), None)
    return _BEGINNINGS.get(data[:4])


def foreign_pixels(data: bytes) -> int:
    """Returns the pixels that a file's header claims; 0 where `to_png` refuses it."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.width * image.height
    except Exception:  # Of any type: each format has its own reader.
        return 0


def to_png(data: bytes) -> bytes:
    """Returns the first image of a file as an upright PNG.

    16-bit grey stays so; everything else gets 8 bits. Transparency is ignored.

    Args:
        data: a file of a `foreign_format`.

    Raises:
        UnreadableImageError: it is damaged, or a package is missing that reads it.
    """
    kind = foreign_format(data)
    if kind == "HEIC":
        _let_pillow_read_heic()
    try:
        with Image.open(io.BytesIO(data)) as image:
            upright = ImageOps.exif_transpose(image)
            return _png_of(upright)
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImageError(
            f"it is {kind}, and damaged or of a kind that the installed Pillow does "
            f"not read; pip install -U Pillow, {_REMEDY}"
        ) from error
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"it is too large ({error})") from error
    except Exception as error:  # Of any type: each format has its own reader.
        raise UnreadableImageError(f"it is damaged or cut off ({error})") from error


def _png_of(image: Image.Image) -> bytes:
    if image.mode in ("F", "I"):
        raise UnreadableImageError(
            "it has 32 bits a pixel, of which nothing says what is black and what is "
            "white; convert it to 8 or 16 bits"
        )
    file = io.BytesIO()
    image = image if image.mode in _OF_16_BITS else image.convert("RGB")
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _let_pillow_read_heic() -> None:
    try:
        import pillow_heif
    except ImportError as error:
        raise UnreadableImageError(
            f'it is HEIC; pip install "tf-frcnn[images]", {_REMEDY}'
        ) from error
    pillow_heif.register_heif_opener()
