from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.assembly import build_model
from tf_frcnn.config import load_config
from tf_frcnn.models import xla
from tf_frcnn.models.xla import CompileTimes

SMALL = [
    "backbone.weights=random",
    "roi.head_units=16",
    "roi.dropout=0",
    "anchors.scales=[2, 4]",
    # Rounding decides between the nearly equal scores of an untrained RPN, so that the
    # second stage may see other proposals; here it sees the ground truth alone.
    "roi.num_samples=4",
    "roi.foreground_fraction=1",
    "roi.foreground_iou=0.95",
]


def losses_of_steps(jit_compile):
    """Returns float [20, losses], the means of a training's losses so far."""
    keras.utils.set_random_seed(0)
    model = build_model(load_config("zf_voc07", SMALL), [str(k) for k in range(4)])
    optimizer = keras.optimizers.SGD(3e-6, momentum=0.9)
    model.compile(optimizer, jit_compile=jit_compile)
    batch = {
        "images": tf.random.stateless_uniform([1, 96, 128, 3], (0, 1)) * 255,
        "boxes": tf.constant([[[8.0, 10, 60, 90], [40, 50, 90, 100]]]),
        "labels": tf.constant([[0, 3]]),
    }
    steps = []
    keep = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda _, logs: steps.append(
            [logs[name] for name in model.loss_names]
        )
    )
    data = tf.data.Dataset.from_tensors(batch).repeat(20)
    model.fit(data, verbose=0, callbacks=[keep])
    return np.array(steps)


@pytest.mark.slow
@pytest.mark.xla
def test_twenty_steps_under_determinism_have_the_losses_of_the_plain_run(deterministic):
    plain, compiled = losses_of_steps(False), losses_of_steps(True)
    assert len(plain) == 20 and plain[-1, 0] < 0.99 * plain[0, 0]
    np.testing.assert_allclose(compiled, plain, rtol=1e-4)


class Clock:
    """A clock that stands still unless it is set."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(xla.time, "perf_counter", lambda: self.now)


@pytest.mark.parametrize("form", [dict, tuple, None], ids=["dict", "pair", "images"])
def test_the_time_of_compiling_is_said_once_for_each_form_of_batch(monkeypatch, form):
    said, clock = [], Clock(monkeypatch)
    callback = CompileTimes(said.append)
    callback.set_model(SimpleNamespace(compiled_for=((1, 4, 4),)))
    sizes = [(2, 6, 8), (1, 4, 4), (2, 6, 8), (1, 6, 8)]
    data = tf.data.Dataset.from_generator(
        lambda: (np.zeros([*size, 3], np.float32) for size in sizes),
        output_signature=tf.TensorSpec([None, None, None, 3]),
    )
    if form is dict:
        data = data.map(lambda images: {"images": images})
    if form is tuple:
        data = data.map(lambda images: (images, {"labels": tf.constant(0)}))
    noted = callback.noted(data)
    assert noted.element_spec == data.element_spec
    batches = iter(noted)
    for seconds in (41.2, 3.0, 3.0, 1.6):
        callback.on_train_batch_begin(0)
        next(batches)
        clock.now += seconds
        callback.on_train_batch_end(0)
    assert said == [
        "Compiled the training step for 2 x 6x8 in 41 s.",
        "Compiled the training step for 6x8 in 2 s.",
    ]
