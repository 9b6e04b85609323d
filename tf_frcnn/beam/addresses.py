"""Files by their paths on this machine, or by addresses that Beam opens, as gs://."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from tf_frcnn.data.checks.regular_files import MAX_BYTES, read_regular_file


def is_remote(place: str) -> bool:
    """Says whether a place is an address, with a scheme, and no path."""
    return "://" in place


def read_file(place: str) -> bytes:
    """Returns the bytes of a file.

    Raises:
        OSError: there is no such file, or it is too large for an image.
        RuntimeError: it is there and could not be fetched, so that Beam tries again.
    """
    if not is_remote(place):
        return read_regular_file(Path(place))
    try:
        with _opened(place) as file:
            data = file.read(MAX_BYTES + 1)
    except Exception as error:  # Of any type: each kind of storage has its own.
        if not FileSystems.exists(place):
            raise FileNotFoundError(f"there is no file {place}") from error
        raise RuntimeError(f"{place} could not be fetched: {error}") from error
    if len(data) > MAX_BYTES:
        raise OSError(f"it has more than the {MAX_BYTES / 2**20:.0f} MB that are read")
    return data


def copy_folder(address: str, target: Path) -> None:
    """Copies the files of a remote folder, with its subfolders, into a local one.

    Raises:
        FileNotFoundError: there are none.
    """
    start = address.rstrip("/") + "/"
    (found,) = FileSystems.match([f"{start}**"])
    for file in found.metadata_list:
        if file.path.endswith("/"):  # Stands for a folder.
            continue
        own = target / PurePosixPath(file.path.removeprefix(start))
        own.parent.mkdir(parents=True, exist_ok=True)
        with _opened(file.path) as source, own.open("wb") as copy:
            shutil.copyfileobj(source, copy)
    if not found.metadata_list:
        raise FileNotFoundError(f"{address}: there are no files.")


@contextlib.contextmanager
def local_folder(place: str) -> Iterator[Path]:
    """Gives a folder, or for the time being a copy of a remote one."""
    if not is_remote(place):
        yield Path(place)
        return
    with tempfile.TemporaryDirectory(prefix="tf_frcnn-") as folder:
        copy_folder(place, Path(folder))
        yield Path(folder)


def _opened(place: str):
    # By default Beam unpacks what a name ends in, such as .gz.
    return FileSystems.open(place, compression_type=CompressionTypes.UNCOMPRESSED)
