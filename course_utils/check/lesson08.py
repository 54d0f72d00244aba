"""Checks of lesson 08: sharpening, the averaged pseudo-label, MixUp, MixMatch's two losses, the ramp, the step, the price."""

import math

import torch
import torch.nn.functional as F

from course_utils.check.battery import classes, extreme_logits, none, probabilities, scattered, uniform
from course_utils.check.cases import RECORDED, Case, Exercise, returns, slips
from course_utils.check.expect import Fix, Part, expect_loss, gradients
from course_utils.check.probe import Probe

EXACT = "keep the numbers as they are, no rounding and no half precision"
T_CUT = "T is cut off, or a small T replaced by a larger one: take it as it is"


def _each(make, **wrong):
    """An answer for each wrong step."""
    return tuple(make(**{name: step}) for name, steps in wrong.items() for step in steps)


def _raised(p, exponent, dim=-1):
    powers = torch.pow(p, exponent)
    return powers / powers.sum(dim, keepdim=True)


def _one_hot_of(p):
    return torch.eye(p.shape[-1])[p.argmax(-1)]


# ------------------------------------------------------------------------------------------------------ 8.1 sharpening


@slips
def _sharpened(exponent=lambda T: 1 / T, powers=torch.pow, normal=lambda x: F.normalize(x, p=1, dim=1)):
    return lambda p, T: normal(powers(p, exponent(T)))


NO_LOGITS = "softmax takes logits, and these are probabilities: raise them to the power 1 / T"
NOT_SHARPENED = "nothing is sharpened: raise the probabilities to the power 1 / T, then divide by their sum"
ROUNDED_EXPONENT = "the exponent is rounded: it is 1 / T, which need not be a whole number (no // and no int)"
ABOVE_1 = "T above 1 is left out: the same formula holds for any T, and makes a distribution flatter"
LINE = "the exponent is 1 / T: a straight line in T agrees with that at one or two T only"
ZERO_NAN = "a probability of zero gives nan: zero to the power 1 / T is zero, no logarithm times zero"
SUM_CHANGED = "a small number is added to the sum, or the sum is cut off: divide by it as it is, however small"
_P = torch.tensor([[0.6, 0.3, 0.1], [0.25, 0.75, 0.0]])
_ROOT, _ODDS = 2**0.5, (13 / 12) ** 40  # of .8 and .2 at T = 4; of .52 and .48 at T = .025
_TINY = torch.tensor([[1.0, 0.0, 0.0], [0.7, 0.3, 1e-30], [0.0, 0.999, 0.001]])
_EVEN = torch.tensor([[0.27, 0.26, 0.24, 0.23, 0.0]])
_CLOSE = torch.tensor([[0.5001, 0.4999], [0.500001, 0.499999], [0.5, 0.5]])

sharpen = Exercise(
    "8.1",
    "sharpen",
    "sharpening",
    why="A sharper answer pushes the network away from the fence, without the hard yes or no of a threshold.",
    observe=returns(Part("the distribution", "float tensor")),
    cases=[
        Case("for [.6, .3, .1] and [.25, .75, 0] at T = .5", (_P, 0.5), [[36 / 46, 9 / 46, 1 / 46], [0.1, 0.9, 0]]),
        Case("for the same two at T = 1 (nothing changes)", (_P, 1.0), _P),
        Case("for [.5, .3, .2] at T = .25", (torch.tensor([[0.5, 0.3, 0.2]]), 0.25), [[625 / 722, 81 / 722, 16 / 722]]),
        Case("for [.64, .36] at T = .4", (torch.tensor([[0.64, 0.36]]), 0.4), [[0.8**5 / 0.40544, 0.6**5 / 0.40544]]),
        Case("for a uniform distribution", (torch.full((3, 4), 0.25), 0.5), torch.full((3, 4), 0.25)),
        Case("for [.9, .1] at T = 2 (flatter)", (torch.tensor([[0.9, 0.1]]), 2.0), [[0.75, 0.25]]),
        Case("for [.8, .2, 0] at T = 4", (torch.tensor([[0.8, 0.2, 0.0]]), 4.0), [[_ROOT / (1 + _ROOT), 1 / (1 + _ROOT), 0]]),
        Case("for [.52, .48] at T = .025", (torch.tensor([[0.52, 0.48]]), 0.025), [[_ODDS / (1 + _ODDS), 1 / (1 + _ODDS)]]),
    ],
    mistakes={
        "the exponent is T and not 1 / T: the result is flatter than before, not sharper": _sharpened(exponent=lambda T: T),
        "the exponent is T and not 1 / T; and each row must be divided by its sum": lambda p, T: p**T,
        "the rows do not sum to one: divide by the sum over the classes": _sharpened(normal=lambda x: x),
        NOT_SHARPENED: (_sharpened(exponent=lambda T: 1), lambda p, T: F.normalize(p / T, p=1, dim=1)),
        NO_LOGITS: (lambda p, T: (p / T).softmax(1), lambda p, T: (p * T).softmax(1), lambda p, T: _raised(p.softmax(1), 1 / T)),
        f"{NO_LOGITS} (and T is missing)": lambda p, T: p.softmax(1),
        "a softmax is not the way to normalise here: divide the powers by their sum": _sharpened(normal=lambda x: x.softmax(1)),
        "the sum runs over the images (dim=0): it must run over the classes (dim=1)": _sharpened(normal=lambda x: x / x.sum(0)),
        "one sum for the whole batch: each image has its own (dim=1, keepdim=True)": _sharpened(normal=lambda x: x / x.sum()),
        "divide by the sum of the powers, not by the largest of them": _sharpened(normal=lambda x: x / x.amax(1, keepdim=True)),
        "divide by the sum of the powers, not by their length (the root of the sum of squares)": _sharpened(normal=F.normalize),
        "this is all or nothing: sharpening only moves towards the most probable class": lambda p, T: _one_hot_of(p),
        "this is the most probable class: a distribution for each image is wanted": lambda p, T: p.argmax(1),
        "dividing by T is no sharpening: raise to the power 1 / T, then divide by the sum": lambda p, T: p / T,
        "T is ignored: the exponent is 1 / T, for any T": _sharpened(exponent=lambda T: 2.0),
        LINE: _each(_sharpened, exponent=[lambda T: 3 - 2 * T, lambda T: 2 - T]),
        ROUNDED_EXPONENT: _each(_sharpened, exponent=[lambda T: 1 // T, lambda T: round(1 / T), lambda T: max(1, int(1 / T))]),
        ABOVE_1: (_sharpened(exponent=lambda T: 1 / min(T, 1)), lambda p, T: p if T >= 1 else _raised(p, 1 / T)),
        T_CUT: (
            *(_sharpened(exponent=lambda T, n=n: 1 / max(T, n)) for n in (0.25, 0.1, 0.05)),
            _sharpened(exponent=lambda T: 1 / min(T, 5)),
        ),
        "a probability of zero does not stay zero: add nothing to it, and clamp nothing": (
            *(_sharpened(powers=lambda p, e, n=n: p.clamp(min=n) ** e) for n in (1e-4, 1e-8, torch.finfo().tiny)),
            _sharpened(powers=lambda p, e: (p + 1e-8) ** e),
            _sharpened(powers=lambda p, e: (p.log() * e).nan_to_num(neginf=-20).exp()),
        ),
        SUM_CHANGED: _each(_sharpened, normal=[lambda x: x / (x.sum(1, True) + 1e-8), lambda x: x / x.sum(1, True).clamp(min=1e-6)]),
        ZERO_NAN: _sharpened(powers=lambda p, e: (p * p.log() * e / p).exp()),
        f"half precision: {EXACT}": (
            _sharpened(powers=lambda p, e: (p.half() ** e).float()),
            _sharpened(normal=lambda x: F.normalize(x, p=1, dim=1).half().float()),
        ),
        f"something is rounded: {EXACT}": _each(
            _sharpened, powers=[lambda p, e: p.round(decimals=3) ** e, lambda p, e: (p**e).round(decimals=4)]
        ),
    },
    errors={"must match the size": "each row has a sum of its own, of the shape (B, 1): keepdim=True"},
    battery={
        **none("a formula for one row: no labels, no network, no loop, and the contract asks for no gradient"),
        "one": [Case(f"for one image (number {n})", (probabilities(n, 1, 4), 0.5)) for n in (1, 2)],
        "classes": [
            Case("for two classes", (probabilities(3, 5, 2), 0.3)),
            Case("for ten classes, the last one absent", (F.pad(probabilities(4, 6, 9), (0, 1)), 0.5)),
        ],
        "extremes": [Case(f"for probabilities of 0, 1 and 1e-30 at T = {T}", (_TINY, T)) for T in (0.5, 8.0)],
        "sizes": [Case("for 3000 images", (probabilities(5, 3000, 3), 0.7))],
        "ties": [Case("for classes that differ by 1e-4 and 1e-6", (_CLOSE, 0.1))],
        "layout": [
            Case("for probabilities that are not contiguous", (scattered(probabilities(6, 4, 3)), 0.5)),
            Case("for probabilities of float64", (probabilities(7, 4, 3).double(), 0.5)),
        ],
        "ends": [
            Case("for [.27, .26, .24, .23, 0] at T = .05", (_EVEN, 0.05)),
            Case("for a probability of 0 at T = 100", (torch.tensor([[0.9, 0.1, 0.0]]), 100.0)),
        ],
    },
)


# -------------------------------------------------------------------------------------- 8.2 the averaged pseudo-label

_label_of = returns(Part("the pseudo-label", "float tensor", constant=True))


def _usable(function, logits, T):
    """The pseudo-label, and whether a loss can use it."""
    seen = _label_of(function, logits, T)
    if getattr(seen["the pseudo-label"], "is_inference", bool)():
        seen["its use"] = Fix("torch.inference_mode() makes a target that no loss can use later: use torch.no_grad() or detach")
    return seen


@slips
def _averaged(of=lambda z: z.softmax(-1), average=lambda p: p.mean(0), sharp=lambda p, T: _raised(p, 1 / T)):
    return lambda z, T: sharp(average(of(z.detach())), T)


def _surest(p):
    best = p.amax(2, keepdim=True)
    return (p * (best == best.amax(0))).sum(0)


SHARPENED_FIRST = "each view is sharpened by itself (T under the logits does the same): average first, sharpen the average"
LOGITS_AVERAGED = "the logits are averaged (or the logarithms): average the probabilities, after the softmax"
OVER_VIEWS = "the softmax runs over the views (dim=0): it must run over the classes, the last axis"
OVER_IMAGES = "the softmax runs over the images (dim=1): it must run over the classes, the last axis"
NO_CLASS = "a whole distribution is wanted, not its most probable class"
ONE_EACH = "one pseudo-label for each view: the K views of an image share one, (B, num_classes)"
LAID_OUT = "the logits lie view by view: the views are axis 0, average over that, and reshape nothing"
OVERFLOWS = "exp() of a large logit is infinite: softmax subtracts the largest one first"
_VIEWS = torch.tensor([[[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], [[0.3, 0.6, 0.1], [0.3, 0.3, 0.4]]])  # (K, B, num_classes)
_Z = _VIEWS.log() + torch.tensor([[[3.0], [0.0]], [[1.0], [2.0]]])  # logits of these probabilities, shifted
_SHARP = [[25 / 42, 16 / 42, 1 / 42], [4 / 44, 4 / 44, 36 / 44]]
_OF_THREE = [[169 / 374, 196 / 374, 9 / 374], [49 / 354, 49 / 354, 256 / 354]]
_TWO_VIEWS = torch.tensor([[[0.7, 0.3]], [[0.58, 0.42]]]).log()
_ONE_FAR, _ALL_FAR = torch.tensor([[[120.0, 0, 0]], [[0, 0, 0]]]), torch.stack([extreme_logits(), extreme_logits().flip(0)])

guess_labels = Exercise(
    "8.2",
    "guess_labels",
    "the averaged pseudo-label",
    why="Asking about several views and averaging is the cheapest committee there is.",
    observe=_usable,
    cases=[
        Case("for two views of two images at T = .5", lambda: (_Z.clone().requires_grad_() * 1, 0.5), _SHARP),
        Case("for the same logits as a leaf of their own", (_Z.clone().requires_grad_(), 0.5), _SHARP),
        Case("at T = 1 (the average itself)", (_Z, 1.0), [[0.5, 0.4, 0.1], [0.2, 0.2, 0.6]]),
        Case("for the average [.64, .36] at T = .4", (_TWO_VIEWS, 0.4), [[0.8**5 / 0.40544, 0.6**5 / 0.40544]]),
        Case("for one view only (K = 1)", (_Z[1:], 0.5), [[9 / 46, 36 / 46, 1 / 46], [9 / 34, 9 / 34, 16 / 34]]),
        Case("for a batch of one image", (_Z[:, :1], 0.5), _SHARP[:1]),
        Case("for two views with the logits [120, 0, 0] and [0, 0, 0]", (_ONE_FAR, 0.5), [[8 / 9, 1 / 18, 1 / 18]]),
        Case("for three views", (_Z[[0, 1, 1]], 0.5), _OF_THREE),
    ],
    mistakes={
        SHARPENED_FIRST: lambda z, T: _raised(z.detach().softmax(2), 1 / T).mean(0),
        LOGITS_AVERAGED: _averaged(of=lambda z: z.mean(0).softmax(1), average=lambda p: p),
        "the logits are averaged, and nothing is sharpened: softmax, average, sharpen": lambda z, T: z.detach().mean(0).softmax(1),
        "the average is not sharpened": _averaged(sharp=lambda p, T: p),
        "the average is flatter than before: does sharpen use 1 / T?": _averaged(sharp=_raised),
        "the average is sharpened twice": _averaged(sharp=lambda p, T: _raised(p, 1 / T**2)),
        "the softmax is missing: sharpen takes probabilities": _averaged(of=lambda z: z),
        "softmax is applied twice": _averaged(of=lambda z: z.softmax(2).softmax(2)),
        "sigmoid treats classes one by one: softmax makes them a distribution": _averaged(of=torch.sigmoid),
        OVER_VIEWS: (_averaged(of=lambda z: z.softmax(0)), _averaged(of=lambda z: z.softmax(0), sharp=lambda p, T: p)),
        OVER_IMAGES: (_averaged(of=lambda z: z.softmax(1)), _averaged(of=lambda z: z.softmax(1), sharp=lambda p, T: p)),
        "only the first view is used: average over all K": _averaged(average=lambda p: p[0]),
        "only the last view is used: average over all K": _averaged(average=lambda p: p[-1]),
        "only two views are used: average over all K": _averaged(average=lambda p: p[:2].sum(0)),
        "two views are written in: K may be any number from 1 on": _averaged(average=lambda p: p[0] + p[1]),
        "the surest view decides alone: average over all K": _averaged(average=_surest),
        "the views are weighted: each counts the same in the average": _averaged(average=lambda p: (p * p.amax(2, keepdim=True)).sum(0)),
        "this is the median of the views: average them": _averaged(average=lambda p: p.median(0).values),
        ONE_EACH: lambda z, T: _raised(z.detach().softmax(2), 1 / T),
        "the average runs over the images (dim=1): it must run over the views (dim=0)": _averaged(average=lambda p: p.mean(1)),
        LAID_OUT: _averaged(average=lambda p: p.reshape(p.shape[1], p.shape[0], -1).mean(1)),
        "the largest of the views is taken: average them": _averaged(average=lambda p: p.amax(0)),
        "the views are multiplied: average them": _averaged(average=lambda p: p.prod(0)),
        NO_CLASS: (lambda z, T: z.detach().softmax(2).mean(0).argmax(1), lambda z, T: _one_hot_of(z.detach().softmax(2).mean(0))),
        "the averages that sharpen gets must not be negative": _averaged(average=lambda p: -p.mean(0)),
        "the argument T is ignored": _averaged(sharp=lambda p, T: _raised(p, 2)),
        T_CUT: _each(_averaged, sharp=[lambda p, T: _raised(p, 1 / max(T, 0.1)), lambda p, T: _raised(p, 1 / min(T, 1))]),
        OVERFLOWS: _averaged(of=lambda z: z.exp() / z.exp().sum(2, keepdim=True)),
        "with a single image its axis is lost: the result is (B, num_classes) for B = 1, too, so no squeeze()": (
            _averaged(sharp=lambda p, T: _raised(p, 1 / T).squeeze()),
            lambda z, T: _raised(z.detach().squeeze().softmax(-1).mean(0), 1 / T),
        ),
        f"half precision: {EXACT}": _averaged(of=lambda z: z.half().softmax(2).float()),
    },
    errors={"leaf": "take .detach(), which makes another tensor; the caller's logits keep their gradient"},
    battery={
        **none("there are no labels, no network and no loop, nothing is compared, and what is returned has no gradient"),
        "one": [Case("for one view of one image", (uniform(1, 1, 1, 4), 0.5))],
        "classes": [
            Case("for two classes", (uniform(2, 2, 5, 2), 0.5)),
            Case("for ten classes, the last one hardly possible", (uniform(3, 2, 6, 10) - 9 * torch.eye(10)[9], 0.5)),
        ],
        "extremes": [Case(f"for logits of ±90, ±120 and ±300 at T = {T}", (_ALL_FAR, T)) for T in (0.5, 3.0)],
        "sizes": [Case("for 2100 images", (uniform(4, 2, 2100, 3), 0.5)), Case("for 300 views", (uniform(5, 300, 2, 3), 0.5))],
        "layout": [
            Case("for logits that are not contiguous", (uniform(6, 4, 2, 3).transpose(0, 1), 0.5)),
            Case("for as many views as images and classes", (uniform(7, 3, 3, 3), 0.5)),
        ],
        "ends": [Case(f"at T = {T}", (uniform(8, 2, 4, 3), T)) for T in (0.05, 2.0)],
    },
)


# ----------------------------------------------------------------------------------------------------------- 8.3 MixUp


def _larger(lam):
    return 0.5 + (lam - 0.5).abs()


def _between(w, a, b):
    return b + w * (a - b)


def _over_last(w, a, b):
    return _between(w.flatten(), a, b)


@slips
def _blended(weight=_larger, of_labels=None, images=_between, labels=_between):
    def answer(x1, p1, x2, p2, lam):
        w, v = weight(lam), (of_labels or weight)(lam)
        return images(w[:, None, None, None], x1, x2), labels(v[:, None], p1, p2)

    return answer


def _labels_kept_if_alike(w, a, b):
    return torch.where((a.argmax(1) == b.argmax(1))[:, None], a, _between(w, a, b))


def _labels_first(x1, p1, x2, p2, lam):
    w = _larger(lam)
    return _between(w[:, None], p1, p2), _between(w[:, None, None, None], x1, x2)


PARTNER_OUTWEIGHS = "for a lambda below one half the partner outweighs the image itself: take max(lambda, 1 - lambda)"
TURNED = "the whole batch is turned at once: each image takes the larger of ITS lambda and 1 - lambda"
# As many columns and classes as images: a weight along the wrong axis raises no error, and must be found out
_X1, _X2 = torch.arange(18.0).view(3, 1, 2, 3), 20 - 3 * torch.arange(18.0).view(3, 1, 2, 3)
_P2, _LAM = torch.tensor([[0.2, 0.2, 0.6], [0.5, 0.1, 0.4], [0.3, 0.6, 0.1]]), torch.tensor([0.3, 0.8, 0.9])
_MIXED = torch.tensor([6.0, 5.8, 5.6, 5.4, 5.2, 5.0, 5.2, 5.4, 5.6, 5.8, 6.0, 6.2, 9.2, 9.8, 10.4, 11.0, 11.6, 12.2]).view(3, 1, 2, 3)
_MIXED_P = [[0.76, 0.06, 0.18], [0.1, 0.82, 0.08], [0.03, 0.06, 0.91]]
_WHITE, _BLACK, _HALVES = torch.ones(2, 3, 4, 4), torch.zeros(2, 3, 4, 4), torch.tensor([0.25, 0.5])
_GREY, _GREY_P = torch.tensor([0.75, 0.5]).view(2, 1, 1, 1).expand(2, 3, 4, 4), [[0.75, 0.25, 0, 0, 0], [0, 0.5, 0, 0, 0.5]]


def _pairs(seed, n, num_classes, *shape, lam=None, scale=1):
    x1, x2 = (scale * uniform(seed + i, n, *shape) for i in (0, 1))
    p1, p2 = (probabilities(seed + i, n, num_classes) for i in (2, 3))
    return x1, p1, x2, p2, uniform(seed + 4, n, low=0, high=1) if lam is None else torch.tensor(lam)


mixup = Exercise(
    "8.3",
    "mixup",
    "MixUp",
    why="Straight lines between images are a strong and simple regulariser; MixUp helps in supervised learning, too.",
    observe=returns(Part("the mixed images", "float tensor"), Part("the mixed labels", "float tensor")),
    cases=[
        Case("for lambda .3, .8, .9", (_X1, torch.eye(3), _X2, _P2, _LAM), (_MIXED, _MIXED_P)),
        Case(
            "of white and black at lambda .25 and .5",
            (_WHITE, torch.eye(5)[[0, 1]], _BLACK, torch.eye(5)[[1, 4]], _HALVES),
            (_GREY, _GREY_P),
        ),
    ],
    mistakes={
        PARTNER_OUTWEIGHS: (_blended(weight=lambda w: w), _blended(weight=lambda w: w, of_labels=_larger)),
        "the weights are swapped: the larger one belongs to x1 and p1": _each(_blended, weight=[lambda w: 1 - _larger(w), lambda w: 1 - w]),
        "lambda is raised to one half: .3 must become .7, so that the proportions stay": _blended(weight=lambda w: w.clamp(min=0.5)),
        "one lambda for the whole batch: each image has its own, lam.view(-1, 1, 1, 1) * x1": _each(
            _blended,
            weight=[
                lambda w: _larger(w).max().expand(len(w)),
                lambda w: _larger(w)[:1].expand(len(w)),
                lambda w: _larger(w).mean().expand(len(w)),
                lambda w: w.mean().expand(len(w)),
                lambda w: w.max().expand(len(w)),
            ],
            of_labels=[lambda w: _larger(w).mean().expand(len(w))],
        ),
        TURNED: _blended(weight=lambda w: w if w.mean() >= 0.5 else 1 - w),
        "lambda runs along the columns of the images: give it the shape (B, 1, 1, 1)": _blended(images=_over_last),
        "lambda runs along the classes of the labels: give it the shape (B, 1)": _blended(labels=_over_last),
        "the images are not mixed": _blended(images=lambda w, a, b: a + 0 * w),
        "the labels are not mixed: they are mixed exactly as the images are": _blended(labels=lambda w, a, b: a + 0 * w),
        "where both labels have the same most probable class they are not mixed: mix all of them": _blended(labels=_labels_kept_if_alike),
        "lambda is ignored: all is mixed half and half": _blended(weight=lambda w: torch.full_like(w, 0.5)),
        "the partner's weight is 1 - lambda, not lambda": _blended(images=lambda w, a, b: w * (a + b)),
        "the image keeps its full weight: lambda is its own, 1 - lambda the partner's": _blended(images=lambda w, a, b: a + (1 - w) * b),
        "the mixed images are cut off: they may lie outside of [0, 1]": _blended(images=lambda w, a, b: _between(w, a, b).clamp(0, 1)),
        "the labels are mixed with lambda, the images with max(lambda, 1 - lambda): use the same for both": _blended(of_labels=lambda w: w),
        "the labels are mixed the other way round: the same weights as for the images": _blended(of_labels=lambda w: 1 - _larger(w)),
        "a mixed label is a distribution: no argmax": _each(
            _blended,
            labels=[lambda w, a, b: _one_hot_of(_between(w, a, b)), lambda w, a, b: _between(w, _one_hot_of(a), _one_hot_of(b))],
        ),
        "a mixed label sums to one already: no softmax": _blended(labels=lambda w, a, b: _between(w, a, b).softmax(1)),
        "the two values are swapped: return (x, p), the images first": _labels_first,
        f"half precision: {EXACT}": _blended(weight=lambda w: _larger(w).half().float()),
        f"lambda is rounded: {EXACT}": _blended(weight=lambda w: _larger(w).round(decimals=3)),
    },
    errors={
        "more than one value is ambiguous": "max() compares whole tensors here: torch.maximum goes entry by entry",
        "must match the size": "lambda needs the shape (B, 1, 1, 1) for the images, and (B, 1) for the labels",
    },
    battery={
        **none("images and labels are data, mixed by a formula: no gradient is asked for, no network, no loop, no class numbers"),
        "one": [Case("for one image", _pairs(1, 1, 3, 1, 2, 2))],
        "classes": [Case("for two classes", _pairs(6, 2, 2, 2, 2, 2)), Case("for ten classes", _pairs(11, 6, 10, 4, 6, 6))],
        "extremes": [
            Case("for images of ±300", _pairs(16, 4, 4, 1, 4, 4, scale=150), tolerance=1e-4),
            Case("for labels with zeros", (_X1, torch.eye(3), _X2, torch.eye(3)[[0, 2, 1]], torch.tensor([0.05, 0.45, 1.0]))),
        ],
        "sizes": [Case("for 3000 images", _pairs(21, 3000, 3, 1, 1, 2))],
        "ties": [
            Case("for lambda near .5", _pairs(26, 4, 3, 1, 2, 2, lam=[0.5001, 0.4999, 0.500001, 0.499999])),
            Case("for lambda near 0 and 1", _pairs(31, 4, 3, 1, 2, 2, lam=[0.0004, 0.9996, 1e-6, 0.999999])),
        ],
        "layout": [
            Case("for inputs that are not contiguous", tuple(map(scattered, _pairs(36, 4, 3, 3, 2, 2)))),
            Case("for images of one pixel", _pairs(41, 5, 3, 1, 1, 1)),
        ],
        "ends": [Case("when lambda is below one half everywhere", _pairs(46, 3, 3, 1, 2, 3, lam=[0.1, 0.45, 0.0]))],
    },
)


# ------------------------------------------------------------------------------------------------------ 8.4 two losses


def _squares(z, p):
    return (z.softmax(1) - p) ** 2


def _brier(z, p):
    return _squares(z, p).mean()


@slips
def _two(l=F.cross_entropy, u=_brier):
    return lambda z_l, p_l, z_u, p_u: (l(z_l, p_l), u(z_u, p_u))


def _entropies(log_p, p):
    return -(log_p * p).sum(1)


def _of_detached_sum(z):
    e = (z - z.detach().amax(1, keepdim=True)).exp()
    return e / e.sum(1, keepdim=True).detach()


KL = "this is the Kullback-Leibler divergence: the cross-entropy does not subtract the labels' own entropy"
BY_CLASSES = "the cross-entropy is divided by the classes, too: sum over the classes, mean over the images"
INFINITE = "the cross-entropy is infinite where a probability rounds to 0: use log_softmax or cross_entropy, not the log of a softmax"
CLASSES_WRITTEN = "the number of classes is written in: p_u.shape[1] tells it, or .mean()"
LENGTHS = "these are lengths (a norm takes a root): square them"
NOT_FINITE = "the Brier loss is not finite for large logits: use softmax, not exp divided by its sum"
CLAMPED = "the probabilities are cut off (clamp): compare them as they are"
_Z_L, _P_L = torch.tensor([[2.0, 1, 0], [0, 2, 1]]), torch.tensor([[0.8, 0.15, 0.05], [0, 1, 0]])
_Z_U = torch.tensor([[2.0, 1, 0], [0, 1, 1], [1, -1, 0], [0, 0, 3]])
_P_U = torch.tensor([[0.8, 0.15, 0.05], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.9, 0.1, 0]])
_FAR, _HALF_EACH, _FIRST = torch.tensor([[120.0, 0, 0]]), torch.tensor([[0.5, 0.5, 0]]), torch.tensor([[1.0, 0]])
_OF_FOUR = torch.zeros(3, 4), torch.eye(4)[:3], torch.zeros(2, 4), torch.eye(4)[2:]


def _groups(seed, n_l, n_u, num_classes, absent=0):
    p_l, p_u = (F.pad(probabilities(seed + i, n, num_classes - absent), (0, absent)) for i, n in enumerate((n_l, n_u)))
    return uniform(seed + 2, n_l, num_classes), p_l, uniform(seed + 3, n_u, num_classes), p_u


def _hard(seed, z_l, z_u):
    return z_l, torch.eye(3)[classes(seed, len(z_l), 3)], z_u, torch.eye(3)[classes(seed + 1, len(z_u), 3)]


mixmatch_losses = Exercise(
    "8.4",
    "mixmatch_losses",
    "two losses",
    why="The bounded loss forgives a wrong pseudo-label; the other one would punish it without end.",
    observe=returns(Part("loss_l", "tensor"), Part("loss_u", "tensor"), gradient={0: "logits_l", 2: "logits_u"}),
    cases=[
        Case("of two labelled and four unlabelled images", (_Z_L, _P_L, _Z_U, _P_U), (0.5326059644, 0.1866898127)),
        # gradients of the two losses with the weights 1 and 2
        Case("for logits of 0", (torch.zeros(1, 2), _FIRST, torch.zeros(1, 2), _FIRST), (math.log(2), 0.25, [[-0.5, 0.5]], [[-0.5, 0.5]])),
        Case("for logits of 0 and four classes", _OF_FOUR, (math.log(4), 0.1875)),
        Case("for the logits [120, 0, 0]", (_FAR, _HALF_EACH, _FAR, _P_U[:1]), (60.0, 0.065 / 3)),
    ],
    mistakes={
        "the two losses are swapped: return (loss_l, loss_u)": lambda z_l, p_l, z_u, p_u: (_brier(z_u, p_u), F.cross_entropy(z_l, p_l)),
        "the labelled loss is the cross-entropy, not the Brier loss": _two(l=_brier),
        "loss_l has shape (2,): one number is wanted": _two(l=lambda z, p: _entropies(z.log_softmax(1), p)),
        "the cross-entropies are summed: take their mean over the images": _two(l=lambda z, p: _entropies(z.log_softmax(1), p).sum()),
        BY_CLASSES: _two(l=lambda z, p: -(z.log_softmax(1) * p).mean()),
        "the labels are soft: no argmax of them": _two(l=lambda z, p: F.cross_entropy(z, p.argmax(1))),
        "softmax is applied twice: cross_entropy and log_softmax take logits": _two(l=lambda z, p: F.cross_entropy(z.softmax(1), p)),
        "the log_softmax runs over the images (dim=0)": _two(l=lambda z, p: _entropies(z.log_softmax(0), p).mean()),
        "logits and labels are swapped in the cross-entropy": _two(l=lambda z, p: F.cross_entropy(p, z.softmax(1))),
        "the labels are distributions already: no softmax of them": _two(l=lambda z, p: F.cross_entropy(z, p.softmax(1))),
        "the sign is wrong: a cross-entropy is positive": _two(l=lambda z, p: -F.cross_entropy(z, p)),
        "the logarithm is missing: the cross-entropy is -p log(softmax)": _two(l=lambda z, p: _entropies(z.softmax(1), p).mean()),
        KL: _two(l=lambda z, p: F.kl_div(z.log_softmax(1), p, reduction="batchmean")),
        "the classes are weighted: all count alike": _two(l=lambda z, p: F.cross_entropy(z, p, weight=1 / p.sum(0).clamp(min=0.1))),
        "the labels are smoothed: take them as they are": _two(l=lambda z, p: F.cross_entropy(z, p, label_smoothing=0.1)),
        INFINITE: _two(l=lambda z, p: _entropies(z.softmax(1).log(), p).mean()),
        "something is clamped, or a small number added before the log: use log_softmax, which needs neither": (
            _two(l=lambda z, p: _entropies((z.softmax(1) + 1e-8).log(), p).mean()),
            _two(l=lambda z, p: _entropies(z.softmax(1).clamp(min=1e-30).log(), p).mean()),
            _two(l=lambda z, p: F.cross_entropy(z.clamp(-100, 100), p)),
        ),
        "the number of images is written in, or that of the other group: each loss has a mean of its own": (
            _two(l=lambda z, p: _entropies(z.log_softmax(1), p).sum() / 2),
            _two(u=lambda z, p: _squares(z, p).mean(1).sum() / 4),
            lambda z_l, p_l, z_u, p_u: (_entropies(z_l.log_softmax(1), p_l).sum() / len(p_u), _brier(z_u, p_u)),
            lambda z_l, p_l, z_u, p_u: (F.cross_entropy(z_l, p_l), _squares(z_u, p_u).mean(1).sum() / len(p_l)),
        ),
        "the squares are summed over the classes: take their mean, too": _two(u=lambda z, p: _squares(z, p).sum(1).mean()),
        "the squares are summed: take the mean over images and classes": _two(u=lambda z, p: _squares(z, p).sum()),
        "the images are summed: take the mean over images and classes": _two(u=lambda z, p: _squares(z, p).mean(1).sum()),
        "loss_u has shape (4,): one number is wanted": _two(u=lambda z, p: _squares(z, p).mean(1)),
        "loss_u has shape (4, 3): one number is wanted": _two(u=_squares),
        "the logits are compared with probabilities: apply softmax first": _two(u=F.mse_loss),
        "softmax is applied twice to the unlabelled logits": _two(u=lambda z, p: _brier(z.softmax(1), p)),
        "the softmax runs over the images (dim=0): over the classes (dim=1)": _two(u=lambda z, p: F.mse_loss(z.softmax(0), p)),
        "the logarithm does not belong here: compare probabilities": _two(u=lambda z, p: F.mse_loss(z.log_softmax(1), p)),
        "sigmoid treats classes one by one: softmax makes them a distribution": _two(u=lambda z, p: F.mse_loss(z.sigmoid(), p)),
        "the pseudo-labels are distributions already: no softmax of them": _two(u=lambda z, p: _brier(z, p.softmax(1))),
        "the pseudo-labels are soft: no argmax of them": _two(u=lambda z, p: _brier(z, _one_hot_of(p))),
        "the unlabelled loss is the Brier loss, not the cross-entropy": _two(u=F.cross_entropy),
        "this is the root of the Brier loss: no square root": _two(u=lambda z, p: _brier(z, p).sqrt()),
        "there is no factor one half in the Brier loss": _two(u=lambda z, p: _brier(z, p) / 2),
        "the sign is wrong: a mean of squares is positive": _two(u=lambda z, p: -_brier(z, p)),
        LENGTHS: tuple(_two(u=lambda z, p, n=n: (z.softmax(1) - p).norm(dim=1).mean() / p.shape[1] ** n) for n in (0, 1)),
        "these are absolute differences: square them": _two(u=lambda z, p: F.l1_loss(z.softmax(1), p)),
        "these are differences: square them": _two(u=lambda z, p: (z.softmax(1) - p).mean()),
        "only the most probable class is compared: all classes count": _two(u=lambda z, p: (_squares(z, p) * _one_hot_of(p)).sum(1).mean()),
        CLASSES_WRITTEN: tuple(_two(u=lambda z, p, n=n: _squares(z, p).sum(1).mean() / n) for n in (3, 7, 10)),
        NOT_FINITE: _two(u=lambda z, p: F.mse_loss(z.exp() / z.exp().sum(1, keepdim=True), p)),
        CLAMPED: _two(u=lambda z, p: F.mse_loss(z.softmax(1).clamp(1e-3, 1 - 1e-3), p)),
        "the gradient of loss_l is lost, or a part of it: no detach, no rounding on the way": tuple(
            _two(l=lambda z, p, n=n: F.cross_entropy(n * z + (1 - n) * z.detach(), p)) for n in (0, 0.5)
        ),
        "the gradient of loss_u is lost, or a part of it: no detach, no rounding on the way": tuple(
            _two(u=lambda z, p, n=n: _brier(n * z + (1 - n) * z.detach(), p)) for n in (0, 0.5)
        ),
        "the gradient stops at the sum under the fraction: no detach there, or use softmax": (
            _two(u=lambda z, p: F.mse_loss(_of_detached_sum(z), p)),
            _two(l=lambda z, p: _entropies(z - z.logsumexp(1, keepdim=True).detach(), p).mean()),
        ),
        f"half precision: {EXACT}": (
            _two(u=lambda z, p: _brier(z.half(), p.half()).float()),
            _two(l=lambda z, p: F.cross_entropy(z.bfloat16(), p.bfloat16()).float()),
        ),
    },
    battery={
        **none("two formulas for logits and soft labels: no network, no setting, no loop, and nothing is compared"),
        "one": [Case("for one image each", _groups(1, 1, 1, 3)), Case("for one labelled and five unlabelled images", _groups(5, 1, 5, 3))],
        "classes": [
            Case("for two classes", _groups(9, 3, 5, 2)),
            Case("for ten classes, the last one absent", _groups(13, 4, 6, 10, absent=1)),
        ],
        "uneven": [Case("for labels of which most are class 0", _hard(17, uniform(19, 9, 3), uniform(20, 5, 3)))],
        "extremes": [
            Case(
                "for logits of ±90, ±120 and ±300",
                (extreme_logits(), probabilities(21, 8, 3), extreme_logits().flip(1), probabilities(22, 8, 3)),
            ),
            Case("for logits of ±90, ±120 and ±300 and labels of 0 and 1", _hard(23, extreme_logits(), extreme_logits())),
        ],
        "gradient": [Case("for eight labelled and eight unlabelled images", _groups(25, 8, 8, 3))],
        "sizes": [Case("for 300 labelled and 3000 unlabelled images", _groups(29, 300, 3000, 3))],
        "layout": [Case("for inputs that are not contiguous", tuple(map(scattered, _groups(33, 2, 4, 3))))],
    },
)


# -------------------------------------------------------------------------------------------------------- 8.5 the ramp


@slips
def _ramped(of=lambda s, r: s / r, curve=lambda t: t, top=1.0, weight=lambda t, w: t * w, without=lambda s, w: w):
    """`s` is the step, `r` ramp_steps, `w` lambda_u and `t` the fraction of the ramp."""
    return lambda s, r, w: weight(curve(min(of(s, r), top)), w) if r else without(s, w)


NO_RAMP = "ramp_steps = 0 means no ramp: the weight is lambda_u from the first step"
NEVER_RISES = "there is no ramp: on the way the weight is a part of lambda_u"
CURVED = "this is a curved ramp: linear is wanted"
MULTIPLY = "this is the fraction of the ramp: multiply it by lambda_u"


def _at(step, ramp_steps, lambda_u, right=RECORDED):
    return Case(f"at step {step} of a ramp of {ramp_steps} steps to {lambda_u:g}", (step, ramp_steps, lambda_u), right)


ramp = Exercise(
    "8.5",
    "ramp",
    "the ramp",
    why="Three lines that decide how early the network listens to itself.",
    observe=returns(Part("the weight", "number")),
    cases=[
        _at(4096, 16384, 75.0, 18.75),
        _at(20000, 16384, 75.0, 75.0),
        _at(16384, 16384, 75.0, 75.0),
        _at(0, 400, 5.0, 0.0),
        _at(300, 400, 0.5, 0.375),
        _at(1, 400, 0.6, 0.0015),
        _at(0, 0, 50.0, 50.0),
        _at(7, 0, 50.0, 50.0),
        _at(0, 1, 3.0, 0.0),
        _at(1, 1, 3.0, 3.0),
    ],
    mistakes={
        MULTIPLY: (_ramped(weight=lambda t, w: t, without=lambda s, w: 1.0), lambda s, r, w: min(1.0, s / max(r, 1))),
        "the fraction of the ramp is capped by lambda_u: cap it by 1, then multiply": lambda s, r, w: min(w, s / max(r, 1)),
        NEVER_RISES: (lambda s, r, w: w, _ramped(curve=lambda t: 1.0), lambda s, r, w: w * max(1.0, s / max(r, 1))),
        "step and ramp_steps are exchanged: the fraction is step / ramp_steps": _ramped(of=lambda s, r: r / s if s else 1.0),
        "the fraction is upside down: step / ramp_steps, at most 1": _ramped(of=lambda s, r: r / max(s, 1), top=math.inf),
        "the weight is 0 on the way: the ramp is linear (a whole-number division //?)": _ramped(of=lambda s, r: s // r),
        "the ramp falls: it starts at 0 and rises to lambda_u": _ramped(curve=lambda t: 1 - t),
        "the ramp starts at 0: no step + 1": _ramped(of=lambda s, r: (s + 1) / r),
        "the ramp ends at step ramp_steps, not one step earlier": _ramped(of=lambda s, r: s / max(r - 1, 1)),
        "the ramp ends at step ramp_steps, not one step later": _ramped(of=lambda s, r: s / (r + 1)),
        "the ramp is quadratic: linear is wanted": _ramped(curve=lambda t: t**2),
        "this is the exponential ramp of other methods: MixMatch's is linear": _ramped(curve=lambda t: math.exp(-5 * (1 - t) ** 2)),
        CURVED: _each(_ramped, curve=[lambda t: math.sin(t * math.pi / 2), lambda t: (1 - math.cos(t * math.pi)) / 2, lambda t: t**0.5]),
        "after ramp_steps the weight goes on growing: it stays at lambda_u": _ramped(top=math.inf),
        "after ramp_steps the weight falls back to 0": _ramped(top=math.inf, curve=lambda t: t if t <= 1 else 0.0),
        "after the ramp the weight is lambda_u, not 1": _ramped(weight=lambda t, w: t * w if t < 1 else 1.0),
        "at step ramp_steps itself the weight is lambda_u already": _ramped(top=math.inf, curve=lambda t: t if t < 1 else float(t > 1)),
        "the weight is rounded, or a step near the end counts as the end: round nothing": (
            lambda s, r, w: min(w, s * w // 1 / r) if r else w,
            *(_ramped(weight=lambda t, w, n=n: round(t * w, n)) for n in (1, 2, 3)),
            *(_ramped(curve=lambda t, n=n: round(t, n)) for n in (2, 3)),
            _ramped(curve=lambda t: 1.0 if math.isclose(t, 1, abs_tol=1e-3) else t),
        ),
        "the ramp has another number of steps: ramp_steps tells it": tuple(_ramped(of=lambda s, r, n=n: s / n) for n in (400, 16384)),
        "lambda_u is cut off: it is any weight, below or above 1": (
            *(_ramped(weight=lambda t, w, n=n: t * min(w, n), without=lambda s, w, n=n: min(w, n)) for n in (1, 100)),
            _ramped(weight=lambda t, w: t * max(w, 1)),
        ),
        NO_RAMP: _each(_ramped, without=[lambda s, w: 0.0, lambda s, w: w * min(1, s), lambda s, w: w * s]),
        "with ramp_steps = 0 it divides by zero: then there is no ramp, the weight is lambda_u": (
            *(lambda s, r, w: w * min(1.0, s / r), lambda s, r, w: w if s > r else w * s / r),
            _ramped(without=lambda s, w: w if s else math.nan),
        ),
        "a ramp of one step is a ramp, too: 0 at step 0": lambda s, r, w: w * min(1.0, s / r) if r > 1 else w,
    },
    battery={
        **none("three plain numbers come in: no labels, no logits, no gradient, no network, no layout"),
        "one": [_at(1, 1, 1.0), _at(2, 1, 0.25)],
        "sizes": [_at(5001, 9000, 75.0), _at(1_000_000, 1_048_576, 75.0), _at(100, 1_048_576, 75.0)],
        "ties": [_at(9999, 10_000, 100.0), _at(999_999, 1_000_000, 5000.0), _at(10_001, 10_000, 100.0)],
        "ends": [_at(3, 0, 0.02), _at(123, 457, 0.02), _at(1, 0, 300.0), _at(77, 100, 300.0), _at(5, 10, 0.0)],
        "longer": [_at(399, 400, 10.0), _at(401, 400, 10.0), _at(1599, 400, 10.0), _at(200, 400, 10.0)],
    },
)


# -------------------------------------------------------------------------------------------------------- 8.6 the step


def _one_pass(model, x_l, y_l, views, q, *_):
    """Raise Fix unless all mixtures went through the network in one pass, and nothing else did."""
    model.expect_mode()
    sizes, wanted = [size for size, *_ in model.calls], len(x_l) + len(views) * len(q)
    if sizes == [wanted]:
        return
    if sum(sizes) == wanted:
        raise Fix("the images go through the model in parts: one joint pass, so that BatchNorm sees them together")
    raise Fix(f"the model runs {len(sizes)} times, on {sizes} images: once, on the {wanted} mixed ones (the pseudo-label is given, as q)")


def _step_seen(function, model, *inputs):
    loss, logs = expect_loss(function(model, *inputs), "brier")
    learnt = [(x, z) for x, z in zip(model.images, model.logits) if z.requires_grad]
    if not learnt:
        raise Fix("the loss does not come from `model`: call the model itself, no copy of it")
    found = gradients(loss, [z for _, z in learnt])
    seen = {"the loss": loss, "logs['brier']": logs["brier"], "the logs": logs}
    # that of a layer under the logits: it does not depend on the order in which images go through
    products = (F.pad(x, (0, 1), value=1).T @ g for (x, _), g in zip(learnt, found))
    seen["the gradient of the network"] = sum(products, torch.zeros(1))
    try:
        _one_pass(model, *inputs)
    except Fix as error:
        seen["the passes"] = error
    return seen


def _glued(x, y, views, q):
    return torch.cat([x, *views]), torch.cat([y, q.repeat(len(views), 1)])


def _image_by_image(x, y, views, q):
    return torch.cat([x, torch.stack(views, 1).flatten(0, 1)]), torch.cat([y, q.repeat_interleave(len(views), 0)])


@slips
def _step(
    labels=lambda y, q: torch.eye(q.shape[1])[y],
    pseudo=lambda q: q,
    glued=_glued,
    partners=lambda x, p, order: (x[order], p[order]),
    weight=lambda w, order, n: _larger(w),
    run=lambda model, x, mixed, n: model(mixed),
    targets=lambda p, mixed, n: mixed,
    first=lambda n, k, b: n,
    of_l=lambda z, p, n: F.cross_entropy(z[:n], p[:n]),
    of_u=lambda z, p, n, b: _brier(z[n:], p[n:]),
    total=lambda l, u, w, k: l + w * u,
    logs=lambda l, u, w: u.item(),
):
    """`n` is the number of labelled images, `b` that of the unlabelled ones and `k` that of their views."""

    def answer(model, x_l, y_l, views, q, lam, order, lambda_u):
        n, k, b = len(x_l), len(views), len(q)
        x, p = glued(x_l, labels(y_l, q), views, pseudo(q))
        px, pp = partners(x, p, order)
        w = weight(lam, order, n)
        z, p = run(model, x, _between(w[:, None, None, None], x, px), n), targets(p, _between(w[:, None], p, pp), n)
        if z is None:  # the logits are mixed
            z = model(x)
            z = _between(w[:, None], z, z[order])
        n = first(n, k, b)
        l, u = of_l(z, p, n), of_u(z, p, n, b)
        return total(l, u, lambda_u, k), {"brier": logs(l, u, lambda_u)}

    return answer


_LABELLED_LAST = _step(
    glued=lambda x, y, views, q: (torch.cat([*views, x]), torch.cat([q.repeat(len(views), 1), y])),
    first=lambda n, k, b: k * b,
    of_l=lambda z, p, n: F.cross_entropy(z[n:], p[n:]),
    of_u=lambda z, p, n, b: _brier(z[:n], p[:n]),
)
CUT = "the logits are cut at the wrong place: the first len(x_l) belong to the labelled images"
WEIGHT_CUT = "lambda_u is cut off: it is a weight, and may be larger"
SUMMED = "the squares are summed over the classes: does mixmatch_losses take their mean?"
BY_VIEWS = "the unlabelled loss is divided by the number of views: it is a mean over all mixtures already"
VIEWS_ADDED = "the unlabelled losses of the views are added: it is one mean over all unlabelled mixtures"
NOT_FROM_U = "the gradient of the unlabelled loss is lost, or a part of it: no detach, no .item() of it in the sum"
NOT_FROM_L = "the gradient of the labelled loss is lost, or a part of it: no detach, no .item() of it in the sum"
NO_LABEL = "the partner's label is missing: permute the labels as the images, p[order], and mix them"
NO_IMAGE = "the partner's image is missing: permute the images as the labels, and run the model on the mixed ones"
BACKWARDS = "the permutation runs backwards: the partner of image i is image order[i], so x[order]"
LAMBDA_PERMUTED = "lambda is permuted, too: lam[i] belongs to mixture i, only the partners are taken by [order]"
PLAIN_L = "the labelled mixtures are compared with plain labels (or with an argmax): their labels are mixed like the images"
PLAIN_U = "the unlabelled mixtures are compared with plain pseudo-labels: their labels are mixed like the images"
AGAIN = "the pseudo-labels are changed: take q as it is, no argmax, no softmax, no sharpening"
OTHER_ORDER = "the pseudo-labels stand in another order than the views: view by view, so q and then q again"
ONLY_IMAGES = "the views are glued image by image, and the pseudo-labels view by view: both view by view"
VIEWS_SWAPPED = "the views are glued in another order: the labelled images, then the first view, then the second"
ONE_VIEW = "a view is used twice, and another one not at all: each view of an image is an image of its own"
FIRST_ONLY = "the unlabelled loss looks at the first view only: it is for all mixtures after the labelled ones"
NUM_CLASSES = "does one_hot know the number of classes? It is that of q"
NOT_LOGGED = "with lambda_u = 0 the unlabelled loss is not logged: log it whatever its weight"
_X_L, _Y_L = torch.tensor([[1.5, 0, 0], [0, 1, 0.5]]), torch.tensor([0, 1])
_ONE = torch.tensor([[0.5, 1, 0], [1, -0.5, 0], [0, 0, 1.2], [0.7, 0.7, 0]])
_TWO = torch.tensor([[0.2, 1.3, 0], [0.9, 0.3, 0], [0.4, 0, -1], [0.1, 1.2, 0.6]])
_Q = torch.tensor([[0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.3, 0.6, 0.1]])
_TEN = torch.tensor([0.85, 0.25, 0.6, 0.3, 0.8, 0.55, 0.95, 0.1, 0.7, 0.35])
_ORDER, _SIX = torch.tensor([3, 0, 5, 9, 7, 2, 4, 6, 1, 8]), torch.tensor([4, 0, 3, 1, 5, 2])
_L, _U = 0.6195758238, 0.0171595079
_DARK, _OF_TWO = torch.zeros(1, 2, 1, 1), (torch.tensor([[0.75, 0.25]]), torch.tensor([0.8, 0.4]), torch.tensor([1, 0]), 10.0)


def _example(lambda_u):
    x_l, one, two = (x[..., None, None] for x in (_X_L, _ONE, _TWO))
    return Probe(power=3), x_l, _Y_L, [one, two], _Q, _TEN, _ORDER, lambda_u


def _grey(x):
    """One channel, and four pixels for four classes: not as many channels as classes."""
    return torch.cat([x, x[:, :1] / 2], 1).view(-1, 1, 4, 1)


def _drawn(seed, n, b, k, num_classes, lambda_u=2.0, shape=(-1, 1, 1), absent=0, x=None):
    rows = n + k * b
    model = Probe(power=3 if x is None else 1)
    x = (uniform(seed, rows, num_classes, low=-1.2, high=1.2) if x is None else x).view(rows, *shape)
    q = F.pad(probabilities(seed + 3, b, num_classes - absent), (0, absent))
    y, order = classes(seed + 2, n, num_classes - absent), uniform(seed + 4, rows).argsort(stable=True)
    return model, x[:n], y, list(x[n:].split(b)), q, uniform(seed + 1, rows, low=0, high=1), order, lambda_u


def _all_scattered(part):
    if isinstance(part, list):
        return [scattered(x) for x in part]
    return scattered(part) if isinstance(part, torch.Tensor) else part


mixmatch_loss = Exercise(
    "8.6",
    "mixmatch_loss",
    "MixMatch",
    why="You assembled MixMatch from your own pieces, and each piece works elsewhere as well.",
    observe=_step_seen,
    cases=[
        Case("of the worked example", _example(3.0), (_L + 3 * _U, _U)),
        Case("of the worked example with lambda_u = 0", _example(0.0), (_L, _U)),
        Case(
            "for one view, images of one channel, four classes and lambda_u = .5",
            (Probe(power=3), _grey(_X_L), _Y_L, [_grey(_ONE)], F.pad(0.9 * _Q, (0, 1), value=0.1), _TEN[:6], _SIX, 0.5),
            (0.9154772511 + 0.0206749553 / 2, 0.0206749553),
        ),
        Case(
            "for two black images of two classes, lambda .8 and .4",
            (Probe(), _DARK, torch.tensor([0]), [_DARK], *_OF_TWO),
            (math.log(2) + 1.225, 0.1225),
        ),
    ],
    mistakes={
        "the labelled loss is missing": _step(total=lambda l, u, w, k: w * u),
        "the unlabelled loss is missing": _step(total=lambda l, u, w, k: l + 0 * u),
        "the labelled loss is missing, and so is lambda_u": _step(total=lambda l, u, w, k: u),
        "lambda_u is ignored": _step(total=lambda l, u, w, k: l + u),
        "the weight is not lambda_u, though it equals it where lambda_u is 3": _step(total=lambda l, u, w, k: l + 3 * u),
        "lambda_u multiplies both losses: it weighs the unlabelled one only": _step(total=lambda l, u, w, k: w * (l + u)),
        "lambda_u multiplies the labelled loss: it weighs the unlabelled one": _step(total=lambda l, u, w, k: w * l + u),
        WEIGHT_CUT: tuple(_step(total=lambda l, u, w, k, n=n: l + min(w, n) * u) for n in (1.0, 10.0, 50.0)),
        "the two losses are averaged: add them": _step(total=lambda l, u, w, k: (l + w * u) / 2),
        SUMMED: _step(of_u=lambda z, p, n, b: _squares(z[n:], p[n:]).sum(1).mean()),
        BY_VIEWS: _step(total=lambda l, u, w, k: l + w * u / k),
        VIEWS_ADDED: _step(total=lambda l, u, w, k: l + w * u * k),
        NOT_FROM_U: tuple(_step(total=lambda l, u, w, k, n=n: l + w * (n * u + (1 - n) * u.item())) for n in (0, 0.5)),
        NOT_FROM_L: tuple(_step(total=lambda l, u, w, k, n=n: n * l + (1 - n) * l.item() + w * u) for n in (0, 0.5)),
        NO_LABEL: (_step(partners=lambda x, p, order: (x[order], p)), _step(targets=lambda p, mixed, n: p)),
        NO_IMAGE: (_step(partners=lambda x, p, order: (x, p[order])), _step(run=lambda model, x, mixed, n: model(x))),
        BACKWARDS: _step(partners=lambda x, p, order: (x[order.argsort()], p[order.argsort()])),
        "images and labels have different partners: permute both by [order]": _each(
            _step, partners=[lambda x, p, order: (x[order.argsort()], p[order]), lambda x, p, order: (x[order], p[order.argsort()])]
        ),
        "the partners are the images in reverse: they are given, by [order]": _step(partners=lambda x, p, order: (x.flip(0), p.flip(0))),
        "lambda is below one half for some images: does mixup take max(lambda, 1 - lambda)?": _step(weight=lambda w, order, n: w),
        "nothing is mixed": _step(weight=lambda w, order, n: torch.ones_like(w)),
        "one lambda for the whole batch: each image has its own": _step(weight=lambda w, order, n: _larger(w)[:1].expand(len(w))),
        LAMBDA_PERMUTED: _step(weight=lambda w, order, n: _larger(w)[order]),
        "the labelled images are not mixed: mix all of them": _step(
            weight=lambda w, order, n: _larger(w).where(torch.arange(len(w)) >= n, 1.0)
        ),
        "the unlabelled images are not mixed: mix all of them": _step(
            weight=lambda w, order, n: _larger(w).where(torch.arange(len(w)) < n, 1.0)
        ),
        PLAIN_L: _step(targets=lambda p, mixed, n: torch.cat([p[:n], mixed[n:]])),
        PLAIN_U: _step(targets=lambda p, mixed, n: torch.cat([mixed[:n], p[n:]])),
        AGAIN: _each(_step, pseudo=[_one_hot_of, lambda q: q.softmax(1), lambda q: _raised(q, 2)]),
        OTHER_ORDER: _step(glued=lambda x, y, views, q: (_glued(x, y, views, q)[0], _image_by_image(x, y, views, q)[1])),
        "the views are glued image by image: view by view, so all of the first view, then all of the second": _step(glued=_image_by_image),
        ONLY_IMAGES: _step(glued=lambda x, y, views, q: (_image_by_image(x, y, views, q)[0], _glued(x, y, views, q)[1])),
        VIEWS_SWAPPED: _step(glued=lambda x, y, views, q: _glued(x, y, views[::-1], q)),
        ONE_VIEW: tuple(_step(glued=lambda x, y, views, q, n=n: _glued(x, y, [views[n]] * len(views), q)) for n in (0, -1)),
        "the images are glued in another order: the labelled ones come first": _LABELLED_LAST,
        FIRST_ONLY: _step(of_u=lambda z, p, n, b: _brier(z[n : n + b], p[n : n + b])),
        CUT: _each(_step, first=[lambda n, k, b: n + 1, lambda n, k, b: b, lambda n, k, b: (n + k * b) // (1 + k), lambda n, k, b: 2]),
        "the logits are mixed: mix the images, then run the model on the mixtures": _step(run=lambda model, x, mixed, n: None),
        "the cross-entropy runs over all images: it is for the labelled ones": _step(of_l=lambda z, p, n: F.cross_entropy(z, p)),
        "the Brier loss runs over all images: it is for the unlabelled ones": _step(of_u=lambda z, p, n, b: _brier(z, p)),
        "the two losses have changed places: the cross-entropy is for the labelled mixtures": _step(
            of_l=lambda z, p, n: _brier(z[:n], p[:n]), of_u=lambda z, p, n, b: F.cross_entropy(z[n:], p[n:])
        ),
        NUM_CLASSES: _each(_step, labels=[lambda y, q: F.one_hot(y), lambda y, q: F.one_hot(y, 3)]),
        "the images go through the model in parts": _step(run=lambda model, x, mixed, n: torch.cat([model(mixed[:n]), model(mixed[n:])])),
        "the model runs 2 times": _each(
            _step, run=[lambda m, x, mixed, n: (m(x), m(mixed))[1], lambda m, x, mixed, n: (m(mixed) + m(mixed)) / 2]
        ),
        "logs['brier'] is weighted: log the loss before it is multiplied by lambda_u": _step(logs=lambda l, u, w: w * u.item()),
        "logs['brier'] holds the labelled loss": _step(logs=lambda l, u, w: l.item()),
        "logs['brier'] holds the whole loss": _step(logs=lambda l, u, w: (l + w * u).item()),
        NOT_LOGGED: _step(logs=lambda l, u, w: u.item() if w else 0.0),
        f"half precision: {EXACT}": _step(weight=lambda w, order, n: _larger(w).half().float()),
    },
    errors={"Sizes of tensors must match": NUM_CLASSES, "Class values must be smaller": NUM_CLASSES},
    battery={
        **none("one step, without a loop or a comparison"),
        "one": [
            Case("for one labelled and one unlabelled image", _drawn(1, 1, 1, 1, 3)),
            Case("for one labelled and five unlabelled images, two views", _drawn(6, 1, 5, 2, 3)),
        ],
        "classes": [
            Case("for two classes", _drawn(11, 3, 4, 2, 2)),
            Case("for ten classes, the last one absent", _drawn(16, 4, 6, 2, 10, absent=1)),
            Case("for ten classes, most of them without a labelled image", _drawn(21, 2, 6, 2, 10)),
        ],
        "uneven": [Case("for labels of which most are class 0", _drawn(26, 12, 4, 2, 3))],
        "extremes": [Case("for logits of ±90, ±120 and ±300", _drawn(31, 2, 3, 2, 3, x=extreme_logits()))],
        "gradient": [Case("for four labelled and eight unlabelled images, two views", _drawn(36, 4, 8, 2, 3))],
        "sizes": [Case("for 300 labelled and 2100 unlabelled images, one view", _drawn(41, 300, 2100, 1, 3))],
        "passes": [
            Case("for three views", _drawn(46, 3, 3, 3, 3)),
            Case("for as many labelled images as unlabelled ones", _drawn(51, 4, 4, 2, 3)),
        ],
        "layout": [
            Case("for images of 3 x 2 x 2, and twelve classes", _drawn(56, 3, 4, 2, 12, shape=(3, 2, 2))),
            Case("for inputs that are not contiguous", tuple(map(_all_scattered, _drawn(61, 3, 4, 2, 3)))),
        ],
        "ends": [Case(f"with lambda_u = {w:g}", _drawn(66, 2, 4, 2, 3, lambda_u=w)) for w in (75.0, 0.01)],
    },
)


# ------------------------------------------------------------------------------------------------------- 8.7 the price

_weight_of = returns(Part("the weight", "number"))


def _with_infinity(function, *costs):
    """The weight, and whether it is finite: no large number is near enough to infinity."""
    seen = _weight_of(function, *costs)
    if not any(isinstance(value, Fix) for value in seen.values()):
        seen["whether it is finite,"] = math.isfinite(seen["the weight"])
    return seen


@slips
def _price(ratio=lambda e, s: e / s, free=lambda e, s: e <= 0, never=lambda e, s: s <= 0, infinity=math.inf, minus=lambda a, b: a - b):
    """`e` is what B pays more on the labelled images, `s` what it saves on the others."""

    def answer(labelled_a, brier_a, labelled_b, brier_b):
        e, s = minus(labelled_b, labelled_a), minus(brier_a, brier_b)
        return 0.0 if free(e, s) else infinity if never(e, s) else ratio(e, s)

    return answer


def _of_costs(formula):
    """A formula in place of the fraction, the two special cases being right."""
    return lambda la, ba, lb, bb: 0.0 if lb <= la else math.inf if bb >= ba else formula(la, ba, lb, bb)


FREE = "where B pays no more than A on the labelled images, the answer is 0, whatever the two Brier losses are"
BOTH_NEGATIVE = f"{FREE} (both differences may be negative, and their fraction positive)"
NEGATIVE = "a negative weight: where B is at least as cheap already at weight 0, the answer is 0"
SIGN_WRONG = "the sign is wrong: what B pays MORE on labelled images, over what it pays LESS on unlabelled ones"
SUBTRACT = "subtract first: two differences, then their fraction"
UPSIDE_DOWN = "the fraction is upside down: what B pays more on labelled images stands above"


def _costs(*costs, right=RECORDED):
    return Case(f"for A = {costs[:2]} and B = {costs[2:]}", costs, right if right is RECORDED else (right, math.isfinite(right)))


break_even = Exercise(
    "8.7",
    "break_even",
    "from which weight on the collapse pays",
    why="A loss gets what it pays for: you can now compute when an empty answer becomes the cheapest one.",
    observe=_with_infinity,
    cases=[
        _costs(0.8, 0.006, 0.85, 0.002, right=12.5),
        _costs(0.9, 0.006, 0.85, 0.002, right=0.0),
        _costs(0.85, 0.006, 0.85, 0.002, right=0.0),
        _costs(0.85, 0.002, 0.85, 0.002, right=0.0),
        _costs(0.9, 0.002, 0.85, 0.006, right=0.0),
        _costs(0.85, 0.002, 0.85, 0.006, right=0.0),
        _costs(0.9, 0.002, 0.85, 0.002, right=0.0),
        _costs(0.8, 0.002, 0.85, 0.006, right=math.inf),
        _costs(0.8, 0.002, 0.85, 0.002, right=math.inf),
        _costs(0.0, 0.3, 0.1, 0.0, right=1 / 3),
        _costs(0.1, 0.0021, 0.5, 0.002, right=4000.0),
    ],
    mistakes={
        SIGN_WRONG: _price(ratio=lambda e, s: -e / s),
        UPSIDE_DOWN: _each(_price, ratio=[lambda e, s: s / e, lambda e, s: -s / e]),
        "divide by what B saves, do not multiply": _price(ratio=lambda e, s: e * s),
        "this is what B pays more on labelled images: divide it by what it saves on unlabelled ones": _price(ratio=lambda e, s: e),
        "both differences are added: one must outweigh the other, so divide": _each(_price, ratio=[lambda e, s: e - s, lambda e, s: e + s]),
        "divide the differences: not the difference of the fractions": _of_costs(lambda la, ba, lb, bb: lb / (bb + 1e-12) - la / ba),
        SUBTRACT: (_of_costs(lambda la, ba, lb, bb: lb / (la + 1e-12)), _of_costs(lambda la, ba, lb, bb: lb / ba)),
        "the Brier losses are added: take their difference, what B saves": _of_costs(lambda la, ba, lb, bb: (lb - la) / (ba + bb)),
        "the weight is rounded, or searched for in steps: solve for it, and round nothing": (
            *(_price(ratio=lambda e, s, n=n: round(e / s, n)) for n in (0, 1, 2, 3)),
            *(_price(ratio=lambda e, s, n=n: math.ceil(e / s * n - 1e-9) / n) for n in (1, 10)),
            _price(ratio=lambda e, s: e // s),
        ),
        "the weight is cut off, or searched for up to a bound: solve for it, it may be large": (
            *(_price(ratio=lambda e, s, n=n: min(e / s, n)) for n in (100.0, 1e3, 1e4, 1e6)),
            *(_price(ratio=lambda e, s, n=n: e / s if e / s <= n else math.inf) for n in (1e2, 1e3, 1e5)),
        ),
        BOTH_NEGATIVE: (
            lambda la, ba, lb, bb: (0.0 if lb <= la else math.inf) if ba == bb else max(0.0, (lb - la) / (ba - bb)),
            _price(free=lambda e, s: e <= 0 <= s, never=lambda e, s: e > 0 >= s),
        ),
        FREE: (
            *_each(_price, free=[lambda e, s: False, lambda e, s: e <= 0 < s, lambda e, s: e < 0]),
            lambda la, ba, lb, bb: math.inf if bb >= ba or lb <= la else (lb - la) / (ba - bb),
        ),
        NEGATIVE: _price(free=lambda e, s: False, never=lambda e, s: s <= 0 and e > 0),
        "the sign of a difference is lost (abs): it says which of the two pays more": (
            _price(minus=lambda a, b: abs(a - b)),
            _price(ratio=lambda e, s: abs(e / s), free=lambda e, s: False),
            _price(ratio=lambda e, s: abs(e / s), never=lambda e, s: s == 0),
        ),
        "where B pays more on labelled images and saves nothing on the others, it is never as cheap: math.inf": (
            *_each(_price, never=[lambda e, s: False, lambda e, s: s == 0], infinity=[0.0, -1.0, math.nan, -math.inf]),
            _price(ratio=lambda e, s: max(0.0, e / s) if s else 0.0, never=lambda e, s: False),
        ),
        "it divides by zero where B saves nothing: then B is never as cheap, math.inf": _price(never=lambda e, s: s < 0),
        "a large number is not infinity: return math.inf": _each(_price, infinity=[1e100, 1e9]),
        "A and B are exchanged: B is the one whose costs come last": _price(minus=lambda a, b: b - a),
        "the two kinds of cost are exchanged: each network's labelled loss comes first": lambda la, ba, lb, bb: (
            0.0 if bb <= ba else (bb - ba) / (la - lb) if la > lb else math.inf
        ),
        "two costs that differ a little are taken as equal: compare them as they are": (
            *_each(_price, free=[lambda e, s: e <= 1e-3, lambda e, s: e <= 1e-5], never=[lambda e, s: s <= 1e-5]),
            _price(ratio=lambda e, s: e / (s + 1e-8)),
        ),
    },
    errors={"ZeroDivisionError": "where B saves nothing there is nothing to divide by: compare first"},
    battery={
        **none("four plain numbers come in: no labels, no logits, no images, no network, no layout, no loop"),
        "ties": [
            _costs(0.8, 0.006, 0.8001, 0.002),
            _costs(0.8, 0.006, 0.800001, 0.002),
            _costs(0.8, 0.006, 0.799999, 0.002),
            _costs(0.8, 0.006, 0.9, 0.005999),
            _costs(0.8, 0.006, 0.9, 0.006001),
            _costs(0.8, 0.006, 0.799999, 0.006001),
        ],
        "ends": [
            _costs(0.0, 0.0, 0.0, 0.0),
            _costs(0.0, 0.0, 1.0, 0.0),
            _costs(0.1, 0.0200001, 0.9, 0.02),
            _costs(2.0, 0.5, 3.5, 0.25),
            _costs(0.8, 3e-9, 0.85, 1e-9),
            _costs(0.2, 0.66, 0.200002, 0.01),
        ],
    },
)
