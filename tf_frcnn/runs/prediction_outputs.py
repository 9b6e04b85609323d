"""The files that predictions are written to, looked at before anything is computed."""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tf_frcnn.runs.locks import claimed
from tf_frcnn.runs.outputs import require_free, require_writable
from tf_frcnn.runs.safe_files import part_of
from tf_frcnn.runs.shards import Shard

# The endings of drawings by --picture-format.
ENDINGS = {"jpeg": ".jpg", "png": ".png"}


class Outputs(NamedTuple):
    """Where predictions go.

    Attributes:
        folder: of all files.
        picture_format: of the drawings, a key of `ENDINGS`; None for no drawings.
        shard: the part of the images; None for all.
    """

    folder: Path
    picture_format: str | None = "jpeg"
    shard: Shard | None = None

    @property
    def lines(self) -> Path:
        """The list of the results, a line for each image."""
        part = f"-{self.shard.words}" if self.shard else ""
        return self.folder / f"detections{part}.jsonl"

    @property
    def settings(self) -> Path:
        """The file beside the list that tells what it was made with."""
        return self.lines.with_suffix(".settings.json")

    @property
    def drawings(self) -> str:
        """How the names of drawings begin, relative to the folder."""
        return f"{self.shard.words}/" if self.shard else ""


@contextlib.contextmanager
def claimed_list(outputs: Outputs) -> Iterator[None]:
    """Claims a list for this process, and makes its folder.

    Raises:
        BlockingIOError: another process has claimed it.
        OSError: the folder cannot be written.
    """
    require_writable(outputs.folder)
    name = outputs.lines.with_suffix(".lock").name
    with claimed(outputs.folder, name):
        try:
            yield
        finally:
            # Windows removes no file that is open.
            with contextlib.suppress(PermissionError):
                (outputs.folder / name).unlink()


def plan_drawings(
    files: Sequence[str],
    outputs: Outputs,
    *,
    overwrite: bool,
    taken: Collection[str] = (),
    begun: float | None = None,
) -> dict[str, str]:
    """Returns the name of each image's drawing, and makes sure that none is there.

    Args:
        files: the images.
        outputs: where the drawings go.
        overwrite: whether files there may be replaced; never one of the images.
        taken: the names of drawings that are there and stay.
        begun: when the list was begun that is gone on with; files that are newer are
            drawings whose lines were lost, and are made again.

    Returns:
        By image, the name relative to the folder, numbered where images share one;
        nothing where there are to be no drawings.

    Raises:
        ValueError: a drawing would overwrite one of the images.
        OSError: a file exists.
    """
    if outputs.picture_format is None:
        return {}
    ending = ENDINGS[outputs.picture_format]
    names = [*free_names(files, outputs.drawings, ending, taken)]
    paths = [outputs.folder / name for name in names]
    require_no_source(paths, files)
    foreign = [path for path in paths if not _is_newer(path, begun)]
    require_free(foreign, overwrite=overwrite)
    return dict(zip(files, names, strict=True))


def free_names(
    files: Sequence[str], start: str, ending: str, taken: Collection[str]
) -> Iterator[str]:
    """Yields a name for each file, numbered where several share one.

    Args:
        files: their stems are the names; those that differ in case alone are one.
        start, ending: of each name.
        taken: names that are not free.
    """
    taken = {name.lower() for name in taken}
    counts: dict[str, int] = {}
    for file in files:
        stem = Path(file).stem
        name, key = f"{start}{stem}{ending}", stem.lower()
        while name.lower() in taken:
            counts[key] = counts.get(key, 1) + 1
            name = f"{start}{stem}_{counts[key]}{ending}"
        taken.add(name.lower())
        yield name


def _is_newer(path: Path, begun: float | None) -> bool:
    """Says whether a file, and what is written before it, are newer than a time."""
    if begun is None:
        return False
    both = [place for place in (path, part_of(path)) if place.is_file()]
    return all(place.stat().st_mtime >= begun for place in both)


def require_no_source(paths: Sequence[Path], files: Sequence[str]) -> None:
    """Raises a ValueError if a result would overwrite one of the given files."""
    both = (place for path in paths for place in (path, part_of(path)))
    there = [path for path in both if path.exists()]
    sources = {Path(file).resolve() for file in files} if there else ()
    for path in there:
        if path.resolve() in sources:
            raise ValueError(
                f"{path} is one of the given files and would be overwritten; "
                "choose another folder with --output."
            )
