"""Exports training steps and inferences as XLA programs that JAX runs on a GPU.

    python benchmarks/gpu/export_programs.py programs
    python benchmarks/gpu/run_programs.py programs      # on the machine with the GPU

A machine without TensorFlow, but with JAX and PyTorch, so measures what XLA makes of
them there, beside torchvision. A program is a folder: `program.hlo`, and `about.json`
with the shapes of its inputs and the losses that TensorFlow computes on this machine,
by XLA, from the same made-up weights and images.
"""

import argparse
import json
import zlib
from pathlib import Path

import made_up
import numpy as np
import tensorflow as tf
from tensorflow.compiler.xla.service import hlo_pb2

from tf_frcnn.assembly import build_model, compile_model
from tf_frcnn.config import load_config

# Recipe and canvas (height, width).
MODELS = {
    "resnet50_fpn": ("torchvision_resnet50_fpn", (800, 1344)),
    "vgg16": ("vgg16_voc07", (608, 1008)),
}
PRECISIONS = ("float32", "bfloat16")
NUM_CLASSES = {"resnet50_fpn": 80, "vgg16": 20}
KINDS = ("training", "inference")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--precisions", nargs="+", default=PRECISIONS)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 2, 8])
    parser.add_argument("--kinds", nargs="+", default=KINDS)
    parser.add_argument("--canvas", nargs=2, type=int, help="smaller, for a trial")
    parser.add_argument("--checked", action="store_true", help="compute the results")
    options = parser.parse_args()
    for name in options.models:
        for precision in options.precisions:
            model, canvas = build(name, precision)
            for batch in options.batches:
                for kind in options.kinds:
                    folder = options.output / f"{name}-{kind}-{precision}-{batch}"
                    size = tuple(options.canvas or canvas)
                    export(model, kind, batch, size, folder, checked=options.checked)


def build(name, precision):
    """Returns a compiled model and its canvas."""
    recipe, canvas = MODELS[name]
    settings = [f"train.precision={precision}", "train.jit_compile=true"]
    if name == "resnet50_fpn":
        settings += ["backbone.normalization=frozen_batch", "backbone.frozen_blocks=2"]
    config = load_config(f"configs/{recipe}.yaml", settings)
    model = build_model(config, [str(k) for k in range(NUM_CLASSES[name])])
    compile_model(config, model, steps_per_epoch=100)
    return model, canvas


def variables_of(model):
    """Returns all variables, those of the optimizer last."""
    return [*model.variables, *model.optimizer.variables]


def export(model, kind, batch_size, canvas, folder, *, checked):
    """Writes a program and what is needed to call it."""
    inputs = made_up.batch(batch_size, canvas, len(model.class_names))
    step = training_step(model) if kind == "training" else inference(model)
    arguments = {name: tf.constant(value) for name, value in inputs.items()}
    concrete = step.get_concrete_function(arguments)
    program = step.experimental_get_compiler_ir(arguments)(stage="hlo_serialized")
    numbers = {id(v.value.handle): n for n, v in enumerate(variables_of(model))}
    # The function's inputs come in the order of their names, then what it captures.
    captured = [numbers.get(id(tensor)) for tensor in concrete.captured_inputs]
    assert None not in captured, "a captured tensor is no variable of the model"
    variables = variables_of(model)
    about = {
        "kind": kind,
        "batch": batch_size,
        "canvas": canvas,
        "classes": len(model.class_names),
        "inputs": sorted(inputs),
        "captured": [
            (n, variables[n].path, tuple(variables[n].shape), str(variables[n].dtype))
            for n in captured
        ],
        "outputs": sorted(concrete.structured_outputs),
    }
    if checked:
        for number, variable in enumerate(variables_of(model)):
            variable.assign(made_up.value(number, variable.path, tuple(variable.shape)))
        results = step(arguments)
        about["results"] = {
            name: np.asarray(v, np.float64).ravel()[:8].tolist()
            for name, v in results.items()
        }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "program.hlo").write_bytes(zlib.compress(without_copies(program), 9))
    (folder / "about.json").write_text(json.dumps(about))
    print(f"{folder}: {len(program) / 1e6:.1f} MB", flush=True)


def without_copies(program):
    """Returns a program whose copies of results are reshapes to the same shape.

    JAX reads the one and not the other.
    """
    module = hlo_pb2.HloModuleProto.FromString(program)
    for computation in module.computations:
        for instruction in computation.instructions:
            if instruction.opcode == "copy":
                instruction.opcode = "reshape"
    return module.SerializeToString()


def training_step(model):
    """Returns losses and gradients, and moves the weights."""

    @tf.function(jit_compile=True)
    def step(batch):
        batch = dict(batch)
        number = batch.pop("step")
        losses, gradients = model._compute_losses_and_gradients(batch, number)
        model.optimizer.apply(gradients, model.trainable_variables)
        return {name: losses[name] for name in model.loss_names}

    return step


def inference(model):
    @tf.function(jit_compile=True)
    def step(batch):
        names = ("images", "image_sizes", "scales", "file_sizes")
        found = model.call({name: batch[name] for name in names})
        return found

    return step


if __name__ == "__main__":
    main()
