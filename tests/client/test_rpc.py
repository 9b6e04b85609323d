import socket
import threading
from pathlib import Path

import numpy as np
import pytest

from tf_frcnn.client.answers import read_answer
from tf_frcnn.client.errors import RefusedImageError, ServerError

pytest.importorskip("tensorflow_serving", reason='needs pip install "tf-frcnn[client]"')

import grpc

from tf_frcnn.client.rpc import RpcService

pytestmark = pytest.mark.slow


@pytest.fixture
def service_of(rpc):
    services = []

    def prepare(target=None, *, timeout=60.0, retries=3):
        services.append(
            RpcService(
                target or rpc.target, "shapes", None, timeout=timeout, retries=retries
            )
        )
        return services[-1]

    yield prepare
    for service in services:
        service.close()


@pytest.fixture
def image(good_photos):
    return Path(good_photos[1]).read_bytes()


def aborting(code, details):
    return lambda context: context.abort(code, details)


UNAVAILABLE = aborting(grpc.StatusCode.UNAVAILABLE, "The queue is full")


def test_the_outputs_of_each_image_come_in_its_place(service_of, good_photos):
    files = [Path(path).read_bytes() for path in good_photos[1:3]]
    both = service_of().detect(files)
    for row, file in zip(both, files, strict=True):
        (alone,) = service_of().detect([file])
        names = alone.pop("detection_class_names")
        np.testing.assert_array_equal(row["detection_class_names"], names)
        for name, array in alone.items():
            np.testing.assert_allclose(row[name], array, rtol=1e-4, atol=1e-5)
    answers = [read_answer(row, "here") for row in both]
    assert len(answers[0].scores) == 8
    assert not np.array_equal(answers[0].boxes, answers[1].boxes)


def test_a_large_request_is_sent_again_while_the_server_is_unavailable(
    rpc, service_of, image
):
    # What stands behind the end of a PNG is ignored. gRPC would not send more than
    # 256 KiB again, nor take more than 4 MiB, if it were not told to.
    rpc.faults += [UNAVAILABLE, UNAVAILABLE]
    (row,) = service_of().detect([image + bytes(6_000_000)])
    assert row["num_detections"] == 8
    assert rpc.faults == [] and len(rpc.requests) == 1


def test_a_large_answer_is_taken(rpc, rpc_stand_in, service_of):
    large = np.zeros([2, 3_000_000], np.float32)
    rpc.faults.append(lambda context: rpc_stand_in.response_of({"large": large}))
    rows = service_of().detect([b"x", b"y"])
    assert [row["large"].shape for row in rows] == [(3_000_000,)] * 2


@pytest.mark.parametrize("retries", [0, 1])
def test_it_gives_up_in_the_servers_words(rpc, service_of, retries):
    rpc.faults += [UNAVAILABLE] * 4
    message = (
        rf"^{rpc.target}, model shapes: UNAVAILABLE: The queue is full; is the server "
        r"running, and is this its address\?$"
    )
    with pytest.raises(ServerError, match=message):
        service_of(retries=retries).detect([b"x"])
    assert len(rpc.faults) == 4 - 1 - retries


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "NOT_FOUND", "INTERNAL"])
def test_other_answers_are_not_asked_for_again(rpc, service_of, code):
    rpc.faults += [aborting(grpc.StatusCode[code], "No")] * 2
    with pytest.raises(ServerError, match=f"{code}: No"):
        service_of().detect([b"x"])
    assert len(rpc.faults) == 1


def test_a_slow_server_is_asked_once(rpc, service_of):
    goes_on = threading.Event()
    rpc.faults += [lambda context: goes_on.wait(30)] * 2
    with pytest.raises(ServerError, match=r"DEADLINE_EXCEEDED: .*; .* with --timeout"):
        service_of(timeout=0.5).detect([b"x"])
    goes_on.set()
    assert len(rpc.faults) == 1


def test_a_refused_image_is_told_apart_by_its_place(service_of, image):
    with pytest.raises(RefusedImageError) as refusal:
        service_of().detect([image, image, b""])
    assert (refusal.value.index, refusal.value.reason) == (2, "it is empty")


def test_a_dead_port_is_named(service_of):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ServerError, match=rf"^{target}, .*UNAVAILABLE: .*refused"):
        service_of(target, retries=0).detect([b"x"])


def test_outputs_for_other_images_are_an_error(rpc, rpc_stand_in, service_of):
    three = rpc_stand_in.response_of({"a": np.zeros([3, 2], np.float32)})
    rpc.faults.append(lambda context: three)
    message = r"a has the shape \(3, 2\), .* begin with the number of images, 2"
    with pytest.raises(ServerError, match=message):
        service_of().detect([b"x", b"y"])


@pytest.mark.parametrize(
    ("target", "retries", "message"),
    [
        ("http://a:8500", 3, "--grpc http://a:8500: give HOST:PORT"),
        ("a:8500", 5, "--retries 5: gRPC retries at most 4 times"),
    ],
)
def test_settings_that_grpc_would_not_heed_are_errors(
    service_of, target, retries, message
):
    with pytest.raises(ValueError, match=message):
        service_of(target, retries=retries)
