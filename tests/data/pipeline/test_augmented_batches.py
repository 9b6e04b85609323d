"""Augmentation and balance in the batches of an example set, epoch after epoch."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.coloured import COLOURS, coloured_image, extent, seen
from tf_frcnn.data.augmentation.plan import NO_AUGMENTATION, Augmentation
from tf_frcnn.data.checks.problems import DataError, Problems
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.examples import ExampleSet, Record, StoredImages
from tf_frcnn.data.pipeline.balancing import balance
from tf_frcnn.data.pipeline.batching import num_batches, training_batches
from tf_frcnn.data.pipeline.own_groups import check_room
from tf_frcnn.data.pipeline.proposal_cache import CachedProposals

SIZES = [(32, 50), (32, 64), (60, 32), (32, 40), (48, 32), (32, 64), (32, 56)]
CANVASES = ((32, 64), (64, 32), (64, 64))
RESIZING = Resizing((32,), 64, CANVASES)


def keep(image, boxes, labels, seed):
    return image, boxes, labels


PLANS = {
    "turned": Augmentation(rotate=True, crop=0.7),
    "mosaic": Augmentation(mosaic=0.7, scale=(0.5, 2.0)),
    "letterbox": Augmentation(letterbox=True, scale=(0.5, 2.0), aspect=0.3),
    "function": Augmentation(function=keep),
}


@pytest.fixture(scope="module")
def coloured_set():
    """Seven images; image i has its first i % 3 + 1 colours, the last has none."""
    records, images = [], []
    for row, (height, width) in enumerate(SIZES):
        count = 0 if row == 6 else row % 3 + 1
        boxes = np.array([[4 + 9 * k, 3, 11 + 9 * k, 20 + k] for k in range(count)])
        labels = np.arange(count, dtype=np.int32)
        boxes = boxes.reshape(-1, 4)
        images.append(tf.io.encode_png(coloured_image(height, width, boxes, labels)))
        facts = boxes.astype(np.float32), labels, labels % 2 == 1, labels < 0
        name = f"image{row}"
        records.append(Record(name, f"{name}.png", height, width, 1, *facts))
    source = StoredImages(tf.stack(images), are_paths=False)
    return ExampleSet("coloured", tuple("abc"), tuple(records), Problems(), source)


def training(examples, plan=NO_AUGMENTATION, **changes):
    own = {"batch_size": 3, "flip": True, "drop_difficult": False, "seed": 7}
    own |= {"augmentation": plan} | changes
    return training_batches(examples, own.pop("resizing", RESIZING), **own)


def epochs_of(dataset, number, length):
    batches = list(dataset.take(number * length).as_numpy_iterator())
    return [batches[k : k + length] for k in range(0, len(batches), length)]


def ids_of(epoch):
    return sorted(image_id for batch in epoch for image_id in batch["image_ids"])


def assert_same(epochs, expected):
    assert len(epochs) == len(expected)
    for epoch, other in zip(epochs, expected, strict=True):
        for batch, own in zip(epoch, other, strict=True):
            for name in own:
                np.testing.assert_array_equal(batch[name], own[name], err_msg=name)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 10])
def test_the_number_of_batches_is_known(batch_size, coloured_set):
    def count(name):
        plan = PLANS[name]
        return num_batches(
            coloured_set, RESIZING, batch_size=batch_size, augmentation=plan
        )

    # Five lie, two stand; they are kept apart only where their shape is known.
    assert count("mosaic") == {1: 7, 2: 4, 3: 3, 10: 2}[batch_size]
    for name in ("turned", "letterbox", "function"):
        assert count(name) == {1: 7, 2: 4, 3: 3, 10: 1}[batch_size]


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANS)
def test_epochs_are_whole_differ_and_follow_from_their_number(name, coloured_set):
    epochs = epochs_of(training(coloured_set, PLANS[name]), 3, 3)
    for epoch in epochs:
        assert ids_of(epoch) == [f"image{k}".encode() for k in range(7)]
        for batch in epoch:
            assert_fits(batch, is_mosaic=name == "mosaic")
    assert len({tuple(b["images"].tobytes() for b in epoch) for epoch in epochs}) == 3
    resumed = training(coloured_set, PLANS[name], start_epoch=1)
    assert_same(epochs_of(resumed, 2, 3), epochs[1:])


def assert_fits(batch, *, is_mosaic):
    """Looks for zeros beyond the images, and for boxes where their colours are."""
    assert batch["images"].shape[1:3] in CANVASES
    for row, image in enumerate(batch["images"]):
        height, width = batch["image_sizes"][row].astype(int)
        assert not image[height:].any() and not image[:, width:].any()
        labels = batch["labels"][row]
        for label, box in zip(labels, batch["boxes"][row], strict=True):
            if label < 0 or (labels == label).sum() > 1:
                continue
            found = extent(seen(image, label))
            assert (box[:2] >= found[:2] - 2).all() and (box[2:] <= found[2:] + 2).all()
            # One image of a mosaic may have lost its object of this colour.
            assert is_mosaic or np.abs(box - found).max() <= 2


@pytest.mark.slow
def test_turned_images_lie_on_canvases_of_both_orientations(coloured_set):
    shapes = set()
    plan = Augmentation(rotate=True)
    for batch in training(coloured_set, plan, batch_size=1).take(21):
        shapes.add((int(batch["rows"][0]), batch["images"].shape[1] > 32))
    assert {(0, False), (0, True), (2, False), (2, True)} <= shapes


@pytest.mark.slow
def test_a_mosaic_has_room_for_the_objects_of_four_images(coloured_set):
    plan = Augmentation(mosaic=1.0, min_visible=0.0)
    counts = []
    for batch in training(coloured_set, plan).take(6).as_numpy_iterator():
        assert batch["boxes"].shape[1:] in ((8, 4), (16, 4))
        counts += (batch["labels"] >= 0).sum(axis=1).tolist()
    assert max(counts) > 3


@pytest.mark.slow
def test_difficult_objects_are_dropped_before_they_are_cut(coloured_set):
    plan = Augmentation(crop=1.0)
    for batch in training(coloured_set, plan, drop_difficult=True).take(3):
        assert not tf.reduce_any(batch["difficult"])
        assert set(np.unique(batch["labels"])) <= {-1, 0, 2}


@pytest.mark.slow
def test_several_short_sides_and_own_canvases_go_with_all_of_it(coloured_set):
    plan = Augmentation(rotate=True, crop=0.5, mosaic=0.5, scale=(0.5, 1.5))
    resizing = Resizing((32, 48), 96, 8)
    epochs = epochs_of(training(coloured_set, plan, resizing=resizing), 2, 3)
    for epoch in epochs:
        assert ids_of(epoch) == [f"image{k}".encode() for k in range(7)]
        for batch in epoch:
            assert all(side % 8 == 0 for side in batch["images"].shape[1:3])


@pytest.mark.slow
def test_proposals_follow_their_image(coloured_set):
    records = coloured_set.records
    boxes = np.zeros([7, 2, 4], np.float32)
    valid = np.zeros([7, 2], bool)
    for row, record in enumerate(records[:6]):
        boxes[row, 0], valid[row, 0] = record.boxes[0], True
    plan = Augmentation(rotate=True, crop=0.5, scale=(0.5, 1.5), min_visible=0.0)
    dataset = training(coloured_set, plan, proposals=CachedProposals(boxes, valid))
    compared = 0
    for batch in dataset.take(9).as_numpy_iterator():
        for row, labels in enumerate(batch["labels"]):
            if labels[0] == 0:
                assert batch["proposal_valid"][row, 0]
                np.testing.assert_array_equal(
                    batch["proposals"][row, 0], batch["boxes"][row, 0]
                )
                compared += 1
            assert not batch["proposals"][row, 1].any()
    assert compared > 9


@pytest.mark.slow
def test_balanced_epochs_have_their_number_of_batches_and_differ(coloured_set):
    # Classes a, b, c are in 6, 4 and 2 of the 7 images.
    own = balance(coloured_set, repeat_below=1.0, max_negatives=0.0)
    length = num_batches(coloured_set, RESIZING, batch_size=2, balance=own)
    assert length == -(-own.num_images // 2)
    whole = epochs_of(training(coloured_set, balance=own, batch_size=2), 4, length)
    ids = [tuple(ids_of(epoch)) for epoch in whole]
    assert {len(names) for names in ids} == {own.num_images}
    assert all(b"image6" not in names for names in ids)
    assert all(names.count(b"image2") >= 1 for names in ids) and len(set(ids)) > 1
    resumed = training(coloured_set, balance=own, batch_size=2, start_epoch=2)
    assert_same(epochs_of(resumed, 2, length), whole[2:])


@pytest.mark.slow
def test_repeated_images_are_augmented_each_anew(coloured_set):
    own = balance(coloured_set.subset([2]), repeat_below=1.0)
    own = own._replace(rates=np.array([4.0]))
    batches = training(
        coloured_set.subset([2]), PLANS["mosaic"], balance=own, batch_size=4
    )
    (batch,) = batches.take(1).as_numpy_iterator()
    assert len({image.tobytes() for image in batch["images"]}) == 4


def test_listed_canvases_must_hold_what_augmentation_may_make():
    narrow = RESIZING._replace(canvases=((32, 64),))
    check_room(narrow, PLANS["mosaic"])
    check_room(narrow._replace(canvases=32), PLANS["turned"])
    with pytest.raises(DataError, match="none holds 64 x 32 pixels"):
        check_room(narrow, PLANS["turned"])
    check_room(narrow._replace(short_sides=(16,)), PLANS["letterbox"])
    with pytest.raises(DataError, match="none holds 33 x 33 pixels"):
        check_room(narrow._replace(short_sides=(33,)), PLANS["letterbox"])


def test_the_colours_of_the_helper_are_told_apart():
    for label, colour in enumerate(COLOURS):
        pixel = 255 * colour[np.newaxis, np.newaxis]
        assert [seen(pixel, other).all() for other in range(4)].index(True) == label
    assert not any(seen(np.full([1, 1, 3], 128), label).any() for label in range(4))
