"""Checks of lesson 09: AUC by counting pairs, the sign-flip test, the front, unseen lesions, calibration, the committee."""

import itertools

import numpy as np
from scipy import stats

from course_utils.check.battery import classes, extreme_logits, none, scattered, uniform
from course_utils.check.cases import Case, Exercise, returns, slips
from course_utils.check.expect import Fix, Part, agree, numbers

_NAN, _a = float("nan"), np.array


# Float64 numbers with three decimals.
_drawn = lambda seed, *shape, **limits: uniform(seed, *shape, **limits).double().numpy().round(3)
# Uneven labels, the first class the most frequent.
_labels = lambda seed, n, num_classes: classes(seed, n, num_classes).numpy()


def _softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


# ------------------------------------------------------------------------------------------------------ 9.1 macro AUC


def _area(p, q, tie=0.5):
    return np.greater.outer(p, q).mean() + tie * np.equal.outer(p, q).mean()


def _pairs(y):
    """(C,) pairs of each class against the rest."""
    n = np.bincount(y)
    return n * (len(y) - n)


@slips
def _auc(area=_area, mean=lambda a, y: np.mean(a), prepare=lambda z: z):
    def answer(z, y):
        s = prepare(z)
        return mean(_a([area(s[y == c, c], s[y != c, c]) for c in range(s.shape[1])]), y)

    return answer


def _close(p, q):
    tied = np.isclose(p[:, None], q)
    return (np.greater.outer(p, q) & ~tied).mean() + tied.mean() / 2


def _within_rows(z, y):
    inside = [(z[y == c][:, [c]], np.delete(z[y == c], c, 1)) for c in range(z.shape[1])]
    return np.mean([((a > b) + (a == b) / 2).mean() for a, b in inside])


def _one_by_one(z, y):
    every = itertools.permutations(range(z.shape[1]), 2)
    return np.mean([_area(z[y == c, c], z[y == d, c]) for c, d in every])


def _pooled(z, y):
    own = np.arange(z.shape[1]) == y[:, None]
    return _area(z[own], z[~own])


_one_other = lambda p, q: np.mean([(a > b) + (a == b) / 2 for a, b in zip(p, q)])
_answers = lambda z: z.argmax(1)[:, None] == np.arange(z.shape[1])
_order = lambda z: z.argsort(0, kind="stable").argsort(0)


_SEVEN = _a([[4, 3, 1], [4, 3, 1], [3, 2, 1], [5, 5, 0], [3, 3, 3], [4, 1, 5], [4, 3, 0]])
_SEVEN_LABELS = _a([1, 2, 1, 0, 1, 2, 1])
_SIX = _a([[5.0, 4, 0], [1, 0, 0], [6, 7, 0], [0, 1, 0], [0, 0, 1], [2, 2, 3]])
_SIX_LABELS = _a([0, 0, 1, 1, 2, 2])
_TINY = _a([[0.5, 3e-9], [0.25, 1e-9], [0.75, 2e-9], [0.5, 1e-9]])
_RARE = (np.arange(2100) % 70 == 3).astype(np.int64)  # 30 images of 2100
_AS_THEY_ARE = "scores that differ a little are taken for ties: a tie is two equal scores, == (no isclose, no rounding, no smaller type)"
_ALL_PAIRS = "divide by the number of pairs (image of the class, other image), not of all pairs of images"
_WRITTEN = "the number of classes is written in: scores.shape[1] tells it"
_IN_ORDER = "ties are broken by the order of the images: equal scores count one half"
_ROUND = "the pairs are counted the wrong way round: the image of the class should have the higher score"

macro_auc = Exercise(
    "9.1",
    "macro_auc",
    "AUC by counting pairs",
    why="Once you have counted the pairs yourself, you know what an AUC says, and what it does not say.",
    observe=returns(Part("the macro AUC", "number")),
    cases=[
        Case("of seven images with ties, classes of 1, 4 and 2 images", (_SEVEN, _SEVEN_LABELS), (1 + 5.5 / 12 + 8 / 10) / 3),
        Case("of the six images in the text", (_SIX, _SIX_LABELS), (5 / 8 + 6 / 8 + 8 / 8) / 3),
        Case("of the majority class", (np.tile([0.0, 1.0, 0.0], (6, 1)), _SIX_LABELS), 0.5),
        Case("of scores that are all negative", (_a([[-3.0, -1], [-2, -5], [-4, -1]]), _a([0, 1, 1])), (0.5 + 0.25) / 2),
        Case("of four images with tiny scores in the second column", (_TINY, _a([1, 0, 0, 0])), (1.5 / 3 + 3 / 3) / 2),
    ],
    mistakes={
        "return the mean over the classes, one number": _auc(mean=lambda a, y: a),
        "return the mean over the classes, not the sum": _auc(mean=lambda a, y: a.sum()),
        "return the mean over the classes, not the median": _auc(mean=lambda a, y: np.median(a)),
        "ties count nothing: a pair with equal scores counts one half": _auc(area=lambda p, q: _area(p, q, 0)),
        "ties count as won: a pair with equal scores counts one half": _auc(area=lambda p, q: _area(p, q, 1)),
        _ROUND: (_auc(area=lambda p, q: _area(q, p)), _auc(area=lambda p, q: _area(q, p, 0)), _auc(area=lambda p, q: _area(q, p, 1))),
        "a softmax is applied inside: take the scores as they are": _auc(prepare=_softmax),
        "a sigmoid makes large scores equal: take the scores as they are": _auc(prepare=lambda z: 1 / (1 + np.exp(-z))),
        "the scores are cut off at 0 and 1: take them as they are": _auc(prepare=lambda z: z.clip(0, 1)),
        "the scores lose their sign: take them as they are": _auc(prepare=abs),
        "each row is divided by its sum: take the scores as they are": _auc(prepare=lambda z: z / z.sum(1, keepdims=True)),
        "each row's largest score is subtracted: take the scores as they are": _auc(prepare=lambda z: z - z.max(1, keepdims=True)),
        "this weighs the classes by their frequency: each counts the same": _auc(mean=lambda a, y: np.average(a, weights=np.bincount(y))),
        "the pairs of all classes are thrown together: first a fraction for each": _auc(mean=lambda a, y: np.average(a, weights=_pairs(y))),
        "all entries of all columns are pooled: compare within one column, one class against the rest": _pooled,
        "each class is compared with one other class at a time: compare it with all other images together": _one_by_one,
        _ALL_PAIRS: tuple(
            _auc(mean=lambda a, y, of=of: np.mean(a * _pairs(y)) / of(len(y))) for of in (lambda n: n * (n - 1) / 2, np.square)
        ),
        "these are counts: divide by the number of pairs (image of the class, other image)": _auc(mean=lambda a, y: np.mean(a * _pairs(y))),
        "this is a percentage: return a number between 0 and 1": _auc(mean=lambda a, y: 100 * a.mean()),
        "this is 2 AUC - 1 (the Gini coefficient): return the fraction of pairs itself": _auc(mean=lambda a, y: 2 * a.mean() - 1),
        "an AUC below one half is flipped: return it as it is": _auc(mean=lambda a, y: np.maximum(a, 1 - a).mean()),
        "this is the accuracy: it looks at the rows; the AUC looks at columns": lambda z, y: (z.argmax(1) == y).mean(),
        "the scores were turned into answers first (argmax or a threshold): compare the scores themselves": _auc(prepare=_answers),
        "the last class is left out: one fraction for each column": _auc(mean=lambda a, y: a[:-1].mean()),
        "only the last class is returned: each turn of the loop overwrites the one before": _auc(mean=lambda a, y: a[-1]),
        "only the first class is returned: does the return stand inside the loop?": _auc(mean=lambda a, y: a[0]),
        "a class of one image is left out: it counts like the others": _auc(mean=lambda a, y: a[np.bincount(y) > 1].mean()),
        _WRITTEN: (_auc(mean=lambda a, y: a[:7].mean()), _auc(mean=lambda a, y: a[:3].sum() / 3)),
        "the scores of one image are compared with each other: compare within a column, image with image": _within_rows,
        "each image is compared with one other only (zip?): with all the others": _auc(area=_one_other),
        "each image is compared with its own class, too: with the others only": _auc(area=lambda p, q: _area(p, np.append(p, q))),
        _IN_ORDER: (_auc(prepare=_order), _auc(prepare=lambda z: _order(z[::-1])[::-1])),
        _AS_THEY_ARE: (
            _auc(area=_close),
            *(_auc(prepare=lambda z, d=d: z.round(d)) for d in (3, 6)),
            *(_auc(prepare=lambda z, d=d: np.asarray(z, d)) for d in (int, np.float16, np.float32)),
        ),
    },
    errors={
        "could not be broadcast": "compare (P, 1) with (Q,): scores[...][:, None]",
        "out of bounds": "there are scores.shape[1] classes",
    },
    battery={
        **none("pairs are counted once: nothing is differentiated, no network is asked, and no loop goes on"),
        "one": "every class has an image and none has all of them, so there are two images and two classes at least (see ends)",
        "classes": [
            Case("of two classes", (_drawn(1, 9, 2), _a([0, 1, 1, 0, 0, 1, 0, 0, 1]))),
            Case("of ten classes", (_drawn(2, 40, 10).round(1), np.arange(40) * 7 % 10)),
        ],
        "uneven": [Case("of classes of 40, 3 and 1 images", (_drawn(3, 44, 3).round(1), np.repeat([2, 0, 1], [40, 3, 1])))],
        "extremes": [
            Case("of scores of ±90, ±120 and ±300", (extreme_logits().double().numpy(), _a([0, 1, 0, 2, 0, 1, 2, 1]))),
            Case("of scores of ±1e300", (_a([[1e300, 0], [-1e300, 1e-300], [5, -1e300], [0, 1e300]]), _a([0, 1, 0, 1]))),
        ],
        "sizes": [
            Case("of 2100 images, 30 of them of the second class, with many ties", (_drawn(42, 2100, 2).round(1), _RARE)),
            Case("of 300 images of four classes", (_drawn(5, 300, 4), np.arange(300) * 3 % 7 % 4)),
        ],
        "ties": [
            Case("of scores 1e-4 and 1e-6 apart", (_a([[0.5, 0.2], [0.5001, 0.2], [0.500001, 0.200001]]), _a([0, 1, 1]))),
            Case("of scores of 1000 that are 1e-6 apart", (_a([[1000 + 1e-6, 5.0], [1000, 5 - 1e-9], [1000, 6]]), _a([0, 1, 1]))),
        ],
        "layout": [
            Case("of scores and labels that are not contiguous", lambda: (scattered(_SIX), scattered(_SIX_LABELS))),
            Case("of scores in another order in memory", lambda: (np.asfortranarray(_drawn(6, 8, 3)), _a([0, 1, 2, 0, 1, 2, 2, 2]))),
            Case("of scores that are whole numbers", (-_SEVEN, _SEVEN_LABELS)),
        ],
        "ends": [
            Case("of two images", (_a([[0.3, 0.1], [0.6, 0.1]]), _a([0, 1]))),
            Case("when every pair is lost", (_a([[0.0, 1.0], [1.0, 0.0], [1.0, 0.5]]), _a([0, 1, 1]))),
        ],
    },
)


# ------------------------------------------------------------------------------------------------------ 9.2 sign flips

_ENOUGH = 1e-12


# (2^n, n), every pattern of signs.
_signs = lambda n: 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)[::-1]) & 1)
_means = lambda d: (_signs(len(d)) * d).mean(1)


@slips
def _flip(flipped=lambda d: abs(_means(d)), observed=lambda d: abs(d.mean()), counts=lambda f, m: f >= m - _ENOUGH, of=lambda k: k.mean()):
    return lambda d: of(counts(flipped(d), observed(d)))


_above = lambda f, m: f > m + _ENOUGH
_up_to = lambda f, m: f <= m + _ENOUGH
_medians = lambda d: abs(np.median(_signs(len(d)) * d, axis=1))
_five = lambda d: (abs(_means(d[:5])) >= abs(d[:5].mean()) - _ENOUGH).mean()
# Each pattern, beginning with this sign, flips what the one before has left.
_walk = lambda first: lambda d: (abs((np.cumprod(first * _signs(len(d)), axis=0) * d).mean(1)) >= abs(d.mean()) - _ENOUGH).mean()
_of_distinct = lambda sign: lambda d: (abs(np.unique(sign(_means(d)).round(12))) >= abs(d.mean()) - _ENOUGH).mean()


def _fraction_of_patterns(function, d):
    """What comes back; a number that no count of patterns gives is a fault, unless a mistake gives the same."""
    seen = returns(Part("the fraction", "number"))(function, d)
    found = numbers(seen["the fraction"])
    if found is not None and found.ndim == 0:
        patterns, value = 2 ** len(d), found.item()
        if abs(value * patterns - np.rint(value * patterns)) > 0.01:
            words = f"{value:.4f} is no whole number of the {patterns} patterns: go through all of them, none drawn at random, and round nothing"
            seen["the fraction"] = Fix(words, ValueError(f"{value:.6f}"))
    return seen


def _up_to_twelve(student):
    """Powers of two: every sum of them, with whatever signs, is another odd number."""
    for n in (9, 10, 11, 12):
        d = 2.0 ** np.arange(n) * np.where(np.arange(n) % 3 == n % 3, -1, 1)
        right, found = (2**n + 1 - abs(d.sum())) / 2**n, student(d)
        if not agree(found, right):
            raise Fix(f"for n = {n} differences it gives {found:.4f}, expected {right:.4f}: up to n = 12 all 2^n patterns count")


_ONE_SIDE = "only one side is counted: a flipped mean of -1.6 is as far from 0 as 1.6, take absolute values"
_SUMS = "the sums are compared, with a tolerance for means: 1e-12 is for the means, for sums it is n times as much"
_NOT_LARGER = "at least as large, not larger: patterns that give the observed mean count, too"
_WRONG_WAY = "the comparison is the wrong way round: count flipped means at least as large as the observed one"
_LEFT_OUT = "the observed pattern is left out: it is one of the 2^n"
_NARROW = "ties are lost to rounding: a mean that falls short by less than 1e-12 counts, too"
_WIDE = "the tolerance is too wide: only a mean that falls short by less than 1e-12 counts, too (np.isclose lets in more)"

sign_flip_p = Exercise(
    "9.2",
    "sign_flip_p",
    "the exact sign-flip test",
    why="No bell curve and no table: with a handful of runs you can count every outcome, and be exact.",
    observe=_fraction_of_patterns,
    cases=[  # of the first five the sum is 8; of 32 flipped sums 11 are >= 8 and 11 are <= -8
        Case("for the differences 7, -3, 5, -9, 8", (_a([7.0, -3, 5, -9, 8]),), 22 / 32),
        Case("for the differences 5, 3, 2, 1, -1", (_a([5.0, 3, 2, 1, -1]),), 6 / 32),
        Case("when all three differences are negative", (_a([-0.02, -0.01, -0.04]),), 2 / 8),
        Case("for the differences 1 and 1e-4", (_a([1.0, 1e-4]),), 0.5),
        Case("for the differences 1 and 1e-6", (_a([1.0, 1e-6]),), 0.5),
        # the mean of 1, -s falls short of the observed one by s
        Case("for the differences 1 and 7e-13", (_a([1.0, 7e-13]),), 1.0),
        Case("for the differences 1 and 4e-13", (_a([1.0, 4e-13]),), 1.0),
        Case("for the differences 1 and 1.5e-12", (_a([1.0, 1.5e-12]),), 0.5),
        Case("for the differences .1, .1, .1, -.1", (_a([0.1, 0.1, 0.1, -0.1]),), 10 / 16),
        Case("for three tiny differences, 3e-5, 1e-5 and -1e-5", (_a([3e-5, 1e-5, -1e-5]),), 6 / 8),
        Case("for six equal differences", (np.ones(6),), 2 / 64),
        Case("when all differences are 0", (np.zeros(3),), 1.0),
        Case("for one difference alone", (_a([-0.3]),), 1.0),
        Case("for the differences 300 and .001", (_a([300.0, 0.001]),), 0.5),
    ],
    mistakes={
        _ONE_SIDE: (_flip(flipped=_means, observed=np.mean), _flip(flipped=_means)),
        "a negative observed mean: everything is larger than it; take its absolute value, too": _flip(observed=np.mean),
        _WRONG_WAY: (_flip(counts=_up_to), _flip(counts=_up_to, flipped=_means, observed=np.mean)),
        "this is 1 minus the fraction: count flipped means that are at least as large": _flip(counts=lambda f, m: f < m - _ENOUGH),
        _NOT_LARGER: (_flip(counts=np.greater), _flip(counts=_above), _flip(counts=_above, flipped=_means)),
        _LEFT_OUT: (_flip(of=lambda k: (k.sum() - 1) / (len(k) - 1)), _flip(of=lambda k: (k.sum() - 1) / len(k))),
        "the observed pattern is counted twice: it is already one of the 2^n": _flip(of=lambda k: (k.sum() + 1) / (len(k) + 1)),
        "the observed mean is that of absolute values: keep the signs you got": _flip(observed=lambda d: abs(d).mean()),
        "divide by all 2^n patterns: the observed one is among them": _flip(of=lambda k: k.sum() / (len(k) - 1)),
        "where the observed mean is 0, every pattern counts": _flip(counts=lambda f, m: (f >= m - _ENOUGH) & (m > 0)),
        "this is a count: divide by the number of patterns, 2^n": _flip(of=lambda k: k.sum()),
        "this is a percentage: return a number between 0 and 1": _flip(of=lambda k: 100 * k.mean()),
        "the count is divided by 32, whatever the number of differences: there are 2^n patterns": _flip(of=lambda k: k.sum() / 32),
        "the patterns are made of 0 and 1 (leave out or keep): flip with -1 and +1": _flip(flipped=lambda d: abs(d.mean() + _means(d)) / 2),
        "this compares medians: the mean of the differences is asked for": _flip(flipped=_medians, observed=lambda d: abs(np.median(d))),
        "the differences are changed from pattern to pattern (d *= s?): flip the signs you got, each time anew": (_walk(1), _walk(-1)),
        "patterns that give the same mean are counted once: each of the 2^n counts": tuple(map(_of_distinct, (abs, np.positive))),
        "only one sign is flipped at a time: every pattern of signs counts": _flip(flipped=lambda d: abs(d.sum() - 2 * d) / len(d)),
        "this is Wilcoxon's test on ranks: flip the differences themselves": lambda d: stats.wilcoxon(d).pvalue,
        "this is the t-test, which assumes a normal distribution: flip signs": lambda d: stats.ttest_1samp(d, 0).pvalue,
        "this is the sign test, which only counts wins: the size matters": lambda d: stats.binomtest(int((d > 0).sum()), len(d)).pvalue,
        "every pattern counts: flip the signs (a new order changes no mean), and take each mean before its absolute value": lambda d: 1.0,
        "only one pattern counts: compare every flipped mean with the observed one, and add up how often": lambda d: 0.5 ** len(d),
        "no pattern counts, but the observed one always does: at least as large includes equal": lambda d: 0.0,
        _NARROW: (_flip(counts=lambda f, m: f >= m), _flip(counts=lambda f, m: f >= m - 1e-15)),
        _SUMS: _flip(flipped=lambda d: abs(_means(d)) * len(d), observed=lambda d: abs(d.sum())),
        _WIDE: (
            *(_flip(counts=lambda f, m, e=e: f >= m - e) for e in (1e-3, 1e-5, 1e-9, 2e-12)),
            _flip(counts=lambda f, m: (f >= m) | np.isclose(f, m)),
            _flip(counts=lambda f, m: f.astype(np.float32) >= np.float32(m)),
        ),
        "only five differences are used: n may be larger": _five,
    },
    battery={
        **none("n plain differences come in: no classes, no labels, nothing to differentiate, no network"),
        "one": [Case("for one difference of 0", (np.zeros(1),))],
        "extremes": [Case("for differences of 300, -120, 90, 0 and 0", (_a([300.0, -120, 90, 0, 0]),))],
        "sizes": "n is at most 12, and 2^12 patterns are tried under ends",
        "ties": [
            Case("for the differences 1 and 1e-9", (_a([1.0, 1e-9]),)),
            Case("for differences of which some flipped means miss the observed one by 1e-4", (_a([3.0, 2, 1, -1.0002]),)),
        ],
        "layout": [Case("for differences that are not contiguous", lambda: (scattered(_a([7.0, -3, 6, -9, 8])),))],
        "ends": [Case("for eight differences", (_a([5.0, 3, 2, -1, 4, -6, 7, 1]),)), _up_to_twelve],
        "longer": "every pattern is tried once: no step depends on an earlier one",
    },
)


# ------------------------------------------------------------------------------------------------- 9.3 the cost front


def _booleans(of):
    """Observe a boolean array with one entry for each of these."""

    def observe(function, *inputs):
        result = function(*inputs)
        if np.asarray(result).dtype.kind not in "biuf":
            return {"the answer": Fix(f"these are no truth values: return a boolean array, True or False for each {of}")}
        return returns(Part("the answer", "bool array"))(lambda: result)

    return observe


_beats = lambda a, b, x, y: (a <= b) & (x >= y) & ((a < b) | (x > y))


@slips
def _front(beats=_beats, among=None, form=lambda stays, c, b: stays):
    """`among(j, i, c, b)`: whether method i is compared with method j."""

    def answer(c, b):
        loses = beats(c[:, None], c, b[:, None], b)
        if among is not None:
            j = np.arange(len(c))
            loses = loses & among(j[:, None], j, c, b)
        return form(~loses.any(0), c, b)

    return answer


def _not_below_a_line(stays, c, b):
    """Only methods that are on the convex hull."""
    found = sorted(zip(c[stays], b[stays]))
    pairs = [(p, q) for p, q in itertools.combinations(found, 2) if p[0] < q[0]]
    below = [any(p[0] < x < q[0] and y < p[1] + (q[1] - p[1]) * (x - p[0]) / (q[0] - p[0]) for p, q in pairs) for x, y in zip(c, b)]
    return stays & ~_a(below)


def _one_of_equals(stays, c, b):
    first = np.unique(np.stack([c, b]), axis=1, return_index=True)[1]
    return stays & np.isin(np.arange(len(c)), first)


def _running_best(c, b):
    stays, best = np.zeros(len(c), dtype=bool), -np.inf
    for i in np.argsort(c, kind="stable"):
        stays[i], best = b[i] > best, max(best, b[i])
    return stays


def _next_cheaper(j, i, c, b):
    rank = c.argsort(kind="stable").argsort()
    return rank[j] == rank[i] - 1


_after = lambda cost, benefit: lambda c, b: _front(form=lambda s, *_: s)(cost(c), benefit(b))


_CHANGES = [
    *((lambda x, d=d: x.astype(d), lambda x, d=d: x.astype(d)) for d in (np.float16, np.float32)),
    *((lambda x, d=d: x.round(d), lambda x, d=d: x.round(d)) for d in (2, 3)),
    *((lambda x, d=d: x.astype(d), lambda x: x) for d in (int, np.float32)),
    *((lambda x: x, lambda x, d=d: x.round(d)) for d in (2, 3)),
]


# In no order: some methods that dominate stand before the one they dominate, some after it, none only beside it
#                  A    B    C    D     E    F    G    H    I    J    K
_COST = _a([8.0, 1.0, 5.0, 10.0, 2.0, 1.0, 6.0, 2.0, 9.0, 4.0, 3.0])
_GAIN = _a([0.30, 0.10, 0.60, 0.40, 0.50, 0.20, 0.60, 0.50, 0.65, 0.51, 0.51])
_STAY = _a([False, False, True, False, True, True, False, True, True, False, True])
_DIRECTIONS = "both directions are exchanged (or the wrong axis of the comparisons is summed up): low cost and high benefit are good"
_SELF = "two methods with equal cost and benefit throw each other out: one of the two comparisons must be strict"
_ZERO = "a benefit of 0 or less is thrown out: let the best so far begin at -inf, not at 0"
_POSITIONS = "these are positions: return a boolean array with one entry for each method, True where it stays"
_BEFORE = "each method is compared with those before it in the list only: compare with all others"
_ROUNDED = "costs or benefits that differ a little count as equal: compare them as they are (no rounding, no isclose, no smaller type)"
_CHAIN = np.random.RandomState(7).permutation(300).astype(float)  # method k is dominated by k others

not_dominated = Exercise(
    "9.3",
    "not_dominated",
    "the methods that no other dominates",
    why="Better is not enough, it also has a price: on the front are the methods that are worth it.",
    observe=_booleans("method"),
    cases=[
        Case("for the methods A to K (A, B, D, G and J are dominated)", (_COST, _GAIN), _STAY),
        Case("for three methods, the first cheapest and best", (_a([1.0, 2, 3]), _a([0.5, 0.5, 0.4])), [True, False, False]),
        Case("for two methods that gain the same and cost 1.2 and 1.7", (_a([1.2, 1.7]), np.ones(2)), [True, False]),
        Case("for one method alone", (_a([3.0]), _a([-0.1])), [True]),
        Case("for two equal methods", (_a([2.0, 2.0]), _a([0.4, 0.4])), [True, True]),
        Case("for benefits that are negative or 0", (_a([4.0, 1, 2, 3]), _a([0.0, -0.5, -0.2, -0.3])), [True, True, True, False]),
        # the third is dominated by the first alone, which is no neighbour of it
        Case("for benefits .5, .2, .4, .9 at rising cost", (_a([1.0, 2, 3, 4]), _a([0.5, 0.2, 0.4, 0.9])), [True, False, False, True]),
    ],
    mistakes={
        "True and False are exchanged: True where NO other method dominates": _front(form=lambda s, c, b: ~s),
        _SELF: _front(beats=lambda a, b, x, y: (a <= b) & (x >= y), among=lambda j, i, c, b: j != i),
        "both comparisons are strict: <= and >=, and one of the two strict": _front(beats=lambda a, b, x, y: (a < b) & (x > y)),
        "a method that costs the same and gains more dominates, too": _front(beats=lambda a, b, x, y: (a < b) & (x >= y)),
        "a method that gains the same and costs less dominates, too": _front(beats=lambda a, b, x, y: (a <= b) & (x > y)),
        "high cost counts as good here: a dominating method costs at MOST as much": _front(beats=lambda a, b, x, y: _beats(b, a, x, y)),
        "low benefit counts as good here: a dominating method gains at LEAST as much": _front(beats=lambda a, b, x, y: _beats(a, b, y, x)),
        _DIRECTIONS: _front(beats=lambda a, b, x, y: _beats(b, a, y, x)),
        "nobody stays: is each method compared with itself? One of the two comparisons must be strict": lambda c, b: np.zeros(len(c), bool),
        "being better on one side is enough here: it must be no worse on the other": _front(beats=lambda a, b, x, y: (a < b) | (x > y)),
        _BEFORE: (_front(among=lambda j, i, c, b: j < i), lambda c, b: _a([(b[:i] < b[i]).all() for i in range(len(b))])),
        "each method is compared with those after it in the list only: compare with all others": _front(among=lambda j, i, c, b: j > i),
        "each method is compared with its neighbours in the list only: with all others": _front(among=lambda j, i, c, b: abs(j - i) == 1),
        "each method is compared with the next cheaper one only: with all others": _front(among=_next_cheaper),
        "no method is compared with the last one: does a range end too early?": _front(among=lambda j, i, c, b: j < len(c) - 1),
        "no method is compared with the first one: does a range begin too late?": _front(among=lambda j, i, c, b: j > 0),
        "each method is compared with the best one only: compare with all others": _front(among=lambda j, i, c, b: j == b.argmax()),
        "each method is compared with the cheapest one only: compare with all others": _front(among=lambda j, i, c, b: j == c.argmin()),
        "everybody stays: compare each method with all others": lambda c, b: np.ones(len(c), bool),
        "the entries are in the order of the costs: keep the order of the input": _front(form=lambda s, c, b: s[c.argsort(kind="stable")]),
        "K lies below the straight line from E to C, but neither of them dominates it": _front(form=_not_below_a_line),
        "E and H are equal in both: none dominates the other, both stay": _front(form=_one_of_equals),
        "of methods that cost the same, the first in the list stays whatever it gains: the better one dominates it": _running_best,
        _ZERO: (_front(form=lambda s, c, b: s & (b > 0)), _front(form=lambda s, c, b: _one_of_equals(s, c, b) & (b > 0))),
        "a single method is thrown out: nothing dominates it": _front(form=lambda s, c, b: s & (len(c) > 1)),
        "this marks the largest benefit only: cheaper methods can stay, too": lambda c, b: b == b.max(),
        "this marks the lowest cost only: better methods can stay, too": lambda c, b: c == c.min(),
        "this marks the cheapest and the best only: methods between them can stay, too": lambda c, b: (b == b.max()) | (c == c.min()),
        "this ranks by benefit per cost: dominance needs no exchange rate": lambda c, b: b / c == (b / c).max(),
        "this takes cost from benefit: dominance needs no exchange rate": lambda c, b: b - c == (b - c).max(),
        _POSITIONS: tuple(_front(form=lambda s, c, b, f=f: f(s)) for f in (np.flatnonzero, np.where, lambda s: np.flatnonzero(~s))),
        "these are costs or benefits: a boolean array is wanted": (_front(form=lambda s, c, b: c[s]), _front(form=lambda s, c, b: b[s])),
        _ROUNDED: (
            *(_after(*change) for change in _CHANGES),
            _front(beats=lambda a, b, x, y: _beats(a, b, x, y) & ((b - a > 1e-5) | (x - y > 1e-5))),
            _front(beats=lambda a, b, x, y: _beats(a, b, x, y) & ~(np.isclose(a, b) & np.isclose(x, y))),
        ),
    },
    errors={
        "ambiguous": "`and`, `or` and `not` take one truth value: for arrays `&`, `|`, `~`, with brackets around the comparisons",
        "ufunc 'bitwise_and'": "put brackets around each comparison: (a <= b) & (x >= y)",
    },
    battery={
        **none("plain costs and benefits come in: no classes, no labels, nothing to differentiate, no network"),
        "one": [Case("for one method that costs and gains nothing", (np.zeros(1), np.zeros(1)))],
        "extremes": [Case("for costs of 0 and of a million", (_a([1e6, 0.0, 1e6 + 1, 0.0]), _a([120.0, -300, 120, -300.5])))],
        "sizes": [
            Case("for 300 methods of which one dominates all", (_CHAIN, -_CHAIN)),
            Case("for 2100 methods with many equal costs", (_drawn(11, 2100, high=0.5).round(1), _drawn(12, 2100).round(1))),
        ],
        "ties": [
            Case("for benefits 1e-4, 1e-6 and 1e-9 apart at equal cost", (np.full(4, 2.0), 0.5 + _a([1e-6, 0, 1e-4, 1e-4 + 1e-9]))),
            Case("for costs 1e-4, 1e-6 and 1e-9 apart at equal benefit", (0.5 + _a([1e-6, 1e-9, 1e-4, 0]), np.full(4, 0.7))),
            Case("for costs of 20000000 and 20000001", (_a([20000001.0, 20000000.0]), _a([0.3, 0.3]))),
            Case("for three methods, 1e-4 and 1e-6 apart", (_a([3, 3 + 1e-4, 3 - 1e-6]), _a([0.6, 0.6 + 1e-6, 0.6 - 1e-4]))),
        ],
        "layout": [Case("for inputs that are not contiguous", lambda: (scattered(_COST), scattered(_GAIN)))],
        "ends": [
            Case("for five equal methods", (np.full(5, 3.0), np.full(5, 0.2))),
            Case("for methods that all stay", (_a([3.0, 1, 2]), _a([0.3, 0.1, 0.2]))),
        ],
        "longer": [Case("for 30 methods", (_drawn(13, 30).round(1), _drawn(14, 30).round(1)))],
    },
)


# ----------------------------------------------------------------------------------------------- 9.4 unseen lesions


@slips
def _unseen(test=lambda ids: ids, train=lambda ids: ids, form=lambda found, ids: ~found):
    return lambda a, b: form(np.isin(test(a), train(b)), a)


def _each(same):
    """A lesion is known if `same(test id, training id)` holds for some training image."""

    def answer(a, b):
        known = b.tolist()
        return _a([not any(same(i, j) for j in known) for i in a.tolist()])

    return answer


def _first_photograph(a, b):
    known, test = {*b.tolist()}, a.tolist()
    return _a([i not in known and i not in test[:n] for n, i in enumerate(test)])


def _by_position(a, b):
    n = min(len(a), len(b))
    return np.append(a[:n] != b[:n], np.ones(len(a) - n, dtype=bool))


_digits = lambda ids: _a([int("0" + "".join(c for c in i if c.isdigit())) for i in ids.tolist()])
_ids = lambda numbers: _a([f"HAM_{n:07d}" for n in numbers])


def _once(found, ids):
    lesions, counts = np.unique(ids, return_counts=True)
    return ~found & np.isin(ids, lesions[counts == 1])


_TEST = _a(["HAM_07", "HAM_02", "HAM_11", "HAM_02", "HAM_1", "HAM_05", "HAM_11"])
_TRAIN = _a(["HAM_11", "HAM_05", "HAM_03", "HAM_11", "HAM_09", "HAM_08"])
_CUTS = [
    lambda ids, cut=cut: _a([i[cut] for i in ids.tolist()])
    for cut in (slice(6), slice(10), slice(-2, None), slice(-4, None), slice(-7, None))
]
_ODD = _a(["", "HAM_06 ", "HAM_07", "ham_08", " HAM_09", "HAM_4", "HAM_0000123", "HAM_0000124", "HAM_0000125", "0000126"])
_LIKE_THEM = _a(["", "HAM_06", "ISIC_07", "HAM_08", "HAM_09", "HAM_04", "HAM_0000124", "HAM_0001230", "ISIC_0000125", "HAM_0000126"])
_CHANGED = [
    np.char.lower,
    np.char.strip,
    lambda ids: np.char.strip(np.char.lower(ids)),
    _digits,
    lambda ids: np.char.replace(ids, "_0", "_"),
    lambda ids: np.char.rpartition(ids, "_")[:, 2],
]
_CUT = "and HAM_12 is taken for HAM_1: compare whole ids"
_TRAINING = "there is one entry for each TRAINING image: one for each test image is asked for"
_PART_OF_TEST = "a training id that is the beginning or a part of a test id counts as the same: compare whole ids"
_ENTRIES = "return a boolean array with one entry for each test image"
_ZIP = "the ids are compared position by position (zip?): compare each test id with all training ids"
_UNIQUE = "np.isin is told assume_unique=True, that no id occurs twice, and some do: leave it out"
_PARTS = "HAM_1 is taken for HAM_11: compare whole ids, not parts of them"
_EXACT = "ids that differ in a letter's case, in blanks or zeros, or before the number are taken for the same: compare them as they are"

unseen_lesions = Exercise(
    "9.4",
    "unseen_lesions",
    "test images of unseen lesions",
    why="If the same lesion stands in both splits, the test rewards memory; now you can test what is new.",
    observe=_booleans("test image"),
    cases=[
        Case("for seven test and six training images", (_TEST, _TRAIN), [True, True, False, True, True, False, False]),
        Case("when both lesions are in the training split", (_a(["b", "a"]), _a(["c", "a", "b", "d"])), [False, False]),
        Case("when two test images show one unseen lesion", (_a(["b", "b", "a"]), _a([f"c{i}" for i in range(30)])), [True, True, True]),
        Case("for HAM_1 when HAM_12 is in the training split", (_a(["HAM_1"]), _a(["HAM_12"])), [True]),
        Case("for HAM_12 when HAM_1 is in the training split", (_a(["HAM_12"]), _a(["HAM_1"])), [True]),
        Case("when no lesion is in the training split", (_a(["b", "a"]), _a(["c"])), [True, True]),
    ],
    mistakes={
        "True and False are exchanged: True where the lesion is in NO training image": _unseen(form=lambda found, ids: found),
        _TRAINING: (lambda a, b: ~np.isin(b, a), lambda a, b: np.isin(b, a)),
        f"these are positions: {_ENTRIES}": (
            _unseen(form=lambda s, ids: np.flatnonzero(s)),
            _unseen(form=lambda s, ids: np.flatnonzero(~s)),
        ),
        f"this is one number for all: {_ENTRIES}": tuple(_unseen(form=lambda s, ids, f=f: f(~s)) for f in (np.sum, np.mean, np.any)),
        "there is one entry for each lesion: one for each test image, also where two show the same lesion": _unseen(test=np.unique),
        "a lesion's second photograph is marked otherwise than its first: look at the training ids only": _first_photograph,
        "images of lesions that occur twice in the test split are left out: look at the training ids only": _unseen(form=_once),
        _PARTS: (_each(lambda i, j: i in j), _each(lambda i, j: j.startswith(i)), lambda a, b: np.char.find(" ".join(b.tolist()), a) < 0),
        _PART_OF_TEST: (_each(lambda i, j: j in i), _each(lambda i, j: i in j or j in i)),
        "only some letters of each id are compared: compare whole ids": tuple(_unseen(test=cut, train=cut) for cut in _CUTS),
        _ZIP: (_by_position, lambda a, b: _a([i != j for i, j in zip(a, b)])),
        "every lesion is called unseen: compare with all training ids, not position by position": lambda a, b: np.ones(len(a), bool),
        "no lesion is called unseen": lambda a, b: np.zeros(len(a), bool),
        _UNIQUE: (lambda a, b: ~np.isin(a, b, assume_unique=True), lambda a, b: np.isin(a, b, assume_unique=True, invert=True)),
        f"the training ids are cut to the length of the test ids, {_CUT}": lambda a, b: ~np.isin(a, b.astype(a.dtype)),
        f"the test ids are cut to the length of the training ids, {_CUT}": lambda a, b: ~np.isin(a.astype(b.dtype), b),
        "a lesion with two training images is missed: one or more makes it seen": lambda a, b: _a([(b == i).sum() != 1 for i in a]),
        "only a part of the training ids is looked at": tuple(_unseen(train=lambda ids, end=end: ids[:end]) for end in (1, -1, 256, 2048)),
        _EXACT: (
            *(_unseen(test=change, train=change) for change in _CHANGED),
            lambda a, b: ~np.char.equal(a[:, None], b).any(1),  # blanks at the end do not count
        ),
    },
    errors={"ambiguous": "`in` and `not` take one value: np.isin(test_ids, train_ids) asks for each test id"},
    battery={
        **none("ids come in, which are the same or are not: no classes, no numbers, no network, nothing to differentiate"),
        "one": [Case("for one test and one training image of the same lesion", (_a(["HAM_0000118"]), _a(["HAM_0000118"])))],
        "uneven": [Case("for a lesion with many images", (np.repeat(_TEST, [1, 20, 3, 1, 1, 9, 2]), np.repeat(_TRAIN, 5)))],
        "sizes": [
            Case("for 300 test and 2100 training images", (_ids(49 * n + 3 * (n % 2) for n in range(300)), _ids(range(0, 14700, 7))))
        ],
        "ties": [Case("for ids that differ in one letter, a blank or a zero", (_ODD, _LIKE_THEM))],
        "layout": [Case("for ids that are not contiguous", lambda: (scattered(_TEST), scattered(_TRAIN)))],
        "ends": [
            Case("when a test split is the training split", (_TEST, _TEST[::-1].copy())),
            Case("for ids of one letter", (_a([*"bab"]), _a([*"ca"]))),
        ],
    },
)


# ---------------------------------------------------------------------------------------------- 9.5 confidence bins


# For a function that gives each image's bin: (num_bins, N), which images are in which.
_at = lambda bin_of: lambda top, n: bin_of(top, n) == np.arange(n)[:, None]


_UPPER = _at(lambda top, n: np.ceil(top * n) - 1)


_top = lambda p, y: p.max(1)
_of_label = lambda p, y: p[np.arange(len(y)), y]


@slips
def _bins(
    inside=_UPPER,
    place=_top,
    value=_top,
    hit=lambda p, y: p.argmax(1) == y,
    bins=lambda n: n,
    holds=lambda m, p, y: m.any(),
    fraction=np.mean,
    accuracy=lambda right, m: right.mean(),
    confidence=lambda top, m: top.mean(),
    end=lambda *parts: parts,
):
    def answer(p, y, num_bins):
        masks = inside(place(p, y), bins(num_bins))
        right, top = hit(p, y), value(p, y)
        known = [(accuracy(right[m], m), confidence(top[m], m)) if holds(m, p, y) else (_NAN, _NAN) for m in masks]
        return end(_a([fraction(m) for m in masks], dtype=float), *_a(known).T)

    return answer


_swapped = lambda *order: _bins(end=lambda *parts: tuple(parts[n] for n in order))


def _packed(f, a, c):
    """Bins with images first, the empty ones after them."""
    order = np.argsort(f == 0, kind="stable")
    return f[order], a[order], c[order]


_by_rank = lambda top, n: top.argsort().argsort() * n // len(top)
_by_quantile = lambda top, n: np.searchsorted(np.quantile(top, np.arange(1, n) / n), top)
_spread = lambda top, n: (top - top.min()) / max(np.ptp(top), 1e-9) * n
_spread_below = lambda top, n: np.floor(_spread(top, n)).clip(0, n - 1)
# The lower ends (0), the middles (.5) or the upper ends (1) of the bins.
_ends = lambda f, place: (np.arange(len(f)) + place) / len(f)


def _both_closed(top, n):
    b = np.arange(n)[:, None]
    return (b / n <= top) & (top <= (b + 1) / n)


_top_if_right = lambda p, y: np.where(p.argmax(1) == y, p.max(1), _NAN)


def _until_last(f, a, c):
    """Zeros after the last bin that holds an image."""
    after = np.arange(len(f)) > np.flatnonzero(f)[-1]
    return f, np.where(after, 0, a), np.where(after, 0, c)


def _three(function, *inputs):
    """An array of three rows is as good as three arrays."""

    def parts(*arguments):
        result = function(*arguments)
        return tuple(result) if isinstance(result, np.ndarray) and result.ndim == 2 else result

    return returns("the fraction", "the accuracy", "the confidence")(parts, *inputs)


def _predicted(seed, n, num_classes, of=None):
    """Probabilities without ties within a row, uneven labels."""
    return _softmax(2 * _drawn(seed, n, num_classes) + 1e-4 * np.arange(num_classes)), _labels(seed + 1, n, of or num_classes)


# (N, 2) probabilities, the first class with these.
_sure = lambda *top: np.stack([_a(top), 1 - _a(top)], 1)


# Confidences .4 and exactly .5 in the second of four bins; .6, .7 and exactly .75 in the third; .9 and 1 in the last
_P = _a([[0.25, 0.75, 0], [0.3, 0.3, 0.4], [1, 0, 0], [0.6, 0.25, 0.15], [0.05, 0.05, 0.9], [0.2, 0.5, 0.3], [0.7, 0.1, 0.2]])
_P_LABELS = _a([2, 2, 1, 2, 2, 0, 0])
_EDGE, _ZEROS = _a([[0.5, 0.25, 0.25], [0.5004, 0.3, 0.1996]]), np.zeros(2, dtype=np.int64)
_QUARTERS = _a([[0.25, 0.1875, 0.1875, 0.1875, 0.1875], [0.5, 0.25, 0.25, 0, 0], [0.125, 0.75, 0.125, 0, 0]])
_NEAR = _a([[0.5 + d, 0.1, 0.4 - d] for d in (1e-4, -1e-4, 1e-6, -1e-6)])
_FLOOR, _LOWER = _at(lambda top, n: np.floor(top * n)), _at(lambda top, n: np.minimum(np.floor(top * n), n - 1))
_between = lambda top, edges: (edges[:-1, None] < top) & (top <= edges[1:, None])
_SHORT = "edges that are added up, or b * (1 / num_bins), end a little below 1, and a confidence of 1 is in no bin: b / num_bins"
_SIDE = "bins are closed on the wrong side: with four bins .5 belongs to (.25, .5] and .75 to (.5, .75]"
_BORDER = "a confidence on a border is in no bin: each bin is open below and closed above, > and <="
_ABOVE = "a confidence just above a border falls into the bin below: compare it as it is, not rounded or made smaller"
_PLACE = "the images are put into bins by the probability of their label: by the highest probability"
_ROUNDINGS = [lambda p, y: p.max(1).round(2), lambda p, y: p.max(1).round(4), lambda p, y: p.max(1).astype(np.float16)]
_EVERY_CLASS = {
    "place": lambda p, y: p.ravel(),
    "value": lambda p, y: p.ravel(),
    "hit": lambda p, y: (np.arange(p.shape[1]) == y[:, None]).ravel(),
}
_WIDTH = "the bins hold equally many images: they should be equally wide"
_RANGE = "the bins run from the lowest to the highest confidence: they run from 0 to 1"
_ORDER = "the order is (fraction, accuracy, confidence)"
_UNKNOWN = "of an empty bin is unknown: nan, not 0"
_LABEL = "the confidence is the highest probability, whether that class is right or wrong"

_BINNED: dict[str, list | str] = {
    **none("images are counted: nothing is differentiated, no network is asked, and no bin depends on another"),
    "one": [Case("of one image in one bin", (_sure(0.25), _a([1]), 1))],
    "classes": [
        Case("of 20 images of two classes in 4 bins", (*_predicted(21, 20, 2), 4)),
        Case("of 60 images of ten classes, the last one absent, in 6 bins", (*_predicted(23, 60, 10, of=9), 6)),
    ],
    "uneven": [Case("of 50 images of which most are of class 0, in 5 bins", (*_predicted(25, 50, 3), 5))],
    "extremes": [
        *(Case(f"of probabilities of exactly 0 and 1 in {n} bins", (np.eye(3)[[0, 1, 2, 2]], _a([0, 2, 2, 2]), n)) for n in (3, 10, 49)),
        Case("of confidences of 1/4, 1/2 and 3/4 in 4 bins", (_QUARTERS, np.zeros(3, dtype=np.int64), 4)),
    ],
    "sizes": [
        Case("of 5000 images in 2 bins", (*_predicted(27, 5000, 3), 2)),
        Case("of 400 images in 300 bins", (*_predicted(29, 400, 3), 300)),
    ],
    "ties": [
        Case("of confidences 1e-4 and 1e-6 off .5, in 2 bins", (_NEAR, _a([0, 0, 1, 0]), 2)),
        Case("of probabilities that differ by 1e-4 and 1e-6", (_sure(0.50005, 0.49995, 0.5000005, 0.4999995), _a([0, 0, 0, 1]), 3)),
    ],
    "layout": [
        Case("of inputs that are not contiguous, in 4 bins", lambda: (scattered(_P), scattered(_P_LABELS), 4)),
        Case("of inputs in another order in memory, in 8 bins", lambda: (np.asfortranarray(_predicted(31, 9, 3)[0]), _labels(33, 9, 3), 8)),
    ],
    "ends": [
        Case("of four images in 15 bins, the upper ones empty", (_sure(0.51, 0.42, 0.57, 0.45), _a([0, 1, 1, 1]), 15)),
        Case("of seven other images in 4 bins", (_P[::-1].copy(), _P_LABELS, 4)),
    ],
}

reliability = Exercise(
    "9.5",
    "reliability",
    "the bins of a reliability diagram",
    why="Whoever acts on a probability needs it to mean what it says; here you see whether it does.",
    observe=_three,
    cases=[
        Case(
            "of seven images (confidences .75, .4, 1, .6, .9, .5, .7) in 4 bins",
            (_P, _P_LABELS, 4),
            ([0, 2 / 7, 3 / 7, 2 / 7], [_NAN, 1 / 2, 1 / 3, 1 / 2], [_NAN, 0.45, 2.05 / 3, 0.95]),
        ),
        Case("of the same seven images in a single bin", (_P, _P_LABELS, 1), ([1], [3 / 7], [4.85 / 7])),
        Case("of the same seven images in 2 bins", (_P, _P_LABELS, 2), ([2 / 7, 5 / 7], [1 / 2, 2 / 5], [0.45, 0.79])),
        Case("of class 0, confidences .9 and .6, in 2 bins", (_sure(0.9, 0.4), _ZEROS, 2), ([0, 1], [_NAN, 0.5], [_NAN, 0.75])),
        Case("of confidences .5 and .5004 in 2 bins", (_EDGE, _ZEROS, 2), ([0.5, 0.5], [1, 1], [0.5, 0.5004])),
        Case("of one wrong image, confidence 1, in 3 bins", (_P[2:3], _P_LABELS[2:3], 3), ([0, 0, 1], [_NAN, _NAN, 0], [_NAN, _NAN, 1])),
    ],
    mistakes={
        "these are counts: divide by the number of images": _bins(fraction=np.sum),
        "divided by the number of bins: divide by the number of images": _bins(fraction=np.sum, end=lambda f, a, c: (f / len(f), a, c)),
        "bins are closed on the wrong side, and a confidence of exactly 1 is lost: it belongs to the last bin": _bins(inside=_FLOOR),
        _SIDE: _bins(inside=_LOWER),
        _BORDER: (
            _bins(inside=_at(lambda top, n: np.where(top * n % 1 == 0, -1, np.floor(top * n)))),
            _bins(inside=_at(lambda top, n: np.where((top * n % 1 == 0) & (top < 1), -1, np.ceil(top * n) - 1))),
        ),
        "an image on a border is in two bins: open below, closed above": _bins(inside=_both_closed),
        _SHORT: (
            _bins(inside=lambda top, n: _between(top, np.cumsum([0.0, *[1 / n] * n]))),
            _bins(inside=lambda top, n: _between(top, np.arange(n + 1) * (1 / n))),
        ),
        "the bins are one too low: does the first bin start at 0?": _bins(inside=_at(lambda top, n: np.ceil(top * n) - 2)),
        "the bins are one too high: the first bin, (0, 1/num_bins], is entry 0": _bins(inside=_at(lambda top, n: np.ceil(top * n))),
        _ABOVE: (
            *(_bins(inside=_at(lambda top, n, s=s: np.ceil((top - s) * n) - 1)) for s in (1e-2, 1e-5)),
            *(_bins(place=f) for f in _ROUNDINGS),
            *(_bins(place=f, value=f) for f in _ROUNDINGS),
        ),
        "a confidence just below a border falls into the bin above": _bins(
            inside=_at(lambda top, n: np.ceil((top + 1e-5) * n).clip(1, n) - 1)
        ),
        "the fraction counts right answers only: all images in the bin count": _bins(end=lambda f, a, c: (np.nan_to_num(f * a), a, c)),
        "the fraction of an empty bin is known: 0, not nan": _bins(end=lambda f, a, c: (np.where(f > 0, f, _NAN), a, c)),
        "empty bins were left out: one entry for each of the num_bins bins, at its place": (
            _bins(end=lambda f, a, c: (f[f > 0], a[f > 0], c[f > 0])),
            _bins(end=_packed),
            _bins(end=lambda *parts: tuple(part[: np.flatnonzero(parts[0])[-1] + 1] for part in parts)),
        ),
        _WIDTH: (_bins(inside=_at(_by_rank)), _bins(inside=_at(_by_quantile))),
        _RANGE: (_bins(inside=_at(lambda top, n: np.ceil(_spread(top, n)).clip(1) - 1)), _bins(inside=_at(_spread_below))),
        _PLACE: (_bins(place=_of_label, value=_of_label), _bins(place=_of_label)),
        "all classes' probabilities are counted: one confidence for each image, the highest": _bins(**_EVERY_CLASS),
        f"{_ORDER}: the accuracy came first": (_swapped(1, 0, 2), _swapped(1, 2, 0)),
        f"{_ORDER}: the confidence came first": (_swapped(2, 0, 1), _swapped(2, 1, 0)),
        f"{_ORDER}: accuracy and confidence are exchanged": _swapped(0, 2, 1),
        f"the accuracy {_UNKNOWN}": tuple(
            _bins(end=end) for end in (_until_last, lambda f, a, c: (f, np.nan_to_num(a), c), lambda f, *x: (f, *np.nan_to_num(x)))
        ),
        f"the confidence {_UNKNOWN}": (
            _bins(end=lambda f, a, c: (f, a, np.nan_to_num(c))),
            _bins(end=lambda f, a, c: (f, a, np.where(f > 0, c, _ends(f, 0.5)))),
        ),
        "this is the fraction of WRONG answers in each bin": _bins(hit=lambda p, y: p.argmax(1) != y),
        "these are counts of right answers: divide by the images in the bin": _bins(accuracy=lambda right, m: right.sum()),
        "this divides by all images: the accuracy and the confidence of a bin are means over the images in it": (
            _bins(accuracy=lambda right, m: right.sum() / len(m)),
            _bins(confidence=lambda top, m: top.sum() / len(m)),
            _bins(end=lambda f, a, c: (f, np.nan_to_num(a * f), np.nan_to_num(c * f))),
        ),
        "this is the mean probability of the label: the accuracy counts where the most probable class is the label": _bins(hit=_of_label),
        "this is the accuracy of all images: take those of each bin": _bins(end=lambda f, a, c: (f, np.full(len(f), np.nansum(f * a)), c)),
        "a bin of class 0 stays empty: ask whether it holds an image, not for its labels": _bins(holds=lambda m, p, y: y[m].any()),
        "a bin without a right answer is no empty bin: its accuracy is 0": _bins(holds=lambda m, p, y: (p.argmax(1) == y)[m].any()),
        "a bin with a single image is no empty bin": _bins(holds=lambda m, p, y: m.sum() > 1),
        "these are the middles of the bins: take the mean of the confidences in them": (
            _bins(end=lambda f, a, c: (f, a, np.where(f > 0, _ends(f, 0.5), _NAN))),
            _bins(end=lambda f, a, c: (f, a, _ends(f, 0.5))),
        ),
        f"this is the mean probability of the label: {_LABEL}": _bins(value=_of_label),
        "this is the highest confidence in each bin: take the mean": _bins(confidence=lambda top, m: top.max()),
        "these are the upper ends of the bins: take the mean": _bins(end=lambda f, a, c: (f, a, np.where(f > 0, _ends(f, 1), _NAN))),
        "the confidence is the mean of all images in the bin": _bins(value=_top_if_right, confidence=lambda top, m: np.nanmean(top)),
        "this is the median: take the mean": _bins(confidence=lambda top, m: np.median(top)),
        "this is the mean over all classes: the confidence of an image is its highest probability": _bins(value=lambda p, y: p.mean(1)),
        "num_bins is ignored: is it fixed?": (_bins(bins=lambda n: 4), _bins(bins=lambda n: 10)),
    },
    errors={
        "out of bounds": "a confidence of exactly 1 belongs to the last bin, entry num_bins - 1",
        "must return 3 values": "one array of num_bins numbers for each of fraction, accuracy and confidence",
    },
    battery=_BINNED,
)


# ----------------------------------------------------------------------------------------------------------- 9.6 ECE


def _predictions(top, hit):
    """(N, 3) probabilities with these highest values, in changing columns, and labels that are met where hit is 1."""
    answer, top = np.arange(len(top)) % 3, _a(top)
    p = np.repeat((1 - top)[:, None] / 2, 3, axis=1)
    p[np.arange(len(top)), answer] = top
    return p, np.where(_a(hit) == 1, answer, (answer + 1) % 3)


_ece_of = lambda f, a, c: np.nansum(f * abs(a - c))
# `total(fraction, |accuracy - confidence|)` of the bins that hold images.
_gaps = lambda total: _bins(end=lambda f, a, c: total(f[f > 0], abs(a - c)[f > 0]))
# Only bins with an accuracy that `counts`.
_gaps_of = lambda counts: _bins(end=lambda f, a, c: _ece_of(f * counts(a), a, c))


# Of five bins two are empty; (.4, .6] holds .45 and .55, both right; (.6, .8] five images, two of them right; (.8, 1] three, two of
# them right: gaps of +1/2, -.3 and -.7/3 with fractions .2, .5 and .3
_TEN = _predictions([0.70, 0.45, 0.90, 0.66, 0.95, 0.74, 0.55, 0.68, 0.85, 0.72], [1, 1, 1, 0, 0, 1, 1, 0, 1, 0])
_USE = "Use your function of Exercise 9.5"
_CANCEL = "gaps of opposite sign cancel: take the absolute value in each bin, before the sum"
_PLAIN = "this is the plain mean over the bins: weigh each bin by its fraction of the images"
_ONE_NUMBER = "return one number, the sum over the bins (empty ones count 0)"
_WEIGHTS = "the fractions sum to one already: take the sum, not the mean over the bins"

calibration_error = Exercise(
    "9.6",
    "calibration_error",
    "the expected calibration error",
    why="One number for honesty: how far a network's confidence is from how often it is right.",
    observe=returns(Part("the ECE", "number")),
    cases=[
        Case("of ten images in five bins (gaps .5, -.3 and -.2333, fractions .2, .5 and .3)", (*_TEN, 5), 0.32),
        Case("of the same ten images in two bins", (*_TEN, 2), 0.1 * 0.55 + 0.9 * (0.75 - 5 / 9)),
        Case("of the same ten images in a single bin", (*_TEN, 1), 0.12),
        Case("of two images with confidence .5 (wrong) and .7625 (right) in two bins", (*_predictions([0.5, 0.7625], [0, 1]), 2), 0.36875),
        Case("of four images with confidence .75, three of them right", (*_predictions([0.75] * 4, [1, 0, 1, 1]), 5), 0.0),
        Case("of two bins, one too timid by .3 and one too confident by .4", (*_predictions([0.7, 0.7, 0.9, 0.9], [1, 1, 1, 0]), 5), 0.35),
        Case("of two images with confidence .7, both wrong", (*_predictions([0.7, 0.7], [0, 0]), 5), 0.7),
    ],
    mistakes={
        "it is nan: an empty bin counts 0, but 0 * nan is nan": _bins(end=lambda f, a, c: (f * abs(a - c)).sum()),
        _CANCEL: tuple(_bins(end=lambda f, a, c, s=s: s(np.nansum(f * (a - c)))) for s in (np.positive, np.negative, abs)),
        _PLAIN: (_gaps(lambda f, g: g.mean()), _bins(end=lambda f, a, c: np.nansum(abs(a - c)) / len(f))),
        "the fractions are not used: weigh each bin by its fraction of the images": _gaps(lambda f, g: g.sum()),
        "this is the largest gap (the maximum calibration error): the weighted sum is asked for": _gaps(lambda f, g: g.max()),
        "the gaps are squared: take their absolute values": tuple(_gaps(lambda f, g, e=e: (f * g**2).sum() ** e) for e in (1, 0.5)),
        _WEIGHTS: (_gaps(lambda f, g: (f * g).mean()), _bins(end=lambda f, a, c: np.nansum(f * abs(a - c)) / len(f))),
        "the bins are weighed by counts: by their fraction of the images": _bins(fraction=np.sum, end=_ece_of),
        "this is a percentage: return a number between 0 and 1": _gaps(lambda f, g: 100 * (f * g).sum()),
        "this is 1 minus the error": _gaps(lambda f, g: 1 - (f * g).sum()),
        "the fraction is used twice": _gaps(lambda f, g: (f * f * g).sum()),
        "the last bin is left out": (_gaps(lambda f, g: (f * g)[:-1].sum()), _bins(end=lambda f, a, c: np.nansum((f * abs(a - c))[:-1]))),
        "the first bin that holds images is left out": _gaps(lambda f, g: (f * g)[1:].sum()),
        _ONE_NUMBER: tuple(_bins(end=lambda f, a, c, z=z: z(f * abs(a - c))) for z in (np.positive, np.nan_to_num, lambda g: g[g >= 0])),
        "only bins that are too confident count: absolute values": _bins(end=lambda f, a, c: np.nansum(f * np.maximum(c - a, 0))),
        "only bins that are too timid count: absolute values": _bins(end=lambda f, a, c: np.nansum(f * np.maximum(a - c, 0))),
        "this is the error rate: the distance of accuracy and confidence is asked for": lambda p, y, n: (p.argmax(1) != y).mean(),
        "the distance is taken image by image: first the means of each bin": lambda p, y, n: abs((p.argmax(1) == y) - p.max(1)).mean(),
        "this is a squared distance image by image (Brier): bins first, then |distance|": (
            lambda p, y, n: (((p.argmax(1) == y) - p.max(1)) ** 2).mean(),
            lambda p, y, n: ((p - np.eye(p.shape[1])[y]) ** 2).sum(1).mean(),
        ),
        f"this uses the probability of the label: {_LABEL}": (
            lambda p, y, n: (1 - _of_label(p, y)).mean(),
            *(_bins(value=_of_label, place=place, end=_ece_of) for place in (_top, _of_label)),
        ),
        "num_bins is ignored": tuple(_bins(bins=lambda n, fixed=fixed: fixed, end=_ece_of) for fixed in (5, 10, 15)),
        f"{_ORDER} in what reliability returns": (_bins(end=lambda f, a, c: _ece_of(c, a, f)), _bins(end=lambda f, a, c: _ece_of(a, f, c))),
        "a single bin has a gap, too": _bins(end=lambda f, a, c: _ece_of(f, a, c) * (len(f) > 1)),
        "a bin without a right answer is no empty bin": _gaps_of(lambda a: a > 0),
        "a bin in which every answer is right has a gap, too": _gaps_of(lambda a: a < 1),
        "the middles of the bins are used: take the mean confidence of each bin": _bins(end=lambda f, a, c: _ece_of(f, a, _ends(f, 0.5))),
        "a bin with a single image counts, too": _bins(holds=lambda m, p, y: m.sum() > 1, end=_ece_of),
        f"{_SIDE}. {_USE}": (_bins(inside=_LOWER, end=_ece_of), _bins(inside=_FLOOR, end=_ece_of)),
        f"{_WIDTH}. {_USE}": _bins(inside=_at(_by_rank), end=_ece_of),
        f"{_RANGE}. {_USE}": _bins(inside=_at(_spread_below), end=_ece_of),
        "all classes' probabilities are put into bins: one confidence for each image, the highest": _bins(**_EVERY_CLASS, end=_ece_of),
        "the result is rounded: return it as it is": tuple(_gaps(lambda f, g, d=d: (f * g).sum().round(d)) for d in (2, 3, 4)),
    },
    battery=_BINNED,
)


# ------------------------------------------------------------------------------------------------------ 9.7 committee


_rows = lambda q: q / q.sum(axis=1, keepdims=True)


@slips
def _committee(mean=lambda m: np.mean(m, axis=0), factor=lambda f, s: f**-s, moved=lambda p, k: p * k, scale=_rows):
    return lambda members, f, s: scale(moved(mean(members), factor(f, s)))


_voted = lambda p: np.eye(p.shape[1])[p.argmax(1)]
_geometric = lambda tiny: _committee(mean=lambda m: np.exp(np.mean([np.log(p + tiny) for p in m], axis=0)))


def _committee_and_sums(function, *inputs):
    seen = returns(Part("the committee", "float array"))(function, *inputs)
    found = numbers(seen["the committee"])
    return {"each row's sum": found.sum(1), **seen} if found is not None and found.ndim == 2 else seen


def _mixed(what, members, fractions, strength, right):
    """A case whose right rows are `right`, up to a factor each."""
    rows = _rows(_a(right))
    return Case(what, (members, fractions, strength), {"each row's sum": np.ones(len(rows)), "the committee": rows})


_FIRST, _SECOND = _a([[0.9, 0.1, 0.0], [0.2, 0.5, 0.3]]), _a([[0.3, 0.3, 0.4], [0.6, 0.1, 0.3]])
_MEMBERS, _CLASSES = [_FIRST, _SECOND, _a([[0.6, 0.2, 0.2], [0.4, 0.0, 0.6]])], _a([0.64, 0.25, 0.11])
_FREQUENT = "the factors favour the FREQUENT classes: the exponent is minus the strength"
_AXIS = "the mean runs over the members, axis 0 of the list"
_EACH_FIRST = "each member is adjusted and rescaled by itself: first the mean, then the factors, then the rows"
_LOGARITHMS = "the logarithms belong to logits: probabilities are multiplied by fractions ** -strength"
_NO_VOICE = "only one member has a voice: the mean over all of them"


_members = lambda seed, count, n, num_classes: [_softmax(2 * _drawn(seed + k, n, num_classes)) for k in range(count)]
_skewed = lambda num_classes: _rows(0.6 ** np.arange(num_classes)[None])[0]


committee = Exercise(
    "9.7",
    "committee",
    "the committee",
    why="Asking a committee is one of the most dependable gains in machine learning, and you know how.",
    observe=_committee_and_sums,
    cases=[
        # the members' sums are 1.8, .6, .6 and 1.2, .6, 1.2; the factors at strength .5 are 1 / .8, 1 / .5, 1 / root of .11
        _mixed("of three members at strength .5", _MEMBERS, _CLASSES, 0.5, [[2.25, 1.2, 0.6 / 0.11**0.5], [1.5, 1.2, 1.2 / 0.11**0.5]]),
        _mixed("of three members at strength 0", _MEMBERS, _CLASSES, 0.0, [[0.6, 0.2, 0.2], [0.4, 0.2, 0.4]]),
        _mixed(
            "of three members at strength 2",
            _MEMBERS,
            _CLASSES,
            2.0,
            [[1.8 / 0.4096, 9.6, 0.6 / 0.0121], [1.2 / 0.4096, 9.6, 1.2 / 0.0121]],
        ),
        _mixed("of one member at strength 1", [_FIRST], _CLASSES, 1.0, [[0.9 / 0.64, 0.4, 0], [0.2 / 0.64, 2, 0.3 / 0.11]]),
        _mixed("of the text at strength 1", [_a([[0.9, 0.1]]), _a([[0.5, 0.5]])], _a([0.8, 0.2]), 1.0, [[0.875, 1.5]]),
        _mixed("in which two members agree (each has a voice)", [_FIRST, _FIRST, _SECOND], _CLASSES, 0.0, [[2.1, 0.5, 0.4], [1, 1.1, 0.9]]),
    ],
    mistakes={
        "strength is ignored: no class has moved": _committee(factor=lambda f, s: 1),
        "this is the sum of the members: their mean, adjusted, each row divided by its sum": lambda m, f, s: sum(m),
        "the rows do not sum to 1: at the very end, divide each row by its own sum": (
            _committee(scale=lambda q: q),
            _committee(mean=sum, scale=lambda q: q),
            _committee(factor=lambda f, s: f**-s / (f**-s).sum(), scale=lambda q: q),
            _committee(scale=lambda q: q / q.max(1, keepdims=True)),
        ),
        "divided along the wrong axis: each ROW sums to 1": _committee(scale=lambda q: q / q.sum(0)),
        "divided by the sum of the whole array: each row by its own": _committee(scale=lambda q: q / q.sum()),
        _FREQUENT: _committee(factor=lambda f, s: f**s),
        "the strength is ignored (or cancels when the rows are divided): it is the exponent of the fractions": (
            _committee(factor=lambda f, s: 1 / f),
            _committee(factor=lambda f, s: 1 / (f * s) if s else 1),
        ),
        "the factors favour the frequent classes, and the strength is ignored": _committee(factor=lambda f, s: f),
        "the exponent is the strength itself, not one over it": _committee(factor=lambda f, s: f ** (-1 / s) if s else 1),
        "the exponent is the strength itself, not half of it": _committee(factor=lambda f, s: f ** (-s / 2)),
        "the strength stops at 1: it may be larger": _committee(factor=lambda f, s: f ** -min(s, 1.0)),
        "a strength of 0 is taken as missing: at 0 nothing moves": _committee(factor=lambda f, s: f ** -(s or 1.0)),
        "the strength is a mixture here, (1 - s) * mean + s * adjusted: it is the exponent of the fractions": _committee(
            factor=lambda f, s: (f, s), moved=lambda p, k: (1 - k[1]) * p + k[1] * _rows(p / k[0])
        ),
        "small fractions are cut off: a class with a fraction of .001 has its own factor": (
            *(_committee(factor=lambda f, s, e=e: f.clip(e) ** -s) for e in (0.01, 0.002)),
            _committee(factor=lambda f, s: (f + 0.01) ** -s),
        ),
        "a small number is added to the probabilities, or they are cut off: a probability of 0 stays 0": tuple(
            _committee(mean=lambda m, g=g: g(np.mean(m, axis=0))) for g in (lambda p: p + 1e-12, lambda p: p + 1e-8, lambda p: p.clip(1e-6))
        ),
        _LOGARITHMS: _committee(factor=lambda f, s: -s * np.log(f), moved=lambda p, k: p + k),
        "probabilities are taken for logits: no exp, no softmax": _committee(
            factor=lambda f, s: -s * np.log(f), moved=lambda p, k: np.exp(p + k)
        ),
        "this is the geometric mean (of logarithms): the arithmetic one is wanted": tuple(map(_geometric, (0, 1e-12, 1e-9, 1e-8))),
        "this is the median of the members: the mean is wanted": _committee(mean=lambda m: np.median(m, axis=0)),
        "this is the product of the members: the mean is wanted": _committee(mean=lambda m: np.prod(m, axis=0)),
        "this is the highest of the members: the mean is wanted": _committee(mean=lambda m: np.max(m, axis=0)),
        "this counts the members' answers: take the mean of their probabilities": _committee(
            mean=lambda m: np.mean([*map(_voted, m)], axis=0)
        ),
        _EACH_FIRST: lambda m, f, s: np.mean([_rows(p * f**-s) for p in m], axis=0),
        _NO_VOICE: (_committee(mean=lambda m: m[-1]), _committee(mean=lambda m: m[0])),
        "two members that agree have one voice: each member counts": _committee(mean=lambda m: np.unique(np.stack(m), axis=0).mean(0)),
        "the last member is left out: the mean over all of them": _committee(mean=lambda m: np.mean(m[:-1] or m, axis=0)),
        "these are the answers: the probabilities are wanted": _committee(scale=lambda q: q.argmax(1)),
        "this is the highest probability of each image: all of them are wanted": _committee(scale=lambda q: _rows(q).max(1)),
        f"averaged over the classes: {_AXIS}": (_committee(scale=lambda q: _rows(q).mean(1)), lambda m, f, s: np.mean(m, axis=2)),
        f"averaged over the images: {_AXIS}": (lambda m, f, s: np.mean(m, axis=1), lambda m, f, s: _rows(np.mean(m, axis=1) * f**-s)),
    },
    errors={
        "could not be broadcast": "each row's sum needs the shape (N, 1): .sum(axis=1, keepdims=True)",
        "axis 1 is out of bounds": "np.mean(members) averages everything: np.mean(members, axis=0) averages over the members",
    },
    battery={
        **none("probabilities are averaged: no labels, nothing is compared, nothing to differentiate, no network, no loop that goes on"),
        "one": [Case("of two members on one image", (_members(41, 2, 1, 3), _CLASSES, 0.7))],
        "classes": [
            Case("of three members on five images of two classes", (_members(43, 3, 5, 2), _a([0.9, 0.1]), 0.25)),
            Case("of two members on six images of ten classes", (_members(47, 2, 6, 10), _skewed(10), 0.5)),
        ],
        "extremes": [
            Case("of members that are sure, and contradict each other", ([np.eye(3), np.eye(3)[[1, 1, 0]]], _CLASSES, 1.0)),
            Case("of probabilities of 1e-30", ([_a([[1e-30, 1.0, 0]]), _a([[1e-30, 1e-3, 0.999]])], _a([0.001, 0.5, 0.499]), 3.0)),
        ],
        "sizes": [
            Case("of three members on 3000 images", (_members(51, 3, 3000, 3), _CLASSES, 0.25)),
            Case("of 20 members", (_members(55, 20, 2, 3), _CLASSES, 0.25)),
        ],
        "layout": [
            Case("of inputs that are not contiguous", lambda: ([scattered(p) for p in _MEMBERS], scattered(_CLASSES), 0.4)),
            Case("of members of float32", ([p.astype(np.float32) for p in _MEMBERS], _CLASSES, 0.3)),
        ],
        "ends": [
            Case("where a class has the fraction .001, at strength 1.5", (_members(60, 2, 4, 3), _a([0.67, 0.329, 0.001]), 1.5)),
            Case("of two members at strength .01", (_members(62, 2, 4, 3), _CLASSES, 0.01)),
            Case("of two other members at strength 3", (_members(64, 2, 4, 3), _CLASSES[::-1].copy(), 3.0)),
        ],
    },
)
