"""XLA: whether a model takes it, and how long it compiled."""

import time
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tf_frcnn.models.batch import batch_of


def takes_xla(
    jit_compile: bool | str, model: keras.Model, run_eagerly: bool = False
) -> bool:
    """Returns whether `jit_compile` of `keras.Model.compile` means XLA here.

    Args:
        jit_compile: True, False, or "auto", which is as in Keras: where there is
            another device than CPUs, each layer can be compiled, the graph runs, and no
            strategy divides the work.
        model: the model.
        run_eagerly: whether steps run without a graph.

    Raises:
        ValueError: it is none of these.

    Source: keras:src/trainers/trainer.py, `_resolve_auto_jit_compile`.
    """
    if jit_compile not in (True, False, "auto"):
        raise ValueError(f"jit_compile = {jit_compile!r} must be True, False or auto.")
    if jit_compile != "auto":
        return bool(jit_compile)
    kinds = {device.device_type for device in tf.config.list_physical_devices()}
    is_divided = model.distribute_strategy.num_replicas_in_sync > 1
    layers = model._flatten_layers(include_self=False)
    return (
        kinds > {"CPU"}
        and not run_eagerly
        and not is_divided
        and all(layer.supports_jit for layer in layers)
    )


class CompileTimes(keras.callbacks.Callback):
    """Says once for each form of batch how long its first step, which compiles, took.

    The model keeps in `compiled_for` the forms that it has compiled for.

    Args:
        say: writes a line.
    """

    def __init__(self, say: Callable[[str], None]):
        super().__init__()
        self._say = say
        with tf.device("CPU:0"):
            self._form = tf.Variable([0, 0, 0], dtype=tf.int64, trainable=False)

    def noted(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Returns the same batches, whose number of images and canvas are noted."""

        def note(*element: Any) -> Any:
            batch = batch_of(element if len(element) > 1 else element[0])
            images = batch["images"] if isinstance(batch, dict) else batch
            self._form.assign(tf.shape(images, tf.int64)[:3])
            return element if len(element) > 1 else element[0]

        options = tf.data.Options()
        options.experimental_optimization.inject_prefetch = False  # One at a time.
        noted: Any = dataset.map(note).with_options(options)
        noted.cardinality = dataset.cardinality
        return noted

    def on_train_batch_begin(self, batch, logs=None):
        """Looks at the clock."""
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        """Says it, if the step was the first of its form."""
        form = tuple(map(int, self._form.numpy()))
        if form in self.model.compiled_for:
            return
        self.model.compiled_for += (form,)
        seconds = time.perf_counter() - self._start
        count, height, width = form
        batch = f"{height}x{width}" if count == 1 else f"{count} x {height}x{width}"
        self._say(f"Compiled the training step for {batch} in {seconds:.0f} s.")
