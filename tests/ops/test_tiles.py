import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.ops.tiles import is_uncut, may_be_cut, tile_corners


def corners_of(size, tile, overlap):
    return tile_corners(tf.constant(size), tf.constant(tile), overlap).numpy()


def test_tiles_are_few_and_evenly_spread():
    assert corners_of((100, 250), (100, 100), 0.25).tolist() == [
        [0, 0],
        [0, 75],
        [0, 150],
    ]
    assert corners_of((90, 260), (60, 100), 0.25).tolist() == [
        [y, x] for y in (0, 30) for x in (0, 53, 106, 160)
    ]


def test_an_image_of_a_tiles_size_is_one():
    assert corners_of((60, 80), (60, 80), 0.5).tolist() == [[0, 0]]


@pytest.mark.parametrize("overlap", [0.01, 0.25, 0.6, 0.999])
def test_neighbours_share_the_overlap_and_borders_are_reached(overlap):
    rng = np.random.default_rng(0)
    for _ in range(20):
        size = rng.integers(20, 300, 2).astype(np.int32)
        tile = np.minimum(rng.integers(20, 90, 2), size).astype(np.int32)
        corners = corners_of(size, tile, overlap)
        for axis in (0, 1):
            places = np.unique(corners[:, axis])
            assert places[0] == 0
            assert places[-1] == size[axis] - tile[axis]
            largest_step = max(1, int(np.float32(tile[axis]) * np.float32(1 - overlap)))
            assert np.diff(places).max(initial=0) <= largest_step


def random_boxes(rng, size, longest, count=400):
    sides = rng.uniform(0.2, 1.0, [count, 2]) * longest
    starts = rng.uniform(size=[count, 2]) * (np.array(size) - sides)
    return np.concatenate([starts, starts + sides], axis=1).astype(np.float32)


def views(boxes, corners, tile):
    """Returns what each tile sees of boxes, [T, n, 4], in pixels of the image."""
    start = np.tile(corners, 2)[:, np.newaxis].astype(np.float32)
    end = start + np.tile(np.float32(tile), 2)
    return np.clip(boxes, start, end)


SIZE, TILE, OVERLAP = (310, 270), (120, 90), 0.4
# Three quarters of the overlap.
LONGEST = np.array([36.0, 27.0])


def uncut_views(boxes):
    """Returns the views of boxes, which are uncut, and which show the whole object."""
    corners = corners_of(SIZE, TILE, OVERLAP)
    seen = views(boxes, corners, TILE)
    uncut = is_uncut(
        tf.constant(seen), corners, tf.constant(TILE), tf.constant(SIZE), OVERLAP
    )
    has_area = np.prod(np.maximum(seen[..., 2:] - seen[..., :2], 0.0), axis=-1) > 0
    return seen, uncut.numpy() & has_area, (seen == boxes).all(axis=-1)


def test_each_object_up_to_three_quarters_of_the_overlap_is_uncut_in_a_tile():
    boxes = random_boxes(np.random.default_rng(1), SIZE, LONGEST)
    _, uncut, is_whole = uncut_views(boxes)
    assert uncut.any(axis=0).all()
    assert not (uncut & ~is_whole).any()
    assert not may_be_cut(boxes, tf.constant(TILE), OVERLAP).numpy().any()


def test_of_longer_objects_no_part_is_uncut():
    boxes = random_boxes(np.random.default_rng(2), SIZE, 3 * LONGEST)
    _, uncut, is_whole = uncut_views(boxes)
    assert uncut.any()
    assert not (uncut & ~is_whole).any()
    # Some lie in no tile; these are so long that they are sought elsewhere.
    nowhere = boxes[~uncut.any(axis=0)]
    assert len(nowhere) > 10
    assert may_be_cut(nowhere, tf.constant(TILE), OVERLAP).numpy().all()


def test_a_box_near_an_edge_inside_the_image_counts_as_cut(in_mode):
    corners, tile = tf.constant([[0, 0], [0, 40]]), tf.constant((50, 80))
    # An eighth of the overlap is 2.5 pixels high and 4 wide.
    boxes = tf.constant(
        [
            [[0.0, 0, 50, 76], [0, 0, 50, 77], [20, 20, 30, 30]],
            [[0, 44, 50, 120], [0, 43, 50, 60], [20, 20, 30, 30]],
        ]
    )
    size = tf.constant((50, 120))

    def uncut(overlap):
        return in_mode(is_uncut)(boxes, corners, tile, size, overlap=overlap)

    assert uncut(0.4).tolist() == [[True, False, True], [True, False, False]]
    # With hardly any overlap it is a pixel.
    least = tf.constant([[[0.0, 0, 50, 79]], [[0, 40.5, 50, 60]]])
    nearly = in_mode(is_uncut)(least, corners, tile, size, overlap=0.01)
    assert nearly.tolist() == [[True], [False]]
