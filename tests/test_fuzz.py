import random

import pytest

from tests.helpers.hostile_files import FORMS, change, changed_folder, outcome_of
from tf_frcnn.data.checks.facts_cache import CACHE_VARIABLE

pytestmark = pytest.mark.slow

GOOD = {"read", "counted", "clear error"}
INPUTS = 500


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, "")


@pytest.mark.parametrize("form", FORMS)
def test_damaged_files_are_read_counted_or_refused_in_one_line(form, tmp_path):
    for number in range(INPUTS // len(FORMS)):
        folder = tmp_path / str(number)
        folder.mkdir()
        changed_folder(FORMS[form], folder, f"test:{form}:{number}")
        outcome, error = outcome_of(FORMS[form], folder)
        assert outcome in GOOD, f"{folder}: {outcome}: {error!r}"


@pytest.mark.parametrize("form", FORMS)
def test_sound_files_are_read(form, tmp_path):
    FORMS[form].write(tmp_path)
    assert outcome_of(FORMS[form], tmp_path) == ("read", None)


def test_a_seed_gives_the_same_changes():
    first, second, other = (change(b"abc def" * 9, random.Random(n)) for n in (1, 1, 2))
    assert first == second != other
