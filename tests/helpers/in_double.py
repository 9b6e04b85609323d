"""Runs a traced graph of 32-bit floats in 64 bits, to compare it beyond rounding.

Where small differences grow, as in training, only so can two programs be compared.
"""

from fractions import Fraction

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.python.eager import context

FLOAT, DOUBLE = types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE
_WIDER = {FLOAT: DOUBLE}
_SUFFIX = "_in_double"  # of functions; those of the graph are known by their names
# Operations that know 32-bit floats alone, and the inputs that are cast for them; what
# they return are integers.
SINGLE = {"NonMaxSuppressionV4": (0, 1, 3, 4), "Bitcast": (0,)}
MOST_CONSTANTS, DENOMINATORS = 64, (1, 10, 100, 1_000, 10_000, 100_000)


class InDouble:
    """A concrete function in 64-bit floats, with copies of its variables.

    A constant becomes a simple fraction that rounds to it, if there is one: what was
    1/9 is so again. What was to be compiled is not.
    """

    def __init__(self, function):
        self._structure = function.structured_outputs
        self._copies, captures = {}, {}
        variables = {id(v.handle): v for v in function.graph.variables}
        for outside, inside in function.graph.captures:
            if id(outside) in variables:
                variable = variables[id(outside)]
                copy = tf.Variable(_wide(variable.value()))
                self._copies[variable.ref()] = copy
                captures[inside.name] = copy.handle
            else:
                captures[inside.name] = _wide(outside)
        taken = [t.name for t in function.inputs if t.name not in captures]
        outputs = [tensor.name for tensor in function.outputs]
        graph_def = _widen(function.graph.as_graph_def())
        # What changes a variable or fails is run though no output depends on it.
        acting = [op.name for op in function.graph.get_operations() if _acts(op)]

        def run(*tensors):
            graph = tf.compat.v1.get_default_graph()
            fed = {name: graph.capture(tensor) for name, tensor in captures.items()}
            fed |= dict(zip(taken, tensors, strict=True))
            results = tf.graph_util.import_graph_def(
                graph_def, fed, return_elements=outputs + acting, name=""
            )
            with tf.control_dependencies(results[len(outputs) :]):
                return [tf.identity(result) for result in results[: len(outputs)]]

        self._run = tf.function(run, autograph=False)

    def copy_of(self, variable):
        """Returns the copy of one of the function's variables."""
        return self._copies[variable.ref()]

    def __call__(self, *arguments):
        """Returns what the function returns."""
        results = self._run(*map(_wide, tf.nest.flatten(arguments)))
        return tf.nest.pack_sequence_as(self._structure, results)


def _acts(operation):
    """Returns whether an operation changes a variable or may fail."""
    return operation.op_def.is_stateful and operation.type != "Placeholder"


def _wide(value):
    value = tf.convert_to_tensor(value)
    return tf.cast(value, tf.float64) if value.dtype == tf.float32 else value


def _widen(graph_def):
    """Returns a graph with its types changed, also those of its functions."""
    _widen_nodes(graph_def.node, "")
    for function in graph_def.library.function:
        signature = function.signature
        signature.name += _SUFFIX
        for argument in (*signature.input_arg, *signature.output_arg):
            argument.type = _WIDER.get(argument.type, argument.type)
        _widen_nodes(function.node_def, ":y:0")
        function.attr.pop("_XlaMustCompile", None)
        context.context().add_function_def(function)
    return graph_def


def _widen_nodes(nodes, output):
    """Changes the types of nodes; `output` follows a cast's name in an input's."""
    for node in list(nodes):
        if node.op not in SINGLE:
            node.attr.pop("_XlaMustCompile", None)
            for value in node.attr.values():
                _widen_value(value)
            continue
        for place in SINGLE[node.op]:
            name = f"{node.name}/input_{place}"
            cast = nodes.add(name=name, op="Cast", input=[node.input[place]])
            cast.attr["SrcT"].type, cast.attr["DstT"].type = DOUBLE, FLOAT
            node.input[place] = name + output


def _widen_value(value):
    kind = value.WhichOneof("value")
    if kind == "type":
        value.type = _WIDER.get(value.type, value.type)
    elif kind == "func":
        value.func.name += _SUFFIX
    elif kind == "list":
        value.list.type[:] = [_WIDER.get(t, t) for t in value.list.type]
    elif kind == "tensor" and value.tensor.dtype == FLOAT:
        array = tf.make_ndarray(value.tensor)
        if array.size > MOST_CONSTANTS:
            meant = array.astype(np.float64)
        else:
            meant = np.reshape([_meant(number) for number in array.flat], array.shape)
        value.tensor.CopyFrom(tf.make_tensor_proto(meant, tf.float64))


def _meant(number):
    """Returns the fraction that a 32-bit float stands for, or the number itself."""
    if np.isfinite(number):
        for denominator in DENOMINATORS:
            fraction = Fraction(float(number)).limit_denominator(denominator)
            if np.float32(float(fraction)) == number:
                return float(fraction)
    return float(number)
