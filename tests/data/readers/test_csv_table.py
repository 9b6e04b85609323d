import pytest

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.readers.csv_table import csv_splits, read_csv

TUTORIAL = "filename,width,height,class,xmin,ymin,xmax,ymax"
ROW = "a.png,80,40,cat,20,10,60,30"
CAT = [10, 20, 30, 60]


@pytest.fixture
def write(write_image, tmp_path):
    """Writes images a and b, and a table."""

    def write(*lines, name="train.csv", encoding="utf-8", folder="images"):
        for seed, stem in enumerate("ab"):
            write_image(tmp_path / folder / f"{stem}.png", seed=seed)
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding=encoding)
        return tmp_path

    return write


def boxes(examples):
    return [record.boxes.tolist() for record in examples.records]


def test_the_table_of_the_tutorials_is_read(write):
    root = write(
        TUTORIAL, ROW, "b.png,80,40,dog,0,0,80,40", "a.png,80,40,dog,1,2,3,4.5"
    )
    examples = read_csv(root, "train")
    assert boxes(examples) == [[CAT, [2, 1, 4.5, 3]], [[0, 0, 40, 80]]]
    assert [r.labels.tolist() for r in examples.records] == [[0, 1], [1]]
    assert [r.image_id for r in examples.records] == ["a", "b"]
    assert examples.class_names == ("cat", "dog") and examples.problems.rows == []


def test_columns_may_have_other_names_and_order_and_no_sizes(write):
    root = write("x1, Y1,x2,y2,Label,spam,image_path", "20,10,60,30,cat,,images/a.png")
    assert boxes(read_csv(root, "train")) == [[CAT]]


def test_the_table_of_keras_retinanet_is_read(write):
    root = write("images/a.png,20,10,60,30,dog", "/data/images/b.png,,,,,")
    (root / "classes.csv").write_text("dog,1\ncat,0\n")
    examples = read_csv(root, "train")
    assert boxes(examples) == [[CAT], []]
    assert examples.class_names == ("cat", "dog")
    assert examples.records[0].labels.tolist() == [1]
    assert examples.problems.files("empty_annotation") == [
        "train.csv: /data/images/b.png"
    ]


def test_the_classes_may_lie_in_another_file(write, tmp_path):
    root = write("a.png,20,10,60,30,dog")
    (tmp_path / "map.csv").write_text("name,id\ndog,4\nape,2\n")
    examples = read_csv(root, "train", class_file=str(tmp_path / "map.csv"))
    assert examples.class_names == ("ape", "dog")
    named = read_csv(root, "train", class_names=["dog"])
    assert named.class_names == ("dog",)
    with pytest.raises(DataError, match=r"nowhere\.csv does not exist.*file of the cl"):
        read_csv(root, "train", class_file=str(tmp_path / "nowhere.csv"))


@pytest.mark.parametrize(
    ("text", "message"),
    [("dog,x\n", "has no row"), ("dog,1\ncat,x\n", "line 2: 'x' is no number")],
)
def test_a_bad_file_of_classes_is_refused(write, text, message):
    root = write("a.png,20,10,60,30,dog")
    (root / "classes.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_csv(root, "train")


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_the_delimiter_is_found(write, delimiter):
    root = write(*(line.replace(",", delimiter) for line in (TUTORIAL, ROW, ROW)))
    assert boxes(read_csv(root, "train")) == [[CAT, CAT]]


def test_names_may_be_quoted_and_begin_with_a_mark(write, write_image):
    root = write(TUTORIAL, '"c, d.png",80,40,"black  ""cat""",20,10,60,30')
    write_image(root / "images" / "c, d.png")
    text = (root / "train.csv").read_text()
    (root / "train.csv").write_text(text, encoding="utf-8-sig", newline="\r\n")
    examples = read_csv(root, "train")
    assert boxes(examples) == [[CAT]] and examples.class_names == ('black "cat"',)


def test_an_image_with_a_row_that_is_not_understood_is_dropped(write):
    root = write(
        TUTORIAL, ROW, "a.png,80,40,cat,20,x,60,30", "b.png,80,40,,1,1,2,2", ROW
    )
    with pytest.raises(DataError, match=r"train\.csv, line 3: a\.png: ymin = 'x'"):
        read_csv(root, "train", class_names=["cat"])
    root = write(TUTORIAL, ROW, "b.png,80,40,cat,20,10,60")
    examples = read_csv(root, "train")
    assert [record.image_id for record in examples.records] == ["a"]
    (row,) = examples.problems.rows
    assert (row.kind, row.file) == (
        *("unreadable_annotation", "train.csv, line 3: b.png"),
    )


def test_the_stated_size_is_checked(write):
    root = write(TUTORIAL, "a.png,160,80,cat,40,20,120,60", "b.png,81,80,cat,1,1,2,2")
    examples = read_csv(root, "train")
    assert boxes(examples) == [[CAT]]
    actions = [(row.kind, row.action) for row in examples.problems.rows]
    assert actions == [("wrong_size", "repair"), ("wrong_size", "drop")]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["filename,class,x,y,w,h", ROW],
            "the header filename.* lacks xmin, ymin, xmax",
        ),
        (["a.png,cat", "b.png,cat"], "the first line is neither a header"),
    ],
)
def test_a_table_of_another_form_is_refused(write, lines, message):
    with pytest.raises(DataError, match=message):
        read_csv(write(*lines), "train")


def test_a_table_must_be_text_in_utf_8(write):
    with pytest.raises(DataError, match="is not a table in UTF-8"):
        read_csv(
            write(TUTORIAL, ROW.replace("cat", "Käse"), encoding="latin-1"), "train"
        )


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("train.csv", "train"),
        ("train_labels.csv", "images/train"),
        ("data/train_labels.csv", "images/train"),
        ("annotations/train.csv", "images"),
        ("train/_annotations.csv", "train"),
    ],
)
def test_the_layouts_of_tutorials_and_tools_are_read(write, name, folder):
    root = write(TUTORIAL, ROW, name=name, folder=folder)
    assert csv_splits(root) == ["train"]
    assert boxes(read_csv(root, "train")) == [[CAT]]
    assert boxes(read_csv(root / name, "any")) == [[CAT]]
    with pytest.raises(DataError, match="no split 'test'"):
        read_csv(root, "test")


def test_splits_are_summed_and_share_the_sorted_classes(write):
    write("a.png,20,10,60,30,dog")
    root = write("b.png,20,10,60,30,ape", name="val.csv")
    examples = read_csv(root, "train+val")
    assert examples.class_names == ("ape", "dog")
    assert [r.labels.tolist() for r in examples.records] == [[1], [0]]


def test_a_table_without_objects_needs_class_names(write):
    root = write("a.png,,,,,")
    with pytest.raises(DataError, match="name no object; give class_names"):
        read_csv(root, "train")
    assert boxes(read_csv(root, "train", class_names=["cat"])) == [[]]
