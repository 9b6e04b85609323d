"""Decodes odd pictures as an exported model does, and prints what they cost.

    python benchmarks/odd_pictures.py --pictures 500 --megapixels 50

Each picture is decoded or refused, and brought to the network's size, in the graph that
exported models have; the network itself is left out. The table has the processor's
seconds, and how far the process's memory rose above what it had before.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from machine import machine

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--megapixels", type=float, default=50.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    costs = measure(options)
    print(f"{machine()}; {options.pictures} pictures, seed {options.seed}, limit of ")
    print(f"{options.megapixels:g} megapixels.\n")
    print("| pictures | number | refused | largest, kB | most seconds | most MB |")
    print("|---|---|---|---|---|---|")
    for kind, rows in costs.items():
        sizes, refused, seconds, megabytes = zip(*rows, strict=True)
        print(
            f"| {kind} | {len(rows)} | {sum(refused)} | {max(sizes) / 1e3:.0f} | "
            f"{max(seconds):.1f} | {max(megabytes):.0f} |"
        )


def measure(options):
    """Returns the costs of pictures by kind: (bytes, is refused, seconds, MB) each."""
    import tensorflow as tf

    from tests.helpers.odd_pictures import odd_pictures
    from tf_frcnn.data import Resizing
    from tf_frcnn.data.decoding.encoded import decode_or_refuse, reason_of
    from tf_frcnn.data.decoding.to_canvas import to_network_size

    max_pixels = int(options.megapixels * 1e6)
    resizing = Resizing((600,), 1000, ((600, 1000), (1000, 600), (1000, 1000)))

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def read(data):
        image = decode_or_refuse(data, tf.constant("picture"), max_pixels)
        return to_network_size(image, resizing)[0]

    def is_refused(data):
        try:
            read(tf.constant(data))
        except tf.errors.InvalidArgumentError as error:
            if reason_of(error) is None:
                raise
            return True
        return False

    is_refused(b"")  # Makes the graph.
    costs = {}
    for kind, data in odd_pictures(options.pictures, options.seed, options.megapixels):
        Path("/proc/self/clear_refs").write_text("5")  # The peak is what is held now.
        before, start = memory("VmHWM"), time.process_time()
        refused = is_refused(data)
        seconds, more = time.process_time() - start, memory("VmHWM") - before
        costs.setdefault(kind, []).append((len(data), refused, seconds, more))
    return costs


def memory(name):
    """Returns a figure of this process's memory, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(name))
    return int(line.split()[1]) / 1000


if __name__ == "__main__":
    main()
