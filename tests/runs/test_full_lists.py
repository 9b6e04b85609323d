import numpy as np
import pytest

from tf_frcnn.config import Config
from tf_frcnn.models.detecting import Found
from tf_frcnn.runs.full_lists import FullLists
from tf_frcnn.runs.predictions import ImageResult


def result_of(file, scores):
    count = len(scores)
    boxes, labels = np.zeros([count, 4]), np.zeros(count, int)
    found = Found(("a",) * count, np.array(scores), boxes, labels, (20, 30))
    return ImageResult(file, found, ("a",))


RESULTS = [
    result_of("few.png", [0.9, 0.8]),
    ImageResult("damaged.png", None),
    result_of("weak.png", [0.9, 0.8, 0.4]),
    result_of("full.png", [0.9, 0.8, 0.5]),
    result_of("other.png", [0.7, 0.7, 0.7]),
]


@pytest.mark.parametrize(
    ("tiles", "name"),
    [
        ({}, "detections.max_per_image"),
        ({"max_per_image": 9}, "detections.max_per_image"),
        ({"size": [8, 8], "max_per_image": 1}, "detections.max_per_image"),
    ],
)
def test_images_at_the_limit_are_counted_and_one_is_named(capsys, tiles, name):
    full = FullLists(Config(detections={"max_per_image": 3}, tiles=tiles), 0.5)
    assert [*full.noted(RESULTS)] == RESULTS
    full.report()
    shown = capsys.readouterr().out
    assert f"with 3 detections, as many as {name} allows" in shown
    assert shown.endswith("2, such as full.png.\n")


def test_the_limit_is_that_of_all_tiles(capsys):
    tiles = {"size": [8, 8], "max_per_image": 4}
    full = FullLists(Config(detections={"max_per_image": 3}, tiles=tiles), 0.0)
    for _ in full.noted([*RESULTS, result_of("many.png", [0.5] * 4)]):
        pass
    full.report()
    assert "4 detections, as many as tiles.max_per_image" in capsys.readouterr().out


def test_without_such_images_nothing_is_printed(capsys):
    full = FullLists(Config(), 0.5)
    assert [*full.noted(RESULTS)] == RESULTS
    full.report()
    assert capsys.readouterr().out == ""
