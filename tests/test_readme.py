"""The README's tables of results are what the shipped runs give."""

import pandas as pd

from course_utils import ROOT, results

METRICS = ["AUC", "ACC", "macro-F1", "balanced ACC"]
BESIDE = "committee without|by a quarter"  # lines that only lesson 09 discusses


def result_lines(rows: pd.DataFrame) -> list[str]:
    """One line of a table for each method that has the baseline's draws, in the order of recording."""
    baseline = rows[rows["method"] == "supervised"].set_index("draw")
    alike = rows[rows["draw"].isin(baseline.index) & ~rows["method"].str.contains(BESIDE)]
    lines = []
    for method, group in alike.groupby("method", sort=False):
        scores = [f"{group[name].mean():.3f} ± {group[name].std():.3f}" for name in METRICS]
        d = (group.set_index("draw")["macro-F1"] - baseline["macro-F1"]).dropna()
        paired = f"{d.mean():+.3f} ± {d.std() / len(d) ** 0.5:.3f} ({(d > 0).sum()}/{len(d)})"
        lines.append(f"| {method} | {' | '.join(scores)} | {'' if method == 'supervised' else paired} |")
    return lines


def test_the_tables_of_results_are_those_of_the_shipped_runs():
    rows = results.read_runs(results.shipped_file("dermamnist"))
    rows = rows[rows["steps"] == 1600]
    readme = (ROOT / "README.md").read_text()
    for (network, budget), group in rows.groupby(["network", "budget"]):
        heading = f"{network}, {budget:,} labels"
        lines = result_lines(group)
        table = readme.partition(heading)[2].partition("\n\n| method")[2].partition("\n\n")[0]
        missing = [line for line in lines if line not in table]
        assert not missing, f"lines to put under '{heading}' in README.md:\n" + "\n".join(lines)
