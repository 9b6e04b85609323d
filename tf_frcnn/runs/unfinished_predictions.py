"""A list of predictions that a program before this one began."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tf_frcnn.runs.drawings import Drawings
from tf_frcnn.runs.inference import weights_checksum
from tf_frcnn.runs.prediction_outputs import Outputs
from tf_frcnn.runs.result_lines import read_entries, repair
from tf_frcnn.runs.safe_files import checksum, write_text
from tf_frcnn.runs.settings_files import SETTINGS_FILES

_REMEDY = (
    "choose another folder with --output, or say --overwrite to start again from the "
    "first image"
)


@dataclass(frozen=True)
class Listed:
    """What a list has already.

    Attributes:
        files: the images.
        drawings: the names of their drawings.
        begun: when it was begun; None for a new list.
    """

    files: set[str] = field(default_factory=set)
    drawings: set[str] = field(default_factory=set)
    begun: float | None = None


def settings_of(
    directory: Path, min_score: float, outputs: Outputs, overrides: Sequence[str]
) -> dict[str, Any]:
    """Returns what the results of a run follow from: checksums, and the options.

    Args:
        directory: the run folder.
        min_score: least score of a detection that is listed.
        outputs: where the results go.
        overrides: settings that replace those of the run.
    """
    return {
        "weights": weights_checksum(directory),
        **{name: checksum(directory / name) for name in SETTINGS_FILES},
        "--min-score": min_score,
        "--picture-format": outputs.picture_format or "none",
        "--tiles": " ".join(overrides) or "none",
    }


def read_listed(outputs: Outputs, settings: Mapping[str, Any]) -> Listed:
    """Returns what the list has; a last line that was cut off is removed.

    Raises:
        FileExistsError: nothing says what the list was made with.
        ValueError: it was made with other weights or settings.
    """
    if not outputs.lines.exists() or not outputs.lines.stat().st_size:
        return Listed()
    _require_same(outputs, settings)
    listed = Listed(begun=outputs.settings.stat().st_mtime)
    repair(outputs.lines)
    for entry in read_entries(outputs.lines):
        listed.files.add(entry["file"])
        if drawing := entry.get("drawing"):
            listed.drawings.add(drawing)
    return listed


def draw_missing(
    outputs: Outputs, drawings: Drawings, class_names: Sequence[str]
) -> None:
    """Draws the listed images whose drawings are not there.

    Args:
        outputs: where they go.
        drawings: what draws them.
        class_names: by label.
    """
    for entry in read_entries(outputs.lines):
        if not (outputs.folder / entry.get("drawing", "")).exists():
            drawings.add(entry, class_names)


def begin(outputs: Outputs, settings: Mapping[str, Any]) -> None:
    """Begins an empty list, in the place of one that is there, and notes its settings.

    Args:
        outputs: where the results go.
        settings: of `settings_of`.
    """
    # Before the settings, which are not those of the old list.
    outputs.lines.unlink(missing_ok=True)
    write_text(outputs.settings, json.dumps(settings, indent=1) + "\n")
    outputs.lines.touch()


def _require_same(outputs: Outputs, settings: Mapping[str, Any]) -> None:
    try:
        before = dict(json.loads(outputs.settings.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise FileExistsError(
            f"{outputs.lines} exists already, and {outputs.settings.name} beside it, "
            f"which says what it was made with, does not; {_REMEDY}."
        ) from None
    changes = [
        _change(name, before.get(name), value)
        for name, value in settings.items()
        if before.get(name) != value
    ]
    if changes:
        raise ValueError(
            f"{outputs.lines} was begun with other settings: {', '.join(changes)}. "
            f"Give the same ones to go on, {_REMEDY}."
        )


def _change(name: str, before: Any, now: Any) -> str:
    if name.startswith("--"):
        return f"{name} was {before} and is {now}"
    return f"the {'weights' if name == 'weights' else name} of the run differ"
