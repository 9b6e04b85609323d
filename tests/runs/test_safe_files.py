import errno
import os
import subprocess
import sys

import pytest

from tf_frcnn.runs import safe_files
from tf_frcnn.runs.safe_files import checksum, remove_parts, replaced, write_text

# Fills the disk, as far as the process can tell, while it writes weights.
FULL = """
import resource, sys
from pathlib import Path
import keras
from tf_frcnn.runs.weights import save_weights

path = Path(sys.argv[1])
model = keras.Sequential([keras.Input((1000,)), keras.layers.Dense(1500)])
resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, 4_000_000))
try:
    save_weights(model, path)
except OSError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.slow
def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "a.txt"
    write_text(path, "first\n")
    with pytest.raises(KeyError), replaced(path) as part:
        part.write_text("half of the sec")
        assert path.read_text() == "first\n"
        raise KeyError
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]
    write_text(path, "second\n")
    assert path.read_text() == "second\n"


def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    calls = []
    sync, replace = os.fsync, os.replace

    def note_sync(descriptor):
        calls.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        sync(descriptor)

    def note_replace(source, target):
        calls.append("renamed")
        replace(source, target)

    monkeypatch.setattr(safe_files.os, "fsync", note_sync)
    monkeypatch.setattr(safe_files.os, "replace", note_replace)
    write_text(tmp_path / "a.txt", "text")
    assert calls == [str(tmp_path / "part.a.txt"), "renamed", str(tmp_path)]


@pytest.mark.slow
def test_a_full_disk_is_one_clear_error_and_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "before")
    with pytest.raises(OSError, match=f"^.*{path} could not be written: No space"):
        with replaced(path) as part:
            part.write_text("so m")
            raise OSError(errno.ENOSPC, "No space left on device")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "before"


@pytest.mark.slow
def test_weights_that_do_not_fit_on_the_disk_leave_no_open_file(tmp_path):
    path = tmp_path / "a.weights.h5"
    path.write_bytes(b"before")
    command = [sys.executable, "-c", FULL, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr  # HDF5 would crash at the end.
    expected = f"OSError [Errno {errno.EFBIG}] {path} could not be written: File too l"
    assert done.stdout.startswith(expected) and done.stdout.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"before"


def test_what_a_killed_program_left_is_removed(tmp_path):
    for name in ("part.a.h5", "a.h5"):
        (tmp_path / name).write_text("")
    remove_parts(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


def test_the_checksum_is_that_of_sha256sum(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert checksum(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
