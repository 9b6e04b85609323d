"""The recipes: configurations that come with the package, found by name."""

import difflib
from importlib import resources
from pathlib import Path

from tf_frcnn.config.settings import ConfigError

# In a clone a link to configs/; in an installed package a folder of its own.
_FOLDER = Path(str(resources.files("tf_frcnn"))) / "recipes"


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
    guesses = difflib.get_close_matches(path.stem, names)
    if guesses:
        hint = f"did you mean {' or '.join(guesses)}?"
    else:
        hint = f"there are {', '.join(names)}."
    raise ConfigError(
        f"{name_or_path}: No such file, nor a recipe of that name; {hint}"
    )
