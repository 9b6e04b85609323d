import json
import sys

import ipykernel.kernelspec
import nbclient
import nbformat
import numpy as np
import pytest

from tests.helpers.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# Training images and epochs that show what each notebook is to show.
SIZES = {"quickstart.ipynb": (16, 2), "fine_tune.ipynb": (16, 6)}


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Runs every notebook by this interpreter; file name -> notebook with outputs."""
    # The folders of JUPYTER_PATH come before those where a kernel may be installed.
    folder = tmp_path_factory.mktemp("jupyter")
    ipykernel.kernelspec.write_kernel_spec(str(folder / "kernels" / "python3"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder))
        notebooks = {path.name: read(path) for path in NOTEBOOKS}
        for path in NOTEBOOKS:
            num_train, epochs = SIZES[path.name]
            patch.setenv("TF_FRCNN_NOTEBOOK_TRAIN", str(num_train))
            patch.setenv("TF_FRCNN_NOTEBOOK_EPOCHS", str(epochs))
            resources = {"metadata": {"path": str(path.parent)}}
            nbclient.NotebookClient(
                notebooks[path.name], timeout=300, resources=resources
            ).execute()
    return notebooks


def last_output(notebook):
    """Returns the summary that the last cell prints."""
    return json.loads(notebook.cells[-1].outputs[0].text)


@pytest.fixture(scope="module")
def summary(executed):
    """The quickstart's."""
    return last_output(executed["quickstart.ipynb"])


@pytest.fixture(scope="module")
def tuning(executed):
    """That of the fine-tuning."""
    return last_output(executed["fine_tune.ipynb"])


def test_every_notebook_runs_to_its_end_and_shows_images(executed):
    assert executed
    for notebook in executed.values():
        assert all(cell.execution_count for cell in code_cells(notebook))
        outputs = [o for cell in code_cells(notebook) for o in cell.outputs]
        assert any("image/png" in output.get("data", {}) for output in outputs)


def test_the_kernel_is_the_interpreter_of_the_tests(executed):
    for notebook in executed.values():
        assert last_output(notebook)["python"] == sys.executable


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_valid_and_kept_without_outputs(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in code_cells(notebook):
        assert not cell.outputs
        assert cell.execution_count is None


def test_the_six_results_have_the_shapes_of_60_x_40_cells_with_9_anchors(summary):
    shapes = summary["rpn_results"]
    assert shapes.pop("rois")[::2] == [1, 4]
    assert shapes == {
        "rpn_cls_score": [1, 60, 40, 18],
        "rpn_cls_score_reshape": [1, 540, 40, 2],
        "rpn_cls_prob": [1, 60, 40, 18],
        "rpn_cls_pred": [1, 21600],
        "rpn_bbox_pred": [1, 60, 40, 36],
    }


def test_background_and_object_of_each_anchor_sum_to_one(summary):
    np.testing.assert_allclose(summary["pair_sums"], 1.0, atol=1e-6)


def test_the_target_deltas_of_the_positive_anchors_lead_to_the_objects(summary):
    assert summary["positive_anchors"] >= 1
    assert summary["decode_error"] < 1e-3


def test_the_losses_are_finite_and_their_sum_falls(summary):
    losses = summary["losses"]
    assert len(losses) == 2
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.8 * losses[0]


def test_the_mean_average_precision_after_training_is_that_of_the_callback(summary):
    assert 0.0 <= summary["mAP"] <= 1.0
    assert summary["mAP"] == pytest.approx(summary["validation_mAP"][-1], abs=1e-6)


def test_the_loaded_model_detects_what_the_saved_one_did(summary):
    assert summary["reload_error"] < 1e-4


def test_the_exported_model_detects_what_the_model_did(summary):
    own, exported = summary["detections"], summary["exported_detections"]
    assert len(own["labels"]) >= 1
    assert exported["labels"] == own["labels"]
    np.testing.assert_allclose(exported["scores"], own["scores"], atol=1e-3)
    np.testing.assert_allclose(exported["boxes"], own["boxes"], atol=0.1)


def test_each_fault_of_the_folder_is_found(tuning):
    assert tuning["classes"] == ["nut", "screw", "washer"]
    assert tuning["problems"] == {
        "missing_image": 1,
        "unreadable_image": 1,
        "swapped_corners": 1,
        "zero_area_box": 1,
        "box_outside": 1,
    }


def test_the_backbone_learns_only_after_it_was_unfrozen(tuning):
    while_frozen, at_the_end = tuning["backbone_change"]
    assert while_frozen == 0.0
    assert at_the_end > 1e-3


def test_the_weights_are_those_of_the_best_epoch_after_unfreezing(tuning):
    best = max(tuning["val_mAP"][1:])
    assert tuning["val_mAP_of_weights"] == pytest.approx(best, abs=1e-6)


def test_the_checkpoint_beats_random_weights_after_as_many_steps(tuning):
    own, random = tuning["val_mAP"], tuning["val_mAP_from_random_weights"]
    assert len(own) == len(random)
    assert np.mean(own[:3]) > np.mean(random[:3]) + 0.1
    assert max(own) > max(random)
    assert tuning["mAP"] > tuning["mAP_from_random_weights"]
    assert tuning["mAP"] == pytest.approx(np.mean(list(tuning["by_class"].values())))


@pytest.mark.parametrize("other", ["reloaded", "served"])
def test_other_programs_detect_what_the_fine_tuned_model_did(tuning, other):
    assert len(tuning["names"]) >= 1
    assert tuning[f"{other}_names"] == tuning["names"]
    assert tuning[f"{other}_error"] < 0.1
