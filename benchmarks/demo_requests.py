"""Sends many pictures at once to `tf-frcnn demo`, while others stand in their way.

    python benchmarks/demo_requests.py --requests 100

The page serves a small network with random weights. Pictures of many sizes are drawn
and sent one by one; then all are sent at once, behind a picture that is slow, while
connections are open that send nothing, half of a request's head, or a head without its
body. An answer is wrong if it differs from that to the single request. The exit status
is the number of requests that were refused or wrongly answered, and of connections that
stayed open.
"""

import argparse
import contextlib
import io
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import NamedTuple

from machine import machine
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
# Seconds that a request or a connection is waited for.
PATIENCE = 600
HEAD = b"POST /detect HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
IDLE = {
    "sends nothing": b"",
    "half of a head": HEAD,
    "a head without its body": HEAD + b"Content-Length: 1000\r\n\r\n",
}


class Answer(NamedTuple):
    """What became of a request.

    Attributes:
        status: of HTTP; 0 where there was no answer.
        found: the answer without its time.
        seconds: from the request to the answer.
    """

    status: int
    found: dict
    seconds: float


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--idle", type=int, default=10, help="connections (10)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    pictures = [drawn_picture(draw) for _ in range(options.requests)]
    slow = slow_picture(draw)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as port:
        expected = [send(port, data) for data in [*pictures, slow]]
        if {answer.status for answer in expected} != {200}:
            raise RuntimeError("A single request was refused.")
        answers, closed = send_at_once(port, pictures, slow, options.idle)
    print(f"{machine()}; seed {options.seed}.\n")
    bad = print_answers(answers, expected) + print_closed(closed)
    return min(100, bad)


# What is sent ------------------------------------------------------------------------


def drawn_picture(draw):
    """Returns a JPEG or PNG of shapes, with sides of 20 to 1500 pixels."""
    size = draw.randint(20, 1500), draw.randint(20, 1500)
    image = Image.new("RGB", size, random_color(draw))
    pencil = ImageDraw.Draw(image)
    for _ in range(draw.randint(1, 8)):
        (left, right), (top, bottom) = (
            sorted(draw.randrange(side) for _ in range(2)) for side in size
        )
        shape = draw.choice([pencil.rectangle, pencil.ellipse])
        shape((left, top, right, bottom), fill=random_color(draw))
    return encoded(image, draw.choice(["JPEG", "PNG"]))


def slow_picture(draw):
    """Returns a progressive JPEG of 49 megapixels."""
    image = Image.new("RGB", (7000, 7000), random_color(draw))
    return encoded(image, "JPEG", progressive=True)


def random_color(draw):
    """Draws a color."""
    return tuple(draw.randrange(256) for _ in range(3))


def encoded(image, kind, **settings):
    """Returns the bytes of a picture's file."""
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


# The server --------------------------------------------------------------------------


@contextlib.contextmanager
def served(folder):
    """Serves a small network with random weights; yields the port."""
    write_random_run(folder / "random")
    command = [sys.executable, "-m", "tf_frcnn", "demo", str(folder / "random")]
    root = str(Path(__file__).parents[1])
    with subprocess.Popen(
        [*command, "--port", "0"], stdout=subprocess.PIPE, text=True, cwd=root
    ) as server:
        try:
            line = server.stdout.readline()
            yield int(line.split(" (")[0].rpartition(":")[2])
        finally:
            server.terminate()


def write_random_run(directory):
    """Writes a run folder of a network that says something everywhere."""
    from small_runs import SETTINGS

    from tf_frcnn.assembly import build_model
    from tf_frcnn.config import load_config
    from tf_frcnn.data import SHAPE_CLASSES
    from tf_frcnn.runs.inference import write_finished

    own = ("detections.score_threshold=0.0", "detections.max_per_image=8")
    config = load_config("quickstart", [*SETTINGS, *own])
    write_finished(directory, config, build_model(config, SHAPE_CLASSES))


def send(port, data):
    """Sends a picture; returns the answer."""
    request = urllib.request.Request(
        f"http://localhost:{port}/detect",
        data=data,
        headers={"Content-Type": "application/octet-stream"},
    )
    begin = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            status, found = response.status, json.load(response)
    except urllib.error.HTTPError as error:
        status, found = error.code, {}
    except OSError:
        status, found = 0, {}
    found.pop("milliseconds", None)
    return Answer(status, found, time.monotonic() - begin)


def send_at_once(port, pictures, slow, idle):
    """Sends all pictures at once.

    Returns:
        The answers, the slow picture's last; and of each kind of idle connection a list
        of the seconds after which they were closed.
    """
    kinds = [kind for kind in IDLE for _ in range(idle)]
    ready = Barrier(len(pictures) + 1)

    def send_when_ready(data):
        ready.wait()
        if data is not slow:
            time.sleep(0.1)
        return send(port, data)

    with ThreadPoolExecutor(len(kinds) + len(pictures) + 1) as threads:
        idle_ones = [threads.submit(seconds_open, port, IDLE[kind]) for kind in kinds]
        time.sleep(1)
        answers = list(threads.map(send_when_ready, [*pictures, slow]))
        closed = {kind: [] for kind in IDLE}
        for kind, future in zip(kinds, idle_ones, strict=True):
            closed[kind].append(future.result())
    return answers, closed


def seconds_open(port, data):
    """Sends data and no more; returns how long the connection stays open."""
    with socket.create_connection(("localhost", port), timeout=PATIENCE) as own:
        begin = time.monotonic()
        with contextlib.suppress(OSError):
            own.sendall(data)
            while own.recv(4096):
                pass
        return time.monotonic() - begin


# The tables --------------------------------------------------------------------------


def print_answers(answers, expected):
    """Prints the table of the answers; returns how many are not as expected."""
    print("| | sent | answered | refused | wrong | longest wait, s |")
    print("|---|---|---|---|---|---|")
    pairs, bad = list(zip(answers, expected, strict=True)), 0
    for name, own in (("pictures", pairs[:-1]), ("slow picture", pairs[-1:])):
        refused = sum(answer.status != 200 for answer, _ in own)
        wrong = sum(a.status == 200 and a.found != e.found for a, e in own)
        longest = max(answer.seconds for answer, _ in own)
        print(
            f"| {name} | {len(own)} | {len(own) - refused} | {refused} | {wrong} | "
            f"{longest:.1f} |"
        )
        bad += refused + wrong
    return bad


def print_closed(closed):
    """Prints the table of idle connections; returns how many were not closed."""
    print("\n| connection | number | closed after, s |\n|---|---|---|")
    for kind, seconds in closed.items():
        print(f"| {kind} | {len(seconds)} | {min(seconds):.1f} to {max(seconds):.1f} |")
    return sum(s >= PATIENCE for own in closed.values() for s in own)


if __name__ == "__main__":
    sys.exit(main())
