"""The settings of detection in tiles."""

from typing import ClassVar

from tf_frcnn.config.network import Canvas
from tf_frcnn.config.settings import Between, Count, Settings


class TileSettings(Settings):
    """How large images are cut for detection; training does not use it."""

    section: ClassVar[str] = "tiles"

    size: Canvas | None = None
    """Height and width of the overlapping tiles that larger images are cut into, in
    pixels of the file; null: none."""
    overlap: Between = 0.25
    """Least share of a tile that the next one sees, too. Objects longer than three
    quarters of it may be whole in no tile, and are sought in the image as a whole."""
    whole_image: bool = True
    """Whether the image is looked at as a whole too, shrunk, for objects that no tile
    holds. Where none is so long it spares false alarms not to: of many small objects,
    shrunk, some look like a large one."""
    max_per_image: Count = 1000
    """Number of best boxes kept of all tiles of an image."""
