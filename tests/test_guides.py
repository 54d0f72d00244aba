"""The guides for instructors and authors say what holds."""

import re

import mistakes
from lessons import ALL_EXERCISES, SOURCES

from course_utils import ROOT
from course_utils.check import battery, cases, expect, runner, verdict

GUIDES = ROOT / "docs" / "teachers"


def test_the_plan_teaches_every_exercise_once_and_in_order():
    plan = re.findall(r"^\| \d+ \|.*$", (GUIDES / "teaching.md").read_text(), re.MULTILINE)
    cells = [line.split("|")[4] for line in plan]
    taught = []
    for first, last in re.findall(r"(\d+\.\d+)(?: to (\d+\.\d+))?", " ".join(cells)):
        lesson, start = first.split(".")
        stop = (last or first).split(".")[1]
        taught += [f"{lesson}.{n}" for n in range(int(start), int(stop) + 1)]
    assert taught == [number for _, number in ALL_EXERCISES]


def test_the_page_of_mistakes_is_up_to_date():
    text = (GUIDES / "mistakes.md").read_text()
    parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    assert len(parts) == 1 + len(SOURCES)
    for number in (0, 6):  # all would take longer than this test is worth
        fresh = mistakes.page([SOURCES[number]])
        assert fresh.startswith(parts[0]) and fresh.endswith(parts[number + 1].rstrip() + "\n"), (
            "python tests/mistakes.py > docs/teachers/mistakes.md"
        )
    assert re.findall(r"^### (\d+\.\d+) ", text, re.MULTILINE) == [number for _, number in ALL_EXERCISES]


def test_the_example_of_a_new_exercise_works(monkeypatch):
    """What the guide tells an author to paste, pasted."""
    lesson, check, right = re.findall(r"```python\n(.*?)```", (GUIDES / "new_exercise.md").read_text(), re.DOTALL)
    names = {**vars(expect), **vars(battery), **vars(cases), "check": lambda number, function: None}
    exec(lesson, names)
    solution = names["images_learnt_from"]
    exec(check, names)
    exec(f"import math\nimport numpy as np\nRIGHT = {{{right}}}", names)
    exercise = names["images_learnt_from"]
    number = exercise.number
    assert all(number != other for _, other in ALL_EXERCISES)
    recorded = {case.what: exercise.outcome(solution, case) for case in exercise.all_cases}
    monkeypatch.setattr(battery, "recorded", lambda lesson: {number: recorded})
    known = runner.exercises
    monkeypatch.setattr(runner, "exercises", lambda lesson: {**known(lesson), number: exercise})
    assert set(exercise.battery) == set(battery.KINDS)
    assert len(names["RIGHT"][number]) >= 3 and len(exercise.all_mistakes) >= 6
    assert all(verdict(number, answer).status == "ok" for answer in [solution, *names["RIGHT"][number]])
    for answer, cause in exercise.all_mistakes:
        result = verdict(number, answer)
        assert result.status == "fix" and cause in result.message, result
