"""The exercises of a lesson as its notebook announces them: number, title, minutes, difficulty, objectives."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils import NOTEBOOKS

if TYPE_CHECKING:
    from nbformat import NotebookNode

HEADING = re.compile(
    r"^### Exercise (?P<number>\d+\.\d+) · (?P<title>.+)\n\n?(?P<minutes>\d+) min · difficulty (?P<difficulty>[1-5])/5 · "
    r"objectives? (?P<objectives>\d+[a-z](?:, \d+[a-z])*)",
    re.MULTILINE,
)


def mentioned_exercises(notebook: "NotebookNode") -> list[re.Match]:
    """The exercise headings of a notebook, with their number, title, minutes, difficulty and objectives as groups."""
    return [match for cell in notebook.cells if cell.cell_type == "markdown" for match in HEADING.finditer(cell.source)]


def read_notebook(path: Path) -> "NotebookNode":
    """A notebook file."""
    import nbformat  # takes more than a second to import, so not before a notebook is read

    return nbformat.read(path, as_version=4)


def exercises(lesson: str) -> list[re.Match]:
    """The exercise headings of a lesson, such as "06"; ValueError if there is no such lesson."""
    paths = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    chosen = [path for path in paths if path.name.startswith(f"{lesson}_")]
    if not chosen:
        have = ", ".join(path.name[:2] for path in paths)
        raise ValueError(f"no lesson {lesson!r}; there are {have}")
    return mentioned_exercises(read_notebook(chosen[0]))


def stated_objectives(text: str) -> dict[str, str]:
    """The objectives of a lesson, by their id, in words."""
    return {found[1]: " ".join(found[2].split()) for found in re.finditer(r"^- \*\*(\d+[a-z])\*\* (.+(?:\n  .+)*)", text, re.MULTILINE)}


def asked_objectives(text: str) -> dict[str, str]:
    """The objective that each quiz question asks about, by the question's number."""
    return dict(re.findall(r"^\*\*Question (\d)\*\* \((\d+[a-z])\)", text, re.MULTILINE))
