import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.helpers.golden import load_golden
from tf_frcnn.evaluation import (
    DetectedBoxes,
    GroundTruth,
    evaluate_by_size,
    evaluate_coco,
    evaluate_voc,
)

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


def test_own_limits_of_size_give_cocos_numbers_at_its_limits(stored):
    truth, found = stored
    num_classes = int(truth.labels.max()) + 1
    coco = evaluate_coco(truth, found, num_classes)
    by_size = evaluate_by_size(truth, found, num_classes, (32, 96))
    assert [size.ap for size in by_size] == pytest.approx(
        [coco.ap_small, coco.ap_medium, coco.ap_large]
    )
    assert sum(size.num_objects for size in by_size) == (~truth.difficult).sum()
    (whole,) = evaluate_by_size(truth, found, num_classes, ())
    assert (whole.ap, whole.ap50) == pytest.approx((coco.ap, coco.ap50))
    assert whole.recall50 > whole.ap50


def test_an_object_on_a_limit_of_size_counts_once():
    truth = GroundTruth([0], [[0, 0, 16, 16]], [0], [False])
    found = DetectedBoxes([0], [[0, 0, 16, 16]], [0.9], [0])
    by_size = evaluate_by_size(truth, found, 1, (16,))
    assert [size.num_objects for size in by_size] == [0, 1]
    assert np.isnan(by_size[0].ap50) and by_size[1].ap50 == by_size[1].recall50 == 1


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


def test_ties_and_objects_on_the_border_of_a_size_are_judged_as_there(tmp_path):
    """Equal scores and overlaps, an object for two detections, and 32 x 32 pixels."""
    boxes = np.array(
        [[0, 0, 32, 32], [0, 32, 32, 64], [0, 0, 96, 96], [0, 100, 32, 164]], float
    )
    truth = GroundTruth(np.zeros(4), boxes, np.zeros(4), np.zeros(4, bool))
    truth = truth._replace(crowd=np.array([False, False, False, True]))
    found = np.array(
        [
            [0, 16, 32, 48],  # A third of either of the first two.
            [0, 0, 32, 32],
            [0, 0, 32, 32],
            [0, 8, 32, 40],
            [0, 101, 16, 160],
            [100, 100, 132, 132],
        ],
        float,
    )
    for scores in ([0.5] * 6, [0.1, 0.2, 0.2, 0.3, 0.9, 0.4]):
        detections = DetectedBoxes(np.zeros(6), found, np.array(scores), np.zeros(6))
        expected = judged_from_files(tmp_path, truth, detections)
        np.testing.assert_allclose(evaluate_coco(truth, detections, 2)[:12], expected)


def test_the_best_hundred_detections_of_an_image_count(tmp_path):
    rng = np.random.default_rng(1)
    boxes = drawn_at_random(rng, 150)
    truth = GroundTruth(np.zeros(150), boxes, np.zeros(150), np.zeros(150, bool))
    detections = DetectedBoxes(
        np.zeros(150), boxes, rng.permutation(150) / 150, np.zeros(150)
    )
    result = evaluate_coco(truth, detections, 2)
    expected = judged_from_files(
        tmp_path, truth._replace(crowd=np.zeros(150, bool)), detections
    )
    np.testing.assert_allclose(result[:12], expected)
    assert result.ar100 == pytest.approx(100 / 150)
    assert result.ar10 == pytest.approx(10 / 150)


def drawn_at_random(rng, count):
    """Returns boxes [n, 4] in an image of 200 x 200 pixels."""
    corners = rng.uniform(0, 150, [count, 2])
    return np.hstack([corners, corners + rng.uniform(5, 50, [count, 2])]).round(1)


def as_coco(boxes):
    """Returns x, y, width, height."""
    ymin, xmin, ymax, xmax = boxes.T
    return np.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=1).tolist()


def test_crowds_of_a_file_are_judged_as_by_cocos_program(tmp_path):
    """By its own way: a file of objects, and one of detections."""
    rng = np.random.default_rng(7)
    boxes, images = drawn_at_random(rng, 60), rng.integers(4, size=60)
    labels, crowd = rng.integers(2, size=60), rng.random(60) < 0.2
    boxes[crowd, 2:] += 40
    found_boxes = np.concatenate([boxes, boxes, drawn_at_random(rng, 60)])
    found_boxes[60:120] += rng.normal(0, 2, [60, 4]).round(1)
    detections = DetectedBoxes(
        np.concatenate([images, images, rng.integers(4, size=60)]),
        found_boxes,
        rng.permutation(180) / 180,
        np.concatenate([labels, labels, rng.integers(2, size=60)]),
    )
    truth = GroundTruth(images, boxes, labels, np.zeros(60, bool), crowd)
    expected = judged_from_files(tmp_path, truth, detections)
    np.testing.assert_allclose(evaluate_coco(truth, detections, 2)[:12], expected)
    as_objects = truth._replace(crowd=np.zeros(60, bool))
    assert evaluate_coco(as_objects, detections, 2).ap != pytest.approx(expected[0])


def judged_from_files(folder, truth, detections):
    """Returns the twelve numbers of pycocotools for files."""
    rows = zip(
        truth.image_index, as_coco(truth.boxes), truth.labels, truth.crowd, strict=True
    )
    content = {
        "images": [{"id": image, "height": 200, "width": 200} for image in range(4)],
        "categories": [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}],
        "annotations": [
            {
                **{
                    "id": n,
                    "image_id": int(image),
                    "bbox": box,
                    "area": box[2] * box[3],
                },
                **{"category_id": int(label), "iscrowd": int(is_crowd)},
            }
            for n, (image, box, label, is_crowd) in enumerate(rows, 1)
        ],
    }
    rows = zip(
        detections.image_index,
        as_coco(detections.boxes),
        detections.scores,
        detections.labels,
        strict=True,
    )
    found = [
        {"image_id": int(i), "bbox": b, "score": float(s), "category_id": int(label)}
        for i, b, s, label in rows
    ]
    (folder / "objects.json").write_text(json.dumps(content))
    (folder / "found.json").write_text(json.dumps(found))
    coco = COCO(str(folder / "objects.json"))
    judge = COCOeval(coco, coco.loadRes(str(folder / "found.json")), "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    return np.where(judge.stats < 0, np.nan, judge.stats)


def test_vocs_figures_ignore_what_cocos_ignore():
    """With one class and a threshold, the detections that count are the same."""
    rng = np.random.default_rng(3)
    boxes, crowd = drawn_at_random(rng, 12), np.arange(12) < 4
    boxes[:4] = [
        [0, 0, 90, 90],
        [110, 0, 200, 90],
        [0, 110, 90, 200],
        [100] * 2 + [200] * 2,
    ]
    boxes[4:, :2] = 95 + 2 * np.arange(8)[:, np.newaxis]
    boxes[4:, 2:] = boxes[4:, :2] + 1.5
    truth = GroundTruth(np.zeros(12), boxes, np.zeros(12), np.zeros(12, bool), crowd)
    spots = drawn_at_random(rng, 50)
    found = np.concatenate([spots, boxes[4:]])
    detections = DetectedBoxes(
        np.zeros(58), found, rng.permutation(58) / 58, np.zeros(58)
    )
    coco = evaluate_coco(truth, detections, 1).ap50
    voc = evaluate_voc(truth, detections, 1, metric="area").mean
    # 101 steps of recall against the whole area.
    assert coco == pytest.approx(voc, abs=0.02) and 0.2 < voc < 0.98
