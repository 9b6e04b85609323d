"""A function of many items, computed side by side."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

# Results that may wait for an earlier one: enough to keep all cores busy.
_AHEAD = 64


def in_order(
    function: Callable[[Any], Any],
    items: Iterable[Any],
    is_quick: Callable[[Any], Any] = lambda item: False,
) -> Iterator[Any]:
    """Yields a function's results in order; slow ones are computed in threads.

    At most `_AHEAD` results wait for those before them.

    Args:
        function: of an item; it gives up Python's lock where it is to gain.
        items: in the order of the results.
        is_quick: whether an item's result is known, so that a thread would cost more.
    """
    waiting: deque[Future] = deque()
    with ThreadPoolExecutor() as pool:
        for item in items:
            if not waiting and is_quick(item):
                yield function(item)
                continue
            waiting.append(pool.submit(function, item))
            if len(waiting) == _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
