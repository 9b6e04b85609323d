"""The data that a configuration describes."""

import inspect
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from tf_frcnn.assembly.names import look_up
from tf_frcnn.config import Config, ImageSettings
from tf_frcnn.data import (
    DATASETS,
    CachedProposals,
    ExampleSet,
    Policy,
    Resizing,
    derive_canvases,
    evaluation_batches,
    num_batches,
    read_proposals,
    training_batches,
)

_ROLES = ("train", "validation", "test")


def build_examples(
    config: Config, split: str, class_names: Sequence[str] = ()
) -> ExampleSet:
    """Reads a split of the configured data.

    Args:
        config: the configuration.
        split: "train", "validation" or "test" for the splits of the configuration, or
            a split in the reader's own terms.
        class_names: replace those of the configuration, as a run's own classes do.
    """
    data = config.data
    read = look_up(DATASETS, data.reader, "data.reader")
    return read(
        _folder(data.directory),
        _split_name(config, split),
        class_names=tuple(class_names) or data.class_names,
        policy=Policy(data.policy),
        **_own_settings(read, config),
    )


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
        name = _split_name(self._config, split)
        found = self._sets.get(name)
        if found is None or (class_names and {*class_names} != {*found.class_names}):
            found = build_examples(self._config, split, class_names)
            self._sets[name] = found
        return found.with_classes(class_names) if class_names else found


def _split_name(config: Config, split: str) -> str:
    return getattr(config.data, f"{split}_split") if split in _ROLES else split


def _own_settings(read: Callable[..., ExampleSet], config: Config) -> dict[str, Any]:
    """Returns the settings that the reader asks for by the names of its arguments."""
    common = {"location", "split", "class_names", "policy"}
    asked = inspect.signature(read).parameters.keys() - common
    names = type(config.data).model_fields.keys() & asked
    own = {name: getattr(config.data, name) for name in names}
    return own | ({"seed": config.seed} if "seed" in asked else {})


def _folder(path: str | None) -> str | None:
    """Returns the path with ~ expanded, which shells do not do after an "="."""
    return path and os.path.expanduser(path)


def build_resizing(images: ImageSettings, short_sides: Sequence[int] = ()) -> Resizing:
    """Returns how images are brought to the network's size.

    Args:
        images: of a configuration, or of a model's preprocessing.
        short_sides: of training, which draws from several; none for the one of
            `images`.
    """
    short_sides = tuple(short_sides) or (images.short_side,)
    # Their settings are pairs, and a long side is there where they are to be derived.
    canvases: Any = images.pad_to or images.canvases
    canvases = canvases or derive_canvases(short_sides, images.long_side)  # type: ignore[arg-type]
    return Resizing(short_sides, images.long_side, canvases, images.resize)


def build_training_batches(
    config: Config, examples: ExampleSet, start_epoch: int = 0
) -> tuple[tf.data.Dataset, int]:
    """Returns the endless stream of training batches and the batches per epoch."""
    data = config.data
    resizing = build_resizing(config.images, data.train_short_sides)
    batches = training_batches(
        examples,
        resizing,
        batch_size=data.batch_size,
        flip=data.flip,
        drop_difficult=not data.train_on_difficult,
        seed=config.seed,
        start_epoch=start_epoch,
        proposals=_stored_proposals(config, examples, for_training=True),
    )
    return batches, num_batches(examples, resizing, batch_size=data.batch_size)


def build_evaluation_batches(config: Config, examples: ExampleSet) -> tf.data.Dataset:
    """Returns the batches of one pass over the examples."""
    return evaluation_batches(
        examples,
        build_resizing(config.images),
        batch_size=config.data.batch_size,
        proposals=_stored_proposals(config, examples, for_training=False),
    )


def proposals_file(
    folder: str | Path, examples: ExampleSet, *, for_training: bool
) -> Path:
    """Returns the file of an example set's proposals for training or for testing."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", examples.name)
    return Path(folder) / f"{'train' if for_training else 'test'}_{name}.npz"


def _stored_proposals(
    config: Config, examples: ExampleSet, *, for_training: bool
) -> CachedProposals | None:
    folder = _folder(config.data.proposals)
    if folder is None:
        return None
    file = proposals_file(folder, examples, for_training=for_training)
    return read_proposals(file, [record.image_id for record in examples.records])
