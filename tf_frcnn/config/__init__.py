"""The settings of a run: typed, read from YAML, checked."""

from tf_frcnn.config.loading import Config, dump_config, load_config, make_config
from tf_frcnn.config.recipes import recipe_names, recipe_path
from tf_frcnn.config.rules import ConfigError

__all__ = [
    "Config",
    "ConfigError",
    "dump_config",
    "load_config",
    "make_config",
    "recipe_names",
    "recipe_path",
]
