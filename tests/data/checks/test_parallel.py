import threading

import pytest

from tf_frcnn.data.checks.parallel import in_order


def test_results_come_in_the_order_of_the_items():
    first_may_end = threading.Event()

    def double(item):
        if item == 0:
            assert first_may_end.wait(30)
        else:
            first_may_end.set()
        return 2 * item

    assert [*in_order(double, range(200))] == [2 * item for item in range(200)]


def test_what_is_quick_is_done_at_once():
    threads = {}

    def note(item):
        threads[item] = threading.current_thread()
        return item

    assert [*in_order(note, range(5), lambda item: item < 3)] == [0, 1, 2, 3, 4]
    is_here = [threads[item] is threading.current_thread() for item in range(5)]
    assert is_here == [True, True, True, False, False]


def test_few_items_are_taken_ahead():
    taken = []

    def items():
        for item in range(1000):
            taken.append(item)
            yield item

    results = in_order(lambda item: item, items())
    assert next(results) == 0 and len(taken) <= 64


def test_the_caller_says_how_many_are_taken_ahead():
    taken = []

    def items():
        for item in range(99):
            taken.append(item)
            yield item

    results = in_order(lambda item: item, items(), ahead=3)
    assert next(results) == 0 and len(taken) == 3


def test_an_error_is_passed_on():
    with pytest.raises(ZeroDivisionError):
        [*in_order(lambda item: 1 // item, [1, 0])]
