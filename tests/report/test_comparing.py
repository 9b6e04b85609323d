import numpy as np
import pytest

from tests.helpers.one_file_pages import Parsed
from tests.report.conftest import MARKUP
from tf_frcnn.report.comparing import compare, differences, sentence
from tf_frcnn.report.comparison import page_of
from tf_frcnn.report.curves import Curves, read_curves

NAN = np.nan


def curves(name="one", epochs=(1, 2, 3), **columns):
    epochs = np.array(epochs)
    columns = {n.replace("__", "/"): np.array(v, float) for n, v in columns.items()}
    return Curves(name, epochs, 10.0 * epochs, columns)


def test_shares_differ_as_they_are_and_others_by_their_size():
    pairs = np.array([[0.2, 0.1], [0.0, 0.0], [-1.0, 1.0]])
    np.testing.assert_allclose(differences("val_mAP", pairs), [0.1, 0.0, 2.0])
    np.testing.assert_allclose(differences("loss", pairs), [0.5, 0.0, 2.0])


def test_the_first_point_is_that_of_the_earliest_column():
    one = curves(loss=[2.0, 1.0, 0.5], val_mAP=[NAN, 0.5, 0.6], learning_rate=[1, 1, 1])
    other = curves(
        "other", loss=[2.0, 1.2, 0.5], val_mAP=[NAN, 0.56, 0.6], learning_rate=[1, 1, 2]
    )
    found = compare(one, other, 0.05)
    assert found.first.column == "loss"
    assert (found.first.epoch, found.first.step) == (2, 20.0)
    assert sentence(found) == (
        "They part first in epoch 2 (step 20 of one), at a tolerance of 0.05: loss is "
        "1 in one and 1.2 in other."
    )
    rows = {row.column: row for row in found.rows}
    assert rows["val_mAP"].num_epochs == 2 and rows["val_mAP"].epoch == 2
    assert rows["val_mAP"].largest == pytest.approx(0.06)
    assert rows["learning_rate"].epoch == 3 and rows["learning_rate"].last == (1, 2)
    wider = compare(one, other, 0.2)
    assert wider.first.column == "learning_rate" and wider.first.epoch == 3


def test_the_rate_comes_before_what_follows_from_it_and_validations_last():
    names = ("val_loss", "gradient_norm", "loss", "learning_rate")
    one = curves(**{name: [1.0] * 3 for name in names})
    other = curves("other", **{name: [2.0] * 3 for name in names})
    assert compare(one, other, 0.1).first.column == "learning_rate"
    del one.columns["learning_rate"]
    assert compare(one, other, 0.1).first.column == "loss"


def test_equal_runs_and_runs_without_a_common_epoch_do_not_part():
    one = curves(loss=[2.0, 1.0, 0.5])
    assert compare(one, one, 0.0).first is None
    assert "do not part within 3 common epochs" in sentence(compare(one, one, 0.0))
    later = curves("other", epochs=(7, 8, 9), loss=[2.0, 1.0, 0.5])
    assert sentence(compare(one, later, 0.1)) == (
        "They have no epoch with a column in common."
    )


def test_epochs_are_aligned_and_columns_of_one_alone_are_named():
    one = curves(epochs=(1, 2, 3), loss=[3.0, 2.0, 1.0], skipped=[0, 0, 0])
    other = curves("other", epochs=(2, 3, 4), loss=[2.0, 1.0, 0.5])
    found = compare(one, other, 0.0)
    assert [(row.column, row.num_epochs, row.epoch) for row in found.rows] == [
        ("loss", 2, None)
    ]
    assert found.only == {"one": ["skipped"], "other": []}


def test_settings_that_differ_are_named():
    one = curves(loss=[1.0, 1.0, 1.0])
    found = compare(one, one, 0.1, ({"a": "1", "b": "2"}, {"a": "1", "b": "3"}))
    assert found.settings == {"b": ("2", "3")}


def test_the_page_draws_every_column_of_both_and_loads_nothing():
    one = curves(MARKUP, loss=[2.0, 1.0, 0.5], val_AP__cat=[0.1, 0.2, 0.3])
    other = curves("other", loss=[2.0, 1.5, 0.5], data_wait=[0.0, 0.1, 0.1])
    found = compare(one, other, 0.05, ({"seed": MARKUP}, {"seed": "1"}))
    page = Parsed(page_of(found))
    page.require_nothing_from_elsewhere()
    text = " ".join(page.text.split())
    assert text.count(MARKUP) > 3 and sentence(found) in text
    titles = [value for _, name, value in page.attributes if name == "aria-label"]
    assert titles == ["loss", "val_AP/cat", "data_wait"]
    assert page.tags.count("polyline") == 4
    marks = [value for _, name, value in page.attributes if value == "mark"]
    assert len(marks) == 1


@pytest.fixture
def table(tmp_path):
    def write(text):
        (tmp_path / "log.csv").write_text(text)
        return tmp_path / "log.csv"

    return write


def test_a_table_is_read_with_gaps(table):
    found = read_curves(table("epoch,step,loss,val_mAP\n1,5,2.5,\n2,10,1,0.5\n"), "a")
    assert found.epochs.tolist() == [1, 2] and found.steps.tolist() == [5, 10]
    np.testing.assert_array_equal(found.of("val_mAP"), [NAN, 0.5])
    assert np.isnan(found.of("other")).all() and found.columns.keys() == {
        *("loss", "val_mAP")
    }
    of_keras = read_curves(table("epoch,loss\n0,2.5\n"), "a")
    assert np.isnan(of_keras.steps).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss\n1\n", "has no column 'epoch'; it has loss"),
        ("", "has no column 'epoch'; it has none"),
        ("epoch,loss\n", "must have rows, and rise"),
        ("epoch,loss\n2,1\n1,1\n", "must have rows, and rise"),
        ("epoch,loss\n,1\n2,1\n", "must have rows, and rise"),
        ("epoch,loss\n1,1\n2,much\n", "log.csv, line 3: loss = 'much' is not a number"),
    ],
)
def test_what_is_no_table_is_told_with_the_file(table, text, message):
    with pytest.raises(ValueError, match=message) as error:
        read_curves(table(text), "a")
    assert "log.csv" in str(error.value)
