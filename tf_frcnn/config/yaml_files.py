"""YAML files of configurations."""

from pathlib import Path
from typing import Any

import yaml

from tf_frcnn.config.settings import ConfigError
from tf_frcnn.plain_yaml import (
    MAX_CHARACTERS,
    PlainYamlError,
    add_exponents,
    parse_plain_yaml,
)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_flow_sequence(self, data: tuple) -> yaml.Node:
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)


add_exponents(_Dumper)
_Dumper.add_representer(tuple, _Dumper.represent_flow_sequence)


def parse_yaml(text: str, source: str) -> Any:
    """Parses one YAML document; see `plain_yaml.parse_plain_yaml`.

    Raises:
        ConfigError: it is not YAML of plain values.
    """
    try:
        return parse_plain_yaml(text, source)
    except PlainYamlError as error:
        raise ConfigError(str(error)) from error


def read_yaml(path: str | Path) -> dict:
    """Reads a file that holds one YAML mapping."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            content = file.read(MAX_CHARACTERS + 1)
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
