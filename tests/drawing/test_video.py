from fractions import Fraction

import av
import numpy as np

from tests.helpers.video_files import picture
from tf_frcnn.drawing.video import VideoWriter


def frames_of(path):
    with av.open(str(path)) as container:
        frames = [*container.decode(video=0)]
    return [f.time for f in frames], [f.to_ndarray(format="rgb24") for f in frames]


def test_frames_and_their_times_are_written(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", Fraction(10)) as writer:
        for number, time in enumerate([0.0, 0.1, 0.7]):
            writer.add(picture(number), time)
    times, pixels = frames_of(tmp_path / "a.mp4")
    np.testing.assert_allclose(times, [0.0, 0.1, 0.7], atol=1e-4)
    for number, own in enumerate(pixels):
        assert np.abs(own - picture(number).astype(int)).mean() < 8


def test_odd_sides_grow_by_a_pixel_and_other_sizes_become_the_first(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", Fraction(25)) as writer:
        writer.add(picture(0)[:63, :95], 0.0)
        writer.add(picture(1)[:40, :60], 0.0)
    times, pixels = frames_of(tmp_path / "a.mp4")
    assert [own.shape for own in pixels] == [(64, 96, 3)] * 2
    assert times[1] > times[0]


def test_a_file_that_is_not_closed_can_be_played(tmp_path):
    writer = VideoWriter(tmp_path / "a.mp4", Fraction(25))
    noise = np.random.default_rng(0).integers(0, 256, [64, 96, 3], np.uint8)
    for number in range(130):
        writer.add(np.roll(noise, number, 1), number / 25)
    copy = tmp_path / "copy.mp4"
    copy.write_bytes((tmp_path / "a.mp4").read_bytes())
    with av.open(str(copy)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    assert len(packets) >= 50
    writer.__exit__()


def test_nothing_becomes_no_file(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", Fraction(25)):
        pass
    assert not [*tmp_path.iterdir()]
