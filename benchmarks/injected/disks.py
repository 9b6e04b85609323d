"""Disks that are full, and files that may not grow."""

import contextlib
import os
import random
import resource
import shutil
import subprocess

from small_runs import (
    checkpoint_size,
    end_of,
    goes_on,
    named_file,
    remains,
    start,
    start_training,
    told_once,
    wait_for_moment,
)


@contextlib.contextmanager
def disk(folder, size):
    """Mounts a disk of so many bytes at a new folder."""
    folder.mkdir()
    size = max(size, 4096)
    options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    subprocess.run(["mount", *options], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def needs_root(trial):
    """Returns the trial; where no disk can be mounted, one that was not tried."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("mount")
    return trial if is_root else lambda _: (None, [])


@needs_root
def small_disk_trial(trial):
    """Trains on a disk that has not even room for what a training keeps."""
    # Four checkpoints are there while the third is replaced.
    size = int(4 * checkpoint_size(trial) * trial.place)
    mounted = trial.folder / "disk"
    trial = trial._replace(folder=mounted)
    with disk(mounted, size):
        ended = end_of(start_training(trial.run))
        found = named_once(ended, trial) + remains(trial.run)
        subprocess.run(["mount", "-o", "remount,size=1g", mounted], check=True)
        return struck_file(ended, trial), found + goes_on(trial)


@needs_root
def filled_disk_trial(trial):
    """Fills the disk at a random moment of a training."""
    mounted = trial.folder / "disk"
    trial = trial._replace(folder=mounted)
    with disk(mounted, 10 * checkpoint_size(trial)):
        process = start_training(trial.run)
        wait_for_moment(process, trial)
        fill(mounted / "filler")
        ended = end_of(process)
        found = remains(trial.run)
        found += named_once(ended, trial) if ended.status else []
        (mounted / "filler").unlink()
        return struck_file(ended, trial), found + goes_on(trial)


@needs_root
def export_trial(trial):
    """Exports to a disk that is too small."""
    mounted = trial.folder / "disk"
    size = int(1.6 * checkpoint_size(trial) * trial.place)
    trial = trial._replace(folder=mounted)
    with disk(mounted, size):
        ended = end_of(start("export", trial.whole, mounted / "export"))
        found = named_once(ended, trial)
        left = [path for path in mounted.rglob("*") if not path.is_dir()]
        found += [f"{path} was left" for path in left]
    return f"{size / 1e6:.1f} MB", found


def file_limit_trial(trial):
    """Forbids a training, at a random moment, files beyond a size."""
    process = start_training(trial.run)
    wait_for_moment(process, trial)
    limit = random.randrange(checkpoint_size(trial))
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
    ended = end_of(process)
    found = named_once(ended, trial) if ended.status else []
    return struck_file(ended, trial), found + remains(trial.run) + goes_on(trial)


def named_once(ended, trial):
    """Returns a loss unless the end is told in one line that names a file."""
    found = told_once(ended, trial)
    if not found and str(trial.folder) not in ended.errors[0]:
        found = [f"no file is named: {ended.errors}"]
    return found


def struck_file(ended, trial):
    """Returns the kind of the file that could not be written."""
    if not ended.status:
        return "nothing"
    return named_file(" ".join(ended.errors), trial.run)


def fill(path):
    """Writes a file until the disk is full."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


TRIALS = {
    "disk that is too small": small_disk_trial,
    "disk that fills while it trains": filled_disk_trial,
    "disk too small for an export": export_trial,
    "files that may not grow (`ulimit -f`)": file_limit_trial,
}
