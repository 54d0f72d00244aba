"""Google Colab: install what the lessons need and Colab lacks, and leave Colab's own packages as they are."""

import importlib
import importlib.metadata
import subprocess
import sys
import tempfile
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from course_utils import ROOT

# Colab has a Jupyter of its own.
NOT_FOR_COLAB = {"ipywidgets", "jupyterlab"}


def installed() -> dict[str, str]:
    """Name and version of each package that is installed."""
    return {canonicalize_name(found.metadata["Name"]): found.version for found in importlib.metadata.distributions()}


def missing() -> list[str]:
    """What pyproject.toml asks for and is not there, as pip wants it named; a version that is there already is taken."""
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    there = installed().keys() | NOT_FOR_COLAB
    return [line for line in dependencies if canonicalize_name(Requirement(line).name) not in there]


def install_missing() -> None:
    """Install what is missing in the versions that go with what is there; RuntimeError if pip cannot.

    The versions that are there are pip's constraints: another torch or numpy would break what Colab is made of.
    """
    lacking = missing()
    if not lacking:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("".join(f"{name}=={version}\n" for name, version in installed().items()))
        constraints.flush()
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", constraints.name, *lacking]
        result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(
            f"pip could not install {', '.join(lacking)}. Cure: check that this Colab has internet access, choose "
            f"'Disconnect and delete runtime' in the Runtime menu and run this cell again. What pip said:\n{result.stderr}"
        )
    importlib.invalidate_caches()
