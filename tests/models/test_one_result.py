"""One batch gives one result, however it is divided."""

import re
import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT


@pytest.mark.slow
def test_a_divided_batch_has_the_result_of_the_whole():
    """See the script; two workers, one of which dies, are those of test_workers."""
    script = ROOT / "benchmarks" / "one_result.py"
    rows = ["two accumulated batches of 2", "two devices, 2 each"]
    command = [sys.executable, str(script), *rows]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^\| (one|two) [^|]*\|(.*)\|$", done.stdout, re.MULTILINE)
    numbers = [[float(n) for n in row.split("|")] for _, row in rows]
    assert [len(row) for row in numbers] == [4, 4, 4]
    assert max(numbers[0]) == 0 < min(map(max, numbers[1:]))
    assert max(map(max, numbers)) < 1e-4
