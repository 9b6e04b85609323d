import base64
import dataclasses
import io
import re

import pytest
from PIL import Image

from tests.helpers.one_file_pages import Parsed, require_shown
from tests.helpers.planted_faults import PlantedSet
from tf_frcnn.config import make_config
from tf_frcnn.data import read_voc
from tf_frcnn.doctor.examination import examine
from tf_frcnn.doctor.page import page_of, worst_images

SCRIPT = "<script>document.title = 'ran'</script>"
IMAGE = "<img src=x onerror=\"document.title = 'ran'\">"


@pytest.fixture(scope="module")
def page(examined, planted_sets):
    return page_of(examined, planted_sets)


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory):
    """The page of a set whose names are markup."""
    planted = PlantedSet(tmp_path_factory.mktemp("hostile") / "a<b>&'\"")
    for number in range(2):
        planted.add("train", f"{IMAGE}{number}", [(SCRIPT, 10, 10, 12, 12)])
    planted.add("val", "<td>&amp;", [(IMAGE, 9, 9, 99, 99), (SCRIPT, 9, 99, 9, 8)])
    planted.splits["val"].append(f"{IMAGE} is missing")
    planted.close()
    sets = {split: read_voc(planted.root, split) for split in ("train", "val")}
    found = examine(str(planted.root), sets, make_config({}, "the test"), {})
    return page_of(found, sets)


def test_the_page_has_every_finding_class_and_fault(page, examined):
    text = Parsed(page).text
    for found in examined.findings:
        assert found.message in text and found.remedy.replace("`", "") in text
    for row in examined.classes:
        assert row.name in text
    assert "Most objects lie below the smallest anchor: ant." in text
    assert "anchors.scales" in text and "below 8" in text


def test_files_are_named_from_the_folder_of_the_data(page, planted):
    assert "JPEGImages/after.jpg" in page and f"{planted}/JPEGImages" not in page


def test_images_are_small_and_in_the_page(page):
    sources = [
        v for tag, name, v in Parsed(page).attributes if (tag, name) == ("img", "src")
    ]
    assert 20 < len(sources) < 45
    for source in sources:
        kind, _, data = source.partition(",")
        assert kind == "data:image/jpeg;base64"
        assert max(Image.open(io.BytesIO(base64.b64decode(data))).size) <= 360


@pytest.mark.parametrize("name", ["page", "hostile_page"])
def test_nothing_is_loaded_and_nothing_runs(name, request):
    Parsed(request.getfixturevalue(name)).require_nothing_from_elsewhere()


def test_names_are_text(hostile_page):
    text = Parsed(hostile_page).text
    for name in (SCRIPT, f"{IMAGE}0.jpg", "<td>&amp;.jpg", f"{IMAGE} is missing"):
        assert name in text
    assert not re.search(r"<img src=x|<script", hostile_page)


def test_the_worst_images_come_first_a_few_of_each_finding(examined):
    worst = worst_images(examined)
    assert 12 < len(worst) <= 24
    serious = [f for f in examined.findings if f.severity == "serious" and f.images]
    assert next(iter(worst)) in serious[0].images
    tiny = next(f for f in examined.findings if f.kind == "tiny_boxes")
    assert tiny.title in worst[tiny.images[0]]


def test_a_sound_set_has_a_page(make_set):
    image = io.BytesIO()
    Image.new("RGB", (300, 400), (10, 90, 30)).save(image, "PNG")
    objects = [[(0, (10, 10, 200, 200))]] * 20
    contents = [image.getvalue() + bytes([n]) for n in range(20)]
    sets = {
        name: make_set(name, ["ape"], objects, [name.encode() + c for c in contents])
        for name in ("train", "val")
    }
    found = examine("data", sets, make_config({}, "the test"), {})
    assert "Nothing was found wrong." in Parsed(page_of(found, sets)).text
    bare = dataclasses.replace(found, advice=None, sizes=())
    assert "Reach of the anchors" not in page_of(bare, sets)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("name", ["page", "hostile_page"])
def test_a_browser_shows_the_page_and_asks_for_nothing(
    name, width, request, driver, opened
):
    require_shown(driver, opened, request.getfixturevalue(name), width)
    assert driver.title.startswith("Examination of ")
