"""Anchors and an image size that fit a data set."""

from typing import Any, NamedTuple

from tf_frcnn.config import Config
from tf_frcnn.data import ExampleSet
from tf_frcnn.doctor.anchors import AnchorReport, anchor_report


class Advice(NamedTuple):
    """Settings that raise what anchors reach, and why.

    Attributes:
        settings: dotted path of a setting -> its advised value; only what differs from
            the configuration.
        reasons: a sentence for each advised setting, with numbers of the data.
        before: what the configuration's own anchors reach.
        after: what the advised ones reach.
    """

    settings: dict[str, Any]
    reasons: list[str]
    before: AnchorReport
    after: AnchorReport

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON can hold them."""
        return {
            "settings": self.settings,
            "reasons": self.reasons,
            "before": self.before.to_json(),
            "after": self.after.to_json(),
        }


def advise(examples: ExampleSet, config: Config) -> Advice:
    """Advises on the image size and the anchors for a data set.

    Args:
        examples: the training split.
        config: the configuration that the advice starts from.
    """
    report = anchor_report(examples, config)
    return Advice({}, [], report, report)
