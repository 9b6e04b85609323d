"""A small VOC data set with faults that were put into it, one of each kind.

Images are noise of low frequency, so that none looks like another by chance.
"""

import io
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image

SIZE = (240, 320)  # height, width
# An object is (class, xmin, ymin, xmax, ymax) in VOC's pixels, or with "difficult".
DOG, CAT = ("dog", 31, 41, 130, 160), ("Cat", 150, 60, 289, 199)

# Fault -> kind of the finding that tells of it.
FAULTS = {
    "a class that is in val alone": "class_not_learned",
    "a class all of whose objects are difficult": "class_not_learned",
    "a class with one object": "rare_class",
    "a class that is in train alone": "class_not_validated",
    "background as a class": "background_class",
    "Cat and cat": "near_equal_names",
    "tree and trees": "near_equal_names",
    "bicycle and bicyle": "near_equal_names",
    "a file in train and in val": "shared_images",
    "an image in train, and smaller and brighter in test": "alike_across_splits",
    "a file twice in train": "repeated_images",
    "an image twice in train, in JPEG and in PNG": "alike_within_split",
    "a file twice in train with other objects": "same_image_other_objects",
    "an object twice": "repeated_boxes",
    "an object with two classes": "two_classes",
    "a box of the whole image": "whole_image_boxes",
    "a box of three pixels": "tiny_boxes",
    "a box like a thread": "thin_boxes",
    "many images without an object": "many_negatives",
    "a box without area": "files_dropped",
    "a file that is cut off": "files_dropped",
    "an image without XML": "files_dropped",
    "an XML file that is cut off": "files_dropped",
    "a name in a list without an image": "files_dropped",
    "corners in the wrong order": "files_repaired",
    "a box that leaves the image": "files_repaired",
    "pixels counted from 0": "counted_from_0",
    "many files that cannot be read": "images_lost",
    "objects smaller than any anchor": "out_of_reach",
}


class PlantedSet:
    """Writes images and annotations; `splits` has the names in each split."""

    def __init__(self, root: Path, seed: int = 0):
        self.root, self.random = root, np.random.default_rng(seed)
        self.splits: dict[str, list[str]] = {"train": [], "val": [], "test": []}
        for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
            (root / folder).mkdir(parents=True)

    def add(self, split, name, objects=(DOG,), content=None, ending="jpg"):
        """Adds an image; returns its bytes."""
        content = self.image() if content is None else content
        (self.root / "JPEGImages" / f"{name}.{ending}").write_bytes(content)
        self.annotate(name, objects)
        self.splits[split].append(name)
        return content

    def annotate(self, name, objects, size=SIZE):
        """Writes an annotation."""
        parts = [f"<size><width>{size[1]}</width><height>{size[0]}</height></size>"]
        for class_name, *corners in objects:
            hard = int(corners[-1] == "difficult")
            tags = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=False)
            box = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags)
            parts.append(
                f"<object><name>{escape(class_name)}</name>"
                f"<difficult>{hard}</difficult><bndbox>{box}</bndbox></object>"
            )
        text = f"<annotation>{''.join(parts)}</annotation>"
        (self.root / "Annotations" / f"{name}.xml").write_text(text, encoding="utf-8")

    def image(self, size=SIZE):
        """Returns a JPEG of a new image."""
        noise = self.random.integers(0, 256, (9, 12, 3), np.uint8)
        image = Image.fromarray(noise).resize(size[::-1], Image.Resampling.BICUBIC)
        return _encoded(image, "JPEG", quality=90)

    def close(self):
        """Writes the lists of the splits."""
        for split, names in self.splits.items():
            text = "".join(f"{name}\n" for name in names)
            (self.root / "ImageSets" / "Main" / f"{split}.txt").write_text(text)


def plant_faults(root: Path) -> PlantedSet:
    """Writes a data set with all of `FAULTS`."""
    planted = PlantedSet(root)
    for split, count in {"train": 24, "val": 8, "test": 6}.items():
        for number in range(count):
            planted.add(split, f"{split}_{number:02}", [DOG, CAT])
    _plant_classes(planted)
    _plant_copies(planted)
    _plant_boxes(planted)
    _plant_bad_files(planted)
    for number in range(90):
        planted.add("train", f"empty_{number:02}", [])
    planted.close()
    return planted


def _plant_classes(planted):
    planted.add("val", "fox", [("fox", 20, 30, 120, 140)])
    hard = ("owl", 40, 50, 160, 170, "difficult")
    for split in ("train", "val"):
        planted.add(split, f"owl_{split}", [hard])
        planted.add(split, f"rat_{split}", [("rat", 11, 21, 90, 120)])
        planted.add(split, f"tree_{split}", [("tree", 61, 31, 200, 210)])
    planted.add("train", "eel", [("eel", 30, 70, 210, 180)])
    planted.add("train", "background", [("background", 2, 2, 150, 130)])
    planted.add("train", "cat", [("cat", 50, 20, 170, 140)])
    planted.add("train", "trees", [("trees", 40, 20, 180, 230)])
    bicycles = [("bicycle", 20 + 5 * n, 30, 120 + 6 * n, 140 + n) for n in range(12)]
    planted.add("train", "bicycle", bicycles)
    planted.add("train", "bicyle", [("bicyle", 100, 30, 280, 200)])


def _plant_copies(planted):
    content = planted.add("train", "in_two_splits")
    planted.add("val", "also_in_val", content=content)
    image = _decoded(planted.add("train", "before"))
    image = image.resize((200, 150)).point(lambda value: min(255, int(1.1 * value)))
    small = ("dog", 20, 26, 82, 100)
    planted.add("test", "after", [small], _encoded(image, "JPEG", quality=60))
    planted.annotate("after", [small], size=(150, 200))
    planted.add("train", "twice_a", content=(twice := planted.image()))
    planted.add("train", "twice_b", content=twice)
    jpeg = planted.add("train", "as_jpeg", [CAT])
    planted.add("train", "as_png", [CAT], _encoded(_decoded(jpeg), "PNG"), "png")
    planted.add("train", "objects_a", [DOG], other := planted.image())
    planted.add("train", "objects_b", [CAT], other)


def _plant_boxes(planted):
    planted.add("train", "object_twice", [DOG, CAT, DOG])
    planted.add("train", "two_classes", [DOG, ("Cat", *DOG[1:])])
    planted.add("train", "whole_image", [("dog", 1, 1, SIZE[1], SIZE[0])])
    planted.add("train", "three_pixels", [CAT, ("dog", 100, 100, 102, 102)])
    planted.add("train", "thread", [("dog", 10, 100, 300, 110)])
    planted.add("train", "no_area", [CAT, ("dog", 50, 60, 50, 60)])
    planted.add("train", "swapped", [("dog", 130, 160, 31, 41)])
    planted.add("train", "outside", [("dog", 200, 100, 400, 200)])
    ants = [("ant", 9 * n + 5, 8 * n + 5, 9 * n + 11, 8 * n + 11) for n in range(25)]
    for split in ("train", "val"):
        planted.add(split, f"ants_{split}", ants)
    for number in range(12):
        planted.add("train", f"from_0_{number}", [("dog", 0, 40, 130, 160)])


def _plant_bad_files(planted):
    for number in range(4):
        content = planted.image()
        planted.add("test", f"cut_off_{number}", content=content[: len(content) // 3])
    planted.add("train", "no_xml")
    (planted.root / "Annotations" / "no_xml.xml").unlink()
    planted.add("train", "cut_xml")
    file = planted.root / "Annotations" / "cut_xml.xml"
    file.write_text(file.read_text()[:90])
    planted.splits["train"].append("no_image")


def _decoded(content):
    return Image.open(io.BytesIO(content)).convert("RGB")


def _encoded(image, form, **settings):
    file = io.BytesIO()
    image.save(file, form, **settings)
    return file.getvalue()
