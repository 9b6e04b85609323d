"""Images that vanish or break after the data were read."""

import gc
import threading
import weakref
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_frcnn.data.augmentation.plan import Augmentation
from tf_frcnn.data.checks.problems import REPLACED, DataError, Problem, Problems
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.examples import StoredImages
from tf_frcnn.data.pipeline import replacing
from tf_frcnn.data.pipeline.batching import evaluation_batches, training_batches
from tf_frcnn.data.pipeline.proposal_cache import CachedProposals
from tf_frcnn.data.pipeline.replacing import Replacements
from tf_frcnn.data.readers.streamed import SequentialImages
from tf_frcnn.models.errors import readable_errors

# Of the painted images 2 and 4 stand; for one that lies the next one that lies comes.
RESIZING = Resizing((32,), 64, ((32, 64), (64, 32)))
SETTINGS = {"batch_size": 3, "flip": True, "drop_difficult": False, "seed": 7}
MOSAIC = Augmentation(mosaic=0.7, scale=(0.5, 2.0))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(replacing, "PAUSES", (0.0, 0.0))


@pytest.fixture
def files_of(painted_set, tmp_path):
    """Writes painted images as files; returns the set and the paths, its sources."""

    def write(*sizes):
        examples, paths = painted_set(*sizes), []
        for row, data in examples.stream().as_numpy_iterator():
            paths.append(tmp_path / f"image{row}.png")
            paths[-1].write_bytes(data)
        records = (
            record._replace(source=str(path))
            for record, path in zip(examples.records, paths, strict=True)
        )
        images = StoredImages(tf.constant([*map(str, paths)]), are_paths=True)
        examples = replace(examples, images=images, problems=Problems())
        return replace(examples, records=tuple(records)), paths

    return write


@pytest.fixture
def with_others(painted_set):
    """Gives painted images, some of which are others: row -> row of the other."""

    def build(others, *sizes):
        examples = painted_set(*sizes)
        rows = [others.get(row, row) for row in range(len(examples.records))]
        return replace(
            examples,
            records=tuple(examples.records[row] for row in rows),
            images=StoredImages(tf.gather(examples.images.items, rows), False),
        )

    return build


def training(examples, **changes):
    settings = SETTINGS | {"max_unreadable": 10} | changes
    with readable_errors():
        return [*training_batches(examples, RESIZING, **settings).take(9)]


def assert_same_batches(batches, expected, others):
    """Compares all fields; a row of the expected ones is that of its other."""
    assert len(batches) == len(expected)
    for batch, wanted in zip(batches, expected, strict=True):
        assert batch.keys() == wanted.keys()
        rows = [others.get(row, row) for row in wanted["rows"].numpy()]
        np.testing.assert_array_equal(batch["rows"], rows)
        for name in batch.keys() - {"rows"}:
            np.testing.assert_array_equal(batch[name], wanted[name], err_msg=name)


def pixels_of(path):
    return tf.io.decode_png(path.read_bytes(), channels=3).numpy()


def remove(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def write_text(path):
    path.write_text("This is no picture.")


def write_larger(path):
    path.write_bytes(tf.io.encode_png(np.zeros([64, 100, 3], np.uint8)).numpy())


FAULTS = {
    write_larger: "it has 100 x 64 pixels, not 64 x 32 any more",
    remove: "No such file or directory",
    cut: "it is damaged or cut off",
    empty: "it is not an image of a known format",
    write_text: "it is not an image of a known format",
}


@pytest.mark.slow
def test_the_next_image_of_the_canvas_takes_the_place_of_a_lost_one(
    files_of, with_others
):
    # Three of those that lie, and two of those that stand.
    lies, stands = (32, 64), (64, 32)
    sizes = [lies, lies, lies, stands, lies, stands, stands, lies, stands]
    lost = dict(zip((1, 2, 4, 5, 6), FAULTS, strict=True))
    others = {1: 7, 2: 7, 4: 7, 5: 8, 6: 8}
    examples, files = files_of(sizes)
    for row, fault in lost.items():
        fault(files[row])
    with pytest.warns(UserWarning) as warned:
        batches = training(examples)
    assert_same_batches(batches, training(with_others(others, sizes)), others)
    messages = sorted(str(w.message) for w in warned)
    for message, (row, fault) in zip(messages, lost.items(), strict=True):
        reason = f"{files[row]} can no longer be read ({FAULTS[fault]}"
        assert message.startswith(reason)
        assert "); another image takes its place. It is number " in message
        assert message.endswith("of at most 10 (data.max_unreadable).")
    problems = sorted(examples.problems.rows, key=lambda problem: problem.file)
    for problem, (row, fault) in zip(problems, lost.items(), strict=True):
        kind, detail = "unreadable_image", problem.detail
        assert problem == Problem(kind, str(files[row]), detail, REPLACED)
        assert detail.startswith(f"in training: {FAULTS[fault]}")


@pytest.mark.slow
def test_an_image_that_breaks_later_changes_no_batch_without_it(files_of, with_others):
    settings = SETTINGS | {"max_unreadable": 1, "batch_size": 1}
    examples, files = files_of()
    batches = iter(training_batches(examples, RESIZING, **settings))
    begun = [next(batches) for _ in range(7)]
    remove(files[1])
    with pytest.warns(UserWarning, match="image1"):
        # Some are read ahead.
        found = [*begun, *(next(batches) for _ in range(140))]
    expected = [
        training_batches(with_others(others), RESIZING, **settings).take(147)
        for others in ({}, {1: 3})
    ]
    kinds = []
    for batch, *both in zip(found, *expected, strict=True):
        kinds.append(bool(batch["image_ids"] != both[0]["image_ids"]))
        for name in ("images", "boxes", "image_ids"):
            np.testing.assert_array_equal(batch[name], both[kinds[-1]][name])
    # Each of 21 epochs has the image once.
    assert not any(kinds[:7]) and 0 < kinds.count(True) <= 20


@pytest.mark.slow
def test_what_can_be_read_is_never_read_in_python(files_of, monkeypatch):
    def find(*_):
        raise AssertionError("Python was asked.")

    monkeypatch.setattr(Replacements, "find", find)
    assert len(training(files_of()[0])) == 9


@pytest.mark.slow
def test_a_file_that_comes_back_is_not_counted(files_of, with_others, monkeypatch):
    examples, files = files_of()
    hidden, calls = files[1].rename(files[1].with_suffix(".away")), []

    def fetch(images, row):
        calls.append(row)
        if len(calls) % 2:
            raise OSError(5, "Input/output error")
        return hidden.read_bytes()

    monkeypatch.setattr(StoredImages, "fetch", fetch)
    batches = training(examples, max_unreadable=0)
    # In each epoch the graph fails, and then Python, once.
    assert set(calls) == {1} and len(calls) >= 6
    assert_same_batches(batches, training(with_others({})), {})
    assert not examples.problems.rows


@pytest.mark.slow
def test_without_another_one_of_the_canvas_any_image_comes(files_of):
    examples, files = files_of()
    for row in (2, 4):
        remove(files[row])
    with pytest.warns(UserWarning, match="image4"):
        batches = training(examples)
    # Of five that lie and two that stand, in one epoch after the other.
    for epoch in (batches[:3], batches[3:6], batches[6:]):
        assert sorted(len(batch["rows"]) for batch in epoch) == [2, 2, 3]
        rows = [row for batch in epoch for row in batch["rows"].numpy()]
        # After 2 comes 3, after 4 comes 5.
        assert sorted(rows) == [0, 1, 3, 3, 5, 5, 6]


def test_one_too_many_ends_in_one_error_with_the_names(files_of):
    examples, files = files_of()
    for file in files[:2]:
        remove(file)
    with pytest.raises(DataError) as error:
        training(examples, max_unreadable=1)
    message = str(error.value)
    for file in files[:2]:
        reason = f"{file} can no longer be read (No such file or directory)"
        assert message.count(reason) == 1
    assert message.endswith(
        ": that is more than data.max_unreadable = 1 allows. Restore the files, or "
        "read the data again, which leaves out what is missing."
    )
    assert "\n" not in message and len(examples.problems.rows) == 2


@pytest.mark.slow
def test_lost_images_are_replaced_in_mosaics(files_of, with_others):
    examples, files = files_of()
    for row in (1, 4):
        cut(files[row])
    with pytest.warns(UserWarning) as warned:
        batches = training(examples, augmentation=MOSAIC)
    others = {1: 3, 4: 2}
    expected = training(with_others(others), augmentation=MOSAIC)
    assert_same_batches(batches, expected, others)
    assert len(warned) == 2


@pytest.mark.slow
def test_a_resumed_stream_has_the_same_replacements(files_of):
    examples, files = files_of()
    remove(files[5])
    with pytest.warns(UserWarning, match="image5"):
        whole, resumed = training(examples), training(examples, start_epoch=1)
    assert_same_batches(resumed[:6], whole[3:], {})


@pytest.mark.slow
def test_proposals_come_with_the_image(files_of, with_others):
    examples, files = files_of()
    boxes = np.arange(7 * 4, dtype=np.float32).reshape(7, 1, 4) % 30
    proposals = CachedProposals(boxes, np.ones([7, 1], bool))
    remove(files[1])
    with pytest.warns(UserWarning, match="image1"):
        batches = training(examples, proposals=proposals, flip=False)
    others = proposals._replace(boxes=boxes[[0, 3, 2, 3, 4, 5, 6]])
    expected = training(with_others({1: 3}), proposals=others, flip=False)
    assert_same_batches(batches, expected, {1: 3})


def test_an_evaluation_passes_over_no_image(files_of):
    examples, files = files_of()
    cut(files[1])
    batches = evaluation_batches(examples, RESIZING, batch_size=3)
    for _ in range(2):
        with pytest.raises(DataError) as error, readable_errors():
            list(batches)
        message = str(error.value)
        assert message.startswith(f"{files[1]} can no longer be read (it is damaged or")
        assert "\n" not in message and message.endswith(
            "), and no other image can take its place. Restore it, or read the data "
            "again, which leaves it out."
        )
    assert not examples.problems.rows


@pytest.mark.slow
def test_a_turned_photograph_that_comes_back_is_upright(
    files_of, image_of, file_of, monkeypatch
):
    exif = Image.Exif()
    exif[0x0112] = 6
    examples, files = files_of([(50, 32)])
    data = file_of(image_of(32, 50), "JPEG", exif=exif)
    files[0].write_bytes(data)
    records = tuple(record._replace(orientation=6) for record in examples.records)
    examples = replace(examples, records=records)
    (expected,) = evaluation_batches(examples, RESIZING, batch_size=1)
    remove(files[0])
    monkeypatch.setattr(StoredImages, "fetch", lambda *_: data)
    (batch,) = evaluation_batches(examples, RESIZING, batch_size=1)
    assert_same_batches([batch], [expected], {})


@pytest.mark.slow
def test_a_data_set_is_not_held_longer_than_its_batches(files_of):
    examples, _ = files_of()
    batches = training_batches(examples, RESIZING, **SETTINGS)
    next(iter(batches))
    held = weakref.ref(examples.images)
    del examples, batches
    gc.collect()
    assert held() is None


@pytest.mark.parametrize("limit", [5, None])
def test_an_image_is_read_three_times_with_pauses(limit, files_of, monkeypatch):
    examples, files = files_of()
    log, fetch = [], StoredImages.fetch

    def noted(images, row):
        log.append(row)
        return fetch(images, row)

    monkeypatch.setattr(replacing, "PAUSES", (1.0, 2.0))
    monkeypatch.setattr(replacing, "time", SimpleNamespace(sleep=log.append))
    monkeypatch.setattr(StoredImages, "fetch", noted)
    find = Replacements(examples, np.zeros(7), limit).find
    # The graph has read it for the first time.
    row, image = find(np.int64(1), b"")
    assert row == 1 and log == [1.0, 1]
    np.testing.assert_array_equal(image, pixels_of(files[1]))
    for file in files[1:3]:
        remove(file)
    log.clear()
    if limit is None:
        with pytest.raises(ValueError, match="image1"):
            find(np.int64(1), b"")
        assert log == [1.0, 1, 2.0, 1]
        return
    with pytest.warns(UserWarning, match="image2"):
        assert find(np.int64(1), b"")[0] == 3
    assert log == [1.0, 1, 2.0, 1, 0.0, 2, 1.0, 2, 2.0, 2, 0.0, 3]
    # What is known to be lost is not waited for again.
    log.clear()
    assert find(np.int64(1), b"")[0] == 3 and log == [0.0, 3]


@pytest.mark.parametrize("limit", [0, 2, 3, 7])
def test_many_lost_images_are_counted_and_a_few_named(limit, files_of):
    examples, files = files_of()
    for file in files:
        remove(file)
    with pytest.raises(ValueError) as error:
        Replacements(examples, np.zeros(7), limit).find(np.int64(5), b"")
    message = str(error.value)
    gone = [f"{files[row]} can no longer be read (No such file" for row in (5, 6, 0, 1)]
    if limit == 7:
        assert message.startswith(f"Bad data: {gone[0]} or directory), and no other ")
        return
    named = [reason for reason in gone if reason in message]
    assert named == gone[: min(3, limit + 1)]
    assert ("), and 1 more: that is more than data" in message) == (limit == 3)
    assert f"data.max_unreadable = {limit} allows" in message
    assert len(examples.problems.rows) == limit + 1


def test_images_in_memory_are_replaced_too(painted_set):
    examples = painted_set()
    items = examples.images.items.numpy()
    items[1] = items[1][: len(items[1]) // 2]
    broken = replace(examples, images=StoredImages(tf.constant(items), False))
    with pytest.warns(UserWarning, match=r"image1.png .*damaged or cut off"):
        row, _ = Replacements(broken, np.zeros(7), 1).find(np.int64(1), items[1])
    assert row == 2


def test_an_image_that_only_comes_in_order_ends_in_an_error(painted_set, recwarn):
    stored = tf.data.Dataset.from_tensor_slices([b""] * 7)
    images = SequentialImages(stored, np.arange(7), 10)
    examples = replace(painted_set(), images=images)
    with pytest.raises(ValueError) as error:
        Replacements(examples, np.zeros(7), 10).find(np.int64(1), b"no picture")
    assert str(error.value) == (
        "Bad data: image1.png can no longer be read (it is not an image of a known "
        "format), and no other image can take its place. Restore it, or read the data "
        "again, which leaves it out"
    )
    assert not recwarn.list


def test_threads_count_an_image_once(files_of):
    examples, files = files_of()
    remove(files[1])
    replacements = Replacements(examples, np.zeros(7), 1)
    found, together = [], threading.Barrier(4)

    def find():
        together.wait()
        found.append(replacements.find(np.int64(1), b"")[0])

    threads = [threading.Thread(target=find) for _ in range(4)]
    with pytest.warns(UserWarning) as warned:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [2] * 4
    assert len(warned) == 1 and len(examples.problems.rows) == 1
