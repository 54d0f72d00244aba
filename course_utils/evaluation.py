"""Honest evaluation: probabilities in the dataset's own order, several metrics, and the majority class beside them."""

import html
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from sklearn import metrics
from torch import nn

from course_utils import augment
from course_utils.datasets import Dataset, Split, to_tensor

METRICS = ("AUC", "ACC", "macro-F1", "weighted-F1", "balanced ACC")


@dataclass(frozen=True, eq=False)
class Scores:
    """The metrics of one set of predictions: `values` by name, `recall` (C,) and `confusion` (C, C; rows are the truth).

    `split` is the name of the split on which they were measured.
    """

    values: dict[str, float]
    recall: np.ndarray
    confusion: np.ndarray
    split: str

    def __getitem__(self, metric: str) -> float:
        return self.values[metric]


@torch.no_grad()
def predict(model: nn.Module, images: np.ndarray | torch.Tensor, batch_size: int = 512) -> np.ndarray:
    """(N, num_classes) probabilities for (N, H, W, C) arrays or (N, C, H, W) tensors of uint8, without augmentation.

    The model is put into evaluation mode for this and back afterwards.
    """
    if isinstance(images, np.ndarray):
        images = to_tensor(images)
    device, was_training = next(model.parameters()).device, model.training
    model.eval()
    parts = [model(augment.plain(part.to(device))).softmax(1).cpu() for part in images.split(batch_size)]
    model.train(was_training)
    return torch.cat(parts).numpy()


def score(probabilities: np.ndarray, split: Split, labels: np.ndarray | None = None) -> Scores:
    """Score (N, num_classes) probabilities against a split.

    AUC is the mean of the one-vs-rest AUCs, as MedMNIST's Evaluator computes it (Yang et al. 2023). If the predictions
    came from a loader of your own, hand in the `labels` that it yielded: ValueError if they are not in the split's order.
    """
    if labels is not None and not np.array_equal(np.asarray(labels).reshape(-1), split.labels):
        raise ValueError(
            f"these predictions are not in the order of the {split.name} split: their labels differ from the file's. "
            "Is the loader shuffled? Predict with shuffle=False."
        )
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or len(p) != len(split):
        raise ValueError(f"expected probabilities of shape ({len(split)}, classes), but got {p.shape}")
    if not np.isfinite(p).all() or p.min() < 0 or not np.allclose(p.sum(1), 1, atol=1e-3):
        raise ValueError(
            "these are no probabilities (rows must be >= 0 and sum to 1): apply softmax to the logits first"
        )
    truth, classes = split.labels, np.arange(p.shape[1])
    if len(np.unique(truth)) < len(classes):
        missing = sorted(set(classes.tolist()) - set(truth.tolist()))
        raise ValueError(f"the {split.name} split has no image of class {missing}: its one-vs-rest AUC does not exist")
    predicted = p.argmax(1)
    recall = metrics.recall_score(truth, predicted, labels=classes, average=None, zero_division=0)
    f1 = {
        average: metrics.f1_score(truth, predicted, labels=classes, average=average, zero_division=0)
        for average in ("macro", "weighted")
    }
    values = {
        "AUC": np.mean([metrics.roc_auc_score(truth == c, p[:, c]) for c in classes]),
        "ACC": metrics.accuracy_score(truth, predicted),
        "macro-F1": f1["macro"],
        "weighted-F1": f1["weighted"],
        "balanced ACC": recall.mean(),
    }
    confusion = metrics.confusion_matrix(truth, predicted, labels=classes)
    return Scores({name: float(values[name]) for name in METRICS}, recall, confusion, split.name)


def evaluate(model: nn.Module, split: Split) -> Scores:
    """Predict a split without augmentation, in its own order, and score it."""
    return score(predict(model, split.images), split)


def majority_scores(dataset: Dataset, split: Split) -> Scores:
    """The scores of answering the most frequent training class every time: what a method has to beat."""
    answer = np.bincount(dataset.train.labels).argmax()
    return score(np.tile(np.eye(dataset.num_classes)[answer], (len(split), 1)), split)


class ScoreTable(pd.DataFrame):
    """A data frame of text, shown whole; a notebook has the best of each metric, as it is written, in bold."""

    @property
    def _constructor(self) -> type["ScoreTable"]:
        return ScoreTable

    def __repr__(self) -> str:
        return self.to_string()

    def _repr_html_(self) -> str:
        def escaped(cell: object) -> str:
            return html.escape(str(cell))

        shown = self.astype(object).map(lambda cell: escaped(cell).replace(" ", "&nbsp;"))  # names wrap, results do not
        for metric in [column for column in self if column in METRICS and len(self) > 1]:
            values = pd.to_numeric(self[metric], errors="coerce")
            best = values == values.max()
            shown.loc[best, metric] = "<strong>" + shown.loc[best, metric] + "</strong>"
        return pd.DataFrame(shown).rename(index=escaped, columns=escaped).to_html(escape=False, border=0)


def score_table(
    scores: dict[str, Scores],
    dataset: Dataset,
    split: Split,
    metrics: tuple[str, ...] = ("AUC", "ACC", "macro-F1", "balanced ACC"),
) -> ScoreTable:
    """One line per method and, always, the majority class first; a column for each of the `metrics` (METRICS names all)."""
    if unknown := sorted(set(metrics) - set(METRICS)):
        raise ValueError(f"there is no metric {unknown[0]!r}: metrics takes some of {', '.join(METRICS)}")
    lines = {"majority class": majority_scores(dataset, split), **scores}
    return ScoreTable({name: {metric: f"{line[metric]:.2f}" for metric in metrics} for name, line in lines.items()}).T
