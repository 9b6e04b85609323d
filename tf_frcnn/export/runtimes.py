"""ONNX Runtime and LiteRT: writing a graph for them, and running it."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

# The newest that tf2onnx 1.17 writes; ONNX Runtime has had it since 1.14.
_ONNX_OPSET = 18

Run = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


class Runtime(NamedTuple):
    """A target other than TensorFlow.

    Attributes:
        file: name of a version's file.
        packages: Python packages that writing and running need.
        write: writes the file of a function with inputs of fixed shapes.
        load: returns a file as a function of arrays by name; `threads` is the number of
            threads, None the runtime's choice.
    """

    file: str
    packages: tuple[str, ...]
    write: Callable[[Callable, Sequence[tf.TensorSpec], Path], None]
    load: Callable[..., Run]


def _write_onnx(function, inputs, path):
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    graph = tf.function(function, input_signature=inputs, autograph=False)
    tf2onnx.convert.from_function(
        graph, input_signature=inputs, opset=_ONNX_OPSET, output_path=str(path)
    )


def _load_onnx(path, threads=None):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, inputs), strict=True))


def _write_tflite(function, inputs, path):
    graph = tf.function(function, input_signature=inputs, autograph=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [graph.get_concrete_function()], tf.Module()
    )
    path.write_bytes(converter.convert())


def _load_tflite(path, threads=None):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=threads)

    def run(inputs):
        return interpreter.get_signature_runner()(**inputs)

    return run


RUNTIMES = {
    "onnx": Runtime(
        "model.onnx", ("tf2onnx", "onnx", "onnxruntime"), _write_onnx, _load_onnx
    ),
    "tflite": Runtime("model.tflite", ("ai_edge_litert",), _write_tflite, _load_tflite),
}
