"""The site, built as CI builds it."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

import tf_frcnn
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.slow
# What a page loads by itself; links that a reader may follow are no such thing.
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src"}
METHODS = ("from_preset", "presets", "fit", "predict", "detect", "compile", "export")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    pytest.importorskip("mkdocs", reason="the site needs the extra docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder


class Page(HTMLParser):
    """Collects what a page loads and the ids of its elements."""

    def __init__(self, path):
        super().__init__()
        self.loaded, self.ids = [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids.add(attributes.get("id"))
        if tag in LOADED and attributes.get("rel") != "canonical":
            self.loaded.append(attributes.get(LOADED[tag]) or "")


def test_every_page_of_the_folder_is_a_page_of_the_site(site):
    names = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    assert {path.parent.name for path in site.glob("*/index.html")} == names
    assert (site / "index.html").is_file()


def test_pages_load_nothing_from_elsewhere(site):
    for path in site.rglob("*.html"):
        assert not [link for link in Page(path).loaded if re.match(r"\w+:|//", link)]


def test_the_reference_is_made_of_the_docstrings(site):
    path = site / "api" / "index.html"
    ids = Page(path).ids
    names = [n for n in tf_frcnn.__all__ if n not in ("__version__", "callbacks")]
    assert {f"tf_frcnn.{name}" for name in names} <= ids
    assert {f"tf_frcnn.FasterRCNN.{name}" for name in METHODS} <= ids
    text = path.read_text(encoding="utf-8")
    assert "Makes a model from a recipe, or loads one from a folder." in text
    assert "in pixels of the upright picture" in text


def test_every_message_of_the_faq_can_be_searched(site):
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    assert "No anchor is sampled: none fits inside an image" in index
