"""The `course` command: what students use, and, where the authors' rooms are there, what authors use."""

import argparse
import io
import os
import subprocess
import sys

from course_utils import NOTEBOOKS, ROOT
from course_utils.commands import command, option, parse
from course_utils.lab import environment

try:
    from course_utils.authoring.commands import COMMANDS as FOR_AUTHORS
except ModuleNotFoundError as missing:  # a student's copy, made by `course release`
    if missing.name != "course_utils.authoring":
        raise
    FOR_AUTHORS = []


@command(passes_on="JupyterLab")
def lab(arguments: argparse.Namespace) -> int:
    """Open JupyterLab on the first lesson.

    Options go on to JupyterLab: --port 8889 where another one has the port 8888, --no-browser where there is none.
    jupyter lab --help lists all. Ctrl+C, or closing the terminal, ends JupyterLab.
    """
    # In a container one is often root, and JupyterLab then wants to be told that this is meant
    as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    first = str(NOTEBOOKS / "00_start_here.ipynb")
    program = [sys.executable, "-m", "jupyterlab", first, *as_root, *arguments.rest]
    return become(program, os.environ | environment())


def become(program: list[str], environment: dict[str, str]) -> int:
    """Run a program in the course's folder in place of this process, so that whatever ends this ends the program."""
    os.chdir(ROOT)
    if os.name == "nt":  # Windows puts no program in another one's place: it starts a second one
        return subprocess.call(program, env=environment)
    os.execve(program[0], program, environment)


@command(option("lessons", nargs="*", help="lesson numbers, such as 06 (default: one line for each lesson)"))
def progress(arguments: argparse.Namespace) -> int:
    """Show how far you are, in the course or in the lessons you name."""
    from course_utils.check import overview

    print("\n\n".join(overview.text(lesson and lesson.zfill(2)) for lesson in arguments.lessons or [None]))
    return 0


def main(words: list[str] | None = None) -> int:
    """Run a command; what is wrong ends in one line on stderr and 1 (2 for a call that is not understood)."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that has no sign for a bar shows a question mark
    groups = {"for students": [lab, progress]} | ({"for authors": FOR_AUTHORS} if FOR_AUTHORS else {})
    chosen, arguments = parse(
        groups, sys.argv[1:] if words is None else words, "Learn semi-supervised learning step by step."
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
