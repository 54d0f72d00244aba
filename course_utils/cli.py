"""The `course` command."""

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from course_utils import NOTEBOOKS, ROOT, SOLUTIONS

try:
    from course_utils.authoring import lessons
except ModuleNotFoundError:  # a student's copy, made by `course release`
    lessons = None

MOST_AT_A_TIME = 4  # lessons; each takes about a gigabyte of memory
MEASURED = ["01", "02", "03", "04", "05", "06", "07", "08"]  # the lessons that record runs of their own


def lab(arguments: argparse.Namespace) -> int:
    """Open JupyterLab on the first lesson."""
    # In a container one is often root, and JupyterLab then wants to be told that this is meant
    as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    first = str(NOTEBOOKS / "00_start_here.ipynb")
    return subprocess.call([sys.executable, "-m", "jupyter", "lab", first, *as_root, *arguments.options], cwd=ROOT)


def build(arguments: argparse.Namespace) -> int:
    """Build the student notebooks, and execute the solution notebooks (on DermaMNIST, and only where code has changed)."""
    import nbformat
    from tqdm import tqdm

    from course_utils.authoring import build as builder
    from course_utils.datasets import load_dataset

    sources = lessons(arguments.lessons)
    if not arguments.no_execute and load_dataset().name != "dermamnist":
        sys.exit(
            "The outputs of the solution notebooks are those of DermaMNIST: set COURSE_DATA to its folder, or --no-execute."
        )
    for source in sources:
        builder.student_path(source).write_text(builder.to_text(builder.student_notebook(source)))
        if arguments.no_execute:
            continue
        target, lesson = builder.solution_path(source), builder.read_source(source)
        executed = nbformat.read(target, as_version=4) if target.is_file() and not arguments.force else None
        if executed is not None and (kept := builder.with_outputs_of(executed, lesson)) is not None:
            target.write_text(builder.to_text(kept))
            print(f"{source.stem}: no code has changed, outputs kept (--force executes it all the same)")
            continue
        with tqdm(total=sum(cell.cell_type == "code" for cell in lesson.cells), desc=source.stem, unit="cell") as bar:
            executed = builder.execute(lesson, SOLUTIONS, bar.update)
        target.write_text(builder.to_text(executed))
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """Check the lessons and their built notebooks without running them."""
    from course_utils.authoring.verify import verify as verify_lesson

    problems = [problem for source in lessons(arguments.lessons) for problem in verify_lesson(source)]
    print("\n".join(problems) or "all lessons are in order")
    return 1 if problems else 0


def objectives(arguments: argparse.Namespace) -> int:
    """Print what each objective rests on: exercises, answers that prove their checks, quiz questions."""
    from course_utils.authoring.objectives import table

    print(table(lessons(arguments.lessons)), end="")
    return 0


def mistakes(arguments: argparse.Namespace) -> int:
    """Print what students get wrong, exercise by exercise, in the words of the checks."""
    from course_utils.authoring.mistakes import page

    print(page(lessons(arguments.lessons)), end="")
    return 0


def run(arguments: argparse.Namespace) -> int:
    """Execute every solution lesson on the best data found, and print the comparison table."""
    from tqdm import tqdm

    from course_utils import results
    from course_utils.authoring import build as builder

    dataset = _settle_dataset()
    print(dataset)
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    found = [builder.read_source(source) for source in lessons(arguments.lessons)]
    num_cells = sum(cell.cell_type == "code" for lesson in found for cell in lesson.cells)
    with tqdm(total=num_cells, unit="cell") as bar, ThreadPoolExecutor(_lessons_at_a_time()) as pool:
        for _ in pool.map(lambda lesson: builder.execute(lesson, SOLUTIONS, bar.update), found):
            pass
    rows = [
        row for row in results.recorded(dataset) if row["time"] >= started and row.get("split") == dataset.test.name
    ]
    for row in rows:
        if row["method"] == "supervised":  # what every method is held against
            alike = [other for other in rows if (other["label_split"], other["steps"]) == (row["label_split"], row["steps"])]
            print(f"\nTest split of {dataset.name}, {row['labels']} labels, seed {row['seed']}, {row['steps']} steps:")
            print(results.compare(alike, dataset).to_string())
            rows = [other for other in rows if other not in alike]
    if rows:
        print("\nRuns with other labels or steps, not comparable with those above:")
        print(results.compare(rows, dataset, allow_different=True).to_string())
    return 0


def _lessons_at_a_time() -> int:
    """A lesson trains on one thread, in a process of its own: one for each core, but not too many for the memory."""
    return min(os.cpu_count() or 1, MOST_AT_A_TIME)


def _settle_dataset():
    """Load the best dataset once and make every kernel that starts from here use the same, without trying again."""
    from course_utils.datasets import load_dataset

    dataset = load_dataset()
    if dataset.name == "digits":
        os.environ["COURSE_DATA"] = "embedded"
    return dataset


def progress(arguments: argparse.Namespace) -> int:
    """Show how far you are: one line for each lesson, or for each exercise of the lessons that are named."""
    from course_utils.check import board

    for lesson in arguments.lessons or [None]:
        print(board.progress(lesson).to_string())
    return 0


def benchmark(arguments: argparse.Namespace) -> int:
    """Repeat the lessons with other labels, seeds, networks and data; a run that was killed goes on where it stopped."""
    from course_utils.authoring import benchmark as runner
    from course_utils.authoring import readme
    from course_utils.datasets import load_dataset

    numbers = [source.name[:2] for source in lessons(arguments.lessons or MEASURED)]
    todo = []
    for dataset in arguments.datasets or [load_dataset().name]:
        label_budgets = runner.labels_of(arguments.labels, dataset)
        settings = (arguments.networks, arguments.steps, label_budgets, arguments.seeds, numbers)
        todo += runner.jobs([dataset], *settings)
    failed = runner.benchmark(todo, arguments.output, arguments.jobs or _lessons_at_a_time(), arguments.scheduler)
    rows = runner.collect(todo, arguments.output)
    for name, own in rows.groupby("dataset"):
        print(f"\n{name}, test split, macro-F1: mean ± sd (draws), minus supervised: mean ± standard error")
        print(runner.table(own).to_string())
    if arguments.ship:
        for path in [*runner.ship(rows), readme.renew()]:
            print(f"written to {path}")
    for job, error in failed.items():
        print(f"\n{job} failed, and is tried again by the same command:\n{error[-2000:]}", file=sys.stderr)
    return 1 if failed else 0


def site(arguments: argparse.Namespace) -> int:
    """Build the course as a static site into build/site; with --solutions the instructor's edition, into build/instructor."""
    from course_utils.authoring import site as builder

    output = arguments.output or ROOT / "build" / ("instructor" if arguments.solutions else "site")
    builder.build(output, arguments.solutions, arguments.check_external)
    print(f"open {output / 'index.html'}")
    return 0


def speed(arguments: argparse.Namespace) -> int:
    """Time the training loop against a loop built like the course's ancestor's, and say where its time goes."""
    script = [sys.executable, str(ROOT / "tests" / "benchmark_speed.py")]
    return subprocess.call([*script, *(["--ship"] if arguments.ship else [])], cwd=ROOT)


def release(arguments: argparse.Namespace) -> int:
    """Make the bundle for students, without solutions; with --nbgrader, the folder in which nbgrader grades their work."""
    from course_utils.authoring import classroom

    if arguments.nbgrader:
        names = classroom.nbgrader_folder(arguments.lessons, arguments.nbgrader)
        print(f"nbgrader's course folder is {arguments.nbgrader}; next, in it:")
        print("\n".join(f"  nbgrader generate_assignment {name}" for name in names))
    else:
        print(f"for the students: {classroom.release(arguments.lessons, arguments.output)}")
        if shown := classroom.shown_by_others(arguments.lessons):
            print("Hand out a lesson when those are due whose solutions it uses:\n  " + "\n  ".join(shown))
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="course", description="The semi-supervised learning course.")
    commands = parser.add_subparsers(dest="command", required=True)
    for_authors = (build, verify, objectives, mistakes, run, benchmark, site, speed, release) if lessons else ()
    for function in (lab, progress, *for_authors):
        command = commands.add_parser(function.__name__, help=function.__doc__, description=function.__doc__)
        command.set_defaults(function=function)
        if function in (build, verify, objectives, mistakes, run, progress, benchmark, release):
            command.add_argument("lessons", nargs="*", help="lesson numbers, such as 06 (default: all)")
        if function is lab:
            command.add_argument("options", nargs="*", help="options for JupyterLab, after --")
        if function is build:
            command.add_argument("--no-execute", action="store_true", help="build the student notebooks only")
            command.add_argument("--force", action="store_true", help="execute unchanged lessons too")
        if function is speed:
            command.add_argument("--ship", action="store_true", help="put the table into the README")
        if function is site:
            command.add_argument(
                "--solutions", action="store_true", help="the instructor's edition, with the solutions"
            )
            command.add_argument("--output", type=Path, help="folder (default: build/site or build/instructor)")
            command.add_argument(
                "--check-external", action="store_true", help="ask each link to another site (network)"
            )
        if function is release:
            command.add_argument("--output", type=Path, default=ROOT / "runs" / "release", help="where the bundle goes")
            command.add_argument(
                "--nbgrader", type=Path, metavar="FOLDER", help="lay out nbgrader's course folder instead"
            )
        if function is benchmark:
            command.add_argument("--labels", nargs="+", default=["500"], help="numbers, or all (default: 500)")
            command.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="default: 0 1 2 3 4")
            command.add_argument("--networks", nargs="+", default=["SimpleCNN"], choices=["SimpleCNN", "ResNet"])
            command.add_argument("--steps", type=int, default=1600, help="steps of each training (default: 1600)")
            command.add_argument("--datasets", nargs="+", choices=["dermamnist", "digits"], help="default: the best")
            command.add_argument("--jobs", type=int, help="lessons at a time (default: one for each core, at most 4)")
            command.add_argument("--scheduler", help="address of a Dask scheduler, to use the machines of its workers")
            command.add_argument("--output", type=Path, default=ROOT / "runs" / "benchmark", help="where they go")
            command.add_argument(
                "--ship", action="store_true", help="put the rows into course_utils/reference and the README"
            )
    arguments = parser.parse_args(argv)
    try:
        return arguments.function(arguments)
    except (ValueError, RuntimeError) as error:
        print(f"course {arguments.command}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
