"""The callbacks that fill a run folder."""

import keras
import numpy as np
import tensorflow as tf

from tf_frcnn.assembly import RunPlan
from tf_frcnn.callbacks import MeanAveragePrecision, OnEvaluation, TrainingFigures
from tf_frcnn.drawing.comparisons import ComparisonImages
from tf_frcnn.evaluation import DetectedBoxes, GroundTruth
from tf_frcnn.models import RegionProposalNetwork
from tf_frcnn.models.evaluating import Evaluation, metric_of
from tf_frcnn.runs.callbacks import SUMMARIES_FOLDER, RunLog, ValidationRecall
from tf_frcnn.runs.checkpoints import Checkpoints, EarlierLosses
from tf_frcnn.runs.prepared import Prepared
from tf_frcnn.runs.signals import Stop
from tf_frcnn.runs.validation_summaries import ValidationSummaries
from tf_frcnn.runs.writing import named_errors, write_image


def callbacks_of(prepared: Prepared, stop: Stop) -> list[keras.callbacks.Callback]:
    """Returns all that the one that writes has; the checkpoints are the last."""
    plan, directory = prepared.plan, prepared.directory
    summaries = directory / SUMMARIES_FOLDER
    with named_errors(summaries):
        writer = tf.summary.create_file_writer(str(summaries))
    log = RunLog(directory, writer, prepared.start)
    images = ComparisonImages(prepared.validation, plan.keep_images)

    def keep_drawings(epoch: int, detections: DetectedBoxes) -> None:
        for name, image in images.drawn(detections):
            file = f"epoch_{epoch + 1:03d}_{name}.png"
            write_image(directory / "drawings" / file, image)
            with named_errors(summaries), writer.as_default(step=epoch + 1):
                tf.summary.image(name, image[np.newaxis])

    summarise = ValidationSummaries(
        writer, summaries, prepared.model.class_names, metric_of(prepared.model)
    )

    def keep(
        epoch: int, truth: GroundTruth, found: DetectedBoxes, result: Evaluation
    ) -> None:
        keep_drawings(epoch, found)
        summarise.write(epoch + 1, truth, found)

    validation = validation_of(prepared, keep)
    checkpoints = Checkpoints(
        directory,
        prepared.state,
        images_per_epoch=prepared.images_per_epoch,
        judge=prepared.judge,
        keep=plan.keep_checkpoints,
        seconds=plan.save_minutes * 60,
        stop=stop,
        averages=prepared.averages,
    )
    own = [log, EarlierLosses(prepared.start), prepared.judge, checkpoints]
    return [TrainingFigures(), *averaging_of(prepared), validation, *own]


def averaging_of(prepared: Prepared) -> list[keras.callbacks.Callback]:
    """Returns what averages the weights, if they are averaged."""
    return [] if prepared.averages is None else [prepared.averages]


def validation_of(
    prepared: Prepared, on_evaluation: OnEvaluation | None = None
) -> keras.callbacks.Callback:
    """Returns what measures the figure that decides what is best."""
    every = prepared.plan.validation_every
    if prepared.model.roi_head is not None:
        return MeanAveragePrecision(
            prepared.validation,
            every=every,
            by_class=True,
            on_evaluation=on_evaluation,
        )
    # A detector without a RoI head has an RPN.
    rpn: RegionProposalNetwork = prepared.model.rpn  # type: ignore[assignment]
    return ValidationRecall(
        prepared.validation,
        every=every,
        num_proposals=rpn.proposal_layer.proposals.test_post_nms,
    )


def validated_epochs(plan: RunPlan) -> list[int]:
    """Returns the epochs, counted from 1, after which the run validates."""
    every = plan.validation_every
    return sorted({*range(every, plan.epochs + 1, every), plan.epochs})
