"""`fit` and `evaluate` where images vanish after the data were read."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data.checks.problems import DataError, Problems
from tf_frcnn.data.examples import StoredImages
from tf_frcnn.data.pipeline import replacing
from tf_frcnn.models.evaluating import evaluate

SETTINGS = {"batch_size": 1, "epochs": 3, "verbose": 0}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(replacing, "PAUSES", (0.0, 0.0))


@pytest.fixture
def folder(shapes, tmp_path):
    """A folder with the shapes: 0.png, 1.png ..."""
    for row, data in shapes.stream().as_numpy_iterator():
        (tmp_path / f"{row}.png").write_bytes(data)
    return tmp_path


@pytest.fixture
def in_files(shapes, folder):
    paths = [str(folder / f"{row}.png") for row in range(4)]
    images = StoredImages(tf.constant(paths), are_paths=True)
    records = tuple(
        record._replace(source=path)
        for record, path in zip(shapes.records, paths, strict=True)
    )
    return replace(shapes, images=images, records=records, problems=Problems())


@pytest.fixture
def limited_stub(stub):
    """Builds stubs with a value of data.max_unreadable."""

    def build(limit):
        model = stub()
        data = model.settings.data.replace(max_unreadable=limit)
        model._settings = model.settings.replace(data=data)
        return model

    return build


class Remove(keras.callbacks.Callback):
    """Removes a file when the first epoch has ended."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        self.path.unlink(missing_ok=True)


def other_of_canvas(examples):
    """Returns the row of the image that lies, or stands, as the first one does."""
    lies = [record.width > record.height for record in examples.records]
    return lies.index(lies[0], 1)


def rows_of(batches):
    return sorted(int(row) for batch in batches for row in batch["rows"])


@pytest.mark.slow
def test_training_goes_on_with_as_many_steps(limited_stub, in_files, folder):
    model = limited_stub(1)
    with pytest.warns(UserWarning, match=r"0\.png can no longer be read") as warned:
        model.fit(in_files, callbacks=[Remove(folder / "0.png")], **SETTINGS)
    assert len([w for w in warned if "no longer" in str(w.message)]) == 1
    first, *others = (model.trained[k : k + 4] for k in (0, 4, 8))
    assert rows_of(first) == [0, 1, 2, 3]
    other = other_of_canvas(in_files)
    expected = sorted([1, 2, 3, other])
    assert [rows_of(batches) for batches in others] == [expected] * 2
    assert [problem.file for problem in in_files.problems.rows] == [
        str(folder / "0.png")
    ]


@pytest.mark.slow
def test_one_image_too_many_ends_fit_in_one_clear_error(limited_stub, in_files, folder):
    with pytest.raises(DataError) as error:
        limited_stub(0).fit(in_files, callbacks=[Remove(folder / "0.png")], **SETTINGS)
    assert str(error.value) == (
        f"{folder}/0.png can no longer be read (No such file or directory): that is "
        "more than data.max_unreadable = 0 allows. Restore the files, or read the data "
        "again, which leaves out what is missing."
    )


def test_the_setting_has_a_default(small_detector):
    assert small_detector().settings.data.max_unreadable == 10


@pytest.mark.slow
def test_validation_and_evaluation_pass_over_no_image(stub, in_files, folder, shapes):
    (folder / "3.png").write_bytes(b"")
    expected = r"3\.png can no longer be read \(.*\), and no other image can take"
    with pytest.raises(DataError, match=expected):
        stub().fit(shapes, validation_data=in_files, verbose=0)
    with pytest.raises(DataError, match=expected):
        stub().evaluate(in_files, verbose=0)


@pytest.mark.slow
def test_a_detector_is_not_evaluated_on_fewer_images(eager_detector, in_files, folder):
    (folder / "3.png").unlink()
    with pytest.raises(DataError, match=r"3\.png can no longer be read"):
        evaluate(eager_detector(), in_files)


@pytest.mark.slow
def test_the_losses_are_those_with_the_other_image(
    eager_detector, in_files, folder, shapes
):
    (folder / "0.png").unlink()
    rows = [other_of_canvas(shapes), 1, 2, 3]
    expected = replace(
        shapes,
        records=tuple(shapes.records[row] for row in rows),
        images=StoredImages(tf.gather(shapes.images.items, rows), are_paths=False),
    )
    losses = []
    for data in (in_files, expected):
        keras.utils.set_random_seed(0)
        model = eager_detector()
        history = model.fit(data, batch_size=1, epochs=2, verbose=0).history
        losses.append(history["loss"])
    np.testing.assert_array_equal(*losses)
