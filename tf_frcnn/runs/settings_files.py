"""The settings in a run folder, known before TensorFlow is there."""

from collections.abc import Sequence
from pathlib import Path

from tf_frcnn.config import Config, dump_config
from tf_frcnn.runs.safe_files import checksum, write_text
from tf_frcnn.runs.state import RunState

CONFIG_FILE, CLASSES_FILE = "config.yaml", "classes.txt"
SETTINGS_FILES = (CONFIG_FILE, CLASSES_FILE)


def write_settings(
    directory: Path, config: Config, class_names: Sequence[str]
) -> dict[str, str]:
    """Writes the effective configuration and the class names into a run folder.

    Returns:
        The files' names and checksums, for the `RunState`.
    """
    names = "".join(f"{name}\n" for name in class_names)
    write_text(directory / CLASSES_FILE, names)
    write_text(directory / CONFIG_FILE, dump_config(config))
    return {name: checksum(directory / name) for name in SETTINGS_FILES}


def run_config(directory: Path) -> Path:
    """Returns the configuration file of a run folder.

    Raises:
        FileNotFoundError: the folder lacks a file that every run has.
    """
    for name in (CONFIG_FILE, CLASSES_FILE):
        if not (directory / name).is_file():
            raise FileNotFoundError(
                f"{directory} is not a run folder: it has no {name}. Give the folder "
                "that tf-frcnn train or convert printed, or save_to_preset wrote."
            )
    return directory / CONFIG_FILE


def run_classes(directory: Path) -> tuple[str, ...]:
    """Returns the class names of a run folder.

    Raises:
        ValueError: the file is not UTF-8 text.
    """
    path = directory / CLASSES_FILE
    try:
        return tuple(path.read_text(encoding="utf-8").splitlines())
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: it is not UTF-8 text.") from error


def changed_files(directory: Path, state: RunState) -> list[str]:
    """Returns the names of settings that are not as the run wrote them."""
    return [
        name
        for name, digest in state.files.items()
        if checksum(directory / name) != digest
    ]
