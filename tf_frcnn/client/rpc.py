"""TensorFlow Serving's gRPC interface."""

import json
from collections.abc import Sequence
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from tf_frcnn.client.errors import MAX_ANSWER, ServerError, server_error

# gRPC makes at most 5 attempts, whatever it is told.
_MOST_RETRIES = 4


class RpcService:
    """A model on a server; the arguments are those of `rest.RestService`.

    Attributes:
        address: of the server and the model.

    Source: serving:tensorflow_serving/apis/prediction_service.proto; retries as in
        grpc:proposal/A6-client-retries.md.
    """

    def __init__(
        self,
        target: str,
        model: str,
        version: int | None,
        *,
        timeout: float,
        retries: int,
    ):
        if "://" in target:
            raise ValueError(f"--grpc {target}: give HOST:PORT, without a scheme.")
        if retries > _MOST_RETRIES:
            raise ValueError(
                f"--retries {retries}: gRPC retries at most {_MOST_RETRIES} times."
            )
        self.address = f"{target}, model {model}"
        self.address += "" if version is None else f", version {version}"
        self._spec = PredictRequest().model_spec
        self._spec.name, self._spec.signature_name = model, "serving_default"
        if version is not None:
            self._spec.version.value = version
        self._timeout = timeout
        self._channel = grpc.insecure_channel(target, _options(retries))
        self._predict = PredictionServiceStub(self._channel).Predict

    def detect(self, files: Sequence[bytes]) -> list[Any]:
        """Sends encoded images; see `rest.RestService.detect`."""
        request = PredictRequest(model_spec=self._spec)
        images = tf.make_tensor_proto(list(files), tf.string)
        request.inputs["image_bytes"].CopyFrom(images)
        try:
            response = self._predict(request, timeout=self._timeout)
        except grpc.RpcError as error:
            code, details = error.code().name, error.details() or ""
            raise server_error(self.address, code, details) from error
        outputs = {name: tf.make_ndarray(t) for name, t in response.outputs.items()}
        for name, array in outputs.items():
            if array.shape[:1] != (len(files),):
                raise ServerError(
                    f"{self.address}: {name} has the shape {array.shape}, which does "
                    f"not begin with the number of images, {len(files)}."
                )
        return [
            {name: array[row] for name, array in outputs.items()}
            for row in range(len(files))
        ]

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()


def _options(retries):
    method: dict[str, Any] = {
        "name": [{"service": "tensorflow.serving.PredictionService"}]
    }
    if retries:
        method["retryPolicy"] = {
            "maxAttempts": 1 + retries,
            "initialBackoff": "0.5s",
            "backoffMultiplier": 2,
            "maxBackoff": "8s",
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
    return [
        ("grpc.service_config", json.dumps({"methodConfig": [method]})),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", MAX_ANSWER),
        # A message that does not fit in here, by default 256 KiB, is not retried.
        ("grpc.per_rpc_retry_buffer_size", 2**31 - 1),
    ]
