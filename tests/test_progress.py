"""The board: what it remembers through kills and two notebooks at once, what it lends, and what it reveals when."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from course_utils.check import board, check, notebook


def shares_wrong(labels, num_classes):
    return labels


def shares_of_one(labels, num_classes):
    return labels * 0 + 1


def shares_none(labels, num_classes):
    return None


@pytest.fixture
def shell(monkeypatch):
    """A notebook whose set-up cell has been run."""
    import torch

    found = SimpleNamespace(user_ns={"torch": torch})
    monkeypatch.setattr(board, "get_ipython", lambda: found)
    return found


def test_an_untouched_exercise_is_to_do():
    assert str(board.state("0.1")) == "to do" and not board.progress_file().exists()


def test_checks_are_noted(capsys):
    check("0.1", shares_wrong)
    check("0.1", shares_wrong)
    assert str(board.state("0.1")) == "tried once"
    check("0.1", shares_of_one)
    assert board.state("0.1") == board.State(tries=2)
    assert str(board.state("0.2")) == "to do"
    board.note("0.1", "ok")
    assert str(board.state("0.1")) == "solved"
    board.note("0.1", "fix")  # what was solved once stays solved
    assert str(board.state("0.1")) == "solved"


def test_a_write_that_was_cut_short_spoils_no_other_line():
    board.note("0.1", "ok")
    with board.progress_file().open("a") as file:
        file.write('\n{"exercise": "0.2", "ev')  # the machine went down
    board.note("0.3", "ok")
    assert [str(board.state(number)) for number in ("0.1", "0.2", "0.3")] == ["solved", "to do", "solved"]


@pytest.mark.parametrize("line", ["null", "[]", "3", '{"exercise": "0.1"}', '"ok"', "\udcff", ""])
def test_odd_lines_are_passed_over(line):
    board.note("0.2", "ok")
    with board.progress_file().open("ab") as file:
        file.write(b"\n" + line.encode(errors="surrogateescape"))
    board.note("0.1", "ok")
    assert [event["exercise"] for event in board.events()] == ["0.2", "0.1"]


@pytest.mark.slow
def test_notebooks_at_once_lose_nothing():
    code = "from course_utils.check import board\nfor i in range(300): board.note('0.1', 'fix')"
    writers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    assert len(board.events()) == 900


def test_a_folder_that_cannot_be_written_stops_nobody(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(board, "_unsaved", [])
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "file" / "runs"))
    check("0.1", shares_wrong)
    check("0.1", shares_wrong)
    printed = capsys.readouterr().out
    assert printed.count("Your progress cannot be saved") == 1 and printed.count("[fix] Exercise 0.1") == 2
    assert board.state("0.1").tries == 1


def test_what_runs_among_the_solutions_is_nobodys_progress(monkeypatch):
    monkeypatch.setattr(board, "_unsaved", [])
    monkeypatch.chdir(board.SOLUTIONS)
    board.note("0.1", "ok")
    assert board.state("0.1").solved and not board.progress_file().exists()


def test_borrow_lends_a_function_that_works_and_says_so(shell, capsys):
    board.borrow("0.1")
    assert "[borrowed] Exercise 0.1: `class_fractions`" in capsys.readouterr().out
    torch = shell.user_ns["torch"]
    assert shell.user_ns["class_fractions"](torch.tensor([0, 0, 1]), 3).tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert str(board.state("0.1")) == "borrowed"
    check("0.1", shell.user_ns["class_fractions"])  # a borrowed function is no solution
    assert capsys.readouterr().out.startswith("[borrowed] Exercise 0.1")
    assert str(board.state("0.1")) == "borrowed"
    board.note("0.1", "ok")
    assert str(board.state("0.1")) == "solved"


def test_a_borrowed_function_uses_the_students_own(shell, capsys):
    board.borrow("2.3")
    board.borrow("2.4")
    board.borrow("2.5")
    torch = shell.user_ns["torch"]
    shell.user_ns["merge"] = lambda known, positions, labels: torch.full_like(known, 7)
    known = torch.tensor([0, -1])
    rounds = shell.user_ns["self_train"](
        known, lambda targets: "model", lambda model: torch.tensor([[0.9, 0.1]] * 2), 0.5, 1
    )
    assert rounds[-1][1].tolist() == [7, 7]


def test_borrow_before_the_setup_cell_says_so(shell, capsys):
    shell.user_ns.clear()
    board.borrow("0.1")
    assert "run the set-up cell" in capsys.readouterr().out
    assert str(board.state("0.1")) == "to do"


def test_borrow_outside_of_a_notebook_is_an_error():
    with pytest.raises(RuntimeError, match="call it in a cell"):
        board.borrow("0.1")


@pytest.mark.parametrize("number", ["0.9", "6", "", "zero", "42.1"])
def test_an_exercise_that_does_not_exist(shell, number, capsys):
    board.borrow(number)
    board.reveal(number)
    assert capsys.readouterr().out.count(f"There is no exercise {number!r}") == 2


def test_reveal_waits_for_three_different_answers(capsys):
    for answer in (shares_wrong, shares_wrong, shares_of_one):
        check("0.1", answer)
    capsys.readouterr()
    board.reveal("0.1")
    printed = capsys.readouterr().out
    assert printed.startswith("[not yet] Exercise 0.1") and "(so far 2)" in printed and "bincount" not in printed
    check("0.1", shares_none)
    capsys.readouterr()
    board.reveal("0.1")
    printed = capsys.readouterr().out
    assert "def class_fractions(" in printed and "torch.bincount" in printed and "SOLUTION" not in printed
    board.note("0.1", "ok")
    assert str(board.state("0.1")) == "solved after reveal"


def test_reveal_shows_what_is_solved(capsys):
    board.note("0.1", "ok")
    board.reveal("0.1")
    assert "torch.bincount" in capsys.readouterr().out
    assert str(board.state("0.1")) == "solved"  # the look came after


def test_a_copy_without_solutions_lends_and_reveals_nothing(monkeypatch, shell, tmp_path, capsys):
    monkeypatch.setattr(board, "SOLUTIONS", tmp_path)
    board.borrow("0.1")
    board.reveal("0.1")
    assert capsys.readouterr().out.count("comes without solutions") == 2
    handlers = {}
    monkeypatch.setattr(
        notebook,
        "get_ipython",
        lambda: SimpleNamespace(set_custom_exc=lambda kinds, handler: handlers.update(h=handler)),
    )
    notebook.friendly_unsolved()
    handlers["h"](None, NotImplementedError, NotImplementedError("Exercise 0.1"), None)
    assert "borrow" not in capsys.readouterr().out
    monkeypatch.undo()
    handlers["h"](None, NotImplementedError, NotImplementedError("Exercise 0.1"), None)
    assert "borrow('0.1')" in capsys.readouterr().out


def test_the_board_of_a_lesson_and_of_the_course(capsys):
    board.note("0.1", "ok")
    board.note("0.2", "borrowed")
    table = board.progress("00")
    assert capsys.readouterr().out == "Lesson 00: 1 of 3 exercises solved, 1 borrowed, 1 to do; about 20 min left\n"
    assert table["state"].tolist() == ["solved", "borrowed", "to do"]
    assert table["title"].iloc[0] == "How frequent is each class?"
    course = board.progress()
    assert course.loc["00"].tolist() == [3, 1, 1, 1, 20] and course.loc["06", "solved"] == 0
    board.note("0.2", "ok")
    assert board.progress().loc["00"].tolist() == [3, 2, 0, 1, 12]
    board.note("0.3", "ok")
    board.progress("00")
    assert capsys.readouterr().out == "Lesson 00: all exercises solved\n"
    with pytest.raises(ValueError, match="no lesson '42'; there are 00"):
        board.progress("42")
