import numpy as np
import pytest

from tf_frcnn.layers import AnchorGrid

YX = [1, 0, 3, 2]  # x1, y1, x2, y2 <-> ymin, xmin, ymax, xmax


def empty_map(stored, case):
    """Returns features of a stored case's size, and the size of a picture as large."""
    height, width, stride = (
        int(stored[f"{case}_{key}"]) for key in ("height", "width", "stride")
    )
    sizes = np.float32([[height * stride, width * stride]])
    return np.zeros([1, height, width, 1], np.float32), sizes, stride


def test_anchors_lie_row_by_row_and_the_ratios_of_a_cell_together():
    grid = AnchorGrid(10, style="centred", base_size=8, ratios=(1, 4), scales=(1,))
    anchors, _ = grid(np.zeros([1, 2, 2, 1], np.float32), np.float32([[20, 20]]))
    square, tall = np.float32([0, 0, 8, 8]), np.float32([-4, 2, 12, 6])
    shifts = [[0, 0, 0, 0], [0, 10, 0, 10], [10, 0, 10, 0], [10, 10, 10, 10]]
    by_hand = [box + shift for shift in shifts for box in (square, tall)]
    np.testing.assert_allclose(anchors, by_hand, atol=1e-5)


def test_anchors_belong_to_the_pictures_whose_pixels_their_cell_holds():
    grid = AnchorGrid(10, ratios=(1,), scales=(1,))
    features = np.zeros([3, 2, 3, 1], np.float32)
    _, valid = grid(features, np.float32([[20, 30], [10, 21], [11, 10]]))
    np.testing.assert_array_equal(
        valid,
        [[True] * 6, [True] * 3 + [False] * 3, [True, False, False] * 2],
    )


def test_the_anchors_of_a_cell_belong_to_the_picture_together():
    grid = AnchorGrid(10, ratios=(1, 2), scales=(1, 2))
    _, valid = grid(np.zeros([1, 1, 2, 1], np.float32), np.float32([[10, 10]]))
    np.testing.assert_array_equal(valid, [[True] * 4 + [False] * 4])


def test_a_cell_has_an_anchor_for_each_ratio_and_scale():
    assert AnchorGrid().num_anchors == 9
    assert AnchorGrid(ratios=(1, 2), scales=(4, 8, 16, 32)).num_anchors == 8


@pytest.mark.parametrize("case", ["case0", "case1", "case2"])
def test_caffe_anchors_equal_tf_faster_rcnn(golden, case):
    stored = golden("anchors_tf_faster_rcnn")
    features, sizes, stride = empty_map(stored, case)
    grid = AnchorGrid(
        stride,
        ratios=tuple(stored[f"{case}_ratios"]),
        scales=tuple(stored[f"{case}_scales"]),
    )
    anchors, valid = grid(features, sizes)
    np.testing.assert_array_equal(anchors, stored[f"{case}_grid"][:, YX])
    assert np.all(valid)


@pytest.mark.parametrize("case", ["case0", "case1", "case2"])
def test_centred_anchors_equal_chenyuntc(golden, case):
    stored = golden("anchors_chainer")
    features, sizes, stride = empty_map(stored, case)
    grid = AnchorGrid(
        stride,
        style="centred",
        ratios=tuple(stored[f"{case}_ratios"]),
        scales=tuple(stored[f"{case}_scales"]),
    )
    anchors, _ = grid(features, sizes)
    np.testing.assert_allclose(
        anchors, stored[f"{case}_chenyuntc_grid"], rtol=0, atol=1e-4
    )


def test_an_unknown_style_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"style = 'rounded'.*'caffe', 'centred'"):
        AnchorGrid(style="rounded")
