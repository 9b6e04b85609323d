"""A run with its export, and images, for pipelines."""

import io

import pytest
from PIL import Image

from tests.helpers.random_run import write_random_run
from tf_frcnn.data import make_shapes
from tf_frcnn.export.saved_model import write_graph
from tf_frcnn.export.versions import SAVED_MODEL, add_version, describe
from tf_frcnn.runs.inference import load_run
from tf_frcnn.runs.reports import run_info


@pytest.fixture(scope="session")
def pictures():
    """Two drawn images."""
    stored = make_shapes(2, seed=8).stream().as_numpy_iterator()
    return [Image.open(io.BytesIO(data)) for _, data in stored]


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """A run with its export, which is not checked."""
    folder = write_random_run(tmp_path_factory.mktemp("runs"))
    run = load_run(folder)

    def fill(part):
        write_graph(run.model, run.model.resizing, part, max_megapixels=1.0)
        describe(part, run.model, run_info(run))

    add_version(folder / "export", None, SAVED_MODEL, fill)
    return folder


@pytest.fixture(scope="session")
def photos(pictures, tmp_path_factory):
    """Images of three canvases' worth of sizes, a turned one, and a cut one."""
    folder = tmp_path_factory.mktemp("photos")
    first, second = pictures
    exif = Image.Exif()
    exif[274] = 6
    for number in range(4):
        first.resize((150 + 7 * number, 110)).save(folder / f"lying_{number}.png")
    second.resize((70, 100)).save(folder / "upright.jpg")
    second.save(folder / "turned.jpg", exif=exif)
    whole = (folder / "lying_0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    return folder
