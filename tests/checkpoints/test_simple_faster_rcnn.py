import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.detector_stages import first_stage, pooled_rois, second_stage
from tf_frcnn import checkpoints
from tf_frcnn.assembly import build_evaluation_batches
from tf_frcnn.checkpoints import CheckpointError, conversion
from tf_frcnn.checkpoints.class_lists import VOC
from tf_frcnn.checkpoints.files import Checkpoint, read_checkpoint
from tf_frcnn.checkpoints.simple_faster_rcnn import SOURCE
from tf_frcnn.data.readers.images import read_images
from tf_frcnn.models.evaluating import observe

pytestmark = pytest.mark.slow

NAME = "simple-faster-rcnn-pytorch"
SHORT_SIDE = 256
# Of the images: one is made larger, one smaller by scales that differ by the axis.
SIZES = {"landscape": (300, 371), "portrait": (1203, 907)}
ORDER = (0, 1)  # y, x


@pytest.fixture(scope="module")
def arrays(torch_parts):
    """Gives the state dict of a detector of VOC without dropout."""
    random_modules, _ = torch_parts
    modules = random_modules(seed=1)
    modules.vgg16(fc7=2, first_gain=0.02)
    modules.outputs(512, 4096, num_classes=20, scores=3.0, deltas=1.0)
    return modules.arrays


@pytest.fixture(scope="module")
def path(arrays, tmp_path_factory):
    """Gives a file as the trainer of the original writes it."""
    import torch

    config = {"caffe_pretrain": True, "min_size": 600, "env": "faster-rcnn", "lr": 1e-3}
    content = {
        "model": arrays,
        "config": config | {"load_path": None},
        "other_info": {"best_map": np.float64(0.7053)},
        "vis_info": {"index": {"roi_loc_loss": 12}, "log_text": "", "env": "main"},
        "optimizer": {"state": {0: {"momentum_buffer": torch.ones(3)}}},
    }
    path = tmp_path_factory.mktemp("simple") / "fasterrcnn_12211511_0.7053.pth"
    torch.save(content, path)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def loaded(path):
    return checkpoints.load(NAME, path)


@pytest.fixture(scope="module", params=SIZES)
def pair(request, loaded, arrays, torch_parts, draw, tmp_path_factory):
    """Gives the model, its batch of an image, and what the original and ours find."""
    image = draw(*SIZES[request.param], seed=len(request.param))
    file = tmp_path_factory.mktemp("pictures") / "picture.png"
    file.write_bytes(tf.io.encode_png(image).numpy())
    examples = read_images([file], VOC)
    images = loaded.config.images.replace(short_side=SHORT_SIDE)
    batches = build_evaluation_batches(
        loaded.config.replace(images=images), examples
    ).dataset
    expected = run(torch_parts[1](arrays, ORDER), image)
    _, found = observe(loaded.model, batches)
    found = np.column_stack([found.labels, found.scores, found.boxes])
    return loaded.model, next(iter(batches)), expected, found


def preprocess(image):
    """Resizes an image and subtracts the means of RGB from BGR."""
    transform = pytest.importorskip("skimage.transform")
    scale = SHORT_SIDE / min(image.shape[:2])
    size = (3, image.shape[0] * scale, image.shape[1] * scale)
    image = np.transpose(image, (2, 0, 1)).astype(np.float32) / 255.0
    image = transform.resize(image, size, mode="reflect", anti_aliasing=False)
    means = np.array([122.7717, 115.9465, 102.9801]).reshape(3, 1, 1)
    return (image[[2, 1, 0]] * 255 - means).astype(np.float32)


def run(original, image):
    """Runs the original as where it evaluates; boxes are (ymin, xmin, ymax, xmax)."""
    torch = original.torch
    images = torch.tensor(preprocess(image))[None]
    scale = images.shape[3] / image.shape[1]
    features = original.vgg16(images)
    scores, deltas = original.rpn(features)
    anchors = original.anchors(features.shape[2:], offset=8)
    size = images.shape[2:]
    rois = original.propose(scores, deltas, anchors, size, 16 * scale, 6000)
    pooled = original.pool(features, rois / 16, 7)
    hidden = original.f.relu(original.dense(pooled.flatten(1), "head.classifier.0"))
    hidden = original.f.relu(original.dense(hidden, "head.classifier.2"))
    logits = original.dense(hidden, "head.score")
    head_deltas = original.dense(hidden, "head.cls_loc").reshape(-1, 21, 4)
    boxes = original.decode(
        (rois / scale).repeat_interleave(21, 0),
        (head_deltas * torch.tensor([0.1, 0.1, 0.2, 0.2])).reshape(-1, 4),
    )
    boxes = original.clip(boxes, image.shape[:2]).reshape(-1, 21, 4)
    detections = original.detections(boxes, logits.softmax(-1), 0.05, 0.3)
    names = "features scores deltas rois pooled logits head_deltas".split()
    values = (features, scores, deltas, rois, pooled, logits, head_deltas)
    stages = {n: v.numpy() for n, v in zip(names, values, strict=True)}
    return stages | {"detections": detections}


def close(found, expected, tolerance=1e-4):
    """Compares relative to the largest number."""
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=tolerance)


def test_the_backbone_and_the_rpn_are_the_originals(pair):
    model, batch, expected, _ = pair
    stages = first_stage(model, batch)
    close(stages.features[0][0], np.moveaxis(expected["features"][0], 0, -1))
    close(stages.rpn.outputs.logits[0], expected["scores"])
    close(stages.rpn.outputs.deltas[0], expected["deltas"])


def test_the_proposals_are_the_originals(pair):
    model, batch, expected, _ = pair
    proposals = first_stage(model, batch).proposals
    assert expected["rois"].shape == (300, 4) and proposals.valid.numpy().all()
    np.testing.assert_allclose(proposals.boxes[0], expected["rois"], atol=0.01)


def test_the_second_stage_is_the_originals(pair):
    model, batch, expected, _ = pair
    stages = first_stage(model, batch)
    pooled = pooled_rois(model, batch, stages)
    close(pooled[0], np.transpose(expected["pooled"], (0, 2, 3, 1)))
    logits, deltas = second_stage(model, batch, stages.features, stages.proposals)
    assert np.ptp(expected["logits"]) > 2.0
    close(logits[0], expected["logits"])
    close(deltas[0], expected["head_deltas"])


def test_the_detections_are_the_originals(pair, share_found):
    *_, expected, found = pair
    count = len(expected["detections"])
    assert 150 < count < 1000  # none is cut off
    assert len(np.unique(expected["detections"][:, 0])) > 10
    assert abs(len(found) - count) <= 0.01 * count
    assert share_found(found, expected["detections"]) >= 0.99


def test_all_weights_are_used_and_the_trainers_notes_are_not(loaded):
    report = loaded.report
    assert not (report.missing or report.unexpected or report.random or report.ignored)
    assert loaded.model.class_names == VOC
    assert "0.7" in loaded.notes[0]


def test_the_settings_are_the_originals(loaded):
    config = loaded.config
    assert config.images.mode == "chainer"
    assert (config.images.short_side, config.images.long_side) == (600, 1000)
    assert (config.images.resize, config.images.pad_to) == ("chainer", 1)
    proposals = config.proposals
    assert (proposals.test_pre_nms, proposals.test_post_nms) == (6000, 300)
    assert (proposals.train_pre_nms, proposals.train_post_nms) == (12000, 2000)
    assert proposals.min_size == 16 and config.anchors.style == "centred"
    assert config.detections.score_threshold == 0.05
    assert config.roi.dropout == 0.0 and config.roi.pooling == "pool"
    assert config.train.weight_decay == 0.0005 and config.train.double_bias_rate


# What the file tells -----------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(path):
    return read_checkpoint(path)


def with_dropout(arrays):
    return {n.replace("classifier.2", "classifier.3"): a for n, a in arrays.items()}


@pytest.mark.parametrize(
    ("settings", "variant", "image_mode"),
    [
        ({"config": {"caffe_pretrain": True}}, None, "chainer"),
        ({"config": {"caffe_pretrain": False}}, None, "torch"),
        ({}, "caffe", "chainer"),
        ({}, "torchvision", "torch"),
        ({"config": {"lr": 0.1}}, "torchvision", "torch"),
    ],
)
def test_the_trainers_settings_or_the_variant_tell_the_means(
    checkpoint, settings, variant, image_mode
):
    bare = checkpoint._replace(settings=settings)
    description = SOURCE.describe(bare, variant)
    assert description.settings["images"]["mode"] == image_mode


@pytest.mark.parametrize("settings", [{}, {"config": {"lr": 0.1}}, {"config": 3}])
def test_without_them_the_means_are_unknown(checkpoint, settings):
    with pytest.raises(CheckpointError, match="--variant caffe or torchvision"):
        SOURCE.describe(checkpoint._replace(settings=settings), None)


def test_modules_of_dropout_move_fc7(checkpoint):
    moved = checkpoint._replace(arrays=with_dropout(checkpoint.arrays))
    description = SOURCE.describe(moved, None)
    assert description.settings["roi"]["dropout"] == 0.5
    for variable, name in (("kernel", "weight"), ("bias", "bias")):
        taken = description.name_map[f"box_head/fc7/{variable}"]
        assert taken.names == (f"head.classifier.3.{name}",)


def test_other_numbers_of_classes_have_no_known_names(checkpoint):
    scores = {"head.score.weight": np.zeros([8, 4096], np.float32)}
    other = checkpoint._replace(arrays=checkpoint.arrays | scores)
    description = SOURCE.describe(other, None)
    assert (description.num_classes, description.class_names) == (7, None)


def test_other_classes_give_a_new_predictor(checkpoint, monkeypatch):
    monkeypatch.setattr(conversion, "read_checkpoint", lambda _: checkpoint)
    loaded = checkpoints.load(NAME, "file.pth", ("red cell", "platelet"))
    assert loaded.model.class_names == ("red cell", "platelet")
    random = ("logits/kernel", "logits/bias", "deltas/kernel", "deltas/bias")
    assert loaded.report.random == [f"box_predictor/{name}" for name in random]
    assert "new and random" in loaded.notes[-1]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda a: a.pop("rpn.loc.bias"), "lacks 1 of 40 weights: rpn.loc.bias"),
        (lambda a: a.update(extra=a["rpn.loc.bias"]), "no place for: extra"),
        (lambda a: a.update({"rpn.loc.bias": np.zeros(48)}), "rpn.loc.bias has the"),
    ],
)
def test_what_does_not_fit_is_named(checkpoint, monkeypatch, edit, message):
    arrays = dict(checkpoint.arrays)
    edit(arrays)
    changed = checkpoint._replace(arrays=arrays)
    monkeypatch.setattr(conversion, "read_checkpoint", lambda _: changed)
    with pytest.raises(CheckpointError, match=message):
        checkpoints.load(NAME, "file.pth")


@pytest.mark.parametrize("lacking", ["head.score.weight", "extractor.0.bias"])
def test_a_file_of_another_source_is_refused(tmp_path, lacking):
    names = {"head.score.weight", "extractor.0.bias", "rpn.loc.weight"} - {lacking}
    arrays = dict.fromkeys(names, np.zeros(3))
    with pytest.raises(CheckpointError, match=f"not a .* which has {lacking}"):
        SOURCE.describe(Checkpoint(tmp_path / "other.pth", arrays), "caffe")
