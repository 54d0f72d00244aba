"""Progress: what is remembered through kills and two notebooks at once, what is lent, and what is revealed when."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from course_utils import settings
from course_utils.check import cards, check, events, headings, lending, notebook, overview


def fractions_wrong(labels, num_classes):
    return labels


def fractions_of_one(labels, num_classes):
    return labels * 0 + 1


def fractions_none(labels, num_classes):
    return None


@pytest.fixture
def shell(monkeypatch):
    """A notebook whose set-up cell has been run."""
    import torch

    found = SimpleNamespace(user_ns={"torch": torch})
    monkeypatch.setattr(cards, "shell", lambda: found)
    return found


def test_an_untouched_exercise_is_to_do():
    assert str(events.state("0.1")) == "to do" and not events.progress_file().exists()


def test_checks_are_noted(capsys):
    check("0.1", fractions_wrong)
    check("0.1", fractions_wrong)
    assert str(events.state("0.1")) == "tried once"
    check("0.1", fractions_of_one)
    assert events.state("0.1") == events.State(tries=2)
    assert str(events.state("0.2")) == "to do"
    events.note("0.1", "ok")
    assert str(events.state("0.1")) == "solved"
    events.note("0.1", "fix")  # what was solved once stays solved
    assert str(events.state("0.1")) == "solved"


def test_a_write_that_was_cut_short_spoils_no_other_line():
    events.note("0.1", "ok")
    with events.progress_file().open("a") as file:
        file.write('\n{"exercise": "0.2", "ev')  # the machine went down
    events.note("0.3", "ok")
    assert [str(events.state(number)) for number in ("0.1", "0.2", "0.3")] == ["solved", "to do", "solved"]


@pytest.mark.parametrize("line", ["null", "[]", "3", '{"exercise": "0.1"}', '"ok"', "\udcff", ""])
def test_odd_lines_are_passed_over(line):
    events.note("0.2", "ok")
    with events.progress_file().open("ab") as file:
        file.write(b"\n" + line.encode(errors="surrogateescape"))
    events.note("0.1", "ok")
    assert [event["exercise"] for event in events.events()] == ["0.2", "0.1"]


@pytest.mark.slow
def test_notebooks_at_once_lose_nothing():
    code = "from course_utils.check import events\nfor i in range(300): events.note('0.1', 'fix')"
    writers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    assert len(events.events()) == 900


def test_a_folder_that_cannot_be_written_stops_nobody(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(events, "_unsaved", [])
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(settings, "RUNS", tmp_path / "file" / "runs")
    check("0.1", fractions_wrong)
    check("0.1", fractions_wrong)
    printed = capsys.readouterr().out
    assert printed.count("Your progress cannot be saved") == 1 and printed.count("[fix] Exercise 0.1") == 2
    assert events.state("0.1").tries == 1


def test_what_is_not_to_be_saved_is_nobodys_progress(monkeypatch):
    monkeypatch.setattr(events, "_unsaved", [])
    monkeypatch.setattr(settings, "SAVE_PROGRESS", False)
    events.note("0.1", "ok")
    assert events.state("0.1").solved and not events.progress_file().exists()


def test_borrow_lends_a_function_that_works_and_says_so(shell, capsys):
    lending.borrow("0.1")
    assert "[borrowed] Exercise 0.1: `class_fractions`" in capsys.readouterr().out
    torch = shell.user_ns["torch"]
    assert shell.user_ns["class_fractions"](torch.tensor([0, 0, 1]), 3).tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert str(events.state("0.1")) == "borrowed"
    check("0.1", shell.user_ns["class_fractions"])  # a borrowed function is no solution
    assert capsys.readouterr().out.startswith("[borrowed] Exercise 0.1")
    assert str(events.state("0.1")) == "borrowed"
    events.note("0.1", "ok")
    assert str(events.state("0.1")) == "solved"


def test_a_borrowed_function_uses_the_students_own(shell, capsys):
    lending.borrow("2.3")
    lending.borrow("2.4")
    lending.borrow("2.5")
    torch = shell.user_ns["torch"]
    shell.user_ns["merge"] = lambda known, positions, labels: torch.full_like(known, 7)
    known = torch.tensor([0, -1])
    rounds = shell.user_ns["self_train"](
        known, lambda targets: "model", lambda model: torch.tensor([[0.9, 0.1]] * 2), 0.5, 1
    )
    assert rounds[-1][1].tolist() == [7, 7]


def test_borrow_before_the_setup_cell_says_so(shell, capsys):
    shell.user_ns.clear()
    lending.borrow("0.1")
    assert "run the set-up cell" in capsys.readouterr().out
    assert str(events.state("0.1")) == "to do"


def test_borrow_outside_of_a_notebook_is_an_error():
    with pytest.raises(RuntimeError, match="call it in a cell"):
        lending.borrow("0.1")


@pytest.mark.parametrize("number", ["0.9", "6", "", "zero", "42.1"])
def test_an_exercise_that_does_not_exist(shell, number, capsys):
    lending.borrow(number)
    lending.reveal(number)
    assert capsys.readouterr().out.count(f"There is no exercise {number!r}") == 2


def test_reveal_waits_for_three_different_answers(capsys):
    for answer in (fractions_wrong, fractions_wrong, fractions_of_one):
        check("0.1", answer)
    capsys.readouterr()
    lending.reveal("0.1")
    printed = capsys.readouterr().out
    assert printed.startswith("[not yet] Exercise 0.1") and "(so far 2)" in printed and "bincount" not in printed
    check("0.1", fractions_none)
    capsys.readouterr()
    lending.reveal("0.1")
    printed = capsys.readouterr().out
    assert "def class_fractions(" in printed and "torch.bincount" in printed and "SOLUTION" not in printed
    events.note("0.1", "ok")
    assert str(events.state("0.1")) == "solved after reveal"


def test_reveal_shows_what_is_solved(capsys):
    events.note("0.1", "ok")
    lending.reveal("0.1")
    assert "torch.bincount" in capsys.readouterr().out
    assert str(events.state("0.1")) == "solved"  # the look came after


def test_a_copy_without_solutions_lends_and_reveals_nothing(monkeypatch, shell, tmp_path, capsys):
    monkeypatch.setattr(lending, "SOLUTIONS", tmp_path)
    lending.borrow("0.1")
    lending.reveal("0.1")
    assert capsys.readouterr().out.count("comes without solutions") == 2
    handlers = {}
    kernel = SimpleNamespace(set_custom_exc=lambda kinds, handler: handlers.update(h=handler))
    monkeypatch.setattr(cards, "shell", lambda: kernel)
    notebook.friendly_unsolved()
    handlers["h"](None, NotImplementedError, NotImplementedError("Exercise 0.1"), None)
    assert "borrow" not in capsys.readouterr().out
    monkeypatch.undo()
    handlers["h"](None, NotImplementedError, NotImplementedError("Exercise 0.1"), None)
    assert "borrow('0.1')" in capsys.readouterr().out


def test_the_progress_of_a_lesson(capsys):
    events.note("0.1", "ok")
    events.note("0.2", "borrowed")
    overview.progress("00")
    first, *table = capsys.readouterr().out.splitlines()
    assert first == "Lesson 00: 1 of 3 exercises solved, 1 borrowed, 1 to do; about 20 min left"
    assert [line.split()[-1] for line in table[2:]] == ["solved", "borrowed", "do"]
    assert [str(line["state"]) for line in overview.lines("00")] == ["solved", "borrowed", "to do"]
    assert overview.lines("00")[0]["title"] == "How frequent is each class?"
    assert overview.text("00").splitlines()[0] == first
    assert overview.text("00").splitlines()[1] == "█" * 6 + "░" * 14
    for number in ("0.2", "0.3"):
        events.note(number, "ok")
    overview.progress("00")
    assert capsys.readouterr().out.startswith("Lesson 00: all exercises solved\n")
    with pytest.raises(ValueError, match="no lesson '42'; there are 00"):
        overview.progress("42")


def test_the_progress_of_the_course(capsys):
    events.note("0.1", "ok")
    events.note("6.2", "borrowed")
    rows = {row["lesson"]: row for row in overview.summaries()}
    assert list(rows) == [f"{n:02d}" for n in range(11)] and rows["06"]["title"] == "FixMatch"
    assert {
        key: rows["00"][key] for key in ("exercises", "solved", "borrowed", "to do", "minutes", "minutes left")
    } == {
        "exercises": 3,
        "solved": 1,
        "borrowed": 0,
        "to do": 2,
        "minutes": 25,
        "minutes left": 20,
    }
    whole = overview.total(rows.values())
    assert (whole["exercises"], whole["solved"], whole["borrowed"]) == (73, 1, 1)
    assert whole["minutes left"] == whole["minutes"] - 5
    overview.progress()
    assert capsys.readouterr().out == overview.text() + "\n"
    assert overview.text().startswith(
        f"The course: 1 of 73 exercises solved, 1 borrowed, 71 to do; about {whole['minutes left'] // 60} h"
    )
    assert overview.text().count("\n") == 12


def test_minutes_in_words():
    assert [overview.duration(minutes) for minutes in (5, 119, 120, 838)] == [
        "5 min",
        "119 min",
        "2 h 00 min",
        "13 h 58 min",
    ]


def test_the_progress_is_read_without_torch_or_pandas():
    code = "import sys\nfrom course_utils.check import overview\noverview.text()\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "pandas", "numpy", "nbformat", "IPython"} & set(run.stdout.split())


def test_a_damaged_notebook_is_named_with_the_cure_and_spoils_no_check(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(headings, "NOTEBOOKS", tmp_path)
    (tmp_path / "00_start_here.ipynb").write_text('{"cells": [')
    with pytest.raises(ValueError, match="00_start_here.ipynb is damaged.*put the file back"):
        overview.progress("00")
    check("0.1", fractions_wrong)
    check("0.1", fractions_of_one)
    assert capsys.readouterr().out.count("[fix] Exercise 0.1") == 2


@pytest.mark.parametrize(("folder", "saved"), [("solutions", "False"), ("notebooks", "True")])
def test_what_runs_among_the_solutions_is_not_saved(folder, saved):
    code = "from course_utils import settings; print(settings.SAVE_PROGRESS)"
    run = subprocess.run([sys.executable, "-c", code], cwd=settings.ROOT / folder, capture_output=True, text=True)
    assert run.stdout.strip() == saved
