"""Published files, fetched from a server on this machine."""

import hashlib
import re
import socket
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.helpers.file_server import CONTENT, FILE, published_at
from tf_frcnn.checkpoints import (
    PUBLISHED,
    SOURCES,
    CheckpointError,
    DownloadError,
    fetch,
    published,
)
from tf_frcnn.checkpoints.files import Checkpoint

pytestmark = pytest.mark.usefixtures("folder")


def fails(wanted, *patterns, error=DownloadError):
    with pytest.raises(error) as raised:
        fetch(wanted)
    message = str(raised.value)
    assert "\n" not in message
    for pattern in patterns:
        assert re.search(pattern, message), message
    return message


def files_in(folder):
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def test_a_file_is_downloaded_once(server, folder):
    wanted = published_at(server.address)
    path = fetch(wanted)
    assert path == folder / FILE and path.read_bytes() == CONTENT
    assert fetch(wanted) == path
    assert server.asked == [f"/models/{FILE}"] and files_in(folder) == [FILE]


def test_a_download_of_other_digits_is_removed(server, folder):
    wanted = published_at(server.address, b"another content")
    found = hashlib.sha256(CONTENT).hexdigest()[:8]
    fails(
        wanted,
        f"^{re.escape(wanted.address)}: .* with {wanted.sha256}, .* with {found};",
        error=CheckpointError,
    )
    assert files_in(folder) == []


def test_a_file_of_other_digits_is_named_and_left(server, folder):
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(b"put there")
    wanted = published_at(server.address)
    found = hashlib.sha256(b"put there").hexdigest()[:8]
    place = re.escape(str(folder / FILE))
    pattern = f"^{place}: .* with {wanted.sha256}, .* with {found};.* Delete it"
    fails(wanted, pattern, error=CheckpointError)
    assert server.asked == [] and (folder / FILE).read_bytes() == b"put there"


def assert_says_what_to_put_where(message, wanted, folder):
    for part in (wanted.file, wanted.address, wanted.sha256, str(folder / FILE)):
        assert part in message
    assert "TF_FRCNN_MIRROR" in message and files_in(folder) == []


def test_without_network_the_error_says_which_file_to_put_where(folder):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        wanted = published_at(address)
        message = fails(wanted, "Connection refused")
    assert_says_what_to_put_where(message, wanted, folder)
    (folder / FILE).write_bytes(CONTENT)
    assert fetch(wanted) == folder / FILE


def test_a_file_that_the_server_lacks_is_such_an_error(server, folder):
    server.status = 404
    wanted = published_at(server.address)
    message = fails(wanted, "HTTP Error 404")
    assert_says_what_to_put_where(message, wanted, folder)


def test_a_silent_server_is_such_an_error(server, folder, monkeypatch):
    monkeypatch.setattr(published, "_PATIENCE", 0.2)
    server.silent = True
    wanted = published_at(server.address)
    assert_says_what_to_put_where(fails(wanted, "timed out"), wanted, folder)
    assert socket.getdefaulttimeout() is None


def test_an_answer_that_is_cut_off_is_such_an_error(server, folder):
    server.serve(CONTENT[:-9], len(CONTENT))
    wanted = published_at(server.address)
    message = fails(wanted, f"got only {len(CONTENT) - 9}")
    assert_says_what_to_put_where(message, wanted, folder)


def test_an_answer_of_unknown_length_that_is_cut_off_has_other_digits(server, folder):
    server.serve(CONTENT[:-9], None)
    fails(published_at(server.address), "SHA-256", error=CheckpointError)
    assert files_in(folder) == []


def test_an_interrupted_download_leaves_nothing(server, folder, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.utils, "get_file", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(published_at(server.address))
    assert files_in(folder) == []


def test_a_folder_that_cannot_be_made_is_such_an_error(server, folder):
    folder.parent.write_text("not a folder")
    fails(published_at(server.address), re.escape(str(folder.parent)))
    assert server.asked == []


def test_a_mirror_has_the_files_under_their_names(server, monkeypatch):
    wanted = published_at("http://weights.invalid")
    for slash in ("", "/"):
        monkeypatch.setenv("TF_FRCNN_MIRROR", f"{server.address}/of/ours{slash}")
        path = fetch(wanted)
        assert path.read_bytes() == CONTENT
        path.unlink()
    assert server.asked == [f"/of/ours/{FILE}"] * 2


def test_a_mirror_may_be_a_folder(tmp_path, monkeypatch):
    (tmp_path / FILE).write_bytes(CONTENT)
    monkeypatch.setenv("TF_FRCNN_MIRROR", tmp_path.as_uri())
    assert fetch(published_at("http://weights.invalid")).read_bytes() == CONTENT


@pytest.mark.parametrize("mirror", ["nonsense", "http://127.0.0.1:0"])
def test_a_mirror_that_is_none_is_named(monkeypatch, mirror):
    monkeypatch.setenv("TF_FRCNN_MIRROR", mirror)
    fails(published_at("http://weights.invalid"), f"from {mirror}/{FILE}")


def test_the_proxy_of_the_environment_is_asked(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.address)
    wanted = published_at("http://weights.invalid")
    assert fetch(wanted).read_bytes() == CONTENT
    assert server.asked == [wanted.address]


def test_without_a_cache_the_file_is_kept_at_the_default_place(
    server, tmp_path, monkeypatch
):
    monkeypatch.setenv("TF_FRCNN_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = fetch(published_at(server.address))
    assert path == tmp_path / "tf_frcnn" / "weights" / FILE
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    fails(published_at(server.address), "set TF_FRCNN_CACHE")


@pytest.mark.parametrize(("recipe", "weights"), PUBLISHED)
def test_the_published_weights_are_those_of_their_recipe(recipe, weights):
    entry = PUBLISHED[recipe, weights]
    marks = {
        "fasterrcnn": {"roi_heads.box_predictor.cls_score.weight": 91},
        "resnet50": {"layer3.5.conv3.weight": 1024},
        "mobilenet": {"features.15.block.3.0.weight": 160},
    }
    (lengths,) = (m for stem, m in marks.items() if entry.file.startswith(stem))
    arrays = {name: np.zeros(n, np.float32) for name, n in lengths.items()}
    file = Checkpoint(Path(entry.file), arrays, sha256=entry.sha256)
    described = SOURCES[entry.source].describe(file, entry.variant)
    assert described.settings["base"] == recipe
    assert (described.num_classes is None) == (weights == "imagenet")
    assert described.notes == () or weights == "imagenet"


@pytest.mark.parametrize("entry", PUBLISHED.values(), ids=lambda entry: entry.file)
def test_what_is_said_of_a_published_file(entry):
    assert entry.address == f"https://download.pytorch.org/models/{entry.file}"
    assert re.fullmatch("[0-9a-f]{8}", entry.sha256)
    assert entry.file.endswith(f"-{entry.sha256}.pth")
    assert 20 < entry.megabytes < 200 and entry.licence
    assert re.fullmatch(r"(COCO box AP|ImageNet top-1) \d\d\.\d+( %)?", entry.figure)
