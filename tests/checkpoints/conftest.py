"""The rules that the two descendants of ChainerCV's detector in PyTorch share.

Written from the programs' descriptions, without any of this package's networks.
"""

import os
import threading
import urllib.request

import numpy as np
import pytest

from tf_frcnn.backbones import weight_files

VGG16_PLACES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))


class RandomModules:
    """State dict with random modules; kernels of He's scale.

    The rows of fully connected layers are shifted windows of one long sequence, which
    keeps files small.
    """

    def __init__(self, seed):
        import torch

        self.torch, self.arrays = torch, {}
        self.rng = torch.Generator().manual_seed(seed)

    def add(self, name, *shape, low=None, high=None, scale=1.0):
        is_large = np.prod(shape) > 1e7
        values = self.torch.empty(np.dot(shape, (11, 1)) if is_large else shape)
        if low is None:
            values.normal_(0.0, scale, generator=self.rng)
        else:
            values.uniform_(low, high, generator=self.rng)
        self.arrays[name] = values.as_strided(shape, (11, 1)) if is_large else values

    def layer(self, name, *shape, gain=1.4, bias=True):
        self.add(f"{name}.weight", *shape, scale=gain / np.sqrt(np.prod(shape[1:])))
        if bias:
            self.add(f"{name}.bias", shape[0], scale=0.1)

    def norm(self, name, channels):
        self.add(f"{name}.weight", channels, low=0.7, high=1.3)
        self.add(f"{name}.bias", channels, low=-0.2, high=0.3)
        self.add(f"{name}.running_mean", channels, low=-0.2, high=0.2)
        self.add(f"{name}.running_var", channels, low=0.5, high=1.5)
        self.arrays[f"{name}.num_batches_tracked"] = self.torch.tensor(1234)

    def vgg16(self, fc7, first_gain):
        channels = 3
        for places, width in zip(VGG16_PLACES, (64, 128, 256, 512, 512), strict=True):
            for place in places:
                gain = 1.4 if place else first_gain
                self.layer(f"extractor.{place}", width, channels, 3, 3, gain=gain)
                channels = width
        self.layer("head.classifier.0", 4096, 512 * 7 * 7)
        self.layer(f"head.classifier.{fc7}", 4096, 4096)

    def outputs(self, channels, hidden, num_classes, *, scores, deltas):
        self.layer("rpn.conv1", 512, channels, 3, 3)
        self.layer("rpn.score", 18, 512, 1, 1, gain=2.0)
        self.layer("rpn.loc", 36, 512, 1, 1, gain=0.4)
        self.layer("head.score", num_classes + 1, hidden, gain=scores)
        self.layer("head.cls_loc", 4 * (num_classes + 1), hidden, gain=deltas)


class TorchDetector:
    """A detector of these programs; boxes and deltas in the program's own order.

    Args:
        arrays: the state dict.
        axes: places of (y, x) in the program's order.
    """

    def __init__(self, arrays, axes):
        import torch

        self.torch, self.f = torch, torch.nn.functional
        self.arrays, self.axes = arrays, axes

    def conv(self, x, name, **settings):
        bias = self.arrays.get(f"{name}.bias")
        return self.f.conv2d(x, self.arrays[f"{name}.weight"], bias, **settings)

    def dense(self, x, name):
        return self.f.linear(
            x, self.arrays[f"{name}.weight"], self.arrays[f"{name}.bias"]
        )

    def vgg16(self, x):
        for block, places in enumerate(VGG16_PLACES):
            x = self.f.max_pool2d(x, 2, 2) if block else x
            for place in places:
                x = self.f.relu(self.conv(x, f"extractor.{place}", padding=1))
        return x

    def rpn(self, features):
        """Returns scores [h w A, 2] and deltas [h w A, 4]."""
        hidden = self.f.relu(self.conv(features, "rpn.conv1", padding=1))
        return [
            self.conv(hidden, f"rpn.{name}").permute(0, 2, 3, 1).reshape(-1, size)
            for name, size in (("score", 2), ("loc", 4))
        ]

    def anchors(self, map_size, offset):
        base = []
        for ratio in (0.5, 1, 2):
            for scale in (8, 16, 32):
                first = 16 * scale * np.sqrt(ratio) / 2
                second = 16 * scale * np.sqrt(1 / ratio) / 2
                base.append([-first, -second, first, second])
        cells = np.mgrid[: map_size[0], : map_size[1]] * 16
        shifts = np.stack([cells[axis] for axis in self.axes], -1)
        shifts = np.tile(shifts, 2)[:, :, np.newaxis]
        boxes = np.float32(base) + offset + shifts
        return self.torch.tensor(boxes.reshape(-1, 4), dtype=self.torch.float32)

    def propose(self, scores, deltas, anchors, size, min_size, num_before):
        """Returns the best 300 of boxes that are large enough."""
        boxes = self.clip(self.decode(anchors, deltas), size)
        large = (boxes[:, 2:] - boxes[:, :2] >= min_size).all(1)
        boxes, scores = boxes[large], scores.softmax(-1)[large, 1]
        best = scores.argsort(descending=True, stable=True)[:num_before]
        return boxes[best][suppress(boxes[best], scores[best], 0.7)[:300]]

    def decode(self, boxes, deltas):
        sides = boxes[:, 2:] - boxes[:, :2]
        centres = boxes[:, :2] + 0.5 * sides + deltas[:, :2] * sides
        half = 0.5 * sides * self.torch.exp(deltas[:, 2:])
        return self.torch.cat([centres - half, centres + half], 1)

    def clip(self, boxes, size):
        limits = self.torch.tensor([size[axis] for axis in self.axes] * 2)
        return boxes.clamp(min=0).minimum(limits.float())

    def pool(self, features, rois, pooled_size):
        """Returns maxima [R, C, S, S] of rois (y, x, y, x) in cells of the map."""
        features, pooled = features[0].numpy(), []
        rois = rois.numpy()
        corners = np.where(rois < 0, np.ceil(rois - 0.5), np.floor(rois + 0.5))
        for roi in corners.astype(int):
            edges = []
            for first, last, count in zip(
                roi[:2], roi[2:], features.shape[1:], strict=True
            ):
                side = np.float32(max(last - first + 1, 1)) / np.float32(pooled_size)
                bins = np.arange(pooled_size, dtype=np.float32)
                low, high = np.floor(bins * side), np.ceil((bins + 1) * side)
                spans = np.clip(np.stack([low, high], -1) + first, 0, count)
                edges.append(spans.astype(int))
            rows = [features[:, a:b].max(1, initial=0) for a, b in edges[0]]
            cells = [
                [row[:, a:b].max(1, initial=0) for a, b in edges[1]] for row in rows
            ]
            pooled.append(np.transpose(cells, (2, 0, 1)))
        return self.torch.tensor(np.stack(pooled))

    def detections(self, boxes, scores, threshold, iou):
        """Returns rows (label, score, ymin, xmin, ymax, xmax), class by class."""
        found = []
        yxyx = [*self.axes, *(axis + 2 for axis in self.axes)]
        for label in range(1, scores.shape[1]):
            above = scores[:, label] > threshold
            own, own_scores = boxes[above, label], scores[above, label]
            for row in suppress(own, own_scores, iou):
                found.append((label - 1, own_scores[row], *own[row][yxyx]))
        return np.array(found, np.float32).reshape(-1, 6)


def suppress(boxes, scores, threshold):
    """Returns the rows that are kept, best first."""
    boxes, kept = boxes.numpy(), []
    rest = scores.argsort(descending=True, stable=True).numpy()
    while len(rest):
        best, rest = rest[0], rest[1:]
        kept.append(int(best))
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        both = np.prod(np.maximum(high - low, 0), -1)
        areas = np.prod(boxes[:, 2:] - boxes[:, :2], -1)
        rest = rest[both / (areas[best] + areas[rest] - both) <= threshold]
    return kept


@pytest.fixture(scope="module", autouse=True)
def room_for_shifted_windows():
    """Lets small files hold large layers, as `RandomModules` writes them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weight_files, "_SPARE", 2**30)
        yield


@pytest.fixture
def usual_room(monkeypatch):
    """Gives files the room that they have outside of these tests."""
    monkeypatch.setattr(weight_files, "_SPARE", 2**20)


@pytest.fixture(scope="session")
def torch_parts():
    """Gives `RandomModules` and `TorchDetector`."""
    pytest.importorskip("torch", reason="PyTorch reads and runs the originals")
    return RandomModules, TorchDetector


@pytest.fixture(scope="session")
def draw():
    """Gives a function that draws an image of a size, uint8 [h, w, 3]."""

    def draw_image(height, width, seed):
        rng = np.random.default_rng(seed)
        blocks = rng.uniform(0, 255, (height // 40 + 1, width // 40 + 1, 3))
        image = np.kron(blocks, np.ones((40, 40, 1)))[:height, :width]
        for _ in range(12):
            top, left = rng.integers(0, (height - 20, width - 20))
            rows, columns = rng.integers(20, (height, width))
            image[top : top + rows, left : left + columns] += rng.normal(0, 60, 3)
        return np.clip(image, 0, 255).astype(np.uint8)

    return draw_image


@pytest.fixture(scope="session")
def share_found():
    """Gives the share of expected detections that were found, and the other way round.

    A detection is found if one of its class is within 0.05 pixels and 0.0005.
    """

    def shares(found, expected):
        labels = found[:, np.newaxis, 0] == expected[:, 0]
        scores = np.abs(found[:, np.newaxis, 1] - expected[:, 1]) < 5e-4
        boxes = np.abs(found[:, np.newaxis, 2:] - expected[:, 2:]).max(-1) < 0.05
        same = labels & scores & boxes
        return min(same.any(0).mean(), same.any(1).mean())

    return shares


@pytest.fixture
def server():
    """Gives a server of one file on this machine."""
    from tests.helpers.file_server import Server

    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.ended.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Gives a folder for downloads, without proxies or mirrors of the machine's."""
    monkeypatch.setenv("TF_FRCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TF_FRCNN_MIRROR", raising=False)
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(urllib.request, "_opener", None)
    return tmp_path / "cache" / "weights"
