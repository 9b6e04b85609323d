"""What detectors have in common as Keras models: steps, losses by name, XLA."""

import keras
import tensorflow as tf

# How the message of a run that a non-finite loss stopped begins.
NON_FINITE_LOSS = "The loss is not finite at step"


class Detector(keras.Model):
    """A model that trains on batches of pictures and reports several losses.

    A subclass names its losses in `loss_names` and computes them in `compute_losses`.

    Args:
        weight_decay: factor of half the sum of squares of all trainable kernels.
        bias_rate: the biases' learning rate as a multiple of the kernels'.
    """

    loss_names = ("loss", "decay_loss")

    def __init__(
        self, *, weight_decay: float = 0.0005, bias_rate: float = 1.0, **kwargs
    ):
        super().__init__(**{"autocast": False, **kwargs})
        self.weight_decay, self.bias_rate = weight_decay, bias_rate
        self.loss_trackers = {n: keras.metrics.Mean(n) for n in self.loss_names}
        self._use_xla(False)

    def compute_losses(self, batch, step, training=False) -> dict[str, tf.Tensor]:
        """Computes float32 scalars under `loss_names` for a batch at a step."""
        raise TypeError(f"{type(self).__name__} does not define compute_losses.")

    def decay_loss(self) -> tf.Tensor:
        """Computes the weight decay of the trainable kernels, a float32 scalar."""
        kernels = [v for v in self.trainable_variables if v.name == "kernel"]
        squares = [tf.nn.l2_loss(tf.cast(kernel, tf.float32)) for kernel in kernels]
        return self.weight_decay * tf.add_n(squares)

    def with_sum(self, losses: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns `loss`, the losses given, and the weight decay, all summed in it."""
        losses = losses | {"decay_loss": self.decay_loss()}
        return {"loss": tf.add_n(list(losses.values())), **losses}

    def compile(self, optimizer="sgd", *, jit_compile: bool = False, **kwargs):
        """Compiles as Keras does, with XLA only where it is asked for.

        XLA then takes the network and its gradients. It does not take the whole step,
        because it knows no strings (`image_ids`) and no distributed variables.
        """
        self._use_xla(jit_compile)
        super().compile(optimizer=optimizer, jit_compile=False, **kwargs)

    def _use_xla(self, uses_xla):
        self.uses_xla = uses_xla
        compiled = tf.function(jit_compile=True) if uses_xla else (lambda step: step)
        self._gradient_step = compiled(self._compute_losses_and_gradients)
        self._loss_step = compiled(self.compute_losses)
        self._detection_step = compiled(self.call)

    def get_compile_config(self):
        """Returns the arguments of `compile`."""
        return super().get_compile_config() | {"jit_compile": self.uses_xla}

    def compile_from_config(self, config):
        """Compiles with what `get_compile_config` returned."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def build_from_config(self, config):
        """Creates the weights."""
        self.build()

    @property
    def metrics(self):
        """The means that `fit` and `evaluate` report and reset."""
        return list(self.loss_trackers.values())

    def train_step(self, batch):
        """Updates the weights once; returns the means of the losses so far.

        Raises:
            tf.errors.InvalidArgumentError: a loss is not finite; the weights are left
                as they were, and the message names the step and the images.
        """
        batch, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        step = tf.convert_to_tensor(self.optimizer.iterations)
        losses, gradients = self._gradient_step(_tensors_of(batch), step)
        finite = tf.reduce_all([tf.math.is_finite(loss) for loss in losses.values()])
        report = [NON_FINITE_LOSS, step, "images", batch.get("image_ids", "unknown")]
        report += [part for loss in losses.items() for part in loss]
        with tf.control_dependencies([tf.debugging.Assert(finite, report, 100)]):
            gradients = [tf.identity(gradient) for gradient in gradients]
        self.optimizer.apply(gradients, self.trainable_variables)
        return self._track(losses)

    def _compute_losses_and_gradients(self, batch, step):
        with tf.GradientTape() as tape:
            losses = self.compute_losses(batch, step, training=True)
            scaled = self.optimizer.scale_loss(losses["loss"])
        variables = self.trainable_variables
        gradients = tape.gradient(scaled, variables)
        if self.bias_rate != 1.0:
            gradients = [
                gradient * self.bias_rate if variable.name == "bias" else gradient
                for gradient, variable in zip(gradients, variables, strict=True)
            ]
        return losses, gradients

    def test_step(self, batch):
        """Computes the losses with a fixed sample; returns their means so far."""
        batch, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        return self._track(self._loss_step(_tensors_of(batch), 0))

    def predict_step(self, batch):
        """Detects objects in a batch; `image_ids` are handed through."""
        batch, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        detections = self._detection_step(_tensors_of(batch))
        if isinstance(batch, dict) and "image_ids" in batch:
            detections["image_ids"] = batch["image_ids"]
        return detections

    def _track(self, losses):
        for name, value in losses.items():
            self.loss_trackers[name].update_state(value)
        return {name: tracker.result() for name, tracker in self.loss_trackers.items()}

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            "name": self.name,
            "weight_decay": self.weight_decay,
            "bias_rate": self.bias_rate,
        }


def _tensors_of(inputs):
    """Returns the batch without its strings, which XLA does not know."""
    if not isinstance(inputs, dict):
        return inputs
    return {name: value for name, value in inputs.items() if name != "image_ids"}
