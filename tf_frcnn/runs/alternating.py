"""The 4-step alternating training of Ren et al. 2015, section 3.2.

1. An RPN is trained.
2. A detector with its own backbone is trained on the proposals of step 1.
3. An RPN head is trained on the backbone of step 2, which stays fixed.
4. The box head is trained further on the proposals of step 3; the backbone stays fixed.

The result is one Faster R-CNN: the backbone of step 2, the RPN head of step 3 and
the box head of step 4.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tf_frcnn.assembly import (
    STEP_NAMES,
    Splits,
    build_model,
    build_step_config,
    check_parts,
    proposals_file,
)
from tf_frcnn.config import Config
from tf_frcnn.data import CachedProposals, DataError, read_proposals, write_proposals
from tf_frcnn.evaluation.proposal_recall import ProposedBoxes
from tf_frcnn.models import Detector, FasterRCNN
from tf_frcnn.models.evaluating import propose
from tf_frcnn.runs.checkpoints import write_first_checkpoint
from tf_frcnn.runs.locks import claimed
from tf_frcnn.runs.logs import LOG_FILE, join_logs
from tf_frcnn.runs.resuming import check_run_folder
from tf_frcnn.runs.settings_files import CONFIG_FILE, write_settings
from tf_frcnn.runs.state import RunState
from tf_frcnn.runs.training import train, write_samples

STEPS_FOLDER, PROPOSALS_FOLDER = "steps", "proposals"


def train_alternating(
    config: Config,
    directory: str | Path,
    *,
    resume: bool = False,
    splits: Splits | None = None,
) -> FasterRCNN:
    """Trains in four steps and fills a run folder that any command accepts.

    Every step is a run in its own folder under steps/; the proposals of steps 1 and 3
    are beside their weights. The logs of all steps are joined in log.csv.

    Args:
        config: a configuration whose scheme is alternating.
        directory: the run folder; new, or an earlier run's with `resume`.
        resume: continues within the step, at its last checkpoint.
        splits: those of the configuration, if more than this run uses them.

    Returns:
        The detector.

    Raises:
        BlockingIOError, FileExistsError, FileNotFoundError, Interrupted,
            NonFiniteError, ValueError: as `train`.
    """
    directory = Path(directory)
    check_parts(config)
    check_run_folder(directory, resume)
    with claimed(directory):
        splits = splits or Splits(config)
        class_names, files = _write_run_files(config, directory, splits)
        models = _train_steps(config, directory, resume, splits)
        detector = build_model(config, class_names)
        _copy_weights(models[2], detector, ("rpn",))
        _copy_weights(models[3], detector, ("backbone", "roi_head"))
        steps = (directory / STEPS_FOLDER / name for name in STEP_NAMES)
        join_logs((step / LOG_FILE for step in steps), directory / LOG_FILE)
        write_first_checkpoint(directory, detector, RunState(files=files))
    return detector


def _train_steps(config: Config, directory: Path, resume, splits) -> list[Detector]:
    folders = [directory / STEPS_FOLDER / name for name in STEP_NAMES]
    models: list[Detector] = []
    for step, folder in enumerate(folders):
        print(f"Step {step + 1} of {len(folders)}: {folder.name[2:]}.")
        proposals = folders[step - 1] / PROPOSALS_FOLDER
        step_config = build_step_config(config, step, proposals)
        begun = resume and (folder / CONFIG_FILE).is_file()
        start = _take_backbone_and_head(models[1]) if step >= 2 else None
        model = train(
            step_config, folder, resume=begun, start_from=start, splits=splits
        )
        if model.rpn is not None:
            _store_proposals(step_config, model, folder / PROPOSALS_FOLDER, splits)
        models.append(model)
    return models


def _write_run_files(
    config: Config, directory: Path, splits: Splits
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Writes the files that every run folder has.

    Returns:
        The class names, and the checksums of `write_settings`.
    """
    class_names = splits.read("train").class_names
    files = write_settings(directory, config, class_names)
    write_samples(directory, splits.read("validation", class_names))
    return class_names, files


def _take_backbone_and_head(detector: FasterRCNN):
    """Returns a function that takes step 2's weights and fixes the backbone."""

    def start(model: Detector) -> None:
        has_head = model.roi_head is not None
        parts = ("backbone", "roi_head") if has_head else ("backbone",)
        _copy_weights(detector, model, parts)
        model.backbone.trainable = False

    return start


def _copy_weights(source, target, parts) -> None:
    for name in parts:
        getattr(target, name).set_weights(getattr(source, name).get_weights())


def _store_proposals(config: Config, model: Detector, folder, splits: Splits) -> None:
    """Writes the proposals of the training and the validation images."""
    for split in ("train", "validation"):
        examples = splits.read(split, model.class_names)
        for_training = split == "train"
        file = proposals_file(folder, examples, for_training=for_training)
        image_ids = [record.image_id for record in examples.records]
        if _holds(file, image_ids):
            continue
        proposed = propose(model, examples, training=for_training)
        folder.mkdir(exist_ok=True)
        write_proposals(file, _by_image(proposed, len(image_ids)), image_ids)
        print(f"Proposals of {examples.name}: {file}")


def _holds(file: Path, image_ids: Sequence[str]) -> bool:
    """Returns whether a file has the proposals of these images."""
    try:
        read_proposals(file, image_ids)
    except DataError:
        return False
    return True


def _by_image(proposed: ProposedBoxes, num_images: int) -> CachedProposals:
    """Arranges the proposals of all images in rows, best first, padded with zeros."""
    order = np.lexsort([-proposed.scores, proposed.image_index])
    images = proposed.image_index[order]
    slots = np.arange(len(images)) - np.searchsorted(images, images)
    shape = (num_images, int(slots.max(initial=0)) + 1)
    boxes, valid = np.zeros([*shape, 4], np.float32), np.zeros(shape, bool)
    boxes[images, slots], valid[images, slots] = proposed.boxes[order], True
    return CachedProposals(boxes, valid)
