import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.callbacks import MeanAveragePrecision
from tf_frcnn.data import (
    ExampleSet,
    Problems,
    Record,
    Resizing,
    evaluation_batches,
    make_shapes,
)
from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.decoding.transforms import decode_image
from tf_frcnn.evaluation import evaluate_coco, evaluate_voc
from tf_frcnn.models.evaluating import (
    Evaluation,
    evaluate,
    evaluate_boxes,
    ground_truth_of,
    observe,
    observe_and_propose,
    propose,
)
from tf_frcnn.runs.inference import detections_of_image

# Two canvases, so that batches do not keep the order of the records.
RESIZING = Resizing((96,), 128, ((96, 128), (128, 96)))


@pytest.fixture(scope="module")
def examples():
    """Upright and lying images in turn, larger than the network sees them."""
    shapes = make_shapes(12, seed=4)
    lies = [record.width > record.height for record in shapes.records]
    chosen = [lies.index(False), lies.index(True)]
    chosen += [lies.index(False, chosen[0] + 1), lies.index(True, chosen[1] + 1)]
    return shapes.subset(chosen)


@pytest.fixture(scope="module")
def batches(examples):
    return evaluation_batches(examples, RESIZING, batch_size=3)


@pytest.fixture(scope="module")
def model(tiny_detector):
    return tiny_detector(detections={"score_threshold": 0.0})


def network_input(examples, row):
    """Returns one image on a canvas of its own size, and network / file pixels."""
    record = examples.records[row]
    (data,) = [b for i, b in examples.stream().as_numpy_iterator() if i == row]
    scale = 96 / min(record.height, record.width)
    size = [round(record.height * scale), round(record.width * scale)]
    image = decode_image(data, tf.constant(record.orientation))
    scales = np.array(size) / [record.height, record.width]
    return tf.image.resize(image, size)[tf.newaxis], scales.astype(np.float32)


def padded(images):
    """Lays an image on the canvas that the pipeline would choose."""
    height, width = images.shape[1:3]
    canvas = (96, 128) if width >= height else (128, 96)
    rows, columns = canvas[0] - height, canvas[1] - width
    return {
        "images": tf.pad(images, [[0, 0], [0, rows], [0, columns], [0, 0]]),
        "image_sizes": tf.constant([[height, width]], tf.float32),
    }


@pytest.mark.slow
def test_detections_are_those_of_the_network_in_pixels_of_the_file(
    model, examples, batches
):
    _, found = observe(model, batches)
    assert set(found.image_index) == {0, 1, 2, 3}
    for row in range(4):
        images, scales = network_input(examples, row)
        # Without scales, detections are in pixels of the network's input.
        expected = model.predict_on_batch(padded(images))
        own = detections_of_image(found, row)
        count = int(expected["valid"].sum())
        assert count == len(own.scores) > 5
        np.testing.assert_allclose(own.scores, expected["scores"][0, :count], atol=1e-4)
        np.testing.assert_allclose(
            own.boxes * np.tile(scales, 2), expected["boxes"][0, :count], atol=0.02
        )
        np.testing.assert_array_equal(own.labels, expected["labels"][0, :count])


@pytest.mark.slow
def test_proposals_are_those_of_training_in_pixels_of_the_file(
    model, examples, batches
):
    found = propose(model, batches, training=True)
    for row in range(4):
        images, scales = network_input(examples, row)
        batch = padded(images) | {"scales": tf.constant([scales])}
        expected = model.propose(batch, training=True)
        own = found.image_index == row
        valid = expected.valid.numpy()
        assert 40 < valid.sum() == own.sum() <= 60  # at most 40 in inference
        np.testing.assert_allclose(found.scores[own], expected.scores[valid], rtol=1e-4)
        np.testing.assert_allclose(found.boxes[own], expected.boxes[valid], atol=0.02)


@pytest.mark.slow
def test_one_pass_detects_and_proposes(small_detector, shapes, monkeypatch):
    model, passes = small_detector(), []
    features = model.features

    def noted(batch):
        passes.append(batch)
        return features(batch)

    monkeypatch.setattr(model, "features", noted)
    truth, found, proposals = observe_and_propose(model, shapes)
    assert len(passes) == 1  # It is traced once for all canvases.
    expected_truth, expected = observe(model, shapes)
    columns = [*found, *proposals]
    both = [*expected, *propose(model, shapes, training=True)]
    assert len(found.scores) > 10 and len(proposals.scores) > 40  # as of training
    for own, other in zip(columns, both, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-3)
    for own, other in zip(truth, expected_truth, strict=True):
        np.testing.assert_array_equal(own, other)


class Seeing:
    """A detector that finds each object as it is in the batch, in network pixels."""

    distribute_strategy = tf.distribute.get_strategy()

    def predict_on_batch(self, batch):
        scales = tf.tile(batch["scales"], [1, 2])[:, tf.newaxis]
        valid = batch["labels"] >= 0
        found = {
            "boxes": batch["boxes"] / scales,
            "scores": tf.cast(valid, tf.float32),
            "labels": batch["labels"],
            "valid": valid,
        }
        return {name: values.numpy() for name, values in found.items()}


def test_what_was_found_is_compared_with_the_objects_of_the_same_image(
    examples, batches
):
    truth, (_, found) = ground_truth_of(examples), observe(Seeing(), batches)
    order = np.argsort(found.image_index, kind="stable")
    np.testing.assert_array_equal(found.image_index[order], truth.image_index)
    np.testing.assert_array_equal(found.labels[order], truth.labels)
    np.testing.assert_allclose(found.boxes[order], truth.boxes, atol=1e-3)
    result = evaluate_voc(truth, found, len(examples.class_names), iou_threshold=0.99)
    assert result.mean == pytest.approx(1)


@pytest.mark.slow
def test_if_nothing_is_found_the_columns_are_empty(tiny_detector, examples, batches):
    blind = tiny_detector(detections={"score_threshold": 0.99})
    _, found = observe(blind, batches)
    assert found.boxes.shape == (0, 4)
    assert len(found.image_index) == len(found.scores) == len(found.labels) == 0
    assert detections_of_image(found, 2).boxes.shape == (0, 4)
    result = evaluate_voc(ground_truth_of(examples), found, len(examples.class_names))
    assert result.mean == 0


def test_the_ground_truth_is_in_the_order_of_the_records():
    boxes = np.array([[0, 1, 2, 3], [4, 5, 6, 7], [1, 1, 5, 9]], np.float32)
    labels, difficult = np.array([2, 0, 1]), np.array([False, True, False])
    crowd = np.array([True, False, False])
    columns = boxes, labels, difficult, crowd
    records = tuple(
        Record(name, name, 20, 20, 1, *(column[rows] for column in columns))
        for name, rows in (("b", slice(0, 2)), ("c", slice(0, 0)), ("a", slice(2, 3)))
    )
    truth = ground_truth_of(ExampleSet("", tuple("xyz"), records, Problems(), None))
    np.testing.assert_array_equal(truth.image_index, [0, 0, 2])
    np.testing.assert_array_equal(truth.boxes, boxes)
    np.testing.assert_array_equal(truth.labels, labels)
    np.testing.assert_array_equal(truth.difficult, difficult)
    np.testing.assert_array_equal(truth.crowd, crowd)


def test_images_without_any_object_have_an_empty_ground_truth():
    empty = (np.zeros([0, 4]), np.zeros(0, int), *[np.zeros(0, bool)] * 2)
    records = (Record("a", "a", 20, 20, 1, *empty),)
    truth = ground_truth_of(ExampleSet("", ("x",), records, Problems(), None))
    assert truth.boxes.shape == (0, 4) and len(truth.labels) == 0


@pytest.mark.slow
def test_an_evaluation_has_the_mean_and_each_class(tiny_detector, batches):
    def rename(batch):  # four classes to two
        return batch | {"labels": tf.minimum(batch["labels"], 1)}

    model = tiny_detector(detections={"score_threshold": 0.0})
    result = evaluate(model, batches.map(rename), iou_threshold=0.1)
    assert [*result.by_class] == ["wide", "tall"]
    assert result.mean == pytest.approx(np.mean([*result.by_class.values()]))
    assert result.mean > 0
    assert repr(Evaluation(0.75, {"a": 1.0, "b": 0.5}, None)) == (
        "mAP 0.750: a 1.000, b 0.500"
    )


@pytest.mark.slow
def test_all_kinds_of_data_are_measured_alike(eager_detector, shapes, singles):
    model = eager_detector()
    prepared = model.evaluation_batches(shapes, 2).dataset

    def pair(batch):
        objects = {name: batch.pop(name) for name in ("boxes", "labels")}
        return batch, objects

    means = [
        evaluate(model, data, iou_threshold=0.05).mean
        for data in (shapes, singles, prepared, prepared.map(pair))
    ]
    assert means[0] > 0
    np.testing.assert_allclose(means, means[0], rtol=1e-6)


def test_data_without_objects_or_without_an_end_cannot_be_measured(
    eager_detector, singles, batch
):
    model = eager_detector()
    images = singles.map(lambda element: element["image"])
    with pytest.raises(DataError, match="images alone; boxes and labels are needed"):
        evaluate(model, images)
    with pytest.raises(ValueError, match="needs images, boxes and labels, but has ima"):
        evaluate(model, tf.data.Dataset.from_tensors(batch["images"]))
    for endless in (singles.repeat(), tf.data.Dataset.from_tensors(batch).repeat()):
        with pytest.raises(DataError, match=r"endless: give dataset\.take\(n\)\."):
            evaluate(model, endless)


@pytest.mark.slow
def test_a_fault_in_the_data_is_told_in_a_line(eager_detector, elements, dataset_of):
    faulty = [elements[0], elements[1] | {"labels": elements[1]["labels"] + 9}]
    with pytest.raises(DataError, match=r"^image 1: labels must lie in 0\.\.3"):
        evaluate(eager_detector(), dataset_of(faulty))


@pytest.mark.slow
def test_crowds_of_all_kinds_of_data_are_known_to_the_evaluation(
    eager_detector, shapes
):
    counts = [len(record.boxes) for record in shapes.records]
    records = tuple(
        record._replace(crowd=np.arange(n) == 0)
        for record, n in zip(shapes.records, counts, strict=True)
    )
    crowded = dataclasses.replace(shapes, records=records)
    model = eager_detector()
    prepared = model.evaluation_batches(crowded, 2).dataset
    for data in (crowded, prepared):
        truth, _ = observe(model, data)
        assert truth.crowd.sum() == sum(n > 0 for n in counts) > 0
        assert len(truth.crowd) == sum(counts)
    _, found = observe(model, shapes)
    result = evaluate_boxes(model, truth, found).result
    assert result.num_objects.sum() == sum(n - 1 for n in counts if n)


@pytest.mark.slow
def test_data_with_crowds_are_learned(eager_detector, shapes):
    records = tuple(
        record._replace(crowd=np.arange(len(record.boxes)) == 0)
        for record in shapes.records
    )
    model = eager_detector()
    crowded = dataclasses.replace(shapes, records=records)
    history = model.fit(crowded, validation_data=crowded, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    without = model.fit(shapes, verbose=0).history
    assert history.keys() >= without.keys()


@pytest.mark.slow
def test_cocos_metric_is_one_of_them(eager_detector, shapes):
    model = eager_detector()
    truth, found = observe(model, shapes)
    found = found._replace(boxes=truth.boxes[:1], image_index=truth.image_index[:1])
    found = found._replace(labels=truth.labels[:1], scores=np.ones(1))
    expected = evaluate_coco(truth, found, len(model.class_names))
    own = evaluate_boxes(model, truth, found, metric="coco")
    assert own.mean == expected.ap > 0 and own.result.ap50 == expected.ap50
    np.testing.assert_array_equal([*own.by_class.values()], expected.class_ap)
    of_recipe = eager_detector(evaluation={"metric": "coco"})
    assert evaluate_boxes(of_recipe, truth, found).mean == own.mean
    area = evaluate_boxes(of_recipe, truth, found, metric="area", iou_threshold=0.75)
    assert (
        area.mean
        == evaluate_boxes(model, truth, found, metric="area", iou_threshold=0.75).mean
    )
    with pytest.raises(ValueError, match=r"iou_threshold: metric = 'coco' has its own"):
        evaluate_boxes(model, truth, found, metric="coco", iou_threshold=0.75)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"metric": "coc"}, "metric = 'coc' must be one of 11-point, area, coco"),
        ({"iou": 0.5}, "iou: evaluate takes iou_threshold, metric, "),
        ({"metric": "coco", "strict": True}, "strict: metric = 'coco' has its own"),
    ],
)
def test_what_evaluate_does_not_take_is_told_before_images_are_read(
    eager_detector, given, words
):
    model = eager_detector()
    with pytest.raises(ValueError, match=words):
        evaluate(model, None, **given)
    callback = MeanAveragePrecision(None, **given)
    callback.set_model(model)
    with pytest.raises(ValueError, match=words):
        callback.on_train_begin()
