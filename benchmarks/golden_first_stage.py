"""Compares anchors, box arithmetic, RPN targets and RPN scores with tests/golden.

Each function is named after its file, takes the file's arrays and yields `Row`s.
"""

import numpy as np
from golden_compare import (
    EVERYTHING,
    LOG_1000_16,
    SEED,
    YX,
    case_of,
    cases_of,
    in_graph,
    row,
)

from tf_frcnn import layers
from tf_frcnn.ops import box_coder, boxes, rpn_scores
from tf_frcnn.structures import Anchors


def lay_anchors(case, style, *, ratios=(0.5, 1.0, 2.0)):
    """Returns the `Anchors` of one map; the picture reaches all cells."""
    size = np.int32([case["height"], case["width"]])
    stride, scales = int(case.get("stride", 16)), tuple(case.get("scales", (8, 16, 32)))
    grid = layers.AnchorGrid((stride,), style=style, ratios=ratios, scales=scales)
    canvas = size * stride
    picture = canvas[np.newaxis].astype(np.float32)
    maps = np.zeros([1, *size, 1], np.float32)
    return in_graph(lambda maps: grid([maps], picture, canvas), maps)


def grid_pairs(stored, style, prefix, columns):
    for case in cases_of(stored):
        # bubbliiiing's ratios are width / height.
        ratios = 1 / case["ratios"] if style == "corner" else case["ratios"]
        anchors = lay_anchors(case, style, ratios=tuple(ratios))
        yield anchors.boxes, case[f"{prefix}grid"][:, columns]


def anchors_tf_faster_rcnn(stored):
    yield row("anchors", grid_pairs(stored, "caffe", "", YX))


def anchors_chainer(stored):
    pairs = grid_pairs(stored, "centred", "chenyuntc_", range(4))
    yield row("chenyuntc, pixels", pairs, atol=1e-4)
    pairs = grid_pairs(stored, "corner", "bubbliiiing_", YX)
    yield row("bubbliiiing, pixels", pairs, atol=1e-4)


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
    yield row("anchors, pixels", pairs, atol=1e-4)


def box_coding(stored):
    def of(name, columns):
        return stored[name].reshape(200, -1, 4)[..., columns]

    encoded, decoded, clamped = [], [], []
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
                pair = found, of(f"{name}_decode{suffix}", columns)
                (clamped if suffix == "_big" else decoded).append(pair)
    sources, expected = (stored[f"chn_degenerate_{name}"] for name in ("src", "encode"))
    found = in_graph(box_coder.encode_boxes, stored["chn_dst"][:4], sources)
    yield row("encoded", [*encoded[:4], (found, expected)], atol=5e-5)
    yield row("encoded, weights 10", encoded[4:], atol=1e-4)
    yield row("decoded, pixels", decoded, atol=2e-4, rtol=1e-6)
    yield row("decoded with a clamp, pixels", clamped, atol=2e-4, rtol=1e-6)
    yield row("clipped, pixels", clipped_pairs(stored), atol=2e-4, rtol=1e-6)


def clipped_pairs(stored):
    size = stored["image_hw"][np.newaxis].astype(np.float32)
    for given, name, plus_one in [
        ("tfr_decode", "tfr_clip", True),
        ("tfr_decode_k", "tfr_clip_k", True),
        ("far", "tfr_clip_far", True),
        ("tfr_decode", "tv_clip", False),
    ]:
        given, expected = (stored[n].reshape(1, -1, 4)[..., YX] for n in (given, name))
        found = in_graph(boxes.clip_to_image, given, size, plus_one=plus_one)
        yield found, expected


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


def whole(anchor_boxes, level_sizes=None):
    """Returns boxes [N, 4] as `Anchors` that all belong to the picture."""
    if level_sizes is None:
        level_sizes = [len(anchor_boxes)]
    valid = np.ones([1, len(anchor_boxes)], bool)
    return Anchors(anchor_boxes, valid, tuple(np.int32(level_sizes)))


def anchor_targets(anchors, sizes, gt_boxes, **settings):
    """Returns the labels and deltas of one picture, as a rule without sampling."""
    layer = layers.AnchorTargetLayer(**{"num_samples": EVERYTHING, **settings})
    # One padded row, so that a picture may have no ground truth.
    gt_boxes = np.pad(gt_boxes[np.newaxis], [(0, 0), (0, 1), (0, 0)])
    gt_labels = np.zeros(gt_boxes.shape[:2], np.int32)
    gt_labels[:, -1] = -1
    sizes = np.float32(sizes)[np.newaxis]
    labels, deltas = in_graph(layer, anchors, sizes, gt_boxes, gt_labels, SEED)
    return labels[0], deltas[0]


def sampled_counts(anchors, sizes, gt_boxes, **settings):
    labels, _ = anchor_targets(anchors, sizes, gt_boxes, num_samples=256, **settings)
    return [np.count_nonzero(labels == value) for value in (1, 0, -1)]


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
    case, pairs = case_of(stored, "sampled_"), []
    anchors = lay_anchors(case, "caffe")
    for name in ("sampled", "sampled2"):
        gt_boxes = stored[f"{name}_gt_boxes"][:, :4][:, YX]
        counts = sampled_counts(anchors, case["im_info"][:2], gt_boxes, plus_one=True)
        pairs.append((counts, stored[f"{name}_counts_after"]))
    yield row("sampled counts", pairs)


def anchor_target_chenyuntc(stored):
    label_pairs, delta_pairs = [], []
    for case in cases_of(stored):
        anchors = lay_anchors(case, "centred")
        labels, deltas = anchor_targets(anchors, case["image_hw"], case["gt_bbox"])
        if case["name"] != "out_of_reach":
            label_pairs.append((labels, case["labels"]))
        delta_pairs.append((deltas, case["loc"]))
    yield from anchor_target_rows(label_pairs, delta_pairs)
    case = case_of(stored, "sampled_")
    anchors = lay_anchors(case, "centred")
    counts = sampled_counts(anchors, case["image_hw"], case["gt_bbox"])
    yield row("sampled counts", [(counts, case["counts_after"])])


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


def rpn_softmax(stored):
    layouts, probabilities = [], []
    for case in cases_of(stored):
        two = in_graph(rpn_scores.reshape_to_two_channels, case["scores"])
        layouts.append((two, case["reshaped"]))
        found = in_graph(rpn_scores.softmax_over_pairs, case["scores"])
        probabilities.append((found, case["prob"]))
    yield row("layout", layouts)
    yield row("probabilities", probabilities, atol=1e-6)
