"""tf-slim's networks under their names, and tf-faster-rcnn's way from them to boxes.

Written from the programs' descriptions, without anything of tf_frcnn.
"""

import functools

import numpy as np
import tensorflow as tf

UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
MOBILENET = (64, 128, 128, 256, 256, *[512] * 6, 1024, 1024)


# The checkpoints ---------------------------------------------------------------------


class Variables:
    """Random variables under the names of tf-slim; kernels of He's scale."""

    def __init__(self, scope):
        self.scope, self.arrays = scope, {}
        self.rng = np.random.default_rng(5)

    def add(self, name, array):
        self.arrays[f"{self.scope}/{name}"] = np.asarray(array, np.float32)

    def layer(self, name, *shape, gain=1.4):
        scale = gain / np.sqrt(np.prod(shape[:-1]))
        kernel = self.rng.standard_normal(shape, np.float32)
        kernel *= scale
        self.add(f"{name}/weights", kernel)
        self.add(f"{name}/biases", 0.1 * self.rng.standard_normal(shape[-1]))

    def normalized(self, name, *shape, gain=1.4, kernel="weights"):
        fan_in = shape[0] * shape[1] * (1 if "depth" in kernel else shape[2])
        values = self.rng.standard_normal(shape) * gain / np.sqrt(fan_in)
        self.add(f"{name}/{kernel}", values)
        channels = shape[2] if "depth" in kernel else shape[3]
        for statistic, low, high in (
            ("gamma", 0.7, 1.3),
            ("beta", -0.2, 0.3),
            ("moving_mean", -0.2, 0.2),
            ("moving_variance", 0.5, 1.5),
        ):
            values = self.rng.uniform(low, high, channels)
            self.add(f"{name}/BatchNorm/{statistic}", values)

    def outputs(self, channels, hidden, level, num_scales, num_classes):
        self.layer("rpn_conv/3x3", 3, 3, channels, 512, gain=1.4 / level)
        self.layer("rpn_cls_score", 1, 1, 512, 6 * num_scales, gain=3.0)
        self.layer("rpn_bbox_pred", 1, 1, 512, 12 * num_scales, gain=0.25)
        self.layer("cls_score", hidden, num_classes + 1, gain=8.0 / level)
        self.layer("bbox_pred", hidden, 4 * (num_classes + 1), gain=2.0 / level)


# Each returns the channels of backbone and head, and how large their features are.


def vgg16(variables):
    channels = 3
    for block, (count, width) in enumerate(
        ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), start=1
    ):
        for number in range(1, count + 1):
            name = f"conv{block}/conv{block}_{number}"
            gain = 0.02 if channels == 3 else 1.4
            variables.layer(name, 3, 3, channels, width, gain=gain)
            channels = width
    # The original has 4096 units.
    variables.layer("fc6", 7 * 7 * 512, 256)
    variables.layer("fc7", 256, 256)
    return 512, 256, 1.0


def resnet50(variables):
    variables.normalized("conv1", 7, 7, 3, 64, gain=0.02)
    channels = 64
    for block, units in enumerate(UNITS[50], start=1):
        depth = 32 * 2**block
        for unit in range(1, units + 1):
            name = f"block{block}/unit_{unit}/bottleneck_v1"
            if unit == 1:
                variables.normalized(f"{name}/shortcut", 1, 1, channels, 4 * depth)
            variables.normalized(f"{name}/conv1", 1, 1, channels, depth)
            variables.normalized(f"{name}/conv2", 3, 3, depth, depth)
            variables.normalized(f"{name}/conv3", 1, 1, depth, 4 * depth, gain=0.4)
            channels = 4 * depth
    return 1024, 2048, 3.0


def mobilenet(variables):
    variables.normalized("Conv2d_0", 3, 3, 3, 32, gain=0.02)
    channels = 32
    for number, width in enumerate(MOBILENET, start=1):
        name = f"Conv2d_{number}"
        depthwise = {"kernel": "depthwise_weights", "gain": 1.6}
        variables.normalized(f"{name}_depthwise", 3, 3, channels, 1, **depthwise)
        variables.normalized(f"{name}_pointwise", 1, 1, channels, width, gain=1.6)
        channels = width
    return 512, 1024, 1.7


def random_arrays(scope, num_scales=3, num_classes=20):
    variables = Variables(scope)
    build = {"vgg_16": vgg16, "resnet_v1_50": resnet50, "MobilenetV1": mobilenet}
    variables.outputs(*build[scope](variables), num_scales, num_classes)
    return variables.arrays


def write_checkpoint(path, arrays, version):
    """Saves a graph of TensorFlow 1 in training, with Momentum's slots."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        feed, variables = {}, []
        for name, array in arrays.items():
            value = tf.compat.v1.placeholder(tf.float32, array.shape)
            variables.append(
                tf.compat.v1.Variable(value, name=name, use_resource=False)
            )
            feed[value] = array
        step = tf.compat.v1.train.get_or_create_global_step()
        rate = tf.compat.v1.Variable(0.001, trainable=False)
        small = [v for v in variables if v.shape.num_elements() < 1e6]
        loss = tf.add_n([tf.reduce_sum(v) for v in small])
        optimizer = tf.compat.v1.train.MomentumOptimizer(rate, 0.9)
        optimizer.minimize(loss, step, var_list=small)
        session.run(tf.compat.v1.global_variables_initializer(), feed)
        saver = tf.compat.v1.train.Saver(write_version=version)
        return saver.save(session, str(path))


# The original ------------------------------------------------------------------------


class Original:
    """The network of a scope, as lib/nets describes it, and its test."""

    def __init__(self, arrays, scope):
        self.scope = scope
        self.w = {n.removeprefix(f"{scope}/"): a for n, a in arrays.items()}

    def layer(self, x, name, padding="SAME"):
        return (
            tf.nn.conv2d(x, self.w[f"{name}/weights"], 1, padding)
            + (self.w[f"{name}/biases"])
        )

    def dense(self, x, name):
        return x @ self.w[f"{name}/weights"] + self.w[f"{name}/biases"]

    def normalized(self, x, name, stride=1, epsilon=1e-5):
        depthwise = f"{name}/depthwise_weights" in self.w
        kernel = self.w[f"{name}/{'depthwise_' * depthwise}weights"]
        padding = "SAME"
        if stride > 1 and kernel.shape[0] > 1:
            border = (kernel.shape[0] - 1) // 2
            x = tf.pad(x, [[0, 0], [border] * 2, [border] * 2, [0, 0]])
            padding = "VALID"
        convolve = tf.nn.depthwise_conv2d if depthwise else tf.nn.conv2d
        x = convolve(x, kernel, [1, stride, stride, 1], padding)
        gamma, beta, mean, variance = (
            self.w[f"{name}/BatchNorm/{s}"]
            for s in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta

    def block(self, x, number, last_stride):
        for unit in range(1, UNITS[50][number - 1] + 1):
            name = f"block{number}/unit_{unit}/bottleneck_v1"
            stride = last_stride if unit == UNITS[50][number - 1] else 1
            shortcut = x[:, ::stride, ::stride]
            if unit == 1:
                shortcut = self.normalized(x, f"{name}/shortcut")
            found = tf.nn.relu(self.normalized(x, f"{name}/conv1"))
            found = tf.nn.relu(self.normalized(found, f"{name}/conv2", stride))
            x = tf.nn.relu(shortcut + self.normalized(found, f"{name}/conv3"))
        return x

    def separable(self, x, number):
        stride = 2 if number in (2, 4, 6) else 1
        for kind, own in (("depthwise", stride), ("pointwise", 1)):
            name = f"Conv2d_{number}_{kind}"
            x = tf.nn.relu6(self.normalized(x, name, own, epsilon=1e-3))
        return x

    def backbone(self, x):
        if self.scope == "vgg_16":
            for block, count in enumerate((2, 2, 3, 3, 3), start=1):
                if block > 1:
                    x = tf.nn.max_pool2d(x, 2, 2, "SAME")
                for number in range(1, count + 1):
                    x = tf.nn.relu(self.layer(x, f"conv{block}/conv{block}_{number}"))
            return x
        if self.scope == "MobilenetV1":
            x = tf.nn.relu6(self.normalized(x, "Conv2d_0", 2, epsilon=1e-3))
            return functools.reduce(self.separable, range(1, 12), x)
        x = tf.nn.relu(self.normalized(x, "conv1", 2))
        x = tf.nn.max_pool2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 2, "VALID")
        for number, stride in ((1, 2), (2, 2), (3, 1)):
            x = self.block(x, number, stride)
        return x

    def head(self, pooled):
        if self.scope == "vgg_16":
            hidden = tf.nn.relu(self.dense(tf.reshape(pooled, [-1, 25088]), "fc6"))
            return tf.nn.relu(self.dense(hidden, "fc7"))
        if self.scope == "MobilenetV1":
            pooled = functools.reduce(self.separable, (12, 13), pooled)
        else:
            pooled = self.block(pooled, 4, 1)
        return tf.reduce_mean(pooled, [1, 2])

    def crop(self, features, rois):
        extent = 16.0 * (np.array(features.shape[1:3], np.float32) - 1)
        boxes = rois[:, [1, 0, 3, 2]] / np.tile(extent, 2)
        is_resnet = self.scope.startswith("resnet")
        size = [7, 7] if is_resnet else [14, 14]
        index = np.zeros(len(rois), np.int32)
        crops = tf.image.crop_and_resize(features, boxes, index, size)
        return crops if is_resnet else tf.nn.max_pool2d(crops, 2, 2, "SAME")

    def run(self, blob, image_scale, file_size, num_proposals=300):
        """Runs an image; boxes are (xmin, ymin, xmax, ymax)."""
        features = self.backbone(blob)
        rpn = tf.nn.relu(self.layer(features, "rpn_conv/3x3"))
        scores = self.layer(rpn, "rpn_cls_score", "VALID").numpy()
        deltas = self.layer(rpn, "rpn_bbox_pred", "VALID").numpy()
        num_anchors = scores.shape[-1] // 2
        objects = 1 / (
            1 + np.exp(scores[..., :num_anchors] - scores[..., num_anchors:])
        )
        boxes = decode(
            anchors_of(features.shape[1:3], num_anchors), deltas.reshape(-1, 4)
        )
        last = np.array(blob.shape[1:3])[[1, 0, 1, 0]] - 1
        boxes = np.clip(boxes, 0, last)
        kept = tf.image.non_max_suppression(boxes, objects.ravel(), num_proposals, 0.7)
        rois = boxes[kept.numpy()]
        pooled = self.crop(features, rois)
        hidden = self.head(pooled)
        logits = self.dense(hidden, "cls_score").numpy()
        head_deltas = self.dense(hidden, "bbox_pred").numpy()
        num_sets = logits.shape[-1]
        moved = decode(
            np.repeat(rois / np.float32(image_scale), num_sets, axis=0),
            head_deltas.reshape(-1, 4) * [0.1, 0.1, 0.2, 0.2],
        ).reshape(len(rois), num_sets, 4)
        moved[..., :2] = np.maximum(moved[..., :2], 0)
        moved[..., 2:] = np.minimum(moved[..., 2:], np.array(file_size)[::-1] - 1)
        return {
            "features": features.numpy(),
            "rpn_cls_score": scores,
            "rpn_bbox_pred": deltas,
            "rois": rois,
            "logits": logits,
            "deltas": head_deltas.reshape(len(rois), num_sets, 4),
            "detections": suppress(moved, tf.nn.softmax(logits).numpy()),
        }


def anchors_of(map_size, num_anchors):
    """Returns the anchors about 7.5, of whole-pixel windows, [h * w * A, 4]."""
    windows = []
    for width, height in ((23, 12), (16, 16), (11, 22)):
        for scale in (4, 8, 16, 32)[4 - num_anchors // 3 :]:
            half = (np.array([width, height]) * scale - 1) / 2
            windows.append([*(7.5 - half), *(7.5 + half)])
    rows, columns = np.mgrid[: map_size[0], : map_size[1]] * 16
    shifts = np.stack([columns, rows, columns, rows], -1)
    return (shifts[:, :, np.newaxis] + np.array(windows)).reshape(-1, 4)


def decode(boxes, deltas):
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    centres = boxes[:, :2] + 0.5 * sides + deltas[:, :2] * sides
    half = 0.5 * sides * np.exp(deltas[:, 2:])
    return np.concatenate([centres - half, centres + half], -1).astype(np.float32)


def suppress(boxes, scores):
    """Returns rows (label, score, box), of all classes the best 100."""
    found = []
    for label in range(1, scores.shape[1]):
        rest = list(np.argsort(-scores[:, label], kind="stable"))
        while rest:
            best = rest.pop(0)
            found.append((label - 1, scores[best, label], *boxes[best, label]))
            overlaps = iou_plus_one(boxes[best, label], boxes[rest, label])
            rest = list(np.array(rest)[overlaps <= 0.3])
    found = np.array(found)
    return found[np.argsort(-found[:, 1], kind="stable")][:100]


def iou_plus_one(box, others):
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    both = np.prod(np.maximum(high - low + 1, 0), -1)
    areas = np.prod(others[:, 2:] - others[:, :2] + 1, -1)
    return both / (np.prod(box[2:] - box[:2] + 1) + areas - both)
