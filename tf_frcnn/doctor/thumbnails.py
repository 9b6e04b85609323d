"""Small images with their boxes, as a page can hold them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
from PIL import Image

from tf_frcnn.data import ExampleSet
from tf_frcnn.data.decoding.transforms import decode_image
from tf_frcnn.doctor.findings import Place
from tf_frcnn.drawing.boxes import draw_boxes
from tf_frcnn.drawing.pages import image_address

# Width and height of a thumbnail, in pixels, at most.
_SIDE = 360


def thumbnails(
    splits: Mapping[str, ExampleSet], places: Iterable[Place]
) -> dict[Place, str]:
    """Returns the images of some places with their boxes, as data URIs of JPEGs.

    Args:
        splits: name -> examples.
        places: of the images; each is read once, one after the other.
    """
    rows: dict[str, set[int]] = defaultdict(set)
    for place in places:
        rows[place.split].add(place.row)
    found = {}
    for split, chosen in rows.items():
        in_order = sorted(chosen)
        subset = splits[split].subset(in_order)
        for index, image_bytes in subset.stream().as_numpy_iterator():
            found[Place(split, in_order[index])] = _thumbnail(
                image_bytes, subset, int(index)
            )
    return found


def _thumbnail(image_bytes: bytes, examples: ExampleSet, index: int) -> str:
    record = examples.records[index]
    image = Image.fromarray(decode_image(image_bytes, record.orientation).numpy())
    scale = min(1.0, _SIDE / max(image.size))
    size = [max(1, round(side * scale)) for side in image.size]
    small = np.asarray(image.resize(size, Image.Resampling.BOX))
    boxes, names = record.boxes * scale, examples.class_names
    return image_address(draw_boxes(small, boxes, record.labels, names))
