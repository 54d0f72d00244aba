"""Settles once which data the tests and the notebooks use, and how the notebooks' outputs are compared."""

import os
import tempfile

_runs = tempfile.TemporaryDirectory()
# Before the settings are read: no progress bars and no widgets, which nbval would compare, and the tests' runs stay apart from the
# user's
os.environ |= {"TQDM_DISABLE": "1", "COURSE_WIDGETS": "off", "COURSE_RUNS": _runs.name}

import pytest
from lessons import is_compared
from nbval.plugin import IPyNbCell

from course_utils import settings
from course_utils.datasets import load_dataset

SLOW = {
    "test_benchmark.py",
    "test_browser.py",
    "test_browser_lesson06.py",
    "test_browser_widgets.py",
    "test_classroom.py",
    "test_hub.py",
}
SLOW |= {"test_journeys.py", "test_lessons.py", "test_site.py"}


def pytest_configure(config):
    # Once for all: a kernel that had to find out by itself that there is no network would lose seconds each time.
    config.course_dataset = load_dataset()
    if config.course_dataset.name == "digits":
        os.environ["COURSE_DATA"] = settings.DATA = "embedded"


def pytest_collection_modifyitems(config, items):
    """Fast tests first; slow are those that execute whole notebooks or start a browser or a server (`-m "not slow"`).

    nbval compares a cell tagged `dataset` on DermaMNIST only; on the digits it is executed, no more.
    """
    for item in items:
        if isinstance(item, IPyNbCell) or item.path.name in SLOW:
            item.add_marker("slow")
    items.sort(key=lambda item: (isinstance(item, IPyNbCell), item.get_closest_marker("slow") is not None))
    for item in items:
        if isinstance(item, IPyNbCell):
            item.options["check"] = is_compared(item.cell, config.course_dataset.name)


@pytest.fixture(scope="session")
def best_dataset(request):
    """DermaMNIST where it can be had, the digits where not."""
    return request.config.course_dataset


@pytest.fixture(scope="session")
def dermamnist(best_dataset):
    if best_dataset.name != "dermamnist":
        pytest.skip("needs DermaMNIST: set COURSE_DATA to its folder")
    return best_dataset


@pytest.fixture(scope="session")
def digits():
    return load_dataset("digits")


@pytest.fixture(autouse=True)
def runs_elsewhere(tmp_path, monkeypatch):
    """Each test records its runs apart from the others, in this process and in those that it starts."""
    monkeypatch.setattr(settings, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(settings, "SAVE_PROGRESS", True)
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "runs"))
