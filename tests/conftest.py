"""Settles once which data the tests and the notebooks use, and how the notebooks' outputs are compared."""

import os

os.environ["TQDM_DISABLE"] = "1"  # progress bars write to stderr, which nbval compares

import pytest

from course_utils.data import load_dataset


def pytest_configure(config):
    # Once for all: a kernel that had to find out by itself that there is no network would lose seconds each time.
    with_data = load_dataset()
    if with_data.name == "digits":
        os.environ["COURSE_DATA"] = "embedded"
    config.course_dataset = with_data


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
    """Tests record their runs apart from the user's."""
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "runs"))
