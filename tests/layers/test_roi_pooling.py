import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.layers import RoIPooling

YX = [1, 0, 3, 2]  # x1, y1, x2, y2 <-> ymin, xmin, ymax, xmax


@pytest.fixture(params=[False, True], ids=["image op", "for XLA"])
def for_xla(request):
    return request.param


def numbered_map(rows, columns):
    """Returns a map whose cell (y, x) holds 10 y + x."""
    cells = 10 * np.arange(rows)[:, np.newaxis] + np.arange(columns)
    return np.float32(cells)[np.newaxis, ..., np.newaxis]


def test_corners_count_in_cells_of_the_stride(for_xla):
    # Cells 1 to 4 in both directions: the larger of 1, 2 and of 3, 4.
    for stride in (8, 16):
        boxes = np.float32([[[1, 1, 4, 4]]]) * stride
        layer = RoIPooling(stride, pooled_size=2, for_xla=for_xla)
        pooled = layer(numbered_map(6, 7), boxes)[0, 0, ..., 0]
        np.testing.assert_allclose(pooled, [[22, 24], [42, 44]], rtol=1e-6)


def test_pooled_rois_equal_tf_faster_rcnn(golden, run_in, for_xla):
    stored = golden("roi_pooling")
    rois = stored["rois"]
    boxes = np.tile(rois[np.newaxis, :, 1:][..., YX], [2, 1, 1])
    mode = "xla" if for_xla else "graph"
    pooled = run_in(mode, RoIPooling(for_xla=for_xla))(stored["features"], boxes)
    own = pooled[rois[:, 0].astype(int), np.arange(len(rois))]
    np.testing.assert_allclose(own, stored["crop_pool"], rtol=0, atol=2e-5)


def test_corners_are_not_rounded_to_the_type_of_the_features(for_xla):
    # bfloat16 knows 600 and 604, but not 602: the map's slope would show it.
    features = tf.cast(
        np.tile(np.arange(48.0) % 4, [1, 2, 1])[..., np.newaxis], "bfloat16"
    )
    boxes = np.float32([[[0, 602, 0, 602]]])
    layer = RoIPooling(16, pooled_size=1, for_xla=for_xla, dtype="mixed_bfloat16")
    pooled = float(layer(features, boxes)[0, 0, 0, 0, 0])
    np.testing.assert_allclose(pooled, (602 / 16) % 4, rtol=2**-8)


def test_an_unknown_method_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"method = 'average'.*'crop'"):
        RoIPooling(method="average")
