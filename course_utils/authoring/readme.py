"""The README's tables of results, made from the shipped runs.

Above each table stands a line that says what it holds, such as `<!-- one budget: dermamnist, SimpleCNN, 500 -->` or
`<!-- all budgets: digits, SimpleCNN, ACC -->`. A number at its end is that of the steps, if not the lessons' 1,600.
"""

import re
from pathlib import Path

import pandas as pd

from course_utils import ROOT, results
from course_utils.authoring import benchmark

README = ROOT / "README.md"
TABLE = re.compile(r"(<!-- (one budget|all budgets): (\w+), (\w+), (\S+?)(?:, (\d+))? -->\n\n)(?:\|.*\n)*")
SPEED = re.compile(r"(<!-- speed -->\n\n)(?:\|.*\n)*")
METRICS = ["AUC", "ACC", "macro-F1", "balanced ACC"]
BESIDE = "committee without|by a quarter"  # lines that only lesson 09 discusses


def with_tables(text: str) -> str:
    """The text, each of its tables made anew."""
    return TABLE.sub(lambda found: found[1] + _made(*found.groups()[1:]), text)


def renew() -> Path:
    """Bring the README's tables up to the shipped runs."""
    README.write_text(with_tables(README.read_text()))
    return README


def _made(kind: str, dataset: str, network: str, what: str, steps: str | None) -> str:
    rows = results.read_runs(results.shipped_file(dataset))
    rows = rows[(rows["network"] == network) & (rows["steps"] == int(steps or 1600))]
    rows = rows[~rows["method"].str.contains(BESIDE)]
    table = one_budget(rows[rows["num_labels"] == int(what)]) if kind == "one budget" else all_budgets(rows, what)
    return markdown(table.rename_axis("method"))


def markdown(table: pd.DataFrame) -> str:
    """A table of texts as Markdown, with its index as the first column."""
    lines = [[table.index.name, *table.columns], ["---"] * (1 + len(table.columns)), *table.reset_index().to_numpy()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def put_speed(table: pd.DataFrame) -> Path:
    """Put the table of speed below its mark."""
    README.write_text(SPEED.sub(lambda found: found[1] + markdown(table), README.read_text()))
    return README


def one_budget(rows: pd.DataFrame, baselines: tuple[str, ...] = ("supervised",)) -> pd.DataFrame:
    """One line for each method that has the first baseline's draws: mean ± sd, and the paired differences in macro-F1."""
    scores = {name: rows[rows["method"] == name].set_index(results.PAIR)["macro-F1"] for name in baselines}
    same_draws = rows["label_split"].isin(scores[baselines[0]].index.get_level_values("label_split"))
    lines = {}
    for method, group in rows[same_draws].groupby("method", sort=False):
        lines[method] = [f"{group[name].mean():.3f} ± {group[name].std():.3f}" for name in METRICS]
        for baseline, score in scores.items():
            d = (group.set_index(results.PAIR)["macro-F1"] - score).dropna()
            gain = f"{d.mean():+.3f} ± {d.std() / len(d) ** 0.5:.3f} ({(d > 0).sum()}/{len(d)})"
            lines[method].append("" if method == baseline else gain)
    columns = [*METRICS, *(f"macro-F1 minus {baseline}" for baseline in baselines)]
    return pd.DataFrame.from_dict(lines, "index", columns=columns)


def all_budgets(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One line for each method with several numbers of labels: mean ± sd, and the paired difference ± its error."""
    table = benchmark.table(rows[rows["label_split"].isin(rows.loc[rows["method"] == "supervised", "label_split"])], metric)
    several = table[(table != "").sum(axis=1) > 1].sort_index(axis=1)
    several = several.replace(r" \(5\)", "", regex=True)  # all that ships has five draws
    return several.set_axis([f"{num_labels:,} labels" for _, _, num_labels, _ in several], axis=1)
