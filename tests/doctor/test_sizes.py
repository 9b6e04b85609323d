import numpy as np
import pytest

from tf_frcnn.data import Resizing
from tf_frcnn.doctor.findings import Place
from tf_frcnn.doctor.sizes import box_findings, measure_boxes, size_table

# Images of 400 x 300 pixels become twice as large.
TWICE = Resizing((600, 900), 1000, 32)


@pytest.fixture
def findings_of(make_set):
    def findings(*images):
        splits = {"train": make_set("train", ["ape", "bee"], images)}
        boxes = {split: measure_boxes(s.records, TWICE) for split, s in splits.items()}
        found = box_findings(splits, boxes)
        return {f.kind: (f.message, f.images) for f in found}

    return findings


def test_sides_are_those_of_the_network(make_set):
    images = [[(0, (0, 0, 20, 80))], [], [(1, (10, 10, 60, 60)), (0, (0, 0, 400, 150))]]
    examples = make_set("train", ["ape", "bee"], images)
    boxes = measure_boxes(examples.records, TWICE)
    np.testing.assert_array_equal(boxes.rows, [0, 2, 2])
    np.testing.assert_array_equal(boxes.labels, [0, 1, 0])
    np.testing.assert_allclose(boxes.sides, [80, 100, 2 * (400 * 150) ** 0.5])
    np.testing.assert_allclose(boxes.ratios, [0.25, 1, 400 / 150])
    np.testing.assert_allclose(boxes.shares, [1600 / 120_000, 2500 / 120_000, 0.5])


def test_the_limit_of_the_long_side_counts(make_set):
    examples = make_set("train", ["ape"], [[(0, (0, 0, 50, 50))]])
    boxes = measure_boxes(examples.records, Resizing((600,), 400, 32))
    np.testing.assert_allclose(boxes.sides, [50])


def test_a_row_of_the_table_has_a_class_with_boxes(make_set):
    images = [[(2, (0, 0, side, side))] for side in (3, 4, 50)]
    examples = make_set("train", ["ape", "bee", "cow"], images)
    (row,) = size_table(measure_boxes(examples.records, TWICE), examples.class_names)
    assert (row.name, row.objects) == ("cow", 3)
    assert (row.smallest, row.median, row.largest) == pytest.approx((6, 8, 100))
    assert row.ratio == 1.0 and row.bands == (1, 1, 0, 0, 1, 0, 0, 0)


def test_sets_without_a_box_have_no_sizes(make_set, findings_of):
    examples = make_set("train", ["ape"], [[], []])
    assert size_table(measure_boxes(examples.records, TWICE), ["ape"]) == []
    assert findings_of([], []) == {}


def test_ordinary_boxes_are_no_finding(findings_of):
    boxes = [(0, (5, 5, 95, 95)), (0, (5, 5, 96, 103)), (1, (9, 9, 99, 40))]
    assert findings_of(boxes) == {}


def test_tiny_thin_and_whole_boxes(findings_of):
    tiny, thin = (100, 100, 103, 105), (10, 10, 25, 200)
    whole = (0, 0, 400, 300)
    found = findings_of([(0, tiny)], [(0, thin)], [(1, whole), (0, (20, 20, 99, 99))])
    assert found == {
        "tiny_boxes": (
            "Of 4 boxes 1 have a side below 8 network pixels.",
            (Place("train", 0),),
        ),
        "thin_boxes": (
            "Of 4 boxes 1 have one side over 10 times the other.",
            (Place("train", 1),),
        ),
        "whole_image_boxes": (
            "Of 4 boxes 1 have 98% of their image or more.",
            (Place("train", 2),),
        ),
    }


def test_one_object_under_two_boxes(findings_of):
    near = (10, 10, 110, 111)
    found = findings_of(
        [(0, (10, 10, 110, 110)), (0, near)], [(0, near)], [(0, near), (1, near)]
    )
    assert {kind: images for kind, (_, images) in found.items()} == {
        "repeated_boxes": (Place("train", 0),),
        "two_classes": (Place("train", 2),),
    }
