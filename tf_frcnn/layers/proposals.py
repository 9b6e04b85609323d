"""The proposal layer: from the RPN's outputs to the RoI head's proposals."""

import keras
import tensorflow as tf

from tf_frcnn.config import Conventions, ProposalSettings, settings_config
from tf_frcnn.ops.box_coder import decode_boxes
from tf_frcnn.ops.boxes import box_sides, clip_to_image
from tf_frcnn.ops.nms import non_max_suppression
from tf_frcnn.structures import Anchors, Candidates, Proposals, RPNOutputs


@keras.saving.register_keras_serializable("tf_frcnn")
class ProposalLayer(keras.layers.Layer):
    """Decodes and clips boxes, drops small ones, keeps the best, suppresses overlaps.

    No gradient flows through the proposals (approximate joint training).

    Args:
        proposals: `ProposalSettings`.
        conventions: `Conventions`; with `plus_one`, coding and clipping count
            inclusive pixels.

    Attributes:
        unroll: False; whether levels are suppressed one by one without a loop in the
            graph, for runtimes that have none. The batch must then be static.
        for_xla: False; whether overlaps are suppressed in the form for XLA and GPUs.

    Source: Ren et al. 2015, section 3.3; tf-faster-rcnn:lib/layer_utils/
        proposal_layer.py and proposal_top_layer.py; min_size: simple-faster-rcnn-
        pytorch and, in network pixels, faster-rcnn-pytorch (bubbliiiing):nets/rpn.py;
        per_level, cut_first: torchvision RegionProposalNetwork.
    """

    def __init__(
        self,
        proposals: ProposalSettings | dict | None = None,
        conventions: Conventions | str | dict | None = None,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.proposals = ProposalSettings.of(proposals)
        self.conventions = Conventions.of(conventions)
        self.unroll = self.for_xla = False

    def call(
        self, rpn: RPNOutputs, anchors: Anchors, image_sizes, scales, training=None
    ) -> Proposals:
        """Makes proposals.

        Args:
            rpn: scores float32 [B, N] and deltas float32 [B, N, 4] are used.
            anchors: `Anchors`.
            image_sizes: float32 [B, 2], (height, width) of each image in pixels.
            scales: float32 [B, 2], network pixels per file pixel along y and x.
            training: chooses the counts.

        Returns:
            `Proposals`; P is the count after suppression.
        """
        num_before, num_after = self.proposals.counts(training)
        candidates = self._candidates(rpn, anchors, image_sizes)
        groups = self._cut(candidates, rpn, anchors, scales, num_before)
        if training or self.proposals.test_nms:
            kept = self._without_overlaps(groups, num_after)
        else:
            kept = _joined(groups)
        return _padded(_best(kept, kept.scores, num_after), num_after)

    def before_suppression(
        self, rpn: RPNOutputs, anchors: Anchors, image_sizes, scales
    ) -> Candidates:
        """Returns what inference makes proposals of; arguments as of `call`."""
        candidates = self._candidates(rpn, anchors, image_sizes)
        large = candidates._replace(valid=anchors.valid)
        # In the place of their levels the rows are carried through the cut.
        rows = tf.broadcast_to(tf.range(tf.shape(rpn.scores)[1]), tf.shape(rpn.scores))
        numbered = candidates._replace(levels=rows)
        num_before, _ = self.proposals.counts(training=False)
        kept = _joined(self._cut(numbered, rpn, anchors, scales, num_before))
        image = tf.broadcast_to(
            tf.range(tf.shape(rows)[0])[:, tf.newaxis], tf.shape(kept.levels)
        )
        return Candidates(
            boxes=candidates.boxes,
            scores=candidates.scores,
            large=self._without_small(large, scales).valid,
            entered=tf.scatter_nd(
                tf.boolean_mask(tf.stack([image, kept.levels], axis=-1), kept.valid),
                tf.boolean_mask(tf.ones_like(kept.levels), kept.valid),
                tf.shape(rows),
            )
            > 0,
        )

    def _cut(self, candidates, rpn, anchors, scales, count):
        """Returns the `count` best of each level or of all, large ones only."""
        if not self.conventions.cut_first:
            candidates = self._without_small(candidates, scales)
        groups, ranks = [candidates], [_ranks(rpn)]
        if self.proposals.per_level:
            sizes = anchors.level_sizes
            columns = [_split(values, sizes) for values in candidates]
            groups = [Proposals(*level) for level in zip(*columns, strict=True)]
            ranks = _split(ranks[0], sizes)
        groups = [_best(*own, count) for own in zip(groups, ranks, strict=True)]
        if self.conventions.cut_first:
            groups = [self._without_small(group, scales) for group in groups]
        return groups

    def _candidates(self, rpn, anchors, image_sizes):
        """Returns every anchor's box as `Proposals`, in the order of the anchors."""
        rpn = tf.nest.map_structure(tf.stop_gradient, rpn)
        boxes = decode_boxes(
            rpn.deltas,
            anchors.boxes,
            plus_one=self.conventions.plus_one,
            max_log_scale=self.conventions.max_log_scale,
        )
        boxes = clip_to_image(boxes, image_sizes, plus_one=self.conventions.plus_one)
        valid = anchors.valid & (rpn.scores >= self.proposals.min_score)
        levels = [tf.fill([size], n) for n, size in enumerate(anchors.level_sizes)]
        levels = tf.broadcast_to(tf.concat(levels, 0), tf.shape(rpn.scores))
        return Proposals(boxes, rpn.scores, valid, levels)

    def _without_small(self, group, scales):
        if self.conventions.min_size_in == "network":
            scales = tf.ones_like(scales)
        smallest = self.proposals.min_size * scales[:, tf.newaxis]
        heights, widths = box_sides(group.boxes, plus_one=self.conventions.plus_one)
        large = (heights >= smallest[..., 0]) & (widths >= smallest[..., 1])
        return group._replace(valid=group.valid & large)

    def _without_overlaps(self, groups, count):
        """Returns the `count` best rows of each group, [B, groups * count]."""
        # All groups of all images at once, those of an image one after the other.
        most = tf.reduce_max([tf.shape(group.scores)[1] for group in groups])
        rows = _joined([_filled(group, most) for group in groups])
        rows = tf.nest.map_structure(lambda v: _in_groups(v, len(groups), most), rows)
        index, kept = non_max_suppression(
            rows.boxes,
            rows.scores,
            rows.valid,
            max_outputs=count,
            iou_threshold=self.proposals.nms_iou,
            plus_one=self.conventions.nms_plus_one,
            unroll=self.unroll,
            for_xla=self.for_xla,
        )
        rows = _rows(rows, index)
        rows = rows._replace(valid=kept & rows.valid)
        num_rows = len(groups) * count
        return tf.nest.map_structure(
            lambda v: tf.reshape(v, [-1, num_rows, *v.shape[2:]]), rows
        )

    def get_config(self):
        """Returns the constructor's arguments."""
        own = settings_config(proposals=self.proposals, conventions=self.conventions)
        return super().get_config() | own


def _split(values, sizes):
    """Splits along axis 1 without `tf.split`, which TensorFlow Lite lacks for bool."""
    ends = tf.unstack(tf.cumsum(sizes))
    starts = [0, *ends[:-1]]
    return [values[:, start:end] for start, end in zip(starts, ends, strict=True)]


def _rows(proposals, index):
    """Returns the rows `index`, int32 [B, M], of each image."""
    return tf.nest.map_structure(
        lambda values: tf.gather(values, index, batch_dims=1), proposals
    )


def _ranks(rpn):
    """Returns float32 [B, N], the values that rank the anchors.

    In the sigmoid form these are logits, as in torchvision: many probabilities near 1
    are equal in float32.
    """
    has_one_logit = rpn.logits.shape[-1] == 1
    return tf.stop_gradient(rpn.logits[..., 0] if has_one_logit else rpn.scores)


def _best(proposals, ranks, count):
    """Returns the `count` best rows (None: all), best first, invalid ones last."""
    ranks = tf.where(proposals.valid, ranks, ranks.dtype.min)
    num_rows = tf.shape(ranks)[1]
    count = num_rows if count is None else tf.minimum(count, num_rows)
    return _rows(proposals, tf.math.top_k(ranks, count).indices)


def _joined(groups):
    """Returns the rows of all groups of each image, one group after the other."""
    return Proposals(*(tf.concat(rows, axis=1) for rows in zip(*groups, strict=True)))


def _filled(proposals, count):
    """Returns `count` rows, the last of them zero and not valid."""
    missing = count - tf.shape(proposals.scores)[1]
    rows = [[0, 0], [0, missing], [0, 0]]
    return tf.nest.map_structure(lambda v: tf.pad(v, rows[: v.shape.rank]), proposals)


def _in_groups(values, num_groups, num_rows):
    """Returns [B * groups, rows, ...] of [B, groups * rows, ...]."""
    batch = values.shape[0]
    grouped = tf.reshape(values, [-1, num_rows, *values.shape[2:]])
    if batch is not None:
        grouped = tf.ensure_shape(grouped, [batch * num_groups, *grouped.shape[1:]])
    return grouped


def _padded(proposals, count):
    """Returns `count` rows, zero and False after the valid ones."""
    boxes, scores, valid, levels = proposals
    proposals = Proposals(
        boxes=tf.where(valid[..., tf.newaxis], boxes, 0.0),
        scores=tf.where(valid, scores, 0.0),
        valid=valid,
        levels=tf.where(valid, levels, 0),
    )
    return tf.nest.map_structure(
        lambda v: tf.ensure_shape(v, [None, count, *v.shape[2:]]),
        _filled(proposals, count),
    )
