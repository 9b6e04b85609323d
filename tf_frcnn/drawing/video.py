"""A video that is written frame by frame."""

from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np

# As MPEG counts time, in seconds.
_TICK = Fraction(1, 90_000)
# Without frames that refer to later ones, the first has time 0. A key frame every two
# seconds or so ends a part of the file that is whole whatever becomes of the rest.
_X264 = {"preset": "veryfast", "crf": "20", "bf": "0", "g": "50"}


class VideoWriter:
    """Writes an MP4 file, as `with VideoWriter(path, rate) as writer`.

    A file of a process that was killed can be played up to its last key frame. The
    first frame decides the size; later ones are brought to it. H.264 has even sides:
    others grow by a pixel.

    Args:
        path: of the file.
        rate: frames a second, on average.
    """

    def __init__(self, path: Path, rate: Fraction):
        self._path, self._rate = path, rate
        self._container: Any = None
        self._stream: Any = None
        self._last = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._container is None:
            return
        with self._container:
            self._container.mux(self._stream.encode(None))

    def add(self, pixels: np.ndarray, time: float) -> None:
        """Adds a frame.

        Args:
            pixels: uint8 [h, w, 3], RGB.
            time: seconds since the first frame.

        Raises:
            OSError: the file could not be written.
        """
        import av

        if self._container is None:
            self._open(*pixels.shape[:2])
        stream = self._stream
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
        frame = frame.reformat(stream.width, stream.height, "yuv420p")
        frame.time_base = _TICK
        self._last = frame.pts = max(round(time / _TICK), self._last + 1)
        self._container.mux(stream.encode(frame))

    def _open(self, height: int, width: int) -> None:
        import av

        options = {"movflags": "hybrid_fragmented", "flush_packets": "1"}
        self._container = av.open(str(self._path), "w", options=options)
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        own = _X264 if codec == "libx264" else {"q": "3"}
        self._stream = self._container.add_stream(codec, rate=self._rate, options=own)
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = _TICK
