import shutil

import h5py
import numpy as np
import pytest

from tests.helpers.paths import QUICKSTART
from tf_frcnn import assembly
from tf_frcnn.assembly import STEP_NAMES, build_step_config
from tf_frcnn.config import load_config
from tf_frcnn.data import read_proposals
from tf_frcnn.evaluation.proposal_recall import ProposedBoxes
from tf_frcnn.models.faster_rcnn import FasterRCNN
from tf_frcnn.runs import alternating
from tf_frcnn.runs.alternating import train_alternating
from tf_frcnn.runs.checkpoints import Checkpoints
from tf_frcnn.runs.inference import load_run
from tf_frcnn.runs.logs import read_rows
from tf_frcnn.runs.state import read_state

pytestmark = pytest.mark.usefixtures("eager_steps")

RPN = "region_proposal_network"
SETTINGS = (
    *("data.num_train=4", "data.num_validation=2", "data.num_test=1"),
    *("images.short_side=96", "images.long_side=128", "images.canvases=[[128, 128]]"),
    *("rpn.channels=16", "roi.head_units=16", "roi.num_samples=16"),
    *("proposals.train_pre_nms=200", "proposals.train_post_nms=50"),
    *("proposals.test_pre_nms=100", "proposals.test_post_nms=20"),
    *("train.scheme=alternating", "train.step_epochs=[2, 1, 1, 1]"),
    *("train.epochs=2", "train.decay_epochs=[1]", "train.keep_images=1"),
)


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def config():
    return load_config(QUICKSTART, SETTINGS)


@pytest.fixture(scope="module")
def reads():
    """The splits that were read while the whole run was made."""
    return []


@pytest.fixture(scope="module")
def whole(config, reads, tmp_path_factory):
    """A run, and the model it returned."""
    directory = tmp_path_factory.mktemp("alternating") / "whole"

    def note(config, split, class_names, read=assembly.data._read_whole):
        reads.append(split)
        return read(config, split, class_names)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembly.data, "_read_whole", note)
        return directory, train_alternating(config, directory)


def newest_in(directory):
    """Returns the file of the last weights of a run."""
    return directory / read_state(directory).checkpoints[0].file


def weights_of(path, part):
    """Returns the arrays of one part of a model, by their place in the file."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]})
                if f"{part}/" in name and isinstance(item, h5py.Dataset)
                else None
            )
        )
    assert found
    return found


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)


def differ(first, second):
    return any(np.any(values != second[name]) for name, values in first.items())


def test_every_step_is_a_run_of_its_own_kind_and_length(config, tmp_path):
    steps = [build_step_config(config, step, tmp_path) for step in range(4)]
    assert [s.model.kind for s in steps] == ["rpn", "fast_rcnn"] * 2
    assert [s.train.epochs for s in steps] == [2, 1, 1, 1]
    # Half of the way, as in the two epochs of the configuration.
    assert [s.train.decay_epochs for s in steps] == [(1.0,), (0.5,), (0.5,), (0.5,)]
    assert [s.data.proposals for s in steps] == [None, str(tmp_path)] * 2


def test_the_detector_has_the_backbone_of_step_2_and_the_heads_of_steps_3_and_4(whole):
    directory, model = whole
    assert type(model) is FasterRCNN
    first, second, third, fourth = (
        newest_in(directory / "steps" / name) for name in STEP_NAMES
    )
    last = newest_in(directory)
    for step in (third, fourth, last):
        assert_same(weights_of(step, "backbone"), weights_of(second, "backbone"))
    assert differ(weights_of(first, "backbone"), weights_of(second, "backbone"))
    assert_same(weights_of(last, RPN), weights_of(third, RPN))
    assert differ(weights_of(first, RPN), weights_of(third, RPN))
    for part in ("box_head", "predictor"):
        assert_same(weights_of(last, part), weights_of(fourth, part))
        assert differ(weights_of(second, part), weights_of(fourth, part))


def test_all_steps_share_data_that_was_read_once(whole, reads):
    assert reads == ["train", "validation"]


def test_the_run_folder_is_that_of_an_ordinary_faster_rcnn(whole):
    directory, model = whole
    run = load_run(directory)
    assert type(run.model) is FasterRCNN
    image = np.random.default_rng(0).uniform(0, 255, [1, 96, 128, 3])
    expected, found = model(image), run.model(image)
    np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-6)
    assert any((directory / "samples").iterdir())


def test_steps_log_their_own_figures(whole):
    directory, _ = whole
    heads = [
        (directory / "steps" / name / "log.csv").read_text().splitlines()
        for name in STEP_NAMES
    ]
    assert [len(lines) - 1 for lines in heads] == [2, 1, 1, 1]
    for step, lines in enumerate(heads):
        names = lines[0].split(",")
        assert ("val_mAP" in names) == (step % 2 == 1)
        assert ("val_recall" in names) == (step % 2 == 0)


def test_the_log_of_the_run_has_all_steps_in_turn(whole):
    directory, _ = whole
    rows = read_rows(directory / "log.csv")
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5"]
    lengths = np.diff([0, *(int(row["step"]) for row in rows)])
    assert (lengths == lengths[0]).all()
    measured = [bool(row["val_mAP"]) for row in rows]
    assert measured == [False, False, True, False, True]
    last = read_rows(directory / "steps" / STEP_NAMES[3] / "log.csv")[-1]
    assert rows[-1]["loss"] == last["loss"]


def test_the_proposals_of_both_rpns_are_stored_for_training_and_validation(whole):
    directory, _ = whole
    for name, other in (("1_rpn", "3_rpn"), ("3_rpn", "1_rpn")):
        files = sorted((directory / "steps" / name / "proposals").iterdir())
        assert len(files) == 2
        for file in files:
            with np.load(file) as stored:
                ids, boxes = stored["image_ids"], stored["boxes"]
            assert len(ids) in (4, 2)
            # As many as in training, or as in inference.
            assert boxes.shape[1] <= (50 if len(ids) == 4 else 20)
            theirs = directory / "steps" / other / "proposals" / file.name
            assert np.any(boxes[:, :5] != read_proposals(theirs, ids).boxes[:, :5])


@pytest.fixture
def ended_before(whole, tmp_path):
    """Makes a copy of the run as it was before a step; returns its folder."""

    def copy(step):
        directory = tmp_path / "run"
        shutil.copytree(whole[0], directory)
        for name in STEP_NAMES[step:]:
            shutil.rmtree(directory / "steps" / name)
        shutil.rmtree(directory / "weights")
        (directory / "state.json").unlink()
        return directory

    return copy


def test_a_run_killed_in_the_first_epoch_of_a_step_goes_on(
    config, whole, ended_before, monkeypatch
):
    def die(self, batch, logs=None):
        raise KilledError

    directory = ended_before(3)
    monkeypatch.setattr(Checkpoints, "on_train_batch_end", die)
    with pytest.raises(KilledError):
        train_alternating(config, directory, resume=True)
    monkeypatch.undo()
    assert newest_in(directory / "steps" / STEP_NAMES[3]).name.startswith(
        "step_00000000"
    )
    train_alternating(config, directory, resume=True)
    for part in ("backbone", RPN, "box_head", "predictor"):
        first = weights_of(newest_in(whole[0]), part)
        assert_same(first, weights_of(newest_in(directory), part))


def test_a_finished_folder_is_not_overwritten(config, whole):
    with pytest.raises(FileExistsError, match="holds a run already"):
        train_alternating(config, whole[0])


def test_there_is_nothing_to_resume_in_an_empty_folder(config, tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        train_alternating(config, tmp_path, resume=True)


def test_proposals_are_sorted_into_rows_of_their_images():
    proposed = ProposedBoxes(
        image_index=np.array([2, 0, 2]),
        boxes=np.arange(12.0).reshape(3, 4),
        scores=np.array([0.1, 0.5, 0.9]),
    )
    boxes, valid = alternating._by_image(proposed, 3)
    np.testing.assert_array_equal(valid, [[True, False], [False, False], [True, True]])
    np.testing.assert_array_equal(boxes[0, 0], [4, 5, 6, 7])
    np.testing.assert_array_equal(boxes[2], [[8, 9, 10, 11], [0, 1, 2, 3]])
    assert not boxes[~valid].any()
