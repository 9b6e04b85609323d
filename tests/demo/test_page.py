"""The page in a browser without a window."""

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.slow


def test_a_chosen_image_is_shown_with_its_boxes(browser, shown, tmp_path):
    shown.save_screenshot(tmp_path / "desktop.png")
    assert shown["status"].text == "3 boxes shown of 4 found."
    assert shown.counts() == {"cat": 1, "dog": 1, browser.MARKUP: 1}
    assert shown.drawn() == [0, 1, 2]
    assert shown.color_at_left_edge(3)[3] == 0
    assert shown["size"].text == "200 × 100"
    assert shown["server-time"].text == "12 ms"
    assert int(shown["round-trip"].text.removesuffix(" ms")) > 0
    assert shown.run("return document.getElementById('image').naturalWidth") == 200
    assert not shown["invitation"].is_displayed()


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_an_image_can_be_dropped_and_pasted(page, png, kind):
    page.send(kind, "cats.png", png)
    page.wait_for_boxes()
    assert page.drawn() == [0, 1, 2]


def test_nothing_is_asked_of_other_hosts_and_nothing_fails(shown, pets_address):
    own = {url for url in shown.requests() if not url.startswith("blob:")}
    paths = ["/", "/page.css", "/page.js", "/drawing.js", "/settings", "/detect"]
    paths = {pets_address + path for path in paths}
    # Browsers ask for a page's icon when they like.
    assert paths <= own <= paths | {f"{pets_address}/icon.svg"}
    assert shown.errors() == []


def test_the_browser_obeys_the_security_policy(shown):
    shown.run(
        "const script = document.createElement('script');"
        "script.textContent = 'window.wasRun = true';"
        "document.body.append(script);"
    )
    assert shown.run("return window.wasRun") is None
    assert any("Content Security Policy" in error for error in shown.errors())


def test_a_class_name_is_text(browser, shown):
    assert shown.run("return document.images.length") == 1
    shown["results"].find_element(By.TAG_NAME, "summary").click()
    cells = shown["rows"].find_elements(By.TAG_NAME, "td")
    texts = [cell.text for cell in cells]
    assert texts[:4] == ["cat", "0.90", "10–50", "20–60"]
    assert texts[8] == browser.MARKUP and len(texts) == 12


def test_the_threshold_hides_and_shows_boxes(shown):
    for threshold, rows, cats in [
        (0.3, [0, 1, 2, 3], 2),
        (0.6, [0, 1], 1),
        (0.91, [], 0),
    ]:
        shown.set_threshold(threshold)
        assert shown["threshold-value"].text == f"{threshold:.2f}"
        assert shown.drawn() == rows and shown.counts()["cat"] == cats
        boxes = f"{len(rows)} box{'es' if len(rows) != 1 else ''}"
        assert shown["status"].text == f"{boxes} shown of 4 found."
        assert shown["boxes"].accessible_name == shown["status"].text
    assert f"{shown.address}/detect" in shown.requests()
    shown.set_threshold(0.2)
    assert not any(url.startswith("http") for url in shown.requests())


def test_a_class_can_be_hidden_also_for_the_next_image(shown, image):
    shown.toggle("cat")
    assert shown.drawn() == [1, 2] and shown.counts()["cat"] == 1
    shown.choose(image)
    shown.wait_for_boxes()
    assert shown.drawn() == [1, 2]
    shown["none"].click()
    assert shown.drawn() == []
    assert shown["status"].text == "0 boxes shown of 4 found."
    shown["all"].click()
    assert shown.drawn() == [0, 1, 2]


def test_the_keyboard_is_enough(shown):
    def active():
        return shown.driver.switch_to.active_element

    def press(key):
        ActionChains(shown.driver).send_keys(key).perform()

    shown.run("document.activeElement.blur(); window.getSelection().empty();")
    press(Keys.TAB)
    assert active().get_attribute("id") == "file"
    # What is focused has a ring, although the input itself is not seen.
    ring = (
        "return getComputedStyle(document.querySelector('#file + label')).outlineStyle"
    )
    assert shown.run(ring) == "solid"
    press(Keys.TAB)
    press(Keys.ARROW_RIGHT)
    assert shown["threshold-value"].text == "0.51"
    for _ in range(3):
        press(Keys.TAB)
    assert active().accessible_name.startswith("cat")
    press(Keys.SPACE)
    assert shown.drawn() == [1, 2]
    for _ in range(3):
        press(Keys.TAB)
    assert active().tag_name == "summary"
    press(Keys.TAB)
    assert active().accessible_name == "Download JSON"


def test_the_download_has_the_boxes_shown(browser, shown, tmp_path):
    entry = shown.download(tmp_path / "downloads")
    assert entry.pop("name") == "two cats.json"
    assert list(entry) == ["file", "height", "width", "detections"]
    assert entry["file"] == "two cats.png"
    assert entry["detections"] == browser.ENTRY["detections"][:3]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_fits_a_phone_in_both_themes(
    browser, driver, pets_address, image, tmp_path, theme
):
    page = browser.Page(driver, pets_address, width=320, height=640, theme=theme)
    page.choose(image)
    page.wait_for_boxes()
    page.save_screenshot(tmp_path / f"phone_{theme}.png")
    assert page.run("return document.documentElement.scrollWidth") == 320
    assert page.drawn()[0] == 0
    color = page.run("return getComputedStyle(document.body).backgroundColor")
    red = int(color.removeprefix("rgb(").split(",")[0])
    assert (red > 200) == (theme == "light")
