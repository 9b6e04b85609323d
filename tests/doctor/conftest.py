"""Small example sets that need no files, and one with planted faults, examined."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.one_file_pages import driver, opened  # noqa: F401
from tests.helpers.planted_faults import plant_faults
from tf_frcnn.config import make_config
from tf_frcnn.data import ExampleSet, Problems, Record, read_voc
from tf_frcnn.data.examples import StoredImages
from tf_frcnn.doctor.examination import examine

SIDES = (400, 300)  # height, width


@pytest.fixture(scope="session")
def make_set():
    """Makes a set: `make_set("train", names, [[(label, box), ...], ...])`.

    A box is (ymin, xmin, ymax, xmax) in pixels of an image of `SIDES`; a third value
    says whether it is difficult.
    """

    def make(name, class_names, images, contents=None, problems=()):
        records = []
        for number, objects in enumerate(images):
            boxes = np.array([o[1] for o in objects], np.float32).reshape(-1, 4)
            labels = np.array([o[0] for o in objects], np.int32)
            difficult = np.array([len(o) > 2 and o[2] for o in objects], bool)
            own = f"{name}_{number}"
            facts = (boxes, labels, difficult, np.zeros_like(difficult))
            records.append(Record(own, f"{own}.png", *SIDES, 1, *facts))
        contents = contents or [record.source.encode() for record in records]
        stored = StoredImages(tf.constant(contents), are_paths=False)
        found = Problems(rows=problems)
        return ExampleSet(name, tuple(class_names), tuple(records), found, stored)

    return make


@pytest.fixture(scope="session")
def set_of():
    """Makes a set of (height, width, boxes, labels) per image; it has no pixels."""

    def make(images, class_names):
        records = tuple(
            Record(
                str(row),
                f"{row}.png",
                height,
                width,
                1,
                np.array(boxes, np.float32).reshape(-1, 4),
                np.array(labels, np.int32),
                *np.zeros([2, len(labels)], bool),
            )
            for row, (height, width, boxes, labels) in enumerate(images)
        )
        stored = StoredImages(tf.constant([""] * len(records)), are_paths=True)
        return ExampleSet("drawn", class_names, records, Problems(), stored)

    return make


@pytest.fixture(scope="session")
def squares_of(set_of):
    """Makes a set whose images have squares: class -> (side, number per image)."""

    def make(classes, height=480, width=640, num_images=12):
        rng, images = np.random.default_rng(0), []
        for _ in range(num_images):
            boxes, labels = [], []
            for label, (side, number) in enumerate(classes.values()):
                places = rng.uniform(0, (height - side, width - side), (number, 2))
                boxes += [(y, x, y + side, x + side) for y, x in places]
                labels += [label] * number
            images.append((height, width, boxes, labels))
        return set_of(images, tuple(classes))

    return make


@pytest.fixture(scope="session")
def planted(tmp_path_factory):
    """The folder of `plant_faults`."""
    return plant_faults(tmp_path_factory.mktemp("planted") / "data").root


@pytest.fixture(scope="session")
def planted_sets(planted):
    return {split: read_voc(planted, split) for split in ("train", "val", "test")}


@pytest.fixture(scope="session")
def examined(planted, planted_sets):
    return examine(str(planted), planted_sets, make_config({}, "the test"), {})
