"""The base of the classes of settings: checked values, and errors that name them.

Each class is a pydantic model. A setting's type, range, default and meaning stand in
its class and nowhere else: layers, YAML files, `--set`, the JSON schema and the
documentation take them from there.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Self

import pydantic
from pydantic import AfterValidator, Field, Strict, WrapValidator
from pydantic_core import PydanticCustomError


class ConfigError(ValueError):
    """A configuration that cannot be used.

    Attributes:
        paths: dotted paths of the settings at fault, or of the part of a setting,
            such as "anchors.scales[1]".
    """

    def __init__(self, message: str, *paths: str):
        super().__init__(message)
        self.paths = paths


class Settings(pydantic.BaseModel):
    """Base of the classes of settings.

    Attributes:
        section: dotted path before the names of the fields, "" outside of sections.

    Raises:
        ConfigError: a value is not allowed, or two contradict each other.
    """

    model_config = pydantic.ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
    )
    section: ClassVar[str] = ""

    def __init__(self, **values: Any):
        try:
            super().__init__(**values)
        except pydantic.ValidationError as error:
            raise _config_error(error, self.section) from None

    @classmethod
    def of(cls, value: Self | Mapping[str, Any] | None) -> Self:
        """Returns settings from an instance, a mapping, or None for the defaults."""
        if isinstance(value, cls):
            return value
        # mypy leaves Self among the types: `cls` may be a subclass of it.
        return cls(**(value or {}))  # type: ignore[arg-type]

    @classmethod
    def path(cls, name: str) -> str:
        """Returns the dotted path of a field."""
        return f"{cls.section}.{name}" if cls.section else name

    def replace(self, **changes: Any) -> Self:
        """Returns settings with other values for some fields, checked."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**values | changes)

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
            paths = self.path(lesser), self.path(greater)
            demand = "must be less than" if strict else "must be at most"
            message = f"{paths[0]} = {low} {demand} {paths[1]} = {high}."
            raise ConfigError(message, *paths)

    @pydantic.model_validator(mode="after")
    def _run_checks(self) -> Self:
        self.check()
        return self


def settings_config(**settings: Settings) -> dict[str, Any]:
    """Returns settings for `get_config`: name -> values that JSON can hold."""
    return {name: part.model_dump(mode="json") for name, part in settings.items()}


# Types of values ---------------------------------------------------------------------


def _limits(interval: str, kind: str) -> WrapValidator:
    """Words a number's errors with the allowed interval."""

    def check(value: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            return handler(value)
        except pydantic.ValidationError as error:
            is_number = error.errors()[0]["type"] in _OUTSIDE
            demand = "must lie in" if is_number else f"must be {kind} in"
            raise PydanticCustomError("limits", f"{demand} {interval}") from None

    return WrapValidator(check)


_OUTSIDE = (
    "greater_than",
    "greater_than_equal",
    "less_than",
    "less_than_equal",
    "finite_number",
)


def _demand(is_met: Callable[[Any], bool], message: str) -> AfterValidator:
    def check(value: Any) -> Any:
        if not is_met(value):
            raise PydanticCustomError("demand", message)
        return value

    return AfterValidator(check)


Count = Annotated[int, Field(ge=1), _limits("[1, inf)", "a whole number")]
CountOrZero = Annotated[int, Field(ge=0), _limits("[0, inf)", "a whole number")]
Positive = Annotated[
    float, Field(gt=0, allow_inf_nan=False), _limits("(0, inf)", "a number")
]
NotNegative = Annotated[
    float, Field(ge=0, allow_inf_nan=False), _limits("[0, inf)", "a number")
]
Share = Annotated[float, Field(gt=0, le=1), _limits("(0, 1]", "a number")]
ShareOrZero = Annotated[float, Field(ge=0, le=1), _limits("[0, 1]", "a number")]
BelowOne = Annotated[float, Field(ge=0, lt=1), _limits("[0, 1)", "a number")]
Between = Annotated[float, Field(gt=0, lt=1), _limits("(0, 1)", "a number")]
HalfAtMost = Annotated[float, Field(ge=0, le=0.5), _limits("[0, 0.5]", "a number")]
Text = Annotated[str, Field(min_length=1)]
# Lists of YAML and JSON become tuples.
FromList = Strict(False)
Rising = _demand(lambda v: list(v) == sorted(set(v)), "must rise from value to value")
NotFalling = _demand(lambda v: list(v) == sorted(v), "must not fall")
Distinct = _demand(lambda v: len(set(v)) == len(v), "must not hold a value twice")


# Errors ------------------------------------------------------------------------------

_DEMANDS = {
    "bool_type": "must be true or false",
    "string_type": "must be text; put it in quotes",
    "string_too_short": "must not be empty",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
}


def _config_error(error: pydantic.ValidationError, section: str) -> ConfigError:
    """Returns the first of pydantic's errors, worded for the author of the settings."""
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, ConfigError):
        return cause
    path = _dotted(section, first["loc"])
    value = f"{path} = {_show(first['input'])}"
    match first["type"], first.get("ctx", {}):
        case "extra_forbidden", _:
            return ConfigError(f"{path} is not a setting.", path)
        case "literal_error", _:
            names = ", ".join(_allowed_names(first["ctx"]["expected"]))
            return ConfigError(f"{value} must be one of {names}.", path)
        case (("too_short" | "too_long"), context):
            wanted = context.get("min_length") or context["max_length"]
            is_any = first["type"] == "too_short" and wanted == 1
            demand = f"must be a list of {wanted} values"
            demand = "must not be empty" if is_any else demand
            return ConfigError(f"{value} {demand}.", path)
        case kind, _:
            demand = _DEMANDS.get(kind, first["msg"])
            return ConfigError(f"{value} {demand}.", path)


def _dotted(section: str, location: tuple) -> str:
    path = section
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.removeprefix(".")


def _allowed_names(expected: str) -> list[str]:
    """Returns the names in pydantic's "'a', 'b' or 'c'"."""
    return [name.strip("' ") for name in expected.replace(" or ", ", ").split(",")]


def _show(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)
