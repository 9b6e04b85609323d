"""The whole of `tf-frcnn predict --runner`: from files to lists."""

from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam
from apache_beam.metrics import MetricsFilter
from apache_beam.runners.runner import PipelineResult

from tf_frcnn.beam.addresses import is_remote
from tf_frcnn.beam.detecting import DETECTIONS, IMAGES, NAMESPACE, UNREADABLE, Detect
from tf_frcnn.beam.inputs import FindImages, Images
from tf_frcnn.beam.options import pipeline_options
from tf_frcnn.beam.outputs import Lists
from tf_frcnn.data import DataError
from tf_frcnn.runs.outputs import require_writable


def check_pipeline(
    lists: Lists, runner: str, options: Sequence[str], *, overwrite: bool
) -> None:
    """Raises what `predict_on_beam` would raise before it computes anything.

    Arguments as of that function; the images are not looked for.
    """
    pipeline_options(runner, options)
    if not is_remote(lists.folder):
        require_writable(Path(lists.folder))
    lists.require_room(overwrite=overwrite)


def predict_on_beam(
    model: str,
    images: Images,
    lists: Lists,
    *,
    runner: str = "DirectRunner",
    options: Sequence[str] = (),
    min_score: float | None = None,
    batch_size: int | None = None,
    overwrite: bool = False,
) -> dict[str, int]:
    """Detects objects in files on a runner of Beam; waits for the end.

    The entries are those of `runs.predicting.predict_files`, in any order.

    Args:
        model: the folder of an exported version, which all workers can read.
        images: the files.
        lists: where the results go.
        runner: its name, or that of its class.
        options: Beam's, "NAME=VALUE" or "NAME".
        min_score: detections below it are left out; None for 0.5, or for 0 where the
            model has thresholds of its classes.
        batch_size: most images per batch; None for the model's own number.
        overwrite: whether to replace lists.

    Returns:
        The pipeline's counters: `images`, `unreadable_images`, `detections`.

    Raises:
        DataError: none of the images is readable, or there are none.
        ValueError: Beam does not know an option.
        OSError: lists exist, or cannot be written; nothing was computed.
    """
    check_pipeline(lists, runner, options, overwrite=overwrite)
    pipeline = beam.Pipeline(options=pipeline_options(runner, options))
    found = pipeline | "Find" >> FindImages(images)
    entries = found | "Detect" >> Detect(model, min_score, batch_size)
    _ = entries | "Write" >> lists.writer()
    lists.make_room()
    result = pipeline.run()
    result.wait_until_finish()
    counts = _counts_of(result)
    _require_some(counts, lists)
    return counts


def _counts_of(result: PipelineResult) -> dict[str, int]:
    own = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))
    counts = dict.fromkeys((IMAGES, UNREADABLE, DETECTIONS), 0)
    for counter in own["counters"]:
        # Not every runner tells which were committed.
        number = counter.committed if counter.committed is not None else 0
        counts[counter.key.metric.name] += number or counter.attempted or 0
    return counts


def _require_some(counts: dict[str, int], lists: Lists) -> None:
    if not counts[IMAGES]:
        raise DataError("No image found; give files, or patterns of files.")
    if counts[IMAGES] == counts[UNREADABLE]:
        raise DataError(
            f"None of the {counts[IMAGES]} images is readable; {lists.pattern} has "
            "the reasons."
        )
