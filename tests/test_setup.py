"""One list of versions for pip, uv and conda; and a set-up that runs once and says what to do when it fails."""

import importlib.metadata
import itertools
import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
AUTHORS = ROOT / "course_utils" / "authoring" / "authors.mk"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Chosen by torch's own wheel, which pins them; pip and the course itself are not requirements of the course.
NOT_PINNED = re.compile(r"nvidia-|cuda-|triton$|pip$|ssl-course$|uv$")


INSTALLED = {canonicalize_name(found.metadata["Name"]) for found in importlib.metadata.distributions()}


def pins() -> dict[str, Requirement]:
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def test_every_requirement_is_one_exact_version_and_names_no_host():
    for requirement in pins().values():
        assert [specifier.operator for specifier in requirement.specifier] == ["=="], requirement
    text = (ROOT / "requirements.txt").read_text()
    assert "://" not in text and "--" not in text


def test_pyproject_and_requirements_agree():
    pinned = pins()
    for line in itertools.chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()):
        direct = Requirement(line)
        if direct.name == PROJECT["name"]:  # an extra that takes in another
            continue
        (version,) = [specifier.version for specifier in pinned[canonicalize_name(direct.name)].specifier]
        assert direct.specifier.contains(version), f"{line} is pinned to {version}"


def test_conda_users_get_the_same_versions():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, packages = environment["dependencies"]
    assert pip == "pip" and packages == {"pip": ["-c requirements.txt", "-e ."]}
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python.removeprefix("python=") + ".0")


def test_what_is_installed_is_what_is_pinned():
    pinned = pins()
    # Those of this environment: setuptools puts its own copies of some packages on the path once it is imported
    for distribution in importlib.metadata.distributions(path=[sysconfig.get_path("purelib")]):
        name = canonicalize_name(distribution.metadata["Name"])
        if not NOT_PINNED.match(name):
            assert name in pinned, f"{name} is installed but not in requirements.txt"
            assert pinned[name].specifier.contains(distribution.version), f"{name} {distribution.version}"


def needed(extras: set[str]) -> set[str]:
    """All packages that come with the course and these extras, as the installed packages say."""
    found, queue = set(), [(canonicalize_name(PROJECT["name"]), frozenset(extras))]
    while queue:
        name, wanted = queue.pop()
        for line in importlib.metadata.requires(name) or []:
            other = Requirement(line)
            environments = [{"extra": extra} for extra in wanted or {""}]
            if other.marker is not None and not any(other.marker.evaluate(one) for one in environments):
                continue
            key = canonicalize_name(other.name), frozenset(other.extras)
            if key[0] not in found and key[0] in INSTALLED:
                found.add(key[0])
                queue.append(key)
    return found


def test_a_students_environment_has_what_a_student_uses():
    """No teacher's menus in JupyterLab, no hub, no builder of sites, no test tools: these come with the extras."""
    student = needed(set())
    assert {"torch", "torchvision", "medmnist", "albumentations", "jupyterlab", "ipywidgets", "matplotlib"} <= student
    for package in (
        "nbgrader",
        "jupyterhub",
        "dask",
        "distributed",
        "playwright",
        "sphinx",
        "pytest",
        "nbval",
        "jupytext",
        "mypy",
    ):
        assert package not in student and package in needed({"test"}), package
    assert "nbgrader" in needed({"classroom"}) and "sphinx" in needed({"site"}) and "jupytext" in needed({"authors"})


def test_there_is_one_version_number():
    import course_utils

    (newest,) = re.findall(
        r"\A# Changes\n.*?\n## (\S+) \(\d{4}-\d\d-\d\d\)", (ROOT / "CHANGELOG.md").read_text(), re.DOTALL
    )
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"]
    assert newest == cited == course_utils.__version__ == importlib.metadata.version(PROJECT["name"])
    assert "version" in PROJECT["dynamic"]


def test_no_lock_file_with_download_addresses():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    assert not [name for name in tracked if name.endswith(".lock") or name == "poetry.lock"]


def test_the_readme_names_the_commands_that_exist():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text() + AUTHORS.read_text()
    for target in ("lab", "test", "run", "site"):
        assert f"make {target}" in readme and re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert "conda env create -f environment.yml" in readme
    assert (ROOT / ".ci/run").read_text().rstrip().endswith("make test") and os.access(ROOT / ".ci/run", os.X_OK)


# ------------------------------------------------------------------------------------------------------------ make


@pytest.fixture
def elsewhere(tmp_path):
    """A copy of what `make` needs, and a PATH on which nothing but the system's tools is found."""
    for name in ("Makefile", "requirements.txt", "pyproject.toml", AUTHORS.relative_to(ROOT)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("make", "sh", "bash", "touch", "rm", "env", "mkdir", "grep"):
        (tools / tool).symlink_to(shutil.which(tool))
    return tmp_path


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {"PATH": str(folder / "tools"), "HOME": str(folder)}
    return subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def fake_python(
    folder: Path, venv: str = "mkdir -p .venv/bin; cp tools/pip-python .venv/bin/python", pip: str = "exit 0"
) -> Path:
    """A python that passes the version check, makes an environment by `venv` and runs `pip` in it; it logs its calls."""
    (folder / "tools" / "cp").unlink(missing_ok=True)
    (folder / "tools" / "cp").symlink_to(shutil.which("cp"))
    script(folder / "tools" / "pip-python", f'echo "$@" >> calls; case "$*" in *"pip install"*) {pip};; esac')
    return script(
        folder / "tools" / "python3", f'echo "$@" >> calls; case "$1" in -c) echo python3;; -m) {venv};; esac'
    )


def test_no_python(elsewhere):
    result = make(elsewhere, "test")
    assert result.returncode and "there is no 'python3'. Install Python 3.11 or newer" in result.stdout


def test_an_old_python(elsewhere):
    script(elsewhere / "tools" / "python3", 'case "$1" in -c) exit 1;; --version) echo Python 3.8.1;; esac')
    result = make(elsewhere, "lab")
    assert result.returncode and "Python 3.8.1 is too old" in result.stdout


def test_the_set_up_runs_once(elsewhere):
    fake_python(elsewhere)
    tests = "-m pytest -n auto --maxprocesses 4 --dist loadfile tests solutions"
    assert make(elsewhere, "test").returncode == 0
    first = (elsewhere / "calls").read_text()
    assert "-m venv .venv" in first and "-c requirements.txt" in first and tests in first
    assert make(elsewhere, "test").returncode == 0
    again = (elsewhere / "calls").read_text().removeprefix(first)
    assert again.strip() == tests


def test_changed_requirements_are_installed(elsewhere):
    fake_python(elsewhere)
    make(elsewhere, "test")
    os.utime(elsewhere / "requirements.txt", (2**31 - 10, 2**31 - 10))
    before = (elsewhere / "calls").read_text()
    make(elsewhere, "test")
    assert "-c requirements.txt" in (elsewhere / "calls").read_text().removeprefix(before)


@pytest.mark.parametrize("failing", [{"venv": "echo No module named venv; exit 1"}, {"pip": "echo no network; exit 1"}])
def test_a_failed_set_up_says_what_to_do_and_is_tried_again(elsewhere, failing):
    fake_python(elsewhere, **failing)
    result = make(elsewhere, "test")
    assert result.returncode and "Set-up failed; the reason stands above. What helps:" in result.stdout
    assert not (elsewhere / ".venv" / "ready").exists() and "pytest" not in (elsewhere / "calls").read_text()
    fake_python(elsewhere)
    assert make(elsewhere, "test").returncode == 0


def test_uv_is_used_where_it_is_found(elsewhere):
    fake_python(elsewhere)
    script(
        elsewhere / "tools" / "uv",
        'echo "uv $@" >> calls; case "$1" in venv) mkdir -p .venv/bin; cp tools/pip-python .venv/bin/python;; esac',
    )
    assert make(elsewhere, "test").returncode == 0
    calls = (elsewhere / "calls").read_text()
    assert "uv pip install --compile-bytecode" in calls and "-m pip" not in calls and "-m venv" not in calls
    assert "-e .\n" in calls and "-e .[test]\n" in calls and "-r requirements.txt" not in calls


PIP = """echo 'Collecting torch==2.14.1'
echo '  Downloading torch-2.14.1-cp311.whl.metadata (29 kB)'
echo '  Downloading torch-2.14.1-cp311.whl (898.1 MB)'
echo '     ---- 898.1/898.1 MB 40.2 MB/s eta 0:00:00'
echo '  Using cached scipy-1.17.1.whl (35.3 MB)'
echo '  Downloading tqdm-4.67.whl (78.5 kB)'
echo 'Installing collected packages: torch, scipy, tqdm'"""
UV = """case "$1" in
    venv) mkdir -p .venv/bin; cp tools/pip-python .venv/bin/python;;
    *) printf 'Using Python 3.11\nResolved 130 packages in 1s\nDownloading torch (856.5MiB)\nInstalled 130 packages in 2s\n + torch==2.14.1\n' >&2;;
esac"""


@pytest.mark.parametrize(
    ("uv", "shown"),
    [
        (
            None,
            [
                "Downloading torch-2.14.1-cp311.whl (898.1 MB)",
                "Using cached scipy-1.17.1.whl (35.3 MB)",
                "Installing collected packages",
                "Compiling them for quick starts",
            ],
        ),
        (UV, ["Resolved 130 packages in 1s", "Downloading torch (856.5MiB)", "Installed 130 packages in 2s"]),
    ],
)
def test_the_set_up_says_what_it_does_in_a_few_lines(elsewhere, uv, shown):
    fake_python(elsewhere, pip=f'case "$*" in *--quiet*) ;; *) {PIP};; esac')
    if uv:
        script(elsewhere / "tools" / "uv", f'case "$*" in *--quiet*setuptools) exit 0;; esac; {uv}')
    printed = make(elsewhere, "setup").stdout.replace("python3\n", "")  # that is the fake python, asked for its version
    first, second, *middle, last = printed.splitlines()
    assert first.startswith("[1/3] ") and second.startswith("[2/3] ") and middle == shown
    assert re.fullmatch(r"\[3/3\] Ready after \d+ s\.", last)
    assert "[1/3]" not in make(elsewhere, "setup").stdout
    first, *middle, last = make(elsewhere, "test").stdout.splitlines()
    assert "'test'" in first and middle == shown and last.startswith("Ready after ")


@pytest.mark.parametrize(
    ("target", "extra"), [("test", "test"), ("run", "authors"), ("site", "site"), ("classroom", "classroom")]
)
def test_each_command_brings_what_it_needs_once(elsewhere, target, extra):
    fake_python(elsewhere)
    script(elsewhere / "tools" / "course", "exit 0")
    (elsewhere / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(elsewhere / "tools" / "course", elsewhere / ".venv" / "bin" / "course")
    for times in (1, 2):
        assert make(elsewhere, target).returncode == 0
        assert (elsewhere / "calls").read_text().count(f"-e .[{extra}]") == 1, times
    assert make(elsewhere, "setup").returncode == 0  # nothing more for a student
    assert (elsewhere / "calls").read_text().count("-e .\n") == 1


def test_the_command_is_installed():
    result = subprocess.run([Path(sys.executable).parent / "course", "--help"], capture_output=True, text=True)
    for command in ("lab", "build", "verify", "run", "progress", "benchmark", "site", "speed", "release"):
        assert command in result.stdout


# ------------------------------------------------------------------------------------------------ pins and newest


@pytest.fixture
def with_uv(elsewhere):
    """The same with a uv that logs its calls, compiles to three lines, and lists two versions as installed."""
    for tool in ("cp", "mv", "sed", "tee", "cat"):
        (elsewhere / "tools" / tool).symlink_to(shutil.which(tool))
    script(elsewhere / "tools" / "pip-python", 'echo "$@" >> calls')
    script(elsewhere / "tools" / "python3", "echo python3")
    script(
        elsewhere / "tools" / "uv",
        """echo "uv $@" >> calls
case "$1 $2" in
    "pip compile") cat > stdin; printf 'numpy==9.9\\nnvidia-cublas==1.0\\ntriton==1.0\\n' > requirements.txt.new; exit $FAILS;;
    "pip freeze") printf -- '-e file:///course\\nnumpy==9.9\\nsix==1.17.0\\nnvidia-cublas==1.0\\n';;
    venv*) mkdir -p .venv-newest/bin; cp tools/pip-python .venv-newest/bin/python;;
esac""",
    )
    return elsewhere


def test_make_pins_keeps_the_comment_and_leaves_the_cuda_libraries_out(with_uv):
    comment = [line for line in (with_uv / "requirements.txt").read_text().splitlines() if line.startswith("#")]
    assert make(with_uv, "pins", "UPGRADE=--upgrade-package numpy").returncode == 0
    assert (with_uv / "requirements.txt").read_text().splitlines() == [*comment, "numpy==9.9"]
    call = (with_uv / "calls").read_text()
    assert "--universal" in call and "--all-extras" in call and "--upgrade-package numpy" in call
    assert (with_uv / "stdin").read_text() == "setuptools\n"
    assert not [*with_uv.glob("requirements.txt.*")]


def test_pins_that_cannot_be_made_leave_the_old_ones(with_uv):
    before = (with_uv / "requirements.txt").read_text()
    assert make(with_uv, "pins", "FAILS=1").returncode != 0
    assert (with_uv / "requirements.txt").read_text() == before and not [*with_uv.glob("requirements.txt.*")]


def test_make_newest_lists_what_is_newer_and_runs_all_tests_but_one(with_uv):
    result = make(with_uv, "newest")
    assert result.returncode == 0 and (with_uv / ".venv-newest" / "newer.txt").read_text() == "numpy==9.9\n"
    calls = (with_uv / "calls").read_text()
    assert "--all-extras" in calls and "requirements.txt" not in calls
    left_out = "test_what_is_installed_is_what_is_pinned"
    assert calls.rstrip().endswith(f"tests solutions --deselect tests/test_setup.py::{left_out}")
    assert left_out in globals()
    script(with_uv / "tools" / "pip-python", "exit 1")  # a test fails
    assert make(with_uv, "newest").returncode != 0


@pytest.mark.parametrize("target", ["pins", "newest"])
def test_without_uv_these_two_say_so(elsewhere, target):
    result = make(elsewhere, target)
    assert result.returncode and f"make {target} needs uv" in result.stdout


def test_a_lesson_imports_nothing_slow_that_it_does_not_use():
    rooms = "augment, batches, datasets, evaluation, labels, models, plots, results, training, check"
    program = (
        f"import sys; from course_utils import {rooms}; print(*{{'nbformat', 'albumentations'}} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
