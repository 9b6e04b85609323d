"""Reads tables of boxes, a row each, in the two forms of tutorials."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from tf_frcnn.data.checks.boxes import DrawnObject
from tf_frcnn.data.checks.problems import DEFAULT_POLICY, DataError, Policy, Problems
from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.data.readers.described import (
    DescribedImage,
    WrittenImage,
    find_described,
    read_described,
)
from tf_frcnn.data.readers.forms import form_advice
from tf_frcnn.data.readers.locating import (
    chosen_splits,
    existing_location,
    files_by_split,
    image_folders,
    root_of,
)

CLASSES_FILE = "classes.csv"
LAYOUTS = (
    "*_labels.csv",
    "*/_annotations.csv",  # Roboflow
    "*.csv",
    "data/*_labels.csv",
    "annotations/*.csv",
)
# Column -> the names it has in headers, in small letters.
COLUMNS = {
    "image": ("filename", "file_name", "image", "path", "image_path", "file"),
    "ymin": ("ymin", "y1", "y_min"),
    "xmin": ("xmin", "x1", "x_min"),
    "ymax": ("ymax", "y2", "y_max"),
    "xmax": ("xmax", "x2", "x_max"),
    "class": ("class", "label", "class_name", "category"),
    "height": ("height",),
    "width": ("width",),
}
WITHOUT_HEADER = ("image", "xmin", "ymin", "xmax", "ymax", "class")
_CORNERS = ("ymin", "xmin", "ymax", "xmax")
_DELIMITERS = ",;\t|"
_SAMPLE = 65536
_NEEDED = "the folder of the tables, or a table"


def read_csv(
    location: str | Path | None,
    split: str,
    *,
    class_names: Sequence[str] = (),
    policy: Policy = DEFAULT_POLICY,
    class_file: str | None = None,
    follow_links: bool = True,
) -> ExampleSet:
    """Reads splits of a data set in tables.

    A row is an object: `filename,width,height,class,xmin,ymin,xmax,ymax` under such a
    header, in any order and without the sizes if need be, or `path,x1,y1,x2,y2,class`
    without one. A row with an image alone, such as `a.jpg,,,,,`, is an image without
    objects. Corners are pixels, continuous, and count from 0.

    Args:
        location: the folder of `train.csv` and the like, or a table.
        split: a name such as "train", or a sum such as "train+val"; a single table
            whose name tells no split is read under any name.
        class_names: K names. Empty: those of the classes' file, in the order of their
            numbers; without one the sorted names in the tables that are read.
        policy: the action for each kind of fault.
        class_file: rows `name,number`; None: `classes.csv` in the folder, if it exists.
        follow_links: False leaves out images outside the folder.

    Raises:
        DataError: there is no such table or split, it lacks a column, no image can be
            used, or the policy says so.

    Source: the tutorials of the TensorFlow Object Detection API; keras-retinanet, "CSV
    datasets".
    """
    place = existing_location(location, _NEEDED)
    root = root_of(place)
    files = files_by_split(place, LAYOUTS, leave_out=[CLASSES_FILE])
    if not files:
        raise DataError(
            f"{place} holds no table; looked for {', '.join(LAYOUTS)}."
            f"{form_advice(place, 'csv')}"
        )
    problems = Problems(policy)
    described: list[DescribedImage] = []
    for name, path in chosen_splits(files, split, place):
        folders = image_folders(root, path, name)
        written = _written(path, problems)
        described += find_described(written, folders, problems, path.name)
    names = tuple(class_names) or _class_names(root, class_file, described)
    return read_described(
        f"{place}:{split}",
        described,
        names,
        problems,
        root,
        follow_links=follow_links,
    )


def csv_splits(location: str | Path) -> list[str]:
    """Returns the names of the splits; "" stands for a data set without splits."""
    place = existing_location(location, _NEEDED)
    return [*files_by_split(place, LAYOUTS, leave_out=[CLASSES_FILE])]


def _written(path: Path, problems: Problems) -> list[WrittenImage]:
    """Returns a table's images in their order; those with a bad row are dropped."""
    images: dict[str, WrittenImage | None] = {}
    for number, row in _rows(path):
        name = row["image"]
        image = images.setdefault(name, WrittenImage(name, _size(row), []))
        if image is None or not any(row[n] for n in (*_CORNERS, "class")):
            continue
        try:
            image.objects.append(_drawn_object(row))
        except ValueError as error:
            place = f"{path.name}, line {number}: {name}"
            problems.add("unreadable_annotation", place, str(error))
            images[name] = None
    return [image for image in images.values() if image is not None]


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields (line, column -> cell) of each row with an image."""
    columns, rows = None, _cells(path)
    for number, cells in rows:
        if columns is None:
            columns = _header(cells, path)
            if columns is not None:
                continue
            columns = dict(zip(WITHOUT_HEADER, range(6), strict=True))
            if len(cells) != 6:
                raise DataError(
                    f"{path}: the first line is neither a header with image, class, "
                    "xmin, ymin, xmax and ymax, nor path,x1,y1,x2,y2,class."
                )
        row = {
            name: cells[place].strip() if place < len(cells) else ""
            for name, place in columns.items()
        }
        if row["image"]:
            yield number, row


def _cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields (line, cells) of each line that is not empty."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        try:
            delimiter = csv.Sniffer().sniff(text[:_SAMPLE], _DELIMITERS).delimiter
        except csv.Error:
            delimiter = ","
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a table in UTF-8: {error}.") from error


def _header(cells: Sequence[str], path: Path) -> dict[str, int] | None:
    """Returns column -> place; None where the line is no header.

    Raises:
        DataError: it lacks a column.
    """
    names = [cell.strip().lower() for cell in cells]
    found = {
        column: names.index(name)
        for column, known in COLUMNS.items()
        for name in known[::-1]
        if name in names
    }
    if len(found) < 2:
        return None
    lacking = [column for column in WITHOUT_HEADER if column not in found]
    if lacking:
        raise DataError(
            f"{path}: the header {', '.join(cells)} lacks {', '.join(lacking)}."
        )
    return found


def _size(row: dict[str, str]) -> tuple[int, int] | None:
    try:
        height, width = round(float(row["height"])), round(float(row["width"]))
    except (LookupError, ValueError, OverflowError):
        return None
    return (height, width) if height > 0 and width > 0 else None


def _drawn_object(row: dict[str, str]) -> DrawnObject:
    if not row["class"]:
        raise ValueError("a box has no class")
    ymin, xmin, ymax, xmax = (_number(row, side) for side in _CORNERS)
    name = " ".join(row["class"].split())
    return DrawnObject(name, (ymin, xmin, ymax, xmax), difficult=False)


def _number(row: dict[str, str], column: str) -> float:
    try:
        return float(row[column])
    except ValueError:
        raise ValueError(f"{column} = {row[column]!r} is not a number") from None


def _class_names(
    root: Path, class_file: str | None, described: Sequence[DescribedImage]
) -> tuple[str, ...]:
    file = root / CLASSES_FILE
    if class_file is not None:
        file = existing_location(class_file, "the file of the classes")
    if file.is_file():
        return _listed_names(file)
    names = {drawn.name for image in described for drawn in image.objects}
    if described and not names:
        raise DataError(f"{root}: the tables name no object; give class_names.")
    return tuple(sorted(names))


def _listed_names(file: Path) -> tuple[str, ...]:
    """Returns the names of rows `name,number`, in the order of the numbers."""
    numbered = {}
    for line, cells in _cells(file):
        name, number, *_ = [*cells, ""]
        if number.strip().isdigit():
            numbered[int(number)] = " ".join(name.split())
        elif numbered:
            raise DataError(f"{file}, line {line}: {number!r} is no number of a class.")
    if not numbered:
        raise DataError(f"{file} has no row `name,number`.")
    return tuple(name for _, name in sorted(numbered.items()))
