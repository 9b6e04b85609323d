import numpy as np
import pytest

from tests.helpers.golden import golden_cases
from tf_frcnn.layers import AnchorGrid

YX = [1, 0, 3, 2]  # x1, y1, x2, y2 <-> ymin, xmin, ymax, xmax


def empty_map(stored, case):
    """Returns features of a stored case's size, and the size of an image as large."""
    height, width, stride = (
        int(stored[f"{case}_{key}"]) for key in ("height", "width", "stride")
    )
    sizes = np.float32([[height * stride, width * stride]])
    return np.zeros([1, height, width, 1], np.float32), sizes, stride


def lay(grid, features, sizes):
    """Returns the boxes and their validity for one map of a canvas its cells fill."""
    canvas = np.int32(features.shape[1:3]) * grid.strides[0]
    return grid([features], sizes, canvas)[:2]


def test_anchors_lie_row_by_row_and_the_ratios_of_a_cell_together():
    grid = AnchorGrid((10,), {"style": "centred", "ratios": (1, 4), "scales": (0.8,)})
    features = np.zeros([1, 2, 2, 1], np.float32)
    anchors, _ = lay(grid, features, np.float32([[20, 20]]))
    square, tall = np.float32([1, 1, 9, 9]), np.float32([-3, 3, 13, 7])
    shifts = [[0, 0, 0, 0], [0, 10, 0, 10], [10, 0, 10, 0], [10, 10, 10, 10]]
    by_hand = [box + shift for shift in shifts for box in (square, tall)]
    np.testing.assert_allclose(anchors, by_hand, atol=1e-5)


def test_anchors_belong_to_the_images_whose_pixels_their_cell_holds():
    grid = AnchorGrid((10,), {"ratios": (1,), "scales": (1,)})
    features = np.zeros([3, 2, 3, 1], np.float32)
    _, valid = lay(grid, features, np.float32([[20, 30], [10, 21], [11, 10]]))
    np.testing.assert_array_equal(
        valid,
        [[True] * 6, [True] * 3 + [False] * 3, [True, False, False] * 2],
    )


def test_the_anchors_of_a_cell_belong_to_the_image_together():
    grid = AnchorGrid((10,), {"ratios": (1, 2), "scales": (1, 2)})
    features = np.zeros([1, 1, 2, 1], np.float32)
    _, valid = lay(grid, features, np.float32([[10, 10]]))
    np.testing.assert_array_equal(valid, [[True] * 4 + [False] * 4])


def test_a_cell_has_an_anchor_for_each_ratio_and_scale():
    assert AnchorGrid().anchors.per_cell == 9
    assert (
        AnchorGrid(
            anchors={"ratios": (1, 2), "scales": (4, 8, 16, 32)}
        ).anchors.per_cell
        == 8
    )


@pytest.mark.parametrize("case", golden_cases("anchors_tf_faster_rcnn"))
def test_caffe_anchors_equal_tf_faster_rcnn(golden, case):
    stored = golden("anchors_tf_faster_rcnn")
    features, sizes, stride = empty_map(stored, case)
    grid = AnchorGrid(
        (stride,),
        {
            "ratios": tuple(stored[f"{case}_ratios"]),
            "scales": tuple(stored[f"{case}_scales"]),
        },
    )
    anchors, valid = lay(grid, features, sizes)
    name = f"{case}_grid"
    stored.compare("anchors", name, anchors, stored[name][:, YX])
    assert np.all(valid)


@pytest.mark.parametrize("case", golden_cases("anchors_chainer"))
def test_centred_anchors_equal_chenyuntc(golden, case):
    stored = golden("anchors_chainer")
    features, sizes, stride = empty_map(stored, case)
    grid = AnchorGrid(
        (stride,),
        {
            "style": "centred",
            "ratios": tuple(stored[f"{case}_ratios"]),
            "scales": tuple(stored[f"{case}_scales"]),
        },
    )
    anchors, _ = lay(grid, features, sizes)
    stored.compare("chenyuntc, pixels", f"{case}_chenyuntc_grid", anchors, atol=1e-4)


@pytest.mark.parametrize("case", golden_cases("anchors_chainer"))
def test_corner_anchors_equal_bubbliiiing(golden, case):
    stored = golden("anchors_chainer")
    features, sizes, stride = empty_map(stored, case)
    # Its ratios are width / height.
    grid = AnchorGrid(
        (stride,),
        {
            "style": "corner",
            "ratios": tuple(1 / stored[f"{case}_ratios"]),
            "scales": tuple(stored[f"{case}_scales"]),
        },
    )
    anchors, _ = lay(grid, features, sizes)
    name = f"{case}_bubbliiiing_grid"
    stored.compare("bubbliiiing, pixels", name, anchors, stored[name][:, YX], atol=1e-4)


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize("case", golden_cases("anchors_torchvision"))
def test_rounded_anchors_equal_torchvision(golden, layer_in, case, mode):
    stored = golden("anchors_torchvision")
    sizes = stored[f"{case}_sizes"]
    maps = stored[f"{case}_grid_hw"]
    # The reference's sizes are multiples of the strides; a level's base is any divisor.
    strides = [int(level[0]) // 8 for level in sizes]
    grid = AnchorGrid(
        strides,
        {
            "style": "torchvision",
            "ratios": tuple(stored[f"{case}_ratios"]),
            "scales": tuple(sizes[0] / strides[0]),
        },
    )
    features = [np.zeros([1, *level, 1], np.float32) for level in maps]
    canvas = stored[f"{case}_image_hw"]
    anchors = layer_in(mode, grid)(
        features, np.float32(canvas[np.newaxis]), np.int32(canvas)
    )
    expected = stored[f"{case}_anchors_t"].T[:, YX].astype(np.float32)
    stored.compare("anchors", f"{case}_anchors_t", anchors.boxes, expected)
    counts = [int(np.prod(level)) * grid.anchors.per_cell for level in maps]
    assert [int(size) for size in anchors.level_sizes] == counts


@pytest.mark.parametrize("file", ["anchor_target_torchvision", "proposals_torchvision"])
def test_anchors_under_torchvisions_targets_and_proposals_are_the_grids(golden, file):
    stored = golden(file)
    strides, canvas = stored["strides"], stored["image_hw"]
    scales = tuple(stored["sizes"][0] / strides[0])
    grid = AnchorGrid(strides.tolist(), {"style": "torchvision", "scales": scales})
    features = [np.zeros([1, *(canvas // stride), 1], np.float32) for stride in strides]
    anchors = grid(features, np.float32(canvas[np.newaxis]), np.int32(canvas))
    np.testing.assert_array_equal(anchors.boxes, stored["anchors"][:, YX])


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize("case", golden_cases("anchors_fpn_scale_stride"))
def test_anchors_of_a_pyramid_follow_its_strides(golden, layer_in, case, mode):
    stored = golden("anchors_fpn_scale_stride")
    strides, canvas = stored[f"{case}_strides"], stored[f"{case}_image_hw"]
    grid = AnchorGrid(
        strides.tolist(),
        {
            "style": "centred",
            "ratios": tuple(stored[f"{case}_ratios"]),
            "scales": (float(stored[f"{case}_scale"]),),
        },
    )
    features = [np.zeros([1, *(canvas // stride), 1], np.float32) for stride in strides]
    anchors = layer_in(mode, grid)(
        features, np.float32(canvas[np.newaxis]), np.int32(canvas)
    )
    name = f"{case}_anchors"
    expected = stored[name][:, YX]
    stored.compare("anchors, pixels", name, anchors.boxes, expected, atol=1e-4)
    assert np.all(anchors.valid)
    counts = [int(size) for size in anchors.level_sizes]
    assert counts == stored[f"{case}_num_per_level"].tolist()


def test_sizes_are_the_same_on_every_map(in_mode):
    grid = AnchorGrid((8, 16), {"style": "centred", "ratios": (1,), "sizes": (12, 40)})
    features = [np.zeros([1, 2, 2, 1], np.float32), np.zeros([1, 1, 1, 1], np.float32)]

    def boxes(*inputs):
        return grid(list(inputs[:2]), *inputs[2:]).boxes

    anchors = in_mode(boxes)(*features, np.float32([[16, 16]]), np.int32([16, 16]))
    assert grid.anchors.per_cell == 2
    np.testing.assert_array_equal(anchors[:2], [[-2, -2, 10, 10], [-16, -16, 24, 24]])
    np.testing.assert_array_equal(anchors[-2:], [[2, 2, 14, 14], [-12, -12, 28, 28]])
    np.testing.assert_array_equal((anchors[:, 2] - anchors[:, 0]), [12, 40] * 5)


def test_sizes_equal_torchvisions_on_maps_of_any_stride(golden):
    stored = golden("anchors_torchvision")
    strides = [int(level[0]) // 8 for level in stored["case0_sizes"]]
    one_size = stored["case0_sizes"][0]
    settings = {"style": "torchvision", "ratios": tuple(stored["case0_ratios"])}
    by_sizes = AnchorGrid(strides[:1], {"sizes": tuple(one_size), **settings})
    by_scales = AnchorGrid(
        strides[:1], {"scales": tuple(one_size / strides[0]), **settings}
    )
    features = np.zeros([1, *stored["case0_grid_hw"][0], 1], np.float32)
    canvas = np.int32(stored["case0_image_hw"])
    np.testing.assert_array_equal(
        by_sizes([features], np.float32(canvas[np.newaxis]), canvas).boxes,
        by_scales([features], np.float32(canvas[np.newaxis]), canvas).boxes,
    )


def test_the_padding_has_anchors_if_asked_for(in_mode):
    grid = AnchorGrid(
        (10,), {"ratios": (1, 2), "scales": (1,)}, conventions={"on_padding": True}
    )
    features, sizes = np.zeros([2, 2, 3, 1], np.float32), np.float32([[20, 30], [5, 5]])

    def valid(*inputs):
        return grid([inputs[0]], *inputs[1:]).valid

    result = in_mode(valid)(features, sizes, np.int32([20, 30]))
    np.testing.assert_array_equal(result, np.ones([2, 12], bool))


def test_a_wrong_number_of_maps_is_named_with_the_strides():
    with pytest.raises(ValueError, match=r"1 feature maps but 2 strides \(8, 16\)"):
        AnchorGrid((8, 16))(
            [np.zeros([1, 2, 2, 1])], np.ones([1, 2]), np.int32([16, 16])
        )


def test_an_unknown_style_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"style = 'rounded'.*caffe, centred, corner"):
        AnchorGrid(anchors={"style": "rounded"})
