import itertools
import types
from pathlib import Path

import keras
import numpy as np
import pytest

from tf_frcnn.models.trackers import Trackers
from tf_frcnn.runs import checkpoints, weights
from tf_frcnn.runs.checkpoints import (
    Checkpoints,
    EarlierLosses,
    mean_of,
    set_mean,
    usable_checkpoint,
    write_first_checkpoint,
)
from tf_frcnn.runs.signals import Interrupted, Stop
from tf_frcnn.runs.standing import Judge
from tf_frcnn.runs.state import RunState, Standing, read_state

STEPS = 3


class Line(keras.Sequential):
    """A model of one weight with the trackers of a detector."""

    def __init__(self):
        super().__init__([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        self.trackers = Trackers(["loss"])
        self.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
        self.optimizer.build(self.trainable_variables)

    @property
    def weight(self):
        return float(self.get_weights()[0][0, 0])

    @weight.setter
    def weight(self, value):
        self.set_weights([np.full([1, 1], value)])


@pytest.fixture
def line():
    return Line()


@pytest.fixture
def checkpoints_of(line, tmp_path):
    """Makes the callback of a new run of the folder, or of one that goes on."""

    def make(state=None, *, seconds=1e9, stop=None, keep=2):
        if state is None:
            state = RunState(steps_per_epoch=STEPS)
            state = write_first_checkpoint(tmp_path, line, state)
        callback = Checkpoints(
            tmp_path,
            state,
            images_per_epoch=10,
            judge=Judge("val_mAP", Standing(), patience=None, plateau_patience=3),
            keep=keep,
            seconds=seconds,
            stop=stop or Stop(),
        )
        callback.set_model(line)
        callback.on_train_begin()
        return callback

    return make


def train_epoch(callback, epoch, figure=None, *, first=0):
    """Calls the callback as `fit` does; every step adds 1 to the weight."""
    callback.on_epoch_begin(epoch)
    for batch in range(STEPS - first):
        callback.on_train_batch_begin(batch)
        callback.model.weight += 1
        callback.model.trackers.by_name["loss"].update_state(callback.model.weight)
        callback.on_train_batch_end(batch)
    callback.on_epoch_end(epoch, {} if figure is None else {"val_mAP": figure})


def weight_in(path, line):
    line.load_weights(path)
    return line.weight


def test_the_last_step_of_an_epoch_is_kept_before_its_validation(
    checkpoints_of, line, tmp_path
):
    callback = checkpoints_of()
    line.weight = 0
    callback.on_epoch_begin(0)
    for batch in range(STEPS):
        line.weight += 1
        callback.on_train_batch_end(batch)
    (newest, first) = read_state(tmp_path).checkpoints
    assert (newest.epoch, newest.batch, newest.step, newest.images) == (0, 3, 3, 10)
    assert (first.epoch, first.batch, first.step, first.images) == (0, 0, 0, 0)
    callback.on_epoch_end(0, {})
    newest = read_state(tmp_path).checkpoints[0]
    assert (newest.epoch, newest.batch, newest.step) == (1, 0, 3)
    assert callback.newest == tmp_path / newest.file
    assert weight_in(callback.newest, line) == 3


def test_within_an_epoch_checkpoints_come_when_it_is_time(
    checkpoints_of, line, tmp_path, monkeypatch
):
    times = itertools.count(0.0, 40.0)
    # Not of the module itself, which other threads look at.
    clock = types.SimpleNamespace(monotonic=lambda: next(times))
    monkeypatch.setattr(checkpoints, "time", clock)
    callback = checkpoints_of(seconds=60.0, keep=9)
    train_epoch(callback, 0)
    train_epoch(callback, 1)
    steps = [own.step for own in read_state(tmp_path).checkpoints]
    assert steps == [6, 5, 3, 2, 0]


def test_the_last_few_are_kept_and_no_other_file(checkpoints_of, tmp_path):
    callback = checkpoints_of(keep=2)
    (tmp_path / "weights" / "part.step_00000001.weights.h5").write_bytes(b"half")
    for epoch in range(3):
        train_epoch(callback, epoch)
    kept = read_state(tmp_path).checkpoints
    assert [own.epoch for own in kept] == [3, 2]
    files = {path.name for path in (tmp_path / "weights").iterdir()}
    assert files == {"step_00000009.weights.h5", "step_00000006.weights.h5"}


def test_the_best_weights_stay_when_worse_ones_come(checkpoints_of, line, tmp_path):
    callback = checkpoints_of()
    for epoch, figure in enumerate([0.0, 0.6, 0.4, None, 0.6]):
        train_epoch(callback, epoch, figure)
    best = read_state(tmp_path).best
    assert (best.figure, best.value, best.epoch) == ("val_mAP", 0.6, 2)
    line.weight = 0
    first = weight_in(tmp_path / best.file, line)
    train_epoch(checkpoints_of(callback.state), 5, 0.5)
    assert weight_in(tmp_path / best.file, line) == first
    train_epoch(checkpoints_of(callback.state), 6, 0.7)
    assert weight_in(tmp_path / best.file, line) != first


def test_epochs_that_were_not_validated_are_not_the_best(checkpoints_of, tmp_path):
    train_epoch(checkpoints_of(), 0)
    assert read_state(tmp_path).best is None
    assert not (tmp_path / "weights" / "best.weights.h5").exists()


def test_the_best_weights_are_copied_where_a_file_has_one_name(
    checkpoints_of, line, tmp_path, monkeypatch
):
    def refuse(*_):
        raise OSError

    monkeypatch.setattr(checkpoints.os, "link", refuse)
    line.weight = 0
    train_epoch(checkpoints_of(), 0, 0.5)
    assert weight_in(tmp_path / "weights" / "best.weights.h5", line) == 3


def test_an_interrupted_epoch_goes_on_with_its_means(checkpoints_of, line, tmp_path):
    stop = Stop()
    callback = checkpoints_of(stop=stop)
    line.weight = 0
    callback.on_epoch_begin(0)
    line.trackers.by_name["loss"].update_state([0.1, 0.7])
    callback.on_train_batch_begin(0)
    assert stop.is_awaited
    stop.number = 15
    with pytest.raises(Interrupted):
        callback.on_train_batch_end(0)
    assert not stop.is_awaited
    state = read_state(tmp_path)
    assert (state.checkpoints[0].epoch, state.checkpoints[0].batch) == (0, 1)
    before = mean_of(line.trackers.by_name["loss"])
    line.trackers.by_name["loss"].reset_state()
    resumed, earlier = checkpoints_of(state), EarlierLosses(state.checkpoints[0])
    earlier.set_model(line)
    earlier.on_epoch_begin(0)
    resumed.on_epoch_begin(0)
    assert mean_of(line.trackers.by_name["loss"]) == before == (pytest.approx(0.8), 2.0)
    for batch in range(2):
        resumed.on_train_batch_end(batch)
    newest = read_state(tmp_path).checkpoints[0]
    assert (newest.epoch, newest.batch, newest.step) == (0, 3, 3)
    line.trackers.by_name["loss"].reset_state()
    resumed.on_epoch_end(0, {})
    earlier.on_epoch_begin(1)
    assert mean_of(line.trackers.by_name["loss"]) == (0.0, 0.0)


def test_a_mean_is_set_as_it_was():
    mean, other = keras.metrics.Mean(), keras.metrics.Mean()
    mean.update_state([1 / 3, 0.1, 0.7])
    set_mean(other, mean_of(mean))
    assert float(other.result()) == float(mean.result())


def test_weights_that_are_not_finite_are_never_written(checkpoints_of, line, tmp_path):
    callback = checkpoints_of()
    train_epoch(callback, 0, 0.5)
    before = {path: path.read_bytes() for path in (tmp_path / "weights").iterdir()}
    state = read_state(tmp_path)
    line.weight = np.nan
    with pytest.raises(
        ValueError, match=r"step_00000006.weights.h5: .*kernel is not f"
    ):
        train_epoch(callback, 1, 0.9)
    assert {p: p.read_bytes() for p in (tmp_path / "weights").iterdir()} == before
    assert read_state(tmp_path) == state


@pytest.mark.slow
def test_a_full_disk_leaves_the_checkpoint_before(
    checkpoints_of, line, tmp_path, monkeypatch
):
    callback = checkpoints_of()
    train_epoch(callback, 0)
    state = read_state(tmp_path)

    def break_off(path):
        path.write_bytes(b"half a file")
        raise OSError("No space left on device")

    monkeypatch.setattr(line, "save_weights", break_off)
    with pytest.raises(OSError, match="could not be written: No space"):
        train_epoch(callback, 1)
    assert read_state(tmp_path) == state
    assert usable_checkpoint(tmp_path, state) == state.checkpoints[0]
    assert not list((tmp_path / "weights").glob("part*"))


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("harm", "words"), [(cut, "was changed or cut"), (Path.unlink, "is missing")]
)
def test_a_checkpoint_that_is_not_whole_gives_way_to_the_one_before(
    checkpoints_of, tmp_path, harm, words
):
    callback = checkpoints_of()
    train_epoch(callback, 0)
    newest, before = callback.state.checkpoints
    path = tmp_path / newest.file
    harm(path)
    with pytest.warns(UserWarning, match=f"{path} {words}; the checkpoint before"):
        assert usable_checkpoint(tmp_path, callback.state) == before
    cut(tmp_path / before.file)
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="so are all check"):
        usable_checkpoint(tmp_path, callback.state)


def test_a_state_without_checkpoints_has_none(tmp_path):
    assert usable_checkpoint(tmp_path, RunState()) is None


def test_the_optimizers_state_is_in_the_file(line, tmp_path):
    line.fit(np.ones([2, 1]), np.ones([2, 1]), epochs=3, verbose=0)
    weights.save_weights(line, tmp_path / "a.weights.h5")
    momentum = line.optimizer.variables[-1].numpy()
    other = Line()
    other.load_weights(tmp_path / "a.weights.h5")
    assert int(other.optimizer.iterations) == 3
    np.testing.assert_array_equal(other.optimizer.variables[-1].numpy(), momentum)
