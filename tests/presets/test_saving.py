import pytest

import tf_frcnn
from tf_frcnn import FasterRCNN, cli
from tf_frcnn.models import FasterRCNN as OfParts


@pytest.mark.slow
def test_a_saved_preset_is_loaded_as_it_was(run_folder, same_detections, tmp_path):
    model = FasterRCNN.from_preset(run_folder, detections={"max_per_image": 5})
    folder = tmp_path / "preset"
    model.save_to_preset(folder)
    same_detections(model, FasterRCNN.from_preset(folder))
    same_detections(model, tf_frcnn.load(folder))
    assert tf_frcnn.load(folder).settings == model.settings


@pytest.mark.slow
def test_the_folder_has_a_card_and_serves_the_commands(run_folder, tmp_path, capsys):
    model = FasterRCNN.from_preset(run_folder)
    model.save_to_preset(tmp_path / "preset")
    card = (tmp_path / "preset" / "README.md").read_text()
    for text in ("tiny", "cross", f"{model.count_params() / 1e6:.1f} million", "96"):
        assert text in card
    (picture, *_) = (tmp_path / "preset" / "samples").iterdir()
    output = tmp_path / "out"
    arguments = ["predict", tmp_path / "preset", picture, "--output", output]
    assert cli.main([*map(str, arguments), "--min-score", "0"]) == 0
    assert (output / f"{picture.stem}.jpg").is_file()


def test_nothing_is_overwritten(run_folder, tmp_path):
    (tmp_path / "file").write_text("mine")
    model = FasterRCNN.from_preset(run_folder)
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(FileExistsError, match="holds something; give a new folder"):
            model.save_to_preset(path)


def test_a_model_of_parts_has_no_configuration_to_save(run_folder, tmp_path):
    whole = FasterRCNN.from_preset(run_folder)
    parts = OfParts(
        whole.preprocessing,
        whole.backbone,
        whole.rpn,
        whole.roi_head,
        class_names=whole.class_names,
    )
    with pytest.raises(ValueError, match=r"made of parts by hand .* model.save"):
        parts.save_to_preset(tmp_path / "preset")
