"""All random changes of one image, from the file's pixels to the network's."""

from collections.abc import Callable

import tensorflow as tf

from tf_frcnn.data.augmentation.colours import change_colours
from tf_frcnn.data.augmentation.draws import split_seed, uniform
from tf_frcnn.data.augmentation.geometry import cropped, placed, turned
from tf_frcnn.data.augmentation.mosaic import NUM_IMAGES, mosaic_of
from tf_frcnn.data.augmentation.plan import Augmentation
from tf_frcnn.data.augmentation.user_function import changed_by
from tf_frcnn.data.decoding.resizing import Resizing, plan_resize
from tf_frcnn.data.pipeline.grouping import (
    Batch,
    Example,
    at_network_size,
    fields_of,
    mirrored,
)


def augment_example(
    read: Callable[[tf.Tensor | int], Example],
    resizing: Resizing,
    augmentation: Augmentation,
    *,
    short_side: tf.Tensor,
    flip_seed: tf.Tensor | None,
    seed: tf.Tensor,
    resized: Callable[[], Example] | None = None,
) -> Batch:
    """Changes an image at random and brings it to the network's size.

    Args:
        read: returns an example in the file's pixels: the k-th of four for a mosaic,
            otherwise the 0-th.
        resizing: to which size.
        augmentation: the changes.
        short_side: integer [], one of the resizing's.
        flip_seed: int64 [2], decides about mirroring; None never does.
        seed: int64 [2], decides all else.
        resized: returns the example at the network's size, where that is at hand and
            nothing changes before, see `Augmentation.begins_resized`; None to resize.

    Returns:
        The fields of a batch for this image; neither image nor boxes are padded.
        `scales` are those of the whole image, of the first one in a mosaic.
    """
    if augmentation.is_none:
        example = (
            resized() if resized else at_network_size(read(0), resizing, short_side)
        )
        return fields_of(mirrored(example, flip_seed))
    of_files, of_choice, of_mosaic, of_place, of_colours = split_seed(seed, 5)
    of_file = tf.stack(split_seed(of_files, NUM_IMAGES))

    # A function of the graph: five traces would take seconds.
    @tf.function(autograph=False)
    def changed(place):
        return _in_file(read(place), augmentation, of_file[place])

    def alone():
        if resized:
            return resized()
        example = changed(tf.constant(0))
        return _alone(example, resizing, augmentation, short_side, of_place)

    def together():
        seeds = of_mosaic, of_place
        return _together(changed, resizing, augmentation, short_side, seeds)

    if augmentation.mosaic:
        is_drawn = uniform(of_choice) < augmentation.mosaic
        example = tf.cond(is_drawn, together, alone)
    else:
        example = alone()
    example = mirrored(example, flip_seed)
    image = change_colours(example.image, augmentation, of_colours)
    return fields_of(example._replace(image=image))


def _in_file(example, augmentation, seed):
    """Makes the changes in the file's pixels."""
    of_function, of_turn, of_crop = split_seed(seed, 3)
    if augmentation.function is not None:
        example = changed_by(augmentation.function, example, of_function)
    if augmentation.rotate:
        example = turned(example, of_turn)
    if augmentation.crop:
        example = cropped(example, augmentation, of_crop)
    return example


def _alone(example, resizing, augmentation, short_side, seed):
    if not augmentation.places:
        return at_network_size(example, resizing, short_side)
    file_size = tf.shape(example.image)[:2]
    target = _target(file_size, resizing, augmentation, short_side)
    example = _with_sizes(example, target, file_size, tf.ones([2]))
    return placed(example, target, resizing, augmentation, seed)


def _together(read, resizing, augmentation, short_side, seeds):
    examples = [read(tf.constant(place)) for place in range(NUM_IMAGES)]
    file_size = tf.shape(examples[0].image)[:2]
    target = _target(file_size, resizing, augmentation, short_side)
    example = mosaic_of(examples, target, resizing, augmentation.min_visible, seeds[0])
    scales = tf.cast(target, tf.float32) / tf.cast(file_size, tf.float32)
    example = _with_sizes(example, target, file_size, scales)
    if augmentation.places:
        example = placed(example, target, resizing, augmentation, seeds[1])
    return example


def _target(file_size, resizing, augmentation, short_side):
    """Returns int64 [2], the (height, width) of the image in network pixels."""
    if augmentation.letterbox:
        return tf.fill([2], tf.cast(short_side, tf.int64))
    height, width = tf.unstack(file_size)
    plan = plan_resize(height, width, short_side, resizing.long_side, resizing.method)
    return plan.sizes


def _with_sizes(example, size, file_size, scales):
    """Returns the example with the fields that resizing gives it."""
    sizes = {"image_sizes": size, "file_sizes": file_size, "scales": scales}
    sizes = {name: tf.cast(pair, tf.float32) for name, pair in sizes.items()}
    return example._replace(fields=sizes | example.fields)
