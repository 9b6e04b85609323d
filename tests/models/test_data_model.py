import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.pipeline.shards import Shard
from tf_frcnn.models import data_model
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


def names_in(batches):
    """Returns the images of each batch."""
    return [[name.decode() for name in b["image_ids"].numpy()] for b in batches]


@pytest.fixture
def kinds(shapes, singles, elements, dataset_of):
    """The same images in all kinds of data, batches of two."""

    def of(kind, model):
        settings = {"num_classes": 4, "batch_size": 2}
        return {
            "examples": lambda: shapes,
            "singles": lambda: singles,
            "unknown": lambda: dataset_of(elements, is_known=False),
            "batches": lambda: (
                build_evaluation_batches(model.settings, shapes, **settings).dataset
            ),
        }[kind]()

    return of


KINDS = ("examples", "singles", "unknown", "batches")


def test_fit_without_compile_says_what_to_do(small_detector, shapes):
    model = small_detector()
    with pytest.raises(ValueError, match=r"call compile\(\) first"):
        model.fit(shapes)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_fit_takes_all_kinds_of_data_and_of_validation_data(kind, stub, kinds, recwarn):
    model, seen = stub(), Seen()
    data = kinds(kind, model)
    history = model.fit(
        data, validation_data=data, batch_size=2, epochs=2, verbose=0, callbacks=seen
    ).history
    assert seen.epochs == {0: 2, 1: 2}  # one for each canvas
    assert len(model.tested) == 4
    assert history["loss"] == [0.5, 0.5] and history["val_loss"] == [2.0, 2.0]
    assert model.evaluate(data, batch_size=1, verbose=0, return_dict=True) == {
        "loss": 2.0
    }
    names = {name for batch in names_in(model.trained) for name in batch}
    assert len(names) == 4
    assert not recwarn.list


@pytest.mark.slow
def test_every_kind_of_data_has_the_same_losses(eager_detector, kinds, recwarn):
    # Nothing is drawn: keys of a draw depend on the padded rows of a batch.
    model = eager_detector(keras.optimizers.SGD(0.0), roi={"num_samples": 1000})
    losses = {}
    settings = {"batch_size": 2, "verbose": 0}
    for kind in KINDS:
        data = kinds(kind, model)
        history = model.fit(data, validation_data=data, **settings).history
        assert set(history) == {p + n for n in model.loss_names for p in ("", "val_")}
        losses[kind] = [history[f"val_{name}"][0] for name in model.loss_names]
        np.testing.assert_allclose(losses[kind], losses["examples"], rtol=1e-4)
        model.predict(data, **settings)
    assert model.optimizer.iterations == len(KINDS) * 2
    evaluated = model.evaluate(data, return_dict=True, **settings)
    assert [evaluated[name] for name in model.loss_names] == losses[kind]
    assert not recwarn.list


@pytest.mark.slow
def test_keras_still_warns_if_there_are_fewer_steps_than_asked_for(stub, singles):
    with pytest.warns(UserWarning, match="ran out of data"):
        stub().fit(singles, batch_size=2, steps_per_epoch=3, verbose=0)


@pytest.mark.slow
def test_an_example_set_is_shuffled_anew_in_each_epoch_and_in_each_fit(stub, shapes):
    model = stub()
    model.fit(shapes, batch_size=1, epochs=2, verbose=0)
    model.fit(shapes, batch_size=1, epochs=1, verbose=0)
    seen = names_in(model.trained)
    epochs = [tuple(name for (name,) in seen[at : at + 4]) for at in (0, 4, 8)]
    assert len({*epochs}) == 3
    assert {tuple(sorted(epoch)) for epoch in epochs} == {
        tuple(sorted(record.image_id for record in shapes.records))
    }


@pytest.mark.slow
def test_a_dataset_keeps_its_order_but_is_mirrored_otherwise_in_each_fit(stub, singles):
    model = stub()
    for _ in range(2):
        model.fit(singles, batch_size=1, epochs=1, verbose=0)
    assert [int(batch["rows"][0]) for batch in model.trained] == [0, 1, 2, 3] * 2
    boxes = [batch["boxes"].numpy().round(2).tolist() for batch in model.trained]
    assert boxes[:4] != boxes[4:]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["examples", "endless"])
def test_the_steps_of_an_epoch_may_be_given(kind, stub, shapes, singles, recwarn):
    data = shapes if kind == "examples" else singles.repeat()
    seen = Seen()
    stub().fit(
        data, batch_size=2, steps_per_epoch=3, epochs=2, verbose=0, callbacks=[seen]
    )
    assert seen.epochs == {0: 3, 1: 3}
    assert not recwarn.list


@pytest.mark.slow
def test_the_first_epoch_and_the_validated_ones_may_be_given(stub, shapes):
    seen = Seen()
    history = stub().fit(
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


@pytest.mark.slow
@pytest.mark.parametrize("done", [1, 3, 4])
def test_an_interrupted_epoch_goes_on_with_its_other_batches(
    stub, shapes, recwarn, done
):
    settings = {"batch_size": 1, "verbose": 0}
    whole, resumed, seen = stub(), stub(), Seen()
    whole.fit(shapes, epochs=3, **settings)
    resumed.optimizer.iterations.assign(4 + done)
    resumed.fit(
        shapes,
        epochs=3,
        initial_epoch=1,
        initial_batch=done,
        callbacks=[seen],
        **settings,
    )
    assert names_in(resumed.trained) == names_in(whole.trained)[4 + done :]
    assert seen.epochs == {1: 4 - done, 2: 4} and not recwarn.list


def test_only_data_whose_order_is_known_can_go_on_within_an_epoch(stub, singles):
    with pytest.raises(ValueError, match="initial_batch = 2 needs data of read_data"):
        stub().fit(singles, initial_batch=2)


@pytest.mark.slow
def test_batches_may_come_as_keras_pairs_and_as_arrays(eager_detector, batch):
    model = eager_detector()
    objects = {name: batch[name] for name in ("boxes", "labels")}
    pairs = tf.data.Dataset.from_tensors(({"images": batch["images"]}, objects))
    expected = model.evaluate(
        tf.data.Dataset.from_tensors(batch), verbose=0, return_dict=True
    )
    forms = ((pairs,), (batch,), (batch["images"], objects))
    for arguments in forms:
        losses = model.evaluate(*arguments, batch_size=2, verbose=0, return_dict=True)
        assert losses["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    for arguments in forms:
        model.fit(*arguments, batch_size=2, verbose=0)


@pytest.mark.slow
def test_predictions_are_in_the_order_of_the_data_and_what_detect_finds(
    eager_detector, shapes, singles, elements
):
    model = eager_detector()
    of_set = model.predict(shapes, batch_size=2, verbose=0)
    names = [record.image_id.encode() for record in shapes.records]
    assert of_set["image_ids"].tolist() == names and "rows" not in of_set
    of_dataset = model.predict(singles, batch_size=3, verbose=0)
    assert of_dataset["image_ids"].tolist() == [b"0", b"1", b"2", b"3"]
    assert len({tuple(row) for row in of_set["scores"].tolist()}) == 4
    for row, found in enumerate(model.detect([e["image"] for e in elements])):
        for predicted in (of_set, of_dataset):
            valid = predicted["valid"][row]
            for name, atol in (("boxes", 0.01), ("scores", 1e-5), ("labels", 0)):
                np.testing.assert_allclose(
                    getattr(found, name), predicted[name][row][valid], atol=atol
                )


@pytest.mark.slow
def test_part_of_the_data_may_be_evaluated_and_predicted(eager_detector, singles):
    model = eager_detector()
    endless = singles.repeat()
    found = model.predict(endless, batch_size=1, steps=2, verbose=0)
    assert found["image_ids"].tolist() == [b"0", b"1"]
    model.evaluate(endless, batch_size=1, steps=2, verbose=0)


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
@pytest.mark.parametrize("kind", ["singles", "batches"])
def test_an_endless_dataset_is_refused(method, kind, stub, singles, batch):
    data = singles if kind == "singles" else tf.data.Dataset.from_tensors(batch)
    argument = "steps_per_epoch" if method == "fit" else "steps"
    with pytest.raises(DataError, match=rf"endless: give {argument} or dataset.take"):
        getattr(stub(), method)(data.repeat(), verbose=0)


def test_endless_validation_data_are_refused_before_the_training(stub, singles):
    with pytest.raises(DataError, match="endless: give validation_steps or"):
        stub().fit(singles, validation_data=singles.repeat(), verbose=0)


def test_classes_of_data_and_model_must_agree(stub, shapes):
    other = shapes.with_classes(shapes.class_names[::-1])
    model = stub()
    for method in (model.fit, model.evaluate, model.predict):
        with pytest.raises(ValueError, match=r"class_names = model\.class_names"):
            method(other)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"batch_size": 1}, [1, 1, 1, 1]),
        ({"batch_size": 1, "validation_batch_size": 2}, [2, 2]),
        ({}, [2, 2]),
    ],
)
def test_validation_batches_are_as_large_as_those_of_the_training(
    sizes, expected, stub, shapes, batch
):
    model = stub()
    prepared = tf.data.Dataset.from_tensors(batch)
    model.fit(prepared, validation_data=shapes, verbose=0, **sizes)
    assert [len(batch["labels"]) for batch in model.tested] == expected


@pytest.mark.slow
def test_boxes_without_area_are_counted_once_per_image(stub, elements, dataset_of):
    broken = dict(elements[0], boxes=elements[0]["boxes"].copy())
    broken["boxes"][0, 2:] = broken["boxes"][0, :2]
    data = dataset_of([broken, *elements[1:]])
    with pytest.warns(UserWarning, match="^1 boxes have no area") as caught:
        stub().fit(data, epochs=3, verbose=0)
    assert len(caught) == 1


@pytest.mark.slow
def test_training_batches_are_those_of_the_recipe(stub, shapes):
    model = stub()
    model.fit(shapes, epochs=1, verbose=0)
    own = build_training_batches(model.settings, shapes, epoch=0)
    assert names_in(model.trained) == names_in(own.dataset.take(own.steps))


@pytest.mark.slow
def test_a_worker_of_two_prepares_its_part_of_each_batch(stub, shapes, monkeypatch):
    own = Shard(1, 2, 1)
    monkeypatch.setattr(data_model, "shard_of", lambda strategy: own)
    model = stub()
    settings = {"validation_data": shapes, "batch_size": 2, "verbose": 0}
    model.fit(shapes, **settings)
    for seen, build in (
        (model.trained, build_training_batches),
        (model.tested, build_evaluation_batches),
    ):
        whole = build(model.settings, shapes, batch_size=2).dataset.take(2)
        assert names_in(seen) == [names[1:] for names in names_in(whole)]
        assert [batch["image_weights"].numpy() for batch in seen] == [1.0, 1.0]
    # Of images that may change their shape the batches are whole.
    whole = build_training_batches(
        model.settings, shapes, augment=lambda *changed: changed[:3], shard=own
    )
    assert not whole.are_parts
