"""Models by name: recipes, run folders, converted checkpoints, published weights."""

from tf_frcnn.presets.listing import Preset, list_presets
from tf_frcnn.presets.loading import load_preset, preset_folder
from tf_frcnn.presets.saving import save_preset

__all__ = ["Preset", "list_presets", "load_preset", "preset_folder", "save_preset"]
