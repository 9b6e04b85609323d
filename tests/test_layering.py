import ast
import graphlib
from pathlib import Path

import pytest

import tf_frcnn

PACKAGE = Path(tf_frcnn.__file__).parent
# The modules and packages of tf_frcnn, lowest floor first; imports go down, or sideways
# without a cycle.
FLOORS = (
    ("startup", "structures", "version", "plain_yaml"),
    ("config", "ops", "evaluation"),
    ("layers", "data.checks", "data.decoding"),
    ("backbones", "data.examples", "data.joining", "data.tfds_features"),
    (
        *("models", "data.readers", "data.pipeline", "data.augmentation"),
        *("data.coco_writer", "data.voc_writer"),
        *("doctor.classes", "doctor.class_names", "doctor.findings"),
    ),
    ("data",),
    ("assembly", "callbacks", "drawing"),
    ("runs", "doctor", "report"),
    ("export", "checkpoints", "client"),
    ("beam", "demo", "presets"),
    ("commands",),
    ("cli", "__main__"),
)
RANKS = {name: rank for rank, names in enumerate(FLOORS) for name in names}
# What may be asked of tf_frcnn.config by the floors above.
OF_CONFIG = {"Config", "ConfigError", "dump_config", "load_config", "make_config"}
OF_CONFIG |= {"override_paths"}
OF_CONFIG |= {"DEFAULT_RECIPE", "config_schema", "recipe_names", "recipe_path"}
# What reads settings: the layers and models that they concern, and what assembles.
MAY_READ = ("config", "layers", "models", "assembly", "data.augmentation.plan")
# The one module whose functions import from a higher floor, and that floor.
ENTRY_POINTS, THEIR_FLOOR = "models.entry_points", "presets"
# The modules that do so: one calls what a user gives to `fit`, one reads again what the
# graph could not read, one keeps decoded images where that is asked for.
OUTSIDE_OF_GRAPHS = {"data.augmentation.user_function", "data.pipeline.replacing"}
OUTSIDE_OF_GRAPHS |= {"data.pipeline.pixel_cache"}
NOT_IN_A_GRAPH = {"py_function", "numpy_function", "from_generator"}


def module_name(path):
    """Returns the dotted name of a file below the package: "ops.nms", "" for itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


SOURCES = {
    module_name(path): ast.parse(path.read_text(), str(path))
    for path in sorted(PACKAGE.rglob("*.py"))
}


def absolute(node, module, sources):
    """Returns the dotted name that `from ... import` starts from, or None."""
    if not node.level:
        return node.module
    is_package = module == "" or any(name.startswith(f"{module}.") for name in sources)
    parts = ["tf_frcnn", *module.split(".")] if module else ["tf_frcnn"]
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, *([node.module] if node.module else [])])


def imports_of(module, sources):
    """Returns (imported module, name taken from it or None) of the package's own.

    Imports within functions count as well.
    """
    found = set()
    for node in ast.walk(sources[module]):
        if isinstance(node, ast.Import):
            targets = [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            source = absolute(node, module, sources)
            targets = [(source, alias.name) for alias in node.names]
        else:
            continue
        for source, name in targets:
            if source.split(".")[0] != "tf_frcnn":
                continue
            source = source.removeprefix("tf_frcnn").removeprefix(".")
            submodule = f"{source}.{name}".removeprefix(".")
            found.add((submodule, None) if submodule in sources else (source, name))
    return found


def floor_of(module):
    """Returns the longest name of `RANKS` that a module lies in, or None."""
    parts = module.split(".")
    names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((name for name in names if name in RANKS), None)


def rank_of(module):
    return RANKS[floor_of(module)]


def unranked(sources):
    return {name for name in sources if name and floor_of(name) is None}


def upward_imports(sources):
    """Returns "module -> imported" for each import from a higher rank."""
    return [
        f"{module} -> {imported}"
        for module in sources
        for imported, _ in imports_of(module, sources)
        if module
        and imported
        and rank_of(imported) > rank_of(module)
        and (module, floor_of(imported)) != (ENTRY_POINTS, THEIR_FLOOR)
    ]


def check_no_cycle(sources):
    """Raises graphlib.CycleError where modules import each other."""
    graph = {
        module: {imported for imported, _ in imports_of(module, sources)} - {module}
        for module in sources
        if module != ENTRY_POINTS
    }
    graphlib.TopologicalSorter(graph).prepare()


def config_readers(sources):
    """Returns "module -> name" for what is taken of the config besides `OF_CONFIG`."""
    found = []
    for module in sources:
        if not module or any(f"{module}.".startswith(f"{n}.") for n in MAY_READ):
            continue
        for imported, name in imports_of(module, sources):
            of_config = imported.split(".")[0].startswith("config")
            allowed = rank_of(module) > RANKS["data"] and imported == "config"
            if of_config and not (allowed and name in OF_CONFIG):
                found.append(f"{module} -> {imported}.{name}")
    return found


def names_in(tree):
    """Returns every name and attribute that a module uses or imports."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.alias):
            names.add(node.name.split(".")[-1])
    return names


def parse(sources):
    return {module: ast.parse(text) for module, text in sources.items()}


def test_every_module_has_a_rank_and_every_rank_a_module():
    assert unranked(SOURCES) == set()
    assert set(RANKS) - {floor_of(module) for module in SOURCES if module} == set()


def test_imports_go_down_the_ranks():
    assert upward_imports(SOURCES) == []


def test_no_modules_import_each_other():
    check_no_cycle(SOURCES)


def test_entry_points_import_when_they_are_called():
    early = [n for n in SOURCES[ENTRY_POINTS].body if not isinstance(n, ast.ClassDef)]
    assert imports_of(ENTRY_POINTS, {ENTRY_POINTS: ast.Module(early, [])}) == set()


def test_settings_are_read_by_their_layers_and_by_what_assembles_alone():
    assert config_readers(SOURCES) == []


def test_nothing_runs_python_within_a_sound_graph():
    users = {
        module: names_in(tree) & NOT_IN_A_GRAPH for module, tree in SOURCES.items()
    }
    users = {module: names for module, names in users.items() if names}
    assert users == {
        **{name: {"numpy_function"} for name in OUTSIDE_OF_GRAPHS},
        # It tells of a step that is not finite, and of none else.
        "models.sound_steps": {"py_function"},
        # It hands over the detections of a validation, which the host is to measure.
        "models.kept_detections": {"numpy_function"},
    }


@pytest.mark.parametrize(
    "statement",
    [
        "import tf_frcnn.data.voc",
        "from tf_frcnn.data import voc",
        "from tf_frcnn.data.voc import read",
        "from ..data import voc",
        "from ..data.voc import read",
        "def late():\n    from tf_frcnn.data.voc import read",
    ],
)
def test_an_import_from_a_higher_rank_is_found_in_every_form(statement):
    sources = parse({"ops": "", "ops.nms": statement, "data": "", "data.voc": ""})
    assert upward_imports(sources) == ["ops.nms -> data.voc"]


def test_relative_imports_of_a_package_start_at_the_package():
    sources = parse({"": "", "ops": "from . import nms\nfrom .. import data"})
    sources |= parse({"ops.nms": "from .boxes import areas", "ops.boxes": ""})
    sources |= parse({"data": "", "assembly": "from .data import voc"})
    assert imports_of("ops", sources) == {("ops.nms", None), ("data", None)}
    assert imports_of("ops.nms", sources) == {("ops.boxes", "areas")}
    assert imports_of("assembly", sources) == {("data", "voc")}


def test_modules_that_import_each_other_are_found():
    sources = parse({"data": "import tf_frcnn.evaluation", "evaluation": ""})
    check_no_cycle(sources)
    sources |= parse({"evaluation": "def late():\n    from tf_frcnn import data"})
    with pytest.raises(graphlib.CycleError):
        check_no_cycle(sources)


@pytest.mark.parametrize(
    ("module", "statement", "reads"),
    [
        ("assembly.model", "from tf_frcnn.config.sections import RPN", False),
        ("runs.training", "from tf_frcnn.config import Config, dump_config", False),
        ("runs.training", "from tf_frcnn.config import RPN", True),
        ("runs.training", "import tf_frcnn.config", True),
        ("runs.training", "from tf_frcnn.config.sections import RPN", True),
        ("backbones.vgg16", "from tf_frcnn.config import Config", True),
        ("layers.rpn_head", "from tf_frcnn.config import RPNSettings", False),
    ],
)
def test_who_may_take_what_of_the_config(module, statement, reads):
    sources = parse({module: statement, "config": "", "config.sections": ""})
    assert bool(config_readers(sources)) == reads


def test_a_module_without_a_rank_is_found():
    assert unranked(parse({"ops.nms": "", "utils": ""})) == {"utils"}


def test_a_function_that_leaves_the_graph_is_found_in_every_form():
    for text in ("tf.py_function(f)", "from tensorflow import numpy_function as f"):
        assert names_in(ast.parse(text)) & NOT_IN_A_GRAPH
