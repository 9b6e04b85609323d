"""Times torchvision's detector for the job of an exported program.

    echo | python peers.py programs/vgg16-training-float32-2 eager

Prints "ready", waits for a line, and prints the seconds of a step and the memory as
JSON. The images have the size of the canvas already, so that nothing is resized.
"compiled" takes `torch.compile` for the backbone and the heads, whose shapes do not
change.
"""

import argparse
import json
from pathlib import Path

import made_up
import torch
from timing import times_of, wait_for_turn
from torchvision_detectors import build, step_of


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("form", choices=["eager", "compiled"])
    options = parser.parse_args()
    about = json.loads((options.program / "about.json").read_text())
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name, kind, precision, _ = options.program.name.split("-")
    model = build(name, about["classes"], about["canvas"]).to(device)
    if options.form == "compiled":
        model.backbone = torch.compile(model.backbone)
        model.rpn.head = torch.compile(model.rpn.head)
        model.roi_heads.box_head = torch.compile(model.roi_heads.box_head)
    made = made_up.batch(about["batch"], about["canvas"], about["classes"])
    step = step_of(model, kind, made, device)
    dtype = torch.bfloat16 if precision == "bfloat16" else None

    def synchronised():
        with torch.autocast(device, dtype=dtype, enabled=dtype is not None):
            step()
        if device == "cuda":
            torch.cuda.synchronize()

    if options.form == "compiled":
        synchronised()
    wait_for_turn()
    # The first steps try algorithms, some of which take all the memory there is.
    for _ in range(2):
        synchronised()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    row = times_of(synchronised)
    if device == "cuda":
        row["memory_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    row["torch"] = torch.__version__
    print(json.dumps(row))


if __name__ == "__main__":
    main()
