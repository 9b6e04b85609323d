"""A detector as a graph for other runtimes: one image, one canvas, plain operations.

Everything in which such a graph differs from the SavedModel is here:

- All sizes are fixed, and the batch is one image.
- The weights are constants. TensorFlow Lite's converter would silently leave variables
  without their values.
- RoIs are pooled by gathering cells, the form for XLA. TensorFlow Lite has no
  CropAndResize; ONNX's Resize, which tf2onnx makes of it, rounds differently, so that a
  sample on the last cell of the map can come out as 0.
- It has no strings.
- Suppression and the gathering of cells repeat their operations instead of looping,
  because OpenVINO does not read these loops. RoIPool, and RoIAlign with as many samples
  as a RoI has cells, gather nothing and keep theirs: OpenVINO does not run them.
"""

import contextlib
from collections.abc import Callable

import keras
import tensorflow as tf

from tf_frcnn.data import Resizing
from tf_frcnn.export.signatures import detection_outputs
from tf_frcnn.models import FasterRCNN

Canvas = tuple[int, int]


def default_canvas(resizing: Resizing) -> Canvas:
    """Returns (height, width) in pixels of the largest canvas that is not portrait.

    Raises:
        ValueError: images have their own canvases, without a limit.
    """
    if not isinstance(resizing.canvases, int):
        lying = [size for size in resizing.canvases if size[0] <= size[1]]
        canvases = lying or resizing.canvases
        return max(canvases, key=lambda size: (size[0] * size[1], size))
    if resizing.long_side is None:
        raise ValueError(
            "export: this run limits only the shorter side of its images, so that it "
            "has no largest canvas; give one with --canvas HEIGHTxWIDTH."
        )
    multiple = resizing.canvases
    sides = (resizing.short_sides[0], resizing.long_side)
    height, width = (-(-side // multiple) * multiple for side in sides)
    return height, width


def canvas_inputs(canvas: Canvas) -> list[tf.TensorSpec]:
    """Returns the inputs of the graph; see `data.pipeline.batching` for what they hold.

    These are `images` float32 [1, H, W, 3], RGB 0..255, and `image_sizes`, `scales`,
    `file_sizes`, float32 [1, 2] each.
    """
    pairs = ("image_sizes", "scales", "file_sizes")
    inputs = [tf.TensorSpec([1, *canvas, 3], tf.float32, "images")]
    return inputs + [tf.TensorSpec([1, 2], tf.float32, name) for name in pairs]


def canvas_function(model: FasterRCNN) -> Callable[..., dict[str, tf.Tensor]]:
    """Returns the function from `canvas_inputs` to the outputs of `signatures`.

    Raises:
        ValueError: the model does not compute in float32.
    """
    precision = model.backbone.compute_dtype
    if precision != "float32":
        raise ValueError(
            f"export: the model computes in {precision}, for which other runtimes lack "
            "kernels; build it with train.precision = float32."
        )
    values = [(variable, variable.numpy()) for variable in model.variables]

    def detect(images, image_sizes, scales, file_sizes):
        batch = {"images": images, "image_sizes": image_sizes, "scales": scales}
        constants = [(variable, tf.constant(value)) for variable, value in values]
        with keras.StatelessScope(constants), _gathered_and_unrolled(model):
            found = model(batch | {"file_sizes": file_sizes})
        outputs = detection_outputs(found, file_sizes, model.class_names)
        del outputs["detection_class_names"]
        return outputs

    return detect


@contextlib.contextmanager
def _gathered_and_unrolled(model):
    """Sets RoI pooling to its form for XLA and unrolls loops within the context."""
    pooling = model.roi_head.pooling
    layers = pooling, model.rpn.proposal_layer, model.roi_head.detection_layer
    for_xla = pooling.for_xla
    pooling.for_xla = True
    for layer in layers:
        layer.unroll = True
    try:
        yield
    finally:
        pooling.for_xla = for_xla
        for layer in layers:
            layer.unroll = False
