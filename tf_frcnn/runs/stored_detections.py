"""Lists of predictions, read for an evaluation."""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from glob import glob
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tf_frcnn.data import ExampleSet
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.runs.result_lines import read_entries

PARQUET = ".parquet"
_REMEDY = "give a list that tf-frcnn predict wrote"
_SIDES = ("ymin", "xmin", "ymax", "xmax")


class _Match(NamedTuple):
    """The entry of an image.

    Attributes:
        num_parts: so many of the last parts of both paths are the same.
        place: the list and the file that it names, in words.
        found: float64 [n, 6]: box, score and label of each detection; None if the image
            could not be read.
    """

    num_parts: int
    place: str
    found: np.ndarray | None


def read_detections(patterns: Sequence[str], examples: ExampleSet) -> DetectedBoxes:
    """Reads what lists of `tf-frcnn predict` have for the images of a set.

    An image's entry is the one whose path has the most of the last parts of its own,
    since the list may come from another machine. Others are left out, and counted.

    Args:
        patterns: the lists, of JSON lines or Parquet, or glob patterns of them.
        examples: the set; `image_index` counts its records.

    Raises:
        FileNotFoundError: there is no such list.
        ValueError: a list is damaged, names an image twice or a class that the set
            lacks, or has another size of an image, or none has one of the images.
    """
    rows = _RowsOfFiles(examples)
    labels = {name: label for label, name in enumerate(examples.class_names)}
    matches: dict[int, _Match] = {}
    count = 0
    for path in _lists(patterns):
        for entry in entries_of(path):
            count += 1
            place = f"{path}: {entry['file']}"
            row, num_parts = rows.find(entry["file"], place)
            if row is None or not _is_better(num_parts, matches.get(row), place):
                continue
            _require_size(entry, examples, row, place)
            matches[row] = _Match(num_parts, place, _columns_of(entry, labels, place))
    _require_all(examples, matches, patterns)
    _print_left_out(count - len(matches), matches)
    return _joined(matches)


class _RowsOfFiles:
    """Finds the record of a path by the last parts of the path."""

    def __init__(self, examples: ExampleSet):
        self._records = examples.records
        self._rows = defaultdict(list)
        for row, record in enumerate(examples.records):
            self._rows[Path(record.source).name].append(row)

    def find(self, file: str, place: str) -> tuple[int | None, int]:
        """Returns the row and the number of parts that are the same, or None and 0.

        Raises:
            ValueError: several records are equally near.
        """
        parts = Path(file).parts
        near = [(self._shared(row, parts), row) for row in self._rows[parts[-1]]]
        if not near:
            return None, 0
        most, row = max(near)
        if sum(count == most for count, _ in near) > 1:
            raise ValueError(
                f"{place}: several images of the split have this name; give the lists "
                "with their folders, as tf-frcnn predict writes them for a pattern."
            )
        return row, most

    def _shared(self, row: int, parts: Sequence[str]) -> int:
        own = Path(self._records[row].source).parts
        pairs = zip(reversed(own), reversed(parts), strict=False)
        return len([*itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)])


def _lists(patterns: Sequence[str]) -> Iterator[Path]:
    for pattern in patterns:
        files = [pattern] if Path(pattern).is_file() else sorted(glob(pattern))
        if not files:
            raise FileNotFoundError(
                f"--detections {pattern}: no such file; give the lists that tf-frcnn "
                "predict wrote, such as found/detections.jsonl."
            )
        yield from map(Path, files)


def entries_of(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the entries of a list, of JSON lines or Parquet, one at a time."""
    if path.suffix == PARQUET:
        return _entries_of_table(path)
    return read_entries(path)


def _entries_of_table(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the rows of a Parquet file, a group of them in memory at a time."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError(
            f"{path}: reading Parquet needs the package pyarrow, which is not "
            'installed; install it with pip install "tf-frcnn[beam]".'
        ) from error
    try:
        with parquet.ParquetFile(path) as table:
            if "file" not in table.schema_arrow.names:
                raise ValueError(f"{path}: it has no column file; {_REMEDY}.")
            for batch in table.iter_batches():
                yield from batch.to_pylist()
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"{path}: it is no Parquet file ({error}).") from error


def _is_better(num_parts: int, other: _Match | None, place: str) -> bool:
    """Says whether an entry takes the place of another one of the same image."""
    if other is not None and other.num_parts == num_parts:
        raise ValueError(
            f"{other.place} and {place} are the same image of the split; give each "
            "list once."
        )
    return other is None or num_parts > other.num_parts


def _require_size(
    entry: dict[str, Any], examples: ExampleSet, row: int, place: str
) -> None:
    if entry.get("error") is not None:
        return
    record = examples.records[row]
    size = entry.get("height"), entry.get("width")
    if size != (record.height, record.width):
        raise ValueError(
            f"{place} has {size[0]} x {size[1]} pixels (height x width), but the image "
            f"of the split {record.height} x {record.width}; it is another image."
        )


def _columns_of(
    entry: dict[str, Any], labels: dict[str, int], place: str
) -> np.ndarray | None:
    """Returns box, score and label of an entry's detections, float64 [n, 6]."""
    if entry.get("error") is not None:
        return None
    try:
        own = entry["detections"]
        if unknown := {d["class"] for d in own} - labels.keys():
            raise ValueError(
                f"{place}: the run has no class {min(unknown)!r}; its list is that of "
                "another run."
            )
        rows = [
            [*(d[side] for side in _SIDES), d["score"], labels[d["class"]]] for d in own
        ]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{place}: its detections lack {error}; {_REMEDY}.") from error
    return np.array(rows, np.float64).reshape(-1, 6)


def _require_all(
    examples: ExampleSet, matches: dict[int, _Match], patterns: Sequence[str]
) -> None:
    lacking = [r.source for i, r in enumerate(examples.records) if i not in matches]
    if lacking:
        raise ValueError(
            f"--detections {' '.join(patterns)}: {len(lacking)} of the "
            f"{len(examples.records)} images of {examples.name} are not in it, the "
            f"first {lacking[0]}; detect objects in all of them."
        )


def _print_left_out(others: int, matches: dict[int, _Match]) -> None:
    if others:
        print(f"{others} listed images are not in the split, and are left out.")
    if unread := sum(match.found is None for match in matches.values()):
        print(f"{unread} images of the split could not be read; nothing is in them.")


def _joined(matches: dict[int, _Match]) -> DetectedBoxes:
    found = {r: m.found for r, m in sorted(matches.items()) if m.found is not None}
    index = np.repeat([*found], [len(own) for own in found.values()]).astype(np.int64)
    columns = np.concatenate([np.zeros([0, 6]), *found.values()])
    return DetectedBoxes(
        index,
        columns[:, :4].astype(np.float32),
        columns[:, 4].astype(np.float32),
        columns[:, 5].astype(np.int32),
    )
