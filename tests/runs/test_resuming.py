import dataclasses

import keras
import numpy as np
import pytest

from tests.helpers.paths import QUICKSTART
from tf_frcnn.config import load_config
from tf_frcnn.data import make_shapes
from tf_frcnn.runs.resuming import digest_of, new_state, resume_training
from tf_frcnn.runs.state import Best, Checkpoint, read_state, write_state
from tf_frcnn.runs.weights import save_weights

BEST = Best(file="weights/best.weights.h5", sha256="0", value=0.5)


@pytest.fixture(scope="module")
def examples():
    return make_shapes(4, seed=0)


@pytest.fixture
def config():
    return load_config(QUICKSTART)


def line():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture
def run_of(tmp_path, config, examples):
    """Writes a run of four steps per epoch that has come to a place."""

    def write(*places):
        state = new_state(config, examples, 4)
        for epoch, batch in places:
            model, step = line(), 4 * epoch + batch
            model.set_weights([np.full([1, 1], step), np.zeros([1])])
            model.optimizer.iterations.assign(step)
            file = f"weights/{step}.weights.h5"
            own = Checkpoint(
                file=file,
                sha256=save_weights(model, tmp_path / file),
                epoch=epoch,
                batch=batch,
                step=step,
            )
            state = state.replace(checkpoints=(*state.checkpoints, own))
        write_state(tmp_path, state.replace(files={"a": "1"}, best=BEST))
        return tmp_path

    return write


def place_of(state):
    newest = state.checkpoints[0]
    return newest.epoch, newest.batch, newest.step


@pytest.mark.slow
def test_a_run_goes_on_at_its_newest_checkpoint(run_of, config, examples, capsys):
    folder, model = run_of((2, 3), (2, 0)), line()
    state = resume_training(folder, model, new_state(config, examples, 4))
    assert state == read_state(folder) and place_of(state) == (2, 3, 11)
    assert model.get_weights()[0] == 11 and model.optimizer.iterations == 11
    said = "Resuming after epoch 2 and 3 of the 4 steps of the next.\n"
    assert capsys.readouterr().out == said


def test_a_checkpoint_that_is_passed_over_is_forgotten(run_of, config, examples):
    folder, model = run_of((2, 3), (2, 0), (1, 0)), line()
    (folder / "weights" / "11.weights.h5").unlink()
    with pytest.warns(UserWarning, match="is missing"):
        state = resume_training(folder, model, new_state(config, examples, 4))
    assert place_of(state) == (2, 0, 8) and model.get_weights()[0] == 8
    assert [own.epoch for own in state.checkpoints] == [2, 1] and state.best == BEST


@pytest.mark.parametrize(
    ("place", "expected"), [((2, 0), 2), ((2, 3), 2), ((2, 4), 3), ((0, 0), 0)]
)
def test_with_other_steps_per_epoch_the_epochs_count(
    run_of, config, examples, capsys, place, expected
):
    folder, model = run_of(place), line()
    state = resume_training(folder, model, new_state(config, examples, 7))
    assert place_of(state) == (expected, 0, 7 * expected)
    assert model.optimizer.iterations == 7 * expected
    assert state.steps_per_epoch == 7 and state.best == BEST
    said = capsys.readouterr().out
    assert "Resuming with 7 steps per epoch; there were 4.\n" in said
    assert ("Epoch 3, which was begun, starts again." in said) == (place == (2, 3))


def test_other_data_are_told(run_of, config, examples, capsys):
    folder = run_of((2, 3))
    state = new_state(config, make_shapes(4, seed=1), 4)
    assert place_of(resume_training(folder, line(), state)) == (2, 0, 8)
    assert "Resuming with changed training data.\n" in capsys.readouterr().out


def test_another_optimizer_is_refused(run_of, config, examples):
    folder = run_of((2, 3))
    before = (folder / "state.json").read_bytes()
    for name, changes in [
        ("adam", {"optimizer": "adam"}),
        ("sgd with averages", {"ema": 0.9}),
    ]:
        other = config.replace(train=config.train.replace(**changes))
        message = f"{folder} was trained by sgd, whose state {name} .* --init {folder}"
        with pytest.raises(ValueError, match=message):
            resume_training(folder, line(), new_state(other, examples, 4))
    assert (folder / "state.json").read_bytes() == before


def test_a_run_that_died_before_its_first_step_begins_anew(config, examples, tmp_path):
    state = new_state(config, examples, 4)
    assert resume_training(tmp_path, line(), state) == state


def test_the_digest_tells_images_and_objects_apart(examples):
    digests = {digest_of(examples)}
    assert digest_of(make_shapes(4, seed=0)) in digests
    first, *others = examples.records
    for changes in (
        {"image_id": "other"},
        {"boxes": first.boxes + 1},
        {"labels": 1 - np.minimum(first.labels, 1)},
        {"difficult": ~first.difficult},
        {"crowd": ~first.crowd},
    ):
        records = (first._replace(**changes), *others)
        digests.add(digest_of(dataclasses.replace(examples, records=records)))
    digests.add(digest_of(examples.subset([1, 2, 3])))
    assert len(digests) == 7
