"""A server that speaks TensorFlow Serving's REST predict API in row format, no more.

It is written from the documentation of that API (serving:tensorflow_serving/g3doc/
api_rest.md and util/json_tensor.cc), without anything of tf_frcnn, and is stricter than
the original: whatever the documents do not name is refused.
"""

import base64
import binascii
import contextlib
import functools
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import tensorflow as tf

PREDICT = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?:predict")
# Of TensorFlow's error codes, as model_servers/http_server.cc has it.
STATUSES = {3: 400, 4: 504, 5: 404, 8: 429, 9: 400, 11: 400, 12: 501, 14: 503}


class AnswerError(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class StandIn(ThreadingHTTPServer):
    """A server on a free port.

    Attributes:
        requests: (path, number of instances) of each prediction that was begun.
        faults: what becomes of the next requests instead; functions of the handler.
    """

    daemon_threads, request_queue_size = True, 128

    def __init__(self, directory: Path, name: str):
        super().__init__(("127.0.0.1", 0), Handler)
        self.directory, self.name = Path(directory), name
        self.requests: list[tuple[str, int]] = []
        self.faults: list[Callable[[Handler], None]] = []
        self.load = functools.cache(tf.saved_model.load)
        self.lock = threading.Lock()

    def handle_error(self, request, client_address):
        # A client that hangs up is no fault, and its trace would be in others' output.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def predict(self, path: str, body: bytes) -> dict:
        signatures = self.signatures(path)
        request = parse(body)
        name = request.get("signature_name", "serving_default")
        if name not in signatures:
            message = f'Serving signature name: "{name}" not found in signature def'
            raise AnswerError(400, message)
        instances = request["instances"]
        self.requests.append((path, len(instances)))
        inputs = signatures[name].structured_input_signature[1]
        files = [decode(instance, inputs) for instance in instances]
        outputs = signatures[name](image_bytes=tf.constant(files))
        return {"predictions": rows_of({k: v.numpy() for k, v in outputs.items()})}

    def signatures(self, path):
        match = PREDICT.fullmatch(path)
        if not match:
            raise AnswerError(400, f"Malformed request: POST {path}")
        name, version = unquote(match[1]), match[2]
        numbers = [p.name for p in self.directory.iterdir() if p.name.isdecimal()]
        chosen = version or max(numbers, key=int)
        if name != self.name or chosen not in numbers:
            wanted = f"Specific({name}, {version})" if version else f"Latest({name})"
            raise AnswerError(404, f"Servable not found for request: {wanted}")
        with self.lock:
            return self.load(str(self.directory / chosen)).signatures


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        self.body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            fault = self.server.faults.pop(0) if self.server.faults else None
        if fault:
            fault(self)
            return
        try:
            self.answer(200, self.server.predict(self.path, self.body))
        except AnswerError as error:
            self.answer(error.status, {"error": str(error)})
        except tf.errors.OpError as error:
            status = STATUSES.get(error.error_code, 500)
            self.answer(status, {"error": error.message})

    def do_GET(self):
        self.answer(400, {"error": f"Malformed request: {self.command} {self.path}"})

    do_PUT = do_GET  # noqa: N815

    def answer(self, status, content):
        """Sends JSON, or bytes as they are."""
        if not isinstance(content, bytes):
            content = json.dumps(content, indent=4, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def parse(body):
    try:
        request = json.loads(body)
    except ValueError as error:
        raise AnswerError(400, f"JSON Parse error: {error}") from error
    if not isinstance(request, dict):
        raise AnswerError(400, "JSON Value: Is not object")
    unknown = request.keys() - {"signature_name", "instances"}
    if unknown:
        raise AnswerError(400, f"Unknown keys: {sorted(unknown)}")
    if not isinstance(request.get("signature_name", ""), str):
        raise AnswerError(400, "'signature_name' key must be a string value.")
    if "instances" not in request:
        raise AnswerError(400, "Missing 'inputs' or 'instances' key")
    if not isinstance(request["instances"], list) or not request["instances"]:
        raise AnswerError(400, "Expecting 'instances' to be a list of values")
    return request


def decode(instance, inputs):
    if not isinstance(instance, dict) or instance.keys() != inputs.keys():
        raise AnswerError(400, f"keys must be equal to: {','.join(inputs)}")
    value = instance["image_bytes"]
    if not isinstance(value, dict) or value.keys() != {"b64"}:
        raise AnswerError(400, "not formatted correctly for base64 data")
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise AnswerError(400, "Unable to base64 decode") from error


def rows_of(outputs):
    """Returns an object per instance; every output has them as its first axis."""
    return [
        {name: plain(array[row]) for name, array in outputs.items()}
        for row in range(len(next(iter(outputs.values()))))
    ]


def plain(value):
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value]
    # The shortest digits that stand for a float32, as the server writes.
    return float(str(value))


@contextlib.contextmanager
def start(directory: Path, name: str) -> Iterator[StandIn]:
    """Runs a stand-in meanwhile."""
    with StandIn(directory, name) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def serve(saved_model_dir: Path, model_name: str) -> Iterator[str]:
    """Serves an exported model meanwhile; gives the server's URL.

    Args:
        saved_model_dir: its versions lie in saved_model_dir/1, saved_model_dir/2, ...
        model_name: what clients call it.
    """
    with start(saved_model_dir, model_name) as server:
        yield server.url
