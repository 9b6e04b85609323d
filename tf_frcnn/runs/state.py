"""The state of a run: how far it has come, and what its files are."""

from pathlib import Path, PureWindowsPath
from typing import Annotated, Literal

import pydantic

from tf_frcnn.runs.safe_files import checksum, write_text

STATE_FILE = "state.json"


def _within(name: str) -> str:
    """Returns a file's name; raises a ValueError where it lies outside of the folder.

    The rule is the same on all systems: Windows knows also / and drives.
    """
    path = PureWindowsPath(name)
    if path.anchor or ".." in path.parts or not path.name:
        raise ValueError(f"{name!r} does not name a file of the run folder")
    return name


_File = Annotated[str, pydantic.AfterValidator(_within)]


class _Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class Checkpoint(_Part):
    """A file of weights with the optimizer's state, and where training stood.

    Attributes:
        file: relative to the run folder.
        sha256: of the file.
        epoch: finished epochs.
        batch: batches done of the next epoch; all of them where only its validation is
            missing.
        step: training steps since the beginning.
        images: images seen since the beginning.
        rate: learning rate that the unfinished epoch began with.
        losses: name -> (sum, weight) of the means over the unfinished epoch.
        figures: the same of the figures of its steps.
    """

    file: _File
    sha256: str
    epoch: int = 0
    batch: int = 0
    step: int = 0
    images: int = 0
    rate: float = 0.0
    losses: dict[str, tuple[float, float]] = {}
    figures: dict[str, tuple[float, float]] = {}


class Best(_Part):
    """The weights with the best validation figure.

    Attributes:
        file: relative to the run folder.
        sha256: of the file.
        figure: name, such as "val_mAP".
        value: the best so far.
        epoch: after which it was measured.
    """

    file: _File
    sha256: str
    figure: str = ""
    value: float = -1.0
    epoch: int = 0


class Standing(_Part):
    """How long a run has waited for a better validation figure.

    Attributes:
        value: the best so far; None before the first validation.
        stale: validations since then.
        waited: those since then, or since the learning rate fell the last time.
        decays: how often it fell.
    """

    value: float | None = None
    stale: int = 0
    waited: int = 0
    decays: int = 0


class RunState(_Part):
    """Everything that resuming needs beside the weights.

    Attributes:
        format: of the state file.
        files: name -> SHA-256 of the settings and class names that the weights belong
            to.
        data: digest of the training set.
        steps_per_epoch: batches of an epoch.
        optimizer: name of the configured optimizer, and whether there are averages.
        checkpoints: the newest first.
        best: None before the first validation.
        standing: what is to follow from its age.
    """

    format: Literal[1] = 1
    files: dict[_File, str] = {}
    data: str = ""
    steps_per_epoch: int = 0
    optimizer: str = ""
    checkpoints: tuple[Checkpoint, ...] = ()
    best: Best | None = None
    standing: Standing = Standing()

    def replace(self, **changes) -> "RunState":
        """Returns the state with other values for some attributes."""
        return self.model_copy(update=changes)


def read_state(directory: Path) -> RunState | None:
    """Returns the state of a run folder; None where it has none.

    Raises:
        ValueError: it is damaged, or of another version of the program.
    """
    path = directory / STATE_FILE
    if not path.is_file():
        return None
    try:
        return RunState.model_validate_json(path.read_bytes())
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ValueError(
            f"{path}: {place}: {first['msg']}. It is damaged, or was written by "
            "another version of the program."
        ) from error


def write_state(directory: Path, state: RunState) -> None:
    """Writes the state, which is there whole or not at all."""
    write_text(directory / STATE_FILE, state.model_dump_json(indent=1))


def is_as_written(directory: Path, part: Checkpoint | Best) -> bool:
    """Says whether a file of weights exists and has its checksum."""
    path = directory / part.file
    return path.is_file() and checksum(path) == part.sha256
