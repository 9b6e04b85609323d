from importlib import resources
from pathlib import Path

import pytest

from tests.helpers.paths import CONFIGS
from tf_frcnn.config import ConfigError, recipe_names, recipe_path


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Runs each test outside of the clone."""
    monkeypatch.chdir(tmp_path)


def message(name):
    with pytest.raises(ConfigError) as caught:
        recipe_path(name)
    return str(caught.value)


def test_the_recipes_are_the_files_in_configs():
    assert recipe_names() == sorted(path.stem for path in CONFIGS.glob("*.yaml"))
    assert {"quickstart", "vgg16_voc07"} <= set(recipe_names())


def test_the_recipes_are_a_package():
    found = resources.files("tf_frcnn.recipes").iterdir()
    assert {f"{name}.yaml" for name in recipe_names()} <= {path.name for path in found}


@pytest.mark.parametrize("name", ["vgg16_voc07", "vgg16_voc07.yaml"])
def test_a_recipe_is_found_by_its_name(name):
    expected = CONFIGS / "vgg16_voc07.yaml"
    assert recipe_path(name).samefile(expected)
    assert recipe_path(name).stem == "vgg16_voc07"


@pytest.mark.parametrize("name", ["quickstart", "quickstart.yaml", "mine.yaml"])
def test_a_file_wins_over_a_recipe(name):
    Path(name).touch()
    assert recipe_path(name) == Path(name)


def test_a_folder_is_not_a_configuration():
    Path("quickstart").mkdir()
    assert recipe_path("quickstart").samefile(CONFIGS / "quickstart.yaml")
    Path("mine").mkdir()
    lack = "mine: No such file, nor a recipe of that name; "
    assert message("mine") == (
        f"{lack}it is a folder. For data, `tf-frcnn new mine` writes a file."
    )
    Path("mine", "config.yaml").touch()
    assert message("mine") == f"{lack}did you mean mine/config.yaml?"


@pytest.mark.parametrize("name", ["quikstart", "./configs/quickstart.yaml"])
def test_a_name_that_is_not_found_is_answered_with_the_nearest(name):
    expected = "No such file, nor a recipe of that name; did you mean quickstart?"
    assert message(name) == f"{name}: {expected}"


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("smal.yaml", "did you mean small.yaml?"),
        ("smal.yml", "did you mean small.yaml?"),
        ("smal", "did you mean small.yaml?"),
        ("own/lagre.yaml", "did you mean own/large.yml?"),
        ("own/other", "the folder has own/large.yml."),
        ("other.yaml", "the folder has quickstar.yaml, small.yaml."),
        ("quikstar.yaml", "did you mean quickstar.yaml?"),
        ("quikstar", "did you mean quickstart?"),
        ("nowhere/other.yaml", "there is no folder nowhere."),
    ],
)
def test_a_path_is_answered_with_the_files_there(name, answer):
    Path("own").mkdir()
    for file in ("small.yaml", "quickstar.yaml", "notes.txt", "own/large.yml"):
        Path(file).touch()
    assert message(name).endswith(f"; {answer}")


def test_a_name_that_resembles_none_is_answered_with_all():
    assert message("***").endswith(f"; there are {', '.join(recipe_names())}.")
