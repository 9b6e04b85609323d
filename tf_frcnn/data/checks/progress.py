"""A progress bar for what takes long."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

Item = TypeVar("Item")

# Seconds without a word.
_PATIENCE = 2.0
# Seconds from one look of the bar to the next.
_REFRESH = 0.2


def with_progress(items: Iterable[Item], total: int, words: str) -> Iterator[Item]:
    """Yields the items, and shows a bar once they take long.

    The bar is shown in a terminal and removed at the end; elsewhere one line says what
    is done.

    Args:
        items: `total` of them.
        total: their number.
        words: what is done, such as "Checking images".
    """
    console = Console()
    progress = Progress(console=console, transient=True)
    task, next_look = None, time.monotonic() + _PATIENCE
    try:
        for done, item in enumerate(items):
            if time.monotonic() > next_look:
                next_look += _REFRESH
                if not console.is_terminal:
                    print(f"{words}: {total} in all.", flush=True)
                    next_look = float("inf")
                elif task is None:
                    progress.start()
                    task = progress.add_task(words, total=total, completed=done)
                else:
                    progress.update(task, completed=done)
            yield item
    finally:
        if task is not None:
            progress.stop()
