import pytest

from tf_frcnn.data.checks.problems import DataError, MissingSplitError, Problems
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
    with pytest.raises(MissingSplitError) as error:
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


def files_in(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    return root


def test_an_id_has_its_subfolders(tmp_path):
    names = ("JPEGImages/b/f0.jpg", "Annotations/b/f0.xml", "JPEGImages/f0.jpg")
    folder = open_voc_folder(files_in(tmp_path, *names))
    assert folder.images.keys() == {"b/f0", "f0"}
    assert folder.annotations == {"b/f0": tmp_path / "Annotations/b/f0.xml"}
    assert folder.name(folder.images["b/f0"][0]) == "JPEGImages/b/f0.jpg"
    assert folder.image_name("c/x") == "JPEGImages/c/x"
    assert folder.annotation_name("f0") == "Annotations/f0.xml"


def test_annotations_in_other_subfolders_are_found_by_a_name_that_is_unique(tmp_path):
    names = ("images/a.jpg", "images/d/b.jpg", "images/d/c.jpg", "images/e/c.jpg")
    xmls = ("annotations/xmls/a.xml", "annotations/b.xml", "annotations/c.xml")
    folder = open_voc_folder(files_in(tmp_path, *names, *xmls))
    assert {one: path.name for one, path in folder.annotations.items()} == {
        "a": "a.xml",
        "d/b": "b.xml",
        "c": "c.xml",  # Of which image?
    }


def test_names_are_equal_in_any_unicode_form(tmp_path):
    nfc, nfd = "\u00e9", "e\u0301"
    root = files_in(tmp_path, f"JPEGImages/{nfd}.jpg", f"Annotations/{nfc}.XML")
    files_in(tmp_path, "ImageSets/Main/train.txt").joinpath(
        "ImageSets/Main/train.txt"
    ).write_text(f"{nfd}\n", encoding="utf-8")
    folder = open_voc_folder(root)
    assert folder.images == {nfc: [tmp_path / f"JPEGImages/{nfd}.jpg"]}
    assert folder.annotations.keys() == {nfc}
    assert split_ids(folder, "train", Problems()) == [nfc]


@pytest.mark.parametrize("side_by_side", [True, False])
def test_subfolders_named_as_splits_are_the_splits(tmp_path, side_by_side):
    names = ("train/a", "train/b", "valid/c", "test/d")
    for name in names:
        files = [f"{name}.jpg", f"{name}.xml"]
        if not side_by_side:
            files = [f"images/{name}.jpg", f"annotations/{name}.xml"]
        files_in(tmp_path, *files)
    folder = open_voc_folder(tmp_path)
    for split, ids in {
        "train": ["train/a", "train/b"],
        "val": ["valid/c"],
        "validation": ["valid/c"],
        "train+valid": ["train/a", "train/b", "valid/c"],
    }.items():
        assert split_ids(folder, split, Problems()) == ids
    with pytest.raises(MissingSplitError, match="splits there are test, train, valid"):
        split_ids(folder, "trainval", Problems())


def test_other_files_beside_images_and_xml_are_no_images(tmp_path):
    folder = open_voc_folder(files_in(tmp_path, "a.jpg", "a.xml", "notes.txt", "b.csv"))
    assert folder.images.keys() == {"a"}
    assert folder.annotation_name("a") == "a.xml"


def test_lists_have_the_usual_other_names_in_any_case(voc):
    voc.split("Valid", "a")
    voc.split("train", "b")
    for split in ("val", "validation", "Valid"):
        assert ids_of(voc, split) == ["a"]


def test_without_a_list_of_the_split_those_of_the_classes_are_joined(voc):
    for stem in ("a", "b", "c"):
        voc.image(f"{stem}.png")
    voc.split("cat_train", "a.png 1", "b.png -1")
    voc.split("dog_train", "a.png -1", "b.png 1", "c.png -1")
    voc.split("dog_val", "c.png 1")
    assert ids_of(voc, "train") == ["a", "b", "c"]
    assert ids_of(voc, "cat_train") == ["a"] and ids_of(voc, "val") == ["c"]


def test_lists_may_lie_one_folder_higher(tmp_path):
    names = ("JPEGImages/a.jpg", "Annotations/a.xml", "ImageSets/train.txt")
    root = files_in(tmp_path, *names)
    (root / "ImageSets" / "train.txt").write_text("a.jpg\n")
    assert split_ids(open_voc_folder(root), "train", Problems()) == ["a"]


def test_a_folder_that_does_not_exist_is_said_to_be_missing(tmp_path):
    with pytest.raises(DataError) as error:
        open_voc_folder(tmp_path / "cells")
    assert str(error.value).startswith(f"The folder {tmp_path}/cells does not exist")


def test_folders_that_lead_out_of_the_data_set_can_be_refused(voc, tmp_path):
    link = tmp_path / "set"
    link.mkdir()
    for name in ("JPEGImages", "Annotations"):
        (link / name).symlink_to(voc.root / name)
    problems = Problems()
    assert open_voc_folder(link, problems).places
    assert problems.files("outside_link") == ["JPEGImages", "Annotations"]
    with pytest.raises(
        DataError, match=r"outside_link, first JPEGImages: it leads out"
    ):
        open_voc_folder(link, Problems(), follow_links=False)
