import numpy as np
import pytest

from tf_frcnn.models.detecting import Found
from tf_frcnn.runs.best_scores import BestScore
from tf_frcnn.runs.predictions import ImageResult


def result_of(*scores):
    boxes, labels = np.zeros([len(scores), 4]), np.zeros(len(scores), int)
    found = Found(("a",) * len(scores), np.array(scores), boxes, labels, (20, 30), None)
    return ImageResult("a.png", found, ("a",))


RESULTS = [result_of(0.1), ImageResult("damaged.png", None), result_of(0.142, 0.05)]


@pytest.mark.parametrize(
    ("results", "min_score", "words"),
    [
        (RESULTS, 0.5, "no score reaches 0.5; the best is 0.142."),
        ([result_of()], 0.25, "no score reaches 0.25; the best is 0."),
        (RESULTS, 0.142, ""),
        ([result_of()], 0.0, ""),
    ],
)
def test_why_no_box_is_shown_is_told(capsys, results, min_score, words):
    best = BestScore(min_score)
    assert [*best.noted(results)] == results
    best.report()
    shown = capsys.readouterr().out
    assert words in shown and bool(words) == bool(shown)
