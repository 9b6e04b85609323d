import errno

import numpy as np
import pytest

from tf_frcnn.assembly import build_model
from tf_frcnn.config import make_config
from tf_frcnn.models.sound_steps import BadStep
from tf_frcnn.runs import black_box
from tf_frcnn.runs.black_box import BlackBox, read_step


@pytest.fixture(scope="module")
def model():
    backbone = {"name": "tiny", "weights": "random", "frozen_blocks": 1}
    sections = {"backbone": backbone, "data": {"reader": "shapes"}}
    config = make_config(
        sections | {"rpn": {"channels": 4}, "roi": {"head_units": 4}}, "small"
    )
    return build_model(config, ["dot", "line"])


def bad_step(model, step=12, **batch):
    norms = {v.path: 2.0 for v in model.trainable_variables}
    return BadStep(step, batch, {"loss": np.nan, "decay_loss": 0.5}, norms)


def test_a_step_is_read_as_it_was_written(model, tmp_path, capsys):
    batch = {
        "images": np.ones([1, 4, 5, 3], np.float32),
        "labels": np.array([[1, -1]], np.int32),
        "image_ids": np.array(["ä b"]),
    }
    BlackBox(tmp_path, model)(bad_step(model, **batch))
    file = tmp_path / "black_box_00000012.npz"
    assert f"tf-frcnn replay {file} looks into it" in capsys.readouterr().out
    kept = read_step(file)
    assert kept.bad.step == 12 and str(kept.bad).startswith("Not finite at step 12 (im")
    assert kept.bad.losses == {"loss": pytest.approx(np.nan, nan_ok=True)} | {
        "decay_loss": 0.5
    }
    assert list(kept.bad.gradient_norms.values()) == [2.0] * len(kept.trained)
    for name, values in batch.items():
        np.testing.assert_array_equal(kept.bad.batch[name], values)
    assert kept.model.class_names == ("dot", "line")
    assert kept.model.settings == model.settings
    for own, other in zip(kept.model.weights, model.weights, strict=True):
        np.testing.assert_array_equal(own, other)
    norms = [np.linalg.norm(values) for values in model.get_weights()]
    np.testing.assert_allclose(kept.weight_norms, norms, rtol=1e-5)
    assert len(kept.trained) == len(model.trainable_variables)
    shapes = [variable.shape for variable in model.trainable_variables]
    assert [variable.shape for variable in kept.trained] == shapes


def test_the_first_step_alone_is_kept(model, tmp_path):
    box = BlackBox(tmp_path, model)
    for step in (3, 4):
        box(bad_step(model, step))
    assert [path.name for path in tmp_path.iterdir()] == ["black_box_00000003.npz"]


@pytest.mark.slow
def test_on_a_full_disk_there_is_a_warning_and_nothing_half_written(
    model, tmp_path, monkeypatch
):
    def full(file, **_):
        file.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(black_box.np, "savez", full)
    with pytest.warns(UserWarning, match="was not kept: .*No space left"):
        BlackBox(tmp_path, model)(bad_step(model))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["cut", "text", "other"])
def test_another_file_is_one_error_with_its_name(model, tmp_path, damage):
    file = tmp_path / "black_box_00000012.npz"
    BlackBox(tmp_path, model)(bad_step(model))
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-1000])
    elif damage == "text":
        file.write_text("weights")
    else:
        np.savez(file, weights=np.ones(3))
    with pytest.raises(ValueError, match=rf"{file} is not the file of a step \(.+\)"):
        read_step(file)
