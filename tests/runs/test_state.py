import json

import pytest

from tf_frcnn.runs.state import (
    Best,
    Checkpoint,
    RunState,
    is_as_written,
    read_state,
    write_state,
)

CHECKPOINT = Checkpoint(
    file="weights/a.h5",
    # Of b"abc", FIPS 180-2, appendix B.1.
    sha256="ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    epoch=2,
    batch=3,
    step=23,
    images=46,
    rate=0.1,
    losses={"loss": (1 / 3, 3.0)},
)


def test_a_state_is_read_as_it_was_written(tmp_path):
    best = Best(file="b", sha256="0", figure="val_mAP", value=0.1, epoch=1)
    state = RunState(
        files={"config.yaml": "1"}, checkpoints=(CHECKPOINT,), best=best, data="2"
    )
    write_state(tmp_path, state)
    assert read_state(tmp_path) == state
    assert state.replace(best=None).best is None and state.best == best


def test_a_folder_without_a_state_has_none(tmp_path):
    assert read_state(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file: Invalid JSON"),
        ('{"format": 2}', "format: Input should be 1"),
        ('{"checkpoints": [{"file": "a"}]}', "checkpoints.0.sha256: Field required"),
        ('{"more": 1}', "more: Extra inputs are not permitted"),
    ],
)
def test_a_damaged_state_is_one_line_that_names_the_file(tmp_path, text, message):
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_state(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'state.json'}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name",
    ["../a.h5", "weights/../../a.h5", "/etc/passwd", "C:\\a", r"\\a\b", "", "."],
)
@pytest.mark.parametrize("place", ["checkpoints", "best", "files"])
def test_a_file_outside_of_the_folder_is_refused(tmp_path, name, place):
    part = json.dumps({"file": name, "sha256": "0"})
    named = json.dumps({name: "0"})
    values = {"checkpoints": f"[{part}]", "best": part, "files": named}
    (tmp_path / "state.json").write_text(f'{{"{place}": {values[place]}}}')
    with pytest.raises(ValueError, match="does not name a file of the run folder"):
        read_state(tmp_path)


def test_weights_are_known_by_their_checksum(tmp_path):
    path = tmp_path / CHECKPOINT.file
    path.parent.mkdir()
    assert not is_as_written(tmp_path, CHECKPOINT)
    path.write_bytes(b"abc")
    assert is_as_written(tmp_path, CHECKPOINT)
    path.write_bytes(b"abd")
    assert not is_as_written(tmp_path, CHECKPOINT)
