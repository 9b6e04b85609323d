"""torchvision's classifiers under their names, in plain PyTorch.

Written from the descriptions of the networks, without anything of tf_frcnn.
"""

import numpy as np

VGG16_PLACES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
VGG16_CHANNELS = (64, 64, 128, 128, *[256] * 3, *[512] * 6)
FC_UNITS = 64  # of the files' 4096


class TorchNetwork:
    """VGG16 and ResNet-50 of torchvision:models by the names of their state dicts."""

    def __init__(self, torch):
        self.torch, self.f = torch, torch.nn.functional
        self.rng, self.state = torch.Generator().manual_seed(4), {}

    def layer(self, name, *shape, gain=1.4, bias=True):
        values = self.torch.empty(shape).normal_(generator=self.rng)
        self.state[f"{name}.weight"] = values * gain / np.sqrt(np.prod(shape[1:]))
        if bias:
            values = self.torch.empty(shape[0]).normal_(generator=self.rng)
            self.state[f"{name}.bias"] = 0.1 * values

    def norm(self, name, channels, low=0.7):
        for variable, start, end in (
            ("weight", low, low + 0.5),
            ("bias", -0.2, 0.3),
            ("running_mean", -0.2, 0.2),
            ("running_var", 0.5, 1.5),
        ):
            values = self.torch.empty(channels).uniform_(start, end, generator=self.rng)
            self.state[f"{name}.{variable}"] = values
        self.state[f"{name}.num_batches_tracked"] = self.torch.tensor(77)

    def add_vgg16(self, fc6=0, first_gain=1.4):
        channels = 3
        for place, width in zip(VGG16_PLACES, VGG16_CHANNELS, strict=True):
            gain = 1.4 if place else first_gain
            self.layer(f"features.{place}", width, channels, 3, 3, gain=gain)
            channels = width
        self.layer(f"classifier.{fc6}", FC_UNITS, 512 * 49)
        self.layer(f"classifier.{fc6 + 3}", FC_UNITS, FC_UNITS)
        self.layer("classifier.6", 1000, FC_UNITS)

    def add_resnet50(self):
        self.layer("conv1", 64, 3, 7, 7, bias=False)
        self.norm("bn1", 64)
        channels = 64
        for number, units in enumerate((3, 4, 6, 3), start=1):
            width = 32 * 2**number
            for unit in range(units):
                name = f"layer{number}.{unit}"
                shapes = [
                    (width, channels, 1),
                    (width, width, 3),
                    (4 * width, width, 1),
                ]
                for k, (outer, inner, size) in enumerate(shapes, start=1):
                    self.layer(f"{name}.conv{k}", outer, inner, size, size, bias=False)
                    self.norm(f"{name}.bn{k}", outer, low=0.7 if k < 3 else 0.1)
                if unit == 0:
                    down = f"{name}.downsample"
                    self.layer(f"{down}.0", 4 * width, channels, 1, 1, bias=False)
                    self.norm(f"{down}.1", 4 * width)
                channels = 4 * width
        self.layer("fc", 1000, 2048)

    def conv(self, x, name, stride=1):
        weight = self.state[f"{name}.weight"]
        bias, padding = self.state.get(f"{name}.bias"), weight.shape[-1] // 2
        return self.f.conv2d(x, weight, bias, stride, padding)

    def normalized(self, x, conv, norm, stride=1):
        names = ("running_mean", "running_var", "weight", "bias")
        values = (self.state[f"{norm}.{variable}"] for variable in names)
        return self.f.batch_norm(self.conv(x, conv, stride), *values)

    def vgg16(self, x, ceil_mode=False):
        for place in VGG16_PLACES:
            if place in (5, 10, 17, 24):
                x = self.f.max_pool2d(x, 2, 2, ceil_mode=ceil_mode)
            x = self.f.relu(self.conv(x, f"features.{place}"))
        return x

    def head(self, x, fc6=0):
        x = x.flatten(1)
        for place in (fc6, fc6 + 3):
            weight, bias = (
                self.state[f"classifier.{place}.{v}"] for v in ("weight", "bias")
            )
            x = self.f.relu(self.f.linear(x, weight, bias))
        return x.numpy()

    def resnet50(self, x):
        x = self.f.relu(self.normalized(x, "conv1", "bn1", 2))
        x = self.f.max_pool2d(x, 3, 2, 1)
        for number, units in enumerate((3, 4, 6, 3), start=1):
            for unit in range(units):
                name, shortcut = f"layer{number}.{unit}", x
                stride = 2 if unit == 0 and number > 1 else 1
                if unit == 0:
                    down = f"{name}.downsample"
                    shortcut = self.normalized(x, f"{down}.0", f"{down}.1", stride)
                for k in (1, 2, 3):
                    own = stride if k == 2 else 1
                    x = self.normalized(x, f"{name}.conv{k}", f"{name}.bn{k}", own)
                    x = self.f.relu(x if k < 3 else x + shortcut)
        return x

    def save(self, path):
        self.torch.save(self.state, path)
        return path

    def nchw(self, array):
        array = np.ascontiguousarray(np.moveaxis(array, -1, 1), np.float32)
        return self.torch.from_numpy(array)
