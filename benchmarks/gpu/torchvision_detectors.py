"""Detectors of torchvision and their steps, for what is compared with them."""

import torch
from torchvision.models import resnet50, vgg16
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign

# So that untrained scores lie above and below the threshold.
SCORE_FACTOR = 10.0


def build(name, num_classes, canvas):
    """Builds "vgg16" or "resnet50_fpn" with random weights.

    Args:
        name: of the backbone.
        num_classes: without the background.
        canvas: (height, width) of the images, which are not resized.
    """
    builds = {"resnet50_fpn": build_resnet50_fpn, "vgg16": build_vgg16}
    model = builds[name](num_classes + 1, canvas)
    model.roi_heads.box_predictor.cls_score.weight.data.mul_(SCORE_FACTOR)
    return model


def build_resnet50_fpn(num_classes, canvas):
    body = resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
    return FasterRCNN(
        _resnet_fpn_extractor(body, 3),
        num_classes,
        min_size=canvas[0],
        max_size=canvas[1],
    )


def build_vgg16(num_classes, canvas):
    """Builds the detector of the paper: one map, 9 anchors, fc6 and fc7."""
    backbone = vgg16(weights=None).features[:-1]
    for layer in backbone[:10]:
        layer.requires_grad_(False)
    backbone.out_channels = 512
    return FasterRCNN(
        backbone,
        min_size=canvas[0],
        max_size=canvas[1],
        rpn_anchor_generator=AnchorGenerator(((128, 256, 512),), ((0.5, 1.0, 2.0),)),
        rpn_pre_nms_top_n_train=12000,
        rpn_post_nms_top_n_train=2000,
        rpn_pre_nms_top_n_test=6000,
        rpn_post_nms_top_n_test=300,
        box_roi_pool=MultiScaleRoIAlign(["0"], 7, 2),
        box_head=TwoMLPHead(512 * 7 * 7, 4096),
        box_predictor=FastRCNNPredictor(4096, num_classes),
        box_batch_size_per_image=128,
    )


def step_of(model, kind, made, device):
    """Returns a function that does one step.

    Args:
        model: the detector.
        kind: "training" or "inference".
        made: a batch of `made_up`.
        device: "cuda" or "cpu".
    """
    images = torch.from_numpy(made["images"]).permute(0, 3, 1, 2).to(device) / 255
    images = list(images.contiguous())
    if kind == "inference":
        model.eval()

        def infer():
            with torch.inference_mode():
                model(images)

        return infer

    model.train()
    # (ymin, xmin, ymax, xmax) to (xmin, ymin, xmax, ymax); class 0 is background.
    boxes = torch.from_numpy(made["boxes"])[..., [1, 0, 3, 2]].to(device)
    labels = torch.from_numpy(made["labels"]).long().to(device) + 1
    targets = [
        {"boxes": own_boxes, "labels": own_labels}
        for own_boxes, own_labels in zip(boxes, labels, strict=True)
    ]
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, 1e-4, momentum=0.9, weight_decay=5e-4)

    def train():
        optimizer.zero_grad()
        sum(model(images, targets).values()).backward()
        optimizer.step()

    return train
