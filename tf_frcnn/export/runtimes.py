"""ONNX Runtime and LiteRT: writing a graph for them, and running it."""

import functools
import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

# The newest that tf2onnx 1.17 writes; ONNX Runtime has had it since 1.14.
_ONNX_OPSET = 18

Inputs = dict[str, np.ndarray]
Run = Callable[[Inputs], dict[str, np.ndarray]]
Write = Callable[[Callable, Sequence[tf.TensorSpec], Path, Sequence[Inputs]], None]


class Runtime(NamedTuple):
    """A target other than TensorFlow.

    Attributes:
        file: name of a version's file.
        packages: Python packages that writing and running need.
        writers: type of the weights -> what writes the file of a function with inputs
            of fixed shapes, given inputs to calibrate on; the first is float32.
        load: returns a file as a function of arrays by name; `threads` is the number of
            threads, None the runtime's choice.
    """

    file: str
    packages: tuple[str, ...]
    writers: Mapping[str, Write]
    load: Callable[..., Run]


def _write_onnx(function, inputs, path, calibration):
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    graph = tf.function(function, input_signature=inputs, autograph=False)
    tf2onnx.convert.from_function(
        graph, input_signature=inputs, opset=_ONNX_OPSET, output_path=str(path)
    )


def _write_onnx_int8(function, inputs, path, calibration):
    """Writes int8 weights; the inputs of their layers become uint8 by fixed scales."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.onnx"
        _write_onnx(function, inputs, whole, calibration)
        # It recommends a preparation of graphs that this one does not need.
        logging.disable(logging.WARNING)
        try:
            quantize_static(
                whole,
                path,
                _Calibration(calibration),
                quant_format=QuantFormat.QDQ,
                # The rest computes boxes, which need more than 256 values.
                op_types_to_quantize=["Conv", "MatMul", "Gemm"],
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        finally:
            logging.disable(logging.NOTSET)


class _Calibration:
    """Inputs as ONNX Runtime asks for them, one after the other and then None."""

    def __init__(self, inputs):
        self._inputs = iter(inputs)

    def get_next(self):
        return next(self._inputs, None)


def _load_onnx(path, threads=None):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, inputs), strict=True))


def _write_tflite(function, inputs, path, calibration, weights=None):
    """Writes weights of a type, float32 for None.

    Of int8 weights the inputs become int8 as well, by scales of each image: fixed ones
    would hold for all of the graph, boxes too.
    """
    graph = tf.function(function, input_signature=inputs, autograph=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [graph.get_concrete_function()], tf.Module()
    )
    if weights:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if weights == "float16":
        converter.target_spec.supported_types = [tf.float16]
    path.write_bytes(converter.convert())


def _load_tflite(path, threads=None):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=threads)

    def run(inputs):
        return interpreter.get_signature_runner()(**inputs)

    return run


RUNTIMES = {
    "onnx": Runtime(
        "model.onnx",
        ("tf2onnx", "onnx", "onnxruntime"),
        {"float32": _write_onnx, "int8": _write_onnx_int8},
        _load_onnx,
    ),
    "tflite": Runtime(
        "model.tflite",
        ("ai_edge_litert",),
        {
            "float32": _write_tflite,
            "float16": functools.partial(_write_tflite, weights="float16"),
            "int8": functools.partial(_write_tflite, weights="int8"),
        },
        _load_tflite,
    ),
}
