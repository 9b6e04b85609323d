"""A data set of drawn shapes, and what a detector might have seen in it."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from tests.helpers.one_file_pages import driver, opened  # noqa: F401
from tf_frcnn.config import make_config
from tf_frcnn.data import make_shapes
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.evaluation.proposal_recall import ProposedBoxes
from tf_frcnn.models.evaluating import ground_truth_of
from tf_frcnn.report.contents import report_on
from tf_frcnn.report.observing import Observed

MARKUP = "<img src=x onerror=\"document.title = 'ran'\">"


@pytest.fixture(scope="session")
def examples():
    """Ten images; the name of class 1 is markup."""
    found = make_shapes(10, seed=3)
    names = [*found.class_names]
    names[1] = MARKUP
    return dataclasses.replace(found, class_names=tuple(names))


@pytest.fixture(scope="session")
def seen(examples):
    """All objects are found but three, one of which is taken for another class.

    Behind the right detections come a duplicate, one beside its object, and one of
    nothing with a score above theirs. Trials find all, or the half.
    """
    truth = ground_truth_of(examples)
    missed, count = np.array([0, 3, 5]), len(truth.labels)
    right = np.setdiff1d(np.arange(count), missed)
    beside = (
        truth.boxes[4] + (truth.boxes[4][2:] - truth.boxes[4][:2])[[0, 1, 0, 1]] / 2
    )
    extra = [truth.boxes[right[0]], beside, [0.0, 0.0, 4.0, 4.0], truth.boxes[3]]
    of_extra = [right[0], 4, 4, 3]
    labels = truth.labels[of_extra].copy()
    labels[3] = (labels[3] + 1) % 4
    found = DetectedBoxes(
        np.concatenate([truth.image_index[right], truth.image_index[of_extra]]),
        np.concatenate([truth.boxes[right], extra]),
        np.concatenate([np.linspace(0.9, 0.6, len(right)), [0.5, 0.55, 0.99, 0.8]]),
        np.concatenate([truth.labels[right], labels]),
    )
    whole = DetectedBoxes(
        truth.image_index, truth.boxes, np.linspace(0.9, 0.5, count), truth.labels
    )
    half = DetectedBoxes(*(column[: count // 2] for column in whole))
    trials = {("nms_iou", 0.5): whole, ("nms_iou", 0.2): half}
    trials[("class_agnostic_nms", True)] = half
    stages = np.array(["nms", "class", "anchor"], object)
    scales = np.full([len(examples.records), 2], 2.0, np.float32)
    proposals = ProposedBoxes(truth.image_index, truth.boxes, np.ones(count))
    return Observed(truth, found, proposals, missed, stages, scales, trials)


@pytest.fixture(scope="session")
def model_of():
    """Makes what a report asks a detector for, with other settings."""

    def make(class_names, **settings):
        config = make_config(settings, "the test")
        head = SimpleNamespace(detections=config.detections)
        return SimpleNamespace(class_names=class_names, settings=config, roi_head=head)

    return make


@pytest.fixture(scope="session")
def report(examples, seen, model_of):
    return report_on(model_of(examples.class_names), examples, seen, 0.9)
