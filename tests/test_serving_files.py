"""The files of serving/, as far as they can be read without a server."""

import http.server
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
import yaml
from google.protobuf import text_format

from tests.helpers.paths import ROOT

SERVING = ROOT / "serving"


@pytest.fixture(scope="module")
def models():
    module = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2")
    text = (SERVING / "models.config").read_text()

    def parse(text):
        return text_format.Parse(text, module.ModelServerConfig()).model_config_list

    return parse(text), parse(
        re.sub(r"# (?=model_version_policy|version_lab)", "", text)
    )


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load((SERVING / "compose.yaml").read_text())["services"]


def test_the_configuration_of_models_is_one(models):
    (model,) = models[0].config
    assert (model.name, model.model_platform) == ("detector", "tensorflow")
    assert not model.HasField("model_version_policy") and not model.version_labels


def test_what_the_configuration_only_suggests_is_valid_too(models):
    (model,) = models[1].config
    assert list(model.model_version_policy.specific.versions) == [1, 2]
    assert dict(model.version_labels) == {"stable": 1, "canary": 2}


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_a_service_finds_its_files_and_models(services, models, name):
    service = services[name]
    assert service["profiles"] == [name]
    end = "-gpu" if name == "gpu" else ""
    for tag in ("latest", "2.19.1"):
        image = service["image"].replace("${TF_SERVING_TAG:-latest}", tag)
        assert image == f"tensorflow/serving:{tag}{end}"
    mounts = dict(volume.rsplit(":", 2)[:2] for volume in service["volumes"])
    assert list(mounts.values()) == [models[0].config[0].base_path, "/etc/serving"]
    assert mounts["."] == "/etc/serving"
    flags = dict(flag[2:].split("=") for flag in service["command"])
    for flag in ("model_config_file", "monitoring_config_file"):
        assert (SERVING / Path(flags[flag]).relative_to("/etc/serving")).is_file()


@pytest.mark.parametrize("state", ["AVAILABLE", "UNAVAILABLE", "LOADING"])
def test_a_service_is_healthy_when_its_version_is_available(services, state):
    if shutil.which("bash") is None:
        pytest.skip("there is no bash")
    paths = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()
            answer = f'{{"model_version_status": [{{"state": "{state}"}}]}}'
            self.wfile.write(answer.encode())

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    _, *command = services["cpu"]["healthcheck"]["test"]
    command[-1] = command[-1].replace("8501", str(server.server_port))
    done = subprocess.run(command, capture_output=True, timeout=30)
    server.shutdown()
    server.server_close()
    assert (done.returncode == 0) == (state == "AVAILABLE"), done.stderr
    assert paths == ["/v1/models/detector"]


def test_the_settings_of_batching_are_those_of_the_server():
    lines = (SERVING / "batching_parameters.txt").read_text().splitlines()
    given = [line for line in lines if not line.startswith("#")]
    settings = dict(
        re.fullmatch(r"(\w+) { value: (\d+) }", line).groups() for line in given
    )
    # BatchingParameters of session_bundle_config.proto.
    assert settings.keys() == {
        "max_batch_size",
        "batch_timeout_micros",
        "max_enqueued_batches",
        "num_batch_threads",
    }
