"""The running average of a network's weights."""

import numpy as np
from ipywidgets import FloatSlider
from matplotlib.figure import Figure

from course_utils.looks import look
from course_utils.settings import TAUGHT_STEPS
from course_utils.widgets.player import INK, canvas, play

SETTLED = 400  # steps at the end, over which the wobble is measured


def averaging(decay: float = 0.99) -> None:
    """Play with the decay of an exponential moving average (EMA): one weight, step by step, and its average in a mean teacher.

    The rule is `min(1 - 1 / (step + 1), decay)` (Tarvainen & Valpola 2017), as lesson 05 builds it; a dotted line has the decay
    itself from the first step on. The weight is made up: it starts far off, settles, and goes on wobbling. ValueError for a
    decay that the slider does not have.
    """
    steps = np.arange(TAUGHT_STEPS)
    noise = np.random.default_rng(0).normal(0, 0.3, TAUGHT_STEPS)
    weight = 1 - 2 * np.exp(-steps / 150) + np.convolve(noise, np.ones(5) / 5, mode="same")

    def draw(decay: float) -> tuple[Figure, str]:
        decays = np.minimum(1 - 1 / (steps + 1), decay)
        average, fixed = _follow(weight, decays), _follow(weight, np.full(TAUGHT_STEPS, decay))
        memory = f"{1 / (1 - decays[-1]):.0f}"
        figure, _ = canvas(7.4, 3.2, f"decay {decay:.3f}: at the end, an average over the last {memory} steps or so")
        ax = figure.add_axes((0.01, 0.15, 0.87, 0.74))
        green = look("mean teacher").color
        ax.plot(steps, weight, color="#B0B0B0", linestyle="-", linewidth=0.7, marker="")
        ax.plot(steps, fixed, color=INK, linestyle=":", linewidth=1.8, marker="")
        ax.plot(steps, average, color=green, linestyle="-", linewidth=2.2, marker="")
        ax.text(TAUGHT_STEPS / 2, 1.65, "the weight after each step", color="#6B6B6B", size=9)
        ax.text(TAUGHT_STEPS * 1.01, average[-1], "its average", color=green, weight="bold", size=9, va="center")
        ax.text(320, min(fixed[320], 0.4) - 0.35, "the same decay from the first step on", color=INK, size=9)
        ax.set(xlabel="step", yticks=[], xlim=(0, TAUGHT_STEPS), ylim=(-1.6, 1.9))
        ax.spines["left"].set_visible(False)
        wobble, calm = weight[-SETTLED:].std(), average[-SETTLED:].std()
        return figure, (
            f"Decay {decay:.3f}: at the end, an average over the last {memory} steps or so. "
            f"In the last {SETTLED} steps the weight wobbles by {wobble:.2f}, its average by {calm:.2f}. "
            f"At step 300 the weight has come to about {weight[280:321].mean():.2f}, its average to {average[300]:.2f}, "
            f"and with the same decay from the first step on to {fixed[300]:.2f}."
        )

    options = {"description": "decay", "value": decay, "min": 0.8, "max": 0.999, "step": 0.001, "readout_format": ".3f"}
    play(draw, decay=(FloatSlider, options))


def _follow(path: np.ndarray, decays: np.ndarray) -> np.ndarray:
    """The running average of a path, from its first value on."""
    average, followed = path[0], []
    for value, decay in zip(path, decays):
        average += (1 - decay) * (value - average)
        followed.append(average)
    return np.array(followed)
