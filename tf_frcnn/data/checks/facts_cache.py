"""A cache of what was found in the files of data sets."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

CACHE_VARIABLE = "TF_FRCNN_CACHE"
# Version of the facts and of the file; with another one all facts are found again.
_FORMAT = 1


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
        part = self._path.with_suffix(f".{os.getpid()}.part")
        with contextlib.suppress(OSError):
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                part.write_bytes(self._digest(content) + b"\n" + content)
                os.replace(part, self._path)
            finally:
                part.unlink(missing_ok=True)

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
        try:
            status = path.stat()
        except OSError:
            return find()
        stamp = (status.st_size, status.st_mtime_ns)
        return self.recall(os.path.abspath(path), stamp, find)

    def _digest(self, content: bytes) -> bytes:
        """Returns a checksum of the content, the versions and the name."""
        about = repr((_FORMAT, tf.__version__, self._name)).encode()
        return hashlib.sha256(about + content).hexdigest().encode()


def _is_there(key: str) -> bool:
    """Says whether a fact's file exists still; names that are no paths stay."""
    return not os.path.isabs(key) or os.path.exists(key)
