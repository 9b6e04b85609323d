"""Times torchvision's detector for the job of an exported program.

    python peers.py programs/vgg16-training-float32-2 eager

Prints the seconds of a step and the memory as JSON. The images have the size of the
canvas already, so that nothing is resized. "compiled" takes `torch.compile` for the
backbone and the heads, whose shapes do not change.
"""

import argparse
import json
from pathlib import Path

import made_up
import torch
from timing import times_of
from torchvision.models import resnet50, vgg16
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign

# So that untrained scores lie above and below the threshold.
SCORE_FACTOR = 10.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("form", choices=["eager", "compiled"])
    options = parser.parse_args()
    about = json.loads((options.program / "about.json").read_text())
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    device = "cuda" if torch.cuda.is_available() else "cpu"
    builds = {"resnet50_fpn": build_resnet50_fpn, "vgg16": build_vgg16}
    name, kind, precision, _ = options.program.name.split("-")
    model = builds[name](about["classes"] + 1, about["canvas"]).to(device)
    model.roi_heads.box_predictor.cls_score.weight.data.mul_(SCORE_FACTOR)
    if options.form == "compiled":
        model.backbone = torch.compile(model.backbone)
        model.rpn.head = torch.compile(model.rpn.head)
        model.roi_heads.box_head = torch.compile(model.roi_heads.box_head)
    step = step_of(model, kind, about, device)
    dtype = torch.bfloat16 if precision == "bfloat16" else None

    def synchronised():
        with torch.autocast(device, dtype=dtype, enabled=dtype is not None):
            step()
        if device == "cuda":
            torch.cuda.synchronize()

    # The first steps try algorithms, some of which take all the memory there is.
    for _ in range(2):
        synchronised()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    row = times_of(synchronised)
    if device == "cuda":
        row["memory_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    row["torch"] = torch.__version__
    print(json.dumps(row))


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


def step_of(model, kind, about, device):
    """Returns a function that does one step."""
    made = made_up.batch(about["batch"], about["canvas"], about["classes"])
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


if __name__ == "__main__":
    main()
