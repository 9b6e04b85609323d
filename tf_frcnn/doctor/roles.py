"""The splits of a data set by what a training uses them for."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from tf_frcnn.data import DataError

_TRAIN = ("train", "training")
_VALIDATION = ("val", "valid", "validation", "dev")
_TEST = ("test", "testing")
_BOTH = "trainval"  # the images of training and validation
# The parts of a split for training and for validation.
_CUT = ("{}[:90%]", "{}[90%:]")


class Roles(NamedTuple):
    """The splits of a training, and what is to be known about the choice.

    Attributes:
        train, validation, test: names of splits.
        notes: sentences.
    """

    train: str
    validation: str
    test: str
    notes: tuple[str, ...] = ()


def choose_roles(splits: Sequence[str], train: str | None = None) -> Roles:
    """Chooses the splits for training, validation and test by their names.

    Without a validation split a tenth of the training split becomes it.

    Args:
        splits: names of all splits; "" for a data set without splits.
        train: the training split, where it is chosen already; it stays whole.

    Raises:
        DataError: none is for training.
    """
    is_given = train is not None
    train = train or training_split(splits)
    test = _called(_TEST, splits)
    validation = None if _BOTH in _words(train) else _called(_VALIDATION, splits)
    if validation and test:
        return Roles(train, validation, test, _joined(splits, test))
    if validation:
        note = "There is no test split; the last evaluation is that of the validation."
        return Roles(train, validation, validation, (note,))
    if not is_given:
        rest, cut = (pattern.format(train) for pattern in _CUT)
        note = f"There is no validation split; a tenth of {train} is set apart for it."
        return Roles(rest, cut, test or cut, (note,))
    if test:
        note = (
            f"There is no validation split: the best weights are chosen by the images "
            f"of {test}, whose figures are then a little too good."
        )
        return Roles(train, test, test, (note,))
    note = (
        "There is neither a validation nor a test split: mAP is measured on the "
        "training images and says nothing about new ones. Set a tenth of the images "
        "apart before you judge the result: --set "
        f'"data.train_split={_CUT[0].format(train)}" --set '
        f'"data.validation_split={_CUT[1].format(train)}".'
    )
    return Roles(train, train, train, (note,))


def training_split(splits: Sequence[str]) -> str:
    """Returns the split for training by the names of all.

    Raises:
        DataError: none is.
    """
    train = _called(_TRAIN, splits) or _called((_BOTH,), splits)
    if train is None and len(splits) == 1:
        train = splits[0] or _TRAIN[0]
    if train is None:
        raise DataError(
            f"none of the splits {', '.join(splits)} is called train; say which it is "
            "by --set data.train_split=NAME."
        )
    return train


def _joined(splits: Sequence[str], test: str) -> tuple[str, ...]:
    """Returns how to train on the images of both other splits."""
    both = _called((_BOTH,), splits)
    if both is None:
        return ()
    return (
        f"{both} holds the images of training and validation, for a last training with "
        f"--set data.train_split={both} --set data.validation_split={test}.",
    )


def _called(names: Sequence[str], splits: Sequence[str]) -> str | None:
    """Returns the first split of one of these names, such as train2017 of train."""
    return next((s for name in names for s in splits if name in _words(s)), None)


def _words(split: str) -> set[str]:
    return {*re.findall(r"[a-z]+", split.lower())}
