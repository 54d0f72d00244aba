"""The `course` command: what students use, and, where the authors' rooms are there, what authors use."""

import argparse
import os
import subprocess
import sys

from course_utils import NOTEBOOKS, ROOT
from course_utils.commands import command, option, parse

try:
    from course_utils.authoring.commands import COMMANDS as FOR_AUTHORS
except ModuleNotFoundError as missing:  # a student's copy, made by `course release`
    if missing.name != "course_utils.authoring":
        raise
    FOR_AUTHORS = []


@command(passes_on=True)
def lab(arguments: argparse.Namespace) -> int:
    """Open JupyterLab on the first lesson; options such as --port 8889 go on to JupyterLab."""
    # In a container one is often root, and JupyterLab then wants to be told that this is meant
    as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    first = str(NOTEBOOKS / "00_start_here.ipynb")
    return subprocess.call([sys.executable, "-m", "jupyter", "lab", first, *as_root, *arguments.rest], cwd=ROOT)


@command(option("lessons", nargs="*", help="lesson numbers, such as 06 (default: one line for each lesson)"))
def progress(arguments: argparse.Namespace) -> int:
    """Show how far you are: one line for each lesson, or for each exercise of the lessons that are named."""
    from course_utils.check import overview

    for lesson in arguments.lessons or [None]:
        print(overview.progress(lesson).to_string())
    return 0


def main(words: list[str] | None = None) -> int:
    """Run a command; what is wrong ends in one line on stderr and 1 (2 for a call that is not understood)."""
    chosen, arguments = parse(
        [lab, progress, *FOR_AUTHORS],
        sys.argv[1:] if words is None else words,
        "The semi-supervised learning course.",
    )
    try:
        import course_utils.settings  # noqa: F401  a setting that cannot be used ends every command

        return chosen.run(arguments)
    except ModuleNotFoundError as error:
        how = "make test, once, or pip install -c requirements.txt -e '.[test]'"
        print(f"course {arguments.command}: {error.name} is not in a student's set-up; {how}", file=sys.stderr)
        return 1
    except (ValueError, RuntimeError) as error:
        print(f"course {arguments.command}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
