"""The lessons as committed: in order, untouched, and really compared by nbval."""

import subprocess
import sys

import nbformat
import pytest
from lessons import SOURCES, is_compared
from nbclient.exceptions import CellExecutionError

from course_utils import NOTEBOOKS, SOLUTIONS
from course_utils.authoring import build, verify

each_lesson = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)


@each_lesson
def test_what_is_committed_is_in_order_and_equals_a_fresh_build(source):
    assert verify.verify(source) == []


def test_there_is_no_notebook_without_a_source():
    stems = {source.stem for source in SOURCES}
    assert (
        {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == {path.stem for path in SOLUTIONS.glob("*.ipynb")} == stems
    )


@each_lesson
def test_notebooks_are_small_enough_for_git(source):
    assert build.solution_path(source).stat().st_size < 1_000_000
    images = [
        output.data["image/png"]
        for cell in nbformat.read(build.solution_path(source), as_version=4).cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert images and max(map(len, images)) < 4 / 3 * 200_000


@each_lesson
@pytest.mark.parametrize("dataset", ["dermamnist", "digits"])
def test_nbval_really_compares(source, dataset):
    """A cell is compared if it has outputs and no tag says otherwise: enough of them, and all checks."""
    code = [cell for cell in nbformat.read(build.solution_path(source), as_version=4).cells if cell.cell_type == "code"]
    compared = [cell for cell in code if cell.outputs and is_compared(cell, dataset)]
    checks = [cell for cell in code if "check" in build.tags(cell)]
    assert checks and all(cell in compared and "[ok]" in cell.outputs[0].text for cell in checks)
    with_outputs = [cell for cell in code if cell.outputs]
    assert len(compared) >= len(with_outputs) * (0.6 if dataset == "dermamnist" else 0.25)


def test_nbval_fails_on_a_changed_output(tmp_path):
    """The settings in pyproject.toml do compare: a wrong stored output must fail."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print(1 + 1)")])
    build.execute(notebook, tmp_path)
    path = tmp_path / "sum.ipynb"

    def run() -> int:
        nbformat.write(notebook, path)
        command = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", "--no-header", str(path)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True).returncode

    assert run() == 0
    notebook.cells[0].outputs[0].text = "3\n"
    assert run() == 1


@each_lesson
def test_an_untouched_notebook_stops_with_one_friendly_line(source):
    """Restart and run all: explanations run, checks say [todo], the first use of an unsolved function ends kindly."""
    notebook = build.student_notebook(source)
    with pytest.raises(CellExecutionError):
        build.execute(notebook, NOTEBOOKS)
    ran = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.execution_count]
    for cell in ran:
        assert not any(output.output_type == "error" or output.get("name") == "stderr" for output in cell.outputs), (
            cell.source
        )
        if "check" in build.tags(cell):
            assert cell.outputs[0].text.startswith("[todo]")
    (last,) = ran[-1].outputs
    numbers = [build.exercise_number(cell) for cell in ran if "exercise" in build.tags(cell)]  # those above the line
    assert last.text.removeprefix("This cell needs Exercise ").split(",")[0] in numbers
    assert "which is not solved yet:" in last.text and last.text.count("\n") == 1
