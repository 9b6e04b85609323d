"""A cache of what was found in the files of data sets."""

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

CACHE_VARIABLE = "TF_FRCNN_CACHE"
# In the cache: images of formats that TensorFlow does not decode, as PNG.
COPIES_FOLDER = "images"
# Version of the facts and of the file; with another one all facts are found again.
_FORMAT = 3


def cache_folder() -> Path | None:
    """Returns the folder of the caches, None for no caches.

    The environment variable TF_FRCNN_CACHE names it, or is empty for no caches; by
    default it is `default_folder`.
    """
    named = os.environ.get(CACHE_VARIABLE)
    if named is None:
        return default_folder()
    return Path(os.path.expanduser(named)).absolute() if named else None


def default_folder() -> Path | None:
    """Returns `tf_frcnn` in XDG_CACHE_HOME or ~/.cache; None if it is not absolute."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return base / "tf_frcnn" if base.is_absolute() else None


def keep_copy(content: bytes, original: bytes) -> Path:
    """Writes a copy of an image into the cache, for good; returns its path.

    Args:
        content: the copy, in PNG.
        original: the bytes of the file, which name the copy.

    Raises:
        OSError: there is no cache, or it cannot be written.
    """
    folder = cache_folder()
    if folder is None:
        raise OSError(
            f"its copy in PNG needs the cache, which {CACHE_VARIABLE} switches off; "
            "name a folder there, or convert the image to JPEG or PNG"
        )
    path = folder / COPIES_FOLDER / f"{hashlib.sha256(original).hexdigest()[:24]}.png"
    if not path.is_file():
        _replace_file(path, content)
    return path


class FactsCache:
    """The facts about the files of one data set, as `with FactsCache(name) as cache`.

    A fact is valid as long as its file is unchanged. Facts are what a file says, before
    any check, so that no setting of a reader changes them. The cache is read on
    entering and, if there are new facts, written on leaving. A cache that is damaged,
    of another version, or cannot be read or written is not an error: the facts are
    found again.

    Args:
        name: of the data set, such as its folder.
    """

    def __init__(self, name: str | Path):
        self._name = os.path.abspath(name)
        folder = cache_folder()
        file = hashlib.sha256(os.fsencode(self._name)).hexdigest()[:24] + ".json"
        self._path = None if folder is None else folder / file
        self._facts: dict[str, list] = {}
        self._has_new = False

    def __enter__(self) -> "FactsCache":
        with contextlib.suppress(OSError):
            if self._path is not None:
                digest, _, content = self._path.read_bytes().partition(b"\n")
                if digest == self._digest(content):
                    self._facts = json.loads(content)
        return self

    def __exit__(self, *_) -> None:
        if self._path is None or not self._has_new:
            return
        # A copy, since after an error threads may still find facts.
        facts = {k: fact for k, fact in dict(self._facts).items() if _is_there(k)}
        content = json.dumps(facts, separators=(",", ":")).encode()
        with contextlib.suppress(OSError):
            _replace_file(self._path, self._digest(content) + b"\n" + content)

    def recall(self, key: str, stamp: Sequence, find: Callable[[], Any]) -> Any:
        """Returns the facts about something; finds them if they are not known.

        May be called from several threads.

        Args:
            key: its name.
            stamp: numbers and texts that differ after a change.
            find: returns the facts, which JSON must be able to hold. Its errors are
                passed on and not kept.

        Returns:
            The facts; known ones as read from JSON, with lists instead of tuples.
        """
        known = self._facts.get(key)
        if known is not None and known[0] == [*stamp]:
            return known[1]
        facts = find()
        self._facts[key] = [[*stamp], facts]
        self._has_new = True
        return facts

    def recall_file(self, path: Path, find: Callable[[], Any]) -> Any:
        """Returns the facts about a file, known by its path, size and time of change.

        Args:
            path: the file.
            find: see `recall`; it must cope with a file that does not exist.
        """
        stamp = _stamp(path)
        if stamp is None:
            return find()
        return self.recall(os.path.abspath(path), stamp, find)

    def knows_file(self, path: Path) -> bool:
        """Says whether facts about a file are known and it is unchanged."""
        known = self._facts.get(os.path.abspath(path))
        return known is not None and known[0] == _stamp(path)

    def _digest(self, content: bytes) -> bytes:
        """Returns a checksum of the content, the versions and the name."""
        about = repr((_FORMAT, tf.__version__, self._name)).encode()
        return hashlib.sha256(about + content).hexdigest().encode()


def _replace_file(path: Path, content: bytes) -> None:
    """Writes a file at once, so that nobody ever reads a part of it."""
    part = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _stamp(path: Path) -> list[int] | None:
    """Returns a file's size and time of change, None if there is no such file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _is_there(key: str) -> bool:
    """Says whether a fact's file exists still; names that are no paths stay."""
    return not os.path.isabs(key) or os.path.exists(key)
