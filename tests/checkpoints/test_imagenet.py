import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import slim_original as slim
from tests.helpers import torch_original
from tf_frcnn import checkpoints
from tf_frcnn.backbones import BACKBONES
from tf_frcnn.checkpoints import CheckpointError
from tf_frcnn.checkpoints.files import Checkpoint, read_checkpoint

pytestmark = pytest.mark.slow

CLASSES = ("red cell", "platelet")
FC_UNITS = 64  # of the files' 4096
FAST_RCNN_MEANS = np.float32([102.9801, 115.9465, 122.7717])  # BGR
TORCH_MEANS = np.float32([0.485, 0.456, 0.406])
TORCH_STDS = np.float32([0.229, 0.224, 0.225])


@pytest.fixture(scope="module")
def images():
    """Gives RGB images of odd sides, float32 [1, h, w, 3]."""
    rng = np.random.default_rng(2)
    return np.round(rng.uniform(0, 255, (1, 75, 101, 3))).astype(np.float32)


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch writes and runs the originals")


def features_of(loaded, images, layer=None):
    """Returns the backbone's map, or that of one of its layers."""
    model = loaded.model
    backbone = model.backbone
    if layer:
        backbone = keras.Model(backbone.input, backbone.get_layer(layer).output)
    sizes = np.float32([images.shape[1:3]])
    return backbone(model.preprocessing(images, sizes)).numpy()


def hidden_of(loaded, pooled):
    """Returns the box head's output, [R, units], for float [R, S, S, C]."""
    return loaded.model.roi_head.box_head(pooled[np.newaxis]).numpy()[0]


def close(found, expected, tolerance=1e-4):
    """Compares relative to the largest number."""
    assert np.std(expected) > 1e-3
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found / scale, expected / scale, atol=tolerance)


def random_pooled(size, channels):
    rng = np.random.default_rng(6)
    return rng.uniform(0, 1, (5, size, size, channels)).astype(np.float32)


def check_report(loaded, ignored, random):
    report = loaded.report
    assert not (report.missing or report.unexpected)
    assert report.ignored == ignored
    parts = {"/".join(name.split("/")[:2]) for name in report.random}
    assert parts == {
        *(f"rpn_head/{layer}" for layer in ("conv", "scores", "deltas")),
        *("box_predictor/logits", "box_predictor/deltas"),
        *random,
    }
    assert loaded.model.class_names == CLASSES
    assert loaded.config.backbone.weights == "random"
    assert "new and random" in loaded.notes[0]


# PyTorch -----------------------------------------------------------------------------


def test_torchvisions_vgg16(torch, images, tmp_path):
    network = torch_original.TorchNetwork(torch)
    network.add_vgg16()
    path = network.save(tmp_path / "vgg16-397923af.pth")
    loaded = checkpoints.load("imagenet-torchvision", path, CLASSES)
    check_report(loaded, ["classifier.6.bias", "classifier.6.weight"], ())
    pixels = network.nchw((images / 255 - TORCH_MEANS) / TORCH_STDS)
    expected = network.vgg16(pixels).permute(0, 2, 3, 1).numpy()
    assert expected.shape[1:3] == (4, 6)
    close(features_of(loaded, images), expected)
    pooled = random_pooled(7, 512)
    close(hidden_of(loaded, pooled), network.head(network.nchw(pooled)))
    assert loaded.config.images.resize == "chainer"
    assert loaded.config.roi.pooling == "pool"


def test_torchvisions_resnet_is_the_backbone_below_a_random_pyramid(
    torch, images, tmp_path
):
    network = torch_original.TorchNetwork(torch)
    network.add_resnet50()
    path = network.save(tmp_path / "resnet50-0676ba61.pth")
    loaded = checkpoints.load("imagenet-torchvision", path, CLASSES)
    tracked = sorted(n for n in network.state if n.endswith("num_batches_tracked"))
    pyramid = {
        f"backbone/fpn_{kind}{n}"
        for kind in ("lateral", "output")
        for n in (2, 3, 4, 5)
    }
    heads = {"box_head/fc6", "box_head/fc7"}
    check_report(loaded, sorted(["fc.bias", "fc.weight", *tracked]), pyramid | heads)
    pixels = network.nchw((images / 255 - TORCH_MEANS) / TORCH_STDS)
    expected = network.resnet50(pixels).permute(0, 2, 3, 1).numpy()
    close(features_of(loaded, images, "conv5_block3_out"), expected)
    assert loaded.config.backbone.name == "resnet50_fpn"
    assert loaded.config.rpn.score_form == "sigmoid"
    assert loaded.config.images.pad_to == 32


@pytest.mark.parametrize("fc6", [0, 1])
def test_caffes_vgg16_in_both_countings(torch, images, tmp_path, fc6):
    network = torch_original.TorchNetwork(torch)
    network.add_vgg16(fc6, first_gain=0.02)
    path = network.save(tmp_path / "vgg16_caffe.pth")
    loaded = checkpoints.load("imagenet-caffe", path, CLASSES)
    check_report(loaded, ["classifier.6.bias", "classifier.6.weight"], ())
    pixels = network.nchw(images[..., ::-1] - FAST_RCNN_MEANS)
    expected = network.vgg16(pixels, ceil_mode=True).permute(0, 2, 3, 1).numpy()
    assert expected.shape[1:3] == (5, 7)
    close(features_of(loaded, images), expected)
    pooled = random_pooled(7, 512)
    close(hidden_of(loaded, pooled), network.head(network.nchw(pooled), fc6))
    assert loaded.config.conventions.plus_one


@pytest.mark.parametrize(("depth", "units"), [(50, 6), (101, 23), (152, 36)])
def test_the_depth_of_a_resnet_is_seen(depth, units):
    names = [f"layer3.{unit}.conv3.weight" for unit in range(units)]
    checkpoint = Checkpoint("resnet.pth", dict.fromkeys(names, np.zeros(1)))
    source = checkpoints.SOURCES["imagenet-torchvision"]
    description = source.describe(checkpoint, None)
    assert description.settings["backbone"]["name"] == f"resnet{depth}_fpn"
    assert f"resnet{depth}_fpn" in BACKBONES
    kernels = [w for w in description.name_map if w.endswith("_conv/kernel")]
    # The fully connected layer counts as one, and four shortcuts do not.
    assert len(kernels) == depth - 1 + 4


# tf-slim -----------------------------------------------------------------------------


def slim_file(folder, scope):
    """Writes a classifier of tf-slim; returns its path and arrays."""
    arrays = slim.random_arrays(scope)
    outputs = ("/rpn_", "/cls_score", "/bbox_pred")
    arrays = {n: a for n, a in arrays.items() if not any(o in n for o in outputs)}
    name = "fc8" if scope == "vgg_16" else "logits"
    arrays |= {
        f"{scope}/{name}/weights": np.ones([1, 1, 8, 1000], np.float32),
        f"{scope}/{name}/biases": np.ones([1000], np.float32),
        f"{scope}/mean_rgb": np.float32([123.68, 116.78, 103.94]),
    }
    written = arrays
    if scope == "vgg_16":
        fc6, fc7 = (arrays[f"vgg_16/{name}/weights"] for name in ("fc6", "fc7"))
        written = arrays | {
            "vgg_16/fc6/weights": fc6.reshape(7, 7, 512, -1),
            "vgg_16/fc7/weights": fc7[np.newaxis, np.newaxis],
        }
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for own_name, array in written.items():
            tf.compat.v1.get_variable(own_name, initializer=array)
        tf.compat.v1.train.get_or_create_global_step()
        session.run(tf.compat.v1.global_variables_initializer())
        path = tf.compat.v1.train.Saver().save(session, str(folder / f"{scope}.ckpt"))
    return path, arrays


@pytest.mark.parametrize(
    ("scope", "top"), [("vgg_16", "fc8"), ("resnet_v1_50", "logits")]
)
def test_slims_networks_are_turned_to_bgr(images, tmp_path, scope, top):
    path, arrays = slim_file(tmp_path, scope)
    loaded = checkpoints.load("imagenet-slim", path, CLASSES)
    ignored = [f"{scope}/{n}" for n in (f"{top}/biases", f"{top}/weights", "mean_rgb")]
    check_report(loaded, sorted(["global_step", *ignored]), ())
    original = slim.Original(arrays, scope)
    # The original's convolutions take RGB.
    expected = original.backbone(images - FAST_RCNN_MEANS[::-1]).numpy()
    close(features_of(loaded, images), expected)
    pooled = random_pooled(7, expected.shape[-1])
    close(hidden_of(loaded, pooled), original.head(pooled).numpy())
    assert loaded.config.images.mode == "fast_rcnn"
    assert loaded.config.roi.crop_max_pool == (scope == "vgg_16")


# keras.applications ------------------------------------------------------------------


def randomize(network):
    """Gives what starts as 0 or 1 random values."""
    rng = np.random.default_rng(8)
    for layer in network.layers:
        values = layer.get_weights()
        if isinstance(layer, keras.layers.BatchNormalization):
            low = 0.1 if layer.name.endswith("_3_bn") else 0.7
            spans = ((low, low + 0.5), (-0.2, 0.3), (-0.2, 0.2), (0.5, 1.5))
            values = [rng.uniform(*span, values[0].shape) for span in spans]
        elif values:
            values[1] = 0.1 * rng.standard_normal(values[1].shape)
        layer.set_weights(values)


def keras_vgg16():
    """Returns VGG16 with smaller layers on top than the original's."""
    base = keras.applications.VGG16(include_top=False, weights=None)
    pooled = keras.Input((7, 7, 512))
    backbone = keras.Model(base.input, base.get_layer("block5_conv3").output)
    hidden = keras.layers.Flatten()(pooled)
    for name in ("fc1", "fc2"):
        hidden = keras.layers.Dense(FC_UNITS, "relu", name=name)(hidden)
    classes = keras.layers.Dense(10, name="predictions")(hidden)
    head = keras.Model(pooled, hidden)
    network = keras.Model([base.input, pooled], [base.output, classes])
    randomize(network)
    return network, backbone, head


def recipe_pixels(images):
    """Returns what the recipes of the caffe line feed to these networks."""
    return images[..., ::-1] - FAST_RCNN_MEANS


@pytest.mark.parametrize("ending", ["vgg16.h5", "vgg16.weights.h5"])
def test_keras_vgg16(images, tmp_path, ending):
    network, backbone, head = keras_vgg16()
    is_whole = ending == "vgg16.h5"
    (network.save if is_whole else network.save_weights)(tmp_path / ending)
    loaded = checkpoints.load("imagenet-keras", tmp_path / ending, CLASSES)
    check_report(loaded, ["predictions/0", "predictions/1"], ())
    sides = (80, 112)  # of which Keras's pooling drops nothing
    images = np.pad(images, [(0, 0), (0, 5), (0, 11), (0, 0)])
    assert images.shape[1:3] == sides
    close(features_of(loaded, images), backbone(recipe_pixels(images)).numpy())
    pooled = random_pooled(7, 512)
    close(hidden_of(loaded, pooled), head(pooled).numpy())
    assert loaded.config.images.mode == "fast_rcnn"


def test_keras_vgg16_without_its_top_has_a_random_head(tmp_path):
    network = keras.applications.VGG16(include_top=False, weights=None)
    network.save_weights(tmp_path / "vgg16_notop.weights.h5")
    path = tmp_path / "vgg16_notop.weights.h5"
    description = checkpoints.SOURCES["imagenet-keras"].describe(
        read_checkpoint(path), None
    )
    heads = ["box_head/fc6/kernel", "box_head/head1/fc7/bias", "rpn_head/conv/kernel"]
    assert all(re.match(description.random, weight) for weight in heads)
    assert not re.match(description.random, "backbone/block1_conv1/kernel")


def test_keras_resnet(images, tmp_path):
    network = keras.applications.ResNet50(weights=None)
    randomize(network)
    network.save(tmp_path / "resnet50.h5")
    loaded = checkpoints.load("imagenet-keras", tmp_path / "resnet50.h5", CLASSES)
    check_report(loaded, ["predictions/0", "predictions/1"], ())
    images = np.resize(images, (1, 224, 224, 3))
    conv4 = keras.Model(network.input, network.get_layer("conv4_block6_out").output)
    expected = conv4(recipe_pixels(images)).numpy()
    close(features_of(loaded, images), expected)
    assert loaded.config.backbone.name == "resnet50_c4"
    tail = {layer.name: layer for layer in loaded.model.roi_head.box_head.tail.layers}
    conv5 = [layer for layer in network.layers if layer.name.startswith("conv5")]
    for layer in conv5:
        weights = zip(tail[layer.name].weights, layer.weights, strict=True)
        assert all(np.array_equal(own, theirs) for own, theirs in weights)


# All ---------------------------------------------------------------------------------


def test_classes_must_be_given(tmp_path):
    network = keras.applications.VGG16(include_top=False, weights=None)
    network.save_weights(tmp_path / "vgg16.weights.h5")
    with pytest.raises(CheckpointError, match=r"knows no objects.*--classes"):
        checkpoints.load("imagenet-keras", tmp_path / "vgg16.weights.h5")


@pytest.mark.parametrize("source", ["imagenet-keras", "imagenet-slim"])
def test_other_files_are_refused(tmp_path, source):
    if source == "imagenet-keras":
        network = keras.applications.MobileNet(
            include_top=False, weights=None, alpha=0.25, input_shape=(64, 64, 3)
        )
        path = tmp_path / "mobilenet.weights.h5"
        network.save_weights(path)
    else:
        path = slim.write_checkpoint(
            tmp_path / "model.ckpt",
            {"InceptionV1/Conv2d/weights": np.ones([3, 3, 3, 8], np.float32)},
            tf.compat.v1.train.SaverDef.V2,
        )
    with pytest.raises(CheckpointError, match="not a checkpoint of this source"):
        checkpoints.load(source, path, CLASSES)


@pytest.mark.parametrize("source", ["imagenet-caffe", "imagenet-torchvision"])
def test_other_state_dicts_are_refused(torch, tmp_path, source):
    torch.save({"layer3.0.conv2.weight": torch.zeros(1)}, tmp_path / "resnet18.pth")
    with pytest.raises(CheckpointError, match="not a checkpoint of this source"):
        checkpoints.load(source, tmp_path / "resnet18.pth", CLASSES)


def test_damaged_hdf5_is_refused(tmp_path):
    (tmp_path / "vgg16.h5").write_bytes(b"no HDF5")
    with pytest.raises(CheckpointError, match=r"vgg16\.h5: not an HDF5 file"):
        checkpoints.load("imagenet-keras", tmp_path / "vgg16.h5", CLASSES)
    with pytest.raises(FileNotFoundError, match=r"resnet\.h5: no such file"):
        checkpoints.load("imagenet-keras", tmp_path / "resnet.h5", CLASSES)
