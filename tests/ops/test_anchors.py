import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.golden import golden_cases
from tf_frcnn.ops.anchors import (
    BASE_ANCHORS,
    caffe_base_anchors,
    cells_of_image,
    centred_base_anchors,
    shift_over_grid,
    torchvision_base_anchors,
)

YX = [1, 0, 3, 2]  # x1, y1, x2, y2 <-> ymin, xmin, ymax, xmax


def test_caffe_anchors_are_the_nine_of_py_faster_rcnn():
    # x1, y1, x2, y2, as printed in its generate_anchors.py, there counted from 1.
    printed = [
        [-83, -39, 100, 56],
        [-175, -87, 192, 104],
        [-359, -183, 376, 200],
        [-55, -55, 72, 72],
        [-119, -119, 136, 136],
        [-247, -247, 264, 264],
        [-35, -79, 52, 96],
        [-79, -167, 96, 184],
        [-167, -343, 184, 360],
    ]
    anchors = caffe_base_anchors(16, (0.5, 1.0, 2.0), (8, 16, 32))
    np.testing.assert_array_equal(anchors, np.array(printed)[:, YX] - 1)
    assert anchors.dtype == np.float32


def test_caffe_anchors_round_half_to_even():
    # width = round(sqrt(81 / 0.5)) = 13, height = round(6.5) = 6, about (4, 4).
    anchors = caffe_base_anchors(9, [0.5], [1])
    np.testing.assert_array_equal(anchors, [[1.5, -2, 6.5, 10]])


def test_centred_anchors_lie_about_the_middle_of_the_cell():
    anchors = centred_base_anchors(16, [1, 4], [1, 2])
    np.testing.assert_array_equal(
        anchors,
        [[0, 0, 16, 16], [-8, -8, 24, 24], [-8, 4, 24, 12], [-24, 0, 40, 16]],
    )
    assert anchors.dtype == np.float32


def test_centred_anchors_of_all_ratios_have_the_same_area():
    anchors = centred_base_anchors(16, [0.3, 0.5, 1.7], [3, 8])
    heights, widths = anchors[:, 2] - anchors[:, 0], anchors[:, 3] - anchors[:, 1]
    np.testing.assert_allclose(heights * widths, [2304, 16384] * 3, rtol=1e-5)
    np.testing.assert_allclose(
        heights / widths, np.repeat([0.3, 0.5, 1.7], 2), rtol=1e-5
    )


def test_anchors_follow_each_other_cell_by_cell_along_the_rows(in_mode):
    base = np.float32([[0, 0, 4, 4], [-1, -2, 3, 2]])
    anchors = in_mode(shift_over_grid)(base, height=2, width=3, stride=10)
    shifts = [[0, 0], [0, 10], [0, 20], [10, 0], [10, 10], [10, 20]]
    by_cell = base + np.tile(shifts, 2)[:, np.newaxis]
    np.testing.assert_array_equal(anchors, by_cell.reshape(12, 4))


def test_torchvision_anchors_are_rounded_about_the_corner():
    # 32 * sqrt(2) = 45.25 wide and half as high: half the sides are 11.3 and 22.6.
    anchors = torchvision_base_anchors(4, [0.5, 1.0], [8])
    np.testing.assert_array_equal(anchors, [[-11, -23, 11, 23], [-16, -16, 16, 16]])


@pytest.mark.parametrize("case", golden_cases("anchors_torchvision"))
def test_torchvision_anchors_of_all_levels_equal_the_reference(golden, case):
    stored = golden("anchors_torchvision")
    stored = {key: stored[f"{case}_{key}"] for key in ("ratios", "sizes", "base")}
    for sizes, expected in zip(stored["sizes"], stored["base"], strict=True):
        base = torchvision_base_anchors(1, stored["ratios"], sizes)
        np.testing.assert_array_equal(base, expected[:, YX])


def test_steps_may_differ_along_y_and_x(in_mode):
    base = np.float32([[0, 0, 4, 4]])
    anchors = in_mode(shift_over_grid)(base, height=2, width=2, stride=(10, 7))
    shifts = np.float32([[0, 0], [0, 7], [10, 0], [10, 7]])
    np.testing.assert_array_equal(anchors, np.tile(shifts, 2) + base)


@pytest.mark.parametrize("case", golden_cases("anchors_torchvision"))
def test_the_steps_of_torchvision_give_its_anchors(golden, in_mode, case):
    stored = golden("anchors_torchvision")
    levels = zip(
        *(stored[f"{case}_{key}"] for key in ("base", "grid_hw", "stride_hw")),
        strict=True,
    )
    anchors = [
        in_mode(shift_over_grid)(
            base[:, YX], height=int(height), width=int(width), stride=step.tolist()
        )
        for base, (height, width), step in levels
    ]
    name = f"{case}_anchors_t"
    expected = stored[name].T[:, YX].astype(np.float32)
    stored.compare("anchors", name, np.concatenate(anchors), expected)


@pytest.mark.parametrize(
    ("file", "case", "form"),
    [
        (file, case, form)
        for file, form in [
            ("anchors_tf_faster_rcnn", "caffe"),
            ("anchors_chainer", "centred"),
            ("anchors_chainer", "corner"),
        ]
        for case in golden_cases(file)
    ],
)
def test_anchors_equal_the_references(golden, in_mode, file, case, form):
    stored = golden(file)
    quantity, prefix, columns, tolerance = {
        "caffe": ("anchors", "", YX, 0.0),
        "centred": ("chenyuntc, pixels", "chenyuntc_", range(4), 1e-4),
        "corner": ("bubbliiiing, pixels", "bubbliiiing_", YX, 1e-4),
    }[form]
    values = {
        key: stored[f"{case}_{key}"]
        for key in ("ratios", "scales", "height", "width", "stride")
    }
    # bubbliiiing's ratios are width / height.
    ratios = 1 / values["ratios"] if form == "corner" else values["ratios"]
    base = BASE_ANCHORS[form](16, ratios, values["scales"])
    np.testing.assert_allclose(
        base, stored[f"{case}_{prefix}base"][:, columns], rtol=0, atol=tolerance
    )
    anchors = in_mode(shift_over_grid)(
        base, **{key: int(values[key]) for key in ("height", "width", "stride")}
    )
    name = f"{case}_{prefix}grid"
    expected = stored[name][:, columns]
    stored.compare(quantity, name, anchors, expected, atol=tolerance)


def test_a_map_of_unknown_size_gets_the_same_anchors_and_cells():
    base = centred_base_anchors(16, (0.5, 1.0, 2.0), (8, 16))
    image_sizes = tf.constant([[40.0, 100.0], [80.0, 33.0]])

    @tf.function(input_signature=[tf.TensorSpec([None, None])])
    def of_map(features):
        height, width = tf.unstack(tf.shape(features))
        cells = cells_of_image(image_sizes, height, width, 16, 6)
        return shift_over_grid(base, height, width, 16), cells

    anchors, cells = of_map(tf.zeros([5, 7]))
    np.testing.assert_array_equal(anchors, shift_over_grid(base, 5, 7, 16))
    np.testing.assert_array_equal(cells, cells_of_image(image_sizes, 5, 7, 16, 6))


def test_a_cell_belongs_to_the_image_if_its_corner_lies_in_it(in_mode):
    image_sizes = np.float32([[33, 16], [16, 64]])
    cells = in_mode(cells_of_image)(
        image_sizes, height=3, width=4, stride=16, num_anchors=2
    )
    first = [[1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]
    second = [[1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    expected = np.repeat(np.reshape([first, second], [2, 12]), 2, axis=1)
    np.testing.assert_array_equal(cells, expected == 1)


def test_a_padded_image_has_the_anchors_that_it_has_alone(in_mode):
    base = centred_base_anchors(16, (0.5, 1.0), (2, 4))
    on_canvas = in_mode(shift_over_grid)(base, height=6, width=8, stride=16)
    cells = in_mode(cells_of_image)(
        np.float32([[50, 96], [96, 127]]), height=6, width=8, stride=16, num_anchors=4
    )
    alone = in_mode(shift_over_grid)(base, height=4, width=6, stride=16)
    np.testing.assert_array_equal(on_canvas[cells[0]], alone)
    np.testing.assert_array_equal(on_canvas[cells[1]], on_canvas)
