import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.assembly import build_model
from tf_frcnn.config import ConfigError, make_config
from tf_frcnn.models import CascadeHead, FasterRCNN
from tf_frcnn.models.inspecting import inspections_of, inspector
from tf_frcnn.models.seeds import seeds_of, seeds_of_head
from tf_frcnn.ops.box_coder import decode_boxes
from tf_frcnn.ops.boxes import pairwise_iou
from tf_frcnn.structures import Proposals

STDS = (0.1, 0.1, 0.2, 0.2)
CANVAS = tf.constant([64, 96])
FEATURES = [tf.zeros([1, 4, 6, 8])]
CASCADE = {"cascade_ious": [0.6, 0.7], "class_agnostic": True}


def head_of(*outputs, **roi):
    """Builds a cascade whose heads give the same to all RoIs: logits and deltas."""
    roi = {
        "cascade_ious": [0.6, 0.7][: len(outputs) - 1],
        "class_agnostic": True,
        "num_samples": 4,
        "foreground_fraction": 1.0,
        "add_ground_truth": False,
        "pooled_size": 2,
        **roi,
    }
    head = CascadeHead(2, FlatHead(), roi=roi, conventions="plain")
    head.build((None, None, None, 8))
    for own, (logits, deltas) in zip(head.heads(), outputs, strict=True):
        own.predictor.logits.bias.assign(logits)
        own.predictor.deltas.bias.assign(deltas)
    return head


@keras.saving.register_keras_serializable("tests")
class FlatHead(keras.layers.Layer):
    """Gives three zeros for every RoI."""

    units = 3

    def call(self, pooled, seed=None, training=None):
        shape = tf.shape(pooled)
        return tf.zeros([shape[0], pooled.shape[1] or shape[1], 3])


def proposals_of(*boxes, padded=0):
    boxes = np.float32([[*boxes, *[[0, 0, 0, 0]] * padded]])
    valid = np.arange(boxes.shape[1])[np.newaxis] < boxes.shape[1] - padded
    return Proposals(
        tf.constant(boxes),
        tf.constant(valid, tf.float32),
        tf.constant(valid),
        tf.zeros(boxes.shape[:2], tf.int32),
    )


def batch_of(box=(10.0, 10, 50, 50), label=1):
    sizes = tf.constant([[64.0, 96.0]])
    return {
        "images": tf.zeros([1, 64, 96, 3]),
        "image_sizes": sizes,
        "file_sizes": sizes,
        "scales": tf.ones([1, 2]),
        "boxes": tf.constant([[box]]),
        "labels": tf.constant([[label]]),
    }


def learn(head, proposals, batch):
    seeds = seeds_of(0, 0)
    return head.learn(FEATURES, proposals, batch, CANVAS, seeds, training=True)


def cross_entropy(logits, label):
    return -float(tf.nn.log_softmax(tf.constant(logits))[label])


def test_each_head_refines_the_boxes_of_the_one_before_and_scores_are_averaged():
    logits = [[0.0, 2, 0], [1.0, 0, 3], [0.5, 0, 0]]
    deltas = [[0.5, 0, 0, 0], [0, 0.4, 0, -0.3], [0.1, 0, 0.6, 0]]
    head = head_of(*zip(logits, deltas, strict=True))
    proposals = proposals_of([10, 20, 30, 50], [5, 5, 25, 25], padded=1)
    judged = head.judge(FEATURES, proposals, batch_of(), CANVAS)
    boxes = proposals.boxes
    for number, own in enumerate(deltas, start=1):
        stds = tuple(std / number for std in STDS)
        own = tf.broadcast_to(tf.constant(own), [1, 3, 4])
        boxes = decode_boxes(own, boxes, stds=stds, plus_one=False)
    found = head.refined_boxes(judged[0], judged[2], batch_of())
    np.testing.assert_allclose(found[0, :2, 0], boxes[0, :2], rtol=1e-5)
    np.testing.assert_array_equal(judged[0].boxes[0, 2], 0)
    scores = np.mean(tf.nn.softmax(tf.constant(logits)), axis=0)
    np.testing.assert_allclose(tf.nn.softmax(judged[1])[0, 0], scores, rtol=1e-5)


def test_refined_boxes_end_at_the_border_of_their_image():
    head = head_of(*[([0.0, 0, 0], [0.0, 0, 20, 20])] * 2)
    batch = batch_of() | {"image_sizes": tf.constant([[40.0, 60.0]])}
    proposals = proposals_of([10, 20, 30, 50])
    boxes = head.judge(FEATURES, proposals, batch, CANVAS)[0].boxes
    np.testing.assert_allclose(boxes[0, 0], [0, 0, 40, 60])


def test_each_head_learns_by_its_own_iou_and_half_as_much_as_the_one_before():
    # An IoU of 0.65, which nobody refines.
    proposals = proposals_of([10, 10, 36, 50])
    logits = [[0.0, 2, 1], [1.0, 0, 3], [0.5, 0, 2]]
    head = head_of(*((own, [0.0] * 4) for own in logits))
    losses = learn(head, proposals, batch_of())
    labels = [2, 2, 0]
    each = map(cross_entropy, logits, labels)
    expected = sum(loss / 2**n for n, loss in enumerate(each))
    np.testing.assert_allclose(losses["roi_class_loss"], expected, rtol=1e-5)


def test_a_head_learns_from_boxes_that_the_one_before_refined():
    # The first head's delta of the height brings an IoU of 0.65 to 0.98.
    proposals = proposals_of([10, 10, 36, 50])
    first = [7 / 26 / 0.1, 0, np.log(40 / 26) / 0.2, 0]
    logits = [[0.0, 2, 1], [1.0, 0, 3], [0.5, 0, 2]]
    deltas = [first, [0.0] * 4, [0.0] * 4]
    losses = learn(head_of(*zip(logits, deltas, strict=True)), proposals, batch_of())
    each = map(cross_entropy, logits, [2, 2, 2])
    expected = sum(loss / 2**n for n, loss in enumerate(each))
    np.testing.assert_allclose(losses["roi_class_loss"], expected, rtol=1e-5)
    assert float(losses["roi_box_loss"]) < 1e-3


def test_later_heads_teach_the_first_nothing_through_the_boxes():
    proposals, batch = proposals_of([10, 10, 36, 50]), batch_of()
    outputs = [([0.0, 2, 1], [0.3, 0.1, 0.2, 0])] * 3
    gradients = []
    for number in (1, 3):
        head = head_of(*outputs[:number])
        with tf.GradientTape() as tape:
            losses = learn(head, proposals, batch)
        bias = head.predictor.deltas.bias.value
        gradients.append(tape.gradient(losses["roi_box_loss"], bias))
    assert np.abs(gradients[0]).max() > 0
    np.testing.assert_allclose(*gradients)


def test_it_needs_one_box_for_all_classes():
    with pytest.raises(ConfigError, match=r"cascade_ious = \[0.6\] needs .* one ref"):
        make_config({"base": None, "roi": {"cascade_ious": [0.6]}}, "mine.yaml")


def test_each_head_is_for_a_higher_iou_than_background():
    settings = {"cascade_ious": [0.6, 0.1], "class_agnostic": True}
    settings["background_iou_low"] = 0.1
    with pytest.raises(ConfigError, match=r"0.1\]: each must be more than roi.back"):
        make_config({"base": None, "roi": settings}, "mine.yaml")


def test_later_heads_learn_from_the_hard_examples_of_the_first():
    head = head_of(*[([0.0, 2, 1], [0.0] * 4)] * 2, hard_examples=2)
    assert head.roi.hard_examples == 2
    sampling = head.later[0].roi
    assert sampling.hard_examples is None
    assert (sampling.num_samples, sampling.foreground_fraction) == (2, 1.0)


@pytest.mark.slow
def test_the_weights_of_each_head_have_a_path_of_their_own():
    settings = {"cascade_ious": [0.6], "class_agnostic": True}
    recipe = {"base": "tf_faster_rcnn_mobile_coco", "roi": settings}
    recipe["backbone"] = {"weights": "random", "normalization": "group"}
    model = build_model(make_config(recipe, "mine.yaml"), ("a", "b"))
    paths = [weight.path for weight in model.weights]
    assert len({*paths}) == len(paths)


@pytest.fixture(scope="module")
def model(tiny_detector):
    return tiny_detector(roi=CASCADE, detections={"score_threshold": 0.1})


def test_each_head_has_weights_and_draws_of_its_own(model):
    heads = model.roi_head.heads()
    kernels = [head.box_head.fc6.kernel.numpy() for head in heads]
    assert len(kernels) == 3 and np.abs(kernels[0] - kernels[2]).max() > 0
    # Of fc6, fc7, logits and deltas of each.
    assert len(model.roi_head.trainable_variables) == 3 * 8
    draws = {int(seeds_of_head(seeds_of(0, 0), n).roi[0]) for n in range(3)}
    assert len(draws) == 3


def test_the_inspection_has_the_detections_of_the_model(model, batch):
    inspected = tf.nest.map_structure(np.asarray, inspector(model)(batch))
    found = model(batch)
    for name, values in inspected.detections._asdict().items():
        np.testing.assert_array_equal(values, found[name])
    for image in inspections_of(inspected):
        assert len(image.detected_boxes) > 0
        difference = np.abs(image.detected_boxes[:, None, None] - image.boxes)
        assert difference.max(axis=-1).min(axis=(1, 2)).max() < 1e-3


def test_a_saved_model_detects_alike(model, batch, tmp_path):
    model.save(tmp_path / "cascade.keras")
    loaded = keras.saving.load_model(tmp_path / "cascade.keras")
    assert isinstance(loaded, FasterRCNN)
    assert isinstance(loaded.roi_head, CascadeHead)
    for name, values in model(batch).items():
        np.testing.assert_array_equal(loaded(batch)[name], values)


@pytest.mark.xla
def test_xla_gives_the_same_losses(tiny_detector, batch):
    # The heads see the ground truth alone: rounding may reorder proposals.
    roi = CASCADE | {"cascade_ious": [0.9, 0.9], "foreground_iou": 0.9}
    roi |= {"num_samples": 1, "foreground_fraction": 1.0}
    model, losses = tiny_detector(roi=roi), []
    for jit_compile in (False, True):
        model.compile("sgd", jit_compile=jit_compile)
        step = tf.function(lambda b: model._gradient_step(b, tf.constant(0))[0])
        losses.append(step(batch))
    for name, loss in losses[0].items():
        np.testing.assert_allclose(losses[1][name], loss, rtol=1e-4, err_msg=name)


@pytest.mark.slow
def test_two_images_are_learned_by_heart(tiny_detector, batch):
    model = tiny_detector(roi=CASCADE)
    model.compile(keras.optimizers.SGD(0.01, 0.9))
    data = tf.data.Dataset.from_tensors(batch).repeat()
    model.fit(data, steps_per_epoch=150, verbose=0)
    found = model.predict_on_batch(batch)
    assert np.all(found["labels"][:, 0] == 0) and found["scores"][:, 0].min() > 0.9
    iou = pairwise_iou(found["boxes"][:, :1], batch["boxes"][:, :1])
    assert np.min(iou) > 0.9
