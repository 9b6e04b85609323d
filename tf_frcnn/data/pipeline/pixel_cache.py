"""Training images that are decoded once and then kept, before any random change.

The graph asks Python for what is kept, and gives it what it had to decode. What takes
the place of an image that cannot be read is not kept.
"""

import weakref
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.data.pipeline.canvases import network_sizes
from tf_frcnn.data.pipeline.pixel_stores import DiskStore, MemoryStore, Store
from tf_frcnn.data.pipeline.tensor_examples import BAD_DATA

Item = tuple[tf.Tensor, tf.Tensor]


class PixelCache:
    """Brings images from a store, or makes and stores them, in the graph.

    Args:
        store: of their bytes.
        sizes: integer [n, 2], (height, width) of each row's image as it is kept.
        dtype: of the pixels.
        kept_as: of the pixels in the store; it holds them exactly.
    """

    def __init__(
        self, store: Store, sizes: np.ndarray, dtype: tf.DType, kept_as: tf.DType
    ):
        self._store, self._sizes = store, sizes
        self._dtype, self._kept_as = dtype, kept_as

    def recall(self, item: Item, make: Callable[[], Item]) -> Item:
        """Returns the row and the pixels of an image.

        Args:
            item: (row int64 [], bytes string []); without bytes nothing is kept.
            make: returns the row int64 [], of this image or of what replaces it, and
                the pixels [h, w, 3].

        Returns:
            What `make` does.

        Raises:
            tf.errors.InvalidArgumentError: there is no room; the message has
                `BAD_DATA`.
        """
        row, encoded = item
        mark = tf.strings.to_hash_bucket_fast(encoded, 2**63 - 1)
        # TensorFlow keeps a function to the end of the process, but not the images.
        own = weakref.proxy(self)
        is_kept, pixels = tf.numpy_function(
            lambda *of: own.load(*of), [row, mark], (tf.bool, self._kept_as)
        )

        def recalled():
            image = tf.ensure_shape(pixels, [None, None, 3])
            return row, tf.cast(image, self._dtype)

        def made():
            found, image = make()
            can_keep = tf.equal(found, row) & (tf.strings.length(encoded) > 0)
            is_kept = tf.cond(can_keep, lambda: saved(image), lambda: False)
            with tf.control_dependencies([is_kept]):
                return found, tf.identity(image)

        def saved(image):
            is_kept = tf.numpy_function(
                lambda *of: own.save(*of),
                [row, mark, tf.cast(image, self._kept_as)],
                tf.bool,
            )
            return tf.ensure_shape(is_kept, [])

        return tf.cond(tf.ensure_shape(is_kept, []), recalled, made)

    def load(self, row: np.ndarray, mark: np.ndarray) -> tuple[np.bool_, np.ndarray]:
        """Returns whether an image is kept, and its pixels, else none."""
        dtype = np.dtype(self._kept_as.as_numpy_dtype)
        height, width = self._sizes[row]
        content = self._store.load(int(row), int(mark))
        if content is None or content.nbytes != height * width * 3 * dtype.itemsize:
            return np.False_, np.zeros([0, 0, 3], dtype)
        return np.True_, content.view(dtype).reshape(height, width, 3)

    def save(self, row: np.ndarray, mark: np.ndarray, pixels: np.ndarray) -> np.bool_:
        """Keeps the pixels of an image; returns True."""
        content = np.ascontiguousarray(pixels).reshape(-1).view(np.uint8)
        try:
            self._store.save(int(row), int(mark), content)
        except OSError as error:
            raise ValueError(f"{BAD_DATA}: {error}") from error
        return np.True_


def pixel_cache(
    examples: ExampleSet, resizing: Resizing, where: str, *, resized: bool
) -> PixelCache | None:
    """Returns the cache of a data set's images.

    Args:
        examples: the data set.
        resizing: with one short side, if they are resized.
        where: "memory", "disk" or "none".
        resized: whether they are kept as the network sees them, or as decoded.

    Raises:
        DataError: there is no room for them.
    """
    if where == "none":
        return None
    dtype = kept_as = tf.uint8
    sizes = np.array([(r.height, r.width) for r in examples.records], np.int64)
    form = "decoded"
    if resized:
        dtype = tf.float32
        # That method alone makes whole numbers.
        kept_as = tf.uint8 if resizing.method == "bicubic" else tf.float32
        (sizes,) = network_sizes(examples.records, resizing).transpose(1, 0, 2)
        form = repr((resizing._replace(canvases=()), tf.__version__))
    num_bytes = int(sizes.prod(axis=1).sum()) * 3 * kept_as.size
    if where == "memory":
        store: Store = MemoryStore(examples.name, num_bytes)
    else:
        sources = [f"{r.source}\0{r.image_id}" for r in examples.records]
        store = DiskStore(examples.name, sources, num_bytes, form)
    return PixelCache(store, sizes, dtype, kept_as)
