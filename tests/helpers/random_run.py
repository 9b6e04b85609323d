"""A run of a small network with random weights, which says something everywhere."""

from tf_frcnn.assembly import build_model
from tf_frcnn.config import load_config
from tf_frcnn.data import SHAPE_CLASSES
from tf_frcnn.runs.inference import write_finished

SETTINGS = """
base: null
data: {reader: shapes, train_split: train, validation_split: validation, num_train: 4,
  num_validation: 2, num_test: 3}
images: {short_side: 96, long_side: 128, canvases: [[128, 128]]}
backbone: {name: tiny, weights: random, frozen_blocks: 0}
anchors: {scales: [2, 3, 5]}
rpn: {channels: 16}
roi: {head_units: 16}
proposals: {test_pre_nms: 100, test_post_nms: 20}
detections: {score_threshold: 0.0, max_per_image: 8}
train: {keep_images: 2}
"""


def config_in(folder, *overrides):
    """Writes the settings into a folder, and loads them."""
    path = folder / "small.yaml"
    path.write_text(SETTINGS)
    return load_config(path, overrides)


def write_random_run(folder, *overrides):
    """Makes a run folder in a folder; returns it."""
    config = config_in(folder, *overrides)
    run_folder = folder / "random"
    write_finished(run_folder, config, build_model(config, SHAPE_CLASSES))
    return run_folder
