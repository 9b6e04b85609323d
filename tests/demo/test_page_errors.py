"""The page's words for what goes wrong."""

import threading

import pytest
from PIL import Image

pytestmark = pytest.mark.slow


def test_a_text_file_is_refused_in_words(shown, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    shown.choose(tmp_path / "notes.txt")
    shown.wait(lambda: shown["error"].is_displayed())
    assert shown["error"].text == "notes.txt: it is not a JPEG, PNG, BMP or GIF."
    assert shown["invitation"].is_displayed()
    assert not shown["results"].is_displayed() and not shown["figure"].is_displayed()
    shown.save_screenshot(tmp_path / "error.png")
    # The browser itself notes the status of the answer.
    (error,) = shown.errors()
    assert "/detect - Failed to load resource" in error and "422" in error
    shown.choose(tmp_path / "two cats.png")
    shown.wait_for_boxes()
    assert not shown["error"].is_displayed()


def test_other_failures_are_said_in_words(page, png):
    for data, message in [
        (b"", "cats.png: the file is empty."),
        (bytes(1_200_000), "cats.png: it has 1.2 MB, more than the 1 MB allowed."),
        (b"fail", "cats.png: the server failed (500); its terminal says why."),
    ]:
        page.send("drop", "cats.png", data)
        page.wait(lambda: page["error"].is_displayed())
        page.wait(lambda message=message: page["error"].text == message)


def test_a_file_that_is_refused_is_not_shown_later(page, tmp_path):
    """The first frame of a GIF comes after the refusal of its size."""
    path = tmp_path / "large.gif"
    Image.new("RGB", (200, 100)).save(path)
    path.write_bytes(path.read_bytes().ljust(1_200_000, b"\0"))
    page.run(
        """
        const real = HTMLCanvasElement.prototype.toBlob;
        HTMLCanvasElement.prototype.toBlob = function (done, kind) {
          real.call(this, (blob) => { done(blob); window.hasFrame = true; }, kind);
        };
        """
    )
    page.choose(path)
    page.wait(lambda: page["error"].is_displayed())
    page.wait(lambda: page.run("return window.hasFrame"))
    assert page["image"].get_attribute("src") is None
    assert page["error"].is_displayed() and page["invitation"].is_displayed()
    assert not page["figure"].is_displayed()


EMPTY = """
    const [kind] = arguments;
    const data = new DataTransfer();
    data.setData("text/plain", "some text");
    const event = kind === "drop"
      ? new DragEvent(kind, { dataTransfer: data, bubbles: true })
      : new ClipboardEvent(kind, { clipboardData: data, bubbles: true });
    document.getElementById("stage").dispatchEvent(event);
"""


def test_what_holds_no_file_leaves_the_boxes(shown, tmp_path):
    status = shown["status"].text
    shown.run(EMPTY, "paste")
    assert not shown["error"].is_displayed()
    shown.run(EMPTY, "drop")
    assert shown["error"].text.startswith("What was dropped is not a file")
    shown.save_screenshot(tmp_path / "dropped_text.png")
    assert shown["status"].text == status and shown["results"].is_displayed()
    assert shown["figure"].is_displayed() and shown.drawn() == [0, 1, 2]
    shown.choose(tmp_path / "two cats.png")
    shown.wait(lambda: not shown["error"].is_displayed())


def test_what_holds_no_file_ends_no_request(browser, driver, serving, png):
    goes_on = threading.Event()

    def detect(data):
        goes_on.wait(30)
        return browser.ENTRY | {"milliseconds": 1.0}

    with serving(detect, browser.NAMES) as address:
        page = browser.Page(driver, address)
        page.send("drop", "cats.png", png)
        page.wait(lambda: page["status"].text.startswith("Detecting"))
        for kind in ("paste", "drop"):
            page.run(EMPTY, kind)
        assert page["status"].text.startswith("Detecting")
        goes_on.set()
        page.wait_for_boxes()
        assert page.drawn() == [0, 1, 2]


def test_a_newer_image_replaces_one_that_is_on_its_way(page, pets, png):
    page.run(
        "const real = window.fetch; window.ended = 0;"
        "window.fetch = (...all) => real(...all).finally(() => window.ended++);"
    )
    page.send("drop", "first.png", b"wait")
    page.wait(lambda: page["status"].text.startswith("Detecting objects in first.png"))
    page.send("drop", "second.png", png)
    pets.goes_on.set()
    page.wait_for_boxes()
    page.wait(lambda: page.run("return window.ended") == 2)
    assert page.drawn() == [0, 1, 2] and not page["error"].is_displayed()


def test_a_server_that_is_gone_is_an_error_in_words(
    browser, driver, serving, pets, png
):
    with serving(pets.detect, browser.NAMES) as address:
        page = browser.Page(driver, address)
    page.send("drop", "cats.png", png)
    page.wait(lambda: page["error"].is_displayed())
    assert page["error"].text.startswith("cats.png: the server does not answer.")
