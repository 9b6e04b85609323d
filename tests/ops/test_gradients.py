import tensorflow as tf

from tf_frcnn.ops.gradients import own_gradient, without_gradients


@own_gradient
def double(x):
    def gradient(upstream):
        return 7.0 * upstream

    return 2.0 * x, gradient


def gradient_of(function):
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return float(y), float(tape.gradient(y, x))


def own_nodes(function):
    graph = function.get_concrete_function(tf.TensorSpec([])).graph.as_graph_def()
    return [node for node in graph.node if "_gradient_op_type" in node.attr]


def test_a_gradient_of_our_own_is_taken():
    assert gradient_of(double) == (6.0, 7.0)
    assert gradient_of(tf.function(double)) == (6.0, 7.0)
    assert own_nodes(tf.function(lambda x: double(x)))


def test_it_is_left_out_of_what_is_traced_within():
    with without_gradients():
        assert gradient_of(double) == (6.0, 2.0)
        assert not own_nodes(tf.function(lambda x: double(x)))
    assert gradient_of(double) == (6.0, 7.0)
