import pytest

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.readers.label_map import LabelMapItem, read_label_map


@pytest.fixture
def parse(tmp_path):
    def parse(text):
        (tmp_path / "map.pbtxt").write_text(text, encoding="utf-8")
        return read_label_map(tmp_path / "map.pbtxt")

    return parse


def test_items_come_in_the_order_of_their_ids(parse):
    text = """
    # the classes
    item {
      id: 2  # not the first
      name: 'dog'
    }
    item { name: "/m/01yrx" id: 1 display_name: "Cat" }
    item { id: 0 name: "background" }
    """
    assert parse(text) == [
        LabelMapItem(1, "/m/01yrx", "Cat"),
        LabelMapItem(2, "dog", "dog"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        'item{id:1,name:"cat"}',
        'item: <id: 1; name: "cat">',
        'item {\r\n  id: 1\r\n  name: "cat"\r\n}\r\n# end',
        'item { name: "cat" id: 1 keypoints { id: 7 label: "nose" } }',
        '\ufeffitem { id: 1 display_name: "cat" }',
    ],
)
def test_the_text_form_may_be_written_in_several_ways(parse, text):
    assert parse(text) == [LabelMapItem(1, "cat", "cat")]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (r'"K\303\244se"', "Käse"),
        ('"Käse"', "Käse"),
        (r"'it\'s'", "it's"),
        ('"it\'s # no {comment}"', "it's # no {comment}"),
        (r'"a\\b\tc\x41"', "a\\b\tcA"),
    ],
)
def test_names_may_be_escaped(parse, written, name):
    assert parse(f"item {{ id: 1 name: {written} }}")[0].name == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it has no item"),
        ("cat\ndog\n", "no item"),
        ("item { id: 1 }", "lacks its id or its name"),
        ('item { name: "cat" }', "lacks its id"),
        ('item { id: x name: "cat" }', "invalid literal"),
        ('item { id: 1 name: "cat"', "'}' is missing at the end"),
        ('item { id: 1\n name: "cat }', "line 2 is not understood"),
        ("item { id: 1 name }", "has no value|is missing"),
        ("} item", "has no value"),
    ],
)
def test_what_is_no_label_map_is_refused(parse, text, message):
    with pytest.raises(DataError, match=f"map.pbtxt is not a label map: .*({message})"):
        parse(text)
