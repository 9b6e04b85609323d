"""Files as strangers send them: small sound ones, changed at random places from a seed.

`FORMS` has for each form a function that writes sound files, the pattern of those that
are changed, and a function that reads them.
"""

import functools
import json
import random
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import tensorflow as tf

from tests.helpers.torch_files import tensor
from tf_frcnn.checkpoints.files import read_checkpoint
from tf_frcnn.config import load_config
from tf_frcnn.data import make_shapes, write_voc
from tf_frcnn.data.coco_writer import write_coco
from tf_frcnn.data.decoding.pictures import read_picture
from tf_frcnn.data.readers import read_data
from tf_frcnn.data.readers.images import read_images
from tf_frcnn.runs.inference import find_weights
from tf_frcnn.runs.safe_files import checksum
from tf_frcnn.runs.settings_files import run_classes, run_config

# What is put in where a file's own bytes stood.
_TOKENS = (
    *(b"../../../etc/passwd", b"/etc/passwd", b"/dev/zero", b"\\\\host\\share", b"."),
    *(
        b"&a [*a]",
        b"*a",
        b"!!int ''",
        b"!!python/name:os.system",
        b"{",
        b"[",
        b"- ",
        b":",
    ),
    *(b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>', b"&b;", b"<a>", b"</"),
    *(
        b"null",
        b"true",
        b"{}",
        b"[]",
        b'""',
        b"1e999",
        b"NaN",
        b"-Infinity",
        b"-1",
        b"0",
    ),
    *(b"9" * 400, b"1e-400", b"0x", b"4294967296", b"-9223372036854775809", b"1:1:1"),
    *(
        b"\0",
        b"\n",
        b"\r\n",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xc3\x28",
        b"\x1b[2J",
        b",",
    ),
    *(b"\xed\xa0\x80", "‮é".encode(), b"{" * 2000, b"[" * 2000, b"<a>" * 2000),
)


class Form(NamedTuple):
    """A form of files.

    Attributes:
        write: makes sound files in a folder.
        pattern: of those that are changed.
        read: reads the folder; returns how many faults were counted.
    """

    write: Callable[[Path], None]
    pattern: str
    read: Callable[[Path], int]


def change(data: bytes, draw: random.Random) -> bytes:
    """Returns a file's bytes with one to four changes."""
    for _ in range(draw.randrange(1, 5)):
        start = draw.randrange(len(data) + 1)
        end = min(len(data), start + draw.choice([0, 1, 1, 4, 20, len(data)]))
        part = draw.choice(
            [
                draw.choice(_TOKENS),
                draw.choice(_TOKENS),
                b"",
                data[start:end] * draw.choice([2, 3, 100]),
                draw.randbytes(end - start),
                bytes(b ^ 1 << draw.randrange(8) for b in data[start:end]),
            ]
        )
        if draw.random() < 0.3:  # A number or a word of its own.
            start, end = _word(data, start)
        data = (data[:start] + part + data[end:])[: 2**20]
    return data


def _word(data, at):
    """Returns the (start, end) of the word around a place."""
    start = end = at
    while start and data[start - 1 : start].isalnum():
        start -= 1
    while end < len(data) and data[end : end + 1].isalnum():
        end += 1
    return start, end


def changed_folder(form: Form, folder: Path, seed: str) -> None:
    """Writes a form's sound files and changes one of them."""
    draw = random.Random(seed)
    form.write(folder)
    files = sorted(path for path in folder.glob(form.pattern) if path.is_file())
    file = draw.choice(files)
    file.write_bytes(change(file.read_bytes(), draw))


@functools.cache
def _contents(write):
    """Returns the (name, bytes) of the files that a function writes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        files = [path for path in folder.rglob("*") if path.is_file()]
        return [(str(path.relative_to(folder)), path.read_bytes()) for path in files]


def _again(write):
    """Returns a function that writes the same files, which are made once."""

    def write_again(folder):
        for name, data in _contents(write):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    return write_again


def _voc(folder):
    write_voc(make_shapes(2, seed=1), folder, "train")


def _coco(folder):
    write_coco(make_shapes(2, seed=1), folder, "train")


def _images(folder):
    """Writes a.png and b.jpg; returns their bytes."""
    from tests.helpers.image_files import IMAGE, encode

    (folder / "a.png").write_bytes(encode(IMAGE, "PNG"))
    (folder / "b.jpg").write_bytes(encode(IMAGE, "JPEG"))


def _csv(folder):
    _images(folder)
    header = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    rows = "a.png,44,30,cat,1,2,20,21\nb.jpg,44,30,dog,3,4,30,25\n"
    (folder / "train.csv").write_text(header + rows)


def _yolo(folder):
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
    _images(folder / "images")
    for name in ("a", "b"):
        text = "0 0.5 0.5 0.25 0.5\n1 0.4 0.4 0.2 0.2\n"
        (folder / "labels" / f"{name}.txt").write_text(text)
    text = "path: .\ntrain: images\nnc: 2\nnames:\n  0: cat\n  1: dog\n"
    (folder / "data.yaml").write_text(text)


def _tfrecord(folder):
    _images(folder)
    feature = {"image/encoded": (folder / "a.png").read_bytes()}
    for side, value in {"ymin": 0.1, "xmin": 0.2, "ymax": 0.7, "xmax": 0.8}.items():
        feature[f"image/object/bbox/{side}"] = value
    feature |= {"image/object/class/text": b"cat", "image/object/class/label": 1}
    example = tf.train.Example()
    for name, value in feature.items():
        kind = {bytes: "bytes_list", float: "float_list", int: "int64_list"}[
            type(value)
        ]
        getattr(example.features.feature[name], kind).value.append(value)
    (folder / "example").write_bytes(example.SerializeToString())
    _write_record(folder)
    text = "item {\n  id: 1\n  name: 'cat'\n}\nitem {\n  id: 2\n  name: 'dog'\n}\n"
    (folder / "label_map.pbtxt").write_text(text)


def _write_record(folder):
    with tf.io.TFRecordWriter(str(folder / "train.record")) as writer:
        writer.write((folder / "example").read_bytes())


def _read_example(folder):
    _write_record(folder)
    return _faults("tfrecord")(folder)


def _settings(folder):
    text = "base: vgg16_voc07\nseed: 3\nimages: {short_side: 300, long_side: 400}\n"
    more = "anchors:\n  scales: [4, 8]\ndata: {class_names: [cat, dog]}\n"
    (folder / "a.yaml").write_text(text + more)


def _run_folder(folder):
    (folder / "weights").mkdir()
    (folder / "weights" / "best.weights.h5").write_bytes(b"x")
    (folder / "config.yaml").write_text("seed: 3\nbackbone: {name: tiny}\n")
    (folder / "classes.txt").write_text("cat\ndog\n")
    files = {n: checksum(folder / n) for n in ("config.yaml", "classes.txt")}
    file = "weights/best.weights.h5"
    best = {"file": file, "sha256": checksum(folder / file), "figure": "val_mAP"}
    checkpoint = {
        "file": file,
        "sha256": best["sha256"],
        "losses": {"loss": [1.0, 2.0]},
    }
    state = {"files": files, "best": best, "checkpoints": [checkpoint]}
    (folder / "state.json").write_text(json.dumps(state, indent=1))


def _read_run(folder):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        load_config(run_config(folder))
        run_classes(folder)
        find_weights(folder)
    return len(told)


def _torch(folder):
    parts = {"archive/data.pkl": b"(V%s\n" % b"w" + tensor() + b"d."}
    parts |= {"archive/data/0": np.arange(4, dtype=np.float32).tobytes()}
    with zipfile.ZipFile(folder / "a.pth", "w") as file:
        for name, data in parts.items():
            file.writestr(name, data)


def _keras(folder):
    with h5py.File(folder / "a.weights.h5", "w") as file:
        file["layers/conv/vars/0"] = np.ones([3, 3], np.float32)


def _read_weights(pattern):
    def read(folder):
        read_checkpoint(next(folder.glob(pattern)))
        return 0

    return read


def _read_pictures(folder):
    paths = [folder / "a.png", folder / "b.jpg"]
    for path in paths:
        read_picture(path, path.name)
    read_images(paths)
    return 0


def _faults(reader, **settings):
    def read(folder):
        examples = read_data(reader, folder, "train", **settings)
        return sum(examples.problems.counts().values())

    return read


FORMS: dict[str, Form] = {
    "VOC XML": Form(_again(_voc), "Annotations/*.xml", _faults("voc")),
    "split files": Form(_again(_voc), "ImageSets/Main/*.txt", _faults("voc")),
    "COCO JSON": Form(_again(_coco), "annotations/*.json", _faults("coco")),
    "CSV": Form(_csv, "*.csv", _faults("csv")),
    "TFRecord": Form(_tfrecord, "train.record", _faults("tfrecord")),
    "TFRecord, its example": Form(_tfrecord, "example", _read_example),
    "label map": Form(_tfrecord, "*.pbtxt", _faults("tfrecord")),
    "YOLO YAML": Form(_yolo, "data.yaml", _faults("yolo")),
    "YOLO labels": Form(_yolo, "labels/*.txt", _faults("yolo")),
    "configuration": Form(
        _settings, "a.yaml", lambda f: load_config(f / "a.yaml") and 0
    ),
    "pictures": Form(_images, "*", _read_pictures),
    "checkpoint .pth": Form(_torch, "a.pth", _read_weights("a.pth")),
    "checkpoint .h5": Form(_keras, "*.h5", _read_weights("*.h5")),
    "run folder": Form(_run_folder, "*.*", _read_run),
}


def outcome_of(form: Form, folder: Path) -> tuple[str, Any]:
    """Reads a folder; returns the name of what came of it, and the error or None."""
    try:
        return ("counted" if form.read(folder) else "read"), None
    except (ValueError, OSError) as error:
        is_clear = len(str(error).splitlines()) == 1 and not _is_pythons(error)
        return ("clear error" if is_clear else "crash"), error
    except MemoryError as error:
        return "memory", error
    except Exception as error:
        return "crash", error


def _is_pythons(error):
    """Says whether Python's own parts raised an error, which names no file."""
    return type(error).__name__ in ("UnicodeDecodeError", "JSONDecodeError")
