"""Compares proposals, suppression, final detections and evaluation with tests/golden.

Each function is named after its file, takes the file's arrays and yields `Row`s.
"""

import numpy as np
from golden_compare import LOG_1000_16, YX, cases_of, in_graph, row
from golden_first_stage import lay_anchors, whole

from tf_frcnn import layers
from tf_frcnn.evaluation import DetectedBoxes, GroundTruth, evaluate_coco, evaluate_voc
from tf_frcnn.ops.box_coder import encode_boxes
from tf_frcnn.ops.nms import non_max_suppression
from tf_frcnn.structures import Proposals, RPNOutputs

ONES = (1.0, 1.0, 1.0, 1.0)


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


def nms(stored):
    pairs = []
    for form, plus_one in (("plain", False), ("plus1", True)):
        for threshold in ("03", "05", "07"):
            expected = stored[f"keep_{form}_{threshold}"]
            rows = stored["boxes"], stored["scores"]
            found = kept_rows(*rows, int(threshold) / 10, plus_one)
            pairs.append((found, expected))
    for form, plus_one in (("equal", False), ("equal_plus1", True)):
        rows = stored[f"{form}_boxes"], stored["equal_scores"]
        pairs.append((kept_rows(*rows, 0.5, plus_one), stored[f"{form}_keep_05"]))
    yield row("kept rows", pairs)
    found = [
        of_tf_faster_rcnn(stored),
        of_chenyuntc(stored),
        *(of_torchvision(stored, image) for image in range(2)),
    ]
    columns = [zip(*pair, strict=True) for pair in found]
    labels, scores, boxes = zip(*columns, strict=True)
    yield row("detections, labels", labels)
    yield row("detections, scores", scores, atol=1e-6)
    yield row("detections, pixels", boxes, atol=5e-4)


def kept_rows(boxes, scores, iou_threshold, plus_one):
    boxes, scores = boxes[np.newaxis][..., YX], scores[np.newaxis]
    index, kept = in_graph(
        non_max_suppression,
        boxes,
        scores,
        np.ones(scores.shape, bool),
        max_outputs=scores.size,
        iou_threshold=iou_threshold,
        plus_one=plus_one,
    )
    return index[kept]


def detect(layer, rois, probabilities, deltas, size, *, by_class):
    """Returns labels, scores and boxes by falling score, if wished class by class."""
    with np.errstate(divide="ignore"):
        logits = np.log(np.float32(probabilities))[np.newaxis]
    ones = np.ones([1, len(rois)])
    proposals = Proposals(
        np.float32(rois)[np.newaxis], np.float32(ones), ones > 0, np.int32(ones)
    )
    deltas, size = np.float32(deltas)[np.newaxis], np.float32(size)[np.newaxis]
    found = in_graph(layer, proposals, logits, deltas, size)
    labels, scores, boxes = (
        values[found.valid] for values in (found.labels, found.scores, found.boxes)
    )
    order = np.lexsort([-scores, labels]) if by_class else slice(None)
    return labels[order], scores[order], boxes[order]


def of_tf_faster_rcnn(stored):
    layer = layers.DetectionLayer(score_threshold=0.0, delta_stds=ONES, plus_one=True)
    found = detect(
        layer,
        stored["tfr_rois"][:, 1:][:, YX] / np.float32(stored["tfr_im_scale"]),
        stored["tfr_cls_prob"],
        stored["tfr_bbox_pred"].reshape(-1, 21, 4)[..., YX],
        stored["tfr_image_hw"],
        by_class=True,
    )
    rows = stored["tfr_detections"]
    return found, (rows[:, 0] - 1, rows[:, 5], rows[:, 1:5][:, YX])


def of_chenyuntc(stored):
    # The reference's boxes are decoded and not clipped: code them again for the layer,
    # moved to where none crosses the edge.
    decoded = stored["chn_cls_bbox"].reshape(-1, 21, 4) + 128
    rois = np.tile(np.float32([100, 100, 300, 300]), [len(decoded), 1])
    deltas = in_graph(encode_boxes, decoded, rois[:, np.newaxis])
    layer = layers.DetectionLayer(max_per_image=300, delta_stds=ONES)
    labels, scores, boxes = detect(
        layer, rois, stored["chn_prob"], deltas, [1e4, 1e4], by_class=True
    )
    expected = stored["chn_label"], stored["chn_score"], stored["chn_bbox"]
    return (labels, scores, boxes - 128), expected


def of_torchvision(stored, image):
    rois = stored[f"tv_proposals{image}"][:, YX]
    first = len(stored["tv_proposals0"]) * image
    rows = slice(first, first + len(rois))
    exp = np.exp(stored["tv_logits"][rows].astype(np.float64))
    layer = layers.DetectionLayer(nms_iou=0.5, max_log_scale=LOG_1000_16, min_size=0.01)
    found = detect(
        layer,
        rois,
        exp / exp.sum(axis=1, keepdims=True),
        stored["tv_deltas"][rows].reshape(-1, 21, 4)[..., YX],
        stored["tv_image_shapes"][image],
        by_class=False,
    )
    labels, scores, boxes = (
        stored[f"tv_{name}{image}"] for name in ("labels", "scores", "boxes")
    )
    return found, (labels - 1, scores, boxes[:, YX])


def voc_eval(stored):
    gt = [stored[f"gt_{name}"] for name in ("image", "boxes", "class", "difficult")]
    det = [stored[f"det_{name}"] for name in ("image", "boxes", "scores", "class")]
    gt[1], det[1] = gt[1][:, YX], det[1][:, YX]
    boxes = GroundTruth(*gt), DetectedBoxes(*det)
    yield row("AP, tf-faster-rcnn", voc_tf_faster_rcnn(stored, boxes), atol=1e-6)
    yield row("AP, edge cases", voc_edge_cases(stored), atol=1e-6)
    yield row("AP, chenyuntc", voc_chenyuntc(stored, boxes), atol=1e-6)
    of_all = evaluate_coco(*boxes, 5, use_difficult=True)
    one_class = [rows._replace(labels=np.zeros_like(rows.labels)) for rows in boxes]
    pairs = [
        (of_all[:12], stored["coco_all"]),
        (np.transpose(of_all[12:]), stored["coco_all_per_class"]),
        (evaluate_coco(*boxes, 5)[:12], stored["coco_crowd"]),
        (
            evaluate_coco(*one_class, 1, use_difficult=True)[:12],
            stored["coco_agnostic"],
        ),
    ]
    yield row("COCO numbers", pairs, atol=1e-6)


METRICS = {"07": "11-point", "area": "area"}


def voc_tf_faster_rcnn(stored, boxes):
    curves = evaluate_voc(*boxes, 5, plus_one=True, strict=True)
    for label in range(5):
        yield curves.recalls[label], stored[f"tfr_rec_class{label}"]
        yield curves.precisions[label], stored[f"tfr_prec_class{label}"]
    for name, metric in METRICS.items():
        for suffix, settings in [
            ("", {}),
            ("_iou07", {"iou_threshold": 0.7}),
            ("_use_diff", {"use_difficult": True}),
        ]:
            result = evaluate_voc(
                *boxes, 5, metric=metric, plus_one=True, strict=True, **settings
            )
            yield result.average_precisions, stored[f"tfr_ap_{name}{suffix}"]


def voc_chenyuntc(stored, boxes):
    runs = [
        (f"{name}{suffix}", {"metric": metric, "iou_threshold": iou})
        for name, metric in METRICS.items()
        for suffix, iou in (("", 0.5), ("_iou07", 0.7))
    ]
    no_flags = {"metric": "area", "use_difficult": True}
    for name, settings in [*runs, ("area_no_difficult_flags", no_flags)]:
        result = evaluate_voc(*boxes, 5, plus_one=True, **settings)
        yield result.average_precisions, stored[f"chn_ap_{name}"]
        yield result.mean, stored[f"chn_map_{name}"]


def voc_edge_cases(stored):
    gt, det = stored["edge_gt"], stored["edge_det"]
    boxes = (
        GroundTruth(gt[:, 0], gt[:, 2:6][:, YX], gt[:, 1], gt[:, 6]),
        DetectedBoxes(det[:, 0], det[:, 2:6][:, YX], det[:, 6], det[:, 1]),
    )
    for column, (name, metric) in enumerate(METRICS.items()):
        for form, strict in (("tfr", True), ("chn", False)):
            found = evaluate_voc(
                *boxes, 4, metric=metric, plus_one=True, strict=strict
            ).average_precisions
            if form == "tfr" and name == "07":
                found = np.nan_to_num(found)  # 0 where there is nothing to find.
            yield found, stored[f"edge_{form}_ap"][column]
