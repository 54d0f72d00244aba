"""The README's tables of results are what the shipped runs give."""

import pytest

from course_utils import results
from course_utils.authoring import readme
from course_utils.evaluation import constant_scores


def test_the_tables_are_those_of_the_shipped_runs():
    text = readme.README.read_text()
    fresh = readme.with_tables(text)
    assert text == fresh, "bring them up to date: python -c 'from course_utils.authoring import readme; readme.renew()'"
    assert len(readme.TABLE.findall(text)) >= 3


@pytest.mark.parametrize("dataset", ["dermamnist", "digits"])
def test_every_network_that_ships_has_a_table(dataset):
    networks = results.read_runs(results.shipped_file(dataset))["network"].unique()
    shown = {(name, network) for _, _, name, network, _ in readme.TABLE.findall(readme.README.read_text())}
    assert {(dataset, network) for network in networks} <= shown


def test_another_score_is_another_table(monkeypatch):
    mark = "<!-- one budget: digits, SimpleCNN, 500 -->\n\n"
    right = readme.with_tables(mark + "| old |\n\nWords that follow.")
    assert right.startswith(mark + "| method |") and right.endswith("|\n\nWords that follow.") and "old" not in right
    assert readme.with_tables(right) == right
    runs = results.read_runs(results.shipped_file("digits"))
    monkeypatch.setattr(results, "read_runs", lambda path: runs.assign(AUC=runs["AUC"] - 0.1))
    assert readme.with_tables(right) != right


def test_the_constant_predictor_is_quoted_right(dermamnist):
    constant = constant_scores(dermamnist, dermamnist.test)
    text = " ".join(readme.README.read_text().split())
    for metric, words in {
        "AUC": "in AUC",
        "ACC": "in accuracy",
        "macro-F1": "in macro-F1",
        "balanced ACC": "in balanced",
    }.items():
        assert f"{constant[metric]:.3f} {words}" in text
