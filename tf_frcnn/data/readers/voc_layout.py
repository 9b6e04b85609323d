"""Where the folder of a VOC data set keeps its images and annotations.

| layout | of |
|---|---|
| `JPEGImages`, `Annotations`, `ImageSets/Main` | VOC, CVAT, Datumaro, VoTT |
| `images` and `annotations` | Kaggle, Label Studio |
| images and XML side by side, in the folder or in `images` | LabelImg |
| `train`, `valid` and `test`, each in one of these layouts | Roboflow |

All folders but those of the third layout may have subfolders.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tf_frcnn.data.checks.listing import Listing

# In lower case; the first that exists counts.
IMAGE_FOLDERS = ("jpegimages", "images", "image", "imgs", "img")
ANNOTATION_FOLDERS = ("annotations", "annotation", "xmls", "xml")
# Other names of the usual splits, in lower case.
SPLIT_NAMES = (
    ("train", "training"),
    ("val", "valid", "validation", "dev"),
    ("test", "testing"),
)


class Place(NamedTuple):
    """A pair of folders with images and their annotations.

    Attributes:
        prefix: of the ids, such as "train/"; empty in the data set's own folder.
        images, annotations: the folders, the same one for files side by side.
        below: whether subfolders count.
    """

    prefix: str
    images: Path
    annotations: Path
    below: bool = True


def same_split(name: str, other: str) -> bool:
    """Says whether two names stand for the same split, such as val and Validation."""
    name, other = name.lower(), other.lower()
    return name == other or any({name, other} <= {*group} for group in SPLIT_NAMES)


def is_split_name(name: str) -> bool:
    """Says whether a name is that of one of the usual splits."""
    return any(name.lower() in group for group in SPLIT_NAMES)


def places_in(root: Path, listing: Listing) -> list[Place]:
    """Returns the places with images and annotations; none if it is no VOC folder."""
    own = _place_in(root, listing, "")
    if own:
        return [own]
    folders = listing.folders(root, [name for group in SPLIT_NAMES for name in group])
    places = [
        _place_in(folder, listing, f"{folder.name}/") for folder in folders.values()
    ]
    return [place for place in places if place]


def _place_in(folder: Path, listing: Listing, prefix: str) -> Place | None:
    images = _first(listing, folder, IMAGE_FOLDERS)
    annotations = _first(listing, folder, ANNOTATION_FOLDERS)
    if images and annotations:
        return Place(prefix, images, annotations)
    if images and _holds_xml(listing.files(images)):
        return Place(prefix, images, images)
    if _holds_xml(listing.files(folder, below=False)):
        return Place(prefix, folder, folder, below=False)
    return None


def _first(listing: Listing, folder: Path, names: tuple[str, ...]) -> Path | None:
    found = listing.folders(folder, names)
    return next((found[name] for name in names if name in found), None)


def _holds_xml(files: Iterator[tuple[str, Path]]) -> bool:
    return any(name.lower().endswith(".xml") for name, _ in files)
