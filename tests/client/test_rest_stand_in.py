import json

import pytest
import requests

pytestmark = pytest.mark.slow

GOOD = {"image_bytes": {"b64": "eA=="}}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "JSON Parse error"),
        ([], "Is not object"),
        ({"instances": []}, "Expecting 'instances'"),
        ({"inputs": {"image_bytes": {"b64": ""}}}, "Unknown keys"),
        ({"instances": [GOOD], "more": 1}, "Unknown keys"),
        ({"instances": [GOOD], "signature_name": "other"}, "not found"),
        ({"instances": [GOOD | {"more": 1}]}, "keys must be equal"),
        ({"instances": ["eA=="]}, "keys must be equal"),
        ({"instances": [{"image_bytes": "eA=="}]}, "base64 data"),
        ({"instances": [{"image_bytes": {"b64": "e"}}]}, "base64 decode"),
        ({"instances": [GOOD, {"image_bytes": {"B64": "eA=="}}]}, "base64 data"),
    ],
)
def test_the_stand_in_refuses_all_but_the_format(rest, body, message):
    text = body if isinstance(body, str) else json.dumps(body)
    answer = requests.post(f"{rest.url}/v1/models/shapes:predict", data=text, timeout=9)
    assert answer.status_code == 400 and answer.json().keys() == {"error"}
    assert message in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", "shapes:predict"), ("PUT", "shapes:predict"), ("POST", "shapes")),
        *(("POST", "shapes/versions/x:predict"), ("POST", "shapes:detect")),
    ],
)
def test_the_stand_in_refuses_other_ways(rest, method, path):
    body = {"instances": [GOOD]}
    url = f"{rest.url}/v1/models/{path}"
    answer = requests.request(method, url, json=body, timeout=9)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(f"Malformed request: {method} /v1")
