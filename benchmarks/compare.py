"""Times this package beside torchvision, step by step in turn, and prints a table.

    pip install torchvision
    python benchmarks/compare.py

Each program waits in a process of its own until it is asked for a step, one after the
other, so that other work on the machine falls on all alike. A step is one image of
noise with 16 boxes among 80 classes, of the canvas's size, with random weights: the
detectors then do the work of trained ones, but for what follows the scores. VGG16 is
the paper's, at torchvision with RoIAlign; both fix the same blocks of their backbones.
`--peer-python` takes torchvision from another environment.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from machine import machine

WORK = {
    f"{detector} {height}x{width} {kind}": (detector, kind, height, width)
    for detector, height, width in [
        ("vgg16", 600, 800),
        ("vgg16", 304, 400),
        ("resnet50_fpn", 800, 1066),
    ]
    for kind in ("inference", "training")
}
PRECISIONS = ("float32", "bfloat16")


class Program:
    """A process that does a step when it is asked to."""

    def __init__(self, python, module, detector, kind, precision, height, width):
        words = [detector, kind, precision, str(height), str(width)]
        self.process = subprocess.Popen(
            [python, "-m", module, *words],
            cwd=Path(__file__).parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.seconds, self.peak_gb = [], 0.0
        self.step()  # The first makes the graph and takes the memory.
        self.seconds.clear()

    def step(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self.process.args)} ended without a step.")
        answer = json.loads(line)
        self.seconds.append(answer["seconds"])
        self.peak_gb = answer["peak_gb"]

    def median(self):
        return float(np.median(self.seconds))

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", nargs="+", default=list(WORK), choices=list(WORK))
    parser.add_argument("--steps", type=int, default=7, help="of each program (7)")
    parser.add_argument(
        "--precisions", nargs="+", default=PRECISIONS, choices=PRECISIONS
    )
    parser.add_argument("--peer-python", default=sys.executable, metavar="PYTHON")
    options = parser.parse_args()
    print(f"{machine()}; batch 1, medians of {options.steps} steps.\n")
    print("| work | precision | ours | torchvision | ratio | peak memory, each |")
    print("|---|---|---|---|---|---|")
    for name in options.work:
        for line in rows(name, options):
            print(line, flush=True)


def rows(name, options):
    """Returns the table's rows of a work, one for each precision."""
    detector, kind, height, width = WORK[name]
    sides = {"ours": sys.executable, "theirs": options.peer_python}
    programs = {
        (side, precision): Program(
            python, f"compared.{side}", detector, kind, precision, height, width
        )
        for precision in options.precisions
        for side, python in sides.items()
    }
    for _ in range(options.steps):
        for program in programs.values():
            program.step()
    for program in programs.values():
        program.end()
    for precision in options.precisions:
        own, peer = (programs[side, precision] for side in sides)
        yield (
            f"| {name} | {precision} | {own.median():.2f} s | {peer.median():.2f} s | "
            f"{peer.median() / own.median():.2f} | {own.peak_gb:.1f} / "
            f"{peer.peak_gb:.1f} GB |"
        )


if __name__ == "__main__":
    main()
