import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.config import ConfigError, DetectionSettings, TileSettings, make_config
from tf_frcnn.data.decoding.pictures import ImageError
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.evaluation import GroundTruth
from tf_frcnn.layers import DetectionLayer
from tf_frcnn.models.evaluating import observe
from tf_frcnn.models.tiled_detection import TiledDetection

SIDE = 64
RESIZING = Resizing((SIDE,), SIDE, ((SIDE, SIDE),))


def picture(height, width):
    """Returns an image whose pixels tell their place: red the row, green the column."""
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    image = np.stack([rows, columns, rows], axis=-1)
    return tf.constant(image, tf.float32)


class Detector:
    """Knows where the objects are, and finds those that are large in the network.

    What of an object lies in an image is found with its visible share as the score.

    Args:
        objects: (ymin, xmin, ymax, xmax) of each, in pixels of the whole image.
        labels: of each.
        smallest: least side that is found, in network pixels.
    """

    def __init__(self, objects, labels, smallest=5.0, rows=12):
        self.objects = np.array(objects, np.float32).reshape(-1, 4)
        self.labels, self.smallest, self.rows = labels, smallest, rows
        self.num_views = tf.Variable(0)

    def __call__(self, batch):
        images, sizes = batch["images"], batch["file_sizes"]
        self.num_views.assign_add(tf.shape(images)[0])
        # A shrunken image is the whole one.
        start = tf.where(batch["scales"] == 1.0, images[:, 0, 0, :2], 0.0)
        start, end = (
            tf.tile(corner, [1, 2])[:, tf.newaxis] for corner in (start, start + sizes)
        )
        seen = tf.minimum(tf.maximum(self.objects, start), end)
        sides = seen[..., 2:] - seen[..., :2]
        whole = self.objects[:, 2:] - self.objects[:, :2]
        scores = tf.reduce_prod(sides, -1) / np.prod(whole, -1)
        shown = tf.reduce_min(sides * batch["scales"][:, tf.newaxis], axis=-1)
        missing = [[0, 0], [0, self.rows - len(self.objects)]]
        return {
            "boxes": tf.pad(seen - start, [*missing, [0, 0]]),
            "scores": tf.pad(scores, missing),
            "labels": tf.pad(tf.zeros_like(shown, tf.int32) + self.labels, missing),
            "valid": tf.pad((scores > 0.1) & (shown >= self.smallest), missing),
        }


def detect(detector, image, *, most=50, whole_image=True, **detections):
    settings = DetectionSettings(max_per_image=detector.rows, **detections)
    tiles = TileSettings(
        size=(SIDE, SIDE), overlap=0.5, max_per_image=most, whole_image=whole_image
    )
    detection = TiledDetection(
        detector, RESIZING, tiles, DetectionLayer(settings), num_classes=3
    )
    found = tf.function(detection, autograph=False)(image)
    return {name: values.numpy() for name, values in found.items()}


def rows_of(found):
    """Returns (label, box) of each detection, in order of the boxes."""
    valid = found["valid"]
    pairs = zip(found["labels"][valid], found["boxes"][valid], strict=True)
    return sorted((int(label), *map(float, box)) for label, box in pairs)


def test_each_object_of_a_large_image_is_found_once_and_whole():
    small = [
        [10, 12, 30, 40],
        [50, 60, 75, 90],
        [100, 10, 130, 38],
        [140, 170, 160, 200],
    ]
    large = [[20, 100, 150, 230]]
    detector = Detector([*small, *large], [0, 1, 1, 2, 0])
    found = detect(detector, picture(160, 240))
    assert rows_of(found) == sorted(
        (label, *map(float, box))
        for label, box in zip(detector.labels, detector.objects, strict=True)
    )
    assert found["scores"][found["valid"]] == pytest.approx(1.0)
    assert found["file_sizes"].tolist() == [160, 240]
    # Four rows of seven tiles, and the image as a whole.
    assert detector.num_views.numpy() == 4 * 7 + 1


def test_the_tiles_alone_find_what_one_of_them_holds():
    detector = Detector([[10, 12, 30, 40], [20, 100, 150, 230]], [0, 1])
    found = detect(detector, picture(160, 240), whole_image=False)
    assert rows_of(found) == [(0, 10, 12, 30, 40)]
    assert detector.num_views.numpy() == 4 * 7


@pytest.mark.parametrize("whole_image", [True, False])
def test_an_image_that_a_tile_holds_passes_once(whole_image):
    detector = Detector([[1, 2, 30, 40], [5, 50, 40, 60]], [0, 2], smallest=0.0)
    found = detect(detector, picture(SIDE, SIDE), whole_image=whole_image)
    assert rows_of(found) == [(0, 1, 2, 30, 40), (2, 5, 50, 40, 60)]
    assert detector.num_views.numpy() == 1


def test_two_classes_share_a_place_unless_suppression_is_across_classes():
    box = [10, 100, 40, 130]
    detector = Detector([box, box], [0, 1])
    assert len(rows_of(detect(detector, picture(64, 200)))) == 2
    found = detect(detector, picture(64, 200), class_agnostic_nms=True)
    assert len(rows_of(found)) == 1


def test_the_best_are_kept_of_all_tiles_and_a_limit_tells_of_itself():
    boxes = [[10, x, 30, x + 20] for x in range(10, 240, 25)]
    detector = Detector(boxes, [0] * len(boxes))
    image = picture(64, 260)
    found = detect(detector, image)
    assert found["valid"].sum() == len(boxes) and found["cut_below"] == -1.0
    few = detect(detector, image, most=3)
    assert few["boxes"].shape == (3, 4) and few["valid"].all()
    assert few["cut_below"] == pytest.approx(1.0)


def test_a_tile_that_is_full_tells_it():
    boxes = [[10, 10, 30, 30], [10, 34, 30, 54], [10, 200, 30, 220]]
    detector = Detector(boxes, [0] * 3, rows=3)
    # Two objects lie in a tile of three rows, and then all three.
    assert detect(detector, picture(64, 260))["cut_below"] == -1.0
    crowded = Detector([*boxes[:2], [34, 10, 54, 30]], [0] * 3, rows=3)
    assert detect(crowded, picture(64, 260))["cut_below"] == pytest.approx(1.0)


SMALL_TILES = {"size": [48, 40], "overlap": 0.25}


@pytest.fixture(scope="module")
def detectors(small_detector):
    """A detector without tiles, and one with them that has its weights."""
    whole, in_tiles = small_detector(), small_detector(tiles=SMALL_TILES)
    in_tiles.set_weights(whole.get_weights())
    return whole, in_tiles


@pytest.mark.slow
def test_a_model_finds_the_same_in_small_pictures(detectors):
    noise = np.random.default_rng(0).integers(0, 255, [40, 36, 3]).astype(np.uint8)
    (whole,), (tiled,) = (model.detect([noise]) for model in detectors)
    assert tiled.size == (40, 36)
    np.testing.assert_allclose(tiled.boxes, whole.boxes, atol=1e-3)
    np.testing.assert_allclose(tiled.scores, whole.scores, atol=1e-5)
    assert tiled.labels.tolist() == whole.labels.tolist()


@pytest.mark.slow
def test_a_picture_that_no_canvas_holds_is_refused(small_detector):
    model = small_detector(tiles=SMALL_TILES, images={"canvases": [[64, 96]]})
    upright = np.zeros([90, 30, 3], np.uint8)
    # The whole image, or one of its two tiles, whichever is looked at first.
    with pytest.raises(ImageError, match=r"images\[0\]: it becomes 96 x (32|60) pix"):
        model.detect([upright])


@pytest.mark.slow
def test_evaluation_cuts_the_images_that_detection_cuts(detectors, shapes):
    whole, model = detectors
    truth, found = observe(model, shapes)
    assert isinstance(truth, GroundTruth)
    for row, (_, data) in enumerate(shapes.stream().as_numpy_iterator()):
        (own,) = model.detect([data])
        of_image = found.image_index == row
        np.testing.assert_array_equal(found.boxes[of_image], own.boxes)
        np.testing.assert_array_equal(found.scores[of_image], own.scores)
    # Tiles and the whole show more than the whole.
    assert len(found.scores) > len(observe(whole, shapes)[1].scores)


def test_evaluation_in_tiles_needs_files(detectors):
    images = tf.data.Dataset.from_tensors(
        {
            "image": np.zeros([64, 64, 3], np.uint8),
            "boxes": np.array([[0, 0, 9, 9.0]], np.float32),
            "labels": [0],
        }
    )
    with pytest.raises(ValueError, match=r"tiles.size = \[48, 40\] needs data of read"):
        observe(detectors[1], images)


def test_a_model_of_one_stage_has_no_tiles():
    with pytest.raises(ConfigError, match=r"tiles.size = \[8, 8\] needs model.kind"):
        make_config({"model": {"kind": "rpn"}, "tiles": {"size": [8, 8]}}, "a.yaml")
