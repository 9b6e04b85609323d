from types import SimpleNamespace
from urllib.error import URLError

import h5py
import keras
import numpy as np
import pytest

from tf_frcnn.backbones.pretrained import (
    imagenet_vgg16,
    read_vgg16_file,
    set_weights,
)
from tf_frcnn.backbones.vgg16 import vgg16
from tf_frcnn.layers import FullyConnectedHead

NUM_CONVS = {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}
CONVOLUTIONS = [
    f"block{block}_conv{number}"
    for block, count in NUM_CONVS.items()
    for number in range(1, count + 1)
]
FULLY_CONNECTED = ["fc1", "fc2", "predictions"]


def named_by_layer(kernel, bias, layers):
    """Returns the datasets of a file that names its layers, each holding its row."""
    return {
        variable.format(layer=layer): np.float32([row])
        for row, layer in enumerate(layers)
        for variable in (kernel, bias)
    }


def numbered_in_blocks():
    """Returns the datasets of a file that numbers the convolutions of each block."""
    datasets = {}
    for row, layer in enumerate(CONVOLUTIONS):
        block, number = int(layer[5]), int(layer[-1])
        conv = "conv2d" if number == 1 else f"conv2d_{number - 1}"
        for variable in (0, 1):
            path = f"block{block}/layers/{conv}/vars/{variable}"
            datasets[path] = np.float32([row])
    return datasets


LAYOUTS = {
    "keras 2": named_by_layer(
        "{layer}/{layer}/kernel:0",
        "{layer}/{layer}/bias:0",
        CONVOLUTIONS + FULLY_CONNECTED,
    ),
    "the published file of keras.applications": named_by_layer(
        "{layer}/{layer}_W_1:0", "{layer}/{layer}_b_1:0", CONVOLUTIONS + FULLY_CONNECTED
    ),
    "keras 3, within a model": named_by_layer(
        "model_weights/{layer}/vgg16/{layer}/kernel",
        "model_weights/{layer}/vgg16/{layer}/bias",
        CONVOLUTIONS,
    ),
    "numbered in blocks": numbered_in_blocks(),
}


@pytest.fixture
def write(tmp_path):
    """Writes datasets to an HDF5 file, the biases as negative numbers."""

    def write_file(datasets):
        path = tmp_path / "vgg16.h5"
        with h5py.File(path, "w") as file:
            for name, values in datasets.items():
                is_bias = "bias" in name or "_b_" in name or name.endswith("/1")
                file[name] = -values if is_bias else values
        return path

    return write_file


@pytest.fixture(scope="module")
def trunk():
    return vgg16()


@pytest.fixture
def head():
    """Is a head of two units for RoIs of one cell and three channels."""
    head = FullyConnectedHead(2)
    head.build((None, None, 1, 1, 3))
    return head


def weights_like(trunk):
    """Returns weights for each convolution: kernels of its row, biases of -row."""
    layers = [layer for layer in trunk.layers if layer.weights]
    return {
        layer.name: (np.full(layer.kernel.shape, row), np.full(layer.bias.shape, -row))
        for row, layer in enumerate(layers)
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layer_of_every_layout_is_found_under_its_name(write, layout):
    weights = read_vgg16_file(write(LAYOUTS[layout]))
    names = CONVOLUTIONS
    if any("fc1" in name for name in LAYOUTS[layout]):
        names = [*CONVOLUTIONS, "fc6", "fc7"]
    assert sorted(weights) == sorted(names)
    for row, name in enumerate(names):
        kernel, bias = weights[name]
        assert kernel == [row] and bias == [-row], name


def test_a_file_of_save_weights_gives_the_same_weights_back(trunk, tmp_path):
    path = tmp_path / "trunk.weights.h5"
    trunk.save_weights(path)
    weights = read_vgg16_file(path)
    assert sorted(weights) == CONVOLUTIONS
    for name, (kernel, bias) in weights.items():
        own_kernel, own_bias = trunk.get_layer(name).get_weights()
        np.testing.assert_array_equal(kernel, own_kernel)
        np.testing.assert_array_equal(bias, own_bias)


def test_weights_are_set_by_name(trunk, head):
    weights = weights_like(trunk)
    weights["fc6"] = np.ones([3, 2]), np.ones([2])
    weights["fc7"] = np.full([2, 2], 7), np.zeros([2])
    report = set_weights(weights, trunk, head)
    assert report.loaded == (*CONVOLUTIONS, "fc6", "fc7")
    assert report.random == ()
    for row, name in enumerate(CONVOLUTIONS):
        kernel, bias = trunk.get_layer(name).get_weights()
        assert np.all(kernel == row) and np.all(bias == -row)
    np.testing.assert_array_equal(head.fc6.get_weights()[1], [1, 1])
    np.testing.assert_array_equal(head.fc7.get_weights()[0], [[7, 7], [7, 7]])


def test_fc6_and_fc7_that_do_not_fit_are_reported_and_left_random(trunk, head):
    before = head.get_weights()
    weights = weights_like(trunk)
    weights["fc6"] = np.broadcast_to(1.0, [25088, 4096]), np.ones([4096])
    report = set_weights(weights, trunk, head)
    assert report.loaded == tuple(CONVOLUTIONS)
    assert report.random == ("fc6", "fc7")
    for weight, unchanged in zip(head.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, unchanged)


def test_missing_convolutions_are_named(trunk, head):
    weights = weights_like(trunk)
    del weights["block3_conv2"], weights["block5_conv1"]
    message = r"lacks 2 of 13 convolutions: block3_conv2, block5_conv1\.$"
    with pytest.raises(ValueError, match=message):
        set_weights(weights, trunk, head)


def test_a_convolution_without_its_bias_is_missing(write, trunk, head):
    datasets = dict(LAYOUTS["keras 2"])
    del datasets["block2_conv1/block2_conv1/bias:0"]
    weights = read_vgg16_file(write(datasets))
    with pytest.raises(ValueError, match=r"1 of 13 convolutions: block2_conv1\.$"):
        set_weights(weights, trunk, head)


def test_a_convolution_of_another_shape_is_named(trunk, head):
    weights = weights_like(trunk)
    weights["block2_conv1"] = np.ones([3, 3, 64, 100]), np.ones([100])
    with pytest.raises(ValueError, match="block2_conv1"):
        set_weights(weights, trunk, head)


def test_a_path_without_a_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.h5'.*no such file"):
        read_vgg16_file(tmp_path / "absent.h5")


def test_a_file_that_is_not_hdf5_is_named(tmp_path):
    path = tmp_path / "picture.h5"
    path.write_bytes(b"\x89PNG and more")
    with pytest.raises(ValueError, match=r"picture\.h5'.*not an HDF5 file"):
        read_vgg16_file(path)


def test_a_file_of_another_network_is_named(write):
    path = write({"res2a_branch2a/res2a_branch2a/kernel:0": np.ones([1])})
    with pytest.raises(ValueError, match=r"vgg16\.h5'.*no layer named as in VGG16"):
        read_vgg16_file(path)


def test_imagenet_weights_come_under_the_names_of_the_original(monkeypatch):
    def download(weights, include_top):
        assert weights == "imagenet" and include_top
        names = ["block1_conv1", "block1_pool", "fc1", "fc2", "predictions"]
        inputs = outputs = keras.Input((4,))
        for name in names:
            layer = keras.layers.Dense(4, name=name)
            if "pool" in name:
                layer = keras.layers.ReLU(name=name)
            outputs = layer(outputs)
        return keras.Model(inputs, outputs)

    monkeypatch.setattr(keras.applications, "VGG16", download)
    weights = imagenet_vgg16()
    assert list(weights) == ["block1_conv1", "fc6", "fc7"]
    kernel, bias = weights["fc6"]
    assert kernel.shape == (4, 4) and bias.shape == (4,)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (URLError("Name or service not known"), "Name or service not known"),
        (Exception("URL fetch failure on https://a.b:\nmore"), "URL fetch failure"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_a_failed_download_says_what_to_do(monkeypatch, error, reason):
    def download(**_):
        raise error

    monkeypatch.setattr(keras, "applications", SimpleNamespace(VGG16=download))
    message = f'backbone.weights = "imagenet": .*{reason}.*path of an HDF5 file'
    with pytest.raises(RuntimeError, match=message) as raised:
        imagenet_vgg16()
    assert raised.value.__cause__ is error
    assert "\n" not in str(raised.value)
