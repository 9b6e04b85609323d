import errno

import numpy as np
import pytest
from PIL import Image

from tf_frcnn.runs import drawings as module
from tf_frcnn.runs.drawings import Drawings

NAMES = ("cat", "dog")
SIDES = ("ymin", "xmin", "ymax", "xmax")


@pytest.fixture
def entries(tmp_path):
    """Entries of twenty grey images, each with a dog, and the folder of drawings."""
    dog = {"class": "dog", "score": 0.9} | dict(
        zip(SIDES, (10, 20, 30, 50), strict=True)
    )
    entries = []
    for number in range(20):
        file = tmp_path / f"{number}.png"
        Image.fromarray(np.full([60, 80, 3], 128, np.uint8)).save(file)
        name = f"drawn/{number}.png"
        entries.append({"file": str(file), "detections": [dog], "drawing": name})
    return entries


def test_all_are_drawn_at_the_end(entries, tmp_path):
    with Drawings(tmp_path, {}) as drawings:
        for entry in entries:
            drawings.add(entry, NAMES)
        drawings.add({"file": "a.png", "error": "it is damaged"}, NAMES)
    for entry in entries:
        drawn = np.array(Image.open(tmp_path / entry["drawing"]))
        assert drawn.shape == (60, 80, 3)
        assert (drawn[20, 20] != 128).any() and (drawn[20, 35] == 128).all()
    assert len([*(tmp_path / "drawn").iterdir()]) == 20


def test_an_image_that_vanished_is_told(entries, tmp_path, capsys):
    entries[0]["file"] = str(tmp_path / "gone.png")
    with Drawings(tmp_path, {}) as drawings:
        for entry in entries[:2]:
            drawings.add(entry, NAMES)
    assert "gone.png: it could not be drawn: No such file" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "drawn").iterdir()] == ["1.png"]


def test_a_full_disk_ends_it(entries, tmp_path, monkeypatch):
    def full(path, image):
        raise OSError(errno.ENOSPC, f"{path} could not be written: No space left.")

    monkeypatch.setattr(module, "write_image", full)
    with pytest.raises(OSError, match="No space left"):
        with Drawings(tmp_path, {}) as drawings:
            drawings.add(entries[0], NAMES)


def test_few_wait_at_a_time(entries, tmp_path, monkeypatch):
    most = []
    monkeypatch.setattr(module, "write_image", lambda path, image: None)
    with Drawings(tmp_path, {}) as drawings:
        for entry in entries:
            drawings.add(entry, NAMES)
            most.append(len(drawings._waiting))
    assert max(most) == 8
