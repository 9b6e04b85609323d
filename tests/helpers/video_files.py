"""Small videos of a square that moves over two grounds."""

import av
import numpy as np

WIDTH, HEIGHT, RATE = 96, 64, 10


def picture(number):
    """Returns a frame, uint8 [64, 96, 3]: red above left, and a square that moves."""
    pixels = np.full([HEIGHT, WIDTH, 3], 60, np.uint8)
    pixels[:24, :40] = (220, 30, 30)
    pixels[32:52, 4 + 6 * number : 24 + 6 * number] = (240, 240, 240)
    return pixels


def write_video(path, count, *, times=None, options=None):
    """Writes frames 0.1 s apart, or at the given tenths of a second, from 0.5 s on."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.gop_size = 4
        for number, time in enumerate(times or range(count)):
            frame = av.VideoFrame.from_ndarray(picture(number), "rgb24")
            frame.pts = 5 + time
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def turn(path):
    """Has an MP4 file say that its frames are to be turned clockwise by a quarter."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    # (x, y) -> (-y, x), in 16.16 and 2.30 bits; ISO 14496-12, 8.3.2.
    rows = (0, 1 << 16, 0, -(1 << 16), 0, 0, HEIGHT << 16, 0, 1 << 30)
    data[matrix : matrix + 36] = b"".join(
        n.to_bytes(4, "big", signed=True) for n in rows
    )
    path.write_bytes(data)
