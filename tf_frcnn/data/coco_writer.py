"""Writes an example set as a COCO data set."""

import json
from pathlib import Path
from typing import Any

from tf_frcnn.data.examples import ExampleSet, Record


def write_coco(examples: ExampleSet, directory: str | Path, split: str) -> None:
    """Writes images and a JSON file of their objects, so that `read_coco` reads them.

    Images are written as they are stored, into `images`; sizes and boxes are those of
    the upright images. Category ids are labels + 1. Crowds have `iscrowd`, difficult
    objects `ignore`, which COCO's own evaluation does not heed. Further splits can be
    written into the same folder.

    Args:
        examples: the data set.
        directory: created if it does not exist.
        split: of the file annotations/instances_SPLIT.json.
    """
    root = Path(directory)
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    for index, image_bytes in examples.stream().as_numpy_iterator():
        path = root / "images" / _file_name(examples.records[index])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image_bytes)
    content = _content(examples)
    path = root / "annotations" / f"instances_{split}.json"
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _content(examples: ExampleSet) -> dict[str, list[dict[str, Any]]]:
    annotations: list[dict[str, Any]] = []
    for image_id, record in enumerate(examples.records, 1):
        for box, label, difficult, crowd in zip(
            record.boxes.tolist(),
            record.labels.tolist(),
            record.difficult.tolist(),
            record.crowd.tolist(),
            strict=True,
        ):
            number = len(annotations) + 1
            marks = {"iscrowd": int(crowd), "ignore": int(difficult)}
            written = _annotation(box, label) | marks
            annotations.append({"id": number, "image_id": image_id, **written})
    return {
        "images": [
            {
                "id": image_id,
                "file_name": _file_name(record),
                "height": record.height,
                "width": record.width,
            }
            for image_id, record in enumerate(examples.records, 1)
        ],
        "annotations": annotations,
        "categories": [
            {"id": label, "name": name}
            for label, name in enumerate(examples.class_names, 1)
        ],
    }


def _annotation(box: list[float], label: int) -> dict[str, Any]:
    ymin, xmin, ymax, xmax = box
    bbox = [round(value, 6) for value in (xmin, ymin, xmax - xmin, ymax - ymin)]
    return {
        "category_id": label + 1,
        "bbox": bbox,
        "area": bbox[2] * bbox[3],
    }


def _file_name(record: Record) -> str:
    return record.image_id + Path(record.source).suffix
