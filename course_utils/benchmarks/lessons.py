"""The benchmark: each lesson is an experiment, repeated with other labels, seeds, steps, networks and data.

One job is one solution lesson, executed in a kernel of its own; so the code that is measured is the code that is taught.
A finished job is one file, which is there whole or not at all: a benchmark that was killed goes on where it stopped.
"""

import ast
import hashlib
import itertools
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import joblib
import jupytext
import pandas as pd
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from tqdm import tqdm

from course_utils import SOLUTIONS, evaluation, results
from course_utils.authoring import build, lessons
from course_utils.datasets import load_dataset
from course_utils.settings import TAUGHT_LABELS, TAUGHT_NETWORK, TAUGHT_STEPS

ASIDES = Path(__file__).parent / "asides"  # experiments that use a lesson's functions and have no room in it
WITH_ALL_SETTINGS = "all-settings"  # the tag of an aside's cell that does not only run with the taught settings
# What a line says besides what `results.record` says of a run
SETTINGS = ("dataset", "md5", "lesson", "code", "network", "num_labels", "num_steps", "method", "seed")


@dataclass(frozen=True, order=True)
class Job:
    """One lesson with its settings; `num_labels` is the number of labelled images, `num_steps` the length of a training."""

    dataset: str
    network: str
    num_steps: int
    num_labels: int
    seed: int
    lesson: str

    def read(self) -> NotebookNode:
        """The lesson; with the settings with which it is taught, also its side experiments, in it and in `asides/`.

        With other settings cells tagged `aside` are left out, and of `asides/` all but those tagged `all-settings`.
        """
        source = lessons([self.lesson])[0]
        notebook, file = build.read_source(source), ASIDES / source.name
        beside = jupytext.reads(file.read_text(), fmt="py:percent").cells if file.is_file() else []
        if (self.network, self.num_steps, self.num_labels) != (TAUGHT_NETWORK, TAUGHT_STEPS, TAUGHT_LABELS):
            notebook.cells = [cell for cell in notebook.cells if "aside" not in build.tags(cell)]
            beside = [cell for cell in beside if WITH_ALL_SETTINGS in build.tags(cell)]
        notebook.cells += beside
        return notebook

    @property
    def code(self) -> str:
        """A fingerprint of the code that runs: a lesson whose code has changed, beyond its comments, has not been measured yet."""
        cells = [_without_words(cell.source) for cell in self.read().cells if cell.cell_type == "code"]
        return hashlib.md5("\n".join(cells).encode()).hexdigest()[:8]

    def path(self, folder: Path) -> Path:
        names = (
            self.dataset,
            self.network,
            self.num_steps,
            self.num_labels,
            f"seed{self.seed}",
            self.lesson,
            self.code,
        )
        return folder / ("-".join(map(str, names)) + ".csv")


def _without_words(source: str) -> str:
    """The code without comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def jobs(datasets, networks, num_steps, label_counts, seeds, numbers) -> list[Job]:
    """Every combination, seed by seed, so that a table can be read before all seeds are through."""
    found = itertools.product(datasets, networks, [num_steps], label_counts, seeds, numbers)
    return sorted((Job(*settings) for settings in found), key=lambda job: (job.seed, job.num_labels, job.lesson))


def run(job: Job) -> tuple[Job, list[dict], str | None]:
    """Execute the lesson; return its test rows, or the error that ended it in words."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "COURSE_RUNS": folder,
            "COURSE_SEED": str(job.seed),
            "COURSE_LABELS": str(job.num_labels),
            "COURSE_STEPS": str(job.num_steps),
            "COURSE_NETWORK": job.network,
        }
        if job.dataset == "digits":
            settings["COURSE_DATA"] = "embedded"
        try:
            # Tables and figures of what was left out, or never ran with these settings, may fail: nothing is measured there
            # (and a training takes the time that it takes)
            done = build.execute(job.read(), SOLUTIONS, settings=settings, errors_end_it=False, cell_timeout=None)
        except DeadKernelError as error:  # most often the memory
            return job, [], f"the kernel died: {error}"
        for cell in done.cells:
            errors = [output for output in cell.get("outputs", []) if output.output_type == "error"]
            if errors and "record(" in cell.source:
                return job, [], f"a cell that records failed, {errors[0].ename}: {errors[0].evalue}\n{cell.source}"
        recorded = Path(folder) / "runs.jsonl"
        rows = [json.loads(line) for line in recorded.read_text().splitlines()] if recorded.is_file() else []
    settings_of_job = {"lesson": job.lesson, "code": job.code, "num_labels": job.num_labels, "num_steps": job.num_steps}
    rows = [row | settings_of_job for row in rows if row["split"] == "test" and row["dataset"] == job.dataset]
    if not rows:
        return job, [], f"the lesson recorded nothing on {job.dataset}: does it train, and is the data there?"
    return job, rows, None


def benchmark(todo: list[Job], folder: Path, num_jobs: int, scheduler: str | None = None) -> dict[Job, str]:
    """Run the jobs that have no file yet, `num_jobs` at a time or on a Dask cluster; return the errors of those that failed."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [job for job in todo if not job.path(folder).is_file()]
    failed = {}
    with (
        _workers(num_jobs, scheduler) as parallel,
        tqdm(total=len(todo), initial=len(todo) - len(missing), unit="lesson", smoothing=0) as bar,
    ):
        for job, rows, error in parallel(joblib.delayed(run)(job) for job in missing):
            if error is None:
                _write_whole(job.path(folder), rows)
            else:
                failed[job] = error
                bar.write(f"failed: {job}")
            bar.update()
    return failed


@contextmanager
def _workers(num_jobs: int, scheduler: str | None) -> Iterator[joblib.Parallel]:
    if scheduler is None:
        yield joblib.Parallel(num_jobs, return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs")
        return
    from distributed import Client

    try:
        client = Client(scheduler, timeout="10s")
    except OSError as error:
        raise RuntimeError(
            f"no Dask scheduler answers at {scheduler}: start one by `dask scheduler` ({error})"
        ) from error
    with client, joblib.parallel_config("dask"):
        yield joblib.Parallel(return_as="generator_unordered", batch_size=1)


def _write_whole(path: Path, rows: list[dict]) -> None:
    unfinished = path.with_suffix(".part")
    pd.DataFrame(rows).to_csv(unfinished, index=False)
    os.replace(unfinished, path)


def collect(done: list[Job], folder: Path) -> pd.DataFrame:
    """The rows of the jobs that are finished, one line for each run."""
    parts = [results.read_runs(job.path(folder)) for job in done if job.path(folder).is_file()]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=SETTINGS)


def ship(rows: pd.DataFrame) -> list[Path]:
    """Put these rows among the shipped ones, in place of those with the same settings; a method stays where it stood."""
    key = ["network", "num_labels", "num_steps", "steps", "method", *results.PAIR]
    written = []
    for name, new in rows.groupby("dataset"):
        path = results.shipped_file(name)
        old = results.read_runs(path) if path.is_file() else new.iloc[:0]
        # a method that several lessons train counts once: from the lesson that trained it first, with what later ones measured besides
        once = new.groupby(key, sort=False, as_index=False).first()
        # what another lesson measured of the same run stays; of a run that came out differently nothing does
        scores = [metric for metric in evaluation.METRICS if metric in new]
        merged = pd.concat([old, once]).groupby([*key, *scores], sort=False, as_index=False).last()
        merged = merged.drop_duplicates(key, keep="last")
        place = {method: n for n, method in enumerate(dict.fromkeys([*old["method"], *new["method"]]))}
        merged = merged.sort_values(key[:4], kind="stable", ascending=[False, True, True, True])
        merged = merged.sort_values(["method"], key=lambda methods: methods.map(place), kind="stable")
        first = [column for column in SETTINGS if column in merged]
        rest = [column for column in merged if column not in (*first, "split")]
        merged[first + rest].to_csv(path, index=False)
        written.append(path)
    return written


def table(rows: pd.DataFrame, metric: str = "macro-F1") -> pd.DataFrame:
    """One line for each method, one column for each number of labels: mean (sd), and the paired gain over supervised ± its error."""
    cells: dict = {}
    for settings, alike in rows.groupby(["dataset", "network", "num_labels", "steps"], sort=False):
        for method, line in results.paired(alike, metric=metric).items():
            cells.setdefault(method, {})[settings] = f"{line.score}; {line.against}" if line.pairs else line.score
    return pd.DataFrame(cells).T.fillna("")


def labels_of(words: list[str], dataset: str) -> list[int]:
    """Numbers of labels from the command line, where `all` stands for the whole training split."""
    total = len(load_dataset(dataset).train)
    for word in words:
        if word != "all" and not (word.isdigit() and 1 <= int(word) <= total):
            raise ValueError(
                f"--labels {word}: neither 'all' nor a number from 1 to {total}, the training images of {dataset}"
            )
    return [total if word == "all" else int(word) for word in words]
