"""Times exported XLA programs by JAX, and torchvision's detectors beside them.

    python run_programs.py programs --output times.json

Needs JAX, or PyTorch and torchvision, or both; not TensorFlow. TF32 is allowed to both
for float32, as XLA does by itself. Times are medians of synchronised steps. Each
program has a process of its own, so that one that fails, for want of memory say, is a
row and no more. Four at a time are compiled side by side, and then timed one after the
other.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

AT_ONCE = 4
# JAX keeps what trying algorithms took, up to its share.
ENVIRONMENT = {
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "XLA_PYTHON_CLIENT_MEM_FRACTION": str(0.9 / AT_ONCE),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("programs", type=Path)
    parser.add_argument("--output", type=Path, default=Path("times.json"))
    parser.add_argument("--by", nargs="+", default=["xla", "eager", "compiled"])
    parser.add_argument("--only", default="", help="part of the programs' names")
    parser.add_argument("--profile", type=int, default=0, help="operations to list")
    options = parser.parse_args()
    folders = sorted(f for f in options.programs.iterdir() if options.only in f.name)
    jobs = [(folder, form) for form in options.by for folder in folders]
    rows = []
    for start in range(0, len(jobs), AT_ONCE):
        together = jobs[start : start + AT_ONCE]
        processes = [Job(*job, options.profile) for job in together]
        for process in processes:
            process.wait_until_ready()
        for process in processes:
            rows.append(process.measure())
            print(json.dumps(rows[-1]), flush=True)
            options.output.write_text("\n".join(map(json.dumps, rows)) + "\n")


class Job:
    """The process of one program, which compiles it and waits for its turn."""

    def __init__(self, folder, form, num_operations):
        script = "xla.py" if form == "xla" else "peers.py"
        more = ["--profile", str(num_operations)] if form == "xla" else [form]
        self._row = {"program": folder.name, "by": form}
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name(script), folder, *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=os.environ | ENVIRONMENT,
        )

    def wait_until_ready(self):
        self._process.stdout.readline()

    def measure(self):
        """Returns what the process prints in its turn, or how it ended."""
        printed, _ = self._process.communicate("\n")
        try:
            return self._row | json.loads(printed.splitlines()[-1])
        except (IndexError, ValueError):
            self._errors.seek(0)
            ended = f"exit status {self._process.returncode}"
            return self._row | {"error": f"{ended}: {self._errors.read()[-300:]}"}


if __name__ == "__main__":
    main()
