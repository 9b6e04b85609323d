"""Steps of torchvision's detectors, one image each; see `compare.py`."""

import torch
from compared.answering import NUM_CLASSES, answer, arguments
from gpu import made_up
from gpu.torchvision_detectors import build, step_of


def main():
    asked = arguments(["vgg16", "resnet50_fpn"])
    model = build(asked.detector, NUM_CLASSES, asked.canvas)
    made = made_up.batch(1, asked.canvas, NUM_CLASSES)
    step = step_of(model, asked.kind, made, "cpu")

    def in_precision():
        lower = asked.precision == "bfloat16"
        with torch.autocast("cpu", torch.bfloat16, enabled=lower):
            step()

    answer(in_precision)


if __name__ == "__main__":
    main()
