"""From source to notebooks: the same bytes each time, clear errors, and a verifier that finds what it is there to find."""

import re
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from objectives import table

from course_utils import cli, settings
from course_utils.authoring import build, lessons, verify
from course_utils.authoring.build import SourceError
from course_utils.check.headings import mentioned_exercises

SOURCE = '''# %% [markdown]
# # 06 · A toy lesson
#
# **Time** 5 min, of which the computer trains for 0
#
# **You need** nothing
#
# **Objectives**
#
# - **6a** Add.

# %% tags=["setup"]
from course_utils.check import check, progress

# %% [markdown]
# ### Exercise 6.1 · Add
#
# 5 min · difficulty 1/5 · objective 6a
#
# Return the sum $0.5 + 0.5$ of `a` and `b`.
#
# <details><summary>Hint 1</summary>Plus.</details>
# <details><summary>Hint 2</summary>+</details>

# %% tags=["exercise", "ex-6.1"]
def add(a, b):
    """Sum."""
    ### BEGIN SOLUTION
    total = a + b
    return total
    ### END SOLUTION

# %% tags=["check", "ex-6.1"]
print("[ok]", add(1, 2))

# %% [markdown]
# ## What we know
#
# It adds.
#
# ## Quiz
#
# **Question 1** (6a). **Question 2.**
#
# **Question 2** (6a). What?
#
# **Question 3** (6a). Why?
#
# ## Key points
#
# - One.

# %%
progress("06")
'''


@pytest.fixture
def house(tmp_path, monkeypatch):
    """An empty course with one toy lesson; returns its source."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "solutions").mkdir()
    monkeypatch.setattr(build, "NOTEBOOKS", tmp_path / "notebooks")
    source = tmp_path / "solutions" / "06_toy.py"
    source.write_text(SOURCE)
    return source


def built(source, run=True):
    """Build both notebooks, as `course build` does; without `run`, as if no cell had any output."""
    build.student_path(source).write_text(build.to_text(build.student_notebook(source)))
    lesson = build.read_source(source)
    if run:
        build.execute(lesson, source.parent)
    else:
        for count, cell in enumerate((cell for cell in lesson.cells if cell.cell_type == "code"), 1):
            cell.execution_count = count
    build.solution_path(source).write_text(build.to_text(lesson))
    return source


@pytest.mark.slow
def test_a_lesson_in_order_has_no_problems(house):
    assert verify.verify(built(house)) == []


@pytest.mark.slow
def test_two_builds_are_byte_identical(house):
    built(house)
    first = build.student_path(house).read_bytes(), build.solution_path(house).read_bytes()
    built(house)
    assert first == (build.student_path(house).read_bytes(), build.solution_path(house).read_bytes())


def test_the_student_gets_a_stub_and_no_outputs(house):
    student = nbformat.read(build.student_path(built(house, run=False)), as_version=4)
    nbformat.validate(student)
    cell = next(cell for cell in student.cells if "exercise" in build.tags(cell))
    last = '    raise NotImplementedError("Exercise 6.1")  # replace this line by your code'
    assert cell.source == f'def add(a, b):\n    """Sum."""\n{last}'
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in student.cells)
    assert "total = a + b" not in build.student_path(house).read_text()


def test_the_students_exercise_is_framed_and_its_heading_stays_a_heading(house):
    house.write_text(SOURCE.replace("# ### Exercise 6.1", "# ## 1 · Sums\n#\n# Before it.\n#\n# ### Exercise 6.1"))
    student = build.student_notebook(house)
    (text,) = (cell.source for cell in student.cells if "### Exercise" in cell.source)
    page = BeautifulSoup(MarkdownIt().render(text), "html.parser")  # CommonMark, as every notebook page reads it
    frame = page.div
    assert frame.h3.get_text() == "Exercise 6.1 · Add" and len(frame("details")) == 2 and frame.code.get_text() == "a"
    assert "your turn" in frame.get_text() and "border" in frame["style"]
    assert page.h2.parent is page and page.p.get_text() == "Before it." and page.p.parent is page
    assert [match["title"] for match in mentioned_exercises(student)] == ["Add"]
    plain = build.student_notebook(house, framed=False)
    assert "<div" not in build.to_text(plain) + build.to_text(build.read_source(house))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    ### END SOLUTION\n", "", "unbalanced"),
        ("    ### BEGIN SOLUTION\n", "    ### BEGIN SOLUTION\n    ### BEGIN SOLUTION\n", "unbalanced"),
        ('tags=["exercise", "ex-6.1"]', 'tags=["ex-6.1"]', "not tagged 'exercise'"),
        ('tags=["exercise", "ex-6.1"]', 'tags=["exercise"]', "needs a tag 'ex-N.M'"),
        ('"exercise", "ex-6.1"', '"exercise", "ex-7.1"', "exercise 7.1 does not belong into lesson 06"),
        (
            "    ### BEGIN SOLUTION\n    total = a + b\n    return total\n    ### END SOLUTION\n",
            "    return 3\n",
            "without",
        ),
        ('# %% tags=["check", "ex-6.1"]', '# %% tags=["ex-6.1"]', "each exercise needs its check cell"),
        (
            "# %% [markdown]\n# ## What we know",
            '# %% tags=["exercise", "ex-6.1"]\n### BEGIN SOLUTION\n### END SOLUTION\n\n# %% [markdown]\n# ## What we know',
            "two exercises with the number 6.1",
        ),
    ],
)
def test_a_broken_source_is_refused_with_the_cell_named(house, old, new, message):
    assert old in SOURCE
    house.write_text(SOURCE.replace(old, new))
    with pytest.raises(SourceError, match=message) as error:
        build.read_source(house)
    assert "06_toy.py" in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("- **6a** Add.", "- **6a** Add.\n# - **6b** Subtract.", "objective 6b has no exercise"),
        ("objective 6a", "objective 6c", "names objective 6c, which is not stated"),
        ("5 min · difficulty 1/5 · objective 6a", "easy", "has no complete heading"),
        (
            "**Time** 5 min, of which the computer trains for 0",
            "**Time** 9 min, of which the computer trains for 0",
            "9 min stated, but reading, exercises and trainings are 5",
        ),
        ("**Time** 5 min", "", r"no part '\*\*Time"),
        ("## What we know", "## The end", "no part '## What we know'"),
        ("**Question 3** (6a). Why?", "Why?", "three questions"),
        ("**Question 3** (6a). Why?", "**Question 3.** Why?", "three questions"),
        ("**Question 3** (6a)", "**Question 3** (6b)", "question 3 asks about objective 6b, which is not stated"),
        ("- One.", "\n# ".join(["- One."] * 6), "6 key points, at most 4"),
        ("- One.", "None.", "no key points"),
        ("<details><summary>Hint 2</summary>+</details>", "", "fewer than two hints"),
        ('progress("06")', 'progress("07")', r'does not end with the board: progress\("06"\)'),
        ("It adds.", "It adds with an accuracy of 0.67.", "a number typed into prose: '0.67'"),
        ("It adds.", "Right in 67 % of cases.", "a number typed into prose: '67 %'"),
        ('print("[ok]"', "\n".join(["x = 1"] * 31) + '\nprint("[ok]"', "a code cell of 32 lines"),
        (
            "# ## What we know",
            "# ```\n# total = a + b\n# ```\n#\n# ## What we know",
            "a line of a solution is in the open",
        ),
        ('print("[ok]"', 'import sys; print("!", file=sys.stderr)\nprint("[ok]"', "writes to stderr"),
        (
            'print("[ok]"',
            'import matplotlib.pyplot as plt; plt.plot([1]); plt.show()\nprint("[ok]"',
            "an image without alternative text",
        ),
    ],
)
def test_the_verifier_finds(house, old, new, problem):
    assert old in SOURCE
    house.write_text(SOURCE.replace(old, new))
    problems = verify.verify(built(house, run="stderr" in new or "plt" in new))
    assert any(re.search(problem, found) for found in problems), problems


def test_the_verifier_finds_hand_edited_and_stale_notebooks(house):
    built(house, run=False)
    student = build.student_path(house)
    student.write_text(student.read_text().replace("A toy lesson", "My toy lesson"))
    assert "not what a fresh build makes" in verify.verify(house)[0]
    built(house, run=False)
    house.write_text(SOURCE.replace("total = a + b", "total = b + a"))
    build.student_path(house).write_text(build.to_text(build.student_notebook(house)))
    assert "executed from another source" in verify.verify(house)[0]


def test_the_verifier_finds_notebooks_that_were_not_run_in_order(house):
    built(house, run=False)
    executed = nbformat.read(build.solution_path(house), as_version=4)
    for cell in executed.cells:
        if cell.cell_type == "code":
            cell.execution_count = None  # nbval would compare nothing and pass
    assert verify.execution(executed) == ["was not executed in order from a fresh kernel"]


@pytest.mark.slow
def test_a_lesson_that_fails_is_not_built(house):
    from nbclient.exceptions import CellExecutionError

    house.write_text(SOURCE.replace("total = a + b", "total = a + c"))
    with pytest.raises(CellExecutionError, match="name 'c' is not defined"):
        built(house)


def test_lessons_are_named_by_number():
    assert [path.name[:2] for path in lessons()] == [f"{n:02d}" for n in range(11)]
    assert [path.stem for path in lessons(["06"])] == ["06_fixmatch"]
    with pytest.raises(ValueError, match="no lesson 42; there are 00, 01, 02"):
        lessons(["42"])


def test_the_command_says_what_is_wrong_in_one_line(capsys):
    assert cli.main(["verify", "42"]) == 1
    assert (
        capsys.readouterr().err == "course verify: no lesson 42; there are 00, 01, 02, 03, 04, 05, 06, 07, 08, 09, 10\n"
    )
    with pytest.raises(SystemExit):
        cli.main(["sing"])


def test_the_table_of_objectives_is_up_to_date():
    committed = (Path(__file__).parent / "objectives.md").read_text()
    assert committed == table(lessons()), "python tests/objectives.py > tests/objectives.md"
    for objective, exercise in (("0a", "0.1 How frequent"), ("6b", "6.2 "), ("9e", "9.6 ")):
        assert re.search(rf"\*\*{objective}\*\* .*\| {exercise}", committed)


def test_outputs_are_those_of_dermamnist(monkeypatch, capsys):
    monkeypatch.setattr(settings, "DATA", "embedded")
    assert cli.main(["build", "00"]) == 1
    assert "outputs of the solution notebooks are those of DermaMNIST" in capsys.readouterr().err


@pytest.mark.slow
def test_prose_changes_without_execution_and_code_does_not(tmp_path):
    path = tmp_path / "06_toy.py"
    path.write_text(SOURCE)
    executed = build.execute(build.read_source(path), tmp_path)
    path.write_text(SOURCE.replace("It adds.", "It adds two numbers."))
    kept = build.with_outputs_of(executed, build.read_source(path))
    assert "It adds two numbers." in build.to_text(kept) and "[ok] 3" in build.to_text(kept)
    assert verify.execution(kept) == [] and build.same_code(kept, build.read_source(path))
    path.write_text(SOURCE.replace("total = a + b", "total = b + a"))
    assert build.with_outputs_of(executed, build.read_source(path)) is None
