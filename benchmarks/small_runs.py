"""Trainings of seconds, as scripts start, break and compare them."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

# Of TensorFlow, about the processor; and empty lines.
_NOTE = re.compile(r"[IWE]\d{4} .*oneDNN|\s*$")
NUM_EPOCHS = 2
SETTINGS = (
    *("data.num_train=6", "data.num_validation=2", "data.num_test=1"),
    *("images.short_side=96", "images.long_side=128", "images.canvases=[[128, 128]]"),
    *("rpn.channels=16", "roi.head_units=16", "roi.num_samples=16", "roi.dropout=0.5"),
    *("proposals.train_pre_nms=200", "proposals.train_post_nms=50"),
    *("proposals.test_pre_nms=100", "proposals.test_post_nms=20"),
    *("data.batch_size=2", f"train.epochs={NUM_EPOCHS}", "train.warmup_steps=0"),
    *("train.decay_epochs=[1]", "train.keep_images=1", "train.validation_every=1"),
    # A checkpoint after each step.
    "train.save_minutes=0.000001",
)


class Ended(NamedTuple):
    """How a command ended.

    Attributes:
        status: of the exit; the negative number of a signal.
        output: what it printed.
        warnings: the lines on standard error that are warnings.
        errors: the other ones.
    """

    status: int
    output: str
    warnings: list[str]
    errors: list[str]


def start(*words, spoil=()):
    """Starts a command of `tf-frcnn` in a process of its own.

    Args:
        *words: of the command.
        spoil: arguments of `spoiled_steps.spoil`, if a step is to be spoiled.
    """
    child = [sys.executable, __file__, json.dumps(list(spoil))]
    environment = dict(os.environ)
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)  # As most users have it.
    return subprocess.Popen(
        [*child, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def start_training(directory, *words, settings=(), spoil=()):
    """Starts a training, which neither evaluates nor exports in the end."""
    overrides = [w for own in (*SETTINGS, *settings) for w in ("--set", own)]
    command = ["train", "quickstart", "--output", directory]
    return start(*command, *overrides, *words, spoil=spoil)


def go_on(directory, **settings):
    """Starts the rest of a training; all of it where there was no run yet."""
    is_begun = (directory / "config.yaml").is_file()
    return start_training(directory, *["--resume"] * is_begun, **settings)


def end_of(process):
    """Waits for a command; returns how it ended."""
    output, error = process.communicate()
    lines = [line for line in error.splitlines() if not _NOTE.match(line)]
    warnings = [line for line in lines if line.startswith("tf-frcnn: warning: ")]
    others = [line for line in lines if line not in warnings]
    return Ended(process.returncode, output, warnings, others)


def differences(whole, other):
    """Returns what of two runs is not the same in the end, bit by bit."""
    found = []
    for path in sorted(whole.rglob("weights/*.h5")) + sorted(whole.rglob("log.csv")):
        own = other / path.relative_to(whole)
        read = Path.read_text if path.name == "log.csv" else bytes_of
        if not own.is_file():
            found.append(f"{own} is missing")
        elif read(path) != read(own):
            found.append(f"{own} differs")
    return found


def bytes_of(path):
    """Returns the bytes of the arrays of an HDF5 file, by name."""
    return {name: array.tobytes() for name, array in arrays_of(path).items()}


def arrays_of(path):
    """Returns the arrays of an HDF5 file, by name."""
    import h5py

    arrays = {}

    def add(name, item):
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(add)
    return arrays


def state_of(directory):
    """Returns the state of a run as its file has it; None where there is none."""
    path = directory / "state.json"
    return json.loads(path.read_text()) if path.is_file() else None


def remains(directory):
    """Returns what a run that was stopped must not leave."""
    parts = [p for name in ("part.*", ".part-*") for p in directory.rglob(name)]
    found = [f"{part} was left" for part in parts]
    for checkpoint in (state_of(directory) or {}).get("checkpoints", ()):
        path = directory / checkpoint["file"]
        data = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(data).hexdigest() != checkpoint["sha256"]:
            found.append(f"{path} is not whole")
    return found


def named_file(line, directory):
    """Returns the kind of the first file of a folder that a message names."""
    found = re.search(re.escape(str(directory)) + r"/?([\w./-]*\w)?", line)
    name = Path(found[1]).name if found and found[1] else "another"
    return re.sub(r"\d{3,}", "N", name)


class Trial(NamedTuple):
    """What a trial of a fault has.

    Attributes:
        whole: the run without a fault.
        stopped: a run that a signal stopped halfway.
        folder: its own.
        place: random, in 0..1; the trials of a fault are spread over it.
        seconds: that a training takes from its begin to its end.
    """

    whole: Path
    stopped: Path
    folder: Path
    place: float
    seconds: float

    @property
    def run(self):
        """The run folder."""
        return self.folder / "run"


def wait_for(process, path):
    """Waits for a file, or the end of a process."""
    while process.poll() is None and not path.exists():
        time.sleep(0.01)


def wait_for_begin(process, directory):
    """Waits until a training takes signals."""
    wait_for(process, directory / "tensorboard")


def wait_for_moment(process, trial):
    """Waits for the moment of a training that is the trial's."""
    wait_for_begin(process, trial.run)
    time.sleep(trial.place * trial.seconds)


def told_once(ended, trial, status=2):
    """Returns a loss unless a command told its end in one line, with a status."""
    errors = ended.errors
    is_clear = len(errors) == 1 and errors[0].startswith("tf-frcnn: ")
    if is_clear and ended.status == status:
        return []
    return [f"{trial.folder}: exit status {ended.status}, {errors or 'no word'}"]


def goes_on(trial):
    """Resumes a run; returns what then differs from a run without a fault."""
    ended = end_of(go_on(trial.run))
    if ended.status:
        return [f"{trial.run} cannot be resumed: {ended.errors}"]
    return differences(trial.whole, trial.run)


def newest(directory):
    """Returns the newest checkpoint of a run."""
    return state_of(directory)["checkpoints"][0]


def is_done(directory):
    """Says whether a run has finished its last epoch."""
    return newest(directory)["epoch"] == NUM_EPOCHS


def checkpoint_size(trial):
    """Returns the bytes of a checkpoint."""
    return (trial.whole / newest(trial.whole)["file"]).stat().st_size


def _main(spoil, *words):
    """Runs a command in this process."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tf_frcnn import cli
    from tf_frcnn.commands import train
    from tf_frcnn.runs import evaluation

    train.export_run = evaluation.evaluate_run = lambda *_, **settings: None
    if spoil := json.loads(spoil):
        from injected.steps import spoil as spoil_step

        spoil_step(*spoil)
    return cli.main(words)


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
