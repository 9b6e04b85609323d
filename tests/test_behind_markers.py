import subprocess
import sys

from tests.helpers.paths import ROOT

TESTS = """
import pytest

@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_modes(mode):
    pass

@pytest.mark.slow
def test_slow():
    pass

@pytest.fixture
def driver():
    pass

def test_page(driver):
    pass
"""


def last_line_of(folder, *arguments):
    """Returns the last line that pytest prints for a file of four tests."""
    (folder / "test_four.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest"]
    command += ["-c", ROOT / "pyproject.toml", *arguments, folder]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout.splitlines()[-1]


def test_the_last_line_counts_the_tests_behind_each_marker(tmp_path):
    expected = (
        '3 tests stand behind the markers xla (1) and slow (2); pytest -m "" runs all.'
    )
    assert last_line_of(tmp_path, "-n", "0") == expected
    assert last_line_of(tmp_path, "-n", "2") == expected


def test_if_all_run_the_last_line_counts_them(tmp_path):
    assert last_line_of(tmp_path, "-n", "0", "-m", "").startswith("4 passed")
