import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.assembly import build_model
from tf_frcnn.config import load_config
from tf_frcnn.models.sound_steps import BadStep
from tf_frcnn.runs.black_box import KeptStep
from tf_frcnn.runs.replaying import replay


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "small.yaml"
    path.write_text(
        "data: {reader: shapes}\nrpn: {channels: 8}\n"
        "roi: {head_units: 8, num_samples: 8, dropout: 0.5}\n"
        "anchors: {scales: [1, 2]}\n"
        "backbone: {name: tiny, weights: random, frozen_blocks: 0}\n"
    )
    return load_config(path)


@pytest.fixture
def model(config):
    return build_model(config, ["dot", "line"])


@pytest.fixture(scope="module")
def batch():
    images = np.random.default_rng(0).uniform(0, 255, [1, 64, 96, 3])
    return {
        "images": images.astype(np.float32),
        "boxes": np.array([[[8, 16, 40, 60], [0, 0, 0, 0]]], np.float32),
        "labels": np.array([[1, -1]], np.int32),
        "image_ids": np.array(["a"]),
    }


def kept(model, batch, step=3):
    norms = {variable.path: 1.0 for variable in model.trainable_variables}
    bad = BadStep(step, batch, {"loss": np.nan}, norms)
    return KeptStep(bad, model, tuple(model.trainable_variables), ())


def variable(model, end):
    (found,) = [v for v in model.trainable_variables if v.path.endswith(end)]
    return found


def test_a_repeated_step_has_its_losses_and_gradients(model, batch):
    calls = [layer.call for layer in model._flatten_layers(include_self=False)]
    shown = replay(kept(model, batch))
    assert shown.first is None
    given = {name: batch[name] for name in ("images", "boxes", "labels")}
    with tf.GradientTape() as tape:
        losses = model.compute_losses(given, 3, training=True)
    for name, loss in losses.items():
        np.testing.assert_allclose(shown.losses[name], loss, rtol=1e-6)
    gradients = tape.gradient(losses["loss"], model.trainable_variables)
    norms = [float(tf.norm(gradient)) for gradient in gradients]
    assert min(norms[:4]) > 0
    np.testing.assert_allclose([*shown.gradient_norms.values()], norms, rtol=1e-5)
    # The layers are as they were.
    for layer, call in zip(
        model._flatten_layers(include_self=False), calls, strict=True
    ):
        assert layer.call == call


def test_a_batch_that_is_not_finite_is_named_first(model, batch):
    images = batch["images"].copy()
    images[0, 5, 5] = np.nan
    assert replay(kept(model, batch | {"images": images})).first == (
        "images of the batch"
    )


def test_a_weight_is_named_before_the_layers(model, batch):
    weight = variable(model, "fc6/kernel")
    weight.assign(weight + np.nan)
    assert replay(kept(model, batch)).first == f"the weight {weight.path}, before " + (
        "the step"
    )


@pytest.mark.parametrize("layer", ["stage2_conv", "stage4_down"])
def test_the_first_layer_whose_output_overflows_is_named(model, batch, layer):
    weight = variable(model, f"{layer}/kernel")
    weight.assign(tf.sign(weight) * 3e38)
    assert replay(kept(model, batch)).first == f"the output of the layer {layer}"


def test_a_layer_of_the_head_is_named_with_its_part(model, batch):
    weight = variable(model, "fc7/kernel")
    weight.assign(tf.abs(weight) * 0 + 3e38)
    first = replay(kept(model, batch)).first
    assert first.startswith("the output of the layer ") and first.endswith("/fc7")


def test_a_loss_is_named_where_all_layers_are_finite(model, batch, monkeypatch):
    compute = model.compute_losses

    def infinite(*arguments, **settings):
        return compute(*arguments, **settings) | {"rpn_box_loss": tf.constant(np.inf)}

    model.compute_losses = infinite
    assert replay(kept(model, batch)).first == "rpn_box_loss"


def test_a_gradient_is_named_where_the_losses_are_finite(model, batch):
    compute = model.compute_losses
    weights = [variable(model, end) for end in ("stage1_down/kernel", "fc6/kernel")]

    def steep(*arguments, **settings):
        losses = compute(*arguments, **settings)
        # At 0 a root is infinitely steep.
        roots = [tf.sqrt(0.0 * tf.reduce_sum(weight)) for weight in weights]
        return losses | {"loss": losses["loss"] + sum(roots)}

    model.compute_losses = steep
    shown = replay(kept(model, batch))
    assert shown.first == f"the gradient of {weights[1].path}"
    assert np.isfinite(shown.losses["loss"])
