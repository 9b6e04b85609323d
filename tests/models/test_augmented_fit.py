"""The settings `augment` and a user's function in `fit`, with every kind of data."""

import albumentations as A  # noqa: N812
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.models.inputs import build_evaluation_batches, build_training_batches

pytestmark = pytest.mark.slow

TURNED = {"rotate": True, "brightness": 0.3}
PIPELINE = A.Compose(
    [A.VerticalFlip(p=1.0), A.RandomBrightnessContrast(p=1.0)],
    bbox_params=A.BboxParams(format="pascal_voc", label_fields=["labels"]),
)


@pytest.fixture
def changed_stub(stub):
    """Builds stubs with other settings in some sections."""

    def build(**sections):
        model = stub()
        parts = {
            name: getattr(model.settings, name).replace(**values)
            for name, values in sections.items()
        }
        model._settings = model.settings.replace(**parts)
        return model

    return build


@pytest.fixture
def data_of(shapes, singles):
    return {"examples": shapes, "singles": singles}.get


def fitted(model, data, **settings):
    model.fit(data, batch_size=1, verbose=0, **settings)
    return {
        (epoch, int(batch["rows"][0])): batch["images"].numpy()
        for epoch, start in enumerate(range(0, len(model.trained), 4))
        for batch in model.trained[start : start + 4]
    }


def are_equal(images, others):
    return all(np.array_equal(images[key], others[key]) for key in images)


@pytest.mark.parametrize("kind", ["examples", "singles"])
def test_settings_change_training_alone_differ_by_epoch_and_repeat(
    kind, changed_stub, data_of
):
    data, model = data_of(kind), changed_stub(augment=TURNED)
    images = fitted(model, data, epochs=2, validation_data=data)
    first, second = ({r: i for (e, r), i in images.items() if e == k} for k in (0, 1))
    assert len(first) == len(second) == 4 and not are_equal(first, second)
    again = fitted(changed_stub(augment=TURNED), data)
    assert are_equal(again, images)
    unchanged = build_evaluation_batches(
        changed_stub().settings,
        data,
        num_classes=4,
        batch_size=1,
        box_format="yxyx",
    )
    pairs = zip(unchanged.dataset, model.tested[:4], strict=True)
    assert all(np.array_equal(b["images"], used["images"]) for b, used in pairs)


@pytest.mark.parametrize("kind", ["examples", "singles"])
def test_albumentations_change_training_images_and_repeat(kind, changed_stub, data_of):
    plain = fitted(changed_stub(data={"flip": False}), data_of(kind))
    flipped = fitted(
        changed_stub(data={"flip": False}), data_of(kind), augment=PIPELINE
    )
    again = fitted(changed_stub(data={"flip": False}), data_of(kind), augment=PIPELINE)
    assert are_equal(flipped, again) and not are_equal(flipped, plain)


def test_what_a_function_does_wrong_is_told_in_a_line(changed_stub, shapes):
    def scale(image, boxes, labels, seed):
        return image / 255.0, boxes, labels

    with pytest.raises(DataError, match=r"^augment returned an image float64") as error:
        changed_stub().fit(shapes, augment=scale, verbose=0)
    assert "\n" not in str(error.value)


def test_the_error_of_a_function_itself_is_shown(changed_stub, shapes):
    def fail(image, boxes, labels, seed):
        raise KeyError("my key")

    with pytest.raises(tf.errors.OpError, match="my key"):
        changed_stub().fit(shapes, augment=fail, verbose=0)


def test_batches_cannot_be_augmented(changed_stub, shapes):
    model = changed_stub()
    batches = build_evaluation_batches(model.settings, shapes, batch_size=2).dataset
    with pytest.raises(ValueError, match="augment changes single images, but x has"):
        model.fit(batches, augment=PIPELINE, verbose=0)


ONLY_SETS = {
    "augment.mosaic = 0.5": {"augment": {"mosaic": 0.5}},
    "data.repeat_below = 0.1": {"data": {"repeat_below": 0.1}},
    "data.max_negatives = 0.2": {"data": {"max_negatives": 0.2}},
}


@pytest.mark.parametrize("setting", ONLY_SETS)
def test_what_needs_a_data_set_is_refused_for_a_dataset(setting, changed_stub, singles):
    with pytest.raises(DataError, match=f"{setting} needs a data set of read_data"):
        changed_stub(**ONLY_SETS[setting]).fit(singles, verbose=0)


def test_a_balanced_epoch_has_its_own_number_of_steps(changed_stub, shapes):
    model = changed_stub(data={"repeat_below": 1.0})
    batches = build_training_batches(model.settings, shapes, batch_size=1)
    assert batches.steps == batches.num_images > len(shapes.records)
    model.fit(shapes, batch_size=1, verbose=0)
    assert len(model.trained) == batches.steps


def test_stored_proposals_cannot_follow_a_function(changed_stub, shapes):
    settings = changed_stub().settings
    settings = settings.replace(
        model=settings.model.replace(kind="fast_rcnn"),
        data=settings.data.replace(proposals="folder"),
    )
    with pytest.raises(ValueError, match=r"the stored proposals of data.proposals"):
        build_training_batches(settings, shapes, augment=PIPELINE)


@pytest.mark.slow
def test_a_resumed_training_has_the_images_of_an_uninterrupted_one(
    changed_stub, shapes
):
    settings = {
        "data": {"repeat_below": 1.0, "max_negatives": 0.3},
        "augment": TURNED | {"crop": 0.5, "mosaic": 0.5, "scale": (0.5, 1.5)},
    }
    fit = {"batch_size": 2, "verbose": 0, "augment": PIPELINE}
    whole, resumed = changed_stub(**settings), changed_stub(**settings)
    whole.fit(shapes, epochs=2, **fit)
    count = len(whole.trained) // 2
    resumed.optimizer.iterations.assign(count)
    resumed.fit(shapes, initial_epoch=1, epochs=2, **fit)
    assert len(whole.trained) == 2 * len(resumed.trained) > 0
    for found, expected in zip(resumed.trained, whole.trained[count:], strict=True):
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=name)
