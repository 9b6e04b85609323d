"""Faster R-CNN for TensorFlow 2 and Keras 3.

The names in `__all__` are the public interface; everything else may change. They are
imported when they are first used, so that `import tf_frcnn` takes no time.

Boxes are float32 `[ymin, xmin, ymax, xmax]` in pixels of the network's input image,
continuous corners: width = xmax - xmin. Deltas are `(dy, dx, dh, dw)`. Labels are
0..K-1 in the order of the class names, -1 in padded rows.

Letters in the shapes of all docstrings:

    B  images                       P  proposals
    H, W  canvas height and width   R  sampled RoIs
    h, w  feature rows and columns  K  classes without background
    G  padded ground-truth boxes    D  detections
    N  anchors of all levels        C  channels
    A  anchors per cell             S  pooled size
"""

import importlib
from typing import TYPE_CHECKING, Any

from tf_frcnn import startup
from tf_frcnn.version import __version__

if TYPE_CHECKING:
    from tf_frcnn import callbacks
    from tf_frcnn.checkpoints.published import DownloadError
    from tf_frcnn.config import ConfigError
    from tf_frcnn.data.checks.problems import DataError
    from tf_frcnn.data.decoding.pictures import ImageError
    from tf_frcnn.data.readers import read_data
    from tf_frcnn.drawing.found import draw
    from tf_frcnn.models import FasterRCNN
    from tf_frcnn.models.evaluating import evaluate
    from tf_frcnn.runs.inference import load

__all__ = [
    "ConfigError",
    "DataError",
    "DownloadError",
    "FasterRCNN",
    "ImageError",
    "__version__",
    "callbacks",
    "draw",
    "evaluate",
    "load",
    "read_data",
]

# The module that each name lies in; "" for a module itself.
_HOMES = {
    "ConfigError": "config",
    "DataError": "data.checks.problems",
    "DownloadError": "checkpoints.published",
    "FasterRCNN": "models",
    "ImageError": "data.decoding.pictures",
    "callbacks": "",
    "draw": "drawing.found",
    "evaluate": "models.evaluating",
    "load": "runs.inference",
    "read_data": "data.readers",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tf_frcnn' has no attribute {name!r}")
    if not _HOMES[name]:
        return importlib.import_module(f"tf_frcnn.{name}")
    home = importlib.import_module(f"tf_frcnn.{_HOMES[name]}")
    globals()[name] = getattr(home, name)
    return globals()[name]


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]


startup.watch_imports(__name__, lambda: importlib.import_module("tf_frcnn.models"))
