"""A gRPC server with TensorFlow Serving's PredictionService that runs a SavedModel."""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

CODES = {code.value[0]: code for code in grpc.StatusCode}


class StandIn(prediction_service_pb2_grpc.PredictionServiceServicer):
    """The service; attributes as of the stand-in for REST."""

    def __init__(self, directory: Path, name: str):
        self.directory, self.name, self.target = Path(directory), name, ""
        self.requests: list[tuple[int | None, int]] = []
        self.faults: list[Callable] = []
        self.models = {
            int(path.name): tf.saved_model.load(path)
            for path in self.directory.iterdir()
            if path.name.isdecimal()
        }

    def Predict(self, request, context):  # noqa: N802
        if self.faults:
            answer = self.faults.pop(0)(context)
            if answer is not None:
                return answer
        spec = request.model_spec
        version = spec.version.value if spec.HasField("version") else None
        model = self.models.get(max(self.models) if version is None else version)
        if spec.name != self.name or model is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found for request")
        signature = model.signatures[spec.signature_name]
        inputs = {k: tf.make_ndarray(t) for k, t in request.inputs.items()}
        self.requests.append((version, len(inputs["image_bytes"])))
        try:
            outputs = signature(**{k: tf.constant(a) for k, a in inputs.items()})
        except tf.errors.OpError as error:
            context.abort(CODES[error.error_code], error.message)
        return response_of(outputs)


def response_of(outputs):
    """Returns the answer with these tensors or arrays by name."""
    response = predict_pb2.PredictResponse()
    for name, values in outputs.items():
        response.outputs[name].CopyFrom(tf.make_tensor_proto(values))
    return response


@contextlib.contextmanager
def start(directory: Path, name: str) -> Iterator[StandIn]:
    """Runs a stand-in meanwhile."""
    service = StandIn(directory, name)
    # TensorFlow Serving takes messages of any size, too.
    options = [("grpc.max_receive_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(8), options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    service.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield service
    finally:
        server.stop(None).wait()
