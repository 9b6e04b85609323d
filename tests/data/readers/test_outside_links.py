import shutil

import pytest

from tf_frcnn.data import DATASETS, MissingSplitError

OF_FOLDERS = ("voc", "coco", "yolo", "csv")


@pytest.fixture(params=OF_FOLDERS)
def reader(request):
    return request.param


@pytest.fixture
def folder(reader, in_every_form, tmp_path):
    return in_every_form(reader, tmp_path / "data")


def image_of(folder):
    (image,) = folder.rglob("a.png")
    return image


def of_links(examples):
    rows = [row for row in examples.problems.rows if row.kind == "outside_link"]
    return [(row.file, row.action) for row in rows]


def test_an_image_that_is_a_link_is_followed_and_counted(reader, folder, tmp_path):
    image = image_of(folder)
    image.rename(tmp_path / "elsewhere.png")
    image.symlink_to(tmp_path / "elsewhere.png")
    examples = DATASETS[reader](folder, "train")
    name = image.relative_to(folder).as_posix()
    assert len(examples.records) == 1 and of_links(examples) == [(name, "keep")]
    with pytest.raises(ValueError, match=f"outside_link.*{name}: it leads out"):
        DATASETS[reader](folder, "train", follow_links=False)


def test_a_folder_of_images_that_is_a_link_is_counted_once(reader, folder, tmp_path):
    inner = image_of(folder).parent
    shutil.move(inner, tmp_path / "elsewhere")
    shutil.copy(tmp_path / "elsewhere" / "a.png", tmp_path / "elsewhere" / "b.png")
    inner.symlink_to(tmp_path / "elsewhere")
    examples = DATASETS[reader](folder, "train")
    assert of_links(examples) == [(inner.relative_to(folder).as_posix(), "keep")]


def test_a_name_may_lead_elsewhere_unless_that_is_refused(write_image, tmp_path):
    image = write_image(tmp_path / "elsewhere" / "a.png")
    table = tmp_path / "data" / "train.csv"
    table.parent.mkdir()
    table.write_text(f"{image},20,10,60,30,cat\n")
    examples = DATASETS["csv"](table.parent, "train")
    assert len(examples.records) == 1 and examples.problems.rows == []
    with pytest.raises(ValueError, match=r"a\.png: it lies outside the folder"):
        DATASETS["csv"](table.parent, "train", follow_links=False)


@pytest.mark.parametrize("reader", [*OF_FOLDERS, "tfrecord"], indirect=True)
def test_a_split_that_is_missing_is_told_apart_from_other_faults(reader, folder):
    with pytest.raises(MissingSplitError, match="train"):
        DATASETS[reader](folder, "test")
