"""Writes an example set as a folder in PASCAL VOC's layout."""

from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from tf_frcnn.data.decoding.foreign import FOREIGN_ENDINGS
from tf_frcnn.data.examples import ExampleSet, Record


def write_voc(examples: ExampleSet, directory: str | Path, split: str) -> None:
    """Writes images, annotations and the split's list, so that `read_voc` reads them.

    Images are written as they are stored; TIFF, WebP, AVIF and HEIC as PNG. Corners
    become VOC's pixels, counted from 1 and inclusive. Crowds, which the form does not
    have, become difficult objects. Further splits can be written into the same folder.

    Args:
        examples: the data set.
        directory: created if it does not exist.
        split: name of the file in ImageSets/Main.
    """
    root = Path(directory)
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for index, image_bytes in examples.stream().as_numpy_iterator():
        record = examples.records[index]
        image = root / "JPEGImages" / f"{record.image_id}{_ending(record)}"
        xml = root / "Annotations" / f"{record.image_id}.xml"
        for path in (image, xml):
            path.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(image_bytes)
        _annotation(record, image.name, examples.class_names).write(xml)
    ids = "".join(f"{record.image_id}\n" for record in examples.records)
    (root / "ImageSets" / "Main" / f"{split}.txt").write_text(ids, encoding="utf-8")


def _ending(record: Record) -> str:
    """Returns the ending of an image's file; what was decoded by Pillow is PNG now."""
    ending = Path(record.source).suffix
    return ".png" if ending.lower() in FOREIGN_ENDINGS else ending


def _annotation(record: Record, image_name: str, class_names) -> ElementTree:
    root = Element("annotation")
    _child(root, "filename", image_name)
    size = SubElement(root, "size")
    for name, value in (("width", record.width), ("height", record.height)):
        _child(size, name, value)
    marks = record.difficult | record.crowd
    rows = zip(record.boxes, record.labels, marks, strict=True)
    for (ymin, xmin, ymax, xmax), label, difficult in rows:
        drawn = SubElement(root, "object")
        _child(drawn, "name", class_names[label])
        _child(drawn, "difficult", int(difficult))
        box = SubElement(drawn, "bndbox")
        corners = {"xmin": xmin + 1, "ymin": ymin + 1, "xmax": xmax, "ymax": ymax}
        for name, value in corners.items():
            _child(box, name, f"{value:.9g}")
    indent(root)
    return ElementTree(root)


def _child(parent: Element, name: str, value) -> None:
    SubElement(parent, name).text = str(value)
