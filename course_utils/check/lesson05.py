"""Checks of lesson 05: the consistency loss, its ramp and step, the two memories, Dice and the warp."""

import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.batches import Batch
from course_utils.check.battery import classes, extreme_logits, none, probabilities, scattered, uniform
from course_utils.check.cases import RECORDED, Case, Exercise, loss_and_logs, returns, slips
from course_utils.check.expect import Fix, Part, expect_tuple, flat
from course_utils.check.probe import Probe


def _p(logits):
    return logits.softmax(1)


def _one_class(p):
    return F.one_hot(p.argmax(1), p.shape[1]).to(p.dtype)


def _from_hand(logits):
    return logits.exp() / logits.exp().sum(1, keepdim=True)


def _of_sure_targets(z, target):
    return ((_p(z) - target).square().mean(1) * (target.amax(1) >= 0.5)).mean()


def _apart(x):
    """The same numbers in another order in memory: no view() makes a row of them."""
    return x.mT.contiguous().mT if x.ndim > 1 else scattered(x)


# ------------------------------------------------------------------------------------------- 5.1 the consistency loss


@slips
def _loss(reduce=torch.mean, p=_p, t=lambda t: t.detach(), distance=torch.square):
    return lambda logits, target: reduce(distance(p(logits) - t(target)))


def _pair(seed, n, num_classes):
    return uniform(seed, n, num_classes), probabilities(seed + 1, n, num_classes)


_Z, _T = torch.tensor([[1.0, 0, 0], [2, 0, -1]]), torch.tensor([[0.0, 1, 0], [0.5, 0.5, 1]]).softmax(1)
# Logits [1, 0, 0] and the target softmax([0, 1, 0]): the distributions (e, 1, 1) / (e + 2) and (1, e, 1) / (e + 2) differ by
# a and -a in the first two classes
_SUM, _A = math.e + 2, (math.e - 1) / (math.e + 2)
_ONE_ROW = {
    "the loss": 2 / 3 * _A**2,
    "the gradient to the logits": [[2 / 3 * math.e / _SUM * (_A - _A**2), -2 / 3 / _SUM * (_A + _A**2), -2 / 3 / _SUM * _A**2]],
    "the gradient to the target": [[0.0, 0.0, 0.0]],
}
SIZE = "a size is written in, or divides twice: other batches have other sizes, and one .mean() over everything counts them"
ONE_NUMBER = "one number is wanted: the mean over images and classes"
OVERFLOW = "exp() of a large logit is infinite: softmax subtracts the largest one first"

consistency_loss = Exercise(
    "5.1",
    "consistency_loss",
    "the consistency loss",
    why="The same image, seen twice, deserves the same answer: this one line carries half of the field.",
    observe=returns(Part("the loss", "tensor"), gradient={0: "the logits", 1: "the target"}),
    cases=[
        Case("of two images", (_Z, _T), 0.130562),
        Case("for logits [1, 0, 0] and the target softmax([0, 1, 0])", (torch.tensor([[1.0, 0, 0]]), _T[:1]), _ONE_ROW),
        Case("for two images whose targets are their own answers", (_Z, _Z.softmax(1)), (0.0, torch.zeros(2, 3), torch.zeros(2, 3))),
        Case(
            "of five images of two classes, each .5 against a target of 1 and 0",
            (torch.zeros(5, 2), torch.tensor([[1.0, 0]]).expand(5, 2)),
            (0.25, torch.tensor([[-0.05, 0.05]]).expand(5, 2), torch.zeros(5, 2)),
        ),
    ],
    mistakes={
        "the squares are summed over the classes: take the mean over the classes, too": _loss(reduce=lambda s: s.sum(1).mean()),
        "the images are summed: take the mean over the images, too": _loss(reduce=lambda s: s.mean(1).sum()),
        "the squares are summed: take the mean over images and classes": _loss(reduce=torch.sum),
        ONE_NUMBER: tuple(_loss(reduce=reduce) for reduce in (lambda s: s, lambda s: s.sum(1), lambda s: s.mean(1), lambda s: s.mean(0))),
        "logits are compared with probabilities: apply softmax to the logits": _loss(p=lambda z: z),
        "the softmax belongs to the logits: target holds probabilities already": _loss(p=lambda z: z, t=lambda t: _p(t.detach())),
        "target holds probabilities already: no second softmax on it": _loss(t=lambda t: _p(t.detach())),
        "softmax is applied twice to the logits": _loss(p=lambda z: _p(_p(z))),
        "softmax runs over the images (dim=0): it must run over the classes": _loss(p=lambda z: z.softmax(0)),
        "sigmoid treats classes one by one: softmax makes them a distribution": _loss(p=torch.sigmoid),
        "these are absolute differences: square them": _loss(distance=torch.abs),
        "no root: the mean of the squares": (_loss(reduce=lambda s: s.mean().sqrt()), _loss(reduce=lambda s: s.sum(1).sqrt().mean())),
        "no factor of one half: the plain mean": _loss(reduce=lambda s: s.mean() / 2),
        "the sign is wrong: a squared distance is positive": _loss(reduce=lambda s: -s.mean()),
        "this is the cross-entropy: the squared distance is wanted": lambda z, t: F.cross_entropy(z, t.detach()),
        "this is a divergence: the squared distance is wanted": (
            lambda z, t: F.kl_div(z.log_softmax(1), t.detach(), reduction="batchmean"),
            lambda z, t: F.kl_div(z.log_softmax(1), t.detach(), reduction="mean"),
        ),
        "the logarithm does not belong here: compare probabilities": _loss(p=lambda z: z.log_softmax(1)),
        "the target is made one class (argmax): compare with the probabilities as they are": _loss(t=lambda t: _one_class(t.detach())),
        "the differences cancel out: square them first": (
            _loss(distance=lambda d: d),
            _loss(reduce=lambda d: d.mean() ** 2, distance=lambda d: d),
        ),
        "a gradient flows to the target: detach it": _loss(t=lambda t: t),
        "the wrong one is constant: no gradient flows to the target, one to the logits": _loss(p=lambda z: _p(z).detach(), t=lambda t: t),
        "the loss is cut off from the logits: no .item(), no torch.tensor(...) on the way": lambda z, t: torch.tensor(
            F.mse_loss(_p(z), t).item(), requires_grad=True
        ),
        "half of the gradient is missing: no detach inside the square": _loss(distance=lambda d: d * d.detach()),
        "no gradient flows through the softmax's sum: leave it to .softmax(dim=1)": _loss(
            p=lambda z: z.exp() / z.exp().sum(1, keepdim=True).detach()
        ),
        SIZE: (
            *(_loss(reduce=lambda s, n=n: s.sum(1).mean() / n) for n in (2, 3, 7, 10)),
            *(_loss(reduce=lambda s, n=n: s.mean(1).sum() / n) for n in (2, 32, 64)),
            *(_loss(reduce=lambda s, axis=axis: s.sum() / s.shape[axis] ** 2) for axis in (0, 1)),
            *(_loss(reduce=lambda s, axis=axis: s.mean() / s.shape[axis]) for axis in (0, 1)),
        ),
        OVERFLOW: _loss(p=_from_hand),
        "half precision: leave the numbers as they are": _loss(p=lambda z: z.half().softmax(1).to(z.dtype)),
        "unsure targets are left out: every image counts the same": lambda z, t: _of_sure_targets(z, t.detach()),
    },
    battery={
        **none("there are no labels, no network, no setting and no loop, and nothing is compared"),
        "one": [Case("for one image", _pair(1, 1, 4))],
        "classes": [Case("for two classes", _pair(3, 4, 2)), Case("for ten classes", _pair(5, 3, 10))],
        "extremes": [
            Case("for logits of ±90, ±120 and ±300", (extreme_logits(), probabilities(7, 8, 3))),
            Case("for targets of exactly 0 and 1", (uniform(8, 8, 3), torch.eye(3)[classes(9, 8, 3)])),
        ],
        "gradient": [Case("for four images of three classes", _pair(10, 4, 3))],
        "sizes": [Case("for 3000 images", _pair(12, 3000, 3)), Case("for 300 classes", _pair(14, 2, 300))],
        "layout": [Case("for inputs that are not contiguous", tuple(map(_apart, _pair(16, 4, 3))))],
    },
)


# ------------------------------------------------------------------------------------------------------- 5.2 the ramp


def _at(step, ramp_steps, right=RECORDED):
    return Case(f"at step {step} of a ramp of {ramp_steps}", (step, ramp_steps), right)


def _factor(t):
    return math.exp(-5 * (t - 1) * (t - 1))


@slips
def _ramp(factor=_factor, t=lambda step, n: min(1.0, step / n), without=lambda step: 1.0):
    return lambda step, n: factor(t(step, n)) if n else without(step)


NO_RAMP = "ramp_steps = 0 means no ramp: the factor is 1 at every step, at step 0, too"

ramp_up = Exercise(
    "5.2",
    "ramp_up",
    "the ramp",
    why="At first the answers are noise, so agreement means little; a gentle start keeps the noise from teaching.",
    observe=returns(Part("the factor", "number")),
    cases=[
        *(_at(100 * n, 400, math.exp(exponent)) for n, exponent in enumerate((-5, -2.8125, -1.25, -0.3125, 0))),
        _at(1, 4, math.exp(-2.8125)),
        _at(0, 1, math.exp(-5)),
        _at(600, 400, 1.0),
        _at(0, 0, 1.0),
        _at(7, 0, 1.0),
    ],
    mistakes={
        "this is the fraction t itself: put it into the formula": _ramp(factor=lambda t: t),
        "the factor is always 1: does the fraction t come out as 1?": _ramp(factor=lambda t: 1.0),
        "the fraction is cut down to a whole number: `/` instead of `//`": _ramp(t=lambda step, n: min(1, step // n)),
        "the square is missing": _ramp(factor=lambda t: math.exp(-5 * (1 - t))),
        "the sign in the exponent is missing": _ramp(factor=lambda t: math.exp(5 * (1 - t) ** 2)),
        "the ramp falls: (1 - t), not t": _ramp(factor=lambda t: math.exp(-5 * t**2)),
        "the square belongs to the whole bracket: (1 - t) squared": _ramp(factor=lambda t: math.exp(-5 * (1 - t**2))),
        "the 5 is missing": _ramp(factor=lambda t: math.exp(-((1 - t) ** 2))),
        "the 5 is squared, too: it stands outside the square": _ramp(factor=lambda t: math.exp(-((5 * (1 - t)) ** 2))),
        "the square swallows the minus sign: only (1 - t) is squared": _ramp(factor=lambda t: math.exp((-5 * (1 - t)) ** 2)),
        "this is 1 minus the factor": _ramp(factor=lambda t: 1 - _factor(t)),
        "w_max does not belong here: the factor alone, at most 1": tuple(
            _ramp(factor=lambda t, w=w: w * _factor(t)) for w in (10.0, 100.0)
        ),
        "the ramp has another length: divide by ramp_steps itself": (
            _ramp(t=lambda step, n: min(1.0, step / (n - 1)) if n > 1 else 1.0),
            _ramp(t=lambda step, n: min(1.0, step / (n + 1))),
        ),
        "the ramp is one step ahead: it begins with step 0": _ramp(t=lambda step, n: min(1.0, (step + 1) / n)),
        "the ramp ends too early: the factor is 1 from step ramp_steps on": _ramp(t=lambda step, n: 1.0 if step >= n - 1 > 0 else step / n),
        "the fraction multiplies the factor: it stands in the exponent only": _ramp(factor=lambda t: t * _factor(t)),
        "the base is e: math.exp": tuple(_ramp(factor=lambda t, base=base: base ** (-5 * (1 - t) ** 2)) for base in (2, 10)),
        "the fraction is upside down: step / ramp_steps": _ramp(t=lambda step, n: n / max(step, 1)),
        "the exponential is missing": (_ramp(factor=lambda t: (1 - t) ** 2), _ramp(factor=lambda t: -5 * (1 - t) ** 2)),
        "at step 0 the factor is small, exp(-5), and not 0": _ramp(factor=lambda t: _factor(t) if t > 0 else 0.0),
        "ramp_steps is an argument: it is not always 400": _ramp(t=lambda step, n: min(1.0, step / 400)),
        "a ramp of one step has a step 0 as well: only ramp_steps = 0 means no ramp": _ramp(
            t=lambda step, n: min(1.0, step / n) if n > 1 else 1.0
        ),
        "after the ramp the factor falls again: the fraction t never exceeds 1": _ramp(t=lambda step, n: step / n),
        "after the ramp the factor stays at 1": (
            _ramp(factor=lambda t: _factor(t) if t <= 1 else 0.0, t=lambda step, n: step / n),
            _ramp(factor=lambda t: _factor(t) if t < 1 else 0.0),
        ),
        NO_RAMP: (
            *(_ramp(without=lambda step, value=value: value) for value in (math.exp(-5), 0.0, math.nan)),
            *(_ramp(without=lambda step, value=value: 1.0 if step else value) for value in (math.exp(-5), 0.0, math.nan)),
        ),
        "with ramp_steps = 0 it divides by zero: there is no ramp then, and the factor is 1 at every step, at step 0, too. Ask before you divide": (
            _ramp(without=lambda step: step / 0),
            _ramp(without=lambda step: 1.0 if step else step / 0),
        ),
        "the fraction is rounded: leave it as it is": tuple(
            _ramp(t=lambda step, n, places=places: round(min(1.0, step / n), places)) for places in (1, 2, 3, 4)
        ),
        "the factor is rounded: leave it as it is": tuple(
            _ramp(factor=lambda t, places=places: round(_factor(t), places)) for places in (2, 3, 4)
        ),
        "the factor is cut off below: it begins at exp(-5) = .0067": _ramp(factor=lambda t: max(0.01, _factor(t))),
    },
    battery={
        **none("two whole numbers come in: no labels, no logits, no gradient, no network, no layout"),
        "one": [_at(1, 1), _at(2, 1)],
        "sizes": [_at(1000, 3000), _at(70_000, 100_000), _at(100_000, 100_000)],
        "ties": [_at(55_555, 100_000), _at(1, 3), _at(133, 401)],
        "ends": [_at(1, 0), _at(399, 400), _at(401, 400), _at(1_000_000, 400)],
        "longer": [_at(10, 400), _at(40, 400), _at(320, 400), _at(380, 400), _at(3, 7)],
    },
)


# ------------------------------------------------------------------------------------------------------- 5.3 one step


def _images_of(logits):
    return logits.reshape(len(logits), -1, 1, 1)


def _batch(z_l, y_l, z_w, z_s):
    return Batch(_images_of(z_l), y_l, _images_of(z_w), _images_of(z_s), torch.arange(len(z_w)))


def _drawn(seed, labelled, unlabelled, num_classes, absent=(), sure=1.0):
    z = [uniform(seed + i, n, num_classes) for i, n in enumerate((labelled, unlabelled, unlabelled))]
    return _batch(z[0], classes(seed + 3, labelled, num_classes, absent), sure * z[1], z[2])


# The student's logits are an image's own numbers, the teacher's are their cubes
_X_L, _Y_L = torch.tensor([[1.0, 0, 0.5], [0, 1.5, 0]]), torch.tensor([0, 2])
_X_W = torch.tensor([[1.2, 0, 0], [0, 1.1, 0.3], [0.4, 0, 1.3], [0.9, 0.8, 0]])
_X_S = torch.tensor([[0.3, 0.8, 0], [0.5, 0.2, 0], [1, 0, 0.1], [0, 0.6, 1]])
_EXAMPLE = _batch(_X_L, _Y_L, _X_W, _X_S)
_LOSS_L = (math.log(math.e + 1 + math.exp(0.5)) - 1 + math.log(2 + math.exp(1.5))) / 2
_LOSS_U, _LOSS_OWN = 0.1026367, 0.0601653  # from a teacher of its own, and from the student itself
_SAME = Probe()


def _passes(student, teacher, batch, _weight):
    """One joint pass of the student, over labelled and strong images; one pass of the teacher, over the weak ones, without gradients."""
    labelled, unlabelled = len(batch.x_l), len(batch.x_w)
    teacher.expect_mode()
    if student is not teacher and any(gradient for _, gradient, _ in teacher.calls):
        raise Fix("the teacher works with gradients: put its pass under torch.no_grad()")
    student.expect_joint_pass(batch)
    of_student = [size for size, gradient, _ in student.calls if gradient or student is not teacher]
    asked = [size for size, gradient, _ in teacher.calls if not gradient]
    if max(of_student) > labelled + unlabelled:
        raise Fix("too many images go through the student: only x_l and x_s, the weak views are the teacher's")
    if len(of_student) > 1:
        raise Fix(f"the student runs {len(of_student)} times: one joint pass over x_l and x_s is enough")
    if not asked:
        raise Fix("the teacher itself is never asked: teacher(batch.x_w), no copy of it")
    if max(asked) < unlabelled:
        raise Fix("the weak views go through the teacher in pieces: one pass, so that BatchNorm sees them together")
    if asked != [unlabelled]:
        raise Fix("the teacher answers more than it is asked for: one pass, over the weak views x_w")


@torch.no_grad()
def _logits(network, x):
    return network(x)


def _soft(network, x):
    return _p(_logits(network, x))


def _joint(network, b, view="x_s"):
    return network(torch.cat([b.x_l, getattr(b, view)])).tensor_split([len(b.x_l)])


@slips
def _step(
    target=lambda s, t, b: _soft(t, b.x_w),
    answers=lambda s, t, b: _joint(s, b),
    agree=lambda z, goal: F.mse_loss(_p(z), goal),
    label=F.cross_entropy,
    total=lambda l, u, w: l + w * u,
    logs=lambda l, u, w: u,
):
    def answer(student, teacher, batch, weight):
        goal, (z_l, z_s) = target(student, teacher, batch), answers(student, teacher, batch)
        l, u = label(z_l, batch.y_l), agree(z_s, goal)
        return total(l, u, weight), {"consistency": torch.as_tensor(logs(l, u, weight)).item()}

    return answer


def _cut(cut, first="x_l", then="x_s"):
    return _step(answers=lambda s, t, b: cut(s(torch.cat([getattr(b, first), getattr(b, then)])), b))


def _squares(reduce):
    return _step(agree=lambda z, goal: reduce((_p(z) - goal).square()))


def _probability(z, y):
    return _p(z)[range(len(y)), y]


CUT = "are the logits cut in the wrong place? Cut after len(batch.x_l) rows"
MISSING = "the consistency loss is missing or zero: is the STUDENT's answer to x_s compared with the teacher's?"
BY_TEACHER = "the student's answer to x_s is taken from the TEACHER, and no gradient flows: the student answers x_s"
LABELLED_TOO = "the consistency loss runs over the labelled images, too: it compares the unlabelled ones, x_s with x_w"
SWAPPED = "the views or the networks are swapped: the teacher answers x_w, the student x_s"
NO_GRADIENT = "the consistency loss gives no gradient: no detach of the student's answer, and .item() for the logs only"
SUMMED = "the consistency loss is a sum: does your consistency_loss take the mean over images and classes?"
EPSILON = "a small number is added before the logarithm: bad mistakes then give no gradient; use F.cross_entropy"


def _one_step(what, batch, weight, *right, student=None, teacher=None):
    """What is right: the loss and what is logged."""
    expected = dict(zip(("the loss", "logs['consistency']"), right)) or RECORDED
    return Case(what, (student or Probe(), teacher or Probe(3), batch, weight), expected)


def _losses(function, student, teacher, batch, weight):
    for network in (student, teacher):
        network.scale.grad = torch.ones(1)  # from the step before
    return loss_and_logs("consistency", passes=_passes, batch_at=2)(function, student, teacher, batch, weight)


consistency_step = Exercise(
    "5.3",
    "consistency_step",
    "one step",
    why="Swap the teacher, and this one step is the Π-model or the mean teacher: a whole family in your hands.",
    observe=_losses,
    cases=[
        _one_step("of the worked example, with weight 5", _EXAMPLE, 5.0, _LOSS_L + 5 * _LOSS_U, _LOSS_U),
        _one_step("of the worked example, with weight 1", _EXAMPLE, 1.0, _LOSS_L + _LOSS_U, _LOSS_U),
        _one_step("with weight 0", _EXAMPLE, 0.0, _LOSS_L, _LOSS_U),
        _one_step("with weight 0 and a frozen teacher", _EXAMPLE, 0.0, _LOSS_L, _LOSS_U, teacher=Probe(3).requires_grad_(False)),
        _one_step("of a student that is its own teacher", _EXAMPLE, 1.0, _LOSS_L + _LOSS_OWN, _LOSS_OWN, student=_SAME, teacher=_SAME),
    ],
    mistakes={
        MISSING: (_step(total=lambda l, u, w: l + 0 * u), _squares(lambda d: 0 * d.sum()), _step(target=lambda s, t, b: _soft(s, b.x_s))),
        BY_TEACHER: _step(answers=lambda s, t, b: (_joint(s, b)[0], _logits(t, b.x_s))),
        "the labelled loss is missing": _step(total=lambda l, u, w: w * u),
        "the weight is ignored": _step(total=lambda l, u, w: l + u),
        "the weight multiplies both losses: it weighs the consistency loss only": _step(total=lambda l, u, w: w * (l + u)),
        "the weight multiplies the labelled loss: it weighs the consistency loss": _step(total=lambda l, u, w: w * l + u),
        "the weight is cut off at 1: it is a weight, and may be larger": _step(total=lambda l, u, w: l + min(w, 1.0) * u),
        "the weight counts twice: is it multiplied in two places?": _step(total=lambda l, u, w: l + w * w * u),
        "the labelled loss is weighed with 1 - weight: it counts in full": _step(total=lambda l, u, w: (1 - w) * l + w * u),
        "the two losses are averaged: add them": _step(total=lambda l, u, w: (l + w * u) / 2),
        LABELLED_TOO: _step(
            target=lambda s, t, b: _soft(t, torch.cat([b.x_l, b.x_w])), answers=lambda s, t, b: (_joint(s, b)[0], torch.cat(_joint(s, b)))
        ),
        "the teacher sees the same view as the student: x_w": _step(target=lambda s, t, b: _soft(t, b.x_s)),
        "the target comes from the student: ask the teacher": _step(target=lambda s, t, b: _soft(s, b.x_w)),
        SWAPPED: (
            _step(target=lambda s, t, b: _soft(t, b.x_s), answers=lambda s, t, b: _joint(s, b, "x_w")),
            _step(target=lambda s, t, b: _soft(s, b.x_w), answers=lambda s, t, b: (s(b.x_l), t(b.x_s))),
        ),
        "the student answers the weak view: learn on x_s": _step(answers=lambda s, t, b: _joint(s, b, "x_w")),
        "the labelled loss is the teacher's: the student learns the labels": _step(answers=lambda s, t, b: (t(b.x_l), s(b.x_s))),
        "the teacher learns, instead of the student: the student gets x_l and x_s": _step(answers=lambda s, t, b: _joint(t, b)),
        "the target holds logits: softmax makes probabilities of them": _step(target=lambda s, t, b: _logits(t, b.x_w)),
        "softmax is applied twice to the teacher's answer": _step(target=lambda s, t, b: _p(_soft(t, b.x_w))),
        "softmax is applied twice to the student's: consistency_loss takes logits": _step(
            agree=lambda z, goal: F.mse_loss(_p(_p(z)), goal)
        ),
        "logits are compared with probabilities: does your consistency_loss apply softmax to the student's?": _step(agree=F.mse_loss),
        "the target is made one class (argmax): take the teacher's probabilities": _step(
            target=lambda s, t, b: _one_class(_soft(t, b.x_w))
        ),
        "the target is sharpened: take the teacher's probabilities as they are": _step(target=lambda s, t, b: _p(2 * _logits(t, b.x_w))),
        "unsure targets are left out: every unlabelled image counts": _step(agree=_of_sure_targets),
        SUMMED: (_squares(lambda d: d.sum(1).mean()), _squares(lambda d: d.sum(0).mean()), _squares(torch.sum)),
        "the labelled loss is summed over the images: take its mean, cross_entropy's default": _step(
            label=lambda z, y: F.cross_entropy(z, y, reduction="sum")
        ),
        "the teacher's softmax runs over the images (dim=0): over the classes": _step(target=lambda s, t, b: _logits(t, b.x_w).softmax(0)),
        "the consistency loss is a cross-entropy here: use your consistency_loss": _step(agree=F.cross_entropy),
        "the consistency loss is a divergence here: use your consistency_loss": _step(
            agree=lambda z, goal: F.kl_div(z.log_softmax(1), goal, reduction="batchmean")
        ),
        "softmax is applied before the cross-entropy, which applies it itself": _step(label=lambda z, y: F.cross_entropy(_p(z), y)),
        "the labels are smoothed: the plain cross-entropy": _step(label=lambda z, y: F.cross_entropy(z, y, label_smoothing=0.1)),
        "the labels are not used: the cross-entropy of batch.x_l, batch.y_l": (
            _step(label=lambda z, y: -z.log_softmax(1).mean()),
            _step(label=lambda z, y: F.cross_entropy(z, z.argmax(1))),
        ),
        "one_hot counts the classes that occur: use F.cross_entropy": _step(
            label=lambda z, y: -(F.one_hot(y) * z.log_softmax(1)).sum(1).mean()
        ),
        "the classes are weighted: every labelled image counts the same": _step(
            label=lambda z, y: F.cross_entropy(z, y, weight=1 / torch.bincount(y, minlength=z.shape[1]).clamp(min=1))
        ),
        EPSILON: _step(label=lambda z, y: -(_probability(z, y) + 1e-8).log().mean()),
        "log(softmax) of a small probability is infinite: use F.cross_entropy": _step(label=lambda z, y: -_probability(z, y).log().mean()),
        OVERFLOW: (
            _step(agree=lambda z, goal: F.mse_loss(_from_hand(z), goal)),
            _step(target=lambda s, t, b: _from_hand(_logits(t, b.x_w))),
        ),
        "the images are glued together in one order and cut apart in another": _cut(
            lambda z, b: z.tensor_split([len(b.x_l)]), "x_s", "x_l"
        ),
        CUT: (
            _cut(lambda z, b: z.chunk(2)),
            _cut(lambda z, b: (z[:2], z[2:])),
            _cut(lambda z, b: (z[:32], z[32:])),
            _cut(lambda z, b: z.tensor_split([len(b.x_s)])),
        ),
        NO_GRADIENT: (_squares(lambda d: d.mean().detach()), _squares(lambda d: d.mean().item())),
        "the labelled loss gives no gradient: no detach and no .item() there": _step(label=lambda z, y: F.cross_entropy(z, y).detach()),
        "logs['consistency'] is weighted: log the loss before it is multiplied by the weight": _step(logs=lambda l, u, w: w * u),
        "logs['consistency'] holds the labelled loss": _step(logs=lambda l, u, w: l),
        "logs['consistency'] holds the whole loss": _step(logs=lambda l, u, w: l + w * u),
        "logs['consistency'] is rounded: leave it as it is": _step(logs=lambda l, u, w: round(u.item(), 3)),
        "weight 0 is no special case: the consistency loss is computed and logged all the same": _step(
            logs=lambda l, u, w: u if w else 0.0
        ),
    },
    errors={"must match the size": CUT, "match target batch_size": CUT, "batch_size (": CUT, "split_with_sizes": CUT},
    battery={
        **none("nothing is compared or sorted, and there is no loop: one step"),
        "one": [
            _one_step("for one labelled and one unlabelled image", _drawn(1, 1, 1, 3), 1.5),
            _one_step("for two labelled images and one without", _drawn(5, 2, 1, 3), 1.0),
        ],
        "classes": [
            _one_step("for two classes", _drawn(9, 3, 4, 2), 0.5),
            _one_step("for ten classes, the last one absent", _drawn(13, 6, 4, 10, (9,), sure=0.3), 3.0),
        ],
        "uneven": [_one_step("for labels of which most are class 0", _drawn(17, 12, 5, 4), 7.0)],
        "extremes": [
            _one_step(
                "for logits of ±90, ±120 and ±300",
                _batch(extreme_logits(), classes(21, 8, 3), extreme_logits().flip(1), extreme_logits().flip(0)),
                2.0,
                teacher=Probe(),
            )
        ],
        "gradient": [_one_step("for four labelled and seven unlabelled images", _drawn(22, 4, 7, 3), 4.0)],
        "sizes": [_one_step("for 300 labelled and 2100 unlabelled images", _drawn(26, 300, 2100, 3), 5.0)],
        "passes": [
            _one_step("for as many unlabelled images as labelled ones", _drawn(34, 5, 5, 3), 1.2),
            _one_step("for a teacher in evaluation mode", _drawn(38, 3, 4, 3), 2.5, teacher=Probe(3).eval()),
            _one_step("for a student in evaluation mode", _drawn(42, 3, 4, 3), 0.8, student=Probe().eval()),
        ],
        "layout": [_one_step("for images that are not contiguous", Batch(*map(scattered, _drawn(46, 3, 4, 3))), 2.0)],
        "ends": [_one_step("with weight 100", _drawn(50, 3, 4, 3), 100.0), _one_step("with weight .01", _drawn(54, 3, 4, 3), 0.01)],
    },
)


# ------------------------------------------------------------------------------------------- 5.4 temporal ensembling


@slips
def _ens(
    row=lambda old, z, a: old.lerp(z, 1 - a),
    raised=lambda n, i: n.index_add(0, i, torch.ones_like(i)),
    by=lambda n, i, a: 1 - a ** n[i],
    out=lambda v: (v.Z, v.n, v.target),
    at=lambda i: i,
):
    def update(Z, counts, index, z, alpha):
        i = at(index)
        rows, n = row(Z[i], z.detach(), alpha), raised(counts, i)
        target = rows / by(n, i, alpha)[..., None]
        return out(SimpleNamespace(old=Z, Z=Z.index_copy(0, i, rows), rows=rows, n=n, target=target, z=z.detach(), i=i, a=alpha))

    return update


def _first_as_it_is(old, z, a):
    return torch.where(old.sum(1, keepdim=True) == 0, z, a * old + (1 - a) * z)


def _visited(convert):
    """Counts that are kept as something else."""
    return _ens(raised=lambda n, i: convert(n.index_add(0, i, torch.ones_like(i))).long())


def _pool(seed, num_images, num_classes, batch, alpha, counts=None):
    """A pool in the midst of a training: memories that fit their counts."""
    counts = classes(seed, num_images, 5) if counts is None else counts
    Z = probabilities(seed + 1, num_images, num_classes) * (1 - alpha ** counts[:, None])
    index = torch.randperm(num_images, generator=torch.Generator().manual_seed(seed))[:batch]
    return Z.float(), counts, index, probabilities(seed + 2, batch, num_classes), alpha


_EMPTY, _NONE = torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64)
_MEMORY = torch.tensor([[0.24, 0.16], [0, 0], [0.32, 0.08], [0.432, 0.208]])
_NEW = torch.tensor([[0.5, 0.5], [0.9, 0.1], [0.3, 0.7]], requires_grad=True)
ONE_COUNT = "each image has a count of its own: not one divisor for all"
COUNTS_SMALL = "the counts overflow or are cut off: they stay int64, and an image may come by hundreds of times"
NO_SPECIAL_CASE = "Z holds the target, or z itself: divide for the target only, not in Z (a first visit is no special case)"
WHOLE_POOL = "only a part of the rows is returned: Z and counts are the memories of the whole pool"
IN_ORDER = "the rows take z in in the order of the pool, as with a mask: image b of the batch is row index[b] of Z"
OLD_IMAGES = "images that came by often are left uncorrected: divide by 1 - alpha ** count, whatever the count"

ensemble_update = Exercise(
    "5.4",
    "ensemble_update",
    "temporal ensembling",
    why="An average over many epochs is steadier than any single answer, and it costs only memory.",
    observe=returns(
        Part("Z", "float tensor", constant=True), Part("counts", "int64 tensor"), Part("the target", "float tensor", constant=True)
    ),
    cases=[
        Case(
            "after image 1 of 3 came by with (.8, .2) for the first time, at alpha = .6",
            (_EMPTY, _NONE, torch.tensor([1]), torch.tensor([[0.8, 0.2]]), 0.6),
            ([[0, 0], [0.32, 0.08], [0, 0]], [0, 1, 0], [[0.8, 0.2]]),
        ),
        Case(
            "after image 1 of 3 came by with (.1, .9) for the first time, at alpha = .9",
            (_EMPTY, _NONE, torch.tensor([1]), torch.tensor([[0.1, 0.9]]), 0.9),
            ([[0, 0], [0.01, 0.09], [0, 0]], [0, 1, 0], [[0.1, 0.9]]),
        ),
        Case(
            "after (.8, .2) and then (.6, .4)",
            (torch.tensor([[0.32, 0.08]]), torch.tensor([1]), torch.tensor([0]), torch.tensor([[0.6, 0.4]]), 0.6),
            ([[0.432, 0.208]], [2], [[0.675, 0.325]]),
        ),
        Case(
            "after the images 3, 0 and 1 came by, for the 3rd, 2nd and 1st time",
            (_MEMORY, torch.tensor([1, 0, 1, 2]), torch.tensor([3, 0, 1]), _NEW, 0.6),
            (
                [[0.504, 0.136], [0.12, 0.28], [0.32, 0.08], [0.4592, 0.3248]],
                [2, 1, 1, 3],
                [[41 / 70, 29 / 70], [0.7875, 0.2125], [0.3, 0.7]],
            ),
        ),
    ],
    mistakes={
        "the weights are swapped: alpha belongs to the old Z, 1 - alpha to z": (
            _ens(row=lambda old, z, a: old.lerp(z, a)),
            _ens(row=lambda old, z, a: old.lerp(z, a), by=lambda n, i, a: 1 - (1 - a) ** n[i]),
        ),
        NO_SPECIAL_CASE: (
            _ens(out=lambda v: (v.old.index_copy(0, v.i, v.target), v.n, v.target)),
            _ens(row=lambda old, z, a: z),
            _ens(row=_first_as_it_is),
            _ens(row=_first_as_it_is, out=lambda v: (v.Z, v.n, v.rows)),
        ),
        "Z is not changed: take z in at the rows index": _ens(out=lambda v: (v.old.clone(), v.n, v.target)),
        WHOLE_POOL: (
            _ens(out=lambda v: (v.Z[v.i], v.n[v.i], v.target)),
            _ens(out=lambda v: (v.Z[v.i], v.n, v.target)),
            _ens(out=lambda v: (v.Z[: v.i.max() + 1], v.n[: v.i.max() + 1], v.target)),
        ),
        "image b of the batch is row index[b] of Z, not row b": _ens(at=lambda i: torch.arange(len(i))),
        IN_ORDER: _ens(at=lambda i: i.sort().values),
        "an image that did not come by has a smaller row, too: only the rows index change": _ens(
            out=lambda v: ((v.a * v.old).index_copy(0, v.i, v.rows), v.n, v.target)
        ),
        "the rows of images that did not come by are lost: start with Z.clone()": _ens(
            out=lambda v: (torch.zeros_like(v.old).index_copy(0, v.i, v.rows), v.n, v.target)
        ),
        "z holds probabilities already: no softmax": _ens(row=lambda old, z, a: a * old + (1 - a) * _p(z)),
        "the old Z is not multiplied: alpha * Z + (1 - alpha) * z": _ens(row=lambda old, z, a: old + (1 - a) * z),
        "the old Z is lost: alpha * Z + (1 - alpha) * z": _ens(row=lambda old, z, a: (1 - a) * z),
        "z is not multiplied: alpha * Z + (1 - alpha) * z": _ens(row=lambda old, z, a: a * old + z),
        "alpha is ignored in Z: it is an argument, not always .6": _ens(row=lambda old, z, a: old.lerp(z, 0.4)),
        "the counts are not raised: each image that came by counts one more": (
            _ens(out=lambda v: (v.Z, v.n.index_add(0, v.i, -torch.ones_like(v.i)), v.target)),
            _ens(raised=lambda n, i: n.clone()),
        ),
        "the counts of all images are raised: only those of the images index": _ens(raised=lambda n, i: n + 1),
        "the count is set to 1: it grows by 1 with each visit": _ens(raised=lambda n, i: n.index_fill(0, i, 1)),
        "the count grows by more than 1 with a visit": _ens(raised=lambda n, i: n.index_add(0, i, torch.full_like(i, 2))),
        COUNTS_SMALL: (_visited(lambda n: n.to(torch.uint8)), _visited(lambda n: n.half()), _visited(lambda n: n.clamp(max=100))),
        "the target is not corrected: divide by 1 - alpha ** count": _ens(by=lambda n, i, a: torch.ones(len(i))),
        "the divisor uses the counts before this visit: by the NEW counts": (
            _ens(by=lambda n, i, a: 1 - a ** (n[i] - 1)),
            _ens(by=lambda n, i, a: (1 - a ** (n[i] - 1)).clamp(min=1e-8)),
        ),
        "divide by 1 - alpha ** count, not by alpha ** count": _ens(by=lambda n, i, a: a ** n[i]),
        "divide by 1 - alpha ** count, do not multiply": _ens(by=lambda n, i, a: 1 / (1 - a ** n[i])),
        "the divisor is count * (1 - alpha): it is 1 - alpha ** count, with a power": _ens(by=lambda n, i, a: n[i] * (1 - a)),
        "the divisor is (1 - alpha) ** count: it is 1 - alpha ** count": _ens(by=lambda n, i, a: (1 - a) ** n[i]),
        "this divides by the count: by 1 - alpha ** count": _ens(by=lambda n, i, a: n[i]),
        "the divisor is the same for every count: 1 - alpha ** count": _ens(by=lambda n, i, a: (1 - a) * torch.ones(len(i))),
        "the divisor ignores alpha: it is not always .6": _ens(by=lambda n, i, a: 1 - 0.6 ** n[i]),
        OLD_IMAGES: tuple(_ens(by=lambda n, i, a, most=most: torch.where(n[i] < most, 1 - a ** n[i], 1.0)) for most in (3, 5, 10)),
        "the target is the new answer alone: correct the row of Z": _ens(out=lambda v: (v.Z, v.n, v.z)),
        "only the targets of the images index are wanted, (B, num_classes)": _ens(
            out=lambda v: (v.Z, v.n, v.Z / (1 - v.a ** v.n[:, None]))
        ),
        ONE_COUNT: (
            _ens(by=lambda n, i, a: (1 - a ** n.max()).expand(len(i))),
            _ens(by=lambda n, i, a: (1 - a ** n[i].min()).expand(len(i))),
        ),
        "the counts of other images are used: take counts[index], in the order of index": (
            _ens(by=lambda n, i, a: 1 - a ** n[i.sort().values]),
            _ens(by=lambda n, i, a: 1 - a ** n[: len(i)]),
        ),
        "the target has lost an axis: (B, num_classes)": _ens(out=lambda v: (v.Z, v.n, v.target.squeeze())),
        "the values are in another order: return (Z, counts, target)": (
            _ens(out=lambda v: (v.target, v.n, v.Z)),
            _ens(out=lambda v: (v.Z, v.target, v.n)),
            _ens(out=lambda v: (v.target, v.Z, v.n)),
            _ens(out=lambda v: (v.n, v.Z, v.target)),
        ),
        "the target is rounded: leave it as it is": _ens(out=lambda v: (v.Z, v.n, v.target.round(decimals=2))),
    },
    errors={"must match": "the divisors of B images are a column, (B, 1)"},
    battery={
        **none("there are no labels, no logits and no network, nothing is compared, and nothing that is returned has a gradient"),
        "one": [Case("for a pool of one image", _pool(1, 1, 4, 1, 0.6)), Case("for one image of five", _pool(4, 5, 3, 1, 0.7))],
        "classes": [Case("for ten classes", _pool(7, 6, 10, 4, 0.6)), Case("for two classes", _pool(10, 8, 2, 5, 0.8))],
        "extremes": [
            Case("for answers of exactly 0 and 1", (_MEMORY, torch.tensor([1, 0, 1, 2]), torch.tensor([1, 3]), torch.eye(2), 0.6))
        ],
        "sizes": [
            Case("for a pool of 3000 images, of which 300 came by", _pool(13, 3000, 3, 300, 0.6)),
            Case("for images that came by 4 to 4000 times before", _pool(16, 5, 3, 5, 0.9, torch.tensor([4, 30, 255, 2048, 4000]))),
        ],
        "layout": [Case("for inputs that are not contiguous", (*map(_apart, _pool(19, 6, 3, 4, 0.6)[:4]), 0.6))],
        "ends": [Case("at alpha = .05", _pool(22, 6, 3, 4, 0.05)), Case("at alpha = .97", _pool(25, 6, 3, 4, 0.97), tolerance=1e-4)],
        "longer": [
            Case("for a pool of which every image came by", _pool(28, 9, 3, 9, 0.6)),
            Case("for images that came by 1 to 20 times before", _pool(31, 5, 3, 5, 0.9, torch.tensor([1, 2, 5, 10, 20]))),
        ],
    },
)


# ------------------------------------------------------------------------------------------ 5.5 the teacher follows


class _Own(nn.Module):
    """A module without layers: its parameters and its buffers have names of their own."""

    def __init__(self):
        super().__init__()
        self.w, self.running_gain = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
        self.register_buffer("peak", torch.zeros(2))
        self.register_buffer("old_weight", torch.zeros(()))
        self.register_buffer("count", torch.zeros(1, dtype=torch.int64))
        self.register_buffer("seen", torch.zeros(1, dtype=torch.bool))
        self.register_buffer("unsaved", torch.zeros(2), persistent=False)  # not in the state_dict


def _small():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def _deep():
    inner = nn.Sequential(nn.Conv2d(3, 2, 2), nn.BatchNorm2d(2), nn.GroupNorm(1, 2))
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), inner, _Own(), nn.Linear(4, 2, bias=False))


def _filled(network, value):
    """All parameters are `value`, the buffers 1.5 times and, if they are whole numbers, 7 times as much."""
    for tensor in network.parameters():
        tensor.data.fill_(value)
    for tensor in network.buffers():
        tensor.fill_(1.5 * value if tensor.is_floating_point() else 7 * value)
    return network


def _random(network, seed):
    for n, tensor in enumerate((*network.parameters(), *network.buffers())):
        drawn = uniform(seed + n, tensor.numel()).view_as(tensor)
        tensor.data.copy_(drawn if tensor.is_floating_point() else torch.tensor(seed // 50 * 7))
    return network


def _two(build, seed):
    return _random(build(), seed), _random(build(), seed + 50)


def _frozen(network, *names):
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not (names == () or name in names))
    return network


def _follow(function, teacher, student, step, decay, times=1):
    """What becomes of the teacher in `times` updates."""
    own, its = list(teacher.parameters()), [*student.parameters(), *student.buffers()]
    for parameter in student.parameters():
        parameter.grad = torch.ones_like(parameter)  # from the training loop
    before = flat(its)
    for n in range(times):
        result = function(teacher, student, step + n, decay)
    if result is student:
        raise Fix("it returns the student: change the teacher, and return it")
    if result is not teacher:
        raise Fix("it returns something else than the teacher: change `teacher` itself, in place, and return it")
    if not torch.equal(flat(its), before):
        raise Fix("the student is changed: only the teacher moves")
    seen = {
        "a parameter of the teacher": flat(teacher.parameters()),
        "a buffer of the teacher": flat(b.double() for b in teacher.buffers()),
    }
    if any(mine is not old for mine, old in zip(teacher.parameters(), own)):
        seen["the place"] = Fix("the teacher gets new parameters: change the values of its own, in place (copy_, mul_, add_)")
    elif {a.data_ptr() for a in (*teacher.parameters(), *teacher.buffers())} & {b.data_ptr() for b in its}:
        seen["the place"] = Fix("teacher and student share their memory: change the values (copy_, mul_, add_), do not assign tensors")
    return seen


def _rate(step, decay):
    return min(step / (step + 1), decay)


def _mixed(a, b, k):
    return b + k * (a - b)


@slips
def _ema(keep=_rate, rule=_mixed, buffer=lambda a, b, k: b, moves=lambda n, name, a, b: True, copies=lambda name, owner: True):
    @torch.no_grad()
    def update(teacher, student, step, decay):
        k, its = keep(step, decay), dict(student.named_parameters())
        for n, (name, a) in enumerate(teacher.named_parameters()):
            if moves(n, name, a, its[name]):
                a.copy_(rule(a, its[name], k))
        for (name, a), b in zip(teacher.named_buffers(), student.buffers()):
            if copies(name, teacher.get_submodule(name.rpartition(".")[0])):
                a.copy_(buffer(a, b, k))
        return teacher

    return update


def _without_no_grad(teacher, student, step, decay):
    for a, b in zip(teacher.parameters(), student.parameters()):
        a.mul_(decay).add_(b, alpha=1 - decay)
    return teacher


def _by_name(averaged):
    """What is averaged, and what copied, is told from names."""

    @torch.no_grad()
    def update(teacher, student, step, decay):
        for (name, a), b in zip(teacher.state_dict().items(), student.state_dict().values()):
            a.copy_(_mixed(a, b, _rate(step, decay)) if averaged(name, a) else b)
        return teacher

    return update


BEHIND = "in a larger network some parameters stay behind: take all of parameters(), not some by their place, name or layer"
BUFFERS_BEHIND = "in a larger network some buffers stay behind: copy all of buffers(), whatever their names and layers"
FROZEN = "a parameter whose requires_grad is off stays behind: the teacher follows in all of them"
RAMP_MISSING = "the ramp of the decay is missing: min(1 - 1/(step + 1), decay)"
LATE, _ALL, _BUFFERS = 10_000, torch.ones(15), torch.tensor([1.5] * 6 + [7])  # what a small network holds


def _moves(what, before, after, right, step, decay, times=1):
    """A small network with all parameters `before` follows one with `after`, and has `right` in the end."""
    what = f"{what} (decay {decay}, before {before:g}, student {after:g})"
    inputs = _filled(_small(), before), _filled(_small(), after), step, decay
    return Case(what, inputs, (right * _ALL, after * _BUFFERS), {"times": times})


update_teacher = Exercise(
    "5.5",
    "update_teacher",
    "the teacher follows",
    why="An average of weights wobbles less than the weights themselves; you meet this trick all over deep learning.",
    observe=_follow,
    changes=("weights", "buffers"),
    cases=[
        _moves(f"at step {LATE:,}", 0.0, 1.0, 0.1, LATE, 0.9),
        _moves("at step 0", 5.0, 1.0, 1.0, 0, 0.99),
        _moves("at step 1", 0.0, 1.0, 0.5, 1, 0.999),
        _moves("at step 2", 0.5, 2.0, 1.0, 2, 0.999),
        _moves("at step 3", 1.0, 3.0, 1.5, 3, 0.999),
        _moves("at step 1, with a small decay", 0.0, 1.0, 0.7, 1, 0.3),
        _moves("at step 50", 0.0, 1.0, 0.1, 50, 0.9),
        _moves(f"after three updates from step {LATE:,} on", 0.0, 1.0, 0.271, LATE, 0.9, times=3),
    ],
    mistakes={
        "the decay is swapped: decay times the teacher, 1 - decay times the student": _ema(rule=lambda a, b, k: (1 - k) * a + k * b),
        "the teacher did not move: are copies changed, or is the result not stored in place?": _ema(rule=lambda a, b, k: a),
        "the teacher became a copy: is the decay ignored?": _ema(rule=lambda a, b, k: b),
        "the rate is 1/(step + 1): the `1 -` is missing, min(1 - 1/(step + 1), decay)": _ema(keep=lambda s, d: min(1 / (s + 1), d)),
        "decay is ignored: the rate is never above decay, min(1 - 1/(step + 1), decay)": (
            _ema(keep=lambda s, d: 1 - 1 / (s + 1)),
            _ema(keep=lambda s, d: max(1 - 1 / (s + 1), d)),
        ),
        "only the first parameter moved: is a return or break inside the loop?": _ema(moves=lambda n, *_: n == 0),
        "BatchNorm's weights are parameters, too: all parameters are averaged": (
            _ema(moves=lambda n, *_: n < 2),
            _ema(moves=lambda n, name, a, b: a.ndim > 1),
        ),
        "the biases did not move: all parameters are averaged": _ema(moves=lambda n, name, a, b: not name.endswith("bias")),
        "the decay .99 is written in: it is the argument": _ema(keep=lambda s, d: min(1 - 1 / (s + 1), 0.99)),
        "both count alike: decay times the teacher, 1 - decay times the student": _ema(rule=lambda a, b, k: (a + b) / 2),
        "the parameters are averaged twice": _ema(rule=lambda a, b, k: _mixed(_mixed(a, b, k), b, k)),
        "the two weights do not sum to one: decay times the teacher, 1 - decay times the student": (
            _ema(rule=lambda a, b, k: a + (2 - k) * b),
            _ema(rule=lambda a, b, k: k * a + b),
            _ema(rule=lambda a, b, k: a + (1 - k) * b),
        ),
        RAMP_MISSING: (_ema(keep=lambda s, d: d), _ema(keep=lambda s, d: d if s else 0.0)),
        "at step 0 the teacher becomes a copy, and does not stay as it is": _ema(keep=lambda s, d: _rate(s, d) if s else 1.0),
        "the rate is 1 - 1/(step + 1), not 1 - 1/step": _ema(keep=lambda s, d: min(1 - 1 / max(s, 1), d)),
        "the rate is 1 - 1/(step + 1), one step less": (
            _ema(keep=lambda s, d: min(1 - 1 / (s + 2), d)),
            _ema(keep=lambda s, d: min(1 - 1 / (s + 2), d) if s else 0.0),
        ),
        "the rate is rounded: leave it as it is": tuple(_ema(keep=lambda s, d, n=n: round(_rate(s, d), n)) for n in (2, 3)),
        "decay bounds the rate from the first step on: min(1 - 1/(step + 1), decay) at every step": tuple(
            _ema(keep=lambda s, d, late=late: 1 - 1 / (s + 1) if s < late else d) for late in (2, 10, 100)
        ),
        "BatchNorm's buffers are forgotten, or not changed in place: copy_ (a plain = in the loop changes no tensor, it only gives the name to another one)": _ema(
            buffer=lambda a, b, k: a
        ),
        "the buffers are averaged: they are copied": (
            _ema(buffer=lambda a, b, k: k * a + (1 - k) * b),
            _ema(buffer=lambda a, b, k: k * a + (1 - k) * b if b.is_floating_point() else b),
        ),
        "one of BatchNorm's buffers stays behind: running mean, running variance and the count of batches are copied": (
            _ema(buffer=lambda a, b, k: b if b.is_floating_point() else a),
            _ema(copies=lambda name, owner: "var" not in name),
        ),
        BEHIND: (
            _ema(moves=lambda n, *_: n < 3),
            _ema(moves=lambda n, *_: n < 4),
            _ema(moves=lambda n, name, a, b: name.count(".") == 1),
            _ema(moves=lambda n, name, a, b: name.endswith(("weight", "bias"))),
            _ema(moves=lambda n, name, a, b: "." in name, copies=lambda name, owner: "." in name),
        ),
        BUFFERS_BEHIND: (
            _ema(copies=lambda name, owner: isinstance(owner, nn.BatchNorm1d)),
            _ema(copies=lambda name, owner: isinstance(owner, nn.modules.batchnorm._BatchNorm)),
            _ema(copies=lambda name, owner: "running" in name or "num_batches" in name),
            _ema(copies=lambda name, owner: name.rpartition(".")[2] not in owner._non_persistent_buffers_set),
        ),
        "parameters and buffers are told apart by their names: parameters() and buffers() know": (
            _by_name(lambda name, a: name.endswith(("weight", "bias"))),
            _by_name(lambda name, a: a.is_floating_point() and "running" not in name),
        ),
        FROZEN: (_ema(moves=lambda n, name, a, b: a.requires_grad), _ema(moves=lambda n, name, a, b: b.requires_grad)),
        "a gradient is recorded for the change: update the teacher under torch.no_grad()": _without_no_grad,
    },
    errors={"Long": "BatchNorm counts its batches, a whole number: copy the buffers, do not average them"},
    battery={
        **none("two networks of the same build come in: no labels, no logits, no answers of them, no gradient, no layout"),
        "one": [Case("of a network of one feature", (*_two(lambda: nn.BatchNorm1d(1), 1), 1, 0.9))],
        "sizes": [Case("at step 3,000,000, with decay .9999", (*_two(_small, 2), 3_000_000, 0.9999))],
        "ties": [
            Case("at step 99, where the rate is .99, with decay .9901", (*_two(_small, 3), 99, 0.9901)),
            Case("at step 99, where the rate is .99, with decay .9899", (*_two(_small, 4), 99, 0.9899)),
            Case("where teacher and student are nearly the same", (_filled(_small(), 1.0), _filled(_small(), 1.001), 1, 0.9)),
        ],
        "ends": [
            Case("with decay 0", (*_two(_small, 5), 7, 0.0)),
            Case("with decay 1", (*_two(_small, 6), 7, 1.0)),
            Case("where all of the teacher is frozen", (_frozen(_random(_small(), 7)), _random(_small(), 57), 2, 0.9)),
            Case("where a part of both is frozen", (*(_frozen(m, "0.weight", "1.bias") for m in _two(_small, 11)), 2, 0.9)),
            Case("of a teacher in evaluation mode", (_random(_small(), 12).eval(), _random(_small(), 62), 2, 0.9)),
            Case("of a student in evaluation mode", (_random(_small(), 14), _random(_small(), 64).eval(), 2, 0.9)),
        ],
        "longer": [
            Case("of a larger network", (*_two(_deep, 16), 4, 0.9)),
            Case("of a larger network at step 0", (*_two(_deep, 20), 0, 0.9)),
            Case("of a module without layers", (*_two(_Own, 17), 1, 0.9)),
            Case("from step 0 to step 6", (*_two(_small, 18), 0, 0.8), options={"times": 7}),
        ],
    },
)


# ------------------------------------------------------------------------------------------------------ 5.6 soft Dice


def _area(x):
    return x.flatten(1).sum(1)


@slips
def _dice(
    above=lambda p, m: 2 * _area(p * m),
    below=lambda p, m: _area(p) + _area(m),
    empty=lambda p, m, total: total == 0,
    score=1.0,
    of=lambda p: p,
    end=lambda d: d,
):
    def answer(p, mask):
        p = of(p)
        total = below(p, mask)
        return end(torch.where(empty(p, mask, total), score, above(p, mask) / torch.where(total == 0, 1.0, total)))

    return answer


def _term(above, below):
    return lambda p, m: (2 * _area(p * m) + above) / (_area(p) + _area(m) + below)


def _summed(add):
    """The two sums are taken over something else."""
    return _dice(above=lambda p, m: 2 * add(p * m), below=lambda p, m: add(p + m))


def _scores(function, p, mask):
    """The scores, and their gradient. What a tiny term may do to it where p and mask are tiny is taken out by their sum."""
    seen = returns(Part("the Dice score", "float tensor"))(function, p.requires_grad_(), mask)
    scores = seen["the Dice score"]
    if not isinstance(scores, torch.Tensor):
        raise Fix("the scores must be a float tensor, one for each image, (B,): torch.stack makes one of a list")
    if scores.is_floating_point():
        if not scores.requires_grad:
            return seen | {"the gradient": Fix("the scores carry no gradient to p: no detach, no threshold, no no_grad here")}
        (gradient,) = torch.autograd.grad((scores * torch.arange(1, scores.numel() + 1).view(scores.shape)).sum(), p)
        if gradient.isnan().any():
            return seen | {"the gradient": Fix(NAN_GRADIENT)}
        seen["the gradient to p, times the sum of p and mask,"] = gradient * _area(p + mask).view(-1, 1, 1, 1).detach()
    return seen


def _small_images(*rows):
    return torch.tensor(rows).view(len(rows), 1, 2, 2)


def _drawn_masks(seed, n, *size):
    return uniform(seed, n, 1, *size, low=0.0, high=1.0), (uniform(seed + 1, n, 1, *size) > 0.7).float()


def _faint(value, right, tolerance):
    p = _small_images([value, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, value])
    return Case(f"for a probability of {value:g} where the mask is empty", (p, torch.zeros(2, 1, 2, 2)), right, tolerance=tolerance)


_HALF = _small_images([1.0, 1.0, 0.0, 0.0])
NAN_GRADIENT = "the gradient is nan where both are empty or nothing overlaps: clamp the divisor BEFORE dividing; no root, no logarithm"
SMALL = "something small is not nothing: the score is 1 only where both sums are zero"
CLAMPED = "the divisor is clamped at too large a value: at a tiny one"
TERM = "the term that avoids the division by zero is too large: 1e-7 at most, or clamp the divisor"
BATCH_SCORE = "one score for the whole batch: one for each image is wanted"
SIZE_OF_IMAGES = "the size of the images is written in: sum over all their pixels, dim=(1, 2, 3)"
IOU = "this is the overlap over the union (IoU): 2 times the overlap over both sums"
EMPTY = "where both are empty the score is 1 (a tiny term added to p, or below alone, makes it 0)"

soft_dice = Exercise(
    "5.6",
    "soft_dice",
    "soft Dice",
    why="When most pixels are background, accuracy says little; overlap says what a doctor wants to know.",
    observe=_scores,
    cases=[
        Case(
            "for three images",
            (
                _small_images([1.0, 0.5, 0.0, 0.5], [0.2, 0.2, 0.2, 0.2], [0.1, 0.9, 0.6, 0.0]),
                _small_images([1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]),
            ),
            [0.75, 2 / 9, 5 / 6],
        ),
        Case(
            "where nothing is to be found and nothing was; nothing is, but something was; something is, but nothing was",
            (_small_images([0.0] * 4, [0.5, 0, 0, 0.5], [0.0] * 4), _small_images([0.0] * 4, [0.0] * 4, [0, 1.0, 0, 0])),
            [1.0, 0.0, 0.0],
        ),
        Case("for two perfect masks of 4 times 6 pixels", (torch.eye(4, 6).expand(2, 1, 4, 6),) * 2, [1.0, 1.0]),
        Case(
            "for a probability of .1 on a mask of one pixel, and for the same without a mask",
            (_small_images([0.1, 0, 0, 0], [0.1, 0, 0, 0]), _small_images([1.0, 0, 0, 0], [0.0] * 4)),
            [0.2 / 1.1, 0.0],
        ),
        Case("for one image", (_small_images([1.0, 0.5, 0.0, 0.5]), _HALF), [0.75]),
        _faint(0.01, [0.0, 0.0], 5e-5),
        _faint(5e-4, [0.0, 0.0], 1e-3),
        _faint(1e-5, [0.0, 0.0], 5e-2),
    ],
    mistakes={
        "the factor 2 is missing": _dice(above=lambda p, m: _area(p * m)),
        IOU: _dice(above=lambda p, m: _area(p * m), below=lambda p, m: _area(p + m - p * m)),
        "the overlap is subtracted below: divide by the plain sum of both": _dice(below=lambda p, m: _area(p + m - p * m)),
        "this is the loss, 1 - D: the score is wanted": _dice(end=lambda d: 1 - d),
        BATCH_SCORE: (_summed(torch.sum), _summed(lambda x: x.sum().expand(len(x)))),
        "the mean over the images is taken: one score for each image is wanted": _dice(end=torch.mean),
        "the shape is (B,): sum over axis 1, too, dim=(1, 2, 3), without keepdim": (
            _dice(end=lambda d: d.view(-1, 1)),
            _dice(end=lambda d: d.view(-1, 1, 1, 1)),
        ),
        "a batch of one image lost its axis: the shape is (B,), also (1,), so no squeeze()": _dice(end=torch.squeeze),
        "p is cut at one half: soft Dice takes the probabilities as they are": (
            _dice(of=lambda p: (p > 0.5).float()),
            _dice(of=lambda p: (p >= 0.5).float()),
            _dice(of=lambda p: p + (p.round() - p).detach()),
        ),
        "a smoothing term of 1 changes the scores: a term of 1e-7 at most, or none": _term(1.0, 1.0),
        "a 1 is added below: a term of 1e-7 at most, or none": _term(0.0, 1.0),
        TERM: tuple(_term(least, least) for least in (1e-3, 1e-4, 1e-5, 1e-6)),
        "means are taken, beside which the term is large: take the sums over all pixels": (
            lambda p, m: (2 * _area(p * m) + 1e-7 * m[0].numel()) / (_area(p + m) + 1e-7 * m[0].numel())
        ),
        "the divisor sums squares: a variant of Dice; the plain sums are wanted": _dice(below=lambda p, m: _area(p * p + m * m)),
        "the sum of the mask is missing below": _dice(below=lambda p, m: _area(p)),
        "the sum of p is missing below": _dice(below=lambda p, m: _area(m)),
        "this is the recall: 2 times the overlap over both sums": _dice(above=lambda p, m: _area(p * m), below=lambda p, m: _area(m)),
        "this is the precision: 2 times the overlap over both sums": _dice(above=lambda p, m: _area(p * m), below=lambda p, m: _area(p)),
        "this is the fraction of right pixels: the overlap is wanted": (
            lambda p, m: ((p > 0.5) == m).float().flatten(1).mean(1),
            lambda p, m: (p == m).float().flatten(1).mean(1),
            lambda p, m: (p * m + (1 - p) * (1 - m)).flatten(1).mean(1),
        ),
        "sum over the pixels first, then divide": lambda p, m: (2 * p * m / (p + m)).nan_to_num().flatten(1).mean(1),
        "the sum leaves out an axis: over all pixels of an image, dim=(1, 2, 3)": tuple(
            _summed(lambda x, axes=axes: x.sum(axes)) for axes in (3, (1, 2))
        ),
        "p holds probabilities: no softmax": _dice(of=lambda p: p.softmax(1)),
        "p holds probabilities: no sigmoid here": _dice(of=torch.sigmoid),
        "where both are empty it is nan: the score is 1 there": _term(0.0, 0.0),
        EMPTY: (
            _dice(score=0.0),
            _term(0.0, 1e-7),
            _dice(of=lambda p: p + 1e-7),
            lambda p, m: (2 * _area(p * m) / _area(p + m)).nan_to_num(),
        ),
        "an empty mask alone does not make the score 1: something was found there": _dice(empty=lambda p, m, total: _area(m) == 0),
        "an empty prediction alone does not make the score 1: something was to be found": _dice(empty=lambda p, m, total: _area(p) == 0),
        "one empty image makes the score 1 everywhere: choose image by image": _dice(empty=lambda p, m, total: (total == 0).any()),
        SIZE_OF_IMAGES: tuple(_summed(lambda x, n=n: _area(x.reshape(-1, n))) for n in (4, 784)),
        CLAMPED: tuple(
            _dice(below=lambda p, m, n=n: _area(p + m).clamp(min=n), empty=lambda p, m, _: _area(p + m) == 0) for n in (1.2, 1.5, 2, 5, 10)
        ),
        SMALL: tuple(_dice(empty=lambda p, m, total, n=n: total < n) for n in (1e-4, 1e-3, 1e-2, 0.05, 0.5, 1.0)),
        "no gradient flows through the sum of p below: no detach, no no_grad there": _dice(below=lambda p, m: _area(p.detach() + m)),
        "no gradient flows through the overlap: no detach, no no_grad there": _dice(above=lambda p, m: 2 * _area(p.detach() * m)),
        "half precision: leave the numbers as they are": _dice(of=lambda p: p.half().float()),
        "the scores are rounded: leave them as they are": _dice(end=lambda d: d + (d.round(decimals=3) - d).detach()),
        "p is cut off below or above: take the probabilities as they are": tuple(
            _dice(of=lambda p, n=n: p.clamp(n, 1 - n)) for n in (1e-3, 1e-2)
        ),
    },
    errors={"invalid for input of size": SIZE_OF_IMAGES, "view size is not": "the numbers may lie in any order in memory: .flatten(1)"},
    battery={
        **none("there are no classes, no labels, no network and no loop: one region is to be found"),
        "one": [Case("for one image of one pixel", (torch.tensor([[[[0.3]]]]), torch.ones(1, 1, 1, 1)))],
        "extremes": [Case("for probabilities of exactly 0 and 1", (_drawn_masks(1, 3, 4, 4)[1], _drawn_masks(3, 3, 4, 4)[1]))],
        "gradient": [Case("for four images of 3 times 5 pixels", _drawn_masks(5, 4, 3, 5))],
        "sizes": [
            Case("for 300 images", _drawn_masks(7, 300, 2, 3)),
            Case("for two images of 56 times 84 pixels", _drawn_masks(9, 2, 56, 84)),
        ],
        "ties": [
            Case(
                "for probabilities that miss 0, 1 and one half by 1e-4 and 1e-6",
                (_small_images([1.0, 0.9999, 1e-4, 0.0], [1.0, 1 - 1e-6, 1e-6, 0.0], [0.5, 0.5001, 0.4999, 0.5]), _HALF.expand(3, 1, 2, 2)),
            )
        ],
        "layout": [Case("for images that are not contiguous", tuple(map(_apart, _drawn_masks(11, 3, 4, 5))))],
        "ends": [
            Case("where both are full", (torch.ones(2, 1, 3, 3), torch.ones(2, 1, 3, 3))),
            Case("where all images are empty", (torch.zeros(2, 1, 3, 3), torch.zeros(2, 1, 3, 3))),
            Case(
                "where nothing is to be found and 784 pixels have a probability of 1e-5",
                (torch.full((1, 1, 28, 28), 1e-5), torch.zeros(1, 1, 28, 28)),
                tolerance=1e-3,
            ),
        ],
    },
)


# ----------------------------------------------------------------------------------------------- 5.7 one warp for two


def _pairs(n, channels=2, size=3):
    """Images and targets in which no two pixels are alike, and none is a round number."""
    image = torch.arange(n * channels * size**2).view(n, channels, size, size) / 7 + 0.1
    return image, -0.3 - torch.arange(n * size**2).view(n, 1, size, size) / 7


def _symmetry(before, after):
    """Which of the eight ways each picture went: quarter turns, plus 4 if mirrored first; -1 for none of them."""
    found = torch.full((len(before),), -1)
    for way in range(8):
        start = before.flip(3) if way >= 4 else before
        found[(torch.rot90(start, way % 4, (2, 3)) == after).flatten(1).all(1)] = way
    return found


def _warped(student, image, target, seed):
    """The way of each pair, (B,); Fix if one of them came back as something else."""
    try:
        result = student(image, target, torch.Generator().manual_seed(seed) if isinstance(seed, int) else seed)
    except Fix as error:
        if "equal size" in str(error):
            raise Fix(f"{error}: turn the last two axes, (1, 2) of one picture (C, S, S)") from None
        raise
    out = expect_tuple(result, ("image", "target"))
    if any(isinstance(part, list | tuple) for part in out):
        raise Fix("a list of pictures is returned: stack them, torch.stack(...) makes a batch")
    shapes, wanted = [tuple(getattr(part, "shape", ())) for part in out], [tuple(image.shape), tuple(target.shape)]
    if shapes != wanted:
        if shapes == wanted[::-1]:
            raise Fix("the two values are swapped: return (image, target)")
        raise Fix(f"the shapes are {shapes[0]} and {shapes[1]}, expected {wanted[0]} and {wanted[1]}")
    if any(new.data_ptr() == old.data_ptr() for new, old in zip(out, (image, target))):
        raise Fix("where nothing is to be done it returns the tensors that it got: new tensors are wanted")
    of_image, of_target = _symmetry(image, out[0]), _symmetry(target, out[1])
    for name, found, old, new in (("image", of_image, image, out[0]), ("target", of_target, target, out[1])):
        if (found < 0).any():
            if not torch.equal(old.flatten().sort().values, new.to(old.dtype).flatten().sort().values):
                raise Fix(f"the {name}s have other values: pixels are moved to other places, and neither rounded nor computed anew")
            which = "no" if (found < 0).all() else "not every"
            raise Fix(
                f"{which} {name} is a mirrored or turned copy of what came in at its place: mirror and turn the last two axes "
                "only, (2, 3) of a batch, all channels alike, and keep the order of the batch"
            )
    if not torch.equal(of_image, of_target):
        if (of_target == 0).all():
            raise Fix("the target is not warped: it moves along with its image")
        raise Fix("image and target are warped differently: draw once for each pair, and use the draw for both")
    return of_image


def _each_by_itself(student):
    pairs = _pairs(100)
    ways = [_warped(student, *pairs, seed) for seed in range(8)]
    if all((way == 0).all() for way in ways):
        raise Fix("nothing is warped: mirrored or not, with 0, 1, 2 or 3 quarter turns")
    if all(len(way.unique()) == 1 for way in ways):
        raise Fix("all pairs are warped in the same way: draw for each pair by itself")
    mirrored, turns = [way >= 4 for way in ways], [way % 4 for way in ways]
    if all(one.all() or not one.any() for one in mirrored):
        hits = sum(one.all().item() for one in mirrored)
        if hits in (0, len(ways)):
            raise Fix(f"{'every pair' if hits else 'nothing'} is mirrored: one half of the pairs should be")
        raise Fix("one random draw mirrors all pairs or none: draw for each pair by itself")
    # A turn after the mirror, or before it: then it is the opposite turn after it
    kinds = [(k[~m].unique().tolist(), k[m].unique().tolist()) for m, k in zip(mirrored, turns)]
    if all(len(plain) <= 1 and len(other) <= 1 for plain, other in kinds):
        if len({str(kind) for kind in kinds}) > 1:
            raise Fix("all pairs get the same number of quarter turns: draw it for each pair by itself")
        if kinds[0] == ([0], [0]):
            raise Fix("nothing is turned: 0, 1, 2 or 3 quarter turns, equally likely")
    if all(torch.equal(way, ways[0]) for way in ways):
        raise Fix("another `rng` gives the same result: draw from `rng`, with no seed of your own")
    counts = torch.bincount(torch.cat(ways), minlength=8)
    if counts.min() == 0:
        if (counts[:4] + counts[4:]).min() > 0:
            raise Fix("mirror and turns depend on each other: draw the one apart from the other")
        raise Fix(
            "some of the eight ways never occur: mirrored or not, with 0, 1, 2 or 3 quarter turns (randint(4, ...)); "
            "transpose and flip(1) are mirrors, turn with rot90"
        )
    if any((way == 0).all() for way in (torch.stack(ways)[:, 0], torch.stack(ways)[:, -1])):
        raise Fix("the first or the last pair of a batch is never warped: draw for each of the B pairs")
    if all(one.sum() == 50 for one in mirrored) or all((k.bincount(minlength=4) == 25).all() for k in turns):
        raise Fix(
            "exactly half of the batch is mirrored, or a quarter turned alike, each time: draw for each pair by itself, independently"
        )


def _goes_on(student):
    pairs, rng = _pairs(60), torch.Generator().manual_seed(1)
    if torch.equal(_warped(student, *pairs, rng), _warped(student, *pairs, rng)):
        raise Fix("a second call with the same `rng` draws the same again: draw from `rng` itself, and don't reseed it")
    if not torch.equal(_warped(student, *pairs, 3), _warped(student, *pairs, 3)):
        raise Fix("the same state of `rng` gives two results: all randomness comes from `rng`")
    before = student(*pairs, torch.Generator().manual_seed(4))
    kept = [part.clone() for part in before]
    student(*pairs, torch.Generator().manual_seed(5))
    if not all(map(torch.equal, before, kept)):
        raise Fix("what it returned is changed by a later call: return new tensors each time")


def _equally_likely(student):
    """Limits of more than five standard errors: a right answer fails less than once in a million seeds."""
    n = 8001
    ways = _warped(student, *_pairs(n, channels=1, size=2), 5)
    fractions = torch.bincount(ways, minlength=8).view(2, 4) / n
    by_chance, spectrum = (fractions**2).sum(), torch.fft.rfft(F.one_hot(ways, 8).double().T, 2 * n)
    alike = torch.fft.irfft(spectrum.abs().square(), 2 * n).sum(0)[1 : n // 2 + 2] / (n - torch.arange(1, n // 2 + 2))  # by distance
    if alike.max() > by_chance + 0.05:
        apart = alike.round(decimals=6).argmax().item() + 1
        raise Fix(f"the random draws of pairs that are {apart} apart depend on each other: draw anew for each pair")
    if (torch.fft.irfft(spectrum**2, 2 * n).sum(0)[n - 3 : n + 2] / n > by_chance + 0.05).any():
        raise Fix("the random draws of the first and the last pairs depend on each other: draw anew for each pair")
    mirrored, turns = fractions[1].sum().item(), fractions.sum(0)
    if abs(mirrored - 0.5) > 0.03:
        raise Fix(f"about {mirrored:.0%} of the pairs are mirrored: one half should be (torch.rand(...) < 0.5)")
    if (turns - 0.25).abs().max() > 0.026:
        text = ", ".join(f"{fraction:.0%}" for fraction in turns.tolist())
        raise Fix(f"0, 1, 2 and 3 quarter turns happen to {text} of the pairs: they should be equally likely (randint(4, ...))")
    if (fractions - 0.125).abs().max() > 0.02:
        raise Fix("mirror and turns depend on each other: draw the one apart from the other")


def _one_pair(student):
    ways = torch.cat([_warped(student, *_pairs(1), seed) for seed in range(24)])
    mirrored, turns = (ways >= 4).sum().item(), (ways % 4).bincount(minlength=4)
    if mirrored in (0, 24) or (turns > 0).sum() < 3:
        raise Fix(
            f"a batch of one pair is mirrored in {mirrored} of 24 tries, and gets 0, 1, 2 and 3 quarter turns in {turns.tolist()} of "
            "them: it should be one half, and a quarter each"
        )


def _other_layouts(student):
    for image, target in (
        tuple(map(scattered, _pairs(40))),
        tuple(x.to(memory_format=torch.channels_last) for x in _pairs(40, channels=3, size=4)),
        _pairs(40, channels=1, size=5),
    ):
        if len(_warped(student, image, target, 2).unique()) < 5:
            raise Fix(f"of 40 pairs of shape {tuple(image.shape[1:])} too many go the same way: draw for each pair by itself")


same_warp = Exercise(
    "5.7",
    "same_warp",
    "one warp for two",
    why="Image and mask must move together, or the network learns from wrong masks and nobody notices.",
    observe=returns("the image", "the target"),
    rules=[_each_by_itself, _goes_on],
    battery={
        **none("pixels are moved at random: no labels, nothing computed from their values, no network, no setting"),
        "one": [_one_pair],
        "sizes": [_equally_likely],
        "layout": [_other_layouts],
    },
)
