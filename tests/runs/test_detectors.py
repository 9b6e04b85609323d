import pytest

from tests.helpers.random_run import write_random_run
from tf_frcnn.runs.detectors import has_roi_head, has_rpn, load_detector
from tf_frcnn.runs.inference import load_run

KINDS = {
    "faster_rcnn": ([], True, True),
    "rpn": (["model.kind=rpn"], True, False),
    "fast_rcnn": (["model.kind=fast_rcnn", "data.proposals=stored"], False, True),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_detects_in_images_alone_if_it_has_both_stages(kind, tmp_path):
    settings, proposes, detects = KINDS[kind]
    folder = write_random_run(tmp_path, *settings)
    model = load_run(folder).model
    assert (has_rpn(model), has_roi_head(model)) == (proposes, detects)
    if proposes and detects:
        overrides = ["detections.max_per_image=3"]
        run = load_detector(folder, overrides)
        assert run.config.detections.max_per_image == 3
    else:
        with pytest.raises(ValueError, match="does not detect objects in pictures al"):
            load_detector(folder)
