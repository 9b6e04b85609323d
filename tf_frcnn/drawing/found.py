"""Detections on their picture."""

from PIL import Image

from tf_frcnn.data.decoding.pictures import Picture, read_picture
from tf_frcnn.drawing.boxes import draw_boxes
from tf_frcnn.models.detecting import Found


def draw(picture: Picture, found: Found, *, min_score: float = 0.5) -> Image.Image:
    """Draws detections; the result can be shown in a notebook, or saved.

    Args:
        picture: the one that `found` is of, in any form that `detect` takes.
        found: a result of `detect`.
        min_score: detections below it are not drawn.
    """
    image = read_picture(picture, "picture").numpy().round().astype("uint8")
    keep = found.scores >= min_score
    # Colours go by label, which need not be in the order of the names of one picture.
    names = dict(zip(found.labels.tolist(), found.names, strict=True))
    class_names = [names.get(n, "") for n in range(max(names, default=-1) + 1)]
    drawn = draw_boxes(
        image,
        found.boxes[keep],
        found.labels[keep],
        class_names,
        scores=found.scores[keep],
    )
    return Image.fromarray(drawn)
