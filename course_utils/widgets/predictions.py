"""A trained network's answers: which of them a threshold keeps, and what logit adjustment makes of them."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from ipywidgets import FloatSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn import metrics

from course_utils.widgets.player import (
    INK,
    answer_of,
    array,
    bars,
    canvas,
    class_numbers,
    distributions,
    picture,
    pixels,
    play,
)

Rule = Callable[[torch.Tensor, float], tuple[torch.Tensor, torch.Tensor]]
SHOWN = 6  # images of each kind
TILE = 0.7  # inches


def threshold(
    probabilities, truth, images, class_names: Sequence[str], tau: float = 0.95, rule: Rule | None = None
) -> None:
    """Play with the confidence threshold τ (Sohn et al. 2020, equation 4): what it keeps of each class, and how right that is.

    probabilities: (N, C) a network's answers on the pool, truth: (N,) the classes hidden from training, images: the N images,
    (N, H, W, C) uint8 arrays or (N, C, H, W) tensors. The images shown are the first of each kind in one fixed random order.
    A `rule(logits, tau)` -> (pseudo-label, mask) of your own takes the place of the plain threshold.
    ValueError for what does not fit.
    """
    p = distributions("probabilities", probabilities, class_names)
    truth = class_numbers("truth", truth, *p.shape)
    if len(images) != len(p):
        raise ValueError(
            f"images has {len(images)}, but probabilities has {len(p)} rows: hand in the image of each row"
        )
    choose = _by_confidence(p) if rule is None else _by_rule(rule, p)
    shuffled = np.random.default_rng(0).permutation(len(p))

    def draw(tau: float) -> tuple[Figure, str]:
        pseudo_label, kept = choose(tau)
        right = pseudo_label == truth
        fraction = _by_class(kept, truth, len(class_names))
        precision = _by_class(right[kept], pseudo_label[kept], len(class_names))
        precise = "" if np.isnan(precision[0]) else f", and {precision[0]:.0%} of what it keeps is right"
        names = ("all", *class_names)
        height = max(4.2, 0.26 * len(names) + 0.8)
        row = (height - 0.8) / len(names)
        figure, ax = canvas(9.4, height, f"τ = {tau:.2f} keeps {fraction[0]:.0%} of the pool{precise}")
        bars(ax, 1.0, 1.3, row, fraction, "kept, by true class", names)
        bars(ax, 2.9, 1.3, row, precision, "right, by pseudo-label")
        groups = {"kept, right": kept & right, "kept, wrong": kept & ~right, "rejected": ~kept}
        for line, (title, members) in enumerate(groups.items()):
            shown = shuffled[members[shuffled]][:SHOWN]
            captions = [_caption(class_names[pseudo_label[i]], class_names[truth[i]]) for i in shown]
            ax.text(4.7, 0.5 + 1.2 * line, f"{title}: {members.sum():,}", size=9)
            _strip(ax, 4.7, 0.57 + 1.2 * line, [pixels(images[i]) for i in shown], captions)
        counts = "; ".join(f"{title}: {members.sum():,}" for title, members in groups.items())
        return figure, (
            f"Threshold τ = {tau:.2f}: {counts}. Kept of each true class: {_in_words(names, fraction)}. "
            f"Right among the kept, by pseudo-label: {_in_words(names, precision)}."
        )

    play(draw, tau=(FloatSlider, {"description": "threshold τ", "value": tau, "min": 0.0, "max": 1.0, "step": 0.01}))


def _by_confidence(p: np.ndarray) -> Callable[[float], tuple[np.ndarray, np.ndarray]]:
    """The plain threshold, as a cut through the images in the order of their confidence."""
    confidence, pseudo_label = p.max(axis=1), p.argmax(axis=1)
    rising = confidence.argsort()

    def choose(tau: float) -> tuple[np.ndarray, np.ndarray]:
        kept = np.ones(len(p), dtype=bool)
        kept[rising[: confidence[rising].searchsorted(p.dtype.type(tau))]] = False
        return pseudo_label, kept

    return choose


def _by_rule(rule: Rule, p: np.ndarray) -> Callable[[float], tuple[np.ndarray, np.ndarray]]:
    logits = torch.from_numpy(p).clamp(min=1e-9).log()  # softmax(log p) = p

    def choose(tau: float) -> tuple[np.ndarray, np.ndarray]:
        pseudo_label, mask = (answer_of("rule", value, len(p)) for value in rule(logits, tau))
        return class_numbers("the pseudo-label of rule", pseudo_label, *p.shape), mask > 0

    return choose


def _caption(said: str, true: str) -> str:
    return said if said == true else f"{said}, is {true}"


def _strip(ax: Axes, left: float, top: float, images: Sequence[np.ndarray], captions: Sequence[str]) -> None:
    """Square images side by side, as one picture: many small ones take long to draw."""
    if not images:
        return
    height, width = images[0].shape[:2]
    gap = max(1, width // 12)
    gaps = [(0, 0), (0, gap), (0, 0)][: images[0].ndim]
    strip = np.concatenate([np.pad(image, gaps, constant_values=1) for image in images], axis=1)
    each = TILE * (width + gap) / max(height, width)
    bottom = picture(ax, left, top, each * len(images), strip)
    for column, caption in enumerate(captions):
        ax.text(left + each * column, bottom + 0.04, caption, size=7, va="top", color=INK)


def _by_class(values: np.ndarray, classes: np.ndarray, num_classes: int) -> np.ndarray:
    """The mean of `values`, of all and of each class; nan where there are none."""
    series = pd.Series(values, dtype=float)
    return np.array([series.mean(), *series.groupby(classes).mean().reindex(range(num_classes))])


def _in_words(names: Sequence[str], values: np.ndarray) -> str:
    return ", ".join(f"{name} {'n/a' if np.isnan(value) else f'{value:.0%}'}" for name, value in zip(names, values))


def adjustment(probabilities, prior, truth, class_names: Sequence[str], strength: float = 0.0) -> None:
    """Play with the strength s of logit adjustment at prediction (Menon et al. 2021, section 4): argmax of log p - s log prior.

    probabilities: (N, C) a network's answers, prior: (C,) fractions of the classes among its labels, all above 0, truth: (N,).
    A class that `truth` lacks has no recall, and macro-F1 and balanced accuracy leave it out. ValueError for what does not fit.
    """
    p = distributions("probabilities", probabilities, class_names)
    truth = class_numbers("truth", truth, *p.shape)
    prior = array(prior).astype(float)
    if prior.shape != p.shape[1:] or not (prior > 0).all() or not np.isclose(prior.sum(), 1, atol=1e-3):
        raise ValueError(
            f"prior must be {p.shape[1]} numbers above 0 with the sum 1: give each class at least one label"
        )
    present = np.unique(truth)
    with np.errstate(divide="ignore"):
        logits = np.log(p)

    def measure(predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Accuracy, macro-F1 and balanced accuracy; recall by class."""
        accuracy, *recall = _by_class(predicted == truth, truth, len(class_names))
        f1 = metrics.f1_score(truth, predicted, labels=present, average="macro", zero_division=0)
        return np.array([accuracy, f1, np.nanmean(recall)]), np.array(recall)

    scores_before, recall_before = measure(logits.argmax(axis=1))
    majority, _ = measure(np.full_like(truth, prior.argmax()))
    names = ("accuracy", "macro-F1", "balanced accuracy")

    def draw(strength: float) -> tuple[Figure, str]:
        scores, recall = measure((logits - strength * np.log(prior)).argmax(axis=1))
        moved = ", ".join(f"{name} {old:.2f} → {new:.2f}" for name, old, new in zip(names, scores_before, scores))
        figure, ax = canvas(8.6, 0.28 * max(3, len(class_names)) + 0.7, f"strength {strength:.2f}: {moved}")
        bars(ax, 1.1, 2.4, 0.28, recall, "recall by class (stroke: before)", class_names, recall_before)
        title = "scores (stroke: before, cross: majority class)"
        y = bars(ax, 5.4, 2.6, 0.28, scores, title, names, scores_before)
        ax.plot(5.4 + 2.6 * majority, y, "x", color="black", markersize=7)
        return figure, f"Strength {strength:.2f}: {moved}. Recall: {_in_words(class_names, recall)}."

    play(
        draw,
        strength=(FloatSlider, {"description": "strength", "value": strength, "min": 0.0, "max": 2.0, "step": 0.05}),
    )
