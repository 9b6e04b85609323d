import inspect
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn import layers
from tf_frcnn.config import SECTIONS, Conventions
from tf_frcnn.structures import Anchors, Proposals, RPNOutputs

RNG = np.random.default_rng(0)
# Of both images at once; the others have a row for each image.
SHARED = {"anchors", "seed"}
# What comes in the type that the backbone computes in.
FROM_THE_NETWORK = {"features", "pooled", "hidden"}
# They give that type on.
STAY_HALF = (
    layers.ConvolutionalHead,
    layers.FullyConnectedHead,
    layers.LocalResponseNormalization,
    layers.MaxPooling2D,
    layers.RoIPooling,
    layers.TailHead,
)


SETTINGS = {**SECTIONS, "conventions": Conventions}


class Example(NamedTuple):
    """A layer with no argument at its default, and inputs of two images."""

    make: Callable[[], keras.layers.Layer]
    call: Callable[..., Any]
    inputs: dict[str, np.ndarray]


def normal(*shape, scale=1.0):
    return (scale * RNG.normal(size=shape)).astype(np.float32)


def some_boxes(*shape):
    """Returns boxes on an image of 96 x 128 pixels."""
    corners = np.sort(RNG.uniform(0, 1, (*shape, 2, 2)), axis=-2)
    return np.float32(corners * [96, 128]).reshape(*shape, 4)


ANCHORS = some_boxes(60)
IMAGE_SIZES = np.float32([[96, 128], [80, 100]])
GT_BOXES = some_boxes(2, 3)
GT_LABELS = np.int32([[4, 0, 2], [1, -1, -1]])
SEED = np.int64([3, 17, 0])
PROPOSALS = {
    "boxes": np.concatenate([some_boxes(2, 20), GT_BOXES + 3], axis=1),
    "scores": RNG.permutation(46).reshape(2, 23).astype(np.float32) / 46,
    "valid": np.arange(23) < np.array([[23], [21]]),
    "levels": np.int32(RNG.integers(0, 3, (2, 23))),
}


def call_proposals(layer, scores, deltas, anchors, anchor_valid, *others):
    logits = tf.math.log(tf.stack([1 - scores, scores], axis=-1))
    anchors = Anchors(anchors, anchor_valid, (tf.constant(25), tf.constant(35)))
    return layer(RPNOutputs(logits, scores, deltas), anchors, *others, training=True)


def call_with_proposals(layer, boxes, scores, valid, levels, *others):
    return layer(Proposals(boxes, scores, valid, levels), *others)


def call_anchor_grid(layer, features, image_sizes):
    anchors, valid, _ = layer([features], image_sizes, np.int32([96, 128]))
    return tf.repeat(anchors[tf.newaxis], tf.shape(valid)[0], axis=0), valid


def call_anchor_targets(layer, anchors, anchor_valid, *others):
    sizes = (tf.shape(anchors)[0],)
    return layer(Anchors(anchors, anchor_valid, sizes), *others)


def call_roi_pooling(layer, features, boxes):
    return layer([features], boxes, canvas_size=np.int32([90, 126]))


def some_tail():
    """Returns a network for the pooled RoIs of a `TailHead`."""
    inputs = keras.Input((None, None, 5))
    features = keras.layers.Conv2D(6, 3, padding="same", name="conv")(inputs)
    norm = keras.layers.BatchNormalization(trainable=False, name="norm")
    return keras.Model(inputs, norm(features), name="tail")


def call(layer, *inputs):
    return layer(*inputs)


EXAMPLES = {
    "AnchorGrid": Example(
        lambda: layers.AnchorGrid(
            (8,),
            {
                "style": "centred",
                "ratios": (0.3, 1.0),
                "scales": (3.0,),
                "sizes": (12.0, 20.0),
            },
            conventions={"on_padding": True},
        ),
        call_anchor_grid,
        {"features": normal(2, 12, 16, 2), "image_sizes": IMAGE_SIZES},
    ),
    "AnchorTargetLayer": Example(
        lambda: layers.AnchorTargetLayer(
            {
                "positive_iou": 0.5,
                "negative_iou": 0.2,
                "best_is_positive": False,
                "allowed_border": 4.0,
                "num_samples": 20,
                "positive_fraction": 0.25,
            },
            conventions={"plus_one": True},
        ),
        call_anchor_targets,
        {
            "anchors": np.concatenate([ANCHORS, GT_BOXES[0] + 2, GT_BOXES[1] - 1]),
            "anchor_valid": RNG.uniform(size=(2, 66)) < 0.9,
            "image_sizes": IMAGE_SIZES,
            "gt_boxes": GT_BOXES,
            "gt_labels": GT_LABELS,
            "seed": SEED,
        },
    ),
    "BoxPredictor": Example(
        lambda: layers.BoxPredictor(5, {"class_agnostic": True}),
        call,
        {"hidden": normal(2, 4, 6)},
    ),
    "ConvolutionalHead": Example(
        lambda: layers.ConvolutionalHead(
            {"head_units": 32, "head_convs": 2}, channels=6, normalization="group"
        ),
        call,
        {"pooled": normal(2, 4, 3, 3, 5)},
    ),
    "DetectionLayer": Example(
        lambda: layers.DetectionLayer(
            {
                "score_threshold": 0.1,
                "nms_iou": 0.5,
                "max_per_image": 12,
                "min_size": 2.0,
                "class_agnostic_nms": True,
            },
            roi={"delta_stds": (0.2, 0.3, 0.4, 0.5)},
            conventions={"max_log_scale": 0.3, "clip": "own_side", "plus_one": True},
        ),
        call_with_proposals,
        {
            **PROPOSALS,
            "logits": normal(2, 23, 6),
            "deltas": normal(2, 23, 6, 4),
            "image_sizes": IMAGE_SIZES,
        },
    ),
    "FullyConnectedHead": Example(
        lambda: layers.FullyConnectedHead({"head_units": 32, "dropout": 0.25}),
        call,
        {"pooled": normal(2, 4, 2, 2, 3)},
    ),
    "Preprocessing": Example(
        lambda: layers.Preprocessing({"mode": "unit"}),
        call,
        {
            "images": np.float32(RNG.uniform(0, 255, (2, 96, 128, 3))),
            "image_sizes": IMAGE_SIZES,
        },
    ),
    "LocalResponseNormalization": Example(
        lambda: layers.LocalResponseNormalization(5, alpha=0.1, beta=0.5),
        call,
        {"features": normal(2, 6, 7, 3, scale=3.0)},
    ),
    "MaxPooling2D": Example(
        lambda: layers.MaxPooling2D(3, 1, padding="same"),
        call,
        {"features": normal(2, 6, 7, 3)},
    ),
    "ProposalLayer": Example(
        lambda: layers.ProposalLayer(
            {
                "train_pre_nms": 40,
                "train_post_nms": 15,
                "test_pre_nms": 30,
                "test_post_nms": 5,
                "nms_iou": 0.4,
                "test_nms": False,
                "per_level": True,
                "min_size": 3.0,
                "min_score": 0.1,
            },
            conventions={
                "min_size_in": "network",
                "cut_first": True,
                "max_log_scale": 0.3,
                "plus_one": True,
                "nms_plus_one": False,
            },
        ),
        call_proposals,
        {
            "scores": RNG.permutation(120).reshape(2, 60).astype(np.float32) / 120,
            "deltas": normal(2, 60, 4, scale=0.2),
            "anchors": ANCHORS,
            "anchor_valid": RNG.uniform(size=(2, 60)) < 0.9,
            "image_sizes": IMAGE_SIZES,
            "scales": np.float32([[1.5, 1.25], [2, 2]]),
        },
    ),
    "ProposalTargetLayer": Example(
        lambda: layers.ProposalTargetLayer(
            {
                "num_samples": 16,
                "foreground_fraction": 0.5,
                "foreground_iou": 0.6,
                "background_iou_low": 0.1,
                "background_iou_high": 0.4,
                "add_ground_truth": False,
                "delta_stds": (0.2, 0.3, 0.4, 0.5),
            },
            conventions={"fill_with_repeats": True, "plus_one": True},
        ),
        call_with_proposals,
        {**PROPOSALS, "gt_boxes": GT_BOXES, "gt_labels": GT_LABELS, "seed": SEED},
    ),
    "RPNHead": Example(
        lambda: layers.RPNHead(
            3,
            {"channels": 8, "score_form": "sigmoid", "num_convs": 2, "output_size": 3},
        ),
        call,
        {"features": normal(2, 5, 6, 4)},
    ),
    "RoIPooling": Example(
        lambda: layers.RoIPooling(
            (8,),
            {
                "pooling": "align",
                "pooled_size": 3,
                "crop_max_pool": False,
                "aligned": True,
                "sampling_ratio": 3,
            },
            conventions={"cell_size": "canvas"},
            for_xla=True,
        ),
        call_roi_pooling,
        {"features": normal(2, 12, 16, 2), "boxes": some_boxes(2, 5)},
    ),
    "TailHead": Example(
        lambda: layers.TailHead(some_tail()),
        call,
        {"pooled": normal(2, 4, 3, 3, 5)},
    ),
}


@pytest.fixture(params=sorted(EXAMPLES))
def example(request):
    return EXAMPLES[request.param]


@pytest.fixture
def global_policy():
    """Sets Keras' policy for the length of a test."""
    before = keras.mixed_precision.dtype_policy()
    yield keras.mixed_precision.set_global_policy
    keras.mixed_precision.set_global_policy(before)


def outputs_of(example, layer, **changed):
    """Returns the outputs, eagerly, as a list of arrays."""
    results = example.call(layer, *(example.inputs | changed).values())
    return [result.numpy() for result in tf.nest.flatten(results)]


def assert_equal(results, expected, *, rtol=0.0, atol=0.0):
    for result, wanted in zip(results, expected, strict=True):
        result, wanted = (np.asarray(values, np.float64) for values in (result, wanted))
        np.testing.assert_allclose(result, wanted, rtol=rtol, atol=atol)


def test_every_layer_has_an_example():
    named = [getattr(layers, name) for name in layers.__all__]
    own = {n.__name__ for n in named if inspect.isclass(n) and hasattr(n, "call")}
    assert set(EXAMPLES) == own


def test_no_argument_of_an_example_is_at_its_default(example):
    layer = example.make()
    arguments = inspect.signature(type(layer).__init__).parameters.values()
    config, plain = layer.get_config(), {}
    for argument in arguments:
        if argument.default is inspect.Parameter.empty:
            continue
        kind = SETTINGS.get(argument.name)
        plain = argument.default if kind is None else kind().model_dump(mode="json")
        assert config[argument.name] != plain, argument.name


def test_a_layer_from_its_config_gives_the_same_outputs(example):
    layer = example.make()
    expected = outputs_of(example, layer)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    copy = keras.saving.deserialize_keras_object(config)
    copy.set_weights(layer.get_weights())
    # As JSON, which knows lists only: a network within comes back with those.
    assert json.dumps(copy.get_config()) == json.dumps(layer.get_config())
    assert_equal(outputs_of(example, copy), expected)


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_a_compiled_layer_gives_what_it_gives_eagerly(run_in, example, mode):
    layer = example.make()
    expected = outputs_of(example, layer)
    run = run_in(mode, lambda *inputs: example.call(layer, *inputs))
    results = tf.nest.flatten(run(*example.inputs.values()))
    assert_equal(results, expected, rtol=1e-5, atol=1e-5)


def test_an_image_does_not_depend_on_its_batch_mate(example):
    layer = example.make()
    batch = outputs_of(example, layer)
    # Random keys are drawn for the whole batch, so only the first image keeps its own.
    for image in [0] if "seed" in example.inputs else [0, 1]:
        own = slice(image, image + 1)
        alone = {
            name: values[own]
            for name, values in example.inputs.items()
            if name not in SHARED
        }
        results = outputs_of(example, layer, **alone)
        assert_equal(results, [values[own] for values in batch], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_scores_and_boxes_are_float32_under_mixed_precision(
    example, global_policy, policy
):
    layer = example.make()
    expected = outputs_of(example, layer)
    global_policy(policy)
    half = tf.as_dtype(keras.mixed_precision.dtype_policy().compute_dtype)
    mixed = example.make()
    inputs = {
        name: tf.cast(example.inputs[name], half)
        for name in FROM_THE_NETWORK & set(example.inputs)
    }
    outputs_of(example, mixed, **inputs)
    mixed.set_weights(layer.get_weights())
    results = outputs_of(example, mixed, **inputs)
    stays_half = isinstance(mixed, STAY_HALF)
    for result, wanted in zip(results, expected, strict=True):
        is_float = np.issubdtype(wanted.dtype, np.floating)
        assert result.dtype == (
            half.as_numpy_dtype if is_float and stays_half else wanted.dtype
        )
    computes_half = stays_half or bool(layer.weights)
    tolerance = 0.05 if computes_half else 0.0
    assert_equal(results, expected, rtol=tolerance, atol=tolerance)
