import pytest

from tf_frcnn.data.checks.boxes import DrawnObject
from tf_frcnn.data.readers.voc_annotation import (
    UnreadableAnnotationError,
    read_annotation,
)

PERSON = """<annotation>
  <size><width>500</width><height>375</height><depth>3</depth></size>
  <object><name> person </name><difficult>1</difficult><truncated>0</truncated>
    <bndbox><xmax>20.5</xmax><xmin>10</xmin><ymin>30</ymin><ymax>40</ymax></bndbox>
    <part><name>head</name>
      <bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></part>
  </object>
</annotation>"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "a.xml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_an_object_is_read_whatever_the_order_of_its_elements(written):
    annotation = read_annotation(written(PERSON))
    assert annotation.size == (375, 500)
    assert annotation.objects == [DrawnObject("person", (30, 10, 40, 20.5), True)]


def test_difficult_and_size_may_be_missing(written, xml_of):
    text = f"<annotation>{xml_of('cat', 1, 2, 3, 4)}</annotation>"
    annotation = read_annotation(written(text))
    assert annotation.size is None
    assert annotation.objects == [DrawnObject("cat", (2, 1, 4, 3), False)]


def test_a_size_of_zero_says_nothing(written):
    size = "<size><width>0</width><height>0</height></size>"
    assert read_annotation(written(f"<annotation>{size}</annotation>")).size is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("<object>", "it is not valid XML"),
        ("<object><bndbox/></object>", "an object has no name"),
        ("<object><name>cat</name></object>", "<object> has no bndbox/ymin"),
        ("<size><width>3</width></size>", "<annotation> has no size/height"),
    ],
)
def test_what_lacks_a_needed_element_is_unreadable(written, body, message):
    with pytest.raises(UnreadableAnnotationError, match=message):
        read_annotation(written(f"<annotation>{body}</annotation>"))


def test_a_corner_that_is_no_number_is_unreadable(written, xml_of):
    text = f"<annotation>{xml_of('cat', 'ten', 2, 3, 4)}</annotation>"
    with pytest.raises(UnreadableAnnotationError, match="bndbox/xmin = 'ten'"):
        read_annotation(written(text))


def test_a_difficult_that_is_neither_0_nor_1_is_unreadable(written, xml_of):
    drawn = xml_of("cat", 1, 2, 3, 4, extra="<difficult>hard</difficult>")
    with pytest.raises(UnreadableAnnotationError, match="difficult = 'hard' of a cat"):
        read_annotation(written(f"<annotation>{drawn}</annotation>"))


def test_entities_are_not_expanded(written):
    bomb = '<!DOCTYPE a [<!ENTITY x "cat">]><annotation>&x;</annotation>'
    with pytest.raises(UnreadableAnnotationError, match="it declares XML entities"):
        read_annotation(written(bomb))


def test_an_endless_size_is_unreadable(written):
    size = "<size><width>inf</width><height>3</height></size>"
    with pytest.raises(UnreadableAnnotationError):
        read_annotation(written(f"<annotation>{size}</annotation>"))
