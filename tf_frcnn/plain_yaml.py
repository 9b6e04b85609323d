"""YAML of plain values: no aliases, no tags, no duplicate keys, and 1e-3 is a number.

With aliases a small file grows without bound, with tags it names Python's types.
"""

import re
from typing import Any

import yaml

# YAML 1.1 demands a dot and a signed exponent, so that 1e-3 would be text.
_EXPONENT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$")
# Characters of a file: 5000 names of classes; they take seconds to parse.
MAX_CHARACTERS = 2**17
_LONGEST_NUMBER = 100  # characters


class PlainYamlError(ValueError):
    """A text that is not YAML of plain values; the message is one line."""


class _RefusedError(yaml.MarkedYAMLError):
    """Something that YAML has and this program does not read."""


def add_exponents(kind: type[yaml.SafeLoader] | type[yaml.SafeDumper]) -> None:
    """Makes a loader or dumper take 1e-3 for a number."""
    tag, digits = "tag:yaml.org,2002:float", [*"-+.0123456789"]
    kind.add_implicit_resolver(tag, _EXPONENT, digits)


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            problem = f"the alias *{event.anchor} is not read; write out what it means"
            raise _RefusedError(problem=problem, problem_mark=event.start_mark)
        if tag := getattr(event, "tag", None):
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            problem = f"the tag {shown} is not read; write the value without it"
            raise _RefusedError(problem=problem, problem_mark=event.start_mark)
        return super().compose_node(parent, index)

    def construct_short(self, node: yaml.ScalarNode) -> Any:
        """Returns a number or a date; those that are none tell their line."""
        problem = f"{node.value[:40]} is too long or no number; put text in quotes"
        error = yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        if len(node.value) > _LONGEST_NUMBER:
            raise error
        try:
            return yaml.SafeLoader.yaml_constructors[node.tag](self, node)
        except (ValueError, OverflowError):
            raise error from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                problem, mark = "a key must be plain text", key.start_mark
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
            if key.value in seen:
                problem, mark = f"the key {key.value} occurs twice", key.start_mark
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


for _tag in ("int", "float", "timestamp"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _Loader.construct_short)
add_exponents(_Loader)


def parse_plain_yaml(text: str, source: str) -> Any:
    """Parses one YAML document.

    Args:
        text: the document.
        source: what error messages call it.

    Raises:
        PlainYamlError: it is not YAML, too long, or has aliases, tags or keys twice.
    """
    if len(text) > MAX_CHARACTERS:
        raise PlainYamlError(
            f"{source}: it has more than the {MAX_CHARACTERS} characters that are read."
        )
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        kind = "" if isinstance(error, _RefusedError) else "not valid YAML: "
        problem = ", ".join(filter(None, [error.context, error.problem]))
        raise PlainYamlError(f"{source}{line}: {kind}{problem}.") from error
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise PlainYamlError(f"{source}: not valid YAML: {reason}.") from error
    except RecursionError as error:
        raise PlainYamlError(
            f"{source}: not valid YAML: its nesting is too deep."
        ) from error
