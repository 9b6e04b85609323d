"""The memory that is left to this process."""

import re
from pathlib import Path

_MEMORY = Path("/proc/meminfo")
# Of the container that the process runs in, if it has a limit.
_LIMIT = Path("/sys/fs/cgroup/memory.max")
_USED = Path("/sys/fs/cgroup/memory.current")


def free_memory() -> int | None:
    """Returns bytes; None where the system does not tell as Linux does."""
    known = [_available(), _within_limit()]
    return min((size for size in known if size is not None), default=None)


def _available():
    found = re.search(r"MemAvailable: *(\d+) kB", _text(_MEMORY))
    return int(found[1]) * 1024 if found else None


def _within_limit():
    limit, used = _text(_LIMIT).strip(), _text(_USED).strip()
    return int(limit) - int(used) if limit.isdigit() and used.isdigit() else None


def _text(path):
    try:
        return path.read_text()
    except OSError:
        return ""
