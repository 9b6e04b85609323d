import pytest

from tf_frcnn.data.checks.problems import Problem
from tf_frcnn.doctor.faults import fault_findings, fault_table, lost_images
from tf_frcnn.doctor.findings import Place

ZERO = Problem("zero_area_box", "Annotations/train_0.xml", "ape has xmin 5", "drop")
LOST = Problem("unreadable_image", "JPEGImages/a.jpg", "it is damaged", "drop")


@pytest.fixture
def splits_of(make_set):
    def splits(problems, count=20):
        return {"train": make_set("train", ["ape"], [[]] * count, problems=problems)}

    return splits


def test_faults_are_counted_by_kind_and_action(splits_of):
    repaired = ZERO._replace(kind="box_outside", action="repair")
    dropped = ZERO._replace(kind="box_outside", file="labels.json: train_3.png")
    table = fault_table(splits_of([ZERO, repaired, ZERO, dropped]))
    assert [(r.split, r.kind, r.action, r.number, r.files) for r in table] == [
        ("train", "zero_area_box", "drop", 2, (ZERO.file,)),
        ("train", "box_outside", "repair", 1, (ZERO.file,)),
        ("train", "box_outside", "drop", 1, (dropped.file,)),
    ]
    assert table[0].example == "ape has xmin 5" and lost_images(table, "train") == 0


@pytest.mark.parametrize(
    "file", ["Annotations/train_3.xml", "labels.json: images/train_3.png", "train_3"]
)
def test_a_finding_names_files_and_knows_their_images(splits_of, file):
    splits = splits_of([ZERO._replace(file=file)])
    (found,) = fault_findings(fault_table(splits), splits)
    assert found.kind == "files_dropped" and found.files == (file,)
    assert found.message == (
        f"zero_area_box, 1 in all; the first is {file}: ape has xmin 5."
    )
    assert found.images == (Place("train", 3),)


def test_what_is_kept_is_no_finding(splits_of):
    splits = splits_of([ZERO._replace(kind="rotated_image", action="keep")])
    assert [*fault_findings(fault_table(splits), splits)] == []


@pytest.mark.parametrize("kind", ["unknown_class", "unused_bits", "counted_from_0"])
@pytest.mark.parametrize("action", ["keep", "drop"])
def test_some_faults_are_findings_of_their_own(splits_of, kind, action):
    splits = splits_of([ZERO._replace(kind=kind, action=action)])
    (found,) = fault_findings(fault_table(splits), splits)
    assert found.kind == kind


@pytest.mark.parametrize(("count", "is_many"), [(9, True), (10, False)])
def test_many_lost_images_are_serious(splits_of, count, is_many):
    splits = splits_of([LOST, LOST], count)  # One file.
    table = fault_table(splits)
    assert lost_images(table, "train") == 1
    kinds = [finding.kind for finding in fault_findings(table, splits)]
    assert ("images_lost" in kinds) == is_many
