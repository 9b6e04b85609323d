import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.layers import RoIPooling
from tf_frcnn.ops.roi_levels import assign_levels

YX = [1, 0, 3, 2]  # x1, y1, x2, y2 <-> ymin, xmin, ymax, xmax
# The golden array and the settings that shall give it.
REFERENCES = {
    "roi_pool": {"pooling": "pool"},
    "crop_pool": {"pooling": "crop"},
    "crop_7": {"pooling": "crop", "crop_max_pool": False},
    "roi_align_legacy_sr2": {"pooling": "align"},
    "roi_align_legacy_srauto": {"pooling": "align", "sampling_ratio": 0},
    "roi_align_aligned_sr2": {"pooling": "align", "aligned": True},
    "roi_align_aligned_srauto": {
        "pooling": "align",
        "aligned": True,
        "sampling_ratio": 0,
    },
}
METHODS = {
    "crop": {"pooling": "crop"},
    "pool": {"pooling": "pool"},
    "align": {"pooling": "align", "aligned": True},
    "adaptive align": {"pooling": "align", "sampling_ratio": 0},
}
# Mode, for_xla.
ROUTES = {
    "eager": ("eager", False),
    "graph": ("graph", False),
    "for XLA, eager": ("eager", True),
    "for XLA, graph": ("graph", True),
    "xla": ("xla", True),
}
STRIDES = (8, 16)


@pytest.fixture(params=ROUTES)
def route(request):
    return ROUTES[request.param]


@pytest.fixture(params=METHODS)
def method(request):
    return METHODS[request.param]


@pytest.fixture(params=[False, True], ids=["without XLA", "for XLA"])
def for_xla(request):
    return request.param


def pool_and_gradients(layer):
    """Returns a function of boxes, levels, upstream and maps; two results."""

    def run(boxes, levels, upstream, *features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            pooled = layer(features, boxes, levels)
        upstream = tf.cast(upstream, pooled.dtype)
        return pooled, tape.gradient(pooled, features, upstream)

    return run


def random_pyramid(dtype=tf.float32):
    """Returns boxes, levels, upstream and the maps of two images of 128 x 160."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(-20, 180, (2, 12, 2, 2)).astype(np.float32)
    boxes = np.sort(corners, axis=2).reshape(2, 12, 4)
    levels = rng.integers(0, 2, (2, 12)).astype(np.int32)
    upstream = rng.normal(size=(2, 12, 3, 3, 2)).astype(np.float32)
    maps = [rng.normal(size=(2, 128 // s, 160 // s, 2)) for s in STRIDES]
    return boxes, levels, upstream, *(tf.cast(level, dtype) for level in maps)


def numbered_map(rows, columns):
    """Returns a map whose cell (y, x) holds 10 y + x."""
    cells = 10 * np.arange(rows)[:, np.newaxis] + np.arange(columns)
    return np.float32(cells)[np.newaxis, ..., np.newaxis]


def of_own_images(rois, pooled):
    """Picks [N, ...] from [2, N, ...] pooled for both images."""
    return pooled[rois[:, 0].astype(int), np.arange(len(rois))]


def test_corners_count_in_cells_of_the_stride(for_xla):
    # Cells 1 to 4 in both directions: the larger of 1, 2 and of 3, 4.
    for stride in (8, 16):
        boxes = np.float32([[[1, 1, 4, 4]]]) * stride
        for method in ("crop", "pool"):
            layer = RoIPooling(
                (stride,), {"pooling": method, "pooled_size": 2}, for_xla=for_xla
            )
            pooled = layer([numbered_map(6, 7)], boxes)[0, 0, ..., 0]
            np.testing.assert_allclose(pooled, [[22, 24], [42, 44]], rtol=1e-6)


@pytest.mark.parametrize("name", REFERENCES)
def test_pooled_rois_and_gradients_equal_the_reference(golden, run_in, route, name):
    stored = golden("roi_pooling")
    rois, (mode, for_xla) = stored["rois"], route
    num_images, stride = len(stored["features"]), int(stored["stride"])
    boxes = np.tile(rois[np.newaxis, :, 1:][..., YX], [num_images, 1, 1])
    is_own = np.arange(num_images)[:, np.newaxis] == rois[:, 0]
    upstream = np.where(is_own[..., np.newaxis, np.newaxis, np.newaxis], 1, 0)
    upstream = np.float32(upstream * stored["grad_out"])
    settings = REFERENCES[name] | {"pooled_size": stored[name].shape[1]}
    layer = RoIPooling((stride,), settings, for_xla=for_xla)
    pooled, (gradient,) = run_in(mode, pool_and_gradients(layer))(
        boxes, np.zeros(boxes.shape[:2], np.int32), upstream, stored["features"]
    )
    quantity, own = REFERENCES[name]["pooling"], of_own_images(rois, pooled)
    stored.compare(quantity, name, own, atol=2e-5)
    if name != "crop_7":  # Its gradient is not stored.
        quantity, name = f"{quantity}, gradient", f"{name}_grad"
        stored.compare(quantity, name, gradient, atol=5e-5)


def test_normalised_boxes_and_plain_crops_equal_tf_faster_rcnn(golden, run_in, route):
    # The stored boxes count in units of the map's last cell.
    stored = golden("roi_pooling")
    rois, (mode, for_xla) = stored["rois"], route
    num_images, *map_size = stored["features"].shape[:3]
    last_cell = (np.float32([*map_size, *map_size]) - 1) * stored["stride"]
    boxes = np.tile(stored["crop_boxes"] * np.float32(last_cell), [num_images, 1, 1])
    size = stored["crop_14"].shape[1]
    layer = RoIPooling(
        roi={"pooled_size": size, "crop_max_pool": False}, for_xla=for_xla
    )
    pooled = run_in(mode, lambda *inputs: layer(inputs[:1], inputs[1]))(
        stored["features"], boxes
    )
    own = of_own_images(rois, pooled)[: len(stored["crop_14"])]
    stored.compare("crop", "crop_14", own, atol=2e-5)


def test_rois_of_a_pyramid_equal_torchvision(golden, run_in, route):
    stored = golden("roi_levels")
    mode, for_xla = route
    boxes = np.stack([stored["ms_rois0"], stored["ms_rois1"]])[..., YX]
    prefix = "ms_feature_"
    strides = sorted(int(n.removeprefix(prefix)) for n in stored if prefix in n)
    size = stored["ms_pooled"].shape[1]
    layer = RoIPooling(
        strides, {"pooling": "align", "pooled_size": size}, for_xla=for_xla
    )
    pooled = run_in(
        mode, lambda boxes, *maps: layer(maps, boxes, assign_levels(boxes))
    )(boxes, *(stored[f"{prefix}{stride}"] for stride in strides))
    pooled = pooled.reshape(stored["ms_pooled"].shape)
    stored.compare("align", "ms_pooled", pooled, atol=2e-5)


def test_a_roi_of_a_pyramid_is_pooled_as_from_its_map_alone(run_in, route, method):
    mode, for_xla = route
    boxes, levels, upstream, *maps = random_pyramid()
    layer = RoIPooling(STRIDES, {"pooled_size": 3, **method}, for_xla=for_xla)
    pooled, gradients = run_in(mode, pool_and_gradients(layer))(
        boxes, levels, upstream, *maps
    )
    for level, (stride, own_map) in enumerate(zip(STRIDES, maps, strict=True)):
        alone = RoIPooling((stride,), {"pooled_size": 3, **method})
        is_own = (levels == level)[..., np.newaxis, np.newaxis, np.newaxis]
        expected, (gradient,) = pool_and_gradients(alone)(
            boxes, levels, np.where(is_own, upstream, 0), own_map
        )
        own = np.where(is_own, pooled, 0)
        np.testing.assert_allclose(
            own, np.where(is_own, expected, 0), rtol=0, atol=2e-5
        )
        np.testing.assert_allclose(gradients[level], gradient, rtol=0, atol=5e-5)


def test_bfloat16_maps_give_nearly_the_same_in_bfloat16(for_xla, method):
    boxes, levels, upstream, *maps = random_pyramid(tf.bfloat16)
    layer = RoIPooling(STRIDES, {"pooled_size": 3, **method}, for_xla=for_xla)
    results = pool_and_gradients(layer)(boxes, levels, upstream, *maps)
    exact = RoIPooling(STRIDES, {"pooled_size": 3, **method})
    maps = [tf.cast(level, tf.float32) for level in maps]
    expected = pool_and_gradients(exact)(boxes, levels, upstream, *maps)
    for result, wanted in zip(*map(tf.nest.flatten, (results, expected)), strict=True):
        assert result.dtype == tf.bfloat16
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(
            tf.cast(result, tf.float32), wanted, rtol=0, atol=0.02 * scale
        )


def test_maps_and_numbers_of_rois_may_be_unknown(for_xla, method):
    boxes, levels, _, *maps = random_pyramid()
    layer = RoIPooling(STRIDES, method, for_xla=for_xla)
    traced = tf.function(
        lambda boxes, levels, *maps: layer(maps, boxes, levels),
        input_signature=[
            tf.TensorSpec([None, None, 4]),
            tf.TensorSpec([None, None], tf.int32),
            *[tf.TensorSpec([None, None, None, 2])] * 2,
        ],
        autograph=False,
    )
    expected = layer(maps, boxes, levels)
    np.testing.assert_allclose(
        traced(boxes, levels, *maps), expected, rtol=0, atol=1e-5
    )
    assert traced.get_concrete_function().output_shapes[2:] == [7, 7, 2]


def test_boxes_are_constants_for_the_gradient(for_xla, method):
    boxes, levels, _, *maps = random_pyramid()
    layer = RoIPooling(STRIDES, method, for_xla=for_xla)
    boxes = tf.constant(boxes)
    with tf.GradientTape() as tape:
        tape.watch(boxes)
        pooled = layer(maps, boxes, levels)
    assert tape.gradient(pooled, boxes) is None


def test_corners_are_not_rounded_to_the_type_of_the_features(for_xla):
    # bfloat16 knows 600 and 604, but not 602: the map's slope would show it.
    features = tf.cast(
        np.tile(np.arange(48.0) % 4, [1, 2, 1])[..., np.newaxis], "bfloat16"
    )
    boxes = np.float32([[[0, 602, 0, 602]]])
    layer = RoIPooling(
        (16,), {"pooled_size": 1}, for_xla=for_xla, dtype="mixed_bfloat16"
    )
    pooled = float(layer([features], boxes)[0, 0, 0, 0, 0])
    np.testing.assert_allclose(pooled, (602 / 16) % 4, rtol=2**-8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "for_xla"), [("crop", False), ("pool", False), ("align", True)]
)
def test_a_saved_model_pools_alike_by_the_routes_with_own_gradients(
    tmp_path, method, for_xla
):
    boxes, levels, _, *maps = random_pyramid()
    module = tf.Module()
    module.layer = RoIPooling(STRIDES, {"pooling": method}, for_xla=for_xla)
    module.pool = tf.function(
        lambda boxes, levels, *maps: module.layer(maps, boxes, levels),
        autograph=False,
    )
    expected = module.pool(boxes, levels, *maps)
    tf.saved_model.save(module, str(tmp_path))
    pooled = tf.saved_model.load(str(tmp_path)).pool(boxes, levels, *maps)
    np.testing.assert_array_equal(pooled, expected)


def test_an_unknown_method_is_named_with_the_known_ones():
    with pytest.raises(
        ValueError, match=r"roi.pooling = 'average' .* crop, pool, align"
    ):
        RoIPooling(roi={"pooling": "average"})


def test_each_map_needs_its_stride():
    boxes, levels, _, *maps = random_pyramid()
    message = r"RoIPooling: 2 feature maps but 5 strides \(4, 8, 16, 32, 64\)\."
    with pytest.raises(ValueError, match=message):
        RoIPooling((4, 8, 16, 32, 64))(maps, boxes, levels)


def test_several_maps_need_levels():
    boxes, _, _, *maps = random_pyramid()
    with pytest.raises(ValueError, match="2 feature maps need the levels of the RoIs"):
        RoIPooling(STRIDES)(maps, boxes)


@pytest.mark.slow
@pytest.mark.parametrize("num_maps", [1, 2])
def test_cells_may_be_the_canvas_over_the_map(route, method, num_maps):
    mode, for_xla = route
    rng = np.random.default_rng(3)
    # Maps of 11 x 13 and 5 x 7 cells on a canvas of 80 x 120 pixels.
    sizes, canvas = np.float32([[11, 13], [5, 7]])[:num_maps], np.float32([80, 120])
    maps = [
        rng.normal(size=(2, int(h), int(w), 3)).astype(np.float32) for h, w in sizes
    ]
    corners = np.sort(rng.uniform(0, 80, (2, 6, 2, 2)).astype(np.float32), axis=2)
    boxes = corners.reshape(2, 6, 4)
    levels = rng.integers(0, num_maps, (2, 6)).astype(np.int32)
    strides = STRIDES[:num_maps]
    in_cells = boxes / np.tile(canvas, 2) * np.tile(sizes[levels], 2)
    by_hand = in_cells * np.float32(strides)[levels][..., np.newaxis]
    layers = [
        RoIPooling(
            strides,
            {"pooled_size": 3, **method},
            conventions={"cell_size": name},
            for_xla=for_xla,
        )
        for name in ("canvas", "stride")
    ]

    def run(boxes, scaled, levels, *maps):
        pooled = layers[0](list(maps), boxes, levels, tf.constant([80, 120]))
        return pooled, layers[1](list(maps), scaled, levels)

    if mode != "eager":
        run = tf.function(run, autograph=False, jit_compile=mode == "xla")
    pooled, expected = run(boxes, by_hand, levels, *maps)
    np.testing.assert_allclose(pooled, expected, atol=1e-4)
    assert np.ptp(expected) > 1


def test_cells_of_the_canvas_need_its_size_and_another_name_is_refused():
    features, boxes = [tf.zeros([1, 2, 2, 1])], tf.zeros([1, 1, 4])
    with pytest.raises(ValueError, match="'canvas' needs the canvas_size"):
        RoIPooling((8,), conventions={"cell_size": "canvas"})(features, boxes)
    with pytest.raises(ValueError, match="cell_size = 'map' must be one of"):
        RoIPooling((8,), conventions={"cell_size": "map"})


@pytest.mark.parametrize("name", ["crop", "align"])
def test_unrolled_gathering_needs_no_loop_and_gives_the_same(name):
    boxes, levels, _, *maps = random_pyramid()
    layer = RoIPooling(STRIDES, {"pooled_size": 2, **METHODS[name]}, for_xla=True)
    expected = layer(maps, boxes, levels)

    def kinds():
        graph = tf.function(lambda: layer(maps, boxes, levels)).get_concrete_function()
        return {operation.type for operation in graph.graph.get_operations()}

    loops = {"While", "StatelessWhile"}
    assert loops & kinds()
    layer.unroll = True
    assert not loops & kinds()
    pooled = layer(maps, boxes, levels)
    assert np.ptp(pooled) > 1
    np.testing.assert_array_equal(pooled, expected)
