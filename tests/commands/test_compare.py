import pytest

from tests.helpers.command_line import failure_of
from tf_frcnn.cli import main
from tf_frcnn.config import Config, dump_config
from tf_frcnn.runs import comparing
from tf_frcnn.runs.comparing import find_source, reference_names

LOG = "epoch,step,loss,val_mAP\n1,4,2.0,0.5\n2,8,{},0.6\n"


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two run folders that part in the loss of the second epoch, and in the seed."""
    monkeypatch.chdir(tmp_path)
    for name, loss, seed in (("a", 1.0, 0), ("b", 1.5, 3)):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "log.csv").write_text(LOG.format(loss))
        config = dump_config(Config().replace(seed=seed))
        (tmp_path / "runs" / name / "config.yaml").write_text(config)
    return tmp_path


def test_the_point_at_which_two_runs_part_is_printed_and_drawn(folders, capsys):
    assert main(["compare", "runs/a", "runs/b"]) == 0
    printed = capsys.readouterr().out
    assert "seed: 0 (1), 3 (2)" in printed
    assert (
        "They part first in epoch 2 (step 8 of runs/a), at a tolerance of 0.05: loss "
        "is 1 in runs/a and 1.5 in runs/b." in printed
    )
    page = (folders / "comparison.html").read_text()
    assert page.count("<polyline") == 4
    command = ("compare", "runs/a", "runs/b")
    assert "comparison.html exists already" in failure_of(capsys, *command)
    assert main([*command, "--overwrite", "--tolerance", "0.5"]) == 0
    assert "do not part within 2 common epochs" in capsys.readouterr().out


def test_a_table_alone_and_the_run_of_a_configuration_do_as_well(folders, capsys):
    (folders / "stored.csv").write_text(LOG.format(1.5))
    command = ["compare", "configs/a.yaml", "stored.csv", "--output", "x/y.html"]
    assert main(command) == 0
    assert "1.5 in stored.csv" in capsys.readouterr().out
    assert (folders / "x" / "y.html").is_file()


def test_a_recipe_means_the_curve_that_comes_with_the_package(folders, monkeypatch):
    assert "quickstart" in reference_names()
    source = find_source("quickstart")
    assert source.curves.name == "the reference quickstart"
    assert source.config is not None and source.curves.of("val_mAP")[-1] > 0.8
    monkeypatch.setattr(comparing, "reference_names", list)
    with pytest.raises(FileNotFoundError, match="quickstart is no run folder"):
        find_source("quickstart")


def test_what_is_no_training_is_told(folders, capsys):
    line = failure_of(capsys, "compare", "runs/a", "runs/c")
    assert line.startswith("runs/c is no run folder, no CSV file and no reference.")
    (folders / "runs" / "steps" / "steps" / "1_rpn").mkdir(parents=True)
    line = failure_of(capsys, "compare", "runs/a", "runs/steps")
    assert line == (
        "runs/steps is trained in steps, and not all are done; compare one of "
        "runs/steps/steps/1_rpn."
    )
    with pytest.raises(SystemExit):
        main(["compare", "runs/a", "runs/b", "--tolerance", "-1"])
    assert "'-1' must be a number from 0 on" in capsys.readouterr().err
