"""TensorFlow Serving's REST interface."""

import json
import threading
from base64 import b64encode
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ReadTimeoutError
from urllib3.util import Retry

from tf_frcnn.client.errors import MAX_ANSWER, ServerError, server_error

_CODES = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
# A proxy answers Bad Gateway while the server behind it restarts.
_TRIED_AGAIN = (502, 503)


class RestService:
    """A model on a server.

    Attributes:
        address: where requests go.

    Source: serving:tensorflow_serving/g3doc/api_rest.md, predict API in row format;
        statuses as in model_servers/http_server.cc.
    """

    def __init__(
        self,
        url: str,
        model: str,
        version: int | None,
        *,
        timeout: float,
        retries: int,
        concurrency: int,
    ):
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"--url {url}: it must begin with http:// or https://.")
        place = f"{url.rstrip('/')}/v1/models/{quote(model, safe='')}"
        place += "" if version is None else f"/versions/{version}"
        self.address = f"{place}:predict"
        self._timeout = timeout
        self._session = requests.Session()
        adapter = HTTPAdapter(pool_maxsize=concurrency, max_retries=_retry(retries))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)

    def detect(self, files: Sequence[bytes]) -> list[Any]:
        """Sends encoded images; returns the model's outputs for each of them.

        Raises:
            RefusedImageError: the server refuses one of them.
            ServerError: the request fails for another reason.
        """
        rows = [{"image_bytes": {"b64": b64encode(file).decode()}} for file in files]
        body = {"signature_name": "serving_default", "instances": rows}
        try:
            status, content = _within(self._timeout, lambda: self._post(body))
        except TimeoutError as error:
            reason = f"no complete answer within {self._timeout:g} seconds"
            raise server_error(self.address, "DEADLINE_EXCEEDED", reason) from error
        except requests.RequestException as error:
            raise server_error(self.address, "UNAVAILABLE", _cause(error)) from error
        if status != 200:
            code = _CODES.get(status, f"HTTP {status}")
            raise server_error(self.address, code, _message(content))
        return self._predictions(content, len(files))

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def _post(self, body):
        # A socket's own timeout applies to each of its reads. Here it comes too late to
        # be seen, and only ends what `_within` left running.
        response = self._session.post(
            self.address,
            json=body,
            stream=True,
            timeout=self._timeout + 1,
            allow_redirects=False,
        )
        content = bytearray()
        for piece in response.iter_content(2**16):
            content += piece
            if len(content) > MAX_ANSWER:
                response.close()
                raise ServerError(
                    f"{self.address}: the answer has more than {MAX_ANSWER / 1e6:.0f} "
                    "MB; ask for fewer images at once with --batch-size."
                )
        return response.status_code, bytes(content)

    def _predictions(self, content, count):
        try:
            # Python's parser takes NaN and Infinity, which the server may write.
            answer = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ServerError(f"{self.address}: the answer is not JSON.") from error
        rows = answer.get("predictions") if isinstance(answer, dict) else None
        if not isinstance(rows, list) or len(rows) != count:
            raise ServerError(
                f"{self.address}: the answer has no list `predictions` with as many "
                f"items as there are images, {count}."
            )
        return rows


def _within(seconds: float, function: Callable[[], Any]) -> Any:
    """Returns a function's result; raises TimeoutError if that takes longer."""
    result: Future[Any] = Future()

    def work():
        try:
            result.set_result(function())
        except Exception as error:
            result.set_exception(error)

    # A daemon: Python would wait for an executor's thread before it ends.
    threading.Thread(target=work, name="tf-frcnn request", daemon=True).start()
    return result.result(seconds)


class _UnlessLate(Retry):
    """Retries as urllib3 does, but does not ask a slow server to work twice."""

    def increment(self, *args, **settings):
        error: Any = settings.get("error")
        causes = (error, *getattr(error, "args", ()))  # A TimeoutError: of sending.
        if any(isinstance(cause, (ReadTimeoutError, TimeoutError)) for cause in causes):
            raise error
        return super().increment(*args, **settings)


def _retry(retries):
    return _UnlessLate(
        total=retries,
        allowed_methods=["POST"],  # A prediction changes nothing on the server.
        status_forcelist=_TRIED_AGAIN,
        raise_on_status=False,
        respect_retry_after_header=False,  # It may ask for hours.
        backoff_factor=0.5,
        backoff_max=8.0,
        backoff_jitter=0.5,
    )


def _cause(error):
    """Returns why a request failed, without the layers around it."""
    first = error.args[0] if error.args else error
    return str(getattr(first, "reason", first))


def _message(content):
    """Returns the message of an answer that is an error.

    A proxy may answer in another form; old servers escape in a way that is not JSON.
    """
    try:
        return str(json.loads(content)["error"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return content[:10_000].decode(errors="replace")
