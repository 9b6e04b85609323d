"""Fixtures of the tests of the demo: a run, and servers of the page."""

import contextlib
import io
import shutil
import threading

import pytest
import uvicorn
from PIL import Image

from tests.helpers import browser as browser_helper
from tests.helpers.paths import QUICKSTART
from tf_frcnn.assembly import build_model, build_resizing
from tf_frcnn.cli import main
from tf_frcnn.config import load_config
from tf_frcnn.data import SHAPE_CLASSES, make_shapes, write_voc
from tf_frcnn.data.readers.images import find_images
from tf_frcnn.demo import image_detector, listen, serve
from tf_frcnn.runs.inference import load_run, write_finished

SETTINGS = {
    "images.short_side": 96,
    "images.long_side": 128,
    "images.canvases": [[128, 128]],
    "rpn.channels": 16,
    "proposals.test_pre_nms": 100,
    "proposals.test_post_nms": 20,
    "roi.head_units": 16,
    "detections.score_threshold": 0.001,
    "detections.max_per_image": 9,
}


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """The folder of a run that was never trained."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    config = load_config(QUICKSTART, [f"{n}={v}" for n, v in SETTINGS.items()])
    write_finished(folder, config, build_model(config, SHAPE_CLASSES))
    return folder


@pytest.fixture(scope="session")
def run(run_folder):
    return load_run(run_folder)


@pytest.fixture(scope="session")
def detect(run):
    """The run's detector; images may have 0.5 megapixels."""
    return image_detector(run.model, build_resizing(run.config.images), 500_000)


@pytest.fixture(scope="session")
def shape_file(tmp_path_factory):
    """An image of shapes, not square."""
    folder = tmp_path_factory.mktemp("shapes")
    write_voc(make_shapes(1, seed=4), folder, "all")
    return find_images([folder / "JPEGImages"])[0]


@contextlib.contextmanager
def _in_thread(function, *arguments, **settings):
    """Runs what serves the page beside the test; gives the page's address."""
    servers, ended, goes_on = [], [], threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets)
            servers.append(self)
            goes_on.set()

    def run():
        try:
            ended.append(function(*arguments, **settings))
        finally:
            goes_on.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uvicorn, "Server", Server)
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        assert goes_on.wait(300), "The server does not start."
        assert servers, f"The server ended: {ended}"
    try:
        port = servers[0].servers[0].sockets[0].getsockname()[1]
        yield f"http://localhost:{port}"
    finally:
        servers[0].should_exit = True
        thread.join(60)
        assert not thread.is_alive(), "The server does not end."


@pytest.fixture(scope="session")
def serving():
    """Serves the page of a function: `with serving(detect, ["cat"]) as address`."""

    @contextlib.contextmanager
    def serving(detect, class_names, max_megabytes=1.0, **settings):
        settings |= {"max_megabytes": max_megabytes, "max_megapixels": 0.5}
        with listen("127.0.0.1", 0) as listener:
            names = {"name": "pets", "class_names": class_names}
            with _in_thread(serve, detect, listener, **names, **settings) as address:
                yield address

    return serving


@pytest.fixture(scope="session")
def run_address(run_folder):
    """Where the command serves the run."""
    with _in_thread(main, ["demo", str(run_folder), "--port", "0"]) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    """The names of browser.py."""
    return browser_helper


@pytest.fixture(scope="session")
def driver(browser):
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if None in programs:
        pytest.skip("Debian's chromium and chromium-driver are not installed")
    driver = browser.start_driver(*programs)
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def pets(browser):
    return browser.Pets()


@pytest.fixture(scope="session")
def pets_address(browser, pets, serving):
    with serving(pets.detect, browser.NAMES) as address:
        yield address


@pytest.fixture(scope="session")
def png():
    """An image of the size that pets are found in."""
    file = io.BytesIO()
    Image.new("RGB", (200, 100), (120, 140, 160)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def image(png, tmp_path):
    path = tmp_path / "two cats.png"
    path.write_bytes(png)
    return path


@pytest.fixture
def page(browser, driver, pets_address):
    return browser.Page(driver, pets_address)


@pytest.fixture
def shown(page, image):
    """The page with boxes."""
    page.choose(image)
    page.wait_for_boxes()
    return page
