import sys

import pytest

from tf_frcnn.cli import main
from tf_frcnn.client import connect

REST = {"url": "http://127.0.0.1:1"}


@pytest.fixture
def without_serving_api(monkeypatch):
    for name in [*sys.modules]:
        if name.split(".")[0] in ("grpc", "tensorflow_serving"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "tf_frcnn.client.rpc", raising=False)
    monkeypatch.setitem(sys.modules, "tensorflow_serving", None)
    monkeypatch.setitem(sys.modules, "grpc", None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "exactly one of --url and --grpc"),
        (REST | {"grpc": "127.0.0.1:1"}, "exactly one of --url and --grpc"),
        (REST | {"retries": -1}, "--retries -1: it must be at least 0"),
        (REST | {"concurrency": 0}, "--concurrency 0: it must be at least 1"),
        (REST | {"timeout": 0.0}, "--timeout 0.0: it must be at least 0.001"),
        (REST | {"version": -2}, "--version -2: it must be at least 0"),
    ],
)
def test_settings_out_of_range_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        connect("shapes", **settings)


def test_rest_needs_no_grpc(without_serving_api):
    service = connect("shapes", **REST)
    assert service.address == "http://127.0.0.1:1/v1/models/shapes:predict"
    service.close()


def test_grpc_without_its_package_says_how_to_install_it(without_serving_api, capsys):
    words = ["client", "--grpc", "127.0.0.1:1", "--model", "shapes", "a.png"]
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tf-frcnn: 127.0.0.1:1: ")
    assert line.endswith('install them with pip install "tf-frcnn[client]".')
