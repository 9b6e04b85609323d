"""The splits of a run, opened before its first step."""

from rich.console import Console

from tf_frcnn.assembly import Splits
from tf_frcnn.config import Config
from tf_frcnn.data import ExampleSet, MissingSplitError
from tf_frcnn.doctor.brief import brief_findings
from tf_frcnn.doctor.terminal import finding_lines

_FINDINGS_SHOWN = 8


def open_splits(config: Config, splits: Splits) -> str:
    """Reads all splits that a run needs, so that none is missed after hours.

    What would spoil the run or its figures is printed: images that are in two splits,
    classes that have no object to learn from or two names, objects that no anchor
    reaches, and the like; see `doctor.brief`.

    Args:
        config: the configuration.
        splits: its splits.

    Returns:
        The split of the final evaluation: "test"; "validation" if there is no test
        split, or if the model needs stored proposals, which test images lack.

    Raises:
        DataError: a split of the training cannot be read, or one has other classes.
    """
    sets = {"train": splits.read("train")}
    class_names = sets["train"].class_names
    sets["validation"] = splits.read("validation", class_names)
    final = "validation"
    if config.model.kind != "fast_rcnn":
        try:
            sets["test"] = splits.read("test", class_names)
            final = "test"
        except MissingSplitError as error:
            print(
                f"{error} Without a test split the final evaluation is that of the "
                "validation split."
            )
    _report_findings(sets, config)
    return final


def _report_findings(sets: dict[str, ExampleSet], config: Config) -> None:
    """Prints what costs hours, on one screen."""
    findings = brief_findings(sets, config)
    console = Console()
    for line in finding_lines(findings[:_FINDINGS_SHOWN]):
        console.print(line, soft_wrap=True)
    if findings:
        more = len(findings) - _FINDINGS_SHOWN
        print(
            (f"... and {more} more such findings. " if more > 0 else "")
            + "`tf-frcnn doctor` examines the data in full."
        )
