"""Published checkpoints as detectors, in memory or as run folders."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from tf_frcnn.assembly import build_model
from tf_frcnn.checkpoints import (
    bubbliiiing,
    imagenet,
    simple_faster_rcnn,
    tf_faster_rcnn,
    torchvision,
)
from tf_frcnn.checkpoints.files import Checkpoint, CheckpointError, read_checkpoint
from tf_frcnn.checkpoints.name_map import (
    LoadReport,
    NameMap,
    apply_map,
    for_all_heads,
)
from tf_frcnn.checkpoints.source import Description, Source
from tf_frcnn.config import Config, make_config
from tf_frcnn.data import make_shapes
from tf_frcnn.models import FasterRCNN
from tf_frcnn.runs.inference import write_finished
from tf_frcnn.runs.outputs import require_writable
from tf_frcnn.runs.safe_files import write_text
from tf_frcnn.runs.settings_files import CONFIG_FILE
from tf_frcnn.runs.training import NUM_SAMPLES, write_samples

SOURCES = {
    **imagenet.SOURCES,
    "bubbliiiing": bubbliiiing.SOURCE,
    "simple-faster-rcnn-pytorch": simple_faster_rcnn.SOURCE,
    "tf-faster-rcnn": tf_faster_rcnn.SOURCE,
    "torchvision": torchvision.SOURCE,
}
REPORT_FILE = "conversion.json"
_CLASS_DEPENDENT = "box_predictor/"
# Settings of data in which a converted run has the defaults, not its recipe's.
_DATA = ("reader", "train_split", "validation_split", "test_split")


class Loaded(NamedTuple):
    """A detector with published weights.

    Attributes:
        model: the detector.
        config: its configuration, with the preprocessing it was trained with.
        report: what became of every weight.
        notes: what the user should know of what was assumed.
        sha256: of the file, see `files.Checkpoint`.
    """

    model: FasterRCNN
    config: Config
    report: LoadReport
    notes: tuple[str, ...]
    sha256: str


def load(
    source: str,
    path: str | Path,
    class_names: Sequence[str] | None = None,
    *,
    variant: str | None = None,
    strict: bool = True,
    overrides: Mapping[str, Any] | None = None,
) -> Loaded:
    """Loads a published checkpoint.

    Args:
        source: one of `SOURCES`.
        path: of the file.
        class_names: the K classes. Known lists (VOC, COCO) need none; another list
            than the known one gives the predictor new, random weights. For a file
            whose K classes are not known they are its names, or, if there are not K
            of them, give new weights likewise.
        variant: one of the source's, where the file does not tell.
        strict: whether an incomplete load is an error, however little lacks.
        overrides: section -> setting -> value, for the configuration; they replace
            those of the recipe and of the file.

    Raises:
        ConfigError: an override is unknown or not allowed.
        FileNotFoundError: there is no such file.
        CheckpointError: the file is not of this source, or incomplete, or damaged.
        ValueError: the source or the variant is unknown.
        ImportError: safetensors is needed and not installed.
    """
    chosen = _source(source, variant)
    checkpoint = read_checkpoint(path)
    description = _describe(chosen, checkpoint, variant)
    names, keeps_predictor = _choose_classes(checkpoint, description, class_names)
    config = config_of(description, source, overrides)
    model = build_model(config, names)
    # What a file has no predictors for, a cascade's later heads begin with.
    random, notes = rf"{description.random}|box_predictor/head\d", description.notes
    replaced: list[str] = []
    if not keeps_predictor:
        checkpoint, replaced = _without_predictor(checkpoint, description.name_map)
        random = f"{random}|{_CLASS_DEPENDENT}"
        notes += (
            f"The {len(names)} classes are not those of the file: the weights that "
            "depend on them are new and random. Train before you predict.",
        )
    report = apply_map(
        model,
        checkpoint,
        for_all_heads(description.name_map, model),
        ignored=description.ignored,
        random=random,
        strict=strict,
    )
    report.ignored.extend(replaced)
    return Loaded(model, config, report, notes, checkpoint.sha256)


def convert(
    source: str,
    path: str | Path,
    directory: str | Path,
    class_names: Sequence[str] | None = None,
    *,
    variant: str | None = None,
    strict: bool = True,
) -> Loaded:
    """Makes a run folder of a published checkpoint, as if it had been trained here.

    The folder gets config.yaml, classes.txt, weights/, samples/ (drawn images on
    which an export is tried) and conversion.json (the report). Arguments, result and
    errors are those of `load`, without overrides, and:

    Raises:
        FileExistsError: the folder is not empty.
        OSError: it cannot be written; nothing was loaded.
    """
    directory = Path(directory)
    if directory.is_file():
        raise FileExistsError(f"{directory} is a file; OUTPUT is to be a folder.")
    if (directory / CONFIG_FILE).exists():
        raise FileExistsError(
            f"{directory} holds a run already; choose another folder for the converted "
            "one."
        )
    if directory.exists() and any(directory.iterdir()):
        raise FileExistsError(
            f"{directory} is not an empty folder, and nothing in it is overwritten; "
            "choose another for the converted run."
        )
    require_writable(directory)
    loaded = load(source, path, class_names, variant=variant, strict=strict)
    write_samples(directory, make_shapes(NUM_SAMPLES, seed=0))
    origin = {
        "source": source,
        "file": Path(path).name,
        "sha256": loaded.sha256,
        "variant": variant,
    }
    report = origin | {"notes": loaded.notes} | asdict(loaded.report)
    write_text(directory / REPORT_FILE, json.dumps(report, indent=1))
    write_finished(directory, loaded.config, loaded.model)
    return loaded


def is_converted_detector(directory: Path) -> bool:
    """Returns whether `convert` made a folder of a detector, not of a backbone."""
    report = directory / REPORT_FILE
    if not report.is_file():
        return False
    return not json.loads(report.read_text())["source"].startswith("imagenet-")


def _source(name: str, variant: str | None) -> Source:
    if name not in SOURCES:
        raise ValueError(f"source = {name!r} must be one of {', '.join(SOURCES)}.")
    source = SOURCES[name]
    if variant is not None and variant not in source.variants:
        there_are = ", ".join(source.variants) or "none"
        raise ValueError(f"variant = {variant!r}: {name} has {there_are}.")
    return source


def _describe(
    source: Source, checkpoint: Checkpoint, variant: str | None
) -> Description:
    """Describes a file; in one that is damaged an array may have any shape."""
    try:
        return source.describe(checkpoint, variant)
    except (LookupError, TypeError) as error:
        raise CheckpointError(
            f"{checkpoint.path}: the shapes or names of its weights are those of no "
            "detector; it is damaged, or of another source."
        ) from error


def config_of(
    description: Description, source: str, overrides: Mapping[str, Any] | None = None
) -> Config:
    """Makes the configuration of a converted run: its recipe, on data of the user's."""
    own, general = description.settings, Config().data
    data = {name: getattr(general, name) for name in _DATA}
    return make_config(own | {"data": data | own.get("data", {})}, source, overrides)


def check_classes(
    class_names: Sequence[str], origin: str = "class_names"
) -> tuple[str, ...]:
    """Returns a class list that names each class once, and no background.

    Args:
        class_names: the list.
        origin: what messages call it.

    Raises:
        ValueError: the list is empty, a mere text, or names a class twice.
    """
    names = tuple(class_names)
    repeated = [name for name in names if names.count(name) > 1]
    background = [name for name in names if name.strip("_").lower() == "background"]
    if repeated or background or not names or isinstance(class_names, str):
        fault = "must be a list of names"
        if repeated:
            fault = f"has {repeated[0]!r} twice"
        elif background:
            fault = f"has {background[0]!r}, which is not a class: leave it out"
        raise ValueError(f"{origin}: {list(names)[:5]} {fault}.")
    return names


def _without_predictor(
    checkpoint: Checkpoint, name_map: NameMap
) -> tuple[Checkpoint, list[str]]:
    """Returns the checkpoint without what depends on the classes, and its names."""
    dropped = {
        name
        for weight, taken in name_map.items()
        if weight.startswith(_CLASS_DEPENDENT)
        for name in taken.names
    }
    kept = {n: array for n, array in checkpoint.arrays.items() if n not in dropped}
    return checkpoint._replace(arrays=kept), sorted(dropped & set(checkpoint.arrays))


def _choose_classes(
    checkpoint: Checkpoint, description: Description, class_names
) -> tuple[tuple[str, ...], bool]:
    """Returns the class list, and whether the predictor of the file is for it."""
    known, count = description.class_names, description.num_classes
    if class_names is None:
        if known is None:
            what = "knows no objects" if count is None else f"has {count} classes"
            raise CheckpointError(
                f"{checkpoint.path}: the file {what}, whose names it does not hold; "
                "give class_names, or a file with one name per line by --classes."
            )
        return known, True
    names = check_classes(class_names)
    if count is None:
        return names, True
    return names, names == known if known else len(names) == count
