import json
from dataclasses import replace

import numpy as np
import pytest

from tf_frcnn.data import make_shapes
from tf_frcnn.runs.stored_detections import read_detections


@pytest.fixture(scope="module")
def examples():
    """Three images, two of which have the same name."""
    shapes = make_shapes(3, seed=2)
    sources = ("data/a/1.png", "data/b/1.png", "data/2.png")
    records = zip(shapes.records, sources, strict=True)
    return replace(shapes, records=tuple(r._replace(source=s) for r, s in records))


def entry_of(examples, row, file, *detections):
    """Returns the entry of an image with (class, score, box) of each detection."""
    record = examples.records[row]
    sides = ("ymin", "xmin", "ymax", "xmax")
    own = [
        {"class": name, "score": score} | dict(zip(sides, box, strict=True))
        for name, score, box in detections
    ]
    size = {"height": record.height, "width": record.width}
    return {"file": file, **size, "detections": own}


def write(path, *entries):
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return str(path)


@pytest.fixture
def entries(examples):
    """An entry of each image, as another machine lists them."""
    box = [1.5, 2.0, 30.25, 40.0]
    return [
        entry_of(examples, 2, "gs://bucket/2.png", ("ellipse", 0.25, box)),
        {"file": "gs://bucket/a/1.png", "error": "it is damaged"},
        entry_of(
            examples,
            1,
            "gs://bucket/b/1.png",
            ("cross", 0.75, box),
            ("ellipse", 0.5, box),
        ),
    ]


def test_entries_go_to_the_images_whose_paths_end_alike(
    examples, entries, tmp_path, capsys
):
    other = entry_of(examples, 0, "gs://bucket/7.png")
    write(tmp_path / "part-1.jsonl", *entries[:1], other)
    write(tmp_path / "part-2.jsonl", *entries[1:])
    found = read_detections([f"{tmp_path}/part-*.jsonl"], examples)
    assert found.image_index.tolist() == [1, 1, 2]
    names = [examples.class_names[label] for label in found.labels]
    assert names == ["cross", "ellipse", "ellipse"]
    assert found.scores.tolist() == [0.75, 0.5, 0.25]
    np.testing.assert_array_equal(found.boxes, [[1.5, 2.0, 30.25, 40.0]] * 3)
    printed = capsys.readouterr().out
    assert "1 listed images are not in the split" in printed
    assert "1 images of the split could not be read" in printed


def test_of_two_images_of_one_name_the_nearer_path_counts(examples, entries, tmp_path):
    far = entry_of(examples, 2, "else/2.png", ("cross", 0.9, [0, 0, 5, 5]))
    near = entries[0] | {"file": "data/2.png"}
    for both in ([far, near], [near, far]):
        path = write(tmp_path / "list.jsonl", *both, *entries[1:])
        assert read_detections([path], examples).scores.tolist() == [0.75, 0.5, 0.25]


def test_lists_that_do_not_fit_are_errors(examples, entries, tmp_path):
    def message_of(*own):
        path = write(tmp_path / "list.jsonl", *own)
        with pytest.raises(ValueError) as caught:
            read_detections([path], examples)
        return str(caught.value)

    assert "are the same image" in message_of(*entries, entries[2])
    lacking = message_of(*entries[:2])
    assert "1 of the 3 images of" in lacking and "the first data/b/1.png" in lacking
    assert "several images of the split" in message_of(entries[1] | {"file": "1.png"})
    assert "it is another image" in message_of(entries[0] | {"height": 7})
    unknown = entry_of(examples, 2, "2.png", ("cow", 0.5, [0, 0, 5, 5]))
    assert "no class 'cow'" in message_of(unknown)
    del entries[0]["detections"][0]["xmin"]
    assert "lack 'xmin'" in message_of(entries[0])
    with pytest.raises(FileNotFoundError, match=r"nowhere\.jsonl: no such file"):
        read_detections(["nowhere.jsonl"], examples)


def test_a_file_that_is_no_parquet_is_named(examples, tmp_path):
    (tmp_path / "a.parquet").write_text("{}")
    with pytest.raises(ValueError, match=r"a\.parquet: it is no Parquet file"):
        read_detections([str(tmp_path / "a.parquet")], examples)
