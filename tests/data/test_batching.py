import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data.batching import (
    derive_canvases,
    evaluation_batches,
    num_batches,
    training_batches,
)
from tf_frcnn.data.examples import ExampleSet, Record, StoredImages
from tf_frcnn.data.problems import DataError, Problems

RESIZING = {"short_side": 32, "long_side": 64, "canvases": [(32, 64), (64, 32)]}
# Pictures at the network's own size, so that pixels pass unchanged.
SIZES = [(32, 50), (32, 64), (60, 32), (32, 40), (48, 32), (32, 64), (32, 56)]


def painted(height, width, box, value):
    """Returns the PNG of a black picture with a grey box."""
    image = np.zeros([height, width, 3], np.uint8)
    ymin, xmin, ymax, xmax = box
    image[ymin:ymax, xmin:xmax] = value
    return tf.io.encode_png(image).numpy()


def example_set(sizes=SIZES):
    """Picture i has i % 3 boxes; the first is painted, a second is difficult."""
    records, images = [], []
    for i, (height, width) in enumerate(sizes):
        boxes = np.array([[4, 2, 20, 12 + i], [0, 0, 8, 8]], np.float32)[: i % 3]
        box = boxes[0].astype(int) if len(boxes) else (0, 0, 0, 0)
        images.append(painted(height, width, box, 100 + i))
        labels, difficult = np.array([i, 1], np.int32), np.array([False, True])
        records.append(
            Record(
                f"image{i}",
                f"image{i}.png",
                height,
                width,
                1,
                boxes,
                labels[: i % 3],
                difficult[: i % 3],
            )
        )
    return ExampleSet(
        "painted",
        tuple("abcdefg"),
        tuple(records),
        Problems(),
        StoredImages(tf.constant(images), are_paths=False),
    )


def training(examples, **changes):
    settings = {
        "batch_size": 3,
        "flip": True,
        "drop_difficult": False,
        "seed": 7,
        **RESIZING,
    }
    return training_batches(examples, **{**settings, **changes})


def epochs_of(dataset, number, batches_per_epoch):
    """Returns the batches of the first epochs, as NumPy arrays."""
    batches = list(dataset.take(number * batches_per_epoch).as_numpy_iterator())
    return [
        batches[k * batches_per_epoch : (k + 1) * batches_per_epoch]
        for k in range(number)
    ]


def ids_of(batches):
    return [image_id.decode() for batch in batches for image_id in batch["image_ids"]]


def assert_same_batches(batches, expected):
    assert len(batches) == len(expected)
    for batch, other in zip(batches, expected, strict=True):
        for key in other:
            np.testing.assert_array_equal(batch[key], other[key], err_msg=key)


def test_canvases_are_a_square_four_thirds_and_the_longest_in_both_directions():
    assert derive_canvases(600, 1000) == (
        (608, 608),
        (608, 800),
        (800, 608),
        (608, 1024),
        (1024, 608),
    )


def test_canvases_that_coincide_are_listed_once():
    assert derive_canvases(64, 64) == ((64, 64),)
    assert derive_canvases(128, 140, multiple=1) == ((128, 128), (128, 140), (140, 128))


def test_a_picture_lies_in_the_corner_of_its_canvas_with_zeros_beyond():
    batch = next(iter(evaluation_batches(example_set(), batch_size=3, **RESIZING)))
    assert ids_of([batch_arrays(batch)]) == ["image0", "image1", "image3"]
    image, size = batch["images"][1].numpy(), batch["image_sizes"].numpy()
    assert batch["images"].shape == (3, 32, 64, 3)
    np.testing.assert_array_equal(size, [[32, 50], [32, 64], [32, 40]])
    assert (image[4:20, 2:13] == 101).all() and image.sum() == 101 * 16 * 11 * 3
    np.testing.assert_array_equal(batch["boxes"][1], [[4, 2, 20, 13], [0, 0, 0, 0]])
    np.testing.assert_array_equal(batch["labels"], [[-1, -1], [1, -1], [-1, -1]])
    assert batch["images"].dtype == tf.float32 and batch["labels"].dtype == tf.int32


def batch_arrays(batch):
    return {key: value.numpy() for key, value in batch.items()}


def test_difficult_boxes_are_marked_for_evaluation_and_padding_in_training():
    examples = example_set().subset([2])
    batch = next(iter(evaluation_batches(examples, batch_size=1, **RESIZING)))
    np.testing.assert_array_equal(batch["difficult"], [[False, True]])
    np.testing.assert_array_equal(batch["labels"], [[2, 1]])
    batch = next(iter(training(examples, drop_difficult=True, flip=False)))
    np.testing.assert_array_equal(batch["difficult"], [[False, False]])
    np.testing.assert_array_equal(batch["labels"], [[2, -1]])
    np.testing.assert_array_equal(batch["boxes"], [[[4, 2, 20, 14], [0, 0, 0, 0]]])


def test_scales_lead_from_file_pixels_to_network_pixels():
    examples = example_set([(100, 70), (17, 31)])
    for batch in evaluation_batches(examples, batch_size=1, **RESIZING):
        row = int(batch["image_ids"][0].numpy()[-1:])
        record = examples.records[row]
        np.testing.assert_allclose(
            batch["scales"][0] * [record.height, record.width], batch["image_sizes"][0]
        )
        scales = np.tile(batch["scales"][0], 2)
        np.testing.assert_allclose(
            batch["boxes"][0][: len(record.boxes)], record.boxes * scales, rtol=1e-6
        )


@pytest.mark.parametrize("batch_size", [1, 2, 3, 10])
def test_evaluation_gives_every_image_once_and_always_the_same(batch_size):
    settings = {"batch_size": batch_size, **RESIZING}
    batches = evaluation_batches(example_set(), **settings)
    first = list(batches.as_numpy_iterator())
    assert sorted(ids_of(first)) == [f"image{i}" for i in range(7)]
    assert len(first) == num_batches(example_set(), **settings) == len(batches)
    assert_same_batches(list(batches.as_numpy_iterator()), first)


def test_no_image_of_an_epoch_is_lost_or_repeated():
    examples = example_set()
    settings = {"batch_size": 3, **RESIZING}
    # Five lie, two stand: two batches and one.
    assert num_batches(examples, **settings) == 3
    for epoch in epochs_of(training(examples), 4, 3):
        assert sorted(ids_of(epoch)) == [f"image{i}" for i in range(7)]
        assert sorted(len(batch["labels"]) for batch in epoch) == [2, 2, 3]


def test_epochs_differ_in_order_and_seeds_do_too():
    epochs = epochs_of(training(example_set()), 3, 3)
    orders = {tuple(ids_of(epoch)) for epoch in epochs}
    other = epochs_of(training(example_set(), seed=8), 1, 3)[0]
    assert len(orders | {tuple(ids_of(other))}) == 4


def test_a_resumed_stream_equals_the_uninterrupted_one():
    whole = epochs_of(training(example_set()), 4, 3)
    resumed = epochs_of(training(example_set(), start_epoch=2), 2, 3)
    for epoch, expected in zip(resumed, whole[2:], strict=True):
        assert_same_batches(epoch, expected)


def test_half_of_the_images_are_mirrored_with_their_boxes():
    examples = example_set([(32, 50)] * 6)
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


def test_the_same_image_is_mirrored_in_some_epochs_only():
    examples = example_set([(32, 50)] * 2).subset([1])
    epochs = epochs_of(training(examples), 20, 1)
    assert {float(epoch[0]["boxes"][0, 0, 1]) for epoch in epochs} == {2.0, 37.0}


def test_nothing_is_mirrored_unless_asked_for():
    examples = example_set([(32, 50)] * 2).subset([1])
    epochs = epochs_of(training(examples, flip=False), 10, 1)
    assert {float(epoch[0]["boxes"][0, 0, 1]) for epoch in epochs} == {2.0}


def test_a_turned_photograph_is_batched_upright(picture_of, file_of, voc, xml_of):
    from PIL import Image

    from tf_frcnn.data.voc import read_voc

    exif = Image.Exif()
    exif[0x0112] = 6
    picture = picture_of(40, 64)
    voc.picture("a.jpg", file_of(picture, "JPEG", quality=95, exif=exif))
    voc.annotation("a", xml_of("cat", 1, 1, 20, 30), height=64, width=40)
    voc.split("train", "a")
    settings = {"short_side": 40, "long_side": 64, "canvases": [(64, 64)]}
    examples = read_voc(voc.root, "train")
    batch = next(iter(evaluation_batches(examples, batch_size=1, **settings)))
    upright = np.asarray(picture.transpose(Image.Transpose.ROTATE_270), np.float32)
    np.testing.assert_array_equal(batch["image_sizes"], [[64, 40]])
    assert np.abs(batch["images"][0, :, :40] - upright).mean() < 4


def test_a_picture_too_large_for_every_canvas_is_named():
    settings = {**RESIZING, "canvases": [(32, 48)]}
    with pytest.raises(DataError) as error:
        evaluation_batches(example_set(), batch_size=1, **settings)
    assert str(error.value) == (
        "canvases: image0.png becomes 32 x 50 pixels (height x width), but none of "
        "((32, 48),) holds it; add a larger canvas or leave the list empty."
    )


def test_a_set_without_any_object_makes_batches():
    examples = example_set().subset([0, 3])
    batch = next(iter(training(examples, batch_size=2)))
    np.testing.assert_array_equal(batch["labels"], [[-1], [-1]])
    assert batch["boxes"].shape == (2, 1, 4)
