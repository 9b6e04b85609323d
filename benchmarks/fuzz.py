"""Reads thousands of damaged files, and counts what comes of them.

    python benchmarks/fuzz.py --inputs 10000

Each input is a small sound folder, one file of which was changed at random places, from
a seed. It is read in a process that may take 1 GB more than it has after its start, and
10 seconds an input. What must not happen: an error of another class than ValueError and
OSError, or of several lines (crash); more seconds (hang); more memory; a file read that
lies outside of the folder. The exit status is the number of these; each is printed with
its form and number, by which `--only FORM --first NUMBER --inputs 1` reads it again.
"""

import argparse
import contextlib
import faulthandler
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from machine import machine

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_FRCNN_CACHE": ""}
GIGABYTE, SECONDS = 2**30, 10
GOOD = ("read", "counted", "clear error")
BAD = ("crash", "hang", "memory", "outside")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", metavar="FORM", help="this form alone")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options)
        return
    counts = count(options)
    print(f"{machine()}; {options.inputs} inputs, seed {options.seed}.\n")
    print(f"| files | {' | '.join((*GOOD, *BAD))} |")
    print("|---|" + "---|" * len((*GOOD, *BAD)))
    for form, own in counts.items():
        print(f"| {form} | {' | '.join(str(own[name]) for name in (*GOOD, *BAD))} |")
    sys.exit(min(100, sum(own[name] for own in counts.values() for name in BAD)))


def count(options):
    """Starts workers one after the other; returns the counts by form."""
    counts, number, last = {}, options.first, options.first + options.inputs
    while number < last:
        for form, outcome, told in results_of(options, number, last - number):
            if outcome in BAD:
                print(f"{form}, number {number}: {outcome}: {told}", flush=True)
            counts.setdefault(form, Counter())[outcome] += 1
            number += 1
    return counts


def results_of(options, first, inputs):
    """Yields the (form, outcome, text) of inputs, up to one that ends the worker."""
    flags = {"--first": first, "--inputs": inputs, "--seed": options.seed}
    flags |= {"--only": options.only} if options.only else {}
    words = [str(word) for pair in flags.items() for word in pair]
    command = [sys.executable, __file__, "--worker", *words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    form = None
    for line in process.stdout:
        row = json.loads(line)
        form = row[0] if len(row) == 1 else None
        if form is None:
            yield row
    status = process.wait()
    if form is None and status:
        raise RuntimeError(f"A worker did not start: exit status {status}.")
    if form is not None:
        outcome = "hang" if status == 1 else "crash"  # 1: see `judge`.
        yield form, outcome, f"the process ended with {status}"


def work(options):
    """Reads inputs; writes a form's name before each, and what came of it after it."""
    answers = os.fdopen(os.dup(1), "w")  # What the readers print goes elsewhere.
    from tests.helpers.hostile_files import FORMS, outcome_of

    forms = [options.only] if options.only else [*FORMS]
    for form in forms:  # What is sound is read without limits, to load all modules.
        with new_folder() as folder:
            FORMS[form].write(folder)
            outcome, error = outcome_of(FORMS[form], folder)
        if outcome != "read":
            raise RuntimeError(f"{form}: sound files are not read: {error}")
    outside = watch_opened_files()
    limit = int(memory("VmSize") * 1024 + GIGABYTE)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for number in range(options.first, options.first + options.inputs):
        form = forms[number % len(forms)]
        print(json.dumps([form]), file=answers, flush=True)
        row = form, *judge(FORMS[form], f"{options.seed}:{form}:{number}", outside)
        print(json.dumps(row), file=answers, flush=True)


@contextlib.contextmanager
def new_folder():
    """Yields a folder for a while, in which nothing that is read is printed."""
    silence = contextlib.redirect_stdout(io.StringIO())
    with tempfile.TemporaryDirectory() as name, silence:
        yield Path(name)


class Hang(BaseException):
    """An input takes too long."""


def judge(form, seed, outside):
    """Returns what came of an input, and a text about it."""
    from tests.helpers.hostile_files import changed_folder, outcome_of

    def stop(*_):
        raise Hang

    signal.signal(signal.SIGALRM, stop)
    with new_folder() as folder:
        changed_folder(form, folder, seed)
        Path("/proc/self/clear_refs").write_text("5")  # The peak is what is held now.
        outside.clear()
        before = memory("VmHWM")
        signal.alarm(SECONDS)
        # The alarm ends what Python runs; this ends the process, with 1, where C hangs.
        faulthandler.dump_traceback_later(4 * SECONDS, exit=True)
        try:
            outcome, error = outcome_of(form, folder)
        except Hang:
            return "hang", seed
        finally:
            signal.alarm(0)
            faulthandler.cancel_dump_traceback_later()
    told = f"{type(error).__name__}: {error}"
    if read := [path for path in outside if not Path(path).is_relative_to(folder)]:
        return "outside", f"{read[0]} was read"
    if (memory("VmHWM") - before) * 1024 > GIGABYTE:
        return "memory", told
    return outcome, told


def watch_opened_files():
    """Returns a list that gets the paths of the files that Python opens from now on."""
    opened = []
    own = (
        sys.prefix,
        sys.base_prefix,
        str(Path(__file__).parents[1]),
        f"/proc/{os.getpid()}",
    )

    def note(event, arguments):
        if event == "open" and isinstance(arguments[0], str):
            path = os.path.realpath(arguments[0])
            if not path.startswith(own) and "/site-packages/" not in path:
                opened.append(path)

    sys.addaudithook(note)
    return opened


def memory(name):
    """Returns a figure of this process's memory, in kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


if __name__ == "__main__":
    main()
