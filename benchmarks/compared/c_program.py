"""Inference of a recipe's SavedModel by serving/detect.c; see `compare.py`.

Each step starts the program anew, which measures a request with one encoded picture
after two others. Decoding counts.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
from compared.answering import NUM_CLASSES, arguments
from compared.ours import RECIPES, built
from gpu import made_up

from serving import BUILD, send
from tf_frcnn.assembly import build_resizing
from tf_frcnn.export.saved_model import write_graph

MAX_MEGAPIXELS = 50.0


def main():
    asked = arguments(RECIPES)
    model, config = built(asked)
    made = made_up.batch(1, asked.canvas, NUM_CLASSES)
    with tempfile.TemporaryDirectory() as folder:
        program, exported = Path(folder) / "detect", Path(folder) / "1"
        picture = Path(folder) / "picture.jpg"
        keras.utils.save_img(picture, made["images"][0], scale=False)
        write_graph(model, build_resizing(config.images), exported, MAX_MEGAPIXELS)
        del model
        subprocess.run([BUILD, program, sys.executable], check=True)
        for _ in sys.stdin:
            found = send(program, exported, [picture], requests=1)
            seconds, peak = found["median_ms"] / 1e3, found["memory_peak_mib"] / 2**10
            print(json.dumps({"seconds": seconds, "peak_gb": peak}), flush=True)


if __name__ == "__main__":
    main()
