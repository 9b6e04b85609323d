"""Reads COCO JSON files of object instances, in the layouts that tools write."""

from collections.abc import Sequence
from pathlib import Path

from tf_frcnn.data.checks.facts_cache import FactsCache
from tf_frcnn.data.checks.problems import DEFAULT_POLICY, DataError, Policy, Problems
from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.data.readers.coco_json import read_coco_json
from tf_frcnn.data.readers.described import (
    DescribedImage,
    find_described,
    read_described,
)
from tf_frcnn.data.readers.forms import form_advice
from tf_frcnn.data.readers.locating import (
    chosen_splits,
    existing_location,
    files_by_split,
    image_folders,
    root_of,
)

LAYOUTS = (
    "annotations/instances_*.json",
    "*/_annotations.coco.json",  # Roboflow
    "annotations/*.json",
    "*/labels.json",  # FiftyOne
    "*/annotations.json",
    "*.json",  # Label Studio: result.json
)
_NEEDED = "the folder of COCO's JSON files, or a file"


def read_coco(
    location: str | Path | None,
    split: str,
    *,
    class_names: Sequence[str] = (),
    policy: Policy = DEFAULT_POLICY,
    follow_links: bool = True,
) -> ExampleSet:
    """Reads splits of a data set in COCO's JSON.

    Boxes [x, y, width, height] are continuous and count from 0. Images without
    annotations are examples without objects. Regions with `iscrowd` are crowds; objects
    with `ignore` and those with the attribute `difficult` are marked difficult.

    Args:
        location: the folder that holds the JSON file, or `annotations`, and the images;
            or the file itself.
        split: a name such as "train2017", or a sum such as "train+val". A data set of
            one file that names no split is read as a whole under any name.
        class_names: K names. Empty: those of the categories, in the order of their ids.
        policy: the action for each kind of fault.
        follow_links: False leaves out images outside the folder.

    Raises:
        DataError: there is no such file or split, no image can be used, or the policy
            says so.

    Source: Lin et al. 2014; pycocotools 2.0, `COCO.createIndex`.
    """
    place = existing_location(location, _NEEDED)
    root, files = root_of(place), files_by_split(place, LAYOUTS)
    if not files:
        raise DataError(
            f"{place} holds no COCO JSON file; looked for {', '.join(LAYOUTS)}."
            f"{form_advice(place, 'coco')}"
        )
    problems = Problems(policy)
    described: list[DescribedImage] = []
    names: dict[str, None] = {}
    for name, path in chosen_splits(files, split, place):
        with FactsCache(path) as cache:
            file = read_coco_json(path, problems, cache)
        folders = image_folders(root, path, name)
        described += find_described(file.images, folders, problems, path.name)
        names |= dict.fromkeys(file.class_names)
    class_names = tuple(class_names) or tuple(names)
    if not class_names:
        raise DataError(f"{place}: {split} has no category; give class_names.")
    return read_described(
        f"{place}:{split}",
        described,
        class_names,
        problems,
        root,
        follow_links=follow_links,
    )


def coco_splits(location: str | Path) -> list[str]:
    """Returns the names of the splits; "" stands for a data set without splits."""
    return [*files_by_split(existing_location(location, _NEEDED), LAYOUTS)]
