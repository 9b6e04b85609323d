"""The images of a set with their objects: kept from before, decoded, or replaced."""

import functools

import tensorflow as tf

from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.decoding.to_canvas import sides_in_network, to_network_size
from tf_frcnn.data.pipeline.grouping import Example, with_resized
from tf_frcnn.data.pipeline.pixel_cache import Item, PixelCache
from tf_frcnn.data.pipeline.record_table import RecordTable
from tf_frcnn.data.pipeline.replacing import Replacements, read_image


class ImageReader:
    """Reads images of a data set, in the graph.

    Args:
        table: of the records.
        replacements: of the same set.
        kept: what is kept of its images; None where all are decoded.
    """

    def __init__(
        self,
        table: RecordTable,
        replacements: Replacements,
        kept: PixelCache | None = None,
    ):
        self._table, self._replacements, self._kept = table, replacements, kept

    def read(self, item: Item) -> Example:
        """Returns an image and its objects, in the file's pixels.

        Args:
            item: (row int64 [], bytes string []), see `replacing.read_image`.
        """
        make = functools.partial(read_image, item, self._table, self._replacements)
        return self._example(*(self._kept.recall(item, make) if self._kept else make()))

    def read_resized(self, item: Item, resizing: Resizing) -> Example:
        """Returns an image and its objects at the network's size.

        Args:
            item: see `read`.
            resizing: to its only short side; what is kept was resized so.
        """

        def make():
            index, image = read_image(item, self._table, self._replacements)
            return index, to_network_size(image, resizing)[0]["images"]

        index, image = self._kept.recall(item, make) if self._kept else make()
        sides = sides_in_network(self._table.sizes[index], resizing)
        return with_resized(self._example(index, image), image, sides)

    def _example(self, index: tf.Tensor, image: tf.Tensor) -> Example:
        table = self._table
        fields = {
            "labels": table.labels[index],
            "difficult": table.difficult[index],
            "image_ids": table.image_ids[index],
            "rows": index,
        }
        if table.crowd is not None:
            fields["crowd"] = table.crowd[index]
        if table.proposals is not None:
            fields["proposals"] = table.proposals.boxes[index]
            fields["proposal_valid"] = table.proposals.valid[index]
        return Example(image, table.boxes[index], fields)
