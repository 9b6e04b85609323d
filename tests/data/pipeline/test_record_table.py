import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data.checks.problems import DataError, Problems
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.examples import ExampleSet, Record, StoredImages
from tf_frcnn.data.pipeline.proposal_cache import CachedProposals
from tf_frcnn.data.pipeline.record_table import record_table

CANVASES = ((20, 40), (40, 20))
RESIZING = Resizing((10, 20), 40, CANVASES)


def two_records(crowd=(False, False)):
    boxes = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32)
    labels, difficult = np.array([3, 4], np.int32), np.array([True, False])
    columns = boxes, labels, difficult, np.array(crowd)
    records = (
        Record("a", "a.png", 10, 20, 1, *columns),
        Record("b", "b.png", 20, 10, 6, *(column[:0] for column in columns)),
    )
    images = StoredImages(tf.constant(["", ""]), are_paths=True)
    return ExampleSet("two", ("x",) * 5, records, Problems(), images)


def test_a_row_of_the_table_is_a_record():
    table = record_table(two_records(), RESIZING)
    assert table.image_ids.numpy().tolist() == [b"a", b"b"]
    assert table.orientations.numpy().tolist() == [1, 6]
    assert table.groups.numpy().tolist() == [0, 1]
    assert table.boxes.to_list() == [[[1, 2, 3, 4], [5, 6, 7, 8]], []]
    assert table.labels.to_list() == [[3, 4], []]
    assert table.difficult.to_list() == [[True, False], []]
    assert table.proposals is None
    np.testing.assert_array_equal(table.canvases, CANVASES)


def test_the_images_own_canvases_are_those_of_every_short_side():
    table = record_table(two_records(), RESIZING._replace(canvases=16))
    assert sorted(table.canvases.numpy().tolist()) == [
        *([16, 32], [32, 16], [32, 48], [48, 32]),
    ]
    largest = table.canvases.numpy()[table.groups.numpy()]
    np.testing.assert_array_equal(largest, [[32, 48], [48, 32]])


def test_difficult_boxes_are_left_out_if_asked_for():
    table = record_table(two_records(), RESIZING, drop_difficult=True)
    assert table.boxes.to_list() == [[[5, 6, 7, 8]], []]
    assert table.labels.to_list() == [[4], []]
    assert table.difficult.to_list() == [[False], []]
    assert table.crowd is None


def test_no_crowd_is_left_out():
    examples = two_records(crowd=(True, False))
    table = record_table(examples, RESIZING, drop_difficult=True)
    assert table.labels.to_list() == [[3, 4], []]
    assert table.crowd.to_list() == [[True, False], []]


def test_proposals_are_inputs_of_a_datasets_functions_and_no_part_of_their_graphs():
    boxes = np.full([2, 40_000, 4], 0.5, np.float32)
    proposals = CachedProposals(boxes, np.ones([2, 40_000], bool))
    table = record_table(two_records(), RESIZING, proposals=proposals)

    @tf.function
    def row(index):
        return table.proposals.boxes[index]

    graph = row.get_concrete_function(tf.constant(1)).graph
    assert graph.as_graph_def().ByteSize() < 10_000
    np.testing.assert_array_equal(row(tf.constant(1)), boxes[1])
    assert table.proposals.boxes.device.endswith("CPU:0")


def test_proposals_of_another_number_of_images_are_refused():
    proposals = CachedProposals(np.zeros([3, 1, 4], np.float32), np.zeros([3, 1], bool))
    with pytest.raises(DataError) as error:
        record_table(two_records(), RESIZING, proposals=proposals)
    assert str(error.value) == "two: proposals for 3 images, but the set has 2."
