"""Times exported XLA programs by JAX, and torchvision's detectors beside them.

    python run_programs.py programs --output times.json

Needs JAX, or PyTorch and torchvision, or both; not TensorFlow. TF32 is allowed to both
for float32, as XLA does by itself. Times are medians of synchronised steps; memory is
the most that was allocated.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import made_up
import numpy as np

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("programs", type=Path)
    parser.add_argument("--output", type=Path, default=Path("times.json"))
    parser.add_argument("--by", nargs="+", default=["xla", "eager", "compiled"])
    parser.add_argument("--only", default="", help="part of the programs' names")
    parser.add_argument("--profile", type=int, default=0, help="operations to list")
    parser.add_argument("--threads", type=int, default=6, help="that compile")
    options = parser.parse_args()
    folders = [f for f in sorted(options.programs.iterdir()) if options.only in f.name]
    rows = []

    def add(row):
        rows.append(row)
        print(json.dumps(row), flush=True)
        options.output.write_text("\n".join(map(json.dumps, rows)))

    if "xla" in options.by:
        for row in run_all(folders, options.threads, options.profile):
            add(row)
    for form in [form for form in options.by if form != "xla"]:
        for folder in folders:
            add(run_peer(folder, form))


def run_all(folders, threads, num_operations):
    """Compiles programs side by side, and runs one after the other."""
    import jax

    jax.config.update("jax_enable_x64", True)
    device = jax.devices()[0]
    print(f"JAX {jax.__version__}, {device.device_kind}", flush=True)
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        compiled = {folder: pool.submit(compile_program, folder) for folder in folders}
        for folder, future in compiled.items():
            try:
                program, seconds = future.result()
                yield {"program": folder.name, "by": "XLA", "compile_s": seconds} | (
                    run_program(folder, program, device, num_operations)
                )
            except Exception as error:  # One program that fails is a row, not the end.
                yield {"program": folder.name, "by": "XLA", "error": str(error)[:300]}


def compile_program(folder):
    """Returns an executable and the seconds that it took."""
    import jax
    from jax._src.lib import _jax, xla_client

    start = time.perf_counter()
    hlo = zlib.decompress((folder / "program.hlo").read_bytes())
    computation = xla_client.XlaComputation(hlo)
    module = _jax.mlir.xla_computation_to_mlir_module(computation)
    client, device = jax.devices()[0].client, jax.devices()[0]
    options = xla_client.CompileOptions()
    devices = xla_client.DeviceList((device,))
    program = client.compile_and_load(module, devices, options)
    return program, round(time.perf_counter() - start, 1)


def run_program(folder, program, device, num_operations):
    """Returns times, memory, and how far the results are from TensorFlow's."""
    import jax

    about = json.loads((folder / "about.json").read_text())
    inputs = made_up.batch(about["batch"], about["canvas"], about["classes"])
    arrays = [inputs[name] for name in about["inputs"]]
    for number, path, shape, dtype in about["captured"]:
        value = made_up.value(number, path, tuple(shape))
        arrays.append(np.asarray(value).astype(dtype))
    arrays = [jax.device_put(array, device) for array in arrays]

    updates = updates_of(program)

    def step():
        # A raw program takes and gives lists of arrays per output and device.
        results = program.execute_sharded(arrays)
        outputs = [
            output for (output,) in results.disassemble_into_single_device_arrays()
        ]
        for output in outputs:
            output.block_until_ready()
        for place, argument in updates.items():
            arrays[argument] = outputs[place]
        return outputs

    outputs = step()
    row = times_of(step)
    if num_operations:
        row["operations"] = longest_operations(step, num_operations)
    memory = program.get_compiled_memory_stats()
    taken = memory.argument_size_in_bytes + memory.output_size_in_bytes
    row["memory_gb"] = round((taken + memory.temp_size_in_bytes) / 1e9, 2)
    named = dict(zip(about["outputs"], outputs, strict=False))
    expected = about.get("results", {})
    return row | {
        "results": {
            name: [
                np.asarray(named[name], np.float64).ravel()[:3].tolist(),
                expected[name][:3],
            ]
            for name in expected
        }
    }


def longest_operations(step, count):
    """Returns [name, milliseconds, calls] of what takes longest in a step."""
    import jax

    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            step()
        (path,) = Path(folder).rglob("*.xplane.pb")
        planes = jax.profiler.ProfileData.from_file(str(path)).planes
        events = [
            (event.name, event.duration_ns / 1e6)
            for plane in planes
            if "GPU" in plane.name
            for line in plane.lines
            if line.name.startswith("Stream")
            for event in line.events
        ]
    calls = collections.Counter(name for name, _ in events)
    times = collections.Counter()
    for name, duration in events:
        times[name] += duration
    longest = [
        (name[:80], round(duration, 3), calls[name])
        for name, duration in times.most_common(count)
    ]
    return [("all", round(times.total(), 3), calls.total()), *longest]


def updates_of(program):
    """Returns the place of each output that is the new value of an argument."""
    (module,) = program.hlo_modules()
    aliases = re.search(r"input_output_alias=\{(.*?)\}, \w+=", module.to_string())
    pairs = re.findall(r"\{(\d*)\}: \((\d+),", aliases[1]) if aliases else []
    return {int(place or 0): int(argument) for place, argument in pairs}


def times_of(step, seconds=6.0):
    """Returns the median of a step's times, and their number."""
    step()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 5 or (time.perf_counter() < end and len(times) < 50):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return {"seconds": round(float(np.median(times)), 5), "steps": len(times)}


def run_peer(folder, form):
    """Runs torchvision's detector for a program's job in a process of its own."""
    command = [sys.executable, Path(__file__).with_name("peers.py"), folder, form]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    own = {"program": folder.name, "by": f"torchvision {form}"}
    try:
        return own | json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return own | {"error": done.stderr[-300:]}


if __name__ == "__main__":
    main()
