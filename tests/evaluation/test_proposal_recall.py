import numpy as np
import pytest

from tf_frcnn.evaluation import GroundTruth, ProposedBoxes, proposal_recall

# Two objects of 10 x 10 pixels in image 4, one in image 6, one difficult.
OBJECTS = GroundTruth(
    image_index=[4, 4, 6, 6],
    boxes=[[0, 0, 10, 10], [0, 20, 10, 30], [0, 0, 10, 10], [50, 50, 60, 60]],
    labels=[0, 1, 0, 0],
    difficult=[False, False, False, True],
    crowd=[False] * 4,
)
# IoU 0.6 with the first object as second best, 0.9 with the second one as best; in the
# other image 0.5 as third best. The best proposals of image 6 hit nothing.
PROPOSALS = ProposedBoxes(
    image_index=[6, 4, 6, 4, 6],
    boxes=[
        [0, 0, 10, 5],
        [0, 0, 10, 6],
        [80, 80, 90, 90],
        [0, 20, 10, 29],
        [7, 7, 8, 8],
    ],
    scores=[0.1, 0.2, 0.3, 0.9, 0.2],
)


def test_recalls_by_hand():
    result = proposal_recall(OBJECTS, PROPOSALS, num_proposals=[1, 2, 3])
    assert result.num_proposals.tolist() == [1, 2, 3]
    thresholds = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    assert result.iou_thresholds.tolist() == thresholds
    # One proposal finds the 0.9 object, two the 0.6 one as well, three the 0.5 one.
    hits = [
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 0],
        [2, 2, 2, 1, 1, 1, 1, 1, 1, 0],
        [3, 2, 2, 1, 1, 1, 1, 1, 1, 0],
    ]
    np.testing.assert_allclose(result.recalls, np.array(hits) / 3)


def test_average_recalls_by_hand():
    result = proposal_recall(OBJECTS, PROPOSALS, num_proposals=[1, 2, 3])
    # Twice the sum of (best IoU - 0.5) over three objects: 0.4; 0.4 + 0.1; + 0.
    np.testing.assert_allclose(result.average_recalls, [0.8 / 3, 1.0 / 3, 1.0 / 3])


def test_average_recall_is_the_mean_over_all_thresholds_from_a_half_to_one():
    result = proposal_recall(OBJECTS, PROPOSALS, num_proposals=[3])
    thresholds = 0.5 + 0.5 * (np.arange(10000) + 0.5) / 10000
    recalls = (np.array([0.6, 0.9, 0.5])[:, np.newaxis] >= thresholds).mean(axis=0)
    np.testing.assert_allclose(result.average_recalls, recalls.mean(), atol=1e-4)


def test_one_proposal_may_cover_two_objects():
    twins = GroundTruth([0, 0], [[0, 0, 10, 10], [0, 0, 10, 9]], [0, 0], [False] * 2)
    result = proposal_recall(twins, ProposedBoxes([0], [[0, 0, 10, 10]], [1.0]))
    assert result.recalls[0, 0] == 1
    np.testing.assert_allclose(result.average_recalls[0], (1.0 + 0.8) / 2)


def test_more_proposals_never_find_less():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 20, [600, 2])
    boxes = np.hstack([corners, corners + rng.uniform(5, 10, [600, 2])])
    objects = GroundTruth(
        np.arange(100) % 4, boxes[:100], np.zeros(100), np.zeros(100, bool)
    )
    proposals = ProposedBoxes(np.arange(500) % 4, boxes[100:], rng.random(500))
    recalls = proposal_recall(
        objects, proposals, num_proposals=[1, 10, 50, 125]
    ).recalls
    assert (np.diff(recalls, axis=0) >= 0).all()
    assert (np.diff(recalls, axis=1) <= 0).all()
    assert recalls[0, 0] < recalls[-1, 0]


def test_without_objects_there_is_no_recall_and_without_proposals_none_is_found():
    no_proposals = ProposedBoxes([], np.zeros([0, 4]), [])
    result = proposal_recall(OBJECTS, no_proposals)
    assert result.recalls.shape == (5, 10)
    assert not result.recalls.any()
    only_difficult = GroundTruth(*(np.array(column)[3:] for column in OBJECTS))
    result = proposal_recall(only_difficult, PROPOSALS)
    assert np.isnan(result.recalls).all()
    assert np.isnan(result.average_recalls).all()


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="ProposedBoxes: scores must be finite"):
        proposal_recall(OBJECTS, PROPOSALS._replace(scores=[np.nan] * 5))


def test_a_crowd_is_no_object():
    crowd = OBJECTS._replace(crowd=[True, False, False, False])
    without = GroundTruth(*(np.array(column)[1:] for column in OBJECTS))
    np.testing.assert_array_equal(
        proposal_recall(crowd, PROPOSALS).recalls,
        proposal_recall(without, PROPOSALS).recalls,
    )
