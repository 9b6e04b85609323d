import warnings

import pytest

from tests.helpers.random_run import write_random_run
from tf_frcnn.config import Config, ConfigError, load_config
from tf_frcnn.evaluation.operating_points import OperatingPoint
from tf_frcnn.report.figures import Thresholds
from tf_frcnn.runs.inference import load_run, shown_from
from tf_frcnn.runs.thresholds import F1, PRECISION, write_thresholds


def point(threshold):
    return OperatingPoint(threshold, 0.9, 0.5, 0.6)


THRESHOLDS = Thresholds(
    best_f1=[point(0.5), point(0.25), point(0.4), None],
    at_precision=[point(0.75), None, point(0.8), None],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_random_run(tmp_path_factory.mktemp("runs"))


@pytest.mark.parametrize(
    "by, scores", [(F1, (0.5, 0.25, 0.4, 0.5)), (PRECISION, (0.75, 0.25, 0.8, 0.5))]
)
def test_thresholds_are_settings_of_the_run_like_others(folder, by, scores, capsys):
    before = load_config(folder / "config.yaml")
    write_thresholds(folder, THRESHOLDS, by)
    config = load_config(folder / "config.yaml")
    assert config.detections.class_thresholds == scores
    assert config.replace(detections=before.detections) == before
    printed = capsys.readouterr().out
    assert ("ellipse does not reach the precision" in printed) == (by == PRECISION)
    assert f"cross {scores[0]:.2f}" in printed
    with warnings.catch_warnings():
        warnings.simplefilter(
            "error", UserWarning
        )  # Such as one of files that were changed.
        run = load_run(folder)
    assert run.model.roi_head.detections.class_thresholds == scores
    assert shown_from(config) == 0.0 and shown_from(Config()) == 0.5


def test_thresholds_of_other_classes_are_refused(folder):
    settings = ["detections.class_thresholds=[0.1, 0.2]"]
    with pytest.raises(ConfigError, match="has 2 values, but there are 4 classes"):
        load_run(folder, settings)
