"""The gate: lint, format and types, as pre-commit runs them."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from course_utils import ROOT

CONFIGURED = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
GATE = {
    "ruff check": ["check", "."],
    "ruff format": ["format", "--check", "."],
    "mypy": [],
}


@pytest.mark.parametrize("name", GATE)
def test_the_gate_is_passed(name):
    tool = Path(sys.executable).parent / name.split()[0]
    result = subprocess.run([tool, *GATE[name]], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_pre_commit_has_the_same_gate():
    assert [hook["name"] for hook in CONFIGURED] == list(GATE)
    for hook in CONFIGURED:
        assert hook["entry"].startswith(f".venv/bin/{hook['name'].split()[0]}") and hook["language"] == "system"
