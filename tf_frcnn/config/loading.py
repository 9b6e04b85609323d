"""The settings of a run: typed, read from YAML, checked.

Every value is checked where it enters, so a `Config` that exists holds only values
that are allowed.
"""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tf_frcnn.config.network import (
    AnchorsConfig,
    BoxesConfig,
    DetectionsConfig,
    LossConfig,
    ProposalsConfig,
    RoIConfig,
    RPNConfig,
)
from tf_frcnn.config.rules import ConfigError, Section, number, setting
from tf_frcnn.config.sections import (
    BackboneConfig,
    DataConfig,
    EvaluationConfig,
    ModelConfig,
    TrainConfig,
)
from tf_frcnn.config.yaml_files import dump_yaml, parse_yaml, read_yaml

__all__ = ["Config", "ConfigError", "dump_config", "load_config", "make_config"]

_OVERRIDE = "--set"  # what messages call the source of overrides


@dataclass(frozen=True, kw_only=True)
class Config(Section):
    """All settings of a run."""

    seed: int = setting(0, number("[0, inf)", whole=True))
    """Seed of everything that is drawn at random."""
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    anchors: AnchorsConfig = field(default_factory=AnchorsConfig)
    boxes: BoxesConfig = field(default_factory=BoxesConfig)
    rpn: RPNConfig = field(default_factory=RPNConfig)
    proposals: ProposalsConfig = field(default_factory=ProposalsConfig)
    roi: RoIConfig = field(default_factory=RoIConfig)
    detections: DetectionsConfig = field(default_factory=DetectionsConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def check(self) -> None:
        """Raises a ConfigError where settings contradict each other."""
        kind = self.model.kind
        if self.train.scheme == "alternating" and kind != "faster_rcnn":
            raise ConfigError(
                f"train.scheme = 'alternating' trains both stages; model.kind = "
                f"{kind!r} has one.",
                "train.scheme",
                "model.kind",
            )
        stores = kind == "fast_rcnn" or self.train.scheme == "alternating"
        if stores and self.roi.level_rule == "anchor":
            raise ConfigError(
                "roi.level_rule = 'anchor' needs proposals that know their anchor's "
                "level; stored ones do not. Use roi.level_rule = 'size'.",
                "roi.level_rule",
            )
        hard, proposed = self.roi.hard_examples, self.proposals.train_post_nms
        if hard is not None and hard > proposed:
            raise ConfigError(
                f"roi.hard_examples = {hard} must be at most "
                f"proposals.train_post_nms = {proposed}.",
                "roi.hard_examples",
                "proposals.train_post_nms",
            )
        if (kind == "fast_rcnn") != (self.data.proposals is not None):
            raise ConfigError(
                f"data.proposals = {self.data.proposals!r} with model.kind = {kind!r}: "
                "fast_rcnn needs a folder of stored proposals, the others have none.",
                "data.proposals",
                "model.kind",
            )


def load_config(path: str | Path, overrides: Iterable[str] = ()) -> Config:
    """Reads a YAML file; settings it does not name keep their defaults.

    Args:
        path: a YAML mapping of sections.
        overrides: settings such as "train.learning_rate=0.01" that replace those of the
            file, the value in YAML; of two for the same setting the later one counts.

    Raises:
        ConfigError: for a file that is not a mapping, an unknown or repeated setting, a
            value that is not allowed, or settings that contradict each other.
    """
    settings = _collect(read_yaml(path), str(path))
    overridden = {}
    for override in overrides:
        overridden |= _collect(_parse_override(override), _OVERRIDE)
    try:
        return _build(settings | overridden)
    except ConfigError as error:
        by_override = any(p.startswith(tuple(overridden)) for p in error.paths)
        source = _OVERRIDE if by_override else path
        raise ConfigError(f"{source}: {error}", *error.paths) from None


def make_config(settings: dict[str, dict[str, Any]], source: str) -> Config:
    """Makes a configuration of section -> setting -> value.

    Args:
        settings: those that are not defaults.
        source: what error messages call them.
    """
    return _build(_collect(settings, source))


def dump_config(config: Config) -> str:
    """Returns all settings as YAML that `load_config` turns into an equal `Config`."""
    return dump_yaml(asdict(config))


def _parse_override(override: str) -> dict[str, Any]:
    path, equals, value = override.partition("=")
    if not (path and equals):
        demand = "must have the form section.setting=value, such as train.epochs=14"
        raise ConfigError(f"{_OVERRIDE}: {override!r} {demand}.")
    return {path.strip(): parse_yaml(value, f"{_OVERRIDE}: {override}")}


def _build(settings: dict[str, Any]) -> Config:
    parts = {section: {} for section in _names_by_section()}
    for path, value in settings.items():
        section, _, name = path.rpartition(".")
        parts[section][name] = value
    values = parts.pop("")
    for part in fields(Config):
        if part.name in parts:
            values[part.name] = part.type(**parts[part.name])
    return Config(**values)


def _collect(tree: dict, source: str) -> dict[str, Any]:
    """Returns the value of every dotted path in a tree."""
    settings = {}
    for path, value in _settings(tree, source):
        if path in settings:
            raise ConfigError(f"{source}: {path} is set twice.", path)
        _require_known(path, source)
        settings[path] = value
    return settings


def _settings(tree: dict, source: str) -> Iterator[tuple[str, Any]]:
    sections = _names_by_section()
    for key, value in tree.items():
        if key not in sections:
            yield str(key), value
        elif value is None or isinstance(value, dict):
            for name, part in (value or {}).items():
                yield f"{key}.{name}", part
        else:
            message = f"{key} = {value!r} must be a mapping of settings."
            raise ConfigError(f"{source}: {message}", key)


def _require_known(path: str, source: str) -> None:
    names = _names_by_section()
    section, _, name = path.rpartition(".")
    if name in names.get(section, ()):
        return
    if guesses := _guess(path, names):
        hint = f"did you mean {' or '.join(guesses)}?"
    elif section in names and section:
        hint = f"{section} has {', '.join(names[section])}."
    else:
        hint = f"there are {', '.join([*names.pop(''), *names])}."
    raise ConfigError(f"{source}: {path} is not a setting; {hint}", path)


def _guess(path: str, names: dict[str, list[str]]) -> list[str]:
    """Returns the settings or the section that an unknown path may mean."""
    section, _, name = path.rpartition(".")
    every = [f"{s}.{n}".lstrip(".") for s in names for n in names[s]]
    siblings = names.get(section, ()) if section else ()
    return (
        [f"{section}.{sibling}" for sibling in _nearest(name, siblings)]
        or [p for p in every if p.rpartition(".")[2] == name]
        or _nearest(path, [] if section else every)
        or _nearest(section or name, [s for s in names if s != section])
    )


def _nearest(word: str, words: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(word, words, n=1)


def _names_by_section() -> dict[str, list[str]]:
    """Returns the settings of each section; those outside of sections under ""."""
    names = {"": []}
    for part in fields(Config):
        if "rule" in part.metadata:
            names[""].append(part.name)
        else:
            names[part.name] = [setting.name for setting in fields(part.type)]
    return names
