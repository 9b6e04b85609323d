"""The examination of a data set: tables, and findings in the order of their weight."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tf_frcnn.assembly import build_resizing
from tf_frcnn.config import Config
from tf_frcnn.data import DataError, ExampleSet
from tf_frcnn.doctor import roles
from tf_frcnn.doctor.advice import Advice, advise
from tf_frcnn.doctor.brief import anchor_findings
from tf_frcnn.doctor.classes import ClassRow, class_findings, class_table
from tf_frcnn.doctor.copies import Copies, find_copies
from tf_frcnn.doctor.faults import FaultRow, fault_findings, fault_table, lost_images
from tf_frcnn.doctor.findings import Finding, in_order, serious
from tf_frcnn.doctor.fingerprints import fingerprints
from tf_frcnn.doctor.same_images import same_image_findings
from tf_frcnn.doctor.sizes import SizeRow, box_findings, measure_boxes, size_table

# Share of the images to train on that have no object.
_MANY_NEGATIVES = 0.5


class SplitRow(NamedTuple):
    """The images of a split.

    Attributes:
        name: of the split.
        images: number of images that can be used.
        lost: number of images that are left out.
        objects: number of objects.
        difficult: those marked difficult, or a crowd.
        negatives: images without an object.
    """

    name: str
    images: int
    lost: int
    objects: int
    difficult: int
    negatives: int


@dataclass(frozen=True)
class Examination:
    """What was found in a data set.

    Attributes:
        data: the data set's place.
        training: the split to train on.
        splits: a row for each split.
        joined: splits that are made of others, which were not looked at twice.
        classes: a row for each class.
        short_side, long_side: limits of the network's images in pixels.
        sizes: the boxes of the training split in network pixels, by class.
        faults: what the reader found in the files.
        copies: images that are the same.
        advice: the reach of the anchors, and settings that raise it; None without an
            object to learn from.
        findings: what is wrong, the serious things first.
    """

    data: str
    training: str
    splits: tuple[SplitRow, ...]
    joined: tuple[str, ...]
    classes: tuple[ClassRow, ...]
    short_side: int
    long_side: int | None
    sizes: tuple[SizeRow, ...]
    faults: tuple[FaultRow, ...]
    copies: Copies
    advice: Advice | None
    findings: tuple[Finding, ...]

    @property
    def is_serious(self) -> bool:
        """Whether something was found that costs hours of training."""
        return bool(serious(self.findings))


def examine(
    data: str, sets: Mapping[str, ExampleSet], config: Config, failed: Mapping[str, str]
) -> Examination:
    """Examines the splits of a data set; reads each image once.

    Args:
        data: the data set's place, for the report.
        sets: split -> its examples, at least one.
        config: the configuration whose image size and anchors count.
        failed: split that could not be read -> the reason.
    """
    splits, joined = without_joined(sets)
    training = training_split(splits)
    train = splits[training]
    classes, faults = class_table(splits), fault_table(splits)
    resizing = build_resizing(config.images, config.data.train_short_sides)
    boxes = {
        split: measure_boxes(own.records, resizing) for split, own in splits.items()
    }
    copies = find_copies({split: fingerprints(own) for split, own in splits.items()})
    rows = tuple(_split_row(name, own, faults) for name, own in splits.items())
    on_difficult = config.data.train_on_difficult
    can_learn = any(row.to_learn(training, on_difficult) for row in classes)
    advice = advise(train, config) if can_learn else None
    findings = [
        *(Finding("unreadable_split", f"{s}: {why}") for s, why in failed.items()),
        *_split_findings(rows, training, is_whole=not failed),
        *class_findings(classes, training, on_difficult=on_difficult),
        *same_image_findings(copies, splits, training),
        *box_findings(splits, boxes),
        *(anchor_findings(advice.before) if advice else ()),
        *fault_findings(faults, splits),
    ]
    return Examination(
        data=data,
        training=training,
        splits=rows,
        joined=joined,
        classes=tuple(classes),
        short_side=resizing.short_sides[0],
        long_side=resizing.long_side,
        sizes=tuple(size_table(boxes[training], train.class_names)),
        faults=tuple(faults),
        copies=copies,
        advice=advice,
        findings=in_order(findings),
    )


def without_joined(
    sets: Mapping[str, ExampleSet],
) -> tuple[dict[str, ExampleSet], tuple[str, ...]]:
    """Leaves out splits that are made of others, such as "trainval".

    Returns:
        The splits that remain, and the names of the others.
    """
    images = {
        split: {(record.source, record.image_id) for record in own.records}
        for split, own in sets.items()
    }
    joined = tuple(
        split
        for split, own in images.items()
        if own == set().union(*(other for other in images.values() if other < own))
    )
    return {s: own for s, own in sets.items() if s not in joined}, joined


def training_split(splits: Mapping[str, ExampleSet]) -> str:
    """Returns the split that is called so, or else the largest."""
    try:
        named = roles.training_split([*splits])
    except DataError:
        named = ""
    largest = max(splits, key=lambda split: len(splits[split].records))
    return named if named in splits else largest


def as_json(value: Any) -> Any:
    """Returns an examination, or a part of it, as JSON can hold it."""
    if isinstance(value, Finding):
        about = {"severity": value.severity, "remedy": value.remedy}
        return as_json(value._asdict() | about)
    if isinstance(value, Examination):
        return as_json(vars(value))
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return as_json(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): as_json(part) for key, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [as_json(part) for part in value]
    return value


def _split_row(name: str, examples: ExampleSet, faults: Sequence[FaultRow]) -> SplitRow:
    records = examples.records
    return SplitRow(
        name,
        len(records),
        lost_images(faults, name),
        sum(len(record.boxes) for record in records),
        sum(int((r.difficult | r.crowd).sum()) for r in records),
        sum(not len(record.boxes) for record in records),
    )


def _split_findings(
    rows: Sequence[SplitRow], training: str, *, is_whole: bool
) -> Iterator[Finding]:
    if len(rows) == 1 and is_whole:
        yield Finding("no_validation", f"There is only {training or 'one split'}.")
    (row,) = (row for row in rows if row.name == training)
    if row.negatives > _MANY_NEGATIVES * row.images and row.objects:
        counts = f"{row.negatives} of {row.images}"
        message = f"Images of {training} without an object: {counts}."
        yield Finding("many_negatives", message)
