"""The `course` command: what it takes, what it says when it cannot, and its commands run, benchmark, lab, speed."""

import ast
import json
import os
import re
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from course_utils import cli, evaluation, lab, models, results, settings, training
from course_utils.authoring import build, commands
from course_utils.benchmarks import lessons as benchmark
from course_utils.check import events
from course_utils.datasets import Dataset, load_dataset
from course_utils.labels import split_labels

COURSE = Path(sys.executable).parent / "course"


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
    monkeypatch.setattr(settings, "DATA", "embedded")


@pytest.mark.slow
def test_run_executes_the_lessons_and_prints_one_table(monkeypatch, capsys):
    record("an older run")
    done = []

    def execute(notebook, folder, on_cell):
        monkeypatch.setattr(commands.time, "strftime", lambda form: "2999-01-01 00:00:01")
        done.append(notebook.cells[0].source.splitlines()[0])
        record("supervised")
        record("FixMatch")
        record("supervised, another label split", seed=1)
        record("chosen by validation", split="val")

    monkeypatch.setattr(commands.time, "strftime", lambda form: "2999-01-01 00:00:00")
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
    assert (
        "100 labels, seed 0, 5 steps:" in alike
        and "another label split" in others
        and "another label split" not in alike
    )


@pytest.mark.slow
def test_run_really_executes(capsys):
    assert cli.main(["run", "00"]) == 0
    assert "digits: train 3500" in capsys.readouterr().out


def test_benchmark_runs_what_is_asked_for_and_prints_and_ships_it(monkeypatch, tmp_path, capsys):
    seen = []

    def run(job):
        seen.append((job.dataset, job.network, job.num_steps, job.num_labels, job.seed, job.lesson))
        if job.lesson == "07":
            return job, [], "its last line says why"
        settings = {"network": job.network, "num_labels": job.num_labels, "num_steps": job.num_steps, "seed": job.seed}
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
    monkeypatch.setattr("course_utils.authoring.readme.renew", lambda: "the pages of results")
    settings = ["--labels", "40", "all", "--seeds", "1", "--networks", "ResNet", "--steps", "5", "--datasets", "digits"]
    out = ["--output", str(tmp_path / "out"), "--jobs", "1"]
    assert cli.main(["benchmark", "06", "07", *settings, *out, "--ship"]) == 1  # one failed
    assert len(results.read_runs(tmp_path / "shipped.csv")) == 2
    expected = [("digits", "ResNet", 5, num_labels, 1, lesson) for num_labels in (40, 3500) for lesson in ("06", "07")]
    assert sorted(seen) == sorted(expected)
    printed = capsys.readouterr()
    assert "FixMatch" in printed.out and "0.500" in printed.out and "shipped.csv" in printed.out
    assert "written to the pages of results" in printed.out
    assert "its last line says why" in printed.err and "tried again by the same command" in printed.err


@pytest.mark.parametrize(("user", "as_root"), [(0, ["--allow-root"]), (1000, [])])
def test_lab_opens_the_first_lesson_and_hands_options_on(monkeypatch, user, as_root):
    called = []
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(cli, "become", lambda program, environment: called.append((program, environment)) or 0)
    for words, handed_on in (
        (["--port", "9999"], ["--port", "9999"]),
        (["--port=9999", "--no-browser"], ["--port=9999", "--no-browser"]),
        (["--no-browser", "-y", "--port", "9999"], ["--no-browser", "-y", "--port", "9999"]),
        (["--help-all"], ["--help-all"]),
        (["--", "--no-browser"], ["--no-browser"]),
    ):
        assert cli.main(["lab", *words]) == 0
        program, environment = called.pop()
        assert program[:3] == [sys.executable, "-m", "jupyterlab"] and program[3].endswith("00_start_here.ipynb")
        assert program[4:] == [*as_root, *handed_on]
        assert environment.items() >= {**os.environ, **lab.environment()}.items()


@pytest.mark.parametrize(
    "ending", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
)  # the last: a terminal that is closed
def test_what_ends_course_lab_ends_jupyterlab(tmp_path, ending):
    fake = "import os, sys, time; print(os.getpid(), os.getcwd(), *sys.argv[1:], flush=True); time.sleep(60)"
    (tmp_path / "jupyterlab.py").write_text(fake)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    command = [COURSE, "lab", "--port", "9999"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        number, folder, *words = process.stdout.readline().split()
        process.send_signal(ending)
        process.wait(30)
    assert (int(number), folder, words[-2:]) == (process.pid, str(settings.ROOT), ["--port", "9999"])
    with pytest.raises(ProcessLookupError):
        os.kill(int(number), 0)


def test_windows_waits_for_a_second_program(monkeypatch):
    called = []
    monkeypatch.setattr(cli, "os", SimpleNamespace(name="nt", chdir=called.append))
    monkeypatch.setattr(cli.subprocess, "call", lambda program, env: called.append((program, env)) or 3)
    assert cli.become(["python"], {"A": "1"}) == 3 and called == [settings.ROOT, (["python"], {"A": "1"})]


def test_progress_has_a_total_a_bar_and_a_line_for_each_lesson(capsys):
    events.note("0.1", "ok")
    assert cli.main(["progress"]) == 0
    total, bar, first, *others = capsys.readouterr().out.splitlines()
    assert re.match(r"The course: 1 of \d+ exercises solved, \d+ to do; about .+ left$", total)
    assert set(bar) <= set("█░") and first.startswith("00 ") and others[-1].startswith("10 ")


def test_progress_of_lessons_and_of_one_that_is_not_there(capsys):
    assert cli.main(["progress", "0", "06"]) == 0
    first, second = capsys.readouterr().out.split("\n\n")
    assert first.startswith("Lesson 00: 0 of 3") and second.startswith("Lesson 06: ") and "\n6.1 " in second
    assert cli.main(["progress", "42"]) == 1
    assert capsys.readouterr().err.startswith("course progress: no lesson '42'; there are 00, 01")


def test_progress_waits_for_no_slow_import_and_needs_no_new_terminal():
    slow = "{'torch', 'numpy', 'pandas', 'nbformat', 'IPython', 'matplotlib', 'ipywidgets', 'tqdm'}"
    code = f"import sys; from course_utils import cli; print(cli.main(['progress']), {slow} & set(sys.modules))"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert run.stdout.splitlines()[-1] == "0 set()" and run.stderr == "" and "?" in run.stdout


def test_speed_starts_the_timings(monkeypatch):
    from course_utils.benchmarks import speed

    called = []
    monkeypatch.setattr(speed, "main", lambda ship: called.append(ship) or 0)
    assert cli.main(["speed"]) == 0 and cli.main(["speed", "--ship"]) == 0
    assert called == [False, True]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("COURSE_LABELS", "abc", "COURSE_LABELS is 'abc': it takes a whole number, such as COURSE_LABELS=500."),
        ("COURSE_LABELS", "0", "COURSE_LABELS is 0: it takes a whole number that is at least 1."),
        ("COURSE_SEED", "1.5", "COURSE_SEED is '1.5': it takes a whole number"),
        ("COURSE_STEPS", "-3", "COURSE_STEPS is -3: it takes a whole number that is at least 1."),
        ("COURSE_MAX_STEPS", "many", "COURSE_MAX_STEPS is 'many'"),
        ("COURSE_DEVICE", "gpu", "COURSE_DEVICE is 'gpu': it takes cpu, cuda"),
        ("COURSE_NETWORK", "VGG", "COURSE_NETWORK is 'VGG': it takes SimpleCNN or ResNet."),
        ("COURSE_PROGRESS", "maybe", "COURSE_PROGRESS is 'maybe': it takes on or off."),
        ("OMP_NUM_THREADS", "two", "OMP_NUM_THREADS is 'two'"),
    ],
)
def test_a_setting_that_cannot_be_used_ends_in_one_line(name, value, words):
    """In a command, and at the end of what Python says where the package is imported."""
    environment = {**os.environ, name: value}
    for command in ("lab", "progress", "verify", "run") if name == "COURSE_LABELS" else ("progress",):
        line = subprocess.run([COURSE, command], env=environment, capture_output=True, text=True)
        assert line.returncode == 1 and line.stdout == "" and line.stderr.count("\n") == 1
        assert line.stderr.startswith(f"course {command}: {words}")
    code = [sys.executable, "-c", "import course_utils.results"]
    last = subprocess.run(code, env=environment, capture_output=True, text=True).stderr.splitlines()[-1]
    assert last.startswith(f"course_utils.settings.SettingError: {words}")


def test_a_device_that_is_not_here_is_named():
    code = [sys.executable, "-c", "import course_utils.device"]
    environment = {**os.environ, "COURSE_DEVICE": "cuda:93"}
    last = subprocess.run(code, env=environment, capture_output=True, text=True).stderr.splitlines()[-1]
    assert "COURSE_DEVICE is 'cuda:93', but torch cannot use it here" in last and last.endswith("try cpu.")


def test_in_a_notebook_a_setting_is_one_line_too():
    error = settings.SettingError("COURSE_SEED is 'x'")
    assert error._render_traceback_() == ["SettingError: COURSE_SEED is 'x'"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--labels", "0"], "--labels 0: neither 'all' nor a number from 1 to 3500, the training images of digits"),
        (["--labels", "99999"], "neither 'all' nor a number from 1 to 3500"),
        (["--steps", "-3"], "'-3' is no whole number that is at least 1"),
        (["--seeds", "1.5"], "'1.5' is no whole number"),
        (["--stepps", "3"], "--stepps is not understood: did you mean --steps?"),
        (["--ste", "3"], "--ste is not understood: did you mean --steps?"),
        (["--nonsense"], "--nonsense is not understood (course benchmark --help lists all)"),
        (["--steps"], "argument --steps: expected one argument"),
    ],
)
def test_a_bad_option_is_one_line(words, complaint, capsys):
    try:
        assert cli.main(["benchmark", "--datasets", "digits", *words]) == 1
    except SystemExit as stopped:
        assert stopped.code == 2
    error = capsys.readouterr().err
    assert error.startswith("course benchmark: ") and complaint in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("progess", "there is no command 'progess': did you mean progress?"),
        ("Lab", "there is no command 'Lab': did you mean lab?"),
        ("--nonsense", "there is no command '--nonsense' (course --help lists all)"),
    ],
)
def test_a_command_that_is_not_there_is_one_line(words, complaint, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main([words])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and error.startswith(f"course: {complaint}") and error.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_the_help_groups_the_commands_one_a_line(words, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as stopped:
        cli.main(words)
    printed = capsys.readouterr().out
    assert stopped.value.code == 0 and max(map(len, printed.splitlines())) <= 80
    students, authors = (part.split() for part in printed.partition("for students:")[2].split("for authors:"))
    assert {"lab", "progress"} <= set(students) and "build" not in students
    assert {one.run.__name__ for one in commands.COMMANDS} <= set(authors)


def test_a_students_copy_shows_what_is_for_students(capsys, monkeypatch):
    monkeypatch.setattr(cli, "FOR_AUTHORS", [])
    with pytest.raises(SystemExit):
        cli.main([])
    printed = capsys.readouterr().out
    assert "for students:" in printed and "for authors" not in printed and "build" not in printed
    with pytest.raises(SystemExit):
        cli.main(["build"])


def test_the_help_of_lab_says_where_options_go(capsys):
    with pytest.raises(SystemExit):
        cli.main(["lab", "--help"])
    assert "--port 8889" in (printed := capsys.readouterr().out) and "[options of JupyterLab]" in printed


def test_what_only_authors_use_is_named_where_it_is_not_installed():
    code = "import sys; sys.modules['jupytext'] = None; from course_utils import cli; sys.exit(cli.main(['build', '06', '--no-execute']))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1 and result.stderr.startswith(
        "course build: jupytext is not in a student's set-up; make test"
    )


def test_a_data_folder_without_data_is_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(settings, "DATA", str(tmp_path))
    assert cli.main(["run", "00"]) == 1
    assert capsys.readouterr().err.startswith("course run: the data folder (COURSE_DATA) is")


# From the lowest room to the highest; within `check`, and within `authoring`, too
ORDER = [
    "commands",
    "lab",
    "settings",
    "looks",
    "device",
    "datasets",
    "labels",
    "batches",
    "augment",
    "models",
    "training",
    "evaluation",
    "results",
    "plots",
    "playground",
    "widgets",
    "first_gain",
    "check.cards",
    "check.expect",
    "check.guard",
    "check.probe",
    "check.battery",
    "check.cases",
    "check.lesson",
    "check.events",
    "check.headings",
    "check.lending",
    "check.overview",
    "check.advice",
    "check.runner",
    "check.grading",
    "check.notebook",
    "check",
    "authoring.build",
    "authoring.recording",
    "benchmarks",
    "authoring",
    "benchmarks.speed",
    "authoring.grade",
    "authoring.commands",
    "cli",
]


def test_the_package_imports_downwards_only():
    """Nothing that lessons use imports what authors use, and each room imports only rooms below it; none reaches into the tests."""
    package = Path(cli.__file__).parent

    def room_of(module: str) -> str:
        parts = re.sub(r"(?<=check\.lesson)\d\d", "", module).split(".")
        rooms = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
        return next((name for name in rooms if name in ORDER), f"{module}, which has no place in ORDER")

    for file in sorted(package.rglob("*.py")):
        name = ".".join(file.relative_to(package).with_suffix("").parts).removesuffix(".__init__")
        if name in ("__init__", "colab") or "classroom_files" in name:
            continue
        own = room_of(name)
        for node in ast.walk(ast.parse(file.read_text())):
            modules = []
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("course_utils"):
                inside = (node.module or "").removeprefix("course_utils").removeprefix(".")
                modules = [inside] if inside and inside not in ("check", "authoring", "benchmarks") else []
                modules += [f"{inside}.{alias.name}".strip(".") for alias in node.names if not modules]
            elif isinstance(node, ast.Import | ast.ImportFrom):
                named = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
                assert not any(module.split(".")[0] in ("tests", "lessons", "answers") for module in named), name
            for module in modules:
                if (package / f"{module.replace('.', '/')}.py").is_file() or (
                    package / module.replace(".", "/")
                ).is_dir():
                    other = room_of(module)
                    floor = own.split(".")[0]
                    same = other == own or (floor == other.split(".")[0] and floor in ("authoring", "benchmarks"))
                    assert {own, other} <= {*ORDER}, f"{name} ({own}) imports {module} ({other})"
                    assert same or ORDER.index(other) < ORDER.index(own), f"{name} imports {module}"


def test_importing_the_package_warns_of_nothing():
    command = "import course_utils.plots, course_utils.check, course_utils.results; import albumentations"
    result = subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", command], capture_output=True, text=True)
    assert result.returncode == 0 and result.stderr == ""
