"""Batches from a `tf.data` dataset of single examples, whose size may be unknown."""

import tensorflow as tf

from tf_frcnn.data.augmentation.applying import augment_example
from tf_frcnn.data.augmentation.plan import NO_AUGMENTATION, Augmentation
from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.pipeline.epochs import (
    augment_seed_of,
    draw_short_side,
    seed_of_epoch,
)
from tf_frcnn.data.pipeline.grouping import (
    group_into_batches,
    pad_by_groups,
    resize_example,
    select_objects,
)
from tf_frcnn.data.pipeline.own_groups import in_own_group
from tf_frcnn.data.pipeline.tensor_examples import (
    check_form,
    has_objects,
    read_example,
    single_examples,
)


class Stream:
    """A dataset of single examples, in one of the forms of `tensor_examples`.

    Boxes are clipped to their images; those without area are left out, and counted.

    Args:
        dataset: of the examples, or of batches of them.
        resizing: how images are brought to the network's size.
        num_classes: K.
        box_format: of `BOX_FORMATS`, where the elements' names do not tell.

    Attributes:
        num_images: in a pass; None if it is not known, or endless.
        num_read: int64 variable, number of images of the last pass so far.
        left_out: int64 variable, number of boxes without area in them.

    Raises:
        DataError: the elements are of another form, or the format is not stated.
    """

    def __init__(
        self,
        dataset: tf.data.Dataset,
        resizing: Resizing,
        num_classes: int,
        box_format: str | None = None,
    ):
        self._examples = single_examples(dataset)
        check_form(self._examples, box_format)
        self._resizing, self._num_classes = resizing, num_classes
        self._box_format = box_format
        size = int(self._examples.cardinality())
        self.num_images = size if size >= 0 else None
        with tf.device("CPU:0"):
            self.num_read = tf.Variable(0, dtype=tf.int64, trainable=False)
            self.left_out = tf.Variable(0, dtype=tf.int64, trainable=False)

    def require_objects(self) -> None:
        """Raises a DataError if there are images alone."""
        if not has_objects(self._examples):
            raise DataError(
                "The dataset has images alone; boxes and labels are needed. An image "
                "without objects has none of each, in the shapes [0, 4] and [0]."
            )

    def training_batches(
        self,
        *,
        batch_size: int,
        flip: bool,
        drop_difficult: bool,
        seed: int,
        epoch: int | tf.Variable = 0,
        augmentation: Augmentation = NO_AUGMENTATION,
        num_workers: int | None = None,
    ) -> tf.data.Dataset:
        """Returns the batches of one pass, in the dataset's order.

        As far as there are enough of them, images of one canvas share a batch. Sizes
        and mirroring follow from the seed, the epoch and an image's place.

        Args:
            batch_size: images per batch.
            flip: mirrors every image with probability 0.5.
            drop_difficult: leaves out objects marked difficult, but no crowd.
            seed: of sizes and mirroring.
            epoch: number of the pass; a variable is read when it begins.
            augmentation: other random changes.
            num_workers: images, and batches, that are prepared side by side; None lets
                tf.data choose.

        Raises:
            DataError: there are images alone, or images are to make mosaics, for which
                a dataset of tf.data would have to be read four times.
        """
        self.require_objects()
        if augmentation.mosaic:
            raise DataError(
                f"augment.mosaic = {augmentation.mosaic} needs a data set of "
                "read_data; for a dataset of tf.data set it to 0."
            )

        def prepare(epoch_seed, row, element):
            example = self._read(row, element)
            if drop_difficult:
                example = select_objects(example, _learned(example.fields))
            return augment_example(
                lambda _: example,
                self._resizing,
                augmentation,
                short_side=draw_short_side(self._resizing, epoch_seed, row),
                flip_seed=[epoch_seed, 1 + row] if flip else None,
                seed=augment_seed_of(epoch_seed, row),
            )

        def one_pass():
            epoch_seed = seed_of_epoch(seed, epoch)
            return lambda row, element: self._grouped(prepare(epoch_seed, row, element))

        canvases = self._resizing.canvases
        prepared = self._prepared(one_pass, num_workers)
        batches = pad_by_groups(prepared, canvases, batch_size, num_workers=num_workers)
        if (count := self.num_batches(batch_size)) is not None:
            batches = batches.apply(tf.data.experimental.assert_cardinality(count))
        return batches.prefetch(tf.data.AUTOTUNE)

    def evaluation_batches(self, *, batch_size: int) -> tf.data.Dataset:
        """Returns the batches of one pass, unmirrored; `rows` tells an image's place.

        No batch is mixed, so that an image has the same canvas whatever the others are.

        Args:
            batch_size: images per batch.
        """

        def one_pass():
            return lambda row, element: self._grouped(
                resize_example(self._read(row, element), self._resizing)
            )

        canvases = self._resizing.canvases
        batches = group_into_batches(self._prepared(one_pass), canvases, batch_size)
        if batch_size == 1 and self.num_images is not None:
            known = tf.data.experimental.assert_cardinality(self.num_images)
            batches = batches.apply(known)
        return batches.prefetch(tf.data.AUTOTUNE)

    def num_batches(self, batch_size: int) -> int | None:
        """Returns the number of training batches; None if it is not known."""
        return None if self.num_images is None else -(-self.num_images // batch_size)

    def _enumerated(self):
        """Returns (row, element); an element may be a tuple itself."""
        numbered = self._examples.enumerate()
        if isinstance(self._examples.element_spec, tuple):
            return numbered.map(lambda row, element: (row, {"pair": element}))
        return numbered

    def _read(self, row, element):
        if isinstance(element, dict) and "pair" in element:
            element = element["pair"]
        example = read_example(
            element, row, box_format=self._box_format, num_classes=self._num_classes
        )
        sides = tf.tile(tf.cast(tf.shape(example.image)[:2], tf.float32), [2])
        boxes = tf.clip_by_value(example.boxes, 0.0, sides)
        has_area = tf.reduce_all(boxes[:, 2:] > boxes[:, :2], axis=1)
        self.num_read.assign_add(1)
        self.left_out.assign_add(tf.math.count_nonzero(~has_area))
        return select_objects(example._replace(boxes=boxes), has_area)

    def _grouped(self, fields):
        return in_own_group(fields, self._resizing.canvases)

    def _prepared(self, one_pass, num_workers=None):
        """Returns the examples of what `one_pass()`, called when each begins, makes."""

        @tf.autograph.experimental.do_not_convert
        def prepared(_):
            self.num_read.assign(0)
            self.left_out.assign(0)
            return self._enumerated().map(
                one_pass(),
                num_parallel_calls=num_workers or tf.data.AUTOTUNE,
                deterministic=True,
            )

        return tf.data.Dataset.from_tensors(0).flat_map(prepared)


def _learned(fields):
    """Returns bool [n], False for difficult objects that are no crowd."""
    learned = ~fields["difficult"]
    return learned | fields["crowd"] if "crowd" in fields else learned
