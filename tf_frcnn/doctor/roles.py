"""The splits of a data set by what a training uses them for."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from tf_frcnn.data import DataError

_TRAIN = ("train", "training")
_VALIDATION = ("val", "valid", "validation", "dev")
_TEST = ("test", "testing")
_BOTH = "trainval"  # the images of training and validation
# The reader whose splits can be cut, and the cut.
_CUT = ("tfds", "{}[:90%]", "{}[90%:]")


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


def choose_roles(splits: Sequence[str], reader: str, train: str | None = None) -> Roles:
    """Chooses the splits for training, validation and test by their names.

    Args:
        splits: names of all splits; "" for a data set without splits.
        reader: name of the reader.
        train: the training split, where it is chosen already.

    Raises:
        DataError: none is for training.
    """
    train = train or _called(_TRAIN, splits) or _called((_BOTH,), splits)
    if train is None and len(splits) == 1:
        train = splits[0] or _TRAIN[0]
    if train is None:
        raise DataError(
            f"none of the splits {', '.join(splits)} is called train; say which it is "
            "by --set data.train_split=NAME."
        )
    test = _called(_TEST, splits)
    validation = None if _BOTH in _words(train) else _called(_VALIDATION, splits)
    if validation and test:
        return Roles(train, validation, test, _joined(splits, test))
    if validation:
        note = "There is no test split; the last evaluation is that of the validation."
        return Roles(train, validation, validation, (note,))
    if test:
        note = (
            f"There is no validation split: the best weights are chosen by the images "
            f"of {test}, whose figures are then a little too good. Set some training "
            "images apart as val."
        )
        return Roles(train, test, test, (note,))
    if reader == _CUT[0]:
        note = f"{train} is the only split; a tenth of it is set apart for validation."
        validation = _CUT[2].format(train)
        return Roles(_CUT[1].format(train), validation, validation, (note,))
    note = (
        "There is neither a validation nor a test split: mAP is measured on the "
        "training images and says nothing about new ones. Set a tenth of the images "
        "apart as val before you judge the result."
    )
    return Roles(train, train, train, (note,))


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
