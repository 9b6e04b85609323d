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


@pytest.mark.parametrize(
    "size",
    [
        "<width>0</width><height>0</height>",
        "<width></width><height></height><depth></depth>",
        "<width>64</width>",
        "<width>inf</width><height>3</height>",
        "<width>wide</width><height>3</height>",
        "",
    ],
)
def test_a_size_that_is_not_two_numbers_says_nothing(written, size):
    text = f"<annotation><size>{size}</size></annotation>"
    assert read_annotation(written(text)).size is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("<object>", "it is not valid XML"),
        ("<object><bndbox/></object>", "an object has no name"),
        ("<object><name> </name></object>", "an object has no name"),
        ("<object><name>cat</name></object>", "a cat has no <bndbox>"),
        (
            "<object><name>cat</name><bndbox/></object>",
            "an <object> has no bndbox/ymin",
        ),
        (
            "<object><name>cat</name><part><bndbox/></part></object>",
            "a cat has no <bndbox>",
        ),
        ("<item><bndbox/></item>", "a <bndbox> lies outside of every <object>"),
    ],
)
def test_what_lacks_a_needed_element_is_unreadable(written, body, message):
    with pytest.raises(UnreadableAnnotationError, match=message):
        read_annotation(written(f"<annotation>{body}</annotation>"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is not valid XML"),
        ("<annotations><image/></annotations>", "no <annotation> within <annotations>"),
        (
            "<all><annotation/><annotation/></all>",
            "it has 2 <annotation> within <all>, not one for one image; Datumaro, ",
        ),
    ],
)
def test_what_is_no_voc_annotation_is_unreadable_and_never_background(
    written, text, message
):
    with pytest.raises(UnreadableAnnotationError, match=message):
        read_annotation(written(text))


@pytest.mark.parametrize(
    "text",
    [
        '<annotation xmlns="http://x.y/z">{}</annotation>',
        '<a:annotation xmlns:a="http://x.y/z">{}</a:annotation>',
        "<annotation><objects>{}</objects></annotation>",
        "<root><annotation>{}</annotation></root>",
        "<annotation><source><annotation>VOC</annotation></source>{}</annotation>",
        "<annotation>{}<segmented>0</segmented></annotation>",
    ],
)
def test_namespaces_and_elements_around_the_objects_do_not_matter(
    written, xml_of, text
):
    drawn = xml_of("cat", 1, 2, 3, 4)
    if text.startswith("<a:"):
        drawn = drawn.replace("</", "</a:").replace("<", "<a:").replace("<a:/", "</")
    annotation = read_annotation(written(text.format(drawn)))
    assert annotation.objects == [DrawnObject("cat", (2, 1, 4, 3), False)]
    assert annotation.faults == []


def test_the_size_is_that_of_the_image_in_any_namespace(written):
    size = "<size><width>64</width><height>48</height></size>"
    text = f'<annotation xmlns="http://x.y/z">{size}</annotation>'
    assert read_annotation(written(text)).size == (48, 64)


@pytest.mark.parametrize(
    "name", ["traffic\n      light", " traffic light\n", "traffic\u00a0\tlight"]
)
def test_white_space_in_a_name_is_collapsed(written, xml_of, name):
    text = f"<annotation>{xml_of(name, 1, 2, 3, 4)}</annotation>"
    assert read_annotation(written(text)).objects[0].name == "traffic light"


def test_names_are_equal_in_any_unicode_form(written, xml_of):
    drawn = xml_of("e\u0301", 1, 2, 3, 4)
    text = f"<annotation>{drawn}</annotation>"
    assert read_annotation(written(text)).objects[0].name == "\u00e9"


def test_each_of_two_boxes_counts_as_an_object(written, xml_of):
    drawn = xml_of("cat", 1, 2, 3, 4)
    second = "<bndbox><xmin>5</xmin><ymin>6</ymin><xmax>7</xmax><ymax>8</ymax></bndbox>"
    drawn = drawn.replace("</object>", f"{second}</object>")
    annotation = read_annotation(written(f"<annotation>{drawn}</annotation>"))
    assert [o.corners for o in annotation.objects] == [(2, 1, 4, 3), (6, 5, 8, 7)]
    assert annotation.faults == [
        ("several_boxes", "a cat has 2 <bndbox>; each counts as an object")
    ]


@pytest.mark.parametrize(
    ("outline", "corners"),
    [
        (
            "<polygon><x1>9</x1><y1>2</y1><x2>3</x2><y2>8</y2><x3>5</x3><y3>4</y3>"
            "</polygon>",
            (2, 3, 8, 9),
        ),
        (
            "<polygon><username>me</username><pt><x>9</x><y>2</y></pt>"
            "<pt><x>3</x><y>8</y></pt></polygon>",
            (2, 3, 8, 9),
        ),
        (
            "<robndbox><cx>20</cx><cy>30</cy><w>10</w><h>4</h><angle>0</angle>"
            "</robndbox>",
            (28, 15, 32, 25),
        ),
        (
            "<robndbox><cx>20</cx><cy>30</cy><w>10</w><h>4</h>"
            "<angle>1.5707963267948966</angle></robndbox>",
            (25, 18, 35, 22),
        ),
    ],
)
def test_an_outline_without_a_box_gets_the_box_around_it(written, outline, corners):
    text = f"<annotation><object><name>cat</name>{outline}</object></annotation>"
    annotation = read_annotation(written(text))
    assert annotation.objects[0].corners == pytest.approx(corners)
    assert [kind for kind, _ in annotation.faults] == ["outline_only"]


def test_beside_a_box_a_polygon_does_not_count(written, xml_of):
    drawn = xml_of("cat", 1, 2, 3, 4, extra="<polygon><x1>9</x1><y1>9</y1></polygon>")
    annotation = read_annotation(written(f"<annotation>{drawn}</annotation>"))
    assert annotation.objects == [DrawnObject("cat", (2, 1, 4, 3), False)]
    assert annotation.faults == []


def test_a_corner_that_is_no_number_is_unreadable(written, xml_of):
    text = f"<annotation>{xml_of('cat', 'ten', 2, 3, 4)}</annotation>"
    with pytest.raises(UnreadableAnnotationError, match="bndbox/xmin = 'ten'"):
        read_annotation(written(text))


@pytest.mark.parametrize("flag", ["Unspecified", "true", "0.0", "-1"])
def test_a_flag_that_is_neither_0_nor_1_counts_as_0_and_is_told(written, xml_of, flag):
    drawn = xml_of("cat", 1, 2, 3, 4, extra=f"<difficult>{flag}</difficult>")
    annotation = read_annotation(written(f"<annotation>{drawn}{drawn}</annotation>"))
    assert [o.difficult for o in annotation.objects] == [False, False]
    detail = f"difficult = {flag!r} of a cat is not 0 or 1; it counts as 0"
    assert annotation.faults == [("unknown_flag", detail)]


@pytest.mark.parametrize(("flag", "difficult"), [(" 1 ", True), ("", False)])
def test_an_empty_flag_is_0_and_white_space_does_not_count(
    written, xml_of, flag, difficult
):
    drawn = xml_of("cat", 1, 2, 3, 4, extra=f"<difficult>{flag}</difficult>")
    annotation = read_annotation(written(f"<annotation>{drawn}</annotation>"))
    assert annotation.objects[0].difficult == difficult and annotation.faults == []


def test_entities_are_not_expanded(written):
    bomb = '<!DOCTYPE a [<!ENTITY x "cat">]><annotation>&x;</annotation>'
    with pytest.raises(UnreadableAnnotationError, match="it declares XML entities"):
        read_annotation(written(bomb))


def test_a_pipe_is_unreadable_at_once(pipe):
    with pytest.raises(UnreadableAnnotationError, match="it is not a regular file"):
        read_annotation(pipe)


def test_elements_as_deep_as_an_attacker_likes_are_read_or_refused(written):
    deep = "<object>" * 20_000 + "</object>" * 20_000
    with pytest.raises(UnreadableAnnotationError, match="an object has no name"):
        read_annotation(written(f"<annotation>{deep}</annotation>"))
