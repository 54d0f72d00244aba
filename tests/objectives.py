"""The table objective, exercise, check, wrong answers, quiz question: what each objective of a lesson rests on.

python tests/objectives.py > tests/objectives.md
"""

from pathlib import Path

from lessons import answers, wrong_answers

from course_utils.authoring import lessons
from course_utils.authoring.build import read_source
from course_utils.check.headings import asked_objectives, mentioned_exercises, stated_objectives

HEAD = "| objective | exercise | minutes | wrong answers / other right ones that its check is proved on | quiz |"


def table(sources: list[Path]) -> str:
    """The table of these lessons as Markdown, one line for each objective and exercise."""
    lines = []
    for source in sources:
        lesson, right = read_source(source), answers(source).RIGHT
        text = "\n\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
        questions = asked_objectives(text)
        title = lesson.cells[0].source.splitlines()[0].removeprefix("# ")
        lines += ["", f"## {title}", "", HEAD, "|---|---|---|---|---|"]
        for objective, words in stated_objectives(text).items():
            quiz = ", ".join(number for number, its in questions.items() if its == objective)
            for match in mentioned_exercises(lesson):
                if objective in match["objectives"].split(", "):
                    n = match["number"]
                    proved = f"{len(wrong_answers(n))} / {len(right[n])}"
                    exercise = f"{n} {match['title']}"
                    lines.append(f"| **{objective}** {words} | {exercise} | {match['minutes']} | {proved} | {quiz} |")
    head = ["# What each objective rests on", "", "Made by `python tests/objectives.py`; a test compares."]
    return "\n".join([*head, *lines]) + "\n"


if __name__ == "__main__":
    print(table(lessons()), end="")
