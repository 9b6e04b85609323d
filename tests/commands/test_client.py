from pathlib import Path
from types import SimpleNamespace

import pytest

import tf_frcnn.client
from tf_frcnn.cli import main
from tf_frcnn.runs.prediction_outputs import Outputs


@pytest.mark.parametrize(
    "words", [[], ["--url", "http://127.0.0.1:1", "--grpc", "127.0.0.1:1"]]
)
def test_the_command_takes_one_server(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(["client", "--model", "shapes", "a.png", *words])
    assert end.value.code == 2 and "--grpc" in capsys.readouterr().err


def test_the_options_reach_the_service_which_is_closed(monkeypatch):
    calls = []
    service = SimpleNamespace(close=lambda: calls.append("closed"))

    def connect(*arguments, **settings):
        calls.append((arguments, settings))
        return service

    def detect_files(*arguments, **settings):
        calls.append((arguments, settings))

    monkeypatch.setattr(tf_frcnn.client, "connect", connect)
    monkeypatch.setattr(tf_frcnn.client, "detect_files", detect_files)
    words = ["client", "--url", "http://here", "--model", "shapes", "--version", "4"]
    words += ["--timeout", "7.5", "--retries", "1", "--concurrency", "2"]
    words += ["--batch-size", "5", "--output", "out", "--min-score", "0.25"]
    words += ["--picture-format", "png"]
    assert main([*words, "a.png", "b.png"]) == 0
    server = {"url": "http://here", "grpc": None, "timeout": 7.5, "retries": 1}
    files = (service, ["a.png", "b.png"], Outputs(Path("out"), "png"), 0.25)
    assert calls == [
        (("shapes", 4), server | {"concurrency": 2}),
        (files, {"batch_size": 5, "concurrency": 2, "overwrite": False}),
        "closed",
    ]
