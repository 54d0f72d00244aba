"""Figures that read without colour, each shown with a text for those who cannot see it."""

import base64
import html
import io
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from cycler import cycler
from IPython import get_ipython
from IPython.display import HTML, display
from ipywidgets import Widget
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from sklearn.isotonic import isotonic_regression

from course_utils import looks, results, settings
from course_utils.evaluation import Scores

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
LINES = ["-", "--", "-.", ":"]
LABEL_SIZE = 9  # points
plt.rcParams.update(
    {
        "figure.dpi": 80,
        "figure.constrained_layout.use": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "figure.titlesize": 11,
        "figure.titleweight": "bold",
        "axes.prop_cycle": cycler(color=looks.SHADES, linestyle=LINES, marker=looks.CLASS_MARKERS[:4]),
        "lines.markersize": 5,
        "hatch.linewidth": 1.5,
    }
)


def png(figure: Figure, scale: float = 2.0) -> bytes:
    """The figure as a PNG with `scale` pixels for each pixel of the page, in few bytes; closes the figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=scale * figure.dpi)
    plt.close(figure)
    small = io.BytesIO()
    with Image.open(buffer) as image:
        image.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
            small, "PNG", optimize=True
        )
    return small.getvalue()


def show(figure: Figure, alt: str, live: Callable[[], Widget] | None = None) -> None:
    """Display a figure as an image with alternative text, and close it. ValueError for a text too short to help.

    The text goes into the image's metadata, where exporters look for it. JupyterLab does not, so it also stands under
    the figure, folded up. In a live notebook the widget that `live` makes takes the figure's place; wherever there are no widgets
    (GitHub, the site, a notebook that is executed by a program) the figure is what is seen.
    """
    if len(alt.split()) < 5:
        raise ValueError("the alternative text must say what the figure shows, in a sentence")
    width = round(figure.get_figwidth() * figure.dpi)
    image = base64.b64encode(png(figure)).decode()
    data: dict[str, Any] = {"image/png": image, "text/plain": alt}
    if live is not None and settings.WIDGETS and get_ipython() is not None:
        # By hand, since Colab has ipywidgets 7, whose widgets cannot say it themselves
        data[WIDGET_VIEW] = {"version_major": 2, "version_minor": 0, "model_id": live().model_id}
    display(data, metadata={"image/png": {"alt": alt, "width": width}}, raw=True)
    display(HTML(f"<details><summary>The figure in words</summary>{html.escape(alt)}</details>"))


def image_grid(
    rows: list, row_titles: list[str], column_titles: list[str] | None = None, scale: float = 1.0, title: str = ""
) -> Figure:
    """Images in rows; each row holds (H, W, C) uint8 arrays or (C, H, W) float tensors in [-1, 1]."""
    width = max(len(row) for row in rows)
    figure, axes = plt.subplots(len(rows), width, figsize=(scale * (width + 1), scale * len(rows)), squeeze=False)
    for row, (images, row_title) in enumerate(zip(rows, row_titles)):
        for column in range(width):
            ax = axes[row, column]
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            if column < len(images):
                ax.imshow(displayable(images[column]), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            if row == 0 and column_titles is not None:
                ax.set_title(column_titles[column], fontsize=9, fontweight="normal", loc="center")
        axes[row, 0].set_ylabel(row_title, rotation=0, ha="right", va="center", fontsize=9)
    if title:
        figure.set_figheight(figure.get_figheight() + 0.35)
        head(figure, title)
    return figure


def head(figure: Figure, title: str) -> None:
    """A title over the whole figure, from its left edge, in two lines where one is too short."""
    figure.suptitle(title, x=0.01, ha="left", wrap=True)


def displayable(image) -> np.ndarray:
    """(H, W) or (H, W, 3) floats in [0, 1], as matplotlib wants them, of a uint8 array (H, W, C) or a tensor (C, H, W) in [-1, 1]."""
    if isinstance(image, torch.Tensor):
        image = (image.detach().cpu().permute(1, 2, 0).numpy() + 1) / 2
    elif image.dtype == np.uint8:
        image = image / 255
    return image.clip(0, 1).squeeze()


def smooth(values: list[float], window: int = 50) -> np.ndarray:
    """Running mean of a noisy curve, shorter by `window` - 1; windows holding a nan are averaged over the rest."""
    views = np.lib.stride_tricks.sliding_window_view(np.asarray(values, dtype=float), min(window, len(values)))
    known = ~np.isnan(views)
    return np.where(known.any(1), np.where(known, views, 0).sum(1) / known.sum(1).clip(1), np.nan)


def curves(
    named: dict[str, list[float]], ylabel: str, window: int = 50, title: str = "", ylim: tuple | None = None
) -> Figure:
    """Smoothed training curves over the steps, each with its name at its end; a method has its look."""
    figure, ax = plt.subplots(figsize=(7, 3))
    for place, ((name, values), style) in enumerate(zip(named.items(), cycle(LINES))):
        line = smooth(values, window)
        steps = np.arange(len(line)) + len(values) - len(line)
        own = looks.look(name, place)._asdict()
        ax.plot(steps, line, label=name, linestyle=style, markevery=max(1, len(line) // 8), **own)
    ax.set(xlabel="step", ylabel=ylabel, ylim=ylim, title=title)
    label_ends(ax)
    return figure


def label_ends(ax: Axes) -> None:
    """Write the label of each line beside its end, in place of a legend. Call it last: the limits of the axes decide where."""
    figure = _figure_of(ax)
    figure.draw_without_rendering()  # the layout decides how high the axes are
    lines = [line for line in ax.get_lines() if not str(line.get_label()).startswith("_")]
    points = [(line, np.asarray(line.get_xydata(), dtype=float)) for line in lines]
    known = [(line, xy[np.isfinite(xy).all(1)]) for line, xy in points]
    ends = [(line, line.get_transform().transform(xy[-1])) for line, xy in known if len(xy)]
    places = ax.transAxes.inverted().transform([end for _, end in ends])
    line_height = 1.25 * LABEL_SIZE / 72 * figure.dpi / ax.bbox.height
    for (line, _), place, height in zip(ends, places, spread(places[:, 1], line_height)):
        leader = {"arrowstyle": "-", "color": line.get_color(), "lw": 0.6, "alpha": 0.6, "shrinkA": 0, "shrinkB": 3}
        ax.annotate(
            str(line.get_label()),
            tuple(place),
            (1.03, height),
            xycoords="axes fraction",
            va="center",
            color=looks.INK,
            fontsize=LABEL_SIZE,
            arrowprops=leader | {"relpos": (0, 0.5)},
        )


def spread(places: np.ndarray, least: float) -> np.ndarray:
    """The places, in their order, moved as little as possible (in squares) until no two are nearer than `least`."""
    places = np.asarray(places, dtype=float)
    order, steps = np.argsort(places, kind="stable"), least * np.arange(len(places))
    moved = np.empty(len(places))
    moved[order] = isotonic_regression(places[order] - steps) + steps
    return moved


def class_bars(named: dict[str, np.ndarray], class_names: Sequence[str], ylabel: str, title: str = "") -> Figure:
    """Grouped bars, one group per class; hatches tell the series apart without colour, and n/a stands for nan."""
    figure, ax = plt.subplots(figsize=(7, 3))
    width, hatches = 0.8 / len(named), ["", "//", "..", "xx"]
    for i, (name, values) in enumerate(named.items()):
        at = np.arange(len(class_names)) + (i - (len(named) - 1) / 2) * width
        ax.bar(at, values, width, label=name, hatch=hatches[i % 4], edgecolor="white", color=looks.look(name, i).color)
        for x in at[np.isnan(values)]:
            ax.text(x, 0, "n/a", rotation=90, ha="center", va="bottom", fontsize=8)
    ax.set(xticks=range(len(class_names)), xticklabels=class_names, ylabel=ylabel)
    ax.set_title(title, pad=24)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(named), frameon=False, borderaxespad=0.2)
    return figure


def confusion(scores: Scores, class_names: Sequence[str], title: str = "") -> Figure:
    """The confusion matrix: counts written in, the shade is the fraction of the true class (of the row)."""
    figure, ax = plt.subplots(figsize=(4.8, 4.2))
    fractions = scores.confusion / scores.confusion.sum(1, keepdims=True).clip(1)
    ax.imshow(fractions, cmap="Greys", vmin=0, vmax=1)
    for i, j in np.ndindex(fractions.shape):
        ink = "white" if fractions[i, j] > 0.5 else "black"
        ax.text(j, i, str(scores.confusion[i, j]), ha="center", va="center", fontsize=8, color=ink)
    n = range(len(class_names))
    ax.set(xticks=n, xticklabels=class_names, yticks=n, yticklabels=class_names)
    ax.set(xlabel="predicted (shade: fraction of the row)", ylabel="true")
    head(figure, title)
    return figure


def _figure_of(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    assert figure is not None  # axes that were just drawn into
    return figure


def show_gains(
    rows: list[dict] | pd.DataFrame,
    methods: Sequence[str] | None = None,
    metric: str | Sequence[str] = "macro-F1",
    baseline: str = "supervised",
) -> None:
    """Show the dot plot of `gains` with its text; a line that says so where no two runs can be paired."""
    try:
        show(gains(rows, methods, metric, baseline), gains_in_words(rows, methods, metric, baseline))
    except LookupError as error:
        print(error.args[0])


def gains(
    rows: list[dict] | pd.DataFrame,
    methods: Sequence[str] | None = None,
    metric: str | Sequence[str] = "macro-F1",
    baseline: str = "supervised",
) -> Figure:
    """Dot plot of paired gains over the baseline, which stands at 0: a line per method, a panel per metric.

    `rows` are runs as `results.reference` or `results.recorded` give them, `methods` the ones to draw (default: all that have a pair).
    Large marks are means, bars their standard errors, small marks the single pairs; at the right, in how many pairs the method is above.
    LookupError if no method has a run with the label split and seed of one of the baseline.
    """
    found = _pairs(rows, methods, metric, baseline)
    shown = list(methods or next(iter(found.values())))
    size = (max(6.6, 1 + 0.075 * max(map(len, shown)) + 2.6 * len(found)), 1.3 + 0.3 * len(shown))
    figure, axes = plt.subplots(1, len(found), sharey=True, squeeze=False, figsize=size)
    for ax, (name, pairs) in zip(axes[0], found.items()):
        ax.axvline(0, color=looks.INK, linewidth=0.8, linestyle="-", marker="")
        _at_right(ax, -0.75, "wins")
        for place, method in enumerate(shown):
            _gain(ax, place, method, pairs.get(method))
        ax.set(xlabel=f"gain in {name}{_where(rows)}", ylim=(len(shown) - 0.5, -0.5))
        ax.locator_params(axis="x", nbins=4)
    axes[0, 0].set_yticks(range(len(shown)), shown)
    head(figure, f"Gain{_of(metric)} over {_known(baseline)}, {_num_pairs(found)}")
    figure.supxlabel("large: mean ± standard error, small: single pairs", fontsize=8, color=looks.INK)
    return figure


def _gain(ax: Axes, place: int, method: str, pairs: pd.Series | None) -> None:
    if pairs is None:
        _at_right(ax, place, "no runs")
        return
    color, marker = looks.look(method)
    ax.plot(pairs, [place + 0.25] * len(pairs), color=color, marker=marker, linestyle="", alpha=0.5, markersize=3)
    error = pairs.sem() if len(pairs) > 1 else None
    filling = color if method in looks.METHODS else looks.PAPER  # a variant of a method is hollow
    ax.errorbar(pairs.mean(), place, xerr=error, fmt=marker, color=color, mfc=filling, markersize=7, capsize=3)
    _at_right(ax, place, f"{(pairs > 0).sum()} of {len(pairs)}")


def _at_right(ax: Axes, place: float, words: str) -> None:
    ax.text(1.02, place, words, transform=ax.get_yaxis_transform(), fontsize=LABEL_SIZE, color=looks.INK, va="center")


def gains_in_words(
    rows: list[dict] | pd.DataFrame,
    methods: Sequence[str] | None = None,
    metric: str | Sequence[str] = "macro-F1",
    baseline: str = "supervised",
) -> str:
    """What `gains` shows, in words."""
    found = _pairs(rows, methods, metric, baseline)
    parts = []
    for name in found:
        lines = results.paired(rows, baseline, name)
        shown = methods or found[name]
        told = [f"{one}: {lines[one].against if one in found[name] else 'no runs'}" for one in shown]
        parts.append(f"{name}: " + "; ".join(told))
    return (
        f"Dot plot of the gain over {_known(baseline)}{_where(rows)}, {_num_pairs(found)}: mean ± standard error, "
        f"and the pairs in which the method is above. " + ". ".join(parts) + "."
    )


def _pairs(rows, methods, metric, baseline) -> dict[str, dict[str, pd.Series]]:
    metrics = [metric] if isinstance(metric, str) else metric
    found = {name: results.differences(rows, baseline, name) for name in metrics}
    found = {
        name: {one: d for one, d in pairs.items() if not methods or one in methods} for name, pairs in found.items()
    }
    if not all(found.values()):
        raise LookupError(
            f"no gains to draw: no run of {', '.join(methods or ['any method'])} has the label split of a run of {baseline}"
        )
    return found


def _of(metric: str | Sequence[str]) -> str:
    return f" in {metric}" if isinstance(metric, str) else ""


def _known(baseline: str) -> str:
    return "the supervised baseline" if baseline == "supervised" else baseline


def _num_pairs(found: dict[str, dict[str, pd.Series]]) -> str:
    pairs = {pair for lines in found.values() for d in lines.values() for pair in d.index}
    label_splits = {label_split for label_split, _ in pairs}
    what = "label split" if len(label_splits) == len(pairs) else "pair"
    return f"{len(pairs)} {what}{'s' if len(pairs) > 1 else ''}"


def _where(rows: list[dict] | pd.DataFrame) -> str:
    names = pd.DataFrame(rows).get("dataset", pd.Series(dtype=str)).dropna().unique()
    return f" on {' and '.join(names)}" if len(names) else ""
