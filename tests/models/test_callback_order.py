import keras
import pytest
from keras.callbacks import (
    BackupAndRestore,
    CSVLogger,
    EarlyStopping,
    ModelCheckpoint,
    SwapEMAWeights,
)

from tf_frcnn import callbacks
from tf_frcnn.callbacks import MeanAveragePrecision
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.models.callback_order import in_order
from tf_frcnn.models.evaluating import ground_truth_of

MAP = MeanAveragePrecision(None)
STOP, LOG = EarlyStopping("val_mAP", mode="max"), CSVLogger("log.csv")
SWAP, BACKUP = SwapEMAWeights(), BackupAndRestore("backup")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([STOP, LOG, MAP], [MAP, STOP, LOG]),
        ([MAP, LOG, STOP], [MAP, LOG, STOP]),
        ([STOP, BACKUP, MAP], [MAP, STOP, BACKUP]),
        ([STOP, [LOG, MAP]], [MAP, STOP, LOG]),
        (STOP, [STOP]),
        (None, []),
        ([MAP, STOP, SWAP], [SWAP, MAP, STOP]),
        ([BACKUP, SWAP, MAP, STOP], [BACKUP, SWAP, MAP, STOP]),
        ([STOP, MAP, SWAP, BACKUP], [SWAP, MAP, STOP, BACKUP]),
    ],
)
def test_what_adds_figures_comes_first_but_for_the_swap_of_weights(given, expected):
    assert in_order(given) == expected


def test_a_list_of_keras_own_is_taken_apart():
    given = keras.callbacks.CallbackList([STOP, MAP], add_history=True)
    stop, history = given.callbacks[0], given.callbacks[2]
    assert in_order(given) == [MAP, stop, history]


@pytest.fixture
def measured(monkeypatch, shapes):
    """Makes each measurement of the mAP find all objects, or none."""
    truth = ground_truth_of(shapes)

    def plan(*results, seen=None):
        left = list(results)

        def observe(model, data):
            if seen is not None:
                seen.append(float(model.weight))
            rows = slice(None if left.pop(0) else 0)
            columns = (truth.image_index, truth.boxes, truth.labels * 0.0 + 1)
            columns = (*columns, truth.labels)
            return truth, DetectedBoxes(*(column[rows] for column in columns))

        monkeypatch.setattr(callbacks, "observe", observe)

    return plan


@pytest.mark.slow
@pytest.mark.parametrize("places", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_callbacks_monitor_the_map_wherever_they_stand(
    places, stub, shapes, measured, tmp_path
):
    measured(False, True, False, False, False)
    own = [
        MeanAveragePrecision(shapes),
        EarlyStopping("val_mAP", mode="max", patience=2, restore_best_weights=True),
        ModelCheckpoint(
            tmp_path / "best.weights.h5",
            monitor="val_mAP",
            mode="max",
            save_best_only=True,
            save_weights_only=True,
        ),
    ]
    model = stub()
    history = model.fit(
        shapes,
        epochs=5,
        steps_per_epoch=1,
        verbose=0,
        callbacks=[own[place] for place in places],
    ).history
    assert history["val_mAP"] == [0.0, 1.0, 0.0, 0.0]  # Two more, then it stops.
    assert float(model.weight) == 2.0  # that of the second epoch
    other = stub()
    other.load_weights(tmp_path / "best.weights.h5")
    assert float(other.weight) == 2.0


@pytest.mark.slow
def test_keras_says_that_it_does_not_know_which_map_is_better(stub, shapes, measured):
    measured(True)
    own = [MeanAveragePrecision(shapes), EarlyStopping("val_mAP")]
    with pytest.raises(ValueError, match="Pass `mode='max'`"):
        stub().fit(shapes, epochs=1, steps_per_epoch=1, verbose=0, callbacks=own)


@pytest.mark.slow
@pytest.mark.parametrize("first", [True, False])
def test_averaged_weights_are_measured_and_kept(
    first, stub, shapes, measured, tmp_path
):
    measured(True, True, seen=(seen := []))
    swap = SwapEMAWeights(swap_on_epoch=True)
    keep = ModelCheckpoint(
        tmp_path / "{epoch}.weights.h5",
        monitor="val_mAP",
        mode="max",
        save_weights_only=True,
    )
    own = [MeanAveragePrecision(shapes), keep]
    model = stub()
    optimizer = keras.optimizers.SGD(0.001, use_ema=True, ema_momentum=0.5)
    model.compile(optimizer, run_eagerly=True)
    model.fit(
        shapes,
        epochs=2,
        steps_per_epoch=1,
        verbose=0,
        callbacks=[swap, *own] if first else [*own, swap],
    )
    # The weight is 1, then 2; the average starts at the first value.
    assert seen == [1.0, 1.5]
    other = stub()
    other.load_weights(tmp_path / "2.weights.h5")
    assert float(other.weight) == 1.5
