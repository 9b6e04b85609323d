"""Times exported XLA programs by JAX, and torchvision's detectors beside them.

    python run_programs.py programs --output times.json

Needs JAX, or PyTorch and torchvision, or both; not TensorFlow. TF32 is allowed to both
for float32, as XLA does by itself. Times are medians of synchronised steps. Each
program has a process of its own, one after the other, so that one that fails, for want
of memory say, is a row and no more.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("programs", type=Path)
    parser.add_argument("--output", type=Path, default=Path("times.json"))
    parser.add_argument("--by", nargs="+", default=["xla", "eager", "compiled"])
    parser.add_argument("--only", default="", help="part of the programs' names")
    parser.add_argument("--profile", type=int, default=0, help="operations to list")
    options = parser.parse_args()
    rows = []
    for form in options.by:
        for folder in sorted(options.programs.iterdir()):
            if options.only in folder.name:
                row = {"program": folder.name, "by": form}
                rows.append(row | run(folder, form, options.profile))
                print(json.dumps(rows[-1]), flush=True)
                options.output.write_text("\n".join(map(json.dumps, rows)) + "\n")


def run(folder, form, num_operations):
    """Returns what a program's process prints, or how it ended."""
    script = "xla.py" if form == "xla" else "peers.py"
    more = ["--profile", str(num_operations)] if form == "xla" else [form]
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name(script), folder, *more],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"},
    )
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {"error": f"exit status {done.returncode}: {done.stderr[-300:]}"}


if __name__ == "__main__":
    main()
