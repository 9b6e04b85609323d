"""The base of detectors as Keras models: parts, steps, losses by name, XLA."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tf_frcnn.config import Config
from tf_frcnn.data.pipeline.tensor_examples import check_box_format
from tf_frcnn.layers import Preprocessing
from tf_frcnn.models.batch import (
    Batch,
    batch_of,
    canvas_size,
    check_objects,
    tensors_of,
    with_defaults,
)
from tf_frcnn.models.data_model import DataModel
from tf_frcnn.models.entry_points import EntryPoints
from tf_frcnn.models.fused_updates import fuse_updates
from tf_frcnn.models.optimizer import (
    accumulated_steps,
    build_optimizer,
    decays_weights,
    step_count,
)
from tf_frcnn.models.replicas import (
    leave_reduced,
    mean_losses,
    num_replicas,
    reduced,
    replica,
)
from tf_frcnn.models.roi_head import RoIHead
from tf_frcnn.models.rpn import RegionProposalNetwork
from tf_frcnn.models.seeds import Turn
from tf_frcnn.models.sound_steps import SoundSteps, apply_where
from tf_frcnn.models.step_figures import collected, num_images
from tf_frcnn.models.trackers import FigureMeans, Trackers
from tf_frcnn.models.workers import as_logs
from tf_frcnn.models.xla import takes_xla
from tf_frcnn.structures import Proposals


class Detector(EntryPoints, DataModel):
    """A backbone and the parts that read its maps, trained on batches of images.

    A subclass names its losses in `loss_names`, computes them in `compute_losses`, and
    detects or proposes boxes in `call`. Batches are described in `models.batch`.

    Args:
        preprocessing: normalises images and keeps how files are brought to them.
        backbone: Keras model from float [B, H, W, 3] to one map float [B, h, w, C], or
            to a list of such maps, finest first.
        rpn: the region proposal network, if the model has one.
        roi_head: the RoI head, if the model has one.
        class_names: of the K classes, without background.
        weight_decay: factor of half the sum of squares of all trainable kernels; not
            used with an optimizer that has a weight decay of its own, such as AdamW.
        bias_rate: the biases' learning rate as a multiple of the kernels'.
        seed: of sampling and dropout, together with the number of the step.
        config: the configuration it was built from; None for one made of parts by hand,
            whose `settings` are the defaults.
        box_format: of the boxes in datasets given to `fit`, one of Keras's names, such
            as "xyxy"; None where the data tell. Detections are (ymin, xmin, ymax,
            xmax) in pixels whatever it is.
    """

    loss_names: tuple[str, ...] = ("loss", "decay_loss")
    part_names = ("preprocessing", "backbone", "rpn", "roi_head")

    def __init__(
        self,
        preprocessing: Preprocessing,
        backbone: keras.Model,
        rpn: RegionProposalNetwork | None = None,
        roi_head: RoIHead | None = None,
        *,
        class_names: Sequence[str],
        weight_decay: float = 0.0005,
        bias_rate: float = 1.0,
        seed: int = 0,
        config: Config | dict | None = None,
        box_format: str | None = None,
        **kwargs,
    ):
        check_box_format(box_format)
        super().__init__(**{"autocast": False, **kwargs})
        self.preprocessing, self.backbone = preprocessing, backbone
        self.rpn, self.roi_head = rpn, roi_head
        self.class_names, self.seed = tuple(class_names), seed
        self.weight_decay, self.bias_rate = weight_decay, bias_rate
        self.config = None if config is None else Config.of(config)
        self.box_format = box_format
        self.trackers = Trackers(self.loss_names, self.class_names)
        self.sound_steps = SoundSteps()
        self._folds_decay = False  # Whether the optimizer adds the decay's gradient.
        # So that Keras takes XLA for no method of a model that was not compiled: on a
        # GPU it would, and fail at the strings.
        self.supports_jit = False
        self._use_xla(False)

    @property
    def settings(self) -> Config:
        """The configuration, with the model's own preprocessing and seed."""
        config = Config() if self.config is None else self.config
        return config.replace(images=self.preprocessing.images, seed=self.seed)

    @property
    def parts(self) -> dict[str, keras.layers.Layer]:
        """The parts of the model, by name."""
        parts = {name: getattr(self, name) for name in self.part_names}
        return {name: part for name, part in parts.items() if part is not None}

    def build(self, input_shape=None):
        """Creates all weights; they do not depend on the input's size."""
        features_shape = (None, None, None, self.backbone.outputs[0].shape[-1])
        for part in self.parts.values():
            if not part.built:
                part.build(features_shape)
        self.built = True

    def features(self, batch: Batch) -> list[tf.Tensor]:
        """Computes the backbone's maps, float [B, h, w, C] each, finest first."""
        maps = self.backbone(self.preprocessing(batch["images"], batch["image_sizes"]))
        return list(maps) if isinstance(maps, list | tuple) else [maps]

    def propose(self, inputs: Batch | tf.Tensor, training: bool = False) -> Proposals:
        """Proposes boxes, continuous corners in pixels of the file.

        Args:
            inputs: a batch, or its `images` alone.
            training: whether to return as many proposals as in training.
        """
        batch = with_defaults(inputs)
        # Only a FastRCNN has none, and proposes nothing.
        rpn: RegionProposalNetwork = self.rpn  # type: ignore[assignment]
        state = rpn(self.features(batch), batch["image_sizes"], canvas_size(batch))
        return rpn.in_file(rpn.propose(state, batch, training=training), batch)

    def rpn_results(self, inputs: Batch | tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the RPN's intermediate results; see its `named_results`."""
        batch = with_defaults(inputs)
        # As in `propose`.
        rpn: RegionProposalNetwork = self.rpn  # type: ignore[assignment]
        return rpn.named_results(self.features(batch), batch)

    def compute_losses(
        self, inputs: Batch, turn: Turn | tf.Tensor | int, training: bool = False
    ) -> dict[str, tf.Tensor]:
        """Computes float32 scalars under `loss_names` for a batch; see `seeds`."""
        raise TypeError(f"{type(self).__name__} does not define compute_losses.")

    def validate(
        self, inputs: Batch, turn: Turn | tf.Tensor | int
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Returns what `compute_losses` and a call do; a subclass has one pass."""
        return self.compute_losses(inputs, turn), self.call(inputs)

    def decay_loss(self) -> tf.Tensor:
        """Computes the weight decay of the trainable kernels, a float32 scalar.

        It is a constant for the gradient where the optimizer adds that itself.
        """
        kernels = [v for v in self.trainable_variables if v.name == "kernel"]
        if not kernels or decays_weights(getattr(self, "optimizer", None)):
            return tf.constant(0.0)
        squares = [tf.nn.l2_loss(tf.cast(kernel, tf.float32)) for kernel in kernels]
        loss = self.weight_decay * tf.reduce_sum(squares)  # add_n has no fixed order.
        return tf.stop_gradient(loss) if self._folds_decay else loss

    def with_sum(self, losses: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns `loss`, the losses given, and the weight decay, all summed in it."""
        losses = losses | {"decay_loss": self.decay_loss()}
        return {"loss": tf.reduce_sum(list(losses.values())), **losses}

    def compile(
        self,
        optimizer=None,
        loss=None,
        *,
        jit_compile: bool | str = False,
        on_non_finite: str | None = None,
        **kwargs,
    ):
        """Compiles as Keras does, with XLA only on request.

        XLA compiles the network and its gradients, but not the whole step, because it
        supports neither strings (`image_ids`) nor distributed variables.

        Args:
            optimizer: None for the recipe's, at a constant learning rate.
            loss: None; the losses are the detector's own.
            jit_compile: True for XLA; "auto" where Keras takes it: on a GPU or TPU.
            on_non_finite: "stop" or "skip", what becomes of a step with a loss or a
                gradient that is not finite; None for the setting
                `train.on_non_finite`. With "skip" the logs have `skipped`, the share
                of such steps.
            **kwargs: of `keras.Model.compile`.

        Raises:
            ConfigError: `on_non_finite` is neither.
            ValueError: there is a loss or a metric, or `jit_compile` is none of these.
        """
        unused = {"loss": loss} | kwargs
        for name in ("loss", "metrics", "loss_weights", "weighted_metrics"):
            if unused.get(name):
                raise ValueError(
                    f"compile: {name} is not used; the losses are the detector's own, "
                    "and tf_frcnn.callbacks.MeanAveragePrecision measures the mAP."
                )
        self._use_xla(takes_xla(jit_compile, self, kwargs.get("run_eagerly", False)))
        train = self.settings.train
        if on_non_finite is not None:
            train = train.replace(on_non_finite=on_non_finite)
        skips = train.on_non_finite == "skip"
        self.sound_steps.skips = self.trackers.with_skipped = skips
        if optimizer is None:
            optimizer = build_optimizer(train, train.learning_rate)
        super().compile(optimizer=optimizer, jit_compile=False, **kwargs)
        leave_reduced(self.optimizer)
        self._folds_decay = fuse_updates(self.optimizer, self.weight_decay)
        if self.has_devices and accumulated_steps(self.optimizer) > 1:
            raise ValueError(
                "compile: gradient_accumulation_steps is for one device; with several "
                "take a larger batch instead."
            )
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def _use_xla(self, uses_xla):
        self.uses_xla, self.compiled_for, self._in_tiles = uses_xla, (), None
        in_xla = tf.function(jit_compile=True, autograph=False)
        compiled = in_xla if uses_xla else (lambda step: step)
        # Variables of several devices are not for XLA.
        alone = uses_xla and not self.has_devices
        self._update_step = in_xla(self._apply_where) if alone else None
        self._gradient_step = compiled(self._compute_losses_and_gradients)
        self._loss_step = compiled(self.compute_losses)
        self._detection_step = compiled(self.call)
        self._validation_step = compiled(self.validate)
        for layer in self._flatten_layers(include_self=False):
            if hasattr(layer, "for_xla"):
                layer.for_xla = uses_xla

    def get_compile_config(self):
        """Returns the arguments of `compile`."""
        config = super().get_compile_config()
        own = {
            "jit_compile": self.uses_xla,
            "on_non_finite": "skip" if self.sound_steps.skips else "stop",
        }
        return config | own if config else config

    def compile_from_config(self, config):
        """Compiles with the result of `get_compile_config`."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def build_from_config(self, config):
        """Creates the weights."""
        self.build()

    @property
    def metrics(self):
        """The means that `fit` and `evaluate` report and reset."""
        return list(self.trackers.by_name.values())

    def train_step(self, batch):
        """Updates the weights once; returns the means of the losses so far.

        Raises:
            tf.errors.InvalidArgumentError: a loss or a gradient is not finite; the
                weights are left as they were, unless several devices divide the batch,
                and the message names the step and the images. See `compile` for passing
                over such steps.
        """
        batch = check_objects(batch_of(batch), len(self.class_names))
        steps = tf.convert_to_tensor(step_count(self.optimizer))
        turn = self.turn_of(steps, tf.shape(batch["images"])[0])
        losses, gradients = reduced(self._gradient_step(tensors_of(batch), turn))
        names = FigureMeans.names()
        figures = {name: losses.pop(name) for name in names if name in losses}
        # Nothing moves before it, neither the count of steps nor that of the means: not
        # where there are no data any more, nor, on one device, in a step that fails.
        is_sound, norm = self.sound_steps.update(
            self.optimizer,
            self.trainable_variables,
            gradients,
            losses,
            batch,
            self._update_step,
        )
        with tf.control_dependencies([is_sound]):
            self.trackers.figures.update_state(
                figures | {"gradient_norm": norm}, is_sound
            )
            return as_logs(self.trackers.update_in_training(losses, is_sound))

    def turn_of(self, steps: tf.Tensor, batch_size: tf.Tensor) -> Turn:
        """Returns what the draws of a training step follow from.

        Args:
            steps: int scalar, number of the step.
            batch_size: int scalar, images of the step.
        """
        parts = accumulated_steps(getattr(self, "optimizer", None))
        place = steps % parts * num_replicas() + tf.cast(replica(), steps.dtype)
        return Turn(steps // parts, place * tf.cast(batch_size, steps.dtype))

    def _compute_losses_and_gradients(self, batch, turn):
        """Returns the losses, with the figures of the step, and the gradients."""
        with collected() as figures, tf.GradientTape() as tape:
            losses = self.compute_losses(batch, turn, training=True)
            scaled = self.optimizer.scale_loss(losses["loss"] / num_replicas())
        variables = self.trainable_variables
        # A kernel that no loss reaches decays all the same.
        gradients = tape.gradient(
            scaled, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        if self.bias_rate != 1.0:
            gradients = [
                gradient * self.bias_rate if variable.name == "bias" else gradient
                for gradient, variable in zip(gradients, variables, strict=True)
            ]
        return losses | figures | num_images(batch), gradients

    def _apply_where(self, gradients, is_sound):
        apply_where(
            self.optimizer,
            self.trainable_variables,
            gradients,
            is_sound,
            counts_anyway=self.sound_steps.skips,
        )

    def test_step(self, batch):
        """Computes the losses with a fixed sample; returns their means so far."""
        batch = check_objects(batch_of(batch), len(self.class_names))
        batch_size = tf.shape(batch["images"])[0]
        turn = Turn(0, tf.cast(replica(), tf.int32) * batch_size)
        if self.kept_detections is None:
            losses = self._loss_step(tensors_of(batch), turn)
        else:
            losses, found = self._validation_step(tensors_of(batch), turn)
            self.kept_detections.keep(batch["rows"], found)
        losses = mean_losses(losses)
        with tf.control_dependencies([losses["loss"]]):  # As in `train_step`.
            return as_logs(self.trackers.update(losses))

    def predict_step(self, batch):
        """Detects objects in a batch; `image_ids` and `rows` are passed through."""
        batch = batch_of(batch)
        found = self._detection_step(tensors_of(batch))
        names = [
            n for n in ("image_ids", "rows") if isinstance(batch, dict) and n in batch
        ]
        return found | {name: batch[name] for name in names}

    def get_config(self):
        """Returns the constructor's arguments; parts as their own configurations."""
        serialize = keras.saving.serialize_keras_object
        return {
            **{name: serialize(part) for name, part in self.parts.items()},
            "name": self.name,
            "dtype": self.dtype_policy.name,
            "class_names": self.class_names,
            "weight_decay": self.weight_decay,
            "bias_rate": self.bias_rate,
            "seed": self.seed,
            "config": None
            if self.config is None
            else self.config.model_dump(mode="json"),
            "box_format": self.box_format,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Makes a model from the result of `get_config`."""
        parts = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in cls.part_names
            if name in config
        }
        return cls(**config | parts)
