"""A whole training of VGG16 by torchvision's parts; see `whole_run.py`."""

import json
import random
import sys
from pathlib import Path

import numpy as np
import torch
from gpu.torchvision_detectors import build_vgg16
from PIL import Image

# Of caffe's VGG16, in the order blue, green, red.
MEANS = (103.939, 116.779, 123.68)


class Photos(torch.utils.data.Dataset):
    """Images and boxes of a split in COCO's JSON, mirrored at random in training."""

    def __init__(self, folder, training):
        content = json.loads((folder / "_annotations.coco.json").read_text())
        self.folder, self.training, self.images = folder, training, content["images"]
        self.num_classes = len(content["categories"])
        self.boxes = {image["id"]: [] for image in self.images}
        for annotation in content["annotations"]:
            x, y, width, height = annotation["bbox"]
            row = [x, y, x + width, y + height, annotation["category_id"]]
            self.boxes[annotation["image_id"]].append(row)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, number):
        image = self.images[number]
        with Image.open(self.folder / image["file_name"]) as opened:
            pixels = np.array(opened.convert("RGB"))[..., ::-1].copy()
        pixels = torch.from_numpy(pixels).permute(2, 0, 1).float()
        rows = torch.tensor(self.boxes[image["id"]]).reshape(-1, 5)
        boxes, labels = rows[:, :4], rows[:, 4].long()
        if self.training and random.random() < 0.5:
            pixels = pixels.flip(2)
            boxes[:, [0, 2]] = image["width"] - boxes[:, [2, 0]]
        return pixels, {"boxes": boxes, "labels": labels}


def main():
    folder, epochs = Path(sys.argv[1]), int(sys.argv[2])
    canvas = tuple(map(int, sys.argv[3:5]))
    torch.manual_seed(0)
    random.seed(0)
    photos = Photos(folder / "data" / "train", training=True)
    model = build_vgg16(photos.num_classes + 1, canvas)
    model.transform.image_mean, model.transform.image_std = MEANS, (1.0, 1.0, 1.0)
    read_weights(model.backbone, folder / "weights.npz")
    train(model, photos, epochs, clip_norm=float(sys.argv[5]))
    found = detect(model, Photos(folder / "data" / "test", training=False))
    (folder / "theirs_found.json").write_text(json.dumps(found))


def read_weights(backbone, path):
    with np.load(path) as values:
        arrays = list(values.values())
    parameters = list(backbone.parameters())
    for parameter, array in zip(parameters, arrays, strict=True):
        parameter.data.copy_(torch.from_numpy(array))


def train(model, photos, epochs, clip_norm):
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, 1e-3, momentum=0.9, weight_decay=5e-4)
    batches = torch.utils.data.DataLoader(
        photos, batch_size=None, shuffle=True, num_workers=1
    )
    for epoch in range(epochs):
        if epoch >= 0.75 * epochs:
            optimizer.param_groups[0]["lr"] = 1e-4
        for pixels, target in batches:
            optimizer.zero_grad()
            losses = model([pixels], [target])
            sum(losses.values()).backward()
            torch.nn.utils.clip_grad_norm_(trained, clip_norm)
            optimizer.step()
        print(epoch, {name: float(loss) for name, loss in losses.items()}, flush=True)


@torch.inference_mode()
def detect(model, photos):
    model.eval()
    found = []
    for image, (pixels, _) in zip(photos.images, photos, strict=True):
        (detections,) = model([pixels])
        for box, score, label in zip(
            detections["boxes"].tolist(),
            detections["scores"].tolist(),
            detections["labels"].tolist(),
            strict=True,
        ):
            xmin, ymin, xmax, ymax = box
            own = {"box": [ymin, xmin, ymax, xmax], "score": score, "label": label - 1}
            found.append({"file_name": image["file_name"], **own})
    return found


if __name__ == "__main__":
    main()
