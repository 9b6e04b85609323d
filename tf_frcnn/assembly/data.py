"""The data that a configuration describes."""

import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tf_frcnn.assembly.names import look_up
from tf_frcnn.config import Config
from tf_frcnn.data import DATASETS, SPLIT_LISTS, DataError, ExampleSet, Policy
from tf_frcnn.data.readers import split_and_part
from tf_frcnn.data.readers.parts import take_part

_ROLES = ("train", "validation", "test")


def build_examples(
    config: Config, split: str, class_names: Sequence[str] = ()
) -> ExampleSet:
    """Reads a split of the configured data.

    Args:
        config: the configuration.
        split: "train", "validation" or "test" for the splits of the configuration, or
            a split in the reader's own terms, or a part of it (`data.readers.parts`).
        class_names: replace those of the configuration, as a run's own classes do.
    """
    whole, part = split_and_part(config.data.reader, _split_name(config, split))
    examples = _read_whole(config, whole, class_names)
    return take_part(examples, part) if part else examples


def _read_whole(config: Config, split: str, class_names: Sequence[str]) -> ExampleSet:
    data = config.data
    read = look_up(DATASETS, data.reader, "data.reader")
    examples = read(
        _folder(data.directory),
        split,
        class_names=tuple(class_names) or data.class_names,
        policy=Policy(data.policy),
        **_own_settings(read, config),
    )
    return examples if data.max_images is None else _some(examples, data.max_images)


def _some(examples: ExampleSet, number: int) -> ExampleSet:
    """Returns so many images at equal distances, since neighbours are often alike."""
    count = len(examples.records)
    if number >= count:
        return examples
    rows = np.linspace(0, count - 1, number).round().astype(int)
    name = f"{examples.name} ({number} of {count})"
    return replace(
        examples.subset(rows.tolist()), name=name, problems=examples.problems
    )


def split_names(config: Config) -> list[str]:
    """Returns the splits of the configured data, in the reader's own terms.

    Raises:
        DataError: nothing lists the splits of this reader's data.
    """
    data = config.data
    look_up(DATASETS, data.reader, "data.reader")
    if data.reader not in SPLIT_LISTS:
        raise DataError(f"reader {data.reader!r} lists no splits; name them.")
    list_splits = SPLIT_LISTS[data.reader]
    return list_splits(_folder(data.directory), **_own_settings(list_splits, config))


class Splits:
    """The splits of a configuration's data, each read and checked once.

    Args:
        config: the configuration.
    """

    def __init__(self, config: Config):
        self._config = config
        self._sets: dict[str, ExampleSet] = {}

    def read(self, split: str, class_names: Sequence[str] = ()) -> ExampleSet:
        """Returns `build_examples` of a split, from memory if it was read before.

        Args:
            split: see `build_examples`.
            class_names: the classes in the wanted order; empty: that of the first
                reading.
        """
        reader, named = self._config.data.reader, _split_name(self._config, split)
        name, part = split_and_part(reader, named)
        found = self._sets.get(name)
        if found is None or (class_names and {*class_names} != {*found.class_names}):
            found = _read_whole(self._config, name, class_names)
            self._sets[name] = found
        found = found.with_classes(class_names) if class_names else found
        return take_part(found, part) if part else found


def _split_name(config: Config, split: str) -> str:
    return getattr(config.data, f"{split}_split") if split in _ROLES else split


def _own_settings(read: Callable[..., Any], config: Config) -> dict[str, Any]:
    """Returns the settings that the reader asks for by the names of its arguments."""
    common = {"location", "split", "class_names", "policy"}
    asked = inspect.signature(read).parameters.keys() - common
    names = type(config.data).model_fields.keys() & asked
    own = {name: getattr(config.data, name) for name in names}
    return own | ({"seed": config.seed} if "seed" in asked else {})


def _folder(path: str | None) -> str | None:
    """Returns the path with ~ expanded, which shells do not do after an "="."""
    return path and os.path.expanduser(path)
