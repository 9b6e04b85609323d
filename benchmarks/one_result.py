"""Trains on one device, two devices, two workers, and in halves of batches.

    python benchmarks/one_result.py [ROW ...]

Each training has the same 20 steps of 4 images, in processes of its own: the two
devices are halves of this machine's processor, the two workers find each other on it.
The table has the largest differences from the training on one device: relative ones of
the losses of every step, absolute ones of the weights at the end, relative ones of the
losses of a validation whose last batch is not full, and of the detections' scores. The
exit status is 1 if one of them is above what float32 explains.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from machine import machine
from two_workers import end_of, start, start_two

NAMES = {
    "one device": ("none", 1),
    "two accumulated batches of 2": ("accumulated", 1),
    "two devices, 2 each": ("mirrored", 1),
    "two workers, 2 each": ("multi_worker", 2),
}
COLUMNS = ("losses", "weights", "validation", "scores")
LIMIT = 1e-4
SETTINGS = {
    "images": {"short_side": 96, "long_side": 128, "canvases": [[128, 128]]},
    "rpn": {"channels": 32},
    "roi": {"head_units": 32, "num_samples": 24, "dropout": 0.5},
    "proposals": {"train_pre_nms": 200, "train_post_nms": 50, "test_post_nms": 50},
}


def train(name):
    """Returns what is compared, arrays by name, and whether this process is the chief.

    Args:
        name: of the way to divide a batch.
    """
    import tensorflow as tf

    if name == "mirrored":
        cpu = tf.config.list_physical_devices("CPU")[0]
        halves = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, halves)
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    elif name == "multi_worker":
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    else:
        strategy = tf.distribute.get_strategy()
    with strategy.scope():
        model = _model(parts := 2 if name == "accumulated" else 1)
    results = _results(model, batch_size=4 // parts)
    return results, name != "multi_worker" or strategy.cluster_resolver.task_id == 0


def _model(parts):
    import keras

    import tf_frcnn

    model = tf_frcnn.FasterRCNN.from_preset(
        "quickstart", class_names=_shapes(1).class_names, weights=None, **SETTINGS
    )
    model.compile(
        keras.optimizers.SGD(
            2e-4,
            momentum=0.9,
            global_clipnorm=1.0,
            gradient_accumulation_steps=parts if parts > 1 else None,
        )
    )
    return model


def _shapes(count):
    import tf_frcnn

    return tf_frcnn.read_data("shapes", split="train", num_train=count)


def _results(model, batch_size):
    import keras
    import numpy as np

    from tf_frcnn.models.evaluating import observe

    losses = []

    class KeepLosses(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            losses.append([float(logs[name]) for name in model.loss_names])

    model.fit(
        _shapes(8),
        epochs=10,
        batch_size=batch_size,
        verbose=0,
        callbacks=[KeepLosses()],
    )
    weights = np.concatenate([values.ravel() for values in model.get_weights()])
    # The mean over an epoch's batches so far.
    steps = np.array(losses)[4 // batch_size - 1 :: 4 // batch_size]
    validation = model.evaluate(_shapes(7), batch_size=4, verbose=0)
    _, found = observe(model, _shapes(7), batch_size=4)
    return {
        "losses": steps,
        "weights": weights,
        "validation": np.array(validation),
        "scores": np.sort(found.scores),
    }


def compared(path, name, workers):
    """Trains in processes of its own; returns the arrays that were written."""
    import numpy as np

    command = [sys.executable, __file__, "--child", name, path]
    processes = start_two(command) if workers == 2 else [start(command)]
    for status, output in map(end_of, processes):
        if status:
            raise SystemExit(f"{name}: {output}")
    return np.load(path)


def difference(own, expected, name):
    """Returns the largest difference; without a weight's size, relative."""
    import numpy as np

    if own.shape != expected.shape:
        return float("inf")
    scale = 1.0 if name == "weights" else np.maximum(np.abs(expected), 1e-2)
    return float(np.max(np.abs(own - expected) / scale))


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    divided = list(NAMES)[1:]
    parser.add_argument(
        "rows",
        nargs="*",
        default=divided,
        metavar="ROW",
        help=f"beside one device, by default all: {', '.join(map(repr, divided))}",
    )
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        import numpy as np

        results, is_chief = train(options.child[0])
        if is_chief:
            np.savez(options.child[1], **results)
        return 0
    print(machine())
    print(f"\n| batch of 4 | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}")
    is_equal, whole = True, None
    with tempfile.TemporaryDirectory() as folder:
        for words in ("one device", *options.rows):
            name, workers = NAMES[words]
            own = compared(Path(folder) / f"{name}.npz", name, workers)
            whole = whole or own
            row = [difference(own[c], whole[c], c) for c in COLUMNS]
            is_equal &= max(row) < LIMIT
            print(f"| {words} | {' | '.join(f'{d:.1e}' for d in row)} |", flush=True)
    return 0 if is_equal else 1


if __name__ == "__main__":
    sys.exit(main())
