"""A web page that shows what a detector finds in a picture."""

from tf_frcnn.demo.detection import PictureError, picture_detector
from tf_frcnn.demo.server import listen, require_host_name, require_packages, serve

__all__ = [
    "PictureError",
    "listen",
    "picture_detector",
    "require_host_name",
    "require_packages",
    "serve",
]
