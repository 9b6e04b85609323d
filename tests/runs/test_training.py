import csv
import dataclasses
import functools
import json
import shutil
import signal
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.paths import QUICKSTART
from tf_frcnn import callbacks
from tf_frcnn.assembly import build_training_batches
from tf_frcnn.config import load_config
from tf_frcnn.data import DATASETS, SHAPE_CLASSES, DataError, make_shapes, write_voc
from tf_frcnn.data.checks.problems import Problem
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.models import FasterRCNN, NonFiniteError
from tf_frcnn.models.evaluating import ground_truth_of
from tf_frcnn.models.training_figures import TIMES
from tf_frcnn.runs.training import train, write_samples

pytestmark = pytest.mark.usefixtures("eager_steps")

LAST, BEST = "weights/step_00000006.weights.h5", "weights/best.weights.h5"
# Three epochs of two steps; validation after the second and the last.
SETTINGS = (
    *("data.num_train=8", "data.num_validation=3", "data.num_test=1"),
    *("images.short_side=96", "images.long_side=128", "images.canvases=[[128, 128]]"),
    *("rpn.channels=16", "roi.head_units=16", "roi.num_samples=16", "roi.dropout=0.5"),
    *("proposals.train_pre_nms=200", "proposals.train_post_nms=50"),
    *("proposals.test_pre_nms=100", "proposals.test_post_nms=20"),
    *("train.epochs=3", "train.validation_every=2", "train.keep_images=1"),
    *("train.learning_rate=0.02", "train.decay_epochs=[2]", "train.warmup_steps=0"),
)
# Trains one run after the other, and kills itself in the one called "killed".
CHILD = """
import os, signal, sys
from tf_frcnn.runs.checkpoints import Checkpoints
from tf_frcnn.config import load_config
from tf_frcnn.runs.training import train, write_samples

config, *settings, directory, task = sys.argv[1:]
settings = load_config(config, settings)

def kill_in_second_epoch(self, batch, logs=None):
    end_batch(self, batch, logs)
    if int(self.model.optimizer.iterations) == 3:
        os.kill(os.getpid(), signal.SIGKILL)

if task == "resume":
    train(settings, directory + "/killed", resume=True)
else:
    train(settings, directory + "/whole")
    print("The whole run has ended.", flush=True)
    end_batch = Checkpoints.on_train_batch_end
    Checkpoints.on_train_batch_end = kill_in_second_epoch
    train(settings, directory + "/killed")
"""


def config_of(*settings):
    return load_config(QUICKSTART, [*SETTINGS, *settings])


def train_in_child(directory, task):
    return subprocess.run(
        [sys.executable, "-c", CHILD, str(QUICKSTART), *SETTINGS, str(directory), task],
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a whole run and a killed one, and what was printed meanwhile."""
    directory = tmp_path_factory.mktemp("runs")
    killed = train_in_child(directory, "train")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    return directory, killed.stdout.partition("The whole run has ended.")[2]


@pytest.fixture(scope="module")
def whole_run(runs):
    return runs[0] / "whole"


@pytest.fixture(scope="module")
def resumed_run(runs):
    """The folder of a run that was killed and resumed, and what either printed."""
    directory, printed = runs
    assert len(rows_of(directory / "killed")) == 1
    resumed = train_in_child(directory, "resume")
    assert resumed.returncode == 0, resumed.stderr
    return directory / "killed", printed, resumed.stdout


def rows_of(directory):
    with (directory / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def arrays_in(path):
    """Returns all arrays of a weights file by their names."""
    with h5py.File(path) as file:
        names = []
        file.visit(names.append)
        return {n: file[n][()] for n in names if isinstance(file[n], h5py.Dataset)}


def test_the_folder_holds_the_effective_configuration_and_the_classes(whole_run):
    assert load_config(whole_run / "config.yaml") == config_of()
    classes = (whole_run / "classes.txt").read_text().splitlines()
    assert tuple(classes) == SHAPE_CLASSES


def test_the_log_has_a_row_for_every_epoch(whole_run):
    rows = rows_of(whole_run)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    for row in rows:
        parts = [row[name] for name in FasterRCNN.loss_names if name != "loss"]
        assert sum(map(float, parts)) == pytest.approx(float(row["loss"]), rel=1e-5)
    validation = {f"val_{name}" for name in FasterRCNN.loss_names} | {"val_mAP"}
    validation |= {f"val_AP/{name}" for name in SHAPE_CLASSES}
    figures = {"gradient_norm", "positive_anchors", "proposal_recall"}
    figures |= {f"foreground_rois/{name}" for name in SHAPE_CLASSES}
    figures |= {"foreground_rois", "step", "epoch", "learning_rate"}
    assert rows[0].keys() == {*figures, *FasterRCNN.loss_names, *validation}
    assert [row["step"] for row in rows] == ["2", "4", "6"]
    assert {name for name in validation if not rows[0][name]} == validation
    assert all(np.isfinite(float(row[n])) for row in rows[1:] for n in validation)
    # The rate that each epoch starts with.
    rates = [float(row["learning_rate"]) for row in rows]
    np.testing.assert_allclose(rates, [0.02, 0.02, 0.002], rtol=1e-6)


def test_tensorboard_gets_the_scalars_and_the_images(whole_run):
    (path,) = (whole_run / "tensorboard").iterdir()
    scalars, images, curves = {}, {}, {}
    tables = {"scalars": scalars, "images": images, "pr_curves": curves}
    for event in tf.compat.v1.train.summary_iterator(str(path)):
        for value in event.summary.value:
            kind = value.metadata.plugin_data.plugin_name
            array = tf.make_ndarray(value.tensor)
            tables[kind][value.tag, event.step] = array
    logged = {
        (name, int(row["epoch"])): float(value)
        for row in rows_of(whole_run)
        for name, value in row.items()
        if value and name not in ("epoch", "step")
    }
    times = {(name, step) for name in TIMES for step in (1, 2, 3)}
    assert scalars.keys() == logged.keys() | times
    for key, value in logged.items():
        assert float(scalars[key]) == pytest.approx(value, rel=1e-6)
    names = {"shapes_1000000_00000", "confusion_matrix"}
    assert images.keys() == {(name, step) for name in names for step in (2, 3)}
    for name, values in curves.items():
        objects = values[0] + values[3]
        assert values.shape == (6, 101) and (objects == objects[0]).all(), name
    assert {step for _, step in curves} == {2, 3}


def test_the_images_show_ground_truth_beside_predictions(whole_run):
    names = sorted(path.name for path in (whole_run / "drawings").iterdir())
    assert names == [f"epoch_00{n}_shapes_1000000_00000.png" for n in (2, 3)]
    record = make_shapes(1, seed=1_000_000).records[0]
    width, height = Image.open(whole_run / "drawings" / names[0]).size
    assert width > 2 * record.width and height > record.height


def test_the_samples_of_images_in_subfolders_lie_in_one_folder(tmp_path):
    shapes = make_shapes(2, seed=0)
    records = tuple(r._replace(image_id=f"b/{r.image_id}") for r in shapes.records)
    write_samples(tmp_path, dataclasses.replace(shapes, records=records))
    names = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert names == [f"b_{record.image_id}.png" for record in shapes.records]


def test_the_samples_are_the_first_validation_images(whole_run):
    examples = make_shapes(3, seed=1_000_000)
    for index, data in examples.stream().as_numpy_iterator():
        path = whole_run / "samples" / f"{examples.records[index].image_id}.png"
        expected = tf.io.decode_png(data, channels=3)
        np.testing.assert_array_equal(np.array(Image.open(path)), expected)
    assert len(list((whole_run / "samples").iterdir())) == 3


def test_the_last_weights_hold_the_optimizers_state(whole_run):
    assert (whole_run / BEST).is_file()
    arrays = arrays_in(whole_run / LAST)
    state = [value for name, value in arrays.items() if name.startswith("optimizer")]
    assert [value for value in state if value.dtype == np.int64] == [6]  # steps
    assert len(state) > 30 and all(np.any(value) for value in state)


def test_a_killed_run_goes_on_after_its_last_epoch(resumed_run):
    _, killed, resumed = resumed_run
    assert "Epoch 2/3" in killed and "Resuming" not in killed
    assert "Resuming after epoch 1." in resumed
    assert "Epoch 1/3" not in resumed and "Epoch 3/3" in resumed
    assert "changed settings" not in resumed


def test_a_resumed_run_logs_what_an_uninterrupted_one_logs(whole_run, resumed_run):
    resumed = (resumed_run[0] / "log.csv").read_text()
    assert resumed == (whole_run / "log.csv").read_text()


@pytest.mark.parametrize("name", [LAST, BEST])
def test_a_resumed_run_ends_with_the_same_weights(whole_run, resumed_run, name):
    expected, actual = arrays_in(whole_run / name), arrays_in(resumed_run[0] / name)
    assert len(expected) > 70 and expected.keys() == actual.keys()
    for key, values in expected.items():
        np.testing.assert_array_equal(actual[key], values, err_msg=key)


def test_without_a_run_there_is_nothing_to_resume(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=f"{tmp_path} has no config.yaml.*--resume"
    ):
        train(config_of(), tmp_path, resume=True)


def test_a_run_does_not_overwrite_another(whole_run):
    before = (whole_run / LAST).read_bytes()
    with pytest.raises(FileExistsError, match=f"{whole_run} holds a run .*--resume"):
        train(config_of(), whole_run)
    assert (whole_run / LAST).read_bytes() == before


@pytest.fixture
def copied_run(whole_run, tmp_path):
    shutil.copytree(whole_run, tmp_path / "copy")
    return tmp_path / "copy"


def test_changed_settings_are_printed_and_kept(copied_run, capsys):
    changed = config_of("train.keep_images=5", "data.flip=false")
    train(changed, copied_run, resume=True)
    printed = [line.strip() for line in capsys.readouterr().out.splitlines()]
    start = printed.index("Resuming with changed settings:") + 1
    assert [line.replace("  ", "") for line in printed[start : start + 4]] == [
        *("-flip: true", "+flip: false", "-keep_images: 1", "+keep_images: 5")
    ]
    assert "The run has finished all of its 3 epochs." in printed
    assert load_config(copied_run / "config.yaml") == changed


def test_a_non_finite_loss_names_step_and_images_and_keeps_the_weights(copied_run):
    before = (copied_run / LAST).read_bytes()
    diverging = config_of(
        *("train.epochs=4", "train.learning_rate=1e30", "train.clip_norm=null")
    )
    with pytest.raises(NonFiniteError) as error:
        train(diverging, copied_run, resume=True)
    message = str(error.value)
    # The fourth epoch's first step makes the weights huge, its second one notices.
    assert "Not finite at step 7 (images " in message
    ids = [record.image_id for record in make_shapes(8, seed=0).records]
    assert sum(image_id in message for image_id in ids) == 4
    assert str(copied_run / LAST) in message
    assert "train.learning_rate" in message and "\n" not in message
    assert (copied_run / LAST).read_bytes() == before
    assert len(rows_of(copied_run)) == 3


@pytest.fixture
def quick_epochs(monkeypatch):
    """Makes `fit` count its steps and call the callbacks, and the detector blind."""

    def fit(model, examples, *, initial_epoch, initial_batch, epochs, callbacks, **_):
        steps_per_epoch = build_training_batches(model.settings, examples).steps
        callbacks = keras.callbacks.CallbackList(callbacks, model=model, epochs=epochs)
        callbacks.on_train_begin()
        for epoch in range(initial_epoch, epochs):
            callbacks.on_epoch_begin(epoch)
            for batch in range(steps_per_epoch - initial_batch):
                model.optimizer.iterations.assign_add(1)
                callbacks.on_train_batch_end(batch)
            initial_batch = 0
            callbacks.on_epoch_end(epoch, {"loss": float(epoch)})

    def observe(model, examples):
        none = np.zeros(0, np.int64)
        nothing = DetectedBoxes(none, np.zeros([0, 4]), np.zeros(0), none)
        return ground_truth_of(examples), nothing

    monkeypatch.setattr(FasterRCNN, "fit", fit)
    monkeypatch.setattr(callbacks, "observe", observe)


@pytest.mark.slow
def test_a_run_interrupted_in_validation_logs_every_epoch_once(
    quick_epochs, monkeypatch, tmp_path
):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(callbacks, "observe", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(config_of(), tmp_path)  # in the end of the second epoch
    train(config_of(), tmp_path, resume=True)
    assert [row["epoch"] for row in rows_of(tmp_path)] == ["1", "2", "3"]


@pytest.mark.slow
def test_each_split_is_read_once(quick_epochs, monkeypatch, tmp_path):
    splits, read = [], DATASETS["shapes"]

    @functools.wraps(read)
    def note(location, split, **settings):
        splits.append(split)
        return read(location, split, **settings)

    monkeypatch.setitem(DATASETS, "shapes", note)
    config, order = config_of("train.epochs=1"), SHAPE_CLASSES[::-1]
    model = train(config, tmp_path, class_order=order)
    assert splits == ["train", "validation"] and model.class_names == order
    model = train(config, tmp_path, resume=True)
    assert splits == ["train", "validation"] * 2 and model.class_names == order


@pytest.mark.slow
def test_what_is_wrong_with_the_data_is_kept(quick_epochs, tmp_path):
    folder = tmp_path / "voc"
    write_voc(make_shapes(3, seed=0), folder, "train")
    write_voc(make_shapes(2, seed=1), folder, "seen")
    (folder / "JPEGImages" / "shapes_0_00001.png").write_bytes(b"no picture")
    config = config_of(
        *("data.reader=voc", f"data.directory={folder}", "train.epochs=1"),
        *("data.train_split=train", "data.validation_split=seen"),
    )
    train(config, tmp_path / "run")
    kept = json.loads((tmp_path / "run" / "problems.json").read_text())
    assert kept.keys() == {f"{folder}:train", f"{folder}:seen"}
    (problem,) = kept[f"{folder}:train"]
    assert problem["kind"] == "unreadable_image" and problem["action"] == "drop"
    assert problem["file"] == "JPEGImages/shapes_0_00001.png"


@pytest.mark.slow
def test_images_lost_in_training_are_kept_whatever_ends_it(
    quick_epochs, monkeypatch, tmp_path, capsys
):
    def lose(model, examples, **_):
        lost = Problem("unreadable_image", "a.png", "in training: gone", "replace")
        examples.problems.rows.append(lost)
        raise DataError("a.png can no longer be read.")

    monkeypatch.setattr(FasterRCNN, "fit", lose)
    with pytest.raises(DataError) as error:
        train(config_of(), tmp_path)
    assert str(error.value) == (
        f"a.png can no longer be read. The last checkpoint is {tmp_path}/weights/"
        "step_00000000.weights.h5; --resume reads the data again and goes on there."
    )
    kept = json.loads((tmp_path / "problems.json").read_text())
    assert [row["file"] for rows in kept.values() for row in rows] == ["a.png"]
    assert "longer be read during training: 1 (a.png)" in capsys.readouterr().out
