"""A leaderboard of single runs: what the order of the methods is worth if each was run once."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from ipywidgets import IntSlider
from matplotlib.figure import Figure

from course_utils import looks
from course_utils.widgets.player import INK, LIGHT, canvas, play

NUM_LABS = 30
WIDTH, ROW = 3.2, 0.32  # inches


def one_run_each(
    rows: list[dict] | pd.DataFrame, methods: Sequence[str], metric: str = "macro-F1", lab: int = 1
) -> None:
    """Play with chance: each position of the slider is a lab that shows one run of every method.

    `rows` are runs as `results.reference` gives them. A lab picks one run of each method at random, always the same. Small marks are all
    runs, the large one is the lab's; at the right, in how many of the thirty labs the method comes first. ValueError if a method has no run.
    """
    frame = pd.DataFrame(rows, columns=["method", metric]).dropna()
    runs = {method: frame.loc[frame["method"] == method, metric].to_numpy(float) for method in methods}
    if missing := [method for method, values in runs.items() if not len(values)]:
        raise ValueError(f"there is no run of {missing[0]} with {metric}: hand in rows that have one")
    picked = pd.DataFrame(
        [
            {
                method: values[np.random.default_rng([n, place]).integers(len(values))]
                for place, (method, values) in enumerate(runs.items())
            }
            for n in range(NUM_LABS)
        ],
        index=range(1, NUM_LABS + 1),
    )
    first = picked.idxmax(axis=1).value_counts().reindex(list(methods), fill_value=0)
    low, high = min(map(np.min, runs.values())), max(map(np.max, runs.values()))
    left = 0.6 + 0.075 * max(map(len, runs))
    right = left + WIDTH + 0.35

    def at(value):
        return left + WIDTH * (value - low) / max(high - low, 1e-9)

    def draw(lab: int) -> tuple[Figure, str]:
        board = picked.loc[lab].sort_values(ascending=False, kind="stable")
        title = f"Lab {lab} shows one run of each method and finds {board.index[0]} first"
        figure, ax = canvas(right + 1.3, 0.7 + ROW * len(board), title)
        ax.text(right, 0.48, f"first in … of {NUM_LABS} labs", size=8, color=INK)
        ax.text(left, 0.48, f"{metric}, {low:.2f} to {high:.2f} (large: the lab's)", size=8, color=INK)
        for place, (method, value) in enumerate(board.items()):
            y, own = 0.78 + ROW * place, looks.look(method)._asdict()
            ax.hlines(y, left, left + WIDTH, color=LIGHT, linewidth=0.8)
            ax.plot(at(runs[method]), [y] * len(runs[method]), linestyle="", markersize=3.5, alpha=0.45, **own)
            ax.plot(at(value), y, markersize=10, markeredgecolor="white", markeredgewidth=0.6, **own)
            ax.text(left - 0.15, y, f"{place + 1}. {method}", ha="right", va="center", size=9)
            ax.text(right, y, str(first[method]), va="center", size=9, weight="bold" if not place else None)
        order = ", ".join(f"{method} ({value:.3f})" for method, value in board.items())
        winners = ", ".join(f"{method} ({count})" for method, count in first.items() if count)
        return (
            figure,
            f"Lab {lab} of {NUM_LABS}, best first, in {metric}: {order}. First in how many of the labs: {winners}.",
        )

    play(draw, lab=(IntSlider, {"description": "lab", "value": lab, "min": 1, "max": NUM_LABS}))
