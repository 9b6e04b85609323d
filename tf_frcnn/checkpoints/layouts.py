"""How other programs lay out the weights that this one has too.

Each function makes entries of a name map, "part/layer/variable" -> `Taken`, or changes
an array from the layout of another program to Keras's.
"""

import functools

import numpy as np

from tf_frcnn.checkpoints.name_map import NameMap, Taken

_XYWH_TO_YXHW = (1, 0, 3, 2)


def torch_convolution(
    weight: str, name: str, *, has_bias: bool = True, change=np.asarray
) -> NameMap:
    """Maps a convolution of PyTorch.

    Args:
        weight: "part/layer".
        name: of the module; its kernel is [C2, C, k, k].
        has_bias: whether it has one.
        change: of the output channels of kernel and bias, the last axis.
    """

    def kernel(array):
        return change(np.transpose(array, (2, 3, 1, 0)))

    entries = {f"{weight}/kernel": Taken((f"{name}.weight",), kernel)}
    if has_bias:
        entries[f"{weight}/bias"] = Taken((f"{name}.bias",), change)
    return entries


def torch_depthwise(weight: str, name: str) -> NameMap:
    """Maps a convolution of PyTorch with as many groups as channels, kernel
    [C, 1, k, k], without bias.
    """
    return {
        f"{weight}/kernel": Taken(
            (f"{name}.weight",), lambda array: np.transpose(array, (2, 3, 0, 1))
        )
    }


def torch_dense(weight: str, name: str, *, change=np.asarray, pooled=None) -> NameMap:
    """Maps a fully connected layer of PyTorch.

    Args:
        weight: "part/layer".
        name: of the module; its weight is [C2, C].
        change: of the outputs of weight and bias, the last axis.
        pooled: S, where the input is a flattened map [C, S, S]; the result takes one
            of [S, S, C].
    """

    def kernel(array):
        if pooled is not None:
            maps = array.reshape(len(array), -1, pooled, pooled)
            array = np.transpose(maps, (0, 2, 3, 1)).reshape(len(array), -1)
        return change(array.T)

    return {
        f"{weight}/kernel": Taken((f"{name}.weight",), kernel),
        f"{weight}/bias": Taken((f"{name}.bias",), change),
    }


def torch_batch_norm(
    weight: str, name: str, *, epsilon: float = 1e-5, own_epsilon: float = 1e-5
) -> NameMap:
    """Maps a batch normalisation of PyTorch, frozen or not.

    Args:
        weight: "part/layer".
        name: of the module.
        epsilon: the original adds it to the variance.
        own_epsilon: the layer adds it to the variance; what differs goes into the
            scales.
    """
    rescale = functools.partial(
        scales_for_epsilon, epsilon=epsilon, own_epsilon=own_epsilon
    )
    scales = (f"{name}.weight", f"{name}.running_var")
    return {
        f"{weight}/gamma": Taken(scales[:1])
        if epsilon == own_epsilon
        else Taken(scales, rescale),
        f"{weight}/beta": Taken((f"{name}.bias",)),
        f"{weight}/moving_mean": Taken((f"{name}.running_mean",)),
        f"{weight}/moving_variance": Taken((f"{name}.running_var",)),
    }


def scales_for_epsilon(scales, variances, *, epsilon, own_epsilon):
    """Returns scales [C] with which another epsilon gives the same normalisation.

    Args:
        scales: [C], of the original.
        variances: [C].
        epsilon: that the original adds to the variances.
        own_epsilon: that will be added.
    """
    variances = variances.astype(np.float64)
    factors = np.sqrt((variances + own_epsilon) / (variances + epsilon))
    return scales * factors


def deltas_from_xywh(array: np.ndarray) -> np.ndarray:
    """Brings (dx, dy, dw, dh) of each box, the last axis, to (dy, dx, dh, dw).

    Args:
        array: [..., 4 n], box after box.
    """
    boxes = array.reshape(*array.shape[:-1], -1, 4)
    return boxes[..., _XYWH_TO_YXHW].reshape(array.shape)
