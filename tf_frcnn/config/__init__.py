"""The settings of a run: typed, read from YAML, checked."""

from tf_frcnn.config.augment import AugmentSettings
from tf_frcnn.config.config import SECTIONS, Config
from tf_frcnn.config.conventions import CONVENTIONS, Conventions
from tf_frcnn.config.loading import (
    config_schema,
    dump_config,
    load_config,
    make_config,
    override_paths,
)
from tf_frcnn.config.losses import LossSettings
from tf_frcnn.config.network import (
    AnchorSettings,
    BackboneSettings,
    DetectionSettings,
    ImageSettings,
    ProposalSettings,
    RoISettings,
    RPNSettings,
)
from tf_frcnn.config.recipes import DEFAULT_RECIPE, recipe_names, recipe_path
from tf_frcnn.config.run import (
    DataSettings,
    EvaluationSettings,
    ModelSettings,
    TrainSettings,
)
from tf_frcnn.config.settings import ConfigError, Settings, settings_config
from tf_frcnn.config.tiles import TileSettings

__all__ = [
    "CONVENTIONS",
    "DEFAULT_RECIPE",
    "SECTIONS",
    "AnchorSettings",
    "AugmentSettings",
    "BackboneSettings",
    "Config",
    "ConfigError",
    "Conventions",
    "DataSettings",
    "DetectionSettings",
    "EvaluationSettings",
    "ImageSettings",
    "LossSettings",
    "ModelSettings",
    "ProposalSettings",
    "RPNSettings",
    "RoISettings",
    "Settings",
    "TileSettings",
    "TrainSettings",
    "config_schema",
    "dump_config",
    "load_config",
    "make_config",
    "override_paths",
    "recipe_names",
    "recipe_path",
    "settings_config",
]
