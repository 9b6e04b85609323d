"""The XML file that describes one image of a VOC folder."""

from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from tf_frcnn.data.checks.boxes import DrawnObject

CORNERS = ("ymin", "xmin", "ymax", "xmax")
SIDES = ("height", "width")


class Annotation(NamedTuple):
    """The contents of an annotation file.

    Attributes:
        size: (height, width) in pixels, or None where the file does not say.
        objects: as written, unchecked.
    """

    size: tuple[int, int] | None
    objects: list[DrawnObject]


class UnreadableAnnotationError(ValueError):
    """An annotation file cannot be understood; the message says why."""


def read_annotation(path: Path) -> Annotation:
    """Reads one file, without parts of objects, poses and the like.

    Raises:
        UnreadableAnnotationError: if it is not XML, declares entities, or lacks what
            every object needs: a name and four numbers.
    """
    try:
        root = defusedxml.ElementTree.parse(path).getroot()
        return Annotation(_size(root), [_object(e) for e in root.findall("object")])
    except DefusedXmlException as error:
        raise UnreadableAnnotationError("it declares XML entities") from error
    except ParseError as error:
        raise UnreadableAnnotationError(f"it is not valid XML: {error}") from error
    except (ValueError, OverflowError, LookupError, OSError) as error:
        raise UnreadableAnnotationError(str(error)) from error


def _size(root: Element) -> tuple[int, int] | None:
    if root.find("size") is None:
        return None
    height, width = (round(_number(root, f"size/{side}")) for side in SIDES)
    return (height, width) if height > 0 and width > 0 else None


def _object(element: Element) -> DrawnObject:
    name = (element.findtext("name") or "").strip()
    if not name:
        raise UnreadableAnnotationError("an object has no name")
    difficult = (element.findtext("difficult") or "0").strip()
    if difficult not in ("0", "1"):
        raise UnreadableAnnotationError(
            f"difficult = {difficult!r} of a {name} must be 0 or 1"
        )
    ymin, xmin, ymax, xmax = (
        _number(element, f"bndbox/{corner}") for corner in CORNERS
    )
    return DrawnObject(name, (ymin, xmin, ymax, xmax), difficult == "1")


def _number(element: Element, path: str) -> float:
    text = element.findtext(path)
    if text is None:
        raise UnreadableAnnotationError(f"<{element.tag}> has no {path}")
    try:
        return float(text)
    except ValueError as error:
        raise UnreadableAnnotationError(f"{path} = {text!r} is not a number") from error
