"""The authors' part of the `course` command."""

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from course_utils import ROOT, SOLUTIONS
from course_utils.authoring import lessons
from course_utils.commands import command, option, whole_number

MOST_AT_A_TIME = 4  # lessons; each takes about a gigabyte of memory
MEASURED = ["01", "02", "03", "04", "05", "06", "07", "08"]  # the lessons that record runs of their own

NAMED = option("lessons", nargs="*", help="lesson numbers, such as 06 (default: all)")


@command(
    NAMED,
    option(
        "--no-execute", action="store_true", help="build the student notebooks and record the checks' values, no more"
    ),
    option("--force", action="store_true", help="execute lessons whose code has not changed, too"),
)
def build(arguments: argparse.Namespace) -> int:
    """Build the student notebooks, record the checks' values, and execute the solution notebooks whose code has changed."""
    import nbformat
    from tqdm import tqdm

    from course_utils.authoring import build as builder
    from course_utils.authoring import recording
    from course_utils.datasets import load_dataset

    sources = lessons(arguments.lessons)
    if not arguments.no_execute and load_dataset().name != "dermamnist":
        raise ValueError(
            "the outputs of the solution notebooks are those of DermaMNIST: set COURSE_DATA to its folder, or say --no-execute"
        )
    for source in sources:
        builder.student_path(source).write_text(builder.to_text(builder.student_notebook(source)))
        recording.record(source)
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


@command(NAMED)
def verify(arguments: argparse.Namespace) -> int:
    """Check the lessons and their built notebooks without running them, and say how long and how full they are."""
    import nbformat
    import pandas as pd

    from course_utils.authoring import build as builder
    from course_utils.authoring import verify as verifier

    sources = lessons(arguments.lessons)
    problems = [problem for source in sources for problem in verifier.verify(source)]
    executed = {s: nbformat.read(path, as_version=4) for s in sources if (path := builder.solution_path(s)).is_file()}
    facts = {s.stem: verifier.facts(builder.read_source(s), book) for s, book in executed.items()}
    if facts:
        print(pd.DataFrame(facts).T.to_string(), end="\n\n")
    print("\n".join(problems) or "all lessons are in order")
    return 1 if problems else 0


@command(NAMED)
def run(arguments: argparse.Namespace) -> int:
    """Execute every solution lesson on the best data found, and print the comparison table."""
    from tqdm import tqdm

    from course_utils import results
    from course_utils.authoring import build as builder
    from course_utils.datasets import load_dataset

    dataset = load_dataset()
    print(dataset)
    if dataset.name == "digits":
        os.environ["COURSE_DATA"] = "embedded"  # no kernel needs to find out by itself that there is no network
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    found = [builder.read_source(source) for source in lessons(arguments.lessons)]
    num_cells = sum(cell.cell_type == "code" for lesson in found for cell in lesson.cells)
    with tqdm(total=num_cells, unit="cell") as bar, ThreadPoolExecutor(lessons_at_a_time()) as pool:
        for _ in pool.map(lambda lesson: builder.execute(lesson, SOLUTIONS, bar.update), found):
            pass
    rows = [
        row for row in results.recorded(dataset) if row["time"] >= started and row.get("split") == dataset.test.name
    ]
    for row in rows:
        if row["method"] == "supervised":  # what every method is held against
            same = (row["label_split"], row["steps"])
            alike = [other for other in rows if (other["label_split"], other["steps"]) == same]
            print(f"\nTest split of {dataset.name}, {row['labels']} labels, seed {row['seed']}, {row['steps']} steps:")
            print(results.compare(alike, dataset, full=True).to_string())
            rows = [other for other in rows if other not in alike]
    if rows:
        print("\nRuns with other labels or steps, not comparable with those above:")
        print(results.compare(rows, dataset, allow_different=True, full=True).to_string())
    return 0


def lessons_at_a_time() -> int:
    """A lesson trains on one thread, in a process of its own: one for each core, but not too many for the memory."""
    return min(os.cpu_count() or 1, MOST_AT_A_TIME)


@command(
    option(
        "lessons", nargs="*", help=f"lesson numbers (default: those that record runs, {MEASURED[0]} to {MEASURED[-1]})"
    ),
    option("--labels", nargs="+", help="numbers of labels, or all (default: those of the lessons, 500)"),
    option("--seeds", type=whole_number(0), nargs="+", default=[0, 1, 2, 3, 4], help="default: 0 1 2 3 4"),
    option("--networks", nargs="+", choices=["SimpleCNN", "ResNet"], help="default: SimpleCNN"),
    option("--steps", type=whole_number(1), help="steps of each training (default: those of the lessons, 1600)"),
    option("--datasets", nargs="+", choices=["dermamnist", "digits"], help="default: the best that can be had"),
    option("--jobs", type=whole_number(1), help="lessons at a time (default: one for each core, at most 4)"),
    option("--scheduler", help="address of a Dask scheduler, to use the machines of its workers"),
    option("--output", type=Path, default=ROOT / "runs" / "benchmark", help="where the finished jobs go"),
    option("--ship", action="store_true", help="put the rows into course_utils/reference and the pages of results"),
)
def benchmark(arguments: argparse.Namespace) -> int:
    """Repeat the lessons with other labels, seeds, networks and data; a run that was killed goes on where it stopped."""
    from course_utils.authoring import readme
    from course_utils.benchmarks import lessons as runner
    from course_utils.datasets import load_dataset
    from course_utils.settings import TAUGHT_LABELS, TAUGHT_NETWORK, TAUGHT_STEPS

    numbers = [source.name[:2] for source in lessons(arguments.lessons or MEASURED)]
    networks, steps = arguments.networks or [TAUGHT_NETWORK], arguments.steps or TAUGHT_STEPS
    todo = []
    for dataset in arguments.datasets or [load_dataset().name]:
        labels = runner.labels_of(arguments.labels or [str(TAUGHT_LABELS)], dataset)
        todo += runner.jobs([dataset], networks, steps, labels, arguments.seeds, numbers)
    failed = runner.benchmark(todo, arguments.output, arguments.jobs or lessons_at_a_time(), arguments.scheduler)
    rows = runner.collect(todo, arguments.output)
    for name, own in rows.groupby("dataset"):
        print(
            f"\n{name}, test split, macro-F1: mean (standard deviation; label splits), gain over supervised ± standard error"
        )
        print(runner.table(own).to_string())
    if arguments.ship:
        for path in [*runner.ship(rows), readme.renew()]:
            print(f"written to {path}")
    for job, error in failed.items():
        print(f"\n{job} failed, and is tried again by the same command:\n{error[-2000:]}", file=sys.stderr)
    return 1 if failed else 0


@command(
    option("--solutions", action="store_true", help="the instructor's edition, with the solutions"),
    option("--output", type=Path, help="folder (default: build/site or build/instructor)"),
    option("--check-external", action="store_true", help="ask each link to another site (network)"),
)
def site(arguments: argparse.Namespace) -> int:
    """Build the course as a static site into build/site; with --solutions the instructor's edition, into build/instructor."""
    from course_utils.authoring import site as builder

    output = arguments.output or ROOT / "build" / ("instructor" if arguments.solutions else "site")
    builder.build(output, arguments.solutions, arguments.check_external)
    print(f"open {output / 'index.html'}")
    return 0


@command(option("names", nargs="*", help="diagrams, such as fixmatch (default: all)"))
def diagrams(arguments: argparse.Namespace) -> int:
    """Draw the diagrams of docs/figures from their sources, and bring their words on the methods' pages up to date."""
    from course_utils.authoring import diagrams as drawing

    for source in drawing.sources(arguments.names):
        print(f"drawn: {drawing.build(source)}; what shows it in a lesson:\n{drawing.markdown(source)}\n")
    for page in drawing.renew_pages():
        print(f"words renewed: {page}")
    return 0


@command()
def moons(arguments: argparse.Namespace) -> int:
    """Draw the playground's pictures in docs/figures: a strip for each method, and two methods in motion."""
    from course_utils.authoring import moons as drawing

    for path in drawing.write():
        print(f"drawn: {path}")
    return 0


@command()
def renew(arguments: argparse.Namespace) -> int:
    """Fill README, home page and pages of results in from their templates, the lessons and the shipped runs."""
    from course_utils.authoring import readme

    print(f"renewed: {readme.renew()} and the pages in {readme.DOCS} that have a template")
    return 0


@command(option("address", help="such as https://github.com/me/ssl-course"))
def address(arguments: argparse.Namespace) -> int:
    """Give the repository its address: badges and links of the README, the notebooks' cells for Colab, CITATION.cff."""
    from course_utils.authoring import readme

    readme.set_address(arguments.address)
    print(f"the repository's address is {arguments.address}; commit what has changed, then make test")
    return 0


@command(option("--ship", action="store_true", help="put the table into the page of results"))
def speed(arguments: argparse.Namespace) -> int:
    """Time the training loop against a loop built like the original notebook's, and say where its time goes."""
    from course_utils.benchmarks import speed as timings

    return timings.main(ship=arguments.ship)


@command(
    NAMED,
    option("--output", type=Path, default=ROOT / "runs" / "release", help="where the bundle goes"),
    option("--nbgrader", type=Path, metavar="FOLDER", help="lay out nbgrader's course folder instead"),
)
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


COMMANDS = [build, verify, run, benchmark, diagrams, moons, renew, site, speed, release, address]
