"""Recipes by name."""

from pathlib import Path

_FOLDER = Path(__file__).parents[2] / "configs"


def recipe_names() -> list[str]:
    """Returns the names of all recipes."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def recipe_path(source: str | Path) -> Path:
    """Returns the file of a recipe's name or of a path."""
    path = Path(source)
    named = _FOLDER / f"{path.name.removesuffix('.yaml')}.yaml"
    if not path.exists() and str(path) == path.name and named.is_file():
        return named
    return path
