"""One batch gives one result, however it is divided."""

import re
import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT


@pytest.mark.slow
def test_a_divided_batch_has_the_result_of_the_whole():
    """See the script: on one device, on two, by two workers, and one half at a time."""
    script = ROOT / "benchmarks" / "one_result.py"
    command = [sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^\| (one|two) [^|]*\|(.*)\|$", done.stdout, re.MULTILINE)
    numbers = [[float(n) for n in row.split("|")] for _, row in rows]
    assert [len(row) for row in numbers] == [4, 4, 4, 4]
    assert max(numbers[0]) == 0 < min(map(max, numbers[1:]))
    assert max(map(max, numbers)) < 1e-4
