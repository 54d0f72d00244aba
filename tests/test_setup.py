"""One list of versions for pip, uv and conda; and a set-up that runs once and says what to do when it fails."""

import importlib.metadata
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Chosen by torch's own wheel, which pins them; pip and the course itself are not requirements of the course.
NOT_PINNED = re.compile(r"nvidia-|cuda-|triton$|pip$|ssl-course$|uv$")


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
    extras = [line for extra in PROJECT["optional-dependencies"].values() for line in extra]
    for line in [*PROJECT["dependencies"], *extras]:
        direct = Requirement(line)
        (version,) = [specifier.version for specifier in pinned[canonicalize_name(direct.name)].specifier]
        assert direct.specifier.contains(version), f"{line} is pinned to {version}"


def test_conda_users_get_the_same_versions():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, packages = environment["dependencies"]
    assert pip == "pip" and packages == {"pip": ["-r requirements.txt", "-e ."]}
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python.removeprefix("python=") + ".0")


def test_what_is_installed_is_what_is_pinned():
    pinned = pins()
    for distribution in importlib.metadata.distributions():
        name = canonicalize_name(distribution.metadata["Name"])
        if not NOT_PINNED.match(name):
            assert name in pinned, f"{name} is installed but not in requirements.txt"
            assert pinned[name].specifier.contains(distribution.version), f"{name} {distribution.version}"


def test_no_lock_file_with_download_addresses():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    assert not [name for name in tracked if name.endswith(".lock") or name == "poetry.lock"]


def test_the_readme_names_the_commands_that_exist():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    for target in ("lab", "test", "run"):
        assert f"make {target}" in readme and re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert "conda env create -f environment.yml" in readme
    assert (ROOT / ".ci/run").read_text().rstrip().endswith("make test") and os.access(ROOT / ".ci/run", os.X_OK)


# ------------------------------------------------------------------------------------------------------------ make


@pytest.fixture
def elsewhere(tmp_path):
    """A copy of what `make` needs, and a PATH on which nothing but the system's tools is found."""
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("make", "sh", "bash", "touch", "rm", "env", "mkdir"):
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
    assert "-m venv .venv" in first and "-r requirements.txt" in first and tests in first
    assert make(elsewhere, "test").returncode == 0
    again = (elsewhere / "calls").read_text().removeprefix(first)
    assert again.strip() == tests


def test_changed_requirements_are_installed(elsewhere):
    fake_python(elsewhere)
    make(elsewhere, "test")
    os.utime(elsewhere / "requirements.txt", (2**31 - 10, 2**31 - 10))
    before = (elsewhere / "calls").read_text()
    make(elsewhere, "test")
    assert "-r requirements.txt" in (elsewhere / "calls").read_text().removeprefix(before)


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
    assert "uv pip install --quiet --compile-bytecode" in calls and "-m pip" not in calls and "-m venv" not in calls


def test_the_command_is_installed():
    result = subprocess.run([Path(sys.executable).parent / "course", "--help"], capture_output=True, text=True)
    for command in ("lab", "build", "verify", "run", "progress", "benchmark", "speed", "release"):
        assert command in result.stdout
