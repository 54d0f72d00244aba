"""The ways to start: each file is valid and names what exists, and one address of the repository stands everywhere."""

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import nbformat
import pytest
import yaml
from IPython.core.inputtransformer2 import TransformerManager
from lessons import SOURCES, notebook, tagged
from nbclient import NotebookClient
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from course_utils import NOTEBOOKS, ROOT, colab
from course_utils.authoring import build, readme, repository

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text()
MAKEFILE = "".join((ROOT / name).read_text() for name in ("Makefile", "course_utils/authoring/authors.mk"))
DEVCONTAINER = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
SETTINGS = json.loads((ROOT / ".vscode" / "settings.json").read_text())
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "workflows").glob("*.yml")}
INTERPRETER = ".venv/bin/python"
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))

each_lesson = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)


# --------------------------------------------------------------------------------------------------------- addresses

# Where owner and name of this repository stand in an address; papers' and tools' repositories are cited in other forms
OURS = re.compile(
    r"colab\.research\.google\.com/github/([\w.-]+/[\w.-]+)/blob"
    r"|mybinder\.org/v2/gh/([\w.-]+/[\w.-]+)/"
    r"|git clone (?:-\S+ (?:\d+ )?)*https://github\.com/([\w.-]+/[\w.-]+)"
    r"|github\.com/([\w.-]+/[\w.-]+)/actions"
    r"|repository-code: https://github\.com/([\w.-]+/[\w.-]+)"
    r"|\b(OWNER/[\w.-]+)"
)


def addresses(text: str) -> set[str]:
    return {next(filter(None, found)).removesuffix(".git") for found in OURS.findall(text)}


def tracked_texts() -> dict[str, str]:
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    kinds = (".md", ".ipynb", ".cff", ".toml", ".yml", ".json")
    return {name: (ROOT / name).read_text() for name in names if name.endswith(kinds)}


def test_each_address_is_the_one_in_pyproject():
    ours = repository().removeprefix("https://github.com/")
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", ours)
    found = {name: addresses(text) for name, text in tracked_texts().items()}
    assert {name: others for name, others in found.items() if others - {ours}} == {}
    with_address = {name for name, some in found.items() if some}
    assert {"CITATION.cff", *(f"notebooks/{source.stem}.ipynb" for source in SOURCES)} <= with_address
    assert ("README.md" in with_address) == readme.published()  # no link leads nowhere


def test_an_address_that_differs_is_seen():
    for line in (
        "https://colab.research.google.com/github/me/mine/blob/main/notebooks/00_start_here.ipynb",
        "https://mybinder.org/v2/gh/me/mine/main?urlpath=lab",
        "git clone --quiet --depth 1 https://github.com/me/mine /content/ssl-course",
        "https://github.com/me/mine/actions/workflows/test.yml",
        "repository-code: https://github.com/me/mine",
    ):
        assert addresses(line) == {"me/mine"}
    assert addresses("see https://github.com/others/paper and OWNER/left-over") == {"OWNER/left-over"}


def test_the_links_lead_to_what_is_there():
    made = readme.TEMPLATES.rglob("*")
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    for page in {*pages} - {*made}:
        for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_readmes_links_open_every_lesson_once_there_is_an_address(monkeypatch):
    monkeypatch.setattr(readme, "published", lambda: True)
    text = readme.made(readme.vocabulary())[readme.README]
    opened = re.findall(r"blob/main/(\S+?\.ipynb)", text) + re.findall(r"urlpath=lab/tree/(\S+?\.ipynb)", text)
    assert {f"notebooks/{source.stem}.ipynb" for source in SOURCES} == set(opened)


# ------------------------------------------------------------------------------------------------------------- Colab


@each_lesson
def test_the_first_code_cell_is_for_colab_and_the_others_are_the_lessons_own(source):
    student = nbformat.read(build.student_path(source), as_version=4)
    code = [cell for cell in student.cells if cell.cell_type == "code"]
    assert build.tags(code[0]).count("colab") == 1 and code[0].metadata["jupyter"]["source_hidden"]
    assert len(code[0].source.splitlines()) <= 8 and "setup" in build.tags(code[1])
    others = [cell.id for cell in student.cells if cell is not code[0]]
    assert others == [cell.id for cell in notebook(source).cells]


class Shell:
    """What a cell's `!` reaches instead of the system; keeps the commands."""

    def __init__(self):
        self.commands = []

    def system(self, command: str) -> None:
        self.commands.append(command)


def run_colab_cell() -> Shell:
    shell = Shell()
    (cell,) = tagged(SOURCES[0], "colab", student=True)
    exec(TransformerManager().transform_cell(cell.source), {"get_ipython": lambda: shell})
    return shell


@pytest.fixture
def pip(monkeypatch):
    """Records pip's calls and what the constraints said, in place of running it; `returncode` decides how it ends."""
    calls = SimpleNamespace(commands=[], constraints="", returncode=0)

    def run(command, **_):
        calls.commands.append(command)
        calls.constraints = Path(command[command.index("--constraint") + 1]).read_text()
        return SimpleNamespace(returncode=calls.returncode, stderr="no route to host")

    monkeypatch.setattr(colab.subprocess, "run", run)
    return calls


@pytest.fixture
def on_colab(monkeypatch):
    """Colab as far as the cell looks: its module is loaded, and two packages of the course are not installed."""
    there = {name: version for name, version in colab.installed().items() if name not in ("medmnist", "albumentations")}
    monkeypatch.setattr(colab, "installed", lambda: there | {"pandas": "1.0"})
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    monkeypatch.setattr(sys, "path", [*sys.path])


def test_outside_of_colab_the_cell_does_nothing(pip):
    path, modules = [*sys.path], set(sys.modules)
    assert run_colab_cell().commands == [] == pip.commands
    assert sys.path == path and set(sys.modules) == modules


def test_on_colab_the_cell_fetches_the_course_and_installs_what_is_missing(pip, on_colab):
    (fetch,) = run_colab_cell().commands
    assert re.fullmatch(rf"test -d (\S+) \|\| git clone --quiet --depth 1 {re.escape(repository())} \1", fetch)
    assert sys.path[0] == fetch.split()[-1]
    (command,) = pip.commands
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert [Requirement(line).name for line in command[command.index("--constraint") + 2 :]] == [
        "albumentations",
        "medmnist",
    ]


def test_nothing_that_colab_has_is_changed(pip, on_colab):
    colab.install_missing()
    kept = dict(line.split("==") for line in pip.constraints.splitlines())
    assert kept == colab.installed() and {"torch", "numpy"} <= kept.keys()
    assert kept["pandas"] == "1.0"  # older than the course asks for, and all the same not touched


def test_where_nothing_is_missing_pip_is_not_called(pip):
    colab.install_missing()
    assert pip.commands == []


def test_a_failed_install_says_what_to_do(pip, on_colab):
    pip.returncode = 1
    with pytest.raises(RuntimeError, match=r"could not install albumentations.*Cure: .*\n?.*no route to host"):
        colab.install_missing()


def test_what_the_lessons_import_is_what_colab_gets():
    lesson_side = [
        path for path in (ROOT / "course_utils").rglob("*.py") if not {"authoring", "benchmarks"} & set(path.parts)
    ]
    names = set()
    for path in [*SOURCES, *(path for path in lesson_side if path.name != "cli.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module.split(".")[0])
    owners = importlib.metadata.packages_distributions()
    others = names - set(sys.stdlib_module_names) - {"course_utils", "IPython"}  # IPython runs the cells
    needed = {canonicalize_name(owners[name][0]) for name in others}
    assert {"torch", "scikit-learn", "ipywidgets"} <= needed
    dependencies = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert dependencies >= colab.NOT_FOR_COLAB
    assert needed <= with_their_own(dependencies - colab.NOT_FOR_COLAB) | {"ipywidgets"}  # which Colab has


def with_their_own(names: set[str]) -> set[str]:
    """The packages, and those that they ask for in turn."""
    found, todo = set(), [*names]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            asked = [Requirement(line) for line in importlib.metadata.requires(name) or []]
            todo += [
                canonicalize_name(other.name)
                for other in asked
                if other.marker is None or other.marker.evaluate({"extra": ""})
            ]
    return found


# ------------------------------------------------------------------------------------- Binder, dev container, VS Code


def test_binder_takes_the_pins_and_the_cpu_build_of_torch(tmp_path):
    binder = ROOT / ".binder"
    assert (binder / "requirements.txt").read_text() == "uv\n"
    python = (binder / "runtime.txt").read_text().strip().removeprefix("python-")
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(f"{python}.0")
    (tmp_path / "uv").write_text('#!/bin/sh\necho "$@" >> "$CALLS"\n')
    (tmp_path / "uv").chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "CALLS": str(tmp_path / "calls"),
    }
    subprocess.run([binder / "postBuild"], cwd=ROOT, env=environment, check=True)
    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert "--torch-backend cpu" in call and call.endswith("-c requirements.txt -e .")


def test_the_dev_container_uses_the_makefile_and_its_environment():
    known = {"name", "image", "containerEnv", "postCreateCommand", "forwardPorts", "portsAttributes", "customizations"}
    assert DEVCONTAINER.keys() == known
    python = DEVCONTAINER["image"].partition("devcontainers/python:")[2]
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(f"{python}.0")
    assert re.findall(r"make (\w+)", DEVCONTAINER["postCreateCommand"]) == ["setup"] and "setup" in TARGETS
    assert DEVCONTAINER["portsAttributes"].keys() == {str(port) for port in DEVCONTAINER["forwardPorts"]}
    code = DEVCONTAINER["customizations"]["vscode"]
    assert code["settings"]["python.defaultInterpreterPath"] == f"${{containerWorkspaceFolder}}/{INTERPRETER}"
    recommended = json.loads((ROOT / ".vscode" / "extensions.json").read_text())["recommendations"]
    assert code["extensions"] == recommended == ["ms-python.python", "ms-toolsai.jupyter"]


def test_vs_code_finds_the_environment_that_make_sets_up():
    assert SETTINGS["python.defaultInterpreterPath"] == f"${{workspaceFolder}}/{INTERPRETER}"
    assert f"BIN := {Path(INTERPRETER).parent}\n" in MAKEFILE
    assert SETTINGS["jupyter.notebookFileRoot"] == "${fileDirname}"


@pytest.mark.slow
def test_a_lesson_works_from_any_folder(tmp_path, monkeypatch):
    """Editors start kernels in the notebook's folder, in the folder that is open, or wherever they like."""
    monkeypatch.setenv("COURSE_DATA", "embedded")
    source = SOURCES[0]
    cells = [tagged(source, tag, student=tag == "colab")[0].source for tag in ("colab", "setup", "exercise", "check")]
    for number, folder in enumerate((ROOT, NOTEBOOKS, tmp_path)):
        monkeypatch.setenv("COURSE_RUNS", str(tmp_path / f"runs{number}"))
        sources = [*cells, 'borrow("0.2")', 'progress("00")']
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in sources])
        NotebookClient(book, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
        said = ["".join(output.get("text", "") for output in cell.outputs) for cell in book.cells]
        assert said[3].startswith("[ok]") and said[5].startswith("Lesson 00: 1 of 3 exercises solved, 1 borrowed")


# --------------------------------------------------------------------------------------------------------- workflows


def steps(name: str) -> list[dict]:
    (job,) = WORKFLOWS[name]["jobs"].values()
    return job["steps"]


@pytest.mark.parametrize("name", ["test", "newest"])
def test_a_workflow_runs_what_exists(name):
    commands = [line.strip() for step in steps(name) for line in step.get("run", "").splitlines()]
    for line in commands:
        assert not (target := re.match(r"make (\w+)", line)) or target[1] in TARGETS, line
        assert not line.startswith(".ci/") or os.access(ROOT / line, os.X_OK), line
    for file in re.findall(r"\.venv-newest/\S+(?=;)|docs/\S+\.md", "\n".join(commands)):
        name_in_makefile = file.replace(".venv-newest", "$(NEWEST)")
        assert (ROOT / file).is_file() or name_in_makefile in MAKEFILE, file
    assert {"test": ".ci/run", "newest": "make newest"}[name] in commands


def test_every_push_is_tested_on_pythons_that_the_course_takes():
    assert True in WORKFLOWS["test"] and "push" in WORKFLOWS["test"][True]  # YAML 1.1 reads `on` as true
    (job,) = WORKFLOWS["test"]["jobs"].values()
    for python in job["strategy"]["matrix"]["python"]:
        assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(f"{python}.0")


def test_the_newest_versions_are_tried_once_a_month_and_a_failure_is_seen():
    when = WORKFLOWS["newest"][True]
    minute, hour, day, month, weekday = when["schedule"][0]["cron"].split()
    assert minute.isdigit() and hour.isdigit() and day.isdigit() and (month, weekday) == ("*", "*")
    assert "workflow_dispatch" in when and WORKFLOWS["newest"]["permissions"]["issues"] == "write"
    trial, report = steps("newest")[-2:]
    assert trial == {"run": "make newest"}  # no continue-on-error: the run is red
    assert report["if"] == "failure()" and "gh issue create" in report["run"]


# ------------------------------------------------------------------------------------------------- papers and words


def test_the_citation_agrees_with_the_project():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == PROJECT["license"] and citation["repository-code"] == repository()
    for reference in citation["references"]:
        assert f"https://doi.org/{reference['doi']}" in README and "CC BY-NC 4.0" in reference["notes"]


def test_the_readme_states_the_licences():
    part = README.partition("## Licences and citing")[2]
    for words in ("[MIT](LICENSE)", "CC BY 4.0", "CC BY-NC 4.0", "CITATION.cff", "DermaMNIST", "HAM10000", "MNIST"):
        assert words in part
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
