"""Checks of lesson 02: Lee's weight and loss, confident answers, the merge, the rounds, surviving mistakes, the stop rule."""

import copy
import functools
import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F

from course_utils.batches import Batch
from course_utils.check.battery import classes, extreme_logits, none, probabilities, scattered, uniform
from course_utils.check.cases import RECORDED, Case, Exercise, loss_and_logs, returns, slips
from course_utils.check.expect import TOLERANCE, Fix, Part, agree, expect_kind
from course_utils.check.probe import Probe

EXACT = "compare as it is, no rounding, no tolerance, no half precision"


_long = lambda *numbers: torch.tensor(numbers, dtype=torch.int64)

# --------------------------------------------------------------------------------------------------- 2.1 the weight

_the_weight = returns(Part("the weight", "number"))


def _weight_at(function, step, t1, t2, alpha_f):
    try:
        seen, again = (_the_weight(function, step, t1, t2, alpha_f) for _ in range(2))
    except Fix as error:
        if "returned None" in str(error) and step in (t1, t2):
            name = "t1" if step == t1 else "t2"
            raise Fix(f"no branch returns anything at step {name} exactly: is there a < or > that should be <= or >=?") from None
        raise
    if not agree(seen["the weight"], again["the weight"]):
        raise Fix("called twice at the same step it gives two weights: `step` is handed over, there are no calls to count")
    return seen


@slips
def _weight(way=lambda s, a, b: (s - a) / (b - a), before=0.0, after=1.0, final=lambda f, w: w * f):
    return lambda s, a, b, w: final(before if s < a else way(s, a, b) if s < b else after, w)


_curve = lambda of: _weight(way=lambda s, a, b: of((s - a) / (b - a)))
_cut = lambda cut, way=lambda s, a, b: (s - a) / (b - a): lambda s, a, b, w: cut(way(s, a, b), w)


def _w(step, t1, t2, alpha_f, right=RECORDED, tolerance=TOLERANCE):
    what = f"at step {step} with t1 = {t1}, t2 = {t2} and alpha_f = {alpha_f:g}"
    return Case(what, (step, t1, t2, alpha_f), right, tolerance=tolerance)


CUT_FIRST = "the product is cut off at 1: cut the fraction off, then multiply by alpha_f"
FLOOR = "the weight is rounded down to a whole number: is there an int() or a //?"

lee_weight = Exercise(
    "2.1",
    "lee_weight",
    "a weight that grows",
    why="Early pseudo-labels are often wrong: starting at nothing gives the network time to learn from the true labels first.",
    observe=_weight_at,
    cases=[
        _w(3, 0, 4, 8.0, 6.0),
        _w(350, 100, 600, 5.0, 2.5),
        _w(225, 100, 600, 5.0, 1.25),
        *(_w(step, 100, 600, 5.0, 0.0) for step in (50, 100, 0)),
        *(_w(step, 100, 600, 5.0, 5.0) for step in (600, 900)),
        _w(30, 20, 40, 0.5, 0.25),
        _w(41, 20, 40, 0.5, 0.5),
    ],
    mistakes={
        "this is the fraction of the way: multiply it by alpha_f": _weight(final=lambda f, w: f),
        "there is no line: half way from t1 to t2 the weight is half of alpha_f": _weight(way=lambda s, a, b: 1.0),
        "the weight is 0 on the way: it grows from t1 on (a whole-number division //?)": _weight(way=lambda s, a, b: (s - a) // (b - a)),
        "the line begins at step 0: subtract t1 above and below": _weight(way=lambda s, a, b: s / b),
        "subtract t1 from the step as well: (step - t1) / (t2 - t1)": _weight(way=lambda s, a, b: s / (b - a)),
        "divide by t2 - t1, the length of the line, not by t2": _weight(way=lambda s, a, b: (s - a) / b),
        "the line begins at t1 with 0: no step + 1, no step - 1": (
            _weight(way=lambda s, a, b: (s + 1 - a) / (b - a)),
            _weight(way=lambda s, a, b: (s - 1 - a) / (b - a)),
            _weight(way=lambda s, a, b: (s - a) / (b - a) if s > a + 1 else 0.0),
        ),
        "the line is t2 - t1 steps long, from t1 to t2: no + 1, no - 1": (
            _weight(way=lambda s, a, b: (s - a) / (b - a + 1)),
            _weight(way=lambda s, a, b: (s - a) / max(1, b - a - 1)),
            _weight(way=lambda s, a, b: (s - a) / (b - a) if s < b - 1 else 1.0),
        ),
        "the line is squared: the weight grows along a straight line": _curve(lambda f: f**2),
        "this is the exponential ramp of other methods: the weight grows along a straight line": _curve(
            lambda f: math.exp(-5 * (1 - f) ** 2)
        ),
        "this is a smooth step: the weight grows along a straight line": _curve(lambda f: 3 * f**2 - 2 * f**3),
        "this is a cosine: the weight grows along a straight line": _curve(lambda f: (1 - math.cos(math.pi * f)) / 2),
        "the fraction is upside down: (step - t1) / (t2 - t1)": _curve(lambda f: 1 / f if f else 0.0),
        "the sign is wrong: step - t1 stands above, t2 - t1 below": _curve(lambda f: -f),
        "the line falls: it rises from 0 at t1 to alpha_f at t2": _weight(way=lambda s, a, b: (b - s) / (b - a), before=1.0, after=0.0),
        "before t1 the weight is negative: it is 0 there": _cut(lambda f, w: w * min(1, f)),
        "before t1 the weight is 0 (is the sign lost, abs?)": _cut(lambda f, w: w * min(1, abs(f))),
        "before t1 the weight is 0, not alpha_f": _weight(before=1.0),
        "after t2 the weight goes on growing: it stays at alpha_f": _cut(lambda f, w: w * max(0, f)),
        "from t2 on the weight is alpha_f, not 0": _weight(after=0.0),
        "from t2 on the weight is alpha_f, not 1": _cut(lambda f, w: 1.0 if f >= 1 else w * max(0, f)),
        CUT_FIRST: (_cut(lambda f, w: min(1, max(0, w * f))), _weight(final=lambda f, w: min(1.0, w * f))),
        "the fraction is cut off by alpha_f: cut it off at 1, then multiply": _cut(lambda f, w: min(w, max(0, f))),
        "alpha_f is cut off at 1: it is a weight, and may be larger": _weight(final=lambda f, w: min(w, 1.0) * f),
        "alpha_f = 0 is taken as missing: it is a weight like any other": _weight(final=lambda f, w: (w or 1.0) * f),
        "alpha_f is an argument: use it, not 5": _weight(final=lambda f, w: 5 * f),
        "t1, t2 and alpha_f are arguments: use them, no numbers of your own": (
            _cut(lambda f, w: w * min(1, max(0, f)), way=lambda s, a, b: (s - 160) / 800),
            _cut(lambda f, w: 5 * min(1, max(0, f)), way=lambda s, a, b: (s - 100) / 500),
        ),
        FLOOR: (_weight(final=lambda f, w: int(w * f)), lambda s, a, b, w: max(0, min(w, w * (s - a) // (b - a)))),
        "the weight is rounded: return it as it is": (
            *(_weight(final=lambda f, w, n=n: round(w * f, n)) for n in (2, 3, 4, 5)),
            *(_curve(lambda f, n=n: round(f, n)) for n in (2, 3, 4)),
        ),
    },
    errors={
        "division by zero": "the line is (step - t1) over (t2 - t1), and t1 < t2",
        "cannot access local variable": "no branch sets it at this step: is there a < or > that should be <= or >=?",
    },
    battery={
        **none("plain numbers come in: no images, no labels, no logits, no gradient, no network, no layout"),
        "sizes": [_w(4097, 0, 10_000, 1.0), _w(70_000, 3000, 100_000, 2.0), _w(99_999, 0, 100_000, 1.0)],
        "ties": [_w(3001, 3000, 100_000, 300.0), _w(517, 160, 961, 0.003, tolerance=1e-6), _w(517, 160, 961, 30.0)],
        "ends": [*(_w(s, 0, 1, 3.0) for s in range(3)), *(_w(1, 0, 3, w) for w in (0.0, 0.01, 300.0)), _w(2, 1, 3, 1.5)],
        "longer": [_w(step, 3, 8, 7.0) for step in range(11)],
    },
)


# --------------------------------------------------------------------------------------------------- 2.2 Lee's loss


_ce = lambda z, label: F.cross_entropy(z, label, reduction="none")
_images = lambda logits: logits.reshape(len(logits), -1, 1, 1)


def _batch(z_l, y_l, z_w, z_s=None):
    return Batch(_images(z_l), y_l, _images(z_w), None if z_s is None else _images(z_s))


def _drawn(seed, labelled, unlabelled, num_classes, absent=None):
    y_l = classes(seed + 1, labelled, num_classes, (absent,))
    return _batch(uniform(seed, labelled, num_classes), y_l, uniform(seed + 2, unlabelled, num_classes))


def _l(what, batch, alpha=0.5, right=RECORDED):
    return Case(what, (Probe(), batch, alpha), right)


def _b(seed, labelled, unlabelled, num_classes, alpha=0.5, absent=None, what=""):
    what = f"for {labelled} labelled and {unlabelled} unlabelled images, {num_classes} classes{what} and alpha = {alpha:g}"
    return _l(what, _drawn(seed, labelled, unlabelled, num_classes, absent), alpha)


# The strong views are a trap: no exercise of this lesson uses them
_Z_L, _Y_L = torch.tensor([[2.0, 0, 0], [0, 1, 0.5]]), torch.tensor([0, 2])
_Z_W = torch.tensor([[1.0, 0, 0.5], [0, 5, 0], [0.2, 0, 1], [1.5, 1, 0]])
_EXAMPLE = _batch(_Z_L, _Y_L, _Z_W, torch.tensor([[0, 2.0, 0], [1, 0, 0], [0, 0, 2], [0, 1, 0]]))
_LOSS_L, _LOSS_U = _ce(_Z_L, _Y_L).mean(), _ce(_Z_W, torch.tensor([0, 1, 2, 0])).mean()
_NEAR = torch.tensor([[1.0, 1.0001, 0], [1.000001, 1.0, 0], [1.0, 1.000001, 0], [0, 1.0, 1.0001], [-1.0001, -1.0, -3]])
_NEVER_9 = _batch(uniform(16, 6, 10), classes(17, 6, 10), uniform(18, 5, 10) - 9 * torch.eye(10)[9])
_MOST_1 = _batch(uniform(22, 4, 3), classes(23, 4, 3), uniform(24, 12, 3) + 2 * torch.eye(3)[1])
_PIXELS = Batch(uniform(39, 4, 2, 2, 2), classes(40, 4, 8), uniform(41, 6, 2, 2, 2))
_loss = loss_and_logs("unlabelled", of=("x_l", "x_w"), passes=lambda *inputs: _passes(*inputs))


def _lee_seen(function, *inputs):
    try:
        return _loss(function, *inputs)
    except RuntimeError as error:  # torch notices it on the way back only
        if "size mismatch" not in str(error):
            raise
        raise Fix(f"the loss cannot be differentiated ({error}): does .squeeze() take away the axis of a single image?") from None


class _Centred(Probe):
    """Its logits depend on all images of a pass, as BatchNorm's do; and it has a gradient already."""

    def __init__(self):
        super().__init__()
        self.scale.grad = torch.ones(1)

    def forward(self, x):
        self.logits[-1] = (own := super().forward(x)) - own.mean(0)
        return self.logits[-1]


def _passes(model, batch, alpha):
    model.expect_mode()
    labelled, everything = len(batch.x_l), len(batch.x_l) + len(batch.x_w)
    sizes = [size for size, *_ in model.calls]
    if alpha == 0 and sizes == [labelled]:
        raise Fix("with alpha = 0 the joint pass is skipped: run the model on both parts all the same, for BatchNorm's sake")
    if sizes != [everything]:
        parts = ", then ".join(map(str, sizes)) or "no"
        raise Fix(f"the model runs on {parts} images: {TOGETHER} ({everything} here), so that BatchNorm sees them together")


_split = lambda z, batch: z.tensor_split([len(batch.x_l)])


@slips
def _lee(
    logits=lambda m, b: _split(m(torch.cat(b[:3:2])), b),
    target=lambda z_u, m, b: z_u.argmax(1),
    losses=lambda l, y, u, t: (_ce(l, y), _ce(u, t)),
    means=lambda l, u: (l.mean(), u.mean()),
    total=lambda l, u, a: l + a * u,
    log=lambda l, u, a: u.detach(),
):
    def answer(model, batch, alpha):
        z_l, z_u = logits(model, batch)
        l, u = means(*losses(z_l, batch.y_l, z_u, target(z_u, model, batch)))
        return total(l, u, alpha), {"unlabelled": log(l, u, alpha)}

    return answer


def _thresholds(tau):
    """A mask, its mean over all images and over those kept."""
    return (
        _lee(losses=lambda l, y, u, t: (_ce(l, y), _ce(u, t) * (u.softmax(1).amax(1) >= tau))),
        _lee(losses=lambda l, y, u, t: (_ce(l, y), _ce(u, t)[u.softmax(1).amax(1) >= tau])),
    )


def _over(n_l, n_u, **steps):
    """The sums of the losses divided by numbers of images."""
    return _lee(means=lambda l, u: (l.sum() / n_l(len(l), len(u)), u.sum() / n_u(len(l), len(u))), **steps)


def _either(change):
    """Other losses in place of both cross-entropies, and of one of them."""
    return (
        _lee(losses=lambda l, y, u, t: (change(l, y), change(u, t))),
        _lee(losses=lambda l, y, u, t: (_ce(l, y), change(u, t))),
        _lee(losses=lambda l, y, u, t: (change(l, y), _ce(u, t))),
    )


def _skips_at_zero(model, batch, alpha):
    if alpha == 0:
        return _ce(model(batch.x_l), batch.y_l).mean(), {"unlabelled": 0.0}
    return _lee(log=lambda l, u, a: u.item())(model, batch, alpha)


_strong = lambda batch: batch.x_w if batch.x_s is None else batch.x_s
_p = lambda z, label: z.softmax(1)[range(len(label)), label]
_hot = lambda z, label: -(z.log_softmax(1) * F.one_hot(label)).sum(1)
_weighted = lambda z, label: F.cross_entropy(z, label, 1 / torch.bincount(label, minlength=z.shape[1]).clamp(min=1))
_smooth = lambda z, label: F.cross_entropy(z, label, label_smoothing=0.1)
TOGETHER = "run it once, on labelled and unlabelled images together"
CUT = "the logits are cut at the wrong place: the first len(batch.x_l) rows are the labelled images', whatever the number of others"
SOFT = "the targets are soft: a pseudo-label is one class, the most probable one (argmax)"
TWICE = "softmax is applied before the cross-entropy, which applies it itself: use the logits"
FIXMATCH = "the unlabelled loss looks at the strong views: Lee's method uses one view, batch.x_w, for both"
STRONG = "it uses the strong views: the unlabelled images are batch.x_w"
GLUED = "the images are glued in one order and cut apart in another: the labelled ones first"
NO_GRADIENT = "no gradient comes from the unlabelled images: only the pseudo-labels are constants"
ADDED = "a small number is added before the logarithm, so bad mistakes give no gradient: use cross_entropy"

lee_loss = Exercise(
    "2.2",
    "lee_loss",
    "Lee's loss",
    why="With this short loss of 2013 much of the field began: the network becomes its own teacher.",
    observe=_lee_seen,
    cases=[
        _l("of the worked example", _EXAMPLE, 0.7, {"the loss": _LOSS_L + 0.7 * _LOSS_U, "logs['unlabelled']": _LOSS_U}),
        _l("with alpha = 3", _EXAMPLE, 3.0, {"the loss": _LOSS_L + 3 * _LOSS_U, "logs['unlabelled']": _LOSS_U}),
        _l("with alpha = 0", _EXAMPLE, 0.0, {"the loss": _LOSS_L, "logs['unlabelled']": _LOSS_U}),
        _l("without strong views", _batch(_Z_L, _Y_L, _Z_W[1:2]), 1.0, _LOSS_L + math.log(1 + 2 * math.exp(-5))),
    ],
    mistakes={
        "alpha is ignored": _lee(total=lambda l, u, a: l + u),
        "alpha multiplies both losses: it weighs the unlabelled one only": _lee(total=lambda l, u, a: a * (l + u)),
        "alpha multiplies the labelled loss: it weighs the unlabelled one": _lee(total=lambda l, u, a: a * l + u),
        "alpha is cut off at 1: it is a weight, and may be larger": _lee(total=lambda l, u, a: l + min(a, 1.0) * u),
        "the losses are averaged: add them, the unlabelled one times alpha": (
            _lee(total=lambda l, u, a: (l + a * u) / 2),
            _lee(total=lambda l, u, a: (l + a * u) / (1 + a)),
            _lee(total=lambda l, u, a: (1 - a) * l + a * u),
        ),
        "the unlabelled loss is missing": _lee(total=lambda l, u, a: l),
        "the labelled loss is missing": _lee(total=lambda l, u, a: a * u),
        "the labelled loss is missing, and so is alpha": _lee(total=lambda l, u, a: u),
        "the unlabelled loss is subtracted: add it": _lee(total=lambda l, u, a: l - a * u),
        "the unlabelled losses are summed: take their mean": _over(lambda l, u: l, lambda l, u: 1),
        "the labelled losses are summed: take their mean": _over(lambda l, u: 1, lambda l, u: u),
        "the losses are summed: take the mean of each part": _over(lambda l, u: 1, lambda l, u: 1),
        "each part has its own mean: divide by its own number of images": (
            _over(lambda l, u: l, lambda l, u: l),
            _over(lambda l, u: u, lambda l, u: u),
            _over(lambda l, u: l + u, lambda l, u: l + u),
            _over(lambda l, u: l + u, lambda l, u: l + u, total=lambda l, u, a: l + u),
            _over(lambda l, u: 32, lambda l, u: 32),
            _over(lambda l, u: 2, lambda l, u: 4),
        ),
        SOFT: (_lee(target=lambda z, m, b: z.detach().softmax(1)), _lee(target=lambda z, m, b: z.softmax(1))),
        "a threshold is applied: in Lee's loss every unlabelled image counts": sum(map(_thresholds, (0.5, 0.6, 0.8, 0.9, 0.95)), ()),
        TWICE: _either(lambda z, label: _ce(z.softmax(1), label)),
        FIXMATCH: _lee(logits=lambda m, b: _split(m(torch.cat([b.x_l, _strong(b)])), b), target=lambda z, m, b: b.x_w.flatten(1).argmax(1)),
        STRONG: _lee(logits=lambda m, b: _split(m(torch.cat([b.x_l, _strong(b)])), b)),
        "the pseudo-labels come from the strong views: use batch.x_w": _lee(target=lambda z, m, b: _strong(b).flatten(1).argmax(1)),
        "the labelled images get pseudo-labels: they have true ones, y_l": _lee(losses=lambda l, y, u, t: (_ce(l, l.argmax(1)), _ce(u, t))),
        "the loss on pseudo-labels runs over all images: cut the labelled ones off first": (
            _lee(losses=lambda l, y, u, t: (_ce(l, y), _ce(torch.cat([l, u]), torch.cat([l.argmax(1), t])))),
            _lee(losses=lambda l, y, u, t: (_ce(l, y), _ce(torch.cat([l, u]), torch.cat([y, t])))),
        ),
        "the pseudo-label is the least probable class: argmax, not argmin": _lee(target=lambda z, m, b: z.argmin(1)),
        "there is one pseudo-label per class: return one per image, argmax(dim=1)": _lee(target=lambda z, m, b: z.argmax(0)),
        CUT: (
            _lee(logits=lambda m, b: m(torch.cat([b.x_l, b.x_w])).chunk(2)),
            _lee(logits=lambda m, b: m(torch.cat([b.x_l, b.x_w])).tensor_split([32])),
            _lee(logits=lambda m, b: m(torch.cat([b.x_l, b.x_w])).tensor_split([len(b.x_w)])),
        ),
        GLUED: _lee(logits=lambda m, b: _split(m(torch.cat([b.x_w, b.x_l])), b)),
        TOGETHER: (_lee(logits=lambda m, b: (m(b.x_l), m(b.x_w))), _lee(target=lambda z, m, b: m(b.x_w).argmax(1))),
        "the pseudo-labels come from this very pass, from no other pass and no copy of the model": (
            _lee(target=lambda z, m, b: copy.deepcopy(m)(b.x_w).argmax(1)),
            _lee(target=lambda z, m, b: copy.deepcopy(m).eval()(b.x_w).argmax(1)),
        ),
        "with alpha = 0 the joint pass is skipped": _skips_at_zero,
        "with alpha = 0 logs['unlabelled'] is 0: log the loss before it is weighted": _lee(log=lambda l, u, a: u.item() if a else 0.0),
        "logs['unlabelled'] is weighted: log the loss before it is multiplied by alpha": _lee(log=lambda l, u, a: a * u.item()),
        "logs['unlabelled'] holds the labelled loss": _lee(log=lambda l, u, a: l.item()),
        "logs['unlabelled'] holds the whole loss": _lee(log=lambda l, u, a: (l + a * u).item()),
        NO_GRADIENT: _lee(total=lambda l, u, a: l + a * u.detach()),
        "no gradient comes from the labelled images": _lee(total=lambda l, u, a: l.detach() + a * u),
        "log(softmax) of a small probability is infinite: cross_entropy takes the logits": _either(lambda z, label: -_p(z, label).log())[
            ::2
        ],
        ADDED: _either(lambda z, label: -(_p(z, label) + 1e-8).log())[::2],
        "one_hot counts the classes that occur: hand it num_classes=z.shape[1]": _either(_hot),
        "the classes are weighted: every image counts the same": _either(_weighted),
        "the labels are smoothed: no label_smoothing here": _either(_smooth),
    },
    errors={
        "match target batch_size": CUT,
        "must match the size of tensor": "is a number of classes or images written in, or does one_hot lack its num_classes?",
    },
    battery={
        **none("there is no loop"),
        "one": [_b(4, 1, 8, 3), _b(7, 8, 1, 3), _b(1, 1, 1, 3)],
        "classes": [
            _b(10, 3, 4, 2),
            _b(13, 4, 12, 10, absent=9, what=", the last one absent"),
            _l("for ten classes, one never the answer", _NEVER_9),
        ],
        "uneven": [_b(19, 12, 6, 3), _l("for pseudo-labels of which most are class 1", _MOST_1)],
        "extremes": [
            _l("for logits of ±90, ±120 and ±300", _batch(extreme_logits(), _long(2, 0, 1, 0, 2, 2, 0, 2), extreme_logits().flip(1)))
        ],
        "gradient": [_b(25, 4, 6, 3, alpha=20.0)],
        "sizes": [_b(28, 300, 2100, 3)],
        "ties": [_l("for classes that differ by 1e-4 and 1e-6", _batch(uniform(31, 3, 3), classes(32, 3, 3), _NEAR))],
        "passes": [
            _b(33, 5, 5, 3),
            Case("when an image's logits depend on the others of its pass", lambda: (_Centred(), _drawn(36, 4, 9, 3), 1.0)),
        ],
        "layout": [
            _l("for images that are not contiguous", Batch(*map(scattered, _EXAMPLE[:4]))),
            _l("for images of several pixels", _PIXELS),
        ],
        "ends": [_b(42, 4, 6, 4, alpha=20.0), _b(42, 4, 6, 4, alpha=0.003), _b(45, 4, 6, 4, alpha=0.0)],
    },
)


# ----------------------------------------------------------------------------------------------- 2.3 the confident ones

_P = torch.tensor(
    [
        [0.10, 0.80, 0.10],  # confident
        [0.96, 0.02, 0.02],  # labelled
        [0.50, 0.30, 0.20],
        [0.125, 0.125, 0.75],  # exactly at tau
        [0.60, 0.20, 0.20],  # labelled
        [0.90, 0.05, 0.05],  # confident
        [0.14, 0.86, 0.00],  # confident
    ]
)
_AT, _NONE = torch.tensor([4, 1]), _long()
_OF_NINE = torch.tensor([[0.5, 0.5]] * 9).index_put((torch.tensor([1, 8]),), torch.tensor([0.25, 0.75]))
_NEAR_TAU = torch.tensor([[0.75 + d, 0.25 - d] for d in (1e-4, -1e-4, 1e-6, -1e-6, 0.0)])
_NEAR_CLASS = torch.tensor([[0.45, 0.4501, 0.0999], [0.450001, 0.45, 0.1], [0.45, 0.450001, 0.1], [0.0999, 0.45, 0.4501]])


@slips
def _select(
    believe=lambda c, tau: c >= tau,
    strike=lambda m, i: m.index_fill(0, i, False),
    change=lambda p: p,
    best=lambda p: p.max(1),
    end=lambda at, y, c, m, p: (at, y[at]),
):
    def answer(p, labelled, tau):
        c, y = best(change(p))
        mask = strike(believe(c, tau), labelled)
        return end(mask.nonzero()[:, 0], y, c, mask, p)

    return answer


_end = lambda values: _select(end=values)
_believe = lambda when: _select(believe=when)
_sort = lambda order: _end(lambda at, y, c, m, p: (order(at, c), y[order(at, c)]))
_only = lambda keep: _select(strike=lambda m, i: keep(m, torch.zeros_like(m).index_fill(0, i, True)))


def _short_table(p, labelled, tau):
    c, y = p[torch.ones(len(p), dtype=torch.bool).index_fill(0, labelled, False)].max(1)
    at = (c >= tau).nonzero()[:, 0]
    return at, y[at]


def _zeroed(p, labelled, tau):
    c, y = p.max(1)
    at = (c.index_fill(0, labelled, 0.0) >= tau).nonzero()[:, 0]
    return at, y[at]


NO_AXIS = "a single position has no axis: .squeeze(1) after nonzero(), not .squeeze()"
_each_class = lambda p, labelled, tau: (p >= tau).index_fill(0, labelled, False).nonzero(as_tuple=True)
THE_FIRST = "the labelled images are taken for the first ones of the pool: `labelled` says where they are"
UP_TO = "all up to the last labelled image are struck out: mask[labelled] = False strikes out these alone"
BEFORE = "the images before the labelled ones are struck out: `labelled` counts from 0, take it as it is"
LEAD = "the lead over the second class is compared with tau: the highest probability alone is"
NO_MASK = "labelled holds positions, not a mask: mask[labelled] = False"

select_confident = Exercise(
    "2.3",
    "select_confident",
    "the confident ones",
    why="Which answers you believe decides what the network learns next; the threshold is your filter.",
    observe=returns(Part("positions", "int64 tensor"), Part("labels", "int64 tensor")),
    cases=[
        Case("of seven images at tau = .75", (_P, _AT, 0.75), ([0, 3, 5, 6], [1, 2, 0, 1])),
        Case("of the same images in another order", (_P.roll(1, 0), _AT, 0.75), ([0, 2, 6], [1, 0, 0])),
        Case("of seven images at tau = .85", (_P, _AT, 0.85), ([5, 6], [0, 1])),
        Case("of seven images at tau = .99, when nothing is confident", (_P, _AT, 0.99), (_NONE, _NONE)),
        Case("when one image is confident", (_P[[2, 0]], _long(0), 0.5), ([1], [1])),
        Case("for the answers .5 and .5 at tau = .5", (_OF_NINE[:3], _long(1), 0.5), {"positions": [0, 2]}),
        Case("of seven images at tau = 0", (_P, _AT, 0.0), ([0, 2, 3, 5, 6], [1, 0, 2, 0, 1])),
        Case("when images 1 and 8 are confident", (_OF_NINE, _long(0), 0.75), ([1, 8], [1, 1])),
        Case("when all images are labelled", (_P, torch.arange(7), 0.75), (_NONE, _NONE)),
        Case("when no image is labelled", (_P, _NONE, 0.875), ([1, 5], [0, 0])),
    ],
    mistakes={
        "a probability of exactly tau must pass: >= instead of >": _select(believe=lambda c, tau: c > tau),
        "labelled images are selected, too: they have a true label and get no pseudo-label": _select(strike=lambda m, i: m),
        "labelled images are selected, and one at exactly tau is missing": _select(believe=lambda c, tau: c > tau, strike=lambda m, i: m),
        "the comparison is upside down: keep what is at least tau": (_believe(lambda c, tau: c < tau), _believe(lambda c, tau: c <= tau)),
        "the threshold is not applied: highest probability >= tau": _select(believe=lambda c, tau: c >= 0),
        "tau is ignored: the threshold is the argument": (_believe(lambda c, tau: c >= 0.75), _believe(lambda c, tau: c >= 0.95)),
        "tau = 0 is taken as missing: it is a threshold like any other": _select(believe=lambda c, tau: c >= (tau or 0.95)),
        "hardly anything is selected: is tau used as it is? Is softmax applied to what are probabilities already?": _select(
            change=lambda p: p.softmax(1)
        ),
        "the two values are swapped: return (positions, labels)": _end(lambda at, y, c, m, p: (y[at], at)),
        "the first value is a mask: return positions, mask.nonzero().squeeze(1)": _end(lambda at, y, c, m, p: (m, y[at])),
        ".squeeze(1) after nonzero() makes positions (K,)": _end(lambda at, y, c, m, p: (m.nonzero(), y[at])),
        NO_AXIS: _end(lambda at, y, c, m, p: (at.squeeze(), y[at.squeeze()])),
        "the first value holds confidences: return positions": (
            _end(lambda at, y, c, *_: (c[at], y[at])),
            _end(lambda at, y, c, *_: (c, y)),
        ),
        "labels has an entry for every image of the pool: only for the selected ones": _end(lambda at, y, c, m, p: (at, y)),
        "labels holds confidences: max(dim=1) gives (value, class)": _end(lambda at, y, c, m, p: (at, c[at])),
        "labels holds distributions: one class number for each image": _end(lambda at, y, c, m, p: (at, p[at])),
        "labels is cut, not selected: index it with the positions": _end(lambda at, y, c, m, p: (at, y[: len(at)])),
        "this is the least probable class: argmax, not argmin": _end(lambda at, y, c, m, p: (at, p.argmin(1)[at])),
        "labels is one-hot: return class numbers": _end(lambda at, y, c, m, p: (at, F.one_hot(y[at], p.shape[1]))),
        "the positions are counted among the unlabelled images only: count in the whole pool": _short_table,
        "only labelled images are selected: select among the others": _only(lambda m, i: m & i),
        "these are the labelled positions: select among the others": _only(lambda m, i: i),
        "the positions are sorted by confidence: return them in rising order": _sort(lambda at, c: at[(-c[at]).argsort(stable=True)]),
        "the positions fall: return them in rising order": _sort(lambda at, c: at.flip(0)),
        "the positions are not in rising order (through a Python set?): sort them": _sort(lambda at, c: _long(*set(at.tolist()))),
        "an image is selected once per class that reaches tau: only its highest probability counts": _each_class,
        "at tau = 0 labelled images are selected: strike them out, whatever their probability": _zeroed,
        f"a confidence just below tau passes, or one just above does not: {EXACT}": (
            _select(believe=lambda c, tau: (c * 100).round() >= round(tau * 100)),
            *(_select(believe=lambda c, tau, slack=slack: c >= tau - slack) for slack in (1e-2, 1e-5)),
            _select(believe=lambda c, tau: c.half() >= tau),
        ),
        NO_MASK: _select(strike=lambda m, i: m & ~i),
        "the maximum runs over the wrong axis: one for each image, max(dim=1)": _select(best=lambda p: p.max(0)),
        THE_FIRST: _select(strike=lambda m, i: m & (torch.arange(len(m)) >= len(i))),
        UP_TO: _select(strike=lambda m, i: m & (torch.arange(len(m)) > max(i.tolist(), default=-1))),
        BEFORE: _select(strike=lambda m, i: m.index_fill(0, (i - 1) % len(m), False)),
        LEAD: _select(best=lambda p: (p.topk(2).values @ torch.tensor([1.0, -1.0]), p.argmax(1))),
    },
    errors={
        "it changes its input": "strike out the labelled images in a mask, not in the probabilities",
        "could not be broadcast": NO_MASK,
        "out of bounds for dimension 0 with size 3": "does the maximum run over the images? One for each image: max(dim=1)",
        "is a tensor of torch.float32": "positions and classes are int64, and an empty torch.tensor([]) needs dtype=torch.int64",
        "tensors used as indices": "an empty torch.tensor([]) holds floats, give it dtype=torch.int64",
        "math domain error": "compare probabilities with tau as they are, no logarithms",
    },
    battery={
        **none("probabilities come in as they are, and two sets of whole numbers come out: no gradient, no network, no loop"),
        "one": [
            Case("for a pool of one image", (torch.tensor([[0.25, 0.75]]), _NONE, 0.5)),
            Case("for a pool of one image, which is labelled", (torch.tensor([[0.25, 0.75]]), _long(0), 0.5)),
        ],
        "classes": [
            Case("for two classes", (probabilities(1, 9, 2), _long(3), 0.6)),
            Case("for ten classes", (probabilities(2, 40, 10), _long(7, 0, 39), 0.4)),
            Case("for ten classes, the last one impossible", (probabilities(3, 40, 10) * (torch.arange(10) < 9), _long(3), 0.4)),
        ],
        "uneven": [Case("when most are class 1", ((uniform(4, 30, 3) + 2 * torch.eye(3)[1]).softmax(1), _long(2, 9), 0.7))],
        "extremes": [
            Case("for probabilities of exactly 0 and 1", (torch.eye(4)[[3, 0, 0, 2, 1, 1]], _long(2), 0.95)),
            Case("for probabilities of exactly 0 and 1 at tau = 1", (torch.eye(4)[[3, 0, 0, 2, 1, 1]], _long(5), 1.0)),
        ],
        "sizes": [
            Case("for 5000 images, 300 of them labelled", (probabilities(5, 5000, 3), torch.arange(4999, 0, -16)[:300], 0.7)),
            Case("for 300 images at tau = 0", (probabilities(6, 300, 7), _long(299, 256, 4), 0.0)),
        ],
        "ties": [
            Case("for confidences that miss tau = .75 by 1e-4 and 1e-6", (_NEAR_TAU, _long(4), 0.75)),
            Case("for two classes that differ by 1e-4 and 1e-6", (_NEAR_CLASS, _NONE, 0.45)),
        ],
        "layout": [
            Case("for inputs that are not contiguous", (scattered(_P), scattered(_AT), 0.75)),
            Case("for a table that is transposed in memory", (probabilities(7, 9, 3).T.contiguous().T, _long(8, 0), 0.4)),
        ],
        "ends": [Case("at tau = .01", (_P, _AT, 0.01)), Case("at tau = .99, with .96 the surest", (_P, _long(0), 0.99))],
    },
)


# ------------------------------------------------------------------------------------------------------- 2.4 the merge

_targets = returns(Part("the target tensor", "int64 tensor"))


def _m(known, positions, labels, right=RECORDED):
    what = f"for known = {known}, positions = {positions} and labels = {labels}"
    return Case(what, tuple(_long(*row) for row in (known, positions, labels)), right)


def _merged(function, known, positions, labels):
    """The targets; and which of its inputs the function wrote into, or returned."""
    inputs = {"labels": labels, "positions": positions, "known": known}
    written = {name: tensor._version for name, tensor in inputs.items()}  # counts what is written into a tensor
    try:
        seen = _targets(function, known, positions, labels)
    except Fix as error:
        if "it changes its input" not in str(error):
            raise
        name = next((name for name, tensor in inputs.items() if tensor._version != written[name]), "known")
        if name != "known":
            raise Fix(f"it writes into `{name}`: write into a copy of `known`, and into nothing else") from None
        no_copies = "`targets = known`, a slice or .numpy() are no copies, known.clone() is"
        raise Fix(f"it writes into `known`: the true labels are lost. Copy first: {no_copies}") from None
    result = seen["the target tensor"]
    for name, tensor in inputs.items():
        if isinstance(result, torch.Tensor) and result.untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr():
            seen["its own memory"] = Fix(f"it returns `{name}` itself, under another name: return a tensor of its own, known.clone()")
    return seen


@slips
def _merge(
    start=lambda k: k.clone(),
    pick=lambda k, at, y: (at, y),
    write=lambda targets, at, y: targets.index_put((at,), y),
    settle=lambda k, targets: targets.where(k < 0, k),
):
    return lambda k, at, y: settle(k, write(start(k), *pick(k, at, y)))


_raw = lambda k, targets: targets
_free = lambda k, at: k[at] < 0
_after_the_first = lambda k, at, y: (at[at >= (k >= 0).sum()], y[at >= (k >= 0).sum()])


def _through_a_mask(targets, at, y):
    targets[torch.zeros(len(targets), dtype=torch.bool).index_fill(0, at, True)] = y
    return targets


REPLACES = "a pseudo-label replaces a true label: where `known` is not -1, that label stays"
CLASS_1_LOST = "the true label 1 is replaced: every label but -1 is a true one"
ALL_OR_NOTHING = "one true label among the positions, and nothing is written: decide for each position by itself"
FREE_PLACES = "the labels go to the first free places: they belong at `positions`"
EVERYWHERE = "one label is written everywhere: each position has its own"
RISING = "the labels are written in rising order of the positions (a mask, a sort?): labels[i] belongs to positions[i]"
TO_THE_END = "the pseudo-labels are glued to the others: write them into a copy of `known`, at their positions"

merge = Exercise(
    "2.4",
    "merge",
    "a merge that touches nothing",
    why="True labels are the only firm ground you have, and now no pseudo-label can overwrite one.",
    observe=_merged,
    cases=[
        _m([0, -1, 2, -1, -1, 1], [1, 4], [0, 2], [0, 0, 2, -1, 2, 1]),
        _m([0, -1, 2, -1, -1, 1], [0, 3, 5], [1, 2, 2], [0, -1, 2, 2, -1, 1]),
        _m([0, -1, 2, -1, -1, 1], [4, 1], [0, 2], [0, 2, 2, -1, 0, 1]),
        _m([0, -1, 2, -1, -1, 1], [], [], [0, -1, 2, -1, -1, 1]),
        _m([-1, -1], [1, 0], [1, 1], [1, 1]),
        _m([0, -1, 2, -1, -1, 1], [5, 4, 0], [2, 1, 2], [0, -1, 2, -1, 1, 1]),
    ],
    mistakes={
        REPLACES: (_merge(settle=_raw), _merge(pick=lambda k, at, y: (at, torch.maximum(k[at], y)), settle=_raw)),
        "the true label 0 is replaced: class 0 is a label, too (>= 0, not > 0)": _merge(settle=lambda k, targets: targets.where(k <= 0, k)),
        CLASS_1_LOST: _merge(settle=lambda k, targets: targets.where((k < 0) | (k == 1), k)),
        ALL_OR_NOTHING: _merge(pick=lambda k, at, y: (at, y) if _free(k, at).all() else (at[:0], y[:0])),
        "the first rows are taken for the labelled ones: `known` says which are": _merge(pick=_after_the_first, settle=_raw),
        "nothing is written: targets[positions] = labels": _merge(write=lambda targets, at, y: targets),
        "the true labels are missing: begin with a copy of `known`": (
            _merge(start=lambda k: torch.full_like(k, -1), settle=_raw),
            _merge(start=torch.zeros_like, settle=_raw),
        ),
        "an image without any label stays at -1": _merge(start=torch.zeros_like),
        "the labels are added to -1: set them, do not add": _merge(pick=lambda k, at, y: (at, k[at] + y), settle=_raw),
        FREE_PLACES: _merge(pick=lambda k, at, y: ((k < 0).nonzero()[:, 0][: len(at)], y[: int((k < 0).sum())])),
        "the labels go to the first rows: they belong at `positions`": _merge(write=lambda new, at, y: torch.cat([y, new[len(y) :]])),
        "positions and labels are swapped: targets[positions] = labels": _merge(pick=lambda k, at, y: (y, at), settle=_raw),
        TO_THE_END: (lambda k, at, y: torch.cat([k, y]), lambda k, at, y: torch.cat([k[k >= 0], y])),
        "only the first pseudo-label is written": _merge(pick=lambda k, at, y: (at[:1], y[:1])),
        EVERYWHERE: tuple(_merge(pick=lambda k, at, y, n=n: (at, y[[n] * len(y)])) for n in (0, -1)),
        "a pseudo-label of class 0 is dropped: class 0 is a class, too": _merge(pick=lambda k, at, y: (at[y > 0], y[y > 0])),
        "labels has an entry for each of `positions`: take it as it is, not labels[positions]": _merge(pick=lambda k, at, y: (at, y[at])),
        "positions with a true label are left out, but their labels are not: labels[i] belongs to positions[i]": (
            _merge(pick=lambda k, at, y: (at[_free(k, at)], y[: int(_free(k, at).sum())])),
            _merge(pick=lambda k, at, y: (at[_free(k, at)], y)),
        ),
        RISING: (_merge(write=_through_a_mask), _merge(pick=lambda k, at, y: (at.sort().values, y))),
        "it returns `known` itself": lambda k, at, y: k,
    },
    battery={
        **none("whole numbers come in and go out: nothing is compared or computed, and there is no network and no loop"),
        "one": [_m([-1], [0], [3]), _m([0], [0], [3]), _m([-1], [], [])],
        "classes": [
            _m([1, -1, 0, -1, -1], [4, 2, 3], [1, 1, 0]),
            _m([9, -1, -1, 0, -1, 3], [2, 4, 1], [8, 0, 5]),
            _m([1, -1, -1, 0, -1, 3], [5, 4, 1], [9, 9, 0]),
        ],
        "uneven": [_m([0, 0, -1, -1, 0, 1, -1, -1, -1], [8, 5, 2, 7, 6, 3], [0, 0, 1, 0, 0, 0])],
        "sizes": [
            Case("for 5000 images and 3000 pseudo-labels", (classes(3, 5000, 4) - 1, torch.arange(3000) * 7 % 5000, classes(4, 3000, 3))),
            Case("for 300 images and as many pseudo-labels", (classes(5, 300, 4) - 1, torch.arange(300) * 7 % 300, classes(6, 300, 3))),
            _m([-1, 4999, -1, 257, -1], [4, 0, 2], [4097, 3, 300]),
        ],
        "layout": [
            Case("for inputs that are not contiguous", tuple(scattered(_long(*row)) for row in ([0, -1, 2, -1], [3, 0, 1], [2, 2, 0])))
        ],
        "ends": [_m([-1, -1, -1], [0, 1, 2], [2, 0, 1]), _m([0, 2, 1], [2, 0, 1], [2, 0, 0])],
    },
)


# ------------------------------------------------------------------------------------------------------- 2.5 the rounds


def _train(function, known, answers, tau, num_rounds):
    """What came of a `fit` that numbers its models, and a `predict` that has an answer for each number."""
    fitted, asked = [], []

    def fit(targets):
        if not isinstance(targets, torch.Tensor):
            raise TypeError(f"fit takes the targets, a tensor (N,), but was handed {type(targets).__name__}")
        fitted.append(targets.tolist())
        return f"model {len(fitted) - 1}"

    def predict(model):
        if not isinstance(model, str):
            raise TypeError(f"predict takes a model, what fit returned, but was handed {type(model).__name__}")
        asked.append(int(model.split()[1]))
        return answers[min(asked[-1], len(answers) - 1)].clone()

    rounds = function(known, fit, predict, tau, num_rounds)
    if not isinstance(rounds, list | tuple) or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in rounds):
        raise Fix("return a list of pairs (model, targets), one for each fit")
    if any(isinstance(model, torch.Tensor) for model, _ in rounds):
        raise Fix("the pairs are swapped: (model, targets)")
    for r, (_, targets) in enumerate(rounds):
        expect_kind(targets, Part(f"the targets of pair {r}", "int64 tensor"))
    return _log(fitted, asked, rounds)


def _log(fitted, asked, rounds):
    return {
        **{f"the target tensor of fit {r}": targets for r, targets in enumerate(fitted)},
        "the number of fits": len(fitted),
        "the list of the models asked": asked or torch.empty(0),
        "the number of pairs": len(rounds),
        **{f"the model in pair {r}": model for r, (model, _) in enumerate(rounds)},
        **{f"the target tensor in pair {r}": targets for r, (_, targets) in enumerate(rounds)},
    }


def _r(what, answers, num_rounds, *fits, known=(0, 1, -1, -1, -1), tau=0.8, stops=False):
    """A case with these fits, and after them a round that changes nothing (`stops`) or no round at all."""
    pairs = [(f"model {r}", row) for r, row in enumerate(fits)]
    known = known if isinstance(known, torch.Tensor) else _long(*known)
    return Case(what, (known, answers, tau, num_rounds), _log(fits, list(range(len(fits) - (not stops))), pairs) if fits else RECORDED)


def _of_two(*rows):
    """Answers of each model: probabilities of two classes from [p(class 1), ...] of each image."""
    return [torch.tensor([[1.0 - p, p] for p in row]) for row in rows]


@slips
def _rounds(
    first=lambda k: k,
    tau_of=lambda tau, r: tau,
    ask=lambda predict: predict,
    asked=lambda pairs: pairs[-1][0],
    struck=lambda k, last: k >= 0,
    base=lambda k, last: k,
    settle=lambda k, new: new.where(k < 0, k),
    same=lambda new, pairs: torch.equal(new, pairs[-1][1]),
    count=lambda n: n,
    leave=True,
    late=False,
    end=lambda pairs, predict: pairs,
):
    def answer(known, fit, predict, tau, num_rounds):
        predict, pairs = ask(predict), [(fit(first(known)), known)]
        for r in range(count(num_rounds)):
            last = pairs[-1][1]
            confidence, label = predict(asked(pairs)).max(1)
            sure = (confidence >= tau_of(tau, r)) & ~struck(known, last)
            new = settle(known, label.where(sure, base(known, last)))
            model = fit(new) if late else None
            if not same(new, pairs):
                pairs.append((model or fit(new), new))
            elif leave:
                break
        return end(pairs, predict)

    return answer


_stops = lambda when: _rounds(same=lambda new, pairs: bool(when(new, pairs[-1][1])))
_ends = lambda change: _rounds(end=lambda pairs, predict: change(pairs))
_never = lambda new, pairs: False
_number = lambda targets: int((targets >= 0).sum())
_class_counts = lambda targets: torch.bincount(targets + 1, minlength=20).tolist()
_positions_of_labels = lambda k, last: torch.zeros(len(k), dtype=torch.bool).index_fill(0, k[k >= 0] % len(k), True)
_shifted = lambda pairs: [(model, targets) for (model, _), (_, targets) in zip(pairs, [*pairs[1:], pairs[-1]])]
STAYS = "an old pseudo-label stays for ever: merge with `known`, not with the last targets"
LAST = "every round asks the first model: ask the LAST model, the result of the last fit"
ONCE = "the pool is asked once only: ask the last model in every round"
AS_GIVEN = "nothing is selected: is tau handed over as it is, and are the answers as predict gives them (no softmax)?"
EQUAL = "== compares image by image: torch.equal(a, b) says whether two tensors are the same"
CLASSES = "it compares positions: the same images with other classes are other targets"
EARLIER = "it stops at targets that an EARLIER round had: compare with those of the round before only"
NOTHING = "it stops when nothing is selected, though the round before had a pseudo-label: the targets have changed, so fit anew"
ONE_MORE = "the last model is asked, too, though no round follows: ask at the beginning"
TRAINED_ON = "the targets of a pair belong to the model trained ON them, not to the one that gave them"

_ROUNDS = _of_two(
    [0.9, 0.1, 0.9, 0.1, 0.5],  # model 0: image 2 is a 1, image 3 a 0
    [0.1, 0.9, 0.6, 0.9, 0.805],  # model 1: drops image 2, changes image 3, takes image 4
    [0.1, 0.9, 0.5, 0.1, 0.795],  # model 2: image 3 is a 0 again, and nothing else
    [0.1, 0.9, 0.9, 0.9, 0.9],
)
_FOUR = [0, 1, -1, -1, -1], [0, 1, 1, 0, -1], [0, 1, -1, 1, 1], [0, 1, -1, 0, -1]
_A, _B = [0.1, 0.9, 0.9, 0.1, 0.5], [0.1, 0.9, 0.1, 0.9, 0.5]  # two answers with the same images and other classes
_FIT_0, _FIT_A, _FIT_B = _FOUR[0], [0, 1, 1, 0, -1], [0, 1, 0, 1, -1]
_ONE_BY_ONE = _of_two([0.1, 0.9, 0.9, 0.5, 0.5], [0.1, 0.9, 0.5, 0.9, 0.5], [0.1, 0.9, 0.5, 0.5, 0.9])
_VANISHING = _of_two([0.1, 0.9, 0.9, 0.5, 0.5], [0.1, 0.9, 0.6, 0.5, 0.5], [0.1, 0.9, 0.6, 0.1, 0.5])
_NEAR_TAU_5 = _of_two([0, 1, 0.7501, 0.7499, 0.75], [0, 1, 0.749999, 0.750001, 0.25], [0, 1, 0.2501, 0.75, 0.249999])


def _pool(what, seed, n, num_classes, models, tau, num_rounds, known=None):
    answers = [probabilities(seed + m, n, num_classes) for m in range(models)]
    every_fourth = classes(seed, n, num_classes).where(torch.arange(n) % 4 == 1, _long(-1))
    return _r(what, answers, num_rounds, known=every_fourth if known is None else known, tau=tau)


def _one_change(n):
    """The second answers differ from the first in one image among n, and the third from the second in no pseudo-label."""
    first = probabilities(1, n, 3)
    second = first.index_put((_long(n - 2),), torch.tensor([0.05, 0.05, 0.9]))
    known = torch.full((n,), -1).index_put((_long(0, 1, 300),), _long(2, 0, 1))
    return _r(f"when one image among {n} changes", [first, second, second], 6, known=known, tau=0.7)


self_train = Exercise(
    "2.5",
    "self_train",
    "the rounds",
    why="You have built self-training, one of the oldest ideas in the field, and it works with any model.",
    observe=_train,
    cases=[
        _r("in three rounds", _ROUNDS, 3, *_FOUR),
        _r("in two rounds", _ROUNDS, 2, *_FOUR[:3]),
        _r("in no round", _ROUNDS, 0, _FIT_0),
        _r("in at most two rounds, when nothing is confident", _ROUNDS, 2, _FIT_0, tau=0.95, stops=True),
        _r("in five rounds, when the second selects what the first did", _of_two(_A, [*_A[:4], 0.6]), 5, _FIT_0, _FIT_A, stops=True),
        _r("for known = [-1, -1, 0, 1]", _of_two([0.9, 0.9, 0.5, 0.5]), 1, [-1, -1, 0, 1], [1, 1, 0, 1], known=(-1, -1, 0, 1)),
        _r("when the images change, and not their number", _ONE_BY_ONE, 3, _FIT_0, [0, 1, 1, -1, -1], [0, 1, -1, 1, -1], [0, 1, -1, -1, 1]),
        _r(
            "when the same images get other classes",
            _of_two(_A, _B, [0.1, 0.9, 0.9, 0.9, 0.5]),
            3,
            _FIT_0,
            _FIT_A,
            _FIT_B,
            [0, 1, 1, 1, -1],
        ),
        _r("when the targets of an earlier round come back", _of_two(_A, _B, _A, _B), 4, _FIT_0, _FIT_A, _FIT_B, _FIT_A, _FIT_B),
        _r("when the second round selects nothing", _VANISHING, 3, _FIT_0, [0, 1, 1, -1, -1], _FIT_0, [0, 1, -1, 0, -1]),
    ],
    mistakes={
        "fit is never called": lambda known, fit, predict, tau, n: [],
        "the first fit is on the true labels alone: fit(known)": (
            _rounds(first=lambda k: k >= 0),
            _rounds(first=lambda k: k[k >= 0]),
            _rounds(first=lambda k: k.clamp(min=0)),
        ),
        STAYS: _rounds(base=lambda k, last: last, struck=lambda k, last: last >= 0),
        "a pseudo-label that was dropped stays: merge with `known`, not with the last targets": _rounds(base=lambda k, last: last),
        "an image with a pseudo-label is not asked again: strike out the TRUE labels only": _rounds(struck=lambda k, last: last >= 0),
        "the labelled images get pseudo-labels: hand select_confident their positions": _rounds(struck=lambda k, last: k > 99, settle=_raw),
        "`labelled` holds labels: it must hold the POSITIONS where known >= 0": _rounds(struck=_positions_of_labels),
        "a true label 0 is replaced: class 0 is a label, too (known >= 0, not > 0)": _rounds(struck=lambda k, last: k > 0, settle=_raw),
        "the true labels are missing from the targets: merge them": _rounds(settle=lambda k, new: new.where(k < 0, -1)),
        LAST: (_rounds(asked=lambda pairs: pairs[0][0]), _rounds(asked=lambda pairs: pairs[0][0], same=_never)),
        ONCE: _rounds(ask=functools.cache, asked=lambda pairs: pairs[0][0], same=_never),
        "predict takes a model, what fit returned, but was handed tuple": _rounds(asked=lambda pairs: pairs[-1]),
        "fit takes the targets, a tensor (N,), but was handed list": _rounds(first=lambda k: [k]),
        AS_GIVEN: _rounds(ask=lambda predict: lambda model: predict(model).softmax(1)),
        "tau is ignored: hand it to select_confident": (_rounds(tau_of=lambda tau, r: 0.8), _rounds(tau_of=lambda tau, r: 0.95)),
        "tau changes from round to round: it is the same in every one": (
            _rounds(tau_of=lambda tau, r: tau + 0.01 * r),
            _rounds(tau_of=lambda tau, r: tau - 0.01 * r),
            _rounds(tau_of=lambda tau, r: tau * 0.95**r),
        ),
        EQUAL: _rounds(same=lambda new, pairs: bool(new == pairs[-1][1])),
        "it stops as soon as one image keeps its target: torch.equal looks at all": _stops(lambda new, last: (new == last).any()),
        "as many pseudo-labels as before are not the same ones: compare the targets, not their number": (
            _stops(lambda new, last: _number(new) == _number(last)),
            _stops(lambda new, last: _number(new) <= _number(last)),
            _stops(lambda new, last: torch.equal(new, last) or _number(new) < _number(last)),
        ),
        "sums or class counts may stay while the targets change: compare the targets themselves": (
            _stops(lambda new, last: new.sum() == last.sum()),
            _stops(lambda new, last: _class_counts(new) == _class_counts(last)),
        ),
        CLASSES: _stops(lambda new, last: torch.equal(new >= 0, last >= 0)),
        "it stops though some targets still change: only equal targets end the rounds": (
            _stops(lambda new, last: torch.equal(new, last) or (new >= 0).all()),
            _stops(lambda new, last: torch.equal(new, last) or (last >= 0).all()),
            _stops(lambda new, last: (new != last).float().mean() < 0.01),
            _stops(lambda new, last: (new != last).sum() <= 1),
        ),
        EARLIER: _rounds(same=lambda new, pairs: any(torch.equal(new, targets) for _, targets in pairs)),
        NOTHING: _rounds(same=lambda new, pairs: any(torch.equal(new, targets) for _, targets in (pairs[0], pairs[-1]))),
        "there is one round too few: num_rounds rounds come after the first fit": _rounds(count=lambda n: n - 1),
        "there is one round too many: num_rounds rounds come after the first fit": _rounds(count=lambda n: n + 1),
        "it stops after one round, though the targets changed": _rounds(count=lambda n: min(n, 1)),
        "it fits again although the targets are those of the round before: compare them and stop": (
            _rounds(same=_never),
            _rounds(same=lambda new, pairs: len(pairs) > 1 and torch.equal(new, pairs[-1][1])),
        ),
        "stop BEFORE the fit that would change nothing: compare the new targets with the last ones, then fit": _rounds(late=True),
        "it goes on asking although nothing changes any more: leave the loop with break, not continue": _rounds(leave=False),
        ONE_MORE: _rounds(end=lambda pairs, predict: (predict(pairs[-1][0]), pairs)[1]),
        "round 0 is missing from the list: it begins with (fit(known), known)": _ends(lambda pairs: pairs[1:]),
        "the list holds the last pair only: return one pair for each fit": _ends(lambda pairs: pairs[-1:]),
        "all pairs hold the last model: each holds the model of its own fit": _ends(lambda pairs: [(pairs[-1][0], t) for _, t in pairs]),
        "all pairs hold the last targets: each round needs a tensor of its own": _ends(lambda pairs: [(m, pairs[-1][1]) for m, _ in pairs]),
        "all pairs hold the true labels: each holds the targets of its own fit": _ends(lambda pairs: [(m, pairs[0][1]) for m, _ in pairs]),
        TRAINED_ON: (_ends(_shifted), _rounds(count=lambda n: n + 1, end=lambda pairs, predict: _shifted(pairs)[:-1])),
    },
    errors={
        "it changes its input": "`known` must come out as it went in: merge makes a new tensor in every round",
        "Boolean value of Tensor": EQUAL,
    },
    battery={
        **none("`fit` and `predict` stand for a network, and every case notes how they are called; nothing has a gradient"),
        "one": [
            _pool("for a pool of one labelled image", 1, 1, 3, 2, 0.5, 3, known=(2,)),
            _pool("for one labelled and one unlabelled image", 3, 2, 3, 3, 0.4, 3),
        ],
        "classes": [
            _pool("for two classes", 10, 12, 2, 4, 0.7, 4),
            _pool("for ten classes", 20, 30, 10, 4, 0.4, 4),
            _pool(
                "for ten classes, the last one never known", 20, 30, 10, 4, 0.4, 4, known=classes(5, 30, 5).where(torch.arange(30) < 9, -1)
            ),
        ],
        "uneven": [_pool("for labels of which most are class 0", 30, 16, 3, 4, 0.6, 3, known=(*[0] * 6, 1, 2, *[-1] * 8))],
        "extremes": [_r("for probabilities of exactly 0 and 1", _of_two([1, 0, 1, 0, 1], [1, 0, 0, 0.5, 1]), 3, tau=0.95)],
        "sizes": [_one_change(400), _one_change(5000)],
        "ties": [_r("for confidences that miss tau = .75 by 1e-4 and 1e-6", _NEAR_TAU_5, 3, tau=0.75)],
        "layout": [_r("for inputs that are not contiguous", list(map(scattered, _ROUNDS)), 3, known=scattered(_long(0, 1, -1, -1, -1)))],
        "ends": [
            _r("in one round", _ROUNDS, 1),
            _r("at tau = 0", _ROUNDS, 3, tau=0.0),
            _r("at tau = 1", _of_two([0, 1, 1, 0.999, 0.5], [0, 1, 1, 1, 0.999]), 3, tau=1.0),
            _r("when every image is labelled", _ROUNDS, 3, known=(0, 1, 1, 0, 1)),
        ],
        "longer": [
            _pool("in twelve rounds", 40, 9, 3, 13, 0.5, 12),
            _pool("in at most twelve rounds, when the eighth changes nothing", 60, 9, 3, 8, 0.5, 12),
        ],
    },
)


# --------------------------------------------------------------------------------------- 2.6 the mistakes that survive


@slips
def _survivors(
    mistake=lambda f, l, t: (f >= 0) & (f != t), stands=lambda f, l, t: l == f, over=None, when_none=math.nan, final=lambda n, of: n / of
):
    def answer(first, last, truth):
        wrong = mistake(first, last, truth)
        below = wrong if over is None else over(first, last, truth)
        if not below.any():
            return when_none
        return final((wrong & stands(first, last, truth)).sum().item(), below.sum().item())

    return answer


_of = lambda mistake: _survivors(mistake=lambda f, l, t: (f >= 0) & (f != t) & mistake(f, l, t))
ANOTHER = "a mistake that is now another mistake counts as surviving: the class must be unchanged, last == first"
HEALED = "this is the fraction that healed or was dropped: return the fraction that stands unchanged"
NEW_ONES = "mistakes that are new in `last` are counted, too: look only at those of `first`"
ALL_OF_FIRST = "dropped or changed mistakes are missing from the denominator: all mistakes of `first` belong to it"
CLASS_0 = "class 0 is a class, too: >= 0, not > 0, for labels and true classes alike"
NONE_SURVIVES = "nan is for no mistake in `first`: if there are some, and none survives, return 0"

_ALL_BUT_ONE = (torch.arange(3000).clamp(max=2999), torch.arange(3000).clamp(max=2998), torch.full((3000,), 4000))


def _s(first, last, truth, right=RECORDED, what=None):
    what = what or f"for first = {first}, last = {last} and truth = {truth}"
    return Case(what, tuple(_long(*row) for row in (first, last, truth)), right)


def _three(seed, n, num_classes, reverse=lambda x: x):
    """`first` and `last` with labels of these classes and some -1, and true classes."""
    first, last = (classes(seed + s, n, num_classes + 1) - 1 for s in range(2))
    return reverse(first), reverse(last), classes(seed + 2, n, num_classes)


surviving_mistakes = Exercise(
    "2.6",
    "surviving_mistakes",
    "the mistakes that survive",
    why="A mistake that feeds on itself is the great danger of pseudo-labels, and you can now measure it.",
    observe=returns(Part("the fraction", "number")),
    cases=[
        _s(
            [0, 1, 2, 1, 2, 0, 2, 1, 2, -1, -1, -1, -1, -1],  # wrong at 0, 1, 2, 3, 4, 6
            [0, 1, 1, 0, -1, 0, 2, 2, 2, 0, 1, -1, 2, 1],
            [2, 0, 1, 2, 0, 0, 0, 1, 2, 1, 2, 1, 0, 1],
            3 / 6,
            what="for six mistakes of which three stand, one is healed, one is changed and one is dropped",
        ),
        _s([2, 1, 2], [2, 0, -1], [0, 2, 1], 1 / 3),
        _s([1, 0, 1], [1, 1, 2], [0, 2, 0], 1 / 3),
        _s([1, -1, 1], [1, -1, 0], [0, 0, 0], 0.5),
        _s([1, 2], [-1, 0], [0, 0], 0.0),
        _s([1, 0], [1, 0], [0, 0], 1.0),
        _s([0, -1, 2], [1, 1, 2], [0, 1, 2], math.nan),
        _s([0, 0], [0, 0], [1, 1], 1.0),
    ],
    mistakes={
        "this is the number: divide by the number of first mistakes": _survivors(final=lambda n, of: n),
        "the denominator is all images: it is the mistakes of `first`": _survivors(over=lambda f, l, t: f > -9),
        "the denominator is all labels of `first`: it is its mistakes": _survivors(over=lambda f, l, t: f >= 0),
        "the denominator is all mistakes of `last`: it is those of `first`": _survivors(over=lambda f, l, t: (l >= 0) & (l != t)),
        ANOTHER: (_survivors(stands=lambda f, l, t: (l >= 0) & (l != t)), _survivors(stands=lambda f, l, t: l >= f)),
        "only healed mistakes are taken off: dropped or changed ones have not survived either": _survivors(stands=lambda f, l, t: l != t),
        HEALED: (_survivors(stands=lambda f, l, t: l == t), _survivors(stands=lambda f, l, t: l < 0)),
        "this is the fraction that did NOT survive: a mistake stands where last == first": _survivors(stands=lambda f, l, t: l != f),
        "only dropped mistakes are taken off: a mistake stands where last == first": _survivors(stands=lambda f, l, t: l >= 0),
        NEW_ONES: lambda f, l, t: int(((l >= 0) & (l != t)).sum()) / max(1, int(((f >= 0) & (f != t)).sum())),
        ALL_OF_FIRST: (_of(lambda f, l, t: l >= 0), _of(lambda f, l, t: (l == f) | (l == t))),
        "the images without a label (-1) are counted as mistakes: first >= 0": (
            _survivors(mistake=lambda f, l, t: f != t),
            _survivors(over=lambda f, l, t: f != t),
            _survivors(mistake=lambda f, l, t: f != t, stands=lambda f, l, t: (l == f) & (f >= 0)),
        ),
        "all images that did not change are counted: look at the mistakes only": _survivors(mistake=lambda f, l, t: f > -9),
        "all labels that did not change are counted: look at the mistakes only": _survivors(mistake=lambda f, l, t: f >= 0),
        CLASS_0: (_of(lambda f, l, t: f > 0), _of(lambda f, l, t: t > 0), _survivors(stands=lambda f, l, t: (l == f) & (l > 0))),
        "without any mistake there is nothing to survive: math.nan, which is not 0": _survivors(when_none=0.0),
        "without any mistake there is nothing to survive: math.nan, which is not 1": _survivors(when_none=1.0),
        NONE_SURVIVES: _survivors(final=lambda n, of: n / of or math.nan),
        "the fraction is rounded: return it as it is": tuple(_survivors(final=lambda n, of, k=k: round(n / of, k)) for k in (2, 3, 4)),
        "this is a percentage: the fraction is between 0 and 1": _survivors(final=lambda n, of: 100 * n / of),
        "1 is added to the number of mistakes: divide by the number itself": _survivors(final=lambda n, of: n / (of + 1)),
        "the number of classes is written in: every class counts": _of(lambda f, l, t: f < 7),
    },
    errors={
        "division by zero": "without any mistake in `first` return math.nan",
        "0-d tensor": "a single mistake loses its axis: .squeeze(1) after nonzero(), not .squeeze()",
    },
    battery={
        **none("class numbers are compared, equal or not: no logits, no gradient, no network, no setting, no loop"),
        "one": [_s([1], [-1], [0]), _s([0], [0], [2]), _s([-1], [2], [0])],
        "classes": [
            Case("for two classes", _three(1, 15, 2)),
            Case("for ten classes, the last one never named", _three(4, 60, 9)),
            Case("for ten classes, of which the last ones are frequent", _three(7, 60, 10, lambda x: 9 - x.where(x >= 0, 10))),
        ],
        "uneven": [Case("for true classes of which most are class 0", _three(10, 30, 3, lambda x: 2 - x.where(x >= 0, 3)))],
        "sizes": [Case("for 5000 images", _three(13, 5000, 3)), Case("for 3000 mistakes, of which all stand but one", _ALL_BUT_ONE)],
        "layout": [
            Case("for inputs that are not contiguous", tuple(scattered(_long(*row)) for row in ([2, 1, 2, 0], [2, 0, -1, 0], [0, 2, 1, 0])))
        ],
        "ends": [_s([-1, -1, -1], [0, 1, -1], [0, 0, 1])],
    },
)


# -------------------------------------------------------------------------------------------------- 2.7 the stop rule

_the_round = returns("the round")


def _chosen(function, scores, margin):
    """The number of a round; the function gets the scores as a list."""
    try:
        seen = _the_round(function, scores.tolist(), margin)
    except Fix as error:
        if "returned None" in str(error) or "StopIteration" in str(error):
            why = MINUS if scores.max() > 0 else FROM_THE_FIRST
            raise Fix(f"it finds no round: is a `return` missing, or does no score reach the bar ({why})?") from None
        raise
    value = seen["the round"]
    if isinstance(value, bool | float) or (torch.is_tensor(value) and value.is_floating_point()):
        seen["the kind of the round"] = Fix(f"the number of the round is an int, and is {type(value).__name__}")
    return seen


@slips
def _choose(
    best=max, bar=lambda best, margin: best - margin, reaches=lambda score, bar: score >= bar, pick=lambda at, s: at[0], otherwise=0
):
    def answer(scores, margin):
        limit = bar(best(scores), margin)
        at = [r for r, score in enumerate(scores) if reaches(score, limit)]
        return pick(at, scores) if at else otherwise

    return answer


def _running_best(scores, margin):
    chosen = 0
    for r, score in enumerate(scores):
        chosen = r if score > scores[chosen] + margin else chosen
    return chosen


def _walks_back(scores, margin):
    chosen = scores.index(max(scores))
    while chosen > 0 and scores[chosen - 1] >= max(scores) - margin:
        chosen -= 1
    return chosen


_stops_early = lambda stop, otherwise=lambda s: len(s) - 1: (
    lambda s, m: next((r for r, (a, b) in enumerate(itertools.pairwise(s)) if stop(a, b, m)), otherwise(s))
)
_later_of_equals = lambda at, s: at[-1] if len({s[r] for r in at}) == 1 else at[0]


def _c(scores, margin, right=RECORDED, what=None):
    return Case(what or f"for the scores {scores} and the margin {margin:g}", (torch.tensor(scores, dtype=torch.float64), margin), right)


MINUS = "the bar is the best score MINUS the margin"
FROM_THE_FIRST = "negative scores are scores, too: start from the first score (or max), not from 0 or -1, and take no abs"
NOT_0 = "round 0 does not reach the bar: compare each score with the best score minus the margin"
BELOW = "this counts the scores below the bar: return the first round that reaches it"

choose_round = Exercise(
    "2.7",
    "choose_round",
    "the stop rule",
    why="Knowing when to stop is half of self-training: more rounds can also make things worse.",
    observe=_chosen,
    cases=[
        _c([0.25, 0.5, 0.375, 0.625, 0.375, 0.6875, 0.75, 0.5], 0.25, 1),
        _c([0.25, 0.5, 0.375, 0.625, 0.375, 0.6875, 0.75, 0.5], 0.0, 6),
        _c([0.25, 0.625, 0.375, 0.5, 0.75, 0.5], 0.25, 1),
        _c([0.5, 0.75, 0.75], 0.0, 1),
        _c([0.5, 0.25, 0.5, 1.0], 0.25, 3),
        _c([0.5, 0.625, 0.75], 0.25, 0),
        _c([8, 9, 10], 1.0, 1),
        _c([0.49609375, 0.5], 0.001953125, 1),
        _c([-3, -2, -2.5], 0.25, 1),
        _c([-1, -0.5, 0, 0], 0.25, 2),
    ],
    mistakes={
        "at least: a score of exactly the best minus the margin is good enough (>=, not >)": (
            *(_choose(reaches=lambda score, bar: score > bar, otherwise=round_) for round_ in (-1, 0, None)),
            lambda s, m: next((r for r, score in enumerate(s) if score > max(s) - m), s.index(max(s))),
            lambda s, m: next((r for r, score in enumerate(s) if score > max(s) - m), len(s) - 1),
            lambda s, m: [r for r, score in enumerate(s) if score > max(s) - m][0],  # noqa: RUF015  the error is another one
            lambda s, m: np.flatnonzero(np.array(s) > max(s) - m)[0],
        ),
        "this is the best round: return the earliest that reaches the bar, the best score minus the margin": (
            _choose(bar=lambda best, margin: best),
            _choose(bar=lambda best, margin: best - margin / 100),
            lambda s, m: 0 if max(s) - s[0] <= m else s.index(max(s)),
        ),
        "a score may dip in between: walk from round 0 on, not backwards from the best one": _walks_back,
        "these are all rounds that reach the bar: return the number of the first": _choose(pick=lambda at, s: at),
        "this is the score: return the number of the round": _choose(pick=lambda at, s: s[at[0]]),
        "this is the best score: return the number of a round": lambda s, m: max(s),
        "this is the latest round within the margin: return the earliest": _choose(pick=lambda at, s: at[-1]),
        "this is the lowest score within the margin: return the earliest round": _choose(pick=lambda at, s: min(at, key=lambda r: s[r])),
        "this is the round that comes after: rounds are counted from 0": _choose(pick=lambda at, s: at[0] + 1),
        NOT_0: (_choose(reaches=lambda score, bar: score <= bar), lambda s, m: s.index(min(s)), lambda s, m: 0),
        "round 0 is never taken, although it may reach the bar: begin with it": _choose(pick=lambda at, s: next((r for r in at if r), 0)),
        BELOW: lambda s, m: sum(score < max(s) - m for score in s),
        "this is how many scores reach the bar: return the number of the first round that does": _choose(pick=lambda at, s: len(at)),
        "the margin is taken as a fraction of the best score: subtract it": _choose(bar=lambda best, margin: best * (1 - margin)),
        "the margin is ignored: it is the argument": tuple(_choose(bar=lambda best, margin, m=m: best - m) for m in (0.25, 0.01)),
        "the margin is changed: the bar is the best score minus `margin` as it is": (
            *(_choose(bar=lambda best, margin, m=m: best - min(margin, m)) for m in (0.5, 1.0)),
            *(_choose(bar=lambda best, margin, m=m: best - margin * m) for m in (0.5, 2)),
        ),
        "each round is compared with those before it: compare with the best of all, minus the margin": _running_best,
        "it stops at the first round that does not gain: look at all rounds first, the best one may come later": (
            _stops_early(lambda a, b, margin: b < a + margin),
            _stops_early(lambda a, b, margin: b - a <= margin),
            _stops_early(lambda a, b, margin: abs(b - a) <= margin),
            _stops_early(lambda a, b, margin: b < a),
            _stops_early(lambda a, b, margin: b < a, otherwise=lambda s: s.index(max(s))),
        ),
        "of two equally good rounds it takes the later: return the earliest": _choose(pick=_later_of_equals),
        FROM_THE_FIRST: (
            *(_choose(best=lambda s, start=start: max(start, *s, start), otherwise=-1) for start in (0.0, -1.0)),
            _choose(best=lambda s: max(map(abs, s)), otherwise=-1),
            _choose(best=lambda s: max(map(abs, s)), reaches=lambda score, bar: abs(score) >= bar),
            _choose(best=lambda s: abs(max(s)), reaches=lambda score, bar: abs(score) >= bar),
        ),
        f"a score just below the bar passes: {EXACT}": (
            *(_choose(reaches=lambda score, bar, n=n: round(score, n) >= round(bar, n)) for n in (2, 4)),
            *(_choose(reaches=lambda score, bar, slack=slack: score >= bar - slack) for slack in (1e-4, 1e-5)),
            _choose(reaches=lambda score, bar: torch.tensor(score).half() >= torch.tensor(bar).half()),
        ),
    },
    errors={
        "between instances of 'list'": "a list is compared as a whole: look at its scores one by one, or make it an np.asarray(scores)"
    },
    battery={
        **none("a list of numbers comes in and is compared: no images, no labels, no exponential, no gradient, no network, no layout"),
        "one": [_c([0.5], 0.125), _c([-2], 0.0)],
        "sizes": [
            _c([0.25, *[0.75] * 40, 0.5], 0.0, what="when 40 rounds are the best"),
            _c(([0.5] * 20 + [0.75] * 20) * 5, 0.0, what="when 100 rounds are the best"),
            _c([1 - abs(r - 2500) / 3000 for r in range(3000)], 0.0502, what="for 3000 rounds"),
        ],
        "ties": [_c([0.5999, 0.6001, 0.85], 0.25), _c([0.599999, 0.3, 0.600001, 0.85], 0.25), _c([0.7, 0.700001, 0.700002, 0.7], 0.0)],
        "ends": [
            _c([0.5, 0.75, -0.5], 3.0),
            _c([0, 0, 0], 0.5),
            _c([40, 55, 71, 60, 82, 75], 12.0),
            _c([-90_000, 119_000, 120_000, 300], 2000.0),
        ],
        "longer": [
            _c([0.5, 0.4, 0.55, 0.45, 0.6, 0.3, 0.9, 0.8], 0.2),
            _c([0.3, *[0.5] * 9, 0.9, 0.2], 0.35),
            _c([0.3 + 0.03 * r for r in range(15)], 0.1, what="when each round gains a little"),
        ],
    },
)
