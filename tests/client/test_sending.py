import threading
import time

import pytest

from tf_frcnn.client.errors import RefusedImageError, ServerError
from tf_frcnn.client.sending import Refusal, send_images

OUTPUTS = {
    "detection_boxes": [[0, 0, 1, 1]],
    "detection_classes": [1],
    "detection_class_names": ["a"],
    "num_detections": 1,
}


class Fake:
    """A service whose score of a file is the number in it; "bad" files are refused.

    Attributes:
        sent: the contents of the files of each request.
        shift: how many images of others the server puts before ours.
    """

    address = "here"

    def __init__(self, shift=0):
        self.sent, self.shift = [], shift

    def detect(self, files):
        self.sent.append([file.decode() for file in files])
        for index, file in enumerate(files):
            if file.startswith(b"bad"):
                raise RefusedImageError(index + self.shift, "it is bad")
        return [OUTPUTS | {"detection_scores": [float(file) / 100]} for file in files]


@pytest.fixture
def write(tmp_path):
    """Writes a file per content; returns the paths."""

    def write(*contents):
        paths = [tmp_path / str(number) for number in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_text(content)
        return paths

    return write


def send(service, paths, **settings):
    """Returns the scores and the reasons of refusals, both by row."""
    scores, reasons = {}, {}
    for row, answer in send_images(service, paths, **settings):
        if isinstance(answer, Refusal):
            reasons[row] = answer.reason
        else:
            scores[row] = round(100 * float(answer.scores[0]))
    return scores, reasons


def test_a_bad_image_is_taken_out_and_the_others_are_sent_again(write):
    service, paths = Fake(), write("1", "bad", "3", "bad too", "5")
    scores, reasons = send(service, paths, batch_size=4, concurrency=1)
    assert scores == {0: 1, 2: 3, 4: 5}
    assert reasons == {1: "it is bad", 3: "it is bad"}
    assert service.sent == [
        ["1", "bad", "3", "bad too"],
        ["1", "3", "bad too"],
        ["1", "3"],
        ["5"],
        ["bad"],
        ["bad too"],
    ]


@pytest.mark.parametrize("shift", [1, 2, 100])
def test_a_server_that_counts_otherwise_loses_no_good_image(write, shift):
    service, paths = Fake(shift), write("1", "bad", "3", "4")
    scores, reasons = send(service, paths, batch_size=4, concurrency=1)
    assert scores == {0: 1, 2: 3, 3: 4}
    assert reasons == {1: "it is bad"}


def test_a_good_image_beside_a_bad_one_of_another_request_is_kept(write):
    class Merging(Fake):
        def detect(self, files):
            self.sent.append(len(files))
            if len(self.sent) <= 2:  # Both requests are answered as one.
                raise RefusedImageError(2, "it is bad")
            self.sent.pop()
            return super().detect(files)

    service, paths = Merging(), write("1", "2", "bad", "4")
    scores, reasons = send(service, paths, batch_size=2, concurrency=1)
    assert scores == {0: 1, 1: 2, 3: 4}
    assert reasons == {2: "it is bad"}


def test_if_all_are_refused_nothing_is_found(write):
    scores, reasons = send(Fake(), write("bad", "bad"), batch_size=8, concurrency=1)
    assert scores == {} and reasons.keys() == {0, 1}


def test_requests_go_out_at_once_and_answers_keep_their_places(write):
    class Waiting(Fake):
        together = threading.Barrier(3, timeout=20)

        def detect(self, files):
            self.together.wait()
            return super().detect(files)

    paths = write(*map(str, range(6)))
    scores, _ = send(Waiting(), paths, batch_size=2, concurrency=3)
    assert scores == dict(zip(range(6), range(6), strict=True))


def test_an_error_of_one_request_ends_all(write):
    class Failing(Fake):
        def detect(self, files):
            outputs = super().detect(files)
            if files[0] == b"2":
                raise ServerError("it is gone")
            if files[0] == b"3":
                time.sleep(0.05)  # Time to take the other requests back.
            return outputs

    paths = write("1", "2", *["3"] * 50)
    service = Failing()
    with pytest.raises(ServerError, match="it is gone"):
        send(service, paths, batch_size=1, concurrency=1)
    assert 2 <= len(service.sent) < len(paths)


@pytest.mark.parametrize("name", ["batch_size", "concurrency"])
def test_numbers_below_1_are_named(write, name):
    settings = {"batch_size": 1, "concurrency": 1} | {name: 0}
    option = name.replace("_", "-")
    with pytest.raises(ValueError, match=f"--{option} 0: it must be at least 1"):
        send_images(Fake(), write("1"), **settings)
