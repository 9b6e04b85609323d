"""Keras models whose methods take data as users have them."""

import numpy as np
import tensorflow as tf

from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.data.pipeline.shards import Shard
from tf_frcnn.models.advice import (
    ExplosionAdvice,
    LossAdvice,
    advise_on_data,
    advise_on_rate,
)
from tf_frcnn.models.batch import refuse_weights
from tf_frcnn.models.batches import Batches, check_data, end_is_expected, is_raw
from tf_frcnn.models.callback_order import in_order
from tf_frcnn.models.epoch_start import StartOfEpoch
from tf_frcnn.models.errors import readable_errors
from tf_frcnn.models.inputs import (
    build_evaluation_batches,
    build_training_batches,
)
from tf_frcnn.models.kept_detections import KeptDetections, detections_kept
from tf_frcnn.models.picture_model import PictureModel
from tf_frcnn.models.progress import Progress
from tf_frcnn.models.replicas import shard_of
from tf_frcnn.models.training_figures import TrainingFigures
from tf_frcnn.models.waiting import WaitingAdvice, measures_waiting
from tf_frcnn.models.xla import CompileTimes

_WEIGHTS = ("class_weight", "sample_weight")


class DataModel(PictureModel):
    """A Keras model that owns its preprocessing.

    `fit`, `evaluate` and `predict` take what `read_data` returns, any `tf.data.Dataset`
    of single examples in the forms of `data.pipeline.tensor_examples`, or batches as
    `models.batch` describes them.

    Attributes:
        box_format: of the boxes in datasets whose elements do not tell.
        uses_xla: whether XLA compiles its steps.
        kept_detections: those that validations keep for callbacks, while there are
            such.
        compiled_for: (images, height, width) of the batches that it has compiled its
            training step for.
    """

    box_format: str | None
    uses_xla = False
    kept_detections: KeptDetections | None = None
    compiled_for: tuple[tuple[int, ...], ...] = ()

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
        initial_batch=0,
        augment=None,
        **settings,
    ):
        """Trains as Keras does; see the class for the data.

        An example set is shuffled anew in each epoch, a dataset keeps its order; the
        images of both are mirrored as the recipe has it. An epoch has each image once,
        or `steps_per_epoch` batches. Callbacks that add figures to the logs run before
        the others, see `callback_order`.

        Args:
            x: the data.
            y: None; objects come with the images.
            batch_size: images per step; None for the recipe's number.
            epochs: as in Keras.
            verbose: "auto" or 1 for what `progress` shows, 2 for a line per epoch, or
                0.
            callbacks: as in Keras.
            validation_data: like `x`; its losses get names with `val_`.
            validation_batch_size: None for `batch_size`.
            initial_batch: of the first epoch; those before are passed over, because an
                earlier `fit` that was interrupted had them. An example set is needed.
            augment: a change of training images, made before those of the settings
                `augment`: a function (image, boxes, labels, seed) that returns the
                three anew, or a pipeline of albumentations; see docs/augmentation.md.
            **settings: of `keras.Model.fit`, but no weights of classes or samples.

        Raises:
            DataError: the data cannot be used.
            ValueError: `initial_batch` is given with other data than an example set.
            NonFiniteError: a loss or a gradient became NaN or infinite.
        """
        refuse_weights(**{n: settings.get(n) for n in _WEIGHTS})
        verbose = 1 if verbose == "auto" else verbose
        steps = settings.pop("steps_per_epoch", None)
        start = StartOfEpoch(initial_batch)
        size = batch_size or self.settings.data.batch_size
        training = self._training_batches(x, size, steps, start, augment)
        training.with_objects()
        validation_batch_size = validation_batch_size or batch_size
        check_data(validation_data, validation_steps=settings.get("validation_steps"))
        validation = self._shared_batches(validation_data, validation_batch_size)
        validation.with_objects()
        given = in_order(callbacks)
        own = [start, LossAdvice(objects_are_known=isinstance(x, ExampleSet))]
        own += [ExplosionAdvice(initial_batch)]
        if measures_waiting(self, training.dataset):
            own += [waiting := WaitingAdvice(can_keep=isinstance(x, ExampleSet))]
            training = training._replace(dataset=waiting.timed(training.dataset))
            for callback in given:
                if isinstance(callback, TrainingFigures):
                    callback.waiting = waiting
        if verbose:
            progress = Progress(training, size, verbose, initial_batch)
            is_dataset = isinstance(training.dataset, tf.data.Dataset)
            if self.uses_xla and is_dataset and not self.has_devices:
                own += [times := CompileTimes(progress.say)]
                training = training._replace(dataset=times.noted(training.dataset))
            own += [progress]
        if isinstance(x, ExampleSet):
            steps = None  # As many as there are.
        if isinstance(x, ExampleSet | tf.data.Dataset):
            settings["shuffle"] = False  # The order is its own.
        training, validation = map(self.for_devices, (training, validation))
        freq = settings.get("validation_freq", 1)
        with (
            readable_errors(),
            end_is_expected(steps),
            detections_kept(self, validation_data, given, epochs, freq) as keeping,
        ):
            history = super().fit(
                training.dataset,
                y,
                batch_size=None if is_raw(x) else batch_size,
                epochs=epochs,
                verbose=0,  # Its bar would show all of the losses.
                callbacks=[*keeping, *given, *own],
                validation_data=validation.dataset,
                validation_batch_size=validation_batch_size,
                steps_per_epoch=steps,
                **settings,
            )
        training.report_left_out()
        validation.report_left_out()
        return history

    def evaluate(self, x=None, y=None, batch_size=None, **settings):
        """Returns the losses as Keras does; `tf_frcnn.evaluate` measures the mAP."""
        refuse_weights(**{n: settings.get(n) for n in _WEIGHTS})
        check_data(x, steps=(steps := settings.get("steps")))
        batches = self._shared_batches(x, batch_size).with_objects()
        batches = self.for_devices(batches)
        with readable_errors(), end_is_expected(steps):
            losses = super().evaluate(
                batches.dataset,
                y,
                batch_size=None if is_raw(x) else batch_size,
                **settings,
            )
        batches.report_left_out()
        return losses

    def predict(self, x, batch_size=None, **settings):
        """Returns arrays of the detections, images in the order of the data."""
        check_data(x, steps=(steps := settings.get("steps")))
        dataset = self.evaluation_batches(x, batch_size).dataset
        with readable_errors(), end_is_expected(steps):
            if self.has_devices:
                outputs = self.predict_in_turn(dataset, **settings)
            else:
                outputs = super().predict(
                    dataset, batch_size=None if is_raw(x) else batch_size, **settings
                )
        if not is_raw(x):
            return outputs
        order = np.argsort(outputs.pop("rows"))
        return {name: values[order] for name, values in outputs.items()}

    def _training_batches(
        self, data, batch_size: int, steps: int | None, start: StartOfEpoch, augment
    ) -> Batches:
        check_data(data, steps_per_epoch=steps)
        if start.initial_batch and not isinstance(data, ExampleSet):
            raise ValueError(
                f"initial_batch = {start.initial_batch} needs data of read_data, whose "
                "order is known."
            )
        if getattr(self, "optimizer", None) is None:
            raise ValueError(
                "fit: the model has no optimizer yet; call compile() first. Without "
                "arguments it takes the recipe's."
            )
        if not is_raw(data):
            if augment is not None:
                raise ValueError("augment changes single images, but x has batches.")
            return Batches(data, steps)
        advise_on_rate(self, batch_size)
        if isinstance(data, ExampleSet):
            self._check_classes(data)
            advise_on_data(self, data)
        batches = build_training_batches(
            self.settings,
            data,
            num_classes=len(self.class_names),
            batch_size=batch_size,
            box_format=self.box_format,
            epoch=start.step,
            augment=augment,
            shard=shard_of(self.distribute_strategy),
        )
        batches = batches.limited_to(steps, batch_size)
        return batches.after(start.skipped) if start.initial_batch else batches

    def _shared_batches(self, data, batch_size: int | None) -> Batches:
        """Returns batches of one pass, of which workers prepare their parts."""
        shard = shard_of(self.distribute_strategy)
        return self.evaluation_batches(data, batch_size, shard=shard)

    def evaluation_batches(
        self, data, batch_size: int | None = None, *, shard: Shard | None = None
    ) -> Batches:
        """Returns data as the batches of one pass.

        Args:
            data: as `fit` takes them; batches are returned as they are.
            batch_size: images per batch; None for the recipe's number.
            shard: of a worker that is to have its part of each batch; None for whole
                ones.
        """
        if not is_raw(data):
            return Batches(data)
        if isinstance(data, ExampleSet):
            self._check_classes(data)
        return build_evaluation_batches(
            self.settings,
            data,
            num_classes=len(self.class_names),
            batch_size=batch_size,
            box_format=self.box_format,
            shard=shard,
        )

    def _check_classes(self, data: ExampleSet) -> None:
        if data.class_names and data.class_names != self.class_names:
            raise ValueError(
                f"{data.name} has the classes {', '.join(data.class_names)}, but the "
                f"model {', '.join(self.class_names)}; read the data with class_names "
                "= model.class_names."
            )
