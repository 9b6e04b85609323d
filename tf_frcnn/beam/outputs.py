"""The lists that a pipeline writes, as JSON lines or as Parquet."""

import json
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow
from apache_beam.io.filesystems import FileSystems
from apache_beam.io.parquetio import WriteToParquet

JSON_LINES, PARQUET = FORMATS = "jsonl", "parquet"
_DETECTION = pyarrow.struct(
    [
        ("class", pyarrow.string()),
        *((name, pyarrow.float64()) for name in ("score", "ymin", "xmin")),
        *((name, pyarrow.float64()) for name in ("ymax", "xmax")),
    ]
)
_SCHEMA = pyarrow.schema(
    [
        ("file", pyarrow.string()),
        ("height", pyarrow.int32()),
        ("width", pyarrow.int32()),
        ("detections", pyarrow.list_(_DETECTION)),
        ("error", pyarrow.string()),
    ]
)


class Lists(NamedTuple):
    """The files detections-00000-of-00004.jsonl and so on.

    Attributes:
        folder: that they go into, a path or an address.
        file_format: one of `FORMATS`.
    """

    folder: str
    file_format: str = JSON_LINES

    @property
    def pattern(self) -> str:
        """A glob pattern of them, of any number and this format."""
        return f"{self._start}-?????-of-?????.{self.file_format}"

    def require_room(self, *, overwrite: bool) -> None:
        """Raises a FileExistsError if there are lists of an earlier pipeline.

        Args:
            overwrite: whether the user lets them be replaced.
        """
        if not overwrite and (paths := self._paths()):
            raise FileExistsError(
                f"{paths[0]} exists already; choose another folder with --output, or "
                "say --overwrite to replace the lists there."
            )

    def make_room(self) -> None:
        """Removes the lists of an earlier pipeline."""
        if paths := self._paths():
            FileSystems.delete(paths)

    def writer(self) -> beam.PTransform:
        """Returns the step that writes entries."""
        ending = f".{self.file_format}"
        if self.file_format == PARQUET:
            writing: Any = WriteToParquet(
                self._start, _SCHEMA, codec="snappy", file_name_suffix=ending
            )
            return "Rows" >> beam.Map(_row_of) | writing
        writing = beam.io.WriteToText(self._start, file_name_suffix=ending)
        return "Lines" >> beam.Map(json.dumps) | writing

    def _paths(self) -> list[str]:
        (found,) = FileSystems.match([self.pattern])
        return [file.path for file in found.metadata_list]

    @property
    def _start(self) -> str:
        return f"{self.folder.rstrip('/')}/detections"


def _row_of(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: entry.get(name) for name in _SCHEMA.names}
