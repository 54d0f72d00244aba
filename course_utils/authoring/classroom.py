"""What an instructor hands out: the students' copy of the course, and the folder in which nbgrader grades it."""

import shutil
from collections import Counter
from pathlib import Path

from course_utils import ROOT
from course_utils.authoring import FOR_AUTHORS, lessons
from course_utils.authoring.build import read_source, student_notebook, student_path, to_text
from course_utils.authoring.verify import normal, solution_lines

NAME = "ssl-course"  # of the bundle and of its folder
SHOWN = ("figures", "images", "methods", "results")  # what lessons show and link, of docs
SOURCES = ("*.toml", "*.txt")  # of the figures
TEXTS = Path(__file__).parent / "classroom_files"


def release(only: list[str] | None, output: Path) -> Path:
    """Make the students' bundle, a folder and a zip file of it, in `output`; returns the zip file.

    In it are the lessons named (all, if none is) the figures and pages that they link, the package, and what sets them up; no solutions, no tests, nothing that
    only authors use. ValueError if the folder is there already and is not such a bundle.
    """
    folder = output / NAME
    if folder.exists() and not (folder / "course_utils").is_dir():
        raise ValueError(f"{folder} is there, and is no bundle of the course: name another --output")
    shutil.rmtree(folder, ignore_errors=True)
    copy_package(folder / "course_utils")
    for name in SHOWN:
        shutil.copytree(ROOT / "docs" / name, folder / "docs" / name, ignore=shutil.ignore_patterns(*SOURCES))
    (folder / "notebooks").mkdir()
    chosen = lessons(only)
    for source in chosen:
        (folder / "notebooks" / student_path(source).name).write_text(to_text(student_notebook(source)))
    check = folder / "course_utils" / "check"
    for path in [*check.glob("lesson*.py"), *check.glob("recorded/lesson*.json")]:
        if path.stem.removeprefix("lesson") not in {source.name[:2] for source in chosen}:
            path.unlink()
    for name in ("Makefile", "requirements.txt", "environment.yml", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    project = (ROOT / "pyproject.toml").read_text()
    project = project.partition("[tool.pytest")[0]
    (folder / "pyproject.toml").write_text(project)
    (folder / "README.md").write_text((TEXTS / "README_students.md").read_text())
    return Path(shutil.make_archive(str(folder), "zip", output, NAME))


def shown_by_others(only: list[str] | None) -> list[str]:
    """Which lessons show lines of the solutions of other ones, since they build on them: to be handed out when those are due."""
    chosen = lessons(only)
    solved = {source.name[:2]: {normal(line) for line in solution_lines(read_source(source))} for source in chosen}
    found = []
    for source in chosen:
        shown = {normal(line) for cell in student_notebook(source).cells for line in cell.source.splitlines()}
        counts = Counter({other: len(lines & shown) for other, lines in solved.items() if other != source.name[:2]})
        found += [
            f"lesson {source.name[:2]} shows {count} line(s) of the solutions of lesson {other}"
            for other, count in sorted(counts.items())
            if count
        ]
    return found


def copy_package(target: Path) -> None:
    """The package without what only authors use."""
    shutil.copytree(
        ROOT / "course_utils", target, ignore=shutil.ignore_patterns(*FOR_AUTHORS, "__pycache__", "ruff.toml")
    )


def nbgrader_folder(only: list[str] | None, folder: Path) -> list[str]:
    """Lay out nbgrader's course folder, or add lessons to it; returns the names of the assignments.

    A lesson is an assignment with one notebook, the students' own: no solution is needed for grading, and none is there. A
    configuration that is there already is kept, since the instructor may have changed it.
    """
    names = []
    for source in lessons(only):
        target = folder / "source" / source.stem / f"{source.stem}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(to_text(student_notebook(source)))
        names.append(source.stem)
    settings = folder / "nbgrader_config.py"
    if not settings.exists():
        settings.write_text((TEXTS / "nbgrader_config.py").read_text())
    return names
