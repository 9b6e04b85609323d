"""Videos and cameras, frame by frame."""

import contextlib
import importlib.util
from collections.abc import Iterator, Sequence
from fractions import Fraction
from glob import glob
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tf_frcnn.data.checks.problems import DataError

VIDEO_ENDINGS = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"),
    *(".mpg", ".mpeg", ".mts", ".m2ts", ".ts", ".wmv", ".flv"),
)
_STREAMS = ("rtsp://", "rtsps://", "rtmp://", "udp://", "srt://")
_DEVICES = "/dev/video"
# Of a camera that does not tell.
_RATE = Fraction(25)


class Frame(NamedTuple):
    """A picture of a video.

    Attributes:
        number: from 0.
        time: seconds since the first one.
        pixels: uint8 [h, w, 3], RGB, upright.
    """

    number: int
    time: float
    pixels: np.ndarray


class Video:
    """An open video; see `open_video`.

    Attributes:
        place: its file or address.
        rate: frames a second, on average.
        num_frames: as the file states it; 0 if it does not.
    """

    def __init__(self, place: str, container: Any):
        self.place, self._container = place, container
        self._stream = container.streams.video[0]
        self.rate = self._stream.average_rate or self._stream.guessed_rate or _RATE
        self.num_frames = self._stream.frames
        self._is_cut = False

    def frames(self) -> Iterator[Frame]:
        """Yields the frames as they are decoded.

        Raises:
            DataError: the video is damaged; the frames before were yielded.
        """
        import av

        number, start, time = 0, None, 0.0
        fault: str | None = None
        try:
            for frame in self._decoded():
                own = number / self.rate if frame.time is None else frame.time
                start = own if start is None else start
                time = float(own - start)
                yield Frame(number, time, _upright(frame))
                number += 1
        except av.FFmpegError as error:
            fault = error.strerror
        if fault is not None or self._is_cut:
            raise DataError(
                f"{self.place}: it is damaged or cut off after {number} frames, at "
                f"{time:.2f} s ({fault or 'its last packet is not whole'})."
            )

    def _decoded(self) -> Iterator[Any]:
        for packet in self._container.demux(self._stream):
            # The last one, which is empty, flushes the decoder.
            self._is_cut = packet.is_corrupt if packet.size else self._is_cut
            yield from packet.decode()


@contextlib.contextmanager
def open_video(place: str) -> Iterator[Video]:
    """Opens a video file, or a camera by its address or device.

    Raises:
        DataError: it cannot be opened, or is no video.
        ImportError: PyAV is not installed.
    """
    require_packages()
    import av

    try:
        is_device = place.startswith(_DEVICES)
        container = av.open(place, format="v4l2" if is_device else None)
    except av.FFmpegError as error:
        raise DataError(
            f"{place}: it cannot be opened as a video ({error.strerror})."
        ) from error
    with container:
        if not container.streams.video:
            raise DataError(f"{place}: there is no video in it.")
        yield Video(place, container)


def find_videos(patterns: Sequence[str]) -> list[str]:
    """Returns the videos and cameras among files, patterns and addresses, each once.

    Raises:
        DataError: there are others beside them, or no file fits a pattern.
    """
    others = [pattern for pattern in patterns if not _is_video(pattern)]
    if len(others) == len(patterns):
        return []
    if others:
        raise DataError(
            f"{others[0]}: it is no video, as others are; give videos and images in "
            "commands of their own."
        )
    found: dict[str, None] = {}
    for pattern in patterns:
        is_camera = "://" in pattern or pattern.startswith(_DEVICES)
        is_place = is_camera or Path(pattern).exists()
        places = [pattern] if is_place else sorted(glob(pattern, recursive=True))
        if not places:
            raise DataError(f"{pattern}: no video found.")
        found |= dict.fromkeys(places)
    return list(found)


def require_packages() -> None:
    """Raises ImportError where PyAV is not installed."""
    if importlib.util.find_spec("av") is None:
        raise ImportError(
            "Videos need the package av, which is not installed; install it with "
            'pip install "tf-frcnn[video]".'
        )


def _is_video(place: str) -> bool:
    path = place.lower().partition("?")[0] if "://" in place else place.lower()
    return path.endswith(VIDEO_ENDINGS) or place.startswith((*_STREAMS, _DEVICES))


def _upright(frame: Any) -> np.ndarray:
    """Returns a frame's pixels, turned by its display matrix in quarters."""
    # Degrees counterclockwise.
    quarters = round(frame.rotation / 90)
    pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, quarters))
