"""Compares variants of Faster R-CNN on the built-in shapes, at equal steps.

    python benchmarks/compare_variants.py --seeds 3

Every variant is configs/quickstart.yaml with a few images and epochs and one thing
changed; alternating training divides the same number of steps among its four. Prints a
Markdown table of the mAP (VOC07, IoU 0.5) on held-out shapes: mean and standard
deviation over the seeds.
"""

import argparse
import contextlib
import os
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
NUM_IMAGES, NUM_TESTS, EPOCHS = 1200, 200, 4
SHORT = (
    *(f"data.num_train={NUM_IMAGES}", f"data.num_test={NUM_TESTS}"),
    *("data.num_validation=1", f"train.epochs={EPOCHS}", "train.decay_epochs=[3]"),
    *(f"train.validation_every={EPOCHS}", "train.keep_images=0"),
    "train.warmup_steps=100",
)
VARIANTS = {
    "joint, crop, softmax": (),
    "4-step alternating": (
        "train.scheme=alternating",
        "train.step_epochs=[1, 1, 1, 1]",
    ),
    "RoIPool": ("roi.pooling=pool",),
    "RoIAlign": ("roi.pooling=align", "roi.aligned=true"),
    "sigmoid": ("rpn.score_form=sigmoid",),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=VARIANTS, action="append")
    options = parser.parse_args()
    print(f"{NUM_IMAGES} images, 4 per step, {EPOCHS} epochs, {options.seeds} seeds\n")
    print("| variant | mAP, mean | standard deviation | of each seed |")
    print("|---|---|---|---|")
    for name in options.only or VARIANTS:
        results = [measure(VARIANTS[name], seed) for seed in range(options.seeds)]
        each = ", ".join(f"{result:.3f}" for result in results)
        mean, deviation = np.mean(results), np.std(results)
        print(f"| {name} | {mean:.3f} | {deviation:.3f} | {each} |", flush=True)


def measure(settings, seed):
    """Trains a variant; returns its mAP on the test images."""
    # TensorFlow takes seconds to import: not for --help.
    from tf_frcnn.assembly import (
        build_examples,
        is_alternating,
    )
    from tf_frcnn.config import load_config
    from tf_frcnn.models.evaluating import evaluate
    from tf_frcnn.runs.alternating import train_alternating
    from tf_frcnn.runs.training import train

    quickstart = ROOT / "configs" / "quickstart.yaml"
    # The shapes of one split come from neighbouring seeds; 1000 apart is far enough.
    config = load_config(quickstart, [*SHORT, *settings, f"seed={1000 * seed}"])
    with tempfile.TemporaryDirectory() as directory, open(os.devnull, "w") as nowhere:
        scheme = train_alternating if is_alternating(config) else train
        with contextlib.redirect_stdout(nowhere):
            model = scheme(config, Path(directory) / "run")
    examples = build_examples(config, "test", model.class_names)
    return evaluate(model, examples).mean


if __name__ == "__main__":
    main()
