"""What students do in a lesson, in real kernels: lesson 00 from its student notebook, with answers written into it."""

import re

import nbformat
import pytest
from lessons import SOURCES, notebook, numbers, tagged
from nbclient import NotebookClient

from course_utils import NOTEBOOKS
from course_utils.authoring import build

LESSON = SOURCES[0]
SOLVED = {build.exercise_number(cell): cell.source for cell in tagged(LESSON, "exercise")}
STUBS = {build.exercise_number(cell): cell.source for cell in tagged(LESSON, "exercise", student=True)}
CHECKS = {build.exercise_number(cell): cell.source for cell in tagged(LESSON, "check")}
SETUP = tagged(LESSON, "setup")[0].source
FIRST_GAIN = ("forty_digits()", "forty_digits(num_steps=50)")  # nbval trains it at full length


def answer(number: str, line: str) -> str:
    """The exercise's cell with this line in place of the stub's."""
    return re.sub(r"raise NotImplementedError.*", line, STUBS[number])


def run(cells: list[str]) -> list[str]:
    """Run the cells in one new kernel, each whatever became of those before; what each of them says, in plain text."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(
        book, kernel_name="python3", allow_errors=True, resources={"metadata": {"path": str(NOTEBOOKS)}}
    )
    client.execute()
    said = []
    for cell in book.cells:
        said.append("")
        for output in cell.outputs:
            assert output.get("name") != "stderr", output.text
            said[-1] += output.get("text") or output.get("evalue") or output.get("data", {}).get("text/plain", "")
    return said


def lesson(answers: dict[str, str], extra: dict[str, str] | None = None) -> tuple[list[str], list[str]]:
    """(cells, their sources' names) of the whole lesson with these exercise cells, and a cell of the student's after some."""
    cells, kinds = [], []
    for cell in (cell for cell in notebook(LESSON, student=True).cells if cell.cell_type == "code"):
        number = build.exercise_number(cell)
        is_exercise = "exercise" in build.tags(cell)
        cells.append(answers.get(number, cell.source) if is_exercise else cell.source.replace(*FIRST_GAIN))
        kinds.append(number if "check" in build.tags(cell) else "")
        if is_exercise and extra and number in extra:
            cells.append(extra[number])
            kinds.append("")
    return cells, kinds


def checks(kinds: list[str], said: list[str]) -> list[str]:
    return [line.split(" ")[0] for kind, line in zip(kinds, said) if kind]


def test_solved_in_order():
    cells, kinds = lesson(SOLVED)
    said = run(cells)
    assert checks(kinds, said) == ["[ok]"] * 3
    assert said[-1].startswith("Lesson 00: all exercises solved\n") and said[-1].count("solved") == 4
    assert not any("needs Exercise" in line for line in said)


def test_only_the_third_solved_everything_else_goes_on():
    cells, kinds = lesson({"0.3": SOLVED["0.3"]})
    said = run(cells)
    assert checks(kinds, said) == ["[todo]", "[todo]", "[ok]"]
    assert said[-1].startswith("Lesson 00: 1 of 3 exercises solved, 2 to do; about 13 min left")
    friendly = [line for line in said if line.startswith("This cell needs Exercise")]
    assert len(friendly) == 2 and "Exercise 0.1" in friendly[0] and "Exercise 0.2" in friendly[1]


def test_all_borrowed_the_whole_lesson_runs():
    cells, kinds = lesson({}, extra={number: f'borrow("{number}")' for number in numbers(LESSON)})
    said = run(cells)
    assert checks(kinds, said) == ["[borrowed]"] * 3
    assert not any("needs Exercise" in line for line in said)
    assert said[-1].startswith("Lesson 00: 0 of 3 exercises solved, 3 borrowed; about 25 min left")


def test_wrong_wrong_wrong_reveal_and_right():
    tries = [
        "return torch.bincount(labels, minlength=num_classes)",
        "return torch.bincount(labels) / len(labels)",
        "return torch.bincount(labels, minlength=num_classes) / num_classes",
    ]
    cells = [SETUP]
    for line in tries:
        cells += ['reveal("0.1")', answer("0.1", line), CHECKS["0.1"], CHECKS["0.1"]]
    said = run([*cells, 'reveal("0.1")'])
    assert [line[:5] for line in said[3::4]] == ["[fix]"] * 3
    assert [re.search(r"so far (\d)", line)[1] for line in said[1:-1:4]] == ["0", "1", "2"]
    said = run([SETUP, said[-1], CHECKS["0.1"], 'progress("00")'])  # what was revealed, pasted into a cell
    assert said[2].startswith("[ok]") and "solved after reveal" in said[3]


def test_cells_out_of_order_and_again():
    right, wrong = SOLVED["0.1"], answer("0.1", "return labels")
    said = run(
        [CHECKS["0.1"], SETUP, CHECKS["0.1"], STUBS["0.1"], CHECKS["0.1"], right, CHECKS["0.1"], wrong, CHECKS["0.1"]]
    )
    assert "name 'check' is not defined" in said[0] and "name 'class_fractions' is not defined" in said[2]
    assert [line.split(" ")[0] for line in said[4::2]] == ["[todo]", "[ok]", "[fix]"]
    assert run([SETUP, 'progress("00")'])[1].startswith("Lesson 00: 1 of 3")  # solved once


def test_a_restart_in_the_middle_keeps_the_board():
    first = run([SETUP, SOLVED["0.1"], CHECKS["0.1"], 'borrow("0.2")', 'progress("00")'])
    second = run([SETUP, 'progress("00")', "majority_accuracy", SOLVED["0.2"], CHECKS["0.2"], 'progress("00")'])
    assert first[-1] == second[1] and "1 borrowed" in first[-1]
    assert "name 'majority_accuracy' is not defined" in second[2]  # a new kernel knows no function of before
    assert second[-1].startswith("Lesson 00: 2 of 3 exercises solved, 1 to do")


@pytest.mark.usefixtures("dermamnist")
def test_first_on_the_digits_then_on_dermamnist(monkeypatch, best_dataset):
    cells, kinds = lesson(SOLVED)
    with monkeypatch.context() as offline:
        offline.setenv("COURSE_DATA", "embedded")
        said = run(cells)
    used = cells.index("dataset = load_dataset()\ndataset")
    assert said[used].startswith("digits") and checks(kinds, said) == ["[ok]"] * 3
    said = run(cells)
    assert said[used].startswith("dermamnist") and checks(kinds, said) == ["[ok]"] * 3
    assert said[-1].startswith("Lesson 00: all exercises solved\n")
