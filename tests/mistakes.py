"""What students get wrong, exercise by exercise: what the checks say to the wrong answers on which they are proved.

python tests/mistakes.py > docs/teachers/mistakes.md
"""

import re
from pathlib import Path

from lessons import wrong_answers

from course_utils.authoring import lessons
from course_utils.authoring.build import read_source
from course_utils.check import verdict
from course_utils.check.headings import mentioned_exercises

SHOWN = 8  # for each exercise; the catalogue begins with the likely ones
OWN_LINE = re.compile(r" \(in `.*?`\)(?=[:,.]|$)", re.DOTALL)  # of the answer that raised: nobody else's


def page(sources: list[Path]) -> str:
    """The likely mistakes of these lessons as Markdown, in the words that the student reads."""
    lines = [
        "# What students get wrong",
        "",
        "Made by `python tests/mistakes.py` from the mistakes that the checks know; a test compares. For each exercise the first",
        f"{SHOWN} kinds of mistakes, likely ones first, in the words of the check. The sentence names the cause, so it tells you what to",
        "ask the student about. Where no sentence fits, the student has found a new one: add it to the check.",
    ]
    for source in sources:
        lesson = read_source(source)
        lines += ["", f"## {lesson.cells[0].source.splitlines()[0].removeprefix('# ')}"]
        for heading in mentioned_exercises(lesson):
            lines += ["", f"### {heading['number']} {heading['title']}", ""]
            lines += [f"- {cause}" for cause in _causes(heading["number"])]
    return "\n".join(lines) + "\n"


def _causes(number: str) -> list[str]:
    found: dict[str, None] = {}  # in their order in the check
    for answer, _ in wrong_answers(number):
        if len(found) == SHOWN:
            break
        message = " ".join(OWN_LINE.sub("", verdict(number, answer).message).split())
        found.setdefault(message.replace("<", r"\<"))
    return list(found)


if __name__ == "__main__":
    print(page(lessons()), end="")
