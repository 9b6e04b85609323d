"""Which parts the model of a run has, and runs that detect objects in images."""

from collections.abc import Sequence
from pathlib import Path

from tf_frcnn.models.faster_rcnn import FasterRCNN, FastRCNN
from tf_frcnn.models.rpn import RegionProposalNetwork
from tf_frcnn.runs.inference import Run, load_run


def has_rpn(model: RegionProposalNetwork) -> bool:
    """Returns whether the model makes its own proposals."""
    return not isinstance(model, FastRCNN)


def has_roi_head(model: RegionProposalNetwork) -> bool:
    """Returns whether the model detects objects in proposals."""
    return isinstance(model, FasterRCNN)


def load_detector(directory: Path, overrides: Sequence[str] = ()) -> Run:
    """Loads a run whose model detects objects in images alone.

    Args:
        directory: the run folder.
        overrides: settings that replace those of the run.

    Raises:
        ValueError: the model has one stage only.
    """
    run = load_run(directory, overrides)
    if not (has_rpn(run.model) and has_roi_head(run.model)):
        raise ValueError(
            f"{directory}: a {type(run.model).__name__} does not detect objects in "
            "pictures alone; give a run of model.kind faster_rcnn."
        )
    return run
