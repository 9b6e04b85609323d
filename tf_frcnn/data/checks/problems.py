"""Faults of a data set's files, and the actions that follow."""

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

# The first action of each kind is its default.
ALLOWED_ACTIONS: dict[str, tuple[str, ...]] = {
    "missing_image": ("drop", "raise"),
    "unreadable_image": ("drop", "raise"),
    "missing_annotation": ("drop", "keep", "raise"),
    "unreadable_annotation": ("drop", "raise"),
    "repeated_image": ("repair", "raise"),
    "repeated_object": ("repair", "raise"),
    "ambiguous_image": ("repair", "drop", "raise"),
    "wrong_size": ("repair", "drop", "raise"),
    "unknown_flag": ("repair", "raise"),
    "several_boxes": ("repair", "drop", "raise"),
    "outline_only": ("repair", "drop", "raise"),
    "non_finite_box": ("drop", "raise"),
    "swapped_corners": ("repair", "drop", "raise"),
    "zero_area_box": ("drop", "raise"),
    "box_outside": ("repair", "drop", "raise"),
    "unknown_class": ("raise", "drop"),
    "empty_annotation": ("keep",),
    "rotated_image": ("keep",),
    "unused_bits": ("keep", "drop", "raise"),
    "counted_from_0": ("keep", "raise"),
    "outside_link": ("keep", "raise"),
}

# The action where an image that was whole can no longer be read during training.
REPLACED = "replace"

FILES_NAMED = 3


def one_line(text: str) -> str:
    """Returns a text with escapes for what ends a line or commands a terminal."""
    # Names of files may hold bytes that are no text and that cannot be printed.
    text = text.encode(errors="replace").decode()
    parts = (
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )
    return "".join(parts)


class DataError(ValueError):
    """A data set's files, or the arguments that ask for them, are wrong.

    Args:
        message: what the files say in it is made printable.
    """

    def __init__(self, message: str):
        super().__init__(one_line(message))


class MissingSplitError(DataError):
    """A data set has splits, but not the one that was asked for."""


class Problem(NamedTuple):
    """A fault of a file, or a fact worth knowing about it.

    Attributes:
        kind: a key of `ALLOWED_ACTIONS`.
        file: the file's name.
        detail: the fault, in words.
        action: "repair", "drop" (of the box or of the image), "keep" or `REPLACED`.
    """

    kind: str
    file: str
    detail: str
    action: str


@dataclass(frozen=True)
class Policy:
    """The action for each kind of problem.

    "repair" mends the record, "drop" leaves out the box or the image concerned, "keep"
    only counts, and "raise" stops at the first one. Kinds that are not named keep their
    default, the first of `ALLOWED_ACTIONS`. An image without objects and a photograph
    that is turned upright are not faults; they are kept and only counted.

    Attributes:
        actions: kind -> action.
    """

    actions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self):
        for kind, action in self.actions.items():
            if kind not in ALLOWED_ACTIONS:
                raise DataError(
                    f"policy: {kind!r} is not a kind of problem"
                    f"{nearest_name(kind, ALLOWED_ACTIONS)}; the kinds are "
                    f"{', '.join(ALLOWED_ACTIONS)}."
                )
            if action not in ALLOWED_ACTIONS[kind]:
                raise DataError(
                    f"policy: {kind} = {action!r} is not possible; it may be "
                    f"{' or '.join(ALLOWED_ACTIONS[kind])}."
                )

    def action(self, kind: str) -> str:
        """Returns the action for one kind."""
        return self.actions.get(kind, ALLOWED_ACTIONS[kind][0])


DEFAULT_POLICY = Policy()


class Problems:
    """All problems that were found while a data set was read.

    Attributes:
        policy: the action for each kind.
        rows: the problems in the order in which they were found.
    """

    def __init__(self, policy: Policy = DEFAULT_POLICY, rows: Iterable[Problem] = ()):
        self.policy = policy
        self.rows = list(rows)

    def add(self, kind: str, file: str, detail: str, action: str = "") -> str:
        """Counts a problem and returns the action: the policy's, or the one given.

        Raises:
            DataError: if the policy for this kind is "raise".
        """
        file, detail = one_line(file), one_line(detail)
        if self.policy.action(kind) == "raise":
            others = " or ".join(a for a in ALLOWED_ACTIONS[kind] if a != "raise")
            end = "" if detail.endswith("?") else "."
            self.print()
            ours = " Or is it data.class_names?" if kind == "unknown_class" else ""
            raise DataError(
                f"{file}: {kind}: {detail}{end} Correct the data, or set the policy "
                f"for {kind} to {others}.{ours}"
            )
        action = action or self.policy.action(kind)
        self.rows.append(Problem(kind, file, detail, action))
        return action

    def counts(self) -> dict[str, int]:
        """Returns kind -> number of problems, in the order of `ALLOWED_ACTIONS`."""
        found = [row.kind for row in self.rows]
        return {kind: found.count(kind) for kind in ALLOWED_ACTIONS if kind in found}

    def fatal(self, message: str) -> DataError:
        """Prints the table; returns an error with the first of each kind of loss.

        Args:
            message: a sentence, without its full stop.
        """
        self.print()
        lost = [row for row in self.rows if row.action == "drop"]
        first = {row.kind: row for row in reversed(lost)}
        reasons = [
            f"{kind}, first {first[kind].file}: {first[kind].detail}"
            for kind in self.counts()
            if kind in first
        ]
        message += f": {'; '.join(reasons)}" if reasons else ""
        return DataError(message if message.endswith("?") else f"{message}.")

    def files(self, kind: str) -> list[str]:
        """Returns the names of the files with a problem of this kind, each once."""
        return list(dict.fromkeys(row.file for row in self.rows if row.kind == kind))

    def table(self) -> Table:
        """Returns one line per kind and action: count, first files, first detail."""
        table = Table("problem", "number", "action")
        table.add_column("files", overflow="fold")
        table.add_column("for example", overflow="fold")
        for kind in self.counts():
            rows = [row for row in self.rows if row.kind == kind]
            for action in dict.fromkeys(row.action for row in rows):
                chosen = [row for row in rows if row.action == action]
                files = list(dict.fromkeys(row.file for row in chosen))
                words = (kind, str(len(chosen)), action, _some(files), chosen[0].detail)
                # As Text, since a file's name may hold brackets, rich's markup.
                table.add_row(*map(Text, words))
        return table

    def print(self, console: Console | None = None) -> None:
        """Prints the table, or nothing if nothing was found."""
        if self.rows:
            (console or Console()).print(self.table())

    def to_json(self) -> str:
        """Returns all rows as a JSON list of objects."""
        return json.dumps([row._asdict() for row in self.rows], indent=1)


def nearest_name(name: str, names: Iterable[str]) -> str:
    """Returns "; did you mean 'X'?" where one of the names is close, else nothing."""
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _some(files: list[str]) -> str:
    more = len(files) - FILES_NAMED
    return ", ".join(files[:FILES_NAMED]) + (f" and {more} more" if more > 0 else "")
