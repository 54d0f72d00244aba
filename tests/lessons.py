"""Helpers for tests: the lessons, and their exercise cells as code that can be run."""

import contextlib
import importlib
import io
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from course_utils.authoring import build, lessons, recording
from course_utils.check import runner
from course_utils.check.cases import Exercise

SOURCES = lessons()


@cache
def notebook(source: Path, student: bool = False):
    return build.student_notebook(source) if student else build.read_source(source)


def tagged(source: Path, tag: str, student: bool = False) -> list:
    return [cell for cell in notebook(source, student).cells if tag in build.tags(cell)]


def numbers(source: Path) -> list[str]:
    return [build.exercise_number(cell) for cell in tagged(source, "exercise")]


def answers(source: Path):
    return importlib.import_module(f"answers.lesson{source.name[:2]}")


ALL_EXERCISES = [(source, number) for source in SOURCES for number in numbers(source)]
TRAINS = {"10.10"}  # the capstone's check trains networks
exercises = pytest.mark.parametrize(
    ("source", "number"),
    [
        pytest.param(source, number, id=number, marks=[pytest.mark.slow] if number in TRAINS else [])
        for source, number in ALL_EXERCISES
    ],
)
each_lesson = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)


@cache
def solved(source: Path) -> dict:
    """What the set-up and the exercise cells define, all solved."""
    return recording.solutions(source)


def solution(exercise: Exercise):
    """The course's own function for an exercise."""
    (source,) = (source for source, number in ALL_EXERCISES if number == exercise.number)
    return solved(source)[exercise.name]


def functions(source: Path, solved: set[str]) -> dict:
    """What the setup and exercise cells define when the exercises in `solved` hold the solution and the others the stub."""
    both = zip(tagged(source, "exercise"), tagged(source, "exercise", student=True))
    cells = [done if build.exercise_number(done) in solved else stub for done, stub in both]
    return recording.run_cells([*tagged(source, "setup"), *cells])


def solutions(number: str) -> SimpleNamespace:
    """The solved functions of a lesson, by its number."""
    (source,) = (source for source in SOURCES if source.name.startswith(number))
    return SimpleNamespace(**solved(source))


def verdicts(source: Path, solved: set[str]) -> dict[str, str]:
    """The line of each check when the exercises in `solved` hold the solution and the others the stub."""
    namespace = functions(source, solved)
    lines = {}
    for cell in tagged(source, "check"):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(cell.source, namespace)
        lines[build.exercise_number(cell)] = printed.getvalue().strip()
    return lines


def wrong_answers(number: str) -> list[tuple]:
    """Every wrong answer to an exercise, (function, piece of the cause to be named): the check's mistakes, and those beside it."""
    (source,) = (source for source, other in ALL_EXERCISES if other == number)
    return [*runner.find(number).all_mistakes, *answers(source).WRONG.get(number, [])]


def status(line: str) -> str:
    return re.match(r"\[(\w+)\]", line)[1]


def is_compared(cell, dataset_name: str) -> bool:
    """Whether nbval compares the outputs of this cell when the notebooks run on the named dataset."""
    tags = build.tags(cell)
    return "nbval-ignore-output" not in tags and not ("dataset" in tags and dataset_name != "dermamnist")
