import json

import av
import numpy as np
import pytest

from tests.helpers.command_line import failure_of
from tests.helpers.video_files import HEIGHT, WIDTH, picture, write_video
from tf_frcnn.cli import main
from tf_frcnn.data.decoding.pictures import ImageError
from tf_frcnn.data.readers.video import open_video
from tf_frcnn.models.detecting import Found
from tf_frcnn.runs import predicting_videos
from tf_frcnn.runs.inference import Run, load_detector


class Model:
    """Finds the square that moves, by its brightness; notes how many it was given."""

    class_names = ("square", "other")
    settings = None

    def __init__(self):
        self.counts = []

    def detect(self, images, *, batch_size):
        self.counts.append(len(images))
        return [self._found(image) for image in images]

    def _found(self, image):
        rows, columns = np.nonzero(image.min(-1) > 150)
        box = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
        boxes, labels = np.array([box, [0, 0, 9, 9]]), np.array([0, 1])
        return Found(
            ("square", "other"), np.array([0.9, 0.2]), boxes, labels, image.shape[:2]
        )


@pytest.fixture
def model(monkeypatch):
    own = Model()

    def load_detector(directory, overrides):
        return Run(directory, None, own)

    monkeypatch.setattr(predicting_videos, "load_detector", load_detector)
    return own


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "clip.mp4", 7, options={"movflags": "faststart"})


def predict(*words):
    return main(["predict", *map(str, words)])


def entries_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_frame_is_listed_and_drawn(random_run, model, video, tmp_path, capsys):
    out = tmp_path / "out"
    assert predict(random_run, video, "--output", out, "--batch-size", 3) == 0
    assert model.counts == [3, 3, 1]
    entries = entries_of(out / "clip.jsonl")
    assert [entry["frame"] for entry in entries] == [*range(7)]
    assert [entry["time"] for entry in entries] == [n / 10 for n in range(7)]
    for number, entry in enumerate(entries):
        assert (entry["height"], entry["width"]) == (HEIGHT, WIDTH)
        (found,) = entry["detections"]
        assert found["class"] == "square" and found["score"] == 0.9
        sides = [found[side] for side in ("ymin", "xmin", "ymax", "xmax")]
        left = 4 + 6 * number
        np.testing.assert_allclose(sides, [32, left, 52, left + 20], atol=1)
    with open_video(str(out / "clip.mp4")) as drawn:
        frames = [*drawn.frames()]
    np.testing.assert_allclose([f.time for f in frames], np.arange(7) / 10, atol=1e-3)
    for frame in frames:
        # The box is drawn around the square, and elsewhere all is as it was.
        change = np.abs(frame.pixels - picture(frame.number).astype(int)).max(-1)
        left = 4 + 6 * frame.number
        assert change[32:52, left].mean() > 60 > 20 > change[:12, 50:].mean()
    assert (
        f"{video}: 7 frames, 0.60 s: {out}/clip.jsonl and " in capsys.readouterr().out
    )


def test_a_damaged_video_is_one_error_and_what_was_before_stays(
    random_run, model, video, tmp_path, capsys
):
    video.write_bytes(video.read_bytes()[:-60])
    out = tmp_path / "out"
    line = failure_of(
        capsys, "predict", random_run, video, "--output", out, "--batch-size", 100
    )
    count = len(entries_of(out / "clip.jsonl"))
    assert 0 < count < 7
    assert f"cut off after {count} frames" in line
    assert line.endswith(f"What was before is in {out}/clip.jsonl.")
    with av.open(str(out / "clip.mp4")) as drawn:
        assert len([*drawn.decode(video=0)]) == count


def test_a_stop_keeps_what_is_done(random_run, model, video, tmp_path, capsys):
    detect, out = model.detect, tmp_path / "out"

    def stop(images, **rest):
        if model.counts:
            raise KeyboardInterrupt
        return detect(images, **rest)

    model.detect = stop
    words = [video, "--output", out, "--batch-size", 2, "--no-pictures"]
    assert predict(random_run, *words) == 130
    assert len(entries_of(out / "clip.jsonl")) == 2
    assert "Stopped after 2 frames. What was before is" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["clip.jsonl"]


def test_frames_that_no_canvas_holds_are_one_error(
    random_run, model, video, tmp_path, capsys
):
    def refuse(images, **rest):
        raise ImageError("images[0]: none of images.canvases holds it.")

    model.detect = refuse
    words = [video, "--output", tmp_path / "out", "--batch-size", 2]
    line = failure_of(capsys, "predict", random_run, *words)
    assert line == f"{video}: a frame of it: none of images.canvases holds it."


def test_results_take_the_place_of_nothing(random_run, model, video, tmp_path, capsys):
    words = ["predict", random_run, video, "--output"]
    line = failure_of(capsys, *words, tmp_path, "--overwrite")
    assert "clip.mp4 is one of the given files" in line
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "clip.jsonl").write_text("mine")
    line = failure_of(capsys, *words, tmp_path / "out")
    assert "clip.jsonl exists already" in line
    assert model.counts == []


def test_what_videos_do_not_have_is_refused(random_run, video, tmp_path, capsys):
    for words in (["--shard", "1/2"], ["--runner", "DirectRunner"], ["--coco", "a"]):
        line = failure_of(capsys, "predict", random_run, video, *words)
        assert line == f"videos have no {words[0]}."


@pytest.mark.slow
def test_frames_are_detected_as_images_are(random_run, video, tmp_path):
    words = [video, "--output", tmp_path / "out", "--min-score", 0]
    assert predict(random_run, *words) == 0
    entries = entries_of(tmp_path / "out" / "clip.jsonl")
    with open_video(str(video)) as own:
        pixels = [frame.pixels for frame in own.frames()]
    model = load_detector(random_run).model
    for entry, found in zip(entries, model.detect(pixels), strict=True):
        boxes = [
            [d[s] for s in ("ymin", "xmin", "ymax", "xmax")]
            for d in entry["detections"]
        ]
        np.testing.assert_allclose(boxes, found.boxes, atol=1e-3)
        assert len(boxes) > 0
