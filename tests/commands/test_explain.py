import numpy as np
import pytest
from PIL import Image

from tests.helpers.command_line import failure_of
from tests.helpers.random_run import write_random_run
from tf_frcnn.cli import main
from tf_frcnn.runs.explaining import STAGES


@pytest.mark.slow
def test_the_stages_are_written_and_nothing_is_replaced(tmp_path, capsys):
    run, photo = write_random_run(tmp_path), tmp_path / "photo.png"
    Image.fromarray(np.full([60, 80, 3], 90, np.uint8)).save(photo)
    output = tmp_path / "explained"
    words = ["explain", str(run), str(photo), "--output", str(output)]
    output.mkdir()
    (output / "3_proposals.png").touch()
    assert "--overwrite" in failure_of(capsys, *words)
    assert main([*words, "--overwrite"]) == 0
    assert sorted(path.stem for path in output.iterdir()) == sorted(STAGES)
    assert (output / "3_proposals.png").stat().st_size > 0
    assert "proposal (" in capsys.readouterr().out
