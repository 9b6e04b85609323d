"""Published checkpoints of other programs, loaded with their names and layouts.

Each source is one module: a name map, the layout rules, and the configuration that the
weights were trained with. A new source is one such module and one line in `SOURCES`.
"""

from tf_frcnn.checkpoints.conversion import (
    REPORT_FILE,
    SOURCES,
    Loaded,
    check_classes,
    convert,
    is_converted_detector,
    load,
)
from tf_frcnn.checkpoints.files import CheckpointError
from tf_frcnn.checkpoints.published import (
    PUBLISHED,
    DownloadError,
    Published,
    fetch,
    load_published,
)

__all__ = [
    "PUBLISHED",
    "REPORT_FILE",
    "SOURCES",
    "CheckpointError",
    "DownloadError",
    "Loaded",
    "Published",
    "check_classes",
    "convert",
    "fetch",
    "is_converted_detector",
    "load",
    "load_published",
]
