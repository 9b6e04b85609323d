import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from PIL import Image

from tests.helpers.remote_files import address_of
from tf_frcnn.beam.inputs import FindImages, Images
from tf_frcnn.data import DataError

RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.jpg", "c.JPEG", "d.xml", "more/e.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name, format="PNG")
    return tmp_path


def require(images, expected):
    with beam.Pipeline(runner=RUNNER) as pipeline:
        assert_that(pipeline | FindImages(images), equal_to(expected))


def test_own_files_remote_ones_and_lists_are_joined_and_each_comes_once(
    folder, monkeypatch
):
    remote = address_of(folder)
    (folder / "list.txt").write_text(f"./a.png\n\n{remote}/x.png \nmissing.png\n")
    monkeypatch.chdir(folder)
    patterns = ["*.png", f"{remote}/", f"{remote}/more/*.png", f"{remote}/b.jpg"]
    names = ("b.jpg", "a.png", "c.JPEG", "more/e.png", "x.png")
    expected = ["a.png", "missing.png", *(f"{remote}/{name}" for name in names)]
    require(Images(patterns, ["list.txt", f"{remote}/list.txt"]), expected)


def test_an_own_pattern_without_images_is_told_before_the_pipeline_starts(folder):
    with pytest.raises(DataError, match=r"\*\.bmp: no image found"):
        FindImages(Images([f"{folder}/*.bmp"]))
