"""What all widgets share: one player, one look, and the checks of what they are given."""

import base64
import html
import io
from collections.abc import Callable, Sequence

import numpy as np
import torch
from ipywidgets import HTML, FloatLogSlider, FloatSlider, IntSlider, Layout, VBox
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_utils import looks, plots

Drawing = Callable[..., tuple[Figure, str]]
Slider = tuple[type[FloatSlider | FloatLogSlider | IntSlider], dict]
INK, DARK, LIGHT = looks.INK, looks.CLASSES[0], "#D5D9DD"


def play(draw: Drawing, **sliders: Slider) -> None:
    """Show what `draw(name=value, ...)` makes, a figure and its words; in a live notebook with a slider for each value."""
    start = {name: options["value"] for name, (_, options) in sliders.items()}
    for name, (kind, options) in sliders.items():
        low, high = (10 ** options[end] if kind is FloatLogSlider else options[end] for end in ("min", "max"))
        if not low <= start[name] <= high:
            raise ValueError(f"{name} is {start[name]}: it takes a number from {low:g} to {high:g}")

    def live() -> VBox:
        look = {"style": {"description_width": "8em"}, "layout": Layout(width="32em", max_width="100%")}
        handles = {name: kind(continuous_update=False, **look, **options) for name, (kind, options) in sliders.items()}
        page = HTML(_page(*draw(**start)))

        def redraw(_) -> None:
            try:
                page.value = _page(*draw(**{name: handle.value for name, handle in handles.items()}))
            except Exception as error:  # a slider has no cell in which an error of the student's function could be seen
                page.value = _status(f"{type(error).__name__}: {error}")

        for handle in handles.values():
            handle.observe(redraw, "value")
        return VBox([*handles.values(), page])

    plots.show(*draw(**start), live)


def _page(figure: Figure, words: str) -> str:
    """The figure with its words under it; screen readers read the words when they change, so the image itself is silent."""
    width, height = (round(side * figure.dpi) for side in figure.get_size_inches())
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=2 * figure.dpi, pil_kwargs={"compress_level": 1})  # quicker than plots.png
    image = base64.b64encode(buffer.getvalue()).decode()
    return (
        f"<img alt='' decoding='sync' width='{width}' height='{height}' style='max-width: 100%; height: auto' "
        f"src='data:image/png;base64,{image}'>{_status(words)}"
    )


def _status(words: str) -> str:
    return f"<p role='status' style='line-height: 1.4; margin: 0'>{html.escape(words)}</p>"


# --------------------------------------------------------------------------------------------------------------- one look


def canvas(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    """An empty figure with a title that says what is seen, and axes over all of it that count in inches from its top left.

    One pair of axes without ticks, placed by hand: layouts and ticks take most of the time of a redraw.
    """
    figure = Figure(figsize=(width, height))
    figure.set_layout_engine("none")
    ax = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    ax.axis("off")
    ax.text(0.08, 0.08, title, size=11, weight="bold", va="top")
    return figure, ax


def bars(
    ax: Axes,
    left: float,
    width: float,
    row: float,
    values: np.ndarray,
    title: str,
    names: Sequence[str] = (),
    before: np.ndarray | None = None,
) -> np.ndarray:
    """Horizontal bars on tracks from 0 to 1, one every `row` inches, with their values; returns how far down each one is.

    A stroke shows where each one was `before`; n/a stands for nan.
    """
    y = 0.68 + row * np.arange(len(values))
    thick = 0.62 * row * 72  # inches to points
    ax.text(left, y[0] - 0.55 * row, title, size=9)
    ax.hlines(y, left, left + width, color=LIGHT, linewidth=thick)
    ax.hlines(y, left, left + width * np.nan_to_num(values), color=DARK, linewidth=thick)
    if before is not None:
        ax.vlines(left + width * before, y - 0.42 * row, y + 0.42 * row, color="black", linewidth=2)
    for at, value in zip(y, values):
        ax.text(left + width + 0.05, at, "n/a" if np.isnan(value) else f"{value:.2f}", va="center", size=8)
    for at, name in zip(y, names):
        ax.text(left - 0.05, at, name, va="center", ha="right", size=8)
    return y


def picture(ax: Axes, left: float, top: float, width: float, image: np.ndarray, alpha: float = 1.0) -> float:
    """An image, `width` inches wide; returns where it ends below."""
    bottom = top + width * image.shape[0] / image.shape[1]
    ax.imshow(
        image,
        cmap="gray",
        vmin=0,
        vmax=1,
        interpolation="nearest",
        aspect="auto",
        extent=(left, left + width, bottom, top),
        alpha=alpha,
    )
    return bottom


# ---------------------------------------------------------------------------------------------------------------- checks


def distributions(name: str, values, class_names: Sequence[str]) -> np.ndarray:
    """(N, C) probabilities as an array. ValueError if they are none, or there is not one name for each class."""
    p = array(values)
    if p.ndim != 2 or not len(p) or not np.isfinite(p).all() or p.min() < 0 or not np.allclose(p.sum(1), 1, atol=1e-3):
        raise ValueError(f"{name} must be (N, C) numbers >= 0, each row with the sum 1: apply softmax to logits first")
    if len(class_names) != p.shape[1]:
        raise ValueError(f"class_names has {len(class_names)} names, but {name} has {p.shape[1]} columns: name each")
    return p


def class_numbers(name: str, values, size: int, num_classes: int) -> np.ndarray:
    """(size,) class numbers as an array. ValueError if they are none."""
    numbers = array(values)
    whole = numbers.shape == (size,) and numbers.dtype.kind in "iu"
    if not whole or not 0 <= numbers.min() <= numbers.max() < num_classes:
        raise ValueError(f"{name} must be {size} whole numbers from 0 to {num_classes - 1}: the class of each image")
    return numbers


def array(values) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def pixels(image) -> np.ndarray:
    """(H, W) or (H, W, 3) floats in [0, 1] of a uint8 array (H, W, C), or a tensor (C, H, W) of uint8 or floats in [-1, 1]."""
    if isinstance(image, torch.Tensor) and image.dtype == torch.uint8:
        image = image.cpu().movedim(0, -1).numpy()
    return plots.displayable(image)


def answer_of(name: str, values, *shape: int) -> np.ndarray:
    """What a student's function returned, as an array. ValueError if it has not this shape or is not finite."""
    returned = array(values)
    if returned.shape != shape or not np.isfinite(returned).all():
        raise ValueError(f"{name} returned {returned.shape}, expected {shape}, finite numbers: run its check first")
    return returned
