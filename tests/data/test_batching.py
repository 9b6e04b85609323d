import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data.batching import evaluation_batches, num_batches, training_batches
from tf_frcnn.data.examples import ExampleSet, Record, StoredImages
from tf_frcnn.data.problems import Problems

CANVASES = {"long_side": 64, "canvases": [(32, 64), (64, 32)]}
RESIZING = {"short_side": 32, **CANVASES}
# What an epoch's batches depend on.
TRAINING = {"short_sides": (32,), **CANVASES}
# Twice the size or once, on canvases for either; the long side never decides.
TWO_SIDES = {
    "short_sides": (32, 64),
    "long_side": 200,
    "canvases": [(32, 64), (64, 32), (64, 128), (128, 64)],
}
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
        facts = boxes, np.array([i, 1], np.int32)[: i % 3], np.arange(i % 3) == 1
        records.append(Record(f"image{i}", f"image{i}.png", height, width, 1, *facts))
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
        **TRAINING,
    }
    return training_batches(examples, **{**settings, **changes})


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
        record = examples.records[number_of(batch["image_ids"][0].numpy())]
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
    settings = {"batch_size": batch_size, **TRAINING}
    assert len(first) == num_batches(example_set(), **settings) == len(batches)
    assert_same_batches(list(batches.as_numpy_iterator()), first)


def test_no_image_of_an_epoch_is_lost_or_repeated():
    examples = example_set()
    settings = {"batch_size": 3, **TRAINING}
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


def test_with_one_short_side_the_stream_of_a_seed_stays_what_it_was():
    drawn = [
        list(zip(map(number_of, b["image_ids"]), b["boxes"][:, 0, 1], strict=True))
        for b in training(example_set()).take(6).as_numpy_iterator()
    ]
    # Picture and left edge of its first box: 2, or mirrored width - 12 - picture.
    assert drawn == [
        [(6, 0), (3, 0), (1, 2)],
        [(5, 47), (0, 0)],
        [(2, 2), (4, 2)],
        [(5, 2), (0, 0), (6, 0)],
        [(3, 0), (1, 51)],
        [(2, 18), (4, 16)],
    ]


def test_drawing_sides_disturbs_neither_order_nor_mirroring():
    one = epochs_of(training(example_set()), 2, 3)
    two = epochs_of(training(example_set(), short_sides=(32, 32)), 2, 3)
    for epoch, expected in zip(two, one, strict=True):
        assert_same_batches(epoch, expected)


def test_each_picture_is_as_large_as_a_drawn_short_side_makes_it():
    sizes = {f"image{i}": np.array(size) for i, size in enumerate(SIZES)}
    batches = training(example_set(), flip=False, batch_size=1, **TWO_SIDES).take(28)
    seen = set()
    for batch in map(batch_arrays, batches):
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


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_batch_lies_on_the_smallest_canvas_that_holds_its_pictures(batch_size):
    batches = training(example_set(), batch_size=batch_size, **TWO_SIDES).take(15)
    canvases = set()
    for batch in map(batch_arrays, batches):
        canvas = batch["images"].shape[1:3]
        assert min(canvas) == 32 * batch["scales"].max()
        for image, size in zip(batch["images"], batch["image_sizes"], strict=True):
            assert (size <= canvas).all() and np.argmax(size) == np.argmax(canvas)
            height, width = size.astype(int)
            assert image[:height, :width].sum() == image.sum()
        canvases.add(canvas)
    assert len(canvases) > 2


@pytest.mark.parametrize("batch_size", [1, 2, 3, 10])
def test_epochs_are_equally_long_whatever_sizes_are_drawn(batch_size):
    examples = example_set()
    number = num_batches(examples, batch_size=batch_size, **TWO_SIDES)
    # Five lie, two stand.
    assert number == {1: 7, 2: 4, 3: 3, 10: 2}[batch_size]
    batches = training(examples, batch_size=batch_size, **TWO_SIDES)
    epochs = epochs_of(batches, 4, number)
    drawn = set()
    for epoch in epochs:
        assert sorted(ids_of(epoch)) == [f"image{i}" for i in range(7)]
        scales = np.concatenate([batch["scales"][:, 0] for batch in epoch])
        drawn.add(tuple(scales[np.argsort(ids_of(epoch))]))
    assert len(drawn) > 1


def test_sides_are_drawn_evenly_and_apart_from_mirroring():
    examples = example_set([(32, 50)] * 6)
    counts = dict.fromkeys([(s, m) for s in (1, 1.5, 2) for m in (False, True)], 0)
    settings = {**TWO_SIDES, "short_sides": (32, 48, 64), "batch_size": 6}
    for batch in map(batch_arrays, training(examples, **settings).take(60)):
        for scale, box, label in zip(
            batch["scales"][:, 0], batch["boxes"], batch["labels"][:, 0], strict=True
        ):
            if label >= 0:
                counts[float(scale), bool(box[0, 1] != 2 * scale)] += 1
    # 240 draws of one sixth: 40, with a standard deviation of 5.8.
    assert sum(counts.values()) == 240
    assert all(23 <= count <= 57 for count in counts.values()), counts


def test_a_resumed_stream_of_several_sides_equals_the_uninterrupted_one():
    whole = epochs_of(training(example_set(), **TWO_SIDES), 3, 3)
    resumed = training(example_set(), start_epoch=1, **TWO_SIDES)
    for epoch, expected in zip(epochs_of(resumed, 2, 3), whole[1:], strict=True):
        assert_same_batches(epoch, expected)


def test_a_set_without_any_object_makes_batches():
    examples = example_set().subset([0, 3])
    batch = next(iter(training(examples, batch_size=2)))
    np.testing.assert_array_equal(batch["labels"], [[-1], [-1]])
    assert batch["boxes"].shape == (2, 1, 4)


def test_with_a_multiple_every_picture_has_a_canvas_of_its_own():
    examples = example_set([(32, 50), (50, 32), (32, 64), (30, 50), (32, 49)])
    settings = {"short_side": 32, "long_side": 64, "canvases": 16}
    batches = list(evaluation_batches(examples, batch_size=2, **settings))
    for batch in batches:
        own = -(-batch["image_sizes"].numpy() // 16) * 16
        np.testing.assert_array_equal(own, [batch["images"].shape[1:3]] * len(own))
    counts = sorted(len(batch["images"]) for batch in batches)
    assert counts == [1, 2, 2] and len(batches) == batches_of(examples, settings)


def batches_of(examples, settings):
    settings = {"short_sides": [settings["short_side"]], **settings}
    del settings["short_side"]
    return num_batches(examples, batch_size=2, **settings)


def test_a_batch_says_how_large_the_files_are_where_scales_cannot():
    # 0.5 * 33 = 16.5 pixels are 16, and 16 / 0.5 = 32.
    examples = example_set([(32, 33)])
    settings = {"short_side": 16, "long_side": 64, "canvases": 1, "method": "caffe"}
    (batch,) = evaluation_batches(examples, batch_size=1, **settings)
    np.testing.assert_array_equal(batch["image_sizes"], [[16, 16]])
    np.testing.assert_array_equal(batch["scales"], [[0.5, 0.5]])
    np.testing.assert_array_equal(batch["file_sizes"], [[32, 33]])
    assert batch["images"].shape == (1, 16, 16, 3)


def test_training_resizes_by_the_method_too():
    examples = example_set([(32, 33)])
    batch = next(
        iter(
            training(
                examples, short_sides=(16,), canvases=1, method="caffe", batch_size=1
            )
        )
    )
    np.testing.assert_array_equal(batch["image_sizes"], [[16, 16]])
    np.testing.assert_array_equal(batch["file_sizes"], [[32, 33]])
