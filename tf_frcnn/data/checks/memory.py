"""Memory that threads share: who would take too much waits for the others."""

import contextlib
import threading
from collections.abc import Iterator


class Budget:
    """So many bytes for all threads together.

    Args:
        total: bytes. Whoever needs more waits until nobody else has any.
    """

    def __init__(self, total: int):
        self._total = self._left = total
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def take(self, size: int) -> Iterator[None]:
        """Waits until there are so many bytes, and has them within the block."""
        size = min(size, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= size)
            self._left -= size
        try:
            yield
        finally:
            with self._changed:
                self._left += size
                self._changed.notify_all()
