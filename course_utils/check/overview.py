"""Where a student stands: the exercises of a lesson, or all lessons, as plain data, as words, and as a card in a notebook.

Light to import: `course progress` must not wait for torch or pandas.
"""

from collections.abc import Iterable
from typing import Any

from course_utils.check import cards
from course_utils.check.events import State, states
from course_utils.check.headings import lesson_notebook, lessons, mentioned_exercises

BAR = 20  # characters


def lines(lesson: str) -> list[dict[str, Any]]:
    """Each exercise of a lesson, such as "06": exercise, title, minutes, state; ValueError if there is no such lesson."""
    return _lines(lesson_notebook(lesson))


def _lines(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    known = states()
    return [
        {
            "exercise": match["number"],
            "title": match["title"].replace("`", ""),  # a table shows no Markdown
            "minutes": int(match["minutes"]),
            "state": known.get(match["number"], State()),
        }
        for match in mentioned_exercises(notebook)
    ]


def summary(lesson: str) -> dict[str, Any]:
    """A lesson in one line: lesson, title, exercises, solved, borrowed, to do, minutes, minutes left."""
    notebook = lesson_notebook(lesson)
    found, first = _lines(notebook), next(iter(notebook["cells"]), {"source": ""})
    states, minutes = [line["state"] for line in found], [line["minutes"] for line in found]
    return {
        "lesson": lesson,
        "title": first["source"].partition("\n")[0].partition(" · ")[2],
        "exercises": len(found),
        "solved": sum(state.solved for state in states),
        "borrowed": sum(state.borrowed and not state.solved for state in states),
        "to do": sum(not state.borrowed and not state.solved for state in states),
        "minutes": sum(minutes),
        "minutes left": sum(its for its, state in zip(minutes, states) if not state.solved),
    }


def summaries() -> list[dict[str, Any]]:
    """`summary` of every lesson, in order."""
    return [summary(lesson) for lesson in lessons()]


def total(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The sums of what `summaries` returns; lesson and title are left out."""
    rows = list(rows)
    return {key: sum(row[key] for row in rows) for key in rows[0] if key not in ("lesson", "title")}


def words(row: dict[str, Any]) -> str:
    """The counts of `summary` or `total` in words."""
    if row["solved"] == row["exercises"]:
        return "all exercises solved"
    counts = ", ".join(f"{row[kind]} {kind}" for kind in ("borrowed", "to do") if row[kind])
    return f"{row['solved']} of {row['exercises']} exercises solved, {counts}; about {duration(row['minutes left'])} left"


def duration(minutes: int) -> str:
    """Minutes in words, with hours from two hours on."""
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def text(lesson: str | None = None) -> str:
    """Where you stand in a lesson, or in the course, for a terminal: a bar, and a line for each exercise or lesson."""
    if lesson is None:
        rows = summaries()
        head, counts, table = "The course", total(rows), [_of_lesson(row) for row in rows]
    else:
        head, counts = f"Lesson {lesson}", summary(lesson)
        table = [[line["exercise"], line["title"], f"{line['minutes']} min", str(line["state"])] for line in lines(lesson)]
    widths = [max(map(len, column)) for column in zip(*table)]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]
    filled = BAR * counts["solved"] // max(counts["exercises"], 1)
    return "\n".join([f"{head}: {words(counts)}", "█" * filled + "░" * (BAR - filled), *shown])


def _of_lesson(row: dict[str, Any]) -> list[str]:
    left = duration(row["minutes left"]) if row["minutes left"] else "done"
    return [row["lesson"], row["title"], f"{row['solved']} of {row['exercises']}", left]


# -------------------------------------------------------------------------------------------------------- in a notebook


def progress(lesson: str | None = None) -> None:
    """Show where you stand in a lesson, such as "06": each exercise and its state; without a lesson: each lesson."""
    if cards.live():
        cards.show(_lesson_card(lesson) if lesson else _course_card(), text(lesson))
    elif lesson:
        import pandas as pd
        from IPython.display import display

        print(f"Lesson {lesson}: {words(summary(lesson))}")
        display(pd.DataFrame(lines(lesson)).astype(str).set_index("exercise"))
    else:
        print(text())


def _lesson_card(lesson: str) -> str:
    row = summary(lesson)
    table = [[line["exercise"], cards.prose(line["title"]), f"{line['minutes']} min", _badge(line["state"])] for line in lines(lesson)]
    return cards.card("progress", f"Lesson {lesson} · {row['title']}", *_bar_and_words(row), cards.table(table))


def _course_card() -> str:
    rows = summaries()
    table = [[*map(cards.prose, _of_lesson(row)), _bar(row, "3em")] for row in rows]
    return cards.card("progress", "The course", *_bar_and_words(total(rows)), cards.table(table))


def _bar_and_words(counts: dict[str, Any]) -> tuple[str, str]:
    return _bar(counts), cards.prose(words(counts))


def _bar(counts: dict[str, Any], width: str = "30em") -> str:
    return cards.bar(counts["solved"], counts["borrowed"], counts["exercises"], width)


def _badge(state: State) -> str:
    kind = "ok" if state.solved else "borrowed" if state.borrowed else "fix" if state.tries else "todo"
    return cards.badge(kind, str(state))
