"""Time and memory of `tf-frcnn doctor` on a generated VOC folder.

python benchmarks/doctor.py FOLDER --images 50000

writes the images (JPEGs of 640 x 480 pixels, three objects each) unless the folder is
there, with four fifths in train and the rest in val, and prints a line for each step:
reading, the short form at the start of a training, and the examination, each a first
and a second time. The cache is kept beside the folder.
"""

import argparse
import os
import resource
import time
from pathlib import Path

import numpy as np
from machine import machine
from PIL import Image

SIZE = (480, 640)  # height, width
CLASSES = ("ape", "bee", "cow")
SPLITS = ("train", "val")


def write_images(root, count):
    """Writes a VOC folder of smooth noise, in which no image looks like another."""
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    random, lists = np.random.default_rng(0), {split: [] for split in SPLITS}
    for number in range(count):
        name = f"{number:06}"
        noise = random.integers(0, 256, (12, 16, 3), np.uint8)
        image = Image.fromarray(noise).resize(SIZE[::-1], Image.Resampling.BILINEAR)
        image.save(root / "JPEGImages" / f"{name}.jpg", quality=85)
        objects = "".join(_object(name, random) for name in CLASSES)
        xml = f"<annotation>{objects}</annotation>"
        (root / "Annotations" / f"{name}.xml").write_text(xml)
        lists[SPLITS[number % 5 == 0]].append(name)
    for split, names in lists.items():
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names))


def _object(name, random):
    y, x, height, width = random.integers(
        (1, 1, 100, 100), (240, 320, 240, 320)
    ).tolist()
    corners = {"xmin": x, "ymin": y, "xmax": x + width, "ymax": y + height}
    box = "".join(f"<{side}>{value}</{side}>" for side, value in corners.items())
    return f"<object><name>{name}</name><bndbox>{box}</bndbox></object>"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=10_000)
    options = parser.parse_args()
    os.environ["TF_FRCNN_CACHE"] = f"{options.folder.absolute()}_cache"
    if not options.folder.exists():
        write_images(options.folder, options.images)
    # TensorFlow takes seconds to import: not for --help.
    from tf_frcnn.config import load_config
    from tf_frcnn.data import read_voc
    from tf_frcnn.doctor.brief import brief_findings
    from tf_frcnn.doctor.examination import examine

    def read(folder):
        return {split: read_voc(folder, split) for split in SPLITS}

    config = load_config("own_images")
    print(machine())

    def timed(words, function, *arguments):
        start = time.perf_counter()
        result = function(*arguments)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{words}: {time.perf_counter() - start:.1f} s, peak {peak:.2f} GB")
        return result

    for turn in ("first", "second"):
        sets = timed(f"{turn} reading", read, options.folder)
        timed(f"{turn} short form", brief_findings, sets, config)
        arguments = str(options.folder), sets, config, {}
        found = timed(f"{turn} examination", examine, *arguments)
        print(", ".join(f.kind for f in found.findings) or "nothing found")


if __name__ == "__main__":
    main()
