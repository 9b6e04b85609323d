import asyncio
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tf_frcnn.demo.app import make_app

BINARY = {"Content-Type": "application/octet-stream"}
LIMIT = 300_000


@pytest.fixture(scope="module")
def client(serving, detect):
    """Calls a server whose files may have 0.3 megabytes."""
    with (
        serving(detect, ["cat"], max_megabytes=LIMIT / 1e6) as address,
        httpx.Client(base_url=address, timeout=60) as client,
    ):
        yield client


def error_of(response, status):
    assert response.status_code == status
    assert list(response.json()) == ["error"]
    return response.json()["error"]


@pytest.mark.slow
def test_an_image_is_answered_with_its_detections(client, detect, shape_file):
    data = shape_file.read_bytes()
    response = client.post("/detect", content=data, headers=BINARY)
    assert response.status_code == 200
    answer, expected = response.json(), detect(data)
    assert answer.pop("milliseconds") > 0 and expected.pop("milliseconds") > 0
    assert answer == expected and len(answer["detections"]) == 9


@pytest.mark.slow
def test_a_body_may_be_as_long_as_the_limit_and_no_longer(client, shape_file):
    data = shape_file.read_bytes().ljust(LIMIT, b"\0")
    assert client.post("/detect", content=data, headers=BINARY).status_code == 200
    longer = data + b"\0"
    chunks = (longer[at : at + 999] for at in range(0, len(longer), 999))
    for body in (longer, chunks):
        response = client.post("/detect", content=body, headers=BINARY)
        message = error_of(response, 413)
        assert message == "the file has more than the 0.3 megabytes allowed."


@pytest.mark.parametrize("claimed", [None, b"10"])
def test_an_endless_body_is_read_up_to_the_limit_only(claimed):
    """Whatever length it claims."""
    app, received, sent = make_app(len, {}, max_bytes=LIMIT), [], []

    async def receive():
        received.append(1000)
        assert sum(received) < 2 * LIMIT, "The body is read on."
        return {"type": "http.request", "body": bytes(1000), "more_body": True}

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"image/png")]
    headers += [(b"content-length", claimed)] if claimed else []
    scope = {"type": "http", "method": "POST", "path": "/detect", "headers": headers}
    scope |= {"query_string": b"", "http_version": "1.1", "scheme": "http"}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 413
    assert LIMIT < sum(received) <= LIMIT + 3000


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (b"", 400, "the file is empty."),
        (b"hello", 422, "it is not a JPEG, PNG, BMP or GIF."),
        (b"\xff\xd8\xff\xe0", 422, "it cannot be decoded: it is damaged"),
    ],
)
def test_a_bad_file_is_refused_in_words(client, data, status, message):
    response = client.post("/detect", content=data, headers=BINARY)
    assert error_of(response, status).startswith(message)


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
    ],
)
def test_what_a_form_of_another_page_can_send_is_refused(client, kind):
    response = client.post("/detect", content=b"x", headers={"Content-Type": kind})
    assert repr(kind.split(";")[0]) in error_of(response, 415)


def test_a_body_needs_a_type(client):
    assert "'none'" in error_of(client.post("/detect", content=b"x"), 415)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://localhost:1",
        "OWN.evil.example",
        "null",
        "http://[",
    ],
)
def test_a_request_of_another_page_is_refused(client, origin):
    origin = origin.replace("OWN", own_origin(client))
    headers = BINARY | {"Origin": origin}
    response = client.post("/detect", content=b"x", headers=headers)
    assert origin in error_of(response, 403)
    assert not any(name.startswith("access-control") for name in response.headers)


def test_a_request_of_the_own_page_is_not_refused(client, shape_file):
    headers = BINARY | {"Origin": own_origin(client)}
    data = shape_file.read_bytes()
    assert client.post("/detect", content=data, headers=headers).status_code == 200


def own_origin(client):
    return str(client.base_url).rstrip("/")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8000", 200),
        ("127.0.0.1", 200),
        ("evil.example", 400),
        ("localhost.evil.example:8000", 400),
        ("", 400),
    ],
)
def test_only_the_own_names_are_answered(client, host, status):
    for path in ("/", "/settings"):
        response = client.get(path, headers={"Host": host})
        assert response.status_code == status
        if status == 400:
            assert repr(host) in error_of(response, 400)
            assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_proxy_may_hand_on_the_public_name(serving):
    public = "Demo.example.org"
    with serving(len, ["cat"], public_host=public) as address:

        def status(host, origin):
            headers = BINARY | {"Host": host, "Origin": origin}
            url = f"{address}/detect"
            return httpx.post(url, content=b"x", headers=headers).status_code

        name = public.lower()
        assert status(name, f"https://{name}") == 200
        assert status(f"{name}:8443", f"https://{name}:8443") == 200
        assert status(name, "https://evil.example") == 403
        for other in ("evil.example", f"x.{name}", "demo-example.org"):
            assert status(other, f"https://{other}") == 400
        own = address.removeprefix("http://")
        assert status(own, address) == 200


PATHS = ["/", "/page.css", "/page.js", "/drawing.js", "/icon.svg"]


@pytest.mark.parametrize("path", [*PATHS, "/settings", "/health", "/nothing"])
def test_every_answer_forbids_what_the_page_does_not_need(client, path):
    headers = client.get(path).headers
    rules = dict(
        rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; ")
    )
    assert rules["default-src"] == rules["frame-ancestors"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == "'self'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_the_page_names_only_files_of_this_server(client):
    text = client.get("/").text
    named = set(re.findall(r'(?:src|href)="([^"]+)"', text))
    named |= set(re.findall(r'from "([^"]+)"', client.get("/page.js").text))
    assert named | {"/"} == set(PATHS)
    kinds = [client.get(path).headers["Content-Type"].split(";")[0] for path in PATHS]
    script = "text/javascript"
    assert kinds == ["text/html", "text/css", script, script, "image/svg+xml"]
    assert "<style" not in text and "style=" not in text
    assert re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL) == [""]


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/..%2f..%2fpyproject.toml",
        "/static/page.js",
        "/static/../../app.py",
        "/app.py",
        "/%2e%2e/app.py",
        "//etc/passwd",
        "/page.js/../../app.py",
        "/docs",
        "/openapi.json",
    ],
)
def test_there_is_no_other_file(client, path):
    url = client.base_url.copy_with(raw_path=path.encode())
    assert error_of(client.send(httpx.Request("GET", url)), 404) == "Not Found"


def test_a_wrong_method_is_refused(client):
    assert error_of(client.get("/detect"), 405) == "Method Not Allowed"
    assert client.options("/detect").status_code == 405


def test_images_are_taken_one_by_one_and_the_server_answers_meanwhile(serving):
    busy, most = [], []
    begins, goes_on = threading.Event(), threading.Event()

    def slow(data):
        busy.append(data)
        most.append(len(busy))
        begins.set()
        goes_on.wait(30)
        busy.pop()
        return data.decode()

    def send(text):
        content = text.encode()
        url = f"{address}/detect"
        return httpx.post(url, content=content, headers=BINARY, timeout=60).json()

    with serving(slow, ["cat"]) as address, ThreadPoolExecutor() as threads:
        answers = [threads.submit(send, text) for text in "abc"]
        assert begins.wait(30)
        for _ in range(5):
            assert httpx.get(f"{address}/health", timeout=60).json() == {"status": "ok"}
        assert not any(answer.done() for answer in answers)
        goes_on.set()
        assert [answer.result() for answer in answers] == list("abc")
    assert most == [1, 1, 1]


@pytest.mark.slow
def test_a_hundred_requests_at_once_are_all_answered(serving):
    def send(number):
        content = str(number).encode()
        url = f"{address}/detect"
        return httpx.post(url, content=content, headers=BINARY, timeout=120)

    with (
        serving(lambda data: data.decode(), ["cat"]) as address,
        ThreadPoolExecutor(100) as threads,
    ):
        answers = list(threads.map(send, range(100)))
    assert [answer.status_code for answer in answers] == [200] * 100
    assert [answer.json() for answer in answers] == [str(n) for n in range(100)]


def call(app, receive):
    """Returns the (status, error) that an application answers to POST /detect."""
    sent = []

    async def send(message):
        sent.append(message)

    headers = [(b"content-type", b"image/png"), (b"host", b"a")]
    scope = {"type": "http", "method": "POST", "path": "/detect", "headers": headers}
    scope |= {"query_string": b"", "http_version": "1.1", "asgi": {"version": "3.0"}}
    asyncio.run(app(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], json.loads(body)


def test_a_body_that_does_not_arrive_is_given_up():
    async def receive():
        await asyncio.sleep(60)

    app = make_app(len, {}, max_bytes=LIMIT, seconds=0.05)
    expected = {"error": "the file did not arrive within 0.05 seconds."}
    assert call(app, receive) == (408, expected)


def test_an_image_that_takes_too_long_holds_up_no_other():
    goes_on = threading.Event()

    def detect(data):
        if data == b"slow":
            goes_on.wait(60)
        return data.decode()

    def body(data):
        async def receive():
            return {"type": "http.request", "body": data, "more_body": False}

        return receive

    app = make_app(detect, {}, max_bytes=LIMIT, seconds=0.5)
    status, answer = call(app, body(b"slow"))
    assert status == 503 and "the image took more than 0.5 seconds" in answer["error"]
    assert call(app, body(b"quick")) == (200, "quick")
    goes_on.set()
