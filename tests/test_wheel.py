"""The wheel, installed where no clone is."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.helpers.paths import CONFIGS, ROOT

pytestmark = pytest.mark.slow

CACHES = shutil.ignore_patterns("__pycache__")
SMALL = {
    "data.num_train": 8,
    "data.num_validation": 2,
    "data.num_test": 2,
    "images.short_side": 96,
    "images.long_side": 128,
    "images.canvases": [[128, 128]],
    "proposals.test_post_nms": 20,
    "train.epochs": 1,
    "train.keep_images": 1,
}


def run(*command, cwd):
    """Runs a command that sees no package of this clone; returns what it printed."""
    environment = {n: v for n, v in os.environ.items() if n != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built of the source distribution without the network."""
    clone = tmp_path_factory.mktemp("clone")  # in which a build may leave its files
    for folder in ("tf_frcnn", "configs"):
        shutil.copytree(ROOT / folder, clone / folder, symlinks=True, ignore=CACHES)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, clone)
    run(sys.executable, "-m", "build", "--no-isolation", cwd=clone)
    (path,) = clone.glob("dist/*.whl")
    return path


@pytest.fixture(scope="module")
def fresh(wheel, tmp_path_factory):
    """The programs of an environment with the wheel and this one's other packages."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    programs = folder / "bin"
    pip = [sys.executable, "-m", "pip", "--python", programs / "python"]
    run(*pip, "install", "--no-deps", "--no-index", "--no-cache-dir", wheel, cwd=folder)
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = Path(run(programs / "python", "-c", code, cwd=folder).strip())
    # Behind the packages of its own; what is installed as editable stays out.
    outer = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (own / "outer.pth").write_text("".join(f"{path}\n" for path in sorted(outer)))
    return programs


def test_the_wheel_has_all_that_the_package_needs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = ROOT / "tf_frcnn"
    kept = [path for path in package.rglob("*") if "__pycache__" not in path.parts]
    expected = {str(path.relative_to(ROOT)) for path in kept if path.is_file()}
    recipes = [*CONFIGS.glob("*.yaml"), *CONFIGS.glob("curves/*.csv")]
    expected |= {f"tf_frcnn/recipes/{p.relative_to(CONFIGS)}" for p in recipes}
    assert {"tf_frcnn/py.typed", "tf_frcnn/demo/static/page.html"} <= expected
    assert {name for name in names if ".dist-info/" not in name} == expected


def test_the_installed_package_trains_a_recipe_by_its_name(fresh, tmp_path):
    code = "import tf_frcnn; print(tf_frcnn.__file__)"
    file = Path(run(fresh / "python", "-c", code, cwd=tmp_path).strip())
    assert file.is_relative_to(fresh.parent)
    shown = run(fresh / "tf-frcnn", "show-config", "vgg16_voc07", cwd=tmp_path)
    assert "reader: tfds_voc" in shown
    settings = [word for n, v in SMALL.items() for word in ("--set", f"{n}={v}")]
    run(fresh / "tf-frcnn", "train", "quickstart", *settings, cwd=tmp_path)
    folder = tmp_path / "runs" / "quickstart"
    assert (folder / "metrics_test.json").is_file()
    assert (folder / "export" / "1" / "saved_model.pb").is_file()
