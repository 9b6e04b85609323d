import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.evaluation import DetectedBoxes, GroundTruth
from tf_frcnn.runs.validation_summaries import ValidationSummaries, pr_curve

NAMES = ("cat", "dog", "none")
METRIC = {"metric": "11-point", "iou_threshold": 0.5, "plus_one": False}


def test_a_curve_counts_what_reaches_each_score():
    scores, right = np.array([0.9, 0.5, 0.2]), np.array([True, False, True])
    curve = pr_curve(scores, right, 4)
    assert curve.shape == (6, 101)
    for place, column in {
        0: [2, 1, 0, 2, 2 / 3, 0.5],
        50: [1, 1, 0, 3, 0.5, 0.25],
        51: [1, 0, 0, 3, 1, 0.25],
        91: [0, 0, 0, 4, 0, 0],
    }.items():
        np.testing.assert_allclose(curve[:, place], column, rtol=1e-6)


@pytest.fixture
def written(tmp_path):
    """Gives what a validation of two cats and a dog leaves, by tag."""
    truth = GroundTruth(
        np.array([0, 0, 1]),
        np.array([[0, 0, 10, 10], [20, 20, 40, 40], [0, 0, 10, 10]], float),
        np.array([0, 0, 1]),
        np.zeros(3, bool),
        np.zeros(3, bool),
    )
    found = DetectedBoxes(
        np.array([0, 1]), truth.boxes[[0, 2]], np.array([0.9, 0.6]), np.array([0, 1])
    )

    def write(names):
        writer = tf.summary.create_file_writer(str(tmp_path))
        ValidationSummaries(writer, tmp_path, names, METRIC).write(3, truth, found)
        writer.close()
        (path,) = tmp_path.iterdir()
        return {
            value.tag: (event.step, value.metadata.plugin_data.plugin_name, value)
            for event in tf.compat.v1.train.summary_iterator(str(path))
            for value in event.summary.value
        }

    return write


def test_tensorboard_gets_a_curve_per_class_with_objects_and_the_matrix(written):
    found = written(NAMES)
    curves = {"precision_recall/cat", "precision_recall/dog"}
    assert found.keys() == {*curves, "confusion_matrix"}
    assert {step for step, *_ in found.values()} == {3}
    assert {found[name][1] for name in curves} == {"pr_curves"}
    curve = tf.make_ndarray(found["precision_recall/cat"][2].tensor)
    np.testing.assert_allclose(curve[:, 80], [1, 0, 0, 1, 1, 0.5])


def test_a_matrix_of_too_many_classes_is_left_out(written):
    found = written(NAMES + tuple(f"class {n}" for n in range(30)))
    assert found.keys() == {"precision_recall/cat", "precision_recall/dog"}
