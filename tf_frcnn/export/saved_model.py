"""Versions of a SavedModel: written beside, checked, then renamed into place."""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from tf_frcnn.data import ExampleSet, Resizing
from tf_frcnn.export.sample_requests import sample_requests
from tf_frcnn.export.signatures import Signatures
from tf_frcnn.export.verification import verify
from tf_frcnn.export.warmup import write_warmup
from tf_frcnn.faster_rcnn import FasterRCNN
from tf_frcnn.version import __version__

LABEL_MAP, CLASS_LIST = "assets/label_map.pbtxt", "assets/classes.txt"
INFO_FILE = "model_info.json"


def export_model(
    model: FasterRCNN,
    resizing: Resizing,
    directory: str | Path,
    samples: ExampleSet,
    *,
    version: int | None = None,
    max_megapixels: float = 50.0,
    info: Mapping | None = None,
) -> Path:
    """Writes a version of a SavedModel and checks it; see `signatures` for its outputs.

    Signatures, with B pictures:

        serving_default: `image_bytes` string [B], encoded JPEG, PNG, BMP or GIF.
        image_tensor: `image_tensor` uint8 [B, H, W, 3], RGB.
        preprocessed: `images` float32 [B, H, W, 3], RGB 0..255, on a canvas of the
            network; `image_sizes`, `scales`, `file_sizes` float32 [B, 2]; see
            `data.batching`.

    A version appears whole or not at all, and none is ever overwritten.

    Args:
        model: the detector.
        resizing: how pictures are brought to the network's size, with one short side.
        directory: versions are written to directory/1, directory/2, ...
        samples: pictures that the written model is tried on and warmed up with.
        version: the number; None for the one after the highest.
        max_megapixels: encoded pictures that claim to have more are refused.
        info: what model_info.json is to say besides versions and classes.

    Returns:
        The folder of the version.

    Raises:
        ExportError: the reloaded model's detections differ from the model's own.
        FileExistsError: the version exists.
        ValueError: the resizing has not exactly one short side, or the version or the
            limit is not positive.
    """
    resizing.require_one_short_side()
    _require_positive("version", 1 if version is None else version)
    _require_positive("max_megapixels", max_megapixels)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    _require_new(directory, version)
    requests = sample_requests(samples, resizing)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".part-") as folder:
        part = Path(folder) / "model"
        write_graph(model, resizing, part, max_megapixels)
        verify(part, model, resizing, samples, requests)
        write_warmup(part, requests)
        _write_classes(part, model.class_names)
        info = _version_info(model) | {"max_megapixels": max_megapixels} | (info or {})
        (part / INFO_FILE).write_text(json.dumps(info, indent=1, allow_nan=False))
        _require_new(directory, version)
        target = directory / str(version or _next_version(directory))
        os.rename(part, target)
    return target


def write_graph(
    model: FasterRCNN, resizing: Resizing, path: Path, max_megapixels: float
) -> None:
    """Writes the SavedModel itself."""
    archive = keras.export.ExportArchive()
    archive.track(model)
    signatures = Signatures(model, resizing, int(max_megapixels * 1e6))
    for name, (function, inputs) in signatures.with_inputs().items():
        archive.add_endpoint(name, function, inputs)
    archive.write_out(path, verbose=False)


def _require_positive(name, value):
    if value <= 0:
        raise ValueError(f"export: {name} = {value} must be positive.")


def _require_new(directory, version):
    if version is not None and (directory / str(version)).exists():
        raise FileExistsError(
            f"{directory / str(version)} exists, and a version is never overwritten; "
            f"the next free one is {_next_version(directory)}."
        )


def _next_version(directory):
    return (
        max((int(p.name) for p in directory.iterdir() if p.name.isdecimal()), default=0)
        + 1
    )


def _write_classes(path, class_names: Sequence[str]):
    items = [
        f"item {{\n  id: {number}\n  name: {json.dumps(name, ensure_ascii=False)}\n}}\n"
        for number, name in enumerate(class_names, start=1)
    ]
    (path / LABEL_MAP).parent.mkdir(exist_ok=True)
    (path / LABEL_MAP).write_text("".join(items), encoding="utf-8")
    names = "".join(f"{name}\n" for name in class_names)
    (path / CLASS_LIST).write_text(names, encoding="utf-8")


def _version_info(model):
    return {
        "versions": {
            "tf_frcnn": __version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
        "classes": list(model.class_names),
    }
