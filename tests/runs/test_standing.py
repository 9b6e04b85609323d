from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tf_frcnn.assembly.schedule import WarmUpPlateau
from tf_frcnn.config import ConfigError
from tf_frcnn.data import make_shapes
from tf_frcnn.runs.standing import Judge, begun_anew, deciding_figure, is_better
from tf_frcnn.runs.state import Best, RunState, Standing


def judge_of(
    rate=0.1, figure="val_mAP", standing=None, *, patience=None, plateau_patience=2
):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate), "mse")
    judge = Judge(
        figure,
        standing or Standing(),
        patience=patience,
        plateau_patience=plateau_patience,
    )
    judge.set_model(model)
    judge.on_train_begin()
    return judge


def rate_of(judge):
    return float(judge.model.optimizer.learning_rate)


def see(judge, *values):
    for epoch, value in enumerate(values):
        judge.on_epoch_end(epoch, {} if value is None else {judge.figure: value})
    return judge.standing


def test_losses_are_better_if_lower_and_all_else_if_higher():
    assert is_better("val_mAP", 0.0, None) and is_better("val_mAP", 0.5, 0.4)
    assert is_better("val_loss", 0.4, 0.5) and is_better("val_rpn_box_loss", 1.0, 2.0)
    assert not is_better("val_loss", 0.5, 0.5) and not is_better("val_AP/a", 0.1, 0.1)
    assert not is_better("val_loss", np.nan, 1.0)
    assert not is_better("val_mAP", np.nan, None)


def test_a_training_ends_after_so_many_validations_that_were_not_better(capsys):
    judge = judge_of(patience=2)
    assert see(judge, 0.5, None, 0.4, None) == Standing(value=0.5, stale=1, waited=1)
    assert not judge.is_over and not judge.model.stop_training
    see(judge, 0.6, 0.6, 0.3)
    assert judge.is_over and judge.model.stop_training
    assert "2 validations in a row had no better val_mAP than 0.6000" in (
        capsys.readouterr().out
    )
    assert judge_of(patience=2, standing=judge.standing).is_over
    assert not judge_of(patience=3, standing=judge.standing).is_over


def test_a_plateau_lowers_the_rate_and_waits_anew():
    judge = judge_of(WarmUpPlateau(0.1, decay_factor=0.5))
    see(judge, 0.5, 0.4)
    assert rate_of(judge) == pytest.approx(0.1)
    assert see(judge, 0.4) == Standing(value=0.5, stale=2, waited=0, decays=1)
    assert rate_of(judge) == pytest.approx(0.05)
    assert see(judge, 0.4, 0.6) == Standing(value=0.6, decays=1)
    see(judge, 0.1, 0.1)
    assert rate_of(judge) == pytest.approx(0.025)


def test_a_resumed_run_has_the_rate_of_the_interrupted_one():
    judge = judge_of(
        WarmUpPlateau(0.1, decay_factor=0.5),
        standing=Standing(value=0.5, stale=3, waited=1, decays=2),
    )
    assert rate_of(judge) == pytest.approx(0.025)
    assert see(judge, 0.4).decays == 3


def test_other_schedules_are_left_alone():
    judge = judge_of(0.1)
    assert see(judge, 0.5, 0.4, 0.4, 0.4) == Standing(value=0.5, stale=3, waited=3)
    assert rate_of(judge) == pytest.approx(0.1)


@pytest.fixture
def detector():
    names = make_shapes(1, seed=0).class_names
    return SimpleNamespace(roi_head=1, class_names=names, loss_names=("loss",))


def test_the_figure_is_the_models_own_or_the_one_asked_for(detector):
    shapes = make_shapes(1, seed=0)
    rpn = SimpleNamespace(roi_head=None, class_names=(), loss_names=("loss",))
    assert deciding_figure(None, detector, shapes) == "val_mAP"
    assert deciding_figure(None, rpn, shapes) == "val_recall"
    assert deciding_figure("val_loss", rpn, shapes) == "val_loss"
    present = shapes.class_names[shapes.records[0].labels[0]]
    assert deciding_figure(f"val_AP/{present}", detector, shapes)
    with pytest.raises(ConfigError, match=r"'val_mAP' is no figure .*there are val_r"):
        deciding_figure("val_mAP", rpn, shapes)
    absent = set(shapes.class_names) - {
        shapes.class_names[label] for label in shapes.records[0].labels
    }
    for name in ("mAP", f"val_AP/{min(absent)}"):  # which no image has
        with pytest.raises(ConfigError, match=r"train\.best_by = .*is no figure"):
            deciding_figure(name, detector, shapes)


def test_what_was_best_by_another_figure_is_forgotten(capsys):
    best = Best(file="weights/best.weights.h5", sha256="", figure="val_mAP", value=0.5)
    state = RunState(best=best, standing=Standing(value=0.5, stale=2, decays=1))
    assert begun_anew(state, "val_mAP") == state
    assert begun_anew(state, "val_loss") == RunState(standing=Standing(decays=1))
    assert "chosen by val_mAP, now by val_loss" in capsys.readouterr().out
