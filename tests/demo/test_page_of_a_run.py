"""The page of a real detector, which shows the image as the detector saw it."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from tf_frcnn.cli import main

pytestmark = pytest.mark.slow


def turned_files(shape_file, folder):
    """Writes the image as a turned camera does, and in other formats.

    Returns:
        Its width and height.
    """
    exif = Image.Exif()
    exif[274] = 6
    with Image.open(shape_file) as image:
        image = image.convert("RGB")
    image.save(folder / "turned.jpg", quality=95, exif=exif)
    image.save(folder / "turned.png", exif=exif)
    other = Image.new("RGB", image.size)
    image.save(folder / "moving.gif", save_all=True, append_images=[other], duration=50)
    image.save(folder / "plain.bmp")
    return image.size


@pytest.mark.parametrize(
    "name", ["turned.jpg", "turned.png", "moving.gif", "plain.bmp"]
)
def test_the_page_shows_what_the_detector_saw(
    browser, driver, run_address, run_folder, shape_file, tmp_path, name
):
    width, height = turned_files(shape_file, tmp_path)
    if name.startswith("turned"):
        width, height = height, width
    page = browser.Page(driver, run_address)
    page.choose(tmp_path / name)
    page.wait_for_boxes()
    assert page["size"].text == f"{width} × {height}"
    size = "const p = document.getElementById('image');"
    size += "return [p.naturalWidth, p.naturalHeight]"
    assert page.run(size) == [width, height]
    page.set_threshold(0)
    entry = page.download(tmp_path / "downloads")
    output = ["--min-score", "0", "--no-pictures", "--output", str(tmp_path / "out")]
    assert main(["predict", str(run_folder), str(tmp_path / name), *output]) == 0
    expected = json.loads((tmp_path / "out" / "detections.jsonl").read_text())
    assert entry.pop("name") == f"{Path(name).stem}.json"
    assert Path(expected.pop("file")).name == entry.pop("file") == name
    assert entry.keys() == expected.keys()
    assert len(entry["detections"]) == 9
    for own, other in zip(entry["detections"], expected["detections"], strict=True):
        assert own == pytest.approx(other, abs=2e-3)


def test_of_a_moving_image_the_first_frame_is_shown(
    browser, driver, run_address, shape_file, tmp_path
):
    turned_files(shape_file, tmp_path)
    page = browser.Page(driver, run_address)
    page.run(
        """
        const create = URL.createObjectURL;
        window.kinds = [];
        URL.createObjectURL = (file) => { kinds.push(file.type); return create(file); };
        """
    )
    page.choose(tmp_path / "moving.gif")
    page.wait_for_boxes()
    page.set_threshold(1)
    assert page["status"].text.startswith("0 boxes")
    assert page.run("return kinds") == ["image/png"]  # which does not move
    with Image.open(io.BytesIO(page["image"].screenshot_as_png)) as image:
        shown = np.mean(image.convert("RGB"), axis=(0, 1))
    with Image.open(tmp_path / "moving.gif") as image:
        first, second = (
            np.mean(frame.convert("RGB"), axis=(0, 1))
            for frame in ImageSequence.Iterator(image)
        )
    np.testing.assert_allclose(shown, first, atol=3)
    assert abs(first - second).max() > 30
