"""What the machine computes fast."""

import re
from pathlib import Path

import tensorflow as tf

_CPU_FILE = Path("/proc/cpuinfo")
# The first generation of NVIDIA's GPUs that multiplies bfloat16 (Ampere).
_FIRST_GPU = (8, 0)


def multiplies_bfloat16() -> bool:
    """Returns whether the GPUs, or else the CPU, have instructions for bfloat16.

    Others emulate it, slower than float32.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        text = _CPU_FILE.read_text() if _CPU_FILE.is_file() else ""
        return bool(re.search(r"\b(amx_bf16|avx512_bf16)\b", text))
    details = map(tf.config.experimental.get_device_details, gpus)
    return all(d.get("compute_capability", (0, 0)) >= _FIRST_GPU for d in details)
