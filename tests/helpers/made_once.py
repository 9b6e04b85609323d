"""Folders that one process makes for all processes of a run of the tests."""

import os
import shutil

from filelock import FileLock


def made_once(tmp_path_factory, name, make):
    """Returns a copy of a folder that the first process to ask for it has made.

    Args:
        tmp_path_factory: the fixture.
        name: what the folder is called; the same in all processes.
        make: a function that fills the folder, which exists.
    """
    common = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        common = common.parent
    folder = common / "made_once" / name
    folder.parent.mkdir(exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            unfinished = folder.with_name(f"{name}.part")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(folder)
    copy = tmp_path_factory.mktemp("copies") / name
    shutil.copytree(folder, copy)
    return copy
