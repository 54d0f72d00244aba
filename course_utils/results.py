"""Record a run, compare runs honestly, and hold a result against the reference runs that ship with the course."""

import json
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch

from course_utils import __version__, settings
from course_utils.datasets import Dataset, Split
from course_utils.evaluation import METRICS, Scores, ScoreTable, majority_scores
from course_utils.labels import LabelSplit
from course_utils.models import num_parameters
from course_utils.training import Run

# What a change of machine, thread count or torch version was seen to do to a result of one seed, doubled.
PLATFORM_TOLERANCE = {"AUC": 0.01, "ACC": 0.035, "macro-F1": 0.07, "weighted-F1": 0.035, "balanced ACC": 0.07}

# Two runs are a pair if they have the same labels and the same seed (with all labels, the label split is always the same).
PAIR = ["label_split", "seed"]
TAUGHT = (settings.TAUGHT_LABELS, settings.TAUGHT_NETWORK, settings.TAUGHT_STEPS)
TEXT_COLUMNS = ("md5", "lesson", "code", "label_split", "recall", "version", "torch", "python")


def runs_file() -> Path:
    """The untracked file that `record` appends to."""
    return settings.RUNS / "runs.jsonl"


def record(method: str, dataset: Dataset, label_split: LabelSplit, run: Run, scores: Scores) -> dict:
    """Append one run, with everything that decides whether it may be compared, to the runs file; return the row."""
    row = {
        "method": method,
        "dataset": dataset.name,
        "md5": dataset.md5,
        "label_split": label_split.id,
        "how": label_split.how,
        "labels": len(label_split.labelled),
        "seed": label_split.seed,
        "steps": run.steps_done,
        "images": run.images_seen,
        "network": settings.NETWORK,
        "parameters": num_parameters(run.model),
        "seconds": round(run.seconds, 1),
        **{name: round(value, 4) for name, value in scores.values.items()},
        "recall": " ".join(f"{value:.4f}" for value in scores.recall),
        "split": scores.split,
        "stopped": run.stopped,
        "version": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "time": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    path = runs_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
    return row


def recorded(dataset: Dataset, methods: list[str] | None = None) -> list[dict]:
    """The latest recorded run of each (method, label split, seed) on this very dataset, in the order of recording."""
    latest: dict[tuple, dict] = {}
    if runs_file().is_file():
        for line in runs_file().read_text().splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue  # a line cut short when a machine went down; the other lines are whole
            if "draw" in row:  # recorded by version 0.1.0 of the course
                row["label_split"] = row.pop("draw")
            if row["md5"] == dataset.md5 and (methods is None or row["method"] in methods):
                key = (row["method"], *(row[name] for name in PAIR))
                latest.pop(key, None)
                latest[key] = row
    return list(latest.values())


def reference(
    dataset: Dataset,
    num_labels: int | None = None,
    network: str | None = None,
    num_steps: int | None = None,
) -> list[dict]:
    """The rows of the shipped benchmark on this dataset, as `record` makes them; an empty list if none were made.

    `num_labels` is the number of labels that the lessons were run with (a row's own `labels` may differ, where a lesson
    compares several numbers), `network` what they trained, and `num_steps` for how long (a row's own `steps` may differ).
    By default they are yours; if the course has no runs with yours, those with which it is taught, and a line says so.
    """
    yours = _yours()
    rows = _shipped(dataset, num_labels or yours[0], network or yours[1], num_steps or yours[2])
    if rows or num_labels or network or num_steps or yours == TAUGHT:
        return rows
    rows = _shipped(dataset, *TAUGHT)
    if rows:
        print(
            f"The course has no runs with {yours[0]} labels, {yours[1]} and {yours[2]} steps: "
            f"these are those with {TAUGHT[0]} labels, {TAUGHT[1]} and {TAUGHT[2]} steps."
        )
    return rows


def _yours() -> tuple[int, str, int]:
    """Labels, network and steps of this session."""
    return settings.NUM_LABELS, settings.NETWORK, settings.NUM_STEPS


def _shipped(dataset: Dataset, num_labels: int, network: str, num_steps: int) -> list[dict]:
    """The rows with just these settings."""
    if not shipped_file(dataset.name).is_file():
        return []
    rows = read_runs(shipped_file(dataset.name))
    alike = rows[(rows["num_labels"] == num_labels) & (rows["network"] == network) & (rows["num_steps"] == num_steps)]
    return alike.astype(object).where(alike.notna(), None).to_dict("records")


def shipped_file(name: str) -> Path:
    """Where the benchmark's rows on the dataset of this name ship."""
    return Path(__file__).parent / "reference" / f"{name}.csv"


def read_runs(path: Path) -> pd.DataFrame:
    """A table of runs, one line each."""
    return pd.read_csv(path, dtype=dict.fromkeys(TEXT_COLUMNS, str))


class Paired(NamedTuple):
    """What the runs of one method say: alone, and against the baseline's runs with the same label split and seed.

    `sd` is the standard deviation of its scores; `gain` the mean of the paired differences, `sem` the standard error of that
    mean, `wins` the number of pairs in which the method is above. Where there is nothing to compute from, nan.
    """

    n: int
    mean: float
    sd: float
    pairs: int
    gain: float
    sem: float
    wins: int

    @property
    def score(self) -> str:
        """Mean, and in brackets the standard deviation."""
        return f"{self.mean:.3f}" + (f" ({self.sd:.3f})" if self.n > 1 else "")

    @property
    def gained(self) -> str:
        """Gain ± its standard error; empty without a pair."""
        return (f"{self.gain:+.3f}" + (f" ± {self.sem:.3f}" if self.pairs > 1 else "")) if self.pairs else ""

    @property
    def won(self) -> str:
        """The number of wins, of how many; empty without a pair."""
        return f"{self.wins} of {self.pairs}" if self.pairs else ""

    @property
    def against(self) -> str:
        """Gain ± its standard error, and the number of wins; empty without a pair."""
        return f"{self.gained}, {self.won}" if self.pairs else ""


def paired(
    rows: list[dict] | pd.DataFrame, baseline: str = "supervised", metric: str = "macro-F1"
) -> dict[str, Paired]:
    """Each method of `rows` against the baseline, by name, in the order of the rows; of runs that repeat a pair the last counts."""
    lines = {}
    pairs = differences(rows, baseline, metric)
    for method, own in _by_pair(rows, metric).items():
        d = pairs.get(method, own.iloc[:0])
        lines[method] = Paired(len(own), own.mean(), own.std(), len(d), d.mean(), d.sem(), int((d > 0).sum()))
    return lines


def differences(
    rows: list[dict] | pd.DataFrame, baseline: str = "supervised", metric: str = "macro-F1"
) -> dict[str, pd.Series]:
    """What each method has above the baseline, for each pair (label split, seed), by name: those with a pair, in the order of the rows."""
    runs = _by_pair(rows, metric)
    if baseline not in runs:
        return {}
    found = {method: (own - runs[baseline]).dropna() for method, own in runs.items() if method != baseline}
    return {method: d for method, d in found.items() if len(d)}


def _by_pair(rows: list[dict] | pd.DataFrame, metric: str) -> dict[str, pd.Series]:
    frame = pd.DataFrame(rows, columns=["method", *PAIR, metric]).dropna()
    groups = frame.groupby("method", sort=False)
    return {method: group.groupby(PAIR)[metric].last().astype(float) for method, group in groups}


def recipes() -> pd.DataFrame:
    """How the recipes were chosen on DermaMNIST: one line for each setting and label split, scored by cross-validation inside the labels."""
    return pd.DataFrame(json.loads(shipped_file("recipes_dermamnist").with_suffix(".json").read_text())["rows"])


def compare(
    rows: list[dict],
    dataset: Dataset,
    metric: str = "macro-F1",
    methods: Sequence[str] | None = None,
    baseline: str = "supervised",
    allow_different: bool = False,
    split: Split | None = None,
    full: bool = False,
) -> ScoreTable:
    """One line per method: the mean of the metric, and the paired gain over the baseline ± its standard error, with the wins.

    `methods` are the ones to show, in this order (default: all, in the order of the rows). `full` adds every metric and what
    the runs cost. Raises ValueError if the methods differ in dataset, label splits, network or steps, unless
    `allow_different`; then a column says in what they differ. The majority class is the first line, scored on
    `split` (the test split): hand in the one on which the rows were scored.
    """
    by_method = _by_method(rows, methods)
    if unscored := [method for method, own in by_method.items() if metric not in own[0]]:
        raise ValueError(f"the runs of {unscored[0]} have no {metric!r}: metric takes {', '.join(METRICS)}")
    differs = _differences_in_protocol(by_method, baseline)
    if differs and not allow_different:
        lines = "; ".join(f"{method} differs in {', '.join(keys)}" for method, keys in differs.items())
        raise ValueError(
            f"these runs cannot be put side by side: {lines}. Run them alike, or say allow_different=True."
        )
    columns = METRICS if full else (metric,)
    constant = majority_scores(dataset, split or dataset.test).values
    table = {"majority class": {name: f"{constant[name]:.2f}" for name in columns if name in constant}}
    gains_of = paired([row for own in by_method.values() for row in own], baseline, metric)
    gain = f"gain over {baseline}" + (f", {metric}" if full else "")
    for method, own in by_method.items():
        frame = pd.DataFrame(own)
        table[method] = {name: f"{frame[name].mean():.2f}" for name in columns}
        table[method] |= {gain: gains_of[method].gained, "wins": gains_of[method].won}
        if full:
            table[method] |= {"runs": str(len(own)), "steps": str(own[0]["steps"])}
            table[method] |= {cost: f"{frame[cost].mean():.0f}" for cost in ("images", "seconds")}
        table[method]["differs in"] = ", ".join(differs.get(method, ()))
    shown = ScoreTable(table).T.fillna("")
    return shown.loc[:, (shown != "").any()]


def _by_method(rows: list[dict], methods: Sequence[str] | None) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {method: [] for method in methods or ()}
    for row in rows:
        if methods is None or row["method"] in found:
            found.setdefault(row["method"], []).append(row)
    return {method: own for method, own in found.items() if own}


def _differences_in_protocol(by_method: dict[str, list[dict]], baseline: str) -> dict[str, list[str]]:
    """In what the runs of a method are not like those of the baseline (or of the first method), where they are not."""
    names = {"dataset": "md5", "label splits": "label_split", "network": "network", "steps": "steps"}
    protocols = {
        method: {name: {row[column] for row in own} for name, column in names.items()}
        for method, own in by_method.items()
    }
    standard = protocols.get(baseline) or next(iter(protocols.values()), {})
    differs = {method: [key for key in standard if own[key] != standard[key]] for method, own in protocols.items()}
    return {method: keys for method, keys in differs.items() if keys}


def gains(
    methods: Sequence[str],
    dataset: Dataset,
    baseline: str = "supervised",
    metrics: tuple[str, ...] = ("AUC", "macro-F1"),
    **of_reference,
) -> ScoreTable:
    """What the reference runs say of methods against a baseline in several metrics, in pairs with the same label split.

    Each cell: mean gain ± its standard error, and in how many of the pairs the method is above. `of_reference` are the
    settings of `reference`. `plots.show_gains` draws the same.
    """
    rows = reference(dataset, **of_reference)
    cells: dict[str, list[str]] = {}
    for metric in metrics:
        found = {method: one.against for method, one in paired(rows, baseline, metric).items() if one.pairs}
        found[baseline] = ""
        cells[metric] = [found.get(method, "no reference runs") for method in methods]
    return ScoreTable(cells, index=list(methods)).rename_axis(columns=f"gain over {baseline}")


def reference_range(method: str, metric: str, dataset: Dataset) -> tuple[float, float]:
    """The span of the reference runs of a method, widened by what a change of machine does to one run."""
    values = [row[metric] for row in _shipped(dataset, *_yours()) if row["method"] == method]
    if not values:
        raise LookupError(f"there are no reference runs of {method} on {dataset.name}")
    return min(values) - PLATFORM_TOLERANCE[metric], max(values) + PLATFORM_TOLERANCE[metric]


def within(method: str, metric: str, value: float, dataset: Dataset) -> str:
    """A line that stays the same while `value` lies in the reference range, and says OUTSIDE with the value if not."""
    try:
        low, high = reference_range(method, metric, dataset)
    except LookupError as error:
        return f"{metric} of {method} has no reference range: {error}"
    if low <= value <= high:
        return f"{metric} of {method} is inside the reference range {low:.2f} to {high:.2f}"
    return f"{metric} of {method} is OUTSIDE the reference range {low:.2f} to {high:.2f}: {value:.3f}"
