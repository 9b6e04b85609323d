"""A training as one HTML file that loads nothing from elsewhere."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tf_frcnn.config import Config
from tf_frcnn.drawing.pages import image_address, render_page
from tf_frcnn.report import charts
from tf_frcnn.report.charts import Chart, Line, draw_chart
from tf_frcnn.report.curves import Curves

_TEMPLATE = Path(__file__).parent / "training.html"
SIDES = {
    "width": charts.WIDTH,
    "height": charts.HEIGHT,
    "left": charts.LEFT,
    "below": charts.BELOW,
}
# The columns by what they tell, with the titles of their charts.
VALIDATION = {"val_mAP": "mAP", "val_recall": "average recall of the proposals"}
LOSSES = {
    "loss": "all losses",
    "rpn_class_loss": "RPN: object or background",
    "rpn_box_loss": "RPN: boxes",
    "roi_class_loss": "RoI head: classes",
    "roi_box_loss": "RoI head: boxes",
    "decay_loss": "weight decay",
}
STEPS = {
    "learning_rate": "learning rate at the epoch's start",
    "gradient_norm": "norm of the gradients, before clipping",
    "positive_anchors": "anchors per image that have to find an object",
    "foreground_rois": "RoIs per image that learn an object",
    "proposal_recall": "share of the objects that a proposal covers",
    "skipped": "share of steps that were passed over",
}
TIMES = {
    "images_per_second": "images per second",
    "data_wait": "share of the time that waits for data",
}
_AP, _ROIS = "val_AP/", "foreground_rois/"
# Always shown, beside the settings that differ from the defaults.
_MAIN_SETTINGS = (
    *("data.reader", "data.directory", "data.train_split", "data.batch_size"),
    *("backbone.name", "images.short_side", "train.epochs", "train.optimizer"),
    *("train.learning_rate", "train.schedule", "seed"),
)
_STILL_RISING, _EARLY = 0.9, 0.6


class Training(NamedTuple):
    """What the page of a training shows.

    Attributes:
        name: of the run.
        config: its settings.
        log: its curves.
        times: those of the machine; None if they were not measured.
        best: (name, value, epoch) of the best validation; None if there was none.
        metrics: of the final evaluation, by the names of their files.
        pictures: drawings by their paths within the run folder, uint8 [h, w, 3].
        files: other files of the run folder, with a word on each.
    """

    name: str
    config: Config
    log: Curves
    times: Curves | None
    best: tuple[str, float, int] | None
    metrics: Mapping[str, float]
    pictures: Mapping[str, np.ndarray]
    files: Mapping[str, str]


class ClassRow(NamedTuple):
    """A class.

    Attributes:
        name: of the class.
        best: highest average precision; NaN without any.
        last: of the last validation.
        rois: RoIs per image that learned it in the last epoch.
        chart: of the average precisions.
    """

    name: str
    best: float
    last: float
    rois: float
    chart: Chart | None


def page_of(training: Training) -> str:
    """Returns the page of a training as HTML."""
    log, times = training.log, training.times
    best = training.best
    return render_page(
        _TEMPLATE,
        training=training,
        sides=SIDES,
        validation=_charts(log, VALIDATION, mark=best[2] if best else None),
        losses=[*map(_loss_chart, [log] * len(LOSSES), LOSSES)],
        steps=_charts(log, STEPS),
        times=_charts(times, TIMES) if times else [],
        classes=class_rows(log),
        remarks=remarks_on(training),
        settings=settings_of(training.config),
        pictures={n: image_address(p) for n, p in training.pictures.items()},
    )


def _charts(
    log: Curves, titles: Mapping[str, str], *, mark: float | None = None
) -> list[Chart]:
    drawn = [
        draw_chart(title, [Line(name, log.epochs, log.of(name))], mark=mark)
        for name, title in titles.items()
    ]
    return [chart for chart in drawn if chart]


def _loss_chart(log: Curves, name: str) -> Chart | None:
    lines = [
        Line(own, log.epochs, log.of(own), kind)
        for kind, own in enumerate((name, f"val_{name}"))
    ]
    return draw_chart(LOSSES[name], lines)


def class_rows(log: Curves) -> list[ClassRow]:
    """Returns a row for each class of which something was logged."""
    names = [
        column.removeprefix(start)
        for column in log.columns
        for start in (_AP, _ROIS)
        if column.startswith(start)
    ]
    rows = []
    for name in sorted(dict.fromkeys(names)):
        ap, rois = log.of(f"{_AP}{name}"), log.of(f"{_ROIS}{name}")
        known = ap[np.isfinite(ap)]
        last, best = (known[-1], known.max()) if len(known) else (np.nan, np.nan)
        chart = draw_chart(name, [Line(name, log.epochs, ap)])
        rows.append(ClassRow(name, float(best), float(last), float(rois[-1]), chart))
    return rows


def remarks_on(training: Training) -> list[str]:
    """Returns what the curves say of the settings, a sentence each."""
    remarks, log = [], training.log
    if training.best is not None and len(log.epochs) > 2:
        name, _, epoch = training.best
        last = int(log.epochs[-1])
        if epoch > _STILL_RISING * last:
            remarks.append(
                f"`{name}` was best in one of the last epochs: it may rise further "
                "with more of them (`train.epochs`)."
            )
        elif epoch < _EARLY * last:
            remarks.append(
                f"Nothing after epoch {epoch} of {last} was better: fewer epochs "
                "(`train.epochs`, `train.patience`) do as well, or more changes of the "
                "images (`augment`) help."
            )
    if training.times is not None:
        waits = training.times.of("data_wait")
        if np.isfinite(waits).any() and np.nanmean(waits) > 0.2:
            remarks.append(
                f"Training waited for its data in {np.nanmean(waits):.0%} of the time: "
                "see `data.cache`."
            )
    recall = log.of("proposal_recall")
    if len(recall) and recall[-1] < 0.8:
        remarks.append(
            f"In the last epoch proposals covered {recall[-1]:.0%} of the objects, and "
            "what no proposal covers cannot be found: `tf-frcnn doctor` says whether "
            "the anchors fit the objects."
        )
    return remarks


def settings_of(config: Config) -> dict[str, str]:
    """Returns the main settings, and those that differ from the defaults."""
    own, defaults = flat_settings(config), flat_settings(Config())
    other = [name for name, value in own.items() if value != defaults.get(name)]
    names = dict.fromkeys([*_MAIN_SETTINGS, *other])
    return {name: own[name] for name in names if name in own}


def flat_settings(config: Config) -> dict[str, str]:
    """Returns all settings as texts by names such as "train.epochs"."""
    return {n: _written(v) for n, v in _flat(config.model_dump()).items()}


def _flat(tree: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = value
    return found


def _written(value: Any) -> str:
    """Returns a value as YAML writes it, nearly."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_written, value))}]"
    return str(value)
