import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tf_frcnn.cli import main
from tf_frcnn.client import RefusedImageError, ServerError, detect_files
from tf_frcnn.runs.prediction_outputs import Outputs

pytestmark = pytest.mark.slow

SETTINGS = "detections.settings.json"
SIDES = ("ymin", "xmin", "ymax", "xmax")


@pytest.fixture(scope="module")
def predicted(run_folder, good_photos, tmp_path_factory):
    """The output folder of `predict` for the images that the server accepts."""
    output = tmp_path_factory.mktemp("predicted")
    arguments = ["predict", str(run_folder), *good_photos, "--min-score", "0"]
    assert main([*arguments, "--output", str(output)]) == 0
    return output


def listed(folder):
    """Returns the entries of the list, in the order of the files."""
    lines = (folder / "detections.jsonl").read_text().splitlines()
    return sorted(map(json.loads, lines), key=lambda entry: entry["file"])


def line_of(capsys):
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("tf-frcnn: ")


def numbers_of(entry):
    rows = [[d["score"], *(d[side] for side in SIDES)] for d in entry["detections"]]
    return np.array(rows)


def check_same(folder, expected_folder):
    check_same_entries(listed(folder), listed(expected_folder))


def check_same_entries(found, expected):
    assert len(found) == len(expected) > 0
    for own, other in zip(found, expected, strict=True):
        for key in ("file", "height", "width"):
            assert own[key] == other[key]
        names = [[d["class"] for d in entry["detections"]] for entry in (own, other)]
        assert names[0] == names[1] and len(names[0]) == 8
        difference = np.abs(numbers_of(own) - numbers_of(other)).max(axis=0)
        assert difference[0] < 1e-4 and difference[1:].max() < 0.01


def test_a_server_gives_what_predict_gives(ask, good_photos, predicted):
    status, output = ask(*good_photos)
    assert status == 0
    check_same(output, predicted)
    names = {path.name for path in output.iterdir()}
    assert names == {path.name for path in predicted.iterdir()} - {SETTINGS}
    assert len(names) == 7
    for name in names - {"detections.jsonl"}:
        own, other = (np.array(Image.open(f / name)) for f in (output, predicted))
        assert own.shape == other.shape
        # A score's last digit may be rounded the other way.
        assert (own != other).any(axis=2).mean() < 0.01


def test_only_detections_with_the_score_are_listed(ask, good_photos, predicted):
    scores = [d["score"] for entry in listed(predicted) for d in entry["detections"]]
    least = (sorted(scores)[-4] + sorted(scores)[-5]) / 2
    status, output = ask(*good_photos, "--min-score", least)
    assert status == 0
    assert sum(len(entry["detections"]) for entry in listed(output)) == 4


@pytest.mark.parametrize(
    ("batch_size", "concurrency", "sizes"),
    [(8, 1, [6]), (4, 1, [4, 2]), (1, 3, [1] * 6), (2, 2, [2, 2, 2])],
)
def test_batches_and_concurrency_change_no_result(
    ask, server, good_photos, predicted, batch_size, concurrency, sizes
):
    options = ["--batch-size", batch_size, "--concurrency", concurrency]
    status, output = ask(*good_photos, *options)
    assert status == 0
    check_same(output, predicted)
    sent = [size for _, size in server.requests]
    assert sorted(sent, reverse=True) == sizes


def test_a_refused_image_is_left_out_and_listed(ask, server, photos, predicted, capsys):
    status, output = ask(photos)
    assert status == 0
    entries = listed(output)
    assert [Path(entry["file"]).name[0] for entry in entries] == list("0123456")
    refused = entries.pop(2)
    assert refused.keys() == {"file", "error"} and "refuses" in refused["error"]
    check_same_entries(entries, listed(predicted))
    assert [size for _, size in server.requests] == [7, 6, 1]
    printed = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "unreadable_image" in printed and "drop" in printed
    assert not (output / "2_large.jpg").exists()


def test_the_servers_reason_is_told(
    rest_service, photos, good_photos, tmp_path, capsys
):
    files = [str(photos / "2_large.png"), good_photos[0]]
    detect_files(rest_service(), files, Outputs(tmp_path / "out"), 0.5)
    words = capsys.readouterr().out.replace("│", " ").replace("┃", " ").split()
    for word in ("refuses", "300", "400", "megapixels"):
        assert word in words


def test_nothing_is_written_if_all_images_are_refused(ask, photos, capsys):
    status, output = ask(photos / "2_large.png")
    assert status == 2 and not output.exists()
    assert line_of(capsys).endswith("none of the 1 images was accepted.")


def test_a_file_that_is_no_image_is_not_even_sent(
    ask, server, good_photos, tmp_path, capsys
):
    (tmp_path / "text.png").write_text("no picture")
    status, output = ask(tmp_path / "text.png", good_photos[0])
    assert status == 0
    found, failed = sorted(listed(output), key=lambda entry: "error" in entry)
    assert "not an image" in failed["error"] and found["file"] == good_photos[0]
    assert [size for _, size in server.requests] == [1]
    assert "unreadable_image" in capsys.readouterr().out


def test_an_image_is_not_overwritten(ask, server, good_photos, tmp_path, capsys):
    image = tmp_path / "answers" / "mine.png"
    image.parent.mkdir()
    Image.open(good_photos[1]).save(image)
    before = image.read_bytes()
    status, _ = ask(image, "--picture-format", "png")
    assert status == 2 and "would be overwritten" in line_of(capsys)
    assert server.requests == [] and image.read_bytes() == before


@pytest.mark.parametrize(("version", "count"), [(None, 8), (1, 2), (2, 8)])
def test_the_latest_version_answers_or_the_one_asked_for(
    ask, server, good_photos, version, count
):
    options = [] if version is None else ["--version", version]
    status, output = ask(good_photos[1], *options)
    (entry,) = listed(output)
    assert status == 0 and len(entry["detections"]) == count
    ((asked, _),) = server.requests
    if server.option == "--url":
        place = "" if version is None else f"/versions/{version}"
        assert asked == f"/v1/models/shapes{place}:predict"
    else:
        assert asked == version


@pytest.mark.parametrize(
    ("model", "options"), [("nothing", []), ("shapes", ["--version", "3"])]
)
def test_a_model_that_the_server_lacks_is_an_error(
    ask, good_photos, model, options, capsys
):
    status, output = ask(good_photos[0], *options, model=model)
    line = line_of(capsys)
    assert status == 2 and not output.exists()
    assert model in line and "NOT_FOUND: Servable not found" in line
    assert line.endswith("; check --model and --version")


class Fickle:
    """A service that refuses its first request; a box is as high as the file is long.

    That of a million bytes would be the whole image.
    """

    address = "here"
    requests = 0

    def detect(self, files):
        self.requests += 1
        if self.requests == 1:
            raise RefusedImageError(0, "another client's is bad")
        row = {
            "detection_scores": [1],
            "detection_classes": [1],
            "detection_class_names": ["a"],
            "num_detections": 1,
        }
        return [row | {"detection_boxes": [[0, 0, len(f) / 1e6, 1]]} for f in files]


def test_an_image_that_is_accepted_late_keeps_its_place(good_photos, tmp_path):
    service = Fickle()
    detect_files(service, good_photos, Outputs(tmp_path), 0.5)
    assert service.requests == 3  # all, all but the first, and the first
    entries = listed(tmp_path)
    assert [entry["file"] for entry in entries] == good_photos
    for entry in entries:
        share = entry["detections"][0]["ymax"] / entry["height"]
        length = Path(entry["file"]).stat().st_size
        assert share == pytest.approx(length / 1e6, abs=1e-5)


class Changing:
    """A service whose model changes between two requests."""

    address = "here"

    def __init__(self):
        self.names = [["cross"], ["triangle"]]

    def detect(self, files):
        row = {
            "detection_boxes": [[0, 0, 1, 1]],
            "detection_scores": [0.9],
            "detection_classes": [2],
            "detection_class_names": self.names.pop(0),
            "num_detections": 1,
        }
        return [row] * len(files)


def test_a_model_that_changes_meanwhile_is_an_error(good_photos, tmp_path):
    message = "Class 2 is called 'cross' in one answer and 'triangle' in another"
    with pytest.raises(ServerError, match=message):
        detect_files(Changing(), good_photos[:2], Outputs(tmp_path), 0.5, batch_size=1)
    (kept,) = listed(tmp_path)
    assert kept["file"] == good_photos[0]
    assert [d["class"] for d in kept["detections"]] == ["cross"]


def test_a_result_that_is_there_is_refused_before_anything_is_sent(
    ask, server, good_photos, tmp_path, capsys
):
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "detections.jsonl").write_text("mine")
    status, output = ask(good_photos[0])
    assert status == 2 and "detections.jsonl exists already" in line_of(capsys)
    assert server.requests == []
    assert (output / "detections.jsonl").read_text() == "mine"
    status, output = ask(good_photos[0], "--overwrite")
    assert status == 0 and len(listed(output)) == 1


class Stopping:
    """A service that the user stops while it answers the second request."""

    address = "here"
    requests = 0

    def detect(self, files):
        if self.requests == 1:
            raise KeyboardInterrupt
        self.requests += 1
        row = {
            "detection_boxes": [[0, 0, 1, 1]],
            "detection_scores": [1],
            "detection_classes": [1],
            "detection_class_names": ["a"],
            "num_detections": 1,
        }
        return [row for _ in files]


def test_answers_before_an_interruption_are_kept(good_photos, tmp_path):
    with pytest.raises(KeyboardInterrupt, match="Stopped after 1 of 3 images"):
        detect_files(Stopping(), good_photos[:3], Outputs(tmp_path), 0.5, batch_size=1)
    assert [entry["file"] for entry in listed(tmp_path)] == good_photos[:1]
