import errno
import subprocess
import sys
from pathlib import Path

import pytest

from tf_frcnn.runs.locks import claimed

CLAIM = """
import sys, time
from pathlib import Path
from tf_frcnn.runs.locks import claimed

with claimed(Path(sys.argv[1])):
    print("claimed", flush=True)
    time.sleep(300)
"""


@pytest.fixture
def owner(tmp_path):
    """A process that has claimed the folder `run`."""
    command = [sys.executable, "-c", CLAIM, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "claimed\n"
        yield child
        child.kill()


def test_a_folder_that_another_process_has_is_refused_by_its_number(owner, tmp_path):
    with pytest.raises(BlockingIOError, match=f"is in use by process {owner.pid}; "):
        with claimed(tmp_path / "run"):
            pass


def test_the_death_of_a_process_releases_its_folder(owner, tmp_path):
    owner.kill()
    owner.wait()
    with claimed(tmp_path / "run"):
        assert (tmp_path / "run" / "run.lock").is_file()


def test_a_process_may_claim_a_folder_several_times(tmp_path):
    with claimed(tmp_path):
        with claimed(tmp_path):
            pass
        with claimed(tmp_path):
            assert (tmp_path / "run.lock").is_file()


def test_lists_of_one_folder_are_claimed_one_by_one(owner, tmp_path):
    with claimed(tmp_path / "run", "other.lock"):
        assert (tmp_path / "run" / "other.lock").is_file()


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path, monkeypatch):
    def full(path, text):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    file = tmp_path / "run.lock"
    with pytest.raises(OSError, match=f"{file} could not be written: No space left"):
        with claimed(tmp_path):
            pass


def fail_in(folder, file=None, error=ValueError):
    with pytest.raises(error), claimed(folder):
        if file:
            (folder / file).touch()
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_folder_made_for_what_failed_at_once_is_removed(tmp_path, error):
    fail_in(tmp_path / "a" / "run", error=error)
    assert list(tmp_path.rglob("*")) == [tmp_path / "a"]
    with claimed(tmp_path / "a" / "run"):
        assert (tmp_path / "a" / "run" / "run.lock").is_file()


def test_a_folder_that_was_there_or_holds_a_file_stays(tmp_path):
    (tmp_path / "mine").mkdir()
    fail_in(tmp_path / "mine")
    fail_in(tmp_path / "used", "log.csv")
    assert (tmp_path / "mine").is_dir() and (tmp_path / "used" / "log.csv").is_file()
    with pytest.raises(ValueError), claimed(tmp_path / "outer"):
        fail_in(tmp_path / "outer")
        assert (tmp_path / "outer" / "run.lock").is_file()
        raise ValueError
    assert not (tmp_path / "outer").exists()


def test_a_folder_that_another_process_has_is_not_removed(owner, tmp_path):
    fail_in(tmp_path / "run", error=BlockingIOError)
    assert (tmp_path / "run" / "run.lock").read_text() == f"{owner.pid}\n"
