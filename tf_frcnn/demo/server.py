"""The server of the page, on this machine unless told otherwise."""

import contextlib
import importlib.util
import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from typing import Any

from tf_frcnn.drawing.boxes import class_color

_SETTINGS: dict[str, Any] = {
    "log_level": "warning",
    "ws": "none",
    "lifespan": "off",
    "server_header": False,
    # Further ones are refused, long before files can no longer be opened.
    "limit_concurrency": 500,
    "timeout_keep_alive": 5,
    # Seconds that requests have left once the server is to end.
    "timeout_graceful_shutdown": 5,
}


def require_packages() -> None:
    """Raises ImportError where a package that the page needs is not installed."""
    for name in ("fastapi", "uvicorn"):
        if importlib.util.find_spec(name) is None:
            raise ImportError(
                f"The demo needs the package {name}, which is not installed; install "
                'it with pip install "tf-frcnn[demo]".'
            )


def require_host_name(public_host: str) -> None:
    """Raises ValueError unless this is a server's name or IPv4 address."""
    if not re.fullmatch(r"[\w.-]+", public_host, re.ASCII):
        raise ValueError(
            f"demo: public_host = {public_host!r} must be a name alone, such as "
            "demo.example.org, without scheme, port or path."
        )


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket that listens.

    Args:
        host: a name or address of this machine.
        port: in 0..65535; 0 stands for any free one.

    Raises:
        ValueError: the port is out of range.
        OSError: the port is taken, or the address is not one of this machine's.
    """
    if not 0 <= port <= 65535:
        raise ValueError(f"demo: port = {port} must lie in 0..65535.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise OSError(
            f"{host}, port {port}: cannot listen there ({error.strerror}); choose "
            "another with --port or --host."
        ) from error


def serve(
    detect: Callable[[bytes], dict],
    listener: socket.socket,
    *,
    name: str,
    class_names: Sequence[str],
    max_megabytes: float,
    max_megapixels: float,
    min_score: float = 0.5,
    public_host: str | None = None,
) -> None:
    """Serves the page until it is interrupted.

    Args:
        detect: see `detection.image_detector`.
        listener: see `listen`. If it is bound to this machine alone, or has a public
            name, requests that use another name are refused.
        name: of the run, as the page's heading.
        class_names: K names, by label.
        max_megabytes: larger files are refused.
        max_megapixels: the limit of `detect`.
        min_score: at which the slider starts.
        public_host: another name that requests may use for the server.
    """
    import uvicorn

    from tf_frcnn.demo.app import make_app
    from tf_frcnn.demo.patience import ImpatientProtocol

    settings = {
        "run": name,
        "classes": _classes(class_names),
        "max_megabytes": max_megabytes,
        "max_megapixels": max_megapixels,
        "min_score": min_score,
    }
    host, port = listener.getsockname()[:2]
    address = f"[{host}]" if ":" in host else host
    hosts = [name for name in ("localhost", address, public_host) if name is not None]
    is_local = ipaddress.ip_address(host).is_loopback
    app = make_app(
        detect,
        settings,
        max_bytes=int(max_megabytes * 1e6),
        hosts=hosts if is_local or public_host else None,
    )
    if not is_local:
        print(_warning(host, public_host))
    print(f"Open http://{address}:{port} (Ctrl-C ends it).", flush=True)
    config = uvicorn.Config(app, http=ImpatientProtocol, **_SETTINGS)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


def _classes(class_names):
    colors = (class_color(label) for label in range(len(class_names)))
    return [
        {"name": name, "color": "#{:02x}{:02x}{:02x}".format(*color)}
        for name, color in zip(class_names, colors, strict=True)
    ]


def _warning(host, public_host):
    text = (
        f"Warning: {host} can be reached from other machines. There is no password "
        "and no encryption, and whoever reaches it can send images."
    )
    if public_host is None:
        text += (
            " So can any web page that one of its visitors opens, by DNS rebinding, "
            "unless --public-host names the server."
        )
    return text
