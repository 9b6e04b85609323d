"""Injects faults into small trainings, and counts what is lost.

    python benchmarks/faults.py --times 5

Full disks, signals, second starts, damaged checkpoints, unsound data and steps that are
not finite. Nothing is lost if a fault is told in one line and the exit status is as
documented, if nothing half-written is left and every checkpoint that the run names is
whole, and if the resumed run ends with the weights and the log of one without a fault,
bit by bit. It runs on Linux, and full disks need root, who mounts small ones. The exit
status is the number of losses; each is told on standard error.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from injected import batches, disks, steps, stops
from machine import machine
from small_runs import Trial, end_of, start_training, wait_for, wait_for_begin

sys.path.insert(0, str(Path(__file__).parents[1]))
TRIALS = disks.TRIALS | stops.TRIALS | batches.TRIALS | steps.TRIALS


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=5, help="per fault (5)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", metavar="TEXT", help="in its name")
    options = parser.parse_args()
    random.seed(options.seed)
    rows = {
        name: try_once
        for name, try_once in TRIALS.items()
        if options.only is None or any(text in name for text in options.only)
    }
    print(f"{machine()}; seed {options.seed}.\n")
    print("| fault | times | struck | losses |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        losses = measure(rows, options.times, Path(folder))
    return min(100, len(losses))


def measure(rows, times, folder):
    """Prints a line for each row; returns the losses."""
    whole, seconds = train_whole(folder / "whole")
    trial = Trial(whole, folder / "stopped", folder / "trial", 0.0, seconds)
    stop_halfway(trial.stopped)
    losses = []
    for name, try_once in rows.items():
        struck, own = Counter(), []
        for number in range(times):
            trial.folder.mkdir()
            place = (number + random.random()) / times
            where, lost = try_once(trial._replace(place=place))
            struck[where] += 1
            for loss in lost:
                print(f"{name}: {loss}", file=sys.stderr, flush=True)
            own += lost
            shutil.rmtree(trial.folder)
        if None in struck:
            print(f"| {name} | not tried: needs root | | |", flush=True)
            continue
        places = ", ".join(f"{where} ({count})" for where, count in struck.items())
        print(
            f"| {name} | {times} | {places} | {len(own)} |", *own, sep="\n", flush=True
        )
        losses += own
    return losses


def train_whole(directory):
    """Trains without a fault; returns the folder and the seconds, see `Trial`."""
    process = start_training(directory)
    wait_for_begin(process, directory)
    begin = time.monotonic()
    ended = end_of(process)
    if ended.status:
        raise RuntimeError(f"A sound training failed: {ended.errors}")
    return directory, time.monotonic() - begin


def stop_halfway(directory):
    """Makes a run that a signal stopped after its third step."""
    process = start_training(directory)
    wait_for(process, directory / "weights" / "step_00000003.weights.h5")
    process.send_signal(signal.SIGTERM)
    ended = end_of(process)
    if ended.status != 128 + signal.SIGTERM:
        raise RuntimeError(f"A training was not stopped: {ended}")


if __name__ == "__main__":
    sys.exit(main())
