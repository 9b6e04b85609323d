"""Symbolic links that lead out of a data set's folder."""

import os
from pathlib import Path

from tf_frcnn.data.checks.problems import Problems


class OutsideLinks:
    """Counts links that lead out of a data set as `outside_link`.

    Args:
        root: the data set's folder; it may be a link itself.
        problems: records the links, each once.
        follow_links: False: what they lead to is not to be read.
    """

    def __init__(self, root: Path, problems: Problems, follow_links: bool = True):
        self._root, self._real_root = root, os.path.realpath(root)
        self._problems, self._follow_links = problems, follow_links
        self._known: dict[str, bool] = {}

    def may_be_read(self, path: str, *, is_link: bool) -> bool:
        """Says whether a file or folder may be read; its folder is one that may.

        Args:
            path: below the root, as it is spelled.
            is_link: whether it is a symbolic link.
        """
        if not is_link:
            return True
        if path not in self._known:
            target = os.path.realpath(path)
            is_inside = Path(target).is_relative_to(self._real_root)
            detail = f"it leads out of the folder, to {target}"
            self._known[path] = is_inside or self._count(path, detail)
        return self._known[path]

    def all_may_be_read(self, path: Path) -> bool:
        """Says the same of a file and of all folders between it and the root.

        Where links are not followed, a file beside the root may not be read, either.
        """
        if path == self._root:
            return True
        name = str(path)
        if not path.is_relative_to(self._root):
            return self._follow_links or self._count(name, "it lies outside the folder")
        folder = str(path.parent)
        if folder not in self._known:
            self._known[folder] = self.all_may_be_read(path.parent)
        is_link = os.path.islink(name)
        return self._known[folder] and self.may_be_read(name, is_link=is_link)

    def _count(self, path: str, detail: str) -> bool:
        own = Path(path)
        is_below = own.is_relative_to(self._root)
        name = own.relative_to(self._root).as_posix() if is_below else path
        action = "" if self._follow_links else "drop"
        return self._problems.add("outside_link", name, detail, action) != "drop"
