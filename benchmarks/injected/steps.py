"""Steps of a training that are not finite."""

import csv
import functools

import numpy as np
from small_runs import (
    arrays_of,
    bytes_of,
    differences,
    end_of,
    go_on,
    newest,
    remains,
    start,
    start_training,
    told_once,
)

NUM_STEPS = 6


def spoil(kind, step):
    """Makes a loss NaN at a step, or a gradient alone, in this process's detectors.

    Args:
        kind: "loss" or "gradient".
        step: the number of the step, from 0.
    """
    import tensorflow as tf

    from tf_frcnn.models import FasterRCNN

    compute = FasterRCNN.compute_losses

    def spoiled(self, inputs, turn, training=False):
        losses = compute(self, inputs, turn, training)
        if not training:
            return losses
        is_it = tf.cast(turn.step, tf.int64) == step
        if kind == "loss":
            factor = tf.where(is_it, np.nan, 1.0)
            names = ("loss", "roi_class_loss")
            return losses | {name: losses[name] * factor for name in names}
        # At 0 a root is infinitely steep; elsewhere this adds 0 to all.
        constant = tf.where(is_it, 0.0, 1.0)
        weight = self.trainable_variables[-1]
        root = tf.sqrt(constant + 0.0 * tf.reduce_sum(weight))
        return losses | {"loss": losses["loss"] + root - constant}

    FasterRCNN.compute_losses = spoiled


def stop_trial(kind, trial):
    """Spoils a random step of a training that stops there, and replays it."""
    step = int(NUM_STEPS * trial.place)
    ended = end_of(start_training(trial.run, spoil=(kind, step)))
    found = told_once(ended, trial) + remains(trial.run)
    struck, lost = replayed(trial, step, (kind, step))
    resumed = end_of(go_on(trial.run))
    found += [f"not resumed: {resumed.errors}"] if resumed.status else []
    return struck, found + lost + differences(trial.whole, trial.run)


def skip_trial(kind, trial):
    """Spoils a random step of a training that passes over it."""
    step, settings = int(NUM_STEPS * trial.place), ["train.on_non_finite=skip"]
    process = start_training(trial.run, settings=settings, spoil=(kind, step))
    ended = end_of(process)
    found = [f"exit status {ended.status}: {ended.errors}"] if ended.status else []
    if len([line for line in ended.warnings if "passed over" in line]) != 1:
        found.append(f"not one warning: {ended.warnings}")
    counts = skipped_steps(trial.run)
    if [round(count) for count in counts] != [step < 3, step >= 3]:
        found.append(f"the log has {counts} steps that were passed over")
    return f"step {step}", found + remains(trial.run) + not_finite(trial.run)


def diverging_trial(mode, trial):
    """Trains with a learning rate that is far too high."""
    rate = 10 ** (5 + 7 * trial.place)
    settings = [f"train.learning_rate={rate:g}", f"train.on_non_finite={mode}"]
    ended = end_of(start_training(trial.run, settings=settings))
    found = remains(trial.run) + not_finite(trial.run)
    if mode == "stop":
        struck, lost = replayed(trial, newest(trial.run)["step"])
        return struck, found + lost + told_once(ended, trial)
    found += [f"exit status {ended.status}: {ended.errors}"] if ended.status else []
    count = round(sum(skipped_steps(trial.run)))
    warnings = [line for line in ended.warnings if "passed over" in line]
    if not count or count != len(warnings):
        found.append(f"{count} steps passed over, {len(warnings)} warnings")
    return f"{count} steps", found


def replayed(trial, step, spoiled=()):
    """Replays the step that a run kept.

    Returns:
        What is said to be not finite first, and the losses.
    """
    file = trial.run / f"black_box_{step:08d}.npz"
    if not file.is_file():
        return "another", [f"{file} is missing"]
    found = []
    own = set(bytes_of(trial.run / newest(trial.run)["file"]).values())
    with np.load(file) as kept:
        weights = [kept[name] for name in kept.files if name.startswith("weights/")]
    if not weights or any(weight.tobytes() not in own for weight in weights):
        found.append(f"{file} has not the weights before the step")
    ended = end_of(start("replay", file, spoil=spoiled))
    lines = [x for x in ended.output.splitlines() if x.startswith("First not finite: ")]
    first = lines[0].partition(": ")[2].rstrip(".") if lines else "no answer"
    if ended.status or first in ("no answer", "nothing, this time"):
        found.append(f"{file}: {first}, exit status {ended.status}: {ended.errors}")
    return first, found


def skipped_steps(directory):
    """Returns how many steps of each epoch were passed over, as the log has it."""
    with (directory / "log.csv").open(newline="") as file:
        return [float(row["skipped"]) * NUM_STEPS / 2 for row in csv.DictReader(file)]


def not_finite(directory):
    """Returns the files of weights that have a value that is not finite."""
    found = []
    for path in sorted(directory.glob("weights/*.h5")):
        if not all(np.isfinite(array).all() for array in arrays_of(path).values()):
            found.append(f"{path} is not finite")
    return found


TRIALS = {
    "loss that is NaN, `stop`": functools.partial(stop_trial, "loss"),
    "gradient that is NaN, `stop`": functools.partial(stop_trial, "gradient"),
    "learning rate of 1e5 to 1e12, `stop`": functools.partial(diverging_trial, "stop"),
    "loss that is NaN, `skip`": functools.partial(skip_trial, "loss"),
    "gradient that is NaN, `skip`": functools.partial(skip_trial, "gradient"),
    "learning rate of 1e5 to 1e12, `skip`": functools.partial(diverging_trial, "skip"),
}
