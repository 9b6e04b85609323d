"""The last line of a run of the tests: how many stand behind markers."""

import re
from collections import Counter

import pytest

MARKERS = ("xla", "slow")
# Fixtures that train runs, run notebooks, or start a browser.
SLOW_FIXTURES = {"trained_run", "runs", "whole", "executed", "driver"}


def mark_by_names(items):
    """Marks tests with "xla" in their names, and users of slow fixtures."""
    for item in items:
        if "xla" in re.split(r"[^A-Za-z]+", item.name):
            item.add_marker("xla")
        if SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


class BehindMarkers:
    """Counts the tests that markers kept from running, also those of workers."""

    def __init__(self):
        self.counts = Counter()

    def pytest_deselected(self, items):
        for item in items:
            self.counts.update([marker_of(item)] * bool(marker_of(item)))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node):
        """Takes the counts of a worker of pytest-xdist; each collects all tests."""
        counts = getattr(node, "workeroutput", {}).get("behind_markers", {})
        self.counts = self.counts or Counter(counts)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session):
        is_worker = hasattr(session.config, "workeroutput")
        if is_worker:
            session.config.workeroutput["behind_markers"] = dict(self.counts)
        result = yield
        if self.counts and not is_worker:
            reporter = session.config.pluginmanager.get_plugin("terminalreporter")
            reporter.write_line(line_of(self.counts))
        return result


def marker_of(item):
    """Returns the first of the markers that a test has, or None."""
    return next((name for name in MARKERS if item.get_closest_marker(name)), None)


def line_of(counts):
    """Returns the sentence about counts by the names of markers."""
    parts = " and ".join(f"{name} ({counts[name]})" for name in MARKERS if counts[name])
    return (
        f"{sum(counts.values())} tests stand behind the markers {parts}; "
        'pytest -m "" runs all.'
    )
