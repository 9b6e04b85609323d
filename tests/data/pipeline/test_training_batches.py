"""The stream of `training_batches`, epoch after epoch."""

from dataclasses import replace

import numpy as np
import pytest

from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.pipeline.batching import (
    evaluation_batches,
    num_batches,
    training_batches,
)

RESIZING = Resizing((32,), 64, ((32, 64), (64, 32)))
# Twice the size or once, on canvases for either; the long side never decides.
TWO_SIDES = Resizing((32, 64), 200, ((32, 64), (64, 32), (64, 128), (128, 64)))


def training(examples, resizing=RESIZING, **changes):
    settings = {"batch_size": 3, "flip": True, "drop_difficult": False, "seed": 7}
    return training_batches(examples, resizing, **{**settings, **changes})


def epochs_of(dataset, number, batches_per_epoch):
    """Returns the batches of the first epochs, as NumPy arrays."""
    batches = list(dataset.take(number * batches_per_epoch).as_numpy_iterator())
    starts = range(0, len(batches), batches_per_epoch)
    return [batches[start : start + batches_per_epoch] for start in starts]


def ids_of(batches):
    return [image_id.decode() for batch in batches for image_id in batch["image_ids"]]


def number_of(image_id):
    return int(image_id[len("image") :])


def assert_same_batches(batches, expected):
    assert len(batches) == len(expected)
    for batch, other in zip(batches, expected, strict=True):
        for key in other:
            np.testing.assert_array_equal(batch[key], other[key], err_msg=key)


@pytest.mark.slow
def test_no_image_of_an_epoch_is_lost_or_repeated(painted_set):
    examples = painted_set()
    # Five lie, two stand: two batches and one.
    assert num_batches(examples, RESIZING, batch_size=3) == 3
    for epoch in epochs_of(training(examples), 4, 3):
        assert sorted(ids_of(epoch)) == [f"image{i}" for i in range(7)]
        assert sorted(len(batch["labels"]) for batch in epoch) == [2, 2, 3]


@pytest.mark.slow
def test_epochs_differ_in_order_and_seeds_do_too(painted_set):
    epochs = epochs_of(training(painted_set()), 3, 3)
    orders = {tuple(ids_of(epoch)) for epoch in epochs}
    other = epochs_of(training(painted_set(), seed=8), 1, 3)[0]
    assert len(orders | {tuple(ids_of(other))}) == 4


@pytest.mark.slow
def test_a_resumed_stream_equals_the_uninterrupted_one(painted_set):
    whole = epochs_of(training(painted_set()), 4, 3)
    resumed = epochs_of(training(painted_set(), start_epoch=2), 2, 3)
    for epoch, expected in zip(resumed, whole[2:], strict=True):
        assert_same_batches(epoch, expected)


def test_half_of_the_images_are_mirrored_with_their_boxes(painted_set):
    examples = painted_set([(32, 50)] * 6)
    mirrored = []
    for batch in training(examples, batch_size=1).take(60):
        box, label = batch["boxes"][0, 0].numpy(), int(batch["labels"][0, 0])
        if label < 0:
            continue
        rows, columns = np.nonzero(batch["images"][0, ..., 0].numpy() > 50)
        seen = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
        np.testing.assert_array_equal(box, seen)
        mirrored.append(box[1] != 2)
    # 40 draws of one half: 20, with a standard deviation of 3.2.
    assert len(mirrored) == 40 and 10 <= sum(mirrored) <= 30


def test_the_same_image_is_mirrored_in_some_epochs_only(painted_set):
    examples = painted_set([(32, 50)] * 2).subset([1])
    epochs = epochs_of(training(examples), 20, 1)
    assert {float(epoch[0]["boxes"][0, 0, 1]) for epoch in epochs} == {2.0, 37.0}


def test_nothing_is_mirrored_unless_asked_for(painted_set):
    examples = painted_set([(32, 50)] * 2).subset([1])
    epochs = epochs_of(training(examples, flip=False), 10, 1)
    assert {float(epoch[0]["boxes"][0, 0, 1]) for epoch in epochs} == {2.0}


@pytest.mark.slow
def test_difficult_boxes_are_left_out_if_asked_for(painted_set):
    examples = painted_set().subset([2])
    batch = next(iter(training(examples, drop_difficult=True, flip=False)))
    np.testing.assert_array_equal(batch["difficult"], [[False, False]])
    np.testing.assert_array_equal(batch["labels"], [[2, -1]])
    np.testing.assert_array_equal(batch["boxes"], [[[4, 2, 20, 14], [0, 0, 0, 0]]])


@pytest.mark.slow
def test_a_set_without_any_object_makes_batches(painted_set):
    examples = painted_set().subset([0, 3])
    batch = next(iter(training(examples, batch_size=2)))
    np.testing.assert_array_equal(batch["labels"], [[-1], [-1]])
    assert batch["boxes"].shape == (2, 1, 4)


@pytest.mark.slow
def test_training_resizes_by_the_method_too(painted_set):
    examples = painted_set([(32, 33)] * 2).subset([1])
    resizing = Resizing((16,), 64, 1, "caffe")
    batch = next(iter(training(examples, resizing, flip=False, batch_size=1)))
    (expected,) = evaluation_batches(examples, resizing, batch_size=1)
    np.testing.assert_array_equal(batch["images"], expected["images"])
    np.testing.assert_array_equal(batch["image_sizes"], [[16, 16]])
    np.testing.assert_array_equal(batch["file_sizes"], [[32, 33]])


def test_with_one_short_side_the_stream_of_a_seed_stays_what_it_was(painted_set):
    drawn = [
        list(zip(map(number_of, b["image_ids"]), b["boxes"][:, 0, 1], strict=True))
        for b in training(painted_set()).take(6).as_numpy_iterator()
    ]
    # Image and left edge of its first box: 2, or mirrored width - 12 - image.
    assert drawn == [
        [(6, 0), (3, 0), (1, 2)],
        [(5, 47), (0, 0)],
        [(2, 2), (4, 2)],
        [(5, 2), (0, 0), (6, 0)],
        [(3, 0), (1, 51)],
        [(2, 18), (4, 16)],
    ]


@pytest.mark.slow
def test_drawing_sides_disturbs_neither_order_nor_mirroring(painted_set):
    one = epochs_of(training(painted_set()), 2, 3)
    twice = RESIZING._replace(short_sides=(32, 32))
    two = epochs_of(training(painted_set(), twice), 2, 3)
    for epoch, expected in zip(two, one, strict=True):
        assert_same_batches(epoch, expected)


@pytest.mark.slow
def test_each_image_is_as_large_as_a_drawn_short_side_makes_it(painted_set):
    examples = painted_set()
    sizes = {r.image_id: np.array([r.height, r.width]) for r in examples.records}
    batches = training(examples, TWO_SIDES, flip=False, batch_size=1).take(28)
    seen = set()
    for batch in batches.as_numpy_iterator():
        (image_id,) = ids_of([batch])
        scale = batch["scales"][0, 0]
        np.testing.assert_array_equal(batch["scales"], [[scale, scale]])
        np.testing.assert_array_equal(batch["image_sizes"][0], sizes[image_id] * scale)
        if batch["labels"][0, 0] >= 0:
            box = np.array([4, 2, 20, 12 + number_of(image_id)]) * scale
            np.testing.assert_array_equal(batch["boxes"][0, 0], box)
        seen.add((image_id, float(scale)))
    # Of 14 pairs, four epochs miss each with a chance of 1/16.
    assert {scale for _, scale in seen} == {1.0, 2.0} and len(seen) > 9


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_batch_lies_on_the_smallest_canvas_that_holds_its_images(
    batch_size, painted_set
):
    batches = training(painted_set(), TWO_SIDES, batch_size=batch_size).take(15)
    canvases = set()
    for batch in batches.as_numpy_iterator():
        canvas = batch["images"].shape[1:3]
        assert min(canvas) == 32 * batch["scales"].max()
        for image, size in zip(batch["images"], batch["image_sizes"], strict=True):
            assert (size <= canvas).all() and np.argmax(size) == np.argmax(canvas)
            height, width = size.astype(int)
            assert image[:height, :width].sum() == image.sum()
        canvases.add(canvas)
    assert len(canvases) > 2


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 2, 3, 10])
def test_epochs_are_equally_long_whatever_sizes_are_drawn(batch_size, painted_set):
    examples = painted_set()
    number = num_batches(examples, TWO_SIDES, batch_size=batch_size)
    # Five lie, two stand.
    assert number == {1: 7, 2: 4, 3: 3, 10: 2}[batch_size]
    batches = training(examples, TWO_SIDES, batch_size=batch_size)
    epochs = epochs_of(batches, 4, number)
    drawn = set()
    for epoch in epochs:
        assert sorted(ids_of(epoch)) == [f"image{i}" for i in range(7)]
        scales = np.concatenate([batch["scales"][:, 0] for batch in epoch])
        drawn.add(tuple(scales[np.argsort(ids_of(epoch))]))
    assert len(drawn) > 1


@pytest.mark.slow
def test_sides_are_drawn_evenly_and_apart_from_mirroring(painted_set):
    examples = painted_set([(32, 50)] * 6)
    counts = dict.fromkeys([(s, m) for s in (1, 1.5, 2) for m in (False, True)], 0)
    three = TWO_SIDES._replace(short_sides=(32, 48, 64))
    batches = training(examples, three, batch_size=6).take(60)
    for batch in batches.as_numpy_iterator():
        for scale, box, label in zip(
            batch["scales"][:, 0], batch["boxes"], batch["labels"][:, 0], strict=True
        ):
            if label >= 0:
                counts[float(scale), bool(box[0, 1] != 2 * scale)] += 1
    # 240 draws of one sixth: 40, with a standard deviation of 5.8.
    assert sum(counts.values()) == 240
    assert all(23 <= count <= 57 for count in counts.values()), counts


@pytest.mark.slow
def test_a_resumed_stream_of_several_sides_equals_the_uninterrupted_one(painted_set):
    whole = epochs_of(training(painted_set(), TWO_SIDES), 3, 3)
    resumed = training(painted_set(), TWO_SIDES, start_epoch=1)
    for epoch, expected in zip(epochs_of(resumed, 2, 3), whole[1:], strict=True):
        assert_same_batches(epoch, expected)


@pytest.mark.slow
def test_crowds_stay_and_are_a_field_where_there_are_some(painted_set, with_crowds):
    examples = painted_set().subset([2])
    settings = {"drop_difficult": True, "flip": False}
    assert "crowd" not in next(iter(training(examples, **settings)))
    batch = next(iter(training(with_crowds(examples), **settings)))
    np.testing.assert_array_equal(batch["labels"], [[2, -1]])
    np.testing.assert_array_equal(batch["crowd"], [[True, False]])
    records = (examples.records[0]._replace(crowd=np.array([False, True])),)
    batch = next(iter(training(replace(examples, records=records), **settings)))
    np.testing.assert_array_equal(batch["labels"], [[2, 1]])
    np.testing.assert_array_equal(batch["difficult"], [[False, True]])
    np.testing.assert_array_equal(batch["crowd"], [[False, True]])


@pytest.mark.slow
def test_crowds_are_padded_with_their_images_and_mirrored(painted_set, with_crowds):
    examples = with_crowds(painted_set([(32, 50)] * 3))
    seen = set()
    for batch in training(examples).take(12).as_numpy_iterator():
        counts = [
            number_of(image_id) % 3 for image_id in batch["image_ids"].astype(str)
        ]
        expected = [[n > 0, False] for n in counts]
        np.testing.assert_array_equal(batch["crowd"], expected)
        seen |= {*batch["boxes"][:, 0, 1][batch["crowd"][:, 0]].tolist()}
    # The left edge of two boxes, and 50 - 13 or 50 - 14 where they are mirrored.
    assert seen == {2.0, 36.0, 37.0}
