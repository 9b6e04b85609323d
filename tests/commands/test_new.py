import json
import shutil
from argparse import Namespace

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.helpers.command_line import failure_of
from tests.helpers.random_run import write_random_run
from tf_frcnn.cli import main
from tf_frcnn.commands import new
from tf_frcnn.config import load_config
from tf_frcnn.data import make_shapes, write_coco, write_voc

pytestmark = pytest.mark.usefixtures("eager_steps")


@pytest.fixture
def cells(tmp_path, monkeypatch):
    """A VOC folder of three splits; the working folder is the one around it."""
    monkeypatch.chdir(tmp_path)
    for split, number, seed in (("train", 8, 1), ("val", 2, 2), ("test", 3, 3)):
        write_voc(make_shapes(number, seed=seed), tmp_path / "cells", split)
    return tmp_path / "cells"


def test_the_file_is_a_configuration_of_the_data(cells, tmp_path, capsys):
    assert main(["new", "cells"]) == 0
    config = load_config(tmp_path / "cells.yaml")
    assert (config.data.reader, config.data.directory) == ("voc", str(cells))
    splits = config.data.train_split, config.data.validation_split
    assert (*splits, config.data.test_split) == ("train", "val", "test")
    assert config.backbone.weights == "imagenet"
    assert config.anchors.scales != (8.0, 16.0, 32.0)
    shown = capsys.readouterr().out
    assert shown.index("Anchors of own_images:") < shown.index("Advised anchors:")
    assert "tf-frcnn train cells.yaml" in shown
    assert main(["show-config", "cells.yaml"]) == 0


def test_the_heading_has_the_numbers_of_the_data(cells, tmp_path):
    assert main(["new", "cells"]) == 0
    text = (tmp_path / "cells.yaml").read_text()
    heading = "".join(text.replace("#", " ").split())  # Long lines are broken.
    assert heading.startswith(f"Madefor{cells}:train.tf-frcnntraincells.yaml")
    assert "8trainingimages,2validationimages." in heading


def test_every_form_of_data_is_taken_with_its_faults_told(tmp_path, capsys):
    root = tmp_path / "shapes"
    write_coco(make_shapes(3, seed=1), root, "train2017")
    write_coco(make_shapes(2, seed=2), root, "val2017")
    (root / "images" / "shapes_1_00001.png").write_bytes(b"no image")
    out = tmp_path / "mine.yaml"
    assert main(["new", str(root), "--output", str(out)]) == 0
    config = load_config(out)
    assert (config.data.reader, config.data.train_split) == ("coco", "train2017")
    assert config.data.validation_split == config.data.test_split == "val2017"
    shown = capsys.readouterr().out
    assert "unreadable_image" in shown
    assert "There is no test split" in shown
    assert "There is no test split" in " ".join(out.read_text().split())


def test_a_preset_is_the_base_and_settings_win(cells, tmp_path):
    preset = ["--preset", "quickstart", "--output", "small.yaml"]
    settings = ["--set", "train.epochs=2", "--set", "data.validation_split=test"]
    assert main(["new", "cells", *preset, *settings]) == 0
    assert "base: quickstart" in (tmp_path / "small.yaml").read_text().splitlines()
    config = load_config(tmp_path / "small.yaml")
    assert config.backbone.name == "tiny"
    assert (config.train.epochs, config.data.validation_split) == (2, "test")


def test_a_file_as_preset_is_found_from_anywhere(cells, tmp_path, monkeypatch):
    (tmp_path / "own.yaml").write_text("base: quickstart\nseed: 7\n")
    (tmp_path / "there").mkdir()
    arguments = ["new", "cells", "--preset", "own.yaml"]
    assert main([*arguments, "--output", "there/cells.yaml"]) == 0
    monkeypatch.chdir("/")
    assert load_config(tmp_path / "there" / "cells.yaml").seed == 7


def test_a_trained_model_is_the_start_with_its_anchors_on_other_data(
    cells, tmp_path, capsys
):
    trained = write_random_run(tmp_path, "data.class_names=[triangle, rectangle]")
    trained = trained.rename(tmp_path / "my run")
    assert main(["new", "cells", "--preset", "my run"]) == 0
    command = "tf-frcnn train cells.yaml --init 'my run'"
    assert command in capsys.readouterr().out
    assert f"#   {command}\n" in (tmp_path / "cells.yaml").read_text()
    config, own = (load_config(f) for f in ("cells.yaml", trained / "config.yaml"))
    assert config.anchors == own.anchors and config.roi.head_units == 16
    assert config.images.short_side == own.images.short_side
    assert (config.data.directory, config.data.class_names) == (str(cells), ())
    assert config.train.learning_rate == 1e-4  # not that of random weights


def test_a_converted_detector_at_hand_is_the_start(cells, tmp_path, capsys):
    run = write_random_run(tmp_path, "data.class_names=[triangle, rectangle]")
    for name, source in (("coco", "torchvision"), ("backbone", "imagenet-torchvision")):
        shutil.copytree(run, tmp_path / "runs" / name)
        report = tmp_path / "runs" / name / "conversion.json"
        report.write_text(json.dumps({"source": source}))
    with (tmp_path / "runs" / "backbone" / "classes.txt").open("a") as file:
        file.write("another\n")
    assert main(["new", "cells"]) == 0
    shown = capsys.readouterr().out
    assert "tf-frcnn train cells.yaml --init runs/coco" in shown
    assert "runs/coco is a detector of another program" in shown
    config, own = load_config("cells.yaml"), load_config("own_images")
    assert config.backbone.name == "tiny" and config.train.optimizer == "adam"
    for section, name in (
        *(("train", "schedule"), ("train", "ema")),
        ("detections", "suppression"),
    ):
        value = getattr(getattr(config, section), name)
        assert value == getattr(getattr(own, section), name)
    for number, words in enumerate(
        (["--preset", "own_images"], ["--set", "backbone.frozen_blocks=1"])
    ):
        file = f"{number}.yaml"
        assert main(["new", "cells", *words, "--output", file]) == 0
        assert load_config(file).backbone.name == own.backbone.name


def test_a_folder_without_a_model_is_no_preset(cells, capsys):
    message = failure_of(capsys, "new", "cells", "--preset", "cells")
    assert message.startswith("cells is not a run folder: it has no config.yaml.")
    assert "save_to_preset" in message


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("my cells", "my_cells"),
        ("my cells/", "my_cells"),
        ("my cells/.", "my_cells"),
        ("my cells/boxes.csv", "boxes"),
        ("coco/2017", "coco_2017"),
    ],
)
def test_the_file_is_called_after_the_data(tmp_path, monkeypatch, source, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my cells").mkdir()
    (tmp_path / "my cells" / "boxes.csv").touch()
    (tmp_path / f"{name}.yaml").touch()
    with pytest.raises(FileExistsError, match=rf"{name}\.yaml exists"):
        new.run(Namespace(source=source, output=None))


def test_no_file_is_overwritten(cells, tmp_path, capsys):
    (tmp_path / "cells.yaml").write_text("mine")
    assert "cells.yaml exists" in failure_of(capsys, "new", "cells")
    assert (tmp_path / "cells.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["cells", "--output", "a/b.yaml"], "a/b.yaml: there is no folder a."),
        (["cells", "--preset", "vgg16_voc"], "did you mean vgg16_voc07"),
        (["cells", "--set", "anchors.scale=[3]"], "--set: anchors.scale is not a"),
        (["cells", "--reader", "vok"], "data.reader = 'vok' must be one of"),
        (["cells", "--set", "data.train_split=tran"], "the splits there are test"),
        (["cells", "--set", "backbone.name=vgg"], "is not a backbone"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_before_a_file_is_written(
    cells, tmp_path, capsys, arguments, message
):
    assert message in failure_of(capsys, "new", *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["cells"]


class CellsOfOneSplit(tfds.core.GeneratorBasedBuilder):
    """Twenty images of one cell."""

    VERSION = tfds.core.Version("1.0.0")
    pkg_dir_path = None

    def _info(self):
        label = tfds.features.ClassLabel(names=["cell"])
        box = tfds.features.BBoxFeature()
        objects = tfds.features.Sequence({"bbox": box, "label": label})
        image = tfds.features.Image(encoding_format="png")
        features = tfds.features.FeaturesDict({"image": image, "objects": objects})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        box = tfds.features.BBox(ymin=0.25, xmin=0.25, ymax=0.75, xmax=0.5)
        for number in range(20):
            image = np.full([40, 80, 3], number, np.uint8)
            yield number, {"image": image, "objects": [{"bbox": box, "label": 0}]}


def test_the_only_split_of_a_builder_is_cut_for_validation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    CellsOfOneSplit(data_dir=str(tmp_path / "tfds")).download_and_prepare()
    settings = ["--set", f"data.data_dir={tmp_path / 'tfds'}"]
    arguments = ["new", "cells_of_one_split", "--reader", "tfds", *settings]
    assert main(arguments) == 0
    text = (tmp_path / "cells_of_one_split.yaml").read_text()
    assert "# 18 training images, 2 validation images." in text
    config = load_config(tmp_path / "cells_of_one_split.yaml")
    assert config.data.train_split == "train[:90%]"
    assert config.data.directory == "cells_of_one_split"


@pytest.mark.slow
@pytest.mark.usefixtures("unexported")
def test_the_written_configuration_trains(cells, tmp_path):
    small = ["rpn.channels=16", "roi.head_units=16", "train.epochs=1"]
    settings = [word for one in small for word in ("--set", one)]
    assert main(["new", "cells", "--preset", "quickstart", *settings]) == 0
    assert main(["train", "cells.yaml"]) == 0
    assert (tmp_path / "runs" / "cells" / "metrics_test.json").is_file()
