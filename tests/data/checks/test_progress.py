from tf_frcnn.data.checks import progress
from tf_frcnn.data.checks.progress import with_progress


def test_items_pass_and_what_is_quick_says_nothing(capsys):
    assert [*with_progress(iter("abc"), 3, "Reading")] == ["a", "b", "c"]
    assert capsys.readouterr().out == ""


def test_what_takes_long_says_once_what_it_does(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_PATIENCE", -1.0)
    assert [*with_progress(range(500), 500, "Reading")] == [*range(500)]
    assert capsys.readouterr().out == "Reading: 500 in all.\n"


def test_in_a_terminal_a_bar_goes_to_the_end(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_PATIENCE", -1.0)
    monkeypatch.setattr(progress, "_REFRESH", 0.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert len([*with_progress(range(500), 500, "Reading")]) == 500
    assert "Reading" in capsys.readouterr().out
