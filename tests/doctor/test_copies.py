import base64

import numpy as np
import pytest

from tf_frcnn.data import make_shapes, read_voc, write_voc
from tf_frcnn.doctor import copies as module
from tf_frcnn.doctor.copies import find_copies, shared_images
from tf_frcnn.doctor.findings import Place
from tf_frcnn.doctor.fingerprints import SIDE, Fingerprint

RANDOM = np.random.default_rng(0)


def looks(noise=0.0, of=None):
    """Returns random looks, or ones near to others."""
    values = RANDOM.integers(40, 200, SIDE * SIDE) if of is None else of
    return np.clip(values + noise * RANDOM.standard_normal(SIDE * SIDE), 0, 255)


def mark(digest, values):
    text = base64.b64encode(values.round().astype(np.uint8).tobytes()).decode()
    return Fingerprint(digest, text)


A, B, C = looks(), looks(), looks()


def test_images_of_the_same_bytes_are_a_group():
    found = {"train": [mark("a", A), mark("b", B), mark("a", A)], "val": [mark("b", B)]}
    copies = find_copies(found)
    assert copies.same == (
        (Place("train", 0), Place("train", 2)),
        (Place("train", 1), Place("val", 0)),
    )
    assert copies.alike == ()


@pytest.mark.parametrize("block", [1, 2, 256])
def test_images_that_look_alike_are_pairs_the_most_similar_first(monkeypatch, block):
    monkeypatch.setattr(module, "_BLOCK", block)
    train = [mark("a", A), mark("b", B), mark("c", C), mark("d", looks(8, B))]
    val = [mark("e", looks(1, A)), mark("f", looks())]
    copies = find_copies({"train": train, "val": val})
    assert copies.same == ()
    assert copies.alike == (
        (Place("train", 0), Place("val", 0)),
        (Place("train", 1), Place("train", 3)),
    )


def test_one_image_may_be_like_one_of_its_own_split_and_of_another():
    train, val = [mark("a", A)], [mark("b", looks(2, A)), mark("c", looks(2, A))]
    pairs = set(find_copies({"train": train, "val": val}).alike)
    assert pairs == {
        (Place("train", 0), Place("val", 0)),
        (Place("train", 0), Place("val", 1)),
        (Place("val", 0), Place("val", 1)),
    }


@pytest.fixture
def written(tmp_path):
    """A folder whose test split has the first image of train under another name."""
    for split, seed in (("train", 1), ("test", 2)):
        write_voc(make_shapes(3, seed=seed), tmp_path, split)
    for folder in ("JPEGImages", "Annotations"):
        files = sorted((tmp_path / folder).iterdir())
        files[4].write_bytes(files[0].read_bytes())
    return {split: read_voc(tmp_path, split) for split in ("train", "test")}


def test_a_file_under_another_name_is_the_same(written):
    assert shared_images(written) == [[Place("train", 0), Place("test", 1)]]


def test_files_of_one_size_with_other_content_are_not(written):
    paths = [records.records[0].source for records in written.values()]
    for number, path in enumerate(paths):
        with open(path, "wb") as file:
            file.write(bytes(20_000) + bytes([number]) + bytes(30_000))
    assert shared_images(written) == []


def test_a_file_is_not_read_to_be_compared_with_itself(written, monkeypatch):
    def read(content):
        raise AssertionError(f"{content} is read.")

    monkeypatch.setattr(module, "_piece", read)
    train = written["train"]
    assert shared_images({"train": train, "val": train.subset([1])}) == [
        [Place("train", 1), Place("val", 0)]
    ]


def test_images_in_memory_are_the_same_by_their_content(make_set):
    sets = {
        split: make_set(split, ["ape"], [[], []], contents)
        for split, contents in {"train": [b"a", b"b"], "val": [b"b", b"c"]}.items()
    }
    assert shared_images(sets) == [[Place("train", 1), Place("val", 0)]]
