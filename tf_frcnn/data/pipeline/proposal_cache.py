"""Proposals that were computed once for a whole data set, and their file."""

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tf_frcnn.data.checks.problems import FILES_NAMED, DataError


class CachedProposals(NamedTuple):
    """Proposals of all images of a data set, a row for each.

    Attributes:
        boxes: float32 [n, P, 4] in pixels of the upright image as it is stored; zero
            in padded rows.
        valid: bool [n, P], False in padded rows.
    """

    boxes: np.ndarray
    valid: np.ndarray


def write_proposals(
    path: str | Path, proposals: CachedProposals, image_ids: Sequence[str]
) -> None:
    """Writes proposals as an .npz file without pickles.

    The file is written beside its place and then moved, so that an interrupted write
    leaves an older file as it was.

    Args:
        path: the file; its folder exists.
        proposals: of n images.
        image_ids: n different names.

    Raises:
        DataError: the rows are not as many as the names, or a name is repeated.
    """
    path = Path(path)
    rows = {len(proposals.boxes), len(proposals.valid), len(set(image_ids))}
    if rows != {len(image_ids)}:
        raise DataError(
            f"{path}: {len(image_ids)} image ids, {len(set(image_ids))} of them "
            f"different, for {len(proposals.boxes)} rows of boxes and "
            f"{len(proposals.valid)} of valid."
        )
    part = path.with_name("part." + path.name)
    with open(part, "wb") as file:
        np.savez(
            file,
            image_ids=np.array(image_ids, np.str_),
            boxes=np.asarray(proposals.boxes, np.float32),
            valid=np.asarray(proposals.valid, bool),
        )
    os.replace(part, path)


def read_proposals(path: str | Path, image_ids: Sequence[str]) -> CachedProposals:
    """Reads the proposals of a data set's images, in the set's order.

    Args:
        path: a file of `write_proposals`.
        image_ids: the n images, as the file has them, in any order.

    Raises:
        DataError: the file does not exist, is not a file of proposals, or holds those
            of other images.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file of proposals.")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found_ids, boxes, valid = (
                arrays[name] for name in ("image_ids", "boxes", "valid")
            )
    except (TypeError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a file of proposals ({error}).") from error
    row_of = {image_id: row for row, image_id in enumerate(found_ids.tolist())}
    missing = [image_id for image_id in image_ids if image_id not in row_of]
    unknown = sorted(row_of.keys() - set(image_ids))
    if missing or unknown:
        raise DataError(
            f"{path} holds the proposals of {len(row_of)} images, not those of the "
            f"{len(image_ids)} asked for: it lacks {_some(missing)}, and "
            f"{_some(unknown)} were not asked for; compute the proposals anew."
        )
    rows = [row_of[image_id] for image_id in image_ids]
    return CachedProposals(boxes[rows], valid[rows])


def _some(names: Sequence[str]) -> str:
    """Returns the number of the names and the first of them."""
    first = ", ".join(names[:FILES_NAMED]) + ", ..." * (len(names) > FILES_NAMED)
    return f"{len(names)} ({first})" if names else "none"
