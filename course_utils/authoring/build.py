"""Build notebooks from a lesson source: jupytext percent format, in which the solutions are live code.

In a source, a solution stands between `### BEGIN SOLUTION` and `### END SOLUTION`, in a cell tagged `exercise` and
`ex-N.M`. The student notebook gets `raise NotImplementedError("Exercise N.M")` in its place and no outputs; the
solution notebook is executed top to bottom. Both carry the metadata by which nbgrader knows the cells that students fill
and the checks that give points. The student notebook also gets a first code cell that fetches the course on Google Colab and
does nothing elsewhere.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from course_utils import NOTEBOOKS
from course_utils.authoring import repository
from course_utils.check import cards
from course_utils.check.headings import HEADING, mentioned_exercises

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
CELL_TIMEOUT = 600  # seconds
COLAB_CELL = """\
# @title Google Colab: run this cell first. Anywhere else it does nothing.
import sys

if "google.colab" in sys.modules:
    !test -d /content/ssl-course || git clone --quiet --depth 1 {repository} /content/ssl-course
    sys.path.insert(0, "/content/ssl-course")
    from course_utils.colab import install_missing
    install_missing()"""


class SourceError(ValueError):
    """A lesson source breaks a rule; the message says which cell and what to do."""


def read_source(path: Path) -> NotebookNode:
    """Parse and validate a lesson source; cells get ids that stay the same from build to build."""
    notebook = jupytext.reads(path.read_text(), fmt="py:percent")
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for position, cell in enumerate(notebook.cells):
        cell.id = hashlib.sha1(f"{path.stem}/{position}".encode()).hexdigest()[:8]
        cell.metadata = NotebookNode(tags=cell.metadata["tags"]) if cell.metadata.get("tags") else NotebookNode()
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    _validate(notebook, path)
    points = {match["number"]: int(match["difficulty"]) for match in mentioned_exercises(notebook)}
    for cell in notebook.cells:
        if {"exercise", "check"} & set(tags(cell)):
            cell.metadata.nbgrader = _for_nbgrader(cell, points.get(exercise_number(cell), 1))
    return notebook


def _for_nbgrader(cell: NotebookNode, points: int) -> NotebookNode:
    """An exercise's cell is the student's; its check is locked, and worth as many points as the exercise is difficult."""
    graded = "check" in tags(cell)
    name = f"{'check' if graded else 'ex'}-{exercise_number(cell).replace('.', '-')}"
    marks = NotebookNode(schema_version=3, grade_id=name, solution=not graded, grade=graded, locked=graded, task=False)
    return NotebookNode(marks, points=points) if graded else marks


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def exercise_number(cell: NotebookNode) -> str:
    """The N.M of a cell tagged `ex-N.M`; empty for other cells."""
    numbers = [tag.removeprefix("ex-") for tag in tags(cell) if tag.startswith("ex-")]
    return numbers[0] if numbers else ""


def _validate(notebook: NotebookNode, path: Path) -> None:
    seen: set[str] = set()
    checked: set[str] = set()
    for position, cell in enumerate(notebook.cells):
        where = f"{path.name}, cell {position} ({cell.source.strip().splitlines()[0][:60] if cell.source.strip() else 'empty'})"
        markers = [line.strip() for line in cell.source.splitlines() if line.strip() in (BEGIN, END)]
        is_exercise, number = "exercise" in tags(cell), exercise_number(cell)
        if markers != [BEGIN, END] * (len(markers) // 2):
            raise SourceError(
                f"{where}: solution markers are unbalanced: each {BEGIN!r} needs its {END!r} before the next"
            )
        if markers and not is_exercise:
            raise SourceError(
                f"{where}: solution markers in a cell that is not tagged 'exercise': tag it, or remove them"
            )
        if is_exercise and not markers:
            raise SourceError(f"{where}: tagged 'exercise' but without {BEGIN!r} and {END!r}")
        if (is_exercise or "check" in tags(cell)) and not number:
            raise SourceError(f"{where}: needs a tag 'ex-N.M' beside its other tag")
        if number and int(number.split(".")[0]) != int(path.name[:2]):
            raise SourceError(f"{where}: exercise {number} does not belong into lesson {path.name[:2]}")
        if is_exercise:
            if number in seen:
                raise SourceError(f"{where}: there are two exercises with the number {number}")
            seen.add(number)
        if "check" in tags(cell):
            checked.add(number)
    if seen != checked:
        raise SourceError(
            f"{path.name}: exercises {sorted(seen)} but checks {sorted(checked)}: each exercise needs its check cell"
        )


def student_notebook(path: Path, framed: bool = True) -> NotebookNode:
    """The notebook that the student opens: stubs in place of the solutions, no outputs, and a first cell for Colab.

    Without `framed` the exercises stand in plain Markdown, for whoever frames them in another way.
    """
    notebook = read_source(path)
    for cell in notebook.cells:
        if framed and cell.cell_type == "markdown":
            cell.source = _framed(cell.source)
        if "exercise" in tags(cell):
            cell.source = _stub(cell.source, exercise_number(cell))
        if "figure" in tags(cell):
            cell.metadata.update(_folded())
    first = next(position for position, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    notebook.cells.insert(first, _colab_cell())
    return notebook


def _framed(text: str) -> str:
    """The text with its exercise, from the heading on, in a box; where styles are not read it is plain Markdown."""
    heading = HEADING.search(text)
    if heading is None:
        return text
    before, exercise = text[: heading.start()], text[heading.start() :].strip()
    sign = cards.badge("exercise", style="float:right; ")
    return f'{before}<div style="{cards.frame("exercise")}">{sign}\n\n{exercise}\n\n</div>'


def _colab_cell() -> NotebookNode:
    """Folded; its first line is its title in Colab; left out of the site."""
    metadata = _folded() | {"tags": ["colab", "remove-cell"]}
    return nbformat.v4.new_code_cell(COLAB_CELL.format(repository=repository()), id="colab", metadata=metadata)


def _folded() -> dict:
    """Metadata by which JupyterLab and Colab fold a cell's code: one sees what it shows."""
    return {"cellView": "form", "jupyter": {"source_hidden": True}}


def _stub(source: str, number: str) -> str:
    lines, inside = [], False
    for line in source.splitlines():
        if line.strip() == BEGIN:
            inside = True
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(f'{indent}raise NotImplementedError("Exercise {number}")  # replace this line by your code')
        elif line.strip() == END:
            inside = False
        elif not inside:
            lines.append(line)
    return "\n".join(lines)


def execute(
    notebook: NotebookNode,
    folder: Path,
    on_cell: Callable[[], None] = lambda: None,
    settings: dict[str, str] | None = None,
    errors_end_it: bool = True,
    cell_timeout: int | None = CELL_TIMEOUT,
) -> NotebookNode:
    """Run a notebook top to bottom in a fresh kernel; raises nbclient's CellExecutionError where a cell fails, CellTimeoutError
    where it takes too long, and DeadKernelError where it takes the kernel with it.

    `settings` are environment variables for the kernel. Without `errors_end_it` an error ends its cell only, and stays there.
    """
    client = NotebookClient(
        notebook,
        timeout=cell_timeout,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=40"],  # not its warning that it talks over TCP on this very machine
        resources={"metadata": {"path": str(folder)}},
        on_cell_executed=lambda **_: on_cell(),
        allow_errors=not errors_end_it,
    )
    return client.execute(env={**os.environ, "TQDM_DISABLE": "1", "COURSE_WIDGETS": "off", **(settings or {})})


def to_text(notebook: NotebookNode) -> str:
    return nbformat.writes(notebook, version=4) + "\n"


def student_path(source: Path) -> Path:
    return NOTEBOOKS / f"{source.stem}.ipynb"


def solution_path(source: Path) -> Path:
    return source.with_suffix(".ipynb")


def same_code(committed: NotebookNode, fresh: NotebookNode) -> bool:
    """Whether two notebooks have the same cells, outputs and execution counts aside."""

    def code(notebook):
        return [(cell.cell_type, cell.id, cell.source, cell.metadata) for cell in notebook.cells]

    return code(committed) == code(fresh)


def with_outputs_of(executed: NotebookNode, fresh: NotebookNode) -> NotebookNode | None:
    """The fresh notebook with the outputs of the executed one; None if any code differs, so that it has to be executed."""

    def code(notebook):
        return [cell for cell in notebook.cells if cell.cell_type == "code"]

    old, new = code(executed), code(fresh)
    if [(cell.source, tags(cell)) for cell in old] != [(cell.source, tags(cell)) for cell in new]:
        return None
    for cell, done in zip(new, old):
        cell.outputs, cell.execution_count = done.outputs, done.execution_count
    fresh.metadata = executed.metadata
    return fresh
