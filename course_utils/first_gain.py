"""The first gain on screen, in lesson 00: 40 labelled digits alone, and with thousands that have no label.

The loss is a finished one, told in one piece; lesson 06 takes it apart and builds it.
"""

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from course_utils import evaluation, looks, plots
from course_utils.augment import views
from course_utils.batches import Batch, batches
from course_utils.datasets import load_dataset
from course_utils.labels import LabelSplit, split_labels
from course_utils.models import new_model
from course_utils.training import supervised_loss, train

NUM_LABELS, NUM_STEPS, LOOK_EVERY = 40, 600, 50
SURE = 0.95  # Sohn et al. 2020, section 4


def forty_digits(num_steps: int = NUM_STEPS, seed: int = 0) -> pd.DataFrame:
    """Train a network on 40 labelled digits, and the same network on these and all others without their labels (FixMatch).

    Shows the 40 digits, a progress bar each, and the accuracy on the test split while they learn, which it returns: one line every
    50 steps. Takes less than a minute on one core.
    """
    digits = load_dataset("digits")
    label_split = split_labels(digits, NUM_LABELS, seed)
    _show_labelled(label_split)
    weak, strong = views(digits)
    streams = {
        "supervised": batches(label_split, weak, labelled_view=strong, batch_size=32, seed=seed),
        "FixMatch": batches(label_split, weak, strong, batch_size=32, mu=2, seed=seed),
    }
    losses = {"supervised": supervised_loss, "FixMatch": _agreement}
    accuracy: dict[str, dict[int, float]] = {}
    for method, stream in streams.items():
        seen = accuracy.setdefault(method, {0: float("nan")})

        def look(step: int, model: nn.Module, seen: dict[int, float] = seen) -> None:
            if (step + 1) % LOOK_EVERY == 0:
                seen[step + 1] = evaluation.evaluate(model, digits.test)["ACC"]

        train(new_model(digits, seed), losses[method], stream, num_steps, on_step=look, label=method)
    table = pd.DataFrame(accuracy).iloc[1:].rename_axis("step")
    _show_accuracy(table, len(label_split.images))
    return table


def _agreement(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
    """Learn the labels, and on a changed image the answer given on the plain one wherever that was sure."""
    assert batch.x_w is not None and batch.x_s is not None  # the stream has unlabelled images
    with torch.no_grad():
        certainty, answer = F.softmax(model(batch.x_w), -1).max(-1)
    answer[certainty < SURE] = -1
    outputs = model(torch.cat([batch.x_l, batch.x_s]))
    missed = F.cross_entropy(outputs, torch.cat([batch.y_l, answer]), ignore_index=-1, reduction="none")
    part = torch.cat([part.new_full((len(part),), 1 / len(part), dtype=missed.dtype) for part in (batch.y_l, answer)])
    return missed @ part, {}


def _show_labelled(label_split: LabelSplit) -> None:
    images = label_split.images[label_split.labelled].permute(0, 2, 3, 1).cpu().numpy()
    order = label_split.y_l.argsort(stable=True).numpy()
    rows = [images[part] for part in order.reshape(2, -1)]
    others = len(label_split.images) - len(order)
    plots.show(
        plots.image_grid(
            rows, ["", ""], scale=0.45, title=f"All {len(order)} labelled images. {others:,} more have no label."
        ),
        alt=f"Two rows of small images of handwritten digits: the {len(order)} images that have a label.",
    )


def _show_accuracy(table: pd.DataFrame, num_images: int) -> None:
    named = {
        "supervised": f"{NUM_LABELS} labels alone",
        "FixMatch": f"the same, and {num_images - NUM_LABELS:,} images without a label",
    }
    figure, ax = plots.plt.subplots(figsize=(7, 3))
    for method, words in named.items():
        color, marker = looks.look(method)
        ax.plot(table.index, table[method], color=color, marker=marker, linestyle="-")
        last = table[method].iloc[-1]
        at = (table.index[-1], last)
        ax.annotate(
            f"{words}: {last:.0%}", at, (0, 9), textcoords="offset points", ha="right", color=color, weight="bold"
        )
    ax.set(
        xlabel="training step", ylabel="accuracy on the test split", ylim=(None, 1), xlim=(0, 1.03 * table.index[-1])
    )
    ax.yaxis.set_major_formatter("{x:.0%}")
    ax.set_title("The same labels, with and without the unlabelled images")
    plots.show(
        figure,
        alt="Accuracy on the test split over the training steps, two lines: "
        + "; ".join(f"{words} ends at {table[method].iloc[-1]:.0%}" for method, words in named.items()),
    )
