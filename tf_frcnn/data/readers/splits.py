"""The splits that data sets have, for those who want all of them."""

from collections.abc import Callable
from pathlib import Path

from tf_frcnn.data.checks.listing import Listing
from tf_frcnn.data.checks.problems import DataError, Problems
from tf_frcnn.data.readers.coco import coco_splits
from tf_frcnn.data.readers.csv_table import csv_splits
from tf_frcnn.data.readers.forms import form_advice, recognised_reader
from tf_frcnn.data.readers.locating import existing_location
from tf_frcnn.data.readers.shapes import SPLIT_SEEDS
from tf_frcnn.data.readers.tfds import tfds_splits
from tf_frcnn.data.readers.tfrecord import tfrecord_splits
from tf_frcnn.data.readers.voc_layout import places_in
from tf_frcnn.data.readers.yolo import yolo_splits


def voc_splits(location: str | Path) -> list[str]:
    """Returns the names of a VOC folder's splits, without its lists for one class.

    Without lists they are the subfolders that are named like splits.
    """
    place = existing_location(location, "a VOC folder")
    names = sorted(path.stem for path in place.glob("ImageSets/Main/*.txt"))
    ends = {f"_{name}" for name in names}
    kept = [n for n in names if not any(n.endswith(end) for end in ends)]
    return kept or _folder_splits(place) or [""]


def _folder_splits(place: Path) -> list[str]:
    places = places_in(place, Listing(place, Problems())) if place.is_dir() else []
    return [one.prefix.rstrip("/") for one in places if one.prefix]


# Name of a reader -> function of a location, and of settings of the reader, that
# returns the names of its splits; "" stands for a data set without splits.
SPLIT_LISTS: dict[str, Callable[..., list[str]]] = {
    "voc": voc_splits,
    "coco": coco_splits,
    "yolo": yolo_splits,
    "csv": csv_splits,
    "tfrecord": tfrecord_splits,
    "tfds": tfds_splits,
    "shapes": lambda location: [*SPLIT_SEEDS],
}


def reader_for(location: str | Path) -> str:
    """Returns the name of the reader for a data set, by the names of its files.

    Raises:
        DataError: it does not exist, or no reader reads its form.
    """
    place = existing_location(location, "a folder or a file of data")
    reader = recognised_reader(place)
    if reader is None:
        raise DataError(f"{place}: no reader for it.{form_advice(place)}")
    return reader
