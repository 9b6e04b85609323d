"""The settings of the losses."""

from typing import ClassVar, Literal

from tf_frcnn.config.settings import (
    BelowOne,
    ConfigError,
    NotNegative,
    Positive,
    Settings,
    Share,
    Text,
)


class LossSettings(Settings):
    """The losses of both stages; smooth L1 is quadratic up to 1 / sigma^2."""

    section: ClassVar[str] = "loss"

    rpn_sigma: Positive | None = 3.0
    """Sigma of the RPN's box loss; null: plain L1."""
    roi_sigma: Positive | None = 1.0
    """Sigma of the RoI head's box loss; null: plain L1."""
    rpn_divisor: Literal["sampled", "objects"] = "sampled"
    """Divisor of the RPN's box loss: the number of sampled anchors, or of objects."""
    roi_divisor: Literal["sampled", "objects"] = "sampled"
    """Divisor of the RoI head's box loss: the number of sampled RoIs, or of objects."""
    roi_boxes: Text = "smooth_l1"
    """Form of the RoI head's box loss: "smooth_l1" of the deltas; "giou", "diou" or
    "ciou" of the boxes; or another name of `BOX_LOSSES`."""
    roi_box_weight: Positive = 1.0
    """Factor of the RoI head's box loss; MMDetection has 10 with "giou" and 12 with
    "ciou", which are much smaller than "smooth_l1"."""
    rpn_classes: Text = "cross_entropy"
    """Form of the RPN's class loss: "cross_entropy", "focal", or another name of
    `CLASS_LOSSES`."""
    roi_classes: Text = "cross_entropy"
    """Form of the RoI head's class loss, likewise."""
    label_smoothing: BelowOne = 0.0
    """Share of the RoI head's class targets that is spread evenly over background and
    all classes, in "cross_entropy"; not with "focal"."""
    focal_alpha: Share = 0.25
    """Weight of objects in the focal loss; that of background is one minus it."""
    focal_gamma: NotNegative = 2.0
    """Power in the focal loss."""

    def check(self) -> None:
        """Raises a ConfigError where settings contradict each other."""
        if self.label_smoothing and self.roi_classes == "focal":
            raise ConfigError(
                f"loss.label_smoothing = {self.label_smoothing} is for "
                "loss.roi_classes = 'cross_entropy', not 'focal'; set it to 0.",
                "loss.label_smoothing",
                "loss.roi_classes",
            )
