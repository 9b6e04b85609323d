import math

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_frcnn.ops.box_coder import decode_boxes, encode_boxes

YX = [1, 0, 3, 2]  # x, y, x, y <-> y, x, y, x, of corners and of deltas
DECODED, CLAMPED = "decoded, pixels", "decoded with a clamp, pixels"


def compare_decoded(coding, name, found, expected, quantity=DECODED):
    coding.compare(quantity, name, found, expected, rtol=1e-6, atol=2e-4)


def boxes_with_area(num_boxes):
    """Draws float32 [num_boxes, 4] in eighths of a pixel, sides of 1 to 900."""
    low = hnp.arrays(np.float32, (num_boxes, 2), elements=st.integers(-800, 8000))
    sides = hnp.arrays(np.float32, (num_boxes, 2), elements=st.integers(8, 7200))
    return st.tuples(low, sides).map(
        lambda corner: np.concatenate([corner[0], corner[0] + corner[1]], axis=1) / 8
    )


def test_deltas_of_a_box_half_a_side_away_and_twice_as_high(in_mode):
    sources = np.float32([[0, 0, 10, 20]])
    boxes = np.float32([[0, 10, 20, 30]])
    deltas = [[0.5, 0.5, math.log(2), 0]]
    np.testing.assert_allclose(in_mode(encode_boxes)(boxes, sources), deltas, atol=1e-6)
    decoded = in_mode(decode_boxes)(np.float32(deltas), sources)
    np.testing.assert_allclose(decoded, boxes, atol=1e-5)


def test_stds_divide_the_code_and_multiply_it_back(in_mode):
    sources = np.float32([[0, 0, 10, 20]])
    boxes = np.float32([[0, 10, 20, 30]])
    stds = (0.1, 0.2, 0.5, 1.0)
    deltas = in_mode(encode_boxes)(boxes, sources, stds=stds)
    np.testing.assert_allclose(deltas, [[5, 2.5, 2 * math.log(2), 0]], atol=1e-6)
    decoded = in_mode(decode_boxes)(deltas, sources, stds=stds)
    np.testing.assert_allclose(decoded, boxes, atol=1e-5)


def test_plus_one_measures_sides_in_pixels_of_the_last_corner(in_mode):
    sources, boxes = np.float32([[0, 0, 9, 9]]), np.float32([[10, 0, 19, 4]])
    deltas = in_mode(encode_boxes)(boxes, sources, plus_one=True)
    np.testing.assert_allclose(deltas, [[1, -0.25, 0, math.log(0.5)]], atol=1e-6)


def test_max_log_scale_bounds_growth_and_not_shrinkage(in_mode):
    sources = np.float32([[0, 0, 2, 2]] * 2)
    deltas = np.float32([[0, 0, 5, -5], [0, 0, 1, 5]])
    decoded = in_mode(decode_boxes)(deltas, sources, max_log_scale=math.log(3))
    small, large = math.exp(-5), math.e
    expected = [[-2, 1 - small, 4, 1 + small], [1 - large, -2, 1 + large, 4]]
    np.testing.assert_allclose(decoded, expected, atol=1e-5)


def test_padded_zero_boxes_give_finite_deltas(in_mode):
    boxes, zeros = np.float32([[0, 0, 9, 9]]), np.zeros([1, 4], np.float32)
    deltas = in_mode(encode_boxes)(zeros, boxes)
    np.testing.assert_allclose(deltas[:, :2], [[-0.5, -0.5]], atol=1e-6)
    assert np.all(np.isfinite(deltas))
    np.testing.assert_array_equal(in_mode(encode_boxes)(zeros, zeros), zeros)
    assert np.all(np.isfinite(in_mode(encode_boxes)(boxes, zeros)))


@pytest.mark.parametrize(
    ("name", "plus_one"), [("tfr", True), ("chn", False), ("bub", False)]
)
def test_coding_equals_the_references(golden, in_mode, name, plus_one):
    coding = golden("box_coding")
    columns = [0, 1, 2, 3] if name == "chn" else YX
    prefix = "chn_" if name == "chn" else ""
    sources, boxes = (coding[prefix + key][:, columns] for key in ("src", "dst"))
    deltas = in_mode(encode_boxes)(boxes, sources, plus_one=plus_one)
    expected = coding[f"{name}_encode"][:, columns]
    coding.compare("encoded", f"{name}_encode", deltas, expected, atol=5e-5)
    deltas = coding["deltas"][:, columns]
    decoded = in_mode(decode_boxes)(deltas, sources, plus_one=plus_one)
    expected = coding[f"{name}_decode"][:, columns]
    compare_decoded(coding, f"{name}_decode", decoded, expected)


@pytest.mark.parametrize(
    ("name", "plus_one"), [("tfr", True), ("chn", False), ("tv_w1_1_1_1", False)]
)
def test_one_source_serves_the_deltas_of_all_classes(golden, in_mode, name, plus_one):
    coding = golden("box_coding")
    columns = [0, 1, 2, 3] if name == "chn" else YX
    sources = coding["chn_src" if name == "chn" else "src"][:, columns]
    deltas, expected = (
        coding[key].reshape(len(sources), -1, 4)[..., columns]
        for key in ("deltas_k", f"{name}_decode_k")
    )
    decode = in_mode(decode_boxes)
    decoded = decode(deltas, sources[:, np.newaxis], plus_one=plus_one)
    compare_decoded(coding, f"{name}_decode_k", decoded, expected)


def test_weights_count_alike_for_all_classes_of_torchvision(golden, in_mode):
    coding = golden("box_coding")
    sources, name = coding["src"][:, np.newaxis, YX], "tv_w10_10_5_5_decode_k"
    deltas, expected = (
        coding[key].reshape(len(sources), -1, 4)[..., YX] for key in ("deltas_k", name)
    )
    decoded = in_mode(decode_boxes)(
        deltas,
        sources,
        stds=(0.1, 0.1, 0.2, 0.2),
        max_log_scale=math.log(1000 / 16),
    )
    compare_decoded(coding, name, decoded, expected)


@pytest.mark.parametrize(
    ("name", "weights", "quantity", "tolerance"),
    [
        ("tv_w10_10_5_5", (10.0, 10.0, 5.0, 5.0), "encoded, weights 10", 1e-4),
        ("tv_w1_1_1_1", (1.0, 1.0, 1.0, 1.0), "encoded", 5e-5),
    ],
)
def test_coding_with_weights_equals_torchvision(
    golden, in_mode, name, weights, quantity, tolerance
):
    coding = golden("box_coding")
    sources, boxes, deltas, deltas_big = (
        coding[key][:, YX] for key in ("src", "dst", "deltas", "deltas_big")
    )
    stds = tuple(1 / weight for weight in weights)
    encoded = in_mode(encode_boxes)(boxes, sources, stds=stds)
    expected = coding[f"{name}_encode"][:, YX]
    coding.compare(quantity, f"{name}_encode", encoded, expected, atol=tolerance)
    for these, key, quantity in [
        (deltas, f"{name}_decode", DECODED),
        (deltas_big * np.float32(weights), f"{name}_decode_big", CLAMPED),
    ]:
        decoded = in_mode(decode_boxes)(
            these, sources, stds=stds, max_log_scale=math.log(1000 / 16)
        )
        compare_decoded(coding, key, decoded, coding[key][:, YX], quantity)


def test_degenerate_sources_are_coded_as_by_chenyuntc(golden, in_mode):
    coding = golden("box_coding")
    sources = coding["chn_degenerate_src"]
    deltas = in_mode(encode_boxes)(coding["chn_dst"][: len(sources)], sources)
    coding.compare("encoded", "chn_degenerate_encode", deltas, atol=5e-5)


def test_a_round_trip_returns_the_box(in_mode):
    @given(boxes_with_area(8), boxes_with_area(8))
    def check(boxes, sources):
        deltas = in_mode(encode_boxes)(boxes, sources)
        decoded = in_mode(decode_boxes)(deltas, sources)
        np.testing.assert_allclose(decoded, boxes, rtol=1e-5, atol=2e-3)

    check()


def test_a_round_trip_with_plus_one_returns_the_maximal_corner_plus_one(in_mode):
    @given(boxes_with_area(8), boxes_with_area(8))
    def check(boxes, sources):
        deltas = in_mode(encode_boxes)(boxes, sources, plus_one=True)
        decoded = in_mode(decode_boxes)(deltas, sources, plus_one=True)
        np.testing.assert_allclose(
            decoded, boxes + np.float32([0, 0, 1, 1]), rtol=1e-5, atol=2e-3
        )

    check()


def test_the_round_trip_with_plus_one_equals_the_reference(golden, in_mode):
    coding = golden("box_coding")
    sources, boxes = coding["src"][:, YX], coding["dst"][:, YX]
    deltas = in_mode(encode_boxes)(boxes, sources, plus_one=True)
    decoded = in_mode(decode_boxes)(deltas, sources, plus_one=True)
    compare_decoded(coding, "tfr_roundtrip", decoded, coding["tfr_roundtrip"][:, YX])


def test_deltas_do_not_change_when_everything_moves_and_grows(in_mode):
    @given(boxes_with_area(8), boxes_with_area(8), st.integers(0, 500))
    def check(boxes, sources, shift):
        encode = in_mode(encode_boxes)
        deltas = encode(boxes, sources)
        moved = encode(2 * boxes + np.float32(shift), 2 * sources + np.float32(shift))
        np.testing.assert_allclose(moved, deltas, rtol=1e-5, atol=1e-5)

    check()
