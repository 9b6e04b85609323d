import os
from pathlib import Path

import pytest

from tf_frcnn.runs.prediction_outputs import Outputs, claimed_list, plan_drawings
from tf_frcnn.runs.shards import Shard


def planned(files, outputs, **settings):
    return [*plan_drawings(files, outputs, overwrite=False, **settings).values()]


def test_files_are_named_after_the_shard():
    out = Path("out")
    assert Outputs(out).lines == out / "detections.jsonl"
    assert Outputs(out).settings == out / "detections.settings.json"
    outputs = Outputs(out, shard=Shard(2, 8))
    assert outputs.lines == out / "detections-2-of-8.jsonl"
    assert outputs.settings == out / "detections-2-of-8.settings.json"
    assert planned(["in/a.png"], outputs) == ["2-of-8/a.jpg"]


def test_drawings_of_one_name_are_numbered_whatever_their_case(tmp_path):
    files = ["x/a.png", "x/A.jpg", "y/a.png", "a_2.png", "a_3.tif", "b.png"]
    names = planned(files, Outputs(tmp_path, "png"))
    assert names == ["a.png", "A_2.png", "a_3.png", "a_2_2.png", "a_3_2.png", "b.png"]
    assert len({name.lower() for name in names}) == len(files)
    assert planned(files, Outputs(tmp_path, None)) == []


def test_what_is_drawn_keeps_its_name_and_the_others_get_those_they_would_have(
    tmp_path,
):
    files = ["x/a.png", "y/a.png", "z/a.png", "u/a.png"]
    names = dict(zip(files, planned(files, Outputs(tmp_path)), strict=True))
    taken = [names["y/a.png"], names["u/a.png"]]
    rest = planned(["x/a.png", "z/a.png"], Outputs(tmp_path), taken=taken)
    assert rest == [names["x/a.png"], names["z/a.png"]]


def test_a_drawing_that_is_there_is_refused_or_replaced_but_never_an_image(tmp_path):
    image, drawing = tmp_path / "a.jpg", tmp_path / "b.jpg"
    drawing.touch()
    outputs = Outputs(tmp_path)
    with pytest.raises(FileExistsError, match=r"b\.jpg exists already"):
        plan_drawings(["in/b.png"], outputs, overwrite=False)
    assert plan_drawings(["in/b.png"], outputs, overwrite=True) == {"in/b.png": "b.jpg"}
    image.touch()
    with pytest.raises(ValueError, match=r"a\.jpg is one of the given files"):
        plan_drawings([str(image), "in/b.png"], outputs, overwrite=True)


def test_a_drawing_newer_than_the_list_is_its_own(tmp_path):
    for name, time in (("a.jpg", 50), ("part.a.jpg", 60), ("b.jpg", 40)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time, time))
    outputs = Outputs(tmp_path)
    assert plan_drawings(["in/a.png"], outputs, overwrite=False, begun=50)
    for file, begun in (("in/b.png", 50), ("in/a.png", 55), ("in/a.png", None)):
        with pytest.raises(FileExistsError, match=r"exists? already"):
            plan_drawings([file], outputs, overwrite=False, begun=begun)


def test_a_list_is_claimed_while_it_is_written(tmp_path):
    outputs = Outputs(tmp_path / "out", shard=Shard(1, 2))
    with claimed_list(outputs), claimed_list(Outputs(tmp_path / "out")):
        names = {path.name for path in (tmp_path / "out").iterdir()}
        assert names == {"detections.lock", "detections-1-of-2.lock"}
    assert [*(tmp_path / "out").iterdir()] == []
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="no files can be written there"):
        with claimed_list(Outputs(tmp_path / "file" / "out")):
            pass
