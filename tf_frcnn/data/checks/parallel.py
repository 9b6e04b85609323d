"""A function of many items, computed side by side."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

# Enough to keep all cores busy.
_AHEAD = 64


def in_order(
    function: Callable[[Any], Any],
    items: Iterable[Any],
    is_quick: Callable[[Any], Any] = lambda item: False,
    *,
    ahead: int = _AHEAD,
) -> Iterator[Any]:
    """Yields a function's results in order; slow ones are computed in threads.

    Args:
        function: of an item; it gives up Python's lock where it is to gain.
        items: in the order of the results.
        is_quick: whether an item's result is known, so that a thread would cost more.
        ahead: at most so many results are there before they are asked for.
    """
    waiting: deque[Future] = deque()
    with ThreadPoolExecutor() as pool:
        for item in items:
            if not waiting and is_quick(item):
                yield function(item)
                continue
            waiting.append(pool.submit(function, item))
            if len(waiting) == ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
