"""The picture of the course on top of the README: `python docs/images/course.py` draws course.png anew beside this file.

Nothing in it is typed: the views come from the course's augmentations, the replies from the check of Exercise 0.1, the gains
from the runs that ship with the course. Needs DermaMNIST.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from course_utils import augment, results
from course_utils.check import verdict
from course_utils.datasets import load_dataset
from course_utils.labels import split_labels
from course_utils.plots import _displayable

TARGET = Path(__file__).with_name("course.png")
METHODS = {
    "pseudo-labels, Lee": "pseudo-labels",
    "label propagation, class mass normalised": "label propagation",
    "self-training, round 1": "self-training",
    "FlexMatch": "FlexMatch",
    "supervised, batches of 160": "supervised, larger batches",
    "SGAN": "SGAN",
    "FixMatch": "FixMatch",
    "MixMatch": "MixMatch",
    "mean teacher": "mean teacher",
}
# Two answers of a student to Exercise 0.1
TRIES = [
    "torch.bincount(labels, minlength=num_classes)",
    "torch.bincount(labels, minlength=num_classes) / len(labels)",
]


def views(figure, dataset) -> None:
    """One labelled image, weak views of it, strong views of it."""
    weak, strong = augment.views(dataset)
    image = dataset.train.images[split_labels(dataset, 500, 0).labelled[7]]
    rows = {"image": [image], "weak": augment.augment_one(weak, image, 4, 0)}
    rows["strong"] = augment.augment_one(strong, image, 4, 0)
    axes = figure.subplots(3, 4)
    for line, (title, images) in zip(axes, rows.items()):
        for position, ax in enumerate(line):
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            if position < len(images):
                ax.imshow(_displayable(images[position]), interpolation="nearest")
        line[0].set_ylabel(title, fontsize=10)
    figure.suptitle("Build the method ...", fontsize=12)


def replies(figure) -> None:
    """An exercise, answered wrongly and rightly, and what the check says."""
    lines = []
    for tried in TRIES:
        function = eval(f"lambda labels, num_classes: {tried}", {"torch": torch})
        first, *rest = tried.split(" / ")
        lines += [
            "def class_fractions(labels, num_classes):",
            f"    return {first}" + " \\" * bool(rest),
            *(f"        / {part}" for part in rest),
        ]
        lines += [*_folded(str(verdict("0.1", function)), 48), ""]
    color = "black"
    for position, line in enumerate(lines):
        color = {"[": "#B34700" if "[fix]" in line else "#006B4E", "d": "black"}.get(line[:1], color)
        figure.text(0.03, 0.8 - 0.065 * position, line, family="monospace", fontsize=8.5, va="top", color=color)
    figure.suptitle("... get an answer that helps ...", fontsize=12)


def _folded(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        lines[-1:] = [f"{lines[-1]} {word}".strip()] if len(lines[-1]) + len(word) < width else [lines[-1], word]
    return lines


def gains(figure) -> None:
    """Each method's paired gain in macro-F1 over the supervised baseline, 500 labels: mean and standard error."""
    runs = results.read_runs(results.shipped_file("dermamnist"))
    runs = runs[(runs["network"] == "SimpleCNN") & (runs["steps"] == 1600) & (runs["num_labels"] == 500)]
    by_method = {method: rows.set_index(results.PAIR)["macro-F1"] for method, rows in runs.groupby("method")}
    ax = figure.subplots()
    for position, (method, label) in enumerate(METHODS.items()):
        gain = (by_method[method] - by_method["supervised"]).dropna()
        ax.errorbar(gain.mean(), position, xerr=gain.sem(), marker="o", color="#0072B2", linestyle="-")
        ax.text(0.07, position, label, fontsize=9, va="center")
    ax.axvline(0, color="black", linewidth=1)
    ax.set(yticks=[], ylim=(-0.6, len(METHODS) - 0.4), xlabel="macro-F1 minus supervised, 500 labels")
    ax.set_xticks([-0.2, -0.1, 0], ["−0.2", "−0.1", "0"])
    ax.spines["left"].set_visible(False)
    figure.suptitle("... and measure what it brings.", fontsize=12)


def main() -> None:
    figure = plt.figure(figsize=(12, 3.6), facecolor="white")
    left, middle, right = figure.subfigures(1, 3, width_ratios=[1, 1.4, 1.35])
    views(left, load_dataset("dermamnist"))
    replies(middle)
    gains(right)
    figure.savefig(TARGET, dpi=100, metadata={"Software": None})
    print(f"{TARGET}: {TARGET.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
