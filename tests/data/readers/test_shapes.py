import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data.checks.problems import DataError, Policy
from tf_frcnn.data.readers.shapes import SHAPE_CLASSES, make_shapes, read_shapes


@pytest.fixture(scope="module")
def shapes():
    return make_shapes(120, seed=5)


def images(examples):
    return [
        tf.io.decode_png(data).numpy()
        for _, data in examples.stream().as_numpy_iterator()
    ]


def test_an_image_depends_on_the_seed_and_its_number_alone(shapes):
    few, other = make_shapes(3, seed=5), make_shapes(3, seed=6)
    for record, same in zip(few.records, shapes.records, strict=False):
        np.testing.assert_array_equal(record.boxes, same.boxes)
        assert record.image_id == same.image_id
    for image, same in zip(images(few), images(shapes), strict=False):
        np.testing.assert_array_equal(image, same)
    assert any(
        a.shape != b.shape or (a != b).any()
        for a, b in zip(images(few), images(other), strict=True)
    )


def test_images_have_the_size_of_their_record_and_lie_or_stand(shapes):
    sizes = [(r.height, r.width) for r in shapes.records]
    assert [p.shape[:2] for p in images(shapes)] == sizes
    assert {h > w for h, w in sizes} == {True, False}
    assert all(128 <= min(size) <= 160 for size in sizes)


def test_boxes_are_tight_around_a_lone_object():
    """A lone object on a plain ground is where the image differs from it."""
    from tf_frcnn.data.readers import shapes as module

    for seed in range(30):
        rng = np.random.default_rng(seed)
        ground = np.full([150, 200, 3], 120, np.float32)
        image = ground.copy()
        placed = module._with_one_more(rng, image, [])
        rows, columns = np.nonzero((image != ground).any(axis=2))
        np.testing.assert_array_equal(
            module._box(placed[0].visible),
            [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1],
        )


def test_at_least_six_tenths_of_every_object_stay_visible_and_count_in_its_box():
    from tf_frcnn.data.readers import shapes as module

    overlapping = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        image, placed = np.full([130, 130, 3], 120, np.float32), []
        for _ in range(6):
            placed = module._with_one_more(rng, image, placed)
        owners = np.sum([p.visible for p in placed], axis=0)
        assert owners.max() <= 1
        for p in placed:
            assert p.visible.sum() >= 0.6 * p.drawn.sum()
        overlapping += any(p.visible.sum() < p.drawn.sum() for p in placed)
    assert overlapping > 10


def test_objects_vary_in_size_and_are_wider_than_high_more_often_than_not(shapes):
    boxes = np.concatenate([r.boxes for r in shapes.records])
    heights, widths = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert np.mean(widths > heights) > 0.6
    assert np.mean(np.minimum(heights, widths) >= 20) > 0.8
    assert heights.min() < 22 and widths.max() > 90


def test_all_classes_occur_and_some_images_are_empty(shapes):
    labels = np.concatenate([r.labels for r in shapes.records])
    counts = np.bincount(labels, minlength=len(SHAPE_CLASSES))
    assert counts.min() >= 0.08 * len(labels)
    empty = np.mean([len(r.boxes) == 0 for r in shapes.records])
    assert 0.02 < empty < 0.16
    assert shapes.class_names == SHAPE_CLASSES


def test_objects_stand_out_from_what_surrounds_them(shapes):
    """The middle of a filled shape or its rim differs from the box's corners."""
    contrasts = []
    for image, record in zip(images(shapes), shapes.records, strict=True):
        for ymin, xmin, ymax, xmax in record.boxes.astype(int):
            crop = image[ymin:ymax, xmin:xmax].reshape(-1, 3).astype(float)
            contrasts.append(crop.std(axis=0).max())
    assert np.percentile(contrasts, 5) > 20


def test_no_images_at_all_is_an_error():
    with pytest.raises(DataError, match="num_images = 0 must be at least 1"):
        make_shapes(0, seed=0)


def test_the_splits_share_no_image_and_have_the_numbers_asked_for():
    numbers = {"num_train": 3, "num_validation": 2, "num_test": 1}
    splits = ("train", "validation", "test")
    sets = [read_shapes(None, split, seed=1, **numbers) for split in splits]
    assert [len(examples.records) for examples in sets] == [3, 2, 1]
    drawn = [data for s in sets for _, data in s.stream().as_numpy_iterator()]
    assert len(set(drawn)) == 6
    (same,) = make_shapes(1, seed=2_000_001).stream().as_numpy_iterator()
    assert drawn[-1] == same[1]


def test_the_classes_may_be_asked_for_in_another_order():
    order = SHAPE_CLASSES[::-1]
    examples = read_shapes(None, "train", num_train=4, class_names=order)
    assert examples.class_names == order
    for record, made in zip(
        examples.records, make_shapes(4, seed=0).records, strict=True
    ):
        np.testing.assert_array_equal(record.labels, 3 - made.labels)


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        ((None, "tset"), {}, r"'tset': .*has train, validation, test only; did you"),
        (
            ("x", "test"),
            {},
            r"data\.directory = 'x' has no effect with",
        ),
        (
            (None, "test"),
            {"policy": Policy({"wrong_size": "drop"})},
            r"data\.policy = {'wrong_size': 'drop'} has no effect",
        ),
        ((None, "test"), {"class_names": ["cat"]}, r"has the classes cross, .*not cat"),
    ],
)
def test_what_means_nothing_to_the_shapes_is_an_error(arguments, settings, message):
    with pytest.raises(DataError, match=message):
        read_shapes(*arguments, num_test=1, **settings)
