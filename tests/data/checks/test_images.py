import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_frcnn.data.checks.images import (
    ImageFacts,
    UnreadableImageError,
    inspect_files,
    inspect_image,
    turn_boxes_upright,
)
from tf_frcnn.data.decoding.transforms import turn_upright


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
