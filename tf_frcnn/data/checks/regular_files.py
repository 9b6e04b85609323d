"""Files that are read whole: never a pipe or a device, never without a limit."""

import stat
from pathlib import Path

# Of one image, annotation or list.
MAX_BYTES = 2**28


def read_regular_file(path: Path) -> bytes:
    """Returns the bytes of a file.

    Raises:
        OSError: it does not exist, is a folder, a pipe or a device, or is larger than
            `MAX_BYTES`.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is not a regular file")
    if status.st_size > MAX_BYTES:
        raise OSError(
            f"it has {status.st_size / 2**20:.0f} MB, more than the "
            f"{MAX_BYTES / 2**20:.0f} MB that are read"
        )
    return path.read_bytes()
