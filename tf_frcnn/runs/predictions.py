"""Detections of image files: a PNG of each and a list of all."""

import json
from collections.abc import Sequence
from pathlib import Path

from tf_frcnn.data import ExampleSet, Record
from tf_frcnn.drawing.boxes import draw_boxes, write_png
from tf_frcnn.drawing.comparisons import load_images
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.runs.inference import detections_of_image

DETECTIONS_FILE = "detections.json"


def output_names(examples: ExampleSet, output: Path) -> list[str]:
    """Returns a PNG's name per image, numbered where files share a name.

    Raises:
        ValueError: a PNG would overwrite one of the images.
    """
    names: dict[str, None] = {}
    for record in examples.records:
        stem = name = Path(record.source).stem
        count = 1
        while f"{name}.png" in names:
            count += 1
            name = f"{stem}_{count}"
        names[f"{name}.png"] = None
    sources = {Path(record.source).resolve() for record in examples.records}
    for name in names:
        if (output / name).resolve() in sources:
            raise ValueError(
                f"{output / name} is one of the given images and would be "
                "overwritten; choose another folder with --output."
            )
    return list(names)


def write_predictions(
    examples: ExampleSet, found: DetectedBoxes, output: Path, min_score: float
) -> None:
    """Draws and lists detections, and prints the paths of the results.

    Args:
        examples: image files.
        found: their detections, boxes in pixels of the files.
        output: folder for the results.
        min_score: detections below it are neither drawn nor listed.
    """
    listed = []
    names = output_names(examples, output)
    output.mkdir(parents=True, exist_ok=True)
    for row, (record, name) in enumerate(zip(examples.records, names, strict=True)):
        own = detections_of_image(found, row)
        own = DetectedBoxes(*(column[own.scores >= min_score] for column in own))
        (image,) = load_images(examples, [row])
        drawn = draw_boxes(
            image, own.boxes, own.labels, examples.class_names, scores=own.scores
        )
        write_png(output / name, drawn)
        listed.append(_as_json(record, own, examples.class_names))
        print(f"{record.source}: {len(own.scores)} detections -> {output / name}")
    (output / DETECTIONS_FILE).write_text(json.dumps(listed, indent=1))
    print(f"Boxes in pixels of the files: {output / DETECTIONS_FILE}")


def _as_json(record: Record, own: DetectedBoxes, class_names: Sequence[str]) -> dict:
    """Returns one image's entry of the list."""
    return {
        "file": record.source,
        "height": record.height,
        "width": record.width,
        "detections": list_detections(own, class_names),
    }


def list_detections(own: DetectedBoxes, class_names: Sequence[str]) -> list[dict]:
    """Returns one image's detections in the form of the JSON file.

    Args:
        own: boxes in pixels of the upright image.
        class_names: by label.

    Returns:
        In their order, `class`, `score`, and the box as `ymin`, `xmin`, `ymax`, `xmax`.
    """
    return [
        {
            "class": class_names[label],
            "score": round(float(score), 6),
            "ymin": round(float(box[0]), 3),
            "xmin": round(float(box[1]), 3),
            "ymax": round(float(box[2]), 3),
            "xmax": round(float(box[3]), 3),
        }
        for box, score, label in zip(own.boxes, own.scores, own.labels, strict=True)
    ]
