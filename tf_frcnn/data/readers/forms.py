"""The form that a data set has, told by the names of its files, and who converts it."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

# Patterns of the files that a reader's data sets have, the most telling reader first.
SIGNS: dict[str, tuple[str, ...]] = {
    "yolo": ("data.yaml", "dataset.yaml", "labels/**/*.txt", "*/labels/*.txt"),
    "voc": ("Annotations/**/*.xml", "annotations/*.xml", "*/*.xml"),
    "tfrecord": ("*.record*", "*.tfrecord*", "*/*.record*", "*/*.tfrecord*"),
    "coco": (
        "annotations/instances_*.json",
        "*/_annotations.coco.json",
        "annotations/*.json",
        "*/labels.json",
        "*.json",
    ),
    "csv": ("*.csv", "*/*.csv", "*.tsv"),
}
_ENDINGS = {
    ".json": "coco",
    ".yaml": "yolo",
    ".yml": "yolo",
    ".csv": "csv",
    ".tsv": "csv",
    ".record": "tfrecord",
    ".tfrecord": "tfrecord",
    ".tfrecords": "tfrecord",
}
_HEAD_BYTES = 4096


class Foreign(NamedTuple):
    """A form that no reader reads.

    Attributes:
        name: of the form, in words.
        pattern: of its files.
        words: one of these is near the beginning of the first such file; empty: any.
        tool: what converts it.
    """

    name: str
    pattern: str
    words: tuple[str, ...]
    tool: str


def _by_datumaro(form: str) -> str:
    return (
        f"convert it by Datumaro: `datum convert -if {form} -i FOLDER "
        "-f coco_instances -o OUT -- --save-media`"
    )


FOREIGN = (
    Foreign(
        "a data set prepared by TensorFlow Datasets",
        "**/dataset_info.json",
        (),
        "read it by its name, such as voc/2007, with the reader 'tfds'",
    ),
    Foreign("CVAT's XML", "*.xml", ("<annotations>",), _by_datumaro("cvat")),
    Foreign(
        "Labelme's JSON",
        "**/*.json",
        ('"imagePath"', '"shapes"'),
        "convert it by labelme2coco: `labelme2coco FOLDER`",
    ),
    Foreign(
        "VIA's project",
        "*.json",
        ('"_via_', '"regions"', '"region_attributes"'),
        "export it from VIA as COCO",
    ),
    Foreign(
        "Label Studio's own JSON",
        "*.json",
        ('"annotation_results"', '"completed_by"', '"predictions"'),
        "export it from Label Studio as COCO or YOLO",
    ),
    Foreign(
        "Create ML's JSON",
        "**/*.createml.json",
        (),
        "export the data from Roboflow as COCO instead",
    ),
    Foreign("VoTT's JSON", "*.json", ('"assets"',), _by_datumaro("vott_json")),
    Foreign(
        "FiftyOne's own data set",
        "samples.json",
        (),
        "convert it by FiftyOne: `fiftyone convert --input-type FiftyOneDataset "
        "--input-dir FOLDER --output-type COCODetectionDataset --output-dir OUT`",
    ),
    Foreign(
        "Datumaro's own JSON",
        "annotations/*.json",
        ('"items"', '"media_type"', '"infos"'),
        _by_datumaro("datumaro"),
    ),
    Foreign(
        "Open Images' CSV", "**/*annotations-bbox.csv", (), _by_datumaro("open_images")
    ),
    Foreign("WIDER FACE", "wider_face_split/*", (), _by_datumaro("wider_face")),
    Foreign("KITTI", "**/label_2/*.txt", (), _by_datumaro("kitti")),
    Foreign("MOT's sequences", "**/gt/gt.txt", (), _by_datumaro("mot_seq_gt")),
)


def recognised_reader(location: str | Path) -> str | None:
    """Returns the name of the reader for a data set's form; None: no reader's."""
    place = Path(location).expanduser()
    if _foreign(place) is not None:
        return None
    if place.is_file():
        name = place.name.removesuffix(".gz")
        return "tfrecord" if ".record" in name else _ENDINGS.get(Path(name).suffix)
    for reader, patterns in SIGNS.items():
        if any(True for pattern in patterns for _ in _files(place, pattern)):
            return reader
    return None


def form_advice(location: str | Path, reader: str = "") -> str:
    """Returns a sentence, after a blank, on a location that a reader cannot read.

    Args:
        location: of the data.
        reader: name of the reader.
    """
    foreign = _foreign(Path(location).expanduser())
    if foreign is not None:
        return f" It looks like {foreign.name}: {foreign.tool}."
    own = recognised_reader(location)
    if own not in (None, reader):
        return f" It looks like a data set for the reader {own!r}."
    return (
        f" The forms that can be read are those of {', '.join(SIGNS)} and tfds; "
        "Datumaro, FiftyOne and the export of Label Studio make COCO, YOLO or VOC of "
        "many others."
    )


def _foreign(place: Path) -> Foreign | None:
    for form in FOREIGN:
        for path in islice(_files(place, form.pattern), 1):
            head = _head(path) if form.words else ""
            if not form.words or any(word in head for word in form.words):
                return form
    return None


def _files(place: Path, pattern: str) -> Iterator[Path]:
    """Yields the files of a pattern below a folder; a file stands for itself."""
    if place.is_file():
        if place.match(pattern.removeprefix("**/")):
            yield place
        return
    for path in place.glob(pattern):
        if path.is_file() and not path.name.startswith("."):
            yield path


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
