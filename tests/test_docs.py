import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.paths import ROOT
from tests.helpers.recipe_tables import TABLES, marks_in, page_with_tables
from tf_frcnn import cli
from tf_frcnn.backbones import BACKBONES
from tf_frcnn.checkpoints import SOURCES
from tf_frcnn.checkpoints.files import Checkpoint
from tf_frcnn.commands import COMMANDS
from tf_frcnn.config import SECTIONS, Config, load_config, recipe_names
from tf_frcnn.models import FasterRCNN

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
VARIANTS = (ROOT / "docs" / "variants.md").read_text()
CHECKPOINTS = (ROOT / "docs" / "checkpoints.md").read_text()
FIELDS = {name: {*section.model_fields} for name, section in SECTIONS.items()}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = {*PROJECT["optional-dependencies"]}
# What looks like a setting and is a file, or a part of a model; so do modules.
OTHERS = {"detections.jsonl", "detections.settings", "model.box_format"}
OTHERS |= {f"model.{name}" for name in dir(FasterRCNN)}


@pytest.fixture(params=PAGES, ids=lambda path: path.name)
def page(request):
    return request.param.read_text()


def unknown_settings(text):
    """Returns each `section.setting`, or one behind --set, that Config lacks."""
    named = re.findall(rf"(?:`|--set \"?)({'|'.join(SECTIONS)})\.(\w+)", text)
    return [
        f"{section}.{name}"
        for section, name in named
        if name not in FIELDS[section]
        and f"{section}.{name}" not in OTHERS
        and not [*(ROOT / "tf_frcnn" / section).glob(f"{name}*")]
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


def test_the_variants_have_every_backbone():
    assert BACKBONES.keys() <= set(re.findall(r"`(\w+)`", VARIANTS))


def test_the_tables_of_a_page_are_those_of_the_package(page):
    hint = "run python -m tests.helpers.recipe_tables"
    assert page_with_tables(page) == page, hint


def test_every_table_is_on_a_page():
    assert {name for path in PAGES for name in marks_in(path.read_text())} == {*TABLES}


def commands_in(text):
    """Returns the arguments of each command `tf-frcnn` in the examples for a shell."""
    examples = "\n".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))
    lines = examples.replace("\\\n", " ").splitlines()
    split = [shlex.split(line, comments=True) for line in lines]
    return [words[1:] for words in split if words[:1] == ["tf-frcnn"]]


def test_the_commands_of_an_example_are_found():
    text = '```bash\ncd x\ntf-frcnn train a.yaml \\\n  --set "x.y=[1, 2]"  # why\n```'
    assert commands_in(text) == [["train", "a.yaml", "--set", "x.y=[1, 2]"]]


def test_the_commands_of_a_page_have_options_that_exist(page, monkeypatch):
    run = []
    for command in COMMANDS.values():
        monkeypatch.setattr(command, "run", run.append)
    examples = commands_in(page)
    for words in examples:
        cli.main(words)
    assert len(run) == len(examples)


def test_a_page_names_only_presets_that_exist(page):
    named = re.findall(r"from_preset\(\s*\"(\w+)\"", page)
    saved = re.findall(r"save_to_preset\(\"(\w+)\"", page)
    assert {*named} <= {*recipe_names(), *saved}


def test_a_page_names_only_files_of_the_package_that_exist(page):
    named = re.findall(r"`(?:tf_frcnn/)?((?:ops|layers|evaluation)/[a-z_]+\.py)`", page)
    assert all((ROOT / "tf_frcnn" / name).is_file() for name in named)


def test_a_page_names_only_extras_that_exist(page):
    named = re.findall(r"pip install -e \"\.\[([\w,]+)\]", page)
    assert {extra for extras in named for extra in extras.split(",")} <= EXTRAS


def test_the_installation_has_every_extra():
    table = (ROOT / "docs" / "install.md").read_text()
    cells = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    assert {
        name for cell in cells for name in re.findall(r"`([a-z]+)`", cell)
    } == EXTRAS


def test_a_page_converts_from_sources_and_variants_that_exist(page):
    for source, rest in re.findall(r"tf-frcnn convert (\S+)([^`\n]*)", page):
        given = set(re.findall(r"--variant (\S+)", rest))
        assert source == "SOURCE" or given <= set(SOURCES[source].variants)


def test_the_checkpoints_have_every_source_and_every_variant():
    named = set(re.findall(r"[\w-]+", CHECKPOINTS))
    for name, source in SOURCES.items():
        assert {name, *source.variants} <= named


def test_the_files_of_torchvision_are_known_by_their_contents():
    logits = "roi_heads.box_predictor.cls_score.weight"
    files = re.findall(r"`(fasterrcnn_(\w+)-(\w+)\.pth)` \|", CHECKPOINTS)
    assert len(files) == 4
    for _, model, digits in files:
        file = Checkpoint(Path("x.pth"), {logits: np.zeros([91, 1])}, sha256=digits)
        described = SOURCES["torchvision"].describe(file, None)
        recipe = f"torchvision_{model.removesuffix('_coco')}"
        assert described.settings["base"] == recipe


def anchors_in(text):
    """Returns what links may name behind # in a page."""
    headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    described = re.findall(r"^::: (.*)", text, re.MULTILINE)
    own = {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
    return {*own, *described}


def test_the_links_of_a_page_lead_to_files_and_headings(request, page):
    path = request.node.callspec.params["page"]
    for file, _, heading in re.findall(r"\]\((?!https?:)([^)#]*)(#([^)]*))?\)", page):
        target = path.parent / file if file else path
        assert target.exists(), file
        assert not heading or heading in anchors_in(target.read_text()), heading
