import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_frcnn.config import Config
from tf_frcnn.data import Problems
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.models.detecting import Found
from tf_frcnn.runs import predictions
from tf_frcnn.runs.drawings import Drawings
from tf_frcnn.runs.predictions import ImageResult, detect_each, write_predictions
from tf_frcnn.runs.result_lines import ResultLines


@pytest.fixture
def files(tmp_path):
    """Paths of 60 images, lying and upright ones by turns; each third is damaged."""
    for number in range(60):
        path = tmp_path / f"{number:02d}.png"
        shape = [12, 18, 3] if number % 2 else [18, 12, 3]
        Image.fromarray(np.full(shape, number, np.uint8)).save(path)
        if number % 3 == 0:
            path.write_bytes(path.read_bytes()[:50])
    return sorted(map(str, tmp_path.iterdir()))


class Model:
    """Finds the whole of each image, with its grey value as the label."""

    class_names = tuple(f"grey {n}" for n in range(60))

    resizing = Resizing((12,), 18, ((12, 18), (18, 12)))
    settings = Config()

    def __init__(self):
        self.shapes = []

    def predict_on_batch(self, batch):
        images, sizes = batch["images"].numpy(), batch["file_sizes"].numpy()
        self.shapes.append(images.shape)
        zeros = np.zeros([len(images), 1, 2])
        return {
            "boxes": np.concatenate([zeros, sizes[:, np.newaxis]], axis=2),
            "scores": np.full([len(images), 1], 0.5),
            "labels": images[:, :1, 0, 0].astype(int),
            "valid": np.full([len(images), 1], True),
        }

    def detect_in_tiles(self, image):
        size = np.array(image.shape[:2], np.float32)
        batch = {"images": image[np.newaxis], "file_sizes": tf.constant([size])}
        found = self.predict_on_batch(batch)
        return {name: v[0] for name, v in found.items()} | {"file_sizes": size}


@pytest.fixture
def model():
    return Model()


def test_each_file_has_one_result_and_batches_share_a_canvas(model, files):
    problems = Problems()
    results = [*detect_each(model, files, problems, batch_size=4)]
    assert sorted(result.file for result in results) == files
    for result in results:
        number = files.index(result.file)
        if number % 3 == 0:
            assert result.found is None and "damaged" in result.reason
            continue
        assert result.found.names == (f"grey {number}",)
        assert result.found.size == ((12, 18) if number % 2 else (18, 12))
        np.testing.assert_array_equal(result.found.boxes, [[0, 0, *result.found.size]])
    assert model.shapes == [(4, 18, 12, 3), (4, 12, 18, 3)] * 5
    assert problems.counts() == {"unreadable_image": 20}


def test_where_there_are_tiles_each_image_is_given_as_a_whole(model, files):
    model.settings = Config(tiles={"size": [8, 8]})
    results = [*detect_each(model, files, Problems())]
    assert [result.file for result in results] == files
    assert [result.found is None for result in results] == [True, False, False] * 20
    names = [result.found.names for result in results if result.found]
    assert names == [(f"grey {n}",) for n in range(60) if n % 3]
    assert results[1].found.size == (12, 18) and results[2].found.size == (18, 12)


def test_files_are_read_a_few_ahead_and_not_before(model, files, monkeypatch):
    read = []
    checked = predictions.read_checked

    def note(path, *rest):
        read.append(path)
        return checked(path, *rest)

    monkeypatch.setattr(predictions, "read_checked", note)
    results = detect_each(model, files, Problems(), batch_size=1)
    assert read == []
    next(results)
    assert 1 <= len(read) <= 16
    results.close()
    assert len(read) < 60


def result_of(file, scores):
    count = len(scores)
    found = Found(
        ("a",) * count,
        np.array(scores),
        np.arange(4.0 * count).reshape(-1, 4),
        np.zeros(count, int),
        (20, 30),
    )
    return ImageResult(file, found, ("a",))


@pytest.mark.parametrize("total", [2, 101])
def test_entries_are_listed_and_of_few_images_printed(tmp_path, capsys, total):
    results = [
        result_of("x.png", [0.75, 0.5, 0.25]),
        ImageResult("y.png", None, reason="it is damaged"),
    ]
    with ResultLines(tmp_path / "list") as lines, Drawings(tmp_path, {}) as drawings:
        assert write_predictions(results, lines, drawings, 0.5, total) == 1
    first, second = map(json.loads, (tmp_path / "list").read_text().splitlines())
    assert second == {"file": "y.png", "error": "it is damaged"}
    found = first.pop("detections")
    assert first == {"file": "x.png", "height": 20, "width": 30}
    assert [own["score"] for own in found] == [0.75, 0.5]
    box = {"ymin": 4.0, "xmin": 5.0, "ymax": 6.0, "xmax": 7.0}
    assert found[1] == {"class": "a", "score": 0.5, **box}
    printed = capsys.readouterr().out
    assert printed == ("x.png: 2 detections\n" if total == 2 else "")
