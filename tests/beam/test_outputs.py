import json

import apache_beam as beam
import pytest

from tests.helpers.remote_files import address_of
from tf_frcnn.beam.outputs import FORMATS, Lists
from tf_frcnn.runs.stored_detections import entries_of

RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
BOX = {"ymin": 1.25, "xmin": 2.0, "ymax": 3.5, "xmax": 4.0}
ENTRIES = [
    {
        "file": "a.png",
        "height": 8,
        "width": 9,
        "detections": [{"class": "cell", "score": 0.75, **BOX}],
    },
    {"file": "b.png", "height": 8, "width": 9, "detections": []},
    {"file": "c.png", "error": "it is damaged"},
]


def known(entry):
    return {name: value for name, value in entry.items() if value is not None}


@pytest.mark.parametrize("file_format", FORMATS)
def test_lists_are_read_as_they_were_written(tmp_path, file_format):
    lists = Lists(address_of(tmp_path / "out"), file_format)
    with beam.Pipeline(runner=RUNNER) as pipeline:
        _ = pipeline | beam.Create(ENTRIES) | "Write" >> lists.writer()
    (path,) = (tmp_path / "out").iterdir()
    assert path.name == f"detections-00000-of-00001.{file_format}"
    entries = sorted(map(known, entries_of(path)), key=lambda entry: entry["file"])
    assert entries == ENTRIES
    if file_format == "jsonl":
        lines = path.read_text().splitlines()
        assert {*lines} == {json.dumps(entry) for entry in ENTRIES}


def test_lists_of_an_earlier_pipeline_go_on_request_only(tmp_path):
    others = ["detections.jsonl", "detections-1-of-8.jsonl", "detections-00000.jsonl"]
    own = [f"detections-0000{number}-of-00002.jsonl" for number in (0, 1)]
    for name in (*others, *own):
        (tmp_path / name).touch()
    lists = Lists(str(tmp_path))
    with pytest.raises(FileExistsError, match=r"of-00002\.jsonl exists already"):
        lists.require_room(overwrite=False)
    parquet = Lists(str(tmp_path), "parquet")
    parquet.require_room(overwrite=False)
    parquet.make_room()
    lists.require_room(overwrite=True)
    assert len([*tmp_path.iterdir()]) == 5
    lists.make_room()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)
