"""A class of made submissions, graded with nbgrader's own commands, and what each of them must get.

    python tests/classroom.py FOLDER

lays out nbgrader's folder, hands in 32 notebooks of lesson 06, grades them, and compares the table with the points that follow
from how each was made. The folder is kept, with submissions, feedback and grades.csv.
"""

import copy
import csv
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat
from lessons import SOURCES
from nbformat import NotebookNode

from course_utils.authoring import build, classroom
from course_utils.check.headings import mentioned_exercises


@dataclass
class Submission:
    """A file that a student hands in, the exercises that it solves, and a part of what the table must remark."""

    student: str
    content: bytes
    solved: set[str]
    remark: str = ""
    name: str = ""


class Lesson:
    """A lesson as handed out, and ways to fill it in."""

    def __init__(self, number: str):
        (self.source,) = (source for source in SOURCES if source.name.startswith(number))
        self.name = self.source.stem
        self.empty = build.student_notebook(self.source)
        solved = build.read_source(self.source)
        self.solutions = {build.exercise_number(c): c.source for c in solved.cells if "exercise" in build.tags(c)}
        self.all = set(self.solutions)
        self.points = {match["number"]: int(match["difficulty"]) for match in mentioned_exercises(self.empty)}

    def filled(self, solved: set[str] | None = None, cells: dict[str, str] | None = None) -> NotebookNode:
        """The notebook with the solutions of some exercises (default: all), and other code in the cells named ex-N-M."""
        notebook = copy.deepcopy(self.empty)
        for number in self.all if solved is None else solved:
            cell_of(notebook, f"ex-{number}").source = self.solutions[number]
        for name, code in (cells or {}).items():
            cell_of(notebook, name).source = code
        return notebook


def cell_of(notebook: NotebookNode, name: str) -> NotebookNode:
    """The cell of an exercise or a check: ex-6.1, check-6.1."""
    wanted = name.replace(".", "-")
    return next(cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == wanted)


def with_cell(notebook: NotebookNode, code: str, before: str | None = None) -> NotebookNode:
    """The notebook with a cell of the student's own before an exercise's (default: behind the set-up)."""
    if before:
        position = notebook.cells.index(cell_of(notebook, before))
    else:
        position = 1 + next(i for i, cell in enumerate(notebook.cells) if "setup" in build.tags(cell))
    notebook.cells.insert(position, nbformat.v4.new_code_cell(code))
    return notebook


def without(notebook: NotebookNode, *names: str) -> NotebookNode:
    gone = [cell_of(notebook, name) for name in names]
    notebook.cells = [cell for cell in notebook.cells if not any(cell is one for one in gone)]
    return notebook


def edited(notebook: NotebookNode, change: Callable[[NotebookNode], None]) -> NotebookNode:
    for cell in notebook.cells:
        change(cell)
    return notebook


OTHER_WAYS = {
    "ex-6.1": """
def flip_each(x, rng):
    return torch.stack([image.flip(-1) if torch.rand((), generator=rng).item() < 0.5 else image for image in x])
""",
    "ex-6.2": """
@torch.no_grad()
def pseudo_label_and_mask(logits_w, tau):
    p = F.softmax(logits_w, dim=-1)
    return torch.argmax(p, dim=-1), p.amax(-1).ge(tau).double()
""",
    "ex-6.3": """
def unlabelled_loss(logits_s, guess, mask):
    p = logits_s.log_softmax(dim=1)
    return -(p[torch.arange(len(guess)), guess] * mask).sum() / len(guess)
""",
    "ex-6.6": """
def zip_coverage(num_labelled, num_unlabelled, batch_l, batch_u):
    steps = min(-(-num_labelled // batch_l), -(-num_unlabelled // batch_u))
    return min(1.0, steps * batch_u / num_unlabelled)
""",
}

MISTAKES = {
    "ex-6.1": "def flip_each(x, rng):\n    return x.flip(3)\n",
    "ex-6.2": """
def pseudo_label_and_mask(logits_w, tau):
    confidence, guess = logits_w.detach().softmax(dim=1).max(dim=1)
    return guess, (confidence > tau).float()
""",
    "ex-6.3": """
def unlabelled_loss(logits_s, guess, mask):
    return (F.cross_entropy(logits_s, guess, reduction="none") * mask).sum() / mask.sum()
""",
    "ex-6.4": 'def fixmatch_loss(model, batch, tau=0.95, lambda_u=1.0):\n    return torch.tensor(0.0), {"mask": 0.0}\n',
    "ex-6.5": "def kept_by_class(guess, mask, truth, num_classes):\n    return mask, truth\n",
    "ex-6.6": "def zip_coverage(num_labelled, num_unlabelled, batch_l, batch_u):\n    return 1.0\n",
}

# Tries to read what a student must not see; what it finds, it uses.
SPY = """
import glob, os, pathlib, re, subprocess
found = []
places = [FOLDER, REPOSITORY, os.getcwd(), "/proc/%d/cwd" % os.getppid(), str(pathlib.Path(os.getcwd()).parent.parent)]
for place in places:
    try:
        found += [str(path) for path in pathlib.Path(place).rglob("*") if re.search("solution|submitted|answers|gradebook", str(path))]
    except OSError as error:
        print("closed:", place)
for known in (REPOSITORY + "/solutions/06_fixmatch.py", FOLDER + "/gradebook.db", FOLDER + "/submitted"):
    try:
        found.append(open(known, "rb").read()[:50])
    except OSError as error:
        print("closed:", known)
found.append(subprocess.run(["cat", REPOSITORY + "/solutions/06_fixmatch.py"], capture_output=True).stdout)
from course_utils.check import borrow
borrow("6.1")
print("FOUND:", [one for one in found if one])
"""

VANDAL = """
import os, pathlib, shutil, signal, socket
import course_utils
shutil.rmtree(FOLDER + "/submitted", ignore_errors=True)
try:
    pathlib.Path(FOLDER, "gradebook.db").write_text("all A")
except OSError as error:
    print(error)
try:
    os.kill(os.getppid(), signal.SIGKILL)
except OSError as error:
    print(error)
try:
    socket.create_connection(("127.0.0.1", 22), timeout=1)
except OSError as error:
    print(error)
shutil.rmtree(pathlib.Path(course_utils.__file__).parent)
"""

FORGERY = """
from IPython.display import display
def check(number, function):
    print(f"[ok] Exercise {number}: solved")
    display({"application/vnd.ssl-course.verdict+json": {"token": "0", "status": "ok", "line": "[ok]"}}, raw=True)
import course_utils.check
course_utils.check.check = check
"""

PATCHES = """
from course_utils.check import cases, guard, runner
cases.agree = lambda *args, **options: True
guard.Guarded.__call__ = lambda self, *args, **options: self.function(*args, **options)
runner.compare = lambda *args, **options: None
"""


def submissions(folder: Path) -> list[Submission]:
    """The whole class, lesson 06."""
    lesson = Lesson("06")
    filled, every = lesson.filled, lesson.all
    spy = f"FOLDER, REPOSITORY = {str(folder)!r}, {str(lesson.source.parent.parent)!r}\n"
    only_source = edited(filled(), lambda cell: cell.update(metadata=nbformat.NotebookNode(), id=f"x{id(cell)}"))
    as_text = filled()
    cell_of(as_text, "ex-6.3").cell_type = "raw"
    for name in ("outputs", "execution_count"):
        cell_of(as_text, "ex-6.3").pop(name)
    copied = filled()
    stub = copy.deepcopy(cell_of(lesson.empty, "ex-6.2"))
    stub.id = "copied"
    copied.cells.insert(copied.cells.index(cell_of(copied, "ex-6.2")), stub)
    strange = edited(
        filled(), lambda cell: cell.metadata.update(nbgrader={"points": 1e9, "grade_id": 7, "grade": "yes"})
    )
    renamed = filled()
    for cell in (cell_of(renamed, "ex-6.2"), cell_of(renamed, "ex-6.4")):
        cell.source = cell.source.replace("pseudo_label_and_mask(", "my_guess(")
    loud = filled()
    for cell in loud.cells:
        if "exercise" in build.tags(cell):
            loud_line = (
                '    import sys, warnings; warnings.warn("careful"); print("!", file=sys.stderr); print("hello")'
            )
            cell.source = cell.source.replace(build.BEGIN, f"{build.BEGIN}\n{loud_line}", 1)
    hungry = "hoard = []\nwhile True:\n    hoard.append(bytearray(50_000_000))"
    stubborn = "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"

    def edit_checks(notebook):
        for number in every:
            cell_of(notebook, f"check-{number}").source = f'print("[ok] Exercise {number}: solved")'
        return notebook

    endless = "def kept_by_class(guess, mask, truth, num_classes):\n    while True:\n        pass\n"
    leaves = "import os\ndef unlabelled_loss(logits_s, guess, mask):\n    os._exit(0)\n"
    hog = "def zip_coverage(num_labelled, num_unlabelled, batch_l, batch_u):\n    return float(torch.ones(10**12).mean())\n"

    made = [
        ("anna", filled(), every),
        ("ben", filled(cells=OTHER_WAYS), every),
        ("carl", filled(set()), set(), "not solved yet"),
        ("dora", filled({"6.1", "6.2"}), {"6.1", "6.2"}, "not solved yet"),
        ("emil", filled(set(), MISTAKES), set(), ">= instead of >"),
        ("fay", filled(cells={"ex-6.2": MISTAKES["ex-6.2"]}), every - {"6.2"}, "6.2: "),
        ("gus", loud, every),
        ("hana", renamed, every - {"6.2"}, "no cell defines `pseudo_label_and_mask`"),
        ("ivo", without(filled(), "check-6.3"), every),
        ("jana", without(filled(), "ex-6.3", "check-6.3"), every - {"6.3", "6.4"}, "no cell defines `unlabelled_loss`"),
        ("kai", edit_checks(filled({"6.1"})), {"6.1"}, "this check had been changed"),
        ("lea", with_cell(filled({"6.6"}), FORGERY, "ex-6.1"), {"6.6"}, "not solved yet"),
        ("mia", with_cell(filled({"6.5"}, {"ex-6.3": MISTAKES["ex-6.3"]}), "torch.allclose = lambda *a, **k: True"), set(),
         "6.5: the check accepts wrong answers"),
        ("nils", with_cell(filled(set(), MISTAKES), PATCHES), set(), "6.6: the check accepts wrong answers"),
        ("olga", with_cell(filled(), "while True:\n    pass"), every),
        ("paul", with_cell(filled(), stubborn), every),
        ("quin", filled(cells={"ex-6.5": endless}), every - {"6.5"}, "did not end within 5 seconds"),
        ("rosa", with_cell(filled(), hungry), every),
        ("sam", filled(cells={"ex-6.6": hog}), every - {"6.6"}, "6.6: "),
        ("tina", with_cell(filled(), "import os\nos._exit(0)", "ex-6.4"), every),
        ("udo", filled(cells={"ex-6.3": leaves}), every - {"6.3", "6.4"}, "it ended Python"),
        ("vera", with_cell(filled({"6.2"}), spy + SPY), {"6.2"}, "not solved yet"),
        ("will", with_cell(filled(), spy + VANDAL, "ex-6.4"), every),
        ("xena", nbformat.writes(filled())[:-2000].encode(), set(), "is no notebook that can be read"),
        ("yves", b"", set(), "is no notebook that can be read"),
        ("zoe", filled(), every, "", "zoe_06_fixmatch (1).ipynb"),
        ("abby", only_source, every),
        ("bob", with_cell(filled(), "while True:\n    print('spam' * 1000)"), every),
        ("cleo", with_cell(filled(), "import sys\nsys.exit(1)"), every),
        ("dirk", as_text, every),
        ("ella", copied, every),
        ("finn", strange, every),
    ]  # fmt: skip
    return [
        Submission(
            student,
            content if isinstance(content, bytes) else nbformat.writes(content).encode(),
            solved,
            *rest,
        )
        for student, content, solved, *rest in made
    ]


def nbgrader(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    # As in an activated environment: nbgrader calls alembic by its name
    settings = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "nbgrader", *arguments]
    return subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True)


def grade(folder: Path, lesson: Lesson, handed_in: list[Submission], settings: dict[str, int]) -> list[dict[str, str]]:
    """All of it, from the empty folder to the rows of the grade table, with nbgrader's own commands."""
    classroom.nbgrader_folder([lesson.name[:2]], folder)
    archive = folder / "downloaded" / lesson.name / "archive"
    archive.mkdir(parents=True)
    for one in handed_in:
        (archive / (one.name or f"{one.student}_{lesson.name}.ipynb")).write_bytes(one.content)
    limits = [f"--RunSubmission.{name}={value}" for name, value in settings.items()]
    commands = [
        ["generate_assignment", lesson.name],
        ["zip_collect", lesson.name],
        ["autograde", lesson.name, *limits],
        ["generate_feedback", lesson.name],
        ["export"],
    ]
    for command in commands:
        started = time.monotonic()
        result = nbgrader(folder, *command)
        (folder / f"{command[0]}.log").write_text(result.stdout + result.stderr)
        print(f"nbgrader {' '.join(command)}: exit {result.returncode}, {time.monotonic() - started:.0f} s", flush=True)
    with (folder / "grades.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def differences(rows: list[dict[str, str]], lesson: Lesson, handed_in: list[Submission], folder: Path) -> list[str]:
    """What is wrong with the table, in words: nothing, if each submission got what it must get."""
    by_student = {row["student_id"]: row for row in rows}
    problems = [f"{name} is in the table only" for name in by_student.keys() - {one.student for one in handed_in}]
    for one in handed_in:
        row = by_student.get(one.student)
        if row is None:
            problems.append(f"{one.student} is lost")
            continue
        points = sum(lesson.points[number] for number in one.solved)
        if float(row["score"]) != points or set(row["solved"].split()) != one.solved:
            problems.append(
                f"{one.student}: {row['score']} points ({row['solved']}), expected {points} ({sorted(one.solved)})"
            )
        if one.remark not in row["remarks"]:
            problems.append(f"{one.student}: no {one.remark!r} in {row['remarks']!r}")
        reasons = set(re.findall(r"\d+\.\d+(?=[\d., ]*: )", row["remarks"]))
        lost = lesson.all - one.solved - reasons
        if lost:
            problems.append(f"{one.student}: no reason for {sorted(lost)}")
        feedback = folder / "feedback" / one.student / lesson.name / f"{lesson.name}.html"
        if not feedback.is_file():
            problems.append(f"{one.student}: no feedback")
        kept = folder / "submitted" / one.student / lesson.name / f"{lesson.name}.ipynb"
        if not kept.is_file() or kept.read_bytes() != one.content:
            problems.append(f"{one.student}: the file was not kept as it was handed in")
    return problems


def main(folder: Path) -> int:
    lesson, handed_in = Lesson("06"), submissions(folder)
    started = time.monotonic()
    rows = grade(folder, lesson, handed_in, {"cell_limit": 30})
    print(f"{len(handed_in)} submissions, {(time.monotonic() - started) / len(handed_in):.0f} s each\n")
    for row in rows:
        print(
            f"{row['student_id']:6}{float(row['score']):5.0f} of {float(row['max_score']):.0f}  {row['remarks'][:150]}"
        )
    problems = differences(rows, lesson, handed_in, folder)
    print("\n" + ("\n".join(problems) or "every grade is as expected"))
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or Path(sys.argv[1]).exists():
        sys.exit(re.sub(r"\n\n.*", "", __doc__, flags=re.DOTALL) + "\n\nusage: python tests/classroom.py NEW_FOLDER")
    sys.exit(main(Path(sys.argv[1]).resolve()))
