"""Every exercise's check, against the stub, the solution, other right answers and the wrong answers people give."""

import ast
import contextlib
import importlib
import inspect
import re
import sys
import time
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from lessons import answers, each_lesson, exercises, numbers, solution, status, verdicts, wrong_answers

from course_utils.check import expect, runner, verdict
from course_utils.check.cases import Exercise

MOST_SECONDS = 1.0  # of computing, for a check that passes

# An error names the line of the answer, which in a catalogue holds the cause: what is quoted proves nothing
QUOTED_LINE = re.compile(r"\(in `.*`\)", re.DOTALL)


@each_lesson
def test_every_exercise_has_a_check_of_its_name(source):
    checks = runner.exercises(source.name[:2])
    assert list(checks) == numbers(source)
    assert [type(solution(check)).__name__ for check in checks.values()] == ["function"] * len(checks)


@each_lesson
def test_stubs_are_todo(source):
    lines = verdicts(source, solved=set())
    assert {number: status(line) for number, line in lines.items()} == dict.fromkeys(numbers(source), "todo")


@each_lesson
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
    for answer in right:
        result = verdict(number, answer)
        assert result.status == "ok", f"{answer}: {result}"


def _as(dtype):
    """The same answer, its floats in another precision; numpy's stay numpy's."""
    name = str(dtype).removeprefix("torch.")

    def convert(value):
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            return value.to(dtype)
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            return value.astype(name)
        if type(value) in (tuple, list):
            return type(value)(convert(part) for part in value)
        return value

    return convert


@exercises
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_float32_and_float64_answers_are_taken_alike(source, number, dtype):
    exercise = runner.find(number)
    own, convert = solution(exercise), _as(dtype)
    result = verdict(number, lambda *args, **options: convert(own(*args, **options)))
    assert result.status == "ok", result


@exercises
def test_a_check_is_quick(source, number):
    own = solution(runner.find(number))
    verdict(number, own)  # what is loaded on the first call
    start = time.process_time()  # of computing: the machine may be busy with other tests
    verdict(number, own)
    assert time.process_time() - start < MOST_SECONDS


@cache
def tried(number: str) -> tuple[list[tuple], set[tuple[str, int]]]:
    """(answer, cause, verdict) for every wrong answer, and the places in the checks at which a Fix was made for one of them."""
    places: set[tuple[str, int]] = set()
    made = expect.Fix.__init__

    def noting(self, *args, **options):
        frame = sys._getframe(1)
        places.add((Path(frame.f_code.co_filename).name, frame.f_lineno))
        made(self, *args, **options)

    expect.Fix.__init__ = noting
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what wrong answers divide
            verdicts = [(answer, cause, verdict(number, answer)) for answer, cause in wrong_answers(number)]
    finally:
        expect.Fix.__init__ = made
    return verdicts, places


@exercises
def test_wrong_answers_are_rejected_with_the_right_cause(source, number):
    found, _ = tried(number)
    assert len(found) >= 6
    problems = [
        f"wrong answer {position}: expected {cause!r} in {result}"
        for position, (_, cause, result) in enumerate(found)
        if result.status != "fix" or cause not in QUOTED_LINE.sub("", result.message)
    ]
    assert problems == []


@each_lesson
def test_every_cause_in_a_check_is_proved_by_a_wrong_answer(source):
    """Each place in the lesson's checks that makes a Fix is reached by at least one wrong answer."""
    module = importlib.import_module(f"course_utils.check.lesson{source.name[:2]}")
    path = Path(module.__file__)
    places = {
        (node.lineno, node.end_lineno)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Fix"
    }
    reached = {line for number in numbers(source) for name, line in tried(number)[1] if name == path.name}
    unproved = [first for first, last in sorted(places) if not reached & set(range(first, last + 1))]
    assert unproved == [], f"no wrong answer reaches the Fix in these lines of {path.name}"


ROOMS = [
    "augment",
    "batches",
    "datasets",
    "evaluation",
    "first_gain",
    "labels",
    "models",
    "results",
    "training",
    "check.battery",
    "check.cases",
    "check.expect",
    "check.guard",
    "playground",
    "playground.films",
    "playground.plane",
    "widgets.neighbours",
    "widgets.player",
    "widgets.predictions",
    "widgets.soft_labels",
    "widgets.weights",
]


def _takes(function, case) -> bool:
    """Whether a function can be called with a case's inputs."""
    try:
        inspect.signature(function).bind(*case.arguments(), **case.options)
    except (TypeError, ValueError):  # it takes others, or does not say which
        return False
    return True


@pytest.mark.filterwarnings("ignore")  # of functions that are handed what is not meant for them
@each_lesson
def test_no_solution_lies_in_a_students_copy(source):
    """No function of the package, and none that one of the checks makes without being told a mistake, passes a check."""
    own = importlib.import_module(f"course_utils.check.lesson{source.name[:2]}")
    rooms = [own, *(importlib.import_module(f"course_utils.{name}") for name in ROOMS)]
    found = {}
    for module in rooms:
        for name, value in vars(module).items():
            if (
                callable(value)
                and not isinstance(value, Exercise | type)
                and getattr(value, "__module__", "").startswith("course_utils")
            ):
                found[f"{module.__name__}.{name}"] = value
    for name, function in list(found.items()):
        if name.startswith(own.__name__):
            with contextlib.suppress(Exception):
                found[f"{name}()"] = function()
    assert len(found) > 40
    for number in numbers(source):
        cases = runner.find(number).all_cases[:1]  # none where the check has rules only
        fitting = [name for name, f in found.items() if callable(f) and all(_takes(f, case) for case in cases)]
        passed = [name for name in fitting if verdict(number, found[name], 0.5, diagnose=False).status == "ok"]
        assert passed == [], f"{passed} would pass as {number}"
