import pathlib

import h5py
import numpy as np
import pytest

from tests.helpers.random_run import write_random_run
from tf_frcnn.assembly import build_model
from tf_frcnn.config import load_config
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.runs.inference import (
    Run,
    detections_of_image,
    load_detector,
    load_run,
    take_weights,
    write_finished,
)
from tf_frcnn.runs.state import Checkpoint, read_state, write_state
from tf_frcnn.runs.weights import save_weights


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
    """A run whose weights are of seed 1, the best, and of the seeds 2 and 3."""
    names = ("wide", "tall boys")
    models = [build_model(small_config.replace(seed=n), names) for n in (1, 2, 3)]
    write_finished(tmp_path, small_config, models[0])
    state = read_state(tmp_path)
    for model in models[1:]:
        file = f"weights/step_{len(state.checkpoints)}.weights.h5"
        checkpoint = Checkpoint(file=file, sha256=save_weights(model, tmp_path / file))
        state = state.replace(checkpoints=(*state.checkpoints, checkpoint))
    write_state(tmp_path, state)
    return tmp_path


def weights_of(run_folder):
    return run_folder / "weights" / "best.weights.h5", *(
        run_folder / "weights" / f"step_{n}.weights.h5" for n in (0, 1)
    )


def kernel_of_seed(config, seed):
    model = build_model(config.replace(seed=seed), ("a", "b"))
    return model.rpn.head.convs[0].kernel.numpy()


def kernel_of(run_folder):
    return load_run(run_folder).model.rpn.head.convs[0].kernel.numpy()


def test_a_run_is_loaded_with_its_best_weights(run_folder, small_config):
    run = load_run(run_folder)
    assert run.config == small_config and run.directory == run_folder
    assert run.model.class_names == ("wide", "tall boys")
    kernel = run.model.rpn.head.convs[0].kernel
    np.testing.assert_array_equal(kernel, kernel_of_seed(small_config, 1))


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def exchange(path):
    path.write_bytes(path.with_name("step_1.weights.h5").read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize("harm", [cut, exchange, pathlib.Path.unlink])
def test_weights_that_are_not_as_written_are_passed_over(
    run_folder, small_config, harm
):
    best, newest, _ = weights_of(run_folder)
    harm(best)
    with pytest.warns(UserWarning, match=f"{best} is missing, or not as"):
        kernel = kernel_of(run_folder)
    np.testing.assert_array_equal(kernel, kernel_of_seed(small_config, 2))
    harm(newest)
    with pytest.warns(UserWarning, match=f"{newest} is missing, or not as"):
        kernel = kernel_of(run_folder)
    np.testing.assert_array_equal(kernel, kernel_of_seed(small_config, 3))


def test_a_run_none_of_whose_weights_are_as_written_is_refused(run_folder):
    for path in weights_of(run_folder):
        cut(path)
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="none of the wei"):
        load_run(run_folder)


def test_weights_in_a_folder_without_a_state_are_taken_as_they_are(
    run_folder, small_config
):
    (run_folder / "state.json").unlink()
    np.testing.assert_array_equal(
        kernel_of(run_folder), kernel_of_seed(small_config, 1)
    )


EDITS = {"config.yaml": ("seed: 0", "seed: 1"), "classes.txt": ("wide", "broad")}


@pytest.mark.parametrize("name", EDITS)
def test_settings_that_were_edited_are_noticed(run_folder, name):
    path = run_folder / name
    path.write_text(path.read_text().replace(*EDITS[name]))
    with pytest.warns(UserWarning, match=f"{path} was changed since the run wrote"):
        load_run(run_folder)


def test_weights_that_are_not_finite_are_refused(run_folder):
    (run_folder / "state.json").unlink()
    best, _, _ = weights_of(run_folder)
    with h5py.File(best, "r+") as file:
        kernels = []
        file.visititems(lambda _, own: kernels.append(own))
        kernel = next(own for own in kernels if getattr(own, "ndim", 0) == 4)
        kernel[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match=f"{best}: .*kernel is not finite"):
        load_run(run_folder)


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
    (run_folder / "state.json").unlink()
    for path in (run_folder / "weights").iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"has no weights: .*; resume it"):
        load_run(run_folder)


def test_names_of_classes_that_are_no_text_are_one_line(run_folder):
    (run_folder / "classes.txt").write_bytes(b"cat\n\xff\n")
    with pytest.raises(ValueError, match=r"classes\.txt: it is not UTF-8 text"):
        load_run(run_folder)


KINDS = {
    "faster_rcnn": ([], True, True),
    "rpn": (["model.kind=rpn"], True, False),
    "fast_rcnn": (["model.kind=fast_rcnn", "data.proposals=stored"], False, True),
}


@pytest.mark.slow
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


def taken(source, target, tmp_path, capsys):
    """Takes one model's weights for another; returns what is printed."""
    take_weights(Run(tmp_path, None, source), target)
    return capsys.readouterr().out.splitlines()[1:]


def test_a_cascade_takes_the_weights_of_all_heads(tiny_detector, tmp_path, capsys):
    roi = {"cascade_ious": [0.6, 0.7], "class_agnostic": True}
    source, target = tiny_detector(roi=roi), tiny_detector(roi=roi)
    for weight in source.weights:
        weight.assign(weight + 1)
    assert taken(source, target, tmp_path, capsys) == []
    for own, expected in zip(target.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(own, expected)


def test_heads_that_a_run_lacks_start_as_the_first_does(
    tiny_detector, tmp_path, capsys
):
    roi = {"class_agnostic": True}
    source = tiny_detector(roi=roi)
    target = tiny_detector(roi=roi | {"cascade_ious": [0.6]})
    before = target.roi_head.later[0].predictor.get_weights()
    printed = taken(source, target, tmp_path, capsys)
    assert printed == ["It has no predictor 2: they start from random weights."]
    for head in target.roi_head.heads():
        for own, expected in zip(
            head.box_head.get_weights(),
            source.roi_head.box_head.get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(own, expected)
    after = target.roi_head.later[0].predictor.get_weights()
    np.testing.assert_array_equal(np.ravel(before[0]), np.ravel(after[0]))
