"""The README's tables of results are what the shipped runs give."""

import pandas as pd
import pytest

from course_utils import results
from course_utils.authoring import readme
from course_utils.evaluation import majority_scores


def test_the_tables_are_those_of_the_shipped_runs():
    text = readme.README.read_text()
    fresh = readme.with_tables(text)
    assert text == fresh, "bring them up to date: python -c 'from course_utils.authoring import readme; readme.renew()'"
    assert len(readme.TABLE.findall(text)) >= 3


@pytest.mark.parametrize("dataset", ["dermamnist", "digits"])
def test_every_network_and_length_that_ships_has_a_table(dataset):
    ships = results.read_runs(results.shipped_file(dataset))[["network", "num_steps"]].drop_duplicates()
    tables = readme.TABLE.findall(readme.README.read_text())
    shown = {(network, int(steps or 1600)) for _, _, name, network, _, steps in tables if name == dataset}
    assert set(ships.itertuples(index=False, name=None)) == shown


def test_another_score_is_another_table(monkeypatch):
    mark = "<!-- methods: digits, SimpleCNN, 500 -->\n\n"
    right = readme.with_tables(mark + "| old |\n\nWords that follow.")
    assert right.startswith(mark + "| method |") and right.endswith("|\n\nWords that follow.") and "old" not in right
    assert readme.with_tables(right) == right
    runs = results.read_runs(results.shipped_file("digits"))
    monkeypatch.setattr(results, "read_runs", lambda path: runs.assign(AUC=runs["AUC"] - 0.1))
    assert readme.with_tables(right) != right


def test_a_table_of_longer_trainings(monkeypatch):
    runs = results.read_runs(results.shipped_file("digits"))
    monkeypatch.setattr(results, "read_runs", lambda path: pd.concat([runs, runs.assign(steps=4800, ACC=0.5)]))
    mark = "<!-- methods: digits, SimpleCNN, 500{} -->\n\n"
    assert "| supervised | 0.999 (0.000) | 0.500 (0.000) |" in readme.with_tables(mark.format(", 4800"))
    assert "| 0.500 (" not in readme.with_tables(mark.format(""))


def test_the_majority_class_is_quoted_right(dermamnist):
    constant = majority_scores(dermamnist, dermamnist.test)
    text = " ".join(readme.README.read_text().split())
    for metric, words in {
        "AUC": "in AUC",
        "ACC": "in accuracy",
        "macro-F1": "in macro-F1",
        "balanced ACC": "in balanced",
    }.items():
        assert f"{constant[metric]:.3f} {words}" in text
