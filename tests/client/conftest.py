"""A run, its SavedModel, and servers of it."""

import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers import rest_stand_in as rest_stand_in_helper
from tests.helpers import rpc_stand_in as rpc_stand_in_helper
from tests.helpers.made_once import made_once
from tf_frcnn.assembly import build_model, build_resizing
from tf_frcnn.cli import main
from tf_frcnn.client.rest import RestService
from tf_frcnn.config import load_config
from tf_frcnn.data import SHAPE_CLASSES, make_shapes, write_voc
from tf_frcnn.data.readers.images import find_images
from tf_frcnn.export.saved_model import write_graph
from tf_frcnn.runs.inference import load_run, write_finished

SETTINGS = """
base: null
data: {reader: shapes}
images: {short_side: 96, long_side: 128, canvases: [[128, 128]]}
backbone: {name: tiny, weights: random, frozen_blocks: 0}
anchors: {scales: [2, 3, 5]}
rpn: {channels: 16}
roi: {head_units: 16}
proposals: {test_pre_nms: 100, test_post_nms: 20}
detections: {score_threshold: 0.0, max_per_image: 8}
"""
MAX_MEGAPIXELS = 0.08


class First(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def detect(self, image_bytes):
        outputs = {
            "detection_boxes": [[0.1, 0.2, 0.9, 0.8], [0.0, 0.0, 0.5, 0.5]],
            "detection_scores": [0.75, 0.5],
            "detection_classes": [2.0, 1.0],
            "detection_class_names": ["second", "first"],
            "num_detections": 2.0,
        }
        ones = tf.ones_like(image_bytes, tf.int32)
        return {name: tf.gather([value], ones - 1) for name, value in outputs.items()}


@pytest.fixture(scope="session", autouse=True)
def no_proxy():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("no_proxy", "NO_PROXY"):
            patch.setenv(name, "127.0.0.1")
        yield


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A folder with seven images; the server refuses 2_large.png."""
    folder = tmp_path_factory.mktemp("photos")
    write_voc(make_shapes(6, seed=8), folder / "shapes", "all")
    files = find_images([folder / "shapes" / "JPEGImages"])
    for number, file in enumerate(files):
        name = folder / f"{number + (number > 1)}.png"
        Image.open(file).save(name)
    upright = Image.open(files[0]).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[274] = 6  # to be turned to the right
    upright.save(folder / "0.png", exif=exif)
    Image.open(files[1]).resize((400, 300)).save(folder / "2_large.png")
    return folder


@pytest.fixture(scope="session")
def good_photos(photos):
    """The paths of the six images that the server accepts."""
    return [str(path) for path in find_images([photos]) if "large" not in path.name]


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """The folder of a run with random weights, which say something everywhere."""
    folder = tmp_path_factory.mktemp("runs") / "random"
    folder.mkdir()
    (folder / "settings.yaml").write_text(SETTINGS)
    config = load_config(folder / "settings.yaml")
    write_finished(folder, config, build_model(config, SHAPE_CLASSES))
    return folder


@pytest.fixture(scope="session")
def exported(run_folder, tmp_path_factory):
    """The folder of two versions; the first gives two detections, always the same."""

    def export(folder):
        first = First()
        tf.saved_model.save(first, folder / "1", {"serving_default": first.detect})
        run = load_run(run_folder)
        resizing = build_resizing(run.config.images)
        write_graph(run.model, resizing, folder / "2", MAX_MEGAPIXELS)

    return made_once(tmp_path_factory, "versions", export)


@pytest.fixture(scope="session")
def rest_stand_in():
    return rest_stand_in_helper


@pytest.fixture(scope="session")
def rest_server(rest_stand_in, exported):
    with rest_stand_in.start(exported, "shapes") as server:
        yield server


@pytest.fixture(scope="session")
def rpc_stand_in():
    pytest.importorskip(
        "tensorflow_serving", reason='needs pip install "tf-frcnn[client]"'
    )
    return rpc_stand_in_helper


@pytest.fixture(scope="session")
def rpc_server(rpc_stand_in, exported):
    with rpc_stand_in.start(exported, "shapes") as server:
        yield server


@pytest.fixture
def rest(rest_server):
    """The server for REST, with nothing noted and nothing to go wrong."""
    rest_server.requests.clear()
    rest_server.faults.clear()
    return rest_server


@pytest.fixture
def rpc(rpc_server):
    """The server for gRPC, likewise."""
    rpc_server.requests.clear()
    rpc_server.faults.clear()
    return rpc_server


@pytest.fixture(params=["rest", "rpc"])
def server(request):
    """Each of the two; `option` and `place` are what the command takes."""
    server = request.getfixturevalue(request.param)
    if request.param == "rest":
        server.option, server.place = "--url", server.url
    else:
        server.option, server.place = "--grpc", server.target
    return server


@pytest.fixture
def ask(server, tmp_path):
    """Runs the command against the server; returns the exit status and the folder."""

    def run(*arguments, model="shapes"):
        output = tmp_path / "answers"
        words = ["client", server.option, server.place, "--model", model]
        words += ["--output", str(output), "--min-score", "0", *map(str, arguments)]
        return main(words), output

    return run


@pytest.fixture
def rest_service(rest):
    """Prepares a `RestService` of the server."""
    services = []

    def prepare(*, timeout=60.0, retries=3):
        services.append(
            RestService(
                rest.url,
                "shapes",
                None,
                timeout=timeout,
                retries=retries,
                concurrency=1,
            )
        )
        return services[-1]

    yield prepare
    for service in services:
        service.close()
