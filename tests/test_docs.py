import re
from dataclasses import fields
from pathlib import Path

import pytest

from tf_frcnn.backbones import BACKBONES
from tf_frcnn.config import Config, load_config

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
VARIANTS = (ROOT / "docs" / "variants.md").read_text()
SECTIONS = {
    part.name: {setting.name for setting in fields(part.type)}
    for part in fields(Config)
    if "rule" not in part.metadata
}
# What looks like a setting and is a method of Keras, or a file.
OTHERS = {"model.fit", "detections.json"}


@pytest.fixture(params=PAGES, ids=lambda path: path.name)
def page(request):
    return request.param.read_text()


def unknown_settings(text):
    """Returns each `section.setting`, or one behind --set, that Config lacks."""
    named = re.findall(rf"(?:`|--set \"?)({'|'.join(SECTIONS)})\.(\w+)", text)
    return [
        f"{section}.{name}"
        for section, name in named
        if name not in SECTIONS[section] and f"{section}.{name}" not in OTHERS
    ]


def configs_in(text):
    return set(re.findall(r"configs/(\w+\.yaml)", text))


def test_a_setting_that_does_not_exist_is_found():
    text = "`rpn.sigma`, `loss.rpn_sigma: 3`, `train a --set roi.size=7`, `x.sigma`"
    assert unknown_settings(text) == ["rpn.sigma", "roi.size"]


def test_a_page_names_only_settings_that_exist(page):
    assert unknown_settings(page) == []


def test_a_page_names_only_configurations_that_exist(page):
    assert configs_in(page) <= {path.name for path in (ROOT / "configs").iterdir()}


def test_an_example_configuration_is_one(page, tmp_path):
    for example in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        (tmp_path / "example.yaml").write_text(example)
        assert load_config(tmp_path / "example.yaml") != Config()


def test_the_variants_have_every_configuration_and_every_trunk():
    assert {path.name for path in (ROOT / "configs").iterdir()} <= configs_in(VARIANTS)
    assert BACKBONES.keys() <= set(re.findall(r"`(\w+)`", VARIANTS))
