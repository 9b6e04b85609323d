"""Keras models whose methods take data as users have them."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_frcnn.config import Config
from tf_frcnn.data.decoding.pictures import PICTURES, Picture
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.layers import Preprocessing
from tf_frcnn.models.advice import LossAdvice, advise_on_data, advise_on_rate
from tf_frcnn.models.detecting import Found, detect_in_pictures
from tf_frcnn.models.errors import readable_errors
from tf_frcnn.models.inputs import (
    Batches,
    build_evaluation_batches,
    build_resizing,
    build_training_batches,
    is_raw,
)
from tf_frcnn.models.progress import Progress


class DataModel(keras.Model):
    """A Keras model that owns its preprocessing.

    `fit`, `evaluate` and `predict` take what `read_data` returns, any `tf.data.Dataset`
    of single examples in the forms of `data.pipeline.tensor_examples`, or batches as
    `models.batch` describes them.

    Attributes:
        preprocessing: of its images.
        class_names: of the K classes.
        box_format: of the boxes in datasets whose elements do not tell.
    """

    preprocessing: Preprocessing
    class_names: tuple[str, ...]
    box_format: str | None

    @property
    def settings(self) -> Config:
        """The configuration that it was built from."""
        raise NotImplementedError

    @property
    def resizing(self) -> Resizing:
        """The way in which images are brought to the network's size."""
        return build_resizing(self.preprocessing.images)

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_data=None,
        validation_batch_size=None,
        **settings,
    ):
        """Trains as Keras does; see the class for the data.

        An example set is shuffled anew in each epoch, a dataset keeps its order; the
        images of both are mirrored as the recipe has it. An epoch has each image once.
        Callbacks that add figures to the logs run before the others.

        Args:
            x: the data.
            y: None; objects come with the images.
            batch_size: images per step; None for the recipe's number.
            epochs: as in Keras.
            verbose: as in Keras.
            callbacks: as in Keras.
            validation_data: like `x`; its losses get names with `val_`.
            validation_batch_size: None for `batch_size`.
            **settings: of `keras.Model.fit`, but no weights of classes or samples.

        Raises:
            DataError: the data cannot be used.
            NonFiniteLossError: a loss became NaN or infinite.
        """
        for name in ("class_weight", "sample_weight"):
            if settings.get(name) is not None:
                raise ValueError(
                    f"fit: {name} is not used by a detector, whose losses are those of "
                    "sampled anchors and RoIs; leave it out."
                )
        verbose = 1 if verbose == "auto" else verbose
        own: list[keras.callbacks.Callback] = [LossAdvice()]
        training = Batches(x)
        if is_raw(x):
            size = batch_size or self.settings.data.batch_size
            training = self._training_batches(x, size, epoch := _Epoch())
            own += [epoch]
            if verbose:
                images, steps = training.num_images, training.steps
                own += [Progress(images, steps, size, verbose)]
            if training.stream is None:  # Endless; a stream ends by itself.
                settings = {"steps_per_epoch": training.steps} | settings
            validation_batch_size, batch_size = validation_batch_size or size, None
        if is_raw(validation_data):
            validation_data = self._evaluation_batches(
                validation_data, validation_batch_size
            ).dataset
            validation_batch_size = None
        if isinstance(training.dataset, tf.data.Dataset):
            settings["shuffle"] = False  # Its order is its own.
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks = [*_in_order(callbacks or ()), *own]
        with readable_errors():
            history = super().fit(
                training.dataset,
                y,
                batch_size=batch_size,
                epochs=epochs,
                verbose=0 if is_raw(x) else verbose,
                callbacks=callbacks,
                validation_data=validation_data,
                validation_batch_size=validation_batch_size,
                **settings,
            )
        training.report_left_out()
        return history

    def evaluate(self, x=None, y=None, batch_size=None, **settings):
        """Returns the losses as Keras does; `tf_frcnn.evaluate` measures the mAP."""
        if is_raw(x):
            x, batch_size = self._evaluation_batches(x, batch_size).dataset, None
        with readable_errors():
            return super().evaluate(x, y, batch_size=batch_size, **settings)

    def predict(self, x, batch_size=None, **settings):
        """Returns arrays of the detections, images in the order of the data."""
        if not is_raw(x):
            return super().predict(x, batch_size=batch_size, **settings)
        with readable_errors():
            batches = self._evaluation_batches(x, batch_size).dataset
            outputs = super().predict(batches, **settings)
        order = np.argsort(outputs.pop("rows"))
        return {name: values[order] for name, values in outputs.items()}

    def detect(
        self, images: Sequence[Picture], *, batch_size: int | None = None
    ) -> list[Found]:
        """Detects objects in pictures of any sizes.

        Args:
            images: a list of paths, of the bytes of files, of arrays or of Pillow's
                pictures, mixed as you like; see `data.decoding.pictures.read_picture`.
            batch_size: most images per batch; None for the recipe's number.

        Returns:
            One result per picture, in their order; boxes are (ymin, xmin, ymax, xmax)
            in pixels of the upright picture.

        Raises:
            FileNotFoundError: there is no such file.
            ImageError: a picture is damaged, or its values lie in 0..1.
        """
        if isinstance(images, PICTURES) and getattr(images, "ndim", 0) < 4:
            images = [images]
        return detect_in_pictures(
            self.predict_on_batch,
            images,
            self.resizing,
            self.class_names,
            batch_size or self.settings.data.batch_size,
        )

    def _training_batches(self, data, batch_size: int, epoch: "_Epoch") -> Batches:
        advise_on_rate(self, batch_size)
        if isinstance(data, ExampleSet):
            self._check_classes(data)
            advise_on_data(self, data)
        return build_training_batches(
            self.settings,
            data,
            num_classes=len(self.class_names),
            batch_size=batch_size,
            box_format=self.box_format,
            epoch=epoch.number,
        )

    def _evaluation_batches(self, data, batch_size: int | None) -> Batches:
        if isinstance(data, ExampleSet):
            self._check_classes(data)
        return build_evaluation_batches(
            self.settings,
            data,
            num_classes=len(self.class_names),
            batch_size=batch_size,
            box_format=self.box_format,
        )

    def _check_classes(self, data: ExampleSet) -> None:
        if data.class_names and data.class_names != self.class_names:
            raise ValueError(
                f"{data.name} has the classes {', '.join(data.class_names)}, but the "
                f"model {', '.join(self.class_names)}; read the data with class_names "
                "= model.class_names."
            )


class _Epoch(keras.callbacks.Callback):
    """Tells the data the number of the epoch, also of one that is resumed.

    Attributes:
        number: int64 variable.
    """

    def __init__(self):
        super().__init__()
        with tf.device("CPU:0"):
            self.number = tf.Variable(0, dtype=tf.int64, trainable=False)

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the number, before the epoch's first batch is made."""
        self.number.assign(epoch)


def _in_order(callbacks: Any) -> list[keras.callbacks.Callback]:
    """Returns callbacks with those first that add figures to the logs."""
    if isinstance(callbacks, keras.callbacks.Callback):
        callbacks = [callbacks]
    return sorted(callbacks, key=lambda c: not getattr(c, "adds_to_logs", False))
