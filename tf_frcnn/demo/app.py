"""The routes of the page."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from tf_frcnn.demo.detection import ImageError

# Bodies in memory at once; others wait unread.
_MOST_BODIES = 32
# Path -> file and type; the server reads no others.
_FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/drawing.js": ("drawing.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def make_app(
    detect: Callable[[bytes], dict],
    settings: Mapping,
    *,
    max_bytes: int,
    hosts: Sequence[str] | None = None,
    seconds: float = 30.0,
) -> FastAPI:
    """Makes the application: the page, its settings, and detection.

    POST /detect takes an encoded image as its body, without a form around it, and
    answers with the result of `detect`, or with {"error": "..."}. One image is
    processed at a time, outside the event loop.

    Args:
        detect: see `detection.image_detector`.
        settings: the answer to GET /settings: `run`, `classes` with `name` and `color`,
            `max_megabytes`, `max_megapixels`, `min_score`.
        max_bytes: of a body; the rest of a longer one is not kept.
        hosts: the names that requests may use for this server, without port, so that no
            foreign name can be pointed at it; None allows all.
        seconds: that the sending of an image may take, and its processing. Requests
            that wait for their turn wait without limit.
    """
    # The library's own pages about the routes would load scripts from elsewhere.
    app = FastAPI(openapi_url=None)
    app.add_exception_handler(HTTPException, _answer_error)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    app.middleware("http")(_guard(hosts))
    for path, (name, kind) in _FILES.items():
        app.get(path)(_sender(name, kind))
    bodies, answer_in_turn = asyncio.Semaphore(_MOST_BODIES), _taker(detect, seconds)

    @app.get("/settings")
    async def tell_settings():
        return settings

    @app.get("/health")
    async def tell_health():
        return {"status": "ok"}

    @app.post("/detect")
    async def detect_objects(request: Request):
        _check_sender(request)
        async with bodies:
            try:
                reading = _read_body(request, max_bytes)
                data = await asyncio.wait_for(reading, seconds)
            except TimeoutError as error:
                reason = f"the file did not arrive within {seconds:g} seconds."
                raise HTTPException(408, reason) from error
            return await answer_in_turn(data)

    return app


def _taker(detect, seconds):
    """Returns a function that processes images one at a time, in their order.

    What takes too long goes on in a thread of its own, which others do not wait for.
    """
    turn, workers = asyncio.Lock(), [ThreadPoolExecutor(1)]

    async def take(data):
        loop = asyncio.get_running_loop()
        async with turn:
            try:
                found = loop.run_in_executor(workers[0], detect, data)
                return await asyncio.wait_for(found, seconds)
            except ImageError as error:
                raise HTTPException(422, str(error)) from error
            except TimeoutError as error:
                workers[0].shutdown(wait=False)
                workers[0] = ThreadPoolExecutor(1)
                reason = f"the image took more than {seconds:g} seconds; try a smaller."
                raise HTTPException(503, reason) from error

    return take


def _sender(name, kind):
    content = (resources.files("tf_frcnn.demo") / "static" / name).read_bytes()

    async def send():
        return Response(content, media_type=kind)

    return send


def _guard(hosts):
    names = "|".join(map(re.escape, hosts)) if hosts else ".*"
    allowed = re.compile(rf"(?:{names})(?::\d+)?", re.IGNORECASE)

    async def answer(request, call_next):
        host = request.headers.get("host", "")
        if allowed.fullmatch(host):
            response = await call_next(request)
        else:
            reason = f"this server is not called {host!r}; name it with --public-host."
            response = JSONResponse({"error": reason}, 400)
        response.headers.update(_HEADERS)
        return response

    return answer


async def _answer_error(request, error):
    answer = {"error": error.detail}
    return JSONResponse(answer, error.status_code, headers=error.headers)


async def _answer_nobody(request, error):
    return Response(status_code=400)


def _check_sender(request):
    """Refuses requests that pages of other sites can make a browser send."""
    origin, host = request.headers.get("origin"), request.headers.get("host")
    if origin is not None and origin.partition("://")[2] != host:
        raise HTTPException(403, f"requests from pages of {origin} are refused.")
    # Browsers ask before they send these types to another site, and nobody agrees.
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/octet-stream" and not kind.startswith("image/"):
        raise HTTPException(
            415,
            f"the body is of the type {kind or 'none'!r}; send the image's file "
            "itself as application/octet-stream.",
        )


async def _read_body(request, max_bytes):
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > max_bytes:
            raise HTTPException(
                413,
                f"the file has more than the {max_bytes / 1e6:g} megabytes allowed.",
            )
    if not data:
        raise HTTPException(400, "the file is empty.")
    return bytes(data)
