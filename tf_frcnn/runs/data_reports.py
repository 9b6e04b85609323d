"""What a run says of its data: what was repaired, what is repeated, what was lost."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

from tf_frcnn.assembly import build_balance
from tf_frcnn.config import Config
from tf_frcnn.data import ExampleSet
from tf_frcnn.data.checks.problems import REPLACED
from tf_frcnn.runs.safe_files import write_text

SAMPLING_FILE, PROBLEMS_FILE = "sampling.json", "problems.json"


def report_data(directory: Path, sets: Sequence[ExampleSet]) -> None:
    """Prints and writes down what was repaired or dropped in the data.

    What an earlier part of the run wrote of images that were replaced stays.
    """
    earlier, rows = _written(directory), {}
    for place, examples in enumerate(sets):
        crowds = sum(int(r.crowd.sum()) for r in examples.records)
        objects = sum(len(r.boxes) for r in examples.records) - crowds
        print(
            f"{examples.name}: {len(examples.records)} images, {objects} objects, "
            f"{f'{crowds} crowd regions, ' if crowds else ''}"
            f"{len(examples.class_names)} classes."
        )
        # Parts of one split have its problems.
        if all(examples.problems is not one.problems for one in sets[:place]):
            examples.problems.print()
        own = rows[examples.name] = json.loads(examples.problems.to_json())
        before = earlier.get(examples.name, [])
        own += [r for r in before if r["action"] == REPLACED and r not in own]
    write_text(directory / PROBLEMS_FILE, json.dumps(rows, indent=1))


def report_replaced(directory: Path, examples: ExampleSet) -> None:
    """Prints and writes down which images could no longer be read during training.

    Args:
        directory: of a run, whose data were reported.
        examples: those that it trained on.
    """
    replaced = [row for row in examples.problems.rows if row.action == REPLACED]
    if not replaced:
        return
    rows = _written(directory)
    own = rows.setdefault(examples.name, [])
    found = [row._asdict() for row in replaced]
    own += [row for row in found if row not in own]
    write_text(directory / PROBLEMS_FILE, json.dumps(rows, indent=1))
    print(
        f"Images that could no longer be read during training: {len(replaced)} "
        f"({', '.join(row.file for row in replaced)}). Their reasons are in "
        f"{directory / PROBLEMS_FILE}."
    )


def report_sampling(directory: Path, config: Config, examples: ExampleSet) -> None:
    """Prints and writes down how often images come in an epoch, if not once each."""
    balance = build_balance(config, examples)
    if balance is None:
        return
    report = balance.report(examples.class_names)
    write_text(directory / SAMPLING_FILE, json.dumps(report, indent=1))
    classes = [f"{n} {factor:.1f}" for n, factor in report["class_factors"].items()]
    print(
        f"An epoch has {report['images_per_epoch']} images, drawn from "
        f"{report['images']}: {report['repeated_images']} are repeated, up to "
        f"{report['most_often']:.1f} times, for rare classes "
        f"({', '.join(classes) or 'none'}); of the {report['negatives']} without an "
        f"object {report['negatives_per_epoch']} come."
    )


def _written(directory: Path) -> dict[str, list[dict[str, str]]]:
    """Returns the problems that the run's file has, by set; none without a file."""
    with contextlib.suppress(FileNotFoundError):
        return json.loads((directory / PROBLEMS_FILE).read_text(encoding="utf-8"))
    return {}
