"""The README's table of results is what the shipped reference runs give."""

from course_utils import ROOT, results

METRICS = ["AUC", "ACC", "macro-F1", "balanced ACC"]


def result_lines() -> list[str]:
    """One line of the table for each method whose runs have the baseline's labels and steps, in the order of recording."""
    rows = results.read_runs(results.shipped_file("dermamnist"))
    rows = rows[(rows["network"] == "SimpleCNN") & (rows["budget"] == 500)]
    baseline = rows[rows["method"] == "supervised"].set_index("draw")
    alike = rows[
        rows["draw"].isin(baseline.index)
        & (rows["steps"] == 1600)
        & ~rows["method"].str.contains("lesson 09|committee without|by a quarter")
    ]
    lines = []
    for method, group in alike.groupby("method", sort=False):
        scores = [f"{group[name].mean():.3f} ± {group[name].std():.3f}" for name in METRICS]
        d = (group.set_index("draw")["macro-F1"] - baseline["macro-F1"]).dropna()
        paired = f"{d.mean():+.3f} ± {d.std() / len(d) ** 0.5:.3f} ({(d > 0).sum()}/{len(d)})"
        lines.append(f"| {method} | {' | '.join(scores)} | {'' if method == 'supervised' else paired} |")
    return lines


def test_the_table_of_results_is_that_of_the_reference_runs():
    readme = (ROOT / "README.md").read_text()
    missing = [line for line in result_lines() if line not in readme]
    assert not missing, "lines to put into README.md:\n" + "\n".join(missing)
