"""Help on the way: `borrow` lends the course's function for an exercise, `reveal` shows it."""

import ast

from course_utils import SOLUTIONS
from course_utils.check import cards
from course_utils.check.events import note, state
from course_utils.check.headings import lesson_of, read_notebook

TRIES = 3  # different wrong answers before a solution is revealed


def borrow(number: str) -> None:
    """Lend the course's function for an exercise to this notebook, so that the lesson goes on; progress says *borrowed*."""
    shell, source = cards.shell(), _solution(number)
    if source is None:
        return
    if shell is None:
        raise RuntimeError("borrow lends functions to a notebook: call it in a cell")
    try:
        exec(compile(source, f"<borrowed {number}>", "exec", dont_inherit=True), shell.user_ns)
    except NameError as error:
        print(f"Exercise {number} could not be lent ({error}): run the set-up cell, the first of this lesson, and try again.")
        return
    names = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    for name in names:
        shell.user_ns[name].borrowed = number
    note(number, "borrowed")
    way_back = "Go on, and come back to it later: running the exercise's own cell puts your function in its place."
    now = f"`{'`, `'.join(names)}` is the course's function now."
    cards.tell("borrowed", f"Exercise {number}", now, [cards.prose(way_back)])


def reveal(number: str) -> None:
    """Print the course's solution of an exercise that is solved, or that was tried three times in different ways."""
    source, now = _solution(number), state(number)
    if source is None:
        return
    if not now.solved and now.tries < TRIES:
        when = f"it is revealed once it is solved, or after {TRIES} different answers to its check (so far {now.tries})."
        meanwhile = f"There are two hints above it, and `borrow({number!r})` lets you go on."
        cards.tell("not yet", f"Exercise {number}", when, [cards.prose(meanwhile)])
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
    for path in SOLUTIONS.glob(f"{lesson_of(number)}_*.ipynb"):
        for cell in read_notebook(path)["cells"]:
            if {"exercise", f"ex-{number}"} <= set(cell["metadata"].get("tags", [])):
                lines = cell["source"].splitlines()
                return "\n".join(line for line in lines if line.strip() not in ("### BEGIN SOLUTION", "### END SOLUTION"))
    print(f"There is no exercise {number!r}: its number stands in its heading, such as '6.2'.")
    return None
