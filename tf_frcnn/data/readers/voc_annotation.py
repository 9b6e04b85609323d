"""The XML file that describes one image of a VOC folder."""

import math
import unicodedata
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from tf_frcnn.data.checks.boxes import DrawnObject
from tf_frcnn.data.checks.regular_files import read_regular_file
from tf_frcnn.data.readers.text_files import decode_xml

CORNERS = ("ymin", "xmin", "ymax", "xmax")
SIDES = ("height", "width")
Corners = tuple[float, float, float, float]
_FORMATS = "Datumaro, Label Studio and FiftyOne convert other formats to VOC"


class Annotation(NamedTuple):
    """The contents of an annotation file.

    Attributes:
        size: (height, width) in pixels, or None where the file does not say.
        objects: as written, unchecked.
        faults: (kind of problem, detail) of what could be read all the same.
    """

    size: tuple[int, int] | None
    objects: list[DrawnObject]
    faults: list[tuple[str, str]]


class UnreadableAnnotationError(ValueError):
    """An annotation file cannot be understood; the message says why."""


def read_annotation(path: Path) -> Annotation:
    """Reads one file, without parts of objects, poses and the like.

    Namespaces, elements around the objects and the order of elements do not matter.
    What may be an object is read or an error, since the network learns all else as
    background.

    Raises:
        UnreadableAnnotationError: if it is not a VOC annotation in XML, declares
            entities, or lacks what every object needs: a name and four numbers.
    """
    try:
        return _annotation(_root(read_regular_file(path)))
    except DefusedXmlException as error:
        raise UnreadableAnnotationError("it declares XML entities") from error
    except ParseError as error:
        raise UnreadableAnnotationError(f"it is not valid XML: {error}") from error
    except OSError as error:
        raise UnreadableAnnotationError(error.strerror or str(error)) from error
    except (ValueError, OverflowError) as error:
        raise UnreadableAnnotationError(str(error)) from error


def _root(data: bytes) -> Element:
    """Returns the file's one element <annotation>; all tags without namespaces."""
    root = defusedxml.ElementTree.fromstring(decode_xml(data))
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    found = _outermost(root, "annotation")
    if len(found) != 1:
        raise UnreadableAnnotationError(
            f"it has {len(found) or 'no'} <annotation> within <{root.tag}>, not one "
            f"for one image; {_FORMATS}"
        )
    return found[0]


def _annotation(root: Element) -> Annotation:
    elements = _outermost(root, "object")
    boxes = {box for element in elements for box in element.iter("bndbox")}
    if boxes != {*root.iter("bndbox")}:
        raise UnreadableAnnotationError("a <bndbox> lies outside of every <object>")
    faults: list[tuple[str, str]] = []
    objects = [drawn for one in elements for drawn in _objects(one, faults)]
    return Annotation(_size(root), objects, list(dict.fromkeys(faults)))


def _outermost(root: Element, tag: str) -> list[Element]:
    """Returns the elements of a name that lie in no other one of it."""
    found: list[Element] = []
    inside: set[Element] = set()
    for element in root.iter(tag):
        if element not in inside:
            found.append(element)
            inside.update(element.iter(tag))
    return found


def _size(root: Element) -> tuple[int, int] | None:
    """Returns the (height, width), None where these are not two positive numbers."""
    try:
        height, width = (round(float(root.findtext(f"size/{s}", ""))) for s in SIDES)
    except (ValueError, OverflowError):
        return None
    return (height, width) if height > 0 and width > 0 else None


def _objects(element: Element, faults: list[tuple[str, str]]) -> list[DrawnObject]:
    """Returns an object of the file, or one for each of its boxes."""
    name = unicodedata.normalize("NFC", _text(element, "name"))
    if not name:
        raise UnreadableAnnotationError("an object has no name")
    difficult = _text(element, "difficult") or "0"
    if difficult not in ("0", "1"):
        detail = f"difficult = {difficult!r} of a {name} is not 0 or 1; it counts as 0"
        faults.append(("unknown_flag", detail))
    boxes = [_corners(box) for box in element.findall("bndbox")]
    if len(boxes) > 1:
        detail = f"a {name} has {len(boxes)} <bndbox>; each counts as an object"
        faults.append(("several_boxes", detail))
    if not boxes and (outline := _outline_of(element)):
        boxes = [outline]
        detail = f"a {name} has no <bndbox>; the box around its outline is taken"
        faults.append(("outline_only", detail))
    if not boxes:
        raise UnreadableAnnotationError(f"a {name} has no <bndbox>")
    return [DrawnObject(name, corners, difficult == "1") for corners in boxes]


def _corners(box: Element) -> Corners:
    ymin, xmin, ymax, xmax = _numbers(box, CORNERS, "bndbox/")
    return (ymin, xmin, ymax, xmax)


def _outline_of(element: Element) -> Corners | None:
    """Returns the corners around a polygon or a turned box, None without one.

    Polygons are written as x1, y1, x2 ... or as pt/x, pt/y; turned boxes as roLabelImg
    writes them, with an angle in radians.
    """
    polygon, turned = element.find("polygon"), element.find("robndbox")
    if polygon is not None:
        x, y = (
            [_number(e, e.text) for e in polygon.iter() if e.tag.startswith(axis)]
            for axis in "xy"
        )
        return (min(y), min(x), max(y), max(x)) if x and y else None
    if turned is None:
        return None
    names = ("cx", "cy", "w", "h", "angle")
    cx, cy, width, height, angle = _numbers(turned, names, "robndbox/")
    sin, cos = abs(math.sin(angle)), abs(math.cos(angle))
    dx, dy = (width * cos + height * sin) / 2, (width * sin + height * cos) / 2
    return (cy - dy, cx - dx, cy + dy, cx + dx)


def _numbers(element: Element, names, prefix: str) -> tuple[float, ...]:
    return tuple(_number(element, element.findtext(n), prefix + n) for n in names)


def _number(element: Element, text: str | None, path: str = "") -> float:
    path = path or element.tag
    if text is None:
        raise UnreadableAnnotationError(f"an <object> has no {path}")
    try:
        return float(text)
    except ValueError as error:
        raise UnreadableAnnotationError(f"{path} = {text!r} is not a number") from error


def _text(element: Element, name: str) -> str:
    """Returns the text of a child, its white space collapsed."""
    return " ".join((element.findtext(name) or "").split())
