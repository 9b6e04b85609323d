import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.checkpoints.layouts import (
    deltas_from_xywh,
    scales_for_epsilon,
    torch_batch_norm,
    torch_convolution,
    torch_dense,
    torch_depthwise,
)


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="the layouts are those of PyTorch")


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def normal(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def channels_first(torch, maps):
    return torch.tensor(maps).permute(0, 3, 1, 2)


def test_a_convolution_computes_what_pytorch_computes(torch, rng):
    kernel, bias, maps = (
        normal(rng, 5, 4, 3, 3),
        normal(rng, 5),
        normal(rng, 2, 6, 7, 4),
    )
    entries = torch_convolution("part/layer", "module")
    assert entries["part/layer/kernel"].names == ("module.weight",)
    assert entries["part/layer/bias"].names == ("module.bias",)
    own = tf.nn.conv2d(maps, entries["part/layer/kernel"].change(kernel), 1, "SAME")
    own += entries["part/layer/bias"].change(bias)
    there = torch.nn.functional.conv2d(
        channels_first(torch, maps), torch.tensor(kernel), torch.tensor(bias), padding=1
    )
    np.testing.assert_allclose(own, there.permute(0, 2, 3, 1), atol=1e-5)


def test_a_convolution_may_have_no_bias():
    assert set(torch_convolution("a/b", "c", has_bias=False)) == {"a/b/kernel"}


def test_a_depthwise_convolution_computes_what_pytorch_computes(torch, rng):
    kernel, maps = normal(rng, 4, 1, 3, 3), normal(rng, 2, 6, 7, 4)
    (entry,) = torch_depthwise("part/layer", "module").values()
    own = tf.nn.depthwise_conv2d(maps, entry.change(kernel), [1] * 4, "SAME")
    there = torch.nn.functional.conv2d(
        channels_first(torch, maps), torch.tensor(kernel), padding=1, groups=4
    )
    np.testing.assert_allclose(own, there.permute(0, 2, 3, 1), atol=1e-5)


@pytest.mark.parametrize("pooled", [None, 2])
def test_a_dense_layer_computes_what_pytorch_computes(torch, rng, pooled):
    maps, weight, bias = normal(rng, 3, 2, 2, 5), normal(rng, 7, 20), normal(rng, 7)
    entries = torch_dense("part/layer", "module", pooled=pooled)
    own = maps.reshape(3, -1) @ entries["part/layer/kernel"].change(weight) + bias
    flat = maps if pooled is None else np.transpose(maps, (0, 3, 1, 2))
    there = flat.reshape(3, -1) @ weight.T + bias
    np.testing.assert_allclose(own, there, atol=1e-5)


def test_outputs_of_a_layer_are_changed_in_kernel_and_bias_alike(rng):
    def reverse(array):
        return array[..., ::-1]

    for entries, shape in (
        (torch_convolution("a/b", "c", change=reverse), (4, 3, 1, 1)),
        (torch_dense("a/b", "c", change=reverse), (4, 3)),
    ):
        weight, bias = normal(rng, *shape), normal(rng, 4)
        kernel = entries["a/b/kernel"].change(weight).reshape(3, 4)
        np.testing.assert_array_equal(kernel, weight.reshape(4, 3).T[:, ::-1])
        np.testing.assert_array_equal(entries["a/b/bias"].change(bias), bias[::-1])


@pytest.mark.parametrize("epsilon", [0.0, 1e-5, 1e-3])
def test_a_batch_norm_computes_what_pytorch_computes(torch, rng, epsilon):
    arrays = {
        "module.weight": normal(rng, 4),
        "module.bias": normal(rng, 4),
        "module.running_mean": normal(rng, 4),
        "module.running_var": np.float32([1e-6, 1e-4, 0.1, 3]),
    }
    entries = torch_batch_norm("p/l", "module", epsilon=epsilon, own_epsilon=1e-5)
    own = {
        weight.rpartition("/")[2]: entry.change(*(arrays[n] for n in entry.names))
        for weight, entry in entries.items()
    }
    values = normal(rng, 8, 4) * 0.01
    found = tf.nn.batch_normalization(
        values,
        own["moving_mean"],
        own["moving_variance"],
        own["beta"],
        own["gamma"],
        1e-5,
    )
    order = ("running_mean", "running_var", "weight", "bias")
    tensors = [torch.tensor(arrays[f"module.{name}"]) for name in order]
    there = torch.nn.functional.batch_norm(torch.tensor(values), *tensors, eps=epsilon)
    np.testing.assert_allclose(found, there, rtol=2e-5, atol=2e-5)


def test_scales_do_not_change_where_the_epsilons_agree():
    scales = scales_for_epsilon(
        np.float32([0.5, 2]), np.float32([0, 1]), epsilon=1e-3, own_epsilon=1e-3
    )
    np.testing.assert_array_equal(scales, [0.5, 2])


def test_deltas_of_each_box_exchange_their_axes():
    array = np.arange(16).reshape(2, 8)
    expected = [[1, 0, 3, 2, 5, 4, 7, 6], [9, 8, 11, 10, 13, 12, 15, 14]]
    np.testing.assert_array_equal(deltas_from_xywh(array), expected)
