"""Names in settings that stand for entries of a registry."""

from collections.abc import Mapping
from typing import Any

from tf_frcnn.config import ConfigError
from tf_frcnn.data.checks.problems import nearest_name


def look_up(registry: Mapping[str, Any], name: str, path: str) -> Any:
    """Returns the entry of a name.

    Args:
        registry: entries by name.
        name: the value of a setting.
        path: the setting's dotted path.

    Raises:
        ConfigError: there is none; the message lists the known names.
    """
    if name not in registry:
        hint = nearest_name(name, registry) or "."
        known = ", ".join(registry)
        raise ConfigError(f"{path} = {name!r} must be one of {known}{hint}", path)
    return registry[name]
