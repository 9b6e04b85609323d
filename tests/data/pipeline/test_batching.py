import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_frcnn.data.decoding.resizing import Resizing, plan_resize, resize
from tf_frcnn.data.pipeline.batching import evaluation_batches, num_batches
from tf_frcnn.data.readers.voc import read_voc

RESIZING = Resizing((32,), 64, ((32, 64), (64, 32)))


def ids_of(batch):
    return [image_id.decode() for image_id in batch["image_ids"].numpy()]


def test_an_image_lies_in_the_corner_of_its_canvas_with_zeros_beyond(painted_set):
    batch = next(iter(evaluation_batches(painted_set(), RESIZING, batch_size=3)))
    assert ids_of(batch) == ["image0", "image1", "image3"]
    image, size = batch["images"][1].numpy(), batch["image_sizes"].numpy()
    assert batch["images"].shape == (3, 32, 64, 3)
    np.testing.assert_array_equal(size, [[32, 50], [32, 64], [32, 40]])
    assert (image[4:20, 2:13] == 101).all() and image.sum() == 101 * 16 * 11 * 3
    np.testing.assert_array_equal(batch["boxes"][1], [[4, 2, 20, 13], [0, 0, 0, 0]])
    np.testing.assert_array_equal(batch["labels"], [[-1, -1], [1, -1], [-1, -1]])
    assert batch["images"].dtype == tf.float32 and batch["labels"].dtype == tf.int32


def test_difficult_boxes_are_marked(painted_set):
    (batch,) = evaluation_batches(painted_set().subset([2]), RESIZING, batch_size=1)
    np.testing.assert_array_equal(batch["difficult"], [[False, True]])
    np.testing.assert_array_equal(batch["labels"], [[2, 1]])


def test_scales_lead_from_file_pixels_to_network_pixels(painted_set):
    examples = painted_set([(100, 70), (17, 31)])
    records = {record.image_id: record for record in examples.records}
    for batch in evaluation_batches(examples, RESIZING, batch_size=1):
        record = records[ids_of(batch)[0]]
        np.testing.assert_allclose(
            batch["scales"][0] * [record.height, record.width], batch["image_sizes"][0]
        )
        scales = np.tile(batch["scales"][0], 2)
        np.testing.assert_allclose(
            batch["boxes"][0][: len(record.boxes)], record.boxes * scales, rtol=1e-6
        )


@pytest.mark.parametrize("batch_size", [1, 2, 3, 10])
def test_evaluation_gives_every_image_once_and_always_the_same(batch_size, painted_set):
    batches = evaluation_batches(painted_set(), RESIZING, batch_size=batch_size)
    first, again = list(batches), list(batches)
    ids = [image_id for batch in first for image_id in ids_of(batch)]
    assert sorted(ids) == [f"image{i}" for i in range(7)]
    count = num_batches(painted_set(), RESIZING, batch_size=batch_size)
    assert len(first) == len(again) == len(batches) == count
    for batch, other in zip(first, again, strict=True):
        assert set(batch) == set(other)
        for key, values in batch.items():
            np.testing.assert_array_equal(values, other[key], err_msg=key)


def test_a_turned_photograph_is_batched_upright(image_of, file_of, voc, xml_of):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = image_of(40, 64)
    voc.image("a.jpg", file_of(image, "JPEG", quality=95, exif=exif))
    voc.annotation("a", xml_of("cat", 1, 1, 20, 30), height=64, width=40)
    voc.split("train", "a")
    resizing = Resizing((40,), 64, ((64, 64),))
    (batch,) = evaluation_batches(read_voc(voc.root, "train"), resizing, batch_size=1)
    upright = np.asarray(image.transpose(Image.Transpose.ROTATE_270), np.float32)
    np.testing.assert_array_equal(batch["image_sizes"], [[64, 40]])
    assert np.abs(batch["images"][0, :, :40] - upright).mean() < 4


def test_with_a_multiple_every_image_has_a_canvas_of_its_own(painted_set):
    examples = painted_set([(32, 50), (50, 32), (32, 64), (30, 50), (32, 49)])
    resizing = Resizing((32,), 64, 16)
    batches = list(evaluation_batches(examples, resizing, batch_size=2))
    for batch in batches:
        own = -(-batch["image_sizes"].numpy() // 16) * 16
        np.testing.assert_array_equal(own, [batch["images"].shape[1:3]] * len(own))
    counts = sorted(len(batch["images"]) for batch in batches)
    assert counts == [1, 2, 2] and num_batches(examples, resizing, batch_size=2) == 3


@pytest.mark.slow
def test_a_batch_says_how_large_the_files_are_where_scales_cannot(painted_set):
    # 0.5 * 33 = 16.5 pixels are 16, and 16 / 0.5 = 32.
    resizing = Resizing((16,), 64, 1, "caffe")
    (batch,) = evaluation_batches(painted_set([(32, 33)]), resizing, batch_size=1)
    np.testing.assert_array_equal(batch["image_sizes"], [[16, 16]])
    np.testing.assert_array_equal(batch["scales"], [[0.5, 0.5]])
    np.testing.assert_array_equal(batch["file_sizes"], [[32, 33]])
    assert batch["images"].shape == (1, 16, 16, 3)


def test_images_are_resized_by_the_method(painted_set):
    examples = painted_set([(32, 33)] * 2).subset([1])
    resizing = Resizing((16,), 64, 1, "caffe")
    ((_, data),) = examples.stream()
    image = tf.io.decode_png(data, channels=3)
    plan = plan_resize(32, 33, 16, 64, "caffe")
    expected, _ = resize(image, tf.zeros([0, 4]), plan, "caffe")
    (batch,) = evaluation_batches(examples, resizing, batch_size=1)
    np.testing.assert_allclose(batch["images"], expected[tf.newaxis], atol=1e-3)


@pytest.mark.parametrize("short_sides", [(32, 64), ()])
def test_evaluation_needs_exactly_one_short_side(painted_set, short_sides):
    resizing = RESIZING._replace(short_sides=short_sides)
    with pytest.raises(ValueError) as error:
        evaluation_batches(painted_set(), resizing, batch_size=1)
    assert str(error.value) == (
        f"Resizing: short_sides = {short_sides}, but evaluation and export need "
        "exactly one; only training draws from several."
    )
