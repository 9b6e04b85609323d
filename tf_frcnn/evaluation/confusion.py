"""Which classes are taken for which, background among them."""

import numpy as np

from tf_frcnn.evaluation.overlaps import (
    DetectedBoxes,
    GroundTruth,
    check_rows,
    paired_iou,
)


def confusion_matrix(
    truth: GroundTruth,
    found: DetectedBoxes,
    num_classes: int,
    iou_threshold: float = 0.5,
) -> np.ndarray:
    """Counts the pairs of an object's class and that of its detection.

    The best detection first, each takes the object of any class that it overlaps most
    of those of its image that are free, if their IoU reaches the threshold. Difficult
    objects and crowd regions, and what lies on them, are left out.

    Args:
        truth: the objects.
        found: the detections from the scores on that are of interest.
        num_classes: K.
        iou_threshold: from which a detection lies on an object.

    Returns:
        int64 [K + 1, K + 1]: rows are the true classes, columns the detected ones, the
        last of each is background: objects that are missed, detections of nothing.
    """
    truth, found = check_rows(truth, num_classes), check_rows(found, num_classes)
    matrix = np.zeros([num_classes + 1, num_classes + 1], np.int64)
    by_score = np.argsort(-found.scores, kind="stable")
    objects_of, found_of = (
        _by_image(images) for images in (truth.image_index, found.image_index[by_score])
    )
    uncounted = truth.difficult | truth.crowd
    for image in objects_of.keys() | found_of.keys():
        objects = objects_of.get(image, np.zeros(0, int))
        free = np.ones(len(objects), bool)
        for row in by_score[found_of.get(image, np.zeros(0, int))]:
            iou = np.where(free, _shares(truth, found.boxes[row], objects), -1.0)
            best = iou.argmax() if len(iou) else -1
            if best < 0 or iou[best] < iou_threshold:
                matrix[num_classes, found.labels[row]] += 1
            elif uncounted[objects[best]]:
                continue  # Others may lie on it as well.
            else:
                free[best] = False
                matrix[truth.labels[objects[best]], found.labels[row]] += 1
        missed = objects[free & ~uncounted[objects]]
        np.add.at(matrix, (truth.labels[missed], num_classes), 1)
    return matrix


def _shares(truth: GroundTruth, box: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns float [n], IoU with objects; with crowds the share that lies in them."""
    pairs = box, truth.boxes[rows]
    of_crowds = paired_iou(*pairs, of_crowds=True)
    return np.where(truth.crowd[rows], of_crowds, paired_iou(*pairs))


def _by_image(images: np.ndarray) -> dict[int, np.ndarray]:
    """Returns image -> its rows, which rise."""
    order = np.argsort(images, kind="stable")
    numbers, starts = np.unique(images[order], return_index=True)
    parts = np.split(order, starts[1:])
    return dict(zip(numbers.tolist(), parts, strict=False))
