import re

import pytest

from tests.helpers.paths import QUICKSTART
from tf_frcnn.cli import main

DIVERGING = ("train.learning_rate=1e30", "train.clip_norm=null", "train.epochs=2")


@pytest.mark.slow
def test_the_step_that_ended_a_training_is_repeated(small_settings, tmp_path, capsys):
    run = tmp_path / "run"
    settings = [word for text in DIVERGING for word in ("--set", text)]
    arguments = ["train", str(QUICKSTART), *small_settings, *settings]
    assert main([*arguments, "--output", str(run)]) == 2
    printed = capsys.readouterr()
    (file,) = run.glob("black_box_*.npz")
    assert f"tf-frcnn replay {file} looks into it" in printed.out
    (told,) = re.findall(r"Not finite at step \d+ \(images [^)]+\): loss", printed.err)
    assert main(["replay", str(file)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(told)
    first = re.search(r"^First not finite: (.+)\.$", shown, re.MULTILINE)[1]
    assert first.startswith(("the output of the layer ", "the weight "))
    # A row per weight, whose norm is huge after the first step.
    rows = re.findall(r"^(\S+/kernel) +(\S+) +(\S+)$", shown, re.MULTILINE)
    assert len(rows) > 5 and max(float(norm) for _, norm, _ in rows) > 1e15


def test_another_file_is_one_error(tmp_path, capsys):
    file = tmp_path / "notes.npz"
    file.write_text("nothing")
    assert main(["replay", str(file)]) == 2
    assert f"{file} is not the file of a step" in capsys.readouterr().err
    assert main(["replay", str(tmp_path / "lost.npz")]) == 2
    assert "lost.npz: there is no such file." in capsys.readouterr().err
