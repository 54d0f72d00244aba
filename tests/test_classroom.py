"""The classroom: what is handed out holds no answers and works; what is handed in gets the right grade, whatever it is."""

import ast
import inspect
import os
import re
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import classroom as made
import nbformat
import pytest
from lessons import SOURCES, answers, functions, numbers, tagged

from course_utils import ROOT, cli
from course_utils.authoring import build, classroom, kernel, verify
from course_utils.authoring.grade.collect import AnyArchive

LESSON = SOURCES[0]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    """The students' copy of the whole course, unpacked somewhere else."""
    folder = tmp_path_factory.mktemp("handed out")
    with zipfile.ZipFile(classroom.release(None, tmp_path_factory.mktemp("made"))) as archive:
        archive.extractall(folder)
    return folder / classroom.NAME


def in_bundle(bundle: Path, code: str, **settings: str) -> str:
    """What Python says in the bundle, where it finds the bundle's package and nothing of the repository's."""
    environment = os.environ | {"PYTHONPATH": str(bundle), "COURSE_DATA": "embedded", **settings}
    # The finder of the editable installation would find the authors' part in the repository
    alone = "import sys; sys.meta_path = [one for one in sys.meta_path if 'editable' not in repr(one).lower()]\n"
    command = [sys.executable, "-c", alone + code]
    result = subprocess.run(command, cwd=bundle / "notebooks", env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def packed(text: str) -> str:
    return "".join(verify.normal(line) for line in text.splitlines())


def body(function) -> str:
    """What a function of the answers does, without its name, its comments and all white space."""
    try:
        source = textwrap.dedent(inspect.getsource(function))
        (node,) = ast.parse(source).body
    except (TypeError, SyntaxError, ValueError):
        return ""  # an object, or a lambda inside of a list
    statements = getattr(node, "body", []) if isinstance(node, ast.FunctionDef) else []
    return packed("\n".join(ast.get_source_segment(source, one) for one in statements))


def texts(bundle: Path) -> dict[str, str]:
    """Every file of the bundle as text; of notebooks the cells."""
    found = {}
    for path in sorted(path for path in bundle.rglob("*") if path.is_file() and path.suffix not in (".png", ".gif")):
        text = path.read_text()
        if path.suffix == ".ipynb":
            cells = nbformat.reads(text, as_version=4).cells
            assert not any(cell.get("outputs") for cell in cells)
            text = "\n".join(cell.source for cell in cells)
        found[str(path.relative_to(bundle))] = text
    return found


# ------------------------------------------------------------------------------------------------- what is handed out


def test_the_bundle_holds_nothing_of_authors(bundle):
    names = {str(path.relative_to(bundle)) for path in bundle.rglob("*")}
    assert {path.name for path in bundle.iterdir()} == {
        "notebooks", "docs", "course_utils", "requirements.txt", "environment.yml", "pyproject.toml", "Makefile", "README.md", "LICENSE"
    }  # fmt: skip
    assert not [
        name for name in names if any(word in name for word in ("solution", "answer", "tests", "authoring", "pycache"))
    ]
    assert {f"notebooks/{source.stem}.ipynb" for source in SOURCES} <= names
    assert {"course_utils/reference/dermamnist.csv", "course_utils/reference/digits.csv"} <= names
    for source in SOURCES:
        figures = re.findall(
            r"\]\(\.\./(docs/figures/[^)]+)\)", (bundle / "notebooks" / f"{source.stem}.ipynb").read_text()
        )
        assert {*figures} <= names
    assert not [name for name in names if name.endswith(".toml") and "/" in name]  # no sources of figures


def test_no_file_of_the_bundle_holds_an_answer(bundle):
    """No line of a lesson's solutions stands in its notebook or in the package, and no right answer of the tests anywhere."""
    found = texts(bundle)
    for source in SOURCES:
        others = {f"notebooks/{other.stem}.ipynb" for other in SOURCES if other != source}
        lines = {
            normal
            for name, text in found.items()
            if name not in others
            for normal in map(verify.normal, text.splitlines())
        }
        shown = [line for line in verify.solution_lines(build.read_source(source)) if verify.normal(line) in lines]
        assert shown == [], source.stem
    whole = {name: packed(text) for name, text in found.items()}
    bodies = {
        body(answer) for source in SOURCES for number in numbers(source) for answer in answers(source).RIGHT[number]
    }
    assert len(bodies) > 100
    assert [(name, one) for one in bodies - {""} for name, text in whole.items() if one in text] == []


def test_what_later_lessons_show_of_earlier_ones_is_said(capsys, tmp_path):
    assert classroom.shown_by_others(["00", "06"]) == []
    (line,) = classroom.shown_by_others(["06", "09"])
    assert line.startswith("lesson 09 shows") and line.endswith("of the solutions of lesson 06")
    assert cli.main(["release", "06", "09", "--output", str(tmp_path)]) == 0
    assert "Hand out a lesson when those are due" in capsys.readouterr().out


def test_a_bundle_of_one_lesson(tmp_path):
    classroom.release(["06"], tmp_path)
    assert classroom.release(["00", "06"], tmp_path).is_file()  # again, into the same folder
    folder = tmp_path / classroom.NAME
    assert {path.name for path in (folder / "notebooks").iterdir()} == {"00_start_here.ipynb", "06_fixmatch.ipynb"}
    assert {path.name for path in (folder / "course_utils/check").rglob("lesson*")} == {
        "lesson00.py",
        "lesson06.py",
        "lesson00.json",
        "lesson06.json",
    }
    (tmp_path / "mine" / classroom.NAME / "photographs").mkdir(parents=True)
    with pytest.raises(ValueError, match="is no bundle of the course"):
        classroom.release(["06"], tmp_path / "mine")
    assert cli.main(["release", "42"]) == 1


def test_the_bundle_works(bundle, tmp_path):
    """The first lesson runs to its first unsolved exercise, checks answer, `borrow` says what is missing, `course` has its two commands."""
    said = in_bundle(
        bundle,
        "import course_utils, torch; print(course_utils.__file__)\n"
        "from course_utils.check import borrow, check, progress\n"
        "borrow('0.1'); check('0.1', lambda labels, n: labels); check('0.1', lambda y, n: torch.bincount(y, minlength=n) / len(y))\n"
        "progress('00')",
        COURSE_RUNS=str(tmp_path),
    )
    where, *lines = said.splitlines()
    assert where == str(bundle / "course_utils" / "__init__.py")
    borrowed, wrong, right, where_one_stands = re.split(
        r" (?=\[fix\]|\[ok\]|Lesson 00)", " ".join(lines)
    )  # long lines are folded
    assert "comes without solutions" in borrowed and wrong.startswith("[fix]") and right.startswith("[ok] Exercise 0.1")
    assert "1 of 3 exercises solved" in where_one_stands
    commands = "from course_utils import cli; print(cli.FOR_AUTHORS, cli.main(['progress', '00']))\nassert not cli.main(['--help'])"
    helps = in_bundle(bundle, commands, COURSE_RUNS=str(tmp_path))
    assert "[] 0" in helps and "0.1" in helps and "progress" in helps and "release" not in helps
    make = subprocess.run(["make", "--dry-run", "lab"], cwd=bundle, capture_output=True, text=True)
    assert make.returncode == 0 and "course lab" in make.stdout and "pytest" not in (bundle / "Makefile").read_text()


def test_the_cells_carry_what_nbgrader_needs():
    from nbgrader.nbgraderformat import MetadataValidator

    for source in SOURCES:
        notebook = nbformat.read(build.student_path(source), as_version=4)
        MetadataValidator().validate_nb(notebook)
        marks = {
            cell.metadata.nbgrader.grade_id: cell.metadata.nbgrader
            for cell in notebook.cells
            if "nbgrader" in cell.metadata
        }
        for number in numbers(source):
            name = number.replace(".", "-")
            assert marks[f"ex-{name}"].solution and not marks[f"ex-{name}"].locked and not marks[f"ex-{name}"].grade
            assert (
                marks[f"check-{name}"].grade and marks[f"check-{name}"].locked and not marks[f"check-{name}"].solution
            )
            assert 1 <= marks[f"check-{name}"].points <= 5
        assert len(marks) == 2 * len(numbers(source))


# ------------------------------------------------------------------------------------------------- what is handed in


def handed_in(folder: Path) -> list[made.Submission]:
    """Lesson 00, the kinds that could stop everything or get a wrong grade; all of them are in tests/classroom.py."""
    lesson = made.Lesson("00")
    spy = f"FOLDER, REPOSITORY = {str(folder)!r}, {str(ROOT)!r}\n{made.SPY}".replace("06_fixmatch", "00_start_here")
    leaves = "import os\ndef majority_accuracy(train_labels, test_labels):\n    os._exit(0)\n"
    cheat = made.with_cell(lesson.filled(set()), made.FORGERY, "ex-0.1")
    made.cell_of(cheat, "check-0.2").source = 'print("[ok] Exercise 0.2: solved")'
    dead = made.without(lesson.filled(cells={"ex-0.2": leaves}), "check-0.3")
    spying = made.with_cell(made.with_cell(lesson.filled({"0.3"}), spy), "while True:\n    pass", "ex-0.2")
    fixed = [
        ("broken", nbformat.writes(lesson.filled())[:-500].encode(), set(), "is no notebook that can be read"),
        ("cheat", cheat, set(), "this check had been changed"),
        ("dead", dead, {"0.1", "0.3"}, "0.2: it ended Python"),
        ("spy", spying, {"0.3"}, "not solved yet"),
    ]
    return [
        made.Submission(
            name, content if isinstance(content, bytes) else nbformat.writes(content).encode(), solved, remark
        )
        for name, content, solved, remark in fixed
    ]


def test_every_submission_gets_its_grade_and_a_reason(tmp_path):
    lesson, folder = made.Lesson("00"), tmp_path / "course"
    classroom.nbgrader_folder(["00"], folder)
    everyone = handed_in(folder)
    nothing = folder / "submitted" / "nobody" / lesson.name
    nothing.mkdir(parents=True)
    rows = made.grade(folder, lesson, everyone, {"cell_limit": 15})
    (empty,) = [row for row in rows if row["student_id"] == "nobody"]
    assert float(empty["score"]) == 0 and "not graded; handed in: an empty folder" in empty["remarks"]
    rows.remove(empty)
    logs = "".join(path.read_text() for path in folder.glob("*.log"))
    assert made.differences(rows, lesson, everyone, folder) == []
    seen = (folder / "autograded" / "spy" / lesson.name / f"{lesson.name}.ipynb").read_text()
    if kernel.landlock_version():
        assert "FOUND: []" in seen and "comes without solutions" in seen
    else:
        assert "grade in a container" in logs
    feedback = (folder / "feedback" / "dead" / lesson.name / f"{lesson.name}.html").read_text()
    assert "it ended Python" in feedback


def test_archives_and_file_names(tmp_path):
    """Notebooks and zip files by the students' names; what cannot be unpacked goes on, to be graded with the reason."""
    archive, extracted = tmp_path / "06_fixmatch" / "archive", tmp_path / "06_fixmatch" / "extracted"
    archive.mkdir(parents=True)
    extracted.mkdir()
    (archive / "anna_06_fixmatch (1).ipynb").write_text("{}")
    (archive / "dora_06_fixmatch.zip").write_bytes(b"PK not a zip file")
    for student, name in (("ben_b", "06_fixmatch.ipynb"), ("carl", "photo.jpg"), ("emil", "06_fixmatch.ipynb")):
        with zipfile.ZipFile(archive / f"{student}_06_fixmatch.zip", "w") as file:
            file.writestr(name, "{}" * 100)
    damaged = bytearray((archive / "emil_06_fixmatch.zip").read_bytes())
    damaged[60:70] = b"##########"
    (archive / "emil_06_fixmatch.zip").write_bytes(damaged)
    before = {path: path.read_bytes() for path in archive.iterdir()}
    AnyArchive().extract(str(archive), str(extracted))
    assert {path: path.read_bytes() for path in archive.iterdir()} == before
    name = re.compile(settings().FileNameCollectorPlugin.named_regexp)
    found = [name.match(str(path)) for path in extracted.rglob("*.ipynb")]
    assert {match["file_id"] for match in found} == {"06_fixmatch"}
    assert sorted(match["student_id"] for match in found) == ["anna", "ben_b", "carl", "dora", "emil"]


@pytest.mark.filterwarnings("ignore:careful")
def test_nbgrader_alone_gives_no_points_for_what_is_not_solved(monkeypatch):
    """A check raises where nbgrader runs it, also without the course's own settings; a warning costs no points."""
    import warnings

    from course_utils.check import check
    from course_utils.check.runner import NotPassed

    def warns(labels, num_classes):
        warnings.warn("careful", stacklevel=1)
        print("to stderr", file=sys.stderr)
        return functions(LESSON, {"0.1"})["class_fractions"](labels, num_classes)

    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    check("0.1", warns)
    with pytest.raises(NotPassed, match=r"\[fix\] Exercise 0.1") as error:
        check("0.1", lambda labels, num_classes: labels)
    assert error.value._render_traceback_() == [str(error.value)]
    with pytest.raises(NotPassed, match=r"\[todo\] Exercise 0.1: not solved yet"):
        check("0.1", functions(LESSON, set())["class_fractions"])
    borrowed = functions(LESSON, {"0.1"})["class_fractions"]
    borrowed.borrowed = "0.1"
    with pytest.raises(NotPassed, match=r"\[borrowed\]"):
        check("0.1", borrowed)


def settings():
    """The configuration that an instructor gets, as nbgrader loads it."""
    from traitlets.config import Config

    found = Config()
    code = (classroom.TEXTS / "nbgrader_config.py").read_text()
    exec(compile(code, "nbgrader_config.py", "exec"), {"get_config": lambda: found})
    return found


def test_grading_can_put_its_own_check_before_every_check():
    for source in SOURCES:
        for cell in tagged(source, "check"):
            assert cell.source.startswith(f'check("{build.exercise_number(cell)}", ')
