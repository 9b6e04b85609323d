"""The class lists of published checkpoints, in the order of their labels."""

VOC = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair"),
    *("cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant"),
    *("sheep", "sofa", "train", "tvmonitor"),
)
_COCO_BY_ID = {
    1: ("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck"),
    9: ("boat", "traffic light", "fire hydrant"),
    13: ("stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse"),
    20: ("sheep", "cow", "elephant", "bear", "zebra", "giraffe"),
    27: ("backpack", "umbrella"),
    31: ("handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball"),
    38: ("kite", "baseball bat", "baseball glove", "skateboard", "surfboard"),
    43: ("tennis racket", "bottle"),
    46: ("wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple"),
    54: ("sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut"),
    61: ("cake", "chair", "couch", "potted plant", "bed"),
    67: ("dining table",),
    70: ("toilet",),
    72: ("tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave"),
    79: ("oven", "toaster", "sink", "refrigerator"),
    84: ("book", "clock", "vase", "scissors", "teddy bear", "hair drier"),
    90: ("toothbrush",),
}
_COCO_NAMES = {
    first + n: name
    for first, names in _COCO_BY_ID.items()
    for n, name in enumerate(names)
}
# 80 classes, as tf-faster-rcnn counts them.
COCO = tuple(_COCO_NAMES.values())
# 90 classes, as torchvision counts them: the id, of which ten name no class.
COCO_BY_ID = tuple(_COCO_NAMES.get(n, f"unused {n}") for n in range(1, 91))
