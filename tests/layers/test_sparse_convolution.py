import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.layers.sparse_convolution import SparselyUsedConv2D


def read_cells(layer, features):
    """Returns the gradients of a loss that looks at two cells, and the operations."""

    @tf.function(autograph=False)
    def compute(features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            found = layer(features)
            loss = tf.reduce_sum(found[:, 1, 2] - found[:, 6, 0] ** 2)
        return tape.gradient(loss, [features, *layer.trainable_variables])

    graph = compute.get_concrete_function(features).graph.as_graph_def()
    kinds = {node.op for node in graph.node}
    for function in graph.library.function:
        kinds |= {node.op for node in function.node_def}
    return compute(features), kinds


@pytest.mark.parametrize("for_xla", [False, True])
def test_it_equals_the_convolution_of_keras(for_xla):
    layer, right = (
        kind(5, 3, padding="same", activation="relu")
        for kind in (SparselyUsedConv2D, keras.layers.Conv2D)
    )
    draw = np.random.default_rng(0)
    features = tf.constant(draw.normal(size=[2, 8, 9, 3]), tf.float32)
    np.testing.assert_array_equal(layer(features).shape, right(features).shape)
    right.set_weights(layer.get_weights())
    layer.for_xla = for_xla
    np.testing.assert_allclose(layer(features), right(features), rtol=1e-6)
    found, kinds = read_cells(layer, features)
    expected, _ = read_cells(right, features)
    for own, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-6)
    # XLA cannot count the cells.
    assert ("Where" in kinds) == (not for_xla)


def test_it_is_saved_by_its_own_name():
    layer = SparselyUsedConv2D(5, 3, name="conv")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert type(again) is SparselyUsedConv2D
    assert (again.name, again.padding, again.filters) == ("conv", "same", 5)
