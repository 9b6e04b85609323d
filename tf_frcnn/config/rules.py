"""What a setting may hold: rules that stand next to the fields of `config.py`.

A rule is a function of (path, value). It returns the value in its final type or raises
a `ConfigError` that names the path, the value and what is allowed.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

Rule = Callable[[str, Any], Any]


class ConfigError(ValueError):
    """A configuration that cannot be used.

    Attributes:
        paths: dotted paths of the settings at fault, or of the part of a setting,
            such as "anchors.scales[1]".
    """

    def __init__(self, message: str, *paths: str):
        super().__init__(message)
        self.paths = paths


def setting(default: Any, rule: Rule) -> Any:
    """Declares a dataclass field whose value obeys a rule."""
    metadata = {"rule": rule}
    return dataclasses.field(default_factory=lambda: default, metadata=metadata)


def number(interval: str, *, whole: bool = False) -> Rule:
    """Allows finite numbers of an interval.

    Args:
        interval: in mathematical notation, such as "(0, 1]" or "[1, inf)".
        whole: whether only integers are allowed; otherwise they become floats.
    """
    low, high = (float(end) for end in interval[1:-1].split(","))
    ends = ([low] if interval[0] == "[" else []) + (
        [high] if interval[-1] == "]" else []
    )
    kind, types = ("a whole number", int) if whole else ("a number", (int, float))

    def read(path: str, value: Any) -> int | float:
        if isinstance(value, bool) or not isinstance(value, types):
            raise _rejection(path, value, f"must be {kind} in {interval}")
        if not (low < value < high or value in ends):
            raise _rejection(path, value, f"must lie in {interval}")
        return value if whole else float(value)

    return read


def flag(path: str, value: Any) -> bool:
    """Allows true and false."""
    if not isinstance(value, bool):
        raise _rejection(path, value, "must be true or false")
    return value


def text(path: str, value: Any) -> str:
    """Allows text that is not empty."""
    if not isinstance(value, str):
        raise _rejection(path, value, "must be text; put it in quotes")
    if not value:
        raise _rejection(path, value, "must not be empty")
    return value


def choice(*names: str) -> Rule:
    """Allows one of the given names."""

    def read(path: str, value: Any) -> str:
        if value not in names:
            raise _rejection(path, value, f"must be one of {', '.join(names)}")
        return value

    return read


def optional(rule: Rule) -> Rule:
    """Allows null besides what the rule allows."""

    def read(path: str, value: Any) -> Any:
        return None if value is None else rule(path, value)

    return read


def sequence(rule: Rule, *, length: int | None = None, filled: bool = False) -> Rule:
    """Allows lists of values that obey the rule, and makes tuples of them.

    Args:
        rule: what every element obeys.
        length: the only length allowed; None allows any.
        filled: whether an empty list is an error.
    """
    demand = (
        "must be a list" if length is None else f"must be a list of {length} values"
    )

    def read(path: str, value: Any) -> tuple:
        if not isinstance(value, list | tuple):
            raise _rejection(path, value, demand)
        if length not in (None, len(value)):
            raise _rejection(path, value, demand)
        if filled and not value:
            raise _rejection(path, value, "must not be empty")
        return tuple(rule(f"{path}[{i}]", element) for i, element in enumerate(value))

    return read


def distinct(rule: Rule) -> Rule:
    """Allows sequences in which no value stands twice."""

    def read(path: str, value: Any) -> tuple:
        elements = rule(path, value)
        if len(set(elements)) < len(elements):
            raise _rejection(path, value, "must not hold a value twice")
        return elements

    return read


def rising(rule: Rule) -> Rule:
    """Allows sequences in which every number is greater than the one before."""

    def read(path: str, value: Any) -> tuple:
        numbers = rule(path, value)
        if list(numbers) != sorted(set(numbers)):
            raise _rejection(path, value, "must rise from value to value")
        return numbers

    return read


def mapping(rule: Rule) -> Rule:
    """Allows mappings from text to values that obey the rule."""

    def read(path: str, value: Any) -> dict:
        if not isinstance(value, dict):
            raise _rejection(path, value, "must be a mapping")
        return {text(path, k): rule(f"{path}.{k}", v) for k, v in value.items()}

    return read


class Section:
    """Base of the configuration's dataclasses: checks the values it is given.

    Attributes:
        prefix: what stands before the field's name in a dotted path.
    """

    prefix: ClassVar[str] = ""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            if rule := field.metadata.get("rule"):
                value = rule(self.prefix + field.name, getattr(self, field.name))
                object.__setattr__(self, field.name, value)
        self.check()

    def check(self) -> None:
        """Raises a ConfigError where settings contradict each other."""

    def require_order(self, lesser: str, greater: str, *, strict: bool = False) -> None:
        """Raises a ConfigError if one field exceeds another.

        Args:
            lesser: name of the field that must not be the greater one.
            greater: name of the other field.
            strict: whether equality is an error too.
        """
        low, high = getattr(self, lesser), getattr(self, greater)
        if low > high or (strict and low == high):
            paths = self.prefix + lesser, self.prefix + greater
            demand = "must be less than" if strict else "must be at most"
            message = f"{paths[0]} = {low} {demand} {paths[1]} = {high}."
            raise ConfigError(message, *paths)


def _rejection(path: str, value: Any, demand: str) -> ConfigError:
    return ConfigError(f"{path} = {_show(value)} {demand}.", path)


def _show(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)


# The intervals that most settings have.
COUNT = number("[1, inf)", whole=True)
COUNT_OR_ZERO = number("[0, inf)", whole=True)
POSITIVE = number("(0, inf)")
NOT_NEGATIVE = number("[0, inf)")
SHARE = number("(0, 1]")
SHARE_OR_ZERO = number("[0, 1]")
BELOW_ONE = number("[0, 1)")
