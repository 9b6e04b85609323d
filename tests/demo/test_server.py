import importlib.util
import socket

import httpx
import pytest
import uvicorn
from PIL import ImageColor

from tf_frcnn.cli import main
from tf_frcnn.commands import demo as demo_command
from tf_frcnn.demo import listen, require_packages, serve
from tf_frcnn.drawing.boxes import class_color


@pytest.fixture
def any_run(monkeypatch):
    """Lets every folder pass for a run."""
    monkeypatch.setattr(demo_command, "check_run", lambda *run: None)


def failure_of(capsys, *arguments):
    """Returns the line that the command prints on standard error."""
    assert main(["demo", *map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("tf-frcnn: ")


@pytest.mark.usefixtures("any_run")
def test_a_package_that_lacks_is_named_with_the_command_that_installs_it(
    monkeypatch, capsys
):
    require_packages()
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n: None if n == "uvicorn" else find(n)
    )
    message = failure_of(capsys, "nowhere")
    assert "uvicorn" in message and 'pip install "tf-frcnn[demo]"' in message


@pytest.mark.usefixtures("any_run")
def test_a_port_that_is_taken_or_does_not_exist_is_named(capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        message = failure_of(capsys, "nowhere", "--port", port)
    assert message.startswith(f"127.0.0.1, port {port}: cannot listen there (")
    assert message.endswith("choose another with --port or --host.")
    message = failure_of(capsys, "nowhere", "--port", 65536)
    assert message == "demo: port = 65536 must lie in 0..65535."
    assert "no.such.host.invalid" in failure_of(
        capsys, "nowhere", "--host", "no.such.host.invalid"
    )


@pytest.mark.parametrize("name", ["max-megabytes", "max-megapixels"])
@pytest.mark.usefixtures("any_run")
def test_a_limit_must_be_positive(name, capsys):
    message = failure_of(capsys, "nowhere", f"--{name}", "0")
    name = name.replace("-", "_")
    assert message.startswith(f"demo: {name} = 0.0 must lie in [1e-06, ")


@pytest.mark.parametrize(
    "name", ["https://a.example", "a.example:443", "a.example/demo", "*", "*.a", ""]
)
@pytest.mark.usefixtures("any_run")
def test_a_public_host_is_a_name_alone(name, capsys):
    message = failure_of(capsys, "nowhere", f"--public-host={name}")
    assert message.startswith(f"demo: public_host = {name!r} must be a name alone, ")


def test_a_folder_that_is_no_run_is_named(tmp_path, capsys):
    assert "is not a run folder" in failure_of(capsys, tmp_path, "--port", 0)


def test_the_page_has_the_colors_of_the_drawn_images(serving):
    names = [f"class {label}" for label in range(20)]
    with serving(None, names) as address:
        settings = httpx.get(f"{address}/settings", timeout=60).json()
    assert settings["run"] == "pets" and settings["max_megabytes"] == 1
    assert settings["min_score"] == 0.5
    assert [own["name"] for own in settings["classes"]] == names
    for label, own in enumerate(settings["classes"]):
        assert ImageColor.getrgb(own["color"]) == class_color(label)


@pytest.mark.slow
def test_the_command_serves_a_run(run_address, detect, shape_file):
    settings = httpx.get(f"{run_address}/settings", timeout=60).json()
    assert settings["run"] == "small" and len(settings["classes"]) == 4
    kind = {"Content-Type": "image/png"}
    data = shape_file.read_bytes()
    answer = httpx.post(
        f"{run_address}/detect", content=data, headers=kind, timeout=60
    ).json()
    assert answer["detections"] == detect(data)["detections"] != []


@pytest.mark.parametrize(
    ("host", "public_host", "named", "warns"),
    [
        ("127.0.0.1", None, "127.0.0.1", []),
        ("localhost", None, "127.0.0.1", []),
        ("127.0.0.1", "a.example", "127.0.0.1", []),
        ("0.0.0.0", None, "0.0.0.0", ["no password", "DNS rebinding"]),
        ("0.0.0.0", "a.example", "0.0.0.0", ["no password"]),
    ],
)
def test_who_listens_beyond_this_machine_is_warned(
    host, public_host, named, warns, monkeypatch, capsys
):
    statuses = []

    def call(server, sockets):
        transport = httpx.ASGITransport(server.config.app)
        for name in ("192.0.2.1", "localhost", "a.example"):
            statuses.append(_status(transport, f"http://{name}:8000/health"))

    monkeypatch.setattr(uvicorn.Server, "run", call)
    limits = {"max_megabytes": 1, "max_megapixels": 1}
    with listen(host, 0) as listener:
        names = {"name": "x", "class_names": ["cat"], "public_host": public_host}
        serve(None, listener, **names, **limits)
        port = listener.getsockname()[1]
    printed = capsys.readouterr().out
    assert f"Open http://{named}:{port} " in printed
    assert ("Warning: " in printed) == bool(warns)
    assert [w for w in ("no password", "DNS rebinding") if w in printed] == warns
    is_open = "DNS rebinding" in warns
    assert statuses == [
        200 if is_open else 400,
        200,
        200 if is_open or public_host else 400,
    ]


def _status(transport, url):
    import anyio

    async def get():
        async with httpx.AsyncClient(transport=transport) as client:
            return (await client.get(url)).status_code

    return anyio.run(get)
