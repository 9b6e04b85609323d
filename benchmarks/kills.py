"""Kills trainings at named points and at random, and resumes them.

    python benchmarks/kills.py --kills 50

Each scenario (joint training, one that starts from another run by --init, alternating
training) is trained once without interruption. Then it is killed by SIGKILL, again and
again, until the kills are used up: at every moment of the writing of every file of the
run folder, in a step, in the validation, and at random times. After a kill it is
resumed, to be killed once more or to end. Nothing is lost if each resume works, and if
the weights, the best weights and the log are those of the uninterrupted run, bit by
bit. The exit status is the number of losses.
"""

import argparse
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from small_runs import SETTINGS, differences

ALTERNATING = ("train.scheme=alternating", "train.step_epochs=[1, 1, 1, 1]")
SCENARIOS = {"joint": (), "init": (), "alternating": ALTERNATING}
FILES = ("step_", "state.json", "log.csv", "best.weights", "config.yaml", "classes.txt")
MOMENTS = ("half written", "before it is renamed", "after it is renamed")


class Point(NamedTuple):
    """Where a process kills itself.

    Attributes:
        place: a name of `FILES`, "step" or "validation".
        moment: of `MOMENTS`; "" for the last two.
        count: at the how-manieth time, from 1.
    """

    place: str
    moment: str = ""
    count: int = 1

    def __str__(self) -> str:
        return f"{self.place} {self.moment} ({self.count})".replace("  ", " ")


def named_points() -> Iterator[Point]:
    """Yields points without end, each further on than the time before."""
    for count in itertools.count(1):
        for place in FILES:
            for moment in MOMENTS:
                yield Point(place, moment, count)
        yield Point("step", "", 2 * count)
        yield Point("validation", "", count)


# In the process that is killed -------------------------------------------------------


def train(scenario: str, directory: Path, point: Point | None) -> None:
    """Trains, or goes on with, a run; kills itself at a point.

    The end of a training, which evaluates and exports, is left out.
    """
    from tf_frcnn.commands.train import run_training
    from tf_frcnn.config import load_config
    from tf_frcnn.runs import evaluation

    evaluation.evaluate_run = lambda *_, **settings: None
    if point is not None:
        arm(point)
    config = load_config("quickstart", [*SETTINGS, *SCENARIOS[scenario]])
    is_begun = (directory / "config.yaml").is_file()
    first = directory.parent / "first"
    init = first if scenario == "init" and not is_begun else None
    run_training(config, directory, resume=is_begun, init=init, exports=False)


def arm(point: Point) -> None:
    """Makes the process kill itself at a point."""
    from tf_frcnn.runs import checkpoints, safe_files

    seen = itertools.count(1)

    def strike(place: str, moment: str = "") -> None:
        is_it = point.place in place and point.moment == moment
        if is_it and next(seen) == point.count:
            os.kill(os.getpid(), signal.SIGKILL)

    replace, sync = os.replace, safe_files._sync
    end_of_step = checkpoints.Checkpoints.on_train_batch_end

    def cut_and_sync(path: Path) -> None:
        if path.is_file() and point.moment == MOMENTS[0] and point.place in path.name:
            size = path.stat().st_size
            os.truncate(path, size // 2)
            strike(path.name, MOMENTS[0])
            raise RuntimeError("A file was cut, but the process lives.")
        sync(path)

    def kill_beside(source, target) -> None:
        strike(Path(target).name, MOMENTS[1])
        replace(source, target)
        strike(Path(target).name, MOMENTS[2])

    def kill_in_validation(self, logs=None) -> None:
        strike("validation")

    def kill_after_step(self, batch, logs=None) -> None:
        strike("step")
        end_of_step(self, batch, logs)

    os.replace = kill_beside
    if point.count == 1:
        safe_files._sync = cut_and_sync
    checkpoints.Checkpoints.on_test_end = kill_in_validation
    checkpoints.Checkpoints.on_train_batch_end = kill_after_step


# In the process that kills and compares ----------------------------------------------


def start(scenario: str, directory: Path, point: Point | None) -> subprocess.Popen:
    """Starts a training in a process of its own."""
    command = [sys.executable, __file__, "--child", scenario, str(directory)]
    if point is not None:
        command += [point.place, point.moment, str(point.count)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(scenario: str, directory: Path) -> None:
    """Trains to the end."""
    child = start(scenario, directory, None)
    output, _ = child.communicate()
    if child.returncode:
        raise RuntimeError(f"{directory} cannot be resumed:\n{output}")


def kill_once(scenario: str, directory: Path, point: Point | None) -> bool:
    """Lets a training be killed at a point, or at random; says whether it was."""
    child = start(scenario, directory, point)
    if point is None:
        while child.poll() is None and not (directory / "state.json").is_file():
            time.sleep(0.05)
        time.sleep(random.uniform(0, 12))
        child.kill()
    output, _ = child.communicate()
    if child.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"{directory} cannot be resumed:\n{output}")
    return child.returncode == -signal.SIGKILL


def main() -> int:
    """Runs the scenarios; returns the number of losses."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--random", type=float, default=0.3, help="share at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenario", action="append", choices=SCENARIOS)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        scenario, directory, *place = options.child
        point = Point(place[0], place[1], int(place[2])) if place else None
        train(scenario, Path(directory), point)
        return 0
    random.seed(options.seed)
    scenarios = options.scenario or [*SCENARIOS]
    losses = []
    print("| scenario | kills | of them at random | losses |\n|---|---|---|---|")
    for number, scenario in enumerate(scenarios):
        kills = options.kills // len(scenarios)
        kills += number < options.kills % len(scenarios)
        with tempfile.TemporaryDirectory() as folder:
            counts, own = run_scenario(scenario, Path(folder), kills, options.random)
        losses += own
        print(f"| {scenario} | {sum(counts)} | {counts[1]} | {len(own)} |", flush=True)
    print(*losses, sep="\n")
    return len(losses)


def run_scenario(
    scenario: str, folder: Path, kills: int, share: float
) -> tuple[tuple[int, int], list[str]]:
    """Returns the numbers of kills, at points and at random, and the losses."""
    if scenario == "init":
        finish("joint", folder / "first")
    whole, resumed = folder / "whole", folder / "killed"
    finish(scenario, whole)
    points, counts, losses = named_points(), [0, 0], []
    for _ in range(20 * kills):
        if sum(counts) == kills:
            break
        at_random = random.random() < share
        point = None if at_random else next(points)
        is_killed = kill_once(scenario, resumed, point)
        counts[at_random] += is_killed
        if not is_killed:  # It has come to its end.
            losses += differences(whole, resumed)
            shutil.rmtree(resumed)
    if resumed.exists():
        finish(scenario, resumed)
        losses += differences(whole, resumed)
    return (counts[0], counts[1]), losses


if __name__ == "__main__":
    sys.exit(main())
