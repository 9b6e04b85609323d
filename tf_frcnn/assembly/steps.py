"""The four steps of alternating training, each with its own configuration."""

from pathlib import Path

from tf_frcnn.config import Config

# Ren et al. 2015, section 3.2.
STEP_NAMES = ("1_rpn", "2_detector", "3_rpn", "4_detector")


def is_alternating(config: Config) -> bool:
    """Returns whether the stages are trained alternately."""
    return config.train.scheme == "alternating"


def build_step_config(config: Config, step: int, proposals: Path) -> Config:
    """Returns the configuration of step 0 to 3.

    Args:
        config: of the whole run.
        step: odd steps train the detector.
        proposals: folder of the proposals that a detector is trained on.
    """
    train, is_detector = config.train, step % 2 == 1
    epochs = train.step_epochs[step]
    stretched = tuple(at * epochs / train.epochs for at in train.decay_epochs)
    return config.replace(
        model=config.model.replace(kind="fast_rcnn" if is_detector else "rpn"),
        data=config.data.replace(proposals=str(proposals) if is_detector else None),
        train=train.replace(
            scheme="joint",
            step_epochs=(),
            epochs=epochs,
            decay_epochs=stretched,
            final_epochs=train.final_epochs * epochs / train.epochs,
        ),
    )
