"""What the page says where something goes wrong."""

import time


def test_a_text_file_is_refused_in_words(shown, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    shown.choose(tmp_path / "notes.txt")
    shown.wait(lambda: shown["error"].is_displayed())
    assert shown["error"].text == "notes.txt: it is no JPEG, PNG, BMP or GIF."
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
    page.run(
        "const dataTransfer = new DataTransfer();"
        "document.dispatchEvent(new DragEvent('drop', { dataTransfer }));"
    )
    page.wait(lambda: page["error"].text.startswith("What came holds no file"))


def test_a_newer_picture_replaces_one_that_is_on_its_way(page, pets, png):
    page.send("drop", "first.png", b"wait")
    page.wait(lambda: page["status"].text.startswith("Detecting objects in first.png"))
    page.send("drop", "second.png", png)
    pets.goes_on.set()
    page.wait_for_boxes()
    time.sleep(0.3)
    assert page.drawn() == [0, 1, 2] and not page["error"].is_displayed()


def test_a_server_that_is_gone_is_an_error_in_words(
    browser, driver, serving, pets, png
):
    with serving(pets.detect, browser.NAMES) as address:
        page = browser.Page(driver, address)
    page.send("drop", "cats.png", png)
    page.wait(lambda: page["error"].is_displayed())
    assert page["error"].text.startswith("cats.png: the server does not answer.")
