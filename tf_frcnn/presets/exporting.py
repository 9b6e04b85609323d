"""The export of a model that stands in memory."""

from os import PathLike
from pathlib import Path
from typing import Any

from tf_frcnn.data import ExampleSet, make_shapes
from tf_frcnn.export import RUNTIMES, convert_model, export_model
from tf_frcnn.models import FasterRCNN
from tf_frcnn.runs.training import NUM_SAMPLES


def export_detector(
    model: FasterRCNN,
    directory: str | PathLike,
    *,
    file_format: str = "savedmodel",
    samples: ExampleSet | None = None,
    **settings: Any,
) -> Path:
    """Exports a model; see `EntryPoints.export`."""
    formats = ("savedmodel", *RUNTIMES)
    if file_format not in formats:
        raise ValueError(
            f"export: format = {file_format!r} must be one of {', '.join(formats)}."
        )
    samples = samples or make_shapes(NUM_SAMPLES, seed=0)
    info = {"config": model.settings.model_dump(mode="json")}
    arguments = (model, model.resizing, Path(directory), samples)
    if file_format in RUNTIMES:
        return convert_model(*arguments, file_format=file_format, info=info, **settings)
    return export_model(*arguments, info=info, **settings)
