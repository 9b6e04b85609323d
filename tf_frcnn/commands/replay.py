"""`tf-frcnn replay`: a step that was not finite, repeated on the spot."""

from __future__ import annotations

import argparse

from tf_frcnn.commands.arguments import expanded_path

HELP = "repeat a step that was not finite, and name the first layer"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "file", type=expanded_path, metavar="FILE", help="RUN/black_box_STEP.npz"
    )


def run(options: argparse.Namespace) -> None:
    """Repeats the step and prints what it showed."""
    from tf_frcnn.runs.black_box import read_step
    from tf_frcnn.runs.replaying import replay

    kept = read_step(options.file)
    shown = replay(kept)
    print(f"{kept.bad}.")
    again = ", ".join(f"{name} {loss:g}" for name, loss in shown.losses.items())
    print(f"Repeated: {again}.")
    if not _are_alike(kept.bad.losses, shown.losses):
        print("They differ: sums of huge numbers overflow in another order.")
    print(f"First not finite: {shown.first or 'nothing, this time'}.")
    names = [weight.path for weight in kept.model.weights]
    weight_norms = dict(zip(names, kept.weight_norms, strict=True))
    _print_norms(weight_norms, shown.gradient_norms)


def _are_alike(then: dict[str, float], now: dict[str, float]) -> bool:
    import numpy as np

    before, after = [*then.values()], [*now.values()]
    return np.allclose(before, after, rtol=1e-3, atol=0.0, equal_nan=True)


def _print_norms(weights: dict[str, float], gradients: dict[str, float]) -> None:
    """Prints the norms per layer, from the images to the losses."""
    width = max(map(len, weights))
    print(f"\n{'norm':<{width}} {'weights':>12} {'gradient':>12}")
    for name, norm in weights.items():
        gradient = f"{gradients[name]:12.4g}" if name in gradients else f"{'-':>12}"
        print(f"{name:<{width}} {norm:12.4g} {gradient}")
