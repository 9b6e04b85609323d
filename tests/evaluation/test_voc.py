import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.golden import load_golden
from tf_frcnn.evaluation import DetectedBoxes, GroundTruth, evaluate_voc

NOTHING = DetectedBoxes([], np.zeros([0, 4]), [], [])
SQUARE = [0, 0, 10, 10]
HALF = [0, 0, 10, 5]  # IoU 0.5 with the square


def objects(*rows):
    """Makes a GroundTruth of rows (image, box, label, difficult), perhaps crowd."""
    return GroundTruth(*map(np.array, zip(*rows, strict=True)))


def found(*rows):
    """Makes DetectedBoxes of rows (image, box, score, label)."""
    return DetectedBoxes(*map(np.array, zip(*rows, strict=True)))


NUM_CLASSES = int(load_golden("voc_eval")["num_classes"])


@pytest.fixture(scope="module")
def stored():
    data = load_golden("voc_eval")
    ground_truth = GroundTruth(
        data["gt_image"],
        data["gt_boxes"][:, [1, 0, 3, 2]],
        data["gt_class"],
        data["gt_difficult"],
        np.zeros(len(data["gt_image"]), bool),
    )
    detections = DetectedBoxes(
        data["det_image"],
        data["det_boxes"][:, [1, 0, 3, 2]],
        data["det_scores"],
        data["det_class"],
    )
    return ground_truth, detections


def test_one_object_found_and_one_false_detection_before_it():
    ground_truth = objects((0, SQUARE, 0, False))
    detections = found((0, [20, 20, 30, 30], 0.9, 0), (0, SQUARE, 0.8, 0))
    result = evaluate_voc(ground_truth, detections, 1)
    assert result.recalls[0].tolist() == [0, 1]
    assert result.precisions[0].tolist() == [0, 0.5]
    assert result.num_objects.tolist() == [1]
    np.testing.assert_allclose(result.average_precisions, [0.5])
    area = evaluate_voc(ground_truth, detections, 1, metric="area")
    np.testing.assert_allclose(area.average_precisions, [0.5])


def test_half_of_the_objects_found_without_error():
    # Precision 1 up to recall 0.5: six of the eleven thresholds, half of the area.
    ground_truth = objects((0, SQUARE, 0, False), (1, SQUARE, 0, False))
    detections = found((0, SQUARE, 0.9, 0))
    assert evaluate_voc(ground_truth, detections, 1).mean == pytest.approx(6 / 11)
    area = evaluate_voc(ground_truth, detections, 1, metric="area")
    assert area.mean == pytest.approx(1 / 2)


def test_a_second_detection_of_an_object_is_wrong():
    ground_truth = objects((0, SQUARE, 0, False))
    detections = found((0, HALF, 0.7, 0), (0, SQUARE, 0.6, 0))
    result = evaluate_voc(ground_truth, detections, 1)
    assert result.precisions[0].tolist() == [1, 0.5]


def test_a_difficult_object_counts_neither_for_nor_against():
    ground_truth = objects((0, SQUARE, 0, True), (1, SQUARE, 0, False))
    detections = found(
        (0, SQUARE, 0.9, 0), (0, SQUARE, 0.8, 0), (1, SQUARE, 0.7, 0), (1, HALF, 0.6, 0)
    )
    result = evaluate_voc(ground_truth, detections, 1)
    assert result.num_objects.tolist() == [1]
    assert result.recalls[0].tolist() == [0, 0, 1, 1]
    assert result.precisions[0].tolist() == [0, 0, 1, 0.5]
    counted = evaluate_voc(ground_truth, detections, 1, use_difficult=True)
    assert counted.num_objects.tolist() == [2]
    assert counted.precisions[0].tolist() == [1, 1 / 2, 2 / 3, 2 / 4]


CROWD = [0, 100, 100, 200]


def test_a_crowd_is_no_object_and_takes_any_number_of_detections():
    ground_truth = objects(
        (0, SQUARE, 0, False, False), (0, CROWD, 0, False, True), (0, CROWD, 1, 0, True)
    )
    inside = [[10, 110, 40, 140], [50, 150, 90, 190], CROWD]
    detections = found(*((0, box, 0.9, 0) for box in inside), (0, SQUARE, 0.8, 0))
    result = evaluate_voc(ground_truth, detections, 2)
    assert result.num_objects.tolist() == [1, 0]
    assert result.average_precisions[0] == pytest.approx(1)
    assert np.isnan(result.average_precisions[1])
    counted = evaluate_voc(ground_truth, detections, 2, use_difficult=True)
    assert counted.mean == result.mean
    # Without the crowd they are three mistakes.
    alone = ground_truth._replace(crowd=np.zeros(3, bool))
    assert evaluate_voc(alone, detections, 2).mean < 0.5


def test_a_share_of_the_detection_and_not_iou_tells_whether_it_lies_in_a_crowd():
    ground_truth = objects((0, SQUARE, 0, False, False), (0, CROWD, 0, False, True))
    half = [0, 90, 10, 110]  # A tenth of the crowd's columns at its border.
    detections = found((0, half, 0.9, 0), (0, SQUARE, 0.8, 0))

    def precision(**settings):
        return evaluate_voc(ground_truth, detections, 1, **settings).precisions[0][1]

    assert precision() == precision(iou_threshold=0.5) == 1
    assert precision(iou_threshold=0.51) == precision(strict=True) == 0.5


def test_a_second_detection_of_an_object_in_a_crowd_is_no_mistake():
    near = [10, 110, 20, 120]
    ground_truth = objects((0, near, 0, False, False), (0, CROWD, 0, False, True))
    detections = found((0, near, 0.9, 0), (0, SQUARE, 0.8, 0), (0, near, 0.7, 0))
    result = evaluate_voc(ground_truth, detections, 1)
    assert result.precisions[0].tolist() == [1, 0.5, 0.5]


def test_a_crowd_is_of_one_image_and_class():
    ground_truth = objects((0, SQUARE, 0, False, False), (0, CROWD, 0, False, True))
    ground_truth = ground_truth._make(
        np.concatenate([column, column[:1]]) for column in ground_truth
    )
    ground_truth.labels[2] = 1
    inside = [10, 110, 40, 140]
    detections = found(
        (0, inside, 0.9, 1),
        (1, inside, 0.9, 0),
        (0, SQUARE, 0.8, 0),
        (0, SQUARE, 0.8, 1),
    )
    result = evaluate_voc(ground_truth, detections, 2)
    assert [p.tolist() for p in result.precisions] == [[0, 0.5], [0, 0.5]]


def test_a_detection_answers_only_for_its_own_image_and_class():
    ground_truth = objects((0, SQUARE, 0, False), (1, SQUARE, 1, False))
    detections = found((0, SQUARE, 0.9, 1), (1, SQUARE, 0.9, 0))
    assert evaluate_voc(ground_truth, detections, 2).average_precisions.tolist() == [
        0,
        0,
    ]


def test_a_detection_looks_at_its_best_object_only_even_when_that_one_is_taken():
    # The second detection would suffice for the other object, but prefers the first.
    near = [0, 2, 10, 12]
    ground_truth = objects((0, SQUARE, 0, False), (0, near, 0, False))
    detections = found((0, SQUARE, 0.9, 0), (0, [0, 0.5, 10, 10.5], 0.8, 0))
    result = evaluate_voc(ground_truth, detections, 1)
    assert result.recalls[0].tolist() == [0.5, 0.5]


def test_an_iou_at_the_threshold_suffices_unless_strict():
    ground_truth, detections = objects((0, SQUARE, 0, False)), found((0, HALF, 0.9, 0))
    assert evaluate_voc(ground_truth, detections, 1).mean == pytest.approx(1)
    assert evaluate_voc(ground_truth, detections, 1, strict=True).mean == 0
    assert evaluate_voc(ground_truth, detections, 1, iou_threshold=0.51).mean == 0


def test_a_class_without_objects_is_left_out_of_the_mean():
    ground_truth = objects((0, SQUARE, 0, False), (0, SQUARE, 1, True))
    detections = found((0, SQUARE, 0.9, 0), (0, SQUARE, 0.9, 1), (0, SQUARE, 0.9, 2))
    result = evaluate_voc(ground_truth, detections, 4)
    np.testing.assert_allclose(result.average_precisions, [1, *[np.nan] * 3])
    assert result.mean == pytest.approx(1)
    assert result.num_objects.tolist() == [1, 0, 0, 0]


def test_without_detections_every_class_scores_zero():
    result = evaluate_voc(objects((0, SQUARE, 0, False)), NOTHING, 1)
    assert result.average_precisions.tolist() == [0]
    assert result.mean == 0


def test_without_objects_there_is_no_score():
    nothing = GroundTruth([], np.zeros([0, 4]), [], [])
    result = evaluate_voc(nothing, found((0, SQUARE, 0.9, 0)), 2)
    assert np.isnan(result.average_precisions).all()
    assert np.isnan(result.mean)


def test_detections_of_equal_scores_keep_their_order():
    # Right and wrong take turns among those of each score, a right one first.
    boxes = [SQUARE, [20, 20, 30, 30]] * 50
    rows = [(i, box, [0.9, 0.5][i // 2 % 2], 0) for i, box in enumerate(boxes)]
    everything = objects(*((i, SQUARE, 0, False) for i in range(100)))
    result = evaluate_voc(everything, found(*rows), 1)
    num_right = (np.arange(100) + 2) // 2
    np.testing.assert_allclose(result.recalls[0], num_right / 100)


def test_an_unknown_metric_is_refused():
    message = r"evaluate_voc: metric = '07' must be one of 11-point, area\."
    with pytest.raises(ValueError, match=message):
        evaluate_voc(objects((0, SQUARE, 0, False)), NOTHING, 1, metric="07")


def test_inclusive_corners_with_plus_one_equal_continuous_corners_without(stored):
    ground_truth, detections = stored
    shift = np.array([1, 1, 0, 0])
    expected = evaluate_voc(ground_truth, detections, NUM_CLASSES, plus_one=True)
    continuous = evaluate_voc(
        ground_truth._replace(boxes=ground_truth.boxes - shift),
        detections._replace(boxes=detections.boxes - shift),
        NUM_CLASSES,
    )
    np.testing.assert_array_equal(
        continuous.average_precisions, expected.average_precisions
    )


@given(st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(stored, random):
    ground_truth, detections = stored
    shuffled = []
    for rows in stored:
        order = random.sample(range(len(rows.boxes)), len(rows.boxes))
        shuffled.append(rows._make(column[order] for column in rows))
    np.testing.assert_array_equal(
        evaluate_voc(*shuffled, NUM_CLASSES).average_precisions,
        evaluate_voc(ground_truth, detections, NUM_CLASSES).average_precisions,
    )


AP_TFR, AP_EDGE = "AP, tf-faster-rcnn", "AP, edge cases"
METRICS = pytest.mark.parametrize(
    ("metric", "name"), [("11-point", "07"), ("area", "area")]
)


@METRICS
@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("", {}),
        ("_iou07", {"iou_threshold": 0.7}),
        ("_use_diff", {"use_difficult": True}),
    ],
)
def test_precisions_equal_those_of_tf_faster_rcnn(
    golden, stored, metric, name, suffix, options
):
    found = evaluate_voc(
        *stored, NUM_CLASSES, metric=metric, plus_one=True, strict=True, **options
    ).average_precisions
    golden("voc_eval").compare(AP_TFR, f"tfr_ap_{name}{suffix}", found, atol=1e-6)


def test_curves_equal_those_of_tf_faster_rcnn(golden, stored):
    data = golden("voc_eval")
    result = evaluate_voc(*stored, NUM_CLASSES, plus_one=True, strict=True)
    for label in range(NUM_CLASSES):
        for curves, name in [(result.recalls, "rec"), (result.precisions, "prec")]:
            array = f"tfr_{name}_class{label}"
            data.compare(AP_TFR, array, curves[label], atol=1e-6)


def compare_with_chainercv(data, name, result):
    found = result.average_precisions
    data.compare("AP, chenyuntc", f"chn_ap_{name}", found, atol=1e-6)
    data.compare("AP, chenyuntc", f"chn_map_{name}", result.mean, atol=1e-6)


@METRICS
@pytest.mark.parametrize("iou_threshold", [0.5, 0.7])
def test_precisions_equal_those_of_chainercv(
    golden, stored, metric, name, iou_threshold
):
    data, suffix = golden("voc_eval"), {0.5: "", 0.7: "_iou07"}[iou_threshold]
    result = evaluate_voc(
        *stored, NUM_CLASSES, metric=metric, plus_one=True, iou_threshold=iou_threshold
    )
    compare_with_chainercv(data, f"{name}{suffix}", result)


def test_without_difficult_flags_all_count_as_in_chainercv(golden, stored):
    data = golden("voc_eval")
    result = evaluate_voc(
        *stored, NUM_CLASSES, metric="area", plus_one=True, use_difficult=True
    )
    compare_with_chainercv(data, "area_no_difficult_flags", result)


@METRICS
def test_edge_cases_equal_the_references(golden, metric, name):
    data = golden("voc_eval")
    gt, det = data["edge_gt"], data["edge_det"]
    ground_truth = GroundTruth(gt[:, 0], gt[:, [3, 2, 5, 4]], gt[:, 1], gt[:, 6])
    detections = DetectedBoxes(det[:, 0], det[:, [3, 2, 5, 4]], det[:, 6], det[:, 1])
    row = ["07", "area"].index(name)

    num_classes = data["edge_tfr_ap"].shape[1]
    loose, strict = (
        evaluate_voc(
            *(ground_truth, detections, num_classes),
            metric=metric,
            plus_one=True,
            strict=strict,
        ).average_precisions
        for strict in (False, True)
    )
    expected = data["edge_chn_ap"][row]
    data.compare(AP_EDGE, "edge_chn_ap", loose, expected, atol=1e-6)
    # tf-faster-rcnn's 11-point metric says 0 where there is nothing to find.
    if name == "07":
        strict = np.nan_to_num(strict)
    expected = data["edge_tfr_ap"][row]
    data.compare(AP_EDGE, "edge_tfr_ap", strict, expected, atol=1e-6)
