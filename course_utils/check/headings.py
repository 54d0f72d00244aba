"""The exercises of a lesson as its notebook announces them: number, title, minutes, difficulty, objectives."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from course_utils import NOTEBOOKS

HEADING = re.compile(
    r"^### Exercise (?P<number>\d+\.\d+) · (?P<title>.+)\n\n?(?P<minutes>\d+) min · difficulty (?P<difficulty>[1-5])/5 · "
    r"objectives? (?P<objectives>\d+[a-z](?:, \d+[a-z])*)",
    re.MULTILINE,
)
HINT = re.compile(r"<details><summary>(Hint \d.*?)</summary>(.*?)</details>", re.DOTALL)


def mentioned_exercises(notebook: Mapping[str, Any]) -> list[re.Match]:
    """The exercise headings of a notebook, with their number, title, minutes, difficulty and objectives as groups."""
    text = (cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    return [match for source in text for match in HEADING.finditer(source)]


def read_notebook(path: Path) -> dict[str, Any]:
    """A notebook file, each cell's source as one text; ValueError, with the cure, if the file is damaged.

    Read as plain JSON: nbformat takes a second to import, too long to wait for a word about one's progress.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {**found, "cells": [{**cell, "source": "".join(cell["source"])} for cell in found["cells"]]}
    except (ValueError, KeyError, TypeError) as error:
        cure = "put the file back that came with the course"
        raise ValueError(f"{path} is damaged, no notebook that can be read ({error}): {cure}") from None


def lesson_of(number: str) -> str:
    """The lesson of an exercise: "06" for "6.2"."""
    return number.partition(".")[0].zfill(2)


def lessons() -> list[str]:
    """The lessons whose notebooks are here, such as "06"."""
    return sorted(path.name[:2] for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def lesson_notebook(lesson: str) -> dict[str, Any]:
    """The student's notebook of a lesson, such as "06"; ValueError if there is no such lesson."""
    for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"):
        if path.name[:2] == lesson:
            return read_notebook(path)
    raise ValueError(f"no lesson {lesson!r}; there are {', '.join(lessons())}")


def exercises(lesson: str) -> list[re.Match]:
    """The exercise headings of a lesson, such as "06"; ValueError if there is no such lesson."""
    return mentioned_exercises(lesson_notebook(lesson))


def hints(number: str) -> list[tuple[str, str]]:
    """The hints of an exercise, each with its title, as HTML; fewer if the notebook does not hold them any more."""
    for heading in exercises(lesson_of(number)):
        if heading["number"] == number:
            own = heading.string[heading.end() :].partition("\n### ")[0]
            return [(title, " ".join(hint.split())) for title, hint in HINT.findall(own)]
    return []


def stated_objectives(text: str) -> dict[str, str]:
    """The objectives of a lesson, by their id, in words."""
    return {found[1]: " ".join(found[2].split()) for found in re.finditer(r"^- \*\*(\d+[a-z])\*\* (.+(?:\n  .+)*)", text, re.MULTILINE)}


def asked_objectives(text: str) -> dict[str, str]:
    """The objective that each quiz question asks about, by the question's number."""
    return dict(re.findall(r"^\*\*Question (\d)\*\* \((\d+[a-z])\)", text, re.MULTILINE))
