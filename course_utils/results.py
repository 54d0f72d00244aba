"""Record a run, compare runs honestly, and hold a result against the reference runs that ship with the course."""

import json
import os
import platform
import time
from pathlib import Path

import pandas as pd
import torch

from course_utils import NETWORK, NUM_LABELS, NUM_STEPS, ROOT
from course_utils.data import Dataset, LabelDraw, Split
from course_utils.evaluation import METRICS, Scores, constant_scores
from course_utils.models import num_parameters
from course_utils.training import Run

# What a change of machine, thread count or torch version was seen to do to a result of one seed, doubled.
PLATFORM_TOLERANCE = {"AUC": 0.01, "ACC": 0.035, "macro-F1": 0.07, "weighted-F1": 0.035, "balanced ACC": 0.07}

# Two runs are a pair if they have the same labels and the same seed (with all labels, the draw alone is always the same).
PAIR = ["draw", "seed"]


def runs_file() -> Path:
    """The untracked file that `record` appends to."""
    folder = os.environ.get("COURSE_RUNS") or ROOT / "runs"
    return Path(folder).expanduser() / "runs.jsonl"


def record(method: str, dataset: Dataset, draw: LabelDraw, run: Run, scores: Scores) -> dict:
    """Append one run, with everything that decides whether it may be compared, to the runs file; return the row."""
    row = {
        "method": method,
        "dataset": dataset.name,
        "md5": dataset.md5,
        "draw": draw.id,
        "how": draw.how,
        "labels": len(draw.labelled),
        "seed": draw.seed,
        "steps": run.steps_done,
        "images": run.images_seen,
        "network": NETWORK,
        "parameters": num_parameters(run.model),
        "seconds": round(run.seconds, 1),
        **{name: round(value, 4) for name, value in scores.values.items()},
        "recall": " ".join(f"{value:.4f}" for value in scores.recall),
        "split": scores.split,
        "stopped": run.stopped,
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
    """The latest recorded run of each (method, draw, seed) on this very dataset, in the order of recording."""
    latest: dict[tuple, dict] = {}
    if runs_file().is_file():
        for line in runs_file().read_text().splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue  # a line cut short when a machine went down; the other lines are whole
            if row["md5"] == dataset.md5 and (methods is None or row["method"] in methods):
                key = (row["method"], *(row[name] for name in PAIR))
                latest.pop(key, None)
                latest[key] = row
    return list(latest.values())


def reference(
    dataset: Dataset, budget: int = NUM_LABELS, network: str = NETWORK, num_steps: int = NUM_STEPS
) -> list[dict]:
    """The rows of the shipped benchmark on this dataset, as `record` makes them; an empty list if none were made.

    `budget` is the number of labels that the lessons were run with (a row's own `labels` may differ, where a lesson
    compares several numbers), `network` what they trained, and `num_steps` for how long (a row's own `steps` may differ).
    """
    if not shipped_file(dataset.name).is_file():
        return []
    rows = read_runs(shipped_file(dataset.name))
    alike = rows[(rows["budget"] == budget) & (rows["network"] == network) & (rows["num_steps"] == num_steps)]
    return alike.astype(object).where(alike.notna(), None).to_dict("records")


def shipped_file(name: str) -> Path:
    """Where the benchmark's rows on the dataset of this name ship."""
    return Path(__file__).parent / "reference" / f"{name}.csv"


def read_runs(path: Path) -> pd.DataFrame:
    """A table of runs, one line each."""
    looks_like_a_number = ("md5", "lesson", "code", "draw", "recall", "torch", "python")
    return pd.read_csv(path, dtype=dict.fromkeys(looks_like_a_number, str))


def compare(
    rows: list[dict],
    dataset: Dataset,
    baseline: str = "supervised",
    allow_different: bool = False,
    split: Split | None = None,
) -> pd.DataFrame:
    """One line per method: mean ± standard deviation over its draws, and the paired difference to the baseline.

    Raises ValueError if the methods differ in dataset, label draws, network or steps, unless `allow_different`; then a column
    says in what they differ. The constant predictor is the first line, scored on `split` (the test split): hand in the
    one on which the rows were scored.
    """
    constant = constant_scores(dataset, split or dataset.test)
    table = {"constant predictor": {name: f"{constant[name]:.3f}" for name in METRICS}}
    if not rows:
        return pd.DataFrame(table).T
    frame = pd.DataFrame(rows)
    budget = {method: _protocol(group) for method, group in frame.groupby("method", sort=False)}
    standard = budget.get(baseline) or next(iter(budget.values()))
    differs = {method: [key for key in standard if own[key] != standard[key]] for method, own in budget.items()}
    if any(differs.values()) and not allow_different:
        lines = "; ".join(f"{method} differs in {', '.join(keys)}" for method, keys in differs.items() if keys)
        raise ValueError(
            f"these runs cannot be put side by side: {lines}. Run them alike, or say allow_different=True."
        )
    for method, group in frame.groupby("method", sort=False):
        line = {name: _mean_sd(group[name]) for name in METRICS}
        if baseline in budget:
            paired = group["macro-F1"].iloc[:0] if method == baseline else _paired(frame, group, baseline)
            line[f"macro-F1 minus {baseline}"] = _mean_sd(paired, sign="+")
        line |= {
            "runs": str(len(group)),
            "steps": str(group["steps"].iloc[0]),
            "images": f"{group['images'].mean():.0f}",
            "seconds": f"{group['seconds'].mean():.0f}",
        }
        if any(differs.values()):
            line["differs in"] = ", ".join(differs[method])
        table[method] = line
    return pd.DataFrame(table).T.fillna("")


def _protocol(group: pd.DataFrame) -> dict:
    names = {"dataset": "md5", "label draws": "draw", "network": "network", "steps": "steps"}
    return {name: set(group[column]) for name, column in names.items()}


def _paired(frame: pd.DataFrame, group: pd.DataFrame, baseline: str) -> pd.Series:
    base = frame[frame["method"] == baseline].set_index(PAIR)["macro-F1"]
    return (group.set_index(PAIR)["macro-F1"] - base).dropna()


def _mean_sd(values: pd.Series, sign: str = "") -> str:
    if values.empty:  # no draw in common
        return ""
    mean = f"{values.mean():{sign}.3f}"
    return mean if len(values) < 2 else f"{mean} ± {values.std():.3f}"


def gains(
    methods: list[str],
    dataset: Dataset,
    baseline: str = "supervised",
    metrics: tuple[str, ...] = ("AUC", "macro-F1"),
    **settings,
) -> pd.DataFrame:
    """What the reference runs say of methods against a baseline, in pairs with the same label draw, one line per method.

    Each cell: mean difference ± its standard error, and on how many of the draws the method is above. `settings` are those
    of `reference`.
    """
    rows = pd.DataFrame(reference(dataset, **settings), columns=["method", *PAIR, *metrics])
    lines: dict[str, dict[str, str]] = {}
    for method in methods:
        for metric in metrics:
            by_draw = rows.pivot(index=PAIR, columns="method", values=metric).reindex(columns=list({method, baseline}))
            d = (by_draw[method] - by_draw[baseline]).dropna()
            error = d.std() / max(len(d), 1) ** 0.5
            cell = f"{d.mean():+.3f} ± {error:.3f}, {(d > 0).sum()} of {len(d)}" if len(d) else "no reference runs"
            lines.setdefault(f"{method} minus {baseline}", {})[metric] = cell if method != baseline else ""
    return pd.DataFrame(lines).T


def band(method: str, metric: str, dataset: Dataset) -> tuple[float, float]:
    """The span of the reference runs of a method, widened by what a change of machine does to one run."""
    values = [row[metric] for row in reference(dataset) if row["method"] == method]
    if not values:
        raise LookupError(f"there are no reference runs of {method} on {dataset.name}")
    return min(values) - PLATFORM_TOLERANCE[metric], max(values) + PLATFORM_TOLERANCE[metric]


def within(method: str, metric: str, value: float, dataset: Dataset) -> str:
    """A line that stays the same while `value` lies in the reference band, and says OUTSIDE with the value if not."""
    try:
        low, high = band(method, metric, dataset)
    except LookupError as error:
        return f"{metric} of {method} has no reference band: {error}"
    if low <= value <= high:
        return f"{metric} of {method} is inside the reference band {low:.2f} to {high:.2f}"
    return f"{metric} of {method} is OUTSIDE the reference band {low:.2f} to {high:.2f}: {value:.3f}"
