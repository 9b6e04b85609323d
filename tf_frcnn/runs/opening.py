"""The splits of a run, opened before its first step."""

import numpy as np

from tf_frcnn.assembly import Splits
from tf_frcnn.config import Config
from tf_frcnn.data import ExampleSet, MissingSplitError


def open_splits(config: Config, splits: Splits) -> str:
    """Reads all splits that a run needs, so that none is missed after hours.

    What would spoil the run's figures is printed: images that are in two splits, and
    classes that have no object to learn from.

    Args:
        config: the configuration.
        splits: its splits.

    Returns:
        The split of the final evaluation: "test"; "validation" if there is no test
        split, or if the model needs stored proposals, which test images lack.

    Raises:
        DataError: a split of the training cannot be read, or one has other classes.
    """
    sets = {"train": splits.read("train")}
    class_names = sets["train"].class_names
    sets["validation"] = splits.read("validation", class_names)
    final = "validation"
    if config.model.kind != "fast_rcnn":
        try:
            sets["test"] = splits.read("test", class_names)
            final = "test"
        except MissingSplitError as error:
            print(
                f"{error} Without a test split the final evaluation is that of the "
                "validation split."
            )
    _report_shared_images(sets)
    _report_unlearned_classes(sets)
    return final


def _report_shared_images(sets: dict[str, ExampleSet]) -> None:
    seen = {record.source for record in sets["train"].records}
    for split, examples in sets.items():
        records = () if split == "train" else examples.records
        shared = sum(record.source in seen for record in records)
        if shared:
            print(
                f"{shared} of the {len(records)} {split} images are training images, "
                "too: its figures say little about new images."
            )


def _report_unlearned_classes(sets: dict[str, ExampleSet]) -> None:
    """Prints the classes of which the training split has no object."""
    counts = {split: _objects_per_class(examples) for split, examples in sets.items()}
    for label, name in enumerate(sets["train"].class_names):
        if not counts["train"][label]:
            others = ", ".join(
                f"{split} {count[label]}" for split, count in counts.items()
            )
            print(f"Class {name!r} is not learned; its objects by split: {others}.")


def _objects_per_class(examples: ExampleSet) -> np.ndarray:
    """Returns int64 [K]."""
    labels = [record.labels[~record.crowd] for record in examples.records]
    return np.bincount(np.concatenate(labels), minlength=len(examples.class_names))
