"""The tables of the pages that are made of recipes, presets, commands and findings.

python -m tests.helpers.recipe_tables

writes them anew between the marks of the pages.
"""

import re
from collections.abc import Iterator

from tests.helpers.paths import ROOT
from tf_frcnn.commands import COMMANDS
from tf_frcnn.config import SECTIONS, load_config, recipe_names
from tf_frcnn.config.recipes import recipe_path
from tf_frcnn.config.yaml_files import read_yaml
from tf_frcnn.doctor.findings import KINDS
from tf_frcnn.presets import list_presets

PAGES = sorted((ROOT / "docs").glob("*.md"))
# Column -> the recipe that stands for a system.
SYSTEMS = {
    "paper": "vgg16_voc07",
    "tf": "tf_faster_rcnn_vgg16_voc0712",
    "simple": "simple_faster_rcnn_vgg16_voc07",
    "bubbliiiing": "bubbliiiing_vgg16_voc0712",
    "teaching": "teaching_fpn_voc07",
    "torchvision": "torchvision_resnet50_fpn",
}
# What concerns the data set and not the system.
_OF_DATA = {"data.reader", "data.directory", "data.train_split"}
# Of these sections the settings that all share are named.
_COMMON = ("rpn", "proposals", "roi", "detections", "loss")
_MARK = re.compile(r"(<!-- begin (\w+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)


def page_with_tables(page: str) -> str:
    """Returns the text of a page with the tables between its marks made anew."""
    return _MARK.sub(lambda mark: mark[1] + TABLES[mark[2]]() + mark[3], page)


def marks_in(page: str) -> list[str]:
    """Returns the names of the tables in a page."""
    return [name for _, name, _ in _MARK.findall(page)]


def presets_table() -> str:
    """Returns what is known of each preset."""
    columns = ["preset", "source", "figure", "millions", "weights"]
    rows = [
        [
            f"`{name}`<br>{preset.title}",
            # The program or paper; the head of the recipe also has the file.
            preset.source.partition(", ")[0] or "-",
            preset.figure or "-",
            f"{preset.millions:.1f}",
            ", ".join(f"`{weights}`" for weights in preset.weights) or "-",
        ]
        for name, preset in list_presets().items()
    ]
    return _table(columns, rows)


def commands_table() -> str:
    """Returns the commands and what they do."""
    rows = [[f"`{name}`", command.HELP] for name, command in COMMANDS.items()]
    return _table(["command", "does"], rows)


def bases_table() -> str:
    """Returns in what each recipe differs from the one that it starts from."""
    rows = []
    for name in recipe_names():
        tree = read_yaml(recipe_path(name))
        if base := tree.pop("base", None):
            own = [f"`{path}` {_shown(value)}" for path, value in _leaves(tree)]
            rows.append([f"`{name}`", f"`{base}`", "; ".join(own)])
    return _table(["recipe", "base", "what differs"], rows)


def settings_table() -> str:
    """Returns the settings in which the systems differ, a row each."""
    rows = [
        [f"`{path}`", *map(_shown, values), _meaning(path)]
        for path, values in _settings()
        if len(set(map(repr, values))) > 1
    ]
    return _table(["setting", *SYSTEMS, "meaning"], rows)


def agreement() -> str:
    """Returns the settings of the network in which the systems agree."""
    same = [
        f"`{path}` {_shown(values[0])}"
        for path, values in _settings()
        if len(set(map(repr, values))) == 1
        and path.partition(".")[0] in _COMMON
        and _shown(values[0]) != "-"
    ]
    return f"{'; '.join(same)}.\n"


def findings_table() -> str:
    """Returns the kinds of findings of `tf-frcnn doctor`."""
    rows = [
        [f"`{name}`", kind.severity, kind.title, kind.remedy]
        for name, kind in KINDS.items()
    ]
    return _table(["finding", "severity", "what is wrong", "what to do"], rows)


TABLES = {
    "findings": findings_table,
    "presets": presets_table,
    "commands": commands_table,
    "bases": bases_table,
    "settings": settings_table,
    "agreement": agreement,
}


def _settings() -> Iterator[tuple[str, list]]:
    """Yields each setting's path and its value in every system."""
    configs = [load_config(name) for name in SYSTEMS.values()]
    for section, fields in SECTIONS.items():
        parts = [getattr(config, section) for config in configs]
        for name in fields.model_fields:
            path = f"{section}.{name}"
            if path not in _OF_DATA and not path.startswith("data.num_"):
                yield path, [getattr(part, name) for part in parts]


def _meaning(path: str) -> str:
    section, _, name = path.partition(".")
    description = SECTIONS[section].model_fields[name].description
    return " ".join(description.split())


def _leaves(tree: dict, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown(value) -> str:
    match value:
        case None | () | []:
            return "-"
        case bool():
            return "yes" if value else "no"
        case tuple() | list():
            return ", ".join(map(_shown, value))
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    for path in PAGES:
        page = path.read_text()
        if page != page_with_tables(page):
            path.write_text(page_with_tables(page))
