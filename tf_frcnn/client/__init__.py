"""A client of servers that run an exported model."""

from tf_frcnn.client.errors import RefusedImageError, ServerError
from tf_frcnn.client.files import detect_files
from tf_frcnn.client.services import connect

__all__ = ["RefusedImageError", "ServerError", "connect", "detect_files"]
