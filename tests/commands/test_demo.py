from pathlib import Path

import pytest

from tf_frcnn.cli import main
from tf_frcnn.commands import demo


@pytest.fixture
def calls(monkeypatch):
    """The arguments of each demo that is asked for; none is served."""
    calls = []
    monkeypatch.setattr(demo, "check_run", lambda *run: None)
    monkeypatch.setattr(demo, "serve_demo", lambda *a, **k: calls.append((a, k)))
    return calls


def test_a_demo_is_for_this_machine_alone_unless_told(calls):
    assert main(["demo", "runs/mine"]) == 0
    (((folder,), settings),) = calls
    assert folder == Path("runs/mine")
    assert settings == {
        "host": "127.0.0.1",
        "port": 8000,
        "public_host": None,
        "max_megabytes": 20.0,
        "max_megapixels": 50.0,
        "overrides": [],
    }


def test_the_options_reach_the_demo(calls):
    words = ["--host", "0.0.0.0", "--port", "0", "--public-host", "a.example"]
    words += ["--max-megabytes", "3", "--max-megapixels", "7", "--tiles", "8x9"]
    assert main(["demo", "runs/mine", *words]) == 0
    assert calls[0][1] == {
        "host": "0.0.0.0",
        "port": 0,
        "public_host": "a.example",
        "max_megabytes": 3.0,
        "max_megapixels": 7.0,
        "overrides": ["tiles.size=[8, 9]"],
    }
