"""Times the stages of the input pipeline on synthetic photos of 1000 x 750 pixels.

    python benchmarks/input_pipeline.py vgg16_voc07 torchvision_resnet50_fpn

The photos are JPEG files in a temporary folder, of about the size of a camera's. Each
stage is timed by itself, several times in turn, and the median counts: CPU time
of all threads and time on the clock, both per picture. The ratio at the end says what
the pipeline costs beside decoding and resizing, which nothing can save. Compare times
of one machine only.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from machine import machine

from tf_frcnn.assembly import build_resizing, build_training_batches
from tf_frcnn.config import load_config
from tf_frcnn.data.checks.problems import Problems
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.decoding.to_canvas import to_network_size
from tf_frcnn.data.decoding.transforms import decode_image
from tf_frcnn.data.examples import ExampleSet, Record, StoredImages
from tf_frcnn.data.pipeline.grouping import Example, group_into_batches, resize_example

HEIGHT, WIDTH = 750, 1000
CLASSES = ("a", "b", "c")
# Objects of an image, and of one crowded image in every sixteen.
NUM_BOXES, NUM_CROWDED = 5, 60
# A process rests that takes less CPU time than the second in the first, in seconds.
REST, REST_CPU = 0.06, 0.002


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "recipes",
        nargs="*",
        default=["vgg16_voc07", "torchvision_resnet50_fpn"],
        help="names of recipes or files",
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--pictures", type=int, default=48, help="in each round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    print(f"{machine()}, TensorFlow {tf.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        examples = photos(Path(folder), options.pictures)
        for recipe in options.recipes:
            config = load_config(recipe, options.set)
            stages = stages_of(config, examples)
            report(recipe, config, timed(stages, options.pictures, options.rounds))


def photos(folder: Path, count: int) -> ExampleSet:
    """Writes photos and returns them as a data set of the classes `CLASSES`."""
    rng = np.random.default_rng(0)
    records, paths = [], []
    for row in range(count):
        path = folder / f"{row}.jpg"
        path.write_bytes(photo(rng))
        number = NUM_BOXES if row % 16 else NUM_CROWDED
        corners = rng.uniform(0, 0.6, [number, 2])
        sides = rng.uniform(0.1, 0.4, [number, 2])
        boxes = np.concatenate([corners, corners + sides], axis=1)
        records.append(
            Record(
                image_id=path.stem,
                source=str(path),
                height=HEIGHT,
                width=WIDTH,
                orientation=1,
                boxes=(boxes * [HEIGHT, WIDTH, HEIGHT, WIDTH]).astype(np.float32),
                labels=rng.integers(0, len(CLASSES), number).astype(np.int32),
                difficult=np.zeros(number, bool),
                crowd=np.zeros(number, bool),
            )
        )
        paths.append(str(path))
    images = StoredImages(tf.constant(paths), are_paths=True)
    return ExampleSet("photos", CLASSES, tuple(records), Problems(), images)


def photo(rng) -> bytes:
    """Returns a JPEG with details of all sizes, and grain: half a byte per pixel."""
    pixels = sum(
        np.asarray(
            tf.image.resize(
                rng.normal(0, 40 * 0.6**octave, [3 * 2**octave, 4 * 2**octave, 3]),
                [HEIGHT, WIDTH],
                method="bicubic",
            )
        )
        for octave in range(8)
    )
    pixels = np.clip(128 + pixels + rng.normal(0, 3, pixels.shape), 0, 255)
    return tf.io.encode_jpeg(pixels.astype(np.uint8), quality=90).numpy()


def stages_of(config, examples: ExampleSet) -> dict[str, tf.data.Dataset]:
    """Returns endless datasets, and how many pictures an element of each has."""
    resizing = build_resizing(config.images, config.data.train_short_sides)
    short_side = resizing.short_sides[-1]

    def decode(row, encoded):
        return decode_image(encoded, tf.constant(1))

    def resize(row, encoded):
        image = decode(row, encoded)
        return to_network_size(image, resizing, short_side=short_side)[0]

    files = examples.stream().repeat()
    return {
        "decode": files.map(decode, num_parallel_calls=tf.data.AUTOTUNE),
        "decode, resize": files.map(resize, num_parallel_calls=tf.data.AUTOTUNE),
        "whole pipeline": build_training_batches(config, examples).dataset,
        "grouping alone": grouping_alone(config, examples, resizing),
    }


def grouping_alone(config, examples, resizing: Resizing) -> tf.data.Dataset:
    """Returns batches of one image that lies ready: grouping, and nothing else."""
    row, encoded = next(iter(examples.stream()))
    record = examples.records[int(row)]
    fields = {
        "labels": tf.constant(record.labels),
        "difficult": tf.constant(record.difficult),
        "image_ids": tf.constant(record.image_id),
        "rows": row,
    }
    example = Example(decode_image(encoded, tf.constant(1)), record.boxes, fields)
    fields = resize_example(example, resizing, short_side=resizing.short_sides[-1])
    ready = tf.data.Dataset.from_tensors((tf.constant(0, tf.int64), fields)).repeat()
    canvases = resizing.canvases
    canvases = canvases if isinstance(canvases, int) else tf.constant(canvases)
    return group_into_batches(
        ready, canvases, config.data.batch_size, num_boxes=examples.max_boxes
    ).prefetch(tf.data.AUTOTUNE)


def timed(stages, pictures: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Returns for each stage the median (CPU, clock) seconds per picture."""
    iterators = {name: iter(stage) for name, stage in stages.items()}
    for iterator in iterators.values():  # Traces, and lets tf.data tune itself.
        pull(iterator, 2 * pictures)
    times = {name: [] for name in stages}
    for _ in range(rounds):
        for name, iterator in iterators.items():
            times[name].append(pull(iterator, pictures))
    return {name: tuple(np.median(own, axis=0)) for name, own in times.items()}


def pull(iterator, pictures: int) -> np.ndarray:
    """Takes about so many pictures; returns (CPU, clock) seconds of each.

    What is taken was read ahead. Timed is the reading of as many others, which ends
    when the process rests.
    """
    cpu, clock, seen = time.process_time(), time.perf_counter(), 0
    while seen < pictures:
        element = next(iterator)
        is_batch = isinstance(element, dict) and "labels" in element
        seen += len(element["labels"]) if is_batch else 1
    del element
    spent = np.array([-np.inf, 0.0])
    while True:
        now = np.array([time.process_time() - cpu, time.perf_counter() - clock])
        if now[0] - spent[0] < REST_CPU:
            return spent / seen
        spent = now
        time.sleep(REST)


def report(recipe, config, times) -> None:
    """Prints a table of one recipe."""
    images, batch_size = config.images, config.data.batch_size
    print(
        f"\n{recipe}: short side {images.short_side}, {images.resize}, batches of "
        f"{batch_size}\n\n| stage | CPU ms per image | ms per image |\n|---|---|---|"
    )
    for name, (cpu, clock) in times.items():
        print(f"| {name} | {1e3 * cpu:.1f} | {1e3 * clock:.1f} |")
    ratio = times["whole pipeline"][0] / times["decode, resize"][0]
    print(
        f"\nThe whole pipeline takes {ratio:.2f} times the CPU of decode and resize; "
        f"grouping alone passes {1 / times['grouping alone'][1]:.0f} pictures per "
        "second."
    )


if __name__ == "__main__":
    main()
