"""Every Python block of the pages, run; `tests.helpers.page_code` has the stand-ins."""

import pytest

from tests.helpers.page_code import Material, blocks_of, run_blocks, stand_ins
from tests.helpers.paths import ROOT
from tf_frcnn.data import DATASETS

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Pages whose code takes no more than a few seconds.
QUICK = {"checkpoints.md", "install.md", "presets.md", "variants.md"}
WITH_CODE = [path for path in PAGES if blocks_of(path)]


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    return Material(tmp_path_factory.mktemp("material"))


def cases():
    for page in WITH_CODE:
        marks = [] if page.name in QUICK else [pytest.mark.slow]
        yield pytest.param(page, id=page.name, marks=marks)


@pytest.mark.slow
@pytest.mark.parametrize("page", cases())
@pytest.mark.filterwarnings("ignore")
def test_the_python_of_a_page_runs(page, material, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(DATASETS, "mine", None)  # so that a page's own goes again
    del DATASETS["mine"]
    code = "".join(code for _, code in blocks_of(page))
    with stand_ins(monkeypatch, material, code):
        run_blocks(page)
