"""Every exercise's check, against the stub, the solution, other right answers and the wrong answers people give."""

import time

import pytest
from lessons import SOURCES, answers, exercises, numbers, status, verdicts

from course_utils.check import verdict


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_stubs_are_todo(source):
    lines = verdicts(source, solved=set())
    assert {number: status(line) for number, line in lines.items()} == dict.fromkeys(numbers(source), "todo")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_solutions_are_ok(source):
    lines = verdicts(source, solved=set(numbers(source)))
    assert {number: status(line) for number, line in lines.items()} == dict.fromkeys(numbers(source), "ok"), lines


@exercises
def test_solving_one_turns_only_this_one(source, number):
    lines = verdicts(source, solved={number})
    others = {n: status(line) for n, line in lines.items() if n != number}
    assert set(others.values()) <= {"todo"}
    # An exercise that builds on an earlier one says so; every other one is turned by its own solution alone.
    assert status(lines[number]) == "ok" or "uses a function that is not solved" in lines[number]


@exercises
def test_other_right_answers_are_accepted(source, number):
    right = answers(source).RIGHT[number]
    assert len(right) >= 3
    start = time.process_time()  # of computing: the machine may be busy with other tests
    for answer in right:
        result = verdict(number, answer)
        assert result.status == "ok", f"{answer}: {result}"
    assert time.process_time() - start < 2 * len(right), "the check is slow"


@exercises
def test_wrong_answers_are_rejected_with_the_right_cause(source, number):
    wrong = answers(source).WRONG[number]
    assert len(wrong) >= 6
    for position, (answer, cause) in enumerate(wrong):
        result = verdict(number, answer)
        assert result.status == "fix", f"wrong answer {position} was let through: {result}"
        assert cause in result.message, f"wrong answer {position}: expected {cause!r} in {result}"
