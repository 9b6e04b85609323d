"""The results of torchvision's Faster R-CNNs, for comparison with their conversions.

Runs in any Python with torch and torchvision, which need not be the one that has
TensorFlow:

    python torchvision_reference.py FOLDER

FOLDER holds pictures.npz: RGB images, uint8 [h, w, 3], under their names; and
training.npz: `images` uint8 [m, h, w, 3], `boxes` float32 [n, 4] (x1, y1, x2, y2) and
`labels` int64 [n] of every one. Written beside them, for each detector: NAME.pth, its
state dict with seeded random weights and batch-norm statistics; and NAME.npz, what it
makes of each image, under PICTURE/STAGE; and steps.npz, of the training. Of the
ImageNet classifier MobileNetV3-Large, mobilenet_v3_large.pth, and
mobilenet_v3_large.npz, the map that a detector's backbone with its weights makes of the
first image.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torchvision.models import detection, mobilenet_v3_large
from torchvision.models.detection._utils import overwrite_eps
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops.misc import FrozenBatchNorm2d

SMALL = {"min_size": 224, "max_size": 373}
MEDIUM = {"min_size": 416, "max_size": 693}
UNTRAINED = {"weights": None, "weights_backbone": None}
# Standard deviations that the outputs are brought to: many detections, spread scores.
SPREADS = {
    "rpn.head.cls_logits": 2.0,
    "rpn.head.bbox_pred": 0.3,
    "roi_heads.box_predictor.cls_score": 1.8,
    "roi_heads.box_predictor.bbox_pred": 0.7,
}
# Of the training steps; what is decayed and doubled is so by the rules of Caffe.
NUM_STEPS, LEARNING_RATE, MOMENTUM = 9, 0.0002, 0.9
WEIGHT_DECAY, BIAS_RATE, CLIP_NORM = 0.0005, 2.0, 5.0


def frozen_resnet(num_classes, **settings):
    """Builds `fasterrcnn_resnet50_fpn` as its published weights are run."""
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, trainable_layers=5
    )
    model = detection.FasterRCNN(backbone, num_classes, **settings)
    overwrite_eps(model, 0.0)
    return model


DETECTORS = {
    "fasterrcnn_resnet50_fpn": lambda: detection.fasterrcnn_resnet50_fpn(
        num_classes=91, **UNTRAINED, **SMALL
    ),
    "fasterrcnn_resnet50_fpn_coco_v1": lambda: frozen_resnet(4, **SMALL),
    "fasterrcnn_resnet50_fpn_v2": lambda: detection.fasterrcnn_resnet50_fpn_v2(
        num_classes=11, **UNTRAINED, **SMALL
    ),
    "fasterrcnn_mobilenet_v3_large_fpn": lambda: (
        detection.fasterrcnn_mobilenet_v3_large_fpn(
            num_classes=11, **UNTRAINED, **MEDIUM
        )
    ),
    "fasterrcnn_mobilenet_v3_large_320_fpn": lambda: (
        detection.fasterrcnn_mobilenet_v3_large_320_fpn(num_classes=11, **UNTRAINED)
    ),
}


def tensor_of(image, dtype=torch.float32):
    return torch.from_numpy(image).permute(2, 0, 1).to(dtype) / 255.0


def randomise(model, images):
    """Gives every normalisation random statistics near those of the images."""

    def set_statistics(norm, inputs):
        values = inputs[0].transpose(0, 1).flatten(1)
        mean, var = values.mean(1), values.var(1, unbiased=False)
        noise = torch.rand(4, len(mean))
        norm.running_mean.copy_(mean + (noise[0] - 0.5) * var.sqrt())
        norm.running_var.copy_(var * (0.5 + noise[1]) + 1e-4)
        norm.weight.data.copy_(0.5 + noise[2])
        norm.bias.data.copy_(noise[3] - 0.5)

    def set_spread(layer, inputs):
        spread = (
            nn.functional.linear if layer.weight.dim() == 2 else layer._conv_forward
        )
        values = spread(inputs[0], layer.weight, None)
        layer.weight.data *= SPREADS[names[layer]] / values.std()
        layer.bias.data.normal_(0, 0.3)
        hooks.pop(layer).remove()

    names = {module: name for name, module in model.named_modules()}
    hooks = {}
    for module, name in names.items():
        if isinstance(module, (nn.BatchNorm2d, FrozenBatchNorm2d)):
            hooks[module] = module.register_forward_pre_hook(set_statistics)
        elif name in SPREADS:
            hooks[module] = module.register_forward_pre_hook(set_spread)
    with torch.no_grad():
        model(images)
    for hook in hooks.values():
        hook.remove()


def stages(model, image):
    """Yields what a detector makes of an image, stage by stage."""
    image = tensor_of(image)
    with torch.no_grad():
        images, _ = model.transform([image])
        features = model.backbone(images.tensors)
        scores, deltas = model.rpn.head(list(features.values()))
        proposals, _ = model.rpn(images, features)
        heads = model.roi_heads
        pooled = heads.box_roi_pool(features, proposals, images.image_sizes)
        logits, box_deltas = heads.box_predictor(heads.box_head(pooled))
        found = model([image])[0]
    yield "image", images.tensors
    yield "image_size", torch.tensor(images.image_sizes[0])
    for level, maps in enumerate(zip(features.values(), scores, deltas, strict=True)):
        for name, values in zip(("features", "scores", "deltas"), maps, strict=True):
            yield f"{name}{level}", values
    yield "proposals", proposals[0]
    yield "logits", logits
    yield "box_deltas", box_deltas
    for name, values in found.items():
        yield name, values


def training_steps(model, examples):
    """Returns what steps in 64 bits do, all candidates sampled, one image at a time.

    The weight decay is a part of the loss, and all gradients are clipped together.

    Args:
        examples: of RGB images, uint8 [h, w, 3], boxes and labels; taken in turn.

    Returns:
        For each loss and for the decay their values, float64 [steps]; and for each
        parameter how far it was moved, float32.
    """
    model.double().train()
    rpn, heads = model.rpn, model.roi_heads
    rpn.fg_bg_sampler.batch_size_per_image = 2**20
    heads.fg_bg_sampler.batch_size_per_image = 2**12
    for counts in (rpn._pre_nms_top_n, rpn._post_nms_top_n):
        counts["training"] = 300
    parameters = dict(model.named_parameters())
    before = {name: p.detach().clone() for name, p in parameters.items()}
    for name, parameter in parameters.items():
        if name.startswith(("backbone.body.conv1", "backbone.body.layer1")):
            parameter.requires_grad_(False)
    learned = {n: p for n, p in parameters.items() if p.requires_grad}
    kernels = [p for n, p in learned.items() if n.endswith("weight")]
    biases = [p for n, p in learned.items() if n.endswith("bias")]
    optimizer = torch.optim.SGD(learned.values(), LEARNING_RATE, MOMENTUM)
    rows = []
    for step in range(NUM_STEPS):
        image, boxes, labels = examples[step % len(examples)]
        target = {"boxes": torch.from_numpy(boxes).double(), "labels": labels}
        losses = model([tensor_of(image, torch.float64)], [target])
        losses["decay"] = WEIGHT_DECAY / 2 * sum(k.square().sum() for k in kernels)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        for bias in biases:
            bias.grad *= BIAS_RATE
        nn.utils.clip_grad_norm_(learned.values(), CLIP_NORM)
        optimizer.step()
        rows.append([loss.item() for loss in losses.values()])
    by_step = dict(zip(losses, np.transpose(rows), strict=True))
    moved = {n: (p.detach() - before[n]).float().numpy() for n, p in parameters.items()}
    return by_step | moved


def write_classifier(folder, image):
    """Writes MobileNetV3-Large; a detector has it with other normalisations."""
    images = tensor_of(image)[None]
    frozen = mobilenet_v3_large(weights=None, norm_layer=FrozenBatchNorm2d).eval()
    randomise(frozen, images)
    classifier = mobilenet_v3_large(weights=None)
    classifier.load_state_dict(frozen.state_dict(), strict=False)
    torch.save(classifier.state_dict(), folder / "mobilenet_v3_large.pth")
    with torch.no_grad():
        features = frozen.features(images).numpy()
    np.savez(folder / "mobilenet_v3_large.npz", features=features)


def main(folder):
    stored = dict(np.load(folder / "pictures.npz"))
    training = dict(np.load(folder / "training.npz"))
    labels = torch.from_numpy(training.pop("labels"))
    examples = [(image, training["boxes"], labels) for image in training["images"]]
    for seed, (name, build) in enumerate(DETECTORS.items()):
        torch.manual_seed(seed)
        model = build().eval()
        randomise(model, [tensor_of(next(iter(stored.values())))])
        torch.save(model.state_dict(), folder / f"{name}.pth")
        results = {
            f"{image}/{stage}": values.numpy()
            for image, pixels in stored.items()
            for stage, values in stages(model, pixels)
        }
        np.savez(folder / f"{name}.npz", **results)
        if name == "fasterrcnn_resnet50_fpn_coco_v1":
            # At their own size, so that none is resized.
            model.transform.min_size = (min(training["images"].shape[1:3]),)
            np.savez(folder / "steps.npz", **training_steps(model, examples))
    write_classifier(folder, next(iter(stored.values())))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
