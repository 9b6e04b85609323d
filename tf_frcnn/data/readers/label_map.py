"""The label map of the TensorFlow Object Detection API, a protocol buffer as text."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tf_frcnn.data.checks.problems import DataError

_TOKEN = re.compile(
    r"""(?P<passed> \s+ | \#[^\n]* )
    | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | [{}<>:,;] | [^\s{}<>:,;"'\#]+""",
    re.VERBOSE,
)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|x[0-9a-fA-F]{1,2}|.)", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r"}


class LabelMapItem(NamedTuple):
    """A class.

    Attributes:
        label: its number in the records, from 1 on.
        name: as in the records' texts.
        shown: its name for people: `display_name`, or else `name`.
    """

    label: int
    name: str
    shown: str


def read_label_map(path: Path) -> list[LabelMapItem]:
    """Reads the items `item { id: 1 name: "cat" display_name: "Cat" }`.

    Other fields are passed over.

    Returns:
        The items in the order of their ids, background (0) left out.

    Raises:
        DataError: the file is no label map.

    Source: `object_detection/protos/string_int_label_map.proto`.
    """
    try:
        tokens = _tokens(path.read_text(encoding="utf-8-sig"))
        fields = _message(tokens, end="")
        items = [_item(value) for key, value in fields if key == "item"]
    except (ValueError, LookupError, TypeError) as error:
        raise DataError(f"{path} is not a label map: {error}.") from error
    if not items:
        raise DataError(f"{path} is not a label map: it has no item.")
    return sorted(item for item in items if item.label > 0)


def _item(fields) -> LabelMapItem:
    values = {key: value for key, value in fields if isinstance(value, str)}
    shown = values.get("display_name") or values.get("name")
    if "id" not in values or not shown:
        raise ValueError(f"an item lacks its id or its name: {values}")
    return LabelMapItem(int(values["id"]), values.get("name") or shown, shown)


def _tokens(text: str) -> Iterator[str]:
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            line = text.count("\n", 0, place) + 1
            raise ValueError(f"line {line} is not understood")
        if not found["passed"]:
            yield found[0]
        place = found.end()


def _message(tokens: Iterator[str], end: str) -> list[tuple]:
    """Returns the (name, text or message) pairs up to the token that ends a message."""
    fields: list[tuple] = []
    for key in tokens:
        if key == end:
            return fields
        if key in (",", ";"):
            continue
        value = next(tokens, None)
        if value == ":":
            value = next(tokens, None)
        if value is None or key in "{}<>:":
            raise ValueError(f"{key!r} has no value")
        if value in "{<":
            fields.append((key, _message(tokens, end={"{": "}", "<": ">"}[value])))
        else:
            fields.append((key, _text(value)))
    if end:
        raise ValueError(f"{end!r} is missing at the end")
    return fields


def _text(token: str) -> str:
    """Returns the text of a token, quoted or not, in which bytes may be escaped."""
    if token[0] not in "\"'":
        return token
    return _ESCAPE.sub(_unescaped, token[1:-1].encode()).decode()


def _unescaped(found: re.Match[bytes]) -> bytes:
    code = found[1]
    if code.isdigit():
        return bytes([int(code, 8) % 256])
    if code[:1] == b"x" and len(code) > 1:
        return bytes([int(code[1:], 16)])
    return _LETTERS.get(code, code)
