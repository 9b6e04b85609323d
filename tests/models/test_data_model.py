import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.models.inputs import build_evaluation_batches, build_training_batches


class Seen(keras.callbacks.Callback):
    """Notes the epochs and the steps of each."""

    def __init__(self):
        super().__init__()
        self.epochs = {}

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs[epoch] = 0

    def on_train_batch_end(self, batch, logs=None):
        self.epochs[self._last()] = batch + 1

    def _last(self):
        return max(self.epochs)


def images_of(model, monkeypatch):
    """Returns a list that gets the names of each training batch's images."""
    seen, step = [], model.train_step

    def watched(batch):
        seen.append([name.decode() for name in batch["image_ids"].numpy()])
        return step(batch)

    monkeypatch.setattr(model, "train_step", watched)
    return seen


def arrays_of(found):
    return {name: np.asarray(values) for name, values in found.items()}


@pytest.mark.parametrize("kind", ["examples", "singles", "unknown", "batches"])
def test_fit_takes_all_kinds_of_data_and_of_validation_data(
    kind, eager_detector, shapes, singles, elements, dataset_of, recwarn
):
    model = eager_detector()
    settings = {"num_classes": 4, "batch_size": 3}
    data = {
        "examples": shapes,
        "singles": singles,
        "unknown": dataset_of(elements, is_known=False),
        "batches": build_evaluation_batches(model.settings, shapes, **settings).dataset,
    }[kind]
    seen = Seen()
    history = model.fit(
        data, validation_data=data, batch_size=3, epochs=2, verbose=0, callbacks=seen
    ).history
    assert seen.epochs == {0: 2, 1: 2}  # two canvases of three images each
    assert set(history) == {p + n for n in model.loss_names for p in ("", "val_")}
    assert all(len(figures) == 2 for figures in history.values())
    evaluated = model.evaluate(data, batch_size=3, verbose=0, return_dict=True)
    # The same images without mirroring, in whatever form they come.
    assert evaluated["loss"] == pytest.approx(history["val_loss"][1], rel=1e-4)
    assert not recwarn.list


@pytest.fixture(scope="module")
def graph_model(small_detector):
    model = small_detector()
    model.compile()
    return model


def test_in_a_graph_a_dataset_of_unknown_length_trains_without_keras_warning(
    graph_model, elements, dataset_of, recwarn
):
    data = dataset_of(elements, is_known=False)
    seen = Seen()
    graph_model.fit(
        data, validation_data=data, batch_size=3, epochs=2, verbose=0, callbacks=[seen]
    )
    assert seen.epochs == {0: 2, 1: 2}
    graph_model.evaluate(data, batch_size=3, verbose=0)
    graph_model.predict(data, batch_size=3, verbose=0)
    assert not recwarn.list


def test_keras_still_warns_if_there_are_fewer_steps_than_asked_for(
    eager_detector, singles
):
    with pytest.warns(UserWarning, match="ran out of data"):
        eager_detector().fit(singles, batch_size=3, steps_per_epoch=3, verbose=0)


def test_an_example_set_is_shuffled_anew_in_each_epoch_and_in_each_fit(
    eager_detector, shapes, monkeypatch
):
    model = eager_detector()
    seen = images_of(model, monkeypatch)
    model.fit(shapes, batch_size=1, epochs=2, verbose=0)
    model.fit(shapes, batch_size=1, epochs=1, verbose=0)
    epochs = [tuple(sum(seen[at : at + 6], [])) for at in (0, 6, 12)]
    assert len({*epochs}) == 3
    assert {tuple(sorted(epoch)) for epoch in epochs} == {
        tuple(sorted(record.image_id for record in shapes.records))
    }


def test_a_dataset_keeps_its_order_but_is_mirrored_otherwise_in_each_fit(
    eager_detector, singles, monkeypatch
):
    model = eager_detector()
    step, boxes, names = model.train_step, [], []

    def watched(batch):
        boxes.append(batch["boxes"].numpy().round(2).tolist())
        names.append(int(batch["rows"][0]))
        return step(batch)

    monkeypatch.setattr(model, "train_step", watched)
    for _ in range(2):
        model.fit(singles, batch_size=1, epochs=1, verbose=0)
    assert names == [*range(6), *range(6)]
    assert boxes[:6] != boxes[6:]


@pytest.mark.parametrize("kind", ["examples", "endless"])
def test_the_steps_of_an_epoch_may_be_given(
    kind, eager_detector, shapes, singles, recwarn
):
    data = shapes if kind == "examples" else singles.repeat()
    seen = Seen()
    eager_detector().fit(
        data, batch_size=2, steps_per_epoch=5, epochs=2, verbose=0, callbacks=[seen]
    )
    assert seen.epochs == {0: 5, 1: 5}
    assert not recwarn.list


def test_the_first_epoch_and_the_validated_ones_may_be_given(eager_detector, shapes):
    seen = Seen()
    history = eager_detector().fit(
        shapes,
        validation_data=shapes,
        validation_freq=2,
        initial_epoch=1,
        epochs=4,
        verbose=0,
        callbacks=[seen],
    )
    assert [*seen.epochs] == history.epoch == [1, 2, 3]
    assert len(history.history["val_loss"]) == 2  # after the second and fourth
    assert len(history.history["loss"]) == 3


def test_batches_may_come_as_keras_pairs_and_as_arrays(eager_detector, batch):
    model = eager_detector()
    objects = {name: batch[name] for name in ("boxes", "labels")}
    pairs = tf.data.Dataset.from_tensors(({"images": batch["images"]}, objects))
    model.evaluate(tf.data.Dataset.from_tensors(batch), verbose=0)
    expected = model.evaluate(
        tf.data.Dataset.from_tensors(batch), verbose=0, return_dict=True
    )
    for arguments in ((pairs,), (batch,), (batch["images"], objects)):
        losses = model.evaluate(*arguments, batch_size=2, verbose=0, return_dict=True)
        assert losses["loss"] == pytest.approx(expected["loss"], rel=1e-5)
        model.fit(*arguments, batch_size=2, verbose=0)


def test_predictions_are_in_the_order_of_the_data(graph_model, shapes, singles):
    mixed = graph_model.predict(shapes, batch_size=2, verbose=0)
    names = [record.image_id.encode() for record in shapes.records]
    assert mixed["image_ids"].tolist() == names and "rows" not in mixed
    alone = graph_model.predict(singles, batch_size=1, verbose=0)
    assert alone["image_ids"].tolist() == [b"0", b"1", b"2", b"3", b"4", b"5"]
    np.testing.assert_array_equal(mixed["labels"], alone["labels"])
    np.testing.assert_allclose(mixed["boxes"], alone["boxes"], atol=0.02)
    assert len({tuple(row) for row in mixed["scores"].tolist()}) == 6


def test_predictions_are_what_detect_finds(graph_model, elements, singles):
    predicted = graph_model.predict(singles, verbose=0)
    for row, found in enumerate(graph_model.detect([e["image"] for e in elements])):
        valid = predicted["valid"][row]
        np.testing.assert_allclose(
            found.boxes, predicted["boxes"][row][valid], atol=0.02
        )


def test_part_of_the_data_may_be_evaluated_and_predicted(eager_detector, singles):
    model = eager_detector()
    endless = singles.repeat()
    found = model.predict(endless, batch_size=1, steps=2, verbose=0)
    assert found["image_ids"].tolist() == [b"0", b"1"]
    model.evaluate(endless, batch_size=1, steps=2, verbose=0)


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
@pytest.mark.parametrize("kind", ["singles", "batches"])
def test_an_endless_dataset_is_refused(method, kind, eager_detector, singles, batch):
    data = singles if kind == "singles" else tf.data.Dataset.from_tensors(batch)
    argument = "steps_per_epoch" if method == "fit" else "steps"
    with pytest.raises(DataError, match=rf"endless: give {argument} or dataset.take"):
        getattr(eager_detector(), method)(data.repeat(), verbose=0)


def test_endless_validation_data_are_refused_before_the_training(
    eager_detector, singles
):
    with pytest.raises(DataError, match="endless: give validation_steps or"):
        eager_detector().fit(singles, validation_data=singles.repeat(), verbose=0)


def test_classes_of_data_and_model_must_agree(eager_detector, shapes):
    other = shapes.with_classes(shapes.class_names[::-1])
    model = eager_detector()
    for method in (model.fit, model.evaluate, model.predict):
        with pytest.raises(ValueError, match="class_names = model.class_names"):
            method(other)


def test_validation_batches_are_as_large_as_those_of_the_training(
    eager_detector, shapes, batch, monkeypatch
):
    model, sizes = eager_detector(), []
    step = model.test_step

    def watched(batch):
        sizes.append(len(batch["labels"]))
        return step(batch)

    monkeypatch.setattr(model, "test_step", watched)
    prepared = tf.data.Dataset.from_tensors(batch)
    for data, arguments in (
        (shapes, {"batch_size": 3}),
        (prepared, {"batch_size": 3}),
        (shapes, {"batch_size": 2, "validation_batch_size": 3}),
    ):
        model.fit(data, validation_data=shapes, verbose=0, **arguments)
    assert sizes == [3] * 6


def test_boxes_without_area_are_counted_once_per_image(
    eager_detector, elements, dataset_of
):
    broken = dict(elements[0], boxes=elements[0]["boxes"].copy())
    broken["boxes"][0, 2:] = broken["boxes"][0, :2]
    data = dataset_of([broken, *elements[1:]])
    with pytest.warns(UserWarning, match="^1 boxes have no area") as caught:
        eager_detector().fit(data, epochs=3, verbose=0)
    assert len(caught) == 1


def test_training_batches_are_those_of_the_recipe(eager_detector, shapes, monkeypatch):
    model = eager_detector()
    seen = images_of(model, monkeypatch)
    model.fit(shapes, epochs=1, verbose=0)
    own = build_training_batches(model.settings, shapes, epoch=0)
    expected = [
        [name.decode() for name in batch["image_ids"].numpy()]
        for batch in own.dataset.take(own.steps)
    ]
    assert seen == expected
