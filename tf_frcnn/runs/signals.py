"""Signals that stop a training between two steps."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

_HANDLED = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal stopped the training.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int, message: str = ""):
        super().__init__(message)
        self.number = number


class Stop:
    """What a signal asks for.

    Attributes:
        number: of the signal that came, or None.
        is_awaited: whether `obey` will soon be called; if not, the signal interrupts
            whatever is going on.
    """

    def __init__(self):
        self.number: int | None = None
        self.is_awaited = False

    def handle(self, number: int, frame: Any) -> None:
        """Notes a signal; the next one ends the program at once."""
        for other in _HANDLED:
            signal.signal(other, signal.SIG_DFL)
        self.number = number
        if not self.is_awaited:
            self.obey()
        print("\nStopping after this step. Once more ends the program at once.")

    def obey(self) -> None:
        """Raises `Interrupted` if a signal came."""
        if self.number is not None:
            raise Interrupted(self.number)


@contextlib.contextmanager
def stoppable() -> Iterator[Stop]:
    """Takes SIGINT and SIGTERM for the time of a training, in the main thread."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.handle) for number in _HANDLED}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
