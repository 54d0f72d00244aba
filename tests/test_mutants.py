"""No small slip in a solution gets past its check: see `mutants.py`."""

import pytest
from answers.equivalent import EQUIVALENT, OPEN
from lessons import ALL_EXERCISES
from mutants import mutants, survives

CLOSED = [(source, number) for source, number in ALL_EXERCISES if number not in OPEN]


@pytest.mark.parametrize(("source", "number"), CLOSED, ids=[number for _, number in CLOSED])
def test_mutants_are_rejected(source, number):
    survivors = {mutant.change for mutant in mutants(source, number) if survives(source, number, mutant)}
    right = set(EQUIVALENT.get(number, {}))
    assert survivors - right == set(), "let through: strengthen the check"
    assert right - survivors == set(), "listed as equivalent, but rejected or no longer generated: take it off the list"


def test_equivalents_belong_to_exercises():
    assert set(EQUIVALENT) <= {number for _, number in CLOSED}
    assert {number for _, number in ALL_EXERCISES} >= OPEN
