import importlib

import numpy as np
import pytest

from tf_frcnn import assembly
from tf_frcnn.assembly import (
    Splits,
    build_examples,
    build_resizing,
    build_training_batches,
)
from tf_frcnn.config import ConfigError
from tf_frcnn.data import (
    DATASETS,
    SHAPE_CLASSES,
    Policy,
    Resizing,
    derive_canvases,
    write_voc,
)
from tf_frcnn.data.augmentation.plan import NO_AUGMENTATION
from tf_frcnn.models import inputs

# A data set of four images in a module of its own.
READER = """
import numpy as np
import tensorflow as tf

from tf_frcnn.data import ExampleSet, Policy, Problems, Record
from tf_frcnn.data.examples import StoredImages


def read(location, split, *, class_names=(), policy=Policy()):
    image = tf.io.encode_png(tf.zeros([32, 48, 3], tf.uint8)).numpy()
    box = np.array([[4, 5, 20, 30]], np.float32)
    facts = 32, 48, 1, box, np.array([1], np.int32), *(np.array([False]),) * 2
    records = tuple(Record(str(i), f"{i}.png", *facts) for i in range(4))
    images = StoredImages(tf.constant([image] * 4), are_paths=False)
    name = f"{split} of {location}"
    return ExampleSet(name, ("wide", "tall"), records, Problems(), images)
"""


@pytest.fixture(scope="module")
def voc_folder(config_of, tmp_path_factory):
    """The shapes as a VOC folder with the splits "train" and "seen"."""
    folder = tmp_path_factory.mktemp("voc")
    write_voc(build_examples(config_of(), "train"), folder, "train")
    write_voc(build_examples(config_of(), "test"), folder, "seen")
    return folder


def test_a_trial_takes_a_few_images_spread_over_each_split(config_of):
    whole = build_examples(config_of(), "train")
    few = build_examples(config_of({"data.max_images": 3}), "train")
    rows = [0, 2, 3]  # of four
    assert [r.image_id for r in few.records] == [
        whole.records[n].image_id for n in rows
    ]
    stored = [data for _, data in whole.stream().as_numpy_iterator()]
    assert [d for _, d in few.stream().as_numpy_iterator()] == [stored[n] for n in rows]
    assert few.name == f"{whole.name} (3 of 4)" and few.class_names == whole.class_names
    for number in (4, 5):
        more = build_examples(config_of({"data.max_images": number}), "train")
        assert len(more.records) == 4


def test_a_split_is_one_of_the_settings_or_one_of_the_readers(config_of, voc_folder):
    settings = {"data.reader": "voc", "data.directory": voc_folder}
    settings |= {"data.train_split": "train", "data.validation_split": "seen"}
    config = config_of(settings | {"data.test_split": "train+seen"})
    for split, count in (("train", 4), ("validation", 2), ("test", 6), ("seen", 2)):
        assert len(build_examples(config, split).records) == count


def test_the_voc_reader_gets_its_settings(config_of, voc_folder):
    names = list(SHAPE_CLASSES[::-1])
    settings = {"data.reader": "voc", "data.directory": voc_folder}
    settings |= {"data.class_names": names, "data.one_based": "false"}
    config = config_of(settings | {"data.policy": "{unknown_class: drop}"})
    examples = build_examples(config, "train+seen")
    assert examples.class_names == tuple(names)
    assert examples.problems.policy.action("unknown_class") == "drop"
    drawn = build_examples(config_of(), "train")
    for read, made in zip(examples.records, drawn.records, strict=False):
        # Corners that count from 1 are not moved when they are called continuous.
        np.testing.assert_array_equal(read.boxes, made.boxes + np.array([1, 1, 0, 0]))
        assert [names[i] for i in read.labels] == [
            SHAPE_CLASSES[i] for i in made.labels
        ]
    own = build_examples(config, "seen", tuple(names[:3]))
    assert own.class_names == tuple(names[:3])


def test_a_reader_gets_the_settings_that_it_asks_for(config_of, monkeypatch):
    def read(location, split, *, class_names, policy, one_based, seed, unheard_of=3):
        return location, split, class_names, policy, one_based, seed, unheard_of

    monkeypatch.setitem(DATASETS, "mine", read)
    monkeypatch.setenv("HOME", "/home/someone")
    settings = {"data.reader": "mine", "data.directory": "'~/data'", "seed": 8}
    settings |= {"data.train_split": "2007/train+2012/val", "data.class_names": "[cat]"}
    settings |= {"data.policy": "{wrong_size: drop}", "data.one_based": "false"}
    given = (("cat",), Policy({"wrong_size": "drop"}), False, 8, 3)
    for split, name in (("train", "2007/train+2012/val"), ("07/test", "07/test")):
        found = build_examples(config_of(settings), split)
        assert found == ("/home/someone/data", name, *given)


def test_an_unknown_reader_is_answered_with_those_there_are(config_of, monkeypatch):
    monkeypatch.setitem(DATASETS, "mine", None)
    with pytest.raises(ConfigError) as error:
        build_examples(config_of({"data.reader": "vco"}), "train")
    assert str(error.value) == (
        "data.reader = 'vco' must be one of voc, coco, yolo, csv, tfrecord, tfds, "
        "tfds_voc, shapes, mine; did you mean 'voc'?"
    )


@pytest.mark.slow
def test_a_data_set_may_come_from_a_file_outside_the_package(
    config_of, monkeypatch, tmp_path
):
    (tmp_path / "my_reader.py").write_text(READER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(DATASETS, "mine", importlib.import_module("my_reader").read)
    settings = {"data.reader": "mine", "data.train_split": "all", "data.batch_size": 2}
    config = config_of(settings)
    examples = build_examples(config, "train")
    batches, per_epoch, *_ = build_training_batches(config, examples)
    first, second = batches.take(2).as_numpy_iterator()
    assert per_epoch == 2 and examples.name == "all of None"
    for batch in (first, second):
        assert batch["images"].shape == (2, 64, 96, 3)
        np.testing.assert_array_equal(batch["image_sizes"], [[64, 96]] * 2)
        np.testing.assert_array_equal(batch["labels"], [[1], [1]])
    ids = [image_id for batch in (first, second) for image_id in batch["image_ids"]]
    assert sorted(ids) == [b"0", b"1", b"2", b"3"]


def test_a_split_is_read_once_under_whichever_name(config_of, voc_folder, monkeypatch):
    settings = {"data.reader": "voc", "data.directory": voc_folder}
    settings |= {"data.train_split": "train", "data.validation_split": "seen"}
    config = config_of(settings | {"data.test_split": "seen"})
    calls, read = [], DATASETS["voc"]
    monkeypatch.setitem(
        DATASETS, "voc", lambda *a, **k: calls.append(a[1]) or read(*a, **k)
    )
    splits, names = Splits(config), SHAPE_CLASSES
    train = splits.read("train", names)
    assert splits.read("train") is splits.read("train")
    held_out = splits.read("validation", names[::-1])
    assert calls == ["train", "seen"]
    for same in (splits.read("test", names), splits.read("seen", names)):
        assert same.class_names == train.class_names == names
        for record, other in zip(same.records, held_out.records, strict=True):
            np.testing.assert_array_equal(record.labels, 3 - other.labels)
    assert calls == ["train", "seen"]
    assert splits.read("test", (*names, "more")).class_names == (*names, "more")
    assert calls == ["train", "seen", "seen"]


def test_parts_of_a_split_are_cut_of_what_is_read_once(
    config_of, voc_folder, monkeypatch
):
    data = {"reader": "voc", "directory": str(voc_folder)}
    data |= {"train_split": "train[:90%]", "validation_split": "train[90%:]"}
    config = config_of({f"data.{name}": value for name, value in data.items()})
    read, splits = DATASETS["voc"], []

    def note(location, split, **settings):
        splits.append(split)
        return read(location, split, **settings)

    monkeypatch.setitem(DATASETS, "voc", note)
    own = Splits(config)
    train, validation = own.read("train"), own.read("validation")
    assert splits == ["train"]
    whole = read(str(voc_folder), "train").records
    ids = [record.image_id for part in (train, validation) for record in part.records]
    assert sorted(ids) == sorted(record.image_id for record in whole)
    assert len(validation.records) == len(whole) - len(whole) * 9 // 10 > 0
    alone = build_examples(config, "validation")
    assert [r.image_id for r in alone.records] == ids[len(train.records) :]


def test_canvases_are_those_of_the_settings_or_derived(config_of):
    derived = derive_canvases(64, 96)
    assert build_resizing(config_of().images) == ((64,), 96, derived, "bilinear")
    own = config_of({"images.canvases": [[96, 96], [64, 96]]})
    assert build_resizing(own.images) == ((64,), 96, ((96, 96), (64, 96)), "bilinear")


def test_training_has_short_sides_of_its_own(config_of):
    config = config_of({"data.train_short_sides": [48, 80]})
    several = Resizing((48, 80), 96, derive_canvases([48, 80], 96))
    assert build_resizing(config.images, config.data.train_short_sides) == several
    assert build_resizing(config.images) == build_resizing(config_of().images)
    one = build_resizing(config_of().images, config_of().data.train_short_sides)
    assert one == build_resizing(config_of().images)


@pytest.mark.slow
def test_each_image_has_its_canvas_where_sides_are_padded_to_a_multiple(config_of):
    settings = {
        "images.pad_to": 32,
        "images.resize": "bicubic",
        "images.long_side": "null",
    }
    config = config_of(settings)
    assert build_resizing(config.images) == ((64,), None, 32, "bicubic")
    examples = build_examples(config, "train")
    batches, per_epoch, *_ = build_training_batches(config, examples)
    assert per_epoch == 4
    for batch in (
        *batches.take(4),
        *assembly.build_evaluation_batches(config, examples).dataset,
    ):
        own = -(-batch["image_sizes"].numpy() // 32) * 32
        np.testing.assert_array_equal(own, [batch["images"].shape[1:3]])


def test_training_batches_obey_the_settings(config_of, monkeypatch):
    calls = []
    monkeypatch.setattr(
        inputs, "training_batches", lambda *a, **k: calls.append((a, k))
    )
    settings = {"images.canvases": [[96, 96]], "data.batch_size": 3, "seed": 5}
    settings |= {"data.train_short_sides": [48, 80], "images.resize": "caffe"}
    settings |= {"data.max_unreadable": 4, "data.cache": "memory"}
    settings |= {"data.num_workers": 3}
    examples = build_examples(config_of(settings), "train")
    for flip, difficult, start_epoch in (("true", "false", 0), ("false", "true", 2)):
        switches = {"data.flip": flip, "data.train_on_difficult": difficult}
        config = config_of(settings | switches)
        _, per_epoch, *_ = build_training_batches(config, examples, epoch=start_epoch)
        assert per_epoch == 2  # four images, three at a time
    same = {"batch_size": 3, "seed": 5, "proposals": None, "balance": None}
    same |= {"augmentation": NO_AUGMENTATION, "max_unreadable": 4}
    same |= {"cache": "memory", "num_workers": 3, "shard": None}
    resizing = Resizing((48, 80), 96, ((96, 96),), "caffe")
    assert [positional for positional, _ in calls] == [(examples, resizing)] * 2
    assert [settings for _, settings in calls] == [
        same | {"flip": True, "drop_difficult": True, "start_epoch": 0},
        same | {"flip": False, "drop_difficult": False, "start_epoch": 2},
    ]
