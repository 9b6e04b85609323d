"""Builders with the features of well-known ones, prepared on the spot."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tf_frcnn.data.checks.problems import DataError, Policy
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.pipeline.batching import evaluation_batches
from tf_frcnn.data.pipeline.streams import Stream
from tf_frcnn.data.readers.tfds import read_tfds, tfds_splits
from tf_frcnn.data.readers.tfds_voc import read_tfds_voc

BOX = tfds.features.BBox(ymin=0.25, xmin=0.25, ymax=0.75, xmax=0.5)
# From the lower border: KITTI's origin.
FROM_BELOW = tfds.features.BBox(ymin=0.1, xmin=0.25, ymax=0.6, xmax=0.5)
HALVES = tfds.features.BBox(ymin=0.0, xmin=0.0, ymax=0.5, xmax=1.0)
CLASSES = ("cat", "dog")
PIXELS = [10, 20, 30, 40]
BOTH = [PIXELS, [0, 0, 20, 80]]


def label():
    return tfds.features.ClassLabel(names=CLASSES)


def an_object(**features):
    return tfds.features.Sequence({"bbox": tfds.features.BBoxFeature(), **features})


def image_feature():
    return tfds.features.Image(encoding_format="png")


class Likeness(tfds.core.GeneratorBasedBuilder):
    """Two splits: one image with the objects of the class, and one without."""

    VERSION = tfds.core.Version("1.0.0")
    pkg_dir_path = None
    names, objects_name, object_features, objects = dict, "objects", dict, ()

    def _info(self):
        features = {"image": image_feature(), **self.names()}
        if self.objects_name:
            features[self.objects_name] = an_object(**self.object_features())
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features)
        )

    def _split_generators(self, dl_manager):
        return {"train": self._examples("ab"), "validation": self._examples("c")}

    def _generate_examples(self):
        """Abstract in the base; the splits have their own."""

    def _examples(self, stems):
        for number, stem in enumerate(stems):
            image = np.full([40, 80, 3], 60 * ord(stem) % 256, np.uint8)
            objects = list(self.objects) if number == 0 else []
            example = {"image": image, self.objects_name: objects}
            values = {"image/id": ord(stem)}
            for name in self.names():
                example[name] = values.get(name, f"sub/{stem}.png")
            yield stem, example


class CocoLikeness(Likeness):
    """`coco/2017`."""

    @staticmethod
    def names():
        return {"image/filename": tfds.features.Text(), "image/id": np.int64}

    objects = (
        {"bbox": BOX, "label": "dog", "is_crowd": False, "id": 1, "area": 2},
        {"bbox": HALVES, "label": "cat", "is_crowd": True, "id": 2, "area": 3},
    )

    @staticmethod
    def object_features():
        more = {"id": np.int64, "area": np.int64}
        return {"label": label(), "is_crowd": np.bool_, **more}


class KittiLikeness(Likeness):
    """`kitti`."""

    @staticmethod
    def names():
        return {"image/file_name": tfds.features.Text()}

    objects = ({"bbox": FROM_BELOW, "type": "dog", "alpha": 1.0, "rotation_y": 2.0},)

    @staticmethod
    def object_features():
        return {"type": label(), "alpha": np.float32, "rotation_y": np.float32}


class FacesLikeness(Likeness):
    """`wider_face`."""

    @staticmethod
    def names():
        return {"image/filename": tfds.features.Text()}

    objects_name = "faces"
    objects = ({"bbox": BOX, "invalid": False}, {"bbox": HALVES, "invalid": True})

    @staticmethod
    def object_features():
        return {"invalid": np.bool_}


class OpenImagesLikeness(Likeness):
    """`open_images_v4`, and `lvis`, which has no names of files."""

    @staticmethod
    def names():
        return {"image/id": np.int64}

    objects_name = "bobjects"
    objects = (
        {"bbox": BOX, "label": "cat", "is_group_of": 1},
        {"bbox": HALVES, "label": "dog", "is_group_of": -1},  # It is not known.
    )

    @staticmethod
    def object_features():
        return {"label": label(), "is_group_of": np.int8}


class ClassesLikeness(Likeness):
    """A data set of classification."""

    @staticmethod
    def names():
        return {"label": label()}

    objects_name = None

    def _examples(self, stems):
        for stem in stems:
            yield stem, {"image": np.zeros([4, 4, 3], np.uint8), "label": "cat"}


NAMES = {
    "coco_likeness": CocoLikeness,
    "kitti_likeness": KittiLikeness,
    "faces_likeness": FacesLikeness,
    "open_images_likeness": OpenImagesLikeness,
    "classes_likeness": ClassesLikeness,
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("tfds")
    for builder in NAMES.values():
        builder.pkg_dir_path = path
        builder(data_dir=path).download_and_prepare()
    return str(path)


def with_objects(examples):
    """Returns the one record that has objects."""
    (record,) = [record for record in examples.records if len(record.boxes)]
    return record


@pytest.mark.parametrize(
    ("name", "classes", "boxes", "labels", "difficult", "crowd"),
    [
        ("coco_likeness", CLASSES, BOTH, [1, 0], [0, 0], [0, 1]),
        ("kitti_likeness", CLASSES, [[16, 20, 36, 40]], [1], [0], [0]),
        ("faces_likeness", ("faces_likeness",), BOTH, [0, 0], [0, 1], [0, 0]),
        ("open_images_likeness", CLASSES, BOTH, [0, 1], [0, 0], [1, 0]),
    ],
)
def test_builders_of_every_form_are_read(
    data_dir, name, classes, boxes, labels, difficult, crowd
):
    examples = read_tfds(name, "train", data_dir=data_dir)
    record = with_objects(examples)
    np.testing.assert_array_equal(record.boxes, np.float32(boxes))
    assert record.labels.tolist() == labels and record.difficult.tolist() == difficult
    assert record.crowd.tolist() == crowd
    assert examples.class_names == classes
    assert examples.problems.counts() == {"empty_annotation": 1}
    assert (record.height, record.width) == (40, 80)


def test_records_are_named_after_their_files_or_ids(data_dir):
    coco = read_tfds("coco_likeness", "train", data_dir=data_dir)
    assert {(r.image_id, r.source) for r in coco.records} == {
        *(("sub/a", "sub/a.png"), ("sub/b", "sub/b.png"))
    }
    own = read_tfds("open_images_likeness", "train", data_dir=data_dir)
    assert {(r.image_id, r.source) for r in own.records} == {
        *(("97", "97.png"), ("98", "98.png"))
    }


def test_each_image_comes_with_its_own_index(data_dir):
    examples = read_tfds("coco_likeness", "train+validation", data_dir=data_dir)
    greys = {"sub/a": 60 * 97 % 256, "sub/b": 60 * 98 % 256, "sub/c": 60 * 99 % 256}
    resizing = Resizing((40,), 80, ((40, 80),))
    for batch in evaluation_batches(examples, resizing, batch_size=1):
        grey = greys[batch["image_ids"][0].numpy().decode()]
        assert batch["images"].numpy().min() == batch["images"].numpy().max() == grey
    assert len(examples.records) == 3


@pytest.mark.parametrize(
    "name", ["coco_likeness", "kitti_likeness", "open_images_likeness"]
)
def test_fit_takes_the_same_objects_from_the_builders_dataset(data_dir, name):
    examples = read_tfds(name, "train[:1]+train[1:]", data_dir=data_dir)
    dataset = tfds.load(name, split="train", data_dir=data_dir)
    resizing = Resizing((40,), 80, ((40, 80),))
    stream = Stream(dataset, resizing, num_classes=2)
    (batch,) = [
        batch
        for batch in stream.evaluation_batches(batch_size=1)
        if (batch["labels"].numpy() >= 0).any()
    ]
    record = with_objects(examples)
    count = len(record.boxes)
    assert np.all(batch["labels"][:, count:] == -1)
    np.testing.assert_allclose(batch["boxes"][:, :count], [record.boxes], atol=1e-4)
    assert ("crowd" in batch) == record.crowd.any()
    crowd = batch.get("crowd", np.zeros([1, count], bool))
    np.testing.assert_array_equal(crowd[:, :count], [record.crowd])


def test_labels_follow_the_class_names_given(data_dir):
    settings = {"data_dir": data_dir, "class_names": ["dog"]}
    with pytest.raises(DataError, match="'cat' is not one of the classes dog"):
        read_tfds("coco_likeness", "train", **settings)
    drop = Policy({"unknown_class": "drop"})
    examples = read_tfds("coco_likeness", "train", policy=drop, **settings)
    assert with_objects(examples).labels.tolist() == [0]


def test_splits_are_in_the_words_of_tensorflow_datasets(data_dir):
    assert tfds_splits("kitti_likeness", data_dir=data_dir) == ["train", "validation"]
    half = read_tfds("kitti_likeness", "train[:50%]", data_dir=data_dir)
    assert len(half.records) == 1
    with pytest.raises(
        DataError, match="no split 'test'; its splits are train, validat"
    ):
        read_tfds("kitti_likeness", "test", data_dir=data_dir)


def test_home_is_expanded(data_dir, monkeypatch):
    monkeypatch.setenv("HOME", data_dir)
    assert tfds_splits("kitti_likeness", data_dir="~/") == ["train", "validation"]


def test_what_is_no_builder_for_detection_is_refused(data_dir):
    with pytest.raises(
        DataError, match=r"has no builder 'kiti'; did you mean 'kitti'\?"
    ):
        read_tfds("kiti", "train", data_dir=data_dir)
    with pytest.raises(DataError, match=r"give a builder's name, such as coco/2017"):
        read_tfds(None, "train", data_dir=data_dir)
    with pytest.raises(
        DataError, match=r"no detection data set: .* image, label; image"
    ):
        read_tfds("classes_likeness", "train", data_dir=data_dir)


def test_data_not_prepared_is_an_error_that_says_how_to_prepare_it(tmp_path):
    with pytest.raises(DataError) as error:
        read_tfds("coco/2017", "train", data_dir=str(tmp_path))
    assert str(error.value) == (
        f"{tmp_path}/coco/2017/1.1.0 does not exist. Prepare it by `tfds build "
        f"coco/2017 --data_dir {tmp_path}`; without a network, put its archives into "
        f"{tmp_path}/downloads/manual first."
    )
    with pytest.raises(DataError, match=f"`tfds build kitti --data_dir {tmp_path}`"):
        read_tfds("kitti", "train", data_dir=str(tmp_path))


def test_the_reader_of_voc_is_the_same_for_joined_years(tmp_path):
    with pytest.raises(DataError) as one:
        read_tfds("voc/2007", "train", data_dir=str(tmp_path))
    with pytest.raises(DataError) as other:
        read_tfds_voc(tmp_path, "07/train")
    assert str(one.value) == str(other.value)
