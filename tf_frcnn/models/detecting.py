"""Detections in pictures, and steps over whole data sets."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_frcnn.data.decoding.pictures import ImageError, Picture, read_picture
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.decoding.to_canvas import (
    fits_a_canvas,
    lay_on_canvas,
    to_network_size,
)
from tf_frcnn.models.errors import readable_errors

_PAIRS = ("image_sizes", "scales", "file_sizes")

# A key, and a picture's part of a batch.
Member = tuple[Any, dict[str, tf.Tensor]]


class Found(NamedTuple):
    """The objects that were found in one picture, best first; n of them.

    Attributes:
        names: of the classes, n texts.
        scores: float32 [n].
        boxes: float32 [n, 4], (ymin, xmin, ymax, xmax), continuous corners in pixels of
            the upright picture.
        labels: int32 [n], in 0..K-1.
        size: (height, width) of the upright picture in pixels.
        cut_below: the score below which detections may be missing, because there are
            as many as `detections.max_per_image` or `tiles.max_per_image` allow; None
            where there was room for all.
    """

    names: tuple[str, ...]
    scores: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    size: tuple[int, int]
    cut_below: float | None = None


def detect_in_pictures(
    detect: Callable[[dict], dict[str, np.ndarray]],
    pictures: Sequence[Picture],
    resizing: Resizing,
    class_names: Sequence[str],
    batch_size: int,
) -> list[Found]:
    """Detects objects in pictures of any sizes, batched by the canvas that they need.

    Args:
        detect: returns `Detections` as a dict of arrays, for a batch.
        pictures: see `read_picture`.
        resizing: to the network's size, with one short side.
        class_names: of the K classes.
        batch_size: most pictures per batch.

    Returns:
        In the order of the pictures.
    """
    results: dict[int, Found] = {}

    def detect_in_those(members):
        results.update(detect_in_members(detect, members, class_names))

    groups = CanvasGroups(batch_size)
    for row, picture in enumerate(pictures):
        name = f"images[{row}]"
        example = _on_canvas(read_picture(picture, name), resizing, name)
        for members in groups.add(row, example):
            detect_in_those(members)
    for members in groups.rest():
        detect_in_those(members)
    return [results[row] for row in range(len(results))]


def detect_picture_by_picture(
    detect: Callable[[tf.Tensor], dict[str, np.ndarray]],
    pictures: Sequence[Picture],
    class_names: Sequence[str],
) -> list[Found]:
    """Detects objects in pictures of any sizes, one after the other.

    Args:
        detect: returns `Detections` of a picture, uint8 or float32 [h, w, 3], as a dict
            of arrays, and its `file_sizes`.
        pictures: see `read_picture`.
        class_names: of the K classes.
    """
    results = []
    for row, picture in enumerate(pictures):
        name = f"images[{row}]"
        pixels = read_picture(picture, name)
        try:
            with readable_errors():
                found = detect(pixels)
        except ImageError as error:
            raise ImageError(f"{name}: {error}") from error
        results.append(found_of(found, found["file_sizes"], class_names))
    return results


class CanvasGroups:
    """Pictures that wait for others that need the same canvas.

    Args:
        batch_size: of a full group.
        most_waiting: with so many in all groups, the largest need not wait any longer;
            None for no limit.
    """

    def __init__(self, batch_size: int, most_waiting: int | None = None):
        self._batch_size, self._most_waiting = batch_size, most_waiting
        self._groups: dict[tuple[int, ...], list[Member]] = {}
        self._num_waiting = 0

    def add(self, key: Any, example: dict[str, tf.Tensor]) -> Iterator[list[Member]]:
        """Adds a picture; yields the group that need not wait any longer, if any.

        Args:
            key: tells whose picture it is.
            example: its part of a batch, padded to its canvas.
        """
        canvas = tuple(example["images"].shape)
        self._groups.setdefault(canvas, []).append((key, example))
        self._num_waiting += 1
        if len(self._groups[canvas]) == self._batch_size:
            yield self._take(canvas)
        elif self._num_waiting == self._most_waiting:
            yield self._take(max(self._groups, key=lambda c: len(self._groups[c])))

    def rest(self) -> Iterator[list[Member]]:
        """Yields the groups that are left."""
        for canvas in [*self._groups]:
            yield self._take(canvas)

    def _take(self, canvas: tuple[int, ...]) -> list[Member]:
        members = self._groups.pop(canvas)
        self._num_waiting -= len(members)
        return members


def detect_in_members(
    detect: Callable[[dict], dict[str, np.ndarray]],
    members: Sequence[Member],
    class_names: Sequence[str],
) -> Iterator[tuple[Any, Found]]:
    """Yields the key and the objects of each picture of a group."""
    batch = _batch_of([example for _, example in members])
    found = detect(batch)
    for place, (key, _) in enumerate(members):
        size = batch["file_sizes"][place].numpy()
        own = {name: values[place] for name, values in found.items()}
        yield key, found_of(own, size, class_names)


def detect_in_batches(model, batches: tf.data.Dataset) -> Iterator[tuple[dict, dict]]:
    """Yields each batch and a model's detections, as arrays; images are left out.

    Keras keeps the graph from one pass to the next.
    """
    with readable_errors():
        for batch in batches:
            yield without_images(batch), model.predict_on_batch(batch)


def run_batches(step: Callable, batches: tf.data.Dataset) -> Iterator[tuple[dict, Any]]:
    """Yields each batch and a step's outputs for it, as arrays; images are left out."""
    # One graph for all canvases and for a last, smaller batch.
    signature = [batches.element_spec]
    graph = tf.function(step, input_signature=signature, autograph=False)
    with readable_errors():
        for batch in batches:
            outputs = tf.nest.map_structure(lambda value: value.numpy(), graph(batch))
            yield without_images(batch), outputs


def detected_in(
    found: dict[str, np.ndarray], rows: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Returns the columns of `DetectedBoxes` of a batch of arrays.

    Args:
        found: `Detections` as a dict.
        rows: int [B], numbers of the images.
    """
    image, slot = np.nonzero(found["valid"])
    own = (found[name][image, slot] for name in ("boxes", "scores", "labels"))
    return rows[image], *own


def without_images(batch: dict[str, tf.Tensor]) -> dict[str, np.ndarray]:
    """Returns a batch as arrays, without its images."""
    return {name: v.numpy() for name, v in batch.items() if name != "images"}


def _on_canvas(image: tf.Tensor, resizing: Resizing, name: str) -> dict[str, tf.Tensor]:
    """Returns one picture's part of a batch, padded."""
    example, _ = to_network_size(image, resizing)
    if not fits_a_canvas(example["image_sizes"], resizing.canvases):
        height, width = map(int, example["image_sizes"])
        raise ImageError(
            f"{name}: it becomes {height} x {width} pixels (height x width), but none "
            f"of images.canvases = {resizing.canvases} holds it."
        )
    images = lay_on_canvas(example["images"][tf.newaxis], resizing.canvases)
    return example | {"images": images[0]}


def _batch_of(examples: Sequence[dict]) -> dict[str, tf.Tensor]:
    names = ("images", *_PAIRS)
    return {name: tf.stack([example[name] for example in examples]) for name in names}


def found_of(
    found: dict[str, np.ndarray], size: np.ndarray, class_names: Sequence[str]
) -> Found:
    """Returns the `Found` of one picture's `Detections`, arrays by name.

    Args:
        found: without the axis of the batch.
        size: number [2], (height, width) of the picture in pixels.
        class_names: of the K classes.
    """
    valid, scores = found["valid"], found["scores"]
    cut_below = found.get("cut_below", scores[-1] if valid.all() else -1.0)
    labels = found["labels"][valid]
    return Found(
        names=tuple(class_names[label] for label in labels),
        scores=scores[valid],
        boxes=found["boxes"][valid],
        labels=labels,
        size=(int(size[0]), int(size[1])),
        cut_below=None if cut_below < 0 else float(cut_below),
    )
