import time

import albumentations as A  # noqa: N812
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.coloured import (
    assert_boxes_are_where_colours_are,
    coloured_example,
)
from tf_frcnn.data.augmentation.user_function import as_function, changed_by
from tf_frcnn.data.pipeline.grouping import fields_of

BOXES, LABELS = [[4, 6, 24, 20], [10, 30, 18, 54], [28, 2, 36, 40]], [0, 1, 2]
IN_PIXELS = {"format": "pascal_voc", "label_fields": ["labels"]}


@pytest.fixture
def example():
    return coloured_example(40, 60, BOXES, LABELS)


def changed(function, example, seed=(1, 2)):
    return changed_by(as_function(function), example, tf.constant(seed, tf.int64))


def pipeline(*transforms, **params):
    return A.Compose(transforms, bbox_params=A.BboxParams(**IN_PIXELS | params))


def test_a_function_gets_an_example_and_gives_another(example):
    def mirror(image, boxes, labels, seed):
        assert image.dtype == np.uint8 and image.shape == (40, 60, 3)
        np.testing.assert_array_equal(boxes, BOXES)
        assert labels.tolist() == LABELS and isinstance(seed, int)
        ymin, xmin, ymax, xmax = boxes.T
        return image[:, ::-1], np.stack([ymin, 60 - xmax, ymax, 60 - xmin], 1), labels

    result = changed(mirror, example)
    assert_boxes_are_where_colours_are(fields_of(result))
    assert result.fields["labels"].numpy().tolist() == LABELS
    np.testing.assert_array_equal(result.boxes[0], [4, 40, 24, 54])
    np.testing.assert_array_equal(result.fields["image_ids"], b"image")


def test_the_seed_follows_from_the_images_and_fits_numpy(example):
    seeds = []

    def record(image, boxes, labels, seed):
        np.random.default_rng(seed)
        seeds.append(seed)
        return image, boxes, labels

    for number in (5, 6, 5):
        changed(record, example, (1, number))
    assert seeds[0] == seeds[2] != seeds[1] and 0 <= min(seeds) < 2**32 > max(seeds)


def test_calls_do_not_meet_each_other():
    state = {}

    def slow(image, boxes, labels, seed):
        state["seed"] = seed
        time.sleep(0.002)
        assert state["seed"] == seed
        return image, boxes, labels

    def twice(place):
        example = coloured_example(40, 60, BOXES, LABELS)
        for number in range(2):
            seed = tf.stack([place, tf.constant(number, tf.int64)])
            example = changed_by(slow, example, seed)
        return example.boxes

    dataset = tf.data.Dataset.range(40).map(twice, num_parallel_calls=8)
    assert len(list(dataset)) == 40


def test_boxes_are_clipped_and_those_without_area_left_out(example):
    def shift(image, boxes, labels, seed):
        return image[:, 25:], boxes - [0, 25, 0, 25], labels

    result = changed(shift, example)
    np.testing.assert_array_equal(result.boxes, [[10, 5, 18, 29], [28, 0, 36, 15]])
    assert result.fields["labels"].numpy().tolist() == [1, 2]
    assert result.fields["difficult"].numpy().tolist() == [True, False]


def test_objects_that_are_left_out_need_rows_where_marks_differ(example):
    def without_first(image, boxes, labels, seed):
        return image, boxes[1:], labels[1:]

    message = "returned 2 of 3 objects, of which some are difficult or crowds: return"
    with pytest.raises(ValueError, match=f"Bad data: augment {message}"):
        changed(without_first, example)

    def with_rows(*given):
        return *without_first(*given), [1, 2]

    fields = changed(with_rows, example).fields
    assert fields["difficult"].numpy().tolist() == [True, False]
    same = example.fields | {"difficult": tf.constant([False] * 3)}
    fields = changed(without_first, example._replace(fields=same)).fields
    assert fields["difficult"].numpy().tolist() == [False, False]


def test_an_object_may_be_added_also_to_an_image_without_any():
    def add(image, boxes, labels, seed):
        return image, [*boxes, [1, 2, 3, 4]], [*labels, 7]

    for boxes, labels in (([], []), ([[4, 6, 24, 20]], [0])):
        result = changed(add, coloured_example(40, 60, boxes, labels))
        assert result.fields["labels"].numpy().tolist() == [*labels, 7]
        assert not result.fields["difficult"].numpy().any()
        np.testing.assert_array_equal(result.boxes[-1], [1, 2, 3, 4])


FAULTS = {
    "must return image, boxes and labels": lambda i, b, n, s: i,
    r"returned an image float32 \[40, 60, 3\]": lambda i, b, n, s: (
        i / np.float32(255),
        b,
        n,
    ),
    "returned 3 boxes and 2 labels": lambda i, b, n, s: (i, b, n[1:]),
    "returned 3 boxes and 3 labels, or not finite": lambda i, b, n, s: (i, b / 0, n),
    r"returned the rows \[0, 1, 9\] for 3 objects": lambda i, b, n, s: (
        i,
        b,
        n,
        [0, 1, 9],
    ),
}


@pytest.mark.parametrize("message", FAULTS)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_what_cannot_be_used_is_refused(message, example):
    with pytest.raises(ValueError, match=f"Bad data: augment {message}"):
        changed(FAULTS[message], example)


@pytest.mark.parametrize("seed", range(12))
def test_the_boxes_of_albumentations_follow_its_pixels(seed, example):
    every = pipeline(
        A.HorizontalFlip(p=0.5),
        A.RandomRotate90(p=0.7),
        A.RandomSizedBBoxSafeCrop(36, 52, interpolation=0),
    )
    result = changed(every, example, (seed, 0))
    assert result.image.shape == (36, 52, 3)
    assert_boxes_are_where_colours_are(fields_of(result), tolerance=1.5)


def test_albumentations_may_drop_objects_and_marks_stay_with_the_others(example):
    crop = pipeline(A.Crop(25, 0, 60, 40), min_visibility=0.9)
    result = changed(crop, example)
    assert result.fields["labels"].numpy().tolist() == [1]
    assert result.fields["difficult"].numpy().tolist() == [True]
    np.testing.assert_allclose(result.boxes, [[10, 5, 18, 29]], rtol=1e-6)


def test_albumentations_repeats_by_seed_and_differs_between_seeds(example):
    noise = pipeline(A.RandomBrightnessContrast(p=1.0), A.GaussNoise(p=1.0))
    images = [changed(noise, example, (3, k)).image.numpy() for k in (1, 2, 1)]
    np.testing.assert_array_equal(images[0], images[2])
    assert (images[0] != images[1]).any()


def test_albumentations_takes_an_image_without_objects():
    empty = coloured_example(40, 60, [], [])
    result = changed(pipeline(A.HorizontalFlip(p=1.0)), empty)
    assert result.boxes.shape == (0, 4) and result.fields["labels"].shape == (0,)


@pytest.mark.parametrize(
    "given",
    [
        A.Compose([]),
        A.Compose([], bbox_params=A.BboxParams(**IN_PIXELS | {"format": "yolo"})),
        A.Compose([], bbox_params=A.BboxParams(format="pascal_voc")),
    ],
)
def test_a_pipeline_that_does_not_change_boxes_in_pixels_is_refused(given):
    with pytest.raises(ValueError, match='format="pascal_voc", label_fields'):
        as_function(given)


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="augment = 'flip' must be a function"):
        as_function("flip")
