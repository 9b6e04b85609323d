"""The contents of a COCO JSON file of object instances."""

import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tf_frcnn.data.checks.boxes import DrawnObject
from tf_frcnn.data.checks.facts_cache import FactsCache
from tf_frcnn.data.checks.problems import DataError, Problems
from tf_frcnn.data.readers.described import WrittenImage

# The entries that are read.
_LISTS = ("images", "annotations", "categories")
_OF_IMAGE = ("id", "file_name", "height", "width")
_OF_ANNOTATION = (
    *("id", "image_id", "category_id", "bbox", "segmentation"),
    *("iscrowd", "ignore", "attributes"),
)


class CocoFile(NamedTuple):
    """A JSON file.

    Attributes:
        class_names: of its categories, in the order of their ids.
        images: in the order of the file.
    """

    class_names: tuple[str, ...]
    images: list[WrittenImage]


def read_coco_json(
    path: Path, problems: Problems, cache: FactsCache | None = None
) -> CocoFile:
    """Reads a file, which may lack annotations of some images, or of all.

    An image whose annotations cannot be understood is dropped, and so are images that
    share an id.

    Args:
        path: the file.
        problems: records what is left out.
        cache: stores what the file says, which is far less than the file.

    Raises:
        DataError: it is not COCO JSON.
    """
    load = functools.partial(_load, path)
    content = load() if cache is None else cache.recall_file(path, load)
    names = _category_names(content["categories"], path)
    owners = _images_by_id(content["images"], path, problems)
    objects: dict[str, list[DrawnObject] | None] = {key: [] for key in owners}
    for annotation in _distinct(content["annotations"], path, problems):
        key = str(annotation.get("image_id"))
        if key not in owners:
            detail = f"an annotation belongs to image id {key}, which no image has"
            problems.add("missing_image", path.name, detail)
        elif (drawn := objects[key]) is not None:
            try:
                drawn.append(_drawn_object(annotation, names))
            except (TypeError, ValueError, LookupError) as error:
                file = f"{path.name}: {owners[key]['file_name']}"
                problems.add("unreadable_annotation", file, _words(annotation, error))
                objects[key] = None
    images = [
        WrittenImage(image["file_name"], _size(image), drawn)
        for key, image in owners.items()
        if (drawn := objects[key]) is not None
    ]
    return CocoFile(_classes(content, names), images)


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes(), object_hook=_slim)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON: {error}.") from error
    content = content if isinstance(content, dict) else {}
    content.setdefault("annotations", [])  # A test set has none.
    for name in _LISTS:
        rows = content.get(name)
        if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
            raise DataError(
                f"{path} is not COCO JSON of object instances: it has no list {name!r}."
            )
    return {name: content[name] for name in _LISTS}


def _slim(entry: dict[str, Any]) -> dict[str, Any]:
    """Returns an entry without what is not read: outlines take most of the memory."""
    if "image_id" in entry and "category_id" in entry:
        has_box = bool(entry.get("bbox"))
        return {
            name: entry[name]
            for name in _OF_ANNOTATION
            if name in entry and not (has_box and name == "segmentation")
        }
    if "file_name" in entry:
        return {name: entry[name] for name in _OF_IMAGE if name in entry}
    return entry


def _category_names(categories: list[dict], path: Path) -> dict[str, str]:
    """Returns id -> name, in the order of the ids."""
    try:
        ordered = sorted(categories, key=lambda category: int(category["id"]))
        return {str(c["id"]): " ".join(str(c["name"]).split()) for c in ordered}
    except (LookupError, TypeError, ValueError) as error:
        raise DataError(f"{path}: a category lacks a whole id or a name.") from error


def _classes(content: Mapping[str, Any], names: dict[str, str]) -> tuple[str, ...]:
    """Returns the names that are classes, each once.

    Some tools write a group as a category of its own, which no object has and other
    categories name as theirs.
    """
    used = {str(a.get("category_id")) for a in content["annotations"]}
    groups = {
        str(c.get("supercategory"))
        for c in content["categories"]
        if c.get("supercategory") != c["name"]
    }
    kept = [name for key, name in names.items() if key in used or name not in groups]
    return tuple(dict.fromkeys(kept))


def _images_by_id(
    images: list[dict], path: Path, problems: Problems
) -> dict[str, dict[str, Any]]:
    """Returns id -> image, without files that share an id: whose are the objects?"""
    owners: dict[str, dict[str, Any]] = {}
    shared: set[str] = set()
    for image in images:
        key, name = str(image.get("id")), image.get("file_name")
        if not isinstance(name, str) or not name:
            problems.add("missing_image", path.name, f"image id {key} has no file_name")
            continue
        first = owners.setdefault(key, image)
        if first is image:
            continue
        if first["file_name"] == name:
            problems.add("repeated_image", path.name, f"{name} is listed twice")
        else:
            detail = f"{first['file_name']} and {name} share the image id {key}"
            problems.add("ambiguous_image", path.name, detail, "drop")
            shared.add(key)
    return {key: image for key, image in owners.items() if key not in shared}


def _distinct(
    annotations: list[dict], path: Path, problems: Problems
) -> Iterable[dict]:
    """Returns annotations; one that occurs twice, with its id and all, once."""
    ids = [annotation.get("id") for annotation in annotations]
    if len({*map(str, ids)}) == len(ids):
        return annotations
    kept: dict[str, dict] = {}
    for number, annotation in enumerate(annotations):
        key = json.dumps(annotation, sort_keys=True)
        if annotation.get("id") is None:
            key = f"{number}"
        elif key in kept:
            detail = f"annotation id {annotation['id']} occurs twice"
            problems.add("repeated_object", path.name, detail)
        kept[key] = annotation
    return kept.values()


def _drawn_object(annotation: dict, names: dict[str, str]) -> DrawnObject:
    key = str(annotation["category_id"])
    name = names.get(key, f"category id {key}")
    attributes = annotation.get("attributes")
    is_difficult = isinstance(attributes, dict) and bool(attributes.get("difficult"))
    is_difficult |= bool(annotation.get("ignore"))
    return DrawnObject(
        name,
        _corners(annotation),
        difficult=is_difficult,
        crowd=bool(annotation.get("iscrowd")),
    )


def _corners(annotation: dict) -> tuple[float, float, float, float]:
    """Returns the corners of `bbox`; without one, those around its polygons."""
    if annotation.get("bbox"):
        x, y, width, height = map(float, annotation["bbox"])
        return (y, x, y + height, x + width)
    polygons = [np.array(p, float).reshape(-1, 2) for p in annotation["segmentation"]]
    points = np.concatenate(polygons)
    (xmin, ymin), (xmax, ymax) = points.min(axis=0), points.max(axis=0)
    return (float(ymin), float(xmin), float(ymax), float(xmax))


def _size(image: dict) -> tuple[int, int] | None:
    try:
        height, width = round(float(image["height"])), round(float(image["width"]))
    except (LookupError, TypeError, ValueError, OverflowError):
        return None
    return (height, width) if height > 0 and width > 0 else None


def _words(annotation: dict, error: Exception) -> str:
    place = f"annotation id {annotation.get('id')}"
    return f"{place}, bbox {annotation.get('bbox')}: {type(error).__name__} {error}"
