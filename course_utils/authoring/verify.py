"""What must hold of every lesson, without running it: each function returns the problems it found, in words.

A lesson in the new form ends in "What we know"; its length, its tables and its minutes are held to limits.
"""

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course_utils import ROOT
from course_utils.authoring import FOR_AUTHORS
from course_utils.authoring.build import (
    BEGIN,
    END,
    exercise_number,
    read_source,
    same_code,
    solution_path,
    student_notebook,
    student_path,
    tags,
    to_text,
)
from course_utils.check.headings import asked_objectives, mentioned_exercises, stated_objectives

KNOWN = "## What we know"
TIME = re.compile(r"\*\*Time\*\* (\d+) min, of which the computer trains for (\d+)")
MOST_WORDS, MOST_CELL, MOST_KNOWN, MOST_POINTS, MOST_TABLES, WORDS_A_MINUTE = 3500, 250, 120, 4, 6, 180


def verify(source: Path) -> list[str]:
    """All problems of one lesson and its built notebooks."""
    lesson = read_source(source)
    problems = objectives(lesson) + anatomy(lesson) + typed_numbers(lesson) + long_cells(lesson)
    if not student_path(source).is_file() or student_path(source).read_text() != to_text(student_notebook(source)):
        problems.append(f"notebooks/{student_path(source).name} is not what a fresh build makes")
    else:
        problems += leaks(lesson, student_notebook(source), _package_source())
    if not solution_path(source).is_file():
        problems.append(f"solutions/{solution_path(source).name} is missing")
    else:
        executed = nbformat.read(solution_path(source), as_version=4)
        if not same_code(executed, lesson):
            problems.append(f"solutions/{solution_path(source).name} was executed from another source")
        problems += execution(executed) + limits(lesson, executed)
    return [f"{source.stem}: {problem}" for problem in problems]


def _package_source() -> str:
    """What students have of the package."""
    files = (path for path in sorted((ROOT / "course_utils").rglob("*.py")) if not set(FOR_AUTHORS) & set(path.parts))
    return "\n".join(path.read_text() for path in files)


def objectives(lesson: NotebookNode) -> list[str]:
    """Every objective has an exercise, every exercise an objective, every exercise cell a complete heading."""
    text = "\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
    stated = set(stated_objectives(text))
    headings = mentioned_exercises(lesson)
    served = {objective for match in headings for objective in match["objectives"].split(", ")}
    headed = {match["number"] for match in headings}
    built = {exercise_number(cell) for cell in lesson.cells if "exercise" in tags(cell)}
    problems = [f"objective {objective} has no exercise" for objective in sorted(stated - served)]
    problems += [
        f"an exercise names objective {objective}, which is not stated" for objective in sorted(served - stated)
    ]
    problems += [
        f"question {number} asks about objective {objective}, which is not stated"
        for number, objective in asked_objectives(text).items()
        if objective not in stated
    ]
    problems += [f"exercise {number} has no complete heading" for number in sorted(built - headed)]
    problems += [f"heading of exercise {number} without an exercise cell" for number in sorted(headed - built)]
    return problems


def anatomy(lesson: NotebookNode) -> list[str]:
    """The parts that every lesson has: times, prerequisites, what we know, a quiz of three, key points."""
    text = "\n\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
    problems = [
        f"no part {part!r}"
        for part in ("**Time**", "**You need**", "**Objectives**", KNOWN, "## Quiz", "## Key points")
        if part not in text
    ]
    quiz = text.partition("## Quiz")[2].partition("## Key points")[0]
    if list(asked_objectives(quiz)) != ["1", "2", "3"]:
        problems.append("the quiz does not have three questions, each with its objective: **Question 1** (6a).")
    if not _key_points(text):
        problems.append("no key points")
    number = lesson.cells[0].source.removeprefix("# ")[:2]
    if lesson.cells[-1].source != f'progress("{number}")':
        problems.append(f'does not end with the board: progress("{number}") in a cell of its own')
    for match in mentioned_exercises(lesson):
        section = text.partition(match[0])[2].partition("### Exercise")[0]
        if section.count("<summary>Hint") < 2:
            problems.append(f"exercise {match['number']} has fewer than two hints")
    return problems


def limits(lesson: NotebookNode, executed: NotebookNode) -> list[str]:
    """A lesson is short, and takes as long as it says."""
    text = _prose(lesson)
    found = facts(lesson, executed)
    known = len(text.partition(KNOWN)[2].partition("\n## ")[0].split())
    problems = [
        f"{number} {what}, at most {most}"
        for number, what, most in (
            (found["words"], "words of prose", MOST_WORDS),
            (found["longest cell"], "words in one cell of prose", MOST_CELL),
            (known, "words of what we know", MOST_KNOWN),
            (_key_points(text), "key points", MOST_POINTS),
            (found["tables"], "tables", MOST_TABLES),
        )
        if number > most
    ]
    if TIME.search(text) is None:
        problems.append("the time is not told as '**Time** 90 min, of which the computer trains for 2'")
    elif abs(found["minutes stated"] - found["minutes"]) > 0.1 * found["minutes"]:
        problems.append(
            f"{found['minutes stated']} min stated, but reading, exercises and trainings are {found['minutes']}"
        )
    return problems


def _key_points(text: str) -> int:
    return len(re.findall(r"^- ", text.partition("## Key points")[2].partition("\n## ")[0], re.MULTILINE))


def facts(lesson: NotebookNode, executed: NotebookNode) -> dict[str, int]:
    """Words of prose, exercises, figures, tables, and the minutes: stated, and counted from words, exercises and trainings."""
    text = _prose(lesson)
    headings = mentioned_exercises(lesson)
    stated = TIME.search(text)
    words = len(_unfolded(text).split())
    trains = int(stated[2]) if stated else 0
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    cells = [cell.source for cell in lesson.cells if cell.cell_type == "markdown"]
    return {
        "words": words,
        "longest cell": max(len(_unfolded(cell).split()) for cell in cells),
        "exercises": len(headings),
        "figures": sum("plots.show" in cell.source for cell in lesson.cells if cell.cell_type == "code")
        + text.count("!["),
        "tables": sum("<table" in output.get("data", {}).get("text/html", "") for output in outputs)
        + len(re.findall(r"^\|[ :|-]+\|$", text, re.MULTILINE)),
        "minutes stated": int(stated[1]) if stated else 0,
        "minutes": round(words / WORDS_A_MINUTE + sum(int(match["minutes"]) for match in headings) + trains),
    }


def _unfolded(text: str) -> str:
    """What is read without opening anything: no hints, no texts of pictures."""
    return re.sub(r"<details>.*?</details>|!\[.*?\]\(.*?\)", "", text, flags=re.DOTALL)


def _prose(lesson: NotebookNode) -> str:
    return "\n\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")


def typed_numbers(lesson: NotebookNode) -> list[str]:
    """Results come from code: decimals and percentages in prose stand only in formulas and in `code`."""
    problems = []
    for cell in lesson.cells:
        if cell.cell_type == "markdown":
            prose = re.sub(r"\$\$.*?\$\$|\$[^$]*\$|```.*?```|`[^`]*`|\]\([^)]*\)", "", cell.source, flags=re.DOTALL)
            prose = re.sub(r"\b(Exercise|Exercises|Lesson|lesson|exercise|and|to) \d+\.\d+", "", prose)
            found = re.findall(r"(?<![\w.])\d*\.\d+|\d+ ?%", prose)
            problems += [f"a number typed into prose: {number!r} in {cell.source[:50]!r}" for number in found]
    return problems


def long_cells(lesson: NotebookNode, limit: int = 30) -> list[str]:
    """One idea a cell."""
    return [
        f"a code cell of {len(cell.source.splitlines())} lines: {cell.source.splitlines()[0]!r}"
        for cell in lesson.cells
        if cell.cell_type == "code" and "exercise" not in tags(cell) and len(cell.source.splitlines()) > limit
    ]


def leaks(lesson: NotebookNode, student: NotebookNode, package: str) -> list[str]:
    """No telling line of a solution stands in the student notebook or in the package."""
    seen = "\n".join(cell.source for cell in student.cells) + "\n" + package
    known = {normal(line) for line in seen.splitlines()}
    return [
        f"a line of a solution is in the open: {line!r}" for line in solution_lines(lesson) if normal(line) in known
    ]


def solution_lines(lesson: NotebookNode) -> list[str]:
    """The lines of all solutions that give something away: not blank, no comment, no bare return of a name."""
    lines = []
    for cell in lesson.cells:
        if "exercise" in tags(cell):
            for region in re.findall(f"{BEGIN}\n(.*?){END}", cell.source, re.DOTALL):
                lines += [line.strip() for line in region.splitlines()]
    return [
        line
        for line in lines
        if line
        and not line.startswith("#")
        and not re.fullmatch(r"return \w+(, \w+)*|for .*:|else:|break|with torch\.no_grad\(\):", line)
    ]


def normal(line: str) -> str:
    return "".join(line.split("#")[0].split())


def execution(executed: NotebookNode) -> list[str]:
    """The solution notebook was run top to bottom, without error or stderr, and describes each image it shows."""
    problems = []
    code = [cell for cell in executed.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        problems.append("was not executed in order from a fresh kernel")
    for cell in code:
        where = cell.source.splitlines()[0][:50] if cell.source else "an empty cell"
        for output in cell.outputs:
            if output.output_type == "error":
                problems.append(f"{where!r} ends in an error")
            if output.get("name") == "stderr":
                problems.append(f"{where!r} writes to stderr")
            if "image/png" in output.get("data", {}) and not output.metadata.get("image/png", {}).get("alt"):
                problems.append(f"{where!r} shows an image without alternative text")
            if "application/vnd.jupyter.widget-view+json" in output.get("data", {}):
                problems.append(f"{where!r} stores a widget: a progress bar?")
    return problems
