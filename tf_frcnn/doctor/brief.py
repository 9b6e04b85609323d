"""The findings that cost hours, found in seconds: what a run looks for at its start."""

from collections.abc import Iterator, Mapping

from tf_frcnn.config import Config
from tf_frcnn.data import ExampleSet
from tf_frcnn.doctor.anchors import AnchorReport, anchor_report
from tf_frcnn.doctor.classes import class_findings, class_table
from tf_frcnn.doctor.copies import shared_images
from tf_frcnn.doctor.findings import Finding, in_order, serious
from tf_frcnn.doctor.same_images import shared_findings

# Share of a class's objects: with fewer in reach of an anchor it is hardly learned.
_LOW_CEILING = 0.5


def brief_findings(
    splits: Mapping[str, ExampleSet], config: Config
) -> tuple[Finding, ...]:
    """Returns the serious findings that can be made without decoding an image.

    Args:
        splits: name -> examples, the one to train on first.
        config: the configuration of the run.
    """
    training = next(iter(splits))
    on_difficult = config.data.train_on_difficult
    table = class_table(splits)
    findings = [*class_findings(table, training, on_difficult=on_difficult)]
    groups = shared_images(splits)
    for other in [*splits][1:]:
        pair = {training: splits[training], other: splits[other]}
        findings += shared_findings(groups, pair)
    can_learn = any(row.to_learn(training, on_difficult) for row in table)
    if can_learn and config.data.proposals is None:
        findings += anchor_findings(anchor_report(splits[training], config))
    return serious(in_order(findings))


def anchor_findings(report: AnchorReport) -> Iterator[Finding]:
    """Yields a finding if many objects of some classes are out of every anchor's reach.

    Args:
        report: of the training split.
    """
    missed = [
        f"{row.class_name!r} {1 - row.reach_50:.0%} of {row.objects}"
        for row in report.by_class
        if row.reach_50 < _LOW_CEILING
    ]
    if missed:
        yield Finding(
            "out_of_reach",
            f"Objects that overlap no anchor at an IoU of 0.5: {', '.join(missed)}; "
            f"anchors have sides of {report.smallest_anchor:.0f} to "
            f"{report.largest_anchor:.0f} pixels.",
        )
