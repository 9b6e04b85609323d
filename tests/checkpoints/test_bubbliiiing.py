import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.detector_stages import first_stage, pooled_rois, second_stage
from tf_frcnn import checkpoints
from tf_frcnn.assembly import build_evaluation_batches
from tf_frcnn.checkpoints import CheckpointError, conversion
from tf_frcnn.checkpoints.bubbliiiing import SOURCE
from tf_frcnn.checkpoints.class_lists import VOC
from tf_frcnn.checkpoints.files import Checkpoint, read_checkpoint
from tf_frcnn.data.readers.images import read_images
from tf_frcnn.models.evaluating import observe

pytestmark = pytest.mark.slow

SHORT_SIDE = 250
PICTURE = (187, 229)  # becomes 250 x 306, maps of 15 x 19 (VGG16) and 16 x 20
UNITS = (3, 4, 6, 3)
ORDER = (1, 0)  # x, y
XY = [1, 0, 3, 2]


def random_vgg16(modules):
    modules.vgg16(fc7=2, first_gain=2.0)
    modules.outputs(512, 4096, num_classes=20, scores=5.0, deltas=1.0)


def random_resnet50(modules):
    modules.layer("extractor.0", 64, 3, 7, 7, gain=2.0, bias=False)
    modules.norm("extractor.1", 64)
    channels = 64
    for stage, units in enumerate(UNITS):
        place = f"extractor.{4 + stage}" if stage < 3 else "head.classifier.0"
        width = 64 * 2**stage
        for unit in range(units):
            sides = ((1, channels, 1), (2, width, 3), (3, width, 1))
            for k, inputs, side in sides:
                name, outputs = f"{place}.{unit}", width * (4 if k == 3 else 1)
                shape, gain = (outputs, inputs, side, side), 0.4 if k == 3 else 1.4
                modules.layer(f"{name}.conv{k}", *shape, gain=gain, bias=False)
                modules.norm(f"{name}.bn{k}", outputs)
            if unit == 0:
                shape = (4 * width, channels, 1, 1)
                modules.layer(f"{name}.downsample.0", *shape, gain=1.0, bias=False)
                modules.norm(f"{name}.downsample.1", 4 * width)
            channels = 4 * width
    modules.outputs(1024, 2048, num_classes=20, scores=8.0, deltas=4.0)


# The original ------------------------------------------------------------------------


def norm(original, x, name):
    names = ("running_mean", "running_var", "weight", "bias")
    values = (original.arrays[f"{name}.{n}"] for n in names)
    return original.f.batch_norm(x, *values, eps=1e-5)


def stage(original, x, name, units, stride):
    f = original.f
    for unit in range(units):
        place, step = f"{name}.{unit}", stride if unit == 0 else 1
        found = original.conv(x, f"{place}.conv1", stride=step)
        found = f.relu(norm(original, found, f"{place}.bn1"))
        found = original.conv(found, f"{place}.conv2", padding=1)
        found = f.relu(norm(original, found, f"{place}.bn2"))
        found = norm(original, original.conv(found, f"{place}.conv3"), f"{place}.bn3")
        if unit == 0:
            x = original.conv(x, f"{place}.downsample.0", stride=step)
            x = norm(original, x, f"{place}.downsample.1")
        x = f.relu(found + x)
    return x


def resnet50(original, x):
    x = original.conv(x, "extractor.0", stride=2, padding=3)
    x = original.f.relu(norm(original, x, "extractor.1"))
    x = original.f.max_pool2d(x, 3, 2, padding=0, ceil_mode=True)
    for place, units, stride in ((4, 3, 1), (5, 4, 2), (6, 6, 2)):
        x = stage(original, x, f"extractor.{place}", units, stride)
    return x


def vgg16_head(original, pooled):
    hidden = original.f.relu(original.dense(pooled.flatten(1), "head.classifier.0"))
    return original.f.relu(original.dense(hidden, "head.classifier.2"))


def resnet50_head(original, pooled):
    maps = stage(original, pooled, "head.classifier.0", 3, 2)
    return original.f.avg_pool2d(maps, 7).flatten(1)


def preprocess(image):
    """Brings the shorter side to its length and cuts the longer one's fraction."""
    pillow = pytest.importorskip("PIL.Image")
    height, width = image.shape[:2]
    size = (int(SHORT_SIDE / height * width), SHORT_SIDE)
    resized = pillow.fromarray(image).resize(size, pillow.BICUBIC)
    return np.transpose(np.float32(resized), (2, 0, 1)) / 255.0


def run(original, image, is_resnet):
    """Runs the original; boxes are (xmin, ymin, xmax, ymax)."""
    torch = original.torch
    images = torch.tensor(preprocess(image))[None]
    height, width = images.shape[2:]
    features = resnet50(original, images) if is_resnet else original.vgg16(images)
    scores, deltas = original.rpn(features)
    anchors = original.anchors(features.shape[2:], offset=0)
    rois = original.propose(scores, deltas, anchors, (height, width), 16, 3000)
    rows, columns = features.shape[2:]
    cells = (
        rois[:, XY]
        / torch.tensor([height, width] * 2)
        * torch.tensor([rows, columns] * 2)
    )
    pooled = original.pool(features, cells, 14 if is_resnet else 7)
    head = resnet50_head if is_resnet else vgg16_head
    hidden = torch.cat([head(original, part) for part in pooled.split(50)])
    logits = original.dense(hidden, "head.score")
    head_deltas = original.dense(hidden, "head.cls_loc").reshape(-1, 21, 4)
    boxes = original.decode(
        rois.repeat_interleave(21, 0),
        (head_deltas * torch.tensor([0.1, 0.1, 0.2, 0.2])).reshape(-1, 4),
    )
    in_file = torch.tensor([image.shape[1] / width, image.shape[0] / height] * 2)
    boxes = (boxes * in_file).reshape(-1, 21, 4)
    detections = original.detections(boxes, logits.softmax(-1), 0.5, 0.3)
    names = "features scores deltas rois pooled logits head_deltas".split()
    values = (features, scores, deltas, rois, pooled, logits, head_deltas)
    stages = {n: v.numpy() for n, v in zip(names, values, strict=True)}
    return stages | {"detections": detections}


# The tests ---------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["vgg", "resnet"])
def file(request, torch_parts, tmp_path_factory):
    """Gives a file of weights, its path, and what is in it."""
    import torch

    modules = torch_parts[0](seed=2)
    is_resnet = request.param == "resnet"
    (random_resnet50 if is_resnet else random_vgg16)(modules)
    folder = tmp_path_factory.mktemp("bubbliiiing")
    path = folder / f"voc_weights_{request.param}.pth"
    torch.save(modules.arrays, path)
    yield path, modules.arrays, is_resnet
    path.unlink()


@pytest.fixture(scope="module")
def loaded(file):
    return checkpoints.load("bubbliiiing", file[0])


@pytest.fixture(scope="module")
def pair(loaded, file, torch_parts, draw, tmp_path_factory):
    """Gives the model, its batch of an image, and what the original and ours find."""
    _, arrays, is_resnet = file
    image = draw(*PICTURE, seed=4)
    path = tmp_path_factory.mktemp("images") / "image.png"
    path.write_bytes(tf.io.encode_png(image).numpy())
    examples = read_images([path], VOC)
    images = loaded.config.images.replace(short_side=SHORT_SIDE)
    batches = build_evaluation_batches(
        loaded.config.replace(images=images), examples
    ).dataset
    expected = run(torch_parts[1](arrays, ORDER), image, is_resnet)
    _, found = observe(loaded.model, batches)
    found = np.column_stack([found.labels, found.scores, found.boxes])
    return loaded.model, next(iter(batches)), expected, found


def close(found, expected, tolerance=1e-4):
    """Compares relative to the largest number."""
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=tolerance)


def test_the_image_is_the_originals(pair, draw):
    model, batch, *_ = pair
    image = np.moveaxis(preprocess(draw(*PICTURE, seed=4)), 0, -1)
    normalised = model.preprocessing(batch["images"], batch["image_sizes"])
    np.testing.assert_allclose(normalised[0], image, atol=1.01 / 255)
    assert (np.abs(normalised[0] - image) > 1e-6).mean() < 0.001


def test_the_backbone_and_the_rpn_are_the_originals(pair):
    model, batch, expected, _ = pair
    stages = first_stage(model, batch)
    close(stages.features[0][0], np.moveaxis(expected["features"][0], 0, -1), 1e-3)
    close(stages.rpn.outputs.logits[0], expected["scores"], 1e-3)
    close(stages.rpn.outputs.deltas.numpy()[0][:, XY], expected["deltas"], 1e-3)


def test_the_proposals_are_the_originals(pair):
    model, batch, expected, _ = pair
    proposals = first_stage(model, batch).proposals
    boxes = proposals.boxes[0].numpy()[proposals.valid[0].numpy()]
    np.testing.assert_allclose(boxes[:, XY], expected["rois"], atol=0.05)


def test_the_second_stage_is_the_originals(pair):
    model, batch, expected, _ = pair
    stages = first_stage(model, batch)
    pooled = pooled_rois(model, batch, stages).numpy()
    count = len(expected["rois"])
    close(pooled[0, :count], np.transpose(expected["pooled"], (0, 2, 3, 1)), 1e-3)
    logits, deltas = second_stage(model, batch, stages.features, stages.proposals)
    assert np.ptp(expected["logits"]) > 2.0
    close(logits[0, :count], expected["logits"], 1e-3)
    close(deltas.numpy()[0, :count][..., XY], expected["head_deltas"], 1e-3)


def test_the_detections_are_the_originals(pair, share_found):
    *_, expected, found = pair
    count = len(expected["detections"])
    assert 20 < count < 300
    boxes = expected["detections"][:, 2:]
    leaves_picture = ((boxes < 0) | (boxes > np.tile(PICTURE, 2))).any(1)
    assert leaves_picture.sum() > 5
    assert abs(len(found) - count) <= 0.01 * count
    assert share_found(found, expected["detections"]) >= 0.99


def test_all_weights_but_counters_are_used(loaded, file):
    report = loaded.report
    assert not (report.missing or report.unexpected or report.random)
    counters = [name for name in file[1] if name.endswith("num_batches_tracked")]
    assert report.ignored == sorted(counters) and len(counters) in (0, 53)
    assert loaded.model.class_names == VOC


def test_the_settings_are_the_originals(loaded, file):
    config, is_resnet = loaded.config, file[2]
    backbone = "resnet50_c4_bubbliiiing" if is_resnet else "vgg16_floor"
    assert config.backbone.name == backbone and config.images.mode == "scaled"
    assert config.roi.pooled_size == (14 if is_resnet else 7)
    images = config.images
    assert (images.short_side, images.long_side, images.pad_to) == (600, None, 1)
    proposals = config.proposals
    assert (proposals.test_pre_nms, proposals.test_post_nms) == (3000, 300)
    assert (proposals.train_pre_nms, proposals.train_post_nms) == (12000, 600)
    assert (proposals.min_size, config.conventions.min_size_in) == (16, "network")
    assert config.train.optimizer == "adam" and "0.02" in loaded.notes[0]
    detections = config.detections
    assert (detections.score_threshold, detections.nms_iou) == (0.5, 0.3)


@pytest.fixture
def load_arrays(file, monkeypatch):
    """Loads the file with some of its arrays replaced, or, for None, left out."""
    checkpoint = read_checkpoint(file[0])

    def load(replaced, *args):
        arrays = {
            n: a for n, a in (checkpoint.arrays | replaced).items() if a is not None
        }
        changed = checkpoint._replace(arrays=arrays)
        monkeypatch.setattr(conversion, "read_checkpoint", lambda _: changed)
        return checkpoints.load("bubbliiiing", "file.pth", *args)

    return load


def test_other_classes_give_a_new_predictor(load_arrays):
    loaded = load_arrays({}, ("red cell", "platelet"))
    assert loaded.model.class_names == ("red cell", "platelet")
    random = ("logits/kernel", "logits/bias", "deltas/kernel", "deltas/bias")
    assert loaded.report.random == [f"box_predictor/{name}" for name in random]
    assert "new and random" in loaded.notes[-1]


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"rpn.conv1.weight": None}, r"lacks 1 of .* weights: rpn\.conv1\.weight"),
        ({"head.fc.weight": np.zeros(3)}, r"no place for: head\.fc\.weight"),
        # 12 anchors, of scales that the file does not hold.
        ({"rpn.score.bias": np.zeros(24)}, r"rpn\.score\.bias has the shape \[24\]"),
    ],
)
def test_what_does_not_fit_is_named(load_arrays, replaced, message):
    with pytest.raises(CheckpointError, match=message):
        load_arrays(replaced)


def test_a_file_of_another_source_is_refused(tmp_path):
    for names, lacking in (
        ({"head.score.weight", "extractor.0.bias"}, "rpn.loc.weight"),
        ({"rpn.loc.weight", "extractor.0.bias"}, "head.score.weight"),
        ({"head.score.weight", "rpn.loc.weight"}, "extractor.0.bias"),
    ):
        arrays = dict.fromkeys(names, np.zeros(3))
        with pytest.raises(CheckpointError, match=f"not a .* which has {lacking}"):
            SOURCE.describe(Checkpoint(tmp_path / "other.pth", arrays), None)
