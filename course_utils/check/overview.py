"""Where a student stands: the exercises of a lesson, or of all lessons, with their state."""

import pandas as pd

from course_utils import NOTEBOOKS
from course_utils.check.events import state
from course_utils.check.headings import exercises


def progress(lesson: str | None = None) -> pd.DataFrame:
    """Where you stand in a lesson, such as "06", one line for each exercise; without a lesson: one line for each lesson."""
    if lesson is None:
        numbers = sorted(path.name[:2] for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
        return pd.DataFrame([_summary(number) for number in numbers]).set_index("lesson")
    print(f"Lesson {lesson}: {_words(_summary(lesson))}")
    lines = [
        {
            "exercise": match["number"],
            "title": match["title"].replace("`", ""),  # a table shows no Markdown
            "minutes": match["minutes"],
            "state": state(match["number"]),
        }
        for match in exercises(lesson)
    ]
    return pd.DataFrame(lines).astype(str).set_index("exercise")


def _summary(lesson: str) -> dict:
    states = {match: state(match["number"]) for match in exercises(lesson)}
    open_ones = [match for match, one in states.items() if not one.solved]
    return {
        "lesson": lesson,
        "exercises": len(states),
        "solved": sum(one.solved for one in states.values()),
        "borrowed": sum(one.borrowed and not one.solved for one in states.values()),
        "to do": sum(not one.borrowed and not one.solved for one in states.values()),
        "minutes left": sum(int(match["minutes"]) for match in open_ones),
    }


def _words(summary: dict) -> str:
    if summary["solved"] == summary["exercises"]:
        return "all exercises solved"
    counts = ", ".join(f"{summary[kind]} {kind}" for kind in ("borrowed", "to do") if summary[kind])
    return f"{summary['solved']} of {summary['exercises']} exercises solved, {counts}; about {summary['minutes left']} min left"
