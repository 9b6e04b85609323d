import io
import itertools
import re
import sys

import keras
import pytest
import tensorflow as tf

from tf_frcnn.models import progress
from tf_frcnn.models.batches import Batches
from tf_frcnn.models.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by hand."""

    class Clock:
        now = 100.0

        def perf_counter(self):
            return self.now

    monkeypatch.setattr(progress, "time", clock := Clock())
    return clock


def run(
    clock, callback, *, epochs=1, steps=5, seconds=1.0, logs=None, known_steps=None
):
    """Calls a callback as `fit` does."""
    callback.set_params({"epochs": epochs, "steps": known_steps})
    callback.on_train_begin()
    for epoch in range(epochs):
        callback.on_epoch_begin(epoch)
        for step in range(steps):
            clock.now += seconds[step] if isinstance(seconds, list) else seconds
            callback.on_train_batch_end(step, logs or {"loss": 0.5, "rpn_box_loss": 1})
        clock.now += 2.0  # of the validation
        callback.on_epoch_end(epoch, {"loss": 0.25, "val_loss": 0.75, "val_mAP": 0.5})


@pytest.fixture
def terminal(monkeypatch):
    """Gives what is written to a terminal, once it is called."""

    class Terminal(io.StringIO):
        isatty = staticmethod(lambda: True)

    def attach():
        monkeypatch.setattr(sys, "stdout", Terminal())
        return sys.stdout.getvalue

    return attach


def test_a_terminal_gets_one_line_that_moves_in_images(clock, terminal):
    written = terminal()
    run(clock, Progress(Batches(None, steps=5, num_images=10), 2, 1))
    lines = written().split("\r")
    assert lines[0] == "2/10 [====................] - 2.0 images/s - loss: 0.5000"
    assert lines[1] == "4/10 [========............] 3s - 2.0 images/s - loss: 0.5000"
    assert lines[4] == "10/10 [====================] 0s - 2.0 images/s - loss: 0.5000"
    end = "7s - 2.0 images/s - loss: 0.2500 - val_loss: 0.7500 - val_mAP: 0.5000"
    assert lines[5] == f"{end}\n" and len(lines) == 6


def test_the_first_step_which_traces_does_not_count_in_the_time_left(clock, terminal):
    written = terminal()
    callback = Progress(Batches(None, steps=5, num_images=10), 2, 1)
    run(clock, callback, epochs=2, seconds=[50.0, 1.0, 1.0, 1.0, 1.0])
    first, second = written().split("Epoch 2/2")
    left = re.findall(r"(\d+)/10 \[[=.]+\]( \d+s)?", first)
    assert left == [("2", ""), ("4", " 3s"), ("6", " 2s"), ("8", " 1s"), ("10", " 0s")]
    # Its first step is estimated by the first epoch.
    assert "2/10 [====................] 4s" in second
    assert "56s - 0.2 images/s" in first  # The line of the epoch has all of its time.


def test_no_line_wraps_and_each_covers_the_one_before(clock, terminal):
    written = terminal()
    data = Batches(None, steps=117266, num_images=117266)
    logs = {"loss": 123.4567} | {name: 1.0 for name in ("rpn_class_loss", "mystery")}
    run(clock, Progress(data, 1, 1), steps=300, seconds=0.11, logs=logs, epochs=2)
    lines = re.split(r"[\r\n]", written())
    assert max(map(len, lines)) < 80
    moving = [line for line in lines if "[" in line]
    assert len(moving) == 600 and moving[7].startswith("8/117266 [....")
    assert "3:34:58" in moving[8]  # an epoch takes 117266 x 0.11 s
    for before, line in itertools.pairwise(lines):
        assert "[" not in before or len(line) >= len(before.rstrip())


def test_a_file_gets_a_line_per_minute_and_one_per_epoch(clock, capsys):
    run(clock, Progress(Batches(None, 5, 10), 2, 1), seconds=31.0, epochs=2)
    out = capsys.readouterr().out
    assert "\r" not in out
    assert [line.split(" - ")[0] for line in out.splitlines()] == [
        *("Epoch 1/2", "4/10 [========............] 1:33"),
        *("8/10 [================....] 31s", "2:37"),
        *("Epoch 2/2", "4/10 [========............] 1:33"),
        *("8/10 [================....] 31s", "2:37"),
    ]


def test_verbose_2_gives_a_line_per_epoch(clock, capsys):
    run(clock, Progress(Batches(None, 5, 10), 2, 2), seconds=100.0)
    out = capsys.readouterr().out
    assert out == (
        "8:22 - 0.0 images/s - loss: 0.2500 - val_loss: 0.7500 - val_mAP: 0.5000\n"
    )


class Read:
    """A stream that has read seven images."""

    num_read = 7


def test_the_first_epoch_tells_how_many_images_there_are(clock, terminal):
    written = terminal()
    run(clock, Progress(Batches(None, stream=Read()), 2, 1), epochs=2, steps=4)
    lines = re.split(r"[\r\n]", written())
    assert lines[1].startswith("2 images - 1s - 2.0 images/s")
    assert lines[5].startswith("6s - 1.8 images/s")  # seven, not eight
    assert lines[7].startswith("2/7 [=====")


@pytest.mark.parametrize("known_steps", [4, None])
def test_batches_alone_are_counted_in_steps(clock, terminal, known_steps):
    written = terminal()
    callback = Progress(Batches(None), 2, 1)
    run(clock, callback, epochs=2, steps=4, known_steps=known_steps)
    lines = re.split(r"[\r\n]", written())
    first = "1/4 [=====" if known_steps else "1 steps - 1s - 1.0 steps/s"
    assert lines[1].startswith(first)
    assert lines[7].startswith("1/4 [=====")


@pytest.mark.slow
def test_fit_prints_what_it_shows_and_the_history_keeps_all(stub, shapes, capsys):
    model = stub()
    history = model.fit(shapes, validation_data=shapes, epochs=2).history
    assert set(history) == {"loss", "rpn_box_loss", "val_loss"}
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Epoch 1/2" and lines[2] == "Epoch 2/2" and len(lines) == 4
    line = r"\d+s - \d+\.\d images/s - loss: 0\.5000 - val_loss: 2\.0000"
    assert re.fullmatch(line, lines[1]) and re.fullmatch(line, lines[3])
    model.fit(shapes, epochs=1, verbose=0)
    assert capsys.readouterr().out == ""


def test_other_callbacks_print_before_the_line_of_the_epoch(stub, batch, capsys):
    data = tf.data.Dataset.from_tensors(batch)
    talk = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: print("said"))
    stub().fit(data, callbacks=talk)
    said, line = capsys.readouterr().out.splitlines()
    assert said == "said" and "steps/s - loss: 0.5000" in line


def test_an_epoch_that_goes_on_counts_from_where_it_was(clock, terminal):
    written = terminal()
    batches = Batches(None, steps=5, num_images=10)
    run(clock, Progress(batches, 2, 1, initial_batch=3), epochs=2, steps=2)
    first, second = written().split("Epoch 2/2")
    assert "8/10 [================....] - 2.0 images/s" in first
    assert "10/10 [====================] 0s - 2.0 images/s" in first
    assert "2/10 [====................] 4s - 2.0 images/s" in second
