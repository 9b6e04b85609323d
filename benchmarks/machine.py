"""The name of the machine that a benchmark ran on."""

import os
import platform
import re
from pathlib import Path


def machine():
    """Returns processor, cores and system, as tables name them."""
    return (
        f"{_processor()}, {os.cpu_count()} cores, {platform.system()}, "
        f"Python {platform.python_version()}"
    )


def _processor():
    path = Path("/proc/cpuinfo")
    text = path.read_text() if path.is_file() else ""
    model = re.search(r"model name\s*: (.*)", text)
    return model[1] if model else platform.machine()
