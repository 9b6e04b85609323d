"""Exported versions, used as the model that they were made of."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import yaml

from tf_frcnn.config import dump_config, load_config, make_config
from tf_frcnn.export.versions import INFO_FILE, SAVED_MODEL, is_version, versions_in
from tf_frcnn.models.inputs import build_resizing
from tf_frcnn.runs.inference import weights_checksum
from tf_frcnn.runs.settings_files import run_config


class ExportedDetector:
    """The SavedModel of a version, which detects objects in batches as its model did.

    Args:
        version: the folder.

    Attributes:
        class_names: of the K classes.
        settings: the configuration of the model.
        resizing: how images are brought to the network's size.

    Raises:
        FileNotFoundError: the folder is no version of a SavedModel.
    """

    def __init__(self, version: Path):
        info = read_info(version)
        self.class_names = tuple(info["classes"])
        self.settings = make_config(info["config"], str(version / INFO_FILE))
        self.resizing = build_resizing(self.settings.images)
        # Without it the signatures have no variables.
        self._model = tf.saved_model.load(str(version))
        self._detect = self._model.signatures["preprocessed"]
        self._detect_in_whole = self._model.signatures["image_tensor"]

    def predict_on_batch(self, batch: dict[str, tf.Tensor]) -> dict[str, np.ndarray]:
        """Returns `Detections` of a batch as a dict of arrays.

        Args:
            batch: `images`, `image_sizes`, `scales` and `file_sizes`, see
                `data.pipeline.batching`.
        """
        return _detections(self._detect(**batch), batch["file_sizes"])

    def detect_in_tiles(self, image: tf.Tensor) -> dict[str, np.ndarray]:
        """Returns the `Detections` of one image, cut as the model's settings have it.

        Args:
            image: uint8 [h, w, 3], RGB.

        Returns:
            Arrays without the axis of the batch, and `file_sizes` [2].
        """
        size = np.array(image.shape[:2], np.float32)
        outputs = self._detect_in_whole(image_tensor=image[tf.newaxis])
        found = _detections(outputs, size[np.newaxis])
        return {name: values[0] for name, values in found.items()} | {
            "file_sizes": size
        }


def _detections(outputs, file_sizes):
    """Returns `Detections` as a dict of arrays, of what a signature returned."""
    found = {name: value.numpy() for name, value in outputs.items()}
    labels = found["detection_classes"].astype(np.int32) - 1
    sides = np.tile(file_sizes, 2)[:, np.newaxis]  # [B, 1, 4]
    return {
        "boxes": found["detection_boxes"] * sides,
        "scores": found["detection_scores"],
        "labels": labels,
        "valid": labels >= 0,
    }


def read_info(version: Path) -> dict[str, Any]:
    """Returns what model_info.json says of a version.

    Raises:
        FileNotFoundError: the folder is no version of a SavedModel.
        ValueError: it does not tell the configuration.
    """
    if not is_version(version, SAVED_MODEL):
        raise FileNotFoundError(
            f"{version} is no exported model: it has no saved_model.pb or no "
            f"{INFO_FILE}. Give a folder that tf-frcnn export printed, such as "
            "exported/1."
        )
    info = json.loads((version / INFO_FILE).read_text())
    if "config" not in info:
        raise ValueError(
            f"{version / INFO_FILE} has no config, which says how images are resized; "
            "export the run by tf-frcnn export, or model.export."
        )
    return info


def find_export(
    run_folder: Path, versions: Path, overrides: Sequence[str] = ()
) -> Path | None:
    """Returns the highest version with a run's settings and weights; None for none.

    Args:
        run_folder: the run.
        versions: folder of the versions; need not exist.
        overrides: settings that replace those of the run.
    """
    config = load_config(run_config(run_folder), overrides)
    expected = {
        "config": yaml.safe_load(dump_config(config)),
        "weights": weights_checksum(run_folder),
    }
    for version in sorted(versions_in(versions), key=lambda v: int(v.name))[::-1]:
        if is_version(version, SAVED_MODEL):
            info = read_info(version)
            if {name: info.get(name) for name in expected} == expected:
                return version
    return None
