"""What the graphs of a step need of a GPU, looked up where there is none."""

from types import SimpleNamespace

import pytest
import tensorflow as tf
from keras.optimizers import SGD
from tensorflow.python.framework import kernels

from tf_frcnn.models import sound_steps

# Called where a step is not finite.
IN_PYTHON = {"train_step": {"EagerPyFunc"}, "predict_step": set()}
SPEC = {
    "images": tf.TensorSpec([2, 64, 96, 3]),
    **{n: tf.TensorSpec([2, 2]) for n in ("image_sizes", "scales", "file_sizes")},
    "image_ids": tf.TensorSpec([2], tf.string),
    "boxes": tf.TensorSpec([2, None, 4]),
    "labels": tf.TensorSpec([2, None], tf.int32),
}


@pytest.fixture
def seen_gpu(monkeypatch):
    """Has TensorFlow tell of a GPU."""

    def devices(kind="GPU"):
        return [SimpleNamespace(device_type=kind)]

    monkeypatch.setattr(tf.config, "list_physical_devices", devices)


def nodes_of(step):
    """Returns the operations of a step's graph and of the functions that it calls."""
    graph = tf.function(step).get_concrete_function(SPEC).graph.as_graph_def()
    functions = [node for f in graph.library.function for node in f.node_def]
    return [*graph.node, *functions]


def fits(kernel, node):
    """Returns whether a kernel is one for GPUs and for the operation's types."""
    on_gpu = kernel.device_type in ("GPU", "DEFAULT")
    return on_gpu and all(
        node.attr[rule.name].type in (0, *rule.allowed_values.list.type)
        for rule in kernel.constraint
    )


def lacks_kernel(node):
    registered = kernels.get_registered_kernels_for_op(node.op).kernel
    return bool(registered) and not any(fits(kernel, node) for kernel in registered)


def of_strings(node):
    """Returns whether an operation has texts, which stay on the host."""
    return any(value.type == tf.string.as_datatype_enum for value in node.attr.values())


@pytest.mark.slow
@pytest.mark.parametrize("step", ["train_step", "predict_step"])
def test_every_operation_of_a_step_can_be_on_a_gpu(step, small_detector, seen_gpu):
    model = small_detector()
    model.compile(SGD(0.001, momentum=0.9))
    nodes = nodes_of(getattr(model, step))
    assert not {node.op for node in nodes if "CPU" in node.device.upper()}
    lacking = {n.op for n in nodes if lacks_kernel(n) and not of_strings(n)}
    assert not lacking
    assert {n.op for n in nodes if "Py" in n.op or "Numpy" in n.op} == IN_PYTHON[step]


def ancestors(operation):
    """Returns all operations that an operation of a graph waits for."""
    found, open_ends = set(), [operation]
    while open_ends:
        own = open_ends.pop()
        before = {*own.control_inputs, *(tensor.op for tensor in own.inputs)} - found
        found |= before
        open_ends += before
    return found


def look_in(graph):
    """Returns the operation that has Python look at a step that is not finite."""
    in_python = {
        function.signature.name
        for function in graph.as_graph_def().library.function
        if any(node.op == "EagerPyFunc" for node in function.node_def)
    }
    (look,) = [
        operation
        for operation in graph.get_operations()
        if operation.type == "If"
        and operation.get_attr("else_branch").name in in_python
    ]
    return look


@pytest.mark.slow
def test_under_xla_the_weights_move_before_the_host_has_looked_at_the_step(
    small_detector,
):
    model = small_detector()
    model.compile(SGD(0.001, momentum=0.9), jit_compile=True)
    graph = tf.function(model.train_step).get_concrete_function(SPEC).graph
    look = look_in(graph)
    gradients, update = [
        operation
        for operation in graph.get_operations()
        if operation.type == "StatefulPartitionedCall"
        and operation.get_attr("_XlaMustCompile")
    ]
    assert gradients in ancestors(update) and gradients in ancestors(look)
    assert look not in ancestors(update)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_several_devices_move_the_weights_before_the_host_has_looked_at_the_step(
    devices, small_detector, monkeypatch
):
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        model = small_detector()
        model.compile(SGD(0.001, momentum=0.9))
    monkeypatch.setattr(sound_steps, "num_replicas", lambda: devices)

    def step(batch):
        return strategy.run(model.train_step, [batch])

    graph = tf.function(step).get_concrete_function(SPEC).graph
    look, operations = look_in(graph), graph.get_operations()
    updates = [o for o in operations if o.type == "ResourceApplyKerasMomentum"]
    assert len(updates) == len(model.trainable_variables)
    assert {look in ancestors(update) for update in updates} == {devices == 1}


def test_what_has_no_kernel_and_what_has_is_known():
    def node(op, **types):
        attributes = {
            name: tf.compat.v1.AttrValue(type=value.as_datatype_enum)
            for name, value in types.items()
        }
        return tf.compat.v1.NodeDef(op=op, attr=attributes)

    assert lacks_kernel(node("CombinedNonMaxSuppression"))
    assert not lacks_kernel(node("NonMaxSuppressionV4", T=tf.float32))
    assert lacks_kernel(node("MatMul", T=tf.string))
    assert not lacks_kernel(node("MatMul", T=tf.float32))
