import sys

import numpy as np
import pytest

from tests.helpers.golden import load_golden
from tf_frcnn.evaluation import DetectedBoxes, GroundTruth, evaluate_coco

pytest.importorskip("pycocotools", reason='needs pip install "tf-frcnn[coco]"')

NUM_CLASSES = int(load_golden("voc_eval")["num_classes"])
NUMBERS = "COCO numbers"  # The quantity of the golden table.


@pytest.fixture
def stored():
    data = load_golden("voc_eval")
    ground_truth = GroundTruth(
        data["gt_image"],
        data["gt_boxes"][:, [1, 0, 3, 2]],
        data["gt_class"],
        data["gt_difficult"],
    )
    detections = DetectedBoxes(
        data["det_image"],
        data["det_boxes"][:, [1, 0, 3, 2]],
        data["det_scores"],
        data["det_class"],
    )
    return ground_truth, detections


def test_one_object_found_at_an_iou_of_0_61():
    # Right at the thresholds 0.5, 0.55 and 0.6 of ten.
    ground_truth = GroundTruth([3], [[0, 0, 10, 10]], [1], [False])
    detections = DetectedBoxes([3], [[0, 0, 10, 6.1]], [0.9], [1])
    result = evaluate_coco(ground_truth, detections, 2)
    assert result.ap == pytest.approx(0.3)
    assert result.ap50 == pytest.approx(1)
    assert result.ap75 == 0
    assert result.ap_small == pytest.approx(0.3)
    assert np.isnan(result.ap_large)
    assert result.ar1 == pytest.approx(0.3)
    np.testing.assert_allclose(result.class_ap, [np.nan, 0.3])
    np.testing.assert_allclose(result.class_ap50, [np.nan, 1])


def test_without_detections_all_scores_are_zero():
    ground_truth = GroundTruth([3], [[0, 0, 10, 10]], [1], [False])
    result = evaluate_coco(ground_truth, DetectedBoxes([], [], [], []), 2)
    assert (result.ap, result.ar100) == (0, 0)


def test_without_objects_there_are_no_scores():
    detections = DetectedBoxes([3], [[0, 0, 10, 6.1]], [0.9], [1])
    result = evaluate_coco(GroundTruth([], [], [], []), detections, 2)
    assert np.isnan(result[:12]).all()


def test_numbers_equal_those_of_cocos_program_with_difficult_objects(golden, stored):
    data = golden("voc_eval")
    result = evaluate_coco(*stored, NUM_CLASSES, use_difficult=True)
    data.compare(NUMBERS, "coco_all", result[:12], atol=1e-6)
    per_class = np.stack([result.class_ap, result.class_ap50], axis=1)
    data.compare(NUMBERS, "coco_all_per_class", per_class, atol=1e-6)


def test_numbers_equal_those_of_cocos_program_with_difficult_crowds(golden, stored):
    result = evaluate_coco(*stored, NUM_CLASSES)
    golden("voc_eval").compare(NUMBERS, "coco_crowd", result[:12], atol=1e-6)


def test_numbers_equal_those_of_cocos_program_in_one_class(golden, stored):
    one_class = [rows._replace(labels=np.zeros_like(rows.labels)) for rows in stored]
    result = evaluate_coco(*one_class, 1, use_difficult=True)
    golden("voc_eval").compare(NUMBERS, "coco_agnostic", result[:12], atol=1e-6)


def test_nothing_is_printed(stored, capsys):
    evaluate_coco(*stored, NUM_CLASSES)
    assert capsys.readouterr().out == ""


def test_without_pycocotools_the_error_says_how_to_install_it(monkeypatch, stored):
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    with pytest.raises(ImportError, match=r'pip install "tf-frcnn\[coco\]"'):
        evaluate_coco(*stored, NUM_CLASSES)
