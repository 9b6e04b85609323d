import pytest

from tf_frcnn.data.checks.problems import DataError, Problems
from tf_frcnn.data.readers.voc_folder import open_voc_folder, split_ids


def ids_of(voc, split, problems=None):
    return split_ids(open_voc_folder(voc.root), split, problems or Problems())


def test_the_ids_of_a_split_come_in_its_order_without_blank_lines(voc):
    voc.split("train", "b", "", "  a  ", "")
    assert ids_of(voc, "train") == ["b", "a"]


def test_a_sum_of_splits_joins_them_and_counts_what_is_in_both(voc):
    voc.split("train", "a", "b")
    voc.split("val", "b", "c")
    problems = Problems()
    assert ids_of(voc, "train+val", problems) == ["a", "b", "c"]
    assert problems.counts() == {"repeated_image": 1}
    assert problems.files("repeated_image") == ["val.txt"]


def test_of_a_file_for_one_class_the_images_without_it_are_left_out(voc):
    voc.split("cat_train", "000001 -1", "000002  1", "000003  0")
    assert ids_of(voc, "cat_train") == ["000002", "000003"]


def test_a_name_with_blanks_and_a_number_is_one_name_if_an_image_is_called_so(voc):
    voc.image("photo 1.png")
    voc.split("train", "photo 1", "my cat")
    assert ids_of(voc, "train") == ["photo 1", "my cat"]


def test_an_unknown_split_is_answered_with_those_that_exist(voc):
    voc.split("train", "a")
    voc.split("trainval", "a")
    with pytest.raises(DataError) as error:
        ids_of(voc, "trian")
    assert str(error.value) == (
        f"{voc.root}/ImageSets/Main/trian.txt does not exist; the splits there "
        "are train, trainval; did you mean 'train'?"
    )


def test_without_image_sets_all_images_and_annotations_count(voc):
    (voc.root / "ImageSets" / "Main").rmdir()
    (voc.root / "ImageSets").rmdir()
    voc.image("b.png")
    voc.annotation("a")
    voc.image(".DS_Store", b"")
    assert ids_of(voc, "any") == ["a", "b"]


def test_images_are_found_by_stem_in_any_case_images_before_other_files(voc):
    for name in ("a.JPG", "b.jpeg", "c.x.PNG", "a.doc"):
        voc.image(name, b"")
    images = open_voc_folder(voc.root).images
    assert {stem: [p.name for p in paths] for stem, paths in images.items()} == {
        "a": ["a.JPG", "a.doc"],
        "b": ["b.jpeg"],
        "c.x": ["c.x.PNG"],
    }


def test_the_folder_above_points_to_the_voc_folder_in_it(voc):
    with pytest.raises(DataError) as error:
        open_voc_folder(voc.root.parent)
    assert "it lacks JPEGImages and Annotations" in str(error.value)
    assert str(error.value).endswith(f"Did you mean {voc.root}?")
