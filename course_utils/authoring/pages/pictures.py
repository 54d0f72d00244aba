"""Pictures of the pages: each is drawn from the shipped runs, and says in words what it shows."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from course_utils import looks, plots, results
from course_utils.authoring.pages.experiments import BASELINE, SHOWN, Experiment
from course_utils.authoring.pages.tables import signed

WIDEST = 11  # inches of a picture: wider ones are small print on a page


class Panel(NamedTuple):
    """What a panel of gains is drawn from."""

    rows: pd.DataFrame
    metric: str
    baseline: str = BASELINE


def panel(experiment: Experiment, metric: str | None = None, baseline: str = BASELINE) -> Panel:
    return Panel(experiment.every, metric or experiment.metric, baseline)


@dataclass
class Picture:
    """A dot plot of paired gains, one panel for each experiment or metric; methods best first in the last one."""

    title: str
    panels: Mapping[str, Panel]
    methods: Sequence[str] = tuple(SHOWN)
    names: Mapping[str, str] = field(default_factory=lambda: SHOWN)
    same_scale: bool = False

    def lines(self) -> dict[str, dict[str, results.Paired]]:
        """What is drawn, panel by panel."""
        found = {name: results.paired(one.rows, one.baseline, one.metric) for name, one in self.panels.items()}
        *_, last = found.values()
        order = sorted(self.methods, key=lambda method: -last[method].gain)
        return {name: {method: lines[method] for method in order} for name, lines in found.items()}

    @property
    def alt(self) -> str:
        parts = []
        for name, lines in self.lines().items():
            ordered = sorted(lines.items(), key=lambda item: -item[1].gain)
            said = [f"{self.names.get(method, method)} {signed(f'{line.gain:+.3f}')}" for method, line in ordered]
            parts.append(f"{name}: {', '.join(said)}.")
        baselines = dict.fromkeys(_known(one.baseline) for one in self.panels.values())
        return f"Dot plot of gains over {' and '.join(baselines)}. In {' In '.join(parts)}"

    def draw(self) -> Figure:
        """By `plots.gains`, for which each panel is a metric of its own."""
        order = [self.names.get(method, method) for method in next(iter(self.lines().values()))]
        rows = pd.concat(
            one.rows[one.rows["method"].isin([one.baseline, *self.methods])][["method", *results.PAIR, one.metric]]
            .rename(columns={one.metric: name})
            .replace({"method": {one.baseline: "the baseline"} | dict(self.names)})
            for name, one in self.panels.items()
        )
        figure = plots.gains(rows, order, list(self.panels), baseline="the baseline")
        figure.set_figwidth(min(figure.get_figwidth(), WIDEST))
        limits = [limit for ax in figure.axes for limit in ax.get_xlim()]
        for ax in figure.axes:
            ax.locator_params(axis="x", nbins=5)
            if self.same_scale:
                ax.set_xlim(min(limits), max(limits))
        plots.head(figure, self.title)
        return figure


def _known(baseline: str) -> str:
    return "the supervised baseline" if baseline == BASELINE else baseline


class Line(NamedTuple):
    """A line of a `Dots` picture: what is drawn large (filled or not), its single runs, what it is compared with, and words at the right."""

    name: str
    method: str  # whose look it has
    value: float
    single: Sequence[float] = ()
    filled: bool = True
    other: float | None = None
    words: Sequence[str] = ()


@dataclass
class Dots:
    """Values on lines, in groups below each other or side by side; dashed strokes for what to compare with."""

    title: str
    xlabel: str
    groups: Mapping[str, Sequence[Line]]
    says: str  # what marks are, in a sentence
    heads: Sequence[str] = ()  # over the words at the right
    strokes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # group -> name -> value
    side_by_side: bool = False
    same_scale: bool = False  # from 0 on
    decimals: int = 2

    @property
    def alt(self) -> str:
        parts = []
        for group, lines in self.groups.items():
            said = [self._said(line) for line in lines]
            dashed = [
                f"{name} {value:.{self.decimals}f}, dashed" for name, value in self.strokes.get(group, {}).items()
            ]
            parts.append(f"{group}: {'; '.join(said + dashed)}." if group else f"{'; '.join(said + dashed)}.")
        return f"{self.says} {' '.join(parts)}"

    def _said(self, line: Line) -> str:
        said = f"{line.name} {line.value:.{self.decimals}f}"
        if line.other is not None:
            said += f" (hollow {line.other:.{self.decimals}f})"
        elif not line.filled:
            said += " (hollow)"
        return said + "".join(
            f", {' '.join(head.split())} {words}" for head, words in zip(self.heads, line.words) if words
        )

    def draw(self) -> Figure:
        sizes = [len(lines) for lines in self.groups.values()]
        longest = max(len(line.name) for lines in self.groups.values() for line in lines)
        room = 1 + 0.075 * longest + 0.9 * len(self.heads)
        if self.side_by_side:
            size = (min(WIDEST, room + 2.9 * len(sizes)), 1.3 + 0.3 * max(sizes))
            figure, axes = plt.subplots(1, len(sizes), squeeze=False, sharey=True, figsize=size)
        else:
            size = (min(WIDEST, max(7, room + 4)), 0.9 + 0.45 * len(sizes) + 0.27 * sum(sizes))
            figure, axes = plt.subplots(len(sizes), 1, squeeze=False, height_ratios=sizes, figsize=size)
        for ax, (group, lines) in zip(axes.flat, self.groups.items()):
            self._draw(ax, group, lines)
        if self.same_scale:
            most = max(ax.get_xlim()[1] for ax in axes.flat)
            for ax in axes.flat:
                ax.set_xlim(0, most)
        plots.head(figure, self.title)
        figure.supxlabel(self.xlabel, fontsize=9, color=looks.INK)
        return figure

    def _draw(self, ax: Axes, group: str, lines: Sequence[Line]) -> None:
        for place, line in enumerate(lines):
            color, marker = looks.look(line.method)
            ax.axhline(place, color="#E5E7EA", linewidth=0.6, marker="", linestyle="-", zorder=0)
            ax.plot(line.single, [place + 0.22] * len(line.single), ls="", marker=marker, ms=3, alpha=0.5, color=color)
            if line.other is not None:
                ax.plot([line.other, line.value], [place, place], "-", marker="", color=color, linewidth=1)
                ax.plot(line.other, place, ls="", marker=marker, ms=7, color=color, markerfacecolor="white")
            fill = color if line.filled else "white"
            ax.plot(line.value, place, ls="", marker=marker, ms=8, color=color, markerfacecolor=fill)
            for column, words in enumerate(line.words):
                _beside(ax, column, place, words)
        for column, head in enumerate(self.heads):
            _beside(ax, column, -1, head)
        for name, value in self.strokes.get(group, {}).items():
            ax.axvline(value, color=looks.INK, linestyle="--", linewidth=1, marker="", zorder=0)
            ax.text(value, -0.62, f" {name}", fontsize=8, color=looks.INK, va="bottom", ha="left")
        ax.set_ylim(len(lines) - 0.4, -0.75)
        ax.set_yticks(range(len(lines)), [line.name for line in lines], fontsize=9)
        ax.locator_params(axis="x", nbins=5)
        if group:
            ax.set_title(group, fontsize=10, pad=14 if self.strokes.get(group) else 6)


def _beside(ax: Axes, column: int, place: float, words: str) -> None:
    """Words at the right of the axes, in points from their edge: the layout then knows how much room they need."""
    ax.annotate(
        words,
        (1, place),
        (8 + 48 * column, 0),
        xycoords=ax.get_yaxis_transform(),
        textcoords="offset points",
        va="center" if place >= 0 else "bottom",
        fontsize=8,
        color=looks.INK,
        annotation_clip=False,
    )


@dataclass
class Curves:
    """Means over the numbers of labels with their standard errors, one panel for each metric; a dotted line from one point on."""

    title: str
    rows: pd.DataFrame  # with num_labels
    methods: Sequence[str]
    metrics: Sequence[str]
    worth: str  # the method whose score with `at` labels is dotted
    at: int

    def means(self, metric: str) -> pd.DataFrame:
        """(number of labels, method) -> mean and standard error."""
        groups = self.rows[self.rows["method"].isin(self.methods)].groupby(["method", "num_labels"])[metric]
        return pd.DataFrame({"mean": groups.mean(), "sem": groups.sem()})

    @property
    def alt(self) -> str:
        parts = []
        for metric in self.metrics:
            means = self.means(metric)["mean"]
            told = [
                f"{method} {', '.join(f'{value:.3f} with {n:,}' for n, value in means[method].items())}"
                for method in self.methods
            ]
            parts.append(f"{metric}: {'; '.join(told)}.")
        return f"Curves over the number of labels. {' '.join(parts)} Dotted: the score of {self.worth} with {self.at} labels."

    def draw(self) -> Figure:
        figure, axes = plt.subplots(1, len(self.metrics), figsize=(WIDEST, 3.9), squeeze=False)
        for ax, metric in zip(axes[0], self.metrics):
            means = self.means(metric)
            for place, method in enumerate(self.methods):
                curve, (color, marker) = means.loc[method], looks.look(method)
                style = plots.LINES[place % 2] if method.startswith("supervised") else "-"
                ax.plot(curve.index, curve["mean"], style, marker=marker, color=color, label=method)
                low, high = curve["mean"] - curve["sem"], curve["mean"] + curve["sem"]
                ax.fill_between(curve.index, low, high, color=color, alpha=0.12, linewidth=0)
            reached = means.loc[(self.worth, self.at), "mean"]
            ax.axhline(reached, color="0.5", linestyle=":", marker="", linewidth=1)
            ticks = sorted(self.rows["num_labels"].unique())
            ax.set(xscale="log", xlabel="labels", title=metric)
            ax.set_xticks(ticks, [f"{n:,}" for n in ticks], rotation=45)
            ax.minorticks_off()
            plots.label_ends(ax)
        plots.head(figure, self.title)
        return figure


@dataclass
class Chances:
    """How often one run of the line's method beats one run of the column's."""

    title: str
    scores: Mapping[str, Sequence[float]]  # by method

    def fractions(self) -> pd.DataFrame:
        """(line, column) -> the fraction of pairs of runs that the line's method wins."""
        return pd.DataFrame(
            {
                column: {line: float(np.greater.outer(mine, theirs).mean()) for line, mine in self.scores.items()}
                for column, theirs in self.scores.items()
            }
        )

    @property
    def alt(self) -> str:
        told = [
            f"{line} beats {column} in {value:.0%}"
            for line, row in self.fractions().iterrows()
            for column, value in row.items()
            if line != column and value > 0.5
        ]
        return f"Table of shades: how often one run of a method beats one run of another. {'; '.join(told)}."

    def draw(self) -> Figure:
        fractions = self.fractions()
        np.fill_diagonal(shades := fractions.to_numpy(copy=True), np.nan)
        figure, ax = plt.subplots(figsize=(7.6, 4.4))
        ax.imshow(shades, cmap="RdBu_r", vmin=0, vmax=1, aspect="auto", alpha=0.55)
        for i, j in np.ndindex(shades.shape):
            if i != j:
                ax.text(j, i, f"{shades[i, j]:.0%}", ha="center", va="center", fontsize=9)
        names = [SHOWN.get(name, name) for name in fractions]
        ax.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
        ax.set_yticks(range(len(names)), names)
        plots.head(figure, self.title)
        return figure


@dataclass
class Recalls:
    """The recall of each class, mean over the label splits."""

    title: str
    rows: pd.DataFrame
    methods: Sequence[str]
    class_names: Sequence[str]

    def means(self) -> dict[str, np.ndarray]:
        of = self.rows["recall"].str.split().map(lambda words: np.array(words, dtype=float))
        return {method: np.mean(of[self.rows["method"] == method].tolist(), axis=0) for method in self.methods}

    @property
    def alt(self) -> str:
        told = [
            f"{method}: {', '.join(f'{name} {value:.2f}' for name, value in zip(self.class_names, values))}."
            for method, values in self.means().items()
        ]
        return f"Bars of the recall of each class. {' '.join(told)}"

    def draw(self) -> Figure:
        return plots.class_bars(self.means(), self.class_names, "recall", title=self.title)


class Drawing(Protocol):
    """What all pictures have."""

    title: str

    @property
    def alt(self) -> str: ...

    def draw(self) -> Figure: ...


def note(picture: Drawing) -> str:
    """All that a picture says, in words."""
    return f"{picture.title}. {picture.alt}"


def save(picture: Drawing, path: Path) -> None:
    """The picture as a PNG that carries in words what is drawn, by which a test sees that it is not an old one."""
    words = PngInfo()
    words.add_text("Description", json.dumps(note(picture)))  # ASCII: viewers differ in what they take besides
    with Image.open(io.BytesIO(plots.png(picture.draw()))) as image:
        image.save(path, pnginfo=words, optimize=True)


def drawn_in(path: Path) -> str:
    """What a picture says that it shows."""
    with Image.open(path) as image:
        return json.loads(image.info["Description"])
