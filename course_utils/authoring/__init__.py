"""For authors: from one source per lesson to the student's and the solution notebook, and the proof that they agree."""

import tomllib
from pathlib import Path

from course_utils import ROOT, SOLUTIONS

FOR_AUTHORS = ("authoring", "benchmarks")  # the rooms of the package that no student's copy has


def repository() -> str:
    """The address of the course's repository, from the one place where it stands: pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]


def lessons(only: list[str] | None = None) -> list[Path]:
    """The lesson sources, in order; `only` names some by number. ValueError for a number that no lesson has."""
    sources = sorted(SOLUTIONS.glob("[0-9][0-9]_*.py"))
    if not only:
        return sources
    unknown = [number for number in only if not any(path.name.startswith(f"{number}_") for path in sources)]
    if unknown:
        have = ", ".join(path.name[:2] for path in sources)
        raise ValueError(f"no lesson {', '.join(unknown)}; there are {have}")
    return [path for path in sources if path.name[:2] in only]
