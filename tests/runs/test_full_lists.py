import numpy as np
import pytest

from tf_frcnn.config import Config
from tf_frcnn.models.detecting import Found
from tf_frcnn.runs.full_lists import FullLists
from tf_frcnn.runs.predictions import ImageResult


def result_of(file, cut_below):
    nothing = np.zeros(0), np.zeros([0, 4]), np.zeros(0, int)
    return ImageResult(file, Found((), *nothing, (20, 30), cut_below), ("a",))


RESULTS = [
    result_of("few.png", None),
    ImageResult("damaged.png", None),
    result_of("weak.png", 0.4),
    result_of("full.png", 0.5),
    result_of("other.png", 0.7),
]


@pytest.mark.parametrize(
    ("tiles", "limits"),
    [
        ({}, "detections.max_per_image = 3"),
        (
            {"size": [8, 8], "max_per_image": 4},
            "detections.max_per_image = 3 (of a tile) or tiles.max_per_image = 4",
        ),
    ],
)
def test_images_that_were_cut_off_are_counted_and_one_is_named(capsys, tiles, limits):
    full = FullLists(Config(detections={"max_per_image": 3}, tiles=tiles), 0.5)
    assert [*full.noted(RESULTS)] == RESULTS
    full.report()
    shown = capsys.readouterr().out
    assert f"as many detections as {limits} allows" in shown
    assert shown.endswith("2, such as full.png.\n")


def test_without_such_images_nothing_is_printed(capsys):
    full = FullLists(Config(), 0.8)
    assert [*full.noted(RESULTS)] == RESULTS
    full.report()
    assert capsys.readouterr().out == ""
