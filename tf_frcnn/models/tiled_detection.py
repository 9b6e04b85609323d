"""Detection in large images: in overlapping tiles, and in the image as a whole."""

from collections.abc import Callable

import tensorflow as tf

from tf_frcnn.config import TileSettings
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.decoding.to_canvas import (
    canvas_for,
    lay_on_canvas,
    sides_in_network,
    to_network_size,
)
from tf_frcnn.layers import DetectionLayer
from tf_frcnn.ops.tiles import is_uncut, may_be_cut, tile_corners

# The most pixels of one pass through the network, unless a single image has more:
# eight canvases of 600 x 800, or three of 800 x 1333.
PASS_PIXELS = 4 * 2**20
_SIDE = tf.TensorSpec([2], tf.float32)
_SIDES = dict.fromkeys(("image_sizes", "scales", "file_sizes"), _SIDE)
# An image in the network's size.
SIZED = {"images": tf.TensorSpec([None, None, 3], tf.float32), **_SIDES}
Tensors = dict[str, tf.Tensor]


# What is told of an image beside its `Detections`.
TOLD = {"file_sizes": _SIDE, "cut_below": tf.TensorSpec([], tf.float32)}


def found_spec(count: int) -> dict[str, tf.TensorSpec]:
    """Returns what describes the `Detections` of one image.

    Args:
        count: D, rows for detections.
    """
    return {
        "boxes": tf.TensorSpec([count, 4], tf.float32),
        "scores": tf.TensorSpec([count], tf.float32),
        "labels": tf.TensorSpec([count], tf.int32),
        "valid": tf.TensorSpec([count], tf.bool),
    }


class TiledDetection:
    """Detects objects in images of any size, in the graph.

    An image that a tile holds passes the network once, as ever. Of a larger one the
    tiles pass, a few at a time, of which only boxes count that they do not cut; and the
    image as a whole, if the settings say so, of which only those count that every tile
    may cut. What two of
    them found is suppressed as the detections of one image are.

    Args:
        detect: of a batch, returns `Detections` as a dict.
        resizing: brings tiles and images to the network's size; one short side.
        tiles: with a `size`.
        layer: of the detections, whose settings count.
        num_classes: K.
    """

    def __init__(
        self,
        detect: Callable[[Tensors], Tensors],
        resizing: Resizing,
        tiles: TileSettings,
        layer: DetectionLayer,
        num_classes: int,
    ):
        self._detect, self._resizing, self._tiles = detect, resizing, tiles
        self._num_in_each = layer.detections.max_per_image
        self._num_classes = num_classes
        self.max_per_image = tiles.max_per_image
        self._layer = DetectionLayer(
            layer.detections.replace(
                # Two boxes of an object are of two tiles here, not of two objects.
                suppression="hard",
                max_per_image=self.max_per_image,
            ),
            conventions=layer.conventions.replace(plus_one=False),
        )

    def __call__(
        self,
        image: tf.Tensor,
        check_size: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
    ) -> Tensors:
        """Returns the `Detections` of one image as a dict, and its `file_sizes`.

        Args:
            image: number [h, w, 3], RGB in 0..255.
            check_size: see `to_network_size`.

        Returns:
            As `found_spec` has it, with `max_per_image` rows; boxes in pixels of the
            image. `file_sizes` is float32 [2]. `cut_below`, float32 [], is the score
            below which detections may have been cut off, in a pass or of all; -1 if
            there was room for all.
        """
        size = tf.shape(image)[:2]
        tile = tf.minimum(tf.constant(self._tiles.size, tf.int32), size)
        corners = tile_corners(size, tile, self._tiles.overlap)
        overlap, views = self._tiles.overlap, []
        if self._tiles.whole_image:
            # Where it is the only tile it passes once.
            has_tiles = tf.shape(corners)[0] > 1
            corners = tf.boolean_mask(
                corners, tf.fill([tf.shape(corners)[0]], has_tiles)
            )
            whole = self._pass(image[tf.newaxis], check_size)
            counts = may_be_cut(whole["boxes"], tile, overlap) | ~has_tiles
            views.append((whole, counts))
        in_tiles = self._in_tiles(image, corners, tile, check_size)
        counts = is_uncut(in_tiles["boxes"], corners, tile, size, overlap)
        views.append((in_tiles, counts))
        cuts = [_cut_below(view) for view, _ in views]
        cut_below = tf.reduce_max(tf.concat(cuts, axis=0))
        for view, counts in views:
            view["valid"] &= counts
        found = {
            name: tf.concat([view[name] for view, _ in views], axis=0)
            for name in in_tiles
        }
        merged = self._merged(found)
        own = _cut_below({n: merged[n][tf.newaxis] for n in ("scores", "valid")})
        return merged | {
            "file_sizes": tf.cast(size, tf.float32),
            "cut_below": tf.maximum(cut_below, own[0]),
        }

    def _in_tiles(self, image, corners, tile, check_size):
        """Returns the detections of T tiles, [T, D, ...], in pixels of the image."""
        sides = sides_in_network(tile, self._resizing)
        sizes = tf.cast(sides["image_sizes"], tf.int64)
        canvas = tf.cast(canvas_for(sizes, self._resizing.canvases), tf.int32)
        at_once = tf.maximum(1, PASS_PIXELS // tf.reduce_prod(canvas))
        count = tf.shape(corners)[0]

        def step(start, arrays):
            rows = tf.range(start, tf.minimum(start + at_once, count))

            def cut(row):
                y, x = tf.unstack(corners[row])
                return image[y : y + tile[0], x : x + tile[1]]

            spec = tf.TensorSpec([None, None, 3], image.dtype)
            found = self._pass(
                tf.map_fn(cut, rows, fn_output_signature=spec), check_size
            )
            shifts = tf.cast(tf.tile(tf.gather(corners, rows), [1, 2]), tf.float32)
            found["boxes"] += shifts[:, tf.newaxis]
            return start + at_once, {
                name: array.scatter(rows, found[name]) for name, array in arrays.items()
            }

        arrays = {
            name: tf.TensorArray(spec.dtype, count, element_shape=spec.shape)
            for name, spec in found_spec(self._num_in_each).items()
        }
        _, arrays = tf.while_loop(
            lambda start, _: start < count, step, (0, arrays), parallel_iterations=1
        )
        return {name: array.stack() for name, array in arrays.items()}

    def _pass(self, images, check_size):
        """Returns the detections of images of one size, [B, h, w, 3]."""

        def resized(image):
            return to_network_size(image, self._resizing, check_size=check_size)[0]

        batch = tf.map_fn(resized, images, fn_output_signature=SIZED)
        images = lay_on_canvas(batch["images"], self._resizing.canvases)
        found = self._detect(batch | {"images": images})
        return {name: found[name] for name in found_spec(self._num_in_each)}

    def _merged(self, found):
        """Returns the best of all detections, [V, D, ...], of V views of an image."""
        flat = {
            name: tf.reshape(found[name], [1, -1, *spec.shape[1:]])
            for name, spec in found_spec(self._num_in_each).items()
        }
        own = flat["valid"]
        count = 1
        if not self._layer.detections.class_agnostic_nms:
            count = self._num_classes
            own &= flat["labels"] == tf.range(count)[:, tf.newaxis]
        groups = {
            name: tf.repeat(values, count, axis=0) for name, values in flat.items()
        }
        best = self._layer.best_of_groups(**groups | {"valid": own}, num_groups=count)
        return {name: values[0] for name, values in best._asdict().items()}


def _cut_below(found):
    """Returns float32 [V], the last score of each view that is full, or -1."""
    is_full = tf.reduce_all(found["valid"], axis=1)
    return tf.where(is_full, found["scores"][:, -1], -1.0)
