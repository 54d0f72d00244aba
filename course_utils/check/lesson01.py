"""Checks of lesson 01: the stratified label split, the supervised loss, predicting, logit adjustment, the paired difference."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.batches import Batch
from course_utils.check.battery import classes, extreme_logits, none, probabilities, scattered, uniform
from course_utils.check.cases import Case, Exercise, loss_and_logs, returns, slips
from course_utils.check.expect import Fix, Part, expect_tuple
from course_utils.check.probe import Probe

ROUNDED = "the result is rounded: return it as it is, no round, no half precision"
_OF_EIGHT = torch.tensor([2, 0, 1, 0, 2, 2, 0, 2])  # classes for the eight rows of extreme_logits


def _wrong(make, step):
    """Makes mistakes: answers in which this step is wrong."""
    return lambda *ways: tuple(make(**{step: way}) for way in ways)


def _rounding(*decimals):
    return (*(lambda x, d=d: x.round(decimals=d) for d in decimals), lambda x: x.half().float())


# ---------------------------------------------------------------------------------------------- 1.1 stratified split


def _mixed(*counts):
    """Labels with so many images of class 0, 1, ..., well mixed."""
    labels = np.repeat(np.arange(len(counts)), counts)
    return labels[np.random.RandomState(3).permutation(len(labels))]


_FIVE = _mixed(33, 15, 11, 4, 1)
_FIVE = np.concatenate([_FIVE[_FIVE != 4], [4]])  # the only image of class 4 at a place that no place within a class reaches
_TWELVE = _mixed(6, 6)


def _positions(function, labels, num_labels, rng):
    """The positions that the student's function chooses; Fix with the reason if these are none."""
    result = function(labels, num_labels, rng)
    try:
        found = np.asarray(result)
    except (TypeError, ValueError, RuntimeError):
        found = np.empty((0, 0))
    if found.dtype == object or found.ndim != 1:
        raise Fix("return one flat array of positions, of all classes together: np.concatenate joins those of the classes")
    if found.dtype == bool:
        raise Fix("this is a mask of True and False: return the positions, np.flatnonzero gives them")
    if found.dtype.kind not in "iu":
        raise Fix(f"positions are whole numbers, and these are {found.dtype}: no index can be made of them (np.array([]) is float64)")
    counts, different = np.bincount(labels), np.unique(found)
    repeated = len(different) < len(found)
    if repeated and np.array_equal(different, np.flatnonzero(counts)):
        raise Fix("these are the labels of the chosen images: return their positions")
    alone = np.flatnonzero(counts[labels] == 1)
    if len(found) and found.max() < counts.max() and not np.isin(alone, found).all():
        raise Fix("these are positions within each class: choose among np.flatnonzero(labels == c), the positions in `labels`")
    if len(found) and (found.min() < 0 or found.max() >= len(labels)):
        raise Fix(f"positions lie between 0 and {len(labels) - 1}, but {found.min()} to {found.max()} came out")
    if repeated:
        raise Fix("an image is chosen twice: choose without replacement (replace=False)")
    if (np.diff(found) < 0).any():
        raise Fix("the positions are not sorted: np.sort at the end, over all classes together")
    return found


def _counts(function, labels, num_labels):
    """The positions are random, and how many there are of each class is not."""
    one, other = (
        np.bincount(labels[_positions(function, labels, num_labels, np.random.default_rng(seed))], minlength=labels.max() + 1)
        for seed in (0, 1)
    )
    if not np.array_equal(one, other):
        raise Fix(
            "another `rng` chooses other numbers of images of a class: these are fixed, max(1, n_c * num_labels // N), neither filled up nor cut"
        )
    return {"the number of labels of each class": one}


@slips
def _split(number=lambda n, k, N: n * k / N, among=np.unique, cut=lambda k: None):
    """Of each class that `among(labels)` names at least one image, and as many as `number(n_c, num_labels, N)` rounded down says."""

    def answer(y, num_labels, rng):
        chosen = [m[: max(1, int(number(len(m), num_labels, len(y))))] for m in (rng.permutation(np.flatnonzero(y == c)) for c in among(y))]
        return np.sort(np.concatenate(chosen)[: cut(num_labels)])

    return answer


_number, _among = _wrong(_split, "number"), _wrong(_split, "among")


def _numbers(of_all):
    """As many images of each class as `of_all(n_c of all classes, num_labels)` says."""

    def answer(y, num_labels, rng):
        members = [rng.permutation(np.flatnonzero(y == c)) for c in np.unique(y)]
        numbers = of_all([len(m) for m in members], num_labels)
        return np.sort(np.concatenate([m[:k] for m, k in zip(members, numbers)]))

    return answer


def _handed_out(order):
    """What rounding down leaves over goes to the classes that come first in this order."""

    def of_all(counts, num_labels):
        wanted = [n * num_labels / sum(counts) for n in counts]
        numbers = [max(1, int(w + 1e-9)) for w in wanted]
        for i in sorted(range(len(counts)), key=lambda i: order(wanted[i]))[: max(0, num_labels - sum(numbers))]:
            numbers[i] += 1
        return numbers

    return _numbers(of_all)


def _draws(student, labels, num_labels, seeds):
    """The choices with these seeds, in rows of True and False; Fix if a later call writes into the array of an earlier one."""
    rows, made = np.zeros((len(seeds), len(labels)), dtype=bool), []
    for row, seed in zip(rows, seeds):
        made.append(_positions(student, labels, num_labels, np.random.default_rng(seed)))
        row[made[-1]] = True
    if any(not np.array_equal(np.flatnonzero(row), found) for row, found in zip(rows, made)):
        raise Fix("what it returned is changed by a later call: return a new array each time")
    return rows


def _from_rng(student):
    rows = _draws(student, _FIVE, 16, range(20))
    if not np.array_equal(rows, _draws(student, _FIVE, 16, range(20))):
        raise Fix("the same state of `rng` gives two choices: all randomness comes from `rng`, no generator of your own")
    if (rows == rows[0]).all():
        numbers = np.bincount(_FIVE[rows[0]])
        if all(rows[0][np.flatnonzero(c == _FIVE)[:k]].all() for c, k in enumerate(numbers)):
            raise Fix("these are the first images of each class: choose them at random, with `rng`")
        raise Fix("another `rng` chooses the same images: use `rng` as it comes, do not make or seed one inside")
    rng = np.random.default_rng(0)
    if np.array_equal(*(_positions(student, _FIVE, 16, rng) for _ in range(2))):
        raise Fix("a second call with the same `rng` chooses the same images: draw from `rng` itself, not from a copy of it")


def _equally_likely(student):
    """Three of six images in each of two classes: 20 choices each. A right answer fails less than once in a million seeds."""
    rows = _draws(student, _TWELVE, 6, range(300))
    first, second = rows[:, _TWELVE == 0], rows[:, _TWELVE == 1]
    for chosen in (first, second):
        if not chosen.any(0).all():
            raise Fix("in 300 label splits some image never comes up: each image of a class must have the same chance")
        if (abs(chosen.mean(0) - 0.5) > 0.17).any():
            raise Fix("some images of a class come up more often than others: each must have the same chance")
        found = np.unique(chosen, axis=0, return_counts=True)[1]
        if ((found - 15) ** 2).sum() / 15 + 15 * (20 - len(found)) > 75:
            raise Fix(
                "not all choices are equally likely, as if neighbours came together: choose each image by itself, rng.choice(..., replace=False)"
            )
    if (first == second).all(1).mean() > 0.13:
        raise Fix("the choices in two classes depend on each other: draw from `rng` anew for each class")


def _every_one_of_many(student):
    if not _draws(student, _mixed(1800, 1200), 1500, range(36)).any(0).all():
        raise Fix("of 3,000 images some never come up, in 36 label splits of half of them: each must have the same chance")


ROUND_DOWN = "round down, not to the nearest number: // does"
WHOLE = "how many to choose must be a whole number, by // or int()"

stratified_split = Exercise(
    "1.1",
    "stratified_split",
    "a stratified label split",
    why="With few labels, chance alone can lose a whole class; your split keeps each of them in.",
    observe=_counts,
    cases=[
        Case("for classes of 33, 15, 11, 4 and 1 images, 16 labels,", (_FIVE, 16), [8, 3, 2, 1, 1]),
        Case("for classes of 7 and 3 images, 4 labels,", (_mixed(7, 3), 4), [2, 1]),
        Case("for four labels, all of them wanted,", (np.array([1, 0, 1, 1]), 4), [1, 3]),
        Case("for five classes of 4 images, 3 labels,", (np.repeat(np.arange(5), 4), 3), [1, 1, 1, 1, 1]),
        Case("for classes of 77 and 33 images, 90 labels,", (_mixed(77, 33), 90), [63, 27]),
        Case("for classes of 231 and 22 images, 69 labels,", (_mixed(231, 22), 69), [63, 6]),
        Case("for classes of 55 and 198 images, 138 labels,", (_mixed(55, 198), 138), [30, 108]),
        Case("for classes of 12, 4, 3 and 1 images, 10 labels,", (_mixed(12, 4, 3, 1), 10), [6, 2, 1, 1]),
    ],
    mistakes={
        "the rarest class gets no label: take at least one of each class": _numbers(lambda n, k: [m * k // sum(n) for m in n]),
        "this is class-balanced: each class gets its fraction of the labels, not the same number": _numbers(
            lambda n, k: [max(1, k // len(n))] * len(n)
        ),
        ROUND_DOWN: _number(lambda n, k, N: round(n * k / N)),
        f"{ROUND_DOWN}; and take at least one of each class": _numbers(lambda n, k: [round(m * k / sum(n)) for m in n]),
        "round down, not up: // does": _number(lambda n, k, N: -(-n * k // N)),
        "take the larger of the rounded number and 1: do not add one": (
            *_number(lambda n, k, N: n * k // N + 1),
            _numbers(lambda n, k: [1 + max(0, m * (k - len(n)) // sum(n)) for m in n]),
        ),
        "what rounding down leaves over is handed out: the total may be smaller than num_labels": tuple(
            _handed_out(order) for order in (lambda w: -w, lambda w: -(w % 1), lambda w: w)
        ),
        "these are all images: choose only some of each class": _number(lambda n, k, N: n),
        "this is one image of each class: is a fraction rounded down to 0 before it is multiplied?": _number(lambda n, k, N: n // N * k),
        "up to `num_labels` are taken from each class: they are for all classes together": _number(lambda n, k, N: k),
        "the labels are cut to num_labels: no class goes without, even if that makes more than num_labels": _split(
            number=lambda n, k, N: n * k // N, cut=lambda k: k
        ),
        "multiply before you divide, n_c * num_labels // N: the quotient is rounded down too early": _number(
            lambda n, k, N: n // (N // k), lambda n, k, N: k // (N // n)
        ),
        "something is rounded on the way, be it in the last of its digits: stay with whole numbers, n_c * num_labels // N": _number(
            *(lambda n, k, N, d=d: round(n / N, d) * k + 1e-9 for d in (1, 2, 3, 4)),
            *(lambda n, k, N, e=e: n * k / N + e for e in (1e-3, 1e-4)),
            lambda n, k, N: round(n * k / N, 3),
            lambda n, k, N: n / N * k,
            lambda n, k, N: n * (k / N),
            lambda n, k, N: n / (N / k),
            lambda n, k, N: k / (N / n),
            lambda n, k, N: np.float32(n / N) * np.float32(k),
            lambda n, k, N: np.float16(n) / np.float16(N) * k,
        ),
        "the class numbers are written in: np.unique(labels) names the classes that occur": _among(
            *(lambda y, k=k: [c for c in range(k) if (y == c).any()] for k in (5, 7, 10)),
            lambda y: [c for c in range(len(np.unique(y))) if (y == c).any()],
        ),
        "the last class is left out: range ends before its last number": _among(
            lambda y: [c for c in range(y.max()) if (y == c).any()] or [0]
        ),
        "class 0 is left out: classes are numbered from 0": _among(lambda y: [c for c in np.unique(y) if c > 0] or [0]),
    },
    errors={
        **dict.fromkeys(("cannot be interpreted as an integer", "float64", "slice indices must be integers"), WHOLE),
        "larger sample than population": "the number of images of a class is its own, n_c, not that of all",
        "a cannot be empty": "np.unique(labels) names the classes that occur",
        "a must be": "rng.choice takes the positions of the images of a class",
    },
    rules=[_from_rng, _equally_likely],
    battery={
        **none("whole numbers come in, and random positions go out: no logits, no gradient, no network, no loop with surprises"),
        "one": [
            Case("for a single image", (np.array([2]), 1)),
            Case("for six classes, one label,", (_mixed(3, 1, 5, 2, 9, 4), 1)),
            Case("for a single class", (np.array([0, 0, 0, 0, 0, 0, 0]), 3)),
        ],
        "classes": [
            Case("for two classes", (_mixed(9, 5), 6)),
            Case("for ten classes, four of which do not occur,", (np.array([0, 2, 3, 7, 8, 9])[_mixed(30, 20, 10, 9, 5, 2)], 30)),
            Case("for twelve classes, the last the most frequent,", (_mixed(*range(2, 14)), 45)),
        ],
        "uneven": [Case("for classes of 60, 1, 25 and 14 images, 30 labels,", (_mixed(60, 1, 25, 14), 30))],
        "sizes": [
            Case("for 7,007 images of seven classes, 500 labels,", (_mixed(4693, 228, 359, 769, 80, 779, 99), 500)),
            Case("for 3,000 images, all of them wanted,", (_mixed(2300, 600, 100), 3000)),
            Case("for 70,000 images, 40,000 labels,", (_mixed(65_000, 5_000), 40_000)),
            _every_one_of_many,
        ],
        # n_c * num_labels / N misses a whole number by 1 / N at least
        "ties": [Case("for classes of 31,111 and 8,889 images, 9 labels,", (_mixed(31_111, 8_889), 9))],
        "layout": [Case("for labels that are not contiguous", lambda: (scattered(_mixed(7, 3)), 4))],
        "ends": [
            Case("for classes of 1, 1, 1 and 97 images, 99 labels,", (_mixed(1, 1, 1, 97), 99)),
            Case("for classes of 100 and 200 images, 299 labels,", (_mixed(100, 200), 299)),
        ],
    },
)


# --------------------------------------------------------------------------------------------------- 1.2 supervised loss


def _images_of(logits):
    return logits.reshape(len(logits), -1, 1, 1)


def _batch(logits, y_l):
    """A batch whose other images would give another loss."""
    return Batch(_images_of(logits), y_l, _images_of(0.5 - logits.flip(0)), _images_of(logits.flip(1) + 0.25), torch.arange(len(y_l)))


def _of(z, y):
    return Probe(), _batch(z, torch.tensor(y) if isinstance(y, list) else y)


def _with_gradient():
    """A network that comes with a gradient."""
    model = Probe()
    model.scale.grad = torch.ones(1)
    return model


def _once(model, batch):
    model.expect_mode()
    if len(model.calls) != 1:
        raise Fix(
            f"the model runs {len(model.calls)} times: run it once on all labelled images and keep its logits (each run costs time, "
            "and BatchNorm takes note of it)"
        )
    if model.calls[0][0] != len(batch.x_l):
        raise Fix("other images than batch.x_l go through the model: the supervised loss looks at the labelled images only")


@slips
def _loss(loss=F.cross_entropy, accuracy=lambda z, y: (z.argmax(1) == y).double(), images=lambda batch: batch.x_l, shape=lambda z: z):
    """`accuracy` is a number, or whether each image is right."""

    def answer(model, batch):
        z = shape(model(images(batch)))
        found = torch.as_tensor(accuracy(z.detach(), batch.y_l))
        return loss(z, batch.y_l), {"accuracy": found.double().mean() if found.ndim else found}

    return answer


_losses, _accuracies, _passed = (_wrong(_loss, step) for step in ("loss", "accuracy", "images"))


def _rate(z, y):
    return (z.argmax(1) == y).double().mean()


def _p(z, y):
    """The probability of the label."""
    return _at(z.softmax(1), y)


def _at(z, y):
    return z[torch.arange(len(y)), y]


def _ce(z, y, **options):
    return F.cross_entropy(z, y, **options)


def _one_hot(z, y):
    return F.one_hot(y, z.shape[1]).to(z.dtype)


def _weights(z, y):
    return 1 / torch.bincount(y, minlength=z.shape[1]).clamp(min=1)


def _by_class(score):
    """The mean over the classes that occur."""
    return lambda z, y: torch.stack([score(z[y == c], y[y == c]) for c in y.unique()]).mean()


def _by_one_hot(num_classes):
    return lambda z, y: -(z.log_softmax(1) * F.one_hot(y, num_classes)).sum(1).mean()


_LOGITS_L, _Y_L = torch.tensor([[2.0, 0, 0], [0, 1, 0], [1, 0, 3], [0, 0, 0.5]]), torch.tensor([0, 2, 2, 2])
_LOSS_L = (math.log(math.e**2 + 2) - 2 + math.log(math.e + 2) + math.log(math.e + 1 + math.e**3) - 3 + math.log(2 + math.e**0.5) - 0.5) / 4

_NEAR = torch.tensor([[0.5, 0.5001, 0.0], [0.500001, 0.5, 0.0]])

OVER_CLASSES = "take the largest logit of each image: argmax over the classes, dim=1"

# Mistakes of every mean cross-entropy: functions of logits and labels
_CROSS_ENTROPIES = {
    "this is the sum over the batch: take the mean, so that the learning rate does not depend on its size": (
        lambda z, y: _ce(z, y, reduction="sum"),
    ),
    "softmax before cross-entropy: F.cross_entropy takes logits and applies the softmax itself": (lambda z, y: _ce(z.softmax(1), y),),
    "sigmoid before cross-entropy: F.cross_entropy takes the logits as they are": (lambda z, y: _ce(z.sigmoid(), y),),
    "the softmax runs over the images (dim=0): it runs over the classes": (lambda z, y: F.nll_loss(z.log_softmax(0), y),),
    "nll_loss needs log-probabilities: F.cross_entropy takes logits": (F.nll_loss,),
    "the logarithm is missing: the loss is -log of the probability of the label": (
        lambda z, y: -_p(z, y).mean(),
        lambda z, y: 1 - _p(z, y).mean(),
    ),
    "take the mean of the logarithms, not the logarithm of the mean": (lambda z, y: -_p(z, y).mean().log(),),
    "the labels are smoothed: the plain cross-entropy is asked for": (lambda z, y: _ce(z, y, label_smoothing=0.1),),
    "the sign is wrong: the loss is -log p, so that a smaller one is better": (lambda z, y: -_ce(z, y),),
    "no gradient arrives at the logits: no detach and no no_grad on the way, and requires_grad_() does not bring it back": (
        lambda z, y: _ce(z.detach(), y).requires_grad_(),
    ),
    "the loss is computed against the model's own answer: use the labels": (lambda z, y: _ce(z, z.argmax(1)),),
    "this is a margin loss: use the cross-entropy": (F.multi_margin_loss,),
    "this is a squared error: use the cross-entropy": (
        lambda z, y: F.mse_loss(z.softmax(1), _one_hot(z, y)),
        lambda z, y: F.mse_loss(z, _one_hot(z, y)),
    ),
    "this is a binary cross-entropy of each class: softmax over the classes, F.cross_entropy": (
        lambda z, y: F.binary_cross_entropy_with_logits(z, _one_hot(z, y)),
        lambda z, y: F.binary_cross_entropy(z.softmax(1), _one_hot(z, y)),
    ),
    "divide by the number of images, not by images times classes": (lambda z, y: _ce(z, y) / z.shape[1],),
    "a size is written in: take the mean over the batch as it comes": tuple(
        lambda z, y, n=n: _ce(z, y, reduction="sum") / n for n in (2, 4, 32)
    ),
    "log(softmax) of a small probability is infinite: F.cross_entropy and log_softmax stay with logarithms": (
        lambda z, y: -_p(z, y).log().mean(),
        lambda z, y: (z.exp().sum(1).log() - _at(z, y)).mean(),
        lambda z, y: -(z.softmax(1).log() * _one_hot(z, y)).sum(1).mean(),
    ),
    "a small number is added before the logarithm: bad mistakes then give hardly a gradient; use F.cross_entropy": (
        *(lambda z, y, e=e: -(_p(z, y) + e).log().mean() for e in (1e-12, 1e-8, 1e-6)),
        *(lambda z, y, e=e: -_p(z, y).clamp(min=e).log().mean() for e in (1e-12, 1e-8, 1e-6)),
    ),
    "large logits are cut off: take them as they are": (lambda z, y: _ce(z.clamp(-50, 50), y),),
    "the number of classes is written in: the logits have it, logits.shape[1]": (_by_one_hot(3), _by_one_hot(7)),
    "one_hot counts the classes that occur in the batch: hand it num_classes=logits.shape[1]": (_by_one_hot(-1),),
    "the classes are weighted: every image counts the same": (lambda z, y: _ce(z, y, weight=_weights(z, y)), _by_class(_ce)),
    "images of class 0 are left out of the loss: every image counts": (lambda z, y: _ce(z, y, ignore_index=0),),
    "images that are right already are left out: every image counts": (
        lambda z, y: (_ce(z, y, reduction="none") * (z.argmax(1) != y)).mean(),
    ),
    "the loss is computed in half precision: take the logits as they are": (lambda z, y: _ce(z.half(), y).float(),),
}

supervised_loss = Exercise(
    "1.2",
    "supervised_loss",
    "the supervised loss",
    why="Every method to come ends in a pair like this one: a loss to lower, and numbers to watch.",
    observe=loss_and_logs("accuracy", of=("x_l",), passes=_once),
    cases=[
        Case(
            "when 3 of 4 images are right", (Probe(), Batch(_images_of(_LOGITS_L), _Y_L)), {"the loss": _LOSS_L, "logs['accuracy']": 0.75}
        ),
        Case(
            "when 2 of 4 images are right and the other answers are class numbers above the label",
            _of(_LOGITS_L, [0, 0, 2, 1]),
            {"logs['accuracy']": 0.5},
        ),
        Case(
            "of two images with nearly equal logits",
            _of(torch.tensor([[1e-6, 0.0, 0.0], [0.0, 1e-6, 0.0]]), [0, 1]),
            (math.log(3), torch.tensor([[-2.0, 1, 1], [1, -2, 1]]) / 6, 1.0),
        ),
        Case("of a sure and wrong image", _of(torch.tensor([[0.0, 50.0]]), [0]), (50.0, [[-1.0, 1.0]], 0.0)),
    ],
    mistakes={
        **{cause: _losses(*ways) for cause, ways in _CROSS_ENTROPIES.items()},
        "squeeze() takes away more than one axis where the batch has one image: the logits are (B, C) as they come": _loss(
            shape=torch.squeeze
        ),
        "the model gets other images than those of batch.x_l, such as weak or strong views": _passed(lambda b: b.x_w, lambda b: b.x_s),
        "the accuracy is a count: divide by the size of the batch": _accuracies(lambda z, y: len(y) * _rate(z, y)),
        "the accuracy divides by a number that is written in: divide by the size of the batch": _accuracies(
            *(lambda z, y, n=n: len(y) * _rate(z, y) / n for n in (4, 32))
        ),
        "the accuracy divides by the number of classes: divide by the size of the batch": _accuracies(
            lambda z, y: len(y) * _rate(z, y) / z.shape[1]
        ),
        "the accuracy is a percentage: a fraction lies between 0 and 1": _accuracies(lambda z, y: 100 * _rate(z, y)),
        "the accuracy is the fraction of wrong answers": _accuracies(lambda z, y: 1 - _rate(z, y)),
        "the accuracy compares the model's answer with itself: compare with batch.y_l": _accuracies(lambda z, y: 1.0),
        "an answer above the label counts as right: the class with the largest logit must be the label, ==": _accuracies(
            lambda z, y: z.argmax(1) >= y
        ),
        "a probability above one half is asked for: the answer is the class with the largest logit, however small": _accuracies(
            lambda z, y: _p(z, y) > 0.5
        ),
        "a positive logit is asked for: the answer is the class with the largest logit": _accuracies(lambda z, y: _at(z, y) > 0),
        "this is the mean probability of the label: count where it has the largest logit": _accuracies(_p),
        "the accuracy says whether all images are right: it is the fraction that is": _accuracies(lambda z, y: float(_rate(z, y) == 1)),
        "this is the balanced accuracy, a mean over classes: every image counts the same": _accuracies(_by_class(_rate)),
        "the logits are rounded before the largest is found: compare them as they are": _accuracies(
            *(lambda z, y, way=way: way(z).argmax(1) == y for way in _rounding(2, 3)), lambda z, y: _rate(z.softmax(1).round(decimals=2), y)
        ),
        "the accuracy is rounded: return it as it is": _accuracies(
            *(lambda z, y, way=way: way(_rate(z, y)) for way in _rounding(1, 2, 3, 4))
        ),
        OVER_CLASSES: _accuracies(lambda z, y: z.argmax(0) == y),
        "the accuracy takes the smallest logit: argmax": _accuracies(lambda z, y: z.argmin(1) == y),
    },
    errors={"must match the size": OVER_CLASSES, "Dimension out of range": "no squeeze(): a batch may have one image"},
    battery={
        **none("there is no setting, and no loop with surprises"),
        "one": [
            Case("for a batch of one image", _of(uniform(1, 1, 4), [2])),
            Case("for another batch of one image", _of(uniform(2, 1, 4), [1])),
        ],
        "classes": [
            Case("for two classes", _of(uniform(3, 7, 2), classes(4, 7, 2))),
            Case("for ten classes, the last one absent", _of(uniform(5, 6, 10), classes(6, 6, 10, absent=(8, 9)))),
            Case("for as many images as classes", _of(uniform(7, 3, 3), [1, 0, 1])),
        ],
        "uneven": [Case("for labels of which most are 0", _of(uniform(8, 12, 4), classes(9, 12, 4)))],
        "extremes": [Case("for logits of ±90, ±120 and ±300", _of(extreme_logits(), _OF_EIGHT))],
        "gradient": [Case("for eight images", lambda: (_with_gradient(), _batch(uniform(10, 8, 3), classes(11, 8, 3))))],
        "sizes": [Case("for 3,000 images", _of(uniform(12, 3000, 3), classes(13, 3000, 3)))],
        "ties": [
            Case(
                "for logits that differ by 1e-4 and 1e-6",
                _of(_NEAR[[0, 0, 0, 1, 1]], [1, 1, 0, 0, 1]),
            )
        ],
        "passes": [Case("for a model in evaluation mode", (Probe().eval(), _batch(uniform(14, 5, 3), classes(15, 5, 3))))],
        "layout": [
            Case(
                "for images and labels that are not contiguous",
                (Probe(), Batch(scattered(_images_of(uniform(16, 4, 6)).view(4, 1, 2, 3)), scattered(torch.tensor([5, 0, 0, 3])))),
            )
        ],
    },
)


# ------------------------------------------------------------------------------------------------------ 1.3 predicting


class _Notes(list):
    """(images, training mode, whether gradients are recorded) of each pass; a copy of the model writes into the same list."""

    def __deepcopy__(self, memo):
        return self


class _Centred(nn.Module):
    """In training mode subtracts the mean of the batch, as BatchNorm does."""

    def forward(self, x):
        return x - x.mean(0) if self.training else x


class _Network(nn.Module):
    """A linear map without randomness. It comes with a gradient, and with a bias that is frozen."""

    def __init__(self, weight, training):
        super().__init__()
        self.norm, self.weight = _Centred(), nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(weight.shape[1]), requires_grad=False)
        self.weight.grad = torch.ones_like(weight)
        self.passes, self.chance = _Notes(), torch.get_rng_state()
        self.train(training)

    def forward(self, x):
        self._forgive_a_loader()
        z = self.norm(x.flatten(1)) @ self.weight + self.bias
        self.passes.append((len(x), self.norm.training, z.requires_grad))
        return z

    def _forgive_a_loader(self):
        """A DataLoader draws one seed from torch's own generator, even without workers: that is not the student's doing."""
        now = torch.get_rng_state()
        if not torch.equal(now, self.chance):
            torch.set_rng_state(self.chance)
            torch.empty((), dtype=torch.int64).random_()
            torch.set_rng_state(self.chance if torch.equal(torch.get_rng_state(), now) else now)


_values = returns(Part("the result", "float tensor"))


def _predicted(function, model, images, batch_size):
    training = model.training
    seen = _values(_no_list(function), model, images, batch_size)
    if any(in_training for _, in_training, _ in model.passes):
        raise Fix("the model predicts in training mode: model.eval() first, or BatchNorm mixes the images of a batch")
    for name, rule in (("the gradients", _unrecorded), ("the mode", _as_found), ("the batches", _in_batches)):
        try:
            rule(model=model, result=seen["the result"], training=training, n=len(images), batch_size=batch_size)
        except Fix as error:
            seen[name] = error
    return seen


def _no_list(function):
    def called(*inputs):
        result = function(*inputs)
        if isinstance(result, list | tuple):
            raise Fix("it returns a list of parts: torch.cat joins them to one tensor")
        return result

    return called


def _unrecorded(model, result, **_):
    if any(recorded for *_, recorded in model.passes) or getattr(result, "requires_grad", False):
        raise Fix("gradients are recorded: run the model under torch.no_grad(), it saves memory and time")


def _as_found(model, training, **_):
    if model.training != model.norm.training:
        raise Fix("`model.training = ...` changes the outermost module only: model.train(mode) changes BatchNorm's mode, too")
    if model.training != training:
        came, left = ("training", "evaluation") if training else ("evaluation", "training")
        raise Fix(f"the model comes in {came} mode and is left in {left} mode: put it back into the mode in which you found it")


def _in_batches(model, n, batch_size, **_):
    sizes = [size for size, *_ in model.passes]
    if sum(sizes) > n:
        raise Fix(f"{sum(sizes)} images go through the model for {n} answers: run each image once")
    if max(sizes, default=0) == n > batch_size:
        raise Fix("all images go through at once: `batch_size` at a time, or a large set does not fit into memory")
    if sizes != [min(batch_size, n - start) for start in range(0, n, batch_size)]:
        shown = str(sizes) if len(sizes) < 10 else f"{str(sizes[:8])[:-1]}, ...]"
        raise Fix(
            f"the batches have {shown} images, but batch_size is {batch_size} and there are {n} images: only the last batch is smaller "
            "(split takes the size of the parts, chunk their number)"
        )


@slips
def _predict(batches=lambda x, b: x.split(b), after=lambda z: z.softmax(1), end=torch.cat):
    def answer(model, images, batch_size):
        found = model.training
        model.eval()
        with torch.no_grad():
            parts = [after(model(part)) for part in batches(images, batch_size)]
        model.train(found)
        return end(parts)

    return answer


_batched, _after, _joined = (_wrong(_predict, step) for step in ("batches", "after", "end"))


def _all(*changes):
    return _joined(*(lambda parts, change=change: change(torch.cat(parts)) for change in changes))


def _inputs(weight, images, batch_size, training=True):
    """Made anew each time: a copy would write its passes into the notes of the original."""
    return lambda: (_Network(weight.clone(), training), images.clone(), batch_size)


_WEIGHT = torch.tensor([[1.0, 0.0, -1.0, 0.5], [0.0, 2.0, 1.0, -0.5]])
_SEVEN = torch.tensor([[1.0, 0], [0, 1], [1, 1], [2, -1], [-1, 0.5], [0, 0], [0.5, 3]]).view(7, 2, 1, 1)
_HALVES = torch.tensor([[0.0], [1.0], [2.0], [3.0]]).view(4, 1, 1, 1)


def _odds(*of_ten):
    return torch.tensor(of_ten).log().view(1, -1)


predict_probabilities = Exercise(
    "1.3",
    "predict_probabilities",
    "predicting probabilities",
    why="You will judge every network with these lines, and a network left in the wrong mode gives wrong answers without a word.",
    observe=_predicted,
    changes=("mode",),
    cases=[
        Case(
            "of 4 images in batches of 3, in evaluation mode,",  # the logits are n * log(odds), so the probabilities odds ** n / sum
            _inputs(_odds(1.0, 2.0, 3.0), _HALVES, 3, training=False),
            [[1 / 3, 1 / 3, 1 / 3], [1 / 6, 2 / 6, 3 / 6], [1 / 14, 4 / 14, 9 / 14], [1 / 36, 8 / 36, 27 / 36]],
        ),
        Case(
            "of 4 images in batches of 2",
            _inputs(_odds(1.0, 1.0, 4.0), _HALVES.flip(0), 2),
            [[1 / 66, 1 / 66, 64 / 66], [1 / 18, 1 / 18, 16 / 18], [1 / 6, 1 / 6, 4 / 6], [1 / 3, 1 / 3, 1 / 3]],
        ),
        Case("of 2 images in batches of at most 10", _inputs(_odds(1.0, 9.0), _HALVES[:2], 10), [[0.5, 0.5], [0.1, 0.9]]),
    ],
    mistakes={
        "the last, smaller batch is dropped: every image needs an answer": _batched(
            lambda x, b: [x[i : i + b] for i in range(0, len(x) - b + 1, b)] or [x[:0]]
        ),
        "only the first batch comes back: collect the parts and join them": _joined(lambda parts: parts[0]),
        "only the last batch comes back: collect the parts and join them": _joined(lambda parts: parts[-1]),
        "these are logits: apply the softmax over the classes": _after(lambda z: z),
        "these are log-probabilities: softmax, not log_softmax": _after(lambda z: z.log_softmax(1)),
        "the softmax goes over the images of a batch: it goes over the classes, dim=1": _after(lambda z: z.softmax(0)),
        "the softmax goes over the images: it goes over the classes, dim=1": _predict(
            after=lambda z: z, end=lambda parts: torch.cat(parts).softmax(0)
        ),
        "this is a sigmoid of each logit: the softmax makes each row sum to 1": _after(torch.sigmoid),
        "the softmax is applied twice": _after(lambda z: z.softmax(1).softmax(1)),
        "the logits are divided by their sum: softmax takes their exponentials first": _after(lambda z: z / z.sum(1, keepdim=True)),
        "these are the predicted classes: return the probabilities": _after(lambda z: z.argmax(1)),
        "this is the largest probability of each image: return those of all classes": _after(lambda z: z.softmax(1).amax(1)),
        "these are answers as one-hot rows: return the probabilities": _after(lambda z: F.one_hot(z.argmax(1), z.shape[1])),
        "the result is transposed: one row per image, one column per class": _all(lambda p: p.T),
        "an axis of length 1 is taken away (squeeze): the result is (N, C), also for one image": _all(torch.squeeze),
        "the mean over the images is returned: one row for each image": _all(lambda p: p.mean(0)),
        "the parts are joined along the classes: one below the other, torch.cat(parts), dim=0": _joined(lambda parts: torch.cat(parts, 1)),
        "the parts are stacked, and have an axis of their own: torch.cat joins them": _joined(torch.stack),
        "the parts are put together in another order: keep the order of the images": _batched(
            lambda x, b: x.split(b)[::-1], lambda x, b: x.flip(0).split(b)
        ),
        "exp() of a large logit is infinite: softmax subtracts the largest one first": _after(
            lambda z: z.exp() / z.exp().sum(1, keepdim=True)
        ),
        "softmax is computed in half precision: take the logits as they are": _after(
            lambda z: z.half().softmax(1).float(), lambda z: z.half().float().softmax(1), lambda z: z.bfloat16().float().softmax(1)
        ),
        ROUNDED: _all(*_rounding(2, 3, 4, 5)),
        "small probabilities are raised: take them as they are": _all(lambda p: p.clamp(min=1e-4), lambda p: p.clamp(1e-3, 1 - 1e-3)),
    },
    errors={
        "stack expects each tensor": "the parts may have different sizes: torch.cat joins them",
        "expected all input": "torch.cat joins the parts along their first axis",
        "Sizes of tensors must match": "torch.cat joins the parts along their first axis",
        "does not require grad": "no backward(): nothing is trained here",
    },
    battery={
        **none("there are no labels, no gradient, no comparison, no setting, and no loop with surprises"),
        "one": [
            Case("of one image", _inputs(_WEIGHT, _SEVEN[2:3], 4)),
            Case("of 7 images, one at a time", _inputs(_WEIGHT, _SEVEN, 1)),
            Case("of 7 images in batches of 6, the last with one image,", _inputs(_WEIGHT, _SEVEN, 6)),
        ],
        "classes": [
            Case("of 5 images and two classes", _inputs(uniform(1, 12, 2), uniform(2, 5, 3, 2, 2), 2)),
            Case("of 7 images and ten classes", _inputs(uniform(3, 12, 10), uniform(4, 7, 3, 2, 2), 3, training=False)),
        ],
        "extremes": [Case("for logits of ±90, ±120 and ±300", _inputs(torch.eye(3), extreme_logits().view(8, 3, 1, 1), 3))],
        "sizes": [
            Case("of 3,001 images in batches of 500", _inputs(_WEIGHT, uniform(5, 3001, 2, 1, 1), 500)),
            Case("of 300 images in batches of 1,000", _inputs(_WEIGHT, uniform(6, 300, 2, 1, 1), 1000), tolerance=1e-6),
        ],
        "passes": [
            Case("of 7 images in batches of 2", _inputs(_WEIGHT, _SEVEN, 2)),
            Case("of 7 images in batches of 7", _inputs(_WEIGHT, _SEVEN, 7, training=False), tolerance=1e-6),
            Case("of 7 other images in batches of 2", _inputs(-_WEIGHT, _SEVEN.flip(0), 2)),
        ],
        "layout": [
            Case("of images that are not contiguous", lambda: (_Network(uniform(7, 8, 3), True), scattered(uniform(8, 5, 2, 2, 2)), 2)),
            Case(
                "of images with their channels last in memory",
                lambda: (_Network(uniform(9, 18, 3), False), uniform(10, 4, 2, 3, 3).to(memory_format=torch.channels_last), 3),
            ),
        ],
    },
)


# -------------------------------------------------------------------------------------------------- 1.4 logit adjustment


@slips
def _adjusted(change=lambda z, prior, s: z + prior.log() * s, loss=F.cross_entropy, strength=lambda s: s, prior=lambda p: p):
    return lambda z, y, p, s: loss(change(z, prior(p), strength(s)), y)


_changed, _adjusted_losses, _strength, _prior = (_wrong(_adjusted, step) for step in ("change", "loss", "strength", "prior"))


def _weighted(weight):
    return lambda z, y, p, s: _ce(z, y, weight=weight(p, s))


_Z, _Y, _PRIOR = torch.tensor([[1.0, 0.0, -1.0], [0.5, 0.5, 2.0]]), torch.tensor([0, 1]), torch.tensor([0.7, 0.2, 0.1])


def _closed(strength):
    """The loss of _Z: with w_c = prior_c ** strength * e ** z_c it is log(sum of w) - log(w of the label)."""
    weights = [[p**strength * math.exp(v) for p, v in zip((0.7, 0.2, 0.1), row)] for row in ((1, 0, -1), (0.5, 0.5, 2))]
    return sum(math.log(sum(row)) - math.log(row[label]) for row, label in zip(weights, (0, 1))) / 2


adjusted_cross_entropy = Exercise(
    "1.4",
    "adjusted_cross_entropy",
    "logit adjustment",
    why="One line of prior knowledge, and the rare classes get a fair hearing; keep it in your toolbox for any uneven data.",
    observe=returns(Part("the loss", "tensor"), gradient={0: "the logits"}),
    cases=[
        Case("with strength 2.5", (_Z, _Y, _PRIOR, 2.5), _closed(2.5)),
        Case("with strength 0", (_Z, _Y, _PRIOR, 0.0), _closed(0)),
        Case("with strength 2", (_Z, _Y, _PRIOR, 2.0), _closed(2)),
        Case("with strength .3", (_Z, _Y, _PRIOR, 0.3), _closed(0.3)),
        Case(
            "of a label with the prior .001",
            (torch.zeros(1, 2), torch.tensor([1]), torch.tensor([0.999, 0.001]), 1.0),
            (-math.log(0.001), [[0.999, -0.999]]),
        ),
    ],
    mistakes={
        "nothing is adjusted, or every class of a row gets the same number, which softmax cancels: class c gets strength * log prior[c]": (
            lambda z, y, p, s: _ce(z + s * p[y].log()[:, None], y),
            *_changed(lambda z, p, s: z, lambda z, p, s: z + s * p.log().sum()),
        ),
        "the sign is wrong: in training log prior is added (it is subtracted when one adjusts at prediction)": _strength(lambda s: -s),
        "the prior itself is added: its logarithm is": _changed(lambda z, p, s: z + s * p),
        "the prior itself is subtracted: its logarithm is added": _changed(lambda z, p, s: z - s * p),
        "`strength` has no effect: the logits get strength * log prior": _strength(lambda s: 1),
        "`strength` is inside the logarithm, where it cancels: strength * log prior": _changed(lambda z, p, s: z + (s * p).log()),
        "`strength` has no effect, and the sign is wrong: add strength * log prior": _strength(lambda s: -1),
        "`strength` is cut off or rounded: take it as it is, also above 1 and at 0": _strength(
            int, round, lambda s: min(s, 1.0), lambda s: min(s, 2.0), lambda s: max(s, 1.0), lambda s: s or 1.0
        ),
        "strength is squared: it multiplies log prior once": _strength(lambda s: s * s),
        "log prior is divided by strength: multiply": _strength(lambda s: 1 / s if s else 0.0),
        "the prior is computed from the labels of the batch: use the argument `prior`": lambda z, y, p, s: _ce(
            z - s * (len(y) * _weights(z, y)).log(), y
        ),
        "only the label's own logit is adjusted: every class gets its log prior, or the classes do not shift against each other": lambda z, y, p, s: (
            _ce(z + _one_hot(z, y) * p.log() * s, y)
        ),
        "only the other classes' logits are adjusted: every class gets its log prior, the label's, too": lambda z, y, p, s: _ce(
            z + (1 - _one_hot(z, y)) * p.log() * s, y
        ),
        "`strength` multiplies log prior only, not the logits": _changed(
            lambda z, p, s: s * (z + p.log()), lambda z, p, s: s * z + p.log()
        ),
        "the logits are multiplied: log prior is added": _changed(lambda z, p, s: z * (s * p.log())),
        "prior to the power of strength is added: take its logarithm": _changed(lambda z, p, s: z + p**s),
        "the logits are divided by prior to the power of strength: strength * log prior is added": _changed(lambda z, p, s: z / p**s),
        "use the natural logarithm": _changed(lambda z, p, s: z + s * p.log2(), lambda z, p, s: z + s * p.log10()),
        "log(1 + prior) is added: the logarithm of the prior itself": _prior(lambda p: 1 + p),
        "the softmax is applied before the adjustment: adjust the logits": _changed(lambda z, p, s: z.softmax(1) + s * p.log()),
        "this weights the loss of each class: adjust the logits instead": tuple(
            _weighted(weight) for weight in (lambda p, s: 1 / p, lambda p, s: p**-s, lambda p, s: s / p, lambda p, s: p)
        ),
        "the adjusted loss is weighted, too: every image counts the same": lambda z, y, p, s: _ce(z + s * p.log(), y, weight=1 / p),
        "log prior is added to the loss: it is added to the logits": lambda z, y, p, s: _ce(z, y) + s * p[y].log().mean(),
        **{cause: _adjusted_losses(*ways) for cause, ways in _CROSS_ENTROPIES.items()},
        "the prior multiplies exponentials, which overflow: add its logarithm to the logits": lambda z, y, p, s: (
            -(_at(z.exp() * p**s, y) / (z.exp() * p**s).sum(1)).log().mean()
        ),
        "a small prior is replaced by a larger one, or a number is added to it: take it as it is": _prior(
            *(lambda p, least=least: p.clamp(min=least) for least in (0.1, 0.05, 0.01, 0.005, 0.002, 1e-3, 1e-4, 1e-5)),
            *(lambda p, more=more: p + more for more in (0.01, 1e-3, 1e-4, 1e-6, 1e-8)),
        ),
        "prior ** strength becomes 0 where both are at their ends: strength * log(prior)": lambda z, y, p, s: _ce(z + (p**s).log(), y),
        "the prior is used in half precision: take it as it is": _prior(lambda p: p.half().float()),
    },
    errors={"must match the size": "prior.log() has one entry for each class: added to (B, C) it repeats for every row"},
    battery={
        **none("there is no network, nothing is compared, and there is no loop with surprises"),
        "one": [
            Case("for one image", (uniform(1, 1, 4), torch.tensor([3]), torch.tensor([0.4, 0.3, 0.2, 0.1]), 1.0)),
            Case("for another image", (uniform(2, 1, 4), torch.tensor([0]), torch.tensor([0.1, 0.2, 0.3, 0.4]), 1.5)),
        ],
        "classes": [
            Case("for two classes", (uniform(3, 5, 2), classes(4, 5, 2), torch.tensor([0.8, 0.2]), 1.0)),
            Case(
                "for ten classes, the last one absent", (uniform(5, 6, 10), classes(6, 6, 10, absent=(9,)), probabilities(7, 1, 10)[0], 1.0)
            ),
            Case("for as many images as classes", (uniform(8, 3, 3), torch.tensor([2, 0, 0]), torch.tensor([0.2, 0.5, 0.3]), 1.0)),
        ],
        "uneven": [Case("for labels of which most are 0", (uniform(9, 9, 3), classes(10, 9, 3), torch.tensor([0.2, 0.3, 0.5]), 1.0))],
        "extremes": [Case("for logits of ±90, ±120 and ±300", (extreme_logits(), _OF_EIGHT, torch.tensor([0.9, 0.06, 0.04]), 1.0))],
        "gradient": [Case("for eight images", (uniform(11, 8, 3), classes(12, 8, 3), torch.tensor([0.6, 0.1, 0.3]), 0.725))],
        "sizes": [Case("for 3,000 images", (uniform(13, 3000, 3), classes(14, 3000, 3), torch.tensor([0.6, 0.3, 0.1]), 1.0))],
        "layout": [
            Case(
                "for inputs that are not contiguous",
                (scattered(uniform(15, 4, 3)), scattered(torch.tensor([2, 0, 1, 1])), scattered(torch.tensor([0.2, 0.2, 0.6])), 1.0),
            )
        ],
        "ends": [
            Case(
                "with priors of .005, .002 and 1e-6",
                (uniform(16, 4, 4), torch.tensor([1, 2, 3, 3]), torch.tensor([0.992999, 0.005, 0.002, 1e-6]), 1.0),
            ),
            Case("with strength 10", (uniform(17, 5, 3), classes(18, 5, 3), torch.tensor([0.05, 0.25, 0.7]), 10.0)),
            Case(
                "with strength 10 and a prior of 1e-6", (uniform(21, 3, 2), torch.tensor([1, 0, 1]), torch.tensor([1 - 1e-6, 1e-6]), 10.0)
            ),
            Case("with equal priors", (uniform(19, 5, 4), classes(20, 5, 4), torch.full((4,), 0.25), 1.0)),
        ],
    },
)


# -------------------------------------------------------------------------------------------------- 1.5 paired difference


def _pair(function, a, b):
    """(mean, standard error); an array or tensor of two numbers is as good as a tuple."""
    result = function(a, b)
    if isinstance(result, np.ndarray | torch.Tensor) and result.ndim == 1:
        result = result.tolist()
    return _two_numbers(lambda: tuple(expect_tuple(result, ("mean of a - b", "standard error"))))


_two_numbers = returns(Part("the mean difference", "number"), Part("the standard error", "number"))


@slips
def _paired(mean=np.mean, error=lambda d: (d.var(ddof=1) / d.size) ** 0.5, of=lambda a, b: a - b):
    return lambda a, b: (mean(of(a, b)), error(of(a, b)))


_error, _average, _differences = (_wrong(_paired, step) for step in ("error", "mean", "of"))


def _sem(d):
    return d.std(ddof=1) / len(d) ** 0.5


def _errors_of_two(error):
    return lambda a, b: (np.mean(a - b), error(a, b) / len(a) ** 0.5)


def _scores(seed, n, scale=1.0, shift=0.0):
    return uniform(seed, n).double().numpy() * scale + shift


def _results(a, b):
    return np.array(a), np.array(b)


paired_difference = Exercise(
    "1.5",
    "paired_difference",
    "the paired difference",
    why="Comparing on the same label split takes the luck of the split out, so you see small gains that are real.",
    observe=_pair,
    cases=[
        Case(
            "of the differences .02, .01, .04, .01",
            _results([0.40, 0.38, 0.45, 0.41], [0.38, 0.37, 0.41, 0.40]),
            (0.02, math.sqrt(0.0006 / 3) / 2),
            tolerance=1e-6,
        ),
        Case("of the differences .1 and -.3", _results([0.5, 0.3], [0.4, 0.6]), (-0.1, 0.2), tolerance=1e-6),
        Case("of the differences 1, 2, 3 and 10", _results([2.0, 4, 6, 20], [1.0, 2, 3, 10]), (4.0, math.sqrt(50 / 3 / 4))),
        Case("of equal differences", _results([3.0, 4.0, 5.0], [2.5, 3.5, 4.5]), (0.5, 0.0)),
    ],
    mistakes={
        "the sign is reversed: the difference is a - b": _differences(lambda a, b: b - a),
        "the two values are exchanged: return (mean, standard error)": lambda a, b: (_sem(a - b), np.mean(a - b)),
        "this is the standard deviation of the differences: divide it by the square root of n": _error(lambda d: d.std(ddof=1)),
        "this is the standard deviation, and with n instead of n - 1: ddof=1, and divide by the square root of n": _error(np.std),
        "numpy's std divides by n: give it ddof=1, which divides by n - 1": _error(lambda d: d.std() / len(d) ** 0.5),
        "the variance divides by n - 1, not by n - 2": _error(lambda d: np.sqrt(d.var() / max(1, len(d) - 2))),
        "the standard error divides by the square root of n, not by n": _error(lambda d: d.std(ddof=1) / len(d)),
        "divide by the square root of n, not of n - 1": _error(lambda d: d.std(ddof=1) / (len(d) - 1) ** 0.5),
        "this is a variance: take its square root": _error(lambda d: d.var(ddof=1) / len(d) ** 0.5, lambda d: d.var(ddof=1)),
        "this is the squared standard error: take the square root": _error(lambda d: _sem(d) ** 2),
        "this is the unpaired standard error: take the differences first, then their spread": tuple(
            _errors_of_two(lambda a, b, k=k: np.sqrt(a.var(ddof=k) + b.var(ddof=k))) for k in (1, 0)
        ),
        "the difference of two spreads is not the spread of the differences: subtract a - b first": (
            _errors_of_two(lambda a, b: a.std(ddof=1) - b.std(ddof=1)),
            _errors_of_two(lambda a, b: abs(a.std(ddof=1) - b.std(ddof=1))),
        ),
        "this is the spread of `a` alone: take the differences first": _errors_of_two(lambda a, b: a.std(ddof=1)),
        "n counts both lists: n is the number of pairs": _error(lambda d: _sem(d) / 2**0.5),
        "the number of pairs is written in: len(a) tells it": _error(lambda d: d.std(ddof=1) / 5**0.5, lambda d: d.std(ddof=1) / 2),
        "the spread is measured from 0: subtract the mean difference first": _error(lambda d: np.sqrt((d @ d) / (len(d) - 1) / len(d))),
        "this is the mean absolute deviation: squares, their mean with n - 1, the root": _error(
            lambda d: abs(d - d.mean()).mean() / len(d) ** 0.5
        ),
        "this is an interval of about two standard errors: return one": _error(lambda d: 1.96 * _sem(d), lambda d: 2 * _sem(d)),
        "this is the sum of the differences: take the mean": _average(np.sum),
        "this is the median of the differences: take the mean": _average(np.median),
        "the sign of the mean is dropped: no absolute values": _average(lambda d: abs(d.mean())),
        "return one number each: the mean, and the standard error of the mean": _average(lambda d: d),
        "the mean is divided by its standard error (a t value): return the mean": _average(lambda d: d.mean() / (_sem(d) + 1e-12)),
        "the mean divides by n - 1: only the variance does": _average(lambda d: d.sum() / (len(d) - 1)),
        "the sign of each difference is dropped: no absolute values": _differences(lambda a, b: abs(a - b)),
        "these are differences relative to b: take a - b as it is": _differences(lambda a, b: (a - b) / b),
        "these are ratios: take a - b": _differences(lambda a, b: a / b),
        "a and b are sorted, which breaks the pairs: entry i of both belongs together": _differences(lambda a, b: np.sort(a) - np.sort(b)),
        ROUNDED: (
            *(_paired(mean=lambda d, k=k: d.mean().round(k), error=lambda d, k=k: _sem(d).round(k)) for k in (1, 2, 3, 4, 5)),
            *_error(*(lambda d, k=k: _sem(d).round(k) for k in (2, 3, 4))),
            *_differences(*(lambda a, b, k=k: (a - b).round(k) for k in (2, 3))),
        ),
        "numbers of too few digits: float64 as they come, and subtract the mean before you square": (
            *_differences(lambda a, b: (a.astype(np.float16) - b.astype(np.float16)).astype(np.float64)),
            *_error(lambda d: np.sqrt(max(0, (d.astype(np.float32) ** 2).mean() - d.astype(np.float32).mean() ** 2) / (len(d) - 1))),
        ),
    },
    battery={
        **none("scores come in: no labels, no logits, no gradient, no network, no setting, nothing compared, no loop with surprises"),
        "extremes": [
            Case("of percentages, with differences near 90", (_scores(1, 6, shift=97.0), _scores(2, 6, 0.1, 7.0))),
            Case("when b is 0", (_scores(3, 5), np.zeros(5))),
        ],
        "sizes": [
            Case("of 3,000 pairs", (_scores(4, 3000), _scores(5, 3000)), tolerance=1e-6),
            Case("of 17 pairs", (_scores(6, 17), _scores(7, 17))),
        ],
        "ties": [
            Case(
                "of differences that are equal up to 1e-4",
                _results([700.0001, 300.0002, 500.0], [600.0, 200.0, 400.0]),
                tolerance=1e-6,
            )
        ],
        "layout": [Case("of arrays that are not contiguous", lambda: (scattered(_scores(8, 5)), scattered(_scores(9, 5))))],
        "ends": [
            Case("of two pairs that are alike", _results([0.5, 0.7], [0.5, 0.7])),
            Case(
                "of five pairs, the mean of their differences near 0",
                _results([0.31, 0.35, 0.28, 0.4, 0.33], [0.35, 0.31, 0.3, 0.38, 0.34]),
                tolerance=1e-6,
            ),
        ],
    },
)
