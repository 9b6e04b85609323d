"""The commands of `tf-frcnn`: each takes its parsed options.

TensorFlow takes seconds to import, so each command imports what it needs.
"""

import contextlib
from pathlib import Path


def default_output(config: Path) -> Path:
    """Returns the run folder of a configuration."""
    return Path("runs") / config.stem


def train(options) -> None:
    """Trains, evaluates, draws and exports."""
    from tf_frcnn.commands.workflow import run_training
    from tf_frcnn.config import load_config
    from tf_frcnn.runs.inference import run_config

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
    from tf_frcnn.commands.workflow import evaluate_run

    evaluate_run(
        options.run_folder, options.split, overrides=options.set, coco=options.coco
    )


def predict(options) -> None:
    """Draws and lists the detections of files."""
    from tf_frcnn.commands.workflow import predict_files

    predict_files(options.run_folder, options.images, options.output, options.min_score)


def export(options) -> None:
    """Writes a version of a SavedModel, or of a file for another runtime."""
    from tf_frcnn.commands.workflow import export_run

    changed = {
        "score_threshold": options.score_threshold,
        "max_per_image": options.max_detections,
        "class_agnostic_nms": "true" if options.class_agnostic_nms else None,
    }
    version = export_run(
        options.run_folder,
        options.directory,
        file_format=options.format,
        overrides=[f"detections.{n}={v}" for n, v in changed.items() if v is not None],
        version=options.version,
        **_export_settings(options),
    )
    name = {"savedmodel": "SavedModel", "onnx": "ONNX", "tflite": "TFLite"}
    print(f"{name[options.format]}: {version}")


def _export_settings(options) -> dict:
    """Returns what is set of one kind of format alone; of the other it is an error."""
    is_saved_model = options.format == "savedmodel"
    if is_saved_model and options.canvas:
        raise ValueError("--canvas needs --format onnx or tflite.")
    if not is_saved_model and options.max_megapixels is not None:
        raise ValueError(
            "--max-megapixels needs --format savedmodel: other files take no encoded "
            "pictures."
        )
    own = "max_megapixels" if is_saved_model else "canvas"
    value = getattr(options, own)
    return {} if value is None else {own: value}


def client(options) -> None:
    """Draws and lists the detections of files that a server makes."""
    from tf_frcnn.client import connect, detect_files

    service = connect(
        options.model,
        options.version,
        url=options.url,
        grpc=options.grpc,
        timeout=options.timeout,
        retries=options.retries,
        concurrency=options.concurrency,
    )
    with contextlib.closing(service):
        detect_files(
            service,
            options.images,
            options.output,
            options.min_score,
            batch_size=options.batch_size,
            concurrency=options.concurrency,
        )


def demo(options) -> None:
    """Serves a web page that shows detections."""
    from tf_frcnn.commands.workflow import serve_demo

    serve_demo(
        options.run_folder,
        host=options.host,
        port=options.port,
        public_host=options.public_host,
        max_megabytes=options.max_megabytes,
        max_megapixels=options.max_megapixels,
    )


def convert(options) -> None:
    """Makes a run folder of a published checkpoint."""
    from tf_frcnn.commands.workflow import convert_checkpoint

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
    from tf_frcnn.commands.workflow import write_shapes

    counts = {name: getattr(options, name) for name in ("train", "validation", "test")}
    write_shapes(options.directory, counts, options.seed)
