"""Detects objects in many pictures by `tf-frcnn predict`, and on runners of Beam.

    python benchmarks/predict_on_beam.py                    # 5,000 pictures
    python benchmarks/predict_on_beam.py --pictures 500     # a small form

The pictures are those of `predict_many.py`, some of them damaged; a tiny network of
random weights detects objects in them. Each way is a process of its own: the command
without a pipeline; Beam's runner in that process, once with JSON lines and once with
Parquet; Beam's runner with two worker processes; and Beam's protocol of portable
runners, by its own job service. The script prints a table with the pictures per second
and the most memory of all its processes. The exit status is 1 unless all lists have the
same entries, but for the last decimals.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import machine
from predict_many import link_pictures, memory_of

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

POLL = 0.2
SIDES = ("ymin", "xmin", "ymax", "xmax")
_LOCAL = ("--runner", "DirectRunner")
WAYS = {
    "without Beam": ("--no-pictures",),
    "DirectRunner": _LOCAL,
    "DirectRunner, Parquet": (*_LOCAL, "--list-format", "parquet"),
    "DirectRunner, two processes": (
        *_LOCAL,
        *("--beam", "direct_running_mode=multi_processing"),
        *("--beam", "direct_num_workers=2"),
    ),
    "PortableRunner, Beam's job service": (
        *("--runner", "PortableRunner"),
        *("--beam", "job_endpoint=embed", "--beam", "environment_type=LOOPBACK"),
    ),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--batch-size", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(measure(Path(folder), options.pictures, options.batch_size))


def measure(folder: Path, count: int, batch_size: int) -> int:
    """Prints what was measured; returns the exit status."""
    from tests.helpers.random_run import write_random_run
    from tf_frcnn.runs.inference import load

    run = write_random_run(folder)
    exported = load(run).export(folder / "exported")
    link_pictures(folder, count)
    print(f"\n{count} pictures, {machine()}\n")
    print("| way | seconds | pictures a second | memory, MB |")
    print("| --- | --- | --- | --- |")
    lists = []
    for number, (way, words) in enumerate(WAYS.items()):
        out = folder / f"out_{number}"
        model = exported if "--runner" in words else run
        start = time.monotonic()
        memory = start_command(folder, model, out, batch_size, words)
        seconds = time.monotonic() - start
        print(f"| {way} | {seconds:.0f} | {count / seconds:.0f} | {memory:.0f} |")
        lists.append(read_lists(out))
    is_sound = len(lists[0]) == count and all(are_same(lists[0], own) for own in lists)
    errors = sum(entry.get("error") is not None for entry in lists[0].values())
    print(
        f"\n{len(lists[0])} entries, {errors} of them of damaged pictures; the lists "
        f"are {'' if is_sound else 'NOT '}the same but for the last decimals."
    )
    return 0 if is_sound else 1


def start_command(
    folder: Path, model: Path, out: Path, batch_size: int, words: tuple[str, ...]
) -> float:
    """Runs the command; returns the most memory of all its processes in MB."""
    command = [sys.executable, "-m", "tf_frcnn", "predict", model, "pictures/*/*.jpg"]
    command += ["--output", out, "--min-score", 0, "--batch-size", batch_size, *words]
    root = str(Path(__file__).parents[1])
    with (folder / "log").open("w") as log:
        child = subprocess.Popen(
            [*map(str, command)],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": root},
            stdout=log,
            stderr=log,
        )
        most = 0.0
        while child.poll() is None:
            time.sleep(POLL)
            most = max(most, memory_of_all(child.pid))
    if child.returncode:
        print((folder / "log").read_text())
        raise SystemExit(f"The command failed: {' '.join(map(str, command))}")
    return most


def memory_of_all(process: int) -> float:
    """Returns the memory of a process and of those that it started, in MB."""
    total, waiting = 0.0, [str(process)]
    while waiting:
        own = waiting.pop()
        total += memory_of(int(own))[0]
        for threads in Path(f"/proc/{own}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                waiting += threads.read_text().split()
    return total


def read_lists(out: Path) -> dict[str, dict]:
    """Returns the entries by file."""
    from tf_frcnn.runs.stored_detections import entries_of

    paths = [*out.glob("*.jsonl"), *out.glob("*.parquet")]
    return {entry["file"]: entry for path in paths for entry in entries_of(path)}


def are_same(expected: dict[str, dict], own: dict[str, dict]) -> bool:
    """Says whether two lists have the same entries, but for the last decimals."""
    if own.keys() != expected.keys():
        return False
    for file, entry in own.items():
        numbers = []
        for one in (entry, expected[file]):
            found = one.get("detections") or ()
            rows = [[d["score"] * 100, *(d[side] for side in SIDES)] for d in found]
            numbers.append(np.array(rows).reshape(-1, 5))
        same = numbers[0].shape == numbers[1].shape
        if not same or not np.allclose(*numbers, rtol=0, atol=5e-3):
            print(f"{file}: {entry} differs from {expected[file]}")
            return False
        if (entry.get("error") is None) != (expected[file].get("error") is None):
            return False
    return True


if __name__ == "__main__":
    main()
