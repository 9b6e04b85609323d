"""The configuration of a run, read from YAML and `--set`."""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tf_frcnn.config.config import SECTIONS, Config
from tf_frcnn.config.conventions import CONVENTIONS
from tf_frcnn.config.recipes import DEFAULT_RECIPE, recipe_names, recipe_path
from tf_frcnn.config.settings import ConfigError
from tf_frcnn.config.yaml_files import dump_yaml, parse_yaml, read_yaml

# What messages call the source of overrides, from the command line and from Python.
_OVERRIDE, _OVERRIDES = "--set", "overrides"
_BASE = "base"  # the key of a recipe that another one starts from
_Layer = tuple[str, dict[str, Any]]  # where settings come from, and they by path


def load_config(source: str | Path, overrides: Iterable[str] = ()) -> Config:
    """Reads a configuration: a recipe, or a file that starts from one.

    `base: NAME` in a file is the name of a recipe or a path relative to the file, whose
    settings hold where the file has none of its own. A file without it starts from
    `DEFAULT_RECIPE`, and one with `base: null` from the defaults of the settings, the
    paper's.

    Args:
        source: the path of a YAML file, or the name of a recipe; see `recipe_names`.
        overrides: settings such as "train.learning_rate=0.01" that replace those of the
            file, the value in YAML; the later of two for the same setting wins.

    Raises:
        ConfigError: for a file that is not a mapping, an unknown or repeated setting, a
            value that is not allowed, or settings that contradict each other.
    """
    layers = [*_chain(recipe_path(source)), *map(_override_layer, overrides)]
    return _build_layers(layers, str(source))


def make_config(
    settings: Mapping[str, Any],
    source: str,
    overrides: Mapping[str, Any] | None = None,
    texts: Iterable[str] = (),
) -> Config:
    """Makes a configuration of section -> setting -> value.

    Args:
        settings: those that differ from the defaults, which are the paper's; `base` may
            name a recipe.
        source: what error messages call them.
        overrides: settings that replace those; messages call them "overrides".
        texts: more of them, as `load_config` has them.
    """
    settings = dict(settings)
    base = settings.pop(_BASE, None)
    layers = [] if base is None else _chain(recipe_path(base))
    layers.append((source, _collect(settings, source)))
    layers.append((_OVERRIDES, _collect(overrides or {}, _OVERRIDES)))
    return _build_layers([*layers, *map(_override_layer, texts)], source)


def override_paths(overrides: Iterable[str]) -> list[str]:
    """Returns the settings that overrides such as "train.epochs=3" replace, by path."""
    return [path for text in overrides for path in _override_layer(text)[1]]


def dump_config(config: Config) -> str:
    """Returns all settings as YAML that `load_config` turns into an equal `Config`."""
    return dump_yaml({_BASE: None} | config.model_dump())


def config_schema() -> str:
    """Returns the JSON schema of a configuration file, for editors, as text."""
    schema = Config.model_json_schema(mode="validation")
    name = {
        "type": ["string", "null"],
        "description": "Recipe that the file starts from; null: none.",
        "default": DEFAULT_RECIPE,
        "examples": recipe_names(),
    }
    schema["properties"] = {_BASE: name, **schema["properties"]}
    conventions = schema["properties"]["conventions"]
    conventions["anyOf"] = [{"enum": [*CONVENTIONS]}, {"$ref": conventions.pop("$ref")}]
    return json.dumps(schema, indent=1)


def _chain(file: Path) -> list[tuple[str, dict[str, Any]]]:
    """Returns (file, its settings by path) of a file and its bases, the bases first."""
    chain: list[tuple[str, dict[str, Any]]] = []
    seen: list[Path] = []
    path: Path | None = file
    while path is not None:
        if path.resolve() in seen:
            names = " -> ".join(part.name for part in [*seen, path])
            raise ConfigError(f"{path}: base leads back to itself: {names}.", _BASE)
        seen.append(path.resolve())
        tree = read_yaml(path)
        base = tree.pop(_BASE, DEFAULT_RECIPE)
        chain.insert(0, (str(path), _collect(tree, str(path))))
        path = None if base is None else _base_path(base, path)
    return chain


def _base_path(base: Any, path: Path) -> Path:
    if not isinstance(base, str):
        raise ConfigError(f"{path}: base = {base!r} must be the name of a recipe.")
    beside = path.parent / base
    try:
        return beside if beside.is_file() else Path(recipe_path(base))
    except ConfigError as error:
        raise ConfigError(f"{path}: base: {error}", _BASE) from None


def _build_layers(layers: list[_Layer], source: str) -> Config:
    """Builds a configuration of which later layers replace settings of earlier ones.

    Raises:
        ConfigError: with the name of the last layer that contributes to it.
    """
    _refuse_unused_decays(layers)
    settings: dict[str, Any] = {}
    for _, own in layers:
        if "conventions.base" in own:  # Another program, without the habits of this.
            settings = {
                path: value
                for path, value in settings.items()
                if not path.startswith("conventions.")
            }
        settings |= own
    try:
        return _build(settings)
    except ConfigError as error:
        culprits = [
            origin
            for origin, own in layers
            if any(fault.startswith(path) for fault in error.paths for path in own)
        ]
        culprit = culprits[-1] if culprits else source
        raise ConfigError(f"{culprit}: {error}", *error.paths) from None


def _refuse_unused_decays(layers: list[_Layer]) -> None:
    """Raises a ConfigError where decays are set above a schedule that has none."""
    schedule, decays = "train.schedule", "train.decay_epochs"
    kind, holder = "steps", ""
    for origin, own in layers:
        if schedule in own:
            kind, holder = own[schedule], origin
        elif decays in own and kind != "steps" and origin != holder:
            raise ConfigError(
                f"{origin}: {decays} = {own[decays]} is for {schedule} = 'steps', but "
                f"{holder} has {kind!r}; leave it out, or set {schedule} as well.",
                decays,
            )


def _override_layer(override: str) -> _Layer:
    path, equals, value = override.partition("=")
    if not (path and equals):
        demand = "must have the form section.setting=value, such as train.epochs=14."
        raise ConfigError(f"{_OVERRIDE}: {override!r} {demand}")
    settings = {path.strip(): parse_yaml(value, f"{_OVERRIDE}: {override}")}
    return _OVERRIDE, _collect(settings, _OVERRIDE)


def _build(settings: dict[str, Any]) -> Config:
    parts: dict[str, dict] = {section: {} for section in SECTIONS}
    whole: dict[str, Any] = {}
    for path, value in settings.items():
        section, _, name = path.rpartition(".")
        (parts[section] if section else whole)[name] = value
    for section, own in parts.items():
        whole[section] = SECTIONS[section](**own)
    return Config(**whole)


def _collect(tree: Mapping, source: str) -> dict[str, Any]:
    """Returns the value of every dotted path in a tree."""
    settings: dict[str, Any] = {}
    for path, value in _settings(tree, source):
        if path in settings:
            raise ConfigError(f"{source}: {path} is set twice.", path)
        _require_known(path, source)
        settings[path] = value
    return settings


def _settings(tree: Mapping, source: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if key not in SECTIONS:
            yield str(key), value
        elif key == "conventions" and isinstance(value, str):
            yield "conventions.base", value
        elif value is None or isinstance(value, dict):
            for name, part in (value or {}).items():
                yield f"{key}.{name}", part
        else:
            demand = f"{key} = {value!r} must be a mapping of settings."
            raise ConfigError(f"{source}: {demand}", key)


def _names_by_section() -> dict[str, list[str]]:
    """Returns the settings of each section; those outside of sections under ""."""
    top = [name for name in Config.model_fields if name not in SECTIONS]
    return {"": top} | {name: [*part.model_fields] for name, part in SECTIONS.items()}


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
