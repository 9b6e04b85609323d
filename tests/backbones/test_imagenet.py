from types import SimpleNamespace
from urllib.error import URLError

import keras
import numpy as np
import pytest

from tf_frcnn.backbones.imagenet import imagenet_application, number_unnamed_layers
from tf_frcnn.backbones.pretrained import set_weights


def network_of(*layers):
    return keras.Sequential([keras.Input((2, 2, 3)), *layers])


def use(monkeypatch, **networks):
    """Replaces the networks of `keras.applications`."""
    monkeypatch.setattr(keras, "applications", SimpleNamespace(**networks))


def test_vgg16_comes_under_the_names_of_the_paper(monkeypatch):
    def download(weights, include_top, input_shape):
        assert weights == "imagenet" and include_top and input_shape == (224, 224, 3)
        names = ["block1_conv1", "fc1", "fc2"]
        layers = [keras.layers.Dense(4, name=name) for name in names]
        return network_of(*layers, keras.layers.ReLU())

    use(monkeypatch, VGG16=download)
    weights = imagenet_application("VGG16", include_top=True)
    assert list(weights) == ["block1_conv1", "fc6", "fc7"]
    kernel, bias = weights["fc6"]
    assert kernel.shape == (4, 4) and bias.shape == (4,)


def test_further_arguments_reach_the_network(monkeypatch):
    def download(alpha, weights, include_top, input_shape):
        assert alpha == 0.5 and not include_top
        return network_of(keras.layers.Dense(1, name="dense_of_ours"))

    use(monkeypatch, MobileNet=download)
    assert list(imagenet_application("MobileNet", alpha=0.5)) == ["dense_of_ours"]


def test_unnamed_layers_are_numbered_within_their_network():
    first, second = (
        network_of(
            keras.layers.Conv2D(1, 1),
            keras.layers.BatchNormalization(),
            keras.layers.Conv2D(1, 1),
            keras.layers.Conv2D(1, 1, name="conv_2"),
        )
        for _ in range(2)
    )
    for network in (first, second):
        number_unnamed_layers(network)
        names = ["conv2d", "batch_normalization", "conv2d_1", "conv_2"]
        assert [layer.name for layer in network.layers] == names


def test_the_rescaling_behind_a_normalisation_becomes_part_of_it(monkeypatch):
    norm = keras.layers.Normalization()
    network = network_of(norm, keras.layers.Rescaling([0.5, 2.0, 4.0]))
    norm.set_weights([np.float32([1, 2, 3]), np.float32([4, 4, 9]), np.int64(0)])
    norm.finalize_state()
    use(monkeypatch, EfficientNetB0=lambda **_: network)
    weights = imagenet_application("EfficientNetB0")

    without = network_of(keras.layers.Normalization())
    number_unnamed_layers(without)
    set_weights(weights, without)
    pixel = np.float32([[[[3, 4, 6]]]])
    # (3 - 1) / 2 * 0.5, (4 - 2) / 2 * 2, (6 - 3) / 3 * 4
    np.testing.assert_allclose(without(pixel), [[[[0.5, 2, 4]]]], rtol=1e-6)
    np.testing.assert_allclose(without(pixel), network(pixel), rtol=1e-6)


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

    use(monkeypatch, ResNet50=download)
    message = (
        f'backbone.weights = "imagenet": the ResNet50 weights .*{reason}.*'
        "path of an HDF5 file"
    )
    with pytest.raises(RuntimeError, match=message) as raised:
        imagenet_application("ResNet50")
    assert raised.value.__cause__ is error
    assert "\n" not in str(raised.value)
