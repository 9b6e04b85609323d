"""Parts of many files, for several machines."""

import os
import re
import zlib
from collections.abc import Iterable
from typing import NamedTuple


class Shard(NamedTuple):
    """One of several parts.

    Attributes:
        number: 1..total.
        total: number of parts.
    """

    number: int
    total: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Returns the shard of a text such as "2/8", the second of eight.

        Raises:
            ValueError: it is another text, or there is no such part.
        """
        found = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
        shard = cls(*map(int, found.groups())) if found else cls(0, 0)
        if not 1 <= shard.number <= shard.total:
            raise ValueError(
                f"--shard {text}: give i/n with 1 <= i <= n, such as 2/8, the second "
                "of eight parts."
            )
        return shard

    @property
    def words(self) -> str:
        """As files are named after it: "2-of-8"."""
        return f"{self.number}-of-{self.total}"

    def select(self, files: Iterable[str]) -> list[str]:
        """Returns the files of this part, in their order.

        A file's part follows from its path alone, so that files that come or go move
        no others. The parts are about equally large.
        """
        return [
            file
            for file in files
            if zlib.crc32(os.fsencode(file)) % self.total == self.number - 1
        ]
