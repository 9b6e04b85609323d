"""From the data that users have to the batches that a model reads."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from tf_frcnn.config import Config, ImageSettings
from tf_frcnn.data.augmentation.plan import Augmentation
from tf_frcnn.data.augmentation.user_function import as_function
from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.data.pipeline.balancing import Balance, balance
from tf_frcnn.data.pipeline.batching import (
    evaluation_batches,
    num_batches,
    training_batches,
)
from tf_frcnn.data.pipeline.canvases import derive_canvases
from tf_frcnn.data.pipeline.own_groups import check_room
from tf_frcnn.data.pipeline.proposal_cache import CachedProposals, read_proposals
from tf_frcnn.data.pipeline.shards import Shard
from tf_frcnn.data.pipeline.streams import Stream
from tf_frcnn.models.batches import Batches


def build_training_batches(
    config: Config,
    data: ExampleSet | tf.data.Dataset,
    *,
    num_classes: int = 0,
    batch_size: int | None = None,
    box_format: str | None = None,
    epoch: int | tf.Variable = 0,
    augment: Any = None,
    shard: Shard | None = None,
) -> Batches:
    """Makes training batches as a configuration has them.

    Args:
        config: its `images`, `data`, `augment` and `seed` are read.
        data: an example set, shuffled anew each epoch, or a dataset of single examples,
            in its own order; see `data.pipeline.tensor_examples`.
        num_classes: K; only a dataset of single examples needs it.
        batch_size: images per batch; None for the configured number.
        box_format: of a dataset whose elements do not tell.
        epoch: number of the first epoch, or a variable that has it when it begins.
        augment: a user's own change of images and boxes, made before those of
            `config.augment`; see `data.augmentation.user_function.as_function`.
        shard: of a worker that is to prepare its part of each batch alone, as far as it
            can be known before images are decoded; else the batches are whole.

    Raises:
        DataError: the settings ask for what cannot be done with such data.
    """
    own = config.data
    resizing = build_resizing(config.images, own.train_short_sides)
    settings: dict[str, Any] = {
        "batch_size": batch_size or own.batch_size,
        "flip": own.flip,
        "drop_difficult": not own.train_on_difficult,
        "seed": config.seed,
        "augmentation": build_augmentation(config, augment),
        "num_workers": own.num_workers,
    }
    check_room(resizing, settings["augmentation"])
    if not isinstance(data, ExampleSet):
        _require_own_order(config)
        stream = Stream(data, resizing, num_classes, box_format)
        dataset = stream.training_batches(**settings, epoch=epoch)
        steps = stream.num_batches(settings["batch_size"])
        return Batches(dataset, steps, stream.num_images, stream)
    proposals = stored_proposals(config, data, for_training=True)
    rates = build_balance(config, data)
    shard = shard if settings["augmentation"].begins_resized else None
    dataset = training_batches(
        data,
        resizing,
        **settings,
        start_epoch=epoch,
        proposals=proposals,
        balance=rates,
        max_unreadable=own.max_unreadable,
        cache=own.cache,
        shard=shard,
    )
    size = settings["batch_size"], settings["augmentation"]
    counts = _counts_of_epoch(data, resizing, *size, rates)
    return Batches(dataset, *counts, are_parts=shard is not None)


def count_epoch(config: Config, data: ExampleSet) -> tuple[int, int]:
    """Returns the numbers of batches and of images of a training's epoch.

    Raises:
        DataError: the settings ask for what cannot be done with such data.
    """
    resizing = build_resizing(config.images, config.data.train_short_sides)
    augmentation, rates = build_augmentation(config), build_balance(config, data)
    check_room(resizing, augmentation)
    size = config.data.batch_size
    return _counts_of_epoch(data, resizing, size, augmentation, rates)


def _counts_of_epoch(
    data: ExampleSet,
    resizing: Resizing,
    batch_size: int,
    augmentation: Augmentation,
    rates: Balance | None,
) -> tuple[int, int]:
    steps = num_batches(
        data,
        resizing,
        batch_size=batch_size,
        augmentation=augmentation,
        balance=rates,
    )
    return steps, len(data.records) if rates is None else rates.num_images


def build_evaluation_batches(
    config: Config,
    data: ExampleSet | tf.data.Dataset,
    *,
    num_classes: int = 0,
    batch_size: int | None = None,
    box_format: str | None = None,
    shard: Shard | None = None,
) -> Batches:
    """Makes batches of one pass, unmirrored; their `rows` tell the images' places.

    The arguments are those of `build_training_batches`.
    """
    resizing, batch_size = (
        build_resizing(config.images),
        batch_size or config.data.batch_size,
    )
    if not isinstance(data, ExampleSet):
        stream = Stream(data, resizing, num_classes, box_format)
        dataset = stream.evaluation_batches(batch_size=batch_size)
        return Batches(dataset, num_images=stream.num_images, stream=stream)
    proposals = stored_proposals(config, data, for_training=False)
    dataset = evaluation_batches(
        data, resizing, batch_size=batch_size, proposals=proposals, shard=shard
    )
    count = len(data.records)
    return Batches(dataset, num_images=count, are_parts=shard is not None)


def build_augmentation(config: Config, augment: Any = None) -> Augmentation:
    """Returns the random changes to training images; see `build_training_batches`."""
    if augment is not None and config.data.proposals is not None:
        raise ValueError(
            "augment: the stored proposals of data.proposals cannot follow a function; "
            "use the settings of the section augment."
        )
    function = None if augment is None else as_function(augment)
    return Augmentation(**dict(config.augment), function=function)


def build_balance(config: Config, examples: ExampleSet) -> Balance | None:
    """Returns how often images come in an epoch; None for once each."""
    data = config.data
    if data.repeat_below is None and data.max_negatives is None:
        return None
    return balance(
        examples,
        repeat_below=data.repeat_below,
        max_negatives=data.max_negatives,
        drop_difficult=not data.train_on_difficult,
    )


def _require_own_order(config: Config) -> None:
    """Raises a DataError for settings that need to know the images before."""
    if config.data.cache != "none":
        raise DataError(
            f"data.cache = {config.data.cache} needs a data set of read_data; for a "
            "dataset of tf.data set it to none, and call its method cache()."
        )
    for name in ("repeat_below", "max_negatives"):
        if (value := getattr(config.data, name)) is not None:
            raise DataError(
                f"data.{name} = {value} needs a data set of read_data; a dataset of "
                "tf.data has its own order: set it to None."
            )


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


def proposals_file(
    folder: str | Path, examples: ExampleSet, *, for_training: bool
) -> Path:
    """Returns the file of an example set's proposals for training or for testing."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", examples.name)
    return Path(folder) / f"{'train' if for_training else 'test'}_{name}.npz"


def stored_proposals(
    config: Config, examples: ExampleSet, *, for_training: bool
) -> CachedProposals | None:
    """Reads the proposals of `data.proposals`; None if there are none.

    Raises:
        DataError, FileNotFoundError: they are missing, or of other images.
    """
    if config.data.proposals is None:
        return None
    folder = os.path.expanduser(config.data.proposals)
    file = proposals_file(folder, examples, for_training=for_training)
    return read_proposals(file, [record.image_id for record in examples.records])
