"""A trained detector as a SavedModel that needs no Python."""

from tf_frcnn.export.saved_model import export_model
from tf_frcnn.export.verification import ExportError

__all__ = ["ExportError", "export_model"]
