"""What a run trains with."""

from pathlib import Path
from typing import NamedTuple

from tf_frcnn.assembly import RunPlan
from tf_frcnn.config import Config
from tf_frcnn.data import ExampleSet
from tf_frcnn.models import Detector
from tf_frcnn.runs.averaging import AveragedWeights
from tf_frcnn.runs.checkpoints import FIRST
from tf_frcnn.runs.standing import Judge
from tf_frcnn.runs.state import Checkpoint, RunState


class Prepared(NamedTuple):
    """Everything a run trains with; `averages` is None without `train.ema`."""

    config: Config
    directory: Path
    plan: RunPlan
    model: Detector
    training: ExampleSet
    validation: ExampleSet
    images_per_epoch: int
    state: RunState
    judge: Judge
    averages: AveragedWeights | None

    @property
    def start(self) -> Checkpoint:
        """Where training begins."""
        begin = Checkpoint(file=FIRST, sha256="")
        return next(iter(self.state.checkpoints), begin)
