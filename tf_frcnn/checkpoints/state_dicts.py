"""State dicts of PyTorch: what training programs wrap them in, and put before names."""

from collections.abc import Mapping
from typing import Any

import numpy as np

# Where the weights are in the files of training programs; the first that is there.
WRAPPERS = (
    *("model", "state_dict", "model_state_dict", "net"),
    *("model_ema", "ema", "ema_model", "ema_state_dict"),
)
# Of a parallel or averaged model, of Lightning's modules, and of like ones.
_PREFIXES = ("module.", "model.", "ema_model.", "net.")
# Of torch.compile, before what was compiled.
_COMPILED = "_orig_mod."
# Of torch.optim.swa_utils.AveragedModel, beside the names that begin with module.
_COUNTER = "n_averaged"


def unwrapped(content: Any) -> tuple[Mapping[str, np.ndarray] | None, dict]:
    """Returns the state dict within what a file holds, and what is beside it."""
    if not isinstance(content, Mapping):
        return None, {}
    if content and all(
        isinstance(name, str) and isinstance(value, np.ndarray)
        for name, value in content.items()
    ):
        return content, {}
    for name in WRAPPERS:
        if isinstance(content.get(name), Mapping):
            weights, _ = unwrapped(content[name])
            if weights:
                return weights, {k: v for k, v in content.items() if k != name}
    return None, {}


def without_prefixes(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns a state dict without what stands before all of its names."""
    weights = {name.replace(_COMPILED, ""): value for name, value in weights.items()}
    while prefix := _prefix_of(weights):
        weights = {
            name.removeprefix(prefix): value
            for name, value in weights.items()
            if name.startswith(prefix)
        }
    return weights


def _prefix_of(weights):
    """Returns which of the prefixes all names have, but a counter."""
    names = weights.keys() - {_COUNTER}
    for prefix in _PREFIXES:
        if names and all(name.startswith(prefix) for name in names):
            return prefix
    return None
