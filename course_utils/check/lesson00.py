"""Checks of lesson 00: class fractions, the majority class, macro-F1."""

import numpy as np
import torch
import torch.nn.functional as F

from course_utils.check.battery import classes, none, scattered
from course_utils.check.cases import Case, Exercise, returns, slips
from course_utils.check.expect import Part

COUNTS_ONLY = "whole numbers come in, labels or counts: no logits, no gradient, no network, and no loop with surprises"
OVERFLOW = "counts overflow: uint8 ends at 255, int16 at 32,767, and float16 counts to 2,048 only; leave them int64"
ROUNDED = "the result is rounded: return it as it is, no round, no half precision"


def _wrong(make, step):
    """Makes mistakes: answers in which this step is wrong."""
    return lambda *ways: tuple(make(**{step: way}) for way in ways)


def _rounding(*decimals):
    return (*(lambda x, d=d: x.round(decimals=d) for d in decimals), lambda x: x.half().double().float(), lambda x: x.bfloat16().float())


def _mixed(*counts):
    """Labels with so many images of class 0, 1, ..., well mixed."""
    labels = np.repeat(np.arange(len(counts)), counts)
    return torch.from_numpy(labels[np.random.RandomState(0).permutation(len(labels))].astype(np.int64))


# ------------------------------------------------------------------------------------------------- 0.1 class fractions


@slips
def _fractions(counts=lambda y, c: torch.bincount(y, minlength=c), divide=lambda n, y, c: n / len(y), after=lambda p: p):
    return lambda y, c: after(divide(counts(y, c), y, c))


_counted, _divided, _after = (_wrong(_fractions, step) for step in ("counts", "divide", "after"))


def _as(dtype):
    return lambda y, c: torch.zeros(c, dtype=dtype).index_add_(0, y, torch.ones(len(y), dtype=dtype)).float()


def _unique(y, c=None):
    return y.unique(return_counts=True)[1]


class_fractions = Exercise(
    "0.1",
    "class_fractions",
    "the fraction of each class",
    why="Look at these fractions before you look at any score: with one large class, many a number flatters.",
    observe=returns(Part("the result", "float tensor")),
    cases=[
        Case("for 5 classes in [0, 2, 2, 3, 0, 2, 3, 2]", (torch.tensor([0, 2, 2, 3, 0, 2, 3, 2]), 5), [0.25, 0.0, 0.5, 0.25, 0.0]),
        Case("for 2 classes in [1, 1, 1]", (torch.tensor([1, 1, 1]), 2), [0.0, 1.0]),
        Case("for 5 classes in [4, 4, 4, 4, 4, 4, 1, 0]", (torch.tensor([4] * 6 + [1, 0]), 5), [0.125, 0.125, 0.0, 0.0, 0.75]),
    ],
    mistakes={
        "these are counts: divide by the number of labels": _divided(lambda n, y, c: n),
        "a division of whole numbers with // rounds down: use /": _divided(lambda n, y, c: n // len(y)),
        "divide by the number of labels, not by the largest count: fractions sum to 1": _divided(lambda n, y, c: n / n.max()),
        "divide by the number of labels, not of classes": _divided(lambda n, y, c: n / c, lambda n, y, c: n / len(y.unique())),
        "divide by the number of labels N, not by N - 1": _divided(lambda n, y, c: n / (len(y) - 1)),
        "softmax makes no fractions of counts: divide them by the number of labels": _divided(lambda n, y, c: n.float().softmax(0)),
        "something is added to the counts: a class without an image has the fraction 0": _divided(
            lambda n, y, c: n.clamp(min=1) / len(y), lambda n, y, c: (n + 1) / (len(y) + c)
        ),
        "the last classes have no image and are left out: the result has num_classes entries (bincount: minlength=num_classes)": _counted(
            lambda y, c: torch.bincount(y), lambda y, c: F.one_hot(y).sum(0)
        ),
        "classes without an image are left out: their fraction is 0, but they need an entry": _counted(_unique),
        "classes without an image all stand at the end: entry c belongs to class c": _counted(
            lambda y, c: torch.cat([_unique(y), torch.zeros(c - len(y.unique()))])
        ),
        "classes are numbered from 0, not from 1: range(num_classes)": _counted(lambda y, c: torch.bincount(y, minlength=c + 1)[1 : c + 1]),
        "there is one entry too many: classes end with num_classes - 1": _counted(lambda y, c: torch.bincount(y, minlength=c + 1)),
        "the last class is left out: range(num_classes) ends with num_classes - 1": _counted(
            lambda y, c: torch.bincount(y, minlength=c)[:-1]
        ),
        "the number of classes is written in: take num_classes": _counted(
            *(lambda y, c, k=k: torch.bincount(y, minlength=k) for k in (5, 7, 10)), lambda y, c: torch.bincount(y, minlength=7)[:c]
        ),
        "histc lays its bins between the smallest and the largest label: tell it min and max": _counted(
            lambda y, c: torch.histc(y.float(), bins=c)
        ),
        OVERFLOW: _counted(*map(_as, (torch.uint8, torch.int16, torch.float16))),
        "these are percentages: fractions lie between 0 and 1": _after(lambda p: 100 * p),
        "the fractions are in another order: entry c belongs to class c, however frequent it is": _after(
            lambda p: p.sort(descending=True)[0]
        ),
        ROUNDED: _after(*_rounding(2, 3, 4, 5)),
    },
    battery={
        **none(COUNTS_ONLY),
        "one": [Case("for a single label", (torch.tensor([2]), 4)), Case("for a single class", (torch.tensor([0, 0, 0]), 1))],
        "classes": [
            Case("for two classes", (classes(1, 9, 2), 2)),
            Case("for ten classes, the last one absent", (classes(2, 40, 10, absent=(3, 9)), 10)),
            Case("for 300 classes", (classes(3, 50, 5) * 70, 300)),
        ],
        "uneven": [Case("for 8 labels of 5 classes, most of them 1", (torch.tensor([1, 1, 3, 1, 1, 0, 1, 3]), 5))],
        "sizes": [
            Case("for 300 labels of class 0 and 25 of class 1", (_mixed(300, 25), 3)),
            Case("for 36,000 labels, 33,000 of them of class 0", (torch.arange(36_000) % 12 // 11, 2), tolerance=1e-6),
            Case("for 4,611 labels of three classes", (_mixed(2500, 2100, 11), 3)),
        ],
        "ties": [Case("for classes of 3,000, 3,001 and 1 of 6,002 images", (_mixed(3000, 3001, 1), 3), tolerance=1e-6)],
        "layout": [Case("for labels that are not contiguous", (scattered(torch.tensor([2, 2, 0, 1, 2, 0])), 3))],
    },
)


# ------------------------------------------------------------------------------------------------- 0.2 majority class


@slips
def _majority(answer=lambda a: torch.bincount(a).argmax(), score=lambda hit: hit.double().mean()):
    return lambda a, b: score(b == answer(a))


_answered, _scored = (_wrong(_majority, step) for step in ("answer", "score"))


def _fraction(y, answer):
    return (y == answer).double().mean()


def _most(y):
    return torch.bincount(y).argmax()


def _tied(y):
    return (torch.bincount(y) == torch.bincount(y).max()).nonzero()


def _among(pick):
    """The most frequent training class of those that `pick` allows."""

    def answer(a, b):
        counts = {c: (a == c).sum().item() for c in pick(b)}
        return _fraction(b, max(counts, key=counts.get))

    return answer


_EQUALLY_FREQUENT = torch.from_numpy(np.repeat(np.arange(300), np.random.RandomState(0).randint(1, 3, 300)))


def _labels(train, test):
    return torch.tensor(train), torch.tensor(test)


majority_accuracy = Exercise(
    "0.2",
    "majority_accuracy",
    "what the majority class scores",
    why="This is the score to beat: you get it without looking at a single image.",
    observe=returns(Part("the accuracy", "number")),
    cases=[
        Case("for training labels [0, 1, 1, 1, 1, 2, 2, 2]", _labels([0, 1, 1, 1, 1, 2, 2, 2], [2, 2, 2, 1, 0, 2, 1, 2, 2, 2]), 0.2),
        Case("when no training label is 0 or 2", _labels([3, 1, 3, 4, 3, 1, 3, 4], [3, 0, 1, 1, 3, 1, 1, 1, 3, 4]), 0.3),
        Case("when class 0 is the most frequent of five", _labels([0, 0, 1, 2, 3], [0, 0, 0, 1]), 0.75),
        Case("when 1 and 3 are equally frequent in training", _labels([3, 3, 1, 1], [1, 1, 1, 3]), 0.75),
        Case("when the answer does not occur in the test labels", _labels([5, 5, 1], [1, 1]), 0.0),
    ],
    mistakes={
        "the answer is chosen on the test labels: choose it on the training labels": lambda a, b: _fraction(b, _most(b)),
        "this is the fraction of the class in the training split: measure on the test labels": lambda a, b: _fraction(a, _most(a)),
        "the two splits are exchanged: choose on the training labels, measure on the test labels": lambda a, b: _fraction(a, _most(b)),
        "the answer is chosen on both splits together: training labels only": lambda a, b: _fraction(b, _most(torch.cat([a, b]))),
        "divide by the number of test images, not of training images": lambda a, b: (b == _most(a)).sum() / len(a),
        "this is the class that is answered, not how often it is right": lambda a, b: _most(a),
        "this is the largest count, not how often the class is right": lambda a, b: torch.bincount(a).max(),
        "in a tie answer one class, the one with the smaller number": lambda a, b: torch.isin(b, _tied(a)).double().mean(),
        "the answer is chosen among the classes of the test labels: all training labels count": _among(lambda b: sorted(set(b.tolist()))),
        "the number of classes is written in: bincount finds it": (_among(lambda b: range(5)), _among(lambda b: range(7))),
        "this is the mean over the classes: every test image counts the same": lambda a, b: torch.stack(
            [_fraction(b[b == c], _most(a)) for c in b.unique()]
        ).mean(),
        "this is a count: divide by the number of test images": _scored(torch.sum),
        "this is a percentage: an accuracy lies between 0 and 1": _scored(lambda hit: 100 * hit.double().mean()),
        "this is the fraction of wrong answers": _scored(lambda hit: 1 - hit.double().mean()),
        ROUNDED: _scored(*(lambda hit, way=way: way(hit.double().mean()) for way in _rounding(1, 2, 3, 4, 5))),
        "this answers the rarest class: take the most frequent one, argmax of the counts": _answered(
            lambda a: torch.bincount(a).argmin(), lambda a: a.unique()[_unique(a).argmin()]
        ),
        "class 0 is answered, whatever the training labels are: take the most frequent one": _answered(lambda a: 0),
        "max gives the count of the most frequent class, argmax the class itself": _answered(lambda a: torch.bincount(a).max()),
        "the middle one of the class numbers is answered (median or mean): take the most frequent one": _answered(
            torch.median, lambda a: a.double().mean().round(), lambda a: a.double().mean().int()
        ),
        "the largest class number is answered: argmax of the counts, not the maximum of the labels": _answered(torch.max),
        "the first training label is answered: take the most frequent one": _answered(lambda a: a[0]),
        "in a tie answer the smaller class number, not the one that comes first": _answered(
            lambda a: max(dict.fromkeys(a.tolist()), key=torch.bincount(a).tolist().__getitem__)
        ),
        "in a tie answer the smaller class number, not the larger one": _answered(lambda a: _tied(a).max()),
        "unique() leaves out classes that do not occur: take the class at the place of the largest count, not the place": _answered(
            lambda a: _unique(a).argmax()
        ),
        OVERFLOW: _answered(*(lambda a, t=t: _as(t)(a, int(a.max()) + 1).argmax() for t in (torch.uint8, torch.float16))),
        "counts that are close are taken for a tie: compare the counts as they are": _answered(
            *(lambda a, way=way: way(torch.bincount(a) / len(a)).argmax() for way in _rounding(2, 3))
        ),
    },
    battery={
        **none(COUNTS_ONLY),
        "one": [Case("for one training and one test image", _labels([3], [3])), Case("for one test image", _labels([1, 0, 1], [0]))],
        "classes": [
            Case("for two classes", (classes(1, 9, 2), classes(2, 7, 2))),
            Case("for ten classes, 9 the most frequent", (torch.tensor([9, 8, 9, 0, 9, 8]), classes(3, 30, 4).mul(3))),
            Case("for 300 classes, many of them as frequent,", (_EQUALLY_FREQUENT, torch.tensor([0, 1, 2, 3, 1, 2, 3, 3]))),
            Case("when class 8 of ten is the most frequent, and absent from the test labels", _labels([8, 8, 1], [1, 0])),
            Case("for ten classes, the last one absent", (9 - classes(4, 60, 10, absent=(0,)), 9 - classes(5, 30, 10))),
        ],
        "uneven": [Case("for classes of 13, 14, 14 and 3 training images", (_mixed(13, 14, 14, 3), classes(6, 23, 4)))],
        "sizes": [
            Case("for classes of 250 and 256 training images", (_mixed(250, 256), classes(7, 300, 2))),
            Case("for 3,000 test images, 1,001 of them right", (torch.tensor([1, 1, 0]), _mixed(1999, 1001)), tolerance=1e-6),
            Case("for classes of 2,100 and 2,500 training images", (_mixed(2100, 2500), classes(7, 40, 2))),
            Case("for 40 classes of 3 training images each", (_mixed(*[3] * 40), _mixed(*range(40)))),
        ],
        "ties": [Case("for classes of 3,500 and 3,501 training images", (_mixed(3500, 3501), torch.tensor([1, 1, 1, 0, 2])))],
        "layout": [Case("for labels that are not contiguous", tuple(map(scattered, _labels([0, 1, 1, 2], [1, 0, 1]))))],
        "ends": [Case("when every test image has the class", _labels([4, 4, 1], [4, 4]))],
    },
)


# ------------------------------------------------------------------------------------------------------- 0.3 macro-F1


def _ratio(a, b):
    return torch.where(b > 0, a.double() / b.clamp(min=1e-9).double(), 0.0)


@slips
def _macro(f1=lambda hits, below: _ratio(2 * hits, below), mean=lambda f1, m: f1.mean(), of=lambda m: m):
    """`f1` of the diagonal and the sums of row and column; `mean` over the classes."""
    return lambda m: mean(f1(of(m).diagonal(), of(m).sum(0) + of(m).sum(1)), m)


_f1, _mean, _of = (_wrong(_macro, step) for step in ("f1", "mean", "of"))


def _of_p_and_r(score):
    """A score of the classes' precision and recall."""
    return lambda m: score(_ratio(m.diagonal(), m.sum(0)), _ratio(m.diagonal(), m.sum(1)))


def _matrix(*rows):
    return (torch.tensor(rows),)


HARMONIC = "F1 is the harmonic mean of precision and recall, not"
LEFT_OUT = "are left out: the mean goes over all classes"
NINE = torch.arange(10) < 9

macro_f1 = Exercise(
    "0.3",
    "macro_f1",
    "macro-F1 from the confusion matrix",
    why="Here every class counts the same, so a rare disease can no longer hide behind a frequent one.",
    observe=returns(Part("the macro-F1", "number")),
    cases=[
        Case("of [[8, 1, 1], [2, 3, 0], [2, 2, 1]]", _matrix([8, 1, 1], [2, 3, 0], [2, 2, 1]), (16 / 22 + 6 / 11 + 2 / 7) / 3),
        Case("of [[4, 0, 0], [2, 0, 0], [0, 0, 0]]", _matrix([4, 0, 0], [2, 0, 0], [0, 0, 0]), (8 / 10 + 0 + 0) / 3),
        Case("of [[6, 2, 0], [1, 1, 0], [3, 0, 0]]", _matrix([6, 2, 0], [1, 1, 0], [3, 0, 0]), (12 / 18 + 2 / 5 + 0) / 3),
        Case("of a perfect classifier", _matrix([50_000, 0], [0, 50_000]), 1.0),
    ],
    mistakes={
        "this is the accuracy (micro-F1): compute F1 for each class first, then the plain mean": lambda m: m.trace() / m.sum(),
        "this is the mean recall (balanced accuracy): the denominator needs the column sums, too": _of_p_and_r(lambda p, r: r.mean()),
        "this is the mean precision: the denominator needs the row sums, too": _of_p_and_r(lambda p, r: p.mean()),
        "this is the F1 of mean precision and mean recall: take F1 per class, then the mean": _of_p_and_r(
            lambda p, r: 2 * p.mean() * r.mean() / (p.mean() + r.mean()).clamp(min=1e-9)
        ),
        f"{HARMONIC} their plain mean": _of_p_and_r(lambda p, r: (p + r).mean() / 2),
        f"{HARMONIC} the root of their product": _of_p_and_r(lambda p, r: (p * r).sqrt().mean()),
        f"{HARMONIC} their product": _of_p_and_r(lambda p, r: (p * r).mean()),
        f"{HARMONIC} the smaller of the two": _of_p_and_r(lambda p, r: torch.minimum(p, r).mean()),
        "precision and recall are guarded, and their harmonic mean is not: 0 + 0 is a denominator, too": _of_p_and_r(
            lambda p, r: (2 * p * r / (p + r)).mean()
        ),
        "the sum of precision and recall is raised to 1 (clamp?): it may lie below 1, guard zeros only": _of_p_and_r(
            lambda p, r: (2 * p * r / (p + r).clamp(min=1)).mean()
        ),
        "return the mean over the classes, one number": _mean(lambda f1, m: f1),
        "return the mean over the classes, not the sum": _mean(lambda f1, m: f1.sum()),
        "return the mean over the classes, not the median": _mean(lambda f1, m: f1.median()),
        "the number of classes is written in: len(confusion) tells it": _mean(
            lambda f1, m: f1.sum() / 3, lambda f1, m: f1.sum() / 7, lambda f1, m: f1[:3].mean()
        ),
        "this is the weighted F1: every class counts the same here": _mean(lambda f1, m: (f1 * m.sum(1)).sum() / m.sum()),
        "the classes are weighted by how often they are predicted: all count the same": _mean(
            lambda f1, m: (f1 * m.sum(0)).sum() / m.sum()
        ),
        f"classes with F1 = 0 {LEFT_OUT}": _mean(lambda f1, m: f1[f1 > 0].mean()),
        f"classes without images {LEFT_OUT}": _mean(lambda f1, m: f1[m.sum(1) > 0].mean()),
        f"classes that are never predicted {LEFT_OUT}": _mean(lambda f1, m: f1[m.sum(0) > 0].mean()),
        f"classes that are neither true nor predicted {LEFT_OUT}": lambda m: (2 * m.diagonal() / (m.sum(0) + m.sum(1))).nanmean(),
        "one nan makes the whole result 0: set the F1 of that class to 0, then take the mean": lambda m: (
            (2 * m.diagonal() / (m.sum(0) + m.sum(1))).mean().nan_to_num(0)
        ),
        ROUNDED: _mean(
            *(lambda f1, m, way=way: way(f1.mean()) for way in _rounding(2, 3, 4, 5)),
            *(lambda f1, m, way=way: way(f1).mean() for way in _rounding(2, 3)),
        ),
        "a class gives 0/0 = nan (nothing to divide by): its F1 is 0, guard every division": _f1(
            lambda hits, below: 2 * hits / below, lambda hits, below: 2 / (below / hits)
        ),
        "a class that is neither true nor predicted counts as right: its F1 is 0": _f1(
            lambda hits, below: (2 * hits / below).nan_to_num(1)
        ),
        "a division of whole numbers with // rounds down: use /": _f1(lambda hits, below: (2 * hits // below.clamp(min=1)).double()),
        "the factor 2 in the numerator is missing": _f1(_ratio),
        "row and column sum both hold the hits, and both count: subtract nothing": _f1(lambda hits, below: _ratio(2 * hits, below - hits)),
        "this is the intersection over union: F1 is 2 M_cc / (row + column)": _f1(lambda hits, below: _ratio(hits, below - hits)),
        "something is added to the denominator: where it is 0 any positive number will do, elsewhere it stays as it is": _f1(
            lambda hits, below: 2 * hits / (below + 1), lambda hits, below: 2 * hits / (below + 1e-3)
        ),
        "the rows are divided by their sums first: F1 is computed from counts": _of(lambda m: _ratio(m, m.sum(1, keepdim=True))),
        "the columns are divided by their sums first: F1 is computed from counts": _of(lambda m: _ratio(m, m.sum(0, keepdim=True))),
        OVERFLOW: _of(lambda m: m.to(torch.uint8).long(), lambda m: m.short().long(), lambda m: m.half().double()),
    },
    battery={
        **none(COUNTS_ONLY),
        "one": [Case("of a single class", _matrix([5])), Case("of one image", _matrix([0, 1, 0], [0, 0, 0], [0, 0, 0]))],
        "classes": [
            Case("of two classes", _matrix([90, 10], [4, 1])),
            Case("of four classes, the second neither true nor predicted", _matrix([9, 0, 1, 2], [0] * 4, [2, 0, 7, 1], [0, 0, 3, 4])),
            Case("of ten classes, the last neither true nor predicted", (classes(1, 100, 9).view(10, 10) * NINE * NINE[:, None],)),
        ],
        "uneven": [Case("of classes of 1000, 60 and 3 images", _matrix([940, 60, 0], [30, 25, 5], [2, 0, 1]))],
        "sizes": [
            Case("of 300 classes", (classes(2, 90_000, 6).view(300, 300),)),
            Case("of counts up to three millions", _matrix([3_000_001, 70_000], [32_769, 257]), tolerance=1e-6),
            Case("of counts above 2,048", _matrix([2049, 4099, 2], [260, 8195, 1], [3, 0, 300]), tolerance=1e-6),
        ],
        "ties": [Case("of one error among 40,001 images", _matrix([20_000, 1], [0, 20_000]), tolerance=1e-6)],
        "layout": [Case("of a matrix that is not contiguous", (scattered(_matrix([3, 1, 0], [2, 2, 2], [0, 4, 1])[0]),))],
        "ends": [
            Case("when a class is never predicted", _matrix([5, 2, 0], [1, 3, 0], [2, 2, 0])),
            Case("when a class is predicted and never true", _matrix([5, 2, 1], [1, 3, 4], [0, 0, 0])),
            Case("when nothing is right", _matrix([0, 3], [2, 0])),
        ],
    },
)
