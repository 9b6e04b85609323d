"""Measures what each part of the recipe for own images gives, one added at a time.

    python benchmarks/recipe_parts.py BCCD --weights FILE --seeds 0 1 2

Every row trains on the data's training split, at equal steps, with the settings of all
rows above it and one part more, and is tested on the test split; the last rows change
one part of the whole. A run is kept in the folder `--output`; what is there is not run
again, so that the table may be made in several sittings. `--only` names rows, `--set`
changes all of them. A run of BCCD takes 15 to 80 minutes on two CPU cores.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from machine import machine

import tf_frcnn
from tf_frcnn.doctor.recipe import build_recipe

# "advised" stands for what `tf-frcnn new` chooses.
ROWS = {
    "the paper's": {
        "train.optimizer": "sgd",
        "train.learning_rate": 0.001,
        "train.weight_decay": 0.0005,
    },
    "+ anchors that fit": {
        "anchors.style": "centred",
        "anchors.ratios": "advised",
        "anchors.scales": "advised",
    },
    "+ Adam with a warm-up": {
        "train.optimizer": "adam",
        "train.learning_rate": 0.0001,
        "train.warmup_steps": 100,
        "train.clip_norm": 10.0,
        "train.weight_decay": 0.0,
    },
    "+ more RoIs, a smaller head": {
        "roi.num_samples": 256,
        "roi.foreground_fraction": 0.5,
        "roi.head_units": 1024,
        "roi.dropout": 0.0,
    },
    "+ RoIAlign": {"roi.pooling": "align", "roi.aligned": True},
    "+ a feature pyramid": {
        "backbone.name": "vgg16_fpn",
        "anchors.ratios": "advised",
        "anchors.scales": "advised",
        "rpn.channels": 256,
        "proposals.per_level": True,
        "proposals.train_pre_nms": 2000,
        "proposals.train_post_nms": 1000,
        "proposals.test_pre_nms": 1000,
    },
    "+ half a cosine": {"train.schedule": "cosine"},
    "+ averaged weights": {"train.ema": 0.998},
    "+ Soft-NMS": {"detections.suppression": "soft"},
    "+ anchors across the border": {"rpn.allowed_border": None},
}
# Each beside all of the rows above.
TRIED = {
    "with GIoU": {"loss.roi_boxes": "giou", "loss.roi_box_weight": 10.0},
    "with a cascade of three heads": {
        "roi.cascade_ious": [0.6, 0.7],
        "roi.class_agnostic": True,
    },
    "with label smoothing": {"loss.label_smoothing": 0.05},
    "with AdamW": {"train.optimizer": "adamw", "train.weight_decay": 0.05},
    "without the cosine": {"train.schedule": "steps"},
    "without averaged weights": {"train.ema": 0.0},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="a folder in the layout of VOC")
    parser.add_argument("--weights", required=True, help="of the backbone")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", choices=ROWS | TRIED, action="append")
    parser.add_argument("--train-split", default="trainval")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--output", type=Path, default=Path("runs/recipe_parts"))
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    common = {
        "data.reader": "voc",
        "data.directory": str(Path(options.data).resolve()),
        "data.train_split": options.train_split,
        "data.validation_split": "test",
        "data.test_split": "test",
        "backbone.weights": options.weights,
        "images.short_side": 480,
        "images.long_side": 640,
        "train.epochs": options.epochs,
        "train.validation_every": options.epochs,
        "train.keep_images": 0,
        "evaluation.metric": "area",
    }
    results = {}
    settings = {"backbone.name": "vgg16", "train.schedule": "steps"}
    for number, (name, part) in enumerate((ROWS | TRIED).items()):
        own = settings | {p: v for p, v in part.items() if v != "advised"}
        if "advised" in part.values():
            backbone = {"backbone.name": own["backbone.name"]}
            advice = advised(common | backbone, options.set)
            own |= {
                p: advice[p] for p, v in part.items() if v == "advised" and p in advice
            }
        if name in (options.only or ROWS | TRIED):
            decay = {}
            if own["train.schedule"] == "steps":
                decay = {"train.decay_epochs": [0.75 * options.epochs]}
            words = as_words(common | own | decay) + options.set
            folders = [options.output / f"{number}_{seed}" for seed in options.seeds]
            results[name] = [
                measure(folder, [*words, f"seed={seed}"])
                for folder, seed in zip(folders, options.seeds, strict=True)
            ]
        if name in ROWS:
            settings = own
    print(f"\n{machine()}; {options.epochs} epochs\n")
    print("| recipe | mAP, mean | of each seed | from IoU 0.5 to 0.95, mean |")
    print("|---|---|---|---|")
    for name, figures in results.items():
        half, all_ious = np.transpose(figures)
        each = ", ".join(f"{value:.3f}" for value in half)
        print(f"| {name} | {half.mean():.3f} | {each} | {all_ious.mean():.3f} |")


def advised(common, words):
    """Returns what `tf-frcnn new` chooses for the data, by path."""
    data = {p.partition(".")[2]: v for p, v in common.items() if p.startswith("data.")}
    train = tf_frcnn.read_data("voc", data["directory"], split=data["train_split"])
    overrides = [*as_words(common), *words]
    recipe = build_recipe(data, train, train, overrides=overrides)
    return {p: v for choice in recipe.choices for p, v in choice.settings.items()}


def as_words(settings):
    return [f"{path}={json.dumps(value)}" for path, value in settings.items()]


def measure(folder, words):
    """Trains unless it is done; returns the mAP at 0.5, and from 0.5 to 0.95."""
    if not (folder / "metrics_test.json").exists():
        config = folder.with_suffix(".yaml")
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text("base: null\n")
        sets = [word for text in words for word in ("--set", text)]
        resume = ["--resume"] if folder.exists() else []
        command = [sys.executable, "-m", "tf_frcnn", "train", str(config)]
        command += ["--no-export", "--output", str(folder), *sets, *resume]
        # In a process of its own, whose memory it leaves.
        subprocess.run(command, check=True)
    voc = json.loads((folder / "metrics_test.json").read_text())["voc"]
    return voc["mAP"]["area"], voc["mAP_area_50_95"]


if __name__ == "__main__":
    main()
