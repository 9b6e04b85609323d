import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.evaluation import DetectedBoxes, GroundTruth, evaluate_voc
from tf_frcnn.models import FastRCNN, NonFiniteError
from tf_frcnn.models.batch import inner_boxes
from tf_frcnn.ops.losses import box_losses, classification_losses


def batch_of(images, sizes, boxes, labels, ids=None):
    """Makes a batch of float images and lists of boxes, padded to three rows."""
    batch = {
        "images": tf.constant(images, tf.float32),
        "image_sizes": tf.constant(sizes, tf.float32),
        "scales": tf.ones([len(images), 2]),
        "boxes": np.zeros([len(images), 3, 4], np.float32),
        "labels": np.full([len(images), 3], -1, np.int32),
    }
    for row, (own_boxes, own_labels) in enumerate(zip(boxes, labels, strict=True)):
        batch["boxes"][row, : len(own_boxes)] = np.reshape(own_boxes, [-1, 4])
        batch["labels"][row, : len(own_labels)] = own_labels
    batch["boxes"] = tf.constant(batch["boxes"])
    batch["labels"] = tf.constant(batch["labels"])
    if ids:
        batch["image_ids"] = tf.constant(ids)
    return batch


def second_stage_of(model):
    """Returns a Fast R-CNN that shares a detector's parts."""
    return FastRCNN(
        model.preprocessing,
        model.backbone,
        roi_head=model.roi_head,
        class_names=model.class_names,
    )


def one_of(batch, row):
    return {name: values[row : row + 1] for name, values in batch.items()}


@pytest.fixture(scope="module")
def two_images():
    """A bright wide box on one image, a dark tall one on a smaller second."""
    images = np.random.default_rng(0).uniform(90, 110, [2, 96, 128, 3])
    images[0, 20:60, 30:100] = [250, 200, 40]
    images[1, 10:75, 50:80] = [10, 30, 90]
    images[1, 80:], images[1, :, 100:] = 0, 0
    boxes = [[[20, 30, 60, 100]], [[10, 50, 75, 80]]]
    return batch_of(images, [[96, 128], [80, 100]], boxes, [[0], [1]], ["a", "b"])


@pytest.mark.slow
def test_two_images_are_learned_by_heart(tiny_detector, two_images):
    model = tiny_detector()
    model.compile(keras.optimizers.SGD(0.01, 0.9))
    data = tf.data.Dataset.from_tensors(two_images).repeat()
    model.fit(data, steps_per_epoch=150, epochs=1, verbose=0)
    found = model.predict_on_batch(two_images)
    image, slot = np.nonzero(found["valid"])
    own_arrays = [found[name][image, slot] for name in ("boxes", "scores", "labels")]
    truth = GroundTruth(
        image_index=np.array([0, 1]),
        boxes=np.array([[20, 30, 60, 100], [10, 50, 75, 80]]),
        labels=np.array([0, 1]),
        difficult=np.array([False, False]),
    )
    for metric in ("11-point", "area"):
        result = evaluate_voc(
            truth, DetectedBoxes(image, *own_arrays), 2, metric=metric
        )
        assert result.mean == 1.0


@pytest.mark.slow
def test_an_image_is_detected_alike_alone_and_beside_another(tiny_detector, two_images):
    model = tiny_detector(detections={"score_threshold": 0.0})
    together = model.predict_on_batch(two_images)
    assert together["valid"].sum() > 20
    for row in (0, 1):
        alone = model.predict_on_batch(one_of(two_images, row))
        for name in ("boxes", "scores"):
            np.testing.assert_allclose(
                together[name][row], alone[name][0], rtol=1e-4, atol=1e-3
            )
        np.testing.assert_array_equal(together["labels"][row], alone["labels"][0])


def test_losses_of_an_image_do_not_depend_on_padded_ground_truth(
    tiny_detector, two_images
):
    model, batch = tiny_detector(), one_of(two_images, 0)
    trimmed = batch | {"boxes": batch["boxes"][:, :1], "labels": batch["labels"][:, :1]}
    # The candidates for RoIs are fewer, so only the RPN's sample is the same.
    for name in ("rpn_class_loss", "rpn_box_loss"):
        first, second = model.compute_losses(batch, 0), model.compute_losses(trimmed, 0)
        np.testing.assert_allclose(first[name], second[name], rtol=1e-6)


@pytest.mark.slow
def test_every_trainable_weight_gets_a_gradient_and_no_frozen_one_changes(
    tiny_detector, two_images
):
    model = tiny_detector(frozen_blocks=2)
    model.compile(keras.optimizers.SGD(0.01))
    frozen = [v for v in model.backbone.variables if v.path.find("stage1") >= 0]
    frozen += [v for v in model.backbone.variables if v.path.find("stage2") >= 0]
    assert len(frozen) == 9 and not any(v.trainable for v in frozen)
    before = [v.numpy() for v in frozen]
    _, gradients = model._compute_losses_and_gradients(two_images, 0)
    assert len(gradients) == len(model.trainable_variables) == 28
    for gradient, variable in zip(gradients, model.trainable_variables, strict=True):
        assert np.abs(gradient).max() > 0, variable.path
    model.train_on_batch(two_images)
    for variable, value in zip(frozen, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_no_gradient_flows_through_the_proposals(tiny_detector, two_images):
    model = tiny_detector()
    with tf.GradientTape() as tape:
        losses = model.compute_losses(two_images, 0)
        second_stage = losses["roi_class_loss"] + losses["roi_box_loss"]
    deltas = model.rpn.head.deltas.kernel
    assert tape.gradient(second_stage, deltas.value) is None


@pytest.mark.slow
def test_images_without_objects_train_and_count_as_background(
    tiny_detector, two_images
):
    empty = batch_of(two_images["images"], [[96, 128], [80, 100]], [[], []], [[], []])
    model = tiny_detector()
    model.compile(keras.optimizers.SGD(0.01))
    losses = model.compute_losses(empty, 0)
    assert losses["rpn_box_loss"] == 0 and losses["roi_box_loss"] == 0
    # Random weights say object with a probability of a half.
    np.testing.assert_allclose(losses["rpn_class_loss"], np.log(2), atol=0.05)
    for _ in range(10):
        model.train_on_batch(empty)
    after = model.compute_losses(empty, 0)
    assert np.isfinite(after["loss"])
    assert after["rpn_class_loss"] < losses["rpn_class_loss"] - 0.03


@pytest.mark.slow
def test_a_non_finite_loss_stops_before_the_update_and_names_step_and_images(
    tiny_detector, two_images
):
    model = tiny_detector()
    model.compile(keras.optimizers.SGD(0.01))
    model.train_on_batch(two_images)
    (*_, bias) = model.trainable_variables
    bias.assign(bias + np.nan)
    before = model.get_weights()
    data = tf.data.Dataset.from_tensors(two_images)
    with pytest.raises(NonFiniteError) as error:
        model.fit(data, verbose=0)
    message = "Not finite at step 1 (images a, b): loss nan, rpn_class_loss "
    assert str(error.value).replace("-nan", "nan").startswith(message)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_xla_gives_the_same_losses_and_gradients(tiny_detector, two_images):
    # Rounding decides between the nearly equal scores of an untrained RPN, so the
    # second stage may see other proposals; here it sees the ground truth alone.
    truth_alone = {"num_samples": 1, "foreground_fraction": 1.0, "foreground_iou": 0.9}
    model = tiny_detector(roi=truth_alone)
    batch = {k: v for k, v in two_images.items() if k != "image_ids"}
    results = []
    for jit_compile in (False, True):
        model.compile(keras.optimizers.SGD(0.01), jit_compile=jit_compile)
        assert model.roi_head.pooling.for_xla == jit_compile
        step = tf.function(lambda b: model._gradient_step(b, tf.constant(0)))
        results.append(step(batch))
    (losses, gradients), (xla_losses, xla_gradients) = results
    for name, loss in losses.items():
        np.testing.assert_allclose(xla_losses[name], loss, rtol=1e-4)
    for gradient, xla_gradient in zip(gradients, xla_gradients, strict=True):
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(xla_gradient, gradient, atol=1e-3 * scale)


@pytest.mark.slow
def test_a_saved_model_predicts_and_trains_on_like_the_original(
    tiny_detector, two_images, tmp_path
):
    model = tiny_detector(detections={"score_threshold": 0.0})
    model.compile(keras.optimizers.SGD(0.01, 0.9))
    model.train_on_batch(two_images)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.class_names == model.class_names
    assert int(loaded.optimizer.iterations) == 1
    for _ in range(2):
        expected = model.train_on_batch(two_images, return_dict=True)
        actual = loaded.train_on_batch(two_images, return_dict=True)
    np.testing.assert_allclose(actual["loss"], expected["loss"], rtol=0.02)
    found, again = (m.predict_on_batch(two_images) for m in (model, loaded))
    np.testing.assert_array_equal(again["image_ids"], found["image_ids"])
    for name in ("boxes", "scores", "labels"):
        # Parallel sums of the training steps round differently from run to run.
        np.testing.assert_allclose(again[name], found[name], rtol=1e-3, atol=0.05)


@pytest.mark.slow
def test_fit_evaluate_and_predict_take_a_dataset(tiny_detector, two_images):
    model = tiny_detector()
    model.compile(keras.optimizers.SGD(0.01))
    data = tf.data.Dataset.from_tensors(two_images).repeat(3)
    history = model.fit(data, validation_data=data.take(1), verbose=0).history
    assert set(history) == {
        prefix + name for name in model.loss_names for prefix in ("", "val_")
    }
    parts = [history[name][0] for name in model.loss_names if name != "loss"]
    np.testing.assert_allclose(history["loss"][0], sum(parts), rtol=1e-5)
    evaluated = model.evaluate(data.take(1), verbose=0, return_dict=True)
    np.testing.assert_allclose(evaluated["loss"], history["val_loss"][0], rtol=1e-5)
    found = model.predict(data, verbose=0)
    assert found["boxes"].shape == (6, 20, 4)
    np.testing.assert_allclose(found["boxes"][0], found["boxes"][4], atol=1e-3)


def test_images_may_come_alone(tiny_detector, two_images):
    model = tiny_detector(detections={"score_threshold": 0.0})
    images = two_images["images"][:1]
    whole = {"images": images, "image_sizes": tf.constant([[96.0, 128.0]])}
    for alone, batched in zip(
        model(images).values(), model(whole).values(), strict=True
    ):
        np.testing.assert_allclose(
            np.float32(alone), np.float32(batched), rtol=1e-5, atol=1e-3
        )


@pytest.mark.slow
def test_detections_are_in_pixels_of_the_file(tiny_detector, two_images):
    model, batch = (
        tiny_detector(detections={"score_threshold": 0.0}),
        one_of(two_images, 0),
    )
    found = model.predict_on_batch(batch)
    halved = batch | {"scales": tf.constant([[2.0, 4.0]])}
    smaller = model.predict_on_batch(halved)
    np.testing.assert_allclose(
        smaller["boxes"] * [2, 4, 2, 4], found["boxes"], atol=1e-3
    )
    assert smaller["boxes"][..., 3].max() <= 32


@pytest.mark.slow
def test_inclusive_pixels_are_an_inner_matter(tiny_detector, two_images):
    # An untrained net's deltas are near zero, so with one class-agnostic box per
    # proposal a detection is its proposal; the whole image is (0, 0, 96, 128).
    model = tiny_detector(conventions="caffe", detections={"score_threshold": 0.0})
    inner = inner_boxes(two_images["boxes"], two_images, plus_one=True)
    np.testing.assert_array_equal(inner[0, 0], [20, 30, 59, 99])
    found = model.predict_on_batch(two_images)
    assert found["boxes"][0, :, 2].max() == 96 and found["boxes"][0, :, 3].max() == 128
    assert not found["boxes"][~found["valid"]].any()


def test_biases_may_learn_at_twice_the_rate(tiny_detector, two_images):
    once, twice = tiny_detector(), tiny_detector(bias_rate=2.0)
    for model in (once, twice):
        model.compile(keras.optimizers.SGD(0.01))
    batch = {k: v for k, v in two_images.items() if k != "image_ids"}
    _, single = once._gradient_step(batch, 0)
    _, double = twice._gradient_step(batch, 0)
    for variable, first, second in zip(
        once.trainable_variables, single, double, strict=True
    ):
        factor = 2 if variable.name == "bias" else 1
        np.testing.assert_allclose(second, factor * first, rtol=1e-3, atol=1e-7)


def test_weight_decay_is_half_the_sum_of_squares_of_trainable_kernels(tiny_detector):
    model = tiny_detector(frozen_blocks=4, weight_decay=0.1)
    layers = (model.rpn.head.convs[0], model.rpn.head.scores, model.rpn.head.deltas)
    layers += (model.roi_head.box_head.fc6, model.roi_head.box_head.fc7)
    layers += (model.roi_head.predictor.logits, model.roi_head.predictor.deltas)
    squares = sum(np.sum(np.square(layer.kernel.numpy())) for layer in layers)
    np.testing.assert_allclose(model.decay_loss(), 0.1 * squares / 2, rtol=1e-5)


@pytest.mark.slow
def test_losses_are_summed_in_a_fixed_order(tiny_detector, two_images):
    # AddN begins with any term that it may overwrite; which ones depends on threads.
    model = tiny_detector()
    compute = tf.function(lambda: model.compute_losses(two_images, 0))
    operations = compute.get_concrete_function().graph.get_operations()
    assert not [operation for operation in operations if operation.type == "AddN"]


def test_the_rpns_six_results_have_the_layout_of_the_original(tiny_detector):
    model = tiny_detector()  # nine anchors
    image = np.random.default_rng(1).uniform(0, 255, [1, 960, 640, 3])
    results = model.rpn_results(image)
    shapes = {name: tuple(value.shape) for name, value in results.items()}
    assert shapes == {
        "rpn_cls_score": (1, 60, 40, 18),
        "rpn_cls_score_reshape": (1, 540, 40, 2),
        "rpn_cls_prob": (1, 60, 40, 18),
        "rpn_cls_pred": (1, 21600),
        "rpn_bbox_pred": (1, 60, 40, 36),
        "rois": (1, 40, 4),
    }
    scores, prob = (results[n].numpy() for n in ("rpn_cls_score", "rpn_cls_prob"))
    reshaped = results["rpn_cls_score_reshape"].numpy()
    for anchor, y, x in ((0, 0, 0), (4, 59, 7), (8, 13, 39)):
        pair = scores[0, y, x, [anchor, 9 + anchor]]
        row = anchor * 60 + y
        np.testing.assert_array_equal(reshaped[0, row, x], pair)
        odds = np.exp(pair) / np.exp(pair).sum()
        np.testing.assert_allclose(prob[0, y, x, [anchor, 9 + anchor]], odds, rtol=1e-5)
        assert results["rpn_cls_pred"][0, row * 40 + x] == np.argmax(pair)
    rois = results["rois"].numpy()
    assert (rois >= 0).all() and (rois <= [960, 640, 960, 640]).all()


def test_the_sigmoid_form_trains_but_has_no_six_results(tiny_detector, two_images):
    model = tiny_detector(rpn={"score_form": "sigmoid"})
    losses = model.compute_losses(two_images, 0)
    np.testing.assert_allclose(losses["rpn_class_loss"], np.log(2), atol=0.05)
    with pytest.raises(ValueError, match="sigmoid"):
        model.rpn_results(two_images)


def test_hard_examples_are_the_rois_of_the_highest_loss(tiny_detector, two_images):
    model = tiny_detector(roi={"hard_examples": 5})
    seen = []
    original = model.roi_head.call

    def watch(features, rois, *others, **settings):
        outputs = original(features, rois, *others, **settings)
        seen.append((rois, outputs))
        return outputs

    model.roi_head.call = watch
    model.compute_losses(two_images, 0, training=True)
    (candidates, (logits, deltas)), (hard, _) = seen
    labels = candidates.labels.numpy()
    assert labels.shape == (2, 60) and hard.labels.shape == (2, 5)
    deltas = model.roi_head.predictor.deltas_of(deltas, candidates.labels)
    loss = classification_losses(logits, candidates.labels)
    loss += box_losses(deltas, candidates.deltas, candidates.labels)
    loss = np.where(labels >= 0, loss, -1)
    for image in range(2):
        worst = np.argsort(-loss[image], kind="stable")[:5]
        np.testing.assert_array_equal(
            hard.boxes[image], candidates.boxes.numpy()[image][worst]
        )


@pytest.mark.slow
def test_a_head_that_does_not_regress_has_no_box_loss(tiny_detector, two_images):
    still = {"regress_boxes": False}
    model = tiny_detector(detections={"score_threshold": 0.0}, roi=still)
    losses = model.compute_losses(two_images, 0)
    assert losses["roi_box_loss"] == 0 and losses["roi_class_loss"] > 0
    found = model.predict_on_batch(one_of(two_images, 0))
    proposals = model.propose(two_images)
    own = found["boxes"][0][found["valid"][0]]
    gaps = np.abs(own[:, np.newaxis] - proposals.boxes[0].numpy()).max(axis=-1)
    assert len(own) and gaps.min(axis=1).max() < 1e-3


@pytest.mark.slow
def test_fast_rcnn_trains_and_detects_on_the_proposals_of_the_batch(
    tiny_detector, two_images
):
    model = tiny_detector(model_type=FastRCNN, detections={"score_threshold": 0.0})
    model.compile(keras.optimizers.SGD(0.01))
    proposals = tf.constant([[[20.0, 30, 60, 100], [0, 0, 40, 40]]] * 2)
    valid = tf.constant([[True, False], [True, True]])
    batch = two_images | {"proposals": proposals, "proposal_valid": valid}
    losses = model.compute_losses(batch, 0)
    assert set(losses) == {"loss", "roi_class_loss", "roi_box_loss", "decay_loss"}
    assert model.rpn is None
    model.train_on_batch(batch)
    found = model.predict_on_batch(batch)
    # Two classes for each valid proposal.
    assert found["valid"].sum(axis=1).tolist() == [2, 4]


def test_fast_rcnn_on_the_proposals_of_the_rpn_is_faster_rcnn(
    tiny_detector, two_images
):
    whole = tiny_detector(detections={"score_threshold": 0.0})
    proposals = whole.propose(two_images)
    stored = {"proposals": proposals.boxes, "proposal_valid": proposals.valid}
    second = second_stage_of(whole)
    second.build()
    expected, found = whole(two_images), second(two_images | stored)
    for name in ("boxes", "scores", "labels"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-4)


def test_stored_proposals_are_continuous_where_the_network_counts_last_pixels(
    tiny_detector, two_images
):
    whole = tiny_detector(detections={"score_threshold": 0.0}, conventions="caffe")
    batch = two_images | {"scales": tf.constant([[2.0, 2.0]] * 2)}
    in_file = whole.propose(batch)
    # The whole image ends at its size, not at its last pixel.
    assert np.max(in_file.boxes[0, :, 2]) == 96 / 2 + 0.5
    assert not np.any(in_file.boxes.numpy()[~in_file.valid.numpy()])
    stored = {"proposals": 2 * in_file.boxes, "proposal_valid": in_file.valid}
    second = second_stage_of(whole)
    second.build()
    expected, found = whole(batch), second(batch | stored)
    np.testing.assert_allclose(found["boxes"], expected["boxes"], atol=1e-4)
    np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-5)


def test_a_saved_model_keeps_the_type_that_its_parts_compute_in(
    tiny_detector, tmp_path
):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = tiny_detector()
    finally:
        keras.config.set_dtype_policy(before)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for own in (model, loaded):
        first = own.backbone.layers[1]
        computing = (own.rpn.head.convs[0], own.roi_head.box_head, first)
        assert {layer.compute_dtype for layer in computing} == {"bfloat16"}
        policies = (own.rpn.head, own.roi_head.pooling, own.roi_head.predictor)
        assert {layer.dtype_policy.name for layer in policies} == {"mixed_bfloat16"}
        assert own.roi_head.predictor.logits.compute_dtype == "float32"


@pytest.mark.slow
def test_an_image_that_is_one_crowd_teaches_nothing(tiny_detector, two_images):
    model = tiny_detector(rpn={"allowed_border": 0.0})
    batch = one_of(two_images, 0) | {
        "boxes": tf.constant([[[0.0, 0, 96, 128], [0, 0, 0, 0]]]),
        "labels": tf.constant([[1, -1]]),
    }
    crowd = batch | {"crowd": tf.constant([[True, False]])}
    parts = [name for name in model.loss_names if name[:3] in ("rpn", "roi")]
    losses = model.compute_losses(crowd, 0, training=True)
    assert len(parts) == 4 and all(losses[name] == 0.0 for name in parts)
    assert all(model.compute_losses(batch, 0)[name] > 0.0 for name in parts)


@pytest.mark.slow
def test_a_step_on_a_batch_with_a_crowd_learns_the_object_beside_it(
    tiny_detector, two_images
):
    model = tiny_detector()
    model.compile(keras.optimizers.SGD(0.01, 0.9))
    boxes = two_images["boxes"].numpy()
    boxes[:, 1] = [60, 0, 96, 30], [0, 0, 8, 30]
    batch = two_images | {
        "boxes": tf.constant(boxes),
        "labels": tf.constant([[0, 1, -1], [1, 0, -1]]),
        "crowd": tf.constant([[False, True, False]] * 2),
    }
    first = model.train_on_batch(batch, return_dict=True)
    assert all(np.isfinite(value) and value >= 0 for value in first.values())
    assert first["rpn_box_loss"] > 0 and first["roi_class_loss"] > 0
    # With a crowd that is nowhere it is the step of the objects alone.
    nowhere = two_images | {"crowd": tf.zeros([2, 3], bool)}
    for name, value in model.compute_losses(nowhere, 3, training=True).items():
        expected = model.compute_losses(two_images, 3, training=True)[name]
        np.testing.assert_allclose(value, expected, rtol=1e-6)
