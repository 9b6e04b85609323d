"""A list of predictions as a file of results that COCO's evaluation takes."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

from tf_frcnn.runs.result_lines import read_entries
from tf_frcnn.runs.safe_files import replaced


class CocoIds:
    """COCO's numbers of images and of classes.

    Without annotations, the id of an image is the number that its file is named by, as
    COCO's are: 139 of 000000000139.jpg. The ids of classes are 1, 2, ... in their
    order. A file of annotations has both, by the names of its files and classes.

    Args:
        class_names: of the K classes.
        annotations: a file of COCO's annotations, or of its names of test images.

    Raises:
        ValueError: that file is another one, or lacks a class.
    """

    def __init__(self, class_names: Sequence[str], annotations: Path | None = None):
        self._annotations = annotations
        self._images: dict[str, int] = {}
        self._classes = {name: label for label, name in enumerate(class_names, 1)}
        if annotations is not None:
            self._read(annotations)

    def of_image(self, file: str) -> int:
        """Returns the id of an image.

        Raises:
            ValueError: it has none.
        """
        path = PurePath(file)
        if self._annotations is None:
            if not path.stem.isdecimal():
                raise ValueError(
                    f"--coco: {file} has no image id, because its name is not a "
                    "number; give the ids by --coco-ids ANNOTATIONS.json, in whose "
                    "images it has one."
                )
            return int(path.stem)
        # Files may be named with some of the folders that they lie in.
        for start in range(len(path.parts)):
            name = "/".join(path.parts[start:])
            if name in self._images:
                return self._images[name]
        raise ValueError(
            f"--coco-ids {self._annotations}: no image has the file_name {path.name}."
        )

    def of_class(self, name: str) -> int:
        """Returns the id of a class."""
        return self._classes[name]

    def require_own(self, files: Iterable[str]) -> None:
        """Raises a ValueError unless each image has an id, which no other one has."""
        seen: dict[int, str] = {}
        for file in files:
            other = seen.setdefault(self.of_image(file), file)
            if other != file:
                raise ValueError(
                    f"--coco: {other} and {file} have the image id "
                    f"{self.of_image(file)} both; give their ids by --coco-ids "
                    "ANNOTATIONS.json."
                )

    def _read(self, annotations: Path) -> None:
        try:
            content = json.loads(annotations.read_text(encoding="utf-8"))
            self._images = {own["file_name"]: own["id"] for own in content["images"]}
            ids = {own["name"]: own["id"] for own in content["categories"]}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"--coco-ids {annotations}: it is no file of COCO's annotations, with "
                "the file_name and id of `images` and the name and id of `categories`."
            ) from error
        lacking = [name for name in self._classes if name not in ids]
        if lacking:
            raise ValueError(
                f"--coco-ids {annotations}: its categories lack {', '.join(lacking)}, "
                "which the run detects."
            )
        self._classes = ids


def write_coco_results(lines: Path, ids: CocoIds, path: Path) -> int:
    """Writes COCO's results of a list, one detection at a time; returns their number.

    Args:
        lines: the list; images that could not be read have no results.
        ids: of its images and classes.
        path: of the new file.

    Source: cocodataset.org, "Results format": boxes are (x, y, width, height), counted
        from 0.
    """
    count = 0
    with replaced(path) as part, part.open("w", encoding="utf-8") as file:
        for result in _results(lines, ids):
            file.write((",\n" if count else "[\n") + json.dumps(result))
            count += 1
        file.write("\n]\n" if count else "[]\n")
    return count


def _results(lines: Path, ids: CocoIds) -> Iterator[dict[str, Any]]:
    for entry in read_entries(lines):
        image_id = ids.of_image(entry["file"])
        for own in entry.get("detections", ()):
            width, height = own["xmax"] - own["xmin"], own["ymax"] - own["ymin"]
            bbox = own["xmin"], own["ymin"], width, height
            yield {
                "image_id": image_id,
                "category_id": ids.of_class(own["class"]),
                "bbox": [round(side, 3) for side in bbox],
                "score": own["score"],
            }
