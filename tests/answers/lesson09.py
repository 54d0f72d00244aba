"""Answers to the exercises of lesson 09: other right ones, and wrong ones with a fragment of the cause to be named."""

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
        for i, j in itertools.product(np.flatnonzero(labels == c), np.flatnonzero(labels != c)):
            won += 1.0 if scores[i, c] > scores[j, c] else 0.5 if scores[i, c] == scores[j, c] else 0.0
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


def auc_curve(scores, labels):
    """The area under the drawn curve, by the trapezoidal rule."""
    areas = []
    for c in range(scores.shape[1]):
        false_rate, true_rate, _ = metrics.roc_curve(labels == c, scores[:, c])
        areas.append(metrics.auc(false_rate, true_rate))
    return sum(areas) / len(areas)


def _auc(per_class, join=np.mean, prepare=lambda z: z):
    def answer(scores, labels):
        z = prepare(scores)
        return join([per_class(z[labels == c, c], z[labels != c, c]) for c in range(z.shape[1])])

    return answer


def _won(p, q):
    return ((p[:, None] > q).sum() + 0.5 * (p[:, None] == q).sum()) / (len(p) * len(q))


def _softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def auc_first_only(scores, labels):
    for c in range(scores.shape[1]):
        return _won(scores[labels == c, c], scores[labels != c, c])


def auc_weighted(scores, labels):
    share = np.bincount(labels) / len(labels)
    return sum(s * _won(scores[labels == c, c], scores[labels != c, c]) for c, s in enumerate(share))


def auc_pooled_pairs(scores, labels):
    won = pairs = 0
    for c in range(scores.shape[1]):
        p, q = scores[labels == c, c], scores[labels != c, c]
        won, pairs = won + _won(p, q) * len(p) * len(q), pairs + len(p) * len(q)
    return won / pairs


def auc_pooled_entries(scores, labels):
    return metrics.roc_auc_score(np.eye(scores.shape[1])[labels].ravel(), scores.ravel())


def auc_all_pairs(scores, labels):
    n = len(labels)
    counts = [
        _won(scores[labels == c, c], scores[labels != c, c]) * (labels == c).sum() * (labels != c).sum() for c in range(scores.shape[1])
    ]
    return np.mean(counts) / (n * (n - 1) / 2)


def auc_within_rows(scores, labels):
    values = []
    for c in range(scores.shape[1]):
        gap = scores[labels == c][:, [c]] - np.delete(scores[labels == c], c, 1)
        values.append(((gap > 0) + 0.5 * (gap == 0)).mean())
    return np.mean(values)


def auc_stable_ranks(scores, labels):
    values = []
    for c in range(scores.shape[1]):
        ranks = scores[:, c].argsort(kind="stable").argsort() + 1
        n = (labels == c).sum()
        values.append((ranks[labels == c].sum() - n * (n + 1) / 2) / (n * (len(labels) - n)))
    return np.mean(values)


def auc_close(scores, labels):
    values = []
    for c in range(scores.shape[1]):
        p, q = scores[labels == c, c][:, None], scores[labels != c, c]
        tied = np.isclose(p, q)
        values.append(((p > q) & ~tied).mean() + tied.mean() / 2)
    return np.mean(values)


def auc_in_place(scores, labels):
    scores -= scores.max()
    return auc_ranks(scores, labels)


# ------------------------------------------------------------------------------------------------------ 9.2 sign flips


def flip_product(differences):
    size = abs(np.mean(differences)) - 1e-12
    flipped = [
        abs(sum(s * d for s, d in zip(signs, differences)) / len(differences))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
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


def _signs(n):
    return np.array(list(itertools.product([1, -1], repeat=n)))


def _flip(statistic):
    def answer(d):
        return statistic((_signs(len(d)) * d).mean(1), d.mean())

    return answer


EPS = 1e-12


def flip_order(d):
    orders = [np.mean(np.array(order)) for order in itertools.permutations(d)]
    return np.mean(np.abs(orders) >= abs(d.mean()) - EPS)


def flip_random(d):
    rng = np.random.default_rng(0)
    means = (rng.choice([-1, 1], (1000, len(d))) * d).mean(1)
    return (np.abs(means) >= abs(d.mean()) - EPS).mean()


def flip_subsets(d):
    subsets = np.array(list(itertools.product([0, 1], repeat=len(d))))
    return (np.abs((subsets * d).mean(1)) >= abs(d.mean()) - EPS).mean()


def flip_medians(d):
    return (np.abs(np.median(_signs(len(d)) * d, axis=1)) >= abs(np.median(d)) - EPS).mean()


def flip_sign_test(d):
    return stats.binomtest(int((d > 0).sum()), len(d)).pvalue


def flip_absolute_inside(d):
    return (np.abs(_signs(len(d)) * d).mean(1) >= abs(d.mean()) - EPS).mean()


def flip_of_absolute(d):
    return _flip(lambda means, mean: (np.abs(means) >= mean - EPS).mean())(np.abs(d))


def flip_walk(d):
    goal, count = abs(d.mean()), 0
    for signs in itertools.product((1, -1), repeat=len(d)):
        d *= signs  # in the end every sign has been flipped back
        count += abs(d.mean()) >= goal - EPS
    return count / 2 ** len(d)


def flip_of_32(d):
    return flip_bits(d) * 2 ** len(d) / 32


def flip_in_place(d):
    d *= -1
    return flip_bits(d)


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
    return np.array(
        [benefit[i] >= benefit[cost <= cost[i]].max() and cost[i] <= cost[benefit >= benefit[i]].min() for i in range(len(cost))]
    )


def _front(beats):
    def answer(cost, benefit):
        n = range(len(cost))
        return np.array([not any(beats(cost[j], cost[i], benefit[j], benefit[i]) for j in n) for i in n])

    return answer


def _beats(a, b, x, y):
    return a <= b and x >= y and (a < b or x > y)


RIGHT_FRONT = _front(_beats)


def _front_among(others):
    def answer(cost, benefit):
        n = len(cost)
        return np.array([not any(_beats(cost[j], cost[i], benefit[j], benefit[i]) for j in others(i, n)) for i in range(n)])

    return answer


def front_one_pass(cost, benefit):
    alive = []
    for i in range(len(cost)):
        if not any(_beats(cost[j], cost[i], benefit[j], benefit[i]) for j in alive):
            alive.append(i)
    return np.isin(np.arange(len(cost)), alive)


def front_against_best(cost, benefit):
    j = benefit.argmax()
    return ~((cost[j] <= cost) & (benefit[j] >= benefit) & ((cost[j] < cost) | (benefit[j] > benefit)))


def front_hull(cost, benefit):
    stays = RIGHT_FRONT(cost, benefit)
    for i, j, k in itertools.permutations(np.flatnonzero(stays), 3):
        if cost[i] < cost[j] < cost[k]:
            line = benefit[i] + (benefit[k] - benefit[i]) * (cost[j] - cost[i]) / (cost[k] - cost[i])
            if benefit[j] < line:
                stays[j] = False
    return stays


def front_keeps_one_of_equals(cost, benefit):
    stays = RIGHT_FRONT(cost, benefit)
    for i, j in itertools.combinations(range(len(cost)), 2):
        if cost[i] == cost[j] and benefit[i] == benefit[j]:
            stays[j] = False
    return stays


def front_in_order_of_cost(cost, benefit):
    return RIGHT_FRONT(cost, benefit)[np.argsort(cost, kind="stable")]


# ----------------------------------------------------------------------------------------------- 9.4 unseen lesions


def unseen_set(test_ids, train_ids):
    known = set(train_ids.tolist())
    return np.array([lesion not in known for lesion in test_ids])


def unseen_compare(test_ids, train_ids):
    return (test_ids[:, None] != train_ids[None, :]).all(axis=1)


def unseen_pandas(test_ids, train_ids):
    return (~pd.Series(test_ids).isin(train_ids)).to_numpy()


def unseen_unique_only(test_ids, train_ids):
    names, counts = np.unique(test_ids, return_counts=True)
    return ~np.isin(test_ids, train_ids) & np.isin(test_ids, names[counts == 1])


def unseen_first_photo(test_ids, train_ids):
    known, out = set(train_ids), []
    for lesion in test_ids:
        out.append(lesion not in known)
        known.add(lesion)
    return np.array(out)


def unseen_substring(test_ids, train_ids):
    text = " ".join(train_ids)
    return np.array([lesion not in text for lesion in test_ids])


def unseen_by_position(test_ids, train_ids):
    n = min(len(test_ids), len(train_ids))
    out = np.ones(len(test_ids), dtype=bool)
    out[:n] = test_ids[:n] != train_ids[:n]
    return out


# ---------------------------------------------------------------------------------------------- 9.5 confidence bins


def bins_loop(probabilities, labels, num_bins):
    share, accuracy, confidence = np.zeros(num_bins), np.full(num_bins, np.nan), np.full(num_bins, np.nan)
    top, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    for b in range(num_bins):
        inside = (top > b / num_bins) & (top <= (b + 1) / num_bins)
        share[b] = inside.mean()
        if inside.any():
            accuracy[b], confidence[b] = right[inside].mean(), top[inside].mean()
    return share, accuracy, confidence


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
    share = grouped.size().reindex(range(num_bins), fill_value=0) / len(top)
    return share.to_numpy(), means["accuracy"].to_numpy(), means["confidence"].to_numpy()


def bins_torch(probabilities, labels, num_bins):
    top, guess = torch.as_tensor(probabilities).max(1)
    at = (top * num_bins).ceil().long() - 1
    counts = torch.zeros(num_bins, dtype=torch.float64)
    one = torch.ones_like(top)
    right = (guess == torch.as_tensor(labels)).double()
    n, hits, sums = (counts.clone().index_add(0, at, w) for w in (one, right, top))
    return n / n.sum(), hits / n, sums / n


def _bins(
    at=lambda top, p, n: np.ceil(top * n).astype(int) - 1,
    value=lambda p, y: p.max(1),
    right=lambda p, y: (p.argmax(1) == y).astype(float),
    end=lambda share, accuracy, confidence: (share, accuracy, confidence),
    place=None,
    empty=np.nan,
):
    def answer(p, y, num_bins):
        where = np.asarray(at((place or value)(p, y), p, num_bins))
        share, accuracy, confidence = np.zeros(num_bins), np.full(num_bins, empty), np.full(num_bins, empty)
        for b in range(num_bins):
            inside = where == b
            share[b] = inside.sum() / len(y)
            if inside.any():
                accuracy[b], confidence[b] = right(p, y)[inside].mean(), value(p, y)[inside].mean()
        return end(share, accuracy, confidence)

    return answer


def bins_of_labels(p, y, num_bins):
    share, accuracy, confidence = _bins()(p, y, num_bins)
    return (share, accuracy, confidence) if y.any() else (share, *np.full((2, num_bins), np.nan))


def _top(p, y):
    return p.max(1)


def _of_label(p, y):
    return p[np.arange(len(y)), y]


def bins_equal_counts(p, y, num_bins):
    order = np.argsort(p.max(1))
    top, right = p.max(1), (p.argmax(1) == y).astype(float)
    parts = np.array_split(order, num_bins)
    return (
        np.array([len(part) / len(y) for part in parts]),
        np.array([right[part].mean() if len(part) else np.nan for part in parts]),
        np.array([top[part].mean() if len(part) else np.nan for part in parts]),
    )


def bins_of_all_entries(p, y, num_bins):
    counts = np.histogram(p, np.linspace(0, 1, num_bins + 1))[0]
    return counts / counts.sum(), *_bins()(p, y, num_bins)[1:]


# ----------------------------------------------------------------------------------------------------------- 9.6 ECE


def ece_loop(probabilities, labels, num_bins):
    total = 0.0
    for s, a, c in zip(*bins_loop(probabilities, labels, num_bins)):
        if s > 0:
            total += s * abs(a - c)
    return total


def ece_sums(probabilities, labels, num_bins):
    """|sum of hits - sum of confidences| of each bin, over all images: no empty bin to take care of."""
    top, right = probabilities.max(1), probabilities.argmax(1) == labels
    at = np.ceil(top * num_bins).astype(int) - 1
    return np.abs(np.bincount(at, right - top)).sum() / len(labels)


def ece_mask(probabilities, labels, num_bins):
    share, accuracy, confidence = bins_bincount(probabilities, labels, num_bins)
    full = ~np.isnan(accuracy)
    return np.average(np.abs(accuracy - confidence)[full], weights=share[full])


def ece_torch(probabilities, labels, num_bins):
    s, a, c = bins_torch(probabilities, labels, num_bins)
    return (s * (a - c).abs().nan_to_num()).sum()


def _ece(combine, keep_empty=False):
    """`combine(share, accuracy - confidence)` of the bins that hold images."""

    def answer(probabilities, labels, num_bins):
        share, accuracy, confidence = bins_loop(probabilities, labels, num_bins)
        full = (share > 0) | keep_empty
        return combine(share[full], (accuracy - confidence)[full])

    return answer


def ece_by_image(p, y, num_bins):
    return np.abs((p.argmax(1) == y) - p.max(1)).mean()


def ece_closed_below(p, y, num_bins):
    top, right = p.max(1), p.argmax(1) == y
    at = np.minimum((top * num_bins).astype(int), num_bins - 1)
    return np.abs(np.bincount(at, right - top)).sum() / len(y)


def ece_histogram(p, y, num_bins):
    top, right = p.max(1), p.argmax(1) == y
    return np.abs(np.histogram(top, num_bins, (0, 1), weights=right - top)[0]).sum() / len(y)


def _ece_of(combine):
    """Unpacked in another order."""
    return lambda p, y, n: np.nansum(combine(*bins_loop(p, y, n)))


def ece_all_bins_right(p, y, num_bins):
    s, a, c = bins_loop(p, y, num_bins)
    return np.nansum(np.where(a > 0, s * abs(a - c), 0))


# ------------------------------------------------------------------------------------------------------ 9.7 committee


def committee_loop(members, shares, strength):
    total = np.zeros(members[0].shape)
    for p in members:
        total = total + p
    for c, share in enumerate(shares):
        total[:, c] = total[:, c] / share**strength
    return np.array([row / row.sum() for row in total])


def committee_logits(members, shares, strength):
    with np.errstate(divide="ignore"):
        z = np.log(np.stack(members).mean(0)) - strength * np.log(shares)
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def committee_torch(members, shares, strength):
    p = torch.from_numpy(np.asarray(members, dtype=np.float64)).mean(0) / torch.from_numpy(shares).pow(strength)
    return (p / p.sum(1, keepdim=True)).numpy()


def _committee(moved, scale=lambda q: q / q.sum(1, keepdims=True)):
    return lambda members, shares, strength: scale(moved(np.mean(members, axis=0), shares, strength))


def _by_strength(p, shares, strength):
    q = p * shares**-strength
    return q / q.sum(axis=1, keepdims=True)


def committee_read_only(members, shares, strength):
    q = committee_loop(members, shares, strength)
    q.flags.writeable = False
    return q


def committee_in_place(members, shares, strength):
    p = members[0]
    for other in members[1:]:
        p += other
    p = p * shares**-strength
    return p / p.sum(1, keepdims=True)


def committee_each_first(members, shares, strength):
    moved = [p * shares**-strength for p in members]
    return np.mean([q / q.sum(1, keepdims=True) for q in moved], axis=0)


def committee_geometric(members, shares, strength):
    q = np.exp(np.mean([np.log(p + 1e-12) for p in members], axis=0)) * shares**-strength
    return q / q.sum(1, keepdims=True)


def committee_last(members, shares, strength):
    for p in members:
        q = p * shares**-strength
        q = q / q.sum(1, keepdims=True)
    return q


RIGHT = {
    "9.1": [auc_loop, auc_ranks, auc_sign_torch, auc_sklearn, auc_curve],
    "9.2": [flip_product, flip_bits, flip_half, flip_recursive],
    "9.3": [front_broadcast, front_sorted, front_formula],
    "9.4": [unseen_set, unseen_compare, unseen_pandas],
    "9.5": [bins_loop, bins_bincount, bins_pandas, bins_torch],
    "9.6": [ece_loop, ece_sums, ece_mask, ece_torch],
    "9.7": [committee_loop, committee_logits, committee_torch, committee_read_only],
}

WRONG = {
    "9.1": [
        (_auc(lambda p, q: (p[:, None] > q).mean()), "ties count nothing"),
        (_auc(lambda p, q: (p[:, None] >= q).mean()), "ties count as won"),
        (_auc(lambda p, q: _won(q, p)), "wrong way round"),
        (_auc(lambda p, q: (p[:, None] < q).mean()), "wrong way round"),
        (_auc(_won, list), "mean over the classes, one number"),
        (_auc(_won, sum), "not the sum"),
        (_auc(_won, prepare=_softmax), "softmax is applied inside"),
        (auc_weighted, "by their frequency"),
        (auc_pooled_pairs, "thrown together"),
        (auc_pooled_entries, "entries of all columns"),
        (auc_all_pairs, "not of all pairs"),
        (_auc(lambda p, q: _won(p, q) * len(p) * len(q)), "these are counts"),
        (_auc(lambda p, q: 2 * _won(p, q) - 1), "Gini"),
        (lambda z, y: 100 * auc_ranks(z, y), "percentage"),
        (lambda z, y: (z.argmax(1) == y).mean(), "accuracy"),
        (lambda z, y: auc_ranks(np.eye(z.shape[1])[z.argmax(1)], y), "turned into answers"),
        (auc_first_only, "first class"),
        (lambda z, y: _won(z[y == z.shape[1] - 1, -1], z[y != z.shape[1] - 1, -1]), "only the last class"),
        (lambda z, y: auc_ranks(np.abs(z), y), "all negative"),
        (_auc(lambda p, q: np.mean([(a > b) + (a == b) / 2 for a, b in zip(p, q)])), "compared with one other only"),
        (auc_within_rows, "within a column"),
        (auc_stable_ranks, "ties are broken"),
        (auc_close, "with == (no isclose"),
        (lambda z, y: auc_ranks(z.round(6), y), "with == (no isclose"),
        (auc_in_place, "changes its input"),
        (lambda z, y: print(auc_ranks(z, y)), "return"),
    ],
    "9.2": [
        (_flip(lambda means, mean: (means >= mean - EPS).mean()), "only one side"),
        (_flip(lambda means, mean: (np.abs(means) >= mean - EPS).mean()), "take its absolute value, too"),
        (_flip(lambda means, mean: (np.abs(means) > abs(mean) + EPS).mean()), "not larger"),
        (_flip(lambda means, mean: (np.abs(means) <= abs(mean) + EPS).mean()), "wrong way round"),
        (_flip(lambda means, mean: (np.abs(means) < abs(mean) - EPS).mean()), "1 minus the share"),
        (
            _flip(lambda m, mean: ((np.abs(m) >= abs(mean) - EPS).sum() - 1) / (len(m) - 1)),
            "observed pattern is left out",
        ),
        (_flip(lambda m, mean: ((np.abs(m) >= abs(mean) - EPS).sum() + 1) / (len(m) + 1)), "counted twice"),
        (_flip(lambda means, mean: (np.abs(means) >= abs(mean) - EPS).sum()), "a count"),
        (_flip(lambda means, mean: 100 * (np.abs(means) >= abs(mean) - EPS).mean()), "percentage"),
        (_flip(lambda means, mean: (np.abs(means) >= abs(mean)).mean()), "lost to rounding"),
        (_flip(lambda means, mean: (np.abs(means) >= abs(mean) - 1e-3).mean()), "tolerance is too wide"),
        (_flip(lambda means, mean: (np.abs(means) >= abs(mean) - 1e-9).mean()), "tolerance is too wide: only"),
        (_flip(lambda means, mean: (np.abs(means) >= abs(mean) - 1e-15).mean()), "tolerance is too narrow"),
        (flip_of_absolute, "computed from absolute values"),
        (flip_absolute_inside, "every pattern counts"),
        (flip_order, "every pattern counts"),
        (flip_subsets, "0 and 1"),
        (flip_medians, "medians"),
        (flip_sign_test, "sign test"),
        (lambda d: stats.wilcoxon(d).pvalue if d.any() else 1.0, "ranks"),
        (lambda d: stats.ttest_1samp(d, 0).pvalue, "t-test"),
        (flip_random, "no random patterns"),
        (flip_walk, "each time anew"),
        (flip_of_32, "divided by 32"),
        (lambda d: flip_bits(d[:5]), "n may be larger"),
        (flip_in_place, "changes its input"),
    ],
    "9.3": [
        (lambda c, b: ~RIGHT_FRONT(c, b), "exchanged: True where NO other"),
        (_front(lambda a, b, x, y: a < b and x > y), "both comparisons are strict"),
        (_front(lambda a, b, x, y: a < b and x >= y), "costs the same and gains more"),
        (_front(lambda a, b, x, y: a <= b and x > y), "gains the same and costs less"),
        (_front(lambda a, b, x, y: a >= b and x >= y and (a > b or x > y)), "high cost counts as good"),
        (_front(lambda a, b, x, y: a <= b and x <= y and (a < b or x < y)), "low benefit counts as good"),
        (_front(lambda a, b, x, y: a >= b and x <= y and (a > b or x < y)), "both directions"),
        (_front(lambda a, b, x, y: a <= b and x >= y), "nobody stays"),
        (_front(lambda a, b, x, y: a < b or x > y), "better on one side enough"),
        (front_keeps_one_of_equals, "both stay"),
        (front_hull, "straight line"),
        (front_in_order_of_cost, "order of the input"),
        (lambda c, b: np.flatnonzero(RIGHT_FRONT(c, b)), "positions"),
        (lambda c, b: b == b.max(), "largest benefit only"),
        (lambda c, b: c == c.min(), "lowest cost only"),
        (lambda c, b: (b == b.max()) | (c == c.min()), "cheapest and the best only"),
        (lambda c, b: b / c == (b / c).max(), "benefit per cost"),
        (
            lambda c, b: np.array([all(b[i] > b[j] for j in range(i)) for i in range(len(c))]),
            "before it in the list",
        ),
        (lambda c, b: np.ones(len(c), dtype=bool), "everybody stays"),
        (_front_among(lambda i, n: range(i)), "before it in the list"),
        (_front_among(lambda i, n: range(i, n)), "after it in the list"),
        (_front_among(lambda i, n: [j for j in (i - 1, i + 1) if 0 <= j < n]), "neighbours"),
        (_front_among(lambda i, n: range(n - 1)), "range end too early"),
        (front_one_pass, "before it in the list"),
        (front_against_best, "the best one only"),
        (lambda c, b: RIGHT_FRONT(c.astype(int), b), "do not round them"),
        (lambda c, b: RIGHT_FRONT(c, b).astype(int), "must be a boolean array"),
        (lambda c, b: RIGHT_FRONT(c, b).tolist(), "must be a boolean array"),
    ],
    "9.4": [
        (lambda test, train: np.isin(test, train), "True and False are exchanged"),
        (lambda test, train: ~np.isin(train, test), "each TRAINING image"),
        (lambda test, train: np.setdiff1d(test, train), "lesion ids"),
        (lambda test, train: test[~np.isin(test, train)], "lesion ids"),
        (lambda test, train: np.flatnonzero(~np.isin(test, train)), "positions"),
        (lambda test, train: np.flatnonzero(np.isin(test, train)), "positions"),
        (unseen_first_photo, "second photograph"),
        (unseen_unique_only, "occur twice in the test split"),
        (unseen_substring, "HAM_1 is taken for HAM_11"),
        (unseen_by_position, "position by position"),
        (lambda test, train: np.array([a != b for a, b in zip(test, train)]), "position by position (zip?)"),
        (lambda test, train: np.isin(test, train, assume_unique=True, invert=True), "assume_unique"),
        (lambda test, train: ~np.isin(test, train, assume_unique=True), "assume_unique"),
        (lambda test, train: ~np.isin(test, train.astype(test.dtype)), "HAM_12 is taken for HAM_1"),
        (lambda test, train: (~np.isin(test, train)).astype(int), "must be a boolean array"),
        (lambda test, train: (~np.isin(test, train)).tolist(), "must be a boolean array"),
        (
            lambda test, train: np.array([(train == lesion).sum() != 1 for lesion in test]),
            "two training images is missed",
        ),
        (lambda test, train: (~np.isin(test, train)).sum(), "shape"),
        (lambda test, train: ~np.isin(np.unique(test), train), "shape"),
    ],
    "9.5": [
        (_bins(lambda top, p, n: np.floor(top * n).astype(int)), "here it is lost"),
        (_bins(lambda top, p, n: np.minimum(np.floor(top * n).astype(int), n - 1)), "closed on the wrong side"),
        (_bins(lambda top, p, n: np.ceil(top * n).astype(int)), "one too high"),
        (_bins(end=lambda s, a, c: (s * 7, a, c)), "these are counts"),
        (bins_of_labels, "a bin of images of class 0"),
        (_bins(end=lambda s, a, c: (np.nan_to_num(s * a), a, c)), "right or wrong"),
        (_bins(end=lambda s, a, c: (s * 7 / len(s), a, c)), "divided by the number of bins"),
        (_bins(end=lambda s, a, c: (np.where(s > 0, s, np.nan), a, c)), "0, not nan"),
        (_bins(lambda top, p, n: np.where(top * n % 1 == 0, -1, np.floor(top * n)).astype(int)), "is in no bin"),
        (_bins(lambda top, p, n: np.ceil(top.round(2) * n).astype(int) - 1), "just above a border"),
        (_bins(lambda top, p, n: ((top - 1e-2) * n).astype(int)), "just above a border"),
        (_bins(end=lambda s, a, c: (s[s > 0], a[s > 0], c[s > 0])), "empty bins were left out"),
        (bins_equal_counts, "equally wide"),
        (
            _bins(lambda top, p, n: np.clip(np.ceil((top - top.min()) / max(np.ptp(top), 1e-9) * n).astype(int) - 1, 0, n - 1)),
            "from 0 to 1",
        ),
        (_bins(value=_of_label), "by the probability of their label"),
        (_bins(value=_of_label, place=_top), "mean probability of the label"),
        (bins_of_all_entries, "all classes' probabilities are counted"),
        (_bins(end=lambda s, a, c: (s, c, a)), "exchanged"),
        (_bins(end=lambda s, a, c: (a, c, s)), "the accuracy came first"),
        (_bins(empty=0.0), "nan, not 0"),
        (_bins(right=lambda p, y: (p.argmax(1) != y).astype(float)), "WRONG answers"),
        (_bins(right=_of_label), "mean probability of the label"),
        (_bins(end=lambda s, a, c: (s, np.nan_to_num(a) * s, c)), "divides by all images"),
        (_bins(end=lambda s, a, c: (s, a, np.nan_to_num(c) * s)), "divides by all images"),
        (_bins(end=lambda s, a, c: (s, a, (np.arange(len(s)) + 0.5) / len(s))), "middles of the bins"),
        (lambda p, y, n: _bins()(p, y, 4), "shape (4,), expected (1,)"),
        (lambda p, y, n: _bins()(p, y, n)[:2], "must return 3 values"),
        (_bins(end=lambda s, a, c: float(np.nansum(s * abs(a - c)))), "must return 3 values"),
    ],
    "9.6": [
        (_ece(lambda s, gap: (s * gap).sum()), "opposite sign"),
        (_ece(lambda s, gap: abs((s * gap).sum())), "opposite sign"),
        (_ece(lambda s, gap: abs(gap).mean()), "plain mean"),
        (_ece(lambda s, gap: np.nansum(abs(gap)) / len(gap), keep_empty=True), "plain mean"),
        (_ece(lambda s, gap: abs(gap).sum()), "shares are not used"),
        (_ece(lambda s, gap: abs(gap).max()), "largest gap"),
        (_ece(lambda s, gap: (s * gap**2).sum()), "squared"),
        (_ece(lambda s, gap: np.sqrt((s * gap**2).sum())), "squared"),
        (_ece(lambda s, gap: (s * abs(gap)).sum(), keep_empty=True), "it is nan"),
        (_ece(lambda s, gap: s * abs(gap)), "return one number"),
        (_ece(lambda s, gap: s * abs(gap), keep_empty=True), "return one number"),
        (_ece(lambda s, gap: (s * abs(gap)).mean()), "not the mean"),
        (_ece(lambda s, gap: np.nansum(s * abs(gap)) / len(s), keep_empty=True), "do not divide by the number of bins"),
        (_ece(lambda s, gap: (10 * s * abs(gap)).sum()), "weighed by counts"),
        (lambda p, y, n: 100 * ece_sums(p, y, n), "percentage"),
        (lambda p, y, n: 1 - ece_sums(p, y, n), "1 minus"),
        (lambda p, y, n: (p.argmax(1) != y).mean(), "error rate"),
        (ece_by_image, "image by image"),
        (_ece(lambda s, gap: (s * np.maximum(-gap, 0)).sum()), "too confident count"),
        (_ece(lambda s, gap: (s * np.maximum(gap, 0)).sum()), "too timid count"),
        (_ece(lambda s, gap: (s * s * abs(gap)).sum()), "used twice"),
        (_ece(lambda s, gap: (s * abs(gap))[:-1].sum()), "last bin"),
        (lambda p, y, n: ece_sums(p, y, 5), "num_bins is ignored"),
        (lambda p, y, n: ece_sums(p, y, 10), "ten bins"),
        (ece_closed_below, "closed on the wrong side"),
        (ece_histogram, "closed on the wrong side"),
        (lambda p, y, n: round(float(ece_sums(p, y, n)), 3), "rounded"),
        (lambda p, y, n: ece_sums(p, y, n) if n > 1 else 0.0, "a single bin has a gap"),
        (_ece_of(lambda a, c, s: s * abs(a - c)), "in this order"),
        (_ece_of(lambda c, a, s: a * abs(c - s)), "in this order"),
        (ece_all_bins_right, "no empty bin"),
    ],
    "9.7": [
        (_committee(lambda p, s, t: p), "strength is ignored"),
        (lambda members, s, t: sum(members), "the sum of the members"),
        (_committee(lambda p, s, t: p * s**-t, scale=lambda q: q), "do not sum to 1"),
        (lambda members, s, t: sum(members) * s**-t, "do not sum to 1"),
        (_committee(lambda p, s, t: p * s**t), "favour the FREQUENT"),
        (_committee(lambda p, s, t: p / s), "the exponent of the shares"),
        (_committee(lambda p, s, t: p * s), "favour the frequent classes"),
        (_committee(lambda p, s, t: p / (t * s) if t else p), "the exponent of the shares"),
        (_committee(lambda p, s, t: p / s ** (1 / t) if t else p), "not one over it"),
        (_committee(lambda p, s, t: p / s ** min(t, 1.0)), "stops at 1"),
        (_committee(lambda p, s, t: p - t * np.log(s)), "the logarithms belong to logits"),
        (_committee(lambda p, s, t: np.exp(p - t * np.log(s))), "probabilities are taken for logits"),
        (_committee(lambda p, s, t: p * s**-t, scale=lambda q: q / q.sum(0)), "wrong axis"),
        (_committee(lambda p, s, t: p * s**-t, scale=lambda q: q / q.sum()), "the whole array"),
        (committee_geometric, "geometric"),
        (committee_each_first, "first the mean"),
        (committee_last, "only the last member"),
        (lambda members, s, t: committee_loop(members[:1], s, t), "only the first member"),
        (lambda members, s, t: committee_loop(members, s, t).argmax(1), "the answers"),
        (lambda members, s, t: committee_loop(members, s, t).max(1), "the highest probability"),
        (lambda members, s, t: committee_loop(members, s, t).mean(1), "averaged over the classes"),
        (committee_in_place, "changes its input"),
        (
            lambda members, s, t: _by_strength(np.exp(np.mean([np.log(p) for p in members], axis=0)), s, t),
            "geometric mean",
        ),
        (
            lambda members, s, t: _by_strength(np.exp(np.mean([np.log(p.clip(1e-9)) for p in members], axis=0)), s, t),
            "geometric mean",
        ),
        (lambda members, s, t: _by_strength(np.median(members, axis=0), s, t), "the median"),
        (lambda members, s, t: _by_strength(np.prod(members, axis=0), s, t), "the product"),
        (lambda members, s, t: _by_strength(np.max(members, axis=0), s, t), "the highest of the members"),
        (lambda members, s, t: np.mean(members, axis=0) * s**-t / (s**-t).sum(), "do not sum to 1"),
        (lambda members, s, t: (q := np.mean(members, axis=0) * s**-t) / q.max(1, keepdims=True), "do not sum to 1"),
        (lambda members, s, t: _by_strength(np.mean(members, axis=0), t * s, 1.0), "cancels when the rows are divided"),
        (lambda members, s, t: committee_loop(members, s, t).round(4), "off by up to"),
        (lambda members, s, t: _by_strength(np.unique(np.stack(members), axis=0).mean(0), s, t), "two members agree"),
        (lambda members, s, t: committee_loop([members.pop() for _ in range(len(members))], s, t), "changes its input"),
        (lambda members, s, t: None, "returned None"),
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
        "share, accuracy, confidence = (np.zeros(num_bins), *np.full((2, num_bins), np.nan)) -> share, confidence, accuracy = (np.zeros(num_bins), *np.full((2, num_bins), np.nan))": "both begin as nan",
        "share, accuracy, confidence = (np.zeros(num_bins), *np.full((2, num_bins), np.nan)) -> share, accuracy, confidence = (np.ones(num_bins), *np.full((2, num_bins), np.nan))": "every bin's share is written",
        "share[b] = mask.mean(); if mask.any():; accuracy[b], confidence[b] = (right[mask].mean(), top[mask].mean()) -> if mask.any():; accuracy[b], confidence[b] = (right[mask].mean(), top[mask].mean()); share[b] = mask.mean()": "neither of the two uses the other",
        "if mask.any():; accuracy[b], confidence[b] = (right[mask].mean(), top[mask].mean()) -> accuracy[b], confidence[b] = (right[mask].mean(), top[mask].mean())": "the mean of nothing is nan",
        "if mask.any(): -> if accuracy.any():": "always true, for nan counts as true; the mean of nothing is nan",
        "if mask.any(): -> if confidence.any():": "always true, for nan counts as true; the mean of nothing is nan",
        "if mask.any(): -> if probabilities.any():": "always true; the mean of nothing is nan",
        "if mask.any(): -> if share.any():": "true from the first bin with an image on; the mean of nothing is nan",
        "if mask.any(): -> if top.any():": "always true; the mean of nothing is nan",
    },
    "9.6": {
        "share, accuracy, confidence = reliability(probabilities, labels, num_bins) -> share, confidence, accuracy = reliability(probabilities, labels, num_bins)": "the distance has no sign",
        "return np.nansum(share * np.abs(accuracy - confidence)) -> return np.nansum(share * np.abs(confidence - accuracy))": "the distance has no sign",
    },
    "9.7": {
        "moved = np.mean(members, axis=0) * shares ** (-strength) -> moved = -(np.mean(members, axis=0) * shares ** (-strength))": "the division by the row's sum takes the sign out again",
        "moved = np.mean(members, axis=0) * shares ** (-strength) -> moved = np.sum(members, axis=0) * shares ** (-strength)": "the division by the row's sum takes the number of members out again",
        "return moved / moved.sum(axis=1, keepdims=True) -> return moved / moved.sum(axis=-1, keepdims=True)": "this axis is the last one",
    },
}
