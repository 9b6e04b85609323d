import contextlib
import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.command_line import failure_of
from tf_frcnn.cli import main
from tf_frcnn.commands.predict import predict_files
from tf_frcnn.data import SHAPE_CLASSES, DataError
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.runs import inference, predictions
from tf_frcnn.runs.inference import load_run
from tf_frcnn.runs.predictions import ImageResult


@pytest.fixture(scope="module")
def predicted(random_run, photos, tmp_path_factory):
    """The output folder of `predict_files` for all photos, and what it printed."""
    output = tmp_path_factory.mktemp("predicted") / "new" / "folder"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        predict_files(random_run, [str(photos)], output, min_score=0.0)
    return output, printed.getvalue()


def detections_in(folder):
    """Returns detections.json as a dict by the stems of the files."""
    listed = json.loads((folder / "detections.json").read_text())
    stems = [entry["file"].rpartition("/")[2].partition(".")[0] for entry in listed]
    return dict(zip(stems, listed, strict=True))


def boxes_of(entry):
    rows = [[d[side] for side in ("ymin", "xmin", "ymax", "xmax")] for d in entry]
    return np.array(rows)


def test_each_readable_file_gets_an_image_of_its_upright_size(predicted):
    output, _ = predicted
    names = {path.name for path in output.iterdir()}
    assert names == {"big.png", "small.png", "turned.png", "detections.json"}
    assert Image.open(output / "big.png").size == (480, 360)
    assert Image.open(output / "turned.png").size == (480, 360)


def test_an_unreadable_file_is_reported_and_skipped(predicted):
    output, printed = predicted
    assert "unreadable_image" in printed and "cut" in printed
    entries = detections_in(output)
    assert [*entries] == ["big", "cut", "small", "turned"]
    assert entries["cut"].keys() == {"file", "error"}
    assert "damaged or cut off" in entries["cut"]["error"]


@pytest.mark.slow
def test_boxes_are_in_pixels_of_a_file_larger_than_the_networks_input(
    random_run, photos, predicted
):
    entry = detections_in(predicted[0])["big"]
    assert (entry["height"], entry["width"]) == (360, 480)
    # The network sees 96 x 128 pixels and, without scales, answers in these.
    image = tf.constant(np.array(Image.open(photos / "big.png")), tf.float32)
    images = tf.pad(
        tf.image.resize(image, [96, 128])[tf.newaxis], [[0, 0], [0, 32], *[[0, 0]] * 2]
    )
    batch = {"images": images, "image_sizes": tf.constant([[96.0, 128.0]])}
    expected = load_run(random_run).model.predict_on_batch(batch)
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


@pytest.mark.slow
def test_detections_below_the_least_score_are_left_out(
    random_run, photos, predicted, tmp_path
):
    scores = [d["score"] for d in detections_in(predicted[0])["small"]["detections"]]
    least = (scores[2] + scores[3]) / 2
    predict_files(random_run, [photos / "small.png"], tmp_path, min_score=least)
    kept = detections_in(tmp_path)["small"]["detections"]
    assert [d["score"] for d in kept] == scores[:3]


def nothing_in(row):
    found = DetectedBoxes(*(np.zeros(shape) for shape in (0, (0, 4), 0, 0)))
    return ImageResult(row, found, SHAPE_CLASSES)


@pytest.fixture
def blind(monkeypatch):
    """Makes the commands detect nothing, at once."""

    def detect_each(model, examples):
        return (nothing_in(row) for row in range(len(examples.records)))

    monkeypatch.setattr(predictions, "detect_each", detect_each)


@pytest.fixture
def unloadable(monkeypatch):
    """Makes it an error to load a run."""

    def load_detector(directory):
        raise AssertionError("The run was loaded.")

    monkeypatch.setattr(inference, "load_detector", load_detector)


def test_no_result_takes_the_place_of_another(random_run, photos, blind, tmp_path):
    folder = tmp_path / "in"
    (folder / "more").mkdir(parents=True)
    image = Image.open(photos / "small.png")
    for name in ("a.png", "a.jpg", "more/a.png", "a_2.png"):
        image.save(folder / name)
    predict_files(random_run, [f"{folder}/**/*.*"], tmp_path / "out", min_score=0.5)
    assert len(list((tmp_path / "out").glob("*.png"))) == 4


def test_the_images_given_are_not_overwritten(random_run, photos, blind, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    Image.open(photos / "small.png").save(tmp_path / "a.jpg")
    for name in ("a.png", "part.a.png"):
        image = out / name
        Image.open(photos / "small.png").save(image, compress_level=0)
        before, given = image.read_bytes(), [tmp_path / "a.jpg", image]
        for overwrite in (False, True):
            with pytest.raises(ValueError, match=f"{name} is one of the given images"):
                predict_files(random_run, given, out, 0.5, overwrite=overwrite)
        assert image.read_bytes() == before
        image.unlink()


@pytest.mark.parametrize("name", ["big.png", "detections.json"])
def test_a_file_that_is_there_is_refused_before_the_model_is_loaded(
    random_run, photos, unloadable, tmp_path, capsys, name
):
    (tmp_path / name).write_text("mine")
    words = ["predict", random_run, photos, "--output", tmp_path]
    line = failure_of(capsys, *words)
    assert line.startswith(f"{tmp_path / name} exists already")
    assert "--overwrite" in line and (tmp_path / name).read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_that_cannot_be_written_is_refused_before_the_model_is_loaded(
    random_run, photos, unloadable, tmp_path, capsys
):
    (tmp_path / "file").touch()
    words = ["predict", random_run, photos, "--output", tmp_path / "file" / "out"]
    assert "no files can be written there" in failure_of(capsys, *words)


def test_what_the_user_says_to_replace_is_replaced(random_run, photos, blind, tmp_path):
    for name in ("big.png", "detections.json", "other.txt"):
        (tmp_path / name).write_text("old")
    words = ["predict", str(random_run), str(photos), "--output", str(tmp_path)]
    assert main([*words, "--overwrite"]) == 0
    assert Image.open(tmp_path / "big.png").size == (480, 360)
    assert len(detections_in(tmp_path)) == 4
    assert (tmp_path / "other.txt").read_text() == "old"


def test_what_was_done_before_an_interruption_is_kept(
    random_run, photos, monkeypatch, tmp_path, capsys
):
    def detect_each(model, examples):
        yield nothing_in(0)
        assert detections_in(tmp_path / "out").keys() == {"big", "cut"}
        yield nothing_in(2)
        raise KeyboardInterrupt

    monkeypatch.setattr(predictions, "detect_each", detect_each)
    words = ["predict", str(random_run), str(photos)]
    assert main([*words, "--output", str(tmp_path / "out")]) == 130
    assert detections_in(tmp_path / "out").keys() == {"big", "cut", "turned"}
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"big.png", "turned.png", "detections.json"}
    told = f"Stopped after 2 of 3 images; what is done is in {tmp_path / 'out'}."
    assert capsys.readouterr().err == f"tf-frcnn: {told}\n"


def test_an_interruption_before_the_first_result_makes_no_folder(
    random_run, photos, monkeypatch, tmp_path, capsys
):
    def detect_each(model, examples):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(predictions, "detect_each", detect_each)
    words = ["predict", str(random_run), str(photos)]
    assert main([*words, "--output", str(tmp_path / "out")]) == 130
    assert "Stopped after 0 of 3 images." in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_files_of_a_folder_that_are_no_images_are_counted(
    random_run, photos, blind, tmp_path, capsys
):
    folder = tmp_path / "in"
    (folder / "more").mkdir(parents=True)
    Image.open(photos / "small.png").save(folder / "a.png")
    for name in ("a.xml", "b.XML", "c.raw", "README"):
        (folder / name).touch()
    predict_files(random_run, [folder], tmp_path / "out", min_score=0.5)
    line = f"{folder}: not taken for images: 2 .xml, "
    (told,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith(line)]
    for words in ("1 .raw", "1 without ending", "1 folders"):
        assert words in told


def test_a_pattern_without_images_is_an_error_and_makes_no_folder(random_run, tmp_path):
    with pytest.raises(DataError, match=r"nothing\*\.png: no image found"):
        predict_files(random_run, [f"{tmp_path}/nothing*.png"], tmp_path / "out", 0.5)
    assert not (tmp_path / "out").exists()


def test_predictions_are_those_of_the_saved_model(trained_run, tmp_path):
    sample = trained_run / "samples" / "shapes_1000000_00000.png"
    output = tmp_path / "out"
    arguments = ["predict", str(trained_run), str(sample), "--min-score", "0"]
    assert main([*arguments, "--output", str(output)]) == 0
    assert Image.open(output / sample.name).size == Image.open(sample).size
    (entry,) = json.loads((output / "detections.json").read_text())
    assert entry["file"] == str(sample)
    reloaded = tf.saved_model.load(trained_run / "export" / "1")
    expected = reloaded.serving_default(tf.constant([sample.read_bytes()]))
    count = int(expected["num_detections"][0])
    assert count == len(entry["detections"]) > 0
    sides = np.tile([entry["height"], entry["width"]], 2)
    boxes = expected["detection_boxes"][0] * sides
    for row, own in enumerate(entry["detections"]):
        box = [own[side] for side in ("ymin", "xmin", "ymax", "xmax")]
        np.testing.assert_allclose(box, boxes[row], atol=0.1)
        name = expected["detection_class_names"][0, row].numpy().decode()
        assert own["class"] == name and name in SHAPE_CLASSES


def test_a_missing_image_is_named(capsys, trained_run, tmp_path):
    line = failure_of(capsys, "predict", trained_run, tmp_path / "none.jpg")
    assert line.startswith(f"{tmp_path / 'none.jpg'}: no image found")
