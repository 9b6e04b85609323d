"""Drawings of an example set, with ground truth beside predictions."""

from collections.abc import Iterator, Sequence

import numpy as np

from tf_frcnn.data import ExampleSet
from tf_frcnn.data.decoding.transforms import decode_image
from tf_frcnn.drawing.boxes import draw_boxes, side_by_side
from tf_frcnn.evaluation import DetectedBoxes


def load_images(examples: ExampleSet, rows: Sequence[int]) -> list[np.ndarray]:
    """Returns upright images of some records, uint8 [h, w, 3], in stored order."""
    subset = examples.subset(rows)
    return [
        decode_image(image_bytes, subset.records[index].orientation).numpy()
        for index, image_bytes in subset.stream()
    ]


class ComparisonImages:
    """The first images of an example set, ground truth left, predictions right.

    Args:
        examples: the set.
        count: how many images.
        min_score: predictions below this score are not drawn.
    """

    def __init__(self, examples: ExampleSet, count: int, min_score: float = 0.5):
        self.class_names, self.min_score = examples.class_names, min_score
        self.rows = range(min(count, len(examples.records)))
        self.records = [examples.records[row] for row in self.rows]
        self.images = load_images(examples, self.rows) if self.rows else []

    def drawn(self, detections: DetectedBoxes) -> Iterator[tuple[str, np.ndarray]]:
        """Yields the flat id and the drawing, uint8 [h', w', 3], of each image."""
        for row, record, image in zip(
            self.rows, self.records, self.images, strict=True
        ):
            chosen = detections.image_index == row
            chosen &= detections.scores >= self.min_score
            truth = draw_boxes(
                image,
                record.boxes,
                record.labels,
                self.class_names,
                crowd=record.crowd,
            )
            predicted = draw_boxes(
                image,
                detections.boxes[chosen],
                detections.labels[chosen],
                self.class_names,
                scores=detections.scores[chosen],
            )
            captions = ("ground truth", f"predictions from {self.min_score:g}")
            yield record.flat_id, side_by_side(truth, predicted, captions=captions)
