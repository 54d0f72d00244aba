"""Checks of lesson 10: eight published mistakes mended and named, and a hybrid of one's own held to its properties."""

import contextlib
import copy
import functools
import io

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.batches import Batch
from course_utils.check.core import Fix, Probe, exercise, expect, expect_tuple
from course_utils.datasets import Dataset, load_dataset
from course_utils.models import SimpleCNN

# ------------------------------------------------------------------------------------------------------- 10.1 bytes


def _wrapped(x: torch.Tensor) -> torch.Tensor:
    """What becomes of numbers that are cut off and start again from 0 above 255, on every machine alike."""
    return x.long() % 256


@exercise("10.1", "bytes")
def _(student):
    x = torch.tensor([-1.0, -0.5, 0.25, 0.5, 0.99, 1.0])
    scaled = 127.5 * (x + 1)
    cut = "what stands behind the point is cut off: round() to the nearest byte first"
    as_they_are = "the floats are converted as they are, and nearly all of [-1, 1] becomes 0: stretch the range first"
    half_lost = "everything below 0 is lost: -1, not 0, is the darkest value"
    result = student(x)
    expect(
        result,
        [0, 64, 159, 191, 254, 255],
        "the bytes of -1, -.5, .25, .5, .99 and 1",
        wrong=[
            (_wrapped(x), as_they_are),
            (x.long(), as_they_are),
            (x.round().long(), as_they_are),
            (x, as_they_are),
            (x.clamp(0, 1).long(), as_they_are),
            (scaled.long(), cut),
            (scaled, "the values are not rounded: round(), and a tensor of type uint8"),
            ((x.clamp(min=0) * 255).long(), half_lost),
            ((x.clamp(min=0) * 255).round(), half_lost),
            (_wrapped(x * 255), "numbers below 0 start again from 255: shift the range by 1 before stretching it"),
            (
                _wrapped((x * 255).round()),
                "numbers below 0 start again from 255: shift the range by 1 before stretching it",
            ),
            (
                _wrapped((x + 1) * 255),
                "the range has the length 2: (x + 1) times half of 255, else numbers above 255 start again from 0",
            ),
            (
                ((x + 1) * 255).clamp(0, 255).round(),
                "the range has the length 2: (x + 1) times half of 255; all above 0 is white",
            ),
            (_wrapped(((x + 1) * 128).round()), "1 becomes 256, which starts again from 0: the highest byte is 255"),
            (
                ((x + 1) * 128).round().clamp(0, 255),
                "stretched by 128: -1 to 0 and 1 to 255 means times 127.5",
            ),
            ((x + 1) * 128 // 1, "1 becomes 256: the highest byte is 255, and round instead of cutting off"),
            ((255 - scaled).round(), "light and dark are exchanged: -1 becomes 0"),
            (((x + 1) / 2).round(), "the range ends at 1: stretch it to 255"),
            ((x + 1) / 2, "the range ends at 1: stretch it to 255"),
            ((x + 1).long(), "the range ends at 2: stretch it to 255"),
            (scaled.ceil(), "all is rounded up: round() to the nearest byte"),
        ],
    )
    if not (isinstance(result, torch.Tensor) and result.dtype == torch.uint8):
        raise Fix(f"the values are right, but bytes have the type torch.uint8, not {getattr(result, 'dtype', type(result).__name__)}")
    every = torch.arange(256)
    back = torch.as_tensor(student(every / 127.5 - 1)).long()
    if torch.equal(back, every - 1) or ((every - back).abs().max() == 1 and (every - back).min() >= 0):
        raise Fix(cut)
    expect(back, every, "the way from all 256 bytes to floats and back", tolerance=0.5)
    inner = torch.tensor([[[0.1]], [[0.3]]])
    what = "the bytes of a batch that holds neither -1 nor 1"
    expect(
        student(inner),
        [[[140]], [[166]]],
        what,
        wrong=[([[[0]], [[255]]], "the range of this very batch is stretched: the same float always becomes the same byte")],
    )
    outside = torch.as_tensor(student(torch.tensor([1.2, -1.3, 7.0, -7.0]))).tolist()
    if outside != [255, 0, 255, 0]:
        raise Fix(f"1.2, -1.3, 7 and -7 become {outside}, and should be 255, 0, 255, 0: clamp to 0 .. 255 before the conversion")


# ---------------------------------------------------------------------------------------- 10.2 student and teacher


@exercise("10.2", "student and teacher")
def _(student):
    z_s, z_w = torch.tensor([[1.0, 0, 0], [0.5, 2.0, 0]]), torch.tensor([[0.0, 1.2, 0], [0, 0.2, 1.5]])
    x_s, x_w = z_s.view(2, 3, 1, 1), z_w.view(2, 3, 1, 1)
    learner, teacher = Probe(), Probe(power=2)  # the teacher squares its logits, so each of four passes is known
    loss = student(learner, teacher, x_w, x_s)
    if not (torch.equal(learner.scale, torch.ones(1)) and torch.equal(teacher.scale, torch.ones(1))):
        raise Fix("a network's weights are changed inside: the training loop does that, after the loss")
    own, its = z_s.softmax(1), (z_w**2).softmax(1)
    right = (own - its).square().mean()
    same_name = (
        "the loss is zero whatever the images are: one network's output stands on both sides (is a name overwritten between the two?)"
    )
    expect(
        loss,
        right,
        "the loss of the worked example",
        wrong=[
            (0.0, same_name),
            (3 * right, "the sum over the classes is taken: the mean over images and classes"),
            (6 * right, "this is the sum: the mean over images and classes"),
            ((own - its).square(), "return one number: the mean"),
            ((own - its).square().mean(1), "return one number: the mean over images, too"),
            ((own - its).square().sum(1), "return one number: the mean"),
            (
                (z_s - z_w**2).square().mean(),
                "logits are compared: make probabilities of both, a distance of logits has no bound",
            ),
            ((own - z_w**2).square().mean(), "the teacher's answer is still logits: softmax"),
            ((z_s - its).square().mean(), "the student's answer is still logits: softmax"),
            (
                (z_w.softmax(1) - (z_s**2).softmax(1)).square().mean(),
                "the views are swapped: the student answers x_s, the teacher x_w",
            ),
            (
                (own - (z_s**2).softmax(1)).square().mean(),
                "the teacher answers x_s, too: it gets the weak views, x_w",
            ),
            (
                (z_w.softmax(1) - its).square().mean(),
                "the student answers x_w, too: it gets the strong views, x_s",
            ),
            (
                (own - z_w.softmax(1)).square().mean(),
                "the target is the student's own answer on x_w: the teacher gives it",
            ),
            (
                ((z_s**2).softmax(1) - its).square().mean(),
                "both answers are the teacher's: the student answers x_s",
            ),
            (
                (own.softmax(1) - its.softmax(1)).square().mean(),
                "softmax is applied twice",
            ),
            (F.cross_entropy(z_s, its), "this is a cross-entropy: the mean squared distance is wanted"),
            ((own - its).abs().mean(), "this is the mean absolute distance: square it"),
            ((own - its).square().sum(1).sqrt().mean(), "this is the length of the difference: no root"),
        ],
        tolerance=1e-5,
    )
    if not isinstance(loss, torch.Tensor):
        raise Fix("the loss must be a tensor, so that it can be differentiated: no .item() on it")
    no_gradient = "the value is right, but no gradient reaches the student: is its answer detached, or made under no_grad?"
    if not loss.requires_grad:
        raise Fix(no_gradient)
    if not teacher.scale.requires_grad or not learner.scale.requires_grad:
        raise Fix("requires_grad is switched off for good: use no_grad around the teacher's pass")
    for name, network, x in (("student", learner, x_s), ("teacher", teacher, x_w)):
        if len(network.images) != 1 or not torch.equal(network.images[0], x.flatten(1)):
            raise Fix(f"the {name} gets more images than its own view: one pass of each network, the student on x_s, the teacher on x_w (BatchNorm sees what goes through)")  # fmt: skip
    to_student, to_teacher = torch.autograd.grad(loss, [learner.scale, teacher.scale], allow_unused=True)
    if to_teacher is not None:
        raise Fix("a gradient flows into the teacher: its answer is made under no_grad")
    if to_student is None or to_student.abs().max() == 0:
        raise Fix(no_gradient)
    scale = torch.ones(1, requires_grad=True)
    wanted = torch.autograd.grad(((z_s * scale).softmax(1) - its).square().mean(), scale)[0]
    expect(to_student, wanted, "the gradient to the student", tolerance=1e-5)
    learner.expect_mode()
    teacher.expect_mode()
    if any(gradient for _, gradient, _ in teacher.calls):
        raise Fix("the teacher runs with gradients recorded, which nobody uses: work under torch.no_grad() there")
    same = Probe()
    loss = student(same, same, x_w, x_s)
    expect(loss, (own - z_w.softmax(1)).square().mean(), "the loss where the teacher is the student itself", tolerance=1e-5)


# -------------------------------------------------------------------------------------------------------- 10.3 vote


@exercise("10.3", "a vote that may abstain")
def _(student):
    # Labelled images of the classes 0, 2, 2, 1; class 3 has none
    Y = np.eye(4)[[0, 2, 2, 1]]
    W = np.array(
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
    right = np.array([2, 0, -1, 1, 2, 0, 0])
    unknown, tiny, zero = right == -1, [4, 5], right == 0

    def but(where, value):
        changed = right.copy()
        changed[where] = value
        return changed

    small = "a small mass is treated as none: above zero is above zero"
    result = student(W, Y)
    expect(
        result,
        right,
        "the answers about seven images",
        wrong=[
            (but(unknown, 0), "a row without mass is answered as class 0: argmax of zeros is 0; find these rows first"),
            (but(unknown, 4), "unknown is -1, not the number of classes"),
            (but(unknown, 3), "a row without mass is answered as the last class: it is unknown, -1"),
            (but(unknown, 2), "a row without mass is answered as the most frequent class: it is unknown, -1"),
            (but(zero, -1), "answers of class 0 are called unknown: look at the mass of the row, not at its argmax"),
            (but(tiny, -1), small),
            (but([*tiny, 2], 0), "a small mass is treated as none, and none as class 0"),
            (
                but(0, 0),
                "the nearest image decides, or the mean weight of a class: sum the weights of each class, W @ Y",
            ),
            (
                np.where(unknown, 0, but(0, 0)),
                "the nearest image decides, and without any the first one: sum the weights of each class, W @ Y",
            ),
            (right[~unknown], "one answer for each image: rows without mass stay in their place, with -1"),
            (~unknown, "this says whether something is known: the class is wanted, or -1"),
        ],
    )
    if np.asarray(result).dtype.kind not in "iu":
        raise Fix(f"answers are class numbers: integers, not {np.asarray(result).dtype}")
    nothing = student(np.zeros((2, 4)), Y)
    expect(nothing, [-1, -1], "the answers when no image has any mass", [([0, 0], "rows without mass are unknown: -1")])
    expect(student(W[:1] / 1e3, Y), [2], "the answer about one image with small weights", [([-1], small)])
    expect(student(np.exp([[-720.0, -740.0]]), np.eye(2)), [0], "the answer about weights of e^-720 and e^-740", [([-1], small)])  # fmt: skip
    alike = student(np.full((1, 2), 0.3), np.eye(2))
    expect(np.asarray(alike).clip(0), alike, "the answer where two classes have the same mass", [([0], "equal masses are called unknown: there is mass, so either of the two is an answer")])  # fmt: skip
    rng = np.random.default_rng(0)
    many, of = rng.random((50, 30)), np.eye(5)[rng.integers(0, 5, 30)]
    expect(student(many, of), (many @ of).argmax(1), "the answers about fifty images with mass")


# --------------------------------------------------------------------------------------------------- 10.4 divergence


def _kl(log_q: torch.Tensor, log_p: torch.Tensor) -> torch.Tensor:
    return (log_q.exp() * (log_q - log_p)).sum(1)


@exercise("10.4", "UDA's divergence")
def _(student):
    T = 0.5
    z_w = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1]]).log() + torch.tensor([[2.0], [0.5]])
    z_s = torch.tensor([[1.0, 0.0, 0.5], [0.0, 0.2, -1.0]])
    plain_w, plain_s = z_w.log_softmax(1), z_s.log_softmax(1)
    sharp_w, sharp_s = (z_w / T).log_softmax(1), (z_s / T).log_softmax(1)
    each = _kl(sharp_w, plain_s)
    logits_w, logits_s = z_w.clone().requires_grad_(), z_s.clone().requires_grad_()
    loss = student(logits_w, logits_s, T)
    twice = "softmax is applied twice: the temperature divides logits, not probabilities"
    expect(
        loss,
        each.mean(),
        "the loss of the worked example at T = .5",
        wrong=[
            (
                _kl(plain_w, sharp_s).mean(),
                "the temperature stands on the wrong side: it sharpens the target, not the prediction that learns",
            ),
            (_kl(sharp_w, sharp_s).mean(), "both sides are sharpened: the target only"),
            (_kl(plain_w, plain_s).mean(), "nothing is sharpened: T is ignored"),
            (
                _kl((z_w * T).log_softmax(1), plain_s).mean(),
                "the logits are multiplied by T, which blurs: divide by it",
            ),
            (_kl((z_w.softmax(1) / T).log_softmax(1), plain_s).mean(), twice),
            (_kl(sharp_w.exp().log_softmax(1), plain_s).mean(), twice),
            (_kl(sharp_w, plain_s.exp().log_softmax(1)).mean(), twice),
            (each.sum(), "this is the sum over the images: their mean is wanted"),
            (each, "return one number: the mean over the images"),
            (each.mean() / 3, "the mean runs over images and classes: the sum over classes, the mean over images (batchmean)"),
            (
                _kl(plain_s, sharp_w).mean(),
                "the divergence is the wrong way round: the target stands in front of the logarithm",
            ),
            (
                -(sharp_w.exp() * plain_s).sum(1).mean(),
                "this is the cross-entropy, which is not zero where both agree: the target's own logarithm is missing",
            ),
            (-each.mean(), "the sign is wrong: a divergence is never negative"),
            (T * T * each.mean(), "the factor T squared belongs to distillation: not here"),
            (each.mean() / T, "the loss is divided by T: only the logits of the target are"),
            (
                (sharp_w.exp() - plain_s.exp()).square().mean(),
                "this is the squared distance: the divergence is wanted",
            ),
            (
                _kl((z_s / T).log_softmax(1), plain_w).mean(),
                "the views are swapped: the target comes from the weak view",
            ),
            (
                F.cross_entropy(z_s, z_w.argmax(1)),
                "the target is hard (argmax): UDA's is soft",
            ),
        ],
        tolerance=1e-5,
    )  # fmt: skip
    if not (isinstance(loss, torch.Tensor) and loss.requires_grad):
        raise Fix("the loss carries no gradient to the strong logits: detach the target only")
    to_weak, to_strong = torch.autograd.grad(loss, [logits_w, logits_s], allow_unused=True)
    if to_weak is not None and to_weak.abs().max() > 0:
        raise Fix("a gradient flows into the target: detach the weak logits")
    if to_strong is None:
        raise Fix("the loss carries no gradient to the strong logits: detach the target only")
    expect(to_strong, (plain_s.exp() - sharp_w.exp()) / 2, "the gradient to the strong logits", tolerance=1e-5)
    expect(student(z_w, z_w / 0.4, 0.4), 0.0, "the loss where the prediction is the sharpened target", tolerance=1e-5)
    sure = student(torch.tensor([[90.0, 0, 0]]), torch.tensor([[1.0, 0, 0]]), 0.4)
    if not torch.isfinite(torch.as_tensor(sure)).all():
        raise Fix("a target that is very sure gives nan, 0 times the logarithm of 0: use log_softmax, or F.kl_div")
    expect(sure, -torch.tensor([1.0, 0, 0]).log_softmax(0)[0], "the loss where the target is very sure")
    target = torch.tensor([[2.0, 0, 0]])
    far = torch.tensor([[-60.0, 60, 0]], requires_grad=True)
    loss = student(target, far, 0.5)
    by_hand = _kl((target / 0.5).log_softmax(1), far.log_softmax(1)).mean()
    no_floor = "the logarithm of a probability is taken on the side that learns: it is infinite or cut off, and has no gradient; log_softmax of the logits"
    if not torch.isclose(loss, by_hand, atol=1e-3):
        raise Fix(f"where the strong view is surely wrong the loss is {loss.item():.4g}, expected {by_hand.item():.4g}: {no_floor}")
    expect(torch.autograd.grad(loss, far)[0], torch.autograd.grad(by_hand, far)[0], f"the gradient where the strong view is surely wrong ({no_floor})", tolerance=1e-4)  # fmt: skip


# ---------------------------------------------------------------------------------------------- 10.5 hold back the known


@exercise("10.5", "hold back what is known")
def _(student):
    # surely wrong; unsure; surely right
    p = torch.tensor([[0.97, 0.02, 0.01], [0.40, 0.35, 0.25], [0.80, 0.15, 0.05]])
    y, eta = torch.tensor([1, 0, 0]), 0.667
    z = p.log() + torch.tensor([[1.0], [0.0], [2.0]])
    losses = F.cross_entropy(z, y, reduction="none")
    logits = z.clone().requires_grad_()
    loss = student(logits, y, eta)
    wrong_way = "what is known takes part and the rest is held back: the comparison is the wrong way round"
    surest = "the highest probability decides, so that an image that is surely WRONG is held back: the label's probability decides"
    expect(
        loss,
        (losses[0] + losses[1]) / 2,
        "the loss of three images: surely wrong, unsure, surely right",
        wrong=[
            (losses[1], surest),
            (losses[1] / 3, surest),
            (losses[1] / 2, surest),
            (losses[2], wrong_way),
            (losses[2] / 3, wrong_way),
            ((losses[0] + losses[2]) / 2, "the comparison is the wrong way round, and the highest probability decides"),
            (losses.mean(), "nothing is held back"),
            (
                losses[:2].sum() / 3,
                "divided by 3, and two images take part: divide by their number (not by that of all, nor by one more)",
            ),
            (losses[:2].sum(), "this is the sum: the mean over the images that take part is wanted"),
            (losses * torch.tensor([1.0, 1, 0]), "return one number: the mean over the images that take part"),
            (losses[:2], "return one number: the mean over the images that take part"),
            (
                losses[0],
                "everything that is right is held back, however unsure: only what has a probability above eta",
            ),
            (
                F.cross_entropy(z.softmax(1)[:2], y[:2]),
                "softmax is applied twice: cross_entropy takes logits",
            ),
        ],
        tolerance=1e-4,
    )
    if not (isinstance(loss, torch.Tensor) and loss.requires_grad):
        raise Fix("the loss carries no gradient: no detach and no .item() on the losses themselves")
    (gradient,) = torch.autograd.grad(loss, logits)
    wanted = (p - F.one_hot(y, 3)) / 2
    wanted[2] = 0
    expect(
        gradient,
        wanted,
        "the gradient to the logits",
        [(-wanted, "the sign is wrong"), (torch.zeros(3, 3), "the loss carries no gradient")],
    )
    second = torch.tensor([[0.45, 0.40, 0.15], [0.1, 0.2, 0.7]]).log()
    expect(
        student(second, torch.tensor([1, 1]), 0.3),
        F.cross_entropy(second[1:], torch.tensor([1])),
        "the loss at eta = .3 of a label with probability .4, behind another class, and one with .2",
        wrong=[
            (
                F.cross_entropy(second, torch.tensor([1, 1])),
                "an image is held back only if it is also guessed right: the label's probability alone decides",
            ),
            (0.0, surest),
        ],
    )
    at = torch.tensor([[0.0, 0.0], [3.0, 0.0]])
    expect(
        student(at, torch.tensor([0, 0]), 0.5),
        F.cross_entropy(at[:1], torch.tensor([0])),
        "the loss at eta = .5 of a label with a probability of exactly .5, and one above",
        [(0.0, "an image at exactly eta takes part: held back is what lies ABOVE")],
    )
    known = torch.tensor([[9.0, 0.0], [0.0, 9.0]], requires_grad=True)
    none = student(known, torch.tensor([0, 1]), 0.9)
    if torch.as_tensor(none).isnan().any():
        raise Fix("if no image takes part the loss is nan: divide by at least 1 (clamp)")
    expect(none, 0.0, "the loss if no image takes part")
    cut_off = "if no image takes part the loss is cut off from the logits, so that backward() fails or finds nothing: make it 0 times something that hangs on the logits"
    if not (isinstance(none, torch.Tensor) and none.requires_grad):
        raise Fix(cut_off)
    (gradient,) = torch.autograd.grad(none, known, allow_unused=True)
    if gradient is None:
        raise Fix(cut_off)
    expect(gradient, torch.zeros(2, 2), "the gradient if no image takes part")
    lost = torch.tensor([[60.0, -60.0]], requires_grad=True)
    loss = student(lost, torch.tensor([1]), 0.9)
    no_floor = "the logarithm of a probability is infinite or cut off there, and the image from which most is to be learnt sends no gradient; cross_entropy of the logits"
    if not torch.isclose(torch.as_tensor(loss), torch.tensor(120.0)):
        raise Fix(f"the loss of a label with the logits 60 and -60 is {torch.as_tensor(loss).item():.4g}, expected 120: {no_floor}")
    expect(torch.autograd.grad(loss, lost)[0], [[1.0, -1.0]], f"the gradient of a surely wrong image ({no_floor})")
    everything = student(z, y, 1.0)
    expect(everything, losses.mean(), "the loss at eta = 1, where nothing is held back")


# ------------------------------------------------------------------------------------------------- 10.6 rates to keep


@exercise("10.6", "the share to keep")
def _(student):
    counts, alpha = torch.tensor([30.0, 400, 5, 60, 100]), 0.5
    order = torch.argsort(counts, descending=True)
    ranks = order.argsort()
    by_rank = (counts[order].flip(0) / 400) ** alpha
    right = by_rank[ranks]
    of_index = "the shares stand in the order of the ranks: class 0 is taken for the most frequent one"
    result = student(counts, alpha)
    expect(
        result,
        right,
        "the shares for the counts 30, 400, 5, 60, 100",
        wrong=[
            (by_rank, of_index),
            (by_rank.flip(0), "the shares stand in the order of the ranks, and the other way round"),
            (
                by_rank[order],
                "the way back to the classes is walked in the wrong direction: write to rates[order], do not read rates[order] (or use the argsort of order)",
            ),
            (
                by_rank[counts.argsort()],
                "the way back to the classes is walked in the wrong direction: write to rates[order], do not read from it",
            ),
            ((counts / 400) ** alpha, "the most frequent class keeps most: the count of the mirrored rank is wanted"),
            ((counts.flip(0) / 400) ** alpha, "class numbers are mirrored: mirror the ranks"),
            ((5 / counts) ** alpha, "this divides the smallest count by each: the count of the mirrored rank, divided by the largest"),
            (right**2, "alpha is missing in the exponent"),
            (right**4, "the exponent is alpha, not 1 / alpha"),
            (right * alpha, "alpha is an exponent, not a factor"),
            (right**2 * alpha, "alpha is an exponent, not a factor"),
            (right * 400**alpha, "divide by the largest count"),
            (right * (400 / counts.sum()) ** alpha, "divide by the largest count, not by their sum"),
            (1 - right, "this is the share to drop"),
            (ranks, "these are ranks"),
            (order, "these are the classes by rank: their shares are wanted"),
        ],
        tolerance=1e-5,
        float_tensor=True,
    )  # fmt: skip
    expect(student(counts, 1.0), right**2, "the shares at alpha = 1", [(right, "alpha is ignored")])
    expect(student(counts, 0.0), torch.ones(5), "the shares at alpha = 0")
    expect(student(torch.tensor([7.0, 3.0]), 1.0), [3 / 7, 1.0], "the shares of two classes, 7 and 3 images")
    expect(student(torch.tensor([3.0, 7.0]), 1.0), [1.0, 3 / 7], "the shares of two classes, 3 and 7 images")
    rng = torch.Generator().manual_seed(0)
    for _ in range(3):
        renamed = torch.randperm(5, generator=rng)
        expect(
            student(counts[renamed], alpha),
            right[renamed],
            "the shares after the classes have been renamed",
            [(right, of_index)],
        )


# --------------------------------------------------------------------------------------------- 10.7 look, leave no trace


class _Moody(nn.Module):
    """Answers with its inputs in evaluation mode and with their opposite in training mode, where it also counts its calls."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))
        self.inner = nn.Sequential(nn.Sequential(nn.Dropout(0.5)))
        self.calls: list[bool] = []
        self.modes: list[bool] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.append(torch.is_grad_enabled())
        self.modes += [part.training for part in self.modules()]
        if self.training:
            self.batches += 1
            return -self.weight * x.flatten(1)
        return self.inner(self.weight * x.flatten(1))


@exercise("10.7", "look, and leave no trace")
def _(student):
    x = torch.tensor([[3.0, 1, 0], [0, 2, 1], [1, 0, 4], [5, 0, 1], [0, 1, 2], [0, 1, 3]]).view(6, 3, 1, 1)
    y = torch.tensor([0, 1, 2, 1, 2, 0])  # four are right; in training mode only the last
    for before in (True, False):
        model = _Moody().train(before)
        was = "training" if before else "evaluation"
        result = student(model, x, y)
        if model.training != before:
            raise Fix(
                f"the model was in {was} mode before the call and is in the other one after it: note model.training first, and go back to that"
            )
        if any(part.training != before for part in model.modules()):
            raise Fix("a part of the model stays in another mode: model.train(mode) sets all of its parts")
        if any(model.modes) or model.batches != 0:
            raise Fix("the model, or a part of it, answers in training mode: evaluation mode, eval(), which reaches all parts")  # fmt: skip
        expect(
            result,
            4 / 6,
            f"the share of right answers, the model being in {was} mode before",
            wrong=[
                (1 / 6, "the model answers in training mode: evaluation mode, eval()"),
                (2 / 6, "this is the share of wrong answers"),
                (4, "this is a count: divide by the number of images"),
                (400 / 6, "this is a percentage: a share is between 0 and 1"),
                ([1.0, 1, 1, 0, 1, 0], "return one number: the mean"),
                (5 / 6, "an answer is right if it is equal to the label"),
                (4 / 18, "divide by the number of images, not by images times classes"),
            ],
        )
        if isinstance(result, torch.Tensor):
            raise Fix("the share is right, but it is a tensor: a plain number is wanted, .item()")
        if any(model.calls):
            raise Fix("gradients are recorded during the pass: work under torch.no_grad()")
        if not model.weight.requires_grad:
            raise Fix("requires_grad is switched off for good: use no_grad around the pass")
    expect(student(_Moody(), x[:1], y[:1]), 1.0, "the share for a single image")


# ----------------------------------------------------------------------------------------------- 10.8 the reported number


@exercise("10.8", "the number for the paper")
def _(student):
    val = np.array([0.601, 0.804, 0.703, 0.804, 0.65, 0.62, 0.801])
    test = np.array([0.72, 0.75, 0.71, 0.853, 0.90, 0.70, 0.68])
    result = student(val, test)
    expect(
        result,
        0.75,
        "the score for val .601, .804, .703, .804, .65, .62, .801 and test .72, .75, .71, .853, .90, .70, .68",
        wrong=[
            (0.90, "the highest TEST score is reported: the test split itself has chosen"),
            (
                0.804,
                "this is the validation score of the chosen look: it was chosen for being high, report the test score",
            ),
            (
                0.853,
                "of two equal validation scores the later one is taken, or the one with the higher TEST score: the earliest decides",
            ),
            (
                0.8015,
                "this is a mean over the looks with the highest validation score: the earliest of them is reported",
            ),
            (
                0.65,
                "the look with the highest TEST score is chosen, and its validation score reported: the other way round",
            ),
            (0.68, "this is the last look: which one has the highest validation score?"),
            (0.72, "this is the first look, or the one with the lowest validation score: the highest decides"),
            (0.71, "this is the look after, or beside, the chosen one: does the search begin at the first?"),
            (1, "this is the position of the look: its test score is wanted"),
            (test.mean(), "this is the mean of all test scores"),
            (test, "one number is wanted"),
        ],
    )
    if isinstance(result, torch.Tensor | np.ndarray) and np.ndim(result):
        raise Fix("a plain number is wanted")
    chance = "the look with the lowest validation score is taken: the highest decides"
    expect(
        student(np.array([0.3, 0.2, 0.1]), np.array([0.1, 0.5, 0.4])),
        0.1,
        "the score where the first look has the highest validation and the lowest test score",
        [(0.5, "the highest TEST score is reported"), (0.4, chance)],
    )
    expect(
        student(np.array([-3.0, -1.0, -2.0]), np.array([-0.5, -0.9, -0.1])),
        -0.9,
        "the score where all scores are negative",
        [(0.0, "a search that starts at 0 finds no negative score"), (-0.1, "the highest TEST score is reported")],
    )
    expect(
        student(np.array([0.801, 0.804]), np.array([0.7, 0.8])),
        0.8,
        "the score for val .801, .804 and test .7, .8",
        [(0.7, "nearly equal is not equal: compare the scores as they are, without rounding")],
    )
    expect(student(np.array([0.4]), np.array([0.2])), 0.2, "the score of a single look")


# --------------------------------------------------------------------------------------------------- 10.9 the diagnosis

_KINDS = "GCJFHAED"  # of the cases 1 to 8
_LETTERS = "ABCDEFGHJKL"


@exercise("10.9", "name them")
def _(student):
    result = student()
    if not isinstance(result, dict):
        raise Fix(f'a dict is wanted, {{1: "...", 2: "...", ...}}, but it is {type(result).__name__}')
    named = {str(case): str(letter).strip().upper() for case, letter in result.items()}
    odd = sorted(set(named) - {str(case) for case in range(1, 9)})
    if odd:
        raise Fix(f"the keys are the cases, 1 to 8; what is {odd[0]!r}?")
    missing = [case for case in range(1, 9) if str(case) not in named]
    if missing:
        raise Fix(f"no letter for case {_listed(missing)}")
    unknown = [case for case in range(1, 9) if named[str(case)] not in _LETTERS or len(named[str(case)]) != 1]
    if unknown:
        raise Fix(f"case {_listed(unknown)}: one of the letters A to H and J to L is wanted")
    letters = [named[str(case)] for case in range(1, 9)]
    wrong = [case for case in range(1, 9) if letters[case - 1] != _KINDS[case - 1]]
    if wrong:
        hint = ""
        if len(set(letters)) < 8:
            hint = " (one letter stands twice: each kind belongs to one case at the most)"
        elif set(letters) & set("BKL"):
            hint = " (one of your letters belongs to no case)"
        raise Fix(f"not named rightly: case {_listed(wrong)}{hint}")


def _listed(cases: list[int]) -> str:
    return ", ".join(map(str, cases))


# ------------------------------------------------------------------------------------------------------- 10.10 a hybrid


_PATIENCE = 60  # steps within which the unlabelled images must have had an effect


class _Log(list):
    """What went through a network and its copies: (images, logits, whether gradients were recorded)."""

    def __deepcopy__(self, memo):
        return self


class _Watched(SimpleCNN):
    """The course's network with a head so strong that it is sure about some images; it notes every pass."""

    def __init__(self, strength: float, dataset: Dataset):
        super().__init__(dataset.channels, dataset.num_classes)
        self.log, self.switched = _Log(), False
        with torch.no_grad():
            self.head.weight.mul_(strength)
            self.head.bias.zero_()

    def train(self, mode: bool = True):
        self.switched = True
        return super().train(mode)

    @torch.no_grad()
    def guess(self, x: torch.Tensor) -> torch.Tensor:
        """(len(x),) its answers, without a note of the pass."""
        return F.linear(self.convolutions(x), self.head.weight, self.head.bias).argmax(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = super().forward(x)
        self.log.append((x.detach(), z, torch.is_grad_enabled()))
        return z


def _hybrid_batch(rng: torch.Generator, dataset: Dataset, labelled: int = 4, unlabelled: int = 8) -> Batch:
    def images(n: int, like: torch.Tensor | None = None) -> torch.Tensor:
        noise = torch.rand(n, dataset.channels, 28, 28, generator=rng) * 2 - 1
        coarse = F.interpolate(torch.rand(n, dataset.channels, 4, 4, generator=rng) * 2 - 1, size=28)
        return 0.2 * noise + 0.8 * coarse if like is None else 0.7 * like + 0.3 * noise

    x_u = images(unlabelled)
    x_l, x_w, x_s = (x.requires_grad_() for x in (images(labelled), images(unlabelled, x_u), images(unlabelled, x_u)))
    y_l = torch.randint(dataset.num_classes, (labelled,), generator=rng)
    return Batch(x_l, y_l, x_w, x_s, torch.arange(unlabelled))


def _loss_of(student, model: _Watched, batch: Batch) -> torch.Tensor:
    """Call the hybrid; Fix unless it returns a finite scalar with a gradient, and numbers, and leaves the model alone."""
    model.log.clear()
    model.switched = False
    weights = [parameter.detach().clone() for parameter in model.parameters()]
    result = student(model, batch)
    if isinstance(result, torch.Tensor):
        raise Fix("it must return two values, (loss, logs), but returned the loss only; logs may be {}")
    loss, logs = expect_tuple(result, ("loss", "logs"))
    if not isinstance(loss, torch.Tensor):
        raise Fix("the loss must be a tensor, so that it can be differentiated: no .item() on it")
    if loss.ndim != 0:
        raise Fix(f"the loss must be a scalar, but has the shape {tuple(loss.shape)}: is a mean() missing?")
    if not isinstance(logs, dict):
        raise Fix(f"logs must be a dict of numbers, {{}} if there are none, but is {type(logs).__name__}")
    for name, value in logs.items():
        if not isinstance(value, int | float | np.number) and not (isinstance(value, torch.Tensor) and value.ndim == 0):
            raise Fix(f"logs[{name!r}] is no plain number: take a mean, and .item()")
    if any(parameter.grad is not None for parameter in model.parameters()):
        raise Fix("backward() is called inside: leave that to the training loop, return the loss")
    if model.switched:
        raise Fix("it switches the mode: call neither eval() nor train(), the training loop takes care of the mode")
    if not all(torch.equal(before, after) for before, after in zip(weights, model.parameters())):
        raise Fix("the model's weights are changed inside: the optimizer does that, after the loss")
    if not loss.requires_grad:
        raise Fix("the loss carries no gradient to the model: only what serves as a target is made under no_grad")
    return loss


def _size(gradient: torch.Tensor | None) -> float:
    return 0.0 if gradient is None else gradient.abs().max().item()


def _among(x: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """(len(x),) which of the images `x` are, pixel by pixel, one of `images`."""
    return (x.flatten(1)[:, None] == images.detach().flatten(1)[None]).all(2).any(1)


class _Gradients:
    """All gradients of one loss: to the images, to the weights, and to the answers (images, gradient) of each pass."""

    def __init__(self, model: _Watched, batch: Batch, loss: torch.Tensor):
        images, weights = [batch.x_l, batch.x_w, batch.x_s], list(model.parameters())
        passes = [(x, z) for x, z, recorded in model.log if recorded and z.requires_grad]
        found = torch.autograd.grad(loss, [*images, *weights, *(z for _, z in passes)], allow_unused=True)
        self.x_l, self.x_w, self.x_s = map(_size, found[:3])
        self.model = max(map(_size, found[3 : 3 + len(weights)]))
        self.answers = [(x, g) for (x, _), g in zip(passes, found[3 + len(weights) :]) if g is not None]
        self.noted = bool(passes)  # not if the hybrid calls `features` and `head` by itself

    def to_answers_on(self, images: torch.Tensor, others: bool = False) -> bool:
        """Whether a gradient flows through answers on these images, or through answers on anything else."""
        return any(g[_among(x, images) ^ others].abs().sum() > 0 for x, g in self.answers)


def _labels_teach(student, model: _Watched, batch: Batch, guess: torch.Tensor) -> None:
    """Raise Fix unless the labels that the model would give, `guess`, cost least on their own images, and send a gradient."""

    def losses(y):
        return [_loss_of(student, model, batch._replace(y_l=y)) for _ in range(5)]

    def cost(y):
        return np.mean([loss.item() for loss in losses(y)])

    others = (guess + 1) % model.head.out_features
    if cost(others) < cost(guess) + 0.05:
        raise Fix(
            "wrong labels cost no more than right ones: is y_l used (not a guess in its place), with the right sign, and in the same order as the images, also where a joint pass is cut apart?"
        )
    if cost(guess) >= min(cost(y) for y in (guess.flip(0), *(guess.roll(n) for n in range(1, len(guess))))):
        raise Fix("right labels cost no less than the same labels on the wrong images: are images and labels, and the pieces of a joint pass, in the same order?")  # fmt: skip
    by_student, by_hand = (
        [torch.autograd.grad(loss, model.head.weight)[0] for loss in found]
        for found in (
            (sum(losses(guess)), sum(losses(others))),
            [F.cross_entropy(model(batch.x_l), y) for y in (guess, others)],
        )
    )
    if ((by_student[1] - by_student[0]) * (by_hand[1] - by_hand[0])).sum() <= 0:
        raise Fix("other labels change the loss, but not the gradient: is the labelled loss detached?")


def _of_different_classes(model: _Watched, images: torch.Tensor) -> torch.Tensor:
    """Positions of up to four images about which the model says different things."""
    guess = model.guess(images)
    return torch.cat([(guess == c).nonzero()[0] for c in guess.unique()[:4]])


def _of_different_classes(model: _Watched, images: torch.Tensor) -> torch.Tensor:
    """Positions of up to four images about which the model says different things."""
    guess = model.guess(images)
    return torch.cat([(guess == c).nonzero()[0] for c in guess.unique()[:4]])


@functools.cache
def _dataset_of_the_lesson() -> Dataset:
    with contextlib.redirect_stdout(io.StringIO()):  # not once more where the data come from
        return load_dataset()


@exercise("10.10", "a hybrid of your own")
def _(student):
    rng = torch.Generator().manual_seed(1)
    dataset = _dataset_of_the_lesson()  # its classes and channels, for a hybrid that knows them
    student = copy.deepcopy(student)  # what a method remembers of these batches must not go into its training
    model = _Watched(8.0, dataset)
    used = labelled = False
    for _ in range(_PATIENCE):  # a ramp may start at zero, and a memory is empty at first
        batch = _hybrid_batch(rng, dataset)
        loss = _loss_of(student, model, batch)
        if not torch.isfinite(loss):
            raise Fix(f"the loss of random images is {loss.item()}: a logarithm of 0, or a division by an empty count?")
        gradients = _Gradients(model, batch, loss)
        apart = any(not recorded and _among(x, batch.x_w).any() for x, _, recorded in model.log)
        if not apart and gradients.to_answers_on(batch.x_w):
            raise Fix("a gradient flows through the answers on x_w, of which targets are made: no_grad or detach there (to learn on x_w as well, make the targets in a pass of their own)")  # fmt: skip
        if gradients.model == 0:
            raise Fix("the gradient to the model is zero: is everything detached?")
        labelled |= gradients.x_l > 0
        # Images reach each other through BatchNorm, so that their own answers, too, must get a gradient
        learnt = not gradients.noted or gradients.to_answers_on(batch.x_l, others=True)
        used |= learnt and max(gradients.x_w, gradients.x_s) > 0
        if used and labelled:
            break
    if not labelled:
        raise Fix("the labelled images send no gradient: the cross-entropy on x_l, y_l is missing, or detached")
    if not used:
        raise Fix(f"in {_PATIENCE} steps the unlabelled images have sent no gradient: are both sides detached, is one output on both sides, or does a mask never open?")  # fmt: skip
    for _ in range(3):
        many = _hybrid_batch(rng, dataset, labelled=200)
        apart = _of_different_classes(model, many.x_l)
        chosen = many._replace(x_l=many.x_l[apart].detach().requires_grad_())
        _labels_teach(student, model, chosen, model.guess(many.x_l)[apart])
    many = _hybrid_batch(rng, dataset, unlabelled=200)
    x_w = many.x_w[_of_different_classes(model, many.x_w)].detach().repeat(2, 1, 1, 1).requires_grad_()
    known = chosen._replace(y_l=model.guess(chosen.x_l), x_w=x_w, index=torch.arange(len(x_w)))
    agree, disagree = (
        np.mean([_loss_of(student, model, known._replace(x_s=x_s)).item() for _ in range(12)]) for x_s in (x_w, x_w.roll(1, 0))
    )
    if agree > disagree + 0.25:
        raise Fix("the loss is much higher where both views are the same image than where they are different ones: is the sign of the unlabelled loss wrong?")  # fmt: skip
    for strength, words in ((0.0, "no guess is sure"), (3000.0, "all guesses are sure")):
        extreme = _Watched(strength, dataset)
        loss = _loss_of(student, extreme, _hybrid_batch(rng, dataset))
        gradients = torch.autograd.grad(loss, list(extreme.parameters()), allow_unused=True)
        if not (torch.isfinite(loss) and all(g is None or torch.isfinite(g).all() for g in gradients)):
            raise Fix(f"where {words}, the loss or its gradient is not finite: a mean over nothing (0 / 0), or a logarithm of 0?")
    _loss_of(student, model, _hybrid_batch(rng, dataset, labelled=4, unlabelled=4))
