"""Answers to the exercises of lesson 00: other right ones, and wrong ones that no mistake of the check stands for."""

from collections import Counter

import numpy as np
import torch


def fractions_loop(labels, num_classes):
    return torch.tensor([sum(1 for y in labels.tolist() if y == c) / len(labels) for c in range(num_classes)])


def fractions_one_hot(labels, num_classes):
    return torch.nn.functional.one_hot(labels, num_classes).double().mean(0)


def fractions_numpy(labels, num_classes):
    return torch.from_numpy(np.bincount(labels.numpy(), minlength=num_classes) / labels.numel())


def fractions_added_up(labels, num_classes):
    found = torch.zeros(num_classes)
    for y in labels:
        found[y] += 1
    return found.div_(labels.shape[0])


def fractions_compared(labels, num_classes):
    return (labels.unsqueeze(1) == torch.arange(num_classes)).float().mean(dim=0)


def majority_numpy(train_labels, test_labels):
    values, counts = np.unique(train_labels.numpy(), return_counts=True)
    return float((test_labels.numpy() == values[counts.argmax()]).mean())


def majority_mode(train_labels, test_labels):
    return (test_labels == train_labels.mode().values).double().mean()


def majority_sorted(train_labels, test_labels):
    labels = sorted(train_labels.tolist())
    answer = max(labels, key=labels.count)  # the first, so the smaller one, where two are as frequent
    return sum(y == answer for y in test_labels.tolist()) / len(test_labels)


def majority_counter(train_labels, test_labels):
    counts = Counter(train_labels.tolist())
    answer = min(counts, key=lambda c: (-counts[c], c))
    return torch.eq(test_labels, answer).sum().item() / test_labels.numel()


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


def f1_errors(confusion):
    m = confusion.numpy().astype(float)
    hits = np.diag(m)
    false_positive, false_negative = m.sum(axis=0) - hits, m.sum(axis=1) - hits
    below = 2 * hits + false_positive + false_negative
    return np.divide(2 * hits, below, out=np.zeros_like(hits), where=below > 0).mean()


def f1_transposed(confusion):
    below = (confusion + confusion.T).sum(1)
    return torch.where(below > 0, 2 * confusion.diag() / below, 0.0).mean()


RIGHT = {
    "0.1": [fractions_loop, fractions_one_hot, fractions_numpy, fractions_added_up, fractions_compared],
    "0.2": [majority_numpy, majority_mode, majority_sorted, majority_counter],
    "0.3": [f1_loop, f1_harmonic, f1_errors, f1_transposed],
}

WRONG = {}

# Mutants that are right: no input that the exercise allows tells them from the solution. Each with the reason.
EQUIVALENT = {
    "0.2": {
        "return (test_labels == answer).float().mean().item() -> return (test_labels == answer).float().mean()": "a tensor of one number is a number, too",
    },
    "0.3": {
        "predicted_and_true = confusion.sum(0) + confusion.sum(1) -> predicted_and_true = confusion.sum(0).detach() + confusion.sum(1)": "counts carry no gradient",
        "predicted_and_true = confusion.sum(0) + confusion.sum(1) -> predicted_and_true = confusion.sum(0) + confusion.sum(1).detach()": "counts carry no gradient",
        "f1 = 2 * hits / predicted_and_true.clamp(min=1) -> f1 = 2 * hits / predicted_and_true.clamp(min=2)": "a denominator of 1 has no hit above it",
        "return f1.mean().item() -> return f1.mean()": "a tensor of one number is a number, too",
    },
}
