import numpy as np
import pytest

from tests.helpers.random_run import write_random_run
from tf_frcnn.assembly import build_model
from tf_frcnn.config import load_config
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.runs.inference import (
    detections_of_image,
    load_detector,
    load_run,
    write_settings,
)


def test_the_detections_of_an_image_come_best_first():
    found = DetectedBoxes(
        image_index=np.array([1, 0, 1, 1]),
        boxes=np.arange(16.0).reshape(4, 4),
        scores=np.array([0.2, 0.9, 0.7, 0.7]),
        labels=np.array([3, 2, 1, 0]),
    )
    own = detections_of_image(found, 1)
    np.testing.assert_array_equal(own.scores, [0.7, 0.7, 0.2])
    np.testing.assert_array_equal(own.labels, [1, 0, 3])
    np.testing.assert_array_equal(own.boxes[:, 0], [8, 12, 0])
    assert len(detections_of_image(found, 2).scores) == 0


@pytest.fixture(scope="module")
def small_config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "small.yaml"
    path.write_text(
        "data: {reader: shapes}\nrpn: {channels: 8}\nroi: {head_units: 8}\n"
        "backbone: {name: tiny, weights: random, frozen_blocks: 0}\n"
    )
    return load_config(path)


@pytest.fixture
def run_folder(small_config, tmp_path):
    """A run whose best and last weights are those of the seeds 1 and 2."""
    write_settings(tmp_path, small_config, ("wide", "tall boys"))
    (tmp_path / "weights").mkdir()
    for seed, name in ((1, "best"), (2, "last")):
        model = build_model(small_config.replace(seed=seed), ("wide", "tall boys"))
        model.save_weights(tmp_path / "weights" / f"{name}.weights.h5")
    return tmp_path


def kernel_of_seed(config, seed):
    model = build_model(config.replace(seed=seed), ("a", "b"))
    return model.rpn.head.convs[0].kernel.numpy()


def test_a_run_is_loaded_with_its_best_weights_or_else_the_last(
    run_folder, small_config
):
    run = load_run(run_folder)
    assert run.config == small_config and run.directory == run_folder
    assert run.model.class_names == ("wide", "tall boys")
    kernel = run.model.rpn.head.convs[0].kernel
    np.testing.assert_array_equal(kernel, kernel_of_seed(small_config, 1))
    (run_folder / "weights" / "best.weights.h5").unlink()
    kernel = load_run(run_folder).model.rpn.head.convs[0].kernel
    np.testing.assert_array_equal(kernel, kernel_of_seed(small_config, 2))


def test_settings_of_a_run_may_be_replaced(run_folder):
    run = load_run(run_folder, ["detections.nms_iou=0.45", "images.short_side=320"])
    assert run.model.roi_head.detections.nms_iou == 0.45
    assert run.config.images.short_side == 320


@pytest.mark.parametrize("name", ["config.yaml", "classes.txt"])
def test_a_folder_that_is_no_run_is_named_with_what_it_lacks(run_folder, name):
    (run_folder / name).unlink()
    message = f"{run_folder} is not a run folder: it has no {name}"
    with pytest.raises(FileNotFoundError, match=message):
        load_run(run_folder)


def test_a_run_without_weights_has_ended_too_early(run_folder):
    for path in (run_folder / "weights").iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"no weights yet: .*; resume it"):
        load_run(run_folder)


KINDS = {
    "faster_rcnn": ([], True, True),
    "rpn": (["model.kind=rpn"], True, False),
    "fast_rcnn": (["model.kind=fast_rcnn", "data.proposals=stored"], False, True),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_detects_in_images_alone_if_it_has_both_stages(kind, tmp_path):
    settings, proposes, detects = KINDS[kind]
    folder = write_random_run(tmp_path, *settings)
    model = load_run(folder).model
    assert (model.rpn is not None, model.roi_head is not None) == (proposes, detects)
    if proposes and detects:
        overrides = ["detections.max_per_image=3"]
        run = load_detector(folder, overrides)
        assert run.config.detections.max_per_image == 3
    else:
        with pytest.raises(ValueError, match="does not detect objects in images al"):
            load_detector(folder)
