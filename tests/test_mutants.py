"""No small slip in a solution gets past its check: see `mutants.py`."""

import pytest
from lessons import ALL_EXERCISES, answers, each_lesson
from mutants import OPEN, mutants, survives

CLOSED = [(source, number) for source, number in ALL_EXERCISES if number not in OPEN]


@pytest.mark.parametrize(("source", "number"), CLOSED, ids=[number for _, number in CLOSED])
def test_mutants_are_rejected(source, number):
    survivors = {mutant.change for mutant in mutants(source, number) if survives(source, number, mutant)}
    right = set(answers(source).EQUIVALENT.get(number, {}))
    assert survivors - right == set(), "let through: strengthen the check"
    assert right - survivors == set(), "listed as equivalent, but rejected or no longer generated: take it off the list"


@each_lesson
def test_what_stands_beside_a_check_belongs_to_its_exercises(source):
    own = {number for other, number in ALL_EXERCISES if other == source}
    catalogue = answers(source)
    assert set(catalogue.RIGHT) == own
    assert set(catalogue.WRONG) | set(catalogue.EQUIVALENT) <= own and not OPEN & set(catalogue.EQUIVALENT)
