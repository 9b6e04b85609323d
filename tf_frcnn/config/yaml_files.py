"""YAML for configurations: no duplicate keys, and 1e-3 is a number."""

import re
from pathlib import Path
from typing import Any

import yaml

from tf_frcnn.config.settings import ConfigError

# YAML 1.1 demands a dot and a signed exponent, so that 1e-3 would be text.
_EXPONENT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$")


class _Loader(yaml.SafeLoader):
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


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_flow_sequence(self, data: tuple) -> yaml.Node:
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)


for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver(
        "tag:yaml.org,2002:float", _EXPONENT, [*"-+.0123456789"]
    )
_Dumper.add_representer(tuple, _Dumper.represent_flow_sequence)


def parse_yaml(text: str, source: str) -> Any:
    """Parses one YAML document.

    Args:
        text: the document.
        source: what error messages call it.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        problem = ", ".join(filter(None, [error.context, error.problem]))
        raise ConfigError(f"{source}{line}: not valid YAML: {problem}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{source}: not valid YAML: {error}.") from error


def read_yaml(path: str | Path) -> dict:
    """Reads a file that holds one YAML mapping."""
    try:
        content = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: cannot be read: it is not UTF-8 text.") from error
    tree = parse_yaml(content, str(path))
    if not isinstance(tree, dict) or not tree:
        demand = "must hold a mapping of settings, such as `train: {epochs: 14}`"
        raise ConfigError(f"{path}: {demand}, but holds {content.strip()[:40]!r}.")
    return tree


def dump_yaml(tree: dict) -> str:
    """Returns a tree as YAML, lists on one line, in the order of the keys."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
