"""Compares RoI targets, RoI pooling and losses with tests/golden.

Each function is named after its file, takes the file's arrays and yields `Row`s.
"""

import numpy as np
import tensorflow as tf
from golden_compare import SEED, YX, case_of, cases_of, in_graph, row

from tf_frcnn import layers
from tf_frcnn.ops.losses import box_loss, classification_loss, smooth_l1
from tf_frcnn.ops.roi_levels import assign_levels
from tf_frcnn.ops.rpn_scores import flatten_to_anchors
from tf_frcnn.structures import Proposals


def whole(rois):
    """Returns boxes [P, 4] as the proposals of one picture."""
    ones = np.ones([1, len(rois)])
    return Proposals(rois[np.newaxis], np.float32(ones), ones > 0, np.int32(ones))


def padded(gt_boxes, gt_labels):
    """Adds a padded row, so that a picture may have no ground truth."""
    gt_boxes = np.pad(np.float32(gt_boxes), [(0, 1), (0, 0)])
    return gt_boxes[np.newaxis], np.int32(np.append(gt_labels, -1))[np.newaxis]


def roi_targets(rois, gt_boxes, gt_labels, candidates, **settings):
    """Samples everything; returns rows of the candidates, labels and deltas, sorted."""
    layer = layers.ProposalTargetLayer(
        num_samples=len(candidates), foreground_fraction=1.0, **settings
    )
    gt_boxes, gt_labels = padded(gt_boxes, gt_labels)
    found = in_graph(layer, whole(rois), gt_boxes, gt_labels, SEED)
    used = found.labels[0] >= 0
    sampled = found.boxes[0][used]
    rows = (sampled[:, np.newaxis] == candidates).all(axis=-1).argmax(axis=1)
    order = np.argsort(rows)
    return rows[order], found.labels[0][used][order], found.deltas[0][used][order]


def sampled_counts(rois, gt_boxes, gt_labels, **settings):
    """Returns how many RoIs of a sample are foreground and how many background."""
    layer = layers.ProposalTargetLayer(**settings)
    gt_boxes, gt_labels = padded(gt_boxes, gt_labels)
    labels = in_graph(layer, whole(rois), gt_boxes, gt_labels, SEED).labels
    return [np.count_nonzero(labels > 0), np.count_nonzero(labels == 0)]


def roi_target_rows(results):
    """Yields the rows for pairs of (rows, labels, deltas), found and expected."""
    rows, labels, deltas = (
        [(found[part], expected[part]) for found, expected in results]
        for part in range(3)
    )
    yield row("sampled rows", rows)
    yield row("labels", labels)
    yield row("deltas", deltas, atol=1e-4)


def proposal_target_tf_faster_rcnn(stored):
    results = []
    for case in cases_of(stored):
        rois, gt_boxes = case["in_rois"][:, 1:][:, YX], case["gt_boxes"][:, :4][:, YX]
        use_gt, keep = bool(case["use_gt"]), case["keep"]
        found = roi_targets(
            rois,
            gt_boxes,
            case["gt_boxes"][:, 4] - 1,
            np.concatenate([rois, gt_boxes]) if use_gt else rois,
            background_iou=(float(case["bg_thresh_lo"]), 0.5),
            add_ground_truth=use_gt,
            plus_one=True,
        )
        order, labels = np.argsort(keep), case["labels"][:, 0]
        deltas = case["bbox_targets"].reshape(len(keep), -1, 4)
        deltas = deltas[np.arange(len(keep)), labels][:, YX]
        results.append((found, (keep[order], labels[order], deltas[order])))
    yield from roi_target_rows(results)
    pairs = []
    for name in ("only_bg", "only_fg", *(f"case{n}" for n in range(len(results)))):
        case = case_of(stored, f"{name}_")
        counts = sampled_counts(
            case["in_rois"][:, 1:][:, YX],
            case["gt_boxes"][:, :4][:, YX],
            case["gt_boxes"][:, 4] - 1,
            background_iou=(float(case.get("bg_thresh_lo", 0.0)), 0.5),
            add_ground_truth=bool(case.get("use_gt", False)),
            fill_with_repeats=True,
            plus_one=True,
        )
        expected = case.get("counts", case.get("batch128_counts"))
        pairs.append((counts, expected[:2]))  # The third number depends on the draw.
    yield row("sampled counts", pairs)


def proposal_target_chenyuntc(stored):
    results = []
    for case in cases_of(stored):
        rois, gt_boxes, keep = (case[key] for key in ("in_rois", "gt_bbox", "keep"))
        candidates = np.concatenate([rois, gt_boxes])
        found = roi_targets(rois, gt_boxes, case["gt_label"], candidates)
        order = np.argsort(keep)
        labels = case["labels"][order]
        # The reference's loss does not read the deltas of the background.
        deltas = np.where(labels[:, np.newaxis] > 0, case["loc"][order], 0)
        results.append((found, (keep[order], labels, deltas)))
    yield from roi_target_rows(results)
    pairs = [
        (
            sampled_counts(case["in_rois"][:num], case["gt_bbox"], case["gt_label"]),
            case[f"{name}_counts"],
        )
        for case in cases_of(stored)
        for name, num in (("sample128", None), ("first40", 40))
    ]
    yield row("sampled counts", pairs)


def proposal_target_torchvision(stored):
    results = []
    for case in cases_of(stored):
        rois, gt_boxes, candidates = (
            case[key][:, YX] for key in ("in_rois", "gt_boxes", "rois")
        )
        found = roi_targets(rois, gt_boxes, case["gt_labels"] - 1, candidates)
        labels = case["labels"]
        deltas = case.get("targets", np.zeros_like(candidates))[:, YX]
        deltas = np.where(labels[:, np.newaxis] > 0, deltas, 0)
        results.append((found, (np.arange(len(candidates)), labels, deltas)))
    yield from roi_target_rows(results)
    pairs = []
    for case in cases_of(stored):
        rows = [case[name][:, YX] for name in ("in_rois", "gt_boxes")]
        for number in (512, 64):
            labels = case["gt_labels"] - 1
            counts = sampled_counts(*rows, labels, num_samples=number)
            pairs.append((counts, case[f"sample{number}_counts"]))
    yield row("sampled counts", pairs)


POOLINGS = {
    "roi_pool": {"method": "pool"},
    "crop_pool": {"method": "crop"},
    "crop_7": {"method": "crop", "crop_max_pool": False},
    "roi_align_legacy_sr2": {"method": "align"},
    "roi_align_legacy_srauto": {"method": "align", "sampling_ratio": 0},
    "roi_align_aligned_sr2": {"method": "align", "aligned": True},
    "roi_align_aligned_srauto": {
        "method": "align",
        "aligned": True,
        "sampling_ratio": 0,
    },
}


def roi_pooling(stored):
    rois = stored["rois"]
    image, roi_boxes = rois[:, 0].astype(int), np.tile(rois[:, 1:][:, YX], [2, 1, 1])
    is_own = np.arange(2)[:, np.newaxis] == image
    upstream = np.float32(is_own[..., np.newaxis, np.newaxis, np.newaxis])
    upstream = upstream * stored["grad_out"]
    pooled = {"pool": [], "crop": [], "align": []}
    gradients = {"pool": [], "crop": [], "align": []}
    for name, settings in POOLINGS.items():
        layer = layers.RoIPooling((int(stored["stride"]),), **settings)

        def run(features, layer=layer):
            with tf.GradientTape() as tape:
                tape.watch(features)
                result = layer([features], roi_boxes)
            return result, tape.gradient(result, features, upstream)

        result, gradient = in_graph(run, stored["features"])
        own = result[image, np.arange(len(rois))]
        pooled[settings["method"]].append((own, stored[name]))
        if f"{name}_grad" in stored:
            gradients[settings["method"]].append((gradient, stored[f"{name}_grad"]))
    layer = layers.RoIPooling(pooled_size=14, crop_max_pool=False)
    result = in_graph(lambda maps: layer([maps], roi_boxes), stored["features"])
    first = image[:8], np.arange(8)
    pooled["crop"].append((result[first], stored["crop_14"]))
    for method, pairs in pooled.items():
        yield row(method, pairs, atol=2e-5)
        yield row(f"{method}, gradient", gradients[method], atol=5e-5)


def roi_levels(stored):
    rois = stored["rois"][:, YX]
    pairs = []
    for name, settings in [
        ("level_2_5", {}),
        ("level_3_5", {"levels": (3, 5)}),
        ("level_2_6", {"levels": (2, 6)}),
        ("level_2_5_canon112_k3", {"canonical_size": 112.0, "canonical_level": 3}),
    ]:
        levels = in_graph(assign_levels, rois, **settings)
        pairs.append((levels + settings.get("levels", (2, 5))[0], stored[name]))
    yield row("levels", pairs)
    strides = (4, 8, 16, 32)
    layer = layers.RoIPooling(strides, method="align")
    maps = [stored[f"ms_feature_{stride}"] for stride in strides]
    rois = np.stack([stored["ms_rois0"], stored["ms_rois1"]])[..., YX]
    pooled = in_graph(lambda rois, *m: layer(m, rois, assign_levels(rois)), rois, *maps)
    expected = stored["ms_pooled"]
    yield row("align", [(pooled.reshape(expected.shape), expected)], atol=2e-5)


def losses(stored):
    rpn_labels, labels = stored["flat_labels"][np.newaxis], stored["labels"]
    rpn_deltas = [
        stored[f"rpn_bbox_{name}"].reshape(1, -1, 4) for name in ("pred", "targets")
    ]
    rows = np.arange(len(labels))
    deltas = [
        stored[f"bbox_{name}"].reshape(len(labels), -1, 4)[rows, labels][np.newaxis]
        for name in ("pred", "targets")
    ]
    labels = labels[np.newaxis]
    entropy_of = {
        ("flat_logits2", "rpn"): ["tfr_rpn_cross_entropy", "chn_rpn_cls_loss"],
        ("tv_objectness", "rpn"): ["tv_loss_objectness", "bce_prob_loss"],
        ("cls_score", "roi"): [
            "tfr_cross_entropy",
            "chn_roi_cls_loss",
            "tv_loss_classifier",
        ],
    }
    pairs = []
    for (logits, stage), names in entropy_of.items():
        rows = stored[logits][np.newaxis], rpn_labels if stage == "rpn" else labels
        value = in_graph(classification_loss, *rows)
        pairs += [(value, stored[name]) for name in names]
    yield row("class losses, relative", pairs, rtol=1e-5)
    of_stage = {"rpn": (*rpn_deltas, rpn_labels), "roi": (*deltas, labels)}
    pairs = [
        (in_graph(box_loss, *of_stage[stage], sigma=s, divisor=divisor), stored[name])
        for name, stage, s, divisor in BOX_LOSSES
    ]
    mean = in_graph(box_loss, *of_stage["rpn"], sigma=None, divisor="objects") / 4
    pairs.append((mean, stored["l1_loss_rpn_box_reg_mean"]))
    yield row("box losses, relative", pairs, rtol=1e-5)
    curves = (("sigma1", 1.0), ("sigma3", 3.0), ("beta_1_9", 3.0))
    pairs = [
        (in_graph(smooth_l1, stored["curve_x"], sigma=s), stored[f"curve_{name}"])
        for name, s in curves
    ]
    yield row("smooth L1, relative", pairs, rtol=1e-5)
    yield from loss_gradients(stored)


BOX_LOSSES = [
    ("tfr_rpn_loss_box_sigma3", "rpn", 3.0, "sampled"),
    ("tfr_rpn_loss_box_sigma1", "rpn", 1.0, "sampled"),
    ("chn_rpn_loc_loss_sigma3", "rpn", 3.0, "sampled"),
    ("chn_rpn_loc_loss_sigma1", "rpn", 1.0, "sampled"),
    ("tv_loss_rpn_box_reg", "rpn", 3.0, "sampled"),
    ("bub_rpn_loc_loss_sigma1", "rpn", 1.0, "objects"),
    ("l1_loss_rpn_box_reg", "rpn", None, "sampled"),
    ("tfr_loss_box_sigma1", "roi", 1.0, "sampled"),
    ("tfr_loss_box_sigma3", "roi", 3.0, "sampled"),
    ("chn_roi_loc_loss_sigma1", "roi", 1.0, "sampled"),
    ("tv_loss_box_reg", "roi", 3.0, "sampled"),
    ("bub_roi_loc_loss_sigma1", "roi", 1.0, "objects"),
    ("l1_loss_box_reg", "roi", None, "sampled"),
]


def loss_gradients(stored):
    names = ("rpn_cls_score", "rpn_bbox_pred", "cls_score", "bbox_pred")
    rpn_labels, labels = stored["flat_labels"][np.newaxis], stored["labels"]
    num_anchors = int(stored["A"])

    def own(columns):
        columns = tf.reshape(columns, [len(labels), -1, 4])
        return tf.gather(columns, labels, batch_dims=1)[tf.newaxis]

    def run(*pred):
        with tf.GradientTape() as tape:
            tape.watch(pred)
            logits = flatten_to_anchors(pred[0], num_anchors, values_first=True)
            deltas = flatten_to_anchors(pred[1], num_anchors, values_first=False)
            targets = stored["rpn_bbox_targets"].reshape(1, -1, 4)
            total = classification_loss(logits, rpn_labels)
            total += box_loss(deltas, targets, rpn_labels, sigma=3.0)
            total += classification_loss(pred[2][tf.newaxis], labels[np.newaxis])
            targets = own(stored["bbox_targets"])
            total += box_loss(own(pred[3]), targets, labels[np.newaxis])
        return total, tape.gradient(total, pred)

    total, gradients = in_graph(run, *(stored[name] for name in names))
    yield row("sum, relative", [(total, stored["tfr_total"])], rtol=1e-5)
    expected = [stored[f"tfr_grad_{name}"] for name in names]
    yield row("gradients", zip(gradients, expected, strict=True), atol=1e-6)
