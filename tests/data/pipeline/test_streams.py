import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data.augmentation.plan import Augmentation
from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.pipeline.batching import evaluation_batches
from tf_frcnn.data.pipeline.streams import Stream

RESIZING = Resizing((32,), 64, ((32, 64), (64, 32)))
TRAINING = {"flip": True, "drop_difficult": True, "seed": 5}
# Height and width of each image.
SIZES = [(32, 50), (60, 32), (32, 40), (48, 32), (32, 64)]


def stream_of(elements, resizing=RESIZING, box_format="yxyx"):
    """Makes a stream of (image, boxes, labels)."""
    signature = (
        tf.TensorSpec([None, None, 3], tf.uint8),
        {
            "boxes": tf.TensorSpec([None, 4], tf.float32),
            "labels": tf.TensorSpec([None], tf.int64),
            "difficult": tf.TensorSpec([None], tf.bool),
        },
    )

    def generate():
        for image, boxes, labels in elements:
            difficult = np.zeros(len(labels), bool)
            yield image, {"boxes": boxes, "labels": labels, "difficult": difficult}

    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(elements)))
    return Stream(dataset, resizing, 9, box_format)


def element(size, boxes=((2, 3, 20, 25),), labels=(1,)):
    height, width = size
    image = np.full([height, width, 3], height, np.uint8)
    return image, np.array(boxes, np.float32).reshape(-1, 4), np.array(labels)


@pytest.fixture
def stream():
    return stream_of([element(size) for size in SIZES])


@pytest.mark.slow
def test_images_of_one_canvas_share_batches_and_training_mixes_the_rest(stream):
    def rows_and_canvases(batches):
        return [(b["rows"].numpy().tolist(), b["images"].shape[1:3]) for b in batches]

    of_two = [([0, 2], (32, 64)), ([1, 3], (64, 32)), ([4], (32, 64))]
    of_three = [([0, 2, 4], (32, 64)), ([1, 3], (64, 32))]
    for size, expected in ((2, of_two), (3, of_three)):
        training = stream.training_batches(batch_size=size, **TRAINING)
        evaluation = stream.evaluation_batches(batch_size=size)
        assert rows_and_canvases(training) == rows_and_canvases(evaluation) == expected
    mixed = stream.training_batches(batch_size=4, **TRAINING)
    assert rows_and_canvases(mixed) == [([0, 2, 4, 1], (64, 64)), ([3], (64, 32))]
    apart = stream.evaluation_batches(batch_size=4)
    assert rows_and_canvases(apart) == [([0, 2, 4], (32, 64)), ([1, 3], (64, 32))]


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 5, 7])
def test_the_number_of_batches_is_known(stream, batch_size):
    batches = stream.training_batches(batch_size=batch_size, **TRAINING)
    count = -(-len(SIZES) // batch_size)
    assert len(list(batches)) == len(batches) == stream.num_batches(batch_size) == count


def test_left_over_images_of_several_canvases_share_a_batch_that_holds_them(stream):
    settings = TRAINING | {"flip": False}
    (batch,) = stream.training_batches(batch_size=5, **settings)
    assert sorted(batch["rows"].numpy()) == [0, 1, 2, 3, 4]
    assert batch["images"].shape == (5, 64, 64, 3)
    for row, image in zip(batch["rows"].numpy(), batch["images"].numpy(), strict=True):
        height, width = SIZES[row]
        assert image.sum() == height * width * height * 3  # its own value, then zeros


@pytest.mark.slow
def test_batches_are_those_of_the_same_records(painted_set):
    examples = painted_set()
    records, decoded = examples.records, {}
    for row, data in examples.stream().as_numpy_iterator():
        decoded[row] = tf.io.decode_png(data, channels=3).numpy()
    elements = [(decoded[n], r.boxes, r.labels) for n, r in enumerate(records)]
    own = stream_of(elements).evaluation_batches(batch_size=1)
    found = {int(batch["rows"][0]): batch for batch in own}
    for batch in evaluation_batches(examples, RESIZING, batch_size=1):
        same = found[int(batch["rows"][0])]
        count = len(records[int(batch["rows"][0])].labels)
        for name in ("images", "image_sizes", "scales", "file_sizes"):
            np.testing.assert_array_equal(same[name], batch[name])
        for name in ("boxes", "labels"):
            np.testing.assert_array_equal(same[name][:, :count], batch[name][:, :count])
        for labels in (same["labels"], batch["labels"]):
            assert np.all(labels[:, count:] == -1)


@pytest.mark.slow
def test_boxes_are_clipped_and_those_without_area_are_counted():
    boxes = [[-5, 2, 20, 90], [3, 3, 3, 9], [40, 1, 50, 9]]
    stream = stream_of([element((32, 50), boxes, [0, 1, 2])])
    (batch,) = stream.evaluation_batches(batch_size=1)
    np.testing.assert_array_equal(batch["boxes"][:, :1], [[[0, 2, 20, 50]]])
    np.testing.assert_array_equal(batch["labels"], [[0] + 7 * [-1]])
    assert int(stream.left_out) == 2 and int(stream.num_read) == 1
    assert len(list(stream.training_batches(batch_size=1, **TRAINING))) == 1
    assert int(stream.left_out) == 2  # of one pass


def boxes_of(batches):
    return [tuple(map(float, batch["boxes"][0, 0])) for batch in batches]


@pytest.mark.slow
def test_mirroring_follows_from_the_epoch_and_the_seed(stream):
    epoch = tf.Variable(0, dtype=tf.int64)
    batches = stream.training_batches(batch_size=1, **TRAINING, epoch=epoch)
    seen = []
    for number in (0, 1, 2, 0):
        epoch.assign(number)
        seen.append(boxes_of(batches))
    assert seen[3] == seen[0] and len({*map(tuple, seen)}) == 3
    assert (
        boxes_of(stream.training_batches(batch_size=1, **TRAINING, epoch=1)) == seen[1]
    )
    upright = stream.training_batches(batch_size=1, **TRAINING | {"flip": False})
    assert {box[1] for box in boxes_of(upright)} == {3.0}
    assert {box[1] for one in seen for box in one} > {3.0}


@pytest.mark.slow
def test_difficult_objects_are_left_out_of_training_alone():
    element = {
        "image": np.zeros([32, 40, 3], np.uint8),
        "objects": {
            "bbox": np.array([[0, 0, 1, 1], [0, 0, 0.5, 0.5]], np.float32),
            "label": np.array([0, 1]),
            "is_difficult": np.array([True, False]),
        },
    }
    dataset = tf.data.Dataset.from_tensors(element)
    stream = Stream(dataset, RESIZING, 3)
    (batch,) = stream.training_batches(batch_size=1, **TRAINING)
    np.testing.assert_array_equal(batch["labels"], [[1] + 7 * [-1]])
    assert "crowd" not in batch
    (batch,) = stream.evaluation_batches(batch_size=1)
    np.testing.assert_array_equal(batch["difficult"], [[True] + 7 * [False]])


@pytest.mark.slow
def test_no_crowd_is_left_out_unless_it_has_no_area():
    element = {
        "image": np.zeros([32, 40, 3], np.uint8),
        "boxes": np.array([[0, 0, 9, 9], [0, 0, 4, 8], [5, 5, 5, 9]], np.float32),
        "labels": np.array([0, 1, 1]),
        "difficult": np.array([True, True, False]),
        "crowd": np.array([False, True, True]),
    }
    dataset = tf.data.Dataset.from_tensors(element)
    stream = Stream(dataset, RESIZING, 3, "yxyx")
    (batch,) = stream.training_batches(batch_size=1, **TRAINING)
    np.testing.assert_array_equal(batch["labels"], [[1] + 7 * [-1]])
    np.testing.assert_array_equal(batch["crowd"], [[True] + 7 * [False]])
    (batch,) = stream.evaluation_batches(batch_size=1)
    np.testing.assert_array_equal(batch["crowd"], [[False, True] + 6 * [False]])


def test_each_image_has_its_own_canvas_where_sides_are_padded_to_a_multiple():
    resizing = Resizing((32,), None, 8)
    stream = stream_of([element(size) for size in SIZES], resizing)
    for batch in stream.evaluation_batches(batch_size=1):
        own = -(-batch["image_sizes"].numpy()[0].astype(int) // 8) * 8
        assert batch["images"].shape[1:3] == tuple(own)


def test_an_endless_dataset_has_no_number_of_images(stream):
    dataset = tf.data.Dataset.from_tensors(np.zeros([32, 40, 3], np.uint8))
    endless = Stream(dataset.repeat(), RESIZING, 3)
    assert endless.num_images is None and endless.num_batches(2) is None
    with pytest.raises(DataError, match=r"images alone; .* shapes \[0, 4\] and \[0\]"):
        endless.require_objects()
    assert len(list(endless.evaluation_batches(batch_size=2).take(3))) == 3


def test_an_image_that_no_canvas_holds_is_named():
    resizing = RESIZING._replace(long_side=65)
    stream = stream_of([element((32, 50)), element((32, 65))], resizing)
    message = "Bad data: image 1: resized, it is larger than all of images.canvases"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        list(stream.evaluation_batches(batch_size=1))


def test_an_unstated_format_is_refused_at_once():
    with pytest.raises(DataError, match="give box_format to from_preset"):
        stream_of([element((32, 50))], box_format=None)


@pytest.mark.slow
def test_changes_follow_from_the_epoch_and_batches_are_as_many():
    four = [element(size) for size in SIZES[:4]]
    plan = Augmentation(rotate=True, crop=0.5, scale=(0.8, 1.25), brightness=0.5)
    epoch = tf.Variable(0, dtype=tf.int64)
    batches = stream_of(four).training_batches(
        batch_size=2, **TRAINING, epoch=epoch, augmentation=plan
    )
    seen = []
    for number in (0, 1, 0):
        epoch.assign(number)
        seen.append([batch["images"].numpy() for batch in batches])
        assert len(seen[-1]) == len(batches) == 2
    assert all(map(np.array_equal, seen[0], seen[2]))
    assert not all(map(np.array_equal, seen[0], seen[1]))
