"""The exported model in processes that know TensorFlow's C library alone."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import kernel_def_pb2, op_def_pb2
from tensorflow.core.protobuf import saved_model_pb2

from tests.helpers import image_files
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.slow

BUILD = ROOT / "serving" / "build.sh"
# Prints the OpList and, per op named, the KernelList of the library.
REGISTERED = """
import ctypes, sys

class Buffer(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_size_t)]

library = ctypes.CDLL(sys.argv[1])
library.TF_NewStatus.restype = ctypes.c_void_p
library.TF_GetAllOpList.restype = ctypes.POINTER(Buffer)
library.TF_GetRegisteredKernelsForOp.restype = ctypes.POINTER(Buffer)
status = ctypes.c_void_p(library.TF_NewStatus())
kernels = library.TF_GetRegisteredKernelsForOp
for found in [library.TF_GetAllOpList(), *(kernels(n.encode(), status)
                                           for n in sys.argv[2:])]:
    print(ctypes.string_at(found.contents.data, found.contents.length).hex())
assert "tensorflow" not in sys.modules
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The program that the C source makes."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler named cc")
    output = tmp_path_factory.mktemp("c") / "detect"
    subprocess.run([BUILD, output, sys.executable], check=True)
    return output


@pytest.fixture(scope="module")
def run(program, exported):
    """Runs the program on the exported model."""

    def call(*arguments):
        command = [str(program), str(exported), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    return call


@pytest.fixture(scope="module")
def paths(images):
    return [record.source for record in images.records]


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_text("no picture")
    return path


def rows_of(output):
    """Returns file, class and (score, ymin, xmin, ymax, xmax) of each line."""
    rows = [line.split("\t") for line in output.splitlines()]
    numbers = np.array([row[2:] for row in rows], float)
    return [row[0] for row in rows], [row[1] for row in rows], numbers


def names_of(own):
    return [("wide", "tall")[label] for label in own.labels]


@pytest.mark.parametrize("batch", [1, 2])
def test_detections_are_those_of_the_model(run, paths, images, expected, batch):
    done = run("--batch", batch, *paths)
    assert done.returncode == 0, done.stderr
    files, names, numbers = rows_of(done.stdout)
    wanted = [
        (record.source, names_of(own), np.tile([record.height, record.width], 2))
        for record, own in zip(images.records, expected, strict=True)
    ]
    assert files == [source for source, own, _ in wanted for _ in own]
    assert names == [name for _, own, _ in wanted for name in own]
    scores = np.concatenate([own.scores for own in expected])
    np.testing.assert_allclose(numbers[:, 0], scores, atol=1e-4)
    boxes = [
        own.boxes / sides for own, (_, _, sides) in zip(expected, wanted, strict=True)
    ]
    np.testing.assert_allclose(numbers[:, 1:], np.concatenate(boxes), atol=1e-4)


def test_a_refused_image_is_reported_and_the_next_is_answered(run, paths, text_file):
    done = run(paths[0], text_file, paths[1])
    assert done.returncode == 1
    assert set(rows_of(done.stdout)[0]) == {paths[0], paths[1]}
    assert f"{text_file}: refused with code 3:" in done.stderr
    assert "image_bytes[0]: it is not a JPEG, PNG, BMP or GIF" in done.stderr


def test_200_malformed_files_are_refused_and_the_next_is_answered(run, paths, tmp_path):
    for number, data in enumerate([*image_files.malformed(), *image_files.flipped()]):
        (tmp_path / f"{number:03}").write_bytes(data)
    done = run(*sorted(tmp_path.iterdir()), paths[0])
    assert done.returncode == 1
    refusals = re.findall(
        r"^.*/(\d+): refused with code 3:.*\[0\]: it", done.stderr, re.M
    )
    assert [int(name) for name in refusals[:200]] == list(range(200))
    assert rows_of(done.stdout)[0][-1] == paths[0]


def test_a_bomb_is_refused_before_it_takes_memory(run, paths, tmp_path):
    (tmp_path / "bomb.png").write_bytes(image_files.bomb())
    done = run("--requests", 20, paths[0], tmp_path / "bomb.png")
    found = json.loads(done.stdout)
    assert found["refused"] == 10
    assert found["memory_peak_mib"] - found["memory_end_mib"] < 60


def test_a_thousand_requests_of_all_sizes_leave_no_memory_behind(
    run, tmp_path, text_file
):
    kinds = np.resize(["png", "jpg", "gif", "bmp"], 16)
    heights = np.linspace(40, 300, 16).astype(int)
    widths = np.random.default_rng(0).permutation(heights)
    for number, (kind, *size) in enumerate(zip(kinds, widths, heights, strict=True)):
        image = image_files.IMAGE.resize(size)
        image.save(tmp_path / f"{number:02}.{kind}")
    done = run("--requests", 1000, "--threads", 2, *tmp_path.glob("??.*"), text_file)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["requests"], found["refused"]) == (1000, 1000 // 17)
    end = found["memory_end_mib"]
    assert end - found["memory_half_mib"] < max(0.01 * end, 8)


def test_what_cannot_be_tried_is_named(program, run, paths, tmp_path):
    assert run("missing.jpg").returncode == 2
    assert "--batch: give a positive number" in run("--batch", "x", paths[0]).stderr
    command = [str(program), str(tmp_path), paths[0]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and f"detect: {tmp_path}: " in done.stderr


def test_every_operation_has_a_kernel_in_the_plain_library(exported):
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((exported / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    nodes = [*graph.node]
    nodes += [node for function in graph.library.function for node in function.node_def]
    used = sorted({node.op for node in nodes})
    assert {"Conv2D", "DecodeJpeg", "NonMaxSuppressionV4"} <= set(used)
    path = str(Path(tf.sysconfig.get_lib()) / "libtensorflow_cc.so.2")
    command = [sys.executable, "-c", REGISTERED, path, *used, "PyFunc"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    ops, *kernels = map(bytes.fromhex, done.stdout.splitlines())
    registered = {op.name for op in op_def_pb2.OpList.FromString(ops).op}
    assert set(used) <= registered
    devices = [
        {
            kernel.device_type
            for kernel in kernel_def_pb2.KernelList.FromString(k).kernel
        }
        for k in kernels
    ]
    lacking = [
        name
        for name, found in zip([*used, "PyFunc"], devices, strict=True)
        if not found & {"CPU", "DEFAULT"}
    ]
    # Python alone brings the kernel of this one, so the check can fail.
    assert lacking == ["PyFunc"]
