"""Detects objects in very many pictures, is killed in the middle, and goes on.

    python benchmarks/predict_many.py                       # 100,000 pictures
    python benchmarks/predict_many.py --pictures 1000       # a small form

The pictures are hard links to a few files, one of which is damaged, in folders of 1,000
with the same names in each. `tf-frcnn predict --no-pictures` runs with a tiny network
of random weights in a process of its own, which is killed by SIGKILL when half of the
pictures are listed; the same command is then started again. The script prints a table
with the time of the first and the last pictures of each start and of those between,
the memory at that time, and what the kill lost. The exit status is 1 unless every
picture is listed exactly once.
"""

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from machine import machine
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

PER_FOLDER = 1000
SIZES = ((128, 96), (96, 128), (120, 90), (128, 80), (80, 128))
POLL = 0.05


class Mark(NamedTuple):
    """A moment of a start.

    Attributes:
        seconds: since the start.
        listed: pictures that are in the list.
        memory: of the process, in MB.
    """

    seconds: float
    listed: int
    memory: float


class Start(NamedTuple):
    """What was seen of a start of the command.

    Attributes:
        marks: from its first picture to its end.
        peak: most memory, in MB.
        status: of the exit; the negative number of a signal.
    """

    marks: list[Mark]
    peak: float
    status: int


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--batch-size", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(measure(Path(folder), options.pictures, options.batch_size))


def measure(folder: Path, count: int, batch_size: int) -> int:
    """Prints what was measured; returns the exit status."""
    from tests.helpers.random_run import write_random_run

    run = write_random_run(folder)
    link_pictures(folder, count)
    lines = folder / "out" / "detections.jsonl"
    words = [sys.executable, "-m", "tf_frcnn", "predict", run, "pictures/*/*.jpg"]
    words += ["--output", lines.parent, "--no-pictures", "--batch-size", batch_size]
    command = [*map(str, words)]
    first = watch(command, lines, folder, kill_at=count // 2)
    kept = whole_lines(lines)
    second = watch(command, lines, folder)
    print(f"\n{count} pictures, {machine()}\n")
    print("| pictures | seconds | pictures a second | memory, MB |")
    print("| --- | --- | --- | --- |")
    for start in (first, second):
        print_slices(start, max(1, min(1000, count // 10)))
    waits = " and ".join(f"{s.marks[0].seconds:.0f}" for s in (first, second))
    print(f"\nThe first pictures came {waits} seconds after the starts.")
    print(f"Killed with {kept} pictures listed, which {lines.name} kept.")
    print(f"Most memory: {first.peak:.0f} MB, {second.peak:.0f} MB.")
    return check(lines, folder, count, kept, second)


def link_pictures(folder: Path, count: int) -> None:
    """Makes the pictures in folder/pictures."""
    sources = []
    for number, size in enumerate(SIZES):
        sources.append(folder / f"{number}.jpg")
        noise = Image.effect_noise(size, 60).convert("RGB")
        noise.save(sources[-1], quality=85)
    sources.append(folder / "damaged.jpg")
    sources[-1].write_bytes(sources[0].read_bytes()[:200])
    # The damaged one is every thousandth.
    for number in range(count):
        own, place = divmod(number, PER_FOLDER)
        target = folder / "pictures" / f"{own:04d}" / f"{place:04d}.jpg"
        if place == 0:
            target.parent.mkdir(parents=True)
        source = sources[-1] if place == 7 else sources[number % len(SIZES)]
        os.link(source, target)


def watch(
    command: list[str], lines: Path, folder: Path, kill_at: int | None = None
) -> Start:
    """Starts the command, notes how the list grows, and perhaps kills it."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    before = whole_lines(lines) if lines.exists() else 0
    child = subprocess.Popen(command, cwd=folder, env=environment)
    begun, marks, peak, place, listed = time.monotonic(), [], 0.0, 0, 0
    while child.poll() is None:
        time.sleep(POLL)
        if lines.exists():
            with lines.open("rb") as file:
                file.seek(place)
                new = file.read()
            place, listed = place + len(new), listed + new.count(b"\n")
        now, highest = memory_of(child.pid)
        peak = max(peak, highest)
        if listed > before:
            marks.append(Mark(time.monotonic() - begun, listed, now))
        if kill_at is not None and listed >= kill_at:
            child.send_signal(signal.SIGKILL)
            break
    return Start(marks, peak, child.wait())


def memory_of(process: int) -> tuple[float, float]:
    """Returns the memory of a process now, and the most that it had, in MB."""
    try:
        text = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0, 0.0
    found = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    values = (found.get(name, "0 kB") for name in ("VmRSS", "VmHWM"))
    now, highest = (int(value.split()[0]) / 1024 for value in values)
    return now, highest


def whole_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


def print_slices(start: Start, size: int) -> None:
    """Prints a row for the first and the last pictures of a start, and those between.

    Args:
        start: what was seen.
        size: about how many pictures the first and the last rows have.
    """
    first, last = start.marks[0].listed, start.marks[-1].listed
    step = max(size, (last - first - 2 * size) // 4)
    ends = {first, first + size, last - size, last}
    ends |= {*range(first + size + step, last - size - step // 2, step)}
    marks = [next(m for m in start.marks if m.listed >= end) for end in sorted(ends)]
    for one, other in itertools.pairwise(marks):
        seconds, count = other.seconds - one.seconds, other.listed - one.listed
        print(
            f"| {one.listed + 1:,} to {other.listed:,} | {seconds:.1f} "
            f"| {count / max(seconds, 1e-9):.0f} | {other.memory:.0f} |"
        )


def check(lines: Path, folder: Path, count: int, kept: int, second: Start) -> int:
    """Prints whether each picture is listed once; returns the exit status."""
    entries = [json.loads(line) for line in lines.read_bytes().splitlines()]
    times = Counter(entry["file"] for entry in entries)
    pictures = {str(p.relative_to(folder)) for p in folder.glob("pictures/*/*.jpg")}
    is_sound = times.keys() == pictures and {*times.values()} == {1}
    errors = sum("error" in entry for entry in entries)
    print(
        f"{len(entries)} entries, {errors} of them of damaged pictures: each of the "
        f"{count} pictures is {'' if is_sound else 'NOT '}listed exactly once."
    )
    went_on = second.status == 0 and len(entries) - kept == count - kept
    return 0 if is_sound and went_on else 1


if __name__ == "__main__":
    main()
