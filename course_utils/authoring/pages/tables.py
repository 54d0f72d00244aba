"""Tables of the pages, as Markdown: few columns, true minus signs; what is long is folded up."""

from collections.abc import Mapping, Sequence

import pandas as pd

from course_utils import results
from course_utils.benchmarks import lessons as benchmark

COLUMNS = ["AUC", "ACC", "macro-F1", "balanced ACC"]
FEW = ["AUC", "macro-F1"]  # on the methods' pages; the results have the others


def signed(number: str) -> str:
    """With a true minus sign."""
    return number.replace("-", "\N{MINUS SIGN}")


def markdown(table: pd.DataFrame) -> str:
    """A table of texts as Markdown, with its index as the first column."""
    lines = [[table.index.name, *table.columns], ["---"] * (1 + len(table.columns)), *table.reset_index().to_numpy()]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def folded(summary: str, text: str) -> str:
    """What only some want to see, folded up."""
    return f"<details><summary>{summary}</summary>\n\n{text}\n</details>\n"


def gains_table(
    rows: pd.DataFrame,
    methods: Sequence[str],
    metric: str,
    baseline: str,
    names: Mapping[str, str] | None = None,
    constant: str | None = None,
) -> str:
    """Method, mean of the metric, gain over the baseline ± its error, wins: the methods that have runs, best first.

    `constant` is what always answering the majority class scores.
    """
    found = results.paired(rows, baseline, metric)
    shown = sorted((method for method in methods if method in found), key=lambda method: -found[method].mean)
    cells = {
        (names or {}).get(method, method): [
            f"{found[method].mean:.3f}",
            signed(found[method].gained),
            found[method].won,
        ]
        for method in shown
    }
    if constant is not None:
        cells["majority class"] = [constant, "", ""]
    columns = [metric, f"gain over {(names or {}).get(baseline, baseline)}", "wins"]
    return markdown(pd.DataFrame.from_dict(cells, "index", columns=columns).rename_axis("method"))


def gains_by(
    experiments: Mapping[str, pd.DataFrame],
    methods: Sequence[str],
    metric: str,
    baseline: str,
    names: Mapping[str, str] | None = None,
) -> str:
    """One line for each method, one column for each experiment: the gain over the baseline ± its error."""
    columns = {}
    for name, rows in experiments.items():
        found = results.paired(rows, baseline, metric)
        columns[name] = {method: signed(found[method].gained) for method in methods if method in found}
    table = pd.DataFrame(
        columns, index=[method for method in methods if any(method in own for own in columns.values())]
    )
    return markdown(table.fillna("").rename(index=dict(names or {})).rename_axis("method"))


def scores_table(rows: pd.DataFrame) -> str:
    """The mean of every score, one line for each method in the order of the rows."""
    means = rows.groupby("method", sort=False)[COLUMNS].mean()
    return markdown(means.map(lambda value: f"{value:.3f}").rename_axis("method"))


def by_method(rows: pd.DataFrame, baselines: Sequence[str]) -> pd.DataFrame:
    """One line for each method that has the first baseline's label splits: mean (sd), and the paired gains in macro-F1 ± error."""
    of_baseline = rows.loc[rows["method"] == baselines[0], "label_split"]
    rows = rows[rows["label_split"].isin(of_baseline)]
    columns = {name: results.paired(rows, baselines[0], name) for name in FEW}
    gains = {baseline: results.paired(rows, baseline) for baseline in baselines}
    lines = {
        method: [
            *(columns[name][method].score for name in FEW),
            *(gains[baseline][method].against for baseline in baselines),
        ]
        for method in rows["method"].unique()
    }
    return pd.DataFrame.from_dict(
        lines, "index", columns=[*FEW, *(f"macro-F1 over {baseline}" for baseline in baselines)]
    )


def by_labels(rows: pd.DataFrame, metric: str, baseline: str = "supervised") -> pd.DataFrame:
    """One line for each method with several numbers of labels: mean (sd), and the paired gain ± its error."""
    table = benchmark.table(rows[rows["label_split"].isin(rows.loc[rows["method"] == baseline, "label_split"])], metric)
    several = table[(table != "").sum(axis=1) > 1].sort_index(axis=1)
    return several.set_axis([f"{num_labels:,} labels" for _, _, num_labels, _ in several], axis=1)
