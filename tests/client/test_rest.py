import json
import random
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from urllib3.util import retry as urllib3_retry

from tf_frcnn.client.errors import RefusedImageError, ServerError
from tf_frcnn.client.rest import RestService

pytestmark = pytest.mark.slow


@pytest.fixture
def pauses(monkeypatch):
    """Notes how long urllib3 would have waited, and does not wait."""
    slept = []
    clock = SimpleNamespace(sleep=slept.append, time=time.time)
    monkeypatch.setattr(urllib3_retry, "time", clock)
    return slept


@pytest.fixture
def image(good_photos):
    return Path(good_photos[1]).read_bytes()


def answering(status, content):
    return lambda handler: handler.answer(status, content)


def asking_for_patience(status):
    def answer(handler):
        handler.send_response(status)
        handler.send_header("Retry-After", "3600")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def hanging_up(handler):
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def abandoned_requests():
    return [t for t in threading.enumerate() if t.name == "tf-frcnn request"]


UNAVAILABLE = answering(503, {"error": "The queue is full"})


def test_the_body_is_the_documented_one(rest, rest_service):
    ways, bodies = [], []

    def note(handler):
        ways.append((handler.command, handler.path, handler.headers["Content-Type"]))
        bodies.append(json.loads(handler.body))
        handler.answer(200, {"predictions": [{}, {}]})

    rest.faults.append(note)
    assert rest_service().detect([b"\xff\x00", b""]) == [{}, {}]
    assert ways == [("POST", "/v1/models/shapes:predict", "application/json")]
    assert bodies == [
        {
            "signature_name": "serving_default",
            "instances": [
                {"image_bytes": {"b64": "/wA="}},
                {"image_bytes": {"b64": ""}},
            ],
        }
    ]


def test_the_outputs_of_each_image_come_in_its_place(rest, rest_service, good_photos):
    files = [Path(path).read_bytes() for path in good_photos[1:3]]
    both = rest_service().detect(files)
    for row, file in zip(both, files, strict=True):
        (alone,) = rest_service().detect([file])
        names = alone.pop("detection_class_names")
        assert row.pop("detection_class_names") == names
        for name, values in alone.items():
            np.testing.assert_allclose(row[name], values, rtol=1e-4, atol=1e-5)
    assert both[0] != both[1]
    assert len(both[0]["detection_boxes"]) == 8


def test_names_and_places_are_part_of_the_address():
    settings = {"timeout": 1, "retries": 0, "concurrency": 1}
    service = RestService("https://a.b/proxy/", "c d/e", 7, **settings)
    assert service.address == "https://a.b/proxy/v1/models/c%20d%2Fe/versions/7:predict"
    service.close()
    with pytest.raises(
        ValueError, match=r"--url a\.b:8501: it must begin with http://"
    ):
        RestService("a.b:8501", "c", None, **settings)


def test_a_server_that_is_unavailable_for_a_while_is_asked_again(
    rest, rest_service, image, pauses
):
    rest.faults += [UNAVAILABLE, answering(502, b"<html>Bad Gateway</html>")]
    (row,) = rest_service().detect([image])
    assert row["num_detections"] == 8
    assert rest.faults == [] and len(rest.requests) == 1


def test_a_connection_that_breaks_is_made_again(rest, rest_service, image, pauses):
    rest.faults += [hanging_up, hanging_up]
    (row,) = rest_service().detect([image])
    assert row["num_detections"] == 8 and rest.faults == []


def test_pauses_grow_and_differ(rest, rest_service, pauses, monkeypatch):
    rest.faults += [UNAVAILABLE] * 7
    random.seed(3)
    with pytest.raises(ServerError):
        rest_service(retries=6).detect([b"x"])
    assert rest.faults == []
    lower = np.array([1, 2, 4, 8, 8])  # after a first one at once; at most 8
    beyond = np.array(pauses) - lower
    assert (beyond >= 0).all() and (beyond <= [0.5, 0.5, 0.5, 0, 0]).all()
    assert len({*beyond[:3].round(6)}) == 3


def test_a_server_cannot_make_the_client_wait_for_hours(rest, rest_service, pauses):
    rest.faults += [asking_for_patience(503)] * 3
    with pytest.raises(ServerError, match="UNAVAILABLE"):
        rest_service(retries=2).detect([b"x"])
    assert rest.faults == [] and sum(pauses) < 2
    rest.faults += [asking_for_patience(429)] * 2
    with pytest.raises(ServerError, match="HTTP 429"):
        rest_service(retries=2).detect([b"x"])
    assert len(rest.faults) == 1


@pytest.mark.parametrize("retries", [0, 2])
def test_it_gives_up_in_the_servers_words(rest, rest_service, pauses, retries):
    rest.faults += [UNAVAILABLE] * 5
    message = (
        rf"^{rest.url}/v1/models/shapes:predict: UNAVAILABLE: The queue is full; is "
        r"the server running, and is this its address\?$"
    )
    with pytest.raises(ServerError, match=message):
        rest_service(retries=retries).detect([b"x"])
    assert len(rest.faults) == 5 - 1 - retries


@pytest.mark.parametrize("status", [400, 404, 429, 500, 504])
def test_other_answers_are_not_asked_for_again(
    rest, rest_service, image, pauses, status
):
    rest.faults += [answering(status, {"error": "No"})] * 2
    with pytest.raises(ServerError, match=": No"):
        rest_service().detect([image])
    assert len(rest.faults) == 1 and pauses == []


def stalling(handler, goes_on):
    goes_on.wait(30)
    hanging_up(handler)


def stalling_amid(handler, goes_on):
    """Stops after the headers."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    stalling(handler, goes_on)


def trickling(handler, goes_on):
    """Sends a byte now and then, and never the last."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    for _ in range(3000):
        if goes_on.wait(0.01):
            break
        handler.wfile.write(b" ")
    hanging_up(handler)


def trickling_headers(handler, goes_on):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(3000):
        if goes_on.wait(0.01):
            break
        handler.wfile.write(b"x")
    hanging_up(handler)


@pytest.mark.parametrize(
    "slow", [stalling, stalling_amid, trickling, trickling_headers]
)
def test_a_slow_server_is_asked_once(rest, rest_service, image, slow):
    goes_on = threading.Event()
    rest.faults += [lambda handler: slow(handler, goes_on)] * 2
    message = (
        r"DEADLINE_EXCEEDED: no complete answer within 0.5 seconds; .* with --timeout"
    )
    with pytest.raises(ServerError, match=message):
        rest_service(timeout=0.5, retries=1).detect([image])
    assert not goes_on.is_set()
    if slow is stalling:  # Its socket's own timeout ends it, without another request.
        for thread in abandoned_requests():
            thread.join(30)
    assert len(rest.faults) == 1
    goes_on.set()
    for thread in abandoned_requests():
        thread.join(30)
    assert abandoned_requests() == [] and len(rest.faults) == 1


def test_a_server_that_takes_a_large_request_slowly_gets_it_once(rest_service):
    """Nothing reads what is sent; the client may wait for all of its timeout."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        service = RestService(url, "a", None, timeout=0.5, retries=1, concurrency=1)
        with pytest.raises(ServerError, match="DEADLINE_EXCEEDED"):
            service.detect([bytes(20_000_000)])
        connection, _ = server.accept()
        for thread in abandoned_requests():
            thread.join(30)
        assert abandoned_requests() == []
        server.settimeout(0)
        with connection, pytest.raises(BlockingIOError):
            server.accept()
        service.close()


def test_an_answer_that_breaks_off_is_not_asked_for_again(rest, rest_service, image):
    def breaking(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        hanging_up(handler)

    rest.faults += [breaking] * 2
    with pytest.raises(ServerError, match=r"UNAVAILABLE: .*0 bytes read"):
        rest_service().detect([image])
    assert len(rest.faults) == 1


def test_a_dead_port_is_named(pauses):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    service = RestService(url, "a", None, timeout=5, retries=2, concurrency=1)
    message = rf"^{url}/v1/models/a:predict: UNAVAILABLE: .*Connection refused; is the"
    with pytest.raises(ServerError, match=message):
        service.detect([b"x"])
    assert len(pauses) == 1  # The first time it is tried again at once.


def test_a_refused_image_is_told_apart_by_its_place(rest, rest_service, image):
    with pytest.raises(RefusedImageError) as refusal:
        rest_service().detect([image, b"text", image])
    assert refusal.value.index == 1
    assert refusal.value.reason == "it is not a JPEG, PNG, BMP or GIF"


def test_old_servers_escapes_are_no_obstacle(rest, rest_service):
    rest.faults.append(
        answering(
            400, rb"""{ "error": "node \'a\' [image_bytes[3]: it is empty]\n" }"""
        )
    )
    with pytest.raises(RefusedImageError) as refusal:
        rest_service().detect([b"x"] * 4)
    assert (refusal.value.index, refusal.value.reason) == (3, "it is empty")


def test_a_redirection_is_not_followed(rest, rest_service):
    def redirect(handler):
        handler.send_response(302)
        handler.send_header("Location", "/elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    rest.faults.append(redirect)
    with pytest.raises(ServerError, match="HTTP 302"):
        rest_service().detect([b"x"])


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"text", b"[]", b'{"outputs": {}}', b'{"predictions": 3}'),
        *(b'{"predictions": [1, 2]}', b'{"predictions": [{}', b"\xff\xfe\xff"),
    ],
)
def test_an_answer_of_another_form_is_an_error(rest, rest_service, content):
    rest.faults.append(answering(200, content))
    with pytest.raises(ServerError, match=r"the answer (is not JSON|has no list)"):
        rest_service().detect([b"x"])


def test_numbers_that_are_none_are_read(rest, rest_service):
    rest.faults.append(answering(200, b'{"predictions": [[NaN, Infinity, -Infinity]]}'))
    (row,) = rest_service().detect([b"x"])
    np.testing.assert_array_equal(row, [np.nan, np.inf, -np.inf])


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_without_end_is_given_up(
    rest, rest_service, image, status, monkeypatch
):
    monkeypatch.setattr("tf_frcnn.client.rest.MAX_ANSWER", 100_000)
    rest.faults.append(answering(status, {"error": "x" * 200_000}))
    with pytest.raises(ServerError, match="the answer has more than 0 MB"):
        rest_service().detect([image])
