import h5py
import keras
import numpy as np
import pytest

from tf_frcnn.backbones.feature_pyramid import feature_pyramid
from tf_frcnn.backbones.pretrained import read_weights_file, set_weights
from tf_frcnn.backbones.vgg16 import vgg16
from tf_frcnn.layers import ConvolutionalHead, FullyConnectedHead, TailHead

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


def numbered_in_model():
    """Returns the datasets of a file that numbers the convolutions of a model."""
    datasets = {}
    for row in range(len(CONVOLUTIONS)):
        conv = f"conv2d_{row}" if row else "conv2d"
        for variable in (0, 1):
            datasets[f"layers/{conv}/vars/{variable}"] = np.float32([row])
    return datasets


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
    "numbered in the model": numbered_in_model(),
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
def backbone():
    return vgg16()


@pytest.fixture
def head():
    """A head of two units for RoIs of one cell and three channels."""
    head = FullyConnectedHead({"head_units": 2})
    head.build((None, None, 1, 1, 3))
    return head


def weights_like(backbone):
    """Returns weights for each convolution: kernels of its row, biases of -row."""
    layers = [layer for layer in backbone.layers if layer.weights]
    return {
        layer.name: (np.full(layer.kernel.shape, row), np.full(layer.bias.shape, -row))
        for row, layer in enumerate(layers)
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layer_of_every_layout_is_found_under_its_name(write, layout):
    weights = read_weights_file(write(LAYOUTS[layout]))
    names = CONVOLUTIONS
    if any("fc1" in name for name in LAYOUTS[layout]):
        names = [*CONVOLUTIONS, "fc6", "fc7", "predictions"]
    assert sorted(weights) == sorted(names)
    for row, name in enumerate(names):
        kernel, bias = weights[name]
        assert kernel == [row] and bias == [-row], name


def test_a_file_of_save_weights_gives_the_same_weights_back(backbone, tmp_path):
    path = tmp_path / "backbone.weights.h5"
    backbone.save_weights(path)
    weights = read_weights_file(path)
    assert sorted(weights) == CONVOLUTIONS
    for name, (kernel, bias) in weights.items():
        own_kernel, own_bias = backbone.get_layer(name).get_weights()
        np.testing.assert_array_equal(kernel, own_kernel)
        np.testing.assert_array_equal(bias, own_bias)


def test_weights_are_set_by_name(backbone, head):
    weights = weights_like(backbone)
    weights["fc6"] = np.ones([3, 2]), np.ones([2])
    weights["fc7"] = np.full([2, 2], 7), np.zeros([2])
    report = set_weights(weights, backbone, head)
    assert report.loaded == (*CONVOLUTIONS, "fc6", "fc7")
    assert report.random == ()
    for row, name in enumerate(CONVOLUTIONS):
        kernel, bias = backbone.get_layer(name).get_weights()
        assert np.all(kernel == row) and np.all(bias == -row)
    np.testing.assert_array_equal(head.fc6.get_weights()[1], [1, 1])
    np.testing.assert_array_equal(head.fc7.get_weights()[0], [[7, 7], [7, 7]])


def test_fc6_and_fc7_that_do_not_fit_are_reported_and_left_random(backbone, head):
    before = head.get_weights()
    weights = weights_like(backbone)
    weights["fc6"] = np.broadcast_to(1.0, [25088, 4096]), np.ones([4096])
    report = set_weights(weights, backbone, head)
    assert report.loaded == tuple(CONVOLUTIONS)
    assert report.random == ("fc6", "fc7")
    for weight, unchanged in zip(head.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, unchanged)


def test_missing_convolutions_are_named(backbone, head):
    weights = weights_like(backbone)
    del weights["block3_conv2"], weights["block5_conv1"]
    message = r"lacks 2 of 13 layers: block3_conv2, block5_conv1\.$"
    with pytest.raises(ValueError, match=message):
        set_weights(weights, backbone, head)


def test_weights_of_another_network_are_named(backbone, head):
    weights = {name: [np.ones([1])] for name in ("conv1_conv", "conv1_bn")}
    message = (
        r"lacks 13 of 13 layers: block1_conv1, .*block3_conv1 and 8 more\. "
        r"It is of another network, with conv1_conv, conv1_bn\.$"
    )
    with pytest.raises(ValueError, match=message):
        set_weights(weights, backbone, head)


def test_a_convolution_without_its_bias_does_not_fit(backbone, head):
    weights = weights_like(backbone)
    weights["block2_conv1"] = weights["block2_conv1"][:1]
    message = r"block2_conv1 has the shapes \[\(3, 3, 64, 128\)\], but the backbone "
    with pytest.raises(ValueError, match=message + r"needs .*\(128,\)\]"):
        set_weights(weights, backbone, head)


def test_nothing_is_set_where_one_layer_does_not_fit(backbone, head):
    before = backbone.get_layer("block1_conv1").get_weights()
    weights = weights_like(backbone)
    weights["block5_conv3"] = np.ones([3, 3, 512, 100]), np.ones([100])
    with pytest.raises(ValueError, match="block5_conv3"):
        set_weights(weights, backbone, head)
    after = backbone.get_layer("block1_conv1").get_weights()
    for weight, unchanged in zip(after, before, strict=True):
        np.testing.assert_array_equal(weight, unchanged)


def small_network(name):
    """Returns a network of one convolution and one fixed batch normalisation."""
    inputs = keras.Input((None, None, 3))
    features = keras.layers.Conv2D(2, 1, name=f"{name}_conv")(inputs)
    norm = keras.layers.BatchNormalization(trainable=False, name=f"{name}_bn")
    return keras.Model(inputs, norm(features), name=name)


def test_the_layers_of_a_tail_must_be_there_too():
    backbone, head = small_network("backbone"), TailHead(small_network("tail"))
    weights = {
        "backbone_conv": [np.ones([1, 1, 3, 2]), np.zeros([2])],
        "backbone_bn": [np.full([2], value) for value in (1, 2, 3, 4)],
        "tail_conv": [np.full([1, 1, 3, 2], 5), np.zeros([2])],
    }
    with pytest.raises(ValueError, match=r"lacks 1 of 4 layers: tail_bn\.$"):
        set_weights(weights, backbone, head)
    weights["tail_bn"] = [np.full([2], value) for value in (6, 7, 8, 9)]
    report = set_weights(weights, backbone, head)
    assert report == (("backbone_conv", "backbone_bn", "tail_conv", "tail_bn"), ())
    gamma, beta, mean, variance = head.tail.get_layer("tail_bn").get_weights()
    assert [gamma[0], beta[0], mean[0], variance[0]] == [6, 7, 8, 9]


def test_a_file_without_the_normalisation_of_groups_has_its_advice():
    inputs = keras.Input((None, None, 3))
    norm = keras.layers.GroupNormalization(1, name="gn")
    network = keras.Model(inputs, norm(keras.layers.Conv2D(2, 1, name="conv")(inputs)))
    weights = {"conv": [np.ones([1, 1, 3, 2]), np.zeros([2])]}
    with pytest.raises(ValueError, match=r"layers: gn\. .* to frozen_batch\.$"):
        set_weights(weights, network)


def test_the_convolutions_of_a_head_are_set_singly_or_stay_random():
    head = ConvolutionalHead({"head_units": 2, "head_convs": 1}, channels=4)
    head.build((None, None, 1, 1, 3))
    weights = {"head_conv1_bn": [np.full([4], value) for value in (1, 2, 3, 4)]}
    report = set_weights(weights, head)
    assert report == (("head_conv1_bn",), ("head_conv1_conv", "fc6"))
    np.testing.assert_array_equal(head.norms[0].moving_variance, np.full([4], 4))


def test_a_feature_pyramid_may_stay_random():
    images = keras.Input((None, None, 3))
    stem = keras.layers.Conv2D(4, 1, name="stem")(images)
    pyramid = feature_pyramid([stem], 2, first_level=2)
    backbone = keras.Model(images, pyramid)
    report = set_weights({"stem": [np.ones([1, 1, 3, 4]), np.ones([4])]}, backbone)
    assert report == (("stem",), ("fpn_lateral2", "fpn_output2"))


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_what_keras_saves_is_read_in_the_order_of_the_weights(tmp_path, suffix, nested):
    model = small_network("small")
    names = ["small_conv", "small_bn"]
    for name in names:
        own = model.get_layer(name)
        own.set_weights([np.full(w.shape, n) for n, w in enumerate(own.weights)])
    saved = model
    if nested:
        saved = keras.Sequential([keras.Input((None, None, 3)), model])
    path = tmp_path / f"small{suffix}"
    (saved.save_weights if "weights" in suffix else saved.save)(path)
    weights = read_weights_file(path)
    assert set(weights) == set(names)
    for name in names:
        own = model.get_layer(name).get_weights()
        for values, expected in zip(weights[name], own, strict=True):
            np.testing.assert_array_equal(values, expected)


def test_a_path_without_a_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.h5'.*no such file"):
        read_weights_file(tmp_path / "absent.h5")


def test_a_misspelt_name_and_a_folder_are_told_from_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such file; did you mean imagenet"):
        read_weights_file("imagnet")
    with pytest.raises(
        FileNotFoundError, match=r"a folder\. Give .* by --init, or the"
    ):
        read_weights_file(tmp_path)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("model.keras", r"model\.save_weights"),
        ("model.pth", "tf-frcnn convert"),
        ("cut.h5", "It is damaged"),
    ],
)
def test_a_file_of_another_kind_has_its_own_advice(tmp_path, name, advice):
    (tmp_path / name).write_bytes(b"PK\x03\x04")
    with pytest.raises(ValueError, match=rf"{name}'.*not an HDF5 file.*{advice}"):
        read_weights_file(tmp_path / name)


def test_a_file_that_is_not_hdf5_is_named(tmp_path):
    path = tmp_path / "picture.h5"
    path.write_bytes(b"\x89PNG and more")
    with pytest.raises(ValueError, match=r"picture\.h5'.*not an HDF5 file"):
        read_weights_file(path)


def test_a_file_without_layers_is_named(write):
    path = write({"labels": np.ones([1])})
    with pytest.raises(ValueError, match=r"vgg16\.h5'.*no layer as Keras saves them"):
        read_weights_file(path)
