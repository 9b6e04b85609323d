"""An object of 100 pixels at (0, 0), class 1 of 2, lost at each stage in turn."""

import numpy as np
import pytest

from tf_frcnn.evaluation.misses import STAGES, Inspection, Limits, stage_of_miss

OBJECT = [0, 0, 10, 10]
NEAR = [0, 0, 10, 8]  # IoU 0.8 with the object
BESIDE = [0, 0, 10, 4]  # IoU 0.4
FAR = [50, 50, 60, 60]
LIMITS = Limits(iou=0.5, proposal_nms=0.7, score=0.05, nms=0.3)

# What the RoI head says of a proposal: background, class 0, class 1.
SURE = [0.1, 0.1, 0.8]
BACKGROUND, OTHER = [0.95, 0.01, 0.04], [0.01, 0.95, 0.04]


def seen(
    *,
    anchors=(NEAR,),
    rpn_boxes=None,
    large=True,
    entered=True,
    proposals=(),
    scores=(),
    boxes=(),
    detected=(),
):
    """Makes an inspection; `boxes` are those of class 1, `detected` (box, label)."""
    rpn_boxes = anchors if rpn_boxes is None else rpn_boxes
    own = np.reshape(boxes, [-1, 4]).astype(float)
    return Inspection(
        np.reshape(anchors, [-1, 4]).astype(float),
        np.reshape(rpn_boxes, [-1, 4]).astype(float),
        np.full(len(anchors), large),
        np.full(len(anchors), entered),
        np.reshape(proposals, [-1, 4]).astype(float),
        np.reshape(scores, [-1, 3]).astype(float),
        np.stack([np.full_like(own, 90), own], axis=1),
        np.reshape([box for box, _ in detected], [-1, 4]).astype(float),
        np.array([label for _, label in detected], int),
    )


def headed(scores, box, proposal=OBJECT, **more):
    """Makes an inspection of one proposal."""
    return seen(proposals=[proposal], scores=[scores], boxes=[box], **more)


CASES = {
    "anchor": seen(anchors=[BESIDE], rpn_boxes=[NEAR]),
    "rpn_box": seen(rpn_boxes=[BESIDE]),
    "min_size": seen(large=False),
    "rpn_rank": seen(entered=False),
    "rpn_nms": seen(
        anchors=[[0, 0, 10, 6]], proposals=[[0, 0, 10, 4.5]], scores=[SURE], boxes=[FAR]
    ),
    "rpn_count": seen(proposals=[FAR], scores=[SURE], boxes=[FAR]),
    "background": headed(BACKGROUND, OBJECT),
    "class": headed(OTHER, BESIDE),
    "box": headed(SURE, BESIDE, detected=[(BESIDE, 1)]),
    "score": headed([0.32, 0.33, 0.35], OBJECT),
    "nms": headed(SURE, NEAR, detected=[(BESIDE, 1)]),
    "count": headed(SURE, NEAR, detected=[(FAR, 1), (NEAR, 0)]),
}


def stage(image, **limits):
    return stage_of_miss(image, np.array(OBJECT, float), 1, LIMITS._replace(**limits))


@pytest.mark.parametrize("name", STAGES)
def test_each_stage_can_lose_the_object(name):
    limits = {"score": 0.5} if name == "score" else {}
    assert stage(CASES[name], **limits) == name


def test_what_a_later_stage_mends_was_not_lost_before():
    # The anchor and the proposal lie beside the object, the head's box on it.
    moved = headed(SURE, NEAR, BESIDE, anchors=[BESIDE], detected=[(BESIDE, 1)])
    assert stage(moved) == "nms"
    # Unless the head gives it no sufficient score, and another class the best.
    assert stage(moved._replace(scores=np.array([BACKGROUND]))) == "anchor"


def test_a_proposal_beside_the_object_counts_where_its_class_and_box_are_right():
    # With a score that is too low; the anchor lies beside the object, too.
    unsure = [0.3, 0.3, 0.4]
    image = headed(unsure, NEAR, BESIDE, anchors=[BESIDE])
    assert stage(image, score=0.5) == "score"


def test_a_box_on_the_object_tells_more_than_a_likelier_one_beside_it():
    image = seen(
        proposals=[OBJECT, OBJECT],
        scores=[[0.9, 0.06, 0.04], [0.4, 0.5, 0.1]],
        boxes=[OBJECT, BESIDE],
    )
    assert stage(image, score=0.2) == "background"


def test_a_box_that_counts_for_a_neighbour_is_off():
    assert stage(headed(SURE, NEAR, detected=[(NEAR, 1)])) == "box"


def test_suppression_across_classes_takes_boxes_of_other_classes():
    image = headed(SURE, NEAR, detected=[([0, 0, 10, 5], 0)])
    assert stage(image) == "count"
    assert stage(image, class_agnostic=True) == "nms"


def test_detections_have_a_least_size_too():
    image = headed(SURE, NEAR)
    assert stage(image, min_size=8.0) == "count"
    assert stage(image, min_size=8.5) == "min_size"


def test_without_the_rpns_suppression_the_count_cut_it():
    assert stage(CASES["rpn_nms"], proposal_nms=None) == "rpn_count"


def test_one_box_that_was_not_suppressed_was_cut_by_the_count():
    suppressed, apart = [0, 0, 10, 6], [0, 0, 10, 10]
    image = seen(
        anchors=[suppressed, apart],
        proposals=[[0, 0, 10, 4.5]],
        scores=[SURE],
        boxes=[FAR],
    )
    assert stage(image) == "rpn_count"


def test_the_likeliest_proposal_tells_what_the_head_took_the_object_for():
    two = seen(
        proposals=[OBJECT, OBJECT],
        scores=[BACKGROUND, [0.2, 0.76, 0.04001]],
        boxes=[OBJECT, OBJECT],
    )
    assert stage(two) == "class"


def test_an_image_without_any_box_loses_its_objects_at_the_anchors():
    assert stage(seen(anchors=[])) == "anchor"
