"""Times an exported program, compiled and run by JAX.

    echo | python xla.py programs/vgg16-training-float32-2 --profile 20

Prints "ready", waits for a line, and prints the seconds of a step and the memory as
JSON. The memory is what the compiled program needs.
"""

import argparse
import collections
import json
import re
import tempfile
import time
import zlib
from pathlib import Path

import jax
import made_up
import numpy as np
from jax._src.lib import _jax, xla_client
from timing import times_of, wait_for_turn


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--profile", type=int, default=0, help="operations to list")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    device = jax.devices()[0]
    program, seconds = compile_program(options.program)
    wait_for_turn()
    row = run_program(options.program, program, device, options.profile)
    about = {"jax": jax.__version__, "device": device.device_kind}
    print(json.dumps(row | about | {"compile_s": seconds}))


def compile_program(folder):
    """Returns an executable and the seconds that it took."""
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
    """Returns times and memory, and the results beside TensorFlow's."""
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


if __name__ == "__main__":
    main()
