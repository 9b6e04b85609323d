"""`tf-frcnn predict` of videos: a list of what is in each frame, and a drawn video."""

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tf_frcnn.config import load_config
from tf_frcnn.data import DataError
from tf_frcnn.data.checks.progress import with_progress
from tf_frcnn.data.decoding.pictures import ImageError
from tf_frcnn.data.readers.video import (
    Frame,
    Video,
    find_videos,
    open_video,
    require_packages,
)
from tf_frcnn.drawing.video import VideoWriter
from tf_frcnn.models import Detector
from tf_frcnn.runs.drawings import draw_entry
from tf_frcnn.runs.inference import load_detector, shown_from
from tf_frcnn.runs.outputs import require_free, require_writable
from tf_frcnn.runs.prediction_outputs import free_names, require_no_source
from tf_frcnn.runs.predictions import ImageResult, entry_of
from tf_frcnn.runs.result_lines import ResultLines
from tf_frcnn.runs.settings_files import run_config
from tf_frcnn.runs.writing import named_errors


class VideoOutputs(NamedTuple):
    """The files of a video.

    Attributes:
        lines: the list, a line for each frame.
        drawn: the video with boxes; None for none.
    """

    lines: Path
    drawn: Path | None


def predict_videos(
    directory: Path,
    patterns: Sequence[str],
    folder: Path,
    *,
    min_score: float | None = None,
    batch_size: int | None = None,
    draws: bool = True,
    overwrite: bool = False,
    overrides: Sequence[str] = (),
) -> None:
    """Detects objects in the frames of videos; lists and draws them as they come.

    Args:
        directory: the run folder.
        patterns: video files, glob patterns, addresses or devices of cameras.
        folder: of the results, named like the videos.
        min_score: detections below it are neither drawn nor listed; None for 0.5, or
            for 0 where the run has thresholds of its classes.
        batch_size: most frames per batch; None for the run's number.
        draws: whether to write videos, too.
        overwrite: whether to replace files; never a video given.
        overrides: settings that replace those of the run.

    Raises:
        DataError: a video cannot be opened, or is damaged; what was before is written.
        KeyboardInterrupt: the user stopped it, as one does with a camera; likewise.
        OSError: a result exists, or cannot be written; nothing was computed.
    """
    config = load_config(run_config(directory), overrides)
    min_score = shown_from(config) if min_score is None else min_score
    require_packages()
    places = find_videos(patterns)
    outputs = _plan(places, folder, draws=draws, overwrite=overwrite)
    # What cannot be opened is told before the model is loaded.
    for place in places:
        with open_video(place):
            pass
    model = load_detector(directory, overrides).model
    for place, own in zip(places, outputs, strict=True):
        with open_video(place) as video:
            _predict(model, video, own, min_score, batch_size)


def _predict(
    model: Detector,
    video: Video,
    outputs: VideoOutputs,
    min_score: float,
    batch_size: int | None,
) -> None:
    """Lists and draws one video."""
    size = batch_size or model.settings.data.batch_size
    found: Iterable = _entries(model, video, min_score, size)
    if video.num_frames:
        found = with_progress(found, video.num_frames, "Detecting objects")
    done = 0
    try:
        for entry in _written(found, video, outputs, model):
            done, time = entry["frame"] + 1, entry["time"]
    except (DataError, KeyboardInterrupt) as error:
        kept = f" What was before is in {outputs.lines}." if done else ""
        message = f"Stopped after {done} frames." if not str(error) else str(error)
        raise type(error)(message + kept) from error
    if not done:
        raise DataError(f"{video.place}: there is no frame in it.")
    names = " and ".join(str(path) for path in outputs if path is not None)
    print(f"{video.place}: {done} frames, {time:.2f} s: {names}")
    if done < video.num_frames:
        print(f"The file states {video.num_frames} frames; is its end cut off?")


def _entries(
    model: Detector, video: Video, min_score: float, size: int
) -> Iterator[tuple[Frame, dict[str, Any]]]:
    """Yields each frame and its entry, a batch of frames in memory at a time."""
    for frames in _in_batches(video.frames(), size):
        pixels = [frame.pixels for frame in frames]
        try:
            found = model.detect(pixels, batch_size=size)
        except ImageError as error:
            reason = str(error).partition(": ")[2]
            raise DataError(f"{video.place}: a frame of it: {reason}") from error
        for frame, own in zip(frames, found, strict=True):
            entry = entry_of(ImageResult("", own, model.class_names), min_score)
            del entry["file"]
            yield frame, {"frame": frame.number, "time": round(frame.time, 6)} | entry


def _in_batches(frames: Iterator[Frame], size: int) -> Iterator[list[Frame]]:
    """Yields frames together; those before an error first, and then the error."""
    batch, failure = [], None
    try:
        for frame in frames:
            batch.append(frame)
            if len(batch) == size:
                yield batch
                batch = []
    except DataError as error:
        failure = error
    if batch:
        yield batch
    if failure is not None:
        raise failure


def _written(
    found: Iterable[tuple[Frame, dict[str, Any]]],
    video: Video,
    outputs: VideoOutputs,
    model: Detector,
) -> Iterator[dict[str, Any]]:
    """Writes what was found, and yields the entries that are written."""
    with contextlib.ExitStack() as stack:
        lines = stack.enter_context(ResultLines(outputs.lines))
        writer = None
        if outputs.drawn is not None:
            stack.enter_context(named_errors(outputs.drawn))
            writer = stack.enter_context(VideoWriter(outputs.drawn, video.rate))
        for frame, entry in found:
            lines.add(entry)
            if writer is not None:
                own = entry["detections"]
                drawn = draw_entry(frame.pixels, own, model.class_names)
                writer.add(drawn, frame.time)
            yield entry


def _plan(
    places: Sequence[str], folder: Path, *, draws: bool, overwrite: bool
) -> list[VideoOutputs]:
    """Names the files of each video, and makes sure that none is there."""
    names = free_names([_file_of(place) for place in places], "", "", ())
    outputs = [
        VideoOutputs(folder / f"{n}.jsonl", folder / f"{n}.mp4" if draws else None)
        for n in names
    ]
    paths = [path for own in outputs for path in own if path is not None]
    require_no_source(paths, places)
    require_free(paths, overwrite=overwrite)
    require_writable(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return outputs


def _file_of(place: str) -> str:
    """Returns a place as a name of a file: rtsp://host:554/door?a=1 is door."""
    path = place.partition("?")[0] if "://" in place else place
    return re.sub(r"[^\w.() -]", "_", Path(path).name) or "video"
