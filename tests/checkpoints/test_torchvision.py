"""torchvision's detectors, run by torchvision itself, against their conversions."""

import os
import shutil
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.detector_stages import first_stage, second_stage
from tests.helpers.in_double import InDouble
from tests.helpers.paths import ROOT
from tf_frcnn import checkpoints
from tf_frcnn.assembly import build_evaluation_batches, build_model
from tf_frcnn.checkpoints import CheckpointError, torchvision
from tf_frcnn.checkpoints.class_lists import COCO_BY_ID
from tf_frcnn.checkpoints.files import Checkpoint
from tf_frcnn.checkpoints.name_map import named_variables
from tf_frcnn.config import dump_config, load_config, make_config
from tf_frcnn.data.readers.images import read_images
from tf_frcnn.drawing.boxes import write_png
from tf_frcnn.models.evaluating import observe
from tf_frcnn.runs.inference import detections_of_image
from tf_frcnn.structures import Proposals

pytestmark = pytest.mark.slow

SCRIPT = ROOT / "tests" / "helpers" / "torchvision_reference.py"
SIZES = {"wide": (224, 300), "tall": (157, 104), "long": (60, 201)}
BOXES = np.float32([[10, 15, 60, 50], [60, 20, 90, 60], [25, 25, 50, 60]])
LABELS = np.int64([1, 2, 3])
NUMBERS = tuple(str(n) for n in range(1, 11))
SMALL = ("images.short_side=224", "images.long_side=373")
MEDIUM = ("images.short_side=416", "images.long_side=693")
# Detector -> its class list, the variant given, and the size of its images.
DETECTORS = {
    "fasterrcnn_resnet50_fpn": (None, None, SMALL),
    "fasterrcnn_resnet50_fpn_coco_v1": (NUMBERS[:3], "as named", SMALL),
    "fasterrcnn_resnet50_fpn_v2": (NUMBERS[:10], None, SMALL),
    "fasterrcnn_mobilenet_v3_large_fpn": (NUMBERS[:10], None, MEDIUM),
    "fasterrcnn_mobilenet_v3_large_320_fpn": (NUMBERS[:10], None, ()),
}
YX = [1, 0, 3, 2]
STEPS, LEARNING_RATE = "steps.npz", 0.0002
# The rules of the reference's training, in which all candidates are sampled.
TRAINING = [
    *("rpn.num_samples=20000", "rpn.positive_fraction=1"),
    *("roi.num_samples=400", "roi.foreground_fraction=1"),
    *("proposals.train_pre_nms=300", "proposals.train_post_nms=300"),
    *("backbone.frozen_blocks=2", f"train.learning_rate={LEARNING_RATE}"),
    *("train.momentum=0.9", "train.weight_decay=0.0005", "train.double_bias_rate=true"),
    "train.clip_norm=5",
]
LOSSES = {
    "rpn_class_loss": "loss_objectness",
    "rpn_box_loss": "loss_rpn_box_reg",
    "roi_class_loss": "loss_classifier",
    "roi_box_loss": "loss_box_reg",
    "decay_loss": "decay",
}


def interpreter():
    """Returns a Python that has torchvision, or None."""
    names = (os.environ.get("TF_FRCNN_TORCHVISION_PYTHON"), "/usr/bin/python3")
    for name in filter(None, names):
        if (
            shutil.which(name)
            and not subprocess.run(
                [name, "-c", "import torchvision"], capture_output=True, check=False
            ).returncode
        ):
            return name
    return None


def draw(rng, height, width):
    """Returns blocks of three sizes in random colours, uint8 [h, w, 3]."""
    image = 0
    for side, share in ((4, 0.2), (16, 0.3), (64, 0.5)):
        colours = rng.uniform(0, share, [height // side + 1, width // side + 1, 3])
        image += np.kron(colours, np.ones([side, side, 1]))[:height, :width]
    return (255 * image).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Returns a folder with the images and all that torchvision makes of them."""
    pytest.importorskip("torch", reason="files of PyTorch need PyTorch")
    python = interpreter()
    if python is None:
        pytest.skip(
            "no Python with torchvision: install Debian's python3-torchvision, or name "
            "one in TF_FRCNN_TORCHVISION_PYTHON"
        )
    folder, rng = tmp_path_factory.mktemp("torchvision"), np.random.default_rng(0)
    images = {name: draw(rng, *size) for name, size in SIZES.items()}
    np.savez(folder / "pictures.npz", **images)
    training = [draw(rng, 64, 96) for _ in range(3)]
    np.savez(folder / "training.npz", images=training, boxes=BOXES, labels=LABELS)
    for name, image in images.items():
        write_png(folder / f"{name}.png", image)
    subprocess.run([python, SCRIPT, folder], check=True)
    return folder


class Converted:
    """A conversion beside what torchvision computes with the same weights."""

    def __init__(self, name, folder):
        class_names, variant, size = DETECTORS[name]
        loaded = checkpoints.load(
            "torchvision", folder / f"{name}.pth", class_names, variant=variant and name
        )
        # The same run at the size of the reference's images.
        file = folder / f"{name}.yaml"
        file.write_text(dump_config(loaded.config))
        self.config = load_config(file, size)
        self.model, self.report = loaded.model, loaded.report
        self.examples = read_images([folder / f"{n}.png" for n in SIZES], ["any"])
        self.batches = {
            Path(b["image_ids"].numpy()[0].decode()).stem: b
            for b in build_evaluation_batches(self.config, self.examples)
            .dataset.unbatch()
            .batch(1)
        }
        self.reference = np.load(folder / f"{name}.npz")

    def expected(self, image, stage):
        return self.reference[f"{image}/{stage}"]


@pytest.fixture(scope="module", params=DETECTORS)
def converted(request, folder):
    return Converted(request.param, folder)


@pytest.fixture(params=SIZES)
def image(request):
    return request.param


def assert_close(actual, expected, tolerance=1e-3):
    """Asserts equality relative to the largest value."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= tolerance * np.abs(expected).max()


def share_matched(boxes, scores, other_boxes, other_scores, *, pixels=0.1):
    """Returns how many rows have a partner of their own, of the longer list."""
    free = np.ones(len(other_boxes), bool)
    for box, score in zip(boxes, scores, strict=True):
        fits = np.abs(other_boxes - box).max(axis=1, initial=0) <= pixels
        fits &= free & (np.abs(other_scores - score) <= 1e-3)
        if fits.any():
            free[np.argmax(fits)] = False
    return np.sum(~free) / max(len(boxes), len(other_boxes))


def test_all_weights_are_loaded(converted):
    report = converted.report
    assert set(report.loaded) == set(named_variables(converted.model))
    assert not (report.missing or report.unexpected or report.random)
    assert all(name.endswith("num_batches_tracked") for name in report.ignored)


def test_images_reach_the_network_alike(converted, image):
    batch = converted.batches[image]
    images = converted.model.preprocessing(batch["images"], batch["image_sizes"])
    expected = converted.expected(image, "image").transpose(0, 2, 3, 1)
    assert_close(images, expected, 1e-4)
    np.testing.assert_array_equal(
        batch["image_sizes"][0], converted.expected(image, "image_size")
    )


def test_features_and_rpn_outputs(converted, image):
    stages = first_stage(converted.model, converted.batches[image])
    for level, (features, maps) in enumerate(
        zip(stages.features, stages.rpn.maps, strict=True)
    ):
        for name, values in (("features", features), ("scores", maps.scores)):
            expected = converted.expected(image, f"{name}{level}")
            assert_close(values, expected.transpose(0, 2, 3, 1))
        expected = converted.expected(image, f"deltas{level}").transpose(0, 2, 3, 1)
        by_anchor = expected.reshape(*expected.shape[:3], -1, 4)[..., YX]
        assert_close(maps.deltas, by_anchor.reshape(expected.shape))


def test_proposals(converted, image):
    model, batch = converted.model, converted.batches[image]
    proposals = first_stage(model, batch).proposals
    boxes = proposals.boxes[0].numpy()[proposals.valid[0].numpy()]
    expected = converted.expected(image, "proposals")[:, YX]
    scores, others = np.zeros(len(boxes)), np.zeros(len(expected))
    assert share_matched(boxes, scores, expected, others) >= 0.99


def test_box_head_on_the_same_proposals(converted, image):
    model, batch = converted.model, converted.batches[image]
    boxes = tf.constant(converted.expected(image, "proposals")[np.newaxis, :, YX])
    everywhere = tf.ones(boxes.shape[:2])
    rois = Proposals(boxes, everywhere, everywhere > 0, tf.zeros(boxes.shape[:2]))
    logits, deltas = second_stage(model, batch, model.features(batch), rois)
    assert_close(logits[0], converted.expected(image, "logits"))
    expected = converted.expected(image, "box_deltas")
    assert_close(deltas[0], expected.reshape(len(expected), -1, 4)[..., YX])


def test_detections_of_image_files(converted):
    batches = build_evaluation_batches(converted.config, converted.examples).dataset
    _, found = observe(converted.model, batches)
    shares = []
    for row, record in enumerate(converted.examples.records):
        own, image = detections_of_image(found, row), Path(record.source).stem
        boxes, scores, labels = (
            converted.expected(image, name) for name in ("boxes", "scores", "labels")
        )
        assert len(scores) > 30
        # A label that differs would be a box far away.
        own_boxes = np.column_stack([own.boxes, 1000.0 * (own.labels + 1)])
        others = np.column_stack([boxes[:, YX], 1000.0 * labels])
        shares.append(share_matched(own_boxes, own.scores, others, scores))
    # Where two overlap by just the threshold, rounding decides which of them stays.
    assert np.mean(shares) >= 0.99


def training_batch(image):
    size = np.float32([image.shape[:2]])
    arrays = {
        "images": image[np.newaxis],
        "image_sizes": size,
        "file_sizes": size,
        "scales": np.ones([1, 2], np.float32),
        "boxes": BOXES[np.newaxis, :, YX],
        "labels": LABELS[np.newaxis].astype(np.int32) - 1,
    }
    return {name: tf.constant(array) for name, array in arrays.items()}


@pytest.fixture
def trainee(folder):
    """Returns a detector with torchvision's weights and the training's settings."""
    name = "fasterrcnn_resnet50_fpn_coco_v1"
    converted, file = Converted(name, folder), folder / "training.yaml"
    file.write_text(dump_config(converted.config))
    model = build_model(load_config(file, TRAINING), DETECTORS[name][0])
    model.set_weights(converted.model.get_weights())
    return model


@pytest.fixture
def batches(folder):
    return list(map(training_batch, np.load(folder / "training.npz")["images"]))


def test_losses_of_a_training_step(folder, trainee, batches):
    """In 32 bits, with the operations that are not for XLA."""
    batch = batches[0] | {"images": tf.cast(batches[0]["images"], tf.float32)}
    losses, expected = trainee.compute_losses(batch, 0, True), np.load(folder / STEPS)
    for own, name_there in LOSSES.items():
        np.testing.assert_allclose(losses[own], expected[name_there][0], rtol=1e-3)


def test_training_steps(folder, trainee, batches):
    """Both programs train in 64 bits, for rounding grows threefold at every step."""
    torch = pytest.importorskip("torch")
    trainee.compile(jit_compile=True)  # whose operations all know 64-bit floats
    step = tf.function(trainee.train_step, autograph=False)
    step = InDouble(step.get_concrete_function(batches[0]))
    variables = named_variables(trainee)
    weights = {name: step.copy_of(v.value) for name, v in variables.items()}
    arrays = torch.load(folder / "fasterrcnn_resnet50_fpn_coco_v1.pth")
    name_map = torchvision._name_map("fasterrcnn_resnet50_fpn_coco_v1", 50)
    for weight, entry in name_map.items():
        parts = (arrays[part].double().numpy() for part in entry.names)
        weights[weight].assign(entry.change(*parts))
    step.copy_of(trainee.optimizer.learning_rate.value).assign(LEARNING_RATE)
    before = {name: weight.numpy() for name, weight in weights.items()}

    expected = dict(np.load(folder / STEPS))
    numbers = np.arange(len(expected["decay"]))
    logs = [step(batches[number % len(batches)]) for number in numbers]
    for own, name_there in LOSSES.items():
        sums = [log[own].numpy() for log in logs] * (numbers + 1)  # The logs are means.
        losses = np.diff(sums, prepend=0)
        np.testing.assert_allclose(losses, expected[name_there], rtol=1e-6)
    learned = {id(variable) for variable in trainee.trainable_variables}
    for weight, variable in variables.items():
        moved, entry = weights[weight] - before[weight], name_map[weight]
        if id(variable) in learned:
            there = entry.change(expected[entry.names[0]])
            assert 0 < np.linalg.norm(there)
            assert np.linalg.norm(moved - there) <= 1e-6 * np.linalg.norm(there)
        else:
            assert not np.any(moved)


@pytest.mark.parametrize("recipe", ["fpn", "320_fpn"])
def test_a_mobilenet_of_imagenet(folder, recipe):
    variant = f"fasterrcnn_mobilenet_v3_large_{recipe}"
    path, expected = (folder / f"mobilenet_v3_large.{end}" for end in ("pth", "npz"))
    loaded = checkpoints.load("imagenet-torchvision", path, ["cell"], variant=variant)
    base = load_config(f"torchvision_mobilenet_v3_large_{recipe}")
    assert loaded.config.images == base.images
    assert all(name.startswith("backbone/fea") for name in loaded.report.loaded)
    assert not [name for name in loaded.report.random if "/features" in name]
    backbone = loaded.model.backbone
    last = keras.Model(backbone.input, backbone.get_layer("features16_act").output)
    image = np.load(folder / "pictures.npz")["wide"][np.newaxis].astype(np.float32)
    found = last(image / 255)
    assert_close(found, np.load(expected)["features"].transpose(0, 2, 3, 1))


# Without torchvision: what is read off a file's names.


@pytest.fixture(scope="module")
def arrays():
    """Returns zeros in the names of a ResNet-50 detector of 3 classes."""
    name_map = torchvision._name_map("fasterrcnn_resnet50_fpn", 50)
    names = {name for entry in name_map.values() for name in entry.names}
    shapes = {
        "roi_heads.box_predictor.cls_score.weight": (4, 1),
        # Neither grouped nor wide.
        "backbone.body.layer1.0.conv2.weight": (64, 64, 3, 3),
    }
    return {n: np.zeros(shapes.get(n, (1, 1)), np.float32) for n in names}


def describe(arrays, variant=None, *, file="weights.pth", sha256=""):
    checkpoint = Checkpoint(Path(file), arrays, sha256=sha256)
    return torchvision._describe(checkpoint, variant)


def gamma_of_first_norm(description):
    """Returns the scale of the first normalisation where the file has 1 and 1e-5."""
    entry = description.name_map["backbone/conv1_bn/gamma"]
    values = [np.float32([1.0]), np.float32([1e-5])]
    return float(entry.change(*values[: len(entry.names)])[0])


def test_shorter_names_of_old_versions(arrays):
    old = {
        name.replace("_blocks.0.0.", "_blocks.0.").replace("conv.0.0.", "conv."): array
        for name, array in arrays.items()
    }
    name_map = describe(old).name_map
    assert {n for entry in name_map.values() for n in entry.names} == set(old)
    assert name_map["rpn_head/conv/kernel"].names == ("rpn.head.conv.weight",)
    lateral = name_map["backbone/fpn_lateral2/bias"]
    assert lateral.names == ("backbone.fpn.inner_blocks.0.bias",)


def test_the_published_resnet_has_no_epsilon(arrays):
    published = describe(arrays, sha256="258fb6c6" + "0" * 56)
    np.testing.assert_allclose(gamma_of_first_norm(published), 2**0.5, rtol=1e-5)
    assert published.notes == ()
    chosen = describe(arrays, "fasterrcnn_resnet50_fpn_coco_v1")
    np.testing.assert_allclose(gamma_of_first_norm(chosen), 2**0.5, rtol=1e-5)


def test_a_variant_that_the_published_file_is_not(arrays):
    with pytest.raises(CheckpointError, match="leave out --variant"):
        describe(arrays, "fasterrcnn_resnet50_fpn", sha256="258fb6c6")


def test_another_resnet_with_frozen_norms_is_noted(arrays):
    description = describe(arrays)
    assert gamma_of_first_norm(description) == 1
    assert "fasterrcnn_resnet50_fpn_coco_v1" in description.notes[0]
    tracked = {"backbone.body.bn1.num_batches_tracked": np.zeros(1)}
    assert describe(arrays | tracked).notes == ()


@pytest.mark.parametrize(
    ("variant", "file", "sha256", "short_side"),
    [
        (None, "fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth", "", 320),
        (None, "fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7.pth", "", 800),
        (None, "mine.pth", "907ea3f9", 320),
        (None, "mine.pth", "fb6a3cc7", 800),
        ("fasterrcnn_mobilenet_v3_large_320_fpn", "mine.pth", "", 320),
        ("fasterrcnn_mobilenet_v3_large_fpn", "mine.pth", "", 800),
    ],
)
def test_the_size_of_a_mobilenet_is_known(arrays, variant, file, sha256, short_side):
    mobilenet = {n: a for n, a in arrays.items() if "layer1" not in n}
    description = describe(mobilenet, variant, file=file, sha256=sha256)
    images = make_config(description.settings, "test").images
    assert (images.short_side, images.resize) == (short_side, "torchvision")


def test_the_size_of_a_mobilenet_is_asked_for(arrays):
    mobilenet = {n: a for n, a in arrays.items() if "layer1" not in n}
    with pytest.raises(CheckpointError, match=r"mine\.pth: .* give --variant"):
        describe(mobilenet, file="mine.pth")


def test_classes_of_91_logits_are_those_of_coco(arrays):
    assert describe(arrays).class_names is None
    logits = {"roi_heads.box_predictor.cls_score.weight": np.zeros([91, 1024])}
    assert describe(arrays | logits).class_names == COCO_BY_ID


def test_a_file_of_another_program_is_named():
    with pytest.raises(
        CheckpointError, match=r"weights\.pth: not a checkpoint of this"
    ):
        describe({"features.0.weight": np.zeros(1)})
