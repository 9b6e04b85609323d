import os
import signal
import subprocess
import sys
import threading

import pytest

from tf_frcnn.runs.signals import Interrupted, stoppable

TWICE = """
import os, signal, sys
from tf_frcnn.runs.signals import stoppable

with stoppable() as stop:
    stop.is_awaited = True
    for name in sys.argv[1:]:
        print("sends", flush=True)
        os.kill(os.getpid(), getattr(signal, name))
print("still alive")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_within_a_step_waits_for_its_end(number, capsys):
    before = signal.getsignal(number)
    with stoppable() as stop:
        stop.is_awaited = True
        os.kill(os.getpid(), number)
        assert stop.number == number
        with pytest.raises(Interrupted) as error:
            stop.obey()
        assert error.value.number == number
    assert "Once more ends the program at once" in capsys.readouterr().out
    assert signal.getsignal(number) is before


def test_a_signal_outside_a_step_interrupts():
    with pytest.raises(Interrupted), stoppable():
        os.kill(os.getpid(), signal.SIGTERM)


def test_without_a_signal_nothing_stops():
    with stoppable() as stop:
        stop.obey()
    assert stop.number is None


@pytest.mark.parametrize("names", [("SIGINT", "SIGTERM"), ("SIGTERM", "SIGINT")])
def test_a_second_signal_ends_the_program_at_once(names):
    command = [sys.executable, "-c", TWICE, *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == -getattr(signal, names[1])
    assert done.stdout.count("sends") == 2 and "still alive" not in done.stdout


def test_another_thread_leaves_signals_alone():
    def enter():
        with stoppable() as stop:
            found.append(stop.number)

    found = []
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [None]
