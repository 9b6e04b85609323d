"""The real builder, fed with tars of the official layout made on the spot."""

import hashlib
import tarfile

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

import tf_frcnn
from tf_frcnn.data.checks.problems import DataError, Policy
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.pipeline.batching import evaluation_batches, training_batches
from tf_frcnn.data.pipeline.streams import Stream
from tf_frcnn.data.readers import streamed
from tf_frcnn.data.readers.tfds_voc import read_tfds_voc
from tf_frcnn.data.readers.voc import read_voc

EXTRA = "<pose>Left</pose><truncated>0</truncated><difficult>{}</difficult>"
SPLITS = {
    "trainval": {"train": ["000001", "000002", "000004"], "val": ["000003"]},
    "test": {"test": ["000005", "000006"]},
}


def write_tar(make_voc, xml_of, file_of, image_of, folder, part):
    """Writes one of VOC 2007's two tars into the folder; returns its VOC folder."""
    voc = make_voc(folder / part / "VOCdevkit" / "VOC2007")
    for split, stems in SPLITS[part].items():
        voc.split(split, *stems)
        for stem in stems:
            number = int(stem)
            height, width = 40 + number, 61 + number
            image = image_of(height, width, number)
            voc.image(f"{stem}.jpg", file_of(image, "JPEG"))
            box = (1, 2 + number, 20 + number, height)
            objects = [
                xml_of("dog", *box, extra=EXTRA.format(0)),
                xml_of("person", 11.5, 5, width, 30, extra=EXTRA.format(1)),
            ]
            voc.annotation(stem, *objects[: number % 3], height=height, width=width)
    name = {
        "trainval": "VOCtrainval_06-Nov-2007.tar",
        "test": "VOCtest_06-Nov-2007.tar",
    }
    with tarfile.open(folder / name[part], "w") as tar:
        tar.add(folder / part / "VOCdevkit", "VOCdevkit")
    return voc


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, make_voc, xml_of, file_of, image_of):
    """Prepares voc/2007 offline; returns its data_dir and the two VOC folders."""
    folder = tmp_path_factory.mktemp("tars")
    makers = (make_voc, xml_of, file_of, image_of)
    vocs = {part: write_tar(*makers, folder, part) for part in SPLITS}
    data_dir = tmp_path_factory.mktemp("tfds")
    builder = tfds.builder("voc/2007", data_dir=data_dir)
    for url, info in list(builder.url_infos.items()):
        path = folder / info.filename
        if path.exists():
            data = path.read_bytes()
            checksum = hashlib.sha256(data).hexdigest()
            builder.url_infos[url] = tfds.download.checksums.UrlInfo(
                tfds.core.utils.Size(len(data)), checksum, path.name
            )
    builder.download_and_prepare(
        download_dir=data_dir / "downloads",
        download_config=tfds.download.DownloadConfig(manual_dir=folder),
    )
    return data_dir, {part: voc.root for part, voc in vocs.items()}


def by_id(examples):
    return {record.image_id: record for record in examples.records}


@pytest.mark.parametrize(
    ("split", "part", "voc_split"),
    [("2007", "trainval", "train+val"), ("07/test", "test", "test")],
)
def test_records_equal_those_read_from_the_same_files(prepared, split, part, voc_split):
    data_dir, roots = prepared
    examples = read_tfds_voc(data_dir, split)
    folder = read_voc(roots[part], voc_split, class_names=examples.class_names)
    read, expected = by_id(examples), by_id(folder)
    assert read.keys() == expected.keys()
    for image_id, record in read.items():
        same = expected[image_id]
        assert (record.height, record.width) == (same.height, same.width)
        np.testing.assert_array_equal(record.boxes, same.boxes)
        np.testing.assert_array_equal(record.labels, same.labels)
        np.testing.assert_array_equal(record.difficult, same.difficult)


def test_the_twenty_classes_are_vocs(prepared):
    examples = read_tfds_voc(prepared[0], "2007/train")
    assert len(examples.class_names) == 20
    assert examples.class_names[11] == "dog" and examples.class_names[14] == "person"


def test_a_sum_of_splits_equals_its_short_form(prepared):
    data_dir, _ = prepared
    long = read_tfds_voc(data_dir, "2007/train+2007/validation")
    short = read_tfds_voc(data_dir, "07")
    assert by_id(long).keys() == by_id(short).keys() and len(short.records) == 4


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_each_image_comes_once_with_its_own_index(prepared, seed):
    data_dir, roots = prepared
    examples = read_tfds_voc(data_dir, "07")
    seed = None if seed is None else tf.constant(seed, tf.int64)
    pairs = list(examples.stream(seed).as_numpy_iterator())
    assert sorted(index for index, _ in pairs) == [0, 1, 2, 3]
    for index, data in pairs:
        name = f"{examples.records[index].image_id}.jpg"
        assert data == (roots["trainval"] / "JPEGImages" / name).read_bytes()


def test_subsets_leave_out_the_other_images(prepared):
    examples = read_tfds_voc(prepared[0], "07/train")
    subset = examples.subset([0, 2]).subset([1])
    (index, data), *others = subset.stream().as_numpy_iterator()
    expected = dict(examples.stream().as_numpy_iterator())[2]
    assert index == 0 and data == expected and not others
    assert subset.records == (examples.records[2],)


@pytest.mark.slow
def test_resumed_training_sees_what_uninterrupted_training_sees(prepared):
    examples = read_tfds_voc(prepared[0], "07")
    resizing = Resizing((32,), 64, ((64, 64),))
    settings = {"batch_size": 1, "flip": True, "drop_difficult": True, "seed": 3}

    def ids(start_epoch, number):
        batches = training_batches(
            examples, resizing, start_epoch=start_epoch, **settings
        )
        taken = batches.take(number).as_numpy_iterator()
        return [
            (batch["image_ids"][0], batch["images"].sum(), batch["labels"].max())
            for batch in taken
        ]

    whole = ids(0, 24)
    assert ids(4, 8) == whole[16:]
    epochs = [tuple(whole[k : k + 4]) for k in range(0, 24, 4)]
    assert all(len({image_id for image_id, *_ in epoch}) == 4 for epoch in epochs)
    assert len({tuple(image_id for image_id, *_ in epoch) for epoch in epochs}) > 1


def test_fewer_classes_need_a_policy_for_the_others(prepared):
    with pytest.raises(DataError, match="'person' is not one of the classes dog"):
        read_tfds_voc(prepared[0], "07", class_names=["dog"])
    examples = read_tfds_voc(
        prepared[0],
        "07",
        class_names=["dog"],
        policy=Policy({"unknown_class": "drop"}),
    )
    assert {label for r in examples.records for label in r.labels} == {0}
    assert examples.problems.counts()["unknown_class"] == 1


def test_images_without_objects_stay_and_are_counted(prepared):
    examples = read_tfds_voc(prepared[0], "07")
    assert examples.problems.files("empty_annotation") == ["000003.jpg"]


def test_images_that_were_inspected_are_not_inspected_again(prepared, monkeypatch):
    examples = read_tfds_voc(prepared[0], "07")
    monkeypatch.setattr(streamed, "inspect_image", None)
    again = read_tfds_voc(prepared[0], "07")
    assert again.problems.rows == examples.problems.rows
    for record, same in zip(again.records, examples.records, strict=True):
        assert record[:5] == same[:5]
    monkeypatch.setenv("TF_FRCNN_CACHE", "")
    with pytest.raises(TypeError):
        read_tfds_voc(prepared[0], "07")


def test_data_not_prepared_is_an_error_that_says_how_to_prepare_it(tmp_path):
    with pytest.raises(DataError) as error:
        read_tfds_voc(tmp_path, "12")
    assert str(error.value) == (
        f"{tmp_path}/voc/2012/5.0.0 does not exist. Prepare it by `tfds build voc/2012 "
        f"--data_dir {tmp_path}`; without a network, put VOCtrainval_11-May-2012.tar "
        f"and VOC2012test.tar into {tmp_path}/downloads/manual first."
    )


def test_a_failed_download_is_one_clear_error(tmp_path, monkeypatch):
    def fail(self, **_):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(DataError) as error:
        read_tfds_voc(tmp_path, "07", download=True)
    assert str(error.value).startswith(
        "voc/2007 could not be downloaded (no route to host). Prepare it by"
    )


@pytest.mark.parametrize("split", ["2010", "07/tset", "", "07++12"])
def test_an_impossible_split_is_answered_with_the_possible_ones(split):
    with pytest.raises(DataError, match="write YEAR/SPLIT or YEAR with a year of 07"):
        read_tfds_voc(None, split)


def test_boxes_of_a_mocked_builder_are_read_too(tmp_path, image_of, file_of):
    """Examples pass through the builder's own features, as stored ones do."""
    image = file_of(image_of(50, 80), "JPEG")
    drawn = {
        "label": "cat",
        "bbox": tfds.features.BBox(0.02, 0.0125, 0.5, 1.0),
        "pose": "left",
        "is_truncated": False,
        "is_difficult": True,
    }
    example = {
        "image": image,
        "image/filename": "a.jpg",
        "objects": [drawn],
        "labels": ["cat"],
        "labels_no_difficult": [],
    }

    def as_dataset(builder, split, decoders=None, **_):
        features = builder.info.features
        serialized = features.serialize_example(features.encode_example(example))
        asked = decoders.extract_features(features)
        return tf.data.Dataset.from_tensors(serialized).map(
            lambda data: asked.deserialize_example(data, decoders=decoders.decoders)
        )

    with tfds.testing.mock_data(as_dataset_fn=as_dataset):
        examples = read_tfds_voc(tmp_path, "07/test", download=True)
    np.testing.assert_array_equal(examples.records[0].boxes, [[0, 0, 25, 80]])
    np.testing.assert_array_equal(examples.records[0].difficult, [True])
    assert examples.class_names[examples.records[0].labels[0]] == "cat"
    assert next(examples.stream().as_numpy_iterator()) == (0, image)


def stream_of(prepared, split, **settings):
    data_dir, _ = prepared
    return tfds.load("voc/2007", split=split, data_dir=data_dir, **settings)


@pytest.mark.slow
@pytest.mark.parametrize("encoded", [False, True])
def test_the_builders_own_dataset_has_the_same_objects(prepared, encoded):
    examples = read_tfds_voc(prepared[0], "07")
    decoders = {"image": tfds.decode.SkipDecoding()} if encoded else None
    dataset = stream_of(prepared, "train+validation", decoders=decoders)
    resizing = Resizing((64,), 128, 32)
    stream = Stream(dataset, resizing, num_classes=20)
    batches = evaluation_batches(examples, resizing, batch_size=1)
    expected = {tuple(batch["file_sizes"][0].numpy()): batch for batch in batches}
    found = list(stream.evaluation_batches(batch_size=1))
    assert len(found) == len(expected) == stream.num_images == 4
    for batch in found:
        same = expected[tuple(batch["file_sizes"][0].numpy())]
        count = np.sum(same["labels"] >= 0)
        for name in ("boxes", "labels", "difficult"):
            np.testing.assert_array_equal(batch[name][:, :count], same[name][:, :count])
        for labels in (batch["labels"], same["labels"]):
            assert np.all(labels[:, count:] == -1)
        if encoded:  # TensorFlow Datasets decodes JPEGs faster and less exactly.
            np.testing.assert_array_equal(batch["images"], same["images"])


@pytest.mark.slow
def test_a_model_is_fitted_to_the_builders_dataset_as_it_stands(prepared):
    dataset = stream_of(prepared, "train+validation")
    model = tf_frcnn.FasterRCNN.from_preset(
        "quickstart", num_classes=20, images={"short_side": 64, "long_side": 128}
    )
    model.compile()
    history = model.fit(dataset, validation_data=dataset, epochs=2, verbose=0).history
    assert len(history["loss"]) == 2 and np.isfinite(history["val_loss"]).all()
    found = model.predict(stream_of(prepared, "test"), verbose=0)
    assert len(found["boxes"]) == 2
