"""Runs and stored curves, laid over each other."""

from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from tf_frcnn.config import Config, load_config, recipe_names, recipe_path
from tf_frcnn.report.comparing import Comparison, compare, sentence
from tf_frcnn.report.curves import Curves, read_curves
from tf_frcnn.report.training import flat_settings
from tf_frcnn.runs.logs import LOG_FILE
from tf_frcnn.runs.settings_files import CONFIG_FILE

# Wide enough for the table also where the output is a file.
_CONSOLE = Console(width=100)


class Source(NamedTuple):
    """A training to compare.

    Attributes:
        curves: what it logged.
        config: its settings; None where they are not known.
    """

    curves: Curves
    config: Config | None


def reference_names() -> list[str]:
    """Returns the names of the recipes whose curves come with the package."""
    return [name for name in recipe_names() if _reference(name).is_file()]


def find_source(name: str) -> Source:
    """Finds a training.

    Args:
        name: a run folder; a CSV file such as log.csv; a recipe whose curves come with
            the package; or a recipe or configuration whose run is in runs/.

    Raises:
        FileNotFoundError: there is none of these.
        ValueError: it has no log.
    """
    path = Path(name).expanduser()
    if path.suffix == ".csv":
        return Source(read_curves(path, name), _config_in(path.parent))
    if not path.is_dir() and name in reference_names():
        curves = read_curves(_reference(name), f"the reference {name}")
        return Source(curves, load_config(recipe_path(name)))
    is_config = path.suffix in (".yaml", ".yml") or name in recipe_names()
    if not path.is_dir() and is_config:
        path = Path("runs") / path.stem
    if not path.is_dir():
        stored = ", ".join(reference_names()) or "none"
        raise FileNotFoundError(
            f"{name} is no run folder, no CSV file and no reference. There are the "
            f"references {stored}."
        )
    if (path / "steps").is_dir() and not (path / LOG_FILE).is_file():
        steps = ", ".join(str(own) for own in sorted((path / "steps").iterdir()))
        raise ValueError(
            f"{path} is trained in steps, and not all are done; compare one of {steps}."
        )
    return Source(read_curves(path / LOG_FILE, str(path)), _config_in(path))


def compare_sources(one: Source, other: Source, tolerance: float) -> Comparison:
    """Compares two trainings; see `report.comparing.compare`."""
    settings = None
    if one.config is not None and other.config is not None:
        settings = flat_settings(one.config), flat_settings(other.config)
    first, second = one.curves, other.curves
    if first.name == second.name:
        second = second._replace(name=f"{second.name} (2)")
    return compare(first, second, tolerance, settings)


def print_comparison(found: Comparison) -> None:
    """Prints where two trainings part, column by column."""
    names = found.one.name, found.other.name
    table = Table(title=f"{names[0]} (1) and {names[1]} (2)")
    headings = ("column", "epochs", "parts in", "largest difference", "last (1)")
    for heading in (*headings, "last (2)"):
        table.add_column(heading, justify="left" if heading == "column" else "right")
    for row in found.rows:
        parts = "-" if row.epoch is None else f"epoch {row.epoch}"
        largest = f"{row.largest:.3g} in {row.largest_epoch}"
        last = [f"{value:.4g}" for value in row.last]
        table.add_row(row.column, str(row.num_epochs), parts, largest, *last)
    _CONSOLE.print(table)
    for name, (mine, theirs) in (found.settings or {}).items():
        print(f"{name}: {_shown(mine)} (1), {_shown(theirs)} (2)")
    print(sentence(found))


def _shown(value: Any) -> str:
    return "not set" if value is None else str(value)


def _reference(name: str) -> Path:
    return recipe_path(name).parent / "curves" / f"{name}.csv"


def _config_in(folder: Path) -> Config | None:
    path = folder / CONFIG_FILE
    return load_config(path) if path.is_file() else None
