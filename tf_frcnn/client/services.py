"""A model on a server, through either of TensorFlow Serving's interfaces."""

from collections.abc import Sequence
from typing import Any, Protocol

from tf_frcnn.client.errors import require_at_least


class Service(Protocol):
    """A sender of images to a model on a server.

    Attributes:
        address: of the model, for messages.
    """

    address: str

    def detect(self, files: Sequence[bytes]) -> list[Any]:
        """Sends encoded images; see `rest.RestService.detect`."""

    def close(self) -> None:
        """Closes the connections."""


def connect(
    model: str,
    version: int | None = None,
    *,
    url: str | None = None,
    grpc: str | None = None,
    timeout: float = 60.0,
    retries: int = 3,
    concurrency: int = 1,
) -> Service:
    """Prepares connections to a model on a server; the first request opens them.

    Args:
        model: its name on the server.
        version: of the model; None for the server's latest.
        url: of the REST interface, without /v1, or
        grpc: HOST:PORT of the gRPC interface; exactly one of the two.
        timeout: seconds that one request may take, its retries included.
        retries: how often a request is repeated while the server is unavailable.
        concurrency: requests at once.

    Raises:
        ValueError: a setting is out of range.
        ImportError: the package for the interface is not installed.
    """
    require_at_least(0, retries=retries, version=version or 0)
    require_at_least(1, concurrency=concurrency)
    require_at_least(0.001, timeout=timeout)
    settings: dict[str, Any] = {"timeout": timeout, "retries": retries}
    if (url is None) == (grpc is None):
        raise ValueError("Give exactly one of --url and --grpc.")
    try:
        if url is not None:
            from tf_frcnn.client.rest import RestService

            return RestService(url, model, version, concurrency=concurrency, **settings)
        from tf_frcnn.client.rpc import RpcService

        # Without a url there is a grpc.
        return RpcService(grpc, model, version, **settings)  # type: ignore[arg-type]
    except ImportError as error:
        raise ImportError(
            f"{url or grpc}: asking a server needs more packages ({error}); install "
            'them with pip install "tf-frcnn[client]".'
        ) from error
