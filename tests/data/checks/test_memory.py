import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tf_frcnn.data.checks.memory import Budget


def most_at_once(budget, sizes):
    """Returns the largest sum that threads had of a budget at one time."""
    lock, held, most = threading.Lock(), 0, 0

    def use(size):
        nonlocal held, most
        with budget.take(size):
            with lock:
                held += size
                most = max(most, held)
            threading.Event().wait(0.01)
            with lock:
                held -= size

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, sizes))
    return most


def test_threads_never_have_more_together():
    assert most_at_once(Budget(10), [4, 3, 5, 6, 2, 1, 9, 4] * 3) <= 10


def test_who_needs_more_than_there_is_works_alone():
    assert most_at_once(Budget(10), [25, 3, 5]) == 25


def test_after_an_error_all_is_there_again():
    budget = Budget(10)
    with pytest.raises(ValueError, match="no"), budget.take(10):
        raise ValueError("no")
    with budget.take(10):
        pass
