"""A web page that shows what a detector finds in an image."""

from tf_frcnn.demo.detection import ImageError, image_detector
from tf_frcnn.demo.server import listen, require_host_name, require_packages, serve

__all__ = [
    "ImageError",
    "image_detector",
    "listen",
    "require_host_name",
    "require_packages",
    "serve",
]
