"""Figures that read without colour, each shown with a text for those who cannot see it."""

import base64
import html
import io
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import torch
from cycler import cycler
from IPython import get_ipython
from IPython.display import HTML, display
from ipywidgets import Widget
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from course_utils import looks, settings
from course_utils.evaluation import Scores

LINES = ["-", "--", "-.", ":"]
plt.rcParams.update(
    {
        "figure.dpi": 80,
        "figure.constrained_layout.use": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.prop_cycle": cycler(color=looks.CLASSES[:7])
        + cycler(linestyle=[*LINES, *LINES[:3]])
        + cycler(marker=looks.CLASS_MARKERS[:7]),
        "lines.markersize": 5,
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
    data = {"image/png": image, "text/plain": alt}
    if live is not None and settings.WIDGETS and get_ipython() is not None:
        data |= live()._repr_mimebundle_()
        data["text/plain"] = alt
    display(data, metadata={"image/png": {"alt": alt, "width": width}}, raw=True)
    display(HTML(f"<details><summary>The figure in words</summary>{html.escape(alt)}</details>"))


def image_grid(rows: list, row_titles: list[str], column_titles: list[str] | None = None, scale: float = 1.0) -> Figure:
    """Images in rows; each row holds (H, W, C) uint8 arrays or (C, H, W) float tensors in [-1, 1]."""
    width = max(len(row) for row in rows)
    figure, axes = plt.subplots(len(rows), width, figsize=(scale * (width + 1), scale * len(rows)), squeeze=False)
    for row, (images, title) in enumerate(zip(rows, row_titles)):
        for column in range(width):
            ax = axes[row, column]
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            if column < len(images):
                ax.imshow(_displayable(images[column]), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            if row == 0 and column_titles is not None:
                ax.set_title(column_titles[column], fontsize=9)
        axes[row, 0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9)
    return figure


def _displayable(image) -> np.ndarray:
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


def curves(named: dict[str, list[float]], ylabel: str, window: int = 50) -> Figure:
    """Smoothed training curves over the steps, one line style each."""
    figure, ax = plt.subplots(figsize=(6, 3))
    for name, values in named.items():
        line = smooth(values, window)
        ax.plot(np.arange(len(line)) + len(values) - len(line), line, label=name, markevery=max(1, len(line) // 8))
    ax.set(xlabel="step", ylabel=ylabel)
    ax.legend(frameon=False)
    return figure


def class_bars(named: dict[str, np.ndarray], class_names: tuple[str, ...], ylabel: str) -> Figure:
    """Grouped bars, one group per class; hatches tell the series apart without colour, and n/a stands for nan."""
    figure, ax = plt.subplots(figsize=(7, 3))
    width, hatches = 0.8 / len(named), ["", "//", "..", "xx"]
    for i, (name, values) in enumerate(named.items()):
        at = np.arange(len(class_names)) + (i - (len(named) - 1) / 2) * width
        ax.bar(at, values, width, label=name, hatch=hatches[i % 4], edgecolor="white")
        for x in at[np.isnan(values)]:
            ax.text(x, 0, "n/a", rotation=90, ha="center", va="bottom", fontsize=8)
    ax.set(xticks=range(len(class_names)), xticklabels=class_names, ylabel=ylabel)
    ax.legend(frameon=False)
    return figure


def confusion(scores: Scores, class_names: tuple[str, ...], ax: Axes | None = None) -> Figure:
    """The confusion matrix, each row as fractions of the true class, counts written in."""
    ax = ax if ax is not None else plt.figure(figsize=(4.5, 4)).add_subplot()
    fractions = scores.confusion / scores.confusion.sum(1, keepdims=True).clip(1)
    ax.imshow(fractions, cmap="Greys", vmin=0, vmax=1)
    for i, j in np.ndindex(fractions.shape):
        ax.text(
            j,
            i,
            str(scores.confusion[i, j]),
            ha="center",
            va="center",
            fontsize=8,
            color="white" if fractions[i, j] > 0.5 else "black",
        )
    n = range(len(class_names))
    ax.set(xticks=n, xticklabels=class_names, yticks=n, yticklabels=class_names, xlabel="predicted", ylabel="true")
    return _figure_of(ax)


def _figure_of(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    assert figure is not None  # axes that were just drawn into
    return figure
