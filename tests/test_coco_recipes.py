"""The recipes of figures that were published on COCO, on a small folder in its form."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.paths import CONFIGS
from tests.test_recipes import SMALL
from tf_frcnn import FasterRCNN
from tf_frcnn.assembly import build_examples
from tf_frcnn.assembly.model import check_parts
from tf_frcnn.config import load_config
from tf_frcnn.data import make_shapes, write_coco
from tf_frcnn.models import evaluating
from tf_frcnn.runs.evaluation import evaluate_run
from tf_frcnn.runs.training import train

pytestmark = pytest.mark.usefixtures("eager_steps")

# The figures of torchvision's documentation and of tf-faster-rcnn's README.
PUBLISHED = {
    "tf_faster_rcnn_mobile_coco": "0.218",
    "tf_faster_rcnn_res101_800": "0.374",
    "tf_faster_rcnn_res101_coco": "0.354",
    "tf_faster_rcnn_res152_coco": "0.361",
    "tf_faster_rcnn_res50_coco": "0.324",
    "tf_faster_rcnn_vgg16_coco": "0.302",
    "torchvision_mobilenet_v3_large_320_fpn": "0.228",
    "torchvision_mobilenet_v3_large_fpn": "0.328",
    "torchvision_resnet50_fpn": "0.370",
    "torchvision_resnet50_fpn_v2": "0.467",
}
NUM_TRAIN_IMAGES = 118_287
PRESETS = FasterRCNN.presets()


@pytest.fixture(scope="module")
def coco_folder(tmp_path_factory):
    """Eight images as COCO has them, some objects of which are crowds."""
    root = tmp_path_factory.mktemp("coco")
    shapes = make_shapes(8, seed=2)
    records = tuple(
        record._replace(crowd=np.arange(len(record.boxes)) == 1)
        for record in shapes.records
    )
    shapes = replace(shapes, records=records)
    write_coco(shapes.subset(range(4)), root, "train2017")
    write_coco(shapes.subset(range(4, 8)), root, "val2017")
    return root


def test_every_figure_of_coco_has_its_recipe_on_coco():
    on_coco = {
        path.stem
        for path in CONFIGS.glob("*.yaml")
        if load_config(path).data.reader == "coco"
    }
    assert on_coco == set(PUBLISHED)
    with_figure = {name for name, own in PRESETS.items() if "COCO" in own.figure}
    assert with_figure == on_coco


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_reads_coco_and_measures_its_ap(name, coco_folder):
    assert f"AP {PUBLISHED[name]}" in PRESETS[name].figure
    config = load_config(name, [f"data.directory={coco_folder}"])
    assert config.evaluation.metric == "coco"
    train_set, test_set = (build_examples(config, role) for role in ("train", "test"))
    assert (len(train_set.records), len(test_set.records)) == (4, 4)
    assert train_set.has_crowds and train_set.class_names == test_set.class_names
    check_parts(config)


def test_the_same_recipes_read_tensorflow_datasets():
    config = load_config(
        "torchvision_resnet50_fpn",
        [
            *("data.reader=tfds", "data.directory=coco/2017", "data.train_split=train"),
            *("data.validation_split=validation", "data.test_split=validation"),
        ],
    )
    check_parts(config)
    assert config.data.directory == "coco/2017"


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_schedule_is_the_published_one(name):
    config = load_config(name)
    images_per_step, rate = (16, 0.02) if name.startswith("torchvision") else (1, 0.001)
    epochs, decays = 26, (16.0, 22.0)
    if name.endswith("_v2"):
        images_per_step, rate, epochs, decays = 64, 0.1, 400, (352.0, 384.0)
    elif name.startswith("tf_"):
        epochs = round(1_190_000 / NUM_TRAIN_IMAGES)
        decays = (round(900_000 / NUM_TRAIN_IMAGES, 2),)
    assert config.train.epochs == epochs and config.train.decay_epochs == decays
    per_image = config.train.learning_rate / config.data.batch_size
    assert per_image == pytest.approx(rate / images_per_step)


@pytest.mark.slow
def test_a_recipe_trains_on_coco_and_reports_cocos_figures(coco_folder, tmp_path):
    settings = (
        *SMALL,
        *("images.canvases=[]", "images.pad_to=32"),
        f"data.directory={coco_folder}",
        *("train.epochs=1", "train.decay_epochs=[]", "train.validation_every=1"),
        "train.keep_images=1",
    )
    config = load_config("torchvision_mobilenet_v3_large_320_fpn", settings)
    model = train(config, tmp_path / "run")
    assert model.class_names == make_shapes(1, seed=0).class_names
    assert int(model.optimizer.iterations) == 4
    metrics = evaluate_run(tmp_path / "run", "test")
    examples = build_examples(config, "test")
    expected = evaluating.evaluate(model, examples)
    log = (tmp_path / "run" / "log.csv").read_text().splitlines()
    row = dict(zip(*(line.split(",") for line in log), strict=True))
    assert float(row["val_mAP"]) == metrics["coco"]["ap"] == expected.mean
    written = json.loads((tmp_path / "run" / "metrics_test.json").read_text())
    assert written["voc"]["validation_metric"] == "coco"
    objects = sum(row["objects"] for row in written["voc"]["classes"].values())
    crowds = sum(int(record.crowd.sum()) for record in examples.records)
    assert objects == sum(len(r.boxes) for r in examples.records) - crowds
    assert crowds > 0
