import pytest

from tf_frcnn.data.checks.problems import DataError, Problems
from tf_frcnn.data.readers.yolo_folder import (
    entries_of,
    images_in,
    open_yolo_folder,
)


@pytest.fixture
def make(tmp_path):
    """Writes a data.yaml, and empty files and folders (names that end in a slash)."""

    def make(text, *names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(exist_ok=True) if name.endswith("/") else path.touch()
        if text is not None:
            (tmp_path / "data.yaml").write_text(text)
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("names: [cat, ' black  dog']", {0: "cat", 1: "black dog"}),
        ("names: {1: dog, 0: cat}", {0: "cat", 1: "dog"}),
        ("names: {'10': dog, '9': cat, 20: ape}", {9: "cat", 10: "dog", 20: "ape"}),
        ("names: [1, yes]", {0: "1", 1: "True"}),
        ("nc: 2\nnames:\n- cat\n- dog", {0: "cat", 1: "dog"}),
    ],
)
def test_names_are_a_list_or_numbered(make, names, expected):
    folder = open_yolo_folder(make(names))
    assert folder.names == expected and [*folder.names] == [*expected]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: cat", "names = 'cat' must be a list"),
        ("names: {a: cat}", "must be a list, or number: name"),
        ("nc: 3\nnames: [cat]", r"nc is 3, but names has 1 names"),
        ("names: [", "data.yaml, line 1: not valid YAML"),
        ("nc: 1\nnames: &n [cat]\nval: *n", r"data.yaml, line 3: the alias \*n is not"),
        ("names: !!python/tuple [cat]", "line 1: the tag !!python/tuple is not read"),
        ("names: [cat]\ntrain: 7", "train = 7 must be a path, or a list of paths"),
        ("names: [cat]\nval: {a: b}", "val = .* must be a path, or a list of paths"),
        ("- cat", "holds no description"),
        ("nc: 2", "does not name the classes.*classes.txt"),
    ],
)
def test_a_bad_description_is_refused(make, text, message):
    with pytest.raises(DataError, match=message):
        open_yolo_folder(make(text))


@pytest.mark.parametrize("file", ["classes.txt", "labels/classes.txt", "obj.names"])
@pytest.mark.parametrize("text", [None, "train: images"])
def test_a_list_of_the_classes_stands_for_names(make, file, text):
    root = make(text, file, "images/a.png")
    (root / file).write_text("cat\n black dog \n\n", encoding="utf-8-sig")
    assert open_yolo_folder(root).names == {0: "cat", 1: "black dog"}


def test_another_yaml_file_with_names_is_found_and_one_without_is_not(make):
    root = make(None, "images/a.png")
    (root / "a.yaml").write_text("train: {epochs: 10}")
    (root / "b.yaml").write_text("services: {a: &a 1, b: *a}")
    (root / "coco8.yaml").write_text("names: [cat]")
    assert open_yolo_folder(root).names == {0: "cat"}
    assert open_yolo_folder(root / "coco8.yaml").names == {0: "cat"}


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ("train: images/train", "images/train"),
        ("path: set\ntrain: images/train", "set/images/train"),
        ("train: ../train/images", "train/images"),
        ("path: /content/set\ntrain: train/images", "train/images"),
        ("train: /content/set/train/images", "train/images"),
        ("train: ./images/train/", "images/train"),
        ("train: lists/train.txt", "lists/train.txt"),
    ],
)
def test_a_split_is_found_wherever_its_path_starts(make, lines, name):
    root = make(f"names: [cat]\n{lines}", name if "." in name else f"{name}/")
    folder = open_yolo_folder(root)
    assert [*folder.splits] == ["train"]
    assert entries_of(folder, "train") == [root / name]


def test_a_split_may_have_several_folders_and_an_absolute_path(make, tmp_path):
    lines = f"train: [one, {tmp_path}/two]\nval: two\ntest:"
    root = make(f"names: [cat]\n{lines}", "one/", "two/")
    folder = open_yolo_folder(root)
    assert [*folder.splits] == ["train", "val"]
    assert entries_of(folder, "train") == [root / "one", root / "two"]
    assert entries_of(folder, "val") == [root / "two"]


def test_a_split_that_does_not_exist_is_not_taken_from_elsewhere(make):
    """The last part alone would be the folder of all images."""
    root = make("names: [cat]\ntrain: images\ntest: ../test/images", "images/a.png")
    folder = open_yolo_folder(root)
    assert entries_of(folder, "train") == [root / "images"]
    with pytest.raises(
        DataError, match=r"test = '../test/images' does not exist; look"
    ):
        entries_of(folder, "test")


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("images/train/a.png", "images/val/"), ["train", "val"]),
        (("train/images/a.png", "valid/images/"), ["train", "valid"]),
        (("images/a.png", "labels/a.txt"), [""]),
        (("a.png",), [""]),
        (("train.txt", "val.txt", "obj_train_data/a.png"), ["train", "val"]),
    ],
)
def test_without_stated_splits_the_folders_tell(make, names, splits):
    folder = open_yolo_folder(make("names: [cat]", *names))
    assert [*folder.splits] == splits
    (entry,) = entries_of(folder, splits[0])
    assert entry in [folder.root / name for name in names] or entry.is_dir()


def test_all_images_below_a_folder_are_listed_also_those_that_cannot_be_read(make):
    names = ["b.png", "c/a.JPG", "c/d.webp", ".e.png", "f.txt", "g.png/"]
    root = make(None, *(f"images/{name}" for name in names))
    found = images_in([root / "images"], root, Problems())
    assert found == [
        root / "images" / name for name in ("b.png", "c/a.JPG", "c/d.webp")
    ]


def test_a_list_names_images_from_its_folder_the_root_or_another_computer(make):
    names = ["images/a.png", "lists/b.png", "obj_train_data/c.png"]
    root = make(None, *names)
    lines = ["images/a.png", "", "./b.png", "/x/data/obj_train_data/c.png", "d.png"]
    (root / "lists" / "train.txt").write_text("\n".join(lines))
    problems = Problems()
    found = images_in([root / "lists" / "train.txt"], root, problems)
    assert found == [root / name for name in names]
    assert problems.files("missing_image") == ["d.png"]
