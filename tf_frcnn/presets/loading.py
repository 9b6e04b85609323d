"""Models from recipes and folders."""

import difflib
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from tf_frcnn.assembly import backbone_of, build_model, load_initial_weights
from tf_frcnn.checkpoints import check_classes
from tf_frcnn.checkpoints.published import PUBLISHED, load_published
from tf_frcnn.config import Config, make_config, recipe_names, recipe_path
from tf_frcnn.data.pipeline.tensor_examples import check_box_format
from tf_frcnn.models import Detector
from tf_frcnn.runs.inference import load_run_as, take_weights
from tf_frcnn.runs.settings_files import CONFIG_FILE, run_config

# What messages call the settings that were given by keyword.
_SOURCE = "from_preset"


def load_preset(
    preset: str | PathLike,
    *,
    class_names: Sequence[str] | None = None,
    num_classes: int | None = None,
    weights: str | PathLike | None = None,
    box_format: str | None = None,
    settings: Mapping[str, Any],
) -> Detector:
    """Makes a model from a recipe, or loads one from a folder.

    The arguments are those of `FasterRCNN.from_preset`, the keywords as a mapping.
    """
    check_box_format(box_format)
    names = _class_list(class_names, num_classes)
    if folder := preset_folder(preset):
        model = _of_folder(folder, names, weights, settings)
    else:
        model = _of_recipe(str(preset), names, weights, settings)
    model.box_format = box_format
    return model


def preset_folder(preset: str | PathLike) -> Path | None:
    """Returns the folder of a preset, or None for a recipe's name or file.

    Raises:
        FileNotFoundError: it is a folder without a model.
    """
    folder = Path(preset)
    if not folder.is_dir():
        return None
    if str(preset) in recipe_names() and not (folder / CONFIG_FILE).is_file():
        return None
    run_config(folder)
    return folder


def _class_list(class_names, num_classes) -> tuple[str, ...] | None:
    if class_names is None:
        if num_classes is None:
            return None
        if num_classes < 1:
            raise ValueError(f"num_classes = {num_classes} must be at least 1.")
        return tuple(f"class {label}" for label in range(num_classes))
    names = check_classes(class_names)
    if num_classes not in (None, len(names)):
        raise ValueError(
            f"num_classes = {num_classes}, but class_names has {len(names)} names; "
            "give one of the two."
        )
    return names


def _of_recipe(
    preset: str, names: tuple[str, ...] | None, weights, settings: Mapping[str, Any]
) -> Detector:
    recipe = recipe_path(preset).stem
    if (recipe, weights) in PUBLISHED:
        loaded = load_published(recipe, weights, names, overrides=settings)
        for note in loaded.notes:
            print(f"Note: {note}")
        return loaded.model
    config = make_config({"base": str(recipe_path(preset)), **settings}, _SOURCE)
    if weights is not None and not _is_of_backbone(weights):
        raise ValueError(
            f"weights = {str(weights)!r}: {preset} has "
            f"{_known_weights(recipe, config, str(weights))}"
        )
    if names is None:
        raise ValueError(
            f"{preset}: a recipe has no classes of its own; give class_names (those of "
            "your data: data.class_names), or num_classes."
        )
    if weights is not None:
        config = config.replace(backbone=config.backbone.replace(weights=str(weights)))
    model = build_model(config, names)
    _load_backbone(config, model)
    return model


def _is_of_backbone(weights: str | PathLike) -> bool:
    """Returns whether weights are a backbone's: of Keras, random, or a path."""
    path = Path(weights)
    is_path = bool(path.suffix) or len(path.parts) > 1 or path.exists()
    return is_path or weights in ("imagenet", "random")


def _known_weights(recipe: str, config: Config, wrong: str) -> str:
    """Returns what may be given for weights, and what was meant by a wrong name."""
    names = [weights for of, weights in PUBLISHED if of == recipe]
    if backbone_of(config).imagenet and "imagenet" not in names:
        names.append("imagenet")
    names.append("random")
    near = difflib.get_close_matches(wrong, names, n=1)
    guess = f"; did you mean {near[0]}?" if near else "."
    return f"{', '.join(names)}, or the path of an HDF5 file{guess}"


def _load_backbone(config: Config, model: Detector) -> None:
    report = load_initial_weights(config, model)
    if report is not None:
        random = f"; random: {', '.join(report.random)}" if report.random else ""
        print(f"Pretrained weights: {len(report.loaded)} layers{random}.")


def _of_folder(
    folder: Path, names: tuple[str, ...] | None, weights, settings: Mapping[str, Any]
) -> Detector:
    if weights is not None:
        raise ValueError(
            f"{folder} has its own weights; weights = {str(weights)!r} is for recipes."
        )
    config = make_config({"base": str(folder / CONFIG_FILE), **settings}, _SOURCE)
    run = load_run_as(folder, config)
    own = run.model.class_names
    if names is None or names == own:
        return run.model
    if sorted(names) == sorted(own):
        raise ValueError(
            f"{folder} has these classes in another order: {', '.join(own)}. Leave out "
            "class_names, and read the data with class_names=model.class_names."
        )
    model = build_model(config, names)
    take_weights(run, model)
    return model
