"""A check in grading: right answers pass, and one that was made to accept anything is noticed."""

import contextlib
import time

import nbformat
import pytest
import torch
from lessons import answers, exercises, functions, numbers, tagged

from course_utils.authoring.grade import run
from course_utils.check import check, grading, runner


@exercises
def test_no_right_answer_is_suspected(source, number):
    solved = functions(source, set(numbers(source)))
    (cell,) = (cell for cell in tagged(source, "check") if f"ex-{number}" in cell.metadata.tags)
    solution = eval(cell.source.partition(", ")[2].rpartition(")")[0], solved)
    for answer in [solution, *answers(source).RIGHT[number]]:
        assert grading.examine(number, answer).status == "ok"


PATCHES = {
    "torch": lambda patch: patch.setattr(torch, "allclose", lambda *args, **options: True),
    "agree": lambda patch: patch.setattr("course_utils.check.cases.agree", lambda *args, **options: True),
    "compare": lambda patch: patch.setattr(runner, "compare", lambda *args, **options: None),
    "verdict": lambda patch: patch.setattr(
        grading, "verdict", lambda number, function: runner.Verdict(number, "ok", "")
    ),
}


@pytest.mark.parametrize("way", PATCHES)
def test_a_check_that_accepts_anything_is_noticed(way, monkeypatch):
    def wrong(confusion):
        return 0.5

    assert grading.examine("0.3", wrong).status == "fix"
    PATCHES[way](monkeypatch)
    result = grading.examine("0.3", wrong)
    assert (result.status, result.message) == ("fix", grading.TAMPERED)


def test_check_itself_is_taken_from_the_package_again():
    names = {"check": lambda number, function: print("[ok]")}
    exec(grading.source("7"), names)
    assert names["check"].__module__ == "course_utils.check.grading"


def test_for_a_student_a_check_prints_and_raises_nothing(monkeypatch, capsys):
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    check("0.1", lambda labels, num_classes: labels)
    assert capsys.readouterr().out.startswith("[fix] Exercise 0.1")


@pytest.mark.parametrize(("seconds", "runs"), [(600, 1 + run.MOST_RESTARTS), (0, 1)])
def test_what_was_run_stays_when_a_notebook_may_not_go_on(monkeypatch, seconds, runs):
    """Cells that stop Python again and again, or time that is over, cost the checks behind them and not those before."""
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(
                "", metadata={"nbgrader": {"grade": True, "solution": False, "grade_id": f"check-0-{n}", "points": 1}}
            )
            for n in range(9)
        ]
    )
    stops = iter(range(2, 9))

    def stopped(self, nb, folder, left_out, deadline, course):
        verdict = {"token": None, "status": "ok", "line": "[ok]"}
        nb.cells[0].outputs = [nbformat.v4.new_output("display_data", {grading.MIME: verdict})]
        time.sleep(0.01)
        started.append(dict(left_out))
        return next(stops), "it ended Python"

    started: list[dict] = []
    monkeypatch.setattr(run, "released", lambda exporter, resources: notebook)
    monkeypatch.setattr(run, "_workplace", lambda *arguments: contextlib.nullcontext())
    monkeypatch.setattr(run.RunSubmission, "_run", stopped)
    resources = {"nbgrader": {"notebook": "00"}}
    grader = run.RunSubmission(submission_limit=seconds)
    nb, _ = grader.preprocess(notebook, resources)
    assert len(started) == runs
    kinds = [cell.outputs[0].output_type for cell in nb.cells]
    assert kinds == ["stream", *["error"] * 8]
    assert nb.cells[2].outputs[0].evalue.endswith("0.2: it ended Python")
    assert "too long, or stopped Python too often" in nb.cells[8].outputs[0].evalue
