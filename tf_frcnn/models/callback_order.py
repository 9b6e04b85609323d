"""The order in which callbacks are called."""

from typing import Any

import keras
from keras.callbacks import BackupAndRestore, CallbackList, SwapEMAWeights


def in_order(callbacks: Any) -> list[keras.callbacks.Callback]:
    """Returns callbacks with those first that add figures to the logs.

    Only `SwapEMAWeights` stays before them, so that the averaged weights are measured,
    and with it a backup that is to hold the weights from before the swap.

    Args:
        callbacks: one, a list that may hold lists, a `CallbackList`, or None. Those
            that add figures have an attribute `adds_to_logs`, which is True.
    """
    if isinstance(callbacks, CallbackList):
        callbacks = callbacks.callbacks
    each = [c for c in keras.tree.flatten(callbacks) if c is not None]
    swaps = [n for n, c in enumerate(each) if isinstance(c, SwapEMAWeights)]
    last_swap = max(swaps, default=-1)

    def place(item):
        n, callback = item
        if getattr(callback, "adds_to_logs", False):
            return 1
        is_of_swap = isinstance(callback, SwapEMAWeights | BackupAndRestore)
        return 0 if is_of_swap and n <= last_swap else 2

    return [callback for _, callback in sorted(enumerate(each), key=place)]
