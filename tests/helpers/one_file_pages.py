"""Pages of one HTML file, parsed, and opened in a browser."""

import re
import shutil
from html.parser import HTMLParser

import pytest

from tests.helpers.browser import start_driver


class Parsed(HTMLParser):
    """The elements, attributes and text of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attributes]

    def handle_data(self, data):
        self.text += data

    def require_nothing_from_elsewhere(self):
        """Fails if anything would run or be loaded."""
        assert not {"script", "iframe", "object", "embed", "base"} & {*self.tags}
        for tag, name, value in self.attributes:
            assert not name.startswith("on")
            if name in ("src", "href"):
                assert value.startswith("data:"), (tag, value)
        policy = [v for _, name, v in self.attributes if name == "content"]
        assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in policy


@pytest.fixture(scope="module")
def driver():
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if None in programs:
        pytest.skip("Debian's chromium and chromium-driver are not installed")
    driver = start_driver(*programs)
    yield driver
    driver.quit()


@pytest.fixture
def opened(driver, tmp_path):
    """Opens a page in a browser of a width; returns what it logged and asked for."""

    def open_page(page, width):
        file = tmp_path / "report.html"
        file.write_text(page, encoding="utf-8")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1}
        size["mobile"] = width < 600
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.get("about:blank")
        for log in ("browser", "performance"):
            driver.get_log(log)
        driver.get(file.as_uri())
        requests = re.findall(r'"url":"([^"]*)"', str(driver.get_log("performance")))
        return driver.get_log("browser"), {r for r in requests if r != file.as_uri()}

    return open_page


def require_shown(driver, opened, page, width):
    """Fails if a browser does not show all of a page, or asks for anything."""
    errors, requests = opened(page, width)
    assert errors == [] and {r for r in requests if not r.startswith("data:")} <= {
        "about:blank"
    }
    images = "[...document.images].filter((i) => i.complete && i.naturalWidth).length"
    loaded = driver.execute_script(f"return [{images}, document.images.length]")
    assert loaded[0] == loaded[1] > 0
    wide = driver.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width
