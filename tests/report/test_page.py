import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from tests.helpers.one_file_pages import Parsed, require_shown
from tests.report.conftest import MARKUP
from tf_frcnn.report.contents import report_on
from tf_frcnn.report.gallery import gallery_of
from tf_frcnn.report.page import page_of, polyline

RUN = "runs/<b>mine</b>"


@pytest.fixture(scope="module")
def page(report, examples):
    return page_of(report, examples, RUN)


def test_the_page_has_the_advice_every_cause_and_class(page, report, examples):
    text = " ".join(Parsed(page).text.split())
    for row in report.tree["advice"]:
        assert row["finding"] in text and row["remedy"].replace("`", "") in text
        for setting in row["settings"]:
            assert f"tf-frcnn evaluate {RUN} --set {setting}" in text
    for row in report.tree["causes"]:
        assert row["title"] in text and f"{row['cost']:.3f}" in text
    for name in examples.class_names:
        assert name in text
    assert f"{report.tree['mAP']:.3f}" in text and "AR LARGE" in text


def test_names_are_text_and_nothing_is_loaded_or_runs(page):
    Parsed(page).require_nothing_from_elsewhere()
    assert MARKUP in Parsed(page).text
    assert not re.search(r"<img src=x|<script|<b>mine", page)


def test_each_cause_has_its_pictures_of_object_and_detections(report, examples):
    for cause, pictures in zip(
        report.causes, gallery_of(report, examples), strict=True
    ):
        assert len(pictures) == min(len(cause.rows), 6)
        for picture in pictures:
            data = base64.b64decode(picture.address.partition(",")[2])
            size = Image.open(io.BytesIO(data)).size
            assert max(size) <= 520 and len(data) < 60_000
    (worst,) = gallery_of(report, examples)[
        [cause.name for cause in report.causes].index("background")
    ]
    name = examples.class_names[report.seen.truth.labels[4]]
    assert worst.caption == f"{name} 0.99"
    shown = [p.image_id for own in gallery_of(report, examples) for p in own]
    assert {*shown} <= {record.image_id for record in examples.records}


def test_the_pictures_are_of_as_many_images_as_there_are(examples, seen, model_of):
    count = len(seen.truth.labels)
    blind = seen._replace(
        missed=np.arange(count), stages=np.full(count, "background", object)
    )
    report = report_on(model_of(examples.class_names), examples, blind, 0.9)
    (cause,) = [own for own in report.causes if own.name == "background"][:1]
    assert (np.diff(cause.sides) <= 0).all() and cause.sides[0] > cause.sides[-1]
    pictures = gallery_of(report, examples)[0]
    assert len({picture.image_id for picture in pictures}) == len(pictures) == 6


def test_a_curve_is_drawn_from_the_left():
    curve = {"recall": [0.5, 1.0], "precision": [1.0, 0.25]}
    assert polyline(curve) == "0.0,0.0 100.0,0.0 200.0,90.0"
    assert polyline({"recall": [], "precision": []}) == ""


def test_a_matrix_of_many_classes_is_left_out(report, examples):
    many = report.tree["classes"] * 10
    page = page_of(report._replace(tree=report.tree | {"classes": many}), examples, RUN)
    assert 'class="matrix"' not in page
    assert 'class="matrix"' in page_of(report, examples, RUN)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_a_browser_shows_the_page_and_asks_for_nothing(page, width, driver, opened):
    require_shown(driver, opened, page, width)
    assert driver.title == f"Why {RUN} misses"
