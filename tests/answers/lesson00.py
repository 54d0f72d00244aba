"""Answers to the exercises of lesson 00: other right ones, and wrong ones with a fragment of the cause to be named."""

import numpy as np
import torch


def shares_loop(labels, num_classes):
    return torch.tensor([sum(1 for y in labels.tolist() if y == c) / len(labels) for c in range(num_classes)])


def shares_one_hot(labels, num_classes):
    return torch.nn.functional.one_hot(labels, num_classes).double().mean(0)


def shares_numpy(labels, num_classes):
    return torch.from_numpy(np.bincount(labels.numpy(), minlength=num_classes) / labels.numel())


def constant_numpy(train_labels, test_labels):
    values, counts = np.unique(train_labels.numpy(), return_counts=True)
    return float((test_labels.numpy() == values[counts.argmax()]).mean())


def constant_mode(train_labels, test_labels):
    return (test_labels == train_labels.mode().values).double().mean()


def f1_loop(confusion):
    total = 0.0
    for c in range(len(confusion)):
        below = confusion[c].sum().item() + confusion[:, c].sum().item()
        total += 2 * confusion[c, c].item() / below if below else 0.0
    return total / len(confusion)


def f1_harmonic(confusion):
    m = confusion.double()
    precision = m.diagonal() / m.sum(0)
    recall = m.diagonal() / m.sum(1)
    return (2 * precision * recall / (precision + recall)).nan_to_num(0).mean()


def _f1(confusion):
    return 2 * confusion.diagonal() / (confusion.sum(0) + confusion.sum(1)).clamp(min=1)


def _in_place_counts(labels, num_classes):
    labels.clamp_(max=0)
    return torch.full((num_classes,), 1 / num_classes)


def constant_sorted(train_labels, test_labels):
    labels = sorted(train_labels.tolist())
    answer = max(labels, key=labels.count)  # the first, so the smaller one, where two are as frequent
    return sum(y == answer for y in test_labels.tolist()) / len(test_labels)


RIGHT = {
    "0.1": [shares_loop, shares_one_hot, shares_numpy],
    "0.2": [constant_numpy, constant_mode, constant_sorted],
    "0.3": [f1_loop, f1_harmonic, lambda m: _f1(m.T).mean()],
}

WRONG = {
    "0.1": [
        (lambda y, c: torch.bincount(y, minlength=c), "counts"),
        (lambda y, c: 100 * torch.bincount(y, minlength=c) / len(y), "percentages"),
        (lambda y, c: torch.bincount(y) / len(y), "minlength"),
        (lambda y, c: y.unique(return_counts=True)[1] / len(y), "left out"),
        (lambda y, c: torch.bincount(y, minlength=c) // len(y), "rounds down"),
        (lambda y, c: torch.bincount(y, minlength=c) / torch.bincount(y).max(), "largest count"),
        (lambda y, c: torch.bincount(y, minlength=c) / c, "number of classes"),
        (lambda y, c: print(torch.bincount(y, minlength=c) / len(y)), "return"),
        (lambda y, c: (torch.bincount(y, minlength=c) / len(y)).sort(descending=True).values, "expected"),
        (_in_place_counts, "changes its input"),
        (lambda y, c: shares_loop(y, c).tolist(), "must be a float tensor, and is list"),
    ],
    "0.2": [
        (lambda a, b: (b == torch.bincount(b).argmax()).float().mean(), "chosen on the test labels"),
        (lambda a, b: (a == torch.bincount(a).argmax()).float().mean(), "share of the class in the training split"),
        (lambda a, b: (b == torch.bincount(a).argmax()).sum(), "count"),
        (lambda a, b: torch.bincount(a).argmax(), "not how often it is right"),
        (lambda a, b: (b == torch.bincount(a).argmin()).float().mean(), "most frequent"),
        (lambda a, b: 100 * (b == torch.bincount(a).argmax()).float().mean(), "percentage"),
        (lambda a, b: (b != torch.bincount(a).argmax()).float().mean(), "wrong answers"),
        (lambda a, b: (b == torch.bincount(a).argmax()).sum() / len(a), "divide by the number of test images"),
        (lambda a, b: (a == torch.bincount(b).argmax()).float().mean(), "the two splits are exchanged"),
        (lambda a, b: (b == a.median()).float().mean(), "median or mean"),
        (lambda a, b: (b == a.float().mean().round()).float().mean(), "median or mean"),
        (lambda a, b: (b == torch.bincount(a).max()).float().mean(), "argmax the class itself"),
        (
            lambda a, b: (b == torch.bincount(a).flip(0).argmax().sub(len(torch.bincount(a)) - 1).abs()).float().mean(),
            "tie",
        ),
    ],
    "0.3": [
        (lambda m: _f1(m), "one number"),
        (lambda m: _f1(m).sum(), "not the sum"),
        (lambda m: m.diagonal().sum() / m.sum(), "accuracy"),
        (lambda m: (m.diagonal() / m.sum(1).clamp(min=1)).mean(), "mean recall"),
        (lambda m: (m.diagonal() / m.sum(0).clamp(min=1)).mean(), "mean precision"),
        (lambda m: (_f1(m) * m.sum(1)).sum() / m.sum(), "weighted"),
        (lambda m: (2 * m.diagonal() / (m.sum(0) + m.sum(1))).mean(), "0/0"),
        (lambda m: (2 * m.diagonal() / (m.sum(0) + m.sum(1))).nanmean(), "left out"),
        (lambda m: (m.diagonal() / (m.sum(0) + m.sum(1)).clamp(min=1)).mean(), "factor 2"),
        (lambda m: _f1(m)[m.diagonal() > 0].mean(), "left out"),
        (lambda m: (2 * m.diagonal() // (m.sum(0) + m.sum(1)).clamp(min=1)).float().mean(), "rounds down"),
    ],
}

# Mutants that are right: no input that the exercise allows tells them from the solution. Each with the reason.
EQUIVALENT = {
    "0.2": {
        "return (test_labels == answer).float().mean().item() -> return (test_labels == answer).float().mean()": "a scalar tensor is accepted, too",
    },
    "0.3": {
        "predicted_and_true = confusion.sum(0) + confusion.sum(1) -> predicted_and_true = confusion.sum(0).detach() + confusion.sum(1)": "counts carry no gradient",
        "predicted_and_true = confusion.sum(0) + confusion.sum(1) -> predicted_and_true = confusion.sum(0) + confusion.sum(1).detach()": "counts carry no gradient",
        "f1 = 2 * hits / predicted_and_true.clamp(min=1) -> f1 = 2 * hits / predicted_and_true.clamp(min=2)": "a denominator of 1 has no hit above it",
        "return f1.mean().item() -> return f1.mean()": "a scalar tensor is accepted, too",
    },
}
