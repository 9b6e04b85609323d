r"""Times this package beside torchvision, step by step in turn, and prints a table.

    pip install torchvision
    python benchmarks/compare.py
    python benchmarks/compare.py --programs onnxruntime openvino torchvision \\
        --work "resnet50_fpn 800x1066 inference"

Each program waits in a process of its own until it is asked for a step, one after the
other, so that other work on the machine falls on all alike. A step is one image of
noise with 16 boxes among 80 classes, of the canvas's size, with random weights: the
detectors then do the work of trained ones, but for what follows the scores. VGG16 is
the paper's, at torchvision with RoIAlign; both fix the same blocks of their backbones.
`--peer-python` takes torchvision from another environment, which needs onnx and
onnxruntime as well for "torchvision_onnx", its detectors as ONNX files. "c_program" is
serving/detect.c with the SavedModel, and needs a C compiler.
"""

import argparse
import json
import subprocess
import sys
import tempfile
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
# Module, the precisions, and whether it trains, too.
PROGRAMS = {
    "tensorflow": ("compared.ours", ("float32", "bfloat16"), True),
    "c_program": ("compared.c_program", ("float32",), False),
    "onnxruntime": ("compared.converted onnxruntime", ("float32", "int8"), False),
    "openvino": ("compared.converted openvino", ("float32", "int8"), False),
    "torchvision": ("compared.theirs", ("float32", "bfloat16"), True),
    "torchvision_onnx": ("compared.theirs_converted", ("float32",), False),
}


class Program:
    """A process that does a step when it is asked to."""

    def __init__(self, python, module, *words):
        self.said = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [python, "-m", *module.split(), *map(str, words)],
            cwd=Path(__file__).parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
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
            self.said.seek(0)
            raise SystemExit(
                f"{' '.join(self.process.args)} ended without a step: "
                f"{self.said.read()[-2000:]}"
            )
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
    parser.add_argument(
        "--programs",
        nargs="+",
        default=["tensorflow", "torchvision"],
        choices=list(PROGRAMS),
    )
    parser.add_argument(
        "--precisions",
        nargs="+",
        default=["float32", "bfloat16", "int8"],
        help="of those that a program has (all); float32 is always measured",
    )
    parser.add_argument("--steps", type=int, default=7, help="of each program (7)")
    parser.add_argument("--peer-python", default=sys.executable, metavar="PYTHON")
    options = parser.parse_args()
    print(f"{machine()}; batch 1, medians of {options.steps} steps.\n")
    print("| work | program | precision | step | torchvision's float32 / it | memory |")
    print("|---|---|---|---|---|---|")
    for name in options.work:
        for line in rows(name, options):
            print(line, flush=True)


def rows(name, options):
    """Returns the table's rows of a work, one for each program and precision."""
    detector, kind, height, width = WORK[name]
    programs = {}
    for program in options.programs:
        module, precisions, trains = PROGRAMS[program]
        is_peer = program.startswith("torchvision")
        python = options.peer_python if is_peer else sys.executable
        precisions = [p for p in precisions if p in ("float32", *options.precisions)]
        for precision in precisions if trains or kind == "inference" else ():
            words = module, detector, kind, precision, height, width
            programs[program, precision] = Program(python, *words)
    for _ in range(options.steps):
        for program in programs.values():
            program.step()
    for program in programs.values():
        program.end()
    peer = programs["torchvision", "float32"].median()
    for (program, precision), own in programs.items():
        yield (
            f"| {name} | {program} | {precision} | {own.median():.2f} s | "
            f"{peer / own.median():.2f} | {own.peak_gb:.1f} GB |"
        )


if __name__ == "__main__":
    main()
