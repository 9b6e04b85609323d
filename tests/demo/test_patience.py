import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest

from tf_frcnn.demo import patience


@pytest.fixture
def port(serving, monkeypatch):
    monkeypatch.setattr(patience, "SECONDS", 0.2)
    with serving(lambda data: data.decode(), ["cat"]) as address:
        yield urlsplit(address).port


def is_closed_after(port, data, *, drip=b""):
    """Sends data, and then single bytes; says whether the server closes."""
    with socket.create_connection(("localhost", port), timeout=30) as own:
        own.sendall(data)
        end = time.monotonic() + 30
        while drip and time.monotonic() < end:
            try:
                own.sendall(drip)
            except OSError:
                return True
            time.sleep(0.05)
        while own.recv(4096):
            pass
        return True


@pytest.mark.parametrize("data", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a"])
def test_a_connection_without_a_whole_head_is_closed(port, data):
    assert is_closed_after(port, data)


def test_single_bytes_do_not_keep_it_open(port):
    assert is_closed_after(port, b"GET / HTTP/1.1\r\nHost: ", drip=b"a")


def test_a_connection_may_be_used_again(port):
    with httpx.Client(base_url=f"http://localhost:{port}", timeout=30) as client:
        for _ in range(3):
            assert client.get("/health").json() == {"status": "ok"}
