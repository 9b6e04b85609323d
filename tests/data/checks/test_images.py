import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers import image_files as files
from tests.helpers.image_files import gif_of_a_part, png_with_chunk, with_exif_entry
from tests.helpers.paths import SHARED
from tf_frcnn.data.checks.facts_cache import FactsCache
from tf_frcnn.data.checks.images import (
    ImageFacts,
    UnreadableImageError,
    inspect_files,
    inspect_image,
    is_usable,
    read_checked,
    turn_boxes_upright,
)
from tf_frcnn.data.checks.problems import Policy, Problems
from tf_frcnn.data.decoding.transforms import turn_upright

PICTURES = SHARED / "cases" / "pictures"


def photograph(image_of, file_of, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return file_of(image_of(24, 41), "JPEG", exif=exif)


def test_a_sound_image_gives_its_size(image_of, file_of):
    facts = inspect_image(file_of(image_of(24, 41), "PNG"))
    assert facts == ImageFacts(24, 41, 1) and facts.upright_size == (24, 41)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_on_its_side_has_its_sides_exchanged(
    image_of, file_of, orientation
):
    facts = inspect_image(photograph(image_of, file_of, orientation))
    assert facts.orientation == orientation
    assert facts.upright_size == ((24, 41) if orientation < 5 else (41, 24))


def test_a_file_is_read_with_its_facts_or_refused_with_the_reason(
    tmp_path, image_of, file_of
):
    path = tmp_path / "a.jpg"
    path.write_bytes(photograph(image_of, file_of, 6))
    assert read_checked(path) == (path.read_bytes(), ImageFacts(24, 41, 6))
    path.write_bytes(file_of(image_of(24, 41), "TIFF"))
    data, facts = read_checked(path)
    assert data.startswith(b"\x89PNG") and facts == ImageFacts(24, 41, 1)
    path.write_bytes(path.read_bytes()[:90])
    with pytest.raises(UnreadableImageError, match="damaged"):
        read_checked(path)
    path.unlink()
    with pytest.raises(UnreadableImageError, match="No such file"):
        read_checked(path)


@pytest.mark.parametrize("orientation", [0, 9])
def test_an_impossible_orientation_counts_as_none(image_of, file_of, orientation):
    facts = inspect_image(photograph(image_of, file_of, orientation))
    assert facts.orientation == 1


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "BMP"])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_file_cut_off_is_unreadable(image_of, file_of, image_format, kept):
    data = file_of(image_of(48, 82), image_format)
    with pytest.raises(UnreadableImageError, match="damaged or cut off"):
        inspect_image(data[: int(len(data) * kept)])


@pytest.mark.parametrize("data", [b"", b"no image at all"])
def test_what_is_no_image_is_unreadable(data):
    with pytest.raises(UnreadableImageError, match="not an image of a known format"):
        inspect_image(data)


def test_a_foreign_format_is_named_with_the_remedy(image_of, file_of):
    with pytest.raises(UnreadableImageError) as error:
        inspect_image(file_of(image_of(24, 41), "TIFF"))
    assert str(error.value) == "it is TIFF; convert it to JPEG or PNG"


@pytest.mark.parametrize("mode", ["P", "1"])
def test_a_bitmap_that_would_decode_to_other_colours_is_refused(
    image_of, file_of, mode
):
    with pytest.raises(UnreadableImageError):
        inspect_image(file_of(image_of(24, 41).convert(mode), "BMP"))


def test_files_are_answered_in_order_and_a_lost_one_by_an_error(
    tmp_path, image_of, file_of
):
    paths = [tmp_path / f"{height}.png" for height in (10, 11, 12, 13)]
    for path in paths:
        path.write_bytes(file_of(image_of(int(path.stem), 20), "PNG"))
    paths[2].unlink()
    answers = list(inspect_files(paths))
    assert [a.stored_height for a in answers if isinstance(a, ImageFacts)] == [
        10,
        11,
        13,
    ]
    assert str(answers[2]) == "No such file or directory"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_turns_with_its_pixels(orientation):
    stored = np.zeros([10, 16, 1], np.uint8)
    stored[1:4, 2:9] = 1
    facts = ImageFacts(10, 16, orientation)
    upright = turn_upright(tf.constant(stored), tf.constant(orientation)).numpy()
    rows, columns, _ = np.nonzero(upright)
    box = turn_boxes_upright(np.array([[1.0, 2.0, 4.0, 9.0]]), facts)[0]
    np.testing.assert_array_equal(
        box, [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
    )


def deep_png(file_of, largest):
    """Returns a grey PNG of 16 bits with a largest value."""
    grey = np.linspace(0, largest, 600).round().astype(np.uint16).reshape(20, 30)
    return file_of(Image.fromarray(grey), "PNG")


@pytest.mark.parametrize(
    ("largest", "unused"),
    [(255, 8), (1023, 6), (4095, 4), (16383, 2), (16384, 1), (65535, 0), (0, 0)],
)
def test_the_bits_that_no_pixel_of_16_bits_uses_are_counted(file_of, largest, unused):
    facts = inspect_image(deep_png(file_of, largest))
    assert facts == ImageFacts(20, 30, 1, unused)
    problems = Problems()
    assert is_usable(facts, "a.png", problems)
    assert problems.counts() == ({"unused_bits": 1} if unused >= 2 else {})


def test_an_all_but_black_image_says_so_and_can_be_dropped(file_of):
    facts = inspect_image(deep_png(file_of, 4095))
    problems = Problems(Policy({"unused_bits": "drop"}))
    assert not is_usable(facts, "a.png", problems)
    (row,) = problems.rows
    assert row.action == "drop" and row.detail.endswith("multiply its values by 16")
    assert "it uses 12, but the network sees the upper 8" in row.detail


def test_8_bits_of_colour_are_never_called_dark(image_of, file_of):
    black = Image.new("RGB", (8, 8))
    assert inspect_image(file_of(black, "PNG")).unused_bits == 0


def test_a_gif_whose_first_frame_is_a_part_of_its_screen_is_refused():
    with pytest.raises(UnreadableImageError) as error:
        inspect_image(gif_of_a_part((90, 60), (10, 12)))
    assert str(error.value) == (
        "its first frame has 10 x 12 pixels, but its screen 90 x 60; convert it to PNG"
    )
    assert inspect_image(gif_of_a_part((10, 12), (10, 12))) == ImageFacts(12, 10, 1)


def test_a_png_is_refused_before_a_chunk_gets_the_memory_that_it_claims():
    for behind in (False, True):
        with pytest.raises(UnreadableImageError, match=r"its chunk b'tEXt' claims"):
            inspect_image(png_with_chunk(2**31 - 1, behind=behind))


@pytest.mark.parametrize("field_type", [1, 2, 11])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_an_orientation_of_a_wrong_type_never_ends_the_check(kind, field_type):
    data = with_exif_entry(kind, field_type, 1, b"\6\0\0\0")
    assert inspect_image(data) == ImageFacts(4, 5, 1)


def test_an_image_that_claims_too_many_pixels_is_too_large():
    data = files.png_of(20_000, 20_000)
    with pytest.raises(UnreadableImageError, match="it is too large"):
        inspect_image(data)


def test_a_pipe_is_no_image_and_stops_nothing(pipe):
    (answer,) = inspect_files([pipe])
    assert str(answer) == "it is not a regular file"


@pytest.mark.parametrize("kind", ["TIFF", "WEBP"])
def test_a_foreign_format_gets_a_copy_where_it_is_asked_for(
    tmp_path, image_of, file_of, kind, monkeypatch
):
    monkeypatch.setenv("TF_FRCNN_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "a.jpg"
    path.write_bytes(file_of(image_of(24, 41), kind))
    (refused,) = inspect_files([path])
    assert "convert it to JPEG or PNG" in str(refused)
    for _ in range(2):
        with FactsCache(tmp_path) as cache:
            (facts,) = inspect_files([path], cache, copies=True)
        assert facts.upright_size == (24, 41)
        with Image.open(facts.copy) as copy:
            assert copy.format == "PNG" and copy.size == (41, 24)
        (tmp_path / "cache" / "images").rename(tmp_path / "gone")  # Made again.
        (tmp_path / "gone" / facts.copy.rpartition("/")[2]).unlink()
        (tmp_path / "gone").rmdir()


def test_without_a_cache_a_foreign_format_says_what_to_do(
    tmp_path, image_of, file_of, monkeypatch
):
    monkeypatch.setenv("TF_FRCNN_CACHE", "")
    path = tmp_path / "a.tif"
    path.write_bytes(file_of(image_of(24, 41), "TIFF"))
    (answer,) = inspect_files([path], copies=True)
    assert "needs the cache, which TF_FRCNN_CACHE switches off" in str(answer)


def test_known_and_new_files_are_answered_in_order(tmp_path, image_of, file_of):
    paths = [tmp_path / f"{height}.png" for height in range(10, 90)]
    for path in paths:
        path.write_bytes(file_of(image_of(int(path.stem), 20), "PNG"))
    with FactsCache(tmp_path) as cache:
        assert len([*inspect_files(paths[::3], cache)]) == 27
    with FactsCache(tmp_path) as cache:
        heights = [facts.stored_height for facts in inspect_files(paths, cache)]
    assert heights == [*range(10, 90)]


@pytest.mark.skipif(not PICTURES.is_dir(), reason=f"no pictures in {PICTURES}")
def test_odd_pictures_are_read_or_refused_with_a_reason():
    answers = {}
    for path in PICTURES.iterdir():
        (answer,) = inspect_files([path])
        answers[path.name] = answer
    reasons = {
        name: str(answer)
        for name, answer in answers.items()
        if isinstance(answer, UnreadableImageError)
    }
    assert reasons.keys() == {
        "gif_frame_larger.gif",
        "gif_frame_smaller.gif",
        "png_chunk_of_2GB.png",
    }
    assert reasons["gif_frame_smaller.gif"].startswith("its first frame has 10 x 10")
    assert answers["png_exif_after_idat.png"].upright_size == (90, 60)
    assert answers["png_16bit_grey.png"] == ImageFacts(60, 90, 1)
