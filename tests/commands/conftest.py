"""Runs that the commands are tried on, and image files."""

import io

import pytest
from PIL import Image

from tests.helpers.made_once import made_once
from tests.helpers.paths import QUICKSTART
from tests.helpers.random_run import write_random_run
from tf_frcnn.cli import main
from tf_frcnn.data import make_shapes

SETTINGS = {
    "data.num_train": 8,
    "data.num_validation": 3,
    "data.num_test": 4,
    "images.short_side": 96,
    "images.long_side": 128,
    "images.canvases": [[128, 128]],
    "rpn.channels": 16,
    "proposals.train_pre_nms": 200,
    "proposals.train_post_nms": 50,
    "proposals.test_pre_nms": 100,
    "proposals.test_post_nms": 20,
    "roi.num_samples": 16,
    "roi.head_units": 16,
    "detections.score_threshold": 0.001,
    "detections.max_per_image": 5,
    "train.epochs": 1,
    "train.keep_images": 1,
}


@pytest.fixture(scope="session")
def small_settings():
    """The arguments that make a run of the quickstart small."""
    return [word for n, v in SETTINGS.items() for word in ("--set", f"{n}={v}")]


@pytest.fixture(scope="session")
def trained_run(small_settings, tmp_path_factory):
    """The folder of a small run of the quickstart, trained by the command."""

    def train(folder):
        arguments = ["train", str(QUICKSTART), "--output", str(folder / "small")]
        assert main([*arguments, *small_settings]) == 0

    return made_once(tmp_path_factory, "trained run", train) / "small"


@pytest.fixture(scope="session")
def random_run(tmp_path_factory):
    return write_random_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A photograph, the same as a turned camera stores it, a small and a cut file."""
    folder = tmp_path_factory.mktemp("photos")
    examples = make_shapes(2, seed=8)
    stored = [data for _, data in examples.stream().as_numpy_iterator()]
    big, small = (Image.open(io.BytesIO(data)) for data in stored)
    big = big.resize((480, 360), Image.Resampling.BICUBIC)
    big.save(folder / "big.png")
    turned, exif = big.transpose(Image.Transpose.ROTATE_90), Image.Exif()
    exif[274] = 6  # to be turned to the right
    turned.save(folder / "turned.png", exif=exif)
    small.save(folder / "small.png")
    whole = (folder / "big.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    return folder
