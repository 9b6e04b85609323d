"""Inference of torchvision's detectors in ONNX Runtime; see `compare.py`."""

import os
import tempfile
from pathlib import Path

import onnxruntime
import torch
from compared.answering import NUM_CLASSES, answer, arguments
from gpu import made_up
from gpu.torchvision_detectors import build


def main():
    asked = arguments(["vgg16", "resnet50_fpn"])
    model = build(asked.detector, NUM_CLASSES, asked.canvas).eval()
    made = made_up.batch(1, asked.canvas, NUM_CLASSES)
    image = torch.from_numpy(made["images"][0] / 255).permute(2, 0, 1).contiguous()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        torch.onnx.export(model, ([image],), path, opset_version=17, dynamo=False)
        session = onnxruntime.InferenceSession(path, options)
    del model
    inputs = {session.get_inputs()[0].name: image.numpy()}
    answer(lambda: session.run(None, inputs))


if __name__ == "__main__":
    main()
