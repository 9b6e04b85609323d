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
) -> FastAPI:
    """Makes the application: the page, its settings, and detection.

    POST /detect takes an encoded image as its body, without a form around it, and
    answers with the result of `detect`, or with {"error": "..."}. One image is
    processed at a time, outside the event loop.

    Args:
        detect: see `detection.image_detector`.
        settings: the answer to GET /settings: `run`, `classes` with `name` and `color`,
            `max_megabytes`, `max_megapixels`.
        max_bytes: of a body; the rest of a longer one is not kept.
        hosts: the names that requests may use for this server, without port, so that no
            foreign name can be pointed at it; None allows all.
    """
    # The library's own pages about the routes would load scripts from elsewhere.
    app = FastAPI(openapi_url=None)
    app.add_exception_handler(HTTPException, _answer_error)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    app.middleware("http")(_guard(hosts))
    for path, (name, kind) in _FILES.items():
        app.get(path)(_sender(name, kind))
    worker = ThreadPoolExecutor(max_workers=1)

    @app.get("/settings")
    async def tell_settings():
        return settings

    @app.get("/health")
    async def tell_health():
        return {"status": "ok"}

    @app.post("/detect")
    async def detect_objects(request: Request):
        _check_sender(request)
        data = await _read_body(request, max_bytes)
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(worker, detect, data)
        except ImageError as error:
            raise HTTPException(422, str(error)) from error

    return app


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
