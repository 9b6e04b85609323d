import functools

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.models.batch import (
    batch_of,
    check_objects,
    require_objects,
    tensors_of,
    with_defaults,
)
from tf_frcnn.models.errors import readable_errors


def changed(batch, **changes):
    return {name: tf.constant(values) for name, values in (batch | changes).items()}


def check(batch, mode):
    """Checks a batch for two classes, eagerly or in a graph of unknown shapes."""
    run = functools.partial(check_objects, num_classes=2)
    if mode == "graph":
        spec = {name: tf.TensorSpec(None, v.dtype) for name, v in batch.items()}
        run = tf.function(run, input_signature=[spec])
    with readable_errors():
        return run(batch)


IN_MODES = pytest.mark.parametrize("mode", ["eager", "graph"])


@IN_MODES
def test_sound_objects_stay_and_get_their_types(mode, batch):
    given = changed(
        batch,
        labels=batch["labels"].astype(np.int64),
        boxes=batch["boxes"].astype(np.float64),
    )
    checked = check(given, mode)
    assert checked["labels"].dtype == tf.int32
    assert checked["boxes"].dtype == tf.float32
    for name, values in batch.items():
        rows = slice(values.shape[1])
        np.testing.assert_array_equal(checked[name][:, rows], values)


@IN_MODES
def test_a_batch_without_any_row_gets_some_of_padding(mode, batch):
    empty = changed(batch, boxes=batch["boxes"][:, :0], labels=batch["labels"][:, :0])
    checked = check(empty, mode)
    np.testing.assert_array_equal(checked["labels"], np.full([2, 8], -1))
    np.testing.assert_array_equal(checked["boxes"], np.zeros([2, 8, 4]))


@pytest.mark.parametrize(("given", "rows"), [(1, 8), (8, 8), (9, 16), (17, 32)])
def test_rows_whose_number_is_not_known_are_padded_to_few_numbers(given, rows, batch):
    boxes = np.tile(batch["boxes"][:, :1], [1, given, 1])
    more = changed(batch, boxes=boxes, labels=np.zeros([2, given], np.int32))
    checked = check(more, "graph")
    assert checked["boxes"].shape == (2, rows, 4)
    np.testing.assert_array_equal(checked["boxes"][:, :given], boxes)
    expected = np.where(np.arange(rows) < given, 0, -1)
    np.testing.assert_array_equal(checked["labels"], [expected] * 2)
    assert check(more, "eager")["boxes"].shape == (2, given, 4)


BOXES = np.array([[20, 30, 50, 70]], np.float32)
PIXELS = np.ones([64, 96, 3], np.float32)


@IN_MODES
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes": BOXES * np.nan}, "a box is NaN or infinite; images a b."),
        ({"boxes": BOXES * np.inf}, "a box is NaN or infinite; images a b."),
        ({"boxes": BOXES[:, [2, 1, 0, 3]]}, "a box has no area, or is not (ymin, xm"),
        ({"boxes": BOXES[:, [0, 1, 2, 1]]}, "a box has no area"),
        ({"labels": [2]}, "a label is not in 0..1, or -1 in a padded row; images a b."),
        ({"labels": [-2]}, "a label is not in 0..1, or -1 in a padded row; images a b"),
        ({"images": PIXELS * np.nan}, "a pixel is NaN or infinite; images a b."),
        ({"images": PIXELS * np.inf}, "a pixel is NaN or infinite; images a b."),
        ({"image_sizes": [np.nan, 9]}, "image_sizes has values that are not above 0"),
        ({"scales": [1, 0]}, "scales has values that are not above 0; images a b."),
        ({"file_sizes": [np.inf, 9]}, "file_sizes has values that are not above 0"),
    ],
)
def test_a_faulty_batch_is_told_in_a_line_with_its_images(
    mode, batch, changes, message
):
    objects = {"boxes": BOXES, "labels": np.array([0], np.int32)} | changes
    objects = {
        name: np.stack([np.array(v, np.int32 if name == "labels" else np.float32)] * 2)
        for name, v in objects.items()
    }
    with pytest.raises(DataError) as error:
        check(changed(batch, image_ids=["a", "b"], **objects), mode)
    line = str(error.value).replace("'", "").replace(",", "").replace('"', "")
    assert message.replace(",", "") in line and "\n" not in line


@IN_MODES
def test_the_images_at_fault_alone_are_named(mode, batch):
    labels = batch["labels"].copy()
    labels[1, 0] = 7
    with pytest.raises(DataError) as error:
        check(changed(batch, image_ids=["a", "b"], labels=labels), mode)
    assert str(error.value).endswith("padded row; images b.")
    with pytest.raises(DataError) as error:
        check(changed(batch, labels=labels), mode)
    assert str(error.value).endswith("padded row; images 1.")


def test_the_boxes_of_padded_rows_are_not_looked_at(batch):
    boxes = batch["boxes"].copy()
    boxes[:, 1:] = np.nan
    checked = check(changed(batch, boxes=boxes), "eager")
    np.testing.assert_array_equal(checked["boxes"], boxes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": None}, "needs images, boxes and labels, but has images, boxes."),
        ({"labels": np.full([2, 3], "cat")}, "texts; give whole numbers, the places"),
        ({"labels": np.zeros([2, 2])}, r"but has \(2, 64, 96, 3\), \(2, 3, 4\) and"),
        ({"labels": np.zeros([2, 3, 1])}, r"and labels \[B, G\], but has .* 3, 1\)\."),
        ({"boxes": np.zeros([2, 3, 5])}, r"boxes \[B, G, 4\] .* \(2, 3, 5\)"),
        ({"images": np.zeros([2, 64, 96, 1])}, r"images \[B, H, W, 3\], .* 96, 1\)"),
        ({"images": np.zeros([64, 96, 3])}, r"images \[B, H, W, 3\], .* \(64, 96, 3\)"),
    ],
)
def test_another_form_is_refused_before_anything_runs(batch, changes, message):
    given = {n: v for n, v in (batch | changes).items() if v is not None}
    for form in (given, tf.data.Dataset.from_tensors(given).element_spec):
        with pytest.raises(ValueError, match=message):
            require_objects(form)


def test_images_alone_are_no_batch_to_learn_from(batch):
    with pytest.raises(ValueError, match="but has images alone"):
        require_objects(batch["images"])


def test_keras_pairs_are_put_together(batch):
    objects = {name: batch[name] for name in ("boxes", "labels")}
    images = batch["images"]
    for form in (batch, (batch,), (images, objects), ({"images": images}, objects)):
        assert {n: v.shape for n, v in batch_of(form).items()} == {
            n: v.shape for n, v in batch.items()
        }
    assert batch_of((images,)) is images
    with pytest.raises(ValueError, match="sample_weight is not used"):
        batch_of((images, objects, np.ones(2)))


def test_missing_entries_get_defaults(batch):
    full = with_defaults(batch["images"].astype(np.float64))
    assert full["images"].dtype == tf.float32
    np.testing.assert_array_equal(full["image_sizes"], [[64, 96]] * 2)
    np.testing.assert_array_equal(full["scales"], np.ones([2, 2]))
    half = with_defaults(batch | {"scales": tf.constant([[0.5, 0.5]] * 2)})
    np.testing.assert_array_equal(half["file_sizes"], [[128, 192]] * 2)
    with pytest.raises(ValueError, match=r"shape \[B, H, W, 3\], but has \(64, 96, 3"):
        with_defaults(batch["images"][0])


def test_what_the_network_does_not_read_is_set_apart(batch):
    more = batch | {"image_ids": ["a", "b"], "rows": [0, 1]}
    assert tensors_of(more).keys() == batch.keys()
    assert tensors_of(batch["images"]) is batch["images"]


@IN_MODES
def test_crowds_are_padded_like_the_objects_and_padding_is_none(mode, batch):
    crowd = np.ones([2, 3], np.int64)
    checked = check(changed(batch, crowd=crowd), mode)
    rows = checked["labels"].shape[1] or 8
    expected = np.zeros([2, rows], bool)
    expected[:, :3] = batch["labels"] >= 0
    assert checked["crowd"].dtype == tf.bool
    np.testing.assert_array_equal(checked["crowd"], expected)
