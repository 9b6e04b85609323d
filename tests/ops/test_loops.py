import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.ops.loops import map_rows, repeat, unrolled


def doubled_and_sums(values, offsets):
    specs = tf.TensorSpec([3], tf.float32), tf.TensorSpec([], tf.float32)

    def of_one_row(row):
        value, offset = row
        return value * 2, tf.reduce_sum(value) + offset

    return map_rows(of_one_row, (values, offsets), specs)


def powers(total):
    return repeat(3, lambda number, total: total * 2 + number, total)


def operations(function, *arrays):
    graph = tf.function(function).get_concrete_function(*map(tf.constant, arrays))
    return {operation.type for operation in graph.graph.get_operations()}


VALUES, OFFSETS = np.float32([[1, 2, 3], [4, 5, 6]]), np.float32([10, 20])


def test_each_row_goes_through_the_function(in_mode):
    run = in_mode(doubled_and_sums)
    for _ in range(2):
        doubled, sums = run(VALUES, OFFSETS)
        np.testing.assert_array_equal(doubled, VALUES * 2)
        np.testing.assert_array_equal(sums, [16, 35])


def test_steps_count_from_zero(in_mode):
    # ((1 * 2 + 0) * 2 + 1) * 2 + 2
    assert in_mode(powers)(np.int32(1)) == 12


def test_unrolled_the_results_are_the_same_without_a_loop():
    looped = operations(doubled_and_sums, VALUES, OFFSETS), operations(powers, 1)
    with unrolled():
        doubled, sums = doubled_and_sums(tf.constant(VALUES), tf.constant(OFFSETS))
        np.testing.assert_array_equal(doubled, VALUES * 2)
        np.testing.assert_array_equal(sums, [16, 35])
        assert powers(tf.constant(1)) == 12
        flat = operations(doubled_and_sums, VALUES, OFFSETS), operations(powers, 1)
    assert all("StatelessWhile" in kinds or "While" in kinds for kinds in looped)
    assert not any({"StatelessWhile", "While"} & kinds for kinds in flat)


def test_after_an_error_loops_are_loops_again():
    with pytest.raises(RuntimeError), unrolled():
        raise RuntimeError
    kinds = operations(powers, 1)
    assert "StatelessWhile" in kinds or "While" in kinds
