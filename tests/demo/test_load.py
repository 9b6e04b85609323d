import re
import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT

pytestmark = pytest.mark.slow


def test_many_requests_at_once_are_answered_as_single_ones_are():
    """See the script: behind a slow picture, beside connections that say nothing."""
    script = ROOT / "benchmarks" / "demo_requests.py"
    command = [sys.executable, str(script), "--requests", "30", "--idle", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| pictures | 30 | 30 | 0 | 0 |" in done.stdout
    assert len(re.findall(r"^\| [^|]+ \| 2 \| \d+\.\d", done.stdout, re.MULTILINE)) == 3
