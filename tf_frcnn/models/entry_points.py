"""The ways into a model and out of it, as methods.

They belong to higher floors of the package, which know folders, published weights and
other formats; each method imports what it needs when it is called. This is the only
module of which imports go up.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self


class EntryPoints:
    """Presets and exports of a detector."""

    @classmethod
    def from_preset(
        cls,
        preset: str | PathLike,
        *,
        class_names: Sequence[str] | None = None,
        num_classes: int | None = None,
        weights: str | PathLike | None = None,
        box_format: str | None = None,
        **settings: Any,
    ) -> Self:
        """Makes a model from a recipe, or loads one from a folder.

        Args:
            preset: the name of a recipe, see `presets`; or the folder of a run, of a
                converted checkpoint, or of `save_to_preset`.
            class_names: of the K classes, without background. A folder, and published
                weights of a whole detector, have their own; with others they get a new,
                random predictor, ready to be trained.
            num_classes: K, where the names do not matter.
            weights: "imagenet", "random", a name of published weights such as "coco",
                or the path of an HDF5 file with the backbone's; None for those of the
                recipe or the folder.
            box_format: see `Detector`.
            **settings: sections of the configuration that replace its own settings,
                such as `images={"short_side": 400}`; see `tf-frcnn show-config`.

        Raises:
            ConfigError: there is no such preset or setting.
            ValueError: the classes or the weights do not fit.
            DownloadError: published weights are neither here nor to be had.
        """
        from tf_frcnn.presets import load_preset

        model = load_preset(
            preset,
            class_names=class_names,
            num_classes=num_classes,
            weights=weights,
            box_format=box_format,
            settings=settings,
        )
        if not isinstance(model, cls):
            raise TypeError(
                f"{preset} is a {type(model).__name__}, not a {cls.__name__}."
            )
        return model

    @classmethod
    def presets(cls) -> Mapping[str, Any]:
        """Returns `tf_frcnn.presets.Preset`s by name: source, figure and size."""
        from tf_frcnn.presets import list_presets

        return list_presets()

    def save_to_preset(self, directory: str | PathLike) -> None:
        """Writes a folder that `from_preset` and every command of `tf-frcnn` take.

        It gets config.yaml, classes.txt, weights/, samples/ (drawn images on which an
        export is tried) and README.md, a card that describes it.

        Args:
            directory: a new or empty folder.

        Raises:
            FileExistsError: the folder holds something.
            ValueError: the model was not built from a configuration.
        """
        from tf_frcnn.presets import save_preset

        save_preset(self, directory)  # type: ignore[arg-type]

    def export(
        self, directory: str | PathLike, *, format: str = "savedmodel", **settings: Any
    ) -> Path:
        """Writes the next version of the complete served model, and checks it.

        Args:
            directory: versions are written to directory/1, directory/2, ...
            format: "savedmodel", "onnx" or "tflite".
            **settings: of `tf_frcnn.export.export_model` or `convert_model`, such as
                `version` or `weights`; `samples`, on which it is checked, are drawn if
                not given.

        Returns:
            The folder of the version.
        """
        from tf_frcnn.presets.exporting import export_detector

        return export_detector(
            self,  # type: ignore[arg-type]
            directory,
            file_format=format,
            **settings,
        )
