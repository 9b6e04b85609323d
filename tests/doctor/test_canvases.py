import numpy as np
import pytest

from tf_frcnn.config import make_config
from tf_frcnn.data.examples import Record
from tf_frcnn.data.pipeline.canvases import network_sizes
from tf_frcnn.doctor.canvases import canvas_choices, fit_canvases, padding
from tf_frcnn.models.inputs import build_resizing

# Heights and widths of photos of many shapes.
SHAPES = [(480, 640), (640, 480), (400, 640), (500, 620), (427, 640), (640, 410)]


def records(shapes):
    boxes, labels = np.zeros([0, 4], np.float32), np.zeros([0], np.int32)
    marks = np.zeros([2, 0], bool)
    return [Record("a", "a.png", *shape, 1, boxes, labels, *marks) for shape in shapes]


def configured(*texts):
    return make_config(
        {"images": {"short_side": 300, "long_side": 500}}, "x", texts=texts
    )


@pytest.fixture
def photos():
    return records(SHAPES * 5)


def test_few_canvases_hold_all_images_with_little_padding():
    random = np.random.default_rng(0)
    short, long = np.full(400, 300), random.integers(300, 500, 400)
    sizes = np.stack([short, long], axis=1)
    sizes[::3] = sizes[::3, ::-1]
    canvases = np.array(fit_canvases(sizes, 4))
    assert len(canvases) <= 12 and not np.any(canvases % 4)
    fits = (sizes[:, np.newaxis] <= canvases).all(axis=2)
    assert fits.any(axis=1).all()
    areas = np.where(fits, canvases.prod(axis=1), np.inf).min(axis=1)
    assert 1 - sizes.prod(axis=1).sum() / areas.sum() < 0.05


def test_images_of_one_shape_get_one_canvas():
    assert fit_canvases(np.array([[300, 400]] * 9), 8) == ((304, 400),)


def test_canvases_are_no_more_than_the_padding_asks_for():
    sizes = np.array([[304, 400]] * 50 + [[304, 392]] * 50 + [[400, 304]])
    assert fit_canvases(sizes, 8) == ((304, 400), (400, 304))


def test_batches_get_canvases_that_fit(photos):
    config = configured("data.batch_size=2")
    (choice,) = canvas_choices(photos, config)
    canvases = choice.settings["images.canvases"]
    resizing = build_resizing(config.images)
    assert set(resizing.canvases) < set(canvases)
    sizes = network_sizes(photos, resizing)
    before, after = (padding(photos, sizes, c) for c in (resizing.canvases, canvases))
    assert after < 0.03 < 0.1 < before
    assert f"{after:.1%} padding" in choice.reason and f"{before:.1%}" in choice.reason


@pytest.mark.parametrize(("backbone", "multiple"), [("vgg16", 1), ("resnet50_fpn", 32)])
def test_an_image_alone_is_not_padded(photos, backbone, multiple):
    config = configured(f"backbone.name={backbone}", "backbone.weights=random")
    (choice,) = canvas_choices(photos, config)
    assert choice.settings == {"images.canvases": (), "images.pad_to": multiple}


@pytest.mark.parametrize(
    ("texts", "keep"),
    [
        (["images.pad_to=1"], ()),
        (["data.train_short_sides=[200,300]"], ()),
        ([], ["images.canvases"]),
    ],
)
def test_what_is_set_stays(photos, texts, keep):
    assert not canvas_choices(photos, configured(*texts), keep)


def test_canvases_that_fit_already_stay():
    config = configured("images.short_side=480", "images.long_side=640")
    assert not canvas_choices(records([(480, 640)] * 3), config)
