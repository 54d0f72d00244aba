"""Records what the proved solutions give on the batteries of their checks, so that no solution lies in a student's copy."""

from pathlib import Path
from typing import Any

import torch
from nbformat import NotebookNode

from course_utils.authoring.build import exercise_number, read_source, tags
from course_utils.check import battery, runner
from course_utils.check.cases import RECORDED


def solutions(source: Path) -> dict[str, Any]:
    """What the set-up and the exercise cells of a lesson define, solved."""
    return run_cells([cell for cell in read_source(source).cells if {"setup", "exercise"} & set(tags(cell))])


def run_cells(cells: list[NotebookNode]) -> dict[str, Any]:
    """The names that these cells define, executed in their order."""
    namespace: dict[str, Any] = {"__name__": "lesson"}
    for cell in cells:
        exec(compile(cell.source, f"<exercise {exercise_number(cell)}>", "exec"), namespace)
    return namespace


def values(source: Path) -> dict[str, dict[str, Any]]:
    """exercise -> what -> part -> what the solution gives, for every case whose right value is recorded."""
    solved = solutions(source)
    found = {}
    for number, exercise in runner.exercises(source.name[:2]).items():
        cases = [case for case in exercise.all_cases if case.right is RECORDED]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            outcomes = {case.what: exercise.outcome(solved[exercise.name], case) for case in cases}
        for what, seen in outcomes.items():
            faults = [str(value) for value in seen.values() if isinstance(value, Exception)]
            if faults:
                raise ValueError(f"the solution of exercise {number} fails {what}: {'; '.join(faults)}")
        found[number] = {
            what: {k: v for k, v in seen.items() if not isinstance(v, dict)} for what, seen in outcomes.items()
        }
    return found


def record(source: Path) -> bool:
    """Write the recorded values of a lesson; whether they have changed."""
    return battery.write(source.name[:2], values(source))
