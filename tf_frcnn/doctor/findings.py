"""The kinds of findings about a data set: how serious each is, and how to mend it."""

from collections.abc import Iterable
from typing import NamedTuple

# The first one costs hours of training or makes its figures wrong.
SEVERITIES = ("serious", "warning", "note")


class Kind(NamedTuple):
    """What all findings of a kind share.

    Attributes:
        severity: of `SEVERITIES`.
        title: what is wrong, in a few words.
        remedy: what to do about it, a sentence.
    """

    severity: str
    title: str
    remedy: str


_LOOK_AND_CORRECT = "Look at the images, and correct or delete these boxes."

KINDS: dict[str, Kind] = {
    # Splits.
    "unreadable_split": Kind(
        "serious", "a split cannot be read", "Correct what the message says."
    ),
    "no_objects": Kind(
        "serious",
        "no image to train on has an object",
        "Look for annotations in another folder or format, and for class_names that "
        "are spelled in another way.",
    ),
    "shared_images": Kind(
        "serious",
        "images to train on in another split",
        "Leave them out of the training split: `tf-frcnn doctor --fix` does so.",
    ),
    "measured_twice": Kind(
        "warning",
        "images in two splits to measure on",
        "Leave them out of one of the two: `tf-frcnn doctor --fix` keeps the later "
        "one's.",
    ),
    "alike_across_splits": Kind(
        "serious",
        "nearly the same image in two splits",
        "Put all images of one scene or video into one split.",
    ),
    "images_lost": Kind(
        "serious",
        "many images are left out",
        "Correct the files that are listed under the faults of the files.",
    ),
    "no_validation": Kind(
        "warning",
        "one split only",
        "Validate on images that training does not see: `NAME[:90%]` and `NAME[90%:]` "
        "are parts of a split.",
    ),
    "many_negatives": Kind(
        "warning",
        "most images to train on have no object",
        "See whether their annotations are missing; leave some out if they are not.",
    ),
    # Classes.
    "class_not_learned": Kind(
        "serious",
        "a class without an object to train on",
        "Move images with the class into the training split, or leave the class out.",
    ),
    "background_class": Kind(
        "serious",
        "background as a class",
        "Leave it out, since the network has its own background: `tf-frcnn doctor "
        "--fix` does so.",
    ),
    "near_equal_names": Kind(
        "serious",
        "one class under two names",
        "Rename one of them in the annotations; `tf-frcnn doctor --fix` does so where "
        "they differ in case, blanks, - or _ only.",
    ),
    "similar_names": Kind(
        "warning",
        "two class names that differ in one letter",
        "Rename one of them if they mean the same.",
    ),
    "unused_class": Kind(
        "warning",
        "a class without any object",
        "Leave it out of the classes, unless its name is misspelled.",
    ),
    "rare_class": Kind(
        "warning",
        "a class with few objects to train on",
        "Collect more of them; dozens are the least from which a class is learned.",
    ),
    "class_not_validated": Kind(
        "warning",
        "a class without an object to measure on",
        "Move images with the class into the other splits, too.",
    ),
    # Images and boxes.
    "same_image_other_objects": Kind(
        "warning",
        "one image with different objects",
        "Decide which annotation is right and delete the other copy.",
    ),
    "repeated_images": Kind(
        "warning",
        "the same image twice in a split",
        "Delete the copies: `tf-frcnn doctor --fix` does so.",
    ),
    "alike_within_split": Kind(
        "note",
        "nearly the same image twice in a split",
        "Nothing, if they are images of a video; they count as several all the same.",
    ),
    "repeated_boxes": Kind(
        "warning",
        "the same object twice in an image",
        "Delete one of the two; `tf-frcnn doctor --fix` does so where class and "
        "corners are equal.",
    ),
    "two_classes": Kind(
        "warning",
        "one box with two classes",
        "Decide which class it is; the network learns one class for a box.",
    ),
    "whole_image_boxes": Kind("warning", "boxes of the whole image", _LOOK_AND_CORRECT),
    "tiny_boxes": Kind(
        "warning",
        "boxes of a few pixels in the network's input",
        "Take larger images (images.short_side) or cut them into tiles; correct those "
        "that are slips of the mouse.",
    ),
    "thin_boxes": Kind(
        "warning", "boxes many times as long as wide", _LOOK_AND_CORRECT
    ),
    # Anchors.
    "out_of_reach": Kind(
        "serious",
        "objects that no anchor reaches",
        "Take other anchors or larger images: `tf-frcnn doctor` proposes settings, and "
        "`tf-frcnn new` writes them down.",
    ),
    # What the readers found; the kinds are those of `data.checks.problems`.
    "unknown_class": Kind(
        "serious",
        "objects of a class that is not in the list",
        "Add the class to data.class_names or correct its name; training stops there.",
    ),
    "unused_bits": Kind(
        "serious",
        "images that the network sees black",
        "Scale their values up to 16 bits, or write them with 8 bits.",
    ),
    "counted_from_0": Kind(
        "warning",
        "pixels seem to be counted from 0",
        "Set data.one_based: false.",
    ),
    "files_dropped": Kind(
        "warning",
        "images or boxes are left out",
        "Correct the files; docs/data_faults.md has the meaning of each fault.",
    ),
    "files_repaired": Kind(
        "note",
        "annotations are repaired",
        "See whether the repair is right; `tf-frcnn doctor --fix` writes it down.",
    ),
}


class Place(NamedTuple):
    """An image of a split.

    Attributes:
        split: its name.
        row: of the split's records.
    """

    split: str
    row: int


class Finding(NamedTuple):
    """Something that is wrong with a data set.

    Attributes:
        kind: a key of `KINDS`.
        message: what was found, a sentence with its numbers.
        files: names of files, the first ones to look at.
        images: the same where the images can be shown; may be fewer or none.
    """

    kind: str
    message: str
    files: tuple[str, ...] = ()
    images: tuple[Place, ...] = ()

    @property
    def severity(self) -> str:
        """How serious it is, of `SEVERITIES`."""
        return KINDS[self.kind].severity

    @property
    def title(self) -> str:
        """What is wrong, in a few words."""
        return KINDS[self.kind].title

    @property
    def remedy(self) -> str:
        """What to do about it, a sentence."""
        return KINDS[self.kind].remedy


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Returns findings, the serious ones first, each kind together."""
    kinds = [*KINDS]

    def rank(finding: Finding) -> tuple[int, int]:
        return SEVERITIES.index(finding.severity), kinds.index(finding.kind)

    return tuple(sorted(findings, key=rank))


def serious(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Returns the findings that cost hours of training."""
    return tuple(f for f in findings if f.severity == SEVERITIES[0])
