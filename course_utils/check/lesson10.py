"""Checks of lesson 10: eight published mistakes mended and named, and a hybrid of one's own held to its properties."""

import contextlib
import copy
import functools
import io
import math
import random
import zlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.batches import Batch
from course_utils.check.battery import classes, extreme_logits, none, scattered, uniform
from course_utils.check.cases import RECORDED, Case, Exercise, returns, slips
from course_utils.check.expect import Fix, Part, expect_loss
from course_utils.check.guard import Guarded
from course_utils.check.probe import Probe
from course_utils.datasets import Dataset, load_dataset
from course_utils.models import SimpleCNN


def _each(make, step, *wrong):
    """Answers with one of these in place of a step."""
    return tuple(make(**{step: one}) for one in wrong)


def _as_it_is(x):
    return x


def _leaf(*rows):
    return torch.tensor(rows, dtype=torch.float32)


def _from_hand(z):
    return z.exp() / z.exp().sum(1, keepdim=True)


EXACT = "take the numbers as they are, no rounding and no half precision"
OVERFLOW = "exp() of a large logit is infinite: softmax subtracts the largest one first"
TWICE = "softmax is applied twice"
OVER_IMAGES = "the softmax runs over the images (dim=0): over the classes, dim=1"
SIGMOID = "sigmoid treats classes one by one: softmax makes them a distribution"
WRITTEN = "a number of images or classes is written in: .mean() and .shape count them"
NO_GRADIENT = "no gradient: is it detached, or made under no_grad?"
EPSILON = "a small number is added before the logarithm, or the probability is cut off: bad mistakes then give no gradient; log_softmax of the logits"
LOG_OF_P = "the logarithm of a probability that is rounded to 0 is infinite: log_softmax of the logits stays finite"


# ------------------------------------------------------------------------------------------------------- 10.1 bytes


def _wrapped(x):
    """What becomes of numbers that are cut off and start again from 0 above 255, on every machine alike."""
    return (x.long() % 256).to(torch.uint8)


@slips
def _bytes(scaled=lambda x: 127.5 * x + 127.5, whole=torch.round, inside=lambda s: s.clamp(0, 255), end=_wrapped):
    return lambda x: end(inside(whole(scaled(x))))


def _beside(by):
    """Floats that far, in bytes, above and below each border between two bytes."""
    border = torch.arange(255, dtype=torch.float64) + 0.5
    return torch.cat([(border + d) / 127.5 - 1 for d in (by, -by)])


_WHOLE = (torch.round, torch.floor)
AS_THEY_ARE = "the floats are converted as they are, and nearly all of [-1, 1] becomes 0: stretch the range first"
CUT_OFF = "what stands behind the point is cut off: round() to the nearest byte first"
HALF_LOST = "everything below 0 is lost: -1, not 0, is the darkest value"
BELOW_0 = "numbers below 0 start again from 255: shift the range by 1 before you stretch it"
LENGTH_2 = "the range from -1 to 1 has the length 2: (x + 1) times half of 255, or numbers become too large"
TIMES_128 = "the range is stretched to 256: from 0 to 255 are 255 steps, and 256 is no byte; times 127.5, then round()"
CLAMP = "numbers outside of 0 .. 255 start again from the other end: clamp before the conversion to uint8"
THIS_BATCH = "the range of this very batch is stretched: the same float always becomes the same byte"
SHAPE_LOST = "the shape is lost: it stays as it comes, with all its axes"

to_bytes = Exercise(
    "10.1",
    "to_bytes",
    "bytes",
    why="Bugs like this one raise no error: the images only come out a little wrong, for ever.",
    observe=returns(Part("the result", "uint8 tensor")),
    cases=[
        Case("for -1, -.5, .25, .5, .99 and 1", (torch.tensor([-1, -0.5, 0.25, 0.5, 0.99, 1]),), [0, 64, 159, 191, 254, 255]),
        Case("for .1 and .3 (neither -1 nor 1 is there)", (torch.tensor([[[0.1]], [[0.3]]]),), [[[140]], [[166]]]),
        Case("for 1.2, -1.3, 7 and -7", (torch.tensor([1.2, -1.3, 7.0, -7.0]),), [255, 0, 255, 0]),
        Case("for all 256 bytes as floats", (torch.arange(256) / 127.5 - 1,), torch.arange(256)),
        Case("for 1.001, 1.003, 1.0045 and -1.003", (torch.tensor([1.001, 1.003, 1.0045, -1.003]),), [255, 255, 255, 0]),
    ],
    mistakes={
        AS_THEY_ARE: (
            _wrapped,
            lambda x: x.long(),
            lambda x: x.round().long(),
            lambda x: x.clone(),
            lambda x: x.clamp(0, 1).long(),
            lambda x: x.clamp(0, 255).round().long(),
        ),
        CUT_OFF: (*_each(_bytes, "whole", torch.floor, torch.trunc), _bytes(whole=torch.floor, inside=_as_it_is)),
        "the values are not rounded: round(), and a tensor of the type uint8": (
            _bytes(whole=_as_it_is, end=_as_it_is),
            _bytes(whole=_as_it_is, inside=_as_it_is, end=_as_it_is),
        ),
        HALF_LOST: tuple(_bytes(scaled=lambda x: 255 * x, whole=whole) for whole in _WHOLE),
        BELOW_0: tuple(_bytes(scaled=lambda x, n=n: n * x, whole=whole, inside=_as_it_is) for whole in _WHOLE for n in (255, 127.5)),
        LENGTH_2: tuple(
            _bytes(scaled=lambda x: 255 * (1 + x), whole=whole, inside=inside)
            for whole in _WHOLE
            for inside in (_as_it_is, lambda s: s.clamp(0, 255))
        ),
        TIMES_128: tuple(
            _bytes(scaled=lambda x: 128 * (1 + x), whole=whole, inside=inside, end=end)
            for whole in _WHOLE
            for inside, end in ((_as_it_is, _wrapped), (lambda s: s.clamp(0, 255), _wrapped), (_as_it_is, torch.Tensor.long))
        ),
        "light and dark are exchanged: -1 becomes 0": _bytes(scaled=lambda x: 127.5 - 127.5 * x),
        "the range ends at 1: stretch it to 255": (
            _bytes(scaled=lambda x: x / 2 + 0.5),
            _bytes(scaled=lambda x: x / 2 + 0.5, whole=torch.floor),
            lambda x: x / 2 + 0.5,
        ),
        "the range ends at 2: stretch it to 255": _each(_bytes, "scaled", lambda x: x + 1, lambda x: (x + 1).floor()),
        "all is rounded up: round() to the nearest byte": _bytes(whole=torch.ceil),
        CLAMP: _each(_bytes, "inside", _as_it_is, lambda s: s.clamp(min=0), lambda s: s.clamp(max=255)),
        THIS_BATCH: (
            lambda x: ((x.clamp(-1, 1) - x.min()) / (x.max() - x.min()) * 255).round().to(torch.uint8),
            lambda x: ((x - x.min()) / (x.max() - x.min() + 1e-8) * 255).round().to(torch.uint8),
            _bytes(scaled=lambda x: (x / x.abs().max() + 1) * 127.5),
        ),
        "0 and 255 are bytes, too: clamp to 0 .. 255": _each(_bytes, "inside", lambda s: s.clamp(0, 254), lambda s: s.clamp(1, 255)),
        f"half precision is too coarse here: {EXACT}": _each(
            _bytes, "scaled", lambda x: (x.half() * 127.5 + 127.5).float(), lambda x: 127.5 * x.bfloat16().float() + 127.5
        ),
        f"the floats are rounded before they are stretched: {EXACT}": tuple(
            _bytes(scaled=lambda x, d=d: 127.5 * x.round(decimals=d) + 127.5) for d in (2, 3)
        ),
        SHAPE_LOST: _each(_bytes, "end", lambda s: _wrapped(s).flatten(), lambda s: _wrapped(s).squeeze(), lambda s: _wrapped(s)[None]),
    },
    battery={
        **none("floats become bytes one by one: no labels, no classes, no gradient, no network, no setting, no loop"),
        "one": [Case("for one image of one pixel", (torch.tensor([[[[0.3131]]]]),))],
        "extremes": [Case("for ±90, ±300, ±1e10 and .001", (torch.tensor([90.0, -90, 300, -300, 1e10, -1e10, 0.001]),))],
        "sizes": [Case("for 3000 images of two pixels", (uniform(1, 3000, 1, 1, 2, low=-1.1, high=1.1) + 3e-4,))],
        "ties": [
            Case(f"for floats that lie {by:g} of a byte beside the border between two", (_beside(by).float().view(2, 255),))
            for by in (1e-2, 1e-3, 1e-4)
        ],
        "layout": [
            Case("for a single number", (torch.tensor(-0.301),)),
            Case("for images that are not contiguous", (scattered(uniform(2, 2, 1, 4, 5, low=-1.2, high=1.2) + 3e-4),)),
            Case("for images with their channels last", (uniform(3, 2, 3, 4, 5, low=-1.2, high=1.2).add(3e-4).permute(0, 2, 3, 1),)),
            Case("for floats of float64", (_beside(1e-4).view(5, 1, 102),)),
        ],
    },
)


# ---------------------------------------------------------------------------------------- 10.2 student and teacher


def _p(z):
    return z.softmax(1)


@torch.no_grad()
def _asked(network, x):
    return network(x)


@slips
def _consistent(target=lambda s, t, w, x: _asked(t, w), answer=lambda s, t, w, x: s(x), goal=_p, own=_p, distance=F.mse_loss):
    def loss(student, teacher, x_w, x_s):
        of_teacher = goal(target(student, teacher, x_w, x_s))
        return distance(own(answer(student, teacher, x_w, x_s)), of_teacher)

    return loss


def _distance(*wrong):
    return _each(_consistent, "distance", *wrong)


def _squares(*reduce):
    return _distance(*(lambda p, q, r=r: r((p - q).square()) for r in reduce))


def _own_views(student, teacher, x_w, x_s):
    """The student is asked once, about the strong views; the teacher once, about the weak ones, without gradients."""
    for name, network, view, x, learns in (("student", student, "x_s", x_s, True), ("teacher", teacher, "x_w", x_w, False)):
        network.expect_mode()
        passes = [images for images, (_, gradient, _) in zip(network.images, network.calls) if student is not teacher or gradient == learns]
        if not passes:
            raise Fix(f"the {name} itself is never asked: call it, no copy of it")
        if len(passes) > 1 or not torch.equal(passes[0], x.flatten(1)):
            raise Fix(
                f"the {name} is called once, on all images of its own view ({view}) and on no others: BatchNorm sees what goes through"
            )
    if student is not teacher and any(gradient for _, gradient, _ in teacher.calls):
        raise Fix("the teacher runs with gradients recorded, which nobody uses: work under torch.no_grad() there")


def _of_two_networks(function, student, teacher, x_w, x_s):
    for network in (student, teacher):
        network.scale.grad = torch.ones(1)  # from the step before
    loss = function(student, teacher, x_w, x_s)
    seen = {"the loss": loss}
    try:
        if not isinstance(loss, torch.Tensor):
            raise Fix("the loss must be a tensor, so that it can be differentiated: no .item() on it")
        if not loss.requires_grad:
            raise Fix(f"the value is right, but the student gets {NO_GRADIENT}")
        if loss.ndim == 0:
            seen["the gradient to the student's logits"] = student.gradient_to(loss, x_s)
            if student is not teacher and teacher.scale.requires_grad:
                to_teacher = torch.autograd.grad(loss, teacher.scale, allow_unused=True, retain_graph=True)
                if to_teacher[0] is not None:
                    raise Fix("a gradient flows into the teacher: ask it under torch.no_grad()")
        _own_views(student, teacher, x_w, x_s)
    except Fix as fault:
        seen["the passes"] = fault
    return seen


def _pair(what, x_w, x_s, *right, student=None, teacher=None):
    """Probes are the networks: the student's logits are an image's own numbers, the teacher's their squares."""
    x_w, x_s = (x.reshape(*x.shape, 1, 1) if x.ndim == 2 else x for x in (x_w, x_s))
    inputs = (student or Probe(), teacher or Probe(2), x_w, x_s)
    return Case(what, inputs, dict(zip(("the loss", "the gradient to the student's logits"), right)) or RECORDED)


def _drawn_pair(what, seed, n, num_classes, **networks):
    return _pair(what, uniform(seed, n, num_classes), uniform(seed + 1, n, num_classes), **networks)


def _both_views(student, teacher, x_w, x_s):
    goal = _p(_asked(teacher, x_w))
    return F.mse_loss(_p(student(torch.cat([x_w, x_s]))[len(x_w) :]), goal)


def _in_eval(student, teacher, x_w, x_s):
    teacher.eval()
    return F.mse_loss(_p(_asked(teacher, x_w)), _p(student(x_s)))


def _frozen(student, teacher, x_w, x_s):
    teacher.requires_grad_(False)
    return (_p(student(x_s)) - _p(teacher(x_w))).square().mean()


@torch.no_grad()
def _nothing_recorded(student, teacher, x_w, x_s):
    return F.mse_loss(_p(student(x_s)), _p(teacher(x_w)))


def _with_ema(student, teacher, x_w, x_s):
    with torch.no_grad():
        teacher.scale.lerp_(student.scale + 0.1, 0.1)
    return F.mse_loss(_p(student(x_s)), _p(_asked(teacher, x_w)))


def _of_the_sure(p, q, tau=0.8):
    return ((p - q).square().mean(1) * (q.amax(1) >= tau)).mean()


_Z_S, _Z_W = torch.tensor([[1.0, 0, 0], [0.5, 2.0, 0]]), torch.tensor([[0.0, 1.2, 0], [0, 0.2, 1.5]])
_EVEN, _THREE_TO_1 = torch.zeros(1, 2), torch.tensor([[math.log(3), 0.0]])
_SAME, _SAME_TOO = Probe(), Probe()
SAME_NAME = "the loss is zero whatever the images are: one network's output stands on both sides (is a name overwritten between the two?)"
SUMMED = "this is a sum: the mean over images and classes"
ONE_NUMBER = "return one number: the mean over images and classes"

teacher_consistency = Exercise(
    "10.2",
    "teacher_consistency",
    "student and teacher",
    why="Who is in which mode, and where the gradient goes, decides whether a teacher teaches.",
    observe=_of_two_networks,
    cases=[
        _pair("of the worked example", _Z_W, _Z_S, 0.2231966),
        # the student says 1/2 and 1/2, the teacher 3/4 and 1/4
        _pair("for the logits [0, 0] and [log 3, 0]", _THREE_TO_1.sqrt(), _EVEN, 1 / 16, [[-1 / 8, 1 / 8]]),
        _pair("of a student that is its own teacher", _THREE_TO_1, _EVEN, 1 / 16, [[-1 / 8, 1 / 8]], student=_SAME, teacher=_SAME),
    ],
    mistakes={
        SAME_NAME: (
            _consistent(answer=lambda s, t, w, x: (s(x), _asked(t, w))[1]),
            _consistent(distance=lambda p, q: F.mse_loss(p, p)),
            lambda s, t, w, x: 0 * (s(x) - _asked(t, w)).sum(),
        ),
        SUMMED: _squares(torch.sum, lambda d: d.sum(1).mean(), lambda d: d.sum(0).mean()),
        ONE_NUMBER: _squares(_as_it_is, lambda d: d.mean(1), lambda d: d.sum(1)),
        WRITTEN: _squares(lambda d: d.sum() / 6, lambda d: d.sum(1).mean() / 3, lambda d: d.sum() / 2, lambda d: d[:2].mean()),
        "logits are compared: make probabilities of both, a distance of logits has no bound": _consistent(goal=_as_it_is, own=_as_it_is),
        "the teacher's answer is still logits: softmax": _consistent(goal=_as_it_is),
        "the student's answer is still logits: softmax": _consistent(own=_as_it_is),
        "the views are swapped: the student answers x_s, the teacher x_w": _consistent(
            target=lambda s, t, w, x: _asked(t, x), answer=lambda s, t, w, x: s(w)
        ),
        "the teacher answers x_s, too: it gets the weak views, x_w": _consistent(target=lambda s, t, w, x: _asked(t, x)),
        "the student answers x_w, too: it gets the strong views, x_s": _consistent(answer=lambda s, t, w, x: s(w)),
        "the target is the student's own answer on x_w: the teacher gives it": _consistent(target=lambda s, t, w, x: _asked(s, w)),
        "both answers are the teacher's: the student answers x_s": _consistent(answer=lambda s, t, w, x: t(x)),
        "the networks are swapped: the teacher's answer is the target": _consistent(
            target=lambda s, t, w, x: _asked(s, w), answer=lambda s, t, w, x: t(x)
        ),
        TWICE: (
            _consistent(goal=lambda z: _p(_p(z)), own=lambda z: _p(_p(z))),
            _consistent(goal=lambda z: _p(_p(z))),
            _consistent(own=lambda z: _p(_p(z))),
        ),
        OVER_IMAGES: tuple(_consistent(**dict.fromkeys(sides, lambda z: z.softmax(0))) for sides in (("goal", "own"), ("goal",), ("own",))),
        SIGMOID: _consistent(goal=torch.sigmoid, own=torch.sigmoid),
        "these are logarithms of probabilities: softmax, not log_softmax": _consistent(
            goal=lambda z: z.log_softmax(1), own=lambda z: z.log_softmax(1)
        ),
        "the target is made one class (argmax): take the teacher's probabilities": _consistent(
            goal=lambda z: F.one_hot(z.argmax(1), z.shape[1]).float()
        ),
        "the target is sharpened: take the teacher's probabilities": _consistent(goal=lambda z: _p(2 * z)),
        "unsure targets are left out: every image counts": _distance(
            _of_the_sure,
            lambda p, q: _of_the_sure(p, q, 0.95),
            lambda p, q: _of_the_sure(p, q, 0.95) * len(q) / (q.amax(1) >= 0.95).sum().clamp(1),
        ),
        "this is a cross-entropy: the mean squared distance is wanted": _consistent(own=_as_it_is, distance=F.cross_entropy),
        "this is a divergence: the mean squared distance is wanted": _distance(
            lambda p, q: F.kl_div(p.log(), q, reduction="batchmean"), lambda p, q: F.kl_div(p.log(), q, reduction="mean")
        ),
        "this is the mean absolute distance: square it": _distance(F.l1_loss),
        "this is the length of the difference: no root": _squares(lambda d: d.sum(1).sqrt().mean(), lambda d: d.mean().sqrt()),
        "the distance is halved (smooth_l1_loss does so, too), or doubled: it is the mean of the squares": (
            *_distance(F.smooth_l1_loss),
            *_squares(lambda d: d.mean() * 2),
        ),
        f"the student gets {NO_GRADIENT}": (_nothing_recorded, *_distance(lambda p, q: F.mse_loss(p.detach(), q))),
        "part of the student's answer is detached: the gradient is wrong, though the loss is right": _distance(
            lambda p, q: ((p - q) * (p.detach() - q)).mean(), lambda p, q: F.mse_loss(p.detach() + 0 * p, q)
        ),
        "a gradient flows into the teacher": _consistent(target=lambda s, t, w, x: t(w)),
        "the teacher runs with gradients recorded": _consistent(target=lambda s, t, w, x: t(w).detach()),
        "no .item() on it": _distance(lambda p, q: F.mse_loss(p, q).item()),
        "it leaves the network in another mode": _in_eval,
        "what was frozen stays frozen": _frozen,
        "it changes the network's weights": _with_ema,
        "on all images of its own view": (
            _both_views,
            _consistent(target=lambda s, t, w, x: (_asked(t, x), _asked(t, w))[1]),
            _consistent(target=lambda s, t, w, x: torch.cat([_asked(t, one[None]) for one in w])),
            _consistent(answer=lambda s, t, w, x: torch.cat([s(one[None]) for one in x])),
        ),
        "is never asked": _consistent(target=lambda s, t, w, x: _asked(copy.deepcopy(t).eval(), w)),
        OVERFLOW: (_consistent(goal=_from_hand), _consistent(own=_from_hand)),
        f"half precision: {EXACT}": _each(_consistent, "goal", lambda z: _p(z.half()).float(), lambda z: _p(z).half().float()),
        f"something is rounded: {EXACT}": _consistent(goal=lambda z: _p(z).round(decimals=3)),
        "the probabilities are cut off: take them as they are": _each(_consistent, "goal", lambda z: _p(z).clamp(1e-2, 0.99)),
    },
    battery={
        **none("there are no labels and no setting, nothing is compared or sorted, and there is no loop"),
        "ends": [_pair("for a target of .00004 and .99996", _leaf([0, 10.126], [10.126, 0]), _leaf([9, -9], [-9, 9]), teacher=Probe())],
        "one": [_drawn_pair("for one image of three classes", 1, 1, 3)],
        "classes": [_drawn_pair("for two classes", 3, 5, 2), _drawn_pair("for ten classes", 5, 4, 10)],
        "extremes": [
            _pair("for logits of ±90, ±120 and ±300", extreme_logits(), extreme_logits().flip(0), teacher=Probe()),
            _pair("for other logits of ±90, ±120 and ±300", extreme_logits().flip(1), extreme_logits(), teacher=Probe()),
        ],
        "gradient": [_drawn_pair("for eight images", 7, 8, 3)],
        "sizes": [_drawn_pair("for 2100 images", 9, 2100, 3)],
        "passes": [
            _drawn_pair("for networks in evaluation mode", 11, 4, 3, student=Probe().eval(), teacher=Probe(2).eval()),
            _drawn_pair("for a teacher that is frozen", 13, 4, 3, teacher=Probe(2).requires_grad_(False)),
            _drawn_pair("of another student that is its own teacher", 15, 4, 3, student=_SAME_TOO, teacher=_SAME_TOO),
        ],
        "layout": [
            _pair("for images that are not contiguous", *(scattered(uniform(n, 3, 1, 2, 2)) for n in (17, 18))),
            _pair("for images of three channels", *(uniform(n, 2, 3, 2, 1) for n in (19, 20))),
        ],
    },
)


# -------------------------------------------------------------------------------------------------------- 10.3 vote


@slips
def _voted(
    mass=lambda W, Y: np.einsum("ul,lc->uc", W, Y), known=lambda m: m.any(axis=1), answer=lambda m: np.argmax(m, 1), unknown=lambda W, Y: -1
):
    def vote(W, Y):
        m = mass(W, Y)
        return np.where(known(m), answer(m), unknown(W, Y))

    return vote


def _known(*wrong, **more):
    return tuple(_voted(known=one, **more) for one in wrong)


def _as_type(name):
    return lambda W, Y: (W.astype(name) @ Y.astype(name)).astype(float)


def _only_classes_that_occur(W, Y):
    return W @ Y[:, Y.any(axis=0)]


def _rows_left_out(W, Y):
    mass = W @ Y
    return mass.argmax(1)[mass.any(axis=1)]


def _of_equal_masses(student):
    W, Y = np.array([[0.3, 0.3, 0.3, 0.3, 0.3]]), np.eye(3)[[2, 1, 1, 0, 2]]
    found = np.ravel(student(W, Y)).tolist()
    if found not in ([1], [2]):
        raise Fix(
            EQUAL if found == [-1] else f"for the masses .3, .6 and .6 the answer is {found}, expected 1 or 2: either of equal masses"
        )


_ONE_HOT = np.eye(4)[[0, 2, 2, 1]]  # class 3 has no image
_WEIGHTS = np.array(
    [
        [0.5, 0.3, 0.3, 0.1],  # the nearest is of class 0, the most mass is in 2
        [0.9, 0.1, 0.0, 0.2],  # class 0
        [0.0, 0.0, 0.0, 0.0],  # nothing is known
        [0.0, 0.1, 0.1, 0.7],  # class 1
        [0.0, 0.0, 1e-200, 0.0],  # little is known, for class 2
        [1e-300, 0.0, 0.0, 0.0],  # little is known, for class 0
        [0.5, 0.3, 0.0, 0.1],  # class 0
    ]
)
_VOTES = [2, 0, -1, 1, 2, 0, 0]
EQUAL = "equal masses, or nearly equal ones, are called unknown: there is mass, so there is an answer"
SMALL_MASS = "a small mass is treated as none: above zero is above zero"
NEAREST = "the nearest image decides: sum the weights of each class, W @ Y"
TRUE_0 = "answers of class 0 are called unknown: look at the mass of the row, not at its argmax"


def _weights(seed, *shape):
    return uniform(seed, *shape, low=0.0, high=1.0).double().numpy()


def _one_hot(seed, n, num_classes, absent=()):
    return np.eye(num_classes)[classes(seed, n, num_classes, absent).numpy()]


def _sparse(seed, *shape):
    """Weights of which most are zero, and some rows all zero."""
    made = _weights(seed, *shape)
    return np.where(made > 0.9, made, 0)


_CLOSE = np.array([[0.5, 0.5 + d, 0.4] for d in (1e-4, 1e-6, 1e-12)] + [[0.5 + d, 0.4, 0.5] for d in (1e-4, 1e-6, 1e-12)])

vote = Exercise(
    "10.3",
    "vote",
    "a vote that may abstain",
    why="To say that you don't know is better than a confident answer that rests on nothing.",
    observe=returns(Part("the answers", "integer array")),
    cases=[
        Case("about seven images", (_WEIGHTS, _ONE_HOT), _VOTES),
        Case("when no image has any mass", (np.zeros((2, 4)), _ONE_HOT), [-1, -1]),
        Case("about one image with small weights", (_WEIGHTS[:1] / 1e3, _ONE_HOT), [2]),
        Case("for weights of e^-720 and e^-740", (np.exp([[-720.0, -740.0]]), np.eye(2)), [0]),
        Case("when every image is known", (_WEIGHTS[[0, 1, 3]], _ONE_HOT), [2, 0, 1]),
        Case("where class 1 of four has no labelled image", (np.eye(3), np.eye(4)[[3, 0, 2]]), [3, 0, 2]),
    ],
    mistakes={
        "a row without mass is answered as class 0: argmax of zeros is 0; find these rows first": (
            _voted(unknown=lambda W, Y: 0),
            _voted(mass=lambda W, Y: np.nan_to_num(W @ Y / (W @ Y).sum(1, keepdims=True)), known=lambda m: np.ones(len(m), bool)),
        ),
        "unknown is -1, not the number of classes": _voted(unknown=lambda W, Y: Y.shape[1]),
        "a row without mass is answered as the last class: it is unknown, -1": _voted(unknown=lambda W, Y: Y.shape[1] - 1),
        "a row without mass is answered as the most frequent class: it is unknown, -1": _voted(unknown=lambda W, Y: Y.sum(0).argmax()),
        "unknown is -1, not nan": _voted(unknown=lambda W, Y: np.nan),
        "the answers have an unsigned type, in which -1 is a large number": lambda W, Y: _voted(known=lambda m: m.sum(1) > 0)(W, Y).astype(
            np.uint8
        ),
        TRUE_0: (*_known(lambda m: m.argmax(1) > 0), lambda W, Y: np.where((W @ Y).argmax(1) == 0, -1, (W @ Y).argmax(1))),
        SMALL_MASS: (
            *_known(lambda m: ~np.isclose(m.sum(1), 0), lambda m: m.sum(1) / (m.sum(1) + 1e-12) > 0.5),
            *(_known(lambda m, e=e: m.max(1) > e)[0] for e in (1e-3, 1e-6, 1e-9, 1e-12, 1e-16, 1e-300, np.finfo(float).tiny)),
            _voted(mass=_as_type(np.float32)),
            _voted(mass=lambda W, Y: (W @ Y).round(6)),
        ),
        "a small mass is treated as none, and none as class 0": tuple(
            _voted(known=lambda m, e=e: m.max(1) > e, unknown=lambda W, Y: 0) for e in (1e-6, 1e-12, 1e-300)
        )
        + _each(_voted, "answer", lambda m: m.astype(np.float32).argmax(1)),
        "one row without mass makes all of them unknown: row by row": _known(lambda m: np.full(len(m), m.any(1).all())),
        NEAREST: _voted(mass=lambda W, Y: W, answer=lambda m: m.argmax(1)),
        "the nearest image decides, and without any the first one: sum the weights of each class, W @ Y": lambda W, Y: Y[
            W.argmax(1)
        ].argmax(1),
        "this is the mean, or the largest, weight of a class: sum the weights of each class, W @ Y": _each(
            _voted, "mass", lambda W, Y: W @ (Y / Y.sum(0).clip(1)), lambda W, Y: (W[:, :, None] * Y).max(1)
        ),
        "the images are counted: sum their weights, W @ Y": _voted(mass=lambda W, Y: (W > 0).astype(float) @ Y),
        "the weights are squared or their exponentials taken: sum them as they are": _each(
            _voted, "mass", lambda W, Y: np.square(W) @ Y, lambda W, Y: (np.exp(W) - 1) @ Y
        ),
        "the weights are divided by the sums of columns: an image's answer depends on its own row only": _voted(
            mass=lambda W, Y: W / np.where(W.sum(0) > 0, W.sum(0), 1) @ Y
        ),
        "one answer for each image: rows without mass stay in their place, with -1": _rows_left_out,
        "this says whether something is known: the class is wanted, or -1": lambda W, Y: (W @ Y).sum(1) > 0,
        "these are the masses: the class with the most mass is wanted": lambda W, Y: W @ Y,
        "the class with the LEAST mass is taken": _voted(answer=lambda m: m.argmin(1)),
        "the classes are numbered anew, without those that have no labelled image: argmax over all columns of W @ Y": _voted(
            mass=_only_classes_that_occur
        ),
        "only a majority of the mass counts as an answer: the most mass is enough": _known(
            lambda m: m.max(1) * 2 > m.sum(1), lambda m: m.max(1) * 2 >= m.sum(1) * (m.sum(1) > 0) + (m.sum(1) == 0)
        ),
        EQUAL: _known(*(lambda m, e=e: m.any(1) & (np.sort(m, 1)[:, -1] - np.sort(m, 1)[:, -2] > e) for e in (0, 1e-3, 1e-5))),
        "a type too small is used, which rounds or starts again from 0: stay in float64": _each(
            _voted, "mass", *(lambda W, Y, t=t: np.where(W @ Y > 0, (W @ Y).astype(t), 0) for t in (np.uint8, np.float16))
        ),
        f"masses that nearly agree are taken as equal: {EXACT}": tuple(
            _voted(answer=lambda m, d=d: np.where(m.max(1) > 0.01, m.round(d).argmax(1), m.argmax(1))) for d in (2, 3, 5, 8)
        ),
    },
    rules=[_of_equal_masses],
    battery={
        **none("weights are summed: no logits, no gradient, no network, no setting, and no loop"),
        "one": [Case("about one image with one labelled one", (np.array([[0.25]]), np.eye(3)[[1]]))],
        "classes": [
            Case("of two classes", (_sparse(1, 9, 6), _one_hot(2, 6, 2))),
            Case("of ten classes, the last one absent", (_weights(3, 20, 15), _one_hot(4, 15, 10, absent=(9,)))),
            Case("of three hundred classes", (np.eye(3), np.eye(300)[[130, 299, 4]])),
        ],
        "uneven": [Case("for labels of which most are class 0", (_weights(5, 12, 9) ** 4, _one_hot(6, 9, 4)))],
        "extremes": [
            Case("for weights of 0, 1e-310, 90 and 300", (np.array([[0, 1e-310, 0], [90, 120, 300], [300, 0, 299], [0, 0, 0]]), np.eye(3)))
        ],
        "sizes": [
            Case("about 3000 images", (_sparse(7, 3000, 8), _one_hot(8, 8, 3))),
            Case("with 300 and 200 labelled images of weight 1", (np.ones((1, 500)), np.eye(2)[[0] * 300 + [1] * 200])),
            Case("with 2100 and 2101 labelled images of weight 1", (np.ones((1, 4201)), np.eye(2)[[0] * 2100 + [1] * 2101])),
        ],
        "ties": [Case("for masses that differ by 1e-4, 1e-6 and 1e-12", (_CLOSE, np.eye(3)))],
        "layout": [
            Case("for arrays that are not contiguous", lambda: (scattered(_WEIGHTS[::-1]), scattered(_ONE_HOT))),
            Case("for one-hot rows of whole numbers", (_sparse(9, 30, 7), _one_hot(10, 7, 4).astype(int))),
        ],
    },
)


# --------------------------------------------------------------------------------------------------- 10.4 divergence


@slips
def _uda(
    target=lambda z, T: _p(z / T),
    log_p=lambda z, T: z.log_softmax(1),
    each=lambda q, l: (torch.xlogy(q, q) - q * l).sum(1),
    end=lambda each, T: each.mean(),
):
    return lambda w, s, T: end(each(target(w.detach(), T), log_p(s, T)), T)


def _targets(*wrong):
    return _each(_uda, "target", *wrong)


def _ends(*wrong):
    return _each(_uda, "end", *wrong)


def _of_sure_targets(q, log_p):
    return F.kl_div(log_p, q, reduction="none").sum(1) * (q.amax(1) >= 0.8)


_UDA_W = _leaf([0.6, 0.3, 0.1], [0.2, 0.7, 0.1]).log() + _leaf([2.0], [0.5])  # the logits of these, shifted
_UDA_S = _leaf([1, 0, 0.5], [0, 0.2, -1])
_UDA_GRADIENT = [[-0.13806415, -0.00466423, 0.14272838], [0.15606667, -0.2178463, 0.06177963]]
_SHARP = [36 / 46, 9 / 46, 1 / 46]  # (.6, .3, .1) at T = .5
_ROOTS = math.log(7) + (4 * math.log(4) + 3 * math.log(3)) / 7  # minus the entropy of (4, 3) / 7 is this minus 2 log 7
T_CUT = "T is cut off, or taken as 1 where it is larger: take it as it is"
NOT_SHARP = "nothing is sharpened: T is ignored"
TWICE_HERE = f"{TWICE}: the temperature divides logits, not probabilities"
MEAN_TOO_LARGE = "the mean runs over images and classes: the sum over classes, the mean over images (batchmean)"
NAN_OF_0 = "a target that is very sure gives nan, 0 times the logarithm of 0: use log_softmax, or F.kl_div"
NO_ENTROPY = "this is the cross-entropy, which is not zero where both agree: the target's own logarithm is missing"
WRONG_WAY = "the divergence is the wrong way round: the target comes in front of the logarithm"

uda_loss = Exercise(
    "10.4",
    "uda_loss",
    "UDA's divergence",
    why="Swapped arguments and a lost gradient look just like a method that does not work; now you check first.",
    observe=returns(
        Part("the loss", "tensor"),
        gradient={1: "the strong logits"},
        constant={0: "a gradient flows into the target: detach the weak logits"},
    ),
    cases=[
        Case(
            "of the worked example at T = .5",
            (_UDA_W, _UDA_S, 0.5),
            {"the loss": 0.3630618, "the gradient to the strong logits": _UDA_GRADIENT},
        ),
        Case(
            "for strong logits of 0 and a target of (36, 9, 1) / 46",
            (_UDA_W[:1], torch.zeros(1, 3), 0.5),
            {
                "the loss": math.log(3) + sum(q * math.log(q) for q in _SHARP),
                "the gradient to the strong logits": [[1 / 3 - q for q in _SHARP]],
            },
        ),
        Case("where the prediction is the sharpened target", (_UDA_W, _UDA_W / 0.4, 0.4), (0.0, torch.zeros(2, 3))),
        Case("at T = 1 and for the weak logits themselves", (_UDA_W, _UDA_W.clone(), 1.0), (0.0, torch.zeros(2, 3))),
        Case(
            "at T = 2, where (16, 9) / 25 becomes (4, 3) / 7",
            (_leaf([16.0, 9.0]).log(), torch.zeros(1, 2), 2.0),
            {"the loss": _ROOTS - 2 * math.log(7) + math.log(2), "the gradient to the strong logits": [[1 / 2 - 4 / 7, 1 / 2 - 3 / 7]]},
        ),
        Case("where the target is very sure", (_leaf([90, 0, 0]), _leaf([1, 0, 0]), 0.4), {"the loss": math.log(math.e + 2) - 1}),
        Case(
            "where the prediction is surely wrong",
            (_leaf([2, 0, 0]), _leaf([-60, 60, 0]), 0.5),
            {"the loss": 116.642360, "the gradient to the strong logits": [[-0.9646632, 0.9823316, -0.0176684]]},
        ),
    ],
    mistakes={
        "the temperature stands on the wrong side: it sharpens the target, not the prediction that learns": _uda(
            target=lambda z, T: _p(z), log_p=lambda z, T: (z / T).log_softmax(1)
        ),
        "both sides are sharpened: the target only": _uda(log_p=lambda z, T: (z / T).log_softmax(1)),
        NOT_SHARP: _targets(lambda z, T: _p(z), lambda z, T: F.normalize(_p(z) / T, p=1, dim=1)),
        "the logits are multiplied by T, which blurs: divide by it": _targets(lambda z, T: _p(z * T)),
        "T is written in: it is the argument": _targets(lambda z, T: _p(z / 0.5), lambda z, T: _p(z / 0.4)),
        T_CUT: _targets(
            lambda z, T: _p(z / min(T, 1)), *(lambda z, T, n=n: _p(z / max(T, n)) for n in (0.3, 0.1)), lambda z, T: _p(z / min(T, 5))
        ),
        "T squared divides the logits: T itself": _targets(lambda z, T: _p(z / T**2)),
        "the probabilities are raised to the power 1 / T, and then not divided by their sum": _targets(lambda z, T: _p(z) ** (1 / T)),
        TWICE_HERE: (*_targets(lambda z, T: _p(_p(z) / T), lambda z, T: _p(_p(z / T))), _uda(log_p=lambda z, T: _p(z).log_softmax(1))),
        OVER_IMAGES: (*_targets(lambda z, T: (z / T).softmax(0)), _uda(log_p=lambda z, T: z.log_softmax(0))),
        SIGMOID: _uda(target=lambda z, T: torch.sigmoid(z / T), log_p=lambda z, T: F.logsigmoid(z)),
        "the logarithm is missing on the side that learns: log_softmax": _each(_uda, "log_p", lambda z, T: _p(z), lambda z, T: z),
        "this is the sum over the images: their mean is wanted": _ends(lambda each, T: each.sum()),
        "return one number: the mean over the images": _ends(lambda each, T: each),
        MEAN_TOO_LARGE: _uda(each=lambda q, l: F.kl_div(l, q, reduction="none").mean(1)),
        WRITTEN: (*_ends(lambda each, T: each.sum() / 2), _uda(each=lambda q, l: 3 * F.kl_div(l, q, reduction="none").mean(1))),
        "F.kl_div takes the logarithms of the prediction first, and then the target, without a logarithm": _each(
            _uda, "each", lambda q, l: F.kl_div(q, l, reduction="none").sum(1), lambda q, l: F.kl_div(l, q.log(), reduction="none").sum(1)
        ),
        WRONG_WAY: _uda(each=lambda q, l: l.exp().mul(l - q.log()).sum(1)),
        "this is the sum of both directions: from the target to the prediction only": _uda(
            each=lambda q, l: ((q - l.exp()) * (q.log() - l)).sum(1)
        ),
        NO_ENTROPY: _uda(each=lambda q, l: -(q * l).sum(1)),
        "the sign is wrong: a divergence is never negative": _ends(lambda each, T: -each.mean()),
        "the factor T squared belongs to distillation: not here": _ends(lambda each, T: T**2 * each.mean()),
        "the loss is divided by T: only the logits of the target are": _ends(lambda each, T: each.mean() / T),
        "this is the squared distance: the divergence is wanted": _uda(each=lambda q, l: (q - l.exp()).square().mean(1)),
        "the views are swapped: the target comes from the weak view": lambda w, s, T: _uda(end=lambda e, T: e.mean(0))(s, w, T),
        "the target is hard (argmax): UDA's is soft": _targets(lambda z, T: F.one_hot(z.argmax(1), z.shape[1]).float()),
        "unsure targets are left out: UDA does so elsewhere, here every image counts": (
            _uda(each=_of_sure_targets),
            _uda(each=_of_sure_targets, end=lambda each, T: each.sum() / (each > 0).sum().clamp(min=1)),
        ),
        "a gradient flows into the target": lambda w, s, T: F.kl_div(s.log_softmax(1), _p(w / T), reduction="batchmean"),
        "the loss carries no gradient": _ends(lambda each, T: each.mean().detach()),
        "no .item() on it": _ends(lambda each, T: each.mean().item()),
        NAN_OF_0: _each(_uda, "each", lambda q, l: (q * (q.log() - l)).sum(1), lambda q, l: (q * (q / l.exp()).log()).sum(1)),
        "the target's logarithm is cut off, or a small number added: xlogy, log_softmax or F.kl_div need none": _each(
            _uda,
            "each",
            *(lambda q, l, e=e: (q * (q.clamp(min=e).log() - l)).sum(1) for e in (0.1, 0.05)),
            lambda q, l: (q * ((q + 1e-3).log() - l)).sum(1),
        ),
        EPSILON: _each(_uda, "log_p", *(lambda z, T, e=e: (_p(z) + e).log() for e in (1e-8, 1e-12)), lambda z, T: _p(z).clamp(1e-7).log()),
        LOG_OF_P: _uda(log_p=lambda z, T: _p(z).log()),
        OVERFLOW: (*_targets(lambda z, T: _from_hand(z / T)), _uda(log_p=lambda z, T: _from_hand(z).log())),
        f"half precision: {EXACT}": (
            *_targets(lambda z, T: _p(z.half() / T).float()),
            _uda(log_p=lambda z, T: z.half().log_softmax(1).float()),
        ),
        f"the target is rounded: {EXACT}": _targets(*(lambda z, T, d=d: _p(z / T).round(decimals=d) for d in (2, 3))),
        "part of the loss is detached: the gradient is wrong, though the loss is right": _uda(
            log_p=lambda z, T: z - z.logsumexp(1, keepdim=True).detach()
        ),
    },
    battery={
        **none("there are no labels, no network and no loop, and nothing is compared or rounded"),
        "one": [Case("for one image", (uniform(1, 1, 4), uniform(2, 1, 4), 0.4))],
        "classes": [
            Case("for two classes", (uniform(3, 5, 2), uniform(4, 5, 2), 0.8)),
            Case("for ten classes", (uniform(5, 6, 10), uniform(6, 6, 10), 0.4)),
        ],
        "extremes": [
            Case("for logits of ±90, ±120 and ±300", (extreme_logits(), extreme_logits().flip(1), 0.5)),
            Case("for logits of ±90, ±120 and ±300 at T = 4", (extreme_logits(), extreme_logits().flip(0), 4.0)),
        ],
        "gradient": [Case("for eight images", (uniform(7, 8, 3), uniform(8, 8, 3), 0.6))],
        "sizes": [Case("for 3000 images", (uniform(9, 3000, 3), uniform(10, 3000, 3), 0.5))],
        "layout": [
            Case("for logits that are not contiguous", (scattered(uniform(11, 4, 3)), scattered(uniform(12, 4, 3)), 0.5)),
            Case("for logits of float64", (uniform(13, 4, 3).double(), uniform(14, 4, 3).double(), 0.5)),
        ],
        "ends": [Case(f"at T = {T:g}", (uniform(15, 4, 3), uniform(16, 4, 3), T)) for T in (0.05, 0.2, 0.9, 1.5, 10.0, 100.0)],
    },
)


# ---------------------------------------------------------------------------------------------- 10.5 hold back the known


def _ce(z, y):
    return F.cross_entropy(z, y, reduction="none")


def _of_label(z, y):
    return _p(z)[range(len(y)), y]


@slips
def _held(
    keep=lambda z, y, eta: _of_label(z, y) <= eta, losses=_ce, mean=lambda l, k: (l * k).sum() / max(k.sum().item(), 1), end=_as_it_is
):
    return lambda z, y, eta: end(mean(losses(z, y), keep(z.detach(), y, eta).float()))


def _keeps(*wrong):
    return _each(_held, "keep", *wrong)


def _means(*wrong):
    return _each(_held, "mean", *wrong)


_tsa_seen = returns(Part("the loss", "tensor"), gradient={0: "the logits"})
NOT_HANGING = "if no image takes part the loss is cut off from the logits, so that backward() fails or finds nothing: make it 0 times something that depends on the logits"


def _hanging(function, logits, y, eta):
    """The loss and its gradient; a Fix where the loss does not hang on the logits."""
    found = []
    seen = _tsa_seen(lambda *inputs: found.append(function(*inputs)) or found[-1], logits, y, eta)
    loss, fault = found[0], seen.get("the gradient")
    hangs = isinstance(loss, torch.Tensor) and loss.requires_grad
    if hangs and loss.ndim == 0:
        hangs = torch.autograd.grad(loss, logits, allow_unused=True)[0] is not None
    if not hangs and float(loss if np.ndim(loss) == 0 else 1) == 0:
        fault = Fix(NOT_HANGING)
    return {"the loss": loss, "the gradient": fault} if fault else seen


def _classes_weighted(z, y, eta):
    keep = (_of_label(z, y) <= eta).float()
    weight = 1 / torch.bincount(y, minlength=z.shape[1]).clamp(min=1)[y]
    return (_ce(z, y) * keep * weight).sum() / (keep * weight).sum().clamp(min=1e-9)


# surely wrong; unsure; surely right
_TSA_P, _TSA_Y = _leaf([0.97, 0.02, 0.01], [0.40, 0.35, 0.25], [0.80, 0.15, 0.05]), torch.tensor([1, 0, 0])
_TSA_Z = _TSA_P.log() + _leaf([1.0], [0.0], [2.0])
_ALMOST = _leaf(*([0.8 + d, 0.2 - d] for d in (1e-4, -1e-4, 1e-6, -1e-6))).log()
_KNOWN = _leaf([9, 0], [0, 9])
_FAR_APART = _leaf(*([z, 0, 0] for z in (6, 4, 1, 0, -1, -2, -3, -4)))  # the probabilities of class 0 are between .009 and .995
SUREST = "the highest probability decides, so that an image that is surely WRONG is held back: the label's probability decides"
WRONG_SIDE = "what is known takes part and the rest is held back: the comparison is the wrong way round"
DIVIDED = "the sum is divided by the number of all images, or by one more: divide by how many take part"
BY_ANSWER = "what the network answers decides, right or wrong: the label's probability alone does, compared with eta"
AT_ETA = "an image at exactly eta takes part: held back is what lies ABOVE"
PLAIN = "the plain cross-entropy is wanted: no weights for classes, no smoothed labels"

tsa_loss = Exercise(
    "10.5",
    "tsa_loss",
    "hold back what is known",
    why="Holding back the easy images keeps a few labels from being learnt by heart too soon.",
    observe=_hanging,
    cases=[
        Case(
            "of three images, surely wrong, unsure and surely right,",
            (_TSA_Z, _TSA_Y, 0.667),
            (-math.log(0.02) / 2 - math.log(0.4) / 2, [[0.485, -0.49, 0.005], [-0.3, 0.175, 0.125], [0.0, 0, 0]]),
        ),
        Case(
            "at eta = .3 of a label with probability .4, behind another class, and one with .2",
            (_leaf([0.45, 0.40, 0.15], [0.1, 0.2, 0.7]).log(), torch.tensor([1, 1]), 0.3),
            -math.log(0.2),
        ),
        Case("at eta = .5 of a label with exactly .5, and one above", (_leaf([0, 0], [3, 0]), torch.tensor([0, 0]), 0.5), math.log(2)),
        Case("if no image takes part", (_KNOWN, torch.tensor([0, 1]), 0.9), (0.0, torch.zeros(2, 2))),
        Case("of a label with the logits 60 and -60", (_leaf([60, -60]), torch.tensor([1]), 0.9), (120.0, [[1.0, -1.0]])),
        Case("at eta = 1, where nothing is held back,", (_TSA_Z, _TSA_Y, 1.0), -math.log(0.02 * 0.4 * 0.8) / 3),
    ],
    mistakes={
        SUREST: (
            *_keeps(lambda z, y, eta: _p(z).amax(1) <= eta, lambda z, y, eta: _p(z).amax(1) < eta),
            _held(keep=lambda z, y, eta: _p(z).amax(1) <= eta, mean=lambda l, k: (l * k).mean()),
            lambda z, y, eta: F.cross_entropy(z[_p(z).amax(1) <= eta], y[_p(z).amax(1) <= eta]),
        ),
        WRONG_SIDE: (
            *_keeps(lambda z, y, eta: _of_label(z, y) > eta, lambda z, y, eta: _of_label(z, y) >= eta),
            _held(keep=lambda z, y, eta: _of_label(z, y) > eta, mean=lambda l, k: (l * k).mean()),
        ),
        "the comparison is the wrong way round, and the highest probability decides": _keeps(lambda z, y, eta: _p(z).amax(1) > eta),
        "nothing is held back": _keeps(lambda z, y, eta: y >= 0),
        DIVIDED: _means(lambda l, k: (l * k).mean(), lambda l, k: (l * k).sum() / (k.sum() + 1)),
        "this is the sum: the mean over the images that take part is wanted": _means(lambda l, k: (l * k).sum()),
        "return one number: the mean over the images that take part": _means(lambda l, k: l * k, lambda l, k: l[k > 0]),
        "the loss is held back only if ALL images are known: image by image": _means(lambda l, k: l.mean() * k.amax()),
        "if no image takes part all are taken nevertheless: the loss is 0 then": _means(
            lambda l, k: (l * k).sum() / k.sum() if k.any() else l.mean()
        ),
        "a single image that takes part counts, too: the loss is 0 only if there is none": _means(
            lambda l, k: (l * k).mean() * len(k) / k.sum() if k.sum() > 1 else 0 * l.sum()
        ),
        "mask each image's loss, then take the mean; not the mean loss times the mean mask": _means(lambda l, k: l.mean() * k.mean()),
        WRITTEN: _means(lambda l, k: (l * k).sum() / 2, lambda l, k: (l * k)[:3].sum() / k[:3].sum().clamp(min=1)),
        BY_ANSWER: _keeps(
            lambda z, y, eta: z.argmax(1) != y,
            lambda z, y, eta: (z.argmax(1) != y) | (_of_label(z, y) <= eta),
            lambda z, y, eta: (z.argmax(1) != y) & (_of_label(z, y) <= eta),
        ),
        AT_ETA: _keeps(lambda z, y, eta: _of_label(z, y) < eta),
        "eta is ignored: the threshold is the argument": _keeps(*(lambda z, y, eta, n=n: _of_label(z, y) <= n for n in (0.667, 0.9, 0.5))),
        "eta is cut off: it may come near 0 and reach 1": _keeps(
            *(lambda z, y, eta, n=n: _of_label(z, y) <= min(eta, n) for n in (0.99, 0.95)),
            lambda z, y, eta: _of_label(z, y) <= max(eta, 0.1),
        ),
        "eta is compared with logits: softmax first": _keeps(lambda z, y, eta: z[range(len(y)), y] <= eta),
        "eta is compared with the loss: with the label's probability": _keeps(
            lambda z, y, eta: _ce(z, y) <= eta, lambda z, y, eta: _ce(z, y) >= eta
        ),
        "sigmoid gives no probability here: softmax over the classes": _keeps(lambda z, y, eta: torch.sigmoid(z)[range(len(y)), y] <= eta),
        OVER_IMAGES: _keeps(lambda z, y, eta: z.softmax(0)[range(len(y)), y] <= eta),
        f"{TWICE}: cross_entropy takes logits": _each(_held, "losses", lambda z, y: _ce(_p(z), y)),
        f"{TWICE} before the comparison": _keeps(lambda z, y, eta: _of_label(_p(z), y) <= eta),
        f"probabilities near eta are rounded: {EXACT}": _keeps(
            *(lambda z, y, eta, d=d: _of_label(z, y).round(decimals=d) <= eta for d in (2, 3, 4, 5)),
            lambda z, y, eta: _of_label(z.half(), y) <= eta,
            lambda z, y, eta: _of_label(z, y) <= eta + 1e-5,
            lambda z, y, eta: _of_label(z, y) <= eta - 1e-5,
        ),
        "if no image takes part the loss is nan: divide by at least 1 (clamp)": (
            *_means(lambda l, k: (l * k).sum() / k.sum(), lambda l, k: l[k > 0].mean()),
        ),
        NOT_HANGING: _means(
            *(
                lambda l, k, zero=zero: l[k > 0].mean() if k.any() else zero
                for zero in (torch.tensor(0.0), torch.zeros((), requires_grad=True), 0.0)
            )
        ),
        EPSILON: _each(
            _held,
            "losses",
            *(lambda z, y, e=e: -(_of_label(z, y) + e).log() for e in (1e-8, 1e-12)),
            *(lambda z, y, e=e: -_of_label(z, y).clamp(min=e).log() for e in (1e-7, 1e-6)),
        ),
        LOG_OF_P: _each(_held, "losses", lambda z, y: -_of_label(z, y).log()),
        OVERFLOW: (
            *_each(_held, "losses", lambda z, y: z.exp().sum(1).log() - z[range(len(y)), y]),
            *_keeps(lambda z, y, eta: _from_hand(z)[range(len(y)), y] <= eta),
        ),
        "the logarithm is missing: cross-entropy is -log of the probability": _each(_held, "losses", lambda z, y: 1 - _of_label(z, y)),
        "the sign is wrong: a cross-entropy is positive": _held(end=torch.neg),
        "the losses are weighted by how far they are from eta: an image takes part or not": lambda z, y, eta: (
            _ce(z, y) * (1 - _of_label(z, y).detach() / eta).clamp(min=0)
        ).mean(),
        PLAIN: (_classes_weighted, *_each(_held, "losses", lambda z, y: F.cross_entropy(z, y, reduction="none", label_smoothing=0.1))),
        "the loss carries no gradient": _held(end=torch.Tensor.detach),
        "no .item() on it": _held(end=torch.Tensor.item),
        f"half precision: {EXACT}": _each(_held, "losses", lambda z, y: _ce(z.bfloat16(), y).float()),
    },
    battery={
        **none("there is no network and no loop"),
        "one": [
            Case("of one image that is known", (_leaf([3, 0, 0]), torch.tensor([0]), 0.7)),
            Case("of one image that takes part", (uniform(1, 1, 4), torch.tensor([3]), 0.9)),
        ],
        "classes": [
            Case("for two classes", (uniform(2, 7, 2), classes(3, 7, 2), 0.6)),
            Case("for ten classes, the last one absent", (uniform(4, 8, 10), classes(5, 8, 9), 0.12)),
        ],
        "uneven": [Case("for labels of which most are class 0", (uniform(6, 20, 4), classes(7, 20, 4), 0.3))],
        "extremes": [
            Case(f"for logits of ±90, ±120 and ±300 at eta = {eta}", (extreme_logits(), torch.tensor(y), eta))
            for eta, y in ((0.9, [0, 0, 1, 2, 2, 1, 0, 0]), (0.5, [2, 1, 0, 0, 0, 0, 2, 2]))
        ],
        "gradient": [Case("of eight images", (uniform(8, 8, 3), classes(9, 8, 3), 0.4))],
        "sizes": [Case("of 3000 images", (uniform(10, 3000, 3), classes(11, 3000, 3), 0.5))],
        "ties": [Case("for probabilities that miss eta = .8 by 1e-4 and 1e-6", (_ALMOST, torch.zeros(4, dtype=torch.int64), 0.8))],
        "layout": [
            Case("for inputs that are not contiguous", (scattered(uniform(12, 6, 3)), scattered(classes(13, 6, 3)), 0.4)),
        ],
        "ends": [
            Case(f"at eta = {eta} for labels of which some are nearly sure, some nearly excluded", (_FAR_APART, torch.zeros(8).long(), eta))
            for eta in (0.02, 0.05, 0.98, 1.0)
        ],
    },
)


# ------------------------------------------------------------------------------------------------- 10.6 the fraction to keep


def _ranks(counts):
    return counts.argsort(descending=True).argsort()


@slips
def _rates(
    ordered=lambda c: c.sort().values, largest=lambda c: c.amax(), power=lambda x, alpha: x**alpha, back=lambda rates, c: rates[_ranks(c)]
):
    return lambda c, alpha: back(power(ordered(c) / largest(c), alpha), c)


def _powers(*wrong):
    return _each(_rates, "power", *wrong)


def _way_back(*wrong):
    return _each(_rates, "back", *wrong)


_COUNTS = _leaf(30, 400, 5, 60, 100)  # rank 4, 1, 5, 3, 2: the mirrored ones have 100, 5, 400, 60 and 30
OF_INDEX = "the fractions stand in the order of the ranks: class 0 is taken for the most frequent one"
OTHER_WAY = "the way back to the classes is walked in the wrong direction: write to rates[order], do not read rates[order] (or use the argsort of order)"
BY_LARGEST = "divide by the largest count"

keep_rates = Exercise(
    "10.6",
    "keep_rates",
    "the fraction to keep",
    why="Sorted here, class numbers there: mixing up two orders is a bug that everybody writes once.",
    observe=returns(Part("the result", "float tensor")),
    cases=[
        Case(
            "for the counts 30, 400, 5, 60, 100 at alpha = .5",
            (_COUNTS, 0.5),
            [0.5, math.sqrt(5 / 400), 1.0, math.sqrt(60 / 400), math.sqrt(30 / 400)],
        ),
        Case("for the same counts at alpha = 1", (_COUNTS, 1.0), [0.25, 0.0125, 1.0, 0.15, 0.075]),
        Case("for the same counts at alpha = 0", (_COUNTS, 0.0), torch.ones(5)),
        Case("for the counts 7 and 3", (_leaf(7, 3), 1.0), [3 / 7, 1.0]),
        Case("for the counts 3 and 7", (_leaf(3, 7), 1.0), [1.0, 3 / 7]),
        Case("for the counts 10, 20, 40 and 80 at alpha = 2", (_leaf(10, 20, 40, 80), 2.0), [1.0, 0.25, 0.0625, 0.015625]),
        Case("for the counts 20, 80, 10 and 40 at alpha = 2", (_leaf(20, 80, 10, 40), 2.0), [0.25, 0.015625, 1.0, 0.0625]),
    ],
    mistakes={
        OF_INDEX: _way_back(lambda rates, c: rates),
        "the fractions stand in the order of the ranks, and the other way round": _way_back(lambda rates, c: rates.flip(0)),
        OTHER_WAY: _way_back(lambda rates, c: rates[c.argsort(descending=True)], lambda rates, c: rates[c.argsort()]),
        "the most frequent class keeps most: the count of the mirrored rank is wanted": (
            lambda c, a: (c / c.max()) ** a,
            *_way_back(lambda rates, c: rates[c.argsort().argsort()]),
        ),
        "class numbers are mirrored: mirror the ranks": lambda c, a: (c.flip(0) / c.max()) ** a,
        "this divides the smallest count by each: the count of the mirrored rank, divided by the largest": lambda c, a: (c.min() / c) ** a,
        "the ranks are off by one: the most frequent class has rank 1, and its mirrored one is the rarest": _way_back(
            lambda rates, c: rates.roll(1)[_ranks(c)], lambda rates, c: rates.roll(-1)[_ranks(c)]
        ),
        "alpha is missing in the exponent": _powers(lambda x, a: x),
        "the exponent is alpha, not 1 / alpha": _powers(lambda x, a: x ** (1 / a) if a else x),
        "alpha is an exponent, not a factor": _powers(lambda x, a: x * a, lambda x, a: x**a * a),
        "alpha is ignored: it is the argument": _powers(*(lambda x, a, n=n: x**n for n in (0.5, 1 / 3))),
        "alpha is cut off: it may be above 1, and 0": _powers(
            lambda x, a: x ** min(a, 1),
            lambda x, a: x ** (a or 1 / 3),
            lambda x, a: x ** (a or 1),
            lambda x, a: x ** max(a, 0.1),
            lambda x, a: x ** min(a, 5),
        ),
        "the counts are divided before, and the quotient is not raised: (a / b) to the power alpha": lambda c, a: (
            c.sort().values ** a / c.max()
        )[_ranks(c)],
        BY_LARGEST: (
            _rates(largest=lambda c: 1),
            _rates(largest=lambda c: c.sum()),
            _rates(largest=lambda c: c.mean()),
            _rates(largest=lambda c: c.norm()),
            lambda c, a: (lambda r: r / r.sum())(c.sort().values ** a)[_ranks(c)],
        ),
        f"{BY_LARGEST}, not by that of the first or the last class": _each(_rates, "largest", lambda c: c[0], lambda c: c[-1]),
        "this is the fraction to drop": _powers(lambda x, a: 1 - x**a),
        "these are the counts to keep: the fractions are wanted": lambda c, a: c * ((c.sort().values / c.max()) ** a)[_ranks(c)],
        "these are ranks: the fractions of the classes are wanted": lambda c, a: _ranks(c),
        "these are the classes by rank: their fractions are wanted": lambda c, a: c.argsort(descending=True),
        "the values are right, but the result must be a float tensor": _way_back(lambda rates, c: rates[_ranks(c)].tolist()),
        "a fraction is cut off: it may be as small as it comes": _powers(
            lambda x, a: (x**a).clamp(min=0.01), lambda x, a: (x**a).clamp(1e-4)
        ),
        f"the counts are made whole numbers: {EXACT}": (
            _rates(ordered=lambda c: c.long().sort().values),
            _rates(ordered=lambda c: c.round().sort().values),
        ),
        f"half precision: {EXACT}": (
            _rates(ordered=lambda c: c.half().float().sort().values),
            _rates(ordered=lambda c: c.bfloat16().float().sort().values),
            *_powers(lambda x, a: (x**a).half().float()),
        ),
        f"the result is rounded: {EXACT}": _powers(*(lambda x, a, d=d: (x**a).round(decimals=d) for d in (2, 3, 4))),
    },
    battery={
        **none("counts of classes come in: no images or labels one by one, no logits, no gradient, no network, no loop"),
        "one": [Case("for a single class", (_leaf(12), 0.5))],
        "classes": [
            Case("for two classes with nearly as many images", (_leaf(100, 101), 1 / 3)),
            Case("for ten classes, the last one the rarest", (_leaf(90, 12, 700, 33, 8, 250, 41, 5, 60, 2), 1 / 3)),
        ],
        "extremes": [Case("for counts from .001 to a million", (_leaf(300, 1e6, 0.001, 90, 120), 0.25))],
        "sizes": [
            Case("for 300 classes", ((torch.arange(300) * 7919 % 1009 + 1).float(), 0.5)),
            Case("for counts of 2047 to 2051", (_leaf(2049, 2047, 2051, 2048, 2050), 8.0)),
        ],
        "ties": [Case("for counts that differ by 1e-4 and 1e-6", (_leaf(0.5, 0.5001, 0.500101, 0.25, 0.4999), 2.0))],
        "layout": [
            Case("for counts that are not contiguous", (scattered(_leaf(30, 400, 5, 60, 101)), 1.5)),
            Case("for counts of float64", (_leaf(31, 400, 5, 60, 101).double(), 1.5)),
        ],
        "ends": [Case(f"at alpha = {alpha:g}", (_leaf(228, 359, 769, 80, 779, 4693, 99), alpha)) for alpha in (1e-3, 1 / 3, 3.0, 6.0)],
    },
)


# --------------------------------------------------------------------------------------------- 10.7 look, leave no trace


class _Notes(list):
    """What is noted of each pass; a copy of the model writes into the same list."""

    def __deepcopy__(self, memo):
        return self


class _Moody(nn.Module):
    """Answers with the opposite in training mode."""

    def forward(self, x):
        return -x if self.training else x


class _Network(nn.Module):
    """An image's own numbers are its logits, in evaluation mode. It comes with a gradient, and with a parameter that is frozen."""

    def __init__(self, training):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.tensor([1.1])), nn.Parameter(torch.tensor([0.3]), requires_grad=False)
        self.weight.grad, self.passes = torch.ones(1), _Notes()
        self.register_buffer("statistic", torch.tensor([0.7]), persistent=False)
        self.inner = nn.Sequential(nn.Sequential(_Moody()))
        self.train(training)

    def forward(self, x):
        z = self.inner(self.weight * x.flatten(1) + self.bias)
        self.passes.append(([part.training for part in self.modules()], z.requires_grad))
        return z


_number = returns(Part("the accuracy", "number"))


def _looked(function, model, x, y):
    before = [part.training for part in model.modules()]
    seen = _number(function, model, x, y)
    if any(any(modes) for modes, _ in model.passes):
        raise Fix("the model, or a part of it, answers in training mode: evaluation mode is model.eval(), which reaches all its parts")
    if any(recorded for _, recorded in model.passes):
        seen["the gradients"] = Fix("gradients are recorded during the pass: work under torch.no_grad()")
    after = [part.training for part in model.modules()]
    if before[0] != after[0]:
        came, left = ("training", "evaluation") if before[0] else ("evaluation", "training")
        seen["the mode"] = Fix(f"the model comes in {came} mode and is left in {left} mode: note the modes first, and go back to them")
    elif before != after:
        seen["the mode"] = Fix(
            "a part of the model is left in another mode than it came in: model.train(mode) sets all parts, `model.training = ...` one only"
        )
    return seen


@slips
def _accuracy(
    enter=lambda model: model.eval(),
    recorded=False,
    hit=lambda z, y: z.argmax(1) == y,
    mean=lambda hit: hit.double().mean().item(),
    leave=lambda model, modes: [_top_mode(part, one) for part, one in zip(model.modules(), modes)],
):
    def accuracy(model, x, y):
        modes = [part.training for part in model.modules()]
        enter(model)
        with torch.set_grad_enabled(recorded):
            right = hit(model(x), y)
        leave(model, modes)
        return mean(right)

    return accuracy


def _hits(*wrong):
    return _each(_accuracy, "hit", *wrong)


def _mean_of(*wrong):
    return _each(_accuracy, "mean", *wrong)


def _by_class(model, x, y):
    """The mean of the classes' own accuracies."""
    was = model.training
    with torch.no_grad():
        right = (model.eval()(x).argmax(1) == y).double()
    model.train(was)
    return float(np.mean([right[y == c].mean() for c in y.unique()]))


def _in_parts(size, mean):
    def accuracy(model, x, y):
        was = model.training
        with torch.no_grad():
            right = [(model.eval()(a).argmax(1) == b).double() for a, b in zip(x.split(size), y.split(size))]
        model.train(was)
        return mean(right)

    return accuracy


@torch.no_grad()
def _put_back(model, x, y):
    """The state of the weights and buffers is kept, not the mode."""
    kept = copy.deepcopy(model.state_dict())
    right = (model(x).argmax(1) == y).double().mean().item()
    model.load_state_dict(kept)
    return right


def _cast(name):
    """Leaves the weights as another type rounded them."""

    def accuracy(model, x, y):
        was = model.training
        with torch.no_grad():
            right = (getattr(model.eval(), name)()(getattr(x, name)()).argmax(1) == y).double().mean().item()
        model.float().train(was)
        return right

    return accuracy


def _top_mode(model, mode=False):
    model.training = mode


def _with_frozen_weights(model, x, y):
    model.requires_grad_(False)
    right = _accuracy(recorded=True)(model, x, y)
    model.requires_grad_(True)
    return right


def _and_then(act):
    """Does something to the model in the end, which is in training mode."""
    return _accuracy(leave=lambda model, modes: (act(model.train(modes[0])), None)[1])


def _look(what, z, y, right=RECORDED, training=True):
    """The network is made anew each time: a copy would write its passes into the notes of the original."""
    x = z if z.ndim == 4 else z.view(*z.shape, 1, 1)

    def inputs():
        return _Network(training), x.clone() if x.is_contiguous() else x, y

    return Case(what, inputs, right)


_SIX, _OF_SIX = _leaf([3, 1, 0], [0, 2, 1], [1, 0, 4], [5, 0, 1], [0, 1, 2], [0, 1, 3]), torch.tensor([0, 1, 2, 1, 2, 0])
TRAINING = "answers in training mode: evaluation mode is model.eval()"
LEFT = "note the modes first, and go back to them"
SHARE_OF_RIGHT = "divide the number of right answers by the number of images"

accuracy = Exercise(
    "10.7",
    "accuracy",
    "look, and leave no trace",
    why="Measuring must not change what is measured, or your curves depend on how often you look.",
    observe=_looked,
    changes=("mode",),  # of which this check has more to say
    cases=[
        _look("of six images (the model comes in training mode)", _SIX, _OF_SIX, 4 / 6),
        _look("of six images (the model comes in evaluation mode)", _SIX, torch.tensor([0, 1, 2, 1, 2, 2]), 5 / 6, training=False),
        _look("of a single image", _SIX[:1], _OF_SIX[:1], 1.0),
        _look("of two images, both wrong,", _SIX[:2], torch.tensor([2, 0]), 0.0),
        _look("of one image of class 0 and three of class 2", _SIX[[3, 0, 1, 2]], torch.tensor([0, 2, 2, 2]), 0.5),
    ],
    mistakes={
        LEFT: _each(
            _accuracy,
            "leave",
            lambda model, modes: None,
            lambda model, modes: model.train(),
            lambda model, modes: model.train(not modes[0]),
        ),
        TRAINING: (*_each(_accuracy, "enter", lambda model: None, lambda model: model.train(), _top_mode), _put_back),
        "a part of the model is left in another mode than it came in": _each(
            _accuracy,
            "leave",
            lambda model, modes: _top_mode(model, modes[0]),
            lambda model, modes: [_top_mode(part, modes[0]) for part in (model, *model.children())],
        ),
        "gradients are recorded": (_accuracy(recorded=True), _accuracy(recorded=True, mean=lambda right: right.float().mean().item())),
        "what was frozen stays frozen": (_with_frozen_weights, _and_then(lambda model: model.requires_grad_(False))),
        "zero_grad() are left to the training loop": _and_then(nn.Module.zero_grad),
        "it changes the type of the network's numbers": (_and_then(nn.Module.double), _and_then(nn.Module.half)),
        "it changes the network's weights": (_cast("half"), _cast("bfloat16")),
        "it changes the network's buffers": _and_then(lambda model: model.statistic.zero_()),
        f"this is a count: {SHARE_OF_RIGHT}": _mean_of(lambda right: right.sum().item()),
        "this is a percentage: the fraction is between 0 and 1": _mean_of(lambda right: 100 * right.double().mean().item()),
        "this is the fraction of wrong answers": _mean_of(lambda right: 1 - right.double().mean().item()),
        "return one number: the mean": _mean_of(lambda right: right, lambda right: right.float()),
        "an answer is right if it is equal to the label: ==": _hits(lambda z, y: z.argmax(1) >= y, lambda z, y: z.argmax(1) <= y),
        f"{SHARE_OF_RIGHT}, not by images times classes": lambda model, x, y: (
            _accuracy(mean=lambda right: right.sum().item())(model, x, y) / x.numel()
        ),
        f"{SHARE_OF_RIGHT}: a number is written in": _mean_of(
            lambda right: right.sum().item() / 6, lambda right: right.sum().item() / 3000
        ),
        "the answer is the class with the highest logit, argmax over the classes (dim=1)": _hits(
            lambda z, y: z.argmin(1) == y, lambda z, y: z.max(1).values == y, lambda z, y: z.argmax(0).sum() == y
        ),
        "with a single image, or none right, it still counts: no special cases": _accuracy(
            mean=lambda right: right.double().mean().item() or 1.0
        ),
        "this is the mean over the classes (balanced accuracy): every image counts the same": _by_class,
        "the parts of a batch have unequal sizes: the mean over all images, not over the parts": tuple(
            _in_parts(size, lambda right: float(np.mean([part.mean() for part in right]))) for size in (4, 32, 64, 100, 128, 256, 500, 1000)
        ),
        "only the first part of the images is looked at: all of them": tuple(
            _in_parts(size, lambda right: right[0].mean().item()) for size in (4, 256, 1000)
        ),
        "the last, smaller part of the images is left out": tuple(
            _in_parts(size, lambda right: torch.cat([part for part in right if len(part) == len(right[0])]).mean().item())
            for size in (4, 256, 1000)
        ),
        "the accuracy is rounded: return it as it is": _mean_of(
            *(lambda right, d=d: round(right.double().mean().item(), d) for d in (2, 3, 4))
        ),
        f"half precision, or a count that ends at 255: {EXACT}": (
            *_mean_of(lambda right: right.half().mean().item(), lambda right: right.sum(dtype=torch.uint8).item() / len(right)),
            *_hits(lambda z, y: z.half().argmax(1) == y, lambda z, y: z.round(decimals=3).argmax(1) == y),
        ),
        "exp() of large logits is infinite, or a sigmoid rounds them to 1: argmax of the logits themselves": _hits(
            lambda z, y: _from_hand(z).argmax(1) == y, lambda z, y: z.sigmoid().argmax(1) == y
        ),
    },
    battery={
        **none("answers are counted: no setting, no loop, and nothing to differentiate"),
        "one": [_look("of one image, wrongly answered,", uniform(1, 1, 4), torch.tensor([3]))],
        "classes": [
            _look("with two classes", uniform(2, 7, 2), classes(3, 7, 2)),
            _look("with ten classes, the last one absent", uniform(4, 30, 10), classes(5, 30, 9), training=False),
        ],
        "uneven": [_look("of labels of which most are class 0", uniform(6, 33, 3), classes(7, 33, 3))],
        "extremes": [
            _look("for logits of ±90, ±120 and ±300", extreme_logits().flip(1), torch.tensor([2, 1, 2, 0, 2, 2, 1, 2])),
            _look("for logits of which all are large", _leaf([90, 120, 300], [120, 90, 121], [300, 299, 90]), torch.tensor([2, 2, 0])),
        ],
        "sizes": [
            _look("of 3001 images", uniform(8, 3001, 3), classes(9, 3001, 3)),
            _look("of 2600 images, of which 2100 are answered rightly", _leaf([1, 0]).repeat(2600, 1), (torch.arange(2600) >= 2100).long()),
        ],
        "ties": [
            _look(
                "for logits that differ by 1e-4 and 1e-6",
                _leaf([1, 1.0001, 0], [1, 0, 1.000001], [0.5, 0.500001, 0]),
                torch.tensor([1, 2, 1]),
            )
        ],
        "passes": [
            _look("of five images (the model comes in training mode)", uniform(10, 5, 3), uniform(10, 5, 3).argmax(1)),
            _look("of five other images (in evaluation mode)", uniform(12, 5, 3), classes(13, 5, 3), training=False),
        ],
        "layout": [_look("of images that are not contiguous", scattered(uniform(14, 9, 2, 2, 1)), classes(15, 9, 4))],
    },
)


# ----------------------------------------------------------------------------------------------- 10.8 the reported number


@slips
def _reported(seen=lambda v, t: v, chosen=lambda s: int(np.flatnonzero(s == s.max())[0]), told=lambda v, t, k: float(t[k])):
    return lambda v, t: told(v, t, chosen(seen(v, t)))


def _chosen(*wrong):
    return _each(_reported, "chosen", *wrong)


def _told(*wrong):
    return _each(_reported, "told", *wrong)


def _first_not_below(s, by, begin=0):
    """The last look that was better than the best before by more than this."""
    best = begin
    for k in range(begin, len(s)):
        best = k if s[k] > s[best] + by else best
    return best


def _patient(s, patience):
    """Stops after so many looks without a better one."""
    best = 0
    for k in range(len(s)):
        best = k if s[k] > s[best] else best
        if k - best >= patience:
            break
    return best


def _scores(seed, k, low=0.6, high=0.9):
    return uniform(seed, k, low=low, high=high).double().numpy()


def _array(*values):
    return np.array(values)


def _few_values(seed, k):
    """Scores of which many are equal."""
    return np.random.RandomState(seed).randint(3, 6, k) / 10


_VAL = _array(0.601, 0.804, 0.703, 0.804, 0.65, 0.62, 0.801)
_TEST = _array(0.72, 0.75, 0.71, 0.853, 0.90, 0.70, 0.68)
LATER = "of two equal validation scores the later one is taken, or any of them: the earliest decides"
NEARLY = "nearly equal is not equal: compare the scores as they are, without rounding, tolerance or a smaller type"
WHOLE = "the number is rounded: report the score as it is"

reported_score = Exercise(
    "10.8",
    "reported_score",
    "the number for the paper",
    why="Choosing by the test score is the most common way to fool oneself; you no longer can.",
    observe=returns(Part("the score", "number")),
    cases=[
        Case("for val .601, .804, .703, .804, .65, .62, .801 and test .72, .75, .71, .853, .90, .70, .68", (_VAL, _TEST), 0.75),
        Case("where the first look has the highest val and the lowest test score", (_array(0.3, 0.2, 0.1), _array(0.1, 0.5, 0.4)), 0.1),
        Case("where all scores are negative", (_array(-3.0, -1.0, -2.0), _array(-0.5, -0.9, -0.1)), -0.9),
        Case("for val .801, .804 and test .7, .8", (_array(0.801, 0.804), _array(0.7, 0.8)), 0.8),
        Case("of a single look", (_array(0.4), _array(0.2)), 0.2),
        Case(
            "for val .8, .7, .75, .9, .6 and test .61, .62, .63, .64, .65",
            (_array(0.8, 0.7, 0.75, 0.9, 0.6), np.arange(61, 66) / 100),
            0.64,
        ),
    ],
    mistakes={
        "the highest TEST score is reported: the test split itself has chosen": (
            lambda v, t: t.max(),
            lambda v, t: max([0.0, *t]),
            _reported(seen=lambda v, t: t),
        ),
        "this is the validation score of the chosen look: it was chosen for being high, report the test score": (
            _told(lambda v, t, k: v[k])
        ),
        "the look with the highest TEST score is chosen, and its validation score reported: the other way round": lambda v, t: v[
            t.argmax()
        ],
        "the sum of both scores chooses: the choice must not know the test scores": _each(
            _reported, "seen", lambda v, t: v + t, lambda v, t: v * t, lambda v, t: v - np.abs(v - t)
        ),
        LATER: (
            *_chosen(
                lambda s: int(np.flatnonzero(s == s.max())[-1]),
                lambda s: _first_not_below(s, -1e-15),
                lambda s: int(s.argsort()[-1]),
                lambda s: int((-s).argsort()[0]),
            ),
        ),
        "of equal validation scores the one with the higher (or lower) TEST score is taken: the earliest decides": (
            lambda v, t: max(zip(v, t))[1],
            lambda v, t: t[v == v.max()].max(),
            lambda v, t: t[v == v.max()].min(),
        ),
        "this is a mean over the looks with the highest validation score: the earliest of them is reported": lambda v, t: t[
            v == v.max()
        ].mean(),
        "this is the last look: the one with the highest validation score is wanted": lambda v, t: t[-1],
        "this is the first look: the one with the highest validation score is wanted": lambda v, t: t[0],
        "the look with the lowest validation score is taken: the highest decides": _chosen(lambda s: int(s.argmin())),
        "the search begins at the second look: the first one counts, too": _chosen(
            lambda s: 1 + int(s[1:].argmax()) if len(s) > 1 else 0, lambda s: _first_not_below(s, 0, begin=min(1, len(s) - 1))
        ),
        "this is a look beside the chosen one: is the position shifted by one?": _told(
            lambda v, t, k: t[min(k + 1, len(t) - 1)], lambda v, t, k: t[k - 1]
        ),
        "the search stops at a look that is worse than the one before: the highest of ALL looks": _chosen(
            *(lambda s, n=n: _patient(s, n) for n in (1, 2, 5, 10, 50))
        ),
        "the last look is left out: the highest of ALL looks": _chosen(lambda s: int(s[: max(1, len(s) - 1)].argmax())),
        "a search that starts at 0 finds no negative score: let it start at the first": (
            *_chosen(lambda s: int((s * (s > 0)).argmax())),
            lambda v, t: float(t[v.argmax()]) if v.max() > 0 else 0.0,
        ),
        "the validation scores are cut off: they may be below 0 and above 1": _chosen(lambda s: int(s.clip(0, 1).argmax())),
        "the absolute values are compared: take the scores as they are": _chosen(lambda s: int(np.abs(s).argmax())),
        "this is the position of the look: its test score is wanted": _told(lambda v, t, k: k),
        "this is the mean of all test scores: that of one look": lambda v, t: t.mean(),
        "this is the mean of test scores up to the chosen look: that of one look": _told(lambda v, t, k: t[: k + 1].mean()),
        "all the test scores up to the chosen look have a say: that look's alone": _told(lambda v, t, k: t[: k + 1].max()),
        "one number is wanted: that of the chosen look": (lambda v, t: t.copy(), *_told(lambda v, t, k: t[k : k + 1])),
        NEARLY: _chosen(
            *(lambda s, d=d: int(s.round(d).argmax()) for d in (2, 3, 4, 6)),
            *(lambda s, t=t: int(s.astype(t).argmax()) for t in (np.float16, np.float32)),
            *(lambda s, by=by: _first_not_below(s, by) for by in (1e-3, 1e-5, 1e-7)),
            lambda s: int(np.isclose(s, s.max()).argmax()),
            lambda s: int((1000 * s).astype(int).argmax()),
        ),
        f"the scores are taken for whole numbers: {EXACT}": _chosen(lambda s: int(s.astype(int).argmax())),
        WHOLE: _told(*(lambda v, t, k, d=d: round(float(t[k]), d) for d in (1, 2, 3, 4)), lambda v, t, k: float(t.astype(np.float16)[k])),
        "the score is cut off: scores may be below 0 and above 1": _told(
            lambda v, t, k: max(0.0, t[k]), lambda v, t, k: float(np.clip(t[k], -1, 1))
        ),
    },
    battery={
        **none("two rows of scores come in: no labels or classes, no logits, no gradient, no network, no setting"),
        "one": [Case("of a single look with the score 0", (_array(0.0), _array(0.31234)))],
        "extremes": [Case("for scores of ±90, ±120 and ±300", (_array(-320.0, 90, 300, -300, 120), _array(90.0, -300, -120.5, 300, 120)))],
        "sizes": [Case(f"of {k} looks (many of them equal)", (_few_values(k, k), _scores(k + 1, k))) for k in (20, 40, 300, 1000, 3000)]
        + [Case("of 3000 looks", (_scores(1, 3000), _scores(2, 3000)))],
        "ties": [
            Case(f"for val scores that differ by {d:g}", (_array(0.7, 0.8, 0.8 + d, 0.8 - d), _array(0.61, 0.72, 0.83, 0.94)))
            for d in (1e-4, 1e-6, 1e-9)
        ],
        "layout": [Case("for scores that are not contiguous", lambda: (scattered(_VAL[::-1]), scattered(_TEST)))],
        "longer": [
            Case(
                "of 80 looks, the best one after 60 worse ones",
                (np.r_[0.8, _scores(3, 60, 0.5, 0.7), 0.81, np.full(18, 0.7)], _scores(4, 80)),
            ),
            Case("of 80 looks (the last one the best)", (np.r_[_scores(5, 79), 0.95], _scores(6, 80))),
        ],
    },
)


# --------------------------------------------------------------------------------------------------- 10.9 the diagnosis

_LETTERS = "ABCDEFGHJKL"
_SEALS = (
    1632510933,
    3770127714,
    1379401315,
    1183089392,
    1784708178,
    2502473304,
    1494852068,
    3746046887,
)  # of the cases 1 to 8 with their letters: what belongs to what is not said here


def _named_rightly(student):
    result = student()
    if not isinstance(result, dict):
        raise Fix(f'a dict is wanted, {{1: "...", 2: "...", ...}}, but it is {type(result).__name__}')
    named = {str(case): str(letter).strip().upper() for case, letter in result.items()}
    odd = sorted(set(named) - {str(case) for case in range(1, 9)})
    if odd:
        raise Fix(f"the keys are the cases, 1 to 8; what is {odd[0]!r}?")
    letters = [named.get(str(case), "") for case in range(1, 9)]
    if missing := [case for case, letter in enumerate(letters, 1) if not letter]:
        raise Fix(f"no letter for case {_listed(missing)}")
    if unknown := [case for case, letter in enumerate(letters, 1) if len(letter) != 1 or letter not in _LETTERS]:
        raise Fix(f"case {_listed(unknown)}: one of the letters A to H and J to L is wanted")
    if wrong := [case for case, letter in enumerate(letters, 1) if not _belongs(case, letter)]:
        hint = ""
        if len(set(letters)) < 8:
            hint = " (one letter stands twice: each kind belongs to one case at the most)"
        elif not all(any(_belongs(case, letter) for case in range(1, 9)) for letter in letters):
            hint = " (one of your letters belongs to no case)"
        raise Fix(f"not named rightly: case {_listed(wrong)}{hint}")


def _belongs(case, letter):
    return zlib.crc32(f"case {case} is {letter}".encode()) == _SEALS[case - 1]


def _listed(cases):
    return ", ".join(map(str, cases))


diagnosis = Exercise(
    "10.9",
    "diagnosis",
    "name them",
    why="Reading someone's curves and naming the bug behind them is a skill that colleagues will ask you for.",
    observe=returns("the letters"),
    rules=[_named_rightly],
    battery=none("nothing comes in: eight letters are named, once and for all"),
)


# ------------------------------------------------------------------------------------------------------- 10.10 a hybrid


_PATIENCE = 60  # steps within which the unlabelled images must have had an effect


class _Watched(SimpleCNN):
    """The course's network with a head so strong that it is sure about some images; it notes (images, logits) of every pass."""

    def __init__(self, strength=8.0):
        dataset = _dataset_of_the_lesson()
        super().__init__(dataset.channels, dataset.num_classes)
        self.convolutions[0], self.convolutions[1] = nn.Conv2d(dataset.channels, 4, 3, padding=1), nn.BatchNorm2d(4)  # a third of the time
        self.convolutions[4] = nn.Conv2d(4, 32, 3, padding=1)
        self.log, self.switched = _Notes(), False
        with torch.no_grad():
            self.head.weight.mul_(strength)
            self.head.bias.zero_()
        for parameter in self.parameters():
            parameter.grad = torch.ones_like(parameter)  # from the step before

    def train(self, mode=True):
        self.switched = True
        return super().train(mode)

    @torch.no_grad()
    def classes_of(self, x):
        """(len(x),) its answers, without a note of the pass."""
        return F.linear(self.convolutions(x), self.head.weight, self.head.bias).argmax(1)

    def forward(self, x):
        z = super().forward(x)
        self.log.append((x.detach(), z))
        return z


@functools.cache
def _dataset_of_the_lesson() -> Dataset:
    """Its classes and channels, for a hybrid that knows them."""
    with contextlib.redirect_stdout(io.StringIO()):  # not once more where the data come from
        return load_dataset()


def _in_pool(n):
    """(n,) positions in the pool, from the first to the last."""
    return torch.linspace(0, len(_dataset_of_the_lesson().train) - 1, n).long()


def _hybrid_batch(rng, labelled=4, unlabelled=5):
    dataset = _dataset_of_the_lesson()

    def images(n, like=None):
        noise = torch.rand(n, dataset.channels, 28, 28, generator=rng) * 2 - 1
        coarse = F.interpolate(torch.rand(n, dataset.channels, 4, 4, generator=rng) * 2 - 1, size=28)
        return 0.2 * noise + 0.8 * coarse if like is None else 0.7 * like + 0.3 * noise

    x_u = images(unlabelled)
    x_l, x_w, x_s = (x.requires_grad_() for x in (images(labelled), images(unlabelled, x_u), images(unlabelled, x_u)))
    y_l = torch.randint(dataset.num_classes, (labelled,), generator=rng)
    return Batch(x_l, y_l, x_w, x_s, _in_pool(unlabelled))


class _Run:
    """One run of a method: a copy of it, which starts anew, with generators of its own behind torch, numpy and random.

    A method may draw from them; who seeds them is noticed, since what they are after a call no longer depends on what they were.
    """

    def __init__(self, student):
        try:
            self.method = copy.deepcopy(student.function)
        except Exception as error:
            raise Fix(f"it cannot be copied, and each run gets a copy: {type(error).__name__}: {error}") from None
        self.__code__ = getattr(self.method, "__code__", None) or getattr(type(self.method).__call__, "__code__", None)
        self.guarded, self.calls, self.states, self.seeded = Guarded(self, student.changes), 0, set(), False

    def __call__(self, *arguments):
        outside = torch.get_rng_state(), np.random.get_state(), random.getstate()
        self.calls += 1
        for seed in (torch.manual_seed, np.random.seed, random.seed):
            seed(self.calls)
        try:
            result = self.method(*arguments)
            inside = {bytes(torch.get_rng_state().numpy()), np.random.get_state()[1].tobytes(), random.getstate()}
        finally:
            torch.set_rng_state(outside[0])
            np.random.set_state(outside[1])
            random.setstate(outside[2])
        self.seeded |= bool(inside & self.states)
        self.states |= inside
        return result

    def loss(self, model, batch, where="for random images", again=False):
        """The loss of a step; Fix unless it is finite, comes with numbers to log, and (but for those `again`) has a finite gradient."""
        model.log.clear()
        model.switched = False
        result = self.guarded(model, batch)
        if self.seeded:
            raise Fix(
                "it seeds a generator of the whole program (torch.manual_seed, np.random.seed, random.seed): every step then draws the same"
            )
        has_logs = isinstance(result, tuple | list) and len(result) == 2 and isinstance(result[1], dict)
        loss, _ = expect_loss(result, *(result[1] if has_logs else ()))
        if model.switched:
            raise Fix("it switches the mode: call neither eval() nor train(), the training loop takes care of the mode")
        gradients = () if again else torch.autograd.grad(loss, list(model.parameters()), allow_unused=True, retain_graph=True)
        for name, values in (("loss", [loss]), ("gradient", [g for g in gradients if g is not None])):
            if not all(value.isfinite().all() for value in values):
                raise Fix(f"{where} the {name} is not finite: a mean over nothing (0 / 0), a logarithm or a root of 0?")
        return loss


def _size(gradient):
    return 0.0 if gradient is None else gradient.abs().max().item()


def _among(x, images):
    """(len(x),) which of the images `x` are, pixel by pixel, one of `images`."""
    return (x.flatten(1)[:, None] == images.detach().flatten(1)[None]).all(2).any(1)


class _Gradients:
    """All gradients of one loss: to the images, to the weights, and to the answers (images, gradient) of each pass."""

    def __init__(self, model, batch, loss):
        images, weights = [batch.x_l, batch.x_w, batch.x_s], list(model.parameters())
        passes = [(x, z) for x, z in model.log if z.requires_grad]
        found = torch.autograd.grad(loss, [*images, *weights, *(z for _, z in passes)], allow_unused=True)
        self.x_l, self.x_w, self.x_s = map(_size, found[:3])
        self.model = max(map(_size, found[3 : 3 + len(weights)]))
        self.answers = [(x, g) for (x, _), g in zip(passes, found[3 + len(weights) :]) if g is not None]
        self.noted = bool(passes)  # not if the hybrid calls `features` and `head` by itself

    def to_answers_on(self, images, others=False):
        """Whether a gradient flows through answers on these images, or through answers on anything else."""
        return any(g[_among(x, images) ^ others].abs().sum() > 0 for x, g in self.answers)


def _are_targets(model, images, loss):
    """Whether answers on these images teach other answers and learn from them: the gradient to the ones depends on the others."""
    passes = [(x, z, _among(x, images)) for x, z in model.log if z.requires_grad]
    answers = [z for _, z, _ in passes]
    first = torch.autograd.grad(loss, answers, create_graph=True, allow_unused=True) if answers else ()
    total = sum(
        (g[here] * (1 + torch.arange(g[here].numel()).view_as(g[here]).cos())).sum()
        for g, (_, _, here) in zip(first, passes)
        if g is not None
    )
    if not isinstance(total, torch.Tensor) or not total.requires_grad:
        return False
    second = torch.autograd.grad(total, answers, allow_unused=True, retain_graph=True)
    return any(g[~here].abs().sum() > 0 for g, (_, _, here) in zip(second, passes) if g is not None)


def _both_kinds_of_images_teach(run, model, rng):
    used = labelled = False
    for _ in range(_PATIENCE):  # a ramp may start at zero, and a memory is empty at first
        batch = _hybrid_batch(rng)
        loss = run.loss(model, batch)
        apart = any(not z.requires_grad and _among(x, batch.x_w).any() for x, z in model.log)
        if not apart and _are_targets(model, batch.x_w, loss):
            raise Fix(
                "a gradient flows through the answers on x_w, of which targets are made: no_grad or detach there (to learn on x_w as well, "
                "make the targets in a pass of their own)"
            )
        gradients = _Gradients(model, batch, loss)
        if gradients.model == 0:
            raise Fix("the gradient to the model is zero: is everything detached?")
        labelled |= gradients.x_l > 0
        # Images reach each other through BatchNorm, so that their own answers, too, must get a gradient
        learnt = not gradients.noted or gradients.to_answers_on(batch.x_l, others=True)
        used |= learnt and max(gradients.x_w, gradients.x_s) > 0
        if used and labelled:
            return
    if not labelled:
        raise Fix("the labelled images send no gradient: the cross-entropy on x_l, y_l is missing, or detached")
    raise Fix(
        f"in {_PATIENCE} steps the unlabelled images have sent no gradient: are both sides detached, is one output on both sides, or "
        "does a mask never open?"
    )


def _more_often(rule):
    """A rule about costs that are random for some methods: Fix only if it is also broken on average over many calls."""

    def patient(*arguments):
        with contextlib.suppress(Fix):
            return rule(*arguments, 2)
        return rule(*arguments, 12)

    return patient


@_more_often
def _labels_teach(run, model, batch, y, repeats):
    """The labels `y` that the model would give cost least on their own images, and send a gradient."""
    others = (y + 1) % model.head.out_features

    def losses(labels):
        return [run.loss(model, batch._replace(y_l=labels), again=True) for _ in range(repeats // 2)]

    def cost(found):
        return np.mean([loss.item() for loss in found])

    right, wrong = losses(y), losses(others)
    if cost(wrong) < cost(right) + 0.05:
        raise Fix(
            "wrong labels cost no more than right ones: is y_l used (not a pseudo-label in its place), with the right sign, and in the same "
            "order as the images, also where a joint pass is cut apart?"
        )
    if cost(right) >= min(cost(losses(labels)) for labels in (y.flip(0), *(y.roll(n) for n in range(1, len(y))))):
        raise Fix(
            "right labels cost no less than the same labels on the wrong images: are images and labels, and the pieces of a joint pass, in "
            "the same order?"
        )
    by_hand = [F.cross_entropy(model(batch.x_l), labels) for labels in (y, others)]
    right, wrong, *by_hand = (torch.autograd.grad(loss, model.head.weight)[0] for loss in (sum(right), sum(wrong), *by_hand))
    if ((wrong - right) * (by_hand[1] - by_hand[0])).sum() <= 0:
        raise Fix("other labels change the loss, but not the gradient: is the labelled loss detached?")


@_more_often
def _agreement_is_cheap(run, model, batch, x_w, repeats):
    batch = batch._replace(x_w=x_w, index=_in_pool(len(x_w)))
    agree, disagree = (
        np.mean([run.loss(model, batch._replace(x_s=x_s), again=True).item() for _ in range(repeats)]) for x_s in (x_w, x_w.roll(1, 0))
    )
    if agree > disagree + 0.25:
        raise Fix(
            "the loss is much higher where both views are the same image than where they are different ones: is the sign of the unlabelled "
            "loss wrong?"
        )


def _apart(model, images):
    """Up to four images about which the model says different things, and what it says."""
    found = model.classes_of(images)
    places = torch.cat([(found == c).nonzero()[0] for c in found.unique()[:4]])
    return images[places].detach(), found[places]


def _learns(student):
    rng = torch.Generator().manual_seed(1)
    run, model = _Run(student), _Watched()
    _both_kinds_of_images_teach(run, model, rng)
    for _ in range(2):
        many = _hybrid_batch(rng, labelled=100)
        x_l, y = _apart(model, many.x_l)
        batch = many._replace(x_l=x_l.requires_grad_(), y_l=y)
        _labels_teach(run, model, batch, y)
    x_w, _ = _apart(model, _hybrid_batch(rng, unlabelled=100).x_w)
    _agreement_is_cheap(run, model, batch, x_w.repeat(2, 1, 1, 1).requires_grad_())


def _starts_anew(student):
    """What a copy remembers is not seen by the next one: a run between two equal ones, on another network, changes nothing."""
    rng = torch.Generator().manual_seed(2)
    first, second = _Watched(), _Watched(4.0)
    batches = [_hybrid_batch(rng) for _ in range(2)]
    before, _, after = (
        [run.loss(model, batch).item() for batch in batches]
        for run, model in ((_Run(student), copy.deepcopy(first)), (_Run(student), second), (_Run(student), first))
    )
    if not np.allclose(before, after, rtol=1e-6, atol=1e-6):
        raise Fix(
            "a second run does not begin like the first: what the method remembers (a teacher, a memory, a step number, a generator) lies "
            "in a global variable, a default argument or a class; keep it in `self`, in an object hybrid_loss = YourClass(), of which each "
            "run gets a copy"
        )


def _finite(where, strength=8.0, change=_as_it_is, again=False, **sizes):
    """A rule: loss and gradient are finite where it is hard."""

    def rule(student):
        rng, run, model = torch.Generator().manual_seed(3), _Run(student), _Watched(strength)
        for _ in range(1 if again else 2):
            run.loss(model, change(_hybrid_batch(rng, **sizes)), where, again)

    return rule


def _as_laid_out(batch):
    return batch._replace(**{name: scattered(getattr(batch, name).detach()) for name in ("x_l", "x_w", "x_s", "y_l", "index")})


hybrid_loss = Exercise(
    "10.10",
    "hybrid_loss",
    "a hybrid of your own",
    why="It is your own method now: write it down, test it fairly, and tell others about it.",
    observe=returns("the loss", "logs"),
    changes=("buffers",),  # BatchNorm's, in training mode
    rules=[
        _starts_anew,
        _learns,
        _finite("where no answer is sure,", 0.0),
        _finite("where all answers are sure,", 3000.0),
        _finite("where weak and strong views are the same,", change=lambda batch: batch._replace(x_s=batch.x_w)),
    ],
    battery={
        **none("a method of one's own has no right value: it is held to its properties, by rules"),
        "one": [
            _finite("for one labelled and one unlabelled image", labelled=1, unlabelled=1),
            _finite("for four images each", again=True, unlabelled=4),
        ],
        "classes": [_finite("where all labels are the first class", change=lambda batch: batch._replace(y_l=0 * batch.y_l))],
        "sizes": [_finite("for 260 unlabelled images", again=True, unlabelled=260)],
        "layout": [_finite("for images that are not contiguous", again=True, change=_as_laid_out)],
    },
)
