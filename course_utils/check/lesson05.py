"""Checks of lesson 05: the consistency loss, its ramp and step, the two memories, Dice and the warp."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.batches import Batch
from course_utils.check.core import CHANGES_INPUT, Fix, Probe, exercise, expect, expect_tuple, wrong_weights


@exercise("5.1", "the consistency loss")
def _(student):
    in_place = "target is changed in place (detach_ or requires_grad_): use target.detach(), which leaves it as it is"

    def loss_of(logits: torch.Tensor, goal: torch.Tensor):
        gradient = goal.requires_grad
        try:
            loss = student(logits, goal)
        except Fix as error:
            if "detach views" in str(error) or "requires_grad flags" in str(error):
                raise Fix(in_place) from None
            raise
        if goal.requires_grad != gradient:
            raise Fix(in_place)
        return loss

    z = torch.tensor([[1.0, 0, 0], [2, 0, -1]])
    t = torch.tensor([[0.0, 1, 0], [0.5, 0.5, 1]]).softmax(1)
    p = z.exp() / z.exp().sum(1, keepdim=True)
    squares = (p - t) ** 2
    once_more, other_axis = t.softmax(1), z.softmax(0)
    size_written = "a size is written in: other batches have other sizes, .mean() counts for itself"
    expect(
        loss_of(z, t),
        0.130562,
        "the loss of two images",
        wrong=[
            (squares.sum(1).mean(), "the squares are summed over the classes: take the mean over the classes, too"),
            (squares.mean(1).sum(), "the images are summed: take the mean over the images, too"),
            (squares.sum(), "the squares are summed: take the mean over images and classes"),
            (squares.mean(1), "one number is wanted: take the mean over the images, too"),
            (squares.mean(0), "one number is wanted: take the mean over the classes, too"),
            (squares.sum(1), "one number is wanted: the mean over images and classes"),
            (squares, "one number is wanted: the mean over images and classes"),
            (((z - t) ** 2).mean(), "logits are compared with probabilities: apply softmax to the logits"),
            (((z - once_more) ** 2).mean(), "the softmax belongs to the logits: target holds probabilities already"),
            (((p - once_more) ** 2).mean(), "target holds probabilities already: no second softmax on it"),
            (((p.softmax(1) - t) ** 2).mean(), "softmax is applied twice to the logits"),
            (((other_axis - t) ** 2).mean(), "softmax runs over the images (dim=0): it must run over the classes"),
            (((z.sigmoid() - t) ** 2).mean(), "sigmoid treats classes one by one: softmax makes them a distribution"),
            ((p - t).abs().mean(), "these are absolute differences: square them"),
            (squares.mean().sqrt(), "no root: the mean of the squares"),
            (squares.sum(1).sqrt().mean(), "no root: the mean of the squares"),
            (squares.mean() / 2, "no factor of one half: the plain mean"),
            (-squares.mean(), "the sign is wrong: a squared distance is positive"),
            (F.cross_entropy(z, t), "this is the cross-entropy: the squared distance is wanted"),
            ((t * (t.log() - z.log_softmax(1))).sum(1).mean(), "this is a divergence: the squared distance is wanted"),
            (((z.log_softmax(1) - t) ** 2).mean(), "the logarithm does not belong here: compare probabilities"),
            (
                ((p - F.one_hot(t.argmax(1), 3)) ** 2).mean(),
                "the target is made one class (argmax): compare with the probabilities as they are",
            ),
            ((p - t).mean(), "the differences cancel out: square them first"),
            ((p - t).mean() ** 2, "the differences cancel out: square them first"),
            *((squares.sum(1).mean() / classes, size_written) for classes in (2, 7, 10)),
            *((squares.mean(1).sum() / images, size_written) for images in (3, 32, 64)),
        ],
    )  # fmt: skip
    loss_of(z, t.clone().requires_grad_())  # a leaf, whose requires_grad can be switched off
    logits = torch.tensor([[1.0, 0, 0]], requires_grad=True)
    other = torch.tensor([[0.0, 1, 0]], requires_grad=True)
    loss = loss_of(logits, other.softmax(1))
    expect(loss, 0.088416, "the loss for logits [1, 0, 0] and the target softmax([0, 1, 0])", [(0.044208, size_written)])
    if not (isinstance(loss, torch.Tensor) and loss.requires_grad):
        raise Fix("the loss carries no gradient to the logits: detach the target only, no .item(), no no_grad here")
    to_logits, to_target = torch.autograd.grad(loss, (logits, other), allow_unused=True)
    if to_target is not None and to_target.abs().max() > 0:
        if to_logits is None:
            raise Fix("the wrong one is constant: the gradient flows to the logits, and none to the target")
        raise Fix("a gradient flows to the target: detach it")
    if to_logits is None:
        raise Fix("the loss carries no gradient to the logits: detach the target only")
    expect(to_logits, [[0.0889, -0.0702, -0.0187]], "the gradient to the logits", tolerance=1e-3)
    expect(
        loss_of(torch.zeros(5, 2), torch.tensor([[1.0, 0]]).expand(5, 2)),
        0.25,
        "the loss of five images of two classes, each .5 against a target of 1 and 0",
        [(2.5 / numel, size_written) for numel in (2 * 2, 2 * 3, 5 * 3)],
    )


@exercise("5.2", "the ramp")
def _(student):
    def at(step: int, ramp_steps: int):
        try:
            return student(step, ramp_steps)
        except Fix as error:
            if "ZeroDivisionError" in str(error):
                raise Fix(
                    "with ramp_steps = 0 it divides by zero: then there is no ramp, the factor is 1, at step 0, too (>=, not >)"
                ) from None
            raise

    t = 0.25
    expect(
        at(100, 400),
        0.060055,
        "the factor at step 100 of a ramp of 400",
        wrong=[
            (t, "this is the share t itself: put it into the formula"),
            (1.0, "there is no ramp: does the share t come out as 1?"),
            (math.exp(-5), "at step 100 the factor is that of step 0: is `//` used instead of `/`?"),
            (math.exp(-5 * (1 - t)), "the square is missing"),
            (math.exp(5 * (1 - t) ** 2), "the sign in the exponent is missing"),
            (math.exp(-5 * t**2), "the ramp falls: (1 - t), not t"),
            (math.exp(-5 * (1 - t**2)), "the square belongs to the whole bracket: (1 - t) squared"),
            (math.exp(-(1 - t) ** 2), "the 5 is missing"),
            (math.exp(-((5 * (1 - t)) ** 2)), "the 5 is squared, too: it stands outside the square"),
            (math.exp((-5 * (1 - t)) ** 2), "the square swallows the minus sign: only (1 - t) is squared"),
            (1 - math.exp(-5 * (1 - t) ** 2), "this is 1 minus the factor"),
            *((w_max * math.exp(-5 * (1 - t) ** 2), "w_max does not belong here: the factor alone, at most 1") for w_max in (10.0, 100.0)),
            *((math.exp(-5 * (1 - 100 / n) ** 2), "the ramp has another length: divide by ramp_steps itself") for n in (399, 401)),
            (math.exp(-5 * (1 - 101 / 400) ** 2), "the ramp is one step ahead: it begins with step 0"),
            (t * math.exp(-5 * (1 - t) ** 2), "the share multiplies the factor: it stands in the exponent only"),
            (2 ** (-5 * (1 - t) ** 2), "the base is e: math.exp"),
            (10 ** (-5 * (1 - t) ** 2), "the base is e: math.exp"),
            (math.exp(-5 * (1 - 4.0) ** 2), "the share is upside down: step / ramp_steps"),
            ((1 - t) ** 2, "the exponential is missing"),
            (-5 * (1 - t) ** 2, "the exponential is missing: this is the exponent"),
        ],
    )  # fmt: skip
    for step, right in ((0, 0.006738), (200, 0.286505), (300, 0.731616), (400, 1.0)):
        not_zero = [(0.0, f"at step {step} the factor is {right:.4f}, small or not, never 0")]
        expect(at(step, 400), right, f"the factor at step {step} of a ramp of 400", not_zero)
    expect(
        at(1, 4),
        0.060055,
        "the factor at step 1 of 4",
        [(math.exp(-5 * (1 - 1 / 400) ** 2), "ramp_steps is an argument: it is not always 400")],
    )
    expect(
        at(0, 1),
        0.006738,
        "the factor at step 0 of a ramp of one step",
        [(1.0, "a ramp of one step has a step 0 as well: only ramp_steps = 0 means no ramp")],
    )
    expect(
        at(600, 400),
        1.0,
        "the factor at step 600 of a ramp of 400",
        wrong=[
            (0.286505, "after the ramp the factor falls again: the share t never exceeds 1"),
            (0.0, "after the ramp the factor stays at 1"),
        ],
    )
    for step in (0, 7):
        expect(
            at(step, 0),
            1.0,
            f"the factor at step {step} with ramp_steps = 0",
            wrong=[
                (math.exp(-5), "ramp_steps = 0 means no ramp: the factor is 1 from the first step"),
                (0.0, "ramp_steps = 0 means no ramp: the factor is 1, not 0"),
                (math.nan, "with ramp_steps = 0 it divides by zero: then there is no ramp, the factor is 1"),
            ],
        )


@exercise("5.3", "one step")
def _(student):
    x_l, y_l = torch.tensor([[1.0, 0, 0.5], [0, 1.5, 0]]), torch.tensor([0, 2])
    x_w = torch.tensor([[1.2, 0, 0], [0, 1.1, 0.3], [0.4, 0, 1.3], [0.9, 0.8, 0]])
    x_s = torch.tensor([[0.3, 0.8, 0], [0.5, 0.2, 0], [1, 0, 0.1], [0, 0.6, 1]])

    def entropy(logits: torch.Tensor, labels: torch.Tensor = y_l) -> torch.Tensor:
        return -logits.log_softmax(1)[torch.arange(len(labels)), labels].mean()

    def distance(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.mse_loss(logits.softmax(1), target)

    def pictures(x: torch.Tensor) -> torch.Tensor:
        return x.view(-1, 3, 1, 1)

    def of(*arguments):
        try:
            return student(*arguments)
        except Fix as error:
            if any(sign in str(error) for sign in ("must match the size", "match target batch_size", "batch_size (")):
                raise Fix(f"{error}: are the logits cut in the wrong place? Cut after len(batch.x_l) rows") from None
            raise

    w = 5.0
    batch = Batch(pictures(x_l), y_l, pictures(x_w), pictures(x_s), torch.arange(4))
    model, teacher = Probe(), Probe(power=3)
    result = of(model, teacher, batch, w)
    if isinstance(result, torch.Tensor):
        raise Fix("it must return two values, (loss, logs), but returned the loss only")
    loss, logs = expect_tuple(result, ("loss", "logs"))
    if isinstance(loss, dict):
        raise Fix("the two values are swapped: return (loss, logs)")
    if not isinstance(loss, torch.Tensor):
        raise Fix("the loss must be a tensor, so that it can be differentiated: no .item() on it")
    target = (x_w**3).softmax(1)
    loss_l, loss_u = entropy(x_l), distance(x_s, target)
    shifted = torch.cat([x_s, x_l])
    swapped = "the views or the networks are swapped: the teacher answers x_w, the student x_s"
    expect(
        loss,
        loss_l + w * loss_u,
        "the loss of the worked example",
        wrong=[
            (
                loss_l,
                "the consistency loss is missing or zero: is the STUDENT's answer to x_s compared with the teacher's?",
            ),
            (w * loss_u, "the labelled loss is missing"),
            *(
                (value, cause.replace("lambda_u", "the weight").replace("unlabelled", "consistency"))
                for value, cause in wrong_weights(loss_l, loss_u, w)
            ),
            (
                loss_l + w * distance(torch.cat([x_l, x_s]), torch.cat([x_l, x_w]).pow(3).softmax(1)),
                "the consistency loss runs over the labelled images, too: it compares the unlabelled ones, x_s with x_w",
            ),
            (loss_l + w * distance(x_s, (x_s**3).softmax(1)), "the teacher sees the same view as the student: x_w"),
            (loss_l + w * distance(x_s, x_w.softmax(1)), "the target comes from the student: ask the teacher"),
            (loss_l + w * distance(x_w, (x_s**3).softmax(1)), swapped),
            (loss_l + w * distance(x_w, target), "the student answers the weak view: learn on x_s"),
            (entropy(x_l**3) + w * loss_u, "the labelled loss is the teacher's: the student learns the labels"),
            (loss_l + w * distance(x_s, x_w**3), "the target holds logits: softmax makes probabilities of them"),
            (loss_l + w * distance(x_s, target.softmax(1)), "softmax is applied twice to the teacher's answer"),
            (loss_l + w * distance(x_s.softmax(1), target), "softmax is applied twice: consistency_loss takes logits"),
            (
                loss_l + w * distance(x_s, F.one_hot(target.argmax(1), 3).float()),
                "the target is made one class (argmax): the teacher's probabilities are wanted",
            ),
            (
                loss_l + 3 * w * loss_u,
                "the squares are summed over the classes: does consistency_loss take their mean?",
            ),
            (loss_l + 4 * w * loss_u, "the squares are summed over the images: does consistency_loss take their mean?"),
            (loss_l + 12 * w * loss_u, "the squares are summed: does consistency_loss take their mean?"),
            (
                2 * loss_l + w * loss_u,
                "the labelled loss is summed over the images: take its mean, cross_entropy's default",
            ),
            ((1 - w) * loss_l + w * loss_u, "the labelled loss is weighed with 1 - weight: it counts in full"),
            (
                loss_l + w * distance(x_s**3, target),
                "the student's answer to x_s is taken from the TEACHER: no gradient would flow, the student answers x_s",
            ),
            (
                loss_l + w * distance(x_s, (x_w**3).softmax(0)),
                "the teacher's softmax runs over the images (dim=0): it must run over the classes",
            ),
            (
                loss_l + w * F.cross_entropy(x_s, target),
                "the consistency loss is a cross-entropy here: use your consistency_loss",
            ),
            (
                loss_l + w * (target * (target.log() - x_s.log_softmax(1))).sum(1).mean(),
                "the consistency loss is a divergence here: use your consistency_loss",
            ),
            (entropy(x_l.softmax(1)) + w * loss_u, "softmax is applied twice: cross_entropy takes logits"),
            (
                entropy(shifted[:2]) + w * distance(shifted[2:], target),
                "the images are glued together in one order and cut apart in another",
            ),
            ((loss_l + w * loss_u) / 2, "the two losses are averaged: add them"),
        ],
    )
    if model.scale.grad is not None:
        raise Fix("backward() is called inside: leave that to the training loop, return the loss")
    for network in (model, teacher):
        network.expect_mode()
    if not teacher.scale.requires_grad:
        raise Fix(
            "requires_grad of the teacher is switched off: a teacher that is the student would learn no more; "
            "torch.no_grad() around its pass is enough"
        )
    if any(gradient for _, gradient, _ in teacher.calls):
        raise Fix("the teacher works with gradients: put its pass under torch.no_grad()")
    if not loss.requires_grad:
        raise Fix("the loss carries no gradient: only the teacher works under no_grad")
    if not any(gradient and size >= 6 for size, gradient, _ in model.calls):
        raise Fix("labelled and strong images go through the student separately: one joint pass, for BatchNorm's sake")
    if any(gradient and size > 6 for size, gradient, _ in model.calls):
        raise Fix("too many images go through the student: only x_l and x_s, the weak views are the teacher's")
    if len(model.calls) > 1:
        raise Fix(f"the student runs {len(model.calls)} times: one joint pass over x_l and x_s is enough")
    if not teacher.calls:
        raise Fix("the teacher itself is never asked: teacher(batch.x_w), no copy of it")
    if sum(size for size, *_ in teacher.calls) > 4:
        raise Fix("the teacher answers more than it is asked for: only the weak views, x_w")
    scale = torch.ones(1, requires_grad=True)
    (right,) = torch.autograd.grad(entropy(scale * x_l) + w * distance(scale * x_s, target), scale)
    (labelled,) = torch.autograd.grad(entropy(scale * x_l), scale)
    (gradient,) = torch.autograd.grad(loss, model.scale)
    nothing = (
        "the gradient of the consistency loss is zero, and nothing is learnt from it: "
        "no detach of the student's answer, and .item() for the logs only"
    )
    expect(gradient, right, "the gradient to the student", [(labelled, nothing)])
    _log_is_right(logs, loss_l, loss_u, w)
    _differing_networks_give_a_gradient(of, nothing)
    same = Probe()
    alone, _ = expect_tuple(of(same, same, batch, 1.0), ("loss", "logs"))
    expect(alone, loss_l + distance(x_s, x_w.softmax(1)), "the loss of a student that is its own teacher")
    for teacher in (Probe(power=3), Probe(power=3).requires_grad_(False)):
        flag = teacher.scale.requires_grad
        free, logs = expect_tuple(of(Probe(), teacher, batch, 0.0), ("loss", "logs"))
        expect(free, loss_l, "the loss with weight 0")
        expect(
            logs["consistency"],
            loss_u,
            "logs['consistency'] with weight 0",
            [(0.0, "weight 0 is no special case: the consistency loss is computed and logged all the same")],
        )
        if teacher.scale.requires_grad != flag:
            raise Fix("requires_grad of a frozen teacher is switched on: leave it alone, torch.no_grad() is enough")
    small = batch._replace(x_w=batch.x_w[:1], x_s=batch.x_s[:1])
    single, _ = expect_tuple(of(Probe(), Probe(power=3), small, 1.0), ("loss", "logs"))
    expect(single, loss_l + distance(x_s[:1], target[:1]), "the loss with two labelled images and one without")


def _log_is_right(logs, loss_l, loss_u, w: float) -> None:
    if not isinstance(logs, dict) or "consistency" not in logs:
        raise Fix('logs must be a dict, {"consistency": the consistency loss as a number}')
    if isinstance(logs["consistency"], torch.Tensor) and logs["consistency"].requires_grad:
        raise Fix("logs['consistency'] carries a gradient: a plain number is wanted, .item()")
    expect(
        logs["consistency"],
        loss_u,
        "logs['consistency']",
        wrong=[
            (w * loss_u, "logs['consistency'] is weighted: log the loss before it is multiplied by the weight"),
            (loss_l, "logs['consistency'] holds the labelled loss"),
            (loss_l + w * loss_u, "logs['consistency'] holds the whole loss"),
        ],
    )


def _differing_networks_give_a_gradient(student, nothing: str) -> None:
    rng = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=rng)

    for _ in range(3):
        one, two = (nn.Sequential(nn.Flatten(), nn.Linear(8, 4)) for _ in range(2))
        batch = Batch(draw(3, 2, 2, 2), torch.tensor([0, 3, 1]), draw(5, 2, 2, 2), draw(5, 2, 2, 2), torch.arange(5))
        gradients = []
        for weight in (0.0, 1.0):
            loss, _ = expect_tuple(student(one, two, batch, weight), ("loss", "logs"))
            gradients.append(torch.autograd.grad(loss, one[1].weight)[0])
        if torch.allclose(*gradients, atol=1e-7, rtol=0):
            raise Fix(nothing)


@exercise("5.4", "temporal ensembling")
def _(student):
    names = ("Z", "counts", "target")

    def of(*arguments):
        try:
            return expect_tuple(student(*arguments), names)
        except Fix as error:
            if "must match" in str(error):
                raise Fix(f"{error}: the divisors of B images are a column, (B, 1)") from None
            raise

    empty, none = torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64)
    z = torch.tensor([[0.8, 0.2]])
    first = of(empty, none, torch.tensor([2]), z, 0.6)
    shapes = [tuple(getattr(part, "shape", ())) for part in first]
    if shapes != [(3, 2), (3,), (1, 2)] and sorted(shapes) == [(1, 2), (3,), (3, 2)]:
        raise Fix("the values are in another order: return (Z, counts, target)")
    softer = 0.4 * z.softmax(1)[0]
    expect(
        first[0],
        [[0, 0], [0, 0], [0.32, 0.08]],
        "Z after image 2 came by with (.8, .2) for the first time, at alpha = .6",
        wrong=[
            ([[0, 0], [0, 0], [0.48, 0.12]], "the weights are swapped: alpha belongs to the old Z, 1 - alpha to z"),
            (
                [[0, 0], [0, 0], [0.8, 0.2]],
                "Z holds z itself after a first visit, which is no special case: divide for the target only, not in Z",
            ),
            (torch.zeros(3, 2), "Z is not changed: take z in at the rows index"),
            ([[0.32, 0.08]] * 3, "all rows are changed: only the rows index take z in"),
            ([[0.32, 0.08]], "only the rows of the batch are returned: Z is the memory of the whole pool"),
            ([[0.32, 0.08], [0, 0], [0, 0]], "the wrong row is changed: image b of the batch is row index[b] of Z"),
            (torch.stack([empty[0], empty[0], softer]), "z holds probabilities already: no softmax"),
        ],
    )
    _expect_counts(first[1], [0, 0, 1])
    expect(
        first[2],
        z,
        "the target after the first answer (.8, .2)",
        wrong=[
            ([[0.32, 0.08]], "the target is not corrected: divide by 1 - alpha ** count"),
            ([[math.inf, math.inf]], "the divisor is zero: use the counts AFTER this visit"),
            ([0.8, 0.2], "the target has lost an axis: (B, num_classes)"),
            ([[0.0, 0], [0, 0], [0.8, 0.2]], "only the targets of the images index are wanted, (B, num_classes)"),
            ([[math.nan] * 2, [math.nan] * 2, [0.8, 0.2]], "only the targets of the images index are wanted"),
            ([[0.32 / 0.6, 0.08 / 0.6]], "divide by 1 - alpha ** count, not by alpha ** count"),
            ([[0.32 * 0.4, 0.08 * 0.4]], "divide by 1 - alpha ** count, do not multiply"),
        ],
    )  # fmt: skip
    second = of(torch.tensor([[0.32, 0.08]]), torch.tensor([1]), torch.tensor([0]), torch.tensor([[0.6, 0.4]]), 0.6)
    expect(
        second[0],
        [[0.432, 0.208]],
        "Z after (.8, .2) and then (.6, .4)",
        wrong=[
            ([[0.56, 0.24]], "the old Z is not multiplied: alpha * Z + (1 - alpha) * z"),
            ([[0.24, 0.16]], "the old Z is lost: alpha * Z + (1 - alpha) * z"),
            ([[0.792, 0.448]], "z is not multiplied: alpha * Z + (1 - alpha) * z"),
        ],
    )
    expect(second[1], [2], "the count after two visits", [([1], "the count is set to 1: it grows by 1 with each visit")])
    expect(
        second[2],
        [[0.675, 0.325]],
        "the target after (.8, .2) and then (.6, .4)",
        wrong=[
            ([[0.432, 0.208]], "the target is not corrected: divide by 1 - alpha ** count"),
            ([[1.08, 0.52]], "the divisor uses the count before this visit, or none at all: by the NEW count"),
            ([[0.54, 0.26]], "the divisor is count * (1 - alpha): it is 1 - alpha ** count, with a power"),
            ([[2.7, 1.3]], "the divisor is (1 - alpha) ** count: it is 1 - alpha ** count"),
            ([[0.216, 0.104]], "this divides by the count: by 1 - alpha ** count"),
        ],
    )
    memory = torch.tensor([[0.24, 0.16], [0, 0], [0.32, 0.08], [0.432, 0.208]])
    counts, index = torch.tensor([1, 0, 1, 2]), torch.tensor([3, 0, 1])
    z = torch.tensor([[0.5, 0.5], [0.9, 0.1], [0.3, 0.7]], requires_grad=True)
    third = of(memory, counts, index, z, 0.6)
    if not z.requires_grad:
        raise Fix("it changes its input: detach_() cuts z itself, detach() returns a detached tensor")
    blended = 0.6 * memory[:3] + 0.4 * z.detach()
    expect(
        third[0],
        [[0.504, 0.136], [0.12, 0.28], [0.32, 0.08], [0.4592, 0.3248]],
        "Z after the images 3, 0 and 1 came by",
        wrong=[
            (
                [[0.504, 0.136], [0.12, 0.28], [0.192, 0.048], [0.4592, 0.3248]],
                "image 2 did not come by, but its row shrank: only the rows index change",
            ),
            (torch.cat([blended, memory[3:]]), "image b of the batch is row index[b] of Z, not row b"),
            (
                [[0.344, 0.296], [0.36, 0.04], [0.32, 0.08], [0.3792, 0.4048]],
                "the rows take z in in the order of the pool, as with a mask: image b of the batch is row index[b] of Z",
            ),
        ],
    )
    _expect_counts(third[1], [2, 1, 1, 3])
    summed = torch.tensor([[0.4592, 0.3248], [0.504, 0.136], [0.12, 0.28]])
    expect(
        third[2],
        [[0.585714, 0.414286], [0.7875, 0.2125], [0.3, 0.7]],
        "the targets of the images 3, 0 and 1, which came by for the 3rd, 2nd and 1st time",
        wrong=[
            (summed, "the targets are not corrected: divide by 1 - alpha ** count"),
            (summed / 0.784, "each image has a count of its own: not one divisor for all"),
            (summed / 0.4, "each image has a count of its own: not one divisor for all"),
            (summed / summed.sum(0), "each row is one image: divide by a column of divisors"),
            (
                summed / torch.tensor([[0.64], [0.4], [0.784]]),
                "the counts of other images are used: take counts[index], in the order of index",
            ),
        ],
    )
    for name, value in zip(names, third):
        if isinstance(value, torch.Tensor) and value.requires_grad:
            raise Fix(f"{name} carries a gradient: detach z, or all past steps would be kept in memory")
        if not isinstance(value, torch.Tensor):
            raise Fix(f"{name} must be a tensor, but is {type(value).__name__}")
    other = of(memory, counts, index, z.detach(), 0.9)
    expect(
        other[0][1],
        [0.03, 0.07],
        "Z of an image that came by for the first time, at alpha = .9",
        [([0.12, 0.28], "alpha is ignored: it is an argument, not always .6")],
    )
    expect(other[2][2], [0.3, 0.7], "its target", [([0.075, 0.175], "the divisor ignores alpha: it is not always .6")])


def _expect_counts(counts, right: list[int]) -> None:
    old = [0, 0, 0] if len(right) == 3 else [1, 0, 1, 2]
    expect(
        counts,
        right,
        "counts",
        wrong=[
            (old, "the counts are not raised: each image that came by counts one more"),
            ([count + 1 for count in old], "the counts of all images are raised: only those of the images index"),
        ],
    )
    if isinstance(counts, torch.Tensor) and counts.is_floating_point():
        raise Fix("counts must stay integers (int64)")


def _network(weight: float, mean: float, batches_seen: int) -> nn.Sequential:
    """A linear layer and BatchNorm, all parameters set to `weight`, the statistics to `mean`."""
    return _filled(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), weight, mean, batches_seen)


def _filled(network: nn.Sequential, weight: float, mean: float, batches_seen: int) -> nn.Sequential:
    for parameter in network.parameters():
        nn.init.constant_(parameter, weight)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm1d):
            norm.running_mean.fill_(mean)
            norm.running_var.fill_(4 * mean)
            norm.num_batches_tracked.fill_(batches_seen)
    return network


def _flags(*networks: nn.Module) -> list[bool]:
    """The modes of all modules and the `requires_grad` of all parameters."""
    modes = [module.training for network in networks for module in network.modules()]
    return modes + [parameter.requires_grad for network in networks for parameter in network.parameters()]


@exercise("5.5", "the teacher follows")
def _(student):
    def follow(teacher, model, step, decay):
        before = _flags(teacher, model)
        try:
            result = student(teacher, model, step, decay)
        except Fix as error:
            if str(error) == CHANGES_INPUT:
                raise Fix("a gradient is recorded for the change: update the teacher under torch.no_grad()") from None
            if "Long" in str(error):
                raise Fix("the average of an integer fails: BatchNorm counts its batches; copy the buffers, do not average them") from None
            raise
        if result is model:
            raise Fix("it returns the student: change the teacher, and return it")
        if result is not teacher:
            raise Fix("it returns something else than the teacher: change `teacher` itself, in place, and return it")
        if _flags(teacher, model) != before:
            raise Fix("it changes the mode or requires_grad: move only the values (no eval(), train() or requires_grad_())")
        return [parameter.mean().item() for parameter in teacher.parameters()]

    teacher, model = _network(0.0, 0.0, 0), _network(1.0, 1.5, 7)
    once = follow(teacher, model, 10_000, 0.9)
    if any(parameter.mean() != 1 for parameter in model.parameters()) or model[1].running_mean[0] != 1.5:
        raise Fix("the student is changed: only the teacher moves")
    expect(
        once,
        [0.1] * 4,
        "the teacher's weights (two layers, each with a weight and a bias), 0 before, student 1, decay .9, late",
        wrong=[
            ([0.9] * 4, "the decay is swapped: decay times the teacher, 1 - decay times the student"),
            ([0.0] * 4, "the teacher did not move: are copies changed, or is the result not stored in place?"),
            ([1.0] * 4, "the teacher became a copy: max instead of min, or is the decay ignored?"),
            ([1 - 1 / 10_001] * 4, "the rate is 1/(step + 1): the `1 -` is missing, min(1 - 1/(step + 1), decay)"),
            ([1 / 10_001] * 4, "decay is ignored: the rate is never above decay, min(1 - 1/(step + 1), decay)"),
            ([0.1, 0.0, 0.0, 0.0], "only the first parameter moved: is a return or break inside the loop?"),
            ([0.1, 0.1, 0.0, 0.0], "BatchNorm's weights are parameters, too: all parameters are averaged"),
            ([0.1, 0.0, 0.1, 0.0], "the biases did not move: all parameters are averaged"),
            ([0.01] * 4, "the decay .99 is written in: it is the argument"),
            ([0.5] * 4, "both count alike: decay times the teacher, 1 - decay times the student"),
            ([0.19] * 4, "the parameters are averaged twice"),
            ([1.1] * 4, "the teacher is not weighed with 1 - decay and decay: the two weights sum to one"),
        ],
        tolerance=1e-6,
    )
    _buffers_are_copied(teacher)
    for _ in range(2):
        thrice = follow(teacher, model, 10_000, 0.9)
    expect(thrice, [0.271] * 4, "the teacher's weights after three updates with decay .9")
    teacher = _network(5.0, 0.0, 0)
    copied = follow(teacher, _network(1.0, 1.5, 7), 0, 0.99)
    expect(
        copied,
        [1.0] * 4,
        "the teacher's weights at step 0, student 1",
        wrong=[
            ([0.99 * 5 + 0.01] * 4, "the ramp of the decay is missing: at step 0 the teacher becomes a copy"),
            ([5.0] * 4, "at step 0 the teacher becomes a copy, and does not stay as it is"),
            ([3.0] * 4, "at step 0 the rate is 1 - 1/(0 + 1) = 0: the teacher becomes a copy"),
        ],
    )
    teacher = _network(0.0, 0.0, 0)
    for step, right in ((1, 0.5), (2, 1.0), (3, 1.5)):
        model = _network(float(step), 1.5, 7)
        expect(
            follow(teacher, model, step, 0.999),
            [right] * 4,
            f"the teacher's weights at step {step}, started at 0, with students 1, 2, 3 at the steps 1, 2, 3",
            wrong=[
                ([1.0 if step == 1 else -1.0] * 4, "the rate is 1 - 1/(step + 1), not 1 - 1/step"),
                ([2 / 3 if step == 1 else -1.0] * 4, "the rate is 1 - 1/(step + 1), one step less"),
                ([1 / 3 if step == 1 else -1.0] * 4, "the rate is 1 - 1/(step + 1), one step less"),
                ([0.001 if step == 1 else -1.0] * 4, "the ramp of the decay is missing: min(1 - 1/(step + 1), decay)"),
            ],
            tolerance=1e-5,
        )
    teacher, model = (_deep_network(*values).eval() for values in ((0.0, 0.0, 0), (1.0, 1.5, 7)))
    moved = follow(teacher, model, 10_000, 0.9)
    if 0.0 in moved:
        raise Fix("in a larger network some parameters stay behind: take all of parameters(), not some by their place")
    expect(moved, [0.1] * 10, "the ten parameters of a larger network, 0 before, student 1, decay .9, late", tolerance=1e-6)
    if any(norm.running_mean[0] != 1.5 for norm in teacher.modules() if isinstance(norm, nn.BatchNorm1d)):
        raise Fix("in a larger network some buffers stay behind: copy all buffers()")
    bound = "decay bounds the rate from the first step on: min(1 - 1/(step + 1), decay) at every step"
    for step, decay, ramp in ((1, 0.3, 0.5), (50, 0.9, 1 / 51)):
        expect(
            follow(_network(0.0, 0.0, 0), _network(1.0, 1.5, 7), step, decay),
            [1 - decay] * 4,
            f"the teacher's weights at step {step}, 0 before, student 1, decay {decay}",
            wrong=[([ramp] * 4, bound)],
            tolerance=1e-6,
        )
    teacher, model = _network(0.0, 0.0, 0), _network(1.0, 1.5, 7)
    own = list(teacher.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)  # from the training loop
    follow(teacher, model, 0, 0.99)
    if any(mine is not old for mine, old in zip(teacher.parameters(), own)):
        raise Fix("the teacher gets new parameters: change the values of its own, in place (copy_, mul_, add_)")
    if any(parameter.grad is None or (parameter.grad != 1).any() for parameter in model.parameters()):
        raise Fix("the student's .grad is changed: the student stays as it is")
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.fill_(9)
    if any(parameter.mean() != 1 for parameter in teacher.parameters()) or teacher[1].running_mean[0] != 1.5:
        raise Fix("teacher and student share their memory: change the values (copy_, mul_, add_), do not assign tensors")
    for frozen in (0, 1):
        networks = _network(0.0, 0.0, 0), _network(1.0, 1.5, 7)
        networks[frozen].requires_grad_(False)
        expect(
            follow(*networks, 1, 0.9),
            [0.5] * 4,
            f"the weights of a teacher after step 1, where requires_grad of the {('teacher', 'student')[frozen]} is off",
            [([0.0] * 4, "a parameter whose requires_grad is off stays behind: the teacher follows in all of them")],
        )
    _other_modules_follow(follow)


class _Scale(nn.Module):
    """A module without layers: its parameter and its buffers have names of their own."""

    def __init__(self, value: float):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([value]))
        self.register_buffer("running_peak", torch.tensor([value]))
        self.register_buffer("running_count", torch.tensor([int(value)]))


def _other_modules_follow(follow) -> None:
    teacher, model = _Scale(0.0), _Scale(4.0)
    expect(
        follow(teacher, model, 1, 0.9),
        [2.0],
        "the parameter `w` of a module without layers after step 1, 0 before, student 4",
        wrong=[
            (
                [0.0],
                "a parameter of the module itself stays behind: take parameters(), which finds all, not layer by layer",
            ),
            (
                [4.0],
                "a parameter is taken for a buffer because of its name: take parameters() and buffers(), not names",
            ),
        ],
    )
    for name in ("running_peak", "running_count"):
        expect(
            getattr(teacher, name),
            [4.0],
            f"the buffer `{name}` of a module without layers",
            wrong=[
                ([0.0], "a buffer that is not BatchNorm's stays behind: copy all buffers()"),
                ([2.0], "a buffer that is not BatchNorm's is averaged: copy all buffers()"),
            ],
        )


def _deep_network(weight: float, mean: float, batches_seen: int) -> nn.Sequential:
    inner = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    return _filled(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), inner, nn.Linear(4, 2)), weight, mean, batches_seen)


def _buffers_are_copied(teacher: nn.Sequential) -> None:
    norm = teacher[1]
    if norm.running_mean.mean() == 0 and norm.running_var.mean() == 0:
        raise Fix(
            "BatchNorm's buffers are forgotten, or not changed in place (`slow = ...` gives a name to another tensor): "
            "copy running mean and variance from the student, copy_"
        )
    for name, right in (("running_mean", 1.5), ("running_var", 6.0), ("num_batches_tracked", 7)):
        expect(
            getattr(norm, name).double().mean(),
            right,
            f"the teacher's {name}",
            wrong=[
                (0.1 * right, "the buffers are averaged: they are copied"),
                (int(0.1 * right), f"{name} is not copied: all buffers are, the count of batches, too"),
            ],
        )
    if any(not p.is_leaf or p.grad is not None for p in teacher.parameters()):
        raise Fix("a gradient is recorded for the change: update the teacher under torch.no_grad()")


@exercise("5.6", "soft Dice")
def _(student):
    def of(p: torch.Tensor, mask: torch.Tensor):
        try:
            return student(p, mask)
        except Fix as error:
            if "invalid for input of size" in str(error):
                raise Fix("the size of the images is written in: sum over all their pixels, dim=(1, 2, 3)") from None
            raise

    p = torch.tensor([[1.0, 0.5, 0.0, 0.5], [0.2, 0.2, 0.2, 0.2], [0.1, 0.9, 0.6, 0]]).view(3, 1, 2, 2)
    mask = torch.tensor([[1.0, 1, 0, 0], [0, 0, 0, 1], [0, 1, 1, 0]]).view(3, 1, 2, 2)
    overlap, sums = (p * mask).flatten(1).sum(1), p.flatten(1).sum(1) + mask.flatten(1).sum(1)
    right = [0.75, 2 / 9, 5 / 6]
    hard = (p > 0.5).float()
    hard_overlap, hard_sums = (hard * mask).flatten(1).sum(1), hard.flatten(1).sum(1) + mask.flatten(1).sum(1)
    per_column = "the sum runs over one axis only: over all pixels of an image, dim=(1, 2, 3)"
    expect(
        of(p, mask),
        right,
        "the Dice score of three images",
        wrong=[
            (overlap / sums, "the factor 2 is missing"),
            (overlap / (sums - overlap), "this is the overlap over the union (IoU): 2 times the overlap over both sums"),
            (2 * overlap / (sums - overlap), "the overlap is subtracted below: divide by the plain sum of both"),
            (1 - 2 * overlap / sums, "this is the loss, 1 - D: the score is wanted"),
            (2 * overlap.sum() / sums.sum(), "one score for the whole batch: one for each image is wanted"),
            (2 * overlap.sum() / sums.sum() * torch.ones(3), "one score for the whole batch: one for each image is wanted"),
            *((2 * overlap / sums.clamp(min=least), "the divisor is clamped at too large a value: at a tiny one") for least in (2, 5, 10)),
            ((2 * overlap / sums).mean(), "the mean over the images is taken: one score for each image is wanted"),
            ((2 * overlap / sums).view(3, 1), "the shape is (B, 1): sum over axis 1, too, dim=(1, 2, 3)"),
            ((2 * overlap / sums).view(3, 1, 1, 1), "the summed axes are kept (keepdim): the shape is (B,)"),
            (2 * hard_overlap / hard_sums, "p is cut at one half: soft Dice takes the probabilities as they are"),
            ((2 * overlap + 1) / (sums + 1), "a smoothing term of 1 changes the scores: use a tiny one, or none"),
            (2 * overlap / (sums + 1), "a 1 is added below: use a tiny term, or none"),
            (
                2 * overlap / ((p**2).flatten(1).sum(1) + mask.flatten(1).sum(1)),
                "the divisor sums squares: a variant of Dice; the plain sums are wanted",
            ),
            (2 * overlap / p.flatten(1).sum(1), "the sum of the mask is missing below"),
            (2 * overlap / mask.flatten(1).sum(1), "the sum of p is missing below"),
            (overlap / mask.flatten(1).sum(1), "this is the recall: 2 times the overlap over both sums"),
            (overlap / p.flatten(1).sum(1), "this is the precision: 2 times the overlap over both sums"),
            ((p == mask).float().flatten(1).mean(1), "this is the share of right pixels: the overlap is wanted"),
            ((hard == mask).float().flatten(1).mean(1), "this is the share of right pixels: the overlap is wanted"),
            ((2 * (p * mask) / (p + mask)).nan_to_num().flatten(1).mean(1), "sum over the pixels first, then divide"),
            ((2 * (p * mask).sum(3) / (p.sum(3) + mask.sum(3))), per_column),
            ((2 * (p * mask).sum((2, 3)) / (p.sum((2, 3)) + mask.sum((2, 3)))), "sum over axis 1, too, dim=(1, 2, 3)"),
            ((2 * (p.softmax(1) * mask).flatten(1).sum(1) / (p.softmax(1) + mask).flatten(1).sum(1)), "p holds probabilities: no softmax"),
            (
                (2 * (p.sigmoid() * mask).flatten(1).sum(1) / (p.sigmoid() + mask).flatten(1).sum(1)),
                "p holds probabilities: no sigmoid here",
            ),
        ],
        tolerance=2e-5,
        float_tensor=True,
    )  # fmt: skip
    probabilities = torch.tensor([[0.0, 0, 0, 0], [0.5, 0, 0, 0.5], [0, 0, 0, 0]]).view(3, 1, 2, 2).requires_grad_()
    nothing = torch.tensor([[0.0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0]]).view(3, 1, 2, 2)
    scores = of(probabilities, nothing)
    expect(
        scores,
        [1.0, 0.0, 0.0],
        "the scores where nothing is to be found and nothing was; nothing is, but something was; something is, but nothing was",
        wrong=[
            ([math.nan, 0, 0], "where both are empty it is nan: the score is 1 there"),
            ([0.0, 0, 0], "where both are empty the score is 1 (a tiny term added to p or below makes it 0)"),
            ([1.0, 1, 0], "an empty mask alone does not make the score 1: something was found there"),
            ([1.0, 0, 1], "an empty prediction alone does not make the score 1: something was to be found"),
        ],
        tolerance=2e-5,
    )
    if not scores.requires_grad:
        raise Fix("the scores carry no gradient to p: no detach, no threshold, no no_grad here")
    (gradient,) = torch.autograd.grad(scores.sum(), probabilities)
    if gradient[:2].isnan().any():
        raise Fix("the gradient is nan where both are empty: keep the divisor away from zero BEFORE dividing (clamp)")
    leaf = p.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(of(leaf, mask).sum(), leaf)
    of_overlap, of_sums = (
        2 * mask / sums.view(-1, 1, 1, 1),
        (2 * overlap / sums**2).view(-1, 1, 1, 1) * torch.ones(p.shape),
    )
    expect(
        gradient,
        of_overlap - of_sums,
        "the gradient of the scores",
        wrong=[
            (of_overlap, "no gradient flows through the sum of p below: no detach, no no_grad there"),
            (-of_sums, "no gradient flows through the overlap: no detach, no no_grad there"),
        ],
        tolerance=1e-3,
    )
    wide = torch.zeros(2, 1, 4, 6)
    wide[:, :, 1:3, 2:4] = 1
    expect(
        of(wide, wide),
        [1.0, 1.0],
        "the scores of two perfect masks of 4 times 6 pixels",
        [([0.25, 0.25], "the size of the images is written in: sum over all their pixels, dim=(1, 2, 3)")],
        tolerance=2e-5,
    )
    one_pixel, little = torch.zeros(2, 1, 2, 2), torch.zeros(2, 1, 2, 2)
    one_pixel[0, 0, 0, 0], little[:, 0, 0, 0] = 1, 0.1  # the sums below are 1.1 and .1
    expect(
        of(little, one_pixel),
        [0.2 / 1.1, 0.0],
        "the scores of a probability of .1 on a mask of one pixel, and of the same probability without a mask",
        wrong=[
            *(([0.2 / least, 0.0], "the divisor is clamped at too large a value: at a tiny one") for least in (1.2, 1.5, 2, 5, 10)),
            ([0.2 / 1.1, 1.0], "something small is not nothing: the score is 1 only where both sums are zero"),
            ([1.0, 1.0], "something small is not nothing: the score is 1 only where both sums are zero"),
        ],
        tolerance=2e-4,
    )  # fmt: skip
    faint, nothing = torch.zeros(2, 1, 2, 2), torch.zeros(2, 1, 2, 2)
    faint[0, 0, 0, 0], faint[1, 0, 0, 0] = 0.02, 5e-4
    scores = of(faint, nothing)
    small = "something small is not nothing: the score is 1 only where both sums are zero"
    expect(
        scores[:1],
        [0.0],
        "the score of a probability of .02 where the mask is empty",
        wrong=[
            *(([term / (0.02 + term)], "the term that avoids the division by zero is too large: 1e-7, or clamp the divisor") for term in (1e-3, 1e-4, 1e-5, 1e-6)),
            ([1.0], small),
        ],
        tolerance=1e-5,
    )  # fmt: skip
    expect(
        scores[1:],
        [0.0],
        "the score of a probability of .0005 where the mask is empty",
        [([1.0], small)],
        tolerance=1e-2,
    )
    expect(
        of(p[:1], mask[:1]),
        right[:1],
        "the score of a batch of one image",
        [(right[0], "a batch of one image lost its axis: the shape is (B,), also (1,), so no squeeze()")],
        tolerance=2e-5,
    )


@exercise("5.7", "one warp for two")
def _(student):
    n = 200
    pixels = torch.arange(n * 2 * 9, dtype=torch.float32).view(n, 2, 3, 3)
    target = -0.25 - torch.arange(n * 9, dtype=torch.float32).view(n, 1, 3, 3)

    def of(seed: int, global_seed: int = 0):
        torch.manual_seed(global_seed)
        state = torch.get_rng_state()
        try:
            result = student(pixels, target, torch.Generator().manual_seed(seed))
        except Fix as error:
            if "equal size" in str(error):
                raise Fix(f"{error}: turn the last two axes, (1, 2) of one picture (C, S, S)") from None
            raise
        image, mask = expect_tuple(result, ("image", "target"))
        if not torch.equal(torch.get_rng_state(), state):
            raise Fix("torch's global generator is used or seeded: all chance comes from rng, generator=rng in every draw")
        if isinstance(image, list | tuple) or isinstance(mask, list | tuple):
            raise Fix("a list of pictures is returned: stack them, torch.stack(...) makes a batch")
        shapes = [tuple(getattr(part, "shape", ())) for part in (image, mask)]
        if shapes == [(n, 1, 3, 3), (n, 2, 3, 3)]:
            raise Fix("the two values are swapped: return (image, target)")
        if shapes != [(n, 2, 3, 3), (n, 1, 3, 3)]:
            raise Fix(f"the shapes are {shapes[0]} and {shapes[1]}, expected {(n, 2, 3, 3)} and {(n, 1, 3, 3)}")
        return image, mask

    image, mask = of(0)
    of_image, of_target = _symmetry(pixels, image), _symmetry(target, mask)
    if (of_target < 0).all() and any((_symmetry(way(target), mask) >= 0).all() for way in (torch.round, torch.floor)):
        raise Fix("the targets are rounded: they keep their values, and move to other places only")
    for name, found in (("image", of_image), ("target", of_target)):
        if (found < 0).all():
            raise Fix(
                f"no {name} is a mirrored or turned copy of what came in at its place: turn the last two axes, (2, 3), and keep the order of the batch"
            )
        if (found < 0).any():
            raise Fix(
                f"some {name}s are no mirrored or turned copies of what came in there: mirror and turn the last two axes only, and keep the order of the batch"
            )
    if (of_target == 0).all() and not (of_image == 0).all():
        raise Fix("the target is not warped: it moves along with its image")
    if (of_image == 0).all():
        raise Fix("no image is warped")
    if not torch.equal(of_image, of_target):
        raise Fix("image and target are warped differently: draw once for each pair, and use the draw for both")
    counts = torch.bincount(of_image, minlength=8)
    if (counts > 0).sum() == 1:
        raise Fix("all pairs are warped in the same way: draw for each pair by itself")
    _draws_vary([_symmetry(pixels, of(seed)[0]) for seed in range(8)])
    if not torch.equal(of(0)[0], image):
        raise Fix("the same rng gives another result the second time: is there other chance in it than rng?")
    if not torch.equal(of(0, global_seed=1)[0], image):
        raise Fix("not all chance comes from rng: give generator=rng to every draw")
    if torch.equal(of(1)[0], image):
        raise Fix("another rng gives the same result: draw from rng, with no seed of your own")
    rng = torch.Generator().manual_seed(0)
    if torch.equal(student(pixels[:20], target[:20], rng)[0], student(pixels[:20], target[:20], rng)[0]):
        raise Fix("a second call draws the same again: draw from rng itself, do not seed another generator with it")
    _chances_are_equal(student)
    few = student(pixels[:2], target[:2], torch.Generator().manual_seed(0))
    if tuple(few[0].shape) != (2, 2, 3, 3):
        raise Fix("it works for one size of the batch only")
    one = pixels[:1], target[:1]
    for seed in range(24):
        warped = student(*one, torch.Generator().manual_seed(seed))
        if any(new.data_ptr() == old.data_ptr() for new, old in zip(warped, one)):
            raise Fix("where nothing is to be done it returns the tensors that it got: new tensors are wanted")


def _draws_vary(ways: list[torch.Tensor]) -> None:
    """`ways` holds the ways of all pairs for several generators: one draw for the whole batch shows between them."""
    mirrored, turns = [way >= 4 for way in ways], [way % 4 for way in ways]
    if all(coins.all() or not coins.any() for coins in mirrored):
        hits = sum(coins.all().item() for coins in mirrored)
        if hits == 0:
            raise Fix("nothing is mirrored: one half of the pairs should be")
        if hits == len(ways):
            raise Fix("every pair is mirrored: one half of the pairs should be")
        raise Fix("one coin mirrors all pairs or none: draw a coin for each pair by itself")
    # A turn after the mirror, or before it: then it is the opposite turn after it
    kinds = [(k[~m].unique().tolist(), k[m].unique().tolist()) for m, k in zip(mirrored, turns)]
    if all(len(plain) <= 1 and len(other) <= 1 for plain, other in kinds):
        if len({str(kind) for kind in kinds}) > 1:
            raise Fix("all pairs get the same number of quarter turns: draw it for each pair by itself")
        if kinds[0] == ([0], [0]):
            raise Fix("nothing is turned: 0, 1, 2 or 3 quarter turns, equally likely")
    counts = torch.bincount(torch.cat(ways), minlength=8)
    if counts.min() == 0:
        if (counts[:4] + counts[4:]).min() > 0:
            raise Fix("mirror and turns depend on each other: draw the one apart from the other")
        raise Fix(
            "some of the eight ways never occur: mirrored or not, with 0, 1, 2 or 3 quarter turns (randint(4, ...)); "
            "transpose and flip(1) are mirrors, turn with rot90"
        )


def _chances_are_equal(student) -> None:
    """Limits of more than five standard errors: a right answer fails less than once in a million seeds."""
    n = 8000
    tiny = torch.arange(n * 4, dtype=torch.float32).view(n, 1, 2, 2)
    ways = _symmetry(tiny, student(tiny, tiny, torch.Generator().manual_seed(5))[0])
    shares = torch.bincount(ways, minlength=8).view(2, 4) / n
    mirrored, turns = shares[1].sum().item(), shares.sum(0)
    if abs(mirrored - 0.5) > 0.03:
        raise Fix(f"of {n} pairs the share {mirrored:.2f} is mirrored: one half should be (torch.rand(...) < 0.5)")
    if (turns - 0.25).abs().max() > 0.026:
        text = ", ".join(f"{share:.2f}" for share in turns.tolist())
        raise Fix(f"0, 1, 2 and 3 quarter turns have the shares {text}: they should be equally likely (randint(4, ...))")
    if (shares - 0.125).abs().max() > 0.02:
        raise Fix("mirror and turns depend on each other: draw the one apart from the other")
    if abs((ways[1:] == ways[:-1]).float().mean() - 0.125) > 0.02:
        raise Fix("the draws of neighbours depend on each other: draw for each pair by itself")


def _symmetry(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """Which of the eight ways each picture went: quarter turns, plus 4 if mirrored first; -1 for none of them."""
    found = torch.full((len(before),), -1)
    for way in range(8):
        start = before.flip(3) if way >= 4 else before
        hit = (torch.rot90(start, way % 4, (2, 3)) == after).flatten(1).all(1)
        found[hit] = way
    return found
