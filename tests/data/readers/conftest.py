"""Writes images and small data sets of one image in every form."""

import json

import numpy as np
import pytest
import tensorflow as tf

# (ymin, xmin, ymax, xmax) of a cat in an image of 40 x 80 pixels.
CAT = (10.0, 20.0, 30.0, 60.0)


@pytest.fixture(scope="session")
def write_image(image_of, file_of):
    """The function that writes an image of a size and makes the folders for it."""

    def write(path, height=40, width=80, kind="PNG", seed=0, **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file_of(image_of(height, width, seed), kind, **options))
        return path

    return write


@pytest.fixture(scope="session")
def turned_exif():
    """Pillow's Exif data of an image that is to be turned to the right."""
    from PIL import Image

    exif = Image.Exif()
    exif[274] = 6
    return exif


def coco_json(path, images, annotations=(), categories=((1, "cat"), (3, "dog"))):
    """Writes a COCO JSON file of (id, file_name) and whole annotations."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "images": [
            one if isinstance(one, dict) else {"id": one[0], "file_name": one[1]}
            for one in images
        ],
        "annotations": [
            {"id": number, "iscrowd": 0, **one}
            for number, one in enumerate(annotations, 1)
        ],
        "categories": [{"id": key, "name": name} for key, name in categories],
    }
    path.write_text(json.dumps(content))
    return path


@pytest.fixture(scope="session")
def write_coco_json():
    """The function `coco_json`."""
    return coco_json


def tf_example(encoded, boxes=(), texts=(), labels=(), **more):
    """Returns a `tf.train.Example` of the Object Detection API, serialized."""

    def feature(values):
        values = list(values)
        if values and isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if values and isinstance(values[0], float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    features = {"image/encoded": feature([encoded])}
    columns = np.array(boxes, float).reshape(-1, 4).T.tolist()
    for side, column in zip(("ymin", "xmin", "ymax", "xmax"), columns, strict=True):
        more[f"object__bbox__{side}"] = column
    more |= {"object__class__text": [t.encode() for t in texts]}
    more |= {"object__class__label": labels}
    for name, values in more.items():
        if values:
            features["image/" + name.replace("__", "/")] = feature(values)
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString()


def records_file(path, examples):
    """Writes serialized examples; a name that ends in .gz is compressed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = "GZIP" if path.suffix == ".gz" else ""
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for example in examples:
            writer.write(example)
    return path


@pytest.fixture(scope="session")
def example_of():
    """The function `tf_example`."""
    return tf_example


@pytest.fixture(scope="session")
def write_records():
    """The function `records_file`."""
    return records_file


@pytest.fixture(scope="session")
def in_every_form(write_image, voc_of_one):
    """The function that writes one image with a cat in the form of a reader."""

    def write(reader, root):
        if reader == "voc":
            return voc_of_one(root)
        image = write_image(root / "images" / "train" / "a.png")
        ymin, xmin, ymax, xmax = CAT
        if reader == "coco":
            box = {"image_id": 1, "category_id": 1, "bbox": [xmin, ymin, 40, 20]}
            file = root / "annotations" / "instances_train.json"
            coco_json(file, [(1, "a.png")], [box], [(1, "cat")])
        elif reader == "yolo":
            (root / "data.yaml").write_text("train: images/train\nnames: [cat]\n")
            (root / "labels" / "train").mkdir(parents=True)
            (root / "labels" / "train" / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
        elif reader == "csv":
            header = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
            row = f"a.png,80,40,cat,{xmin},{ymin},{xmax},{ymax}\n"
            (root / "train.csv").write_text(header + row)
        elif reader == "tfrecord":
            shares = np.array(CAT) / [40, 80, 40, 80]
            example = tf_example(
                image.read_bytes(), [shares], ["cat"], [1], filename=[b"a.png"]
            )
            records_file(root / "train.record", [example])
        return root

    return write


@pytest.fixture(scope="session")
def voc_of_one(make_voc, xml_of):
    """The function that writes a VOC folder of one image with a cat."""

    def write(root):
        voc = make_voc(root)
        ymin, xmin, ymax, xmax = CAT
        box = xml_of("cat", xmin + 1, ymin + 1, xmax, ymax)
        voc.example("a", box, height=40, width=80)
        voc.split("train", "a")
        return root

    return write
