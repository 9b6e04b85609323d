"""The data that a configuration describes."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from tf_frcnn.config import Config, ConfigError
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

# Seeds far apart, so that no picture is in two splits.
_SHAPES_SEEDS = {"train": 0, "validation": 1_000_000, "test": 2_000_000}


def build_examples(
    config: Config, split: str, class_names: Sequence[str] = ()
) -> ExampleSet:
    """Reads a split of the configured data.

    Args:
        config: the configuration.
        split: "train", "validation" or "test" for the splits of the configuration, or
            a split in the reader's own terms.
        class_names: overrides those of the configuration; a run's own classes.
    """
    data = config.data
    roles = tuple(_SHAPES_SEEDS)
    read = DATASETS[data.reader]
    if data.reader == "shapes":
        if split not in roles:
            raise ConfigError(
                f"split = {split!r}: the shapes have {', '.join(roles)} only."
            )
        for name in ("directory", "class_names", "policy"):
            if getattr(data, name):
                raise ConfigError(
                    f"data.{name} = {getattr(data, name)!r} means nothing to the "
                    "reader shapes; leave it out, or set data.reader."
                )
        return read(getattr(data, f"num_{split}"), seed=split_seed(config, split))
    name = getattr(data, f"{split}_split") if split in roles else split
    settings = {
        "class_names": tuple(class_names) or data.class_names,
        "policy": Policy(data.policy),
    }
    if data.reader == "tfds_voc":
        return read(name, data_dir=_folder(data.directory), **settings)
    if data.directory is None:
        raise ConfigError(
            "data.directory is not set; the reader voc needs the folder that holds "
            "JPEGImages and Annotations."
        )
    return read(_folder(data.directory), name, one_based=data.one_based, **settings)


def _folder(path: str | None) -> str | None:
    """Returns the path with ~ resolved, which shells leave alone behind an "="."""
    return path and os.path.expanduser(path)


def split_seed(config: Config, split: str) -> int:
    """Returns the seed of the shapes of "train", "validation" or "test"."""
    return config.seed + _SHAPES_SEEDS[split]


def build_resizing(config: Config, *, for_training: bool = False) -> Resizing:
    """Returns how pictures are brought to the network's size.

    Args:
        config: the configuration.
        for_training: gives the short sides of training, of which there may be several.
    """
    images = config.images
    short_sides = config.data.train_short_sides if for_training else ()
    short_sides = short_sides or (images.short_side,)
    canvases = images.pad_to or images.canvases
    canvases = canvases or derive_canvases(short_sides, images.long_side)
    return Resizing(short_sides, images.long_side, canvases, images.resize)


def build_training_batches(
    config: Config, examples: ExampleSet, start_epoch: int = 0
) -> tuple[tf.data.Dataset, int]:
    """Returns the endless stream of training batches and the batches per epoch."""
    data = config.data
    resizing = build_resizing(config, for_training=True)
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
        build_resizing(config),
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
    if config.data.proposals is None:
        return None
    folder = _folder(config.data.proposals)
    file = proposals_file(folder, examples, for_training=for_training)
    return read_proposals(file, [record.image_id for record in examples.records])
