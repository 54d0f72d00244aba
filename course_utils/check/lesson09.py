"""Checks of lesson 09: pair-counting AUC, the sign-flip test, the cost front, lesion overlap, calibration."""

import itertools

import numpy as np
from scipy import stats
from sklearn import metrics

from course_utils.check.core import Fix, exercise, expect, expect_tuple

nan = float("nan")
_PARTS = ("share", "accuracy", "confidence")


# ------------------------------------------------------------------------------------------------------ 9.1 macro AUC


def _pairs(scores: np.ndarray, labels: np.ndarray, tie: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """(C,) pairs ranked right, and (C,) pairs, of each class against the rest."""
    right, count = [], []
    for c in range(scores.shape[1]):
        gap = scores[labels == c, c][:, None] - scores[labels != c, c][None, :]
        right.append(float((gap > 0).sum() + tie * (gap == 0).sum()))
        count.append(float(gap.size))
    return np.array(right), np.array(count)


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def _wrong_aucs(scores: np.ndarray, labels: np.ndarray) -> list:
    right, count = _pairs(scores, labels)
    each = right / count
    share = np.bincount(labels, minlength=scores.shape[1]) / len(labels)
    one_hot = np.eye(scores.shape[1])[labels]
    pooled = scores.reshape(-1, 1), one_hot.reshape(-1).astype(int) ^ 1  # one column; the positives have label 0
    probabilities = _softmax(scores)
    soft, soft_count = _pairs(probabilities, labels)
    no_ties, all_ties = _pairs(scores, labels, 0.0)[0] / count, _pairs(scores, labels, 1.0)[0] / count
    ranks = scores.argsort(0, kind="stable").argsort(0, kind="stable") + 1
    in_rows, one_each, of_ranks = [], [], []
    for c in range(scores.shape[1]):
        of_class, others = scores[labels == c], scores[labels != c]
        n = len(of_class)
        in_rows.append(_share_won(of_class[:, [c]] - np.delete(of_class, c, 1)))
        pairs = min(n, len(others))
        one_each.append(_share_won(of_class[:pairs, c] - others[:pairs, c]))
        of_ranks.append((ranks[labels == c, c].sum() - n * (n + 1) / 2) / (n * len(others)))
    return [
        (each, "return the mean over the classes, one number"),
        (each.sum(), "return the mean over the classes, not the sum"),
        (no_ties.mean(), "ties count nothing: a pair with equal scores counts one half"),
        (all_ties.mean(), "ties count as won: a pair with equal scores counts one half"),
        (
            (1 - each).mean(),
            "the pairs are counted the wrong way round: the image of the class should have the higher score",
        ),
        (
            (1 - all_ties).mean(),
            "the pairs are counted the wrong way round: the image of the class should have the higher score",
        ),
        (
            (soft / soft_count).mean(),
            "a softmax is applied inside: take the scores as they are, whether they are logits or not",
        ),
        ((each * share).sum(), "this weighs the classes by their frequency: here each counts the same"),
        (
            right.sum() / count.sum(),
            "the pairs of all classes are thrown together: a share for each class first, then the plain mean",
        ),
        (
            _pairs(*pooled)[0][0] / _pairs(*pooled)[1][0],
            "all entries of all columns are pooled: compare within one column, one class against the rest",
        ),
        (
            (right / (len(labels) * (len(labels) - 1) / 2)).mean(),
            "divide by the number of pairs (image of the class, other image), not of all pairs of images",
        ),
        ((right / len(labels) ** 2).mean(), "divide by the number of pairs (image of the class, other image)"),
        (right.mean(), "these are counts: divide by the number of pairs (image of the class, other image)"),
        (100 * each.mean(), "this is a percentage: a share is between 0 and 1"),
        (2 * each.mean() - 1, "this is 2 AUC - 1 (the Gini coefficient): return the share of pairs itself"),
        ((scores.argmax(1) == labels).mean(), "this is the accuracy: it looks at the rows; the AUC looks at columns"),
        (
            np.mean([_answer_auc(scores, labels, c) for c in range(scores.shape[1])]),
            "the scores were turned into answers first (argmax or a threshold): compare the scores themselves",
        ),
        (each[:-1].mean(), "the last class is left out: one share for each column"),
        (each[-1], "only the last class is returned: the return stands inside the loop, or overwrites the others"),
        (
            np.mean(in_rows),
            "the scores of one image are compared with each other: compare within a column, image with image",
        ),
        (
            np.mean(one_each),
            "each image is compared with one other only (zip?): each image of the class with all the others",
        ),
        (np.mean(of_ranks), "ties are broken by the order of the images: equal scores count one half"),
        (each[0], "only the first class is returned: does the return stand inside the loop?"),
    ]


def _share_won(gap: np.ndarray) -> float:
    return float(np.mean((gap > 0) + (gap == 0) / 2))


def _answer_auc(scores: np.ndarray, labels: np.ndarray, c: int) -> float:
    return metrics.roc_auc_score(labels == c, scores.argmax(1) == c)


@exercise("9.1", "AUC by counting pairs")
def _(student):
    # Ties, classes of 1, 4 and 2 images, and nothing that sums to one
    labels = np.array([1, 2, 1, 0, 1, 2, 1])
    scores = np.array([[4, 3, 1], [4, 3, 1], [3, 2, 1], [5, 5, 0], [3, 3, 3], [4, 1, 5], [4, 3, 0]])
    result = student(scores, labels)
    what = "the macro AUC of seven images with ties, classes of 1, 4 and 2 images"
    expect(result, (6 / 6 + 5.5 / 12 + 8 / 10) / 3, what, _wrong_aucs(scores, labels))
    labels = np.array([0, 0, 1, 1, 2, 2])
    logits = np.array([[5.0, 4, 0], [1, 0, 0], [6, 7, 0], [0, 1, 0], [0, 0, 1], [2, 2, 3]])
    what = "the macro AUC of the six images in the text"
    expect(student(logits, labels), (5 / 8 + 6 / 8 + 8 / 8) / 3, what, _wrong_aucs(logits, labels))
    expect(
        student(np.tile([0.0, 1.0, 0.0], (6, 1)), labels),
        0.5,
        "the macro AUC of the majority class",
        [(0.0, "ties count nothing: a pair with equal scores counts one half"), (1.0, "ties count as won: one half")],
    )
    negative = np.array([[-3.0, -1.0], [-2.0, -5.0], [-4.0, -1.0]])
    what = "the macro AUC of scores that are all negative"
    expect(student(negative, np.array([0, 1, 1])), (0.5 + 0.25) / 2, what)
    rare = np.array([[0.5, 3e-9], [0.25, 1e-9], [0.75, 2e-9], [0.5, 1e-9]])
    what = "the macro AUC of four images with tiny scores in the second column"
    close = "scores that differ a little are taken for ties: a tie is two equal scores, with == (no isclose, no rounding)"
    expect(student(rare, np.array([1, 0, 0, 0])), (1.5 / 3 + 3 / 3) / 2, what, [(0.5, close)])
    rng = np.random.default_rng(0)
    many, of = rng.normal(size=(300, 4)).round(1), np.concatenate([np.arange(4), rng.integers(0, 4, 296)])
    right, count = _pairs(many, of)
    expect(student(many, of), (right / count).mean(), "the macro AUC of 300 images and 4 classes", tolerance=1e-6)


# ------------------------------------------------------------------------------------------------------ 9.2 sign flips


def _flipped(d: np.ndarray) -> np.ndarray:
    return np.array(list(itertools.product([1, -1], repeat=len(d)))) @ d


@exercise("9.2", "the exact sign-flip test")
def _(student):
    d = np.array([7.0, -3.0, 5.0, -9.0, 8.0])  # their sum is 8; of 32 flipped sums 11 are >= 8 and 11 are <= -8
    sums, extreme = _flipped(d), 22
    walk = abs(np.cumprod(list(itertools.product([1, -1], repeat=5)), axis=0) @ d)
    subsets = np.array(list(itertools.product([0, 1], repeat=5))) @ d
    medians = np.array([abs(np.median(d * s)) for s in itertools.product([1, -1], repeat=5)])
    left_out = "the observed pattern is left out: it is one of the 2^n"
    not_larger = "at least as large, not larger: patterns that give the observed mean count, too"
    result = student(d.copy())
    near = np.ndim(result) == 0 and abs(float(result) - extreme / 32) < 0.06
    sampled = near and all(abs(float(result) * n - round(float(result) * n)) > 1e-6 for n in range(1, 65))
    expect(
        result,
        extreme / 32,
        "the share for the differences 7, -3, 5, -9, 8",
        wrong=[
            (
                (sums >= 8).mean(),
                "only one side is counted: a flipped mean of -1.6 is as far from 0 as 1.6, take absolute values",
            ),
            ((sums <= 8).mean(), "the comparison is the wrong way round: count flipped means at least as large"),
            ((abs(sums) > 8).mean(), not_larger),
            ((sums > 8).mean(), f"{not_larger}; and both sides count: absolute values"),
            ((abs(sums) <= 8).mean(), "the comparison is the wrong way round: count flipped means at least as large"),
            ((abs(sums) < 8).mean(), "this is 1 minus the share: count flipped means that are at least as large"),
            ((extreme - 1) / 31, left_out),
            ((extreme - 1) / 32, left_out),
            ((extreme + 1) / 33, "the observed pattern is counted twice: it is already one of the 2^n"),
            (
                (abs(sums) >= abs(d).sum()).mean(),
                "the observed mean was computed from absolute values: keep the signs of the differences you got",
            ),
            (extreme, "this is a count: divide by the number of patterns, 2^n"),
            (100 * extreme / 32, "this is a percentage: a share is between 0 and 1"),
            ((abs(subsets) >= 8).mean(), "the patterns are made of 0 and 1 (leave out or keep): flip with -1 and +1"),
            ((medians >= np.median(d)).mean(), "this compares medians: the mean of the differences is asked for"),
            (
                (walk >= 8 - 1e-9).mean(),
                "the differences are changed from pattern to pattern (d *= s?): flip the signs you got, each time anew",
            ),
            (stats.wilcoxon(d).pvalue, "this is Wilcoxon's test on ranks: flip the differences themselves"),
            (stats.ttest_1samp(d, 0).pvalue, "this is the t-test, which assumes a normal distribution: flip signs"),
            (
                1.0,
                "every pattern counts: flip the signs (a new order changes no mean), and take each mean before its "
                "absolute value. (The sign test, which only counts wins, gives 1 here, too)",
            ),
            (1 / 32, "only one pattern counts: compare every flipped mean with the observed one, and add up how often"),
            (0.0, "no pattern counts, but the observed one always does: at least as large includes equal"),
            *([(result, "the share is near, but not exact: no random patterns, go through all 2^n")] if sampled else []),
        ],
        tolerance=1e-6,
    )
    expect(
        student(np.array([-0.02, -0.01, -0.04])),
        2 / 8,
        "the share when all three differences are negative",
        wrong=[
            (1.0, "the observed mean is negative here, and everything is larger: take its absolute value, too"),
            (2 / 32, "the count is divided by 32, whatever the number of differences: there are 2^n patterns"),
            (1 / 8, "only one side is counted: the pattern with all signs flipped is as extreme"),
            (0.0, "the observed pattern itself counts: at least as large"),
        ],
        tolerance=1e-6,
    )
    ties = np.array([0.1, 0.1, 0.1, -0.1])
    result = student(ties)
    try:
        lost = float(result) < 10 / 16 - 1e-9
    except (TypeError, ValueError):
        lost = False
    if lost:
        raise Fix(
            "of .1, .1, .1, -.1 the flipped means that equal the observed one are lost to rounding: count what falls "
            "short by less than 1e-12, too"
        )
    expect(result, 10 / 16, "the share for the differences .1, .1, .1, -.1", tolerance=1e-6)
    small = student(np.array([3e-5, 1e-5, -1e-5]))
    sums = _flipped(np.array([3.0, 1.0, -1.0]))
    expect(
        small,
        (abs(sums) >= 3).mean(),
        "the share for three tiny differences, 3e-5, 1e-5 and -1e-5",
        [(1.0, "the tolerance is too wide: 1e-12 forgives rounding, and nothing else")],
        tolerance=1e-6,
    )
    for short, right, cause in (  # the mean of 1, -short falls short of the observed one by `short`
        (0.7e-12, 1.0, "the tolerance is too narrow: what falls short by less than 1e-12 counts, too"),
        (1.5e-12, 0.5, "the tolerance is too wide: only what falls short by less than 1e-12 counts, too"),
    ):
        what = f"the share for the differences 1 and {short:g}"
        expect(student(np.array([1.0, short])), right, what, [(1.5 - right, cause)], tolerance=1e-6)
    expect(
        student(np.ones(6)),
        2 / 64,
        "the share for six equal differences",
        [(2 / 32, "only five differences are used: n may be larger")],
        tolerance=1e-6,
    )
    expect(student(np.zeros(3)), 1.0, "the share when all differences are 0", tolerance=1e-6)
    expect(student(np.array([-0.3])), 1.0, "the share for one difference alone", tolerance=1e-6)


# ------------------------------------------------------------------------------------------------- 9.3 the cost front


def _boolean(result, right: np.ndarray, what: str, wrong: list) -> None:
    """Like `expect`, for a boolean numpy array, and with words for answers of other kinds."""
    try:
        value = np.asarray(result)
    except (TypeError, ValueError, RuntimeError):
        raise Fix(f"{what} must be a boolean array, but is {type(result).__name__}") from None
    if value.dtype == object or value.dtype.kind in "US":
        raise Fix(f"{what} must be a boolean array, one True or False each, but holds {value.dtype}")
    if np.array_equal(value, np.flatnonzero(right)) and value.dtype != bool:
        raise Fix("these are positions: return a boolean array with one entry each, True where it holds")
    if np.array_equal(value, np.flatnonzero(~right)) and value.dtype != bool:
        raise Fix("these are positions (and of the others): return a boolean array with one entry each")
    expect(value.astype(float), right.astype(float), what, [(v.astype(float), cause) for v, cause in wrong])
    if not isinstance(result, np.ndarray) or result.dtype != bool:
        got = f"an array of {result.dtype}" if isinstance(result, np.ndarray) else type(result).__name__
        raise Fix(f"the values are right, but {what} must be a boolean array (later cells use it as one), and is {got}")


def _dominated(cost, benefit, beats) -> np.ndarray:
    n = range(len(cost))
    return np.array([any(j != i and beats(cost[j], cost[i], benefit[j], benefit[i]) for j in n) for i in n])


def _loose(a, b, x, y) -> bool:
    return a <= b and x >= y


@exercise("9.3", "the methods that no other dominates")
def _(student):
    # In no order: some methods that dominate stand before the one they dominate, some after it, none only beside it
    #                 A    B    C    D     E    F    G    H    I    J    K
    cost = np.array([8.0, 1.0, 5.0, 10.0, 2.0, 1.0, 6.0, 2.0, 9.0, 4.0, 3.0])
    gain = np.array([0.30, 0.10, 0.60, 0.40, 0.50, 0.20, 0.60, 0.50, 0.65, 0.51, 0.51])
    right = np.array([False, False, True, False, True, True, False, True, True, False, True])

    def stays(beats):
        return ~_dominated(cost, gain, beats)

    def asked(others):
        """Who stays if method i is compared with `others(i)` only."""
        return ~np.array(
            [
                any(_loose(cost[j], cost[i], gain[j], gain[i]) and (cost[j], gain[j]) != (cost[i], gain[i]) for j in others(i))
                for i in range(11)
            ]
        )

    by_cost = np.argsort(cost, kind="stable")
    ratio = gain / cost
    hull = right.copy()
    hull[10] = False
    duplicates_once = right.copy()
    duplicates_once[7] = False
    first_seen = np.array([gain[i] > max(gain[:i], default=-1) for i in range(11)])
    named = "methods A to K"
    _boolean(
        student(cost, gain),
        right,
        f"which of the {named} stay (A, B, D, G and J are dominated)",
        wrong=[
            (~right, "True and False are exchanged: True where NO other method dominates"),
            (
                stays(_loose),
                "two methods with equal cost and benefit throw each other out: one of the two must be strict",
            ),
            (
                stays(lambda a, b, x, y: a < b and x > y),
                "both comparisons are strict: a method that is as good and cheaper, or as cheap and better, dominates, too",
            ),
            (
                stays(lambda a, b, x, y: a < b and x >= y),
                "a method that costs the same and gains more dominates, too: at most as much, one of the two strictly",
            ),
            (
                stays(lambda a, b, x, y: a <= b and x > y),
                "a method that gains the same and costs less dominates, too: at least as much, one of the two strictly",
            ),
            (
                stays(lambda a, b, x, y: a >= b and x >= y and (a > b or x > y)),
                "high cost counts as good here: a dominating method costs at MOST as much",
            ),
            (
                stays(lambda a, b, x, y: a <= b and x <= y and (a < b or x < y)),
                "low benefit counts as good here: a dominating method gains at LEAST as much",
            ),
            (
                stays(lambda a, b, x, y: a >= b and x <= y and (a > b or x < y)),
                "both directions are exchanged (or the wrong axis of the comparisons is summed up): low cost and high benefit are good",
            ),
            (
                np.zeros(11, dtype=bool),
                "nobody stays: is each method compared with itself (one of the two must be strict), or is being better "
                "on one side enough (it must be at least as good on the other)?",
            ),
            (
                asked(range),
                "each method is compared with those before it in the list only: compare with all others",
            ),
            (
                asked(lambda i: range(i, 11)),
                "each method is compared with those after it in the list only: compare with all others",
            ),
            (
                asked(lambda i: [j for j in (i - 1, i + 1) if 0 <= j < 11]),
                "each method is compared with its neighbours in the list only: compare with all others",
            ),
            (asked(lambda i: range(10)), "no method is compared with the last one: does a range end too early?"),
            (
                asked(lambda i: [gain.argmax()]),
                "each method is compared with the best one only: compare with all others",
            ),
            (np.ones(11, dtype=bool), "everybody stays: compare each method with all others"),
            (right[by_cost], "the entries are in the order of the costs: keep the order of the input"),
            (hull, "K lies below the straight line from E to C, but neither of them dominates it"),
            (duplicates_once, "E and H are equal in both: none dominates the other, both stay"),
            (first_seen, "each method is compared with those before it in the list only: compare with all others"),
            (gain == gain.max(), "this marks the largest benefit only: cheaper methods can stay, too"),
            (cost == cost.min(), "this marks the lowest cost only: better methods can stay, too"),
            (
                (gain == gain.max()) | (cost == cost.min()),
                "this marks the cheapest and the best only: methods between them can stay, too",
            ),
            (ratio == ratio.max(), "this ranks by benefit per cost: dominance needs no exchange rate"),
        ],
    )
    front = np.array([True, False, False])
    what = "which of three stay, when the first is cheapest and best"
    _boolean(student(np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.5, 0.4])), front, what, [])
    fractions = np.array([True, False])
    what = "which of two stay that gain the same and cost 1.2 and 1.7"
    whole = "costs that differ by less than one count as equal: compare them as they are, do not round them"
    _boolean(student(np.array([1.2, 1.7]), np.array([1.0, 1.0])), fractions, what, [(np.array([True, True]), whole)])
    one = np.array([True])
    _boolean(student(np.array([3.0]), np.array([-0.1])), one, "whether one method alone stays", [])
    what = "which of two equal methods stay (both)"
    _boolean(student(np.array([2.0, 2.0]), np.array([0.4, 0.4])), np.array([True, True]), what, [])


# ----------------------------------------------------------------------------------------------- 9.4 unseen lesions


@exercise("9.4", "test images of unseen lesions")
def _(student):
    test = np.array(["HAM_07", "HAM_02", "HAM_11", "HAM_02", "HAM_1", "HAM_05", "HAM_11"])
    train = np.array(["HAM_11", "HAM_05", "HAM_03", "HAM_11", "HAM_09", "HAM_08"])
    right = np.array([True, True, False, True, True, False, False])
    every_first = np.array([True, True, False, False, True, False, False])
    result = student(test, train)
    try:
        kind = np.asarray(result).dtype.kind
    except (TypeError, ValueError, RuntimeError):
        kind = "O"
    if kind in "US":
        raise Fix("these are lesion ids: return a boolean array with one entry for each test image")
    shape_of = getattr(result, "shape", None) or (len(result) if isinstance(result, list | tuple) else None)
    if shape_of in ((6,), 6) and np.all(result):
        raise Fix("the ids are compared position by position (zip?): compare each test id with all training ids")
    if shape_of in ((6,), 6):
        raise Fix("there is one entry for each TRAINING image: one for each test image is asked for")
    _boolean(
        result,
        right,
        "which test images show an unseen lesion",
        wrong=[
            (~right, "True and False are exchanged: True where the lesion is in NO training image"),
            (
                every_first,
                "a lesion's second photograph is marked otherwise than its first: look at the training ids only",
            ),
            (
                np.array([True, False, False, False, True, False, False]),
                "images of lesions that occur twice in the test split are left out: look at the training ids only",
            ),
            (
                np.ones(7, dtype=bool),
                "every lesion is called unseen: compare with all training ids, not position by position",
            ),
            (np.zeros(7, dtype=bool), "no lesion is called unseen"),
            (
                np.array([True, True, False, True, False, False, False]),
                "HAM_1 is taken for HAM_11: compare whole ids, not parts of them",
            ),
            (
                np.array([True, True, True, True, True, False, True]),
                "a lesion with two training images is missed: one training image or more makes it seen",
            ),
        ],
    )
    other = student(np.array(["b", "a"]), np.array(["c", "a", "b", "d"]))
    _boolean(other, np.array([False, False]), "the answer when both lesions are in the training split", [])
    twice = student(np.array(["b", "b", "a"]), np.array([f"c{i}" for i in range(30)]))
    _boolean(
        twice,
        np.array([True, True, True]),
        "the answer when no lesion is in the training split, and one has two test images",
        [
            (
                np.array([False, True, True]),
                "np.isin is told assume_unique=True, that no id occurs twice, and some do: leave it out",
            )
        ],
    )
    longer = student(np.array(["HAM_1"]), np.array(["HAM_12"]))
    cut = "HAM_12 is taken for HAM_1: are the training ids cut to the length of the test ids? Compare whole ids"
    _boolean(
        longer,
        np.array([True]),
        "the answer for HAM_1 when HAM_12 is in the training split",
        [(np.array([False]), cut)],
    )
    none = student(np.array(["b", "a"]), np.array(["c"]))
    _boolean(none, np.array([True, True]), "the answer when no lesion is in the training split", [])


# ---------------------------------------------------------------------------------------------- 9.5 confidence bins


@exercise("9.5", "the bins of a reliability diagram")
def _(student):
    # Confidences .4 and exactly .5 in the second of four bins; .6, .7 and exactly .75 in the third; .9 and 1 in the last
    probabilities = np.array(
        [
            [0.25, 0.75, 0.00],
            [0.30, 0.30, 0.40],
            [1.00, 0.00, 0.00],
            [0.60, 0.25, 0.15],
            [0.05, 0.05, 0.90],
            [0.20, 0.50, 0.30],
            [0.70, 0.10, 0.20],
        ]
    )
    labels = np.array([2, 2, 1, 2, 2, 0, 0])
    p = probabilities
    confidence, hit = p.max(1), (p.argmax(1) == labels).astype(float)

    def table(bin_of, value=confidence, right=hit, bins=4, empty=nan):
        inside = [np.asarray(bin_of) == b for b in range(bins)]
        return (
            np.array([i.sum() / len(labels) for i in inside]),
            np.array([right[i].mean() if i.any() else empty for i in inside]),
            np.array([value[i].mean() if i.any() else empty for i in inside]),
        )

    right = table([2, 1, 3, 2, 3, 1, 2])
    left = table([3, 1, 4, 2, 3, 2, 2])
    clipped = table([3, 1, 3, 2, 3, 2, 2])
    result = student(p.copy(), labels, 4)
    share, accuracy, mean_confidence = _three(result)
    if share.shape == (4,) and np.allclose(share * 4, right[0] * 7):
        raise Fix("the counts are divided by the number of bins: divide by the number of images, all N of them")
    if 1.01 < share.sum() < 2:
        raise Fix("the shares sum to more than 1: an image on a border is in two bins. Open below, closed above")
    equal_counts = np.array([2, 2, 2, 1]) / 7
    spread = np.clip(np.ceil((confidence - 0.4) / 0.6 * 4).astype(int) - 1, 0, 3)
    of_truth = p[np.arange(7), labels]
    truth_bins = np.ceil(of_truth * 4).astype(int) - 1
    flat = np.histogram(p, np.linspace(0, 1, 5))[0]
    expect(
        share,
        right[0],
        "the share of the images in each of 4 bins (confidences .75, .4, 1, .6, .9, .5, .7)",
        wrong=[
            (right[0] * 7, "these are counts: divide by the number of images"),
            (
                left[0],
                "bins are closed on the wrong side: .5 belongs to (.25, .5], and a confidence of exactly 1 belongs to "
                "the last bin (here it is lost)",
            ),
            (clipped[0], "bins are closed on the wrong side: .5 belongs to (.25, .5] and .75 to (.5, .75]"),
            (
                table([-1, 1, -1, 2, 3, -1, 2])[0],
                "a confidence on a border is in no bin: each bin is open below and closed above, > and <=",
            ),
            (
                table([-1, 1, 3, 2, 3, -1, 2])[0],
                "a confidence on a border is in no bin: each bin is open below and closed above, > and <=",
            ),
            (
                np.nan_to_num(right[0] * right[1]),
                "the share counts right answers only: it counts all images in the bin, right or wrong",
            ),
            (np.where(right[0] > 0, right[0], nan), "the share of an empty bin is known: 0, not nan"),
            (right[0][1:], "empty bins were left out: one entry for each of the num_bins bins"),
            (equal_counts, "the bins hold equally many images: they should be equally wide"),
            (equal_counts[::-1].copy(), "the bins hold equally many images: they should be equally wide"),
            (table(spread)[0], "the bins run from the lowest to the highest confidence: they run from 0 to 1"),
            (
                table(truth_bins)[0],
                "the images are put into bins by the probability of their label: by the highest probability",
            ),
            (flat / 7, "all classes' probabilities are counted: one confidence for each image, the highest"),
            (flat / flat.sum(), "all classes' probabilities are counted: one confidence for each image, the highest"),
            (right[1], "the order is (share, accuracy, confidence): the accuracy came first"),
            (right[2], "the order is (share, accuracy, confidence): the confidence came first"),
            (table([1, 0, 2, 1, 2, 0, 1])[0], "the bins are one too low: does the first bin start at 0?"),
            (table([3, 2, 4, 3, 4, 2, 3])[0], "the bins are one too high: the first bin, (0, 1/num_bins], is entry 0"),
        ],
    )
    no_images = "the accuracy of an empty bin is unknown: nan, not 0"
    expect(
        accuracy,
        right[1],
        "the accuracy in each of 4 bins",
        wrong=[
            (table([2, 1, 3, 2, 3, 1, 2], empty=0.0)[1], no_images),
            (right[2], "accuracy and confidence are exchanged: the order is (share, accuracy, confidence)"),
            (1 - right[1], "this is the share of WRONG answers in each bin"),
            (np.nan_to_num(right[1]) * right[0] * 7, "these are counts: divide by the images in the bin"),
            (
                np.nan_to_num(right[1]) * right[0],
                "this divides by all images: the accuracy of a bin is a share of the images in it",
            ),
            (right[1] * right[0], "this divides by all images: the accuracy of a bin is a share of the images in it"),
            (
                table([2, 1, 3, 2, 3, 1, 2], right=of_truth)[1],
                "this is the mean probability of the label: the accuracy counts where the most probable class is the label",
            ),
            (np.full(4, hit.mean()), "this is the accuracy of all images: take those of each bin"),
        ],
    )
    centres = np.array([nan, 0.375, 0.625, 0.875])
    expect(
        mean_confidence,
        right[2],
        "the mean confidence in each of 4 bins",
        wrong=[
            (table([2, 1, 3, 2, 3, 1, 2], empty=0.0)[2], "the confidence of an empty bin is unknown: nan, not 0"),
            (centres, "these are the middles of the bins: take the mean of the confidences that are in them"),
            (np.array([0.125, 0.375, 0.625, 0.875]), "these are the middles of the bins: take the mean confidence"),
            (
                np.nan_to_num(right[2]) * right[0],
                "this divides by all images: take the mean over the images in the bin",
            ),
            (
                table([2, 1, 3, 2, 3, 1, 2], value=of_truth)[2],
                "this is the mean probability of the label: the confidence is the highest probability, right or wrong",
            ),
            (np.array([nan, 0.5, 0.75, 1.0]), "these are the highest confidences (or the bins' ends): take the mean"),
            (
                table([2, 1, 3, 2, 3, 1, 2], value=p.mean(1))[2],
                "this is the mean over all classes: the confidence of an image is its highest probability",
            ),
            (np.array([nan, 0.45, 0.70, 0.95]), "this is the median: take the mean"),
        ],
    )
    parts = _three(student(p.copy(), labels, 1))
    for name, got, whole in zip(_PARTS, parts, (1.0, hit.mean(), confidence.mean())):
        expect(got, [whole], f"the {name} with a single bin")
    two = _three(student(p.copy(), labels, 2))
    for name, got, want in zip(_PARTS, two, table([1, 0, 1, 1, 1, 0, 1], bins=2)):
        expect(got, want, f"the {name} with 2 bins", [(part, "num_bins is ignored: is it fixed at 4?") for part in right])
    one_class = _three(student(np.array([[0.9, 0.1], [0.4, 0.6]]), np.zeros(2, dtype=np.int64), 2))
    for name, got, want in zip(_PARTS, one_class, ([0, 1], [nan, 0.5], [nan, 0.75])):
        expect(
            got,
            want,
            f"the {name} with 2 bins where every label is class 0",
            [
                (
                    [nan, nan],
                    "a bin of images of class 0 stays empty: ask whether the bin holds an image, not for its labels",
                )
            ],
        )
    edge = np.array([[0.5, 0.5 - 1e-9, 1e-9], [0.5004, 0.4996, 0.0]])
    above = _three(student(edge.copy(), np.zeros(2, dtype=np.int64), 2))
    nudged = "a confidence just above a border falls into the bin below: compare it as it is, not rounded or made smaller"
    for name, got, want in zip(_PARTS, above, ([0.5, 0.5], [1, 1], [0.5, 0.5004])):
        expect(got, want, f"the {name} of confidences .5 and .5004 in 2 bins", [([1, 0], nudged)])
    sure = _three(student(p[2:3].copy(), labels[2:3], 5))
    for name, got, want in zip(_PARTS, sure, ([0, 0, 0, 0, 1], [nan] * 4 + [0], [nan] * 4 + [1])):
        expect(got, want, f"the {name} of one image with confidence 1, in 5 bins")


def _three(result) -> list[np.ndarray]:
    """The three parts as arrays of floats of their own; an array of three rows is as good as three arrays."""
    if isinstance(result, np.ndarray) and result.ndim == 2:
        result = tuple(result)
    try:
        return [np.asarray(part).astype(float) for part in expect_tuple(result, _PARTS)]
    except (TypeError, ValueError):
        raise Fix("each of the three values is one array of num_bins numbers: share, accuracy, confidence") from None


# ----------------------------------------------------------------------------------------------------------- 9.6 ECE


@exercise("9.6", "the expected calibration error")
def _(student):
    # Of five bins two are empty; (.4, .6] holds .45 and .55, both right; (.6, .8] five images, two of them right;
    # (.8, 1] three, two of them right: gaps of +1/2, -.3 and -.7/3 with shares .2, .5 and .3
    top = np.array([0.70, 0.45, 0.90, 0.66, 0.95, 0.74, 0.55, 0.68, 0.85, 0.72])
    hit = np.array([1, 1, 1, 0, 0, 1, 1, 0, 1, 0])
    p, labels = _predictions(top, hit)
    share, gap = np.array([0.2, 0.5, 0.3]), np.array([0.5, -0.3, -0.7 / 3])
    of_label = p[np.arange(10), labels]
    accuracy, confidence = np.array([1, 0.4, 2 / 3]), np.array([0.5, 0.7, 0.9])
    mixed_up = (confidence * abs(share - accuracy)).sum(), (accuracy * abs(share - confidence)).sum()
    cancel = "gaps of opposite sign cancel: take the absolute value in each bin, before the sum"
    plain = "this is the plain mean over the bins: weigh each bin by its share of the images"
    result = student(p.copy(), labels, 5)
    if np.ndim(result) == 0 and np.isnan(np.asarray(result, dtype=float)):
        raise Fix("it is nan: an empty bin (share 0, the rest nan) counts 0, but 0 * nan is nan")
    expect(
        result,
        0.32,
        "the ECE of ten images in five bins (gaps .5, -.3 and -.2333, shares .2, .5 and .3)",
        wrong=[
            ((share * gap).sum(), cancel),
            (-(share * gap).sum(), cancel),
            (abs((share * gap).sum()), cancel),
            (abs(gap).mean(), plain),
            (abs(gap).sum() / 5, plain),
            (abs(gap).sum(), "the shares are not used: weigh each bin by its share of the images"),
            (abs(gap).max(), "this is the largest gap (the maximum calibration error): the weighted sum is asked for"),
            ((share * gap**2).sum(), "the gaps are squared: take their absolute values"),
            ((share * gap**2).sum() ** 0.5, "the gaps are squared: take their absolute values"),
            ((share * abs(gap)).mean(), "the weights sum to one already: take the sum, not the mean"),
            ((share * abs(gap)).sum() / 5, "the weights sum to one already: do not divide by the number of bins"),
            (10 * (share * abs(gap)).sum(), "the bins are weighed by counts: by their share of the images"),
            (100 * (share * abs(gap)).sum(), "this is a percentage: return the share"),
            (1 - (share * abs(gap)).sum(), "this is 1 minus the error"),
            (1 - hit.mean(), "this is the error rate: the distance of accuracy and confidence is asked for"),
            (
                abs(hit - top).mean(),
                "the distance is taken image by image: first the means of each bin, then the distance",
            ),
            (
                ((hit - top) ** 2).mean(),
                "this is a squared distance image by image (Brier): bins first, then |distance|",
            ),
            (
                (1 - of_label).mean(),
                "this uses the probability of the label: the confidence is the highest probability",
            ),
            (share * abs(gap), "return one number, the sum over the bins"),
            (np.array([nan, nan, 0.1, 0.15, 0.07]), "return one number, the sum over the bins (empty ones count 0)"),
            (np.array([0, 0, 0.1, 0.15, 0.07]), "return one number, the sum over the bins"),
            ((share * abs(gap))[:-1].sum(), "the last bin is left out"),
            (
                (share * np.maximum(-gap, 0)).sum(),
                "only bins that are too confident count here: take the absolute value",
            ),
            ((share * np.maximum(gap, 0)).sum(), "only bins that are too timid count here: take the absolute value"),
            ((share**2 * abs(gap)).sum(), "the share is used twice"),
            (0.37, "num_bins is ignored: this is the ECE in ten bins"),
            *((value, "reliability returns (share, accuracy, confidence), in this order") for value in mixed_up),
        ],
        tolerance=1e-5,
    )
    expect(
        student(p.copy(), labels, 2),
        0.1 * 0.55 + 0.9 * (0.75 - 5 / 9),
        "the ECE of the same ten images in two bins",
        [(0.32, "num_bins is ignored")],
        tolerance=1e-5,
    )
    whole = abs(top.mean() - hit.mean())
    expect(
        student(p.copy(), labels, 1),
        whole,
        "the ECE of the same ten images in a single bin",
        [(0.0, "a single bin has a gap, too: |accuracy - mean confidence| of all images")],
        tolerance=1e-5,
    )
    border, of_both = _predictions(np.array([0.5, 0.7625]), np.array([0, 1]))
    expect(
        student(border, of_both, 2),
        0.36875,
        "the ECE of two images with confidence .5 (wrong) and .7625 (right) in two bins",
        wrong=[
            (0.11875, "a bin without a right answer is no empty bin"),
            (0.13125, "bins are closed on the wrong side: .5 belongs to (0, .5]. Use your function of Exercise 9.5"),
            *((part, "the result is rounded: return it as it is") for part in (0.369, 0.368, 0.37, 0.3688, 0.3687)),
        ],
        tolerance=1e-5,
    )
    even, all_labels = _predictions(np.full(4, 0.75), np.array([1, 0, 1, 1]))
    what = "the ECE of four images with confidence .75, three of them right"
    expect(student(even, all_labels, 5), 0.0, what, tolerance=1e-5)
    opposite, both = _predictions(np.array([0.7, 0.7, 0.9, 0.9]), np.array([1, 1, 1, 0]))
    what = "the ECE of two bins, one too timid by .3 and one too confident by .4"
    expect(student(opposite, both, 5), 0.35, what, [(0.05, cancel)], tolerance=1e-5)
    missed, wrong_labels = _predictions(np.array([0.7, 0.7]), np.array([0, 0]))
    what = "the ECE of two images with confidence .7, both wrong"
    expect(
        student(missed, wrong_labels, 5),
        0.7,
        what,
        [(0.0, "a bin without a right answer is no empty bin")],
        tolerance=1e-5,
    )


def _predictions(top: np.ndarray, hit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) probabilities with these highest values, in changing columns, and labels that are met where hit is 1."""
    guess = np.arange(len(top)) % 3
    p = np.repeat((1 - top)[:, None] / 2, 3, axis=1)
    p[np.arange(len(top)), guess] = top
    return p, np.where(hit == 1, guess, (guess + 1) % 3)


# ------------------------------------------------------------------------------------------------------ 9.7 committee


def _rows_sum_to_1(result, total, moved) -> None:
    """If they do not, say which step is missing or wrong, before the rows are compared number by number."""
    if np.allclose(result.sum(axis=1), 1):
        return
    if np.allclose(result, total):
        raise Fix("this is the sum of the members: their mean, adjusted, each row divided by its sum")
    if np.allclose(result, moved / moved.sum(axis=0)):
        raise Fix("divided along the wrong axis: each ROW sums to 1")
    if np.allclose(result, moved / moved.sum()):
        raise Fix("divided by the sum of the whole array: each row by its own")
    raise Fix("the rows do not sum to 1: at the very end, divide each row by its own sum")


@exercise("9.7", "the committee")
def _(student):
    first = np.array([[0.9, 0.1, 0.0], [0.2, 0.5, 0.3]])
    second = np.array([[0.3, 0.3, 0.4], [0.6, 0.1, 0.3]])
    third = np.array([[0.6, 0.2, 0.2], [0.4, 0.0, 0.6]])
    members, shares = [first, second, third], np.array([0.64, 0.25, 0.11])
    total = sum(members)

    def scaled(p, axis=1):
        return p / p.sum(axis=axis, keepdims=True)

    def moved(p):
        return scaled(p * shares**-0.5)

    right = moved(total)
    geometric = "this is the geometric mean (a mean of logarithms): the arithmetic one is wanted"
    members_first = np.mean([moved(member) for member in members], axis=0)
    result = student(members, shares, 0.5)
    if np.shape(result) == right.shape:
        _rows_sum_to_1(np.asarray(result, dtype=np.float64), total, total * shares**-0.5)
    expect(
        result,
        right,
        "the committee of three members on two images at strength .5",
        wrong=[
            (total / 3, "strength is ignored: no class has moved"),
            (scaled(total * shares**0.5), "the factors favour the FREQUENT classes: the exponent is minus the strength"),
            (scaled(total / shares), "the strength is ignored (or cancels when the rows are divided): it is the exponent of the shares"),
            (scaled(total * shares), "the factors favour the frequent classes, and the strength is ignored"),
            (scaled(total / shares**2), "the exponent is the strength itself, not one over it"),
            (scaled(total / 3 - 0.5 * np.log(shares)), "the logarithms belong to logits: probabilities are multiplied by shares ** -strength"),
            (scaled(np.exp(total / 3 - 0.5 * np.log(shares))), "probabilities are taken for logits: no exp, they are multiplied by shares ** -strength"),
            *((moved(np.prod([member + tiny for member in members], axis=0) ** (1 / 3)), geometric) for tiny in (0, 1e-12, 1e-9, 1e-8)),
            (moved(np.median(members, axis=0)), "this is the median of the members: the mean is wanted"),
            (moved(np.prod(members, axis=0)), "this is the product of the members: the mean is wanted"),
            (moved(np.max(members, axis=0)), "this is the highest of the members: the mean is wanted"),
            (members_first, "each member is adjusted and rescaled by itself: first the mean, then the factors, then the rows"),
            (moved(third), "only the last member has a voice: the mean over all of them"),
            (moved(first), "only the first member has a voice: the mean over all of them"),
            (right.argmax(1), "these are the answers: the probabilities are wanted"),
            (right.max(1), "this is the highest probability of each image: all of them are wanted"),
            (right.mean(1), "averaged over the classes: the mean runs over the members, axis 0 of the list"),
        ],
        tolerance=1e-6,
    )  # fmt: skip
    expect(student(members, shares, 0.0), total / 3, "the committee at strength 0", tolerance=1e-6)
    expect(student(members, shares, 2.0), scaled(total * shares**-2.0), "the committee at strength 2", [(scaled(total / shares), "the strength stops at 1: it may be larger")], tolerance=1e-6)  # fmt: skip
    expect(student([first], shares, 1.0), scaled(first / shares), "a committee of one at strength 1", tolerance=1e-6)
    example = student([np.array([[0.9, 0.1]]), np.array([[0.5, 0.5]])], np.array([0.8, 0.2]), 1.0)
    expect(example, [[0.875 / 2.375, 1.5 / 2.375]], "the example of the text at strength 1", tolerance=1e-6)
    twins = moved(2 * first + second)
    expect(student([first, first, second], shares, 0.5), twins, "the committee in which two members agree (each has a voice)", tolerance=1e-6)  # fmt: skip
    rng = np.random.default_rng(0)
    many = [rng.dirichlet(np.ones(7), 40).astype(np.float32) for _ in range(5)]
    skewed = rng.dirichlet(np.ones(7))
    wanted = scaled(np.mean(many, axis=0, dtype=np.float64) * skewed**-0.25)
    expect(student(many, skewed, 0.25), wanted, "the committee of five members on forty images", tolerance=1e-5)
    if not isinstance(result, np.ndarray):
        raise Fix(f"the values are right, but later cells need a numpy array, not {type(result).__name__}")
