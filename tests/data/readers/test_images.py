import numpy as np
import pytest

from tf_frcnn.data.checks.problems import DataError, Policy
from tf_frcnn.data.decoding.foreign import UnreadableImageError
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.pipeline.batching import evaluation_batches
from tf_frcnn.data.readers.images import find_images, load_image, read_images


@pytest.fixture
def photos(tmp_path, image_of, file_of):
    """A folder with two images, one of them upside down in a way, and other files."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    (folder / "b.png").write_bytes(file_of(image_of(40, 60), "PNG"))
    turned = image_of(30, 50)
    turned.getexif()[274] = 6
    (folder / "A.JPG").write_bytes(file_of(turned, "JPEG", exif=turned.getexif()))
    (folder / "more" / "c.png").write_bytes(file_of(image_of(20, 20), "PNG"))
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_a_folder_means_its_images_but_not_those_of_its_subfolders(photos):
    assert find_images([photos]) == [photos / "A.JPG", photos / "b.png"]
    assert find_images([str(photos)]) == [photos / "A.JPG", photos / "b.png"]


def test_a_pattern_may_reach_into_subfolders(photos):
    assert find_images([f"{photos}/*.png"]) == [photos / "b.png"]
    both = [photos / "b.png", photos / "more" / "c.png"]
    assert find_images([f"{photos}/**/*.png"]) == both


def test_files_keep_their_order_and_are_listed_once(photos):
    patterns = [photos / "b.png", photos / "A.JPG", photos, photos / "more"]
    names = [path.name for path in find_images(patterns)]
    assert names == ["b.png", "A.JPG", "c.png"]


def test_a_file_may_have_a_name_that_looks_like_a_pattern(photos):
    bracketed = photos / "b[1].png"
    bracketed.write_bytes((photos / "b.png").read_bytes())
    assert find_images([bracketed]) == [bracketed]


@pytest.mark.parametrize("pattern", ["missing.png", "*.tiff", "empty"])
def test_what_gives_no_image_is_named_with_the_endings_allowed(tmp_path, pattern):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no picture")
    with pytest.raises(DataError) as error:
        find_images([tmp_path / pattern])
    message = str(error.value)
    assert message.startswith(f"{tmp_path / pattern}: no image found")
    assert ".jpg, .jpeg, .png" in message


def test_images_become_records_without_objects(photos):
    examples = read_images(find_images([photos]), ["cat", "dog"])
    assert examples.class_names == ("cat", "dog")
    turned, upright = examples.records
    assert turned.image_id == turned.source == str(photos / "A.JPG")
    # Stored with 30 rows of 50 pixels; upright it has 50 rows of 30.
    assert (turned.height, turned.width, turned.orientation) == (50, 30, 6)
    assert (upright.height, upright.width, upright.orientation) == (40, 60, 1)
    for record in examples.records:
        assert record.boxes.shape == (0, 4)
        assert len(record.labels) == len(record.difficult) == 0
    assert examples.problems.rows == []


def test_the_bytes_are_those_of_the_files(photos):
    paths = find_images([photos])
    stream = read_images(paths).stream().as_numpy_iterator()
    assert [data for _, data in stream] == [path.read_bytes() for path in paths]


def test_an_image_is_loaded_upright_whatever_its_format(tmp_path, image_of, file_of):
    image = image_of(30, 50)
    image.getexif()[274] = 6
    for kind in ("PNG", "TIFF"):
        path = tmp_path / f"a.{kind}"
        path.write_bytes(file_of(image, kind, exif=image.getexif()))
        np.testing.assert_array_equal(load_image(path), np.rot90(image, -1))
    path.write_bytes(path.read_bytes()[:90])
    for bad in (path, tmp_path / "none.png"):
        with pytest.raises(UnreadableImageError):
            load_image(bad)


def test_unreadable_images_are_dropped_and_named(photos):
    whole = (photos / "b.png").read_bytes()
    (photos / "cut.png").write_bytes(whole[: len(whole) // 2])
    (photos / "words.jpg").write_text("these are words")
    examples = read_images(find_images([photos]))
    names = [record.source for record in examples.records]
    assert names == [str(photos / "A.JPG"), str(photos / "b.png")]
    assert examples.problems.counts() == {"unreadable_image": 2}
    files = [str(photos / name) for name in ("cut.png", "words.jpg")]
    assert examples.problems.files("unreadable_image") == files
    assert len(list(examples.stream())) == 2


def test_an_unreadable_image_may_be_an_error(photos):
    (photos / "words.jpg").write_text("these are words")
    policy = Policy({"unreadable_image": "raise"})
    with pytest.raises(DataError, match=r"words\.jpg: unreadable_image: it is no"):
        read_images(find_images([photos]), policy=policy)


def test_if_no_image_is_readable_there_is_nothing_to_do(tmp_path, capsys):
    (tmp_path / "words.jpg").write_text("these are words")
    with pytest.raises(DataError, match="None of the 1 images is readable"):
        read_images([tmp_path / "words.jpg"])
    assert "unreadable_image" in capsys.readouterr().out


def test_images_without_annotations_make_evaluation_batches(photos):
    examples = read_images(find_images([photos]))
    resizing = Resizing((60,), 120, ((120, 120),))
    (batch,) = evaluation_batches(examples, resizing, batch_size=2)
    # 50 x 30 becomes 100 x 60; 40 x 60 becomes 60 x 90.
    np.testing.assert_array_equal(batch["image_sizes"], [[100, 60], [60, 90]])
    np.testing.assert_array_equal(batch["scales"], [[2, 2], [1.5, 1.5]])
    assert batch["image_ids"].numpy()[1].decode() == str(photos / "b.png")
    np.testing.assert_array_equal(batch["labels"], [[-1], [-1]])
