"""Weights by name, from a server on this machine."""

import hashlib
import http.server
import os
import re
import socket
import threading
import urllib.request
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.helpers import torch_original
from tests.helpers.imagined_source import SOURCE, random_arrays
from tests.helpers.torch_files import write_state_dict
from tf_frcnn.assembly import build_model
from tf_frcnn.checkpoints import (
    PUBLISHED,
    SOURCES,
    CheckpointError,
    DownloadError,
    Published,
    fetch,
    load_published,
    published,
    torchvision,
)
from tf_frcnn.checkpoints.class_lists import COCO_BY_ID
from tf_frcnn.checkpoints.files import Checkpoint
from tf_frcnn.checkpoints.name_map import named_variables
from tf_frcnn.config import ConfigError, make_config
from tf_frcnn.data import SHAPE_CLASSES

CONTENT = b"the content of a file" * 50
FILE = "weights-1234.pth"


class Server(http.server.ThreadingHTTPServer):
    """Serves one content under every name, and remembers what was asked for.

    Attributes:
        content: the bytes.
        length: what the answer says of their number; None for nothing.
        status: of the answers.
        silent: whether it does not answer.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked, self.ended = [], threading.Event()
        self.status, self.silent = 200, False
        self.serve(CONTENT)

    def serve(self, content, length=-1):
        self.content, self.length = content, len(content) if length == -1 else length

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if self.server.silent:
            self.server.ended.wait()
            return
        self.send_response(self.server.status)
        if self.server.length is not None:
            self.send_header("Content-Length", self.server.length)
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.ended.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """Gives a folder for downloads, without proxies or mirrors of the machine's."""
    monkeypatch.setenv("TF_FRCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TF_FRCNN_MIRROR", raising=False)
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(urllib.request, "_opener", None)
    return tmp_path / "cache" / "weights"


def published_at(address, content=CONTENT, file=FILE, source="imagined"):
    digits = hashlib.sha256(content).hexdigest()[:8]
    return Published(source, file, f"{address}/models/{file}", digits, "", 0.1, "")


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


# Loading -----------------------------------------------------------------------------


@pytest.fixture
def imagined(server, tmp_path, monkeypatch):
    """Publishes weights of a small detector on the server; gives the arrays."""
    arrays = random_arrays()
    content = write_state_dict(tmp_path / "made.pth", arrays).read_bytes()
    server.serve(content)
    monkeypatch.setitem(SOURCES, "imagined", SOURCE)
    wanted = published_at(server.address, content)
    monkeypatch.setitem(PUBLISHED, ("imagined", "shapes"), wanted)
    return arrays


def test_a_detector_is_loaded_by_name(imagined, server):
    loaded = load_published("imagined", "shapes")
    assert loaded.model.class_names == SHAPE_CLASSES
    assert len(loaded.report.loaded) == len(imagined) - 1  # the optimizer's step
    for name, variable in named_variables(loaded.model).items():
        np.testing.assert_array_equal(variable, imagined[name.replace("/", ".")])
    load_published("imagined", "shapes")
    assert len(server.asked) == 1


def test_overrides_and_classes_are_taken(imagined):
    overrides = {"images": {"short_side": 64}, "detections": {"score_threshold": 0.3}}
    plain = load_published("imagined", "shapes").config
    loaded = load_published("imagined", "shapes", ["cell"], overrides=overrides)
    assert loaded.model.class_names == ("cell",)
    assert loaded.config == plain.replace(
        images=plain.images.replace(short_side=64),
        detections=plain.detections.replace(score_threshold=0.3),
    )


def test_the_variant_is_taken(imagined, monkeypatch):
    key = ("imagined", "shapes")
    entry = PUBLISHED[key]._replace(variant="unknown classes")
    monkeypatch.setitem(PUBLISHED, key, entry)
    assert load_published(*key, ["a", "b", "c", "d"]).report.random == []


def test_a_bad_override_is_named(imagined):
    with pytest.raises(ConfigError, match=r"^overrides: images\.side is not a setting"):
        load_published("imagined", "shapes", overrides={"images": {"side": 64}})


def test_an_unknown_name_is_told_what_there_is():
    there_is = "coco of torchvision_resnet50_fpn, imagenet of torchvision_resnet50_fpn,"
    for recipe, weights in (("zf_voc07", "coco"), ("torchvision_resnet50_fpn", "voc")):
        message = f"weights = '{weights}' of '{recipe}' are not published; .*{there_is}"
        with pytest.raises(ValueError, match=message):
            load_published(recipe, weights)


def test_a_backbone_is_not_downloaded_without_classes(server, monkeypatch):
    monkeypatch.setenv("TF_FRCNN_MIRROR", server.address)
    with pytest.raises(ValueError, match="know no objects; give class_names"):
        load_published("torchvision_resnet50_fpn", "imagenet")
    assert server.asked == []


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


# Whole networks ----------------------------------------------------------------------


def publish(server, monkeypatch, key, path):
    """Serves a file instead of a published one."""
    server.serve(path.read_bytes())
    wanted = published_at(server.address, server.content, PUBLISHED[key].file)
    entry = wanted._replace(source=PUBLISHED[key].source)
    monkeypatch.setitem(PUBLISHED, key, entry)
    return key


def mobilenet_detector():
    """Returns random weights of torchvision's detector of 90 classes, by its names."""
    name_map = torchvision._name_map(torchvision.MOBILENET_320)
    config = make_config(torchvision.settings_of(torchvision.MOBILENET_320), "test")
    model = build_model(config, COCO_BY_ID)
    rng, arrays = np.random.default_rng(0), {}
    for weight, variable in named_variables(model).items():
        places = {2: (1, 0), 4: (3, 2, 0, 1)}.get(len(variable.shape), (0,))
        if weight.endswith("_depthwise_conv/kernel"):
            places = (2, 3, 0, 1)
        shape = [variable.shape[place] for place in places]
        values = rng.uniform(0.01, 0.02, shape).astype(np.float32)
        arrays[name_map[weight].names[0]] = values
    return arrays


@pytest.mark.slow
def test_a_detector_of_torchvision_by_name(server, tmp_path, monkeypatch):
    arrays = mobilenet_detector()
    path = write_state_dict(tmp_path / "made.pth", arrays)
    key = ("torchvision_mobilenet_v3_large_320_fpn", "coco")
    publish(server, monkeypatch, key, path)
    loaded = load_published(*key, overrides={"images": {"short_side": 200}})
    report = loaded.report
    assert len(report.loaded) == len(arrays)
    assert not (report.missing or report.unexpected or report.random)
    assert len(loaded.model.class_names) == 90
    assert (loaded.config.images.short_side, loaded.config.images.long_side) == (
        200,
        640,
    )
    bias = loaded.model.roi_head.predictor.logits.bias
    np.testing.assert_array_equal(
        bias, arrays["roi_heads.box_predictor.cls_score.bias"]
    )


@pytest.mark.slow
def test_a_backbone_of_torchvision_by_name(server, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch", reason="PyTorch writes the original")
    network = torch_original.TorchNetwork(torch)
    network.add_resnet50()
    key = ("torchvision_resnet50_fpn", "imagenet")
    publish(server, monkeypatch, key, network.save(tmp_path / "made.pth"))
    loaded = load_published(*key, ["cell", "dish"])
    assert loaded.model.class_names == ("cell", "dish")
    assert loaded.config.backbone.name == "resnet50_fpn"
    kernel = named_variables(loaded.model)["backbone/conv1_conv/kernel"]
    expected = network.state["conv1.weight"].permute(2, 3, 1, 0).numpy()
    np.testing.assert_array_equal(kernel, expected)
