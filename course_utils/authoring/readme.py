"""The README's tables of results, made from the shipped runs.

Above each table stands a line that says what it holds, such as `<!-- methods: dermamnist, SimpleCNN, 500 -->` or
`<!-- by labels: digits, SimpleCNN, ACC -->`. A number at its end is that of the steps, if not the lessons'.
"""

import re
from pathlib import Path

import pandas as pd

from course_utils import ROOT, results
from course_utils.benchmarks import lessons as benchmark
from course_utils.settings import TAUGHT_STEPS

README = ROOT / "README.md"
TABLE = re.compile(r"(<!-- (methods|by labels): (\w+), (\w+), (\S+?)(?:, (\d+))? -->\n\n)(?:\|.*\n)*")
SPEED = re.compile(r"(<!-- speed -->\n\n)(?:\|.*\n)*")
METRICS = ["AUC", "ACC", "macro-F1", "balanced ACC"]
IN_LESSON_09_ONLY = "committee without|by a quarter"  # lines that only lesson 09 discusses


def with_tables(text: str) -> str:
    """The text, each of its tables made anew."""
    return TABLE.sub(lambda found: found[1] + _made(*found.groups()[1:]), text)


def renew() -> Path:
    """Bring the README's tables up to the shipped runs."""
    README.write_text(with_tables(README.read_text()))
    return README


def _made(kind: str, dataset: str, network: str, what: str, steps: str | None) -> str:
    rows = results.read_runs(results.shipped_file(dataset))
    rows = rows[(rows["network"] == network) & (rows["steps"] == int(steps or TAUGHT_STEPS))]
    rows = rows[~rows["method"].str.contains(IN_LESSON_09_ONLY)]
    table = by_method(rows[rows["num_labels"] == int(what)]) if kind == "methods" else by_labels(rows, what)
    return markdown(table.rename_axis("method"))


def markdown(table: pd.DataFrame) -> str:
    """A table of texts as Markdown, with its index as the first column."""
    lines = [[table.index.name, *table.columns], ["---"] * (1 + len(table.columns)), *table.reset_index().to_numpy()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def put_speed(table: pd.DataFrame) -> Path:
    """Put the table of speed below its mark."""
    README.write_text(SPEED.sub(lambda found: found[1] + markdown(table), README.read_text()))
    return README


def by_method(rows: pd.DataFrame, baselines: tuple[str, ...] = ("supervised",)) -> pd.DataFrame:
    """One line for each method that has the first baseline's label splits: mean (sd), and the paired gains in macro-F1 ± error."""
    of_baseline = rows.loc[rows["method"] == baselines[0], "label_split"]
    rows = rows[rows["label_split"].isin(of_baseline)]
    columns = {name: results.paired(rows, metric=name) for name in METRICS}
    gains = {baseline: results.paired(rows, baseline) for baseline in baselines}
    lines = {
        method: [
            *(columns[name][method].score for name in METRICS),
            *(gains[baseline][method].against for baseline in baselines),
        ]
        for method in rows["method"].unique()
    }
    return pd.DataFrame.from_dict(
        lines, "index", columns=[*METRICS, *(f"macro-F1 minus {baseline}" for baseline in baselines)]
    )


def by_labels(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One line for each method with several numbers of labels: mean (sd), and the paired gain ± its error."""
    table = benchmark.table(
        rows[rows["label_split"].isin(rows.loc[rows["method"] == "supervised", "label_split"])], metric
    )
    several = table[(table != "").sum(axis=1) > 1].sort_index(axis=1)
    return several.set_axis([f"{num_labels:,} labels" for _, _, num_labels, _ in several], axis=1)
