import json

from tests.helpers.paths import CONFIGS, QUICKSTART
from tf_frcnn.cli import main
from tf_frcnn.config import load_config


def test_the_effective_configuration_is_a_configuration(capsys, tmp_path):
    settings = ["--set", "train.epochs=3", "--set", "roi.dropout=0.25"]
    assert main(["show-config", str(QUICKSTART), *settings]) == 0
    shown = capsys.readouterr().out
    (tmp_path / "shown.yaml").write_text(shown)
    loaded = load_config(tmp_path / "shown.yaml")
    assert loaded == load_config(QUICKSTART, settings[1::2])
    assert loaded.train.epochs == 3 and loaded.roi.dropout == 0.25
    # Also what the file does not name is shown.
    assert "foreground_iou: 0.5" in shown


def test_a_recipe_is_shown_by_its_name(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["show-config", "vgg16_voc07"]) == 0
    (tmp_path / "shown.yaml").write_text(capsys.readouterr().out)
    assert load_config("shown.yaml") == load_config(CONFIGS / "vgg16_voc07.yaml")


def test_the_schema_of_configurations_is_printed(capsys):
    assert main(["show-config", "--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert {"base", "conventions", "train"} <= schema["properties"].keys()
    fields = schema["$defs"]["RPNSettings"]["properties"]
    assert fields["channels"]["default"] == 512 and fields["channels"]["description"]


def test_without_a_configuration_the_command_says_what_it_needs(capsys):
    assert main(["show-config"]) == 2
    assert "needs a CONFIG, or --schema" in capsys.readouterr().err
