"""Names and habits of the detection data sets of TensorFlow Datasets."""

from collections.abc import Container

OBJECTS = ("objects", "bobjects", "faces")
LABELS = ("label", "type")
# Objects that detections may match, but that nothing is learned from.
DIFFICULT = ("is_difficult", "invalid")
# Regions of many objects. Open Images has -1 where it is not known.
CROWD = ("is_crowd", "is_group_of")
FILE_NAMES = ("image/filename", "image/file_name", "filename", "image/id")


def counts_from_one(features: Container[str]) -> bool:
    """Returns whether boxes are VOC's pixels, counted from 1 and inclusive.

    Args:
        features: names of the features of an example.

    Source: `tensorflow_datasets/object_detection/voc.py`, which divides the corners of
    VOC's files by the image's size as they are.
    """
    return "labels_no_difficult" in features


def is_upside_down(objects: Container[str]) -> bool:
    """Returns whether boxes count from the lower border of the image, as KITTI's do.

    Args:
        objects: names of the features of an object.

    Source: `tensorflow_datasets/datasets/kitti/kitti_dataset_builder.py`,
    `_build_bounding_box`: "origin bottom left".
    """
    return "rotation_y" in objects and "alpha" in objects
