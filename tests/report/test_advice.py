import numpy as np
import pytest

from tf_frcnn.config import make_config
from tf_frcnn.evaluation.false_alarms import KINDS
from tf_frcnn.evaluation.misses import STAGES
from tf_frcnn.report.advice import advice_on
from tf_frcnn.report.causes import FALSE_ALARM, MISS, TITLES, Cause
from tf_frcnn.report.trials import Trial, Trials

NAMES = ("ant", "bee", "cat")


def cause(name, cost=0.1, group=MISS, labels=(0, 0, 1), side=60.0, others=(1, 1, 0)):
    labels, count = np.array(labels), len(labels)
    others = labels if group == MISS else np.array(others)
    sides = np.full(count, side)
    return Cause(group, name, cost, np.arange(count), labels, others, sides)


def trials(best=0.5, gain=0.02, across=-0.1, soft=-0.1):
    rows = [Trial(f"detections.nms_iou={best}", "nms_iou", best, 0.8 + gain)]
    rows += [Trial("detections.nms_iou=0.7", "nms_iou", 0.7, 0.1)]
    name = "class_agnostic_nms"
    rows += [Trial(f"detections.{name}=true", name, True, 0.8 + across)]
    rows += [Trial("detections.suppression=soft", "suppression", "soft", 0.8 + soft)]
    return Trials(0.8, 0.3, rows)


def advice(*causes, tried=None, **settings):
    config = make_config(settings, "the test")
    used = np.array([True, False, False])
    return advice_on([*causes], config, NAMES, used, tried or trials())


def test_every_cause_has_a_title_and_a_remedy():
    assert TITLES.keys() == {
        *((MISS, stage) for stage in STAGES),
        *((FALSE_ALARM, kind) for kind in KINDS),
    }
    tried = {"duplicate": trials(0.2)}
    sized = {"proposals": {"min_size": 4}, "detections": {"min_size": 2}}
    for group, name in TITLES:
        (own,) = advice(cause(name, group=group), tried=tried.get(name), **sized)
        assert len(own.remedy) > 15 and TITLES[group, name] in own.finding


def test_the_two_costliest_causes_are_advised_on():
    causes = [cause("score", 0.01), cause("box", 0.3), cause("background", 0.2)]
    assert [own.cause.name for own in advice(*causes)] == ["box", "background"]
    assert advice(cause("box", 0.001)) == []


def test_a_finding_counts_names_and_measures():
    (own,) = advice(cause("background"))
    assert own.finding.startswith(
        "3 objects were missed, since the RoI head called them background: 2 ant, "
        "1 bee; sides of 60 to 60 pixels"
    )
    assert "costs 0.100 of mAP" in own.finding
    (own,) = advice(cause("class", group=FALSE_ALARM))
    assert "2 ant for bee, 1 bee for ant" in own.finding
    assert "1 of them with a score above" in own.finding


def test_small_objects_are_to_be_shown_larger():
    (own,) = advice(cause("background", side=12.0))
    assert (
        "below 12 pixels" in own.remedy and "`images.short_side`, now 600" in own.remedy
    )
    (own,) = advice(cause("background"))
    assert "short_side" not in own.remedy


@pytest.mark.parametrize(
    "side, said",
    [(20, "1.2 to `anchors.scales`"), (900, "56 to `anchors.sc"), (200, "ratios")],
)
def test_anchors_are_sought_where_the_objects_are(side, said):
    (own,) = advice(cause("anchor", side=side))
    assert said in own.remedy and "`tf-frcnn doctor" in own.remedy
    assert "sides of 123 to 531 pixels" in own.remedy


def test_sizes_of_anchors_are_pixels():
    (own,) = advice(cause("anchor", side=20), anchors={"sizes": [64, 128]})
    assert "add about 20 to `anchors.sizes`" in own.remedy


def test_limits_can_be_tried_without_training():
    settings = {
        "rpn_rank": "proposals.test_pre_nms=12000",
        "rpn_nms": "proposals.nms_iou=0.85",
        "rpn_count": "proposals.test_post_nms=600",
        "score": "detections.score_threshold=0.025",
        "count": "detections.max_per_image=200",
    }
    for name, setting in settings.items():
        (own,) = advice(cause(name))
        assert own.settings == (setting,)
        make_config({}, "the test", texts=own.settings)
    (own,) = advice(cause("min_size"), detections={"min_size": 3})
    assert own.settings == ("detections.min_size=0",)


def test_the_suppression_counts_by_what_another_limit_wins():
    costly = cause("nms", 0.5)
    (own,) = advice(costly, tried=trials(0.5, 0.02))
    assert own.settings == ("detections.nms_iou=0.5",)
    assert "from 0.800 to 0.820" in own.remedy
    assert advice(costly, tried=trials(0.5, -0.01)) == []
    assert advice(costly, tried=trials(0.2, 0.02)) == []
    (own,) = advice(cause("duplicate", group=FALSE_ALARM), tried=trials(0.2, 0.02))
    assert own.settings == ("detections.nms_iou=0.2",)


def test_boxes_may_lose_score_instead_of_being_dropped_where_that_wins_more():
    costly = cause("nms", 0.5)
    for tried in (
        trials(soft=0.03),
        trials(0.2, soft=0.03),
        trials(gain=-1, soft=0.03),
    ):
        (own,) = advice(costly, tried=tried)
        assert own.settings == ("detections.suppression=soft",)
        assert "from 0.800 to 0.830" in own.remedy
    (own,) = advice(costly, tried=trials(soft=0.01))
    assert own.settings == ("detections.nms_iou=0.5",)


def test_what_was_tried_and_helps_is_said_though_other_causes_cost_more():
    causes = [cause("box", 0.3), cause("background", 0.2), cause("nms", 0.1)]
    assert [own.cause.name for own in advice(*causes)] == ["box", "background", "nms"]


def test_classes_may_suppress_each_other_where_that_helps():
    confused = cause("class", group=FALSE_ALARM)
    (own,) = advice(confused, tried=trials(across=0.05))
    assert own.settings == ("detections.class_agnostic_nms=true",)
    assert "Train longer" in advice(confused)[0].remedy
