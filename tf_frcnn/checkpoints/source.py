"""The description of a source of published weights, as each module gives it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from tf_frcnn.checkpoints.files import Checkpoint, CheckpointError
from tf_frcnn.checkpoints.name_map import NameMap

_NEVER = r"(?!)"


class Description(NamedTuple):
    """The detector that a checkpoint holds.

    Attributes:
        settings: of its configuration, as for `make_config`: the recipe as `base`,
            and what the file or the bare program differs in.
        num_classes: K, without background; None where the file knows no objects.
        class_names: of the K classes, where the published file is known.
        name_map: weight -> where it comes from.
        ignored: regular expression of names that do not belong to a detector.
        random: regular expression of weights that the file need not have.
        notes: what the user should know of what was assumed.
    """

    settings: dict[str, Any]
    num_classes: int | None
    class_names: tuple[str, ...] | None
    name_map: NameMap
    ignored: str = _NEVER
    random: str = _NEVER
    notes: tuple[str, ...] = ()


class Source(NamedTuple):
    """A program whose checkpoints can be loaded.

    Attributes:
        describe: takes a checkpoint and a variant or None, returns its `Description`;
            raises a `CheckpointError` where the file is not of this program.
        variants: names of what a file of this program may be without telling.
    """

    describe: Callable[[Checkpoint, str | None], Description]
    variants: tuple[str, ...] = ()


def not_of_this_source(checkpoint: Checkpoint, wanted: str) -> CheckpointError:
    """Returns the error for a file that lacks what its program always writes.

    Args:
        checkpoint: the file's contents.
        wanted: the name of an array, or words for several.
    """
    start = f"{checkpoint.path}: not a checkpoint of this source, which has {wanted}"
    for name in sorted(checkpoint.arrays):
        if name.endswith(f".{wanted}"):
            prefix = name.removesuffix(wanted)
            return CheckpointError(
                f"{start}; the file has {name}. Take {prefix!r} away from the names "
                "of its state dict: torch.save({n.removeprefix("
                f"{prefix!r}): w for n, w in weights.items() if n.startswith("
                f"{prefix!r})}}, 'weights.pth')."
            )
    names = ", ".join(sorted(checkpoint.arrays)[:3])
    return CheckpointError(
        f"{start}; the file begins with {names}. Is it of another source?"
    )


def require_agreement(checkpoint: Checkpoint, given: str | None, told: str) -> None:
    """Raises a CheckpointError where the file tells another variant than the user."""
    if given not in (None, told):
        raise CheckpointError(
            f"{checkpoint.path}: the file is {told}, not {given}; leave out --variant."
        )


def undecided(checkpoint: Checkpoint, what: str, variants) -> CheckpointError:
    """Returns the error for a file that does not tell which variant it is."""
    return CheckpointError(
        f"{checkpoint.path}: the file does not tell {what}; give --variant "
        f"{' or '.join(variants)}."
    )
