"""The `course` command: run, benchmark, lab, speed."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from course_utils import cli, evaluation, models, results, training
from course_utils.authoring import benchmark, build
from course_utils.datasets import Dataset, load_dataset
from course_utils.labels import split_labels


@cache
def digits() -> Dataset:
    return load_dataset("digits")


def record(method: str, seed: int = 0, split: str = "test") -> None:
    """What a lesson leaves behind."""
    dataset = digits()
    label_split = split_labels(dataset, 100, seed)
    run = training.Run(models.new_model(dataset), models.new_model(dataset), 5, {"loss": [1.0] * 5}, seconds=1.0)
    results.record(method, dataset, label_split, run, evaluation.evaluate(run.ema, getattr(dataset, split)))


@pytest.fixture(autouse=True)
def on_digits(monkeypatch):
    monkeypatch.setenv("COURSE_DATA", "embedded")


@pytest.mark.slow
def test_run_executes_the_lessons_and_prints_one_table(monkeypatch, capsys):
    record("an older run")
    done = []

    def execute(notebook, folder, on_cell):
        monkeypatch.setattr(cli.time, "strftime", lambda form: "2999-01-01 00:00:01")
        done.append(notebook.cells[0].source.splitlines()[0])
        record("supervised")
        record("FixMatch")
        record("supervised, another draw", seed=1)
        record("chosen by validation", split="val")

    monkeypatch.setattr(cli.time, "strftime", lambda form: "2999-01-01 00:00:00")
    monkeypatch.setattr(build, "execute", execute)
    # the older run was recorded before this one started
    path = results.runs_file()
    path.write_text(path.read_text().replace(json.loads(path.read_text())["time"], "2000-01-01 00:00:00"))
    assert cli.main(["run", "00", "06"]) == 0
    printed = capsys.readouterr().out
    assert sorted(done) == ["# 00 · Start here", "# 06 · FixMatch"]
    assert all(word in printed for word in ("digits", "majority class", "supervised", "FixMatch", "macro-F1"))
    assert "an older run" not in printed and "chosen by validation" not in printed
    alike, others = printed.split("Runs with other labels or steps")
    assert "100 labels, seed 0, 5 steps:" in alike and "another draw" in others and "another draw" not in alike


@pytest.mark.slow
def test_run_really_executes(capsys):
    assert cli.main(["run", "00"]) == 0
    assert "digits: train 3500" in capsys.readouterr().out


def test_benchmark_runs_what_is_asked_for_and_prints_and_ships_it(monkeypatch, tmp_path, capsys):
    seen = []

    def run(job):
        seen.append((job.dataset, job.network, job.num_steps, job.budget, job.seed, job.lesson))
        if job.lesson == "07":
            return job, [], "its last line says why"
        settings = {"network": job.network, "num_labels": job.budget, "num_steps": job.num_steps, "seed": job.seed}
        settings["steps"] = job.num_steps
        row = {
            "method": "FixMatch",
            "dataset": job.dataset,
            "md5": "x",
            "label_split": "d",
            "lesson": "06",
            "macro-F1": 0.5,
        }
        return job, [row | settings], None

    monkeypatch.setattr(benchmark, "run", run)
    monkeypatch.setattr(results, "shipped_file", lambda name: tmp_path / "shipped.csv")
    monkeypatch.setattr("course_utils.authoring.readme.README", tmp_path / "README.md")
    (tmp_path / "README.md").write_text("Words without a table.\n")
    settings = ["--labels", "40", "all", "--seeds", "1", "--networks", "ResNet", "--steps", "5", "--datasets", "digits"]
    out = ["--output", str(tmp_path / "out"), "--jobs", "1"]
    assert cli.main(["benchmark", "06", "07", *settings, *out, "--ship"]) == 1  # one failed
    assert len(results.read_runs(tmp_path / "shipped.csv")) == 2
    expected = [("digits", "ResNet", 5, num_labels, 1, lesson) for num_labels in (40, 3500) for lesson in ("06", "07")]
    assert sorted(seen) == sorted(expected)
    printed = capsys.readouterr()
    assert "FixMatch" in printed.out and "0.500" in printed.out and "shipped.csv" in printed.out
    assert "its last line says why" in printed.err and "tried again by the same command" in printed.err


@pytest.mark.parametrize(("user", "as_root"), [(0, ["--allow-root"]), (1000, [])])
def test_lab_opens_the_first_lesson(monkeypatch, user, as_root):
    called = []
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(cli.subprocess, "call", lambda command, cwd: called.append(command) or 0)
    assert cli.main(["lab", "--", "--no-browser"]) == 0
    assert called[0][:4] == [sys.executable, "-m", "jupyter", "lab"] and called[0][4].endswith("00_start_here.ipynb")
    assert called[0][5:] == [*as_root, "--no-browser"]


def test_speed_starts_the_timings(monkeypatch):
    called = []
    monkeypatch.setattr(cli.subprocess, "call", lambda command, cwd: called.append(command) or 0)
    assert cli.main(["speed"]) == 0
    assert Path(called[0][1]).is_file() and Path(called[0][1]).name == "benchmark_speed.py"


def test_a_data_folder_without_data_is_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert cli.main(["run", "00"]) == 1
    assert capsys.readouterr().err.startswith("course run: the data folder (COURSE_DATA) is")


def test_the_package_imports_downwards_only():
    """Nothing that lessons use imports what authors use, and each room imports only rooms below it."""
    order = ["data", "augment", "models", "training", "evaluation", "results", "plots", "check", "authoring", "cli"]
    package = Path(cli.__file__).parent
    for position, room in enumerate(order):
        files = [package / f"{room}.py"] if (package / f"{room}.py").is_file() else list((package / room).glob("*.py"))
        for above in order[position + 1 :]:
            for file in files:
                source = file.read_text()
                assert f"course_utils.{above}" not in source and f"from course_utils import {above}" not in source, (
                    f"{file.name} imports {above}"
                )


def test_importing_the_package_warns_of_nothing():
    command = "import course_utils.plots, course_utils.check, course_utils.results; import albumentations"
    result = subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", command], capture_output=True, text=True)
    assert result.returncode == 0 and result.stderr == ""
