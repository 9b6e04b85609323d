"""`tf-frcnn new`: a configuration that fits a data set."""

import argparse
import re
import shlex
import textwrap
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tf_frcnn.commands.arguments import add_settings, expanded_path

if TYPE_CHECKING:
    from tf_frcnn.config import Config
    from tf_frcnn.data import ExampleSet
    from tf_frcnn.doctor.recipe import Recipe

HELP = "write a configuration that fits a data set"
# Readers whose location is the name of a builder, not a path.
_BY_NAME = ("tfds",)
_CLASSES_NAMED = 20
# Settings of `data` that hold for one data set, beside those that `new` writes.
_OF_ONE_DATA_SET = ("data_dir", "class_file", "class_names", "one_based", "proposals")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "source", metavar="DATA", help="folder or file; for tfds the builder's name"
    )
    parser.add_argument("--reader", help="name of the reader (by the form of DATA)")
    parser.add_argument(
        "--output", type=expanded_path, help="a new file (DATA's name with .yaml)"
    )
    parser.add_argument(
        "--preset",
        help="recipe, or folder of a trained model, to start from (a converted "
        "detector in runs; else own_images)",
    )
    add_settings(parser)


def run(options: argparse.Namespace) -> None:
    """Reads the splits, chooses settings, writes them and says what to type next."""
    from tf_frcnn.assembly import check_parts
    from tf_frcnn.checkpoints import is_converted_detector
    from tf_frcnn.config import DEFAULT_RECIPE, make_config, override_paths
    from tf_frcnn.doctor.machine import multiplies_bfloat16
    from tf_frcnn.doctor.recipe import build_recipe

    output = options.output or Path(f"{_name_of(options.source)}.yaml")
    if output.exists():
        raise FileExistsError(f"{output} exists; choose another name by --output.")
    if not output.parent.is_dir():
        raise FileNotFoundError(f"{output}: there is no folder {output.parent}.")
    names_backbone = any(p.startswith("backbone") for p in override_paths(options.set))
    at_hand = None if options.preset or names_backbone else _converted_detector()
    folder, base = _start(options.preset or at_hand or DEFAULT_RECIPE)
    data, notes = _data_settings(options)
    if folder:
        data |= _instead_of_its_own_data(folder)
    tree = {"base": base, "data": data}
    config = make_config(tree, options.source, texts=options.set)
    check_parts(config)
    train, validation = _read_splits(config)
    recipe = build_recipe(
        data,
        train,
        validation,
        base=base,
        overrides=options.set,
        can_bfloat16=multiplies_bfloat16(),
        is_trained=folder is not None,
        is_published=folder is not None and is_converted_detector(folder),
    )
    command = f"tf-frcnn train {output}"
    if folder:
        command += f" --init {shlex.quote(str(folder))}"
        notes.append(
            f"Anchors, image size and box head stay those of {folder}, with whose "
            "weights the training begins."
        )
    if at_hand:
        notes.append(
            f"{at_hand} is a detector of another program that was converted; with "
            f"--preset {DEFAULT_RECIPE} the training begins with a backbone alone."
        )
    text = recipe.text(_heading(command, train, validation, notes))
    with output.open("x", encoding="utf-8") as file:
        file.write(text)
    _report(recipe, output, command, notes)


def _converted_detector() -> str | None:
    """Returns the folder in runs of a converted detector, that of most classes."""
    from tf_frcnn.checkpoints import is_converted_detector
    from tf_frcnn.runs.settings_files import CLASSES_FILE

    def num_classes(folder: Path) -> int:
        return len((folder / CLASSES_FILE).read_text().splitlines())

    found = filter(is_converted_detector, sorted(Path("runs").glob("*")))
    best = max(found, key=num_classes, default=None)
    return None if best is None else str(best)


def _data_settings(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Returns the settings of `data`, and what is to be known about the splits."""
    from tf_frcnn.assembly import split_names
    from tf_frcnn.config import make_config, override_paths
    from tf_frcnn.data import reader_for
    from tf_frcnn.doctor.roles import choose_roles

    reader = options.reader or reader_for(options.source)
    place = options.source
    if reader not in _BY_NAME:
        place = str(Path(place).expanduser().resolve())
    data = {"reader": reader, "directory": place}
    config = make_config({"data": data}, options.source, texts=options.set)
    given = override_paths(options.set)
    asked = [f"data.{role}_split" for role in ("train", "validation", "test")]
    if {*asked} <= {*given}:
        return data, []
    train = config.data.train_split if asked[0] in given else None
    roles = choose_roles(split_names(config), train)
    data |= {
        "train_split": roles.train,
        "validation_split": roles.validation,
        "test_split": roles.test,
    }
    return data, [] if {*asked[1:]} & {*given} else [*roles.notes]


def _start(preset: str) -> tuple[Path | None, str]:
    """Returns the folder of a preset, if it is one, and the base of the new file.

    The base is a recipe's name, or the whole path of a file.
    """
    from tf_frcnn.presets import preset_folder
    from tf_frcnn.runs.settings_files import CONFIG_FILE

    path = Path(preset).expanduser()
    if folder := preset_folder(path):
        return folder, str(folder.resolve() / CONFIG_FILE)
    return None, str(path.resolve()) if path.is_file() else preset


def _read_splits(config: "Config") -> tuple["ExampleSet", "ExampleSet"]:
    """Reads the training and the validation split, and prints their problems."""
    from tf_frcnn.assembly import Splits

    splits = Splits(config)
    train = splits.read("train")
    validation = splits.read("validation", train.class_names)
    # Parts of one split have its problems.
    is_same = validation.problems is train.problems
    for examples in (train,) if is_same else (train, validation):
        if examples.problems.rows:
            print(f"{examples.name}:")
            examples.problems.print()
    return train, validation


def _instead_of_its_own_data(folder: Path) -> dict[str, Any]:
    """Returns the defaults of what a trained model's settings say about its data."""
    from tf_frcnn.config import Config, load_config
    from tf_frcnn.runs.settings_files import run_config

    own, default = load_config(run_config(folder)).data, Config().data
    return {
        name: getattr(default, name)
        for name in _OF_ONE_DATA_SET
        if getattr(own, name) != getattr(default, name)
    }


def _name_of(source: str) -> str:
    """Returns a name for the file: that of the folder, the file, or the builder."""
    place, name = Path(source).expanduser(), source
    if place.exists():
        name = place.resolve().stem if place.is_file() else place.resolve().name
    return re.sub(r"[^\w.-]+", "_", name)


def _heading(
    command: str, train: "ExampleSet", validation: "ExampleSet", notes: list[str]
) -> str:
    """Returns the comment at the beginning of the file."""
    counts = Counter(label for record in train.records for label in record.labels)
    named = [f"{name} {counts[label]}" for label, name in enumerate(train.class_names)]
    more = " ..." if len(named) > _CLASSES_NAMED else ""
    text = (
        f"{len(train.records)} training images, {len(validation.records)} validation "
        f"images. Training objects by class: {', '.join(named[:_CLASSES_NAMED])}{more}."
    )
    paragraphs = [f"Made for {train.name}.", f"  {command}", text, *notes]
    return "\n\n".join(textwrap.fill(p, 86) if p[0] != " " else p for p in paragraphs)


def _report(recipe: "Recipe", output: Path, command: str, notes: list[str]) -> None:
    """Prints the anchors before and after, and what to type next."""
    before, after = recipe.advice.before, recipe.advice.after
    print(f"Anchors of {recipe.base}:\n{before.table()}\n")
    if recipe.advice.settings:
        print(f"Advised anchors:\n{after.table()}\n")
    for sentence in [*recipe.advice.reasons, *notes]:
        print(sentence)
    print(
        f"\n{output} is written. Read it, then type\n"
        f"  {command} --output runs/{output.stem}_trial --set train.epochs=1 "
        "--set data.max_images=20\n"
        f"for a trial, or for the whole training\n"
        f"  {command}"
    )
