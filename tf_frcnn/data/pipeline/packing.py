"""Examples as scalars, so that those of a batch are gathered without being copied."""

from collections.abc import Mapping

import tensorflow as tf

Fields = dict[str, tf.Tensor]


def packed(fields: Fields) -> tf.Tensor:
    """Returns the fields as one scalar, variant [], that refers to their tensors."""
    return tf.raw_ops.OptionalFromValue(components=tf.nest.flatten(fields))


def unpacked(pack: tf.Tensor, spec: Mapping[str, tf.TensorSpec]) -> Fields:
    """Returns the fields that were packed.

    Args:
        pack: variant [], of `packed`.
        spec: of the fields.
    """
    specs = tf.nest.flatten(spec)
    values = tf.raw_ops.OptionalGetValue(
        optional=pack,
        output_types=[each.dtype for each in specs],
        output_shapes=[each.shape for each in specs],
    )
    return tf.nest.pack_sequence_as(spec, values)
