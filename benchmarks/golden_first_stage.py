"""Compares anchors, box arithmetic, RPN targets and proposals with tests/golden.

Each function is named after its file, takes the file's arrays and yields `Row`s.
"""

import numpy as np
import tensorflow as tf
from golden_compare import (
    EVERYTHING,
    LOG_1000_16,
    SEED,
    YX,
    cases_of,
    in_graph,
    row,
)

from tf_frcnn import layers
from tf_frcnn.ops import box_coder, boxes, rpn_scores
from tf_frcnn.structures import Anchors, RPNOutputs


def lay_anchors(case, style, *, ratios=(0.5, 1.0, 2.0)):
    size, stride = [int(case[key]) for key in ("height", "width")], 16
    stride = int(case.get("stride", stride))
    scales = tuple(case.get("scales", (8, 16, 32)))
    grid = layers.AnchorGrid((stride,), style=style, ratios=ratios, scales=scales)
    canvas = np.int32(size) * stride
    return in_graph(
        lambda maps: grid([maps], canvas[np.newaxis].astype("float32"), canvas),
        np.zeros([1, *size, 1], np.float32),
    )


def anchors_tf_faster_rcnn(stored):
    yield row(
        "anchors",
        [
            (lay_anchors(case, "caffe", ratios=tuple(case["ratios"])).boxes, expected)
            for case in cases_of(stored)
            for expected in [case["grid"][:, YX]]
        ],
    )


def anchors_chainer(stored):
    cases = list(cases_of(stored))
    centred = [lay_anchors(c, "centred", ratios=tuple(c["ratios"])) for c in cases]
    corner = [lay_anchors(c, "corner", ratios=tuple(1 / c["ratios"])) for c in cases]
    expected = [case["chenyuntc_grid"] for case in cases]
    found = [anchors.boxes for anchors in centred]
    yield row("chenyuntc", zip(found, expected, strict=True), atol=1e-4)
    expected = [case["bubbliiiing_grid"][:, YX] for case in cases]
    found = [anchors.boxes for anchors in corner]
    yield row("bubbliiiing", zip(found, expected, strict=True), atol=1e-4)


def lay_pyramid(style, strides, scales, ratios, canvas, map_sizes):
    grid = layers.AnchorGrid(strides, style=style, ratios=ratios, scales=scales)
    maps = [np.zeros([1, *size, 1], np.float32) for size in map_sizes]
    size = np.float32(canvas[np.newaxis])
    return in_graph(lambda *maps: grid(maps, size, np.int32(canvas)), *maps).boxes


def anchors_torchvision(stored):
    pairs = []
    for case in cases_of(stored):
        # The sizes are multiples of the strides; a level's base may be any divisor.
        strides = [int(level[0]) // 8 for level in case["sizes"]]
        scales = tuple(case["sizes"][0] / strides[0])
        rest = tuple(case["ratios"]), case["image_hw"], case["grid_hw"]
        found = lay_pyramid("torchvision", strides, scales, *rest)
        pairs.append((found, case["anchors_t"].T[:, YX]))
    yield row("anchors", pairs)


def anchors_fpn_scale_stride(stored):
    pairs = []
    for case in cases_of(stored):
        strides, canvas = case["strides"].tolist(), case["image_hw"]
        sizes = [canvas // stride for stride in strides]
        scales, ratios = (float(case["scale"]),), tuple(case["ratios"])
        found = lay_pyramid("centred", strides, scales, ratios, canvas, sizes)
        pairs.append((found, case["anchors"][:, YX]))
    yield row("anchors", pairs, atol=1e-4)


def box_coding(stored):
    def of(name, columns):
        return stored[name].reshape(200, -1, 4)[..., columns]

    encoded, decoded = [], []
    for name, columns, plus_one, stds in [
        ("tfr", YX, True, (1.0,) * 4),
        ("chn", range(4), False, (1.0,) * 4),
        ("bub", YX, False, (1.0,) * 4),
        ("tv_w1_1_1_1", YX, False, (1.0,) * 4),
        ("tv_w10_10_5_5", YX, False, (0.1, 0.1, 0.2, 0.2)),
    ]:
        settings = {"stds": stds, "plus_one": plus_one}
        prefix = "chn_" if name == "chn" else ""
        sources, targets = (of(prefix + key, columns) for key in ("src", "dst"))
        found = in_graph(box_coder.encode_boxes, targets, sources, **settings)
        encoded.append((found, of(f"{name}_encode", columns)))
        if name.startswith("tv"):
            settings["max_log_scale"] = LOG_1000_16
        weights = np.divide(1, stds).astype(np.float32)
        for suffix, factor in (("", 1), ("_k", 1), ("_big", weights)):
            if f"{name}_decode{suffix}" in stored:
                deltas = of(f"deltas{suffix}", columns) * factor
                found = in_graph(box_coder.decode_boxes, deltas, sources, **settings)
                decoded.append((found, of(f"{name}_decode{suffix}", columns)))
    yield row("encoded", encoded[:4], atol=5e-5)
    yield row("encoded, weights 10", encoded[4:], atol=1e-4)
    yield row("decoded, pixels", decoded, atol=2e-4, rtol=1e-6)
    size = stored["image_hw"][np.newaxis].astype(np.float32)
    clipped = []
    for given, name, plus_one in [
        ("tfr_decode", "tfr_clip", True),
        ("tfr_decode_k", "tfr_clip_k", True),
        ("far", "tfr_clip_far", True),
        ("tfr_decode", "tv_clip", False),
    ]:
        given, expected = (stored[n].reshape(1, -1, 4)[..., YX] for n in (given, name))
        found = in_graph(boxes.clip_to_image, given, size, plus_one=plus_one)
        clipped.append((found, expected))
    yield row("clipped, pixels", clipped, atol=2e-4, rtol=1e-6)


def iou(stored):
    pairs = []
    for form in ("plain", "plain_chn", "plus1"):
        first, second, special = (stored[name][:, YX] for name in ("a", "b", "special"))
        settings = {"plus_one": form == "plus1"}
        found = in_graph(boxes.pairwise_iou, first, second, **settings)
        pairs.append((found, stored[form]))
        found = in_graph(boxes.pairwise_iou, special, special, **settings)
        # 0 / 0 is NaN in the references.
        pairs.append((found, np.nan_to_num(stored[f"special_{form}"])))
    yield row("IoU", pairs, atol=1e-6)


def anchor_targets(anchors, sizes, gt_boxes, **settings):
    layer = layers.AnchorTargetLayer(num_samples=EVERYTHING, **settings)
    # One padded row, so that a picture may have no ground truth.
    gt_boxes = np.pad(gt_boxes[np.newaxis], [(0, 0), (0, 1), (0, 0)])
    gt_labels = np.zeros(gt_boxes.shape[:2], np.int32)
    gt_labels[:, -1] = -1
    sizes = np.float32(sizes)[np.newaxis]
    labels, deltas = in_graph(layer, anchors, sizes, gt_boxes, gt_labels, SEED)
    return labels[0], deltas[0]


def anchor_target_rows(labels, deltas):
    yield row("labels", labels)
    yield row("deltas", deltas, atol=1e-5)


def anchor_target_tf_faster_rcnn(stored):
    label_pairs, delta_pairs = [], []
    for case in cases_of(stored):
        anchors, gt_boxes = lay_anchors(case, "caffe"), case["gt_boxes"][:, :4][:, YX]
        labels, deltas = anchor_targets(
            anchors,
            case["im_info"][:2],
            gt_boxes,
            clobber_positives=bool(case["clobber"]),
            plus_one=True,
        )
        height, width = case["bbox_targets"].shape[1:3]
        expected = case["labels"].reshape(-1, height, width).transpose(1, 2, 0)
        if case["name"] != "out_of_reach":
            label_pairs.append((labels, expected.ravel()))
        delta_pairs.append((deltas, case["bbox_targets"].reshape(-1, 4)[:, YX]))
    yield from anchor_target_rows(label_pairs, delta_pairs)


def anchor_target_chenyuntc(stored):
    label_pairs, delta_pairs = [], []
    for case in cases_of(stored):
        anchors = lay_anchors(case, "centred")
        labels, deltas = anchor_targets(anchors, case["image_hw"], case["gt_bbox"])
        if case["name"] != "out_of_reach":
            label_pairs.append((labels, case["labels"]))
        delta_pairs.append((deltas, case["loc"]))
    yield from anchor_target_rows(label_pairs, delta_pairs)


def whole(anchor_boxes, level_sizes=None):
    if level_sizes is None:
        level_sizes = [len(anchor_boxes)]
    valid = np.ones([1, len(anchor_boxes)], bool)
    return Anchors(anchor_boxes, valid, tuple(np.int32(level_sizes)))


def anchor_target_torchvision(stored):
    label_pairs, delta_pairs = [], []
    anchors = whole(stored["anchors"][:, YX])
    for case in cases_of(stored):
        gt_boxes = case["gt_boxes"][:, YX]
        labels, deltas = anchor_targets(
            anchors, stored["image_hw"], gt_boxes, allowed_border=None
        )
        label_pairs.append((labels, case["labels"]))
        if "targets" in case:
            positive = labels == 1  # Others have no target here.
            expected = case["targets"][:, YX][positive]
            delta_pairs.append((deltas[positive], expected))
    yield from anchor_target_rows(label_pairs, delta_pairs)


def proposals(layer, scores, deltas, anchors, sizes, scale=1.0, *, training=False):
    """Returns boxes and scores of the valid proposals of one picture."""
    scores, deltas = (np.float32(values)[np.newaxis] for values in (scores, deltas))
    rpn = RPNOutputs(scores[..., np.newaxis], scores, deltas)
    sizes, scales = np.float32([sizes]), np.full([1, 2], scale, np.float32)
    found = in_graph(layer, rpn, anchors, sizes, scales, training=training)
    return found.boxes[found.valid], found.scores[found.valid]


def proposals_tf_faster_rcnn(stored):
    layer_of = {
        "": layers.ProposalLayer(plus_one=True),
        "_graph": layers.ProposalLayer(
            train_counts=(None, 2000),
            test_counts=(None, 300),
            plus_one=True,
            nms_plus_one=False,
        ),
    }
    found = {"": [], "_graph": [], "top": []}
    for case in cases_of(stored):
        inputs = (
            case["rpn_cls_prob"][..., 9:].ravel(),
            case["rpn_bbox_pred"].reshape(-1, 4)[:, YX],
            whole(lay_anchors(case, "caffe").boxes),
            case["im_info"][:2],
        )
        runs = [
            (form, f"{phase}{form}", layer, phase == "train")
            for form, layer in layer_of.items()
            for phase in ("train", "test")
        ]
        top = (None, int(case["top_n"]))
        top = layers.ProposalLayer(test_counts=top, test_nms=False, plus_one=True)
        for form, name, layer, training in [*runs, ("top", "top", top, False)]:
            rois, scores = proposals(layer, *inputs, training=training)
            expected = case[f"{name}_rois"][:, 1:][:, YX], case[f"{name}_scores"][:, 0]
            found[form].append((rois, scores, *expected))
    names = {"": "NumPy layer", "_graph": "in-graph layer", "top": "top layer"}
    for form, rows in found.items():
        yield row(f"{names[form]}, scores", [(s, e) for _, s, _, e in rows])
        pairs = [(rois, expected) for rois, _, expected, _ in rows]
        yield row(f"{names[form]}, pixels", pairs, atol=5e-4)


def proposals_chenyuntc(stored):
    layer, pairs = layers.ProposalLayer(min_size=16), []
    for case in cases_of(stored):
        anchors = whole(lay_anchors(case, "centred").boxes)
        rest = anchors, case["image_hw"], case["scale"]
        for phase in ("train", "test"):
            inputs = (case["score"], case["loc"], *rest)
            rois, _ = proposals(layer, *inputs, training=phase == "train")
            pairs.append((rois, case[f"{phase}_rois"]))
    yield row("pixels", pairs, atol=5e-4)


def proposals_torchvision(stored):
    anchors = whole(stored["anchors"][:, YX], stored["num_per_level"])
    box_pairs, score_pairs = [], []
    for prefix, min_score in (("", 0.0), ("thresh098_", 0.98)):
        layer = layers.ProposalLayer(
            test_counts=(int(stored["pre_nms_top_n"]), int(stored["post_nms_top_n"])),
            nms_iou=float(stored["nms_thresh"]),
            per_level=True,
            min_size=float(stored["min_size"]),
            min_score=min_score,
            max_log_scale=LOG_1000_16,
        )
        for image, size in enumerate(stored["image_shapes"]):
            scores = 1 / (1 + np.exp(-stored["objectness"][image].astype(np.float64)))
            deltas = stored["deltas"][image][:, YX]
            rois, scores = proposals(layer, scores, deltas, anchors, size)
            name = f"{prefix}image{image}"
            box_pairs.append((rois, stored[f"{name}_boxes"][:, YX]))
            score_pairs.append((scores, stored[f"{name}_scores"]))
    yield row("scores", score_pairs, atol=1e-6)
    yield row("pixels", box_pairs, atol=5e-4)


def rpn_softmax(stored):
    layouts, probabilities = [], []
    for case in cases_of(stored):
        two = in_graph(rpn_scores.reshape_to_two_channels, case["scores"])
        layouts.append((two, case["reshaped"]))
        found = in_graph(rpn_scores.softmax_over_pairs, case["scores"])
        probabilities.append((found, case["prob"]))
    yield row("layout", layouts)
    yield row("probabilities", probabilities, atol=1e-6)
