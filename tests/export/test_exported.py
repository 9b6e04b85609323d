import json
import shutil

import numpy as np
import pytest

from tests.helpers.random_run import write_random_run
from tf_frcnn.config import load_config
from tf_frcnn.data import evaluation_batches
from tf_frcnn.export.exported import ExportedDetector, find_export, read_info
from tf_frcnn.runs.inference import load_run
from tf_frcnn.runs.reports import run_info
from tf_frcnn.runs.settings_files import run_config


@pytest.fixture
def version(exported, tmp_path):
    """A version whose model_info.json has a configuration, of another model."""
    folder = shutil.copytree(exported, tmp_path / "versions" / "3")
    info = json.loads((folder / "model_info.json").read_text())
    settings = load_config("quickstart").model_dump(mode="json")
    settings["images"] |= {"short_side": 96, "long_side": 160}
    settings["images"]["canvases"] = [[96, 128], [128, 96], [160, 160]]
    info["config"] = settings
    (folder / "model_info.json").write_text(json.dumps(info))
    return folder


@pytest.mark.slow
def test_an_exported_model_detects_as_its_model_does(model, resizing, images, version):
    own = ExportedDetector(version)
    assert own.class_names == model.class_names
    assert own.resizing == resizing
    total = 0
    for batch in evaluation_batches(images, resizing, batch_size=1):
        names = ("images", "image_sizes", "scales", "file_sizes")
        batch = {name: batch[name] for name in names}
        found, expected = own.predict_on_batch(batch), model.predict_on_batch(batch)
        valid = expected["valid"]
        np.testing.assert_array_equal(found["valid"], valid)
        for name, off in {"boxes": 1e-3, "scores": 1e-5, "labels": 0}.items():
            columns = found[name][valid], expected[name][valid]
            np.testing.assert_allclose(*columns, rtol=0, atol=off)
        total += valid.sum()
    assert total > 3


def test_what_is_no_saved_model_or_does_not_say_how_it_resizes_is_named(tmp_path):
    (tmp_path / "model_info.json").write_text('{"classes": []}')
    with pytest.raises(FileNotFoundError, match="is no exported model"):
        read_info(tmp_path)
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(ValueError, match=r"model_info\.json has no config"):
        read_info(tmp_path)


@pytest.mark.slow
def test_the_export_of_a_run_is_the_newest_with_its_settings_and_weights(tmp_path):
    folder = write_random_run(tmp_path)
    info, versions = run_info(load_run(folder)), folder / "export"
    assert find_export(folder, versions) is None
    other = {"config": info["config"] | {"seed": 5}}, {"weights": "0" * 64}
    for number, changes in enumerate(({}, {}, *other), 9):
        version = versions / str(number)
        version.mkdir(parents=True)
        (version / "saved_model.pb").touch()
        (version / "model_info.json").write_text(json.dumps(info | changes))
    assert find_export(folder, versions) == versions / "10"
    config = run_config(folder)
    config.write_text(
        config.read_text().replace("max_per_image: 8", "max_per_image: 7")
    )
    assert find_export(folder, versions) is None
