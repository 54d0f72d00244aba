"""Answers to the exercises of lesson 09: other right ones, and wrong ones that no mistake of the check stands for."""

import itertools
import math

import numpy as np
import pandas as pd
import torch
from scipy import stats
from sklearn import metrics

# ------------------------------------------------------------------------------------------------------ 9.1 macro AUC


def auc_loop(scores, labels):
    total = 0.0
    for c in range(scores.shape[1]):
        won = pairs = 0
        for p, q in itertools.product(scores[labels == c, c].tolist(), scores[labels != c, c].tolist()):
            won += 1.0 if p > q else 0.5 if p == q else 0.0
            pairs += 1
        total += won / pairs
    return total / scores.shape[1]


def auc_ranks(scores, labels):
    values = []
    for c, column in enumerate(scores.T):
        member = labels == c
        n = member.sum()
        ranks = stats.rankdata(column)  # ties get their mean rank
        values.append((ranks[member].sum() - n * (n + 1) / 2) / (n * (len(labels) - n)))
    return float(np.mean(values))


def auc_sign_torch(scores, labels):
    z, y = torch.tensor(scores, dtype=torch.float64), torch.tensor(labels)
    parts = [((z[y == c, c].unsqueeze(1) - z[y != c, c]).sign() + 1).mean() / 2 for c in range(z.shape[1])]
    return torch.stack(parts).mean()


def auc_sklearn(scores, labels):
    return np.mean([metrics.roc_auc_score(labels == c, scores[:, c]) for c in range(scores.shape[1])])


def auc_sorted(scores, labels):
    """How many of the others lie below each image of the class, looked up in their sorted scores."""
    areas = []
    for c in np.unique(labels):
        others = np.sort(scores[labels != c, c])
        below, up_to = (np.searchsorted(others, scores[labels == c, c], side) for side in ("left", "right"))
        areas.append((below + up_to).mean() / 2 / len(others))
    return np.mean(areas)


# ------------------------------------------------------------------------------------------------------ 9.2 sign flips


def flip_product(differences):
    size = abs(np.mean(differences)) - 1e-12
    patterns = itertools.product((1, -1), repeat=len(differences))
    flipped = [abs(sum(s * d for s, d in zip(signs, differences)) / len(differences)) for signs in patterns]
    return sum(mean >= size for mean in flipped) / len(flipped)


def flip_bits(differences):
    n = len(differences)
    bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    means = np.abs(((2 * bits - 1) * differences).mean(1))
    return (means > np.abs(differences.mean()) - 1e-12).mean()


def flip_half(differences):
    """Half of the patterns are enough: flipping all signs changes no absolute value."""
    d = torch.as_tensor(differences)
    sums = torch.zeros(1, dtype=d.dtype) + d[0]
    for value in d[1:]:
        sums = torch.cat([sums + value, sums - value])
    return ((sums.abs() - d.sum().abs()) / len(d) >= -1e-12).double().mean()


def flip_recursive(differences):
    goal = abs(math.fsum(differences))

    def count(rest, total):
        if not rest:
            return int(abs(total) / len(differences) >= goal / len(differences) - 1e-12)
        return count(rest[1:], total + rest[0]) + count(rest[1:], total - rest[0])

    return count(list(differences), 0.0) / 2 ** len(differences)


def flip_one_side_doubled(differences):
    patterns = np.stack(np.meshgrid(*[[-1, 1]] * len(differences)), -1).reshape(-1, len(differences))
    return min(1.0, 2 * np.mean(patterns @ differences / len(differences) >= abs(differences.mean()) - 1e-12))


def flip_order(d):
    means = [np.mean(np.array(order)) for order in itertools.permutations(d)]
    return np.mean(np.abs(means) >= abs(d.mean()) - 1e-12)


def flip_random(d, many=9):
    """At random where there are many patterns."""
    if len(d) < many:
        return flip_bits(d)
    means = (np.random.default_rng(0).choice([-1, 1], (1000, len(d))) * d).mean(1)
    return (np.abs(means) >= abs(d.mean()) - 1e-12).mean()


# ------------------------------------------------------------------------------------------------- 9.3 the cost front


def front_broadcast(cost, benefit):
    no_worse = (cost[:, None] <= cost) & (benefit[:, None] >= benefit)
    better = (cost[:, None] < cost) | (benefit[:, None] > benefit)
    return ~(no_worse & better).any(axis=0)


def front_sorted(cost, benefit):
    stays, best = np.zeros(len(cost), dtype=bool), -np.inf
    for price in np.unique(cost):
        here = cost == price
        top = benefit[here].max()
        if top > best:
            stays |= here & (benefit == top)
            best = top
    return stays


def front_formula(cost, benefit):
    """Nobody gains more for the same or less, and nobody gains the same for less."""
    everyone = zip(cost, benefit)
    return np.array([b >= benefit[cost <= c].max() and c <= cost[benefit >= b].min() for c, b in everyone])


def front_loop(cost, benefit):
    methods = list(zip(cost.tolist(), benefit.tolist()))
    stays = []
    for c, b in methods:
        dominated = False
        for other_c, other_b in methods:
            if other_c <= c and other_b >= b and (other_c < c or other_b > b):
                dominated = True
        stays.append(not dominated)
    return np.array(stays)


# ----------------------------------------------------------------------------------------------- 9.4 unseen lesions


def unseen_set(test_ids, train_ids):
    known = set(train_ids.tolist())
    return np.array([lesion not in known for lesion in test_ids])


def unseen_compare(test_ids, train_ids):
    return (test_ids[:, None] != train_ids[None, :]).all(axis=1)


def unseen_pandas(test_ids, train_ids):
    return (~pd.Series(test_ids).isin(train_ids)).to_numpy()


def unseen_loop(test_ids, train_ids):
    unseen = np.ones(len(test_ids), dtype=bool)
    for lesion in train_ids:
        unseen[test_ids == lesion] = False
    return unseen


# ---------------------------------------------------------------------------------------------- 9.5 confidence bins


def bins_loop(probabilities, labels, num_bins):
    fraction, accuracy, confidence = np.zeros(num_bins), np.full(num_bins, np.nan), np.full(num_bins, np.nan)
    top, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    for b in range(num_bins):
        inside = (top > b / num_bins) & (top <= (b + 1) / num_bins)
        fraction[b] = inside.mean()
        if inside.any():
            accuracy[b], confidence[b] = right[inside].mean(), top[inside].mean()
    return fraction, accuracy, confidence


def bins_bincount(probabilities, labels, num_bins):
    top, right = probabilities.max(1), probabilities.argmax(1) == labels
    at = np.searchsorted(np.linspace(0, 1, num_bins + 1)[1:-1], top, side="left")
    n = np.bincount(at, minlength=num_bins)
    with np.errstate(invalid="ignore"):
        sums = [np.bincount(at, weights=w, minlength=num_bins) / n for w in (right, top)]
    return [n / len(labels), *sums]


def bins_pandas(probabilities, labels, num_bins):
    top = probabilities.max(1)
    frame = pd.DataFrame({"confidence": top, "accuracy": (probabilities.argmax(1) == labels).astype(float)})
    at = np.digitize(top, np.linspace(0, 1, num_bins + 1), right=True) - 1
    grouped = frame.groupby(at)
    means = grouped.mean().reindex(range(num_bins))
    fraction = grouped.size().reindex(range(num_bins), fill_value=0) / len(top)
    return fraction.to_numpy(), means["accuracy"].to_numpy(), means["confidence"].to_numpy()


def bins_torch(probabilities, labels, num_bins):
    top, answer = torch.as_tensor(probabilities).max(1)
    at = (top * num_bins).ceil().long() - 1
    counts, right = torch.zeros(num_bins, dtype=torch.float64), answer == torch.as_tensor(labels)
    n, hits, sums = (counts.index_add(0, at, w.double()) for w in (torch.ones_like(top), right, top))
    return n / n.sum(), hits / n, sums / n


def bins_rows(probabilities, labels, num_bins):
    """Image by image; an array of three rows."""
    table = np.zeros((3, num_bins))
    for p, y in zip(probabilities, labels):
        b = math.ceil(p.max() * num_bins) - 1
        table[:, b] += 1, p.argmax() == y, p.max()
    with np.errstate(invalid="ignore"):
        return np.stack([table[0] / len(labels), table[1] / table[0], table[2] / table[0]])


def bins_from_below(probabilities, labels, num_bins):
    count = np.zeros(num_bins)
    for top in probabilities.max(1):
        count[int(top * num_bins)] += 1
    return count / len(labels), count, count


# ----------------------------------------------------------------------------------------------------------- 9.6 ECE


def ece_loop(probabilities, labels, num_bins):
    total = 0.0
    for f, a, c in zip(*bins_loop(probabilities, labels, num_bins)):
        if f > 0:
            total += f * abs(a - c)
    return total


def ece_sums(probabilities, labels, num_bins):
    """|sum of hits - sum of confidences| of each bin, over all images: no empty bin to take care of."""
    top, right = probabilities.max(1), probabilities.argmax(1) == labels
    at = np.ceil(top * num_bins).astype(int) - 1
    return np.abs(np.bincount(at, right - top)).sum() / len(labels)


def ece_mask(probabilities, labels, num_bins):
    fraction, accuracy, confidence = bins_bincount(probabilities, labels, num_bins)
    full = ~np.isnan(accuracy)
    return np.average(np.abs(accuracy - confidence)[full], weights=fraction[full])


def ece_torch(probabilities, labels, num_bins):
    f, a, c = bins_torch(probabilities, labels, num_bins)
    return (f * (a - c).abs().nan_to_num()).sum()


# ------------------------------------------------------------------------------------------------------ 9.7 committee


def committee_loop(members, fractions, strength):
    total = np.zeros(members[0].shape)
    for p in members:
        total = total + p
    for c, fraction in enumerate(fractions):
        total[:, c] = total[:, c] / fraction**strength
    return np.array([row / row.sum() for row in total])


def committee_logits(members, fractions, strength):
    with np.errstate(divide="ignore"):
        z = np.log(np.stack(members).mean(0)) - strength * np.log(fractions)
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def committee_torch(members, fractions, strength):
    p = torch.from_numpy(np.asarray(members, dtype=np.float64)).mean(0) / torch.from_numpy(fractions).pow(strength)
    return (p / p.sum(1, keepdim=True)).numpy()


def committee_read_only(members, fractions, strength):
    q = np.einsum("mnc,c->nc", np.stack(members), np.power(fractions, -strength))
    q = (q.T / q.sum(1)).T
    q.flags.writeable = False
    return q


def committee_in_place(members, fractions, strength):
    p = members[0]
    for other in members[1:]:
        p += other
    return committee_loop([p], fractions, strength)


RIGHT = {
    "9.1": [auc_loop, auc_ranks, auc_sign_torch, auc_sklearn, auc_sorted],
    "9.2": [flip_product, flip_bits, flip_half, flip_recursive, flip_one_side_doubled],
    "9.3": [front_broadcast, front_sorted, front_formula, front_loop],
    "9.4": [unseen_set, unseen_compare, unseen_pandas, unseen_loop],
    "9.5": [bins_loop, bins_bincount, bins_pandas, bins_torch, bins_rows],
    "9.6": [ece_loop, ece_sums, ece_mask, ece_torch],
    "9.7": [committee_loop, committee_logits, committee_torch, committee_read_only],
}

WRONG = {
    "9.1": [(lambda z, y: np.mean([(z[y == c, c] > z[y != c, c]).mean() for c in range(z.shape[1])]), "compare (P, 1) with (Q,)")],
    "9.2": [
        (flip_order, "a new order changes no mean"),
        (lambda d: flip_random(d, many=0), "none drawn at random"),
        (flip_random, "up to n = 12 all 2^n patterns count"),
        (lambda d: round(float(flip_bits(d)), 3), "round nothing"),
    ],
    "9.3": [
        (lambda c, b: front_loop(c, b).astype(int), "must be a bool array"),
        (lambda c, b: np.array([not ((c < x) and (b > y)).any() for x, y in zip(c, b)]), "for arrays `&`, `|`, `~`"),
        (lambda c, b: np.array([not (c < x & b > y).any() for x, y in zip(c, b)]), "put brackets around each comparison"),
        (lambda c, b: front_loop(c, b).tolist(), "must be a bool array"),
        (lambda c, b: np.where(front_loop(c, b), "stays", "-"), "return a boolean array, True or False for each method"),
    ],
    "9.4": [
        (lambda test, train: np.setdiff1d(test, train), "return a boolean array, True or False for each test image"),
        (lambda test, train: set(test.tolist()) - set(train.tolist()), "return a boolean array, True or False for each test image"),
        (lambda test, train: unseen_set(test, train).astype(int), "must be a bool array"),
        (lambda test, train: not np.isin(test, train), "`in` and `not` take one value"),
    ],
    "9.5": [
        (lambda p, y, n: bins_loop(p, y, n)[:2], "must return 3 values"),
        (ece_loop, "one array of num_bins numbers for each"),
        (bins_from_below, "belongs to the last bin"),
    ],
    "9.7": [
        (committee_in_place, "changes its input"),
        (lambda members, f, s: (q := np.mean(members, axis=0) * f**-s) / q.sum(1), "the shape (N, 1)"),
        (lambda members, f, s: (q := np.mean(members) * f**-s) / q.sum(axis=1, keepdims=True), "np.mean(members, axis=0)"),
        (lambda members, f, s: committee_loop([members.pop() for _ in range(len(members))], f, s), "changes its input"),
        (lambda members, f, s: committee_loop(members, f, s).round(4), "off by up to"),
        (lambda members, f, s: committee_loop(members, f, s).tolist(), "must be a float array"),
    ],
}

# Mutants that are right: no input that the exercise allows tells them from the solution. Each with the reason.
EQUIVALENT = {
    "9.2": {
        "patterns = np.array(list(itertools.product((1, -1), repeat=len(differences)))) -> patterns = -np.array(list(itertools.product((1, -1), repeat=len(differences))))": "the set of all patterns is the same with all signs flipped",
        "patterns = np.array(list(itertools.product((1, -1), repeat=len(differences)))) -> patterns = list(itertools.product((1, -1), repeat=len(differences)))": "numpy makes an array of the list",
        "patterns = np.array(list(itertools.product((1, -1), repeat=len(differences)))) -> patterns = np.array(list(itertools.product((-1, 1), repeat=len(differences))))": "the order of the patterns does not matter",
        "flipped = np.abs((patterns * differences).mean(axis=1)) -> flipped = np.abs((patterns * differences).mean(axis=-1))": "this axis is the last one",
        "return (flipped >= np.abs(differences.mean()) - 1e-12).mean() -> return (flipped > np.abs(differences.mean()) - 1e-12).mean()": "at the bound itself rounding decides",
    },
    "9.3": {
        "no_worse, better = ((cost <= c) & (benefit >= b), (cost < c) | (benefit > b)) -> better, no_worse = ((cost <= c) & (benefit >= b), (cost < c) | (benefit > b))": "both must hold, in either order",
        "no_worse, better = ((cost <= c) & (benefit >= b), (cost < c) | (benefit > b)) -> no_worse, better = ((cost < c) | (benefit > b), (cost <= c) & (benefit >= b))": "both must hold, in either order",
        "no_worse, better = ((cost <= c) & (benefit >= b), (cost < c) | (benefit > b)) -> no_worse, better = ((cost <= c) & (benefit >= b), (cost != c) | (benefit > b))": "among the methods that are no worse, different is better",
        "no_worse, better = ((cost <= c) & (benefit >= b), (cost < c) | (benefit > b)) -> no_worse, better = ((cost <= c) & (benefit >= b), (cost < c) | (benefit != b))": "among the methods that are no worse, different is better",
    },
    "9.5": {
        "fraction, accuracy, confidence = (np.zeros(num_bins), *np.full((2, num_bins), np.nan)) -> fraction, confidence, accuracy = (np.zeros(num_bins), *np.full((2, num_bins), np.nan))": "both begin as nan",
        "fraction, accuracy, confidence = (np.zeros(num_bins), *np.full((2, num_bins), np.nan)) -> fraction, accuracy, confidence = (np.ones(num_bins), *np.full((2, num_bins), np.nan))": "every bin's fraction is written",
        "fraction[b] = mask.mean(); if mask.any():; accuracy[b], confidence[b] = (right[mask].mean(), top[mask].mean()) -> if mask.any():; accuracy[b], confidence[b] = (right[mask].mean(), top[mask].mean()); fraction[b] = mask.mean()": "neither of the two uses the other",
        "if mask.any():; accuracy[b], confidence[b] = (right[mask].mean(), top[mask].mean()) -> accuracy[b], confidence[b] = (right[mask].mean(), top[mask].mean())": "the mean of nothing is nan",
        "if mask.any(): -> if accuracy.any():": "always true, for nan counts as true; the mean of nothing is nan",
        "if mask.any(): -> if confidence.any():": "always true, for nan counts as true; the mean of nothing is nan",
        "if mask.any(): -> if probabilities.any():": "always true; the mean of nothing is nan",
        "if mask.any(): -> if fraction.any():": "true from the first bin with an image on; the mean of nothing is nan",
        "if mask.any(): -> if top.any():": "always true; the mean of nothing is nan",
    },
    "9.6": {
        "fraction, accuracy, confidence = reliability(probabilities, labels, num_bins) -> fraction, confidence, accuracy = reliability(probabilities, labels, num_bins)": "the distance has no sign",
        "return np.nansum(fraction * np.abs(accuracy - confidence)) -> return np.nansum(fraction * np.abs(confidence - accuracy))": "the distance has no sign",
    },
    "9.7": {
        "moved = np.mean(members, axis=0) * fractions ** (-strength) -> moved = -(np.mean(members, axis=0) * fractions ** (-strength))": "the division by the row's sum takes the sign out again",
        "moved = np.mean(members, axis=0) * fractions ** (-strength) -> moved = np.sum(members, axis=0) * fractions ** (-strength)": "the division by the row's sum takes the number of members out again",
        "return moved / moved.sum(axis=1, keepdims=True) -> return moved / moved.sum(axis=-1, keepdims=True)": "this axis is the last one",
    },
}

# Mistakes of a kind (tests/test_battery.py) that cannot be noticed in an exercise, and why.
UNNOTICED = {
    ("half precision", "9.2"): "k of 2^n patterns, k even and n at most 12, is exact in half precision",
    ("overflows", "9.3"): "what is returned is boolean, and cannot be nan",
    **{("overflows", number): "probabilities are at most 1" for number in ("9.5", "9.6", "9.7")},
}
