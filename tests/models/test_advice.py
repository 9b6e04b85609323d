import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.config import Config
from tf_frcnn.models.advice import (
    ExplosionAdvice,
    LossAdvice,
    advise_on_data,
    advise_on_rate,
)


class Plain:
    """What advice asks of a model."""

    roi_head = "a head"
    class_names = ("cross", "ellipse", "rectangle", "triangle")
    settings = Config().replace(
        train=Config().train.replace(learning_rate=0.001),
        data=Config().data.replace(batch_size=2),
    )


def with_labels(shapes, *labels):
    records = tuple(
        record._replace(
            boxes=record.boxes[:1].repeat(len(own), axis=0),
            labels=np.array(own, np.int32),
            difficult=np.zeros(len(own), bool),
            crowd=np.zeros(len(own), bool),
        )
        for record, own in zip(shapes.records, labels, strict=False)
    )
    return dataclasses.replace(shapes, records=records)


def test_a_class_without_an_example_is_named(shapes):
    with pytest.warns(UserWarning) as caught:
        advise_on_data(Plain, with_labels(shapes, [0, 3], [0]))
    (warning,) = caught
    assert "has no example of ellipse, rectangle, which the model will" in str(
        warning.message
    )


@pytest.mark.parametrize("mark", ["difficult", "crowd"])
def test_difficult_objects_and_crowds_are_no_examples(shapes, recwarn, mark):
    examples = with_labels(shapes, [0, 1, 2, 3])
    advise_on_data(Plain, examples)
    assert not recwarn.list
    hard = tuple(r._replace(**{mark: np.arange(4) == 2}) for r in examples.records)
    with pytest.warns(UserWarning, match="no example of rectangle"):
        advise_on_data(Plain, dataclasses.replace(examples, records=hard))


def test_a_set_without_any_object_is_told_once(shapes):
    with pytest.warns(UserWarning) as caught:
        advise_on_data(Plain, with_labels(shapes, [], []))
    (warning,) = caught
    assert "no image has an object to learn; all are negative" in str(warning.message)


def test_a_background_class_and_one_class_under_two_names_are_told(shapes):
    names = ("cross", "Ellipse", "background", "ellipse")
    examples = with_labels(shapes, [0, 1, 2, 3])
    with pytest.warns(UserWarning) as caught:
        advise_on_data(Plain, dataclasses.replace(examples, class_names=names))
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == 2
    assert "'background' is a class; its objects: 1. Leave it out" in messages[0]
    assert "'Ellipse' and 'ellipse' differ in case or blanks" in messages[1]


@pytest.mark.parametrize(
    ("optimizer", "batch_size", "times"),
    [
        (keras.optimizers.SGD(0.001), 2, None),
        (keras.optimizers.SGD(0.004), 8, None),
        (keras.optimizers.SGD(0.01), 2, "10 times"),
        (keras.optimizers.SGD(0.001), 20, "0.1 times"),
        (keras.optimizers.SGD(0.01, gradient_accumulation_steps=4), 4, None),
        (keras.optimizers.Adam(0.01), 2, None),
        (keras.optimizers.SGD(lambda: 0.01), 2, None),
    ],
)
def test_a_rate_far_from_the_recipes_is_told(optimizer, batch_size, times, recwarn):
    model = Plain()
    model.optimizer = optimizer
    advise_on_rate(model, batch_size)
    messages = [str(warning.message) for warning in recwarn.list]
    assert len(messages) == bool(times)
    if times:
        assert f"at a batch size of {batch_size} is {times} the recipe's" in messages[0]


LEARNING = {"rpn_class_loss": 0.7, "rpn_box_loss": 0.1}
NOTHING = {"rpn_class_loss": 0.0, "rpn_box_loss": 0.0}
BACKGROUND = {"rpn_class_loss": 0.7, "rpn_box_loss": 0.0}


def warnings_of(recwarn, logs, *, epochs=1, steps=60, objects_are_known=False):
    advice = LossAdvice(objects_are_known)
    for epoch in range(epochs):
        for step in range(steps):
            advice.on_train_batch_end(step, logs(epoch * steps + step))
        advice.on_epoch_end(epoch)
    return [str(warning.message) for warning in recwarn.list]


@pytest.mark.parametrize("steps", [3, 60])
def test_sampling_nothing_is_told_once(recwarn, steps):
    (message,) = warnings_of(recwarn, lambda _: NOTHING, epochs=3, steps=steps)
    assert message.startswith("No anchor is sampled: none fits inside an image")


@pytest.mark.parametrize("steps", [3, 60])
def test_images_without_objects_are_told_once(recwarn, steps):
    (message,) = warnings_of(recwarn, lambda _: BACKGROUND, epochs=3, steps=steps)
    assert message == "There was no object so far: are all images negative?"


def test_objects_that_are_known_are_not_looked_for(recwarn):
    assert not warnings_of(recwarn, lambda _: BACKGROUND, objects_are_known=True)


@pytest.mark.parametrize("first", [0, 9, 49])
def test_a_sound_training_goes_without_a_warning(recwarn, first):
    nothing = NOTHING if first < 10 else BACKGROUND
    logs = lambda step: LEARNING if step >= first else nothing  # noqa: E731
    assert not warnings_of(recwarn, logs)
    assert not warnings_of(recwarn, lambda _: {"loss": 1.0, "roi_box_loss": 0.1})


def test_the_warning_comes_after_a_few_steps(recwarn):
    advice = LossAdvice()
    for step in range(9):
        advice.on_train_batch_end(step, NOTHING)
    assert not recwarn.list
    advice.on_train_batch_end(9, NOTHING)
    assert len(recwarn.list) == 1


@pytest.mark.slow
def test_anchors_too_large_for_the_images_are_told_by_fit(eager_detector, singles):
    model = eager_detector(anchors={"scales": [30]})
    with pytest.warns(UserWarning) as caught:
        history = model.fit(singles, epochs=2, verbose=0).history
    assert history["rpn_class_loss"] == [0.0, 0.0]
    (warning,) = caught
    assert "No anchor is sampled" in str(warning.message)


@pytest.mark.slow
def test_negative_images_are_told_by_fit(eager_detector, elements, dataset_of, recwarn):
    empty = [
        e | {"boxes": e["boxes"][:0], "labels": e["labels"][:0]} for e in elements[:2]
    ]
    history = eager_detector().fit(dataset_of(empty), verbose=0).history
    assert history["rpn_class_loss"][0] > 0 and history["roi_class_loss"][0] > 0
    (warning,) = recwarn.list
    assert "are all images negative?" in str(warning.message)


@pytest.mark.slow
def test_a_negative_example_set_is_told_once_by_fit(stub, shapes, recwarn):
    stub().fit(with_labels(shapes, [], [], [], []), verbose=0)
    (warning,) = recwarn.list
    assert "all are negative" in str(warning.message)


@pytest.mark.slow
def test_a_sound_fit_goes_without_a_warning(eager_detector, batch, recwarn):
    data = tf.data.Dataset.from_tensors(batch)
    eager_detector().fit(data, verbose=0)
    assert not recwarn.list


def exploded(losses, *, done=(), skipped=()):
    """Trains epochs of losses; the first goes on after the ones that are done."""
    advice = ExplosionAdvice(initial_batch=len(done))
    for number, epoch in enumerate(losses):
        advice.on_epoch_begin(number)
        seen = list(done) if number == 0 else []
        for batch, loss in enumerate(epoch):
            seen.append(loss)
            share = len(skipped) / len(seen)
            advice.on_train_batch_end(
                batch, {"loss": np.mean(seen) * 1.0, "skipped": share * (not done)}
            )
        advice.on_epoch_end(number)


def test_a_loss_that_has_exploded_is_told_once(recwarn):
    exploded([[2.0] * 500 + [3e6, 1e7, 2.0], [1e8]])
    (warning,) = recwarn.list
    message = "The loss has exploded: 3e+06 after 2 in the first step. Lower the lear"
    assert str(warning.message).startswith(message)


@pytest.mark.parametrize(
    "losses", [[[2.0, 1.9e6], [1.9e6, 0.1]], [[0.0, 0.0, 2.0, 1e6]], [[]]]
)
def test_a_loss_that_rises_less_is_not(recwarn, losses):
    exploded(losses)
    assert not recwarn.list


def test_the_sum_of_an_epoch_that_goes_on_is_no_explosion(recwarn):
    exploded([[2.0, 2.0], [2.0]], done=[1e9, 1e9])
    assert not recwarn.list
    exploded([[2.0, 2.0, 3e9], [2.0]], done=[2.0, 2.0])
    assert len(recwarn.list) == 1


@pytest.mark.slow
def test_an_explosion_is_told_by_fit(stub, singles):
    class Exploding(type(stub())):
        def train_step(self, batch):
            logs = super().train_step(batch)
            mean = 0.5 if len(self.trained) == 1 else 1e7
            return logs | {"loss": tf.constant(mean)}

    model = Exploding(stub().settings, stub().class_names)
    model.compile(keras.optimizers.SGD(0.001), run_eagerly=True)
    with pytest.warns(UserWarning, match="The loss has exploded: 2e.07 after 0.5"):
        model.fit(singles, verbose=0)
