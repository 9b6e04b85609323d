import importlib.util

import numpy as np
import pytest

from tests.helpers.video_files import HEIGHT, WIDTH, picture, turn, write_video
from tf_frcnn.data import DataError
from tf_frcnn.data.readers.video import find_videos, open_video


def test_frames_come_with_their_times_since_the_first(tmp_path):
    path = write_video(tmp_path / "a.mkv", 4, times=[0, 1, 4, 5])
    with open_video(str(path)) as video:
        frames = [*video.frames()]
    assert [frame.number for frame in frames] == [0, 1, 2, 3]
    np.testing.assert_allclose([f.time for f in frames], [0, 0.1, 0.4, 0.5], atol=1e-3)
    for frame in frames:
        assert frame.pixels.shape == (HEIGHT, WIDTH, 3)
        # Compression, and half the resolution of colours.
        assert np.abs(frame.pixels - picture(frame.number).astype(int)).mean() < 4


def test_a_video_that_was_turned_is_upright(tmp_path):
    path = write_video(tmp_path / "a.mp4", 2)
    turn(path)
    with open_video(str(path)) as video:
        pixels = next(video.frames()).pixels
    assert pixels.shape == (WIDTH, HEIGHT, 3)
    expected = np.rot90(picture(0), -1)
    assert np.abs(pixels - expected.astype(int)).mean() < 4


@pytest.mark.parametrize("ending", ["mp4", "avi"])
def test_a_damaged_video_gives_its_first_frames_and_one_error(tmp_path, ending):
    options = {"movflags": "faststart"} if ending == "mp4" else {}
    path = write_video(tmp_path / f"a.{ending}", 12, options=options)
    path.write_bytes(path.read_bytes()[: -900 if ending == "avi" else -150])
    frames = []
    with open_video(str(path)) as video, pytest.raises(DataError) as caught:
        for frame in video.frames():
            frames.append(frame)
    assert [frame.number for frame in frames] == [*range(len(frames))]
    assert 0 < len(frames) < 12
    told = f"{path}: it is damaged or cut off after {len(frames)} frames, at "
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize("content", [b"", b"no video " * 50])
def test_what_is_no_video_is_named(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.mp4: it cannot be opened as a video"):
        with open_video(str(path)):
            pass


def test_videos_are_known_by_their_endings_and_cameras_by_their_addresses(tmp_path):
    for name in ("b.mp4", "a.mp4", "c.MOV"):
        (tmp_path / name).touch()
    places = ["rtsp://door/1", "https://server/clip.webm?key=1", "/dev/video0"]
    found = find_videos([f"{tmp_path}/*.mp4", str(tmp_path / "c.MOV"), *places])
    own = [f"{tmp_path}/{name}" for name in ("a.mp4", "b.mp4", "c.MOV")]
    assert found == [*own, *places]
    assert find_videos(["photos", "a.gif", "gs://bucket/*.jpg"]) == []
    with pytest.raises(DataError, match="photos: it is no video, as others are"):
        find_videos(["a.mp4", "photos"])
    with pytest.raises(DataError, match=r"x\*\.mp4: no video found"):
        find_videos([f"{tmp_path}/x*.mp4"])


def test_without_pyav_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "tf-frcnn\[video\]"'):
        with open_video("a.mp4"):
            pass
