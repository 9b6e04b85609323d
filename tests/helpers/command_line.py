"""The output of the command `tf-frcnn`."""

from tf_frcnn.cli import main


def failure_of(capsys, *arguments):
    """Returns the line that a command with bad input prints on standard error."""
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    (line,) = captured.err.splitlines()
    assert line.startswith("tf-frcnn: ")
    return line.removeprefix("tf-frcnn: ")
