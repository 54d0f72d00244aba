"""Soft labels: sharpening and MixUp (Berthelot et al. 2019)."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from ipywidgets import FloatSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import entropy

from course_utils.widgets.player import DARK, LIGHT, answer_of, canvas, distributions, picture, pixels, play

SIDE = 2.0  # inches: the width of an image


def sharpening(
    sharpen: Callable[[torch.Tensor, float], torch.Tensor],
    T: float = 0.5,
    p: Sequence[float] = (0.4, 0.3, 0.15, 0.1, 0.05),
) -> None:
    """Play with the temperature T (Berthelot et al. 2019, equation 7): what your own `sharpen` makes of a distribution.

    `sharpen(p, T)` takes p (1, C) and returns (1, C). ValueError if `p` is no distribution or the answer has another shape.
    """
    classes = [f"class {c}" for c in range(len(p))]
    given = distributions("p", [p], classes).astype(float)

    def draw(T: float) -> tuple[Figure, str]:
        before, after = given[0], answer_of("sharpen", sharpen(torch.from_numpy(given.copy()), T), *given.shape)[0]
        change = after.max() - before.max()
        does = "changes nothing" if abs(change) < 1e-6 else "sharpens" if change > 0 else "flattens"
        title = f"T = {T:.2f} {does}: the top class has {before.max():.2f} before, {after.max():.2f} after"
        figure, ax = canvas(6, 2.7, title)
        each, floor, height = 5.8 / len(p), 2.4, 1.7
        for c, name in enumerate(classes):
            ax.text(0.1 + each * (c + 0.5), floor + 0.05, name, ha="center", va="top", size=9)
        for name, values, shift, colour in (("before", before, 0.3, LIGHT), ("after", after, 0.7, DARK)):
            x = 0.1 + each * (np.arange(len(p)) + shift)
            ax.vlines(x, floor, floor - height * values, color=colour, linewidth=0.38 * each * 72)
            for c, value in enumerate(values):
                text = f"{name}\n{value:.2f}" if c == before.argmax() else f"{value:.2f}"
                ax.text(x[c], floor - height * value - 0.04, text, ha="center", size=8)
        numbers = ", ".join(f"{a:.2f} to {b:.2f}" for a, b in zip(before, after))
        return figure, (
            f"Temperature T = {T:.2f} {does}. The probabilities go from {numbers}; "
            f"the entropy from {entropy(before):.2f} to {entropy(after):.2f}."
        )

    play(draw, T=(FloatSlider, {"description": "temperature T", "value": T, "min": 0.05, "max": 2.0, "step": 0.05}))


def mixup(
    image_a,
    image_b,
    names: tuple[str, str],
    lam: float = 0.75,
    mix: Callable[..., tuple[torch.Tensor, torch.Tensor]] | None = None,
) -> None:
    """Play with MixUp's λ (Zhang et al. 2018): two images, laid over each other, and their labels.

    Images are uint8 arrays (H, W, C), or tensors (C, H, W) of uint8 or of floats in [-1, 1], of one shape; `names` are their
    labels. Hand in your own `mix(x1, p1, x2, p2, lam)` -> (x, p), for batches of one image, and you see what it makes.
    ValueError for what does not fit.
    """
    a, b = pixels(image_a), pixels(image_b)
    if a.shape != b.shape:
        raise ValueError(f"image_a is {a.shape} and image_b is {b.shape}: only images of one shape can be mixed")
    if isinstance(names, str) or len(names) != 2:
        raise ValueError(f"names is {names!r}: it takes the labels of the two images, such as ('mel', 'nv')")
    x_a, x_b = (torch.from_numpy(np.atleast_3d(x)).movedim(-1, 0)[None].float() * 2 - 1 for x in (a, b))
    p_a, p_b = torch.eye(2).split(1)

    def draw(lam: float) -> tuple[Figure, str]:
        layers, label = [(b, 1.0), (a, lam)], np.array([lam, 1 - lam])
        if mix is not None:
            x, p = mix(x_a, p_a, x_b, p_b, torch.tensor([lam]))
            layers = [(pixels(torch.from_numpy(answer_of("mix", x, *x_a.shape)[0])), 1.0)]
            label = answer_of("mix", p, 1, 2)[0]
        parts = f"{label[0]:.0%} {names[0]} and {label[1]:.0%} {names[1]}"
        height = SIDE * a.shape[0] / a.shape[1]
        figure, ax = canvas(6.6, height + 0.95, f"λ = {lam:.2f}: image and label become {parts}")
        _column(ax, 0.1, [(a, 1.0)], 1.0, names[0])
        _column(ax, 2.3, layers, label[0], parts)
        _column(ax, 4.5, [(b, 1.0)], 0.0, names[1])
        return figure, f"λ = {lam:.2f}: image and label of the mixture are {parts}."

    play(draw, lam=(FloatSlider, {"description": "λ", "value": lam, "min": 0.0, "max": 1.0, "step": 0.05}))


def _column(ax: Axes, left: float, layers: list[tuple[np.ndarray, float]], first: float, title: str) -> None:
    """Images laid over each other, each with its opacity, and under them the label as a bar of two parts."""
    bottom = [picture(ax, left, 0.4, SIDE, image, alpha) for image, alpha in layers][-1]
    between = left + SIDE * first
    ax.hlines([bottom + 0.18] * 2, [left, between], [between, left + SIDE], colors=[DARK, LIGHT], linewidth=14)
    ax.text(left + SIDE / 2, bottom + 0.33, title, ha="center", va="top", size=9)
