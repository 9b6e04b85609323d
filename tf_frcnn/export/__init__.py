"""A trained detector as a SavedModel that needs no Python, or for other runtimes."""

from tf_frcnn.export.converted import convert_model
from tf_frcnn.export.runtimes import RUNTIMES
from tf_frcnn.export.saved_model import export_model
from tf_frcnn.export.verification import ExportError

__all__ = ["RUNTIMES", "ExportError", "convert_model", "export_model"]
