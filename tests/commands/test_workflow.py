import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_frcnn.assembly import (
    Splits,
    build_examples,
    build_model,
    build_training_batches,
)
from tf_frcnn.commands import workflow
from tf_frcnn.commands.workflow import (
    evaluate_run,
    export_run,
    predict_files,
    write_shapes,
)
from tf_frcnn.config import Config, load_config
from tf_frcnn.data import SHAPE_CLASSES, DataError, make_shapes
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.evaluation.proposal_recall import ProposedBoxes
from tf_frcnn.runs.inference import ground_truth_of, load_run, write_settings

SETTINGS = """
data: {reader: shapes, train_split: train, validation_split: validation, num_train: 4,
  num_validation: 2, num_test: 3, short_side: 96, long_side: 128,
  canvases: [[128, 128]]}
backbone: {name: tiny, weights: random, frozen_blocks: 0}
anchors: {scales: [2, 3, 5]}
rpn: {channels: 16}
roi: {head_units: 16}
proposals: {test_pre_nms: 100, test_post_nms: 20}
detections: {score_threshold: 0.0, max_per_image: 8}
train: {keep_images: 2}
"""


@pytest.fixture(scope="module")
def config_of(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "small.yaml"
    path.write_text(SETTINGS)
    return lambda *settings: load_config(path, settings)


@pytest.fixture(scope="module")
def run_folder(config_of, tmp_path_factory):
    """The folder of a run with random weights, which say something everywhere."""
    folder = tmp_path_factory.mktemp("runs") / "random"
    (folder / "weights").mkdir(parents=True)
    write_settings(folder, config_of(), SHAPE_CLASSES)
    model = build_model(config_of(), SHAPE_CLASSES)
    model.save_weights(folder / "weights" / "best.weights.h5")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A photograph, the same as a turned camera stores it, a small and a cut file."""
    folder = tmp_path_factory.mktemp("photos")
    examples = make_shapes(2, seed=8)
    stored = [data for _, data in examples.stream().as_numpy_iterator()]
    big, small = (Image.open(io.BytesIO(data)) for data in stored)
    big = big.resize((480, 360), Image.Resampling.BICUBIC)
    big.save(folder / "big.png")
    turned, exif = big.transpose(Image.Transpose.ROTATE_90), Image.Exif()
    exif[274] = 6  # to be turned to the right
    turned.save(folder / "turned.png", exif=exif)
    small.save(folder / "small.png")
    whole = (folder / "big.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture(scope="module")
def predicted(run_folder, photos, tmp_path_factory):
    """The output folder of `predict_files` for all photos, and what it printed."""
    output = tmp_path_factory.mktemp("predicted") / "new" / "folder"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        predict_files(run_folder, [str(photos)], output, min_score=0.0)
    return output, printed.getvalue()


def detections_in(folder):
    """Returns detections.json as a dict by the stems of the files."""
    listed = json.loads((folder / "detections.json").read_text())
    stems = [entry["file"].rpartition("/")[2].partition(".")[0] for entry in listed]
    return dict(zip(stems, listed, strict=True))


def boxes_of(entry):
    rows = [[d[side] for side in ("ymin", "xmin", "ymax", "xmax")] for d in entry]
    return np.array(rows)


def test_each_readable_file_gets_a_picture_of_its_upright_size(predicted):
    output, _ = predicted
    names = {path.name for path in output.iterdir()}
    assert names == {"big.png", "small.png", "turned.png", "detections.json"}
    assert Image.open(output / "big.png").size == (480, 360)
    assert Image.open(output / "turned.png").size == (480, 360)


def test_an_unreadable_file_is_reported_and_skipped(predicted):
    output, printed = predicted
    assert "unreadable_image" in printed and "cut" in printed
    assert detections_in(output).keys() == {"big", "small", "turned"}


def test_boxes_are_in_pixels_of_a_file_larger_than_the_networks_input(
    run_folder, photos, predicted
):
    entry = detections_in(predicted[0])["big"]
    assert (entry["height"], entry["width"]) == (360, 480)
    # The network sees 96 x 128 pixels and, without scales, answers in these.
    image = tf.constant(np.array(Image.open(photos / "big.png")), tf.float32)
    images = tf.pad(
        tf.image.resize(image, [96, 128])[tf.newaxis], [[0, 0], [0, 32], *[[0, 0]] * 2]
    )
    batch = {"images": images, "image_sizes": tf.constant([[96.0, 128.0]])}
    expected = load_run(run_folder).model.predict_on_batch(batch)
    own = entry["detections"]
    assert len(own) == expected["valid"].sum() == 8
    np.testing.assert_allclose(
        boxes_of(own), expected["boxes"][0] * 360 / 96, atol=0.05
    )
    np.testing.assert_allclose(
        [d["score"] for d in own], expected["scores"][0], atol=1e-4
    )
    names = [SHAPE_CLASSES[label] for label in expected["labels"][0]]
    assert [d["class"] for d in own] == names


def test_a_turned_photograph_is_detected_upright(predicted):
    entries = detections_in(predicted[0])
    big, turned = entries["big"], entries["turned"]
    assert (turned["height"], turned["width"]) == (360, 480)
    assert turned["detections"] == big["detections"]
    drawn = [np.array(Image.open(predicted[0] / f"{n}.png")) for n in ("big", "turned")]
    np.testing.assert_array_equal(*drawn)


def test_detections_below_the_least_score_are_left_out(
    run_folder, photos, predicted, tmp_path
):
    scores = [d["score"] for d in detections_in(predicted[0])["small"]["detections"]]
    least = (scores[2] + scores[3]) / 2
    predict_files(run_folder, [photos / "small.png"], tmp_path, min_score=least)
    kept = detections_in(tmp_path)["small"]["detections"]
    assert [d["score"] for d in kept] == scores[:3]


@pytest.fixture
def blind(monkeypatch):
    """Makes the commands detect nothing, at once."""

    def detect(model, examples, batches):
        return DetectedBoxes(*(np.zeros(shape) for shape in (0, (0, 4), 0, 0)))

    monkeypatch.setattr(workflow, "detect", detect)


def test_no_result_takes_the_place_of_another(run_folder, photos, blind, tmp_path):
    folder = tmp_path / "in"
    (folder / "more").mkdir(parents=True)
    image = Image.open(photos / "small.png")
    for name in ("a.png", "a.jpg", "more/a.png", "a_2.png"):
        image.save(folder / name)
    predict_files(run_folder, [f"{folder}/**/*.*"], tmp_path / "out", min_score=0.5)
    assert len(list((tmp_path / "out").glob("*.png"))) == 4


def test_the_pictures_given_are_not_overwritten(run_folder, photos, blind, tmp_path):
    Image.open(photos / "small.png").save(tmp_path / "a.png", compress_level=0)
    before = (tmp_path / "a.png").read_bytes()
    with contextlib.suppress(ValueError, OSError):
        predict_files(run_folder, [tmp_path], tmp_path, min_score=0.5)
    assert (tmp_path / "a.png").read_bytes() == before


def test_a_pattern_without_pictures_is_an_error_and_makes_no_folder(
    run_folder, tmp_path
):
    with pytest.raises(DataError, match=r"nothing\*\.png: no image found"):
        predict_files(run_folder, [f"{tmp_path}/nothing*.png"], tmp_path / "out", 0.5)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def half_seeing(monkeypatch):
    """Makes the commands find the first half of the objects, and propose all."""

    def detect(model, examples, batches):
        truth = ground_truth_of(examples)
        rows = slice(len(truth.labels) // 2)
        columns = (truth.image_index, truth.boxes, np.ones(len(truth.labels)))
        return DetectedBoxes(*(column[rows] for column in (*columns, truth.labels)))

    def propose(model, examples, batches, *, training):
        truth = ground_truth_of(examples)
        return ProposedBoxes(truth.image_index, truth.boxes, np.ones(len(truth.labels)))

    monkeypatch.setattr(workflow, "detect", detect)
    monkeypatch.setattr(workflow, "propose", propose)


def test_the_metrics_are_written_and_printed(
    run_folder, config_of, half_seeing, capsys
):
    metrics = evaluate_run(run_folder, "test", coco=True)
    written = json.loads((run_folder / "metrics_test.json").read_text())
    assert json.dumps(written) == json.dumps(metrics)
    truth = ground_truth_of(build_examples(config_of(), "test"))
    found = truth.labels[: len(truth.labels) // 2].tolist()
    assert metrics["num_images"] == 3 and len(found) > 0
    aps = []
    for label, name in enumerate(SHAPE_CLASSES):
        objects = truth.labels.tolist().count(label)
        row = metrics["voc"]["classes"][name]
        assert row["objects"] == objects
        if objects:  # all that is found is right, so the area is the recall
            aps.append(found.count(label) / objects)
            assert row["area"] == pytest.approx(aps[-1])
    assert metrics["voc"]["mAP"]["area"] == pytest.approx(np.mean(aps))
    assert metrics["voc"]["mAP_area_50_95"] == pytest.approx(np.mean(aps))
    # COCO samples the precision at 101 recalls.
    assert metrics["coco"]["ap50"] == pytest.approx(np.mean(aps), abs=0.02)
    recall = metrics["proposal_recall"]
    np.testing.assert_array_equal(recall["recalls"], np.ones([5, 10]))
    np.testing.assert_allclose(recall["average_recalls"], 1)
    printed = capsys.readouterr().out
    assert f"{np.mean(aps):.3f}" in printed and "cross" in printed
    names = {path.name for path in (run_folder / "pictures").iterdir()}
    assert names == {f"test_shapes_2000000_0000{n}.png" for n in (0, 1)}


def test_the_metrics_are_json_that_any_program_reads(run_folder, half_seeing):
    # Of one picture's objects not every class is there: its precision is undefined.
    evaluate_run(run_folder, "validation", overrides=["data.num_validation=1"])
    text = (run_folder / "metrics_validation.json").read_text()

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON.")

    precisions = json.loads(text, parse_constant=refuse)["voc"]["classes"].values()
    assert None in [row["area"] for row in precisions]


def test_settings_of_a_run_may_be_replaced_in_an_evaluation(run_folder, half_seeing):
    settings = ["evaluation.iou=0.75", "evaluation.metric=area", "data.num_test=1"]
    metrics = evaluate_run(run_folder, "test", overrides=settings)
    assert metrics["voc"]["iou_threshold"] == 0.75 and metrics["num_images"] == 1
    assert metrics["voc"]["validation_metric"] == "area"


def test_an_export_is_tried_on_the_samples_of_the_run(
    run_folder, photos, monkeypatch, tmp_path
):
    (run_folder / "samples").mkdir()
    sample = run_folder / "samples" / "one.png"
    sample.write_bytes((photos / "small.png").read_bytes())
    calls = []

    def export_model(model, resizing, target, samples, *, info, version):
        source = samples.records[0].source
        calls.append((model.class_names, resizing.canvases, source, version))
        assert model.detection_layer.max_per_image == 5
        assert info["config"]["detections"]["max_per_image"] == 5
        return target / "1"

    monkeypatch.setattr(workflow, "export_model", export_model)
    overrides = ["detections.max_per_image=5"]
    exported = export_run(run_folder, tmp_path, overrides=overrides, version=3)
    assert exported == tmp_path / "1"
    assert calls == [(SHAPE_CLASSES, ((128, 128),), str(sample), 3)]


@pytest.mark.parametrize(("gpus", "asked"), [([], 1), (["GPU:0"], 0)])
def test_a_run_on_a_cpu_asks_for_repeatable_operations(monkeypatch, gpus, asked):
    calls = []
    for name in ("train", "evaluate_run", "export_run"):
        monkeypatch.setattr(workflow, name, lambda *arguments, **settings: None)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    enable = "enable_op_determinism"
    monkeypatch.setattr(tf.config.experimental, enable, lambda: calls.append(1))
    workflow.run_training(Config(), Path("run"))
    assert len(calls) == asked


def test_training_and_evaluation_share_what_was_read(monkeypatch):
    given = []
    monkeypatch.setattr(workflow, "export_run", None)
    for name in ("train", "evaluate_run"):
        monkeypatch.setattr(
            workflow, name, lambda *a, splits, **s: given.append(splits)
        )
    workflow.run_training(Config(), Path("run"))
    assert isinstance(given[0], Splits) and given[0] is given[1]


def test_the_shapes_as_a_folder_train_like_the_shapes_themselves(config_of, tmp_path):
    write_shapes(tmp_path, {"train": 4, "validation": 2, "test": 3}, seed=5)
    drawn = config_of("seed=5")
    read = config_of(
        *("seed=5", "data.reader=voc", f"data.directory={tmp_path}"),
        *("data.train_split=train", "data.validation_split=validation"),
        f"data.class_names=[{', '.join(SHAPE_CLASSES)}]",
    )
    for split in ("train", "validation", "test"):
        sets = [build_examples(config, split) for config in (drawn, read)]
        assert sets[0].class_names == sets[1].class_names
        kinds = {row.kind for row in sets[1].problems.rows}
        assert kinds <= {"empty_annotation"}
        for made, found in zip(*(s.records for s in sets), strict=True):
            assert made.image_id == found.image_id
            np.testing.assert_array_equal(found.boxes, made.boxes)
            np.testing.assert_array_equal(found.labels, made.labels)
    batches = [
        next(iter(build_training_batches(config, build_examples(config, "train"))[0]))
        for config in (drawn, read)
    ]
    for name, values in batches[0].items():
        np.testing.assert_array_equal(batches[1][name], values)
