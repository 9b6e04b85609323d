import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.paths import CONFIGS
from tf_frcnn.assembly import (
    build_model,
    build_step_config,
    compile_model,
    is_alternating,
)
from tf_frcnn.config import load_config
from tf_frcnn.config.yaml_files import read_yaml

RECIPES = sorted(CONFIGS.glob("*.yaml"))
# Small enough for a test; nothing of the method is replaced.
SMALL = (
    *("images.short_side=96", "images.long_side=128", "images.pad_to=null"),
    "images.canvases=[[96, 128]]",
    *("data.train_short_sides=[]", "data.batch_size=1"),
    *("proposals.train_post_nms=60", "proposals.test_post_nms=20"),
    *("roi.num_samples=16", "roi.head_units=32", "backbone.weights=random"),
)


@pytest.fixture(scope="module")
def batch():
    images = np.random.default_rng(0).uniform(90, 110, [1, 96, 128, 3])
    images[0, 20:60, 30:100] = [250, 200, 40]
    return {
        "images": tf.constant(images, tf.float32),
        "image_sizes": tf.constant([[96.0, 128.0]]),
        "scales": tf.ones([1, 2]),
        "boxes": tf.constant([[[20.0, 30, 60, 100], [0, 0, 0, 0]]]),
        "labels": tf.constant([[1, -1]]),
    }


@pytest.fixture(params=RECIPES, ids=lambda path: path.stem)
def recipe(request):
    return request.param


def network_of(recipe):
    """Returns the settings that decide what a step consists of, as text."""
    others = {"data", "evaluation", "train", "anchors", "proposals", "detections"}
    text = load_config(recipe, SMALL).model_dump_json(exclude=others)
    return re.sub(r"resnet\d+", "resnet", text)  # The depth repeats its blocks.


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    {network_of(path): path for path in RECIPES}.values(),
    ids=lambda path: path.stem,
)
def test_a_recipe_trains_a_step_and_predicts(path, batch):
    config = load_config(path, SMALL)
    model = build_model(config, ("wide", "tall"))
    compile_model(config, model, steps_per_epoch=10)
    model.run_eagerly = True  # tracing the deep networks takes longer than a step
    before = [v.numpy() for v in model.roi_head.predictor.trainable_variables]
    losses = model.train_on_batch(batch, return_dict=True)
    assert all(np.isfinite(loss) for loss in losses.values())
    after = model.roi_head.predictor.trainable_variables
    assert any(np.any(old != new) for old, new in zip(before, after, strict=True))
    found = model.predict_on_batch(batch)
    assert found["boxes"].shape == (1, config.detections.max_per_image, 4)
    own = found["boxes"][found["valid"]]
    is_clipped = config.conventions.clip != "none"
    assert not is_clipped or (np.all(own >= 0) and np.all(own <= [96, 128] * 2))


def test_a_recipe_opens_with_its_title_its_command_and_its_figure(recipe):
    lines = recipe.read_text().splitlines()
    end = next(row for row, line in enumerate(lines) if not line.startswith("#"))
    header = " ".join(line.removeprefix("#").strip() for line in lines[:end])
    assert re.search(rf"tf-frcnn train {recipe.stem}( |$)", header)
    assert "mAP" in header or "No figure is published" in header or "COCO" in header
    assert ("Not run here" in header) != ("Reached" in header)


def test_the_alternating_recipes_have_four_steps_and_the_others_one():
    alternating = [r for r in RECIPES if is_alternating(load_config(r))]
    assert [r.stem for r in alternating] == [
        r.stem for r in RECIPES if r.stem.endswith("_alternating")
    ]
    assert len(alternating) == 4
    for recipe in alternating:
        config = load_config(recipe)
        steps = [build_step_config(config, step, Path("p")) for step in range(4)]
        assert [step.train.epochs for step in steps] == list(config.train.step_epochs)


def leaves(tree, path=()):
    """Yields the path and the value of every setting in a file."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), value


def test_a_recipe_names_only_what_differs_from_its_base(recipe):
    tree = read_yaml(recipe)
    base = tree.pop("base", None)
    if base is None:
        return
    dumps = [load_config(name).model_dump() for name in (base, recipe)]
    inherited, own = (dict(leaves(dump)) for dump in dumps)
    for path, _ in leaves(tree):
        assert own[path] != inherited[path], ".".join(path)


def test_most_recipes_have_a_base():
    based = [recipe for recipe in RECIPES if "base" in read_yaml(recipe)]
    assert len(based) > len(RECIPES) / 2
