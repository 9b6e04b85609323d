import contextlib
import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.command_line import failure_of
from tf_frcnn.cli import main
from tf_frcnn.data import SHAPE_CLASSES, DataError
from tf_frcnn.models.detecting import Found
from tf_frcnn.runs import predicting, predictions
from tf_frcnn.runs.inference import load_run
from tf_frcnn.runs.predicting import predict_files
from tf_frcnn.runs.prediction_outputs import Outputs
from tf_frcnn.runs.predictions import ImageResult


@pytest.fixture(scope="module")
def predicted(random_run, photos, tmp_path_factory):
    """The output folder of `predict_files` for all photos, and what it printed."""
    output = tmp_path_factory.mktemp("predicted") / "new" / "folder"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        predict_files(random_run, [str(photos)], Outputs(output), min_score=0.0)
    return output, printed.getvalue()


def detections_in(folder):
    """Returns detections.jsonl as a dict by the stems of the files, in their order."""
    lines = (folder / "detections.jsonl").read_text().splitlines()
    listed = sorted(map(json.loads, lines), key=lambda entry: entry["file"])
    stems = [entry["file"].rpartition("/")[2].partition(".")[0] for entry in listed]
    return dict(zip(stems, listed, strict=True))


def boxes_of(entry):
    rows = [[d[side] for side in ("ymin", "xmin", "ymax", "xmax")] for d in entry]
    return np.array(rows)


def test_each_readable_file_gets_an_image_of_its_upright_size(predicted):
    output, _ = predicted
    names = {path.name for path in output.iterdir()}
    lists = {"detections.jsonl", "detections.settings.json"}
    assert names == {"big.jpg", "small.jpg", "turned.jpg", *lists}
    assert Image.open(output / "big.jpg").size == (480, 360)
    assert Image.open(output / "turned.jpg").size == (480, 360)
    for name in ("big", "small", "turned"):
        assert detections_in(output)[name]["drawing"] == f"{name}.jpg"


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
    drawn = [np.array(Image.open(predicted[0] / f"{n}.jpg")) for n in ("big", "turned")]
    np.testing.assert_array_equal(*drawn)


@pytest.mark.slow
def test_detections_below_the_least_score_are_left_out(
    random_run, photos, predicted, tmp_path
):
    scores = [d["score"] for d in detections_in(predicted[0])["small"]["detections"]]
    least = (scores[2] + scores[3]) / 2
    predict_files(
        random_run, [photos / "small.png"], Outputs(tmp_path), min_score=least
    )
    kept = detections_in(tmp_path)["small"]["detections"]
    assert [d["score"] for d in kept] == scores[:3]


def nothing_in(file):
    found = Found((), np.zeros(0), np.zeros((0, 4)), np.zeros(0, int), (9, 9))
    return ImageResult(file, found, SHAPE_CLASSES)


def blind_detections(model, files, problems, batch_size=None):
    return (nothing_in(file) for file in files)


@pytest.fixture
def blind(monkeypatch):
    """Makes the commands detect nothing, at once."""
    monkeypatch.setattr(predictions, "detect_each", blind_detections)


@pytest.fixture
def unloadable(monkeypatch):
    """Makes it an error to load a run."""

    def load_detector(directory):
        raise AssertionError("The run was loaded.")

    monkeypatch.setattr(predicting, "load_detector", load_detector)


def predict(run, *words):
    """Runs the command; returns its exit status."""
    return main(["predict", str(run), *map(str, words)])


def test_no_result_takes_the_place_of_another(random_run, photos, blind, tmp_path):
    folder = tmp_path / "in"
    (folder / "more").mkdir(parents=True)
    image = Image.open(photos / "small.png")
    for name in ("a.png", "a.jpg", "more/a.png", "a_2.png"):
        image.save(folder / name)
    words = [f"{folder}/**/*.*", "--output", tmp_path / "out"]
    assert predict(random_run, *words, "--picture-format", "png") == 0
    drawn = {path.name for path in (tmp_path / "out").glob("*.png")}
    lines = (tmp_path / "out" / "detections.jsonl").read_text().splitlines()
    assert {json.loads(line)["drawing"] for line in lines} == drawn
    assert len(drawn) == len(lines) == 4


def test_without_pictures_the_list_alone_is_written(
    random_run, photos, blind, tmp_path
):
    words = [photos, "--output", tmp_path, "--no-pictures"]
    assert predict(random_run, *words) == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["detections.jsonl", "detections.settings.json"]
    assert "drawing" not in detections_in(tmp_path)["big"]


def test_the_images_given_are_not_overwritten(random_run, photos, blind, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    Image.open(photos / "small.png").save(tmp_path / "a.jpg")
    for name in ("a.jpg", "part.a.jpg"):
        image = out / name
        Image.open(photos / "small.png").save(image)
        before, given = image.read_bytes(), [tmp_path / "a.jpg", image]
        for overwrite in (False, True):
            with pytest.raises(ValueError, match=f"{name} is one of the given files"):
                predict_files(
                    random_run,
                    given,
                    Outputs(out),
                    min_score=0.5,
                    overwrite=overwrite,
                )
        assert image.read_bytes() == before
        image.unlink()


@pytest.mark.parametrize("name", ["big.jpg", "detections.jsonl"])
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
    for name in ("big.jpg", "detections.jsonl", "other.txt"):
        (tmp_path / name).write_text("old")
    words = [photos, "--output", tmp_path, "--overwrite"]
    assert predict(random_run, *words) == 0
    assert Image.open(tmp_path / "big.jpg").size == (480, 360)
    assert len(detections_in(tmp_path)) == 4
    assert (tmp_path / "other.txt").read_text() == "old"


def test_what_was_done_before_an_interruption_is_kept_and_gone_on_with(
    random_run, photos, monkeypatch, tmp_path, capsys
):
    out = tmp_path / "out"

    def detect_each(model, files, problems, batch_size=None):
        yield nothing_in(files[0])
        assert detections_in(out).keys() == {"big"}
        yield nothing_in(files[2])
        raise KeyboardInterrupt

    monkeypatch.setattr(predictions, "detect_each", detect_each)
    assert predict(random_run, photos, "--output", out) == 130
    assert detections_in(out).keys() == {"big", "small"}
    assert {path.stem for path in out.glob("*.jpg")} == {"big", "small"}
    told = f"Stopped after 2 of 4 images; what is done is in {out}/detections.jsonl."
    assert capsys.readouterr().err == f"tf-frcnn: {told}\n"
    monkeypatch.setattr(predictions, "detect_each", blind_detections)
    assert predict(random_run, photos, "--output", out) == 0
    assert len((out / "detections.jsonl").read_text().splitlines()) == 4
    told = f"2 of the 4 images are in {out}/detections.jsonl already, and are skipped."
    assert told in capsys.readouterr().out.splitlines()


def test_a_second_start_with_nothing_left_loads_no_model(
    random_run, photos, blind, monkeypatch, tmp_path
):
    words = [photos, "--output", tmp_path / "out", "--no-pictures"]
    assert predict(random_run, *words) == 0
    before = (tmp_path / "out" / "detections.jsonl").read_bytes()
    monkeypatch.setattr(predicting, "load_detector", None)
    assert predict(random_run, *words) == 0
    assert (tmp_path / "out" / "detections.jsonl").read_bytes() == before


def test_drawings_that_a_kill_prevented_are_made_by_the_second_start(
    random_run, photos, blind, tmp_path
):
    words = [photos, "--output", tmp_path / "out"]
    assert predict(random_run, *words) == 0
    drawing = tmp_path / "out" / "big.jpg"
    before = drawing.read_bytes()
    drawing.rename(tmp_path / "out" / "part.big.jpg")
    assert predict(random_run, *words) == 0
    assert drawing.read_bytes() == before
    assert not (tmp_path / "out" / "part.big.jpg").exists()


def test_a_line_that_was_cut_off_is_made_again_with_its_drawing(
    random_run, photos, blind, tmp_path
):
    words = [photos, "--output", tmp_path / "out"]
    assert predict(random_run, *words) == 0
    before = detections_in(tmp_path / "out")
    lines = tmp_path / "out" / "detections.jsonl"
    lines.write_bytes(lines.read_bytes()[:-9])
    assert predict(random_run, *words) == 0
    assert detections_in(tmp_path / "out") == before


def test_other_settings_than_before_are_one_error(
    random_run, photos, blind, tmp_path, capsys
):
    words = [photos, "--output", tmp_path / "out"]
    assert predict(random_run, *words) == 0
    capsys.readouterr()
    words = ["predict", random_run, *words, "--min-score", "0.3", "--no-pictures"]
    line = failure_of(capsys, *words)
    assert "detections.jsonl was begun with other settings" in line
    assert "--min-score was 0.5 and is 0.3" in line
    assert "--picture-format was jpeg and is none" in line and "--overwrite" in line


def test_drawings_among_the_images_are_not_detected_in(
    random_run, photos, blind, tmp_path
):
    for name in ("big.png", "small.png"):
        (tmp_path / name).write_bytes((photos / name).read_bytes())
    for _ in range(2):
        assert predict(random_run, tmp_path, "--output", tmp_path) == 0
        lines = (tmp_path / "detections.jsonl").read_text().splitlines()
        files = {json.loads(line)["file"] for line in lines}
        assert files == {f"{tmp_path}/big.png", f"{tmp_path}/small.png"}


def test_shards_list_each_image_once(random_run, photos, blind, tmp_path):
    for number in (1, 2, 3):
        words = [photos, "--output", tmp_path, "--shard", f"{number}/3"]
        assert predict(random_run, *words) == 0
    lists = sorted(tmp_path.glob("detections-?-of-3.jsonl"))
    assert len(lists) == 3
    lines = "".join(path.read_text() for path in lists).splitlines()
    entries = [json.loads(line) for line in lines]
    files = sorted(entry["file"] for entry in entries)
    assert files == sorted(str(path) for path in photos.iterdir())
    for entry in entries:
        if not entry["file"].endswith("cut.png"):  # Which cannot be drawn.
            assert (tmp_path / entry["drawing"]).is_file()


def test_a_shard_that_does_not_exist_is_named(random_run, photos, tmp_path, capsys):
    words = ["predict", random_run, photos, "--output", tmp_path, "--shard"]
    for shard in ("0/3", "4/3", "2", "a/b"):
        line = failure_of(capsys, *words, shard)
        assert line.startswith(f"--shard {shard}: give i/n")


def test_a_batch_of_nothing_is_refused(random_run, photos, tmp_path, capsys):
    words = ["predict", random_run, photos, "--output", tmp_path, "--batch-size", 0]
    assert failure_of(capsys, *words) == "--batch-size 0: it must be at least 1."


def test_coco_results_are_written_and_checked_before(
    random_run, photos, blind, tmp_path, capsys
):
    (tmp_path / "000012.png").write_bytes((photos / "small.png").read_bytes())
    coco = tmp_path / "coco.json"
    words = ["--output", tmp_path / "out", "--no-pictures", "--coco", coco]
    line = failure_of(capsys, "predict", random_run, photos, *words)
    assert "has no image id" in line and not coco.exists()
    assert predict(random_run, tmp_path / "000012.png", *words) == 0
    assert json.loads(coco.read_text()) == []
    line = failure_of(capsys, "predict", random_run, tmp_path / "000012.png", *words)
    assert line.startswith(f"{coco} exists already")


def test_if_no_image_is_readable_the_list_has_the_reasons(
    random_run, photos, tmp_path, capsys
):
    words = ["predict", random_run, photos / "cut.png", "--output", tmp_path]
    assert failure_of(capsys, *words).startswith("None of the 1 images is readable; ")
    assert "damaged" in detections_in(tmp_path)["cut"]["error"]


def test_files_of_a_folder_that_are_no_images_are_counted(
    random_run, photos, blind, tmp_path, capsys
):
    folder = tmp_path / "in"
    (folder / "more").mkdir(parents=True)
    Image.open(photos / "small.png").save(folder / "a.png")
    for name in ("a.xml", "b.XML", "c.raw", "README"):
        (folder / name).touch()
    assert predict(random_run, folder, "--output", tmp_path / "out") == 0
    line = f"{folder}: not taken for images: 2 .xml, "
    (told,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith(line)]
    for words in ("1 .raw", "1 without ending", "1 folders"):
        assert words in told


def test_a_pattern_without_images_is_an_error_and_makes_no_folder(random_run, tmp_path):
    with pytest.raises(DataError, match=r"nothing\*\.png: no image found"):
        predict_files(
            random_run,
            [f"{tmp_path}/nothing*.png"],
            Outputs(tmp_path / "out"),
            min_score=0.5,
        )
    assert not (tmp_path / "out").exists()


def test_predictions_are_those_of_the_saved_model(trained_run, tmp_path):
    sample = trained_run / "samples" / "shapes_1000000_00000.png"
    output = tmp_path / "out"
    arguments = ["predict", str(trained_run), str(sample), "--min-score", "0"]
    assert main([*arguments, "--output", str(output)]) == 0
    drawing = output / f"{sample.stem}.jpg"
    assert Image.open(drawing).size == Image.open(sample).size
    (entry,) = detections_in(output).values()
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


def test_images_may_be_listed_in_a_file(
    random_run, photos, blind, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(photos)
    (tmp_path / "list").write_text("./big.png\n\ngone.png\n small.png\n")
    words = ["big.png", "--files-from", tmp_path / "list", "--output", tmp_path]
    assert predict(random_run, *words, "--no-pictures") == 0
    files = [entry["file"] for entry in detections_in(tmp_path).values()]
    assert files == ["big.png", "gone.png", "small.png"]
    (tmp_path / "list").write_text("\n")
    words = ["--files-from", tmp_path / "list", "--output", tmp_path, "--overwrite"]
    assert "names no image" in failure_of(capsys, "predict", random_run, *words)
    assert "give images, or a list" in failure_of(capsys, "predict", random_run)
    line = failure_of(capsys, "predict", random_run, "big.png", "list.txt")
    assert line == "list.txt is no image; give a list by --files-from list.txt."


def test_options_that_do_not_go_together_are_named(random_run, photos, capsys):
    def told(*words, run=random_run):
        return failure_of(capsys, "predict", run, photos, *words)

    assert told("--beam", "a=1") == "without --runner there is no --beam."
    assert told("--list-format", "parquet").endswith("no --list-format.")
    assert told("--runner", "x", "--shard", "1/2") == "--runner goes without --shard."
    address = "gs://bucket/exported/1"
    assert told(run=address) == f"{address}: an address needs --runner; give a folder."


@pytest.mark.slow
def test_large_images_may_be_cut_into_tiles(
    random_run, photos, predicted, tmp_path, capsys
):
    arguments = ["predict", str(random_run), str(photos / "big.png"), "--no-pictures"]
    arguments += ["--min-score", "0", "--output", str(tmp_path / "new")]
    assert main([*arguments, "--tiles", "200x300", "--tile-overlap", "0.5"]) == 0
    entry = detections_in(tmp_path / "new")["big"]
    assert (entry["height"], entry["width"]) == (360, 480)
    whole = detections_in(predicted[0])["big"]["detections"]
    assert len(entry["detections"]) > len(whole)
    sides = [
        np.median(boxes_of(detections) @ [-1, 0, 1, 0])
        for detections in (entry["detections"], whole)
    ]
    assert sides[0] < sides[1]
    # Without the tiles it would be another list.
    assert "--tiles" in failure_of(capsys, *arguments)


def test_an_exported_model_has_its_own_tiles(tmp_path, capsys):
    (tmp_path / "model_info.json").touch()
    pytest.importorskip("apache_beam")
    options = ["--runner", "DirectRunner", "--tiles", "8x8"]
    line = failure_of(capsys, "predict", tmp_path, "a.png", *options)
    assert "cuts as it was exported; leave out --tiles" in line
