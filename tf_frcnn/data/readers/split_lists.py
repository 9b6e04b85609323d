"""Lists of images, one a line, as tools and people write them."""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from tf_frcnn.data.checks.images import IMAGE_ENDINGS
from tf_frcnn.data.readers.text_files import read_list

_LAST_COLUMN = re.compile(r"(.*?)[\s,;]+([^\s,;]+)")
# A flag or another number; PaddleDetection names the annotation there.
_COLUMN = re.compile(r"[-+]?\d+(\.\d+)?|.*\.xml", re.IGNORECASE)
# In VOC's files for one class: the class is in the image, only difficult objects of it
# are, or it is not.
_FLAGS = (["1"], ["0"], ["-1"])


def listed_ids(
    path: Path, find: Callable[[str], str | None]
) -> Iterator[tuple[str, bool]]:
    """Yields the id of each line of a list, and whether the line says that it is in it.

    A line is an id or the name of a file, with its ending or without, with the folders
    before it, in quotes, with columns behind it. The column -1 of a file for one class
    says that the image is not in the list.

    Args:
        path: the list.
        find: returns the id of the image that a text names, None if there is none.
    """
    for line in read_list(path):
        if line := line.strip():
            image_id, columns = _read(line, find)
            yield image_id, columns[:1] != ["-1"]


def finder(ids: Collection[str]) -> Callable[[str], str | None]:
    """Returns a function that finds the id that a text names, for `listed_ids`.

    Args:
        ids: of all images, with / between folders.
    """
    by_name: dict[str, str | None] = {}
    for one in ids:
        name = one.rpartition("/")[2]
        by_name[name] = None if name in by_name else one

    def find(text):
        text = unicodedata.normalize("NFC", text.strip("\"' ")).replace("\\", "/")
        for name in (text, _without_ending(text)):
            parts = name.split("/")
            for start in range(len(parts)):
                if (one := "/".join(parts[start:])) in ids:
                    return one
            if len(parts) == 1 and by_name.get(name):
                return by_name[name]
        return None

    return find


def _without_ending(name: str) -> str:
    stem, dot, ending = name.rpartition(".")
    return stem if f"{dot}{ending.lower()}" in (*IMAGE_ENDINGS, ".xml") else name


def _read(line: str, find) -> tuple[str, list[str]]:
    """Returns the id and the columns; the longest name that an image has counts."""
    readings = [*_readings(line)]
    for name, columns in readings:
        if (found := find(name)) is not None:
            return found, columns
    # There is no such image. The line as VOC writes it:
    is_flagged = len(readings) > 1 and readings[1][1] in _FLAGS
    return readings[1] if is_flagged else readings[0]


def _readings(line: str) -> Iterator[tuple[str, list[str]]]:
    """Yields the line as a name alone, then with ever more columns behind it."""
    columns: list[str] = []
    yield line, columns
    while found := _LAST_COLUMN.fullmatch(line):
        line, column = found.groups()
        if not line or not _COLUMN.fullmatch(column):
            return
        columns = [column, *columns]
        yield line, columns
