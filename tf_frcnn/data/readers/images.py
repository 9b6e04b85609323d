"""Images without annotations, to detect objects in."""

import os
from collections import Counter
from collections.abc import Sequence
from glob import glob
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_frcnn.data.checks.images import (
    IMAGE_ENDINGS,
    inspect_files,
    is_usable,
    read_decodable,
)
from tf_frcnn.data.checks.orientation import read_orientation
from tf_frcnn.data.checks.problems import DEFAULT_POLICY, DataError, Policy, Problems
from tf_frcnn.data.decoding.foreign import UnreadableImageError
from tf_frcnn.data.decoding.transforms import decode_image
from tf_frcnn.data.examples import ExampleSet, Record, StoredImages


def find_images(patterns: Sequence[str | Path]) -> list[Path]:
    """Lists the files of paths, folders and glob patterns, each once.

    A folder stands for all its files with the ending of an image, without subfolders.

    Raises:
        DataError: a file or folder does not exist, or a pattern or folder has no image.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            files = [p for p in path.iterdir() if p.suffix.lower() in IMAGE_ENDINGS]
        elif path.is_file():
            files = [path]
        else:
            files = [Path(p) for p in glob(str(pattern), recursive=True)]
        files = [file for file in files if file.is_file()]
        if not files:
            raise DataError(
                f"{pattern}: no image found; give a file, a folder or a pattern of "
                f"files that end in {', '.join(IMAGE_ENDINGS)}."
            )
        found |= dict.fromkeys(sorted(files))
    return list(found)


def listed_images(file: Path) -> list[Path]:
    """Returns the paths of a text file with one a line; empty lines are left out.

    Raises:
        DataError: it names no image, or is not UTF-8 text.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: it is not UTF-8 text, a path a line.") from error
    paths = [Path(line.strip()) for line in lines if line.strip()]
    if not paths:
        raise DataError(f"{file}: it names no image; give a path a line.")
    return paths


def print_skipped(patterns: Sequence[str | Path]) -> None:
    """Prints how many files of the folders `find_images` leaves out, by their ending.

    Args:
        patterns: as of `find_images`.
    """
    for folder in filter(Path.is_dir, map(Path, patterns)):
        others = [p for p in folder.iterdir() if p.suffix.lower() not in IMAGE_ENDINGS]
        counts = Counter(
            "folders" if path.is_dir() else path.suffix.lower() or "without ending"
            for path in others
        )
        if counts:
            words = ", ".join(f"{n} {ending}" for ending, n in counts.most_common())
            print(f"{folder}: not taken for images: {words}.")


def read_images(
    paths: Sequence[Path],
    class_names: Sequence[str] = (),
    *,
    policy: Policy = DEFAULT_POLICY,
) -> ExampleSet:
    """Reads images without annotations; unreadable ones are dropped and counted.

    Args:
        paths: the files; their paths are the image ids.
        class_names: the classes of the detections.
        policy: the action for unreadable images, and for all but black ones.

    Raises:
        DataError: no image is readable.
    """
    problems, records, files = Problems(policy), [], []
    for path, facts in zip(paths, inspect_files(paths, copies=True), strict=True):
        if is_usable(facts, str(path), problems):
            records.append(_record(path, facts))
            files.append(os.fsencode(facts.copy or path))
    if not records:
        problems.print()
        raise DataError(f"None of the {len(paths)} images is readable.")
    return ExampleSet(
        name=f"{len(records)} images",
        class_names=tuple(class_names),
        records=tuple(records),
        problems=problems,
        images=StoredImages(tf.constant(files), are_paths=True),
    )


def load_image(path: Path) -> np.ndarray:
    """Returns the upright image of a file, uint8 [h, w, 3], RGB.

    Raises:
        UnreadableImageError: it cannot be read or decoded.
    """
    data = read_decodable(path)
    try:
        with tf.device("CPU:0"):
            return decode_image(data, tf.constant(read_orientation(data))).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise UnreadableImageError(f"it is damaged ({error.message})") from error


def _record(path, facts):
    height, width = facts.upright_size
    return Record(
        image_id=str(path),
        source=str(path),
        height=height,
        width=width,
        orientation=facts.orientation,
        boxes=np.zeros([0, 4], np.float32),
        labels=np.zeros([0], np.int32),
        difficult=np.zeros([0], bool),
        crowd=np.zeros([0], bool),
    )
