"""The student's board: which exercises are solved, borrowed or still to do, and the help that is lent on the way.

The state is a file of lines, one event each, in the folder of the recorded runs; nothing leaves the machine. Lines are only
ever added, each in one write: two notebooks at once do not disturb each other, and a write that was cut short spoils no
other line.
"""

import ast
import inspect
import json
import os
import re
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
from IPython import get_ipython

from course_utils import NOTEBOOKS, SOLUTIONS, results

if TYPE_CHECKING:
    from nbformat import NotebookNode

TRIES = 3  # different wrong answers before a solution is revealed

HEADING = re.compile(
    r"^### Exercise (?P<number>\d+\.\d+) · (?P<title>.+)\n\n?(?P<minutes>\d+) min · difficulty (?P<difficulty>[1-5])/5 · "
    r"objectives? (?P<objectives>\d+[a-z](?:, \d+[a-z])*)",
    re.MULTILINE,
)

# What is run in the solutions folder (by an author, by the tests) is nobody's progress: it is remembered in this process only.
_unsaved: list[dict] = []


class State(NamedTuple):
    """Where a student stands with one exercise; `tries` counts the different wrong answers."""

    solved: bool = False
    borrowed: bool = False
    revealed_first: bool = False
    tries: int = 0

    def __str__(self) -> str:
        if self.solved:
            return "solved after reveal" if self.revealed_first else "solved"
        if self.borrowed:
            return "borrowed"
        return ("to do", "tried once")[self.tries] if self.tries < 2 else f"tried {self.tries} times"


def progress_file() -> Path:
    """The untracked file that holds the board's events."""
    return results.runs_file().with_name("progress.jsonl")


def note(number: str, event: str, function: Callable | None = None) -> None:
    """Add an event ("todo", "fix", "ok", "borrowed" or "revealed") of an exercise, with a mark that tells answers apart."""
    line = {"exercise": number, "event": event, "time": time.strftime("%Y-%m-%d %H:%M:%S")}
    if function is not None:
        line["answer"] = _fingerprint(function)
    if Path.cwd() == SOLUTIONS:
        _unsaved.append(line)
        return
    path = progress_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            # the line break comes first, so that it also ends a line that was cut short
            os.write(descriptor, ("\n" + json.dumps(line)).encode())
        finally:
            os.close(descriptor)
    except OSError as error:  # a course folder that cannot be written must not keep anybody from learning
        if not _unsaved:
            print(f"(Your progress cannot be saved, and is forgotten when this kernel stops: {error})")
        _unsaved.append(line)


def _fingerprint(function: Callable) -> int:
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):  # not written in a cell or a file
        text = repr(getattr(getattr(function, "__code__", None), "co_code", function))
    return zlib.crc32(text.encode())


def events() -> list[dict]:
    """All events, in the order in which they happened; lines that cannot be read are passed over."""
    found = []
    path = progress_file()
    if Path.cwd() != SOLUTIONS and path.is_file():
        for line in path.read_text(errors="replace").splitlines():
            try:
                event = json.loads(line)
                found.append({key: event[key] for key in ("exercise", "event")} | {"answer": event.get("answer")})
            except (json.JSONDecodeError, TypeError, KeyError):
                continue  # empty, or cut short when a machine went down
    return found + _unsaved


def state(number: str) -> State:
    """Where the student stands with the exercise `number`."""
    own = [event for event in events() if event["exercise"] == number]
    kinds = [event["event"] for event in own]
    before = kinds[: kinds.index("ok")] if "ok" in kinds else kinds
    return State(
        solved="ok" in kinds,
        borrowed="borrowed" in kinds,
        revealed_first="revealed" in before,
        tries=len({event.get("answer") for event in own if event["event"] == "fix"}),
    )


def mentioned_exercises(notebook: "NotebookNode") -> list[re.Match]:
    """The exercise headings of a notebook, with their number, title, minutes, difficulty and objectives as groups."""
    return [match for cell in notebook.cells if cell.cell_type == "markdown" for match in HEADING.finditer(cell.source)]


def _read(path: Path) -> "NotebookNode":
    import nbformat  # takes more than a second to import, so not before a notebook is read

    return nbformat.read(path, as_version=4)


def exercises(lesson: str) -> list[re.Match]:
    """The exercise headings of a lesson, such as "06"; ValueError if there is no such lesson."""
    paths = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    chosen = [path for path in paths if path.name.startswith(f"{lesson}_")]
    if not chosen:
        have = ", ".join(path.name[:2] for path in paths)
        raise ValueError(f"no lesson {lesson!r}; there are {have}")
    return mentioned_exercises(_read(chosen[0]))


def progress(lesson: str | None = None) -> pd.DataFrame:
    """The board of a lesson, such as "06", one line for each exercise; without a lesson: one line for each lesson."""
    if lesson is None:
        numbers = sorted(path.name[:2] for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
        return pd.DataFrame([_summary(number) for number in numbers]).set_index("lesson")
    print(f"Lesson {lesson}: {_words(_summary(lesson))}")
    lines = [
        {
            "exercise": match["number"],
            "title": match["title"].replace("`", ""),  # a table shows no Markdown
            "minutes": match["minutes"],
            "state": state(match["number"]),
        }
        for match in exercises(lesson)
    ]
    return pd.DataFrame(lines).astype(str).set_index("exercise")


def _summary(lesson: str) -> dict:
    states = {match: state(match["number"]) for match in exercises(lesson)}
    open_ones = [match for match, one in states.items() if not one.solved]
    return {
        "lesson": lesson,
        "exercises": len(states),
        "solved": sum(one.solved for one in states.values()),
        "borrowed": sum(one.borrowed and not one.solved for one in states.values()),
        "to do": sum(not one.borrowed and not one.solved for one in states.values()),
        "minutes left": sum(int(match["minutes"]) for match in open_ones),
    }


def _words(summary: dict) -> str:
    if summary["solved"] == summary["exercises"]:
        return "all exercises solved"
    counts = ", ".join(f"{summary[kind]} {kind}" for kind in ("borrowed", "to do") if summary[kind])
    return f"{summary['solved']} of {summary['exercises']} exercises solved, {counts}; about {summary['minutes left']} min left"


def borrow(number: str) -> None:
    """Lend the course's function for an exercise to this notebook, so that the lesson goes on; the board says *borrowed*."""
    shell, source = get_ipython(), _solution(number)
    if source is None:
        return
    if shell is None:
        raise RuntimeError("borrow lends functions to a notebook: call it in a cell")
    try:
        exec(compile(source, f"<borrowed {number}>", "exec", dont_inherit=True), shell.user_ns)
    except NameError as error:
        print(
            f"Exercise {number} could not be lent ({error}): run the set-up cell, the first of this lesson, and try again."
        )
        return
    names = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    for name in names:
        shell.user_ns[name].borrowed = number
    note(number, "borrowed")
    print(
        f"[borrowed] Exercise {number}: `{'`, `'.join(names)}` is the course's function now.\n"
        "Go on, and come back to it later: running the exercise's own cell puts your function in its place."
    )


def reveal(number: str) -> None:
    """Print the course's solution of an exercise that is solved, or that was tried three times in different ways."""
    source, now = _solution(number), state(number)
    if source is None:
        return
    if not now.solved and now.tries < TRIES:
        print(
            f"[not yet] Exercise {number} is revealed once it is solved, or after {TRIES} different answers that the check "
            f"has seen (so far {now.tries}). There are two hints above it; borrow({number!r}) lets the lesson go on."
        )
        return
    note(number, "revealed")
    print(source)


def can_lend() -> bool:
    """Whether the solutions are part of this copy of the course."""
    return any(SOLUTIONS.glob("[0-9][0-9]_*.ipynb"))


def _solution(number: str) -> str | None:
    """The code of an exercise's solved cell; None, with a word why, where there is none."""
    if not can_lend():
        print("This copy of the course comes without solutions: ask whoever gave it to you.")
        return None
    for path in SOLUTIONS.glob(f"{number.split('.')[0]:0>2}_*.ipynb"):
        for cell in _read(path).cells:
            if {"exercise", f"ex-{number}"} <= set(cell.metadata.get("tags", [])):
                lines = cell.source.splitlines()
                return "\n".join(
                    line for line in lines if line.strip() not in ("### BEGIN SOLUTION", "### END SOLUTION")
                )
    print(f"There is no exercise {number!r}: its number stands in its heading, such as '6.2'.")
    return None
