import numpy as np
import pytest

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.pipeline.proposal_cache import (
    CachedProposals,
    read_proposals,
    write_proposals,
)

IDS = ["a", "b/2", "ç"]
STORED = CachedProposals(
    np.array(
        [
            [[1, 2, 3, 4.5], [0, 0, 9, 9]],
            [[5, 6, 7, 8], [0, 0, 0, 0]],
            [[0, 0, 0, 0], [0, 0, 0, 0]],
        ],
        np.float32,
    ),
    np.array([[True, True], [True, False], [False, False]]),
)


@pytest.fixture
def path(tmp_path):
    """A file of the three pictures' proposals."""
    path = tmp_path / "proposals.npz"
    write_proposals(path, STORED, IDS)
    return path


def test_what_was_written_is_read(path):
    proposals = read_proposals(path, IDS)
    np.testing.assert_array_equal(proposals.boxes, STORED.boxes)
    np.testing.assert_array_equal(proposals.valid, STORED.valid)
    assert (proposals.boxes.dtype, proposals.valid.dtype) == (np.float32, bool)
    assert [file.name for file in path.parent.iterdir()] == ["proposals.npz"]


def test_rows_come_in_the_order_of_the_images_asked_for(path):
    proposals = read_proposals(path, ["ç", "a", "b/2"])
    np.testing.assert_array_equal(proposals.boxes, STORED.boxes[[2, 0, 1]])
    np.testing.assert_array_equal(proposals.valid, STORED.valid[[2, 0, 1]])


def test_the_file_keeps_its_name_and_holds_no_pickles(tmp_path):
    write_proposals(tmp_path / "step1", STORED, IDS)
    with np.load(tmp_path / "step1", allow_pickle=False) as arrays:
        assert {name: arrays[name].dtype.kind for name in arrays} == {
            "image_ids": "U",
            "boxes": "f",
            "valid": "b",
        }
    np.testing.assert_array_equal(
        read_proposals(tmp_path / "step1", IDS).boxes[0], STORED.boxes[0]
    )


def test_an_interrupted_write_leaves_the_older_file(path, monkeypatch):
    def stop(file, **_):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", stop)
    with pytest.raises(KeyboardInterrupt):
        write_proposals(path, STORED, ["x", "y", "z"])
    np.testing.assert_array_equal(read_proposals(path, IDS).boxes, STORED.boxes)


@pytest.mark.parametrize(
    ("image_ids", "what"),
    [
        (["a", "b/2"], "it lacks none, and 1 (ç) were not asked for"),
        ([*IDS, "d", "e"], "it lacks 2 (d, e), and none were not asked for"),
        (
            list("defgh"),
            "it lacks 5 (d, e, f, ...), and 3 (a, b/2, ç) were not asked for",
        ),
    ],
)
def test_proposals_of_other_images_are_refused(path, image_ids, what):
    with pytest.raises(DataError) as error:
        read_proposals(path, image_ids)
    assert str(error.value) == (
        f"{path} holds the proposals of 3 images, not those of the {len(image_ids)} "
        f"asked for: {what}; compute the proposals anew."
    )


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.npz: no such file of proposals"):
        read_proposals(tmp_path / "nowhere.npz", IDS)


def damaged(path):
    path.write_bytes(path.read_bytes()[:-50])


def text(path):
    path.write_text("proposals")


def one_array(path):
    with open(path, "wb") as file:
        np.save(file, STORED.boxes)


def pickled(path):
    np.savez(path, image_ids=np.array(IDS, object), boxes=STORED.boxes, valid=[])


def other_arrays(path):
    np.savez(path, boxes=STORED.boxes)


@pytest.mark.parametrize("spoil", [damaged, text, one_array, pickled, other_arrays])
def test_a_file_of_something_else_is_refused(path, spoil):
    spoil(path)
    with pytest.raises(DataError, match=r"proposals\.npz: not a file of proposals \("):
        read_proposals(path, IDS)


@pytest.mark.parametrize(
    ("image_ids", "different"), [(["a", "b"], 2), (["a", "b", "b"], 2)]
)
def test_names_that_do_not_fit_the_rows_are_refused(tmp_path, image_ids, different):
    with pytest.raises(DataError) as error:
        write_proposals(tmp_path / "a.npz", STORED, image_ids)
    assert str(error.value) == (
        f"{tmp_path / 'a.npz'}: {len(image_ids)} image ids, {different} of them "
        "different, for 3 rows of boxes and 3 of valid."
    )
    assert list(tmp_path.iterdir()) == []
