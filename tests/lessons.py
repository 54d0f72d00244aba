"""Helpers for tests: the lessons, and their exercise cells as code that can be run."""

import contextlib
import importlib
import io
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from course_utils.authoring import build, lessons

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


def functions(source: Path, solved: set[str]) -> dict:
    """What the setup and exercise cells define when the exercises in `solved` hold the solution and the others the stub."""
    namespace: dict = {"__name__": "lesson"}
    for cell in tagged(source, "setup"):
        exec(cell.source, namespace)
    for with_solution, stub in zip(tagged(source, "exercise"), tagged(source, "exercise", student=True)):
        exec((with_solution if build.exercise_number(with_solution) in solved else stub).source, namespace)
    return namespace


def solutions(number: str) -> SimpleNamespace:
    """The solved functions of a lesson, by its number."""
    (source,) = (source for source in SOURCES if source.name.startswith(number))
    return SimpleNamespace(**functions(source, set(numbers(source))))


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


def status(line: str) -> str:
    return re.match(r"\[(\w+)\]", line)[1]


def is_compared(cell, dataset_name: str) -> bool:
    """Whether nbval compares the outputs of this cell when the notebooks run on the named dataset."""
    tags = build.tags(cell)
    return "nbval-ignore-output" not in tags and not ("dataset" in tags and dataset_name != "dermamnist")
