"""The commands of `tf-frcnn`: each takes its parsed options.

TensorFlow takes seconds to import, so each command imports what it needs.
"""

from pathlib import Path


def default_output(config: Path) -> Path:
    """Returns the run folder of a configuration."""
    return Path("runs") / config.stem


def train(options) -> None:
    """Trains, evaluates, draws and exports."""
    from tf_frcnn.config import load_config
    from tf_frcnn.inference import run_config
    from tf_frcnn.workflow import run_training

    if not (options.config or options.init):
        raise ValueError("train needs a CONFIG, or a run to start from by --init.")
    file, output = options.config, options.output
    if file is None:
        file = options.config = run_config(options.init)
        output = output or Path("runs") / f"{options.init.resolve().name}_tuned"
    config = load_config(file, options.set)
    output = output or default_output(file)
    run_training(config, output, resume=options.resume, init=options.init)


def evaluate(options) -> None:
    """Measures a run on a split."""
    from tf_frcnn.workflow import evaluate_run

    evaluate_run(
        options.run_folder, options.split, overrides=options.set, coco=options.coco
    )


def predict(options) -> None:
    """Draws and lists the detections of files."""
    from tf_frcnn.workflow import predict_files

    predict_files(options.run_folder, options.images, options.output, options.min_score)


def export(options) -> None:
    """Writes a version of a SavedModel."""
    from tf_frcnn.workflow import export_run

    settings = {
        "score_threshold": options.score_threshold,
        "max_per_image": options.max_detections,
        "class_agnostic_nms": "true" if options.class_agnostic_nms else None,
    }
    version = export_run(
        options.run_folder,
        options.directory,
        overrides=[f"detections.{n}={v}" for n, v in settings.items() if v is not None],
        version=options.version,
        max_megapixels=options.max_megapixels,
    )
    print(f"SavedModel: {version}")


def convert(options) -> None:
    """Makes a run folder of a published checkpoint."""
    from tf_frcnn.workflow import convert_checkpoint

    convert_checkpoint(
        options.source,
        options.file,
        options.output,
        classes=options.classes,
        variant=options.variant,
        strict=not options.allow_incomplete,
    )


def show_config(options) -> None:
    """Prints the effective configuration."""
    from tf_frcnn.config import dump_config, load_config

    print(dump_config(load_config(options.config, options.set)), end="")


def make_shapes(options) -> None:
    """Writes the built-in shapes as a VOC folder."""
    from tf_frcnn.workflow import write_shapes

    counts = {name: getattr(options, name) for name in ("train", "validation", "test")}
    write_shapes(options.directory, counts, options.seed)
