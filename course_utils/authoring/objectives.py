"""The table objective, exercise, check, wrong answers, quiz question: what each objective of a lesson rests on."""

import importlib.util
import re
from pathlib import Path

from course_utils import ROOT
from course_utils.authoring.build import read_source
from course_utils.check.board import mentioned_exercises

HEAD = "| objective | exercise | minutes | wrong answers / other right ones that its check is proved on | quiz |"


def stated(text: str) -> dict[str, str]:
    """The objectives of a lesson, by their id, in words."""
    return {
        found[1]: " ".join(found[2].split())
        for found in re.finditer(r"^- \*\*(\d+[a-z])\*\* (.+(?:\n  .+)*)", text, re.MULTILINE)
    }


def asked(text: str) -> dict[str, str]:
    """The objective that each quiz question asks about, by the question's number."""
    return dict(re.findall(r"^\*\*Question (\d)\*\* \((\d+[a-z])\)", text, re.MULTILINE))


def table(sources: list[Path]) -> str:
    """The table of these lessons as Markdown, one line for each objective and exercise."""
    lines = []
    for source in sources:
        lesson, catalogue = read_source(source), answers(source)
        text = "\n\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
        questions = asked(text)
        lines += [
            "",
            f"## {lesson.cells[0].source.splitlines()[0].removeprefix('# ')}",
            "",
            HEAD,
            "|---|---|---|---|---|",
        ]
        for objective, words in stated(text).items():
            quiz = ", ".join(number for number, its in questions.items() if its == objective)
            for match in mentioned_exercises(lesson):
                if objective in match["objectives"].split(", "):
                    n = match["number"]
                    proved = f"{len(catalogue.WRONG[n])} / {len(catalogue.RIGHT[n])}"
                    exercise = f"{n} {match['title']}"
                    lines.append(f"| **{objective}** {words} | {exercise} | {match['minutes']} | {proved} | {quiz} |")
    return (
        "\n".join(["# What each objective rests on", "", "Made by `course objectives`; a test compares.", *lines])
        + "\n"
    )


def answers(source: Path):
    """The catalogue of answers that the tests try on this lesson's checks."""
    path = ROOT / "tests" / "answers" / f"lesson{source.name[:2]}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
