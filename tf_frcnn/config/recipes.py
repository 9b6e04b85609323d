"""The recipes: configurations that come with the package, found by name."""

import difflib
from collections.abc import Collection
from importlib import resources
from pathlib import Path

from tf_frcnn.config.settings import ConfigError

# In a clone a link to configs/; in an installed package a folder of its own.
_FOLDER = Path(str(resources.files("tf_frcnn"))) / "recipes"
# What a file starts from that names no recipe.
DEFAULT_RECIPE = "own_images"
_SUFFIXES, _FILES_NAMED = (".yaml", ".yml"), 8


def recipe_names() -> list[str]:
    """Returns the names of all recipes in alphabetical order."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def recipe_path(name_or_path: str | Path) -> Path:
    """Returns the file of a path or of a recipe's name.

    Args:
        name_or_path: a file, which wins over a recipe, or a name such as "vgg16_voc07"
            or "vgg16_voc07.yaml".

    Raises:
        ConfigError: neither exists; the message has the nearest names.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    names, name = recipe_names(), str(path).removesuffix(".yaml")
    if name in names:
        return _FOLDER / f"{name}.yaml"
    raise ConfigError(
        f"{name_or_path}: No such file, nor a recipe of that name; {_hint(path)}"
    )


def _hint(path: Path) -> str:
    """Returns what may have been meant by a path that is no file."""
    if path.is_dir():
        own = path / "config.yaml"
        if own.is_file():
            return f"did you mean {own}?"
        return f"it is a folder. For data, `tf-frcnn new {path}` writes a file."
    names, folder = recipe_names(), path.parent
    files = {f.stem: str(f) for f in sorted(folder.glob("*")) if f.suffix in _SUFFIXES}
    near_names = _nearest(path.stem, names)
    near_files = [files[stem] for stem in _nearest(path.stem, files)]
    is_path = path.suffix in _SUFFIXES or len(path.parts) > 1
    near = near_files or near_names if is_path else near_names or near_files
    if near:
        return f"did you mean {' or '.join(near)}?"
    if is_path and not folder.is_dir():
        return f"there is no folder {folder}."
    if is_path and files:
        return f"the folder has {', '.join([*files.values()][:_FILES_NAMED])}."
    return f"there are {', '.join(names)}."


def _nearest(name: str, names: Collection[str]) -> list[str]:
    """Returns the name itself if it is there, else those like it."""
    return [name] if name in names else difflib.get_close_matches(name, names)
