import numpy as np
import pytest

from tests.helpers.one_file_pages import Parsed, require_shown
from tests.report.conftest import MARKUP
from tf_frcnn.config import Config
from tf_frcnn.report.curves import Curves
from tf_frcnn.report.training import (
    Training,
    class_rows,
    page_of,
    remarks_on,
    settings_of,
)

EPOCHS = np.arange(1, 11)


def training_of(best=8, recall=0.9, wait=0.0, **columns):
    columns = {
        "loss": 1 / EPOCHS,
        "val_loss": np.where(EPOCHS % 2, np.nan, 1 / EPOCHS),
        "val_mAP": np.where(EPOCHS % 2, np.nan, EPOCHS / 10),
        "learning_rate": np.full(10, 0.01),
        "proposal_recall": np.full(10, recall),
        f"val_AP/{MARKUP}": np.where(EPOCHS % 2, np.nan, (5 - EPOCHS) ** 2 / 25),
        f"foreground_rois/{MARKUP}": EPOCHS / 2,
        "foreground_rois/rare": np.full(10, 0.125),
    }
    times = {"images_per_second": np.full(10, 30.0), "data_wait": np.full(10, wait)}
    return Training(
        name=f"runs/{MARKUP}",
        config=Config().replace(seed=7),
        log=Curves("run", EPOCHS, 20.0 * EPOCHS, columns),
        times=Curves("run", EPOCHS, 20.0 * EPOCHS, times),
        best=("val_mAP", best / 10, best),
        metrics={"mAP (area) on test": 0.625},
        pictures={"drawings/a b.png": np.full([30, 60, 3], 90, np.uint8)},
        files={"log.csv": "the losses"},
    )


def test_the_page_has_the_curves_the_classes_and_links_into_the_folder():
    page = Parsed(page_of(training_of()))
    text = " ".join(page.text.split())
    assert "0.800best val_mAP, after epoch 8" in text and "200steps" in text
    assert "0.625mAP (area) on test" in text and "30.0images per second" in text
    titles = [value for _, name, value in page.attributes if name == "aria-label"]
    assert {"mAP", "all losses", "images per second"} <= {*titles}
    assert f"AP of {MARKUP}" in titles and "RPN: boxes" not in titles
    links = [v for tag, name, v in page.attributes if (tag, name) == ("a", "href")]
    assert links == ["drawings/a%20b.png", "log.csv"]
    sources = [value for _, name, value in page.attributes if name == "src"]
    assert len(sources) == 1 and sources[0].startswith("data:image/jpeg;base64,")
    assert "seed7" in text and "<script" not in page_of(training_of())


def test_an_alternating_training_has_the_epochs_of_its_steps():
    training = training_of()
    assert "The dashed line" in page_of(training)
    settings = {"scheme": "alternating", "step_epochs": (4, 3, 2, 4)}
    own = training.config.train.replace(**settings)
    training = training._replace(config=training.config.replace(train=own), best=None)
    page = page_of(training)
    assert "epochs of 13" in page and "The dashed line" not in page


def test_a_class_has_its_best_and_last_figure_and_its_rois():
    rows = {row.name: row for row in class_rows(training_of().log)}
    assert rows[MARKUP][1:4] == (1.0, 1.0, 5.0)
    assert np.isnan(rows["rare"].best) and rows["rare"].rois == 0.125
    assert rows["rare"].chart is None


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({"best": 8}, []),
        ({"best": 10}, ["may rise further"]),
        ({"best": 4}, ["Nothing after epoch 4 of 10 was better"]),
        ({"wait": 0.5}, ["waited for its data in 50% of the time"]),
        ({"recall": 0.6}, ["covered 60% of the objects"]),
    ],
)
def test_what_the_curves_say(case, said):
    remarks = remarks_on(training_of(**case))
    assert len(remarks) == len(said)
    assert all(word in remark for word, remark in zip(said, remarks, strict=True))


def test_the_settings_are_the_main_ones_and_those_that_differ():
    config = Config()
    assert "train.momentum" not in settings_of(config)
    train = config.train.replace(momentum=0.5, decay_epochs=(3, 4.5))
    own = settings_of(config.replace(train=train))
    assert own["train.momentum"] == "0.5" and own["train.decay_epochs"] == "[3.0, 4.5]"
    assert own["data.directory"] == "null" and own["train.epochs"] == "14"


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_a_browser_shows_the_page_and_asks_for_nothing(width, driver, opened):
    require_shown(driver, opened, page_of(training_of()), width)
    assert driver.title == f"Training of runs/{MARKUP}"
