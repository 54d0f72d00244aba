"""What students get wrong, exercise by exercise: what the checks say to the catalogued wrong answers."""

import re
from pathlib import Path

from course_utils.authoring.build import read_source
from course_utils.authoring.objectives import answers
from course_utils.check.board import mentioned_exercises
from course_utils.check.core import verdict

SHOWN = 8  # for each exercise; the catalogue begins with the likely ones
OWN_LINE = re.compile(r" \(in `.*?`\)(?=[:,.]|$)", re.DOTALL)  # of the answer that raised: nobody else's


def page(sources: list[Path]) -> str:
    """The likely mistakes of these lessons as Markdown, in the words that the student reads."""
    lines = [
        "# What students get wrong",
        "",
        "Made by `course mistakes` from the catalogue of wrong answers in `tests/answers`; a test compares. For each exercise the first",
        f"{SHOWN} kinds of mistakes, likely ones first, in the words of the check. The sentence names the cause, so it tells you what to",
        "ask the student about. Where no sentence fits, the student has found a new one: add it to the catalogue.",
    ]
    for source in sources:
        lesson, wrong = read_source(source), answers(source).WRONG
        lines += ["", f"## {lesson.cells[0].source.splitlines()[0].removeprefix('# ')}"]
        for heading in mentioned_exercises(lesson):
            lines += ["", f"### {heading['number']} {heading['title']}", ""]
            lines += [f"- {cause}" for cause in _causes(heading["number"], wrong[heading["number"]])]
    return "\n".join(lines) + "\n"


def _causes(number: str, wrong: list[tuple]) -> list[str]:
    found: dict[str, None] = {}  # in the order of the catalogue
    for answer, _ in wrong:
        if len(found) == SHOWN:
            break
        message = " ".join(OWN_LINE.sub("", verdict(number, answer).message).split())
        found.setdefault(message.replace("<", r"\<"))
    return list(found)
