"""Signals, second starts and damaged checkpoints."""

import functools
import random
import shutil
import signal
import time

from small_runs import (
    differences,
    end_of,
    go_on,
    goes_on,
    is_done,
    named_file,
    newest,
    remains,
    start_training,
    told_once,
    wait_for_moment,
)


def signal_trial(number, trial):
    """Stops a training at a random moment."""
    process = start_training(trial.run)
    wait_for_moment(process, trial)
    process.send_signal(number)
    ended = end_of(process)
    if is_done(trial.run):
        return "after the end", goes_on(trial)
    struck = f"step {newest(trial.run)['step']}"
    found = told_once(ended, trial, 128 + number) + remains(trial.run)
    if not any("Stopped; the last checkpoint is" in line for line in ended.errors):
        found.append(f"no word of a checkpoint: {ended.errors}")
    return struck, found + goes_on(trial)


def two_signals(number, trial):
    """Stops a training at a random moment, and then at once."""
    process = start_training(trial.run)
    wait_for_moment(process, trial)
    process.send_signal(number)
    time.sleep(random.uniform(0, 0.1))
    process.send_signal(number)
    ended = end_of(process)
    if is_done(trial.run):
        return "after the end", goes_on(trial)
    found = []
    if ended.status not in (-number, 128 + number):
        found.append(f"exit status {ended.status}: {ended.errors}")
    struck = "ended at once" if ended.status == -number else "had stopped"
    return struck, found + goes_on(trial)


def second_start_trial(trial):
    """Starts two trainings in a folder within seconds."""
    processes = [start_training(trial.run)]
    time.sleep(random.uniform(0, 5))
    processes.append(start_training(trial.run))
    first, second = sorted(map(end_of, processes), key=lambda ended: ended.status)
    found = [] if first.status == 0 else [f"none trained: {first.errors}"]
    found += told_once(second, trial)
    is_in_use = any("is in use by process" in line for line in second.errors)
    struck = "is in use" if is_in_use else "holds a run"
    return struck, found + differences(trial.whole, trial.run)


def checkpoint_trial(how, trial):
    """Damages the newest checkpoint of a stopped run, and resumes it."""
    shutil.copytree(trial.stopped, trial.run)
    path = trial.run / newest(trial.run)["file"]
    data = bytearray(path.read_bytes())
    place = random.randrange(len(data))
    if how == "cut":
        path.write_bytes(data[:place])
    elif how == "changed":
        data[place] ^= 1 << random.randrange(8)
        path.write_bytes(data)
    else:
        path.unlink()
    ended = end_of(go_on(trial.run))
    found = [f"exit status {ended.status}: {ended.errors}"] if ended.status else []
    told = [line for line in ended.warnings if str(path) in line]
    if len(told) != 1 or "the checkpoint before is used" not in told[0]:
        found.append(f"no warning of {path}: {ended.warnings}")
    return named_file(str(path), trial.run), found + differences(trial.whole, trial.run)


TRIALS = {
    "`SIGINT`": functools.partial(signal_trial, signal.SIGINT),
    "`SIGTERM`": functools.partial(signal_trial, signal.SIGTERM),
    "`SIGINT` twice": functools.partial(two_signals, signal.SIGINT),
    "`SIGTERM` twice": functools.partial(two_signals, signal.SIGTERM),
    "second start in the same folder": second_start_trial,
    "newest checkpoint cut": functools.partial(checkpoint_trial, "cut"),
    "newest checkpoint changed": functools.partial(checkpoint_trial, "changed"),
    "newest checkpoint removed": functools.partial(checkpoint_trial, "removed"),
}
