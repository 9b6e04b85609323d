"""Models as folders that `load_preset` reads."""

from os import PathLike
from pathlib import Path

from tf_frcnn.data import make_shapes
from tf_frcnn.models import Detector
from tf_frcnn.runs.inference import write_finished
from tf_frcnn.runs.safe_files import write_text
from tf_frcnn.runs.training import NUM_SAMPLES, write_samples

CARD_FILE = "README.md"


def save_preset(model: Detector, directory: str | PathLike) -> None:
    """Writes a model as a folder; see `EntryPoints.save_to_preset`."""
    directory = Path(directory)
    if model.config is None:
        raise ValueError(
            "save_to_preset: the model was made of parts by hand and has no "
            "configuration; save it by model.save('NAME.keras')."
        )
    if directory.exists() and (directory.is_file() or any(directory.iterdir())):
        raise FileExistsError(f"{directory} holds something; give a new folder.")
    directory.mkdir(parents=True, exist_ok=True)
    write_samples(directory, make_shapes(NUM_SAMPLES, seed=0))
    write_text(directory / CARD_FILE, card_of(model))
    write_finished(directory, model.config, model)


def card_of(model: Detector) -> str:
    """Returns a description of a model in Markdown."""
    settings = model.settings
    images = settings.images
    return f"""# {type(model).__name__} with {settings.backbone.name}

- Classes ({len(model.class_names)}): {", ".join(model.class_names)}
- Parameters: {model.count_params() / 1e6:.1f} million
- Images: short side {images.short_side}, long side at most {images.long_side} pixels;
  the model resizes them itself

```python
import tf_frcnn

model = tf_frcnn.load("FOLDER")  # of this file
for found in model.detect(["photo.jpg"]):
    print(found.names, found.scores, found.boxes)
```
"""
