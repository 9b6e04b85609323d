import json

import numpy as np
import pytest
from PIL import Image

from tests.helpers.random_run import write_random_run
from tf_frcnn.runs.drawings import Drawings
from tf_frcnn.runs.prediction_outputs import Outputs
from tf_frcnn.runs.unfinished_predictions import (
    Listed,
    begin,
    draw_missing,
    read_listed,
    settings_of,
)

SETTINGS = {"weights": "1", "config.yaml": "2", "--min-score": 0.5}
ENTRIES = (
    {"file": "a.png", "error": "it is damaged"},
    {"file": "b.png", "drawing": "b.jpg", "detections": []},
)


@pytest.fixture
def outputs(tmp_path):
    """Those of a list that was begun with `SETTINGS`, and cut off in its third line."""
    outputs = Outputs(tmp_path)
    begin(outputs, SETTINGS)
    lines = "".join(json.dumps(entry) + "\n" for entry in ENTRIES)
    outputs.lines.write_text(lines + '{"file": "c.png", "det')
    return outputs


def test_without_a_list_nothing_is_listed(tmp_path):
    assert read_listed(Outputs(tmp_path), SETTINGS) == Listed()
    Outputs(tmp_path).lines.touch()
    assert read_listed(Outputs(tmp_path), SETTINGS) == Listed()


def test_what_is_listed_is_read_and_what_was_cut_off_goes(outputs):
    begun = outputs.settings.stat().st_mtime
    listed = Listed({"a.png", "b.png"}, {"b.jpg"}, begun)
    assert read_listed(outputs, SETTINGS) == listed
    assert [json.loads(x) for x in outputs.lines.open()] == [*ENTRIES]


def test_a_new_list_takes_the_place_of_another(outputs):
    begin(outputs, SETTINGS)
    assert outputs.lines.read_text() == ""
    assert read_listed(outputs, SETTINGS) == Listed()


def test_other_weights_and_settings_are_told_and_nothing_changes(outputs):
    before = outputs.lines.read_bytes()
    with pytest.raises(ValueError, match="begun with other settings") as error:
        read_listed(outputs, {"weights": "9", "config.yaml": "9", "--min-score": 0.1})
    message = str(error.value)
    for words in ("the weights of the run differ", "the config.yaml of the run differ"):
        assert words in message
    assert "--min-score was 0.5 and is 0.1" in message and "--overwrite" in message
    assert outputs.lines.read_bytes() == before


@pytest.mark.parametrize("settings", [None, "{", "[1]"])
def test_a_list_of_which_nothing_is_known_is_not_gone_on_with(outputs, settings):
    outputs.settings.unlink()
    if settings is not None:
        outputs.settings.write_text(settings)
    with pytest.raises(FileExistsError, match=r"detections\.jsonl exists already"):
        read_listed(outputs, SETTINGS)


def test_drawings_that_are_missing_are_made(outputs, tmp_path):
    Image.fromarray(np.zeros([20, 30, 3], np.uint8)).save(tmp_path / "b.png")
    entry = ENTRIES[1] | {"file": str(tmp_path / "b.png")}
    outputs.lines.write_text(json.dumps(ENTRIES[0]) + "\n" + json.dumps(entry) + "\n")
    with Drawings(outputs.folder, {}) as drawings:
        draw_missing(outputs, drawings, ("a",))
    with Image.open(tmp_path / "b.jpg") as drawn:
        assert drawn.size == (30, 20)


def test_settings_follow_from_the_files_of_a_run_and_the_options(tmp_path):
    run = write_random_run(tmp_path)
    before = settings_of(run, 0.5, Outputs(tmp_path), [])
    assert settings_of(run, 0.5, Outputs(tmp_path / "other"), []) == before
    assert settings_of(run, 0.4, Outputs(tmp_path), [])["--min-score"] == 0.4
    tiles = settings_of(run, 0.5, Outputs(tmp_path), ["tiles.size=[8, 9]"])
    assert (before["--tiles"], tiles["--tiles"]) == ("none", "tiles.size=[8, 9]")
    assert before["--picture-format"] == "jpeg"
    with (run / "classes.txt").open("a") as file:
        file.write("another\n")
    after = settings_of(run, 0.5, Outputs(tmp_path, None), [])
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {"classes.txt", "--picture-format"}
