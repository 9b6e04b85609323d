"""Images that are decoded once: the same batches, from memory or from the disk."""

import errno
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data.augmentation.plan import Augmentation
from tf_frcnn.data.checks import free_memory
from tf_frcnn.data.checks.facts_cache import CACHE_VARIABLE
from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.examples import StoredImages
from tf_frcnn.data.pipeline import pixel_stores, reading
from tf_frcnn.data.pipeline.batching import training_batches
from tf_frcnn.data.pipeline.pixel_stores import PIXELS_FOLDER, DiskStore, MemoryStore
from tf_frcnn.data.pipeline.replacing import read_image
from tf_frcnn.models.errors import readable_errors

RESIZING = Resizing((24,), 64, ((32, 64), (64, 32)), "caffe")
SETTINGS = {"batch_size": 3, "flip": True, "drop_difficult": False, "seed": 7}
ROTATED = {"augmentation": Augmentation(rotate=True)}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The folder of the package's cache."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / PIXELS_FOLDER


@pytest.fixture
def decoded(monkeypatch):
    """Counts the images that are decoded."""
    with tf.device("CPU:0"):
        count = tf.Variable(0, dtype=tf.int64)

    def counted(*given):
        count.assign_add(1)
        return read_image(*given)

    monkeypatch.setattr(reading, "read_image", counted)
    return count


@pytest.fixture
def files_of(painted_set, tmp_path):
    """Writes painted images as files; returns the set and the paths."""
    examples, paths = painted_set(), []
    for row, data in examples.stream().as_numpy_iterator():
        paths.append(tmp_path / f"{row}.png")
        paths[-1].write_bytes(data)
    images = StoredImages(tf.constant([*map(str, paths)]), are_paths=True)
    return replace(examples, images=images), paths


def two_epochs(examples, resizing=RESIZING, **changes):
    with readable_errors():
        return [*training_batches(examples, resizing, **SETTINGS | changes).take(6)]


def assert_same_batches(batches, expected):
    for batch, wanted in zip(batches, expected, strict=True):
        assert batch.keys() == wanted.keys()
        for name in wanted:
            np.testing.assert_array_equal(batch[name], wanted[name], err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("cache_in", ["memory", "disk"])
@pytest.mark.parametrize(
    ("resizing", "changes"),
    [
        (RESIZING, {}),
        (RESIZING._replace(method="bicubic"), {"num_workers": 1}),
        (RESIZING._replace(short_sides=(24, 32)), {}),
        (RESIZING, ROTATED),
    ],
    ids=["resized", "whole numbers", "drawn sides", "turned"],
)
def test_the_batches_are_those_without_a_cache(
    cache_in, resizing, changes, painted_set, decoded
):
    expected = two_epochs(painted_set(), resizing, **changes)
    decoded.assign(0)
    assert_same_batches(
        two_epochs(painted_set(), resizing, cache=cache_in, **changes), expected
    )
    # In the second epoch, and in those read ahead, nothing is decoded again.
    assert decoded.numpy() == 7


def test_what_lies_on_the_disk_serves_the_next_training(painted_set, decoded, cache):
    first = two_epochs(painted_set(), cache="disk")
    assert decoded.numpy() == 7 and len([*cache.glob("*/*.raw")]) == 7
    assert_same_batches(two_epochs(painted_set(), cache="disk"), first)
    assert decoded.numpy() == 7
    # Another size has files of its own.
    two_epochs(painted_set(), RESIZING._replace(short_sides=(20,)), cache="disk")
    assert decoded.numpy() == 14 and len([*cache.glob("*/*.raw")]) == 14


@pytest.mark.slow
def test_a_file_that_changes_is_decoded_again_and_half_a_file_too(
    files_of, decoded, cache
):
    examples, paths = files_of
    two_epochs(examples, cache="disk")
    other = np.full([32, 50, 3], 77, np.uint8)
    paths[0].write_bytes(tf.io.encode_png(other).numpy())
    half = max(cache.glob("*/*.raw"))
    half.write_bytes(half.read_bytes()[:-4])
    decoded.assign(0)
    batches = two_epochs(examples, cache="disk")
    assert decoded.numpy() == 2 and len([*cache.glob("*/*")]) == 7
    assert_same_batches(batches, two_epochs(examples))


def test_too_little_memory_is_told_before_the_first_step(painted_set, monkeypatch):
    monkeypatch.setattr(pixel_stores, "free_memory", lambda: 10_000)
    with pytest.raises(DataError, match=r"data\.cache = memory: the images of painted"):
        two_epochs(painted_set(), cache="memory")
    assert MemoryStore("x", 10_000).load(0, 0) is None


def test_too_small_a_disk_is_told_before_the_first_step(painted_set, monkeypatch):
    monkeypatch.setattr(
        pixel_stores.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10_000})
    )
    with pytest.raises(DataError) as error:
        two_epochs(painted_set(), cache="disk")
    message = str(error.value)
    assert "more for the images of painted, but 0.0 MB are free; make room" in message
    monkeypatch.setenv(CACHE_VARIABLE, "")
    with pytest.raises(DataError, match=r"needs the cache, which TF_FRCNN_CACHE swit"):
        two_epochs(painted_set(), cache="disk")


def test_a_disk_that_fills_up_is_one_error_with_the_file(
    painted_set, monkeypatch, cache
):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pixel_stores.os, "fsync", full)
    with pytest.raises(DataError) as error:
        two_epochs(painted_set(), cache="disk")
    message = str(error.value)
    assert message.startswith(f"data.cache = disk: {cache}") and "\n" not in message
    assert ".raw: No space left on device; make room, name another" in message
    assert not [*cache.glob("*/*.raw")]


def test_of_a_changed_file_the_older_pixels_are_removed(cache):
    store = DiskStore("x", ["a", "b"], 8, "decoded")
    for row, mark in ((0, 5), (1, 5), (0, 6)):
        store.save(row, mark, np.full([4], 10 * row + mark, np.uint8))
    again = DiskStore("x", ["a", "b"], 8, "decoded")
    assert again.load(0, 5) is None and len([*cache.glob("*/*")]) == 2
    np.testing.assert_array_equal(again.load(0, 6), [6] * 4)
    np.testing.assert_array_equal(again.load(1, 5), [15] * 4)
    assert DiskStore("x", ["a", "b"], 8, "other").load(1, 5) is None


def test_free_memory_is_that_of_the_machine_or_of_the_container(tmp_path, monkeypatch):
    names = ("_MEMORY", "_LIMIT", "_USED")
    texts = "MemTotal: 9 kB\nMemAvailable:  8 kB\n", "6000\n", "1000\n"
    for name in names:
        monkeypatch.setattr(free_memory, name, tmp_path / name)
    assert free_memory.free_memory() is None
    for name, text, expected in zip(names, texts, (8192, 8192, 5000), strict=True):
        (tmp_path / name).write_text(text)
        assert free_memory.free_memory() == expected
    (tmp_path / "_LIMIT").write_text("max\n")
    assert free_memory.free_memory() == 8192
