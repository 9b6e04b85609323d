"""The images that a pipeline detects objects in."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import apache_beam as beam
from apache_beam.io.fileio import MatchFiles

from tf_frcnn.beam.addresses import is_remote
from tf_frcnn.data.checks.images import IMAGE_ENDINGS
from tf_frcnn.data.readers.images import find_images

_WILDCARDS = "*?["


class Images(NamedTuple):
    """Where the images are.

    Attributes:
        patterns: files, folders (of an address: with a / at the end) or glob patterns.
            Those of this machine are looked up before the pipeline starts, addresses
            in it.
        lists: text files with a path or an address a line, read in the pipeline.
    """

    patterns: Sequence[str]
    lists: Sequence[str] = ()


class FindImages(beam.PTransform):
    """Yields the place of each image, once, spread over the workers.

    Args:
        images: where they are.

    Raises:
        DataError: a file, folder or pattern of this machine has no image.
    """

    def __init__(self, images: Images):
        super().__init__()
        self._images = images
        own = [pattern for pattern in images.patterns if not is_remote(pattern)]
        self._own = [str(path) for path in find_images(own)]

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Returns the places, in any order."""
        remote = [pattern for pattern in self._images.patterns if is_remote(pattern)]
        known = [address for address in remote if not _is_pattern(address)]
        parts = [pipeline | "Files" >> beam.Create([*self._own, *known])]
        for address in dict.fromkeys(filter(_is_pattern, remote)):
            parts.append(pipeline | f"Match {address}" >> _Matched(address))
        for path in dict.fromkeys(self._images.lists):
            parts.append(pipeline | f"Read {path}" >> _Listed(path))
        return parts | beam.Flatten() | beam.Distinct()


class _Matched(beam.PTransform):
    """The files of a remote pattern, or the images of a remote folder."""

    def __init__(self, address: str):
        super().__init__()
        self._address = address

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        if self._address.endswith("/"):
            files = pipeline | MatchFiles(f"{self._address}*")
            files |= beam.Filter(lambda file: file.path.lower().endswith(IMAGE_ENDINGS))
        else:
            files = pipeline | MatchFiles(self._address)
        return files | beam.Map(lambda file: file.path)


class _Listed(beam.PTransform):
    """The lines of a text file."""

    def __init__(self, path: str):
        super().__init__()
        self._path = path

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        lines = pipeline | beam.io.ReadFromText(self._path)
        return lines | beam.Filter(str.strip) | beam.Map(_place_of_line)


def _place_of_line(line: str) -> str:
    place = line.strip()
    return place if is_remote(place) else str(Path(place))


def _is_pattern(address: str) -> bool:
    return address.endswith("/") or any(sign in address for sign in _WILDCARDS)
