"""The files below a data set's folder."""

import os
import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path

from tf_frcnn.data.checks.outside_links import OutsideLinks
from tf_frcnn.data.checks.problems import DataError, Problems

# Beside hidden files, which begin with a dot.
_IGNORED_FOLDERS = ("__MACOSX",)


def existing_folder(location: str | Path) -> Path:
    """Returns the folder of a data set, with ~ expanded.

    Raises:
        DataError: it does not exist, or is no folder; the message has its full path.
    """
    folder = Path(location).expanduser()
    if folder.is_dir():
        return folder
    where = f"it was looked for at {folder.absolute()}"
    if folder.exists():
        raise DataError(
            f"{location} is a file, not a folder; {where}. Unpack an archive first."
        )
    raise DataError(f"The folder {location} does not exist; {where}.")


class Listing:
    """Lists files; names are in the Unicode form NFC, with / between folders.

    macOS stores names in another form (NFD) than people type. Links that lead out of
    the data set are counted as `outside_link`.

    Args:
        root: the data set's folder; it may be a link itself.
        problems: records the links.
        follow_links: False: links that lead out of the folder are left out.
    """

    def __init__(self, root: Path, problems: Problems, follow_links: bool = True):
        self._links = OutsideLinks(root, problems, follow_links)

    def folders(self, folder: Path, names: Collection[str]) -> dict[str, Path]:
        """Returns the subfolders with one of the names, given in lower case.

        Returns:
            The name in lower case -> path, sorted.
        """
        return {
            name.lower(): Path(entry.path)
            for name, entry in self._entries(folder)
            if name.lower() in names and entry.is_dir() and self._may_be_read(entry)
        }

    def files(self, folder: Path, *, below: bool = True) -> Iterator[tuple[str, Path]]:
        """Yields (name relative to the folder, path) of all that is no folder, sorted.

        Args:
            folder: the data set's, or one below it.
            below: whether subfolders are searched, too.
        """
        yield from self._files(folder, "", below, frozenset())

    def _files(self, folder, prefix, below, above):
        status = os.stat(folder)
        own = (status.st_dev, status.st_ino)
        if own in above:  # A link in a circle.
            return
        for name, entry in self._entries(folder):
            is_folder = entry.is_dir()
            is_left_out = is_folder and (not below or name in _IGNORED_FOLDERS)
            if is_left_out or not self._may_be_read(entry):
                continue
            if is_folder:
                inner = f"{prefix}{name}/"
                yield from self._files(entry.path, inner, below, above | {own})
            else:
                yield prefix + name, Path(entry.path)

    def _entries(self, folder) -> list[tuple[str, os.DirEntry]]:
        with os.scandir(folder) as entries:
            named = [(_composed(entry.name), entry) for entry in entries]
        visible = [pair for pair in named if not pair[0].startswith(".")]
        return sorted(visible, key=lambda pair: pair[0])

    def _may_be_read(self, entry: os.DirEntry) -> bool:
        return self._links.may_be_read(entry.path, is_link=entry.is_symlink())


def _composed(name: str) -> str:
    """Returns a name in NFC, with ? for bytes that are no text."""
    if name.isascii():
        return name
    return unicodedata.normalize("NFC", name.encode(errors="replace").decode())
