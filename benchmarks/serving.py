"""Times exported models in processes without a server, and prints tables.

    python benchmarks/serving.py --folder FOLDER NAME=VERSION ...

such as quickstart=exported/1. Requests go through TensorFlow's C library
(serving/detect.c), to the signature `serving_default`. The gain of the warm-up file is
measured in a session of a separate process, which replays the file's records as
TensorFlow Serving does when it loads a version. Needs a C compiler and
tensorflow-serving-api.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine

BUILD = Path(__file__).parents[1] / "serving" / "build.sh"
# Images per request, and requests at once.
LOADS = tuple((batch, threads) for batch in (1, 8) for threads in (1, 4, 8))
TABLES = ("loads", "memory", "first")
WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="NAME=VERSION")
    parser.add_argument("--folder", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--images", type=int, default=96, help="per load (96)")
    parser.add_argument("--requests", type=int, default=1000, help="for memory (1000)")
    parser.add_argument("--tables", nargs="+", default=TABLES, choices=TABLES)
    options = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    models = {name: Path(path) for name, path in (m.split("=") for m in options.models)}
    images = sorted(path for path in options.folder.iterdir() if path.is_file())
    print(f"{machine()}; {len(images)} images.\n")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "detect"
        subprocess.run([BUILD, program, sys.executable], check=True)
        if "loads" in options.tables:
            print_loads(program, models, images, options.images)
        if "memory" in options.tables:
            print_memory(program, models, images, options.requests)
    if "first" in options.tables:
        print_first_requests(models, images[0])


def send(program, model, images, *, requests, batch=1, threads=1):
    """Returns the program's measurements."""
    numbers = {"--requests": requests, "--batch": batch, "--threads": threads}
    flags = [str(word) for pair in numbers.items() for word in pair]
    command = [program, model, *flags, *images]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def print_loads(program, models, images, num_images):
    print("| model | images per request | requests at once | median | 95 % | speed |")
    print("|---|---|---|---|---|---|")
    for name, model in models.items():
        for batch, threads in LOADS:
            requests = max(num_images // batch, threads)
            found = send(
                program,
                model,
                images,
                requests=requests,
                batch=batch,
                threads=threads,
            )
            median, slow = found["median_ms"], found["p95_ms"]
            speed = found["images_per_s"]
            print(
                f"| {name} | {batch} | {threads} | {median:.0f} ms | {slow:.0f} ms | "
                f"{speed:.1f} images/s |",
                flush=True,
            )
    print()


def print_memory(program, models, images, requests):
    print(
        f"| model | memory after {requests // 2} | after {requests} requests | peak |"
    )
    print("|---|---|---|---|")
    for name, model in models.items():
        found = send(program, model, images, requests=requests)
        half, end, peak = (found[f"memory_{at}_mib"] for at in ("half", "end", "peak"))
        print(
            f"| {name} | {half:.0f} MiB | {end:.0f} MiB | {peak:.0f} MiB |", flush=True
        )
    print()


def print_first_requests(models, image):
    print("| model | loading | warming up | first request | after no warm-up | later |")
    print("|---|---|---|---|---|---|")
    alone = multiprocessing.get_context("spawn")
    for name, model in models.items():
        with alone.Pool(1) as pool:
            cold = pool.apply(first_request, (model, image, False))
        with alone.Pool(1) as pool:
            warm = pool.apply(first_request, (model, image, True))
        print(
            f"| {name} | {warm['load']:.1f} s | {warm['warm-up']:.1f} s | "
            f"{1e3 * warm['first']:.0f} ms | {1e3 * cold['first']:.0f} ms | "
            f"{1e3 * warm['later']:.0f} ms |",
            flush=True,
        )


def first_request(model, image, warm):
    """Returns seconds: "load", "warm-up", the "first" request, and a "later" one."""
    import tensorflow as tf

    def seconds(function):
        start = time.perf_counter()
        function()
        return time.perf_counter() - start

    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph)
    loaded = []

    def load():
        with graph.as_default():
            loaded.append(tf.compat.v1.saved_model.load(session, ["serve"], str(model)))

    def send(signature_name, inputs):
        signature = loaded[0].signature_def[signature_name]
        feeds = {signature.inputs[name].name: inputs[name] for name in inputs}
        session.run([o.name for o in signature.outputs.values()], feeds)

    def replay():
        for request in warmup_requests(model):
            inputs = {n: tf.make_ndarray(t) for n, t in request.inputs.items()}
            send(request.model_spec.signature_name, inputs)

    found = {"load": seconds(load), "warm-up": seconds(replay) if warm else 0.0}
    inputs = {"image_bytes": [image.read_bytes()]}
    found["first"] = seconds(lambda: send("serving_default", inputs))
    later = [seconds(lambda: send("serving_default", inputs)) for _ in range(9)]
    return found | {"later": sorted(later)[4]}


def warmup_requests(model):
    import tensorflow as tf
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    records = tf.data.TFRecordDataset(str(model / WARMUP_FILE)).as_numpy_iterator()
    return [PredictionLog.FromString(record).predict_log.request for record in records]


if __name__ == "__main__":
    main()
