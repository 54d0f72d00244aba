"""Checks of lesson 08: sharpening, the averaged guess, MixUp, MixMatch's two losses, the ramp, the step, the price."""

import math

import torch
import torch.nn.functional as F

from course_utils.check.core import Fix, Probe, exercise, expect, expect_tuple, wrong_weights

NO_LOGITS = "softmax takes logits, and these are probabilities: raise them to the power 1 / T"


def _power(p: torch.Tensor, exponent: float, dim: int = 1) -> torch.Tensor:
    raised = p**exponent
    return raised / raised.sum(dim, keepdim=True)


@exercise("8.1", "sharpening")
def _(student):
    p = torch.tensor([[0.6, 0.3, 0.1], [0.25, 0.75, 0.0]])
    right = torch.tensor([[0.782609, 0.195652, 0.021739], [0.1, 0.9, 0.0]])
    result = student(p, 0.5)
    if isinstance(result, torch.Tensor) and result.isnan().any():
        raise Fix("a probability of zero gives nan: zero to the power 1 / T is zero, no logarithm times zero")
    expect(
        result,
        right,
        "[.6, .3, .1] and [.25, .75, 0], sharpened at T = .5,",
        wrong=[
            (_power(p, 0.5), "the exponent is T and not 1 / T: the result is flatter than before, not sharper"),
            (p**0.5, "the exponent is T and not 1 / T; and each row must be divided by its sum"),
            (p**2, "the rows do not sum to one: divide by the sum over the classes"),
            (p, "nothing is sharpened: raise the probabilities to the power 1 / T, then divide by their sum"),
            ((p / 0.5).softmax(1), NO_LOGITS),
            ((p * 0.5).softmax(1), NO_LOGITS),
            (p.softmax(1), NO_LOGITS),
            ((p**2).softmax(1), "a softmax is not the way to normalise here: divide the powers by their sum"),
            (_power(p.softmax(1), 2), NO_LOGITS),
            (_power(p, 2, dim=0), "the sum runs over the images (dim=0): it must run over the classes (dim=1)"),
            (p**2 / (p**2).sum(), "one sum for the whole batch: each image has its own (dim=1, keepdim=True)"),
            (p**2 / (p**2).amax(1, keepdim=True), "divide by the sum of the powers, not by the largest of them"),
            (F.one_hot(p.argmax(1), 3), "this is all or nothing: sharpening only moves towards the likeliest class"),
            (p.argmax(1), "this is the likeliest class: a distribution for each image is wanted"),
            (2 * p, "dividing by T is no sharpening: raise to the power 1 / T, then divide by the sum"),
        ],
        float_tensor=True,
    )
    expect(
        student(p, 1.0),
        p,
        "the same two at T = 1 (nothing changes)",
        wrong=[(right, "T is ignored: the exponent is 1 / T, for any T")],
    )
    expect(
        student(torch.tensor([[0.5, 0.3, 0.2]]), 0.25),
        [[0.865651, 0.112188, 0.022161]],
        "[.5, .3, .2] sharpened at T = .25",
        wrong=[
            (_power(torch.tensor([[0.5, 0.3, 0.2]]), 2), "T is ignored: the exponent is 1 / T, for any T"),
            (_power(torch.tensor([[0.5, 0.3, 0.2]]), 1.75), "the exponent is 1 / T: not 2 - T"),
        ],
    )
    tenths = torch.tensor([[0.5, 0.3, 0.2]])
    whole = [(_power(tenths, 2), "the exponent is rounded: 1 / T, not 1 // T")]
    expect(student(tenths, 0.4), _power(tenths, 2.5), "[.5, .3, .2] sharpened at T = .4", whole)
    expect(student(torch.full((3, 4), 0.25), 0.5), torch.full((3, 4), 0.25), "a uniform distribution, sharpened,")
    decided = torch.tensor([[0.9, 0.1]])
    expect(
        student(decided, 2.0),
        [[0.75, 0.25]],
        "[.9, .1] at T = 2 (above 1, the same formula makes it flatter)",
        wrong=[(decided, "T above 1 is left out: the same formula holds for any T, and makes a distribution flatter")],
    )
    flat = student(torch.tensor([[0.8, 0.2, 0.0]]), 4.0)
    if torch.as_tensor(flat).flatten()[-1] > 1e-5:
        raise Fix("a probability of zero does not stay zero (at T = 4): add nothing to it, and clamp nothing")
    expect(flat, [[2**0.5 / (1 + 2**0.5), 1 / (1 + 2**0.5), 0]], "[.8, .2, 0] at T = 4")


@exercise("8.2", "the averaged guess")
def _(student):
    # First image: the worked example of the lesson. Second image: [.1, .1, .8] and [.3, .3, .4].
    views = torch.tensor([[[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], [[0.3, 0.6, 0.1], [0.3, 0.3, 0.4]]])  # (K, B, C)
    z = views.log() + torch.tensor([[[3.0], [0.0]], [[1.0], [2.0]]])  # logits: the same probabilities, shifted
    right = torch.tensor([[0.595238, 0.380952, 0.023810], [0.090909, 0.090909, 0.818182]])
    logits = z.clone().requires_grad_() * 1  # no leaf, like what a network returns
    q = student(logits, 0.5)
    over_views = "the softmax runs over the views (dim=0): it must run over the classes, the last axis"
    over_images = "the softmax runs over the images (dim=1): it must run over the classes, the last axis"
    expect(
        q,
        right,
        "the guess for two views of two images at T = .5",
        wrong=[
            (_power(views, 2, dim=2).mean(0), "each view is sharpened by itself: average first, sharpen the average"),
            (_power(z.mean(0).softmax(1), 2), "the logits are averaged: average the probabilities, after the softmax"),
            (z.mean(0).softmax(1), "the logits are averaged, and nothing is sharpened: softmax, average, sharpen"),
            (views.mean(0), "the average is not sharpened"),
            (_power(views.mean(0), 0.5), "the average is flatter than before: does sharpen use 1 / T?"),
            (_power(z.mean(0), 2), "the softmax is missing: sharpen takes probabilities"),
            (_power(z.softmax(0).mean(0), 2), over_views),
            (z.softmax(0).mean(0), over_views),
            (_power(z.softmax(1).mean(0), 2), over_images),
            (z.softmax(1).mean(0), over_images),
            (_power(views[0], 2), "only the first view is used: average over all K"),
            (_power(views[1], 2), "only the last view is used: average over all K"),
            (_power(views, 2, dim=2), "one guess for each view: the K views of an image share one guess, (B, C)"),
            (_power(views.mean(1), 2), "the average runs over the images (dim=1): it must run over the views (dim=0)"),
            (_power(views.amax(0), 2), "the largest of the views is taken: average them"),
            (_power(views.prod(0), 2), "the views are multiplied: average them"),
            (F.one_hot(right.argmax(1), 3), "a whole distribution is wanted, not its likeliest class"),
            (right.argmax(1), "a whole distribution is wanted, not its likeliest class"),
        ],
        float_tensor=True,
    )
    if not logits.requires_grad:
        raise Fix("it takes the gradient from the caller's logits: detach(), which makes another tensor, not detach_()")
    if q.requires_grad:
        raise Fix("the guess carries a gradient: detach the logits first, or work under torch.no_grad()")
    if q.is_inference():
        raise Fix("torch.inference_mode() makes a target that no loss can use later: use torch.no_grad() or detach")
    expect(
        student(z, 1.0),
        views.mean(0),
        "the guess at T = 1 (the average itself)",
        [(right, "the argument T is ignored")],
    )
    expect(
        student(z, 0.4),
        _power(views.mean(0), 2.5),
        "the guess at T = .4",
        [
            (
                torch.full((2, 3), math.nan),
                "the guess is nan at T = .4: the averages that sharpen gets must not be negative",
            )
        ],
    )
    expect(student(z[1:], 0.5), _power(views[1], 2), "the guess from one view only (K = 1)")
    lost = "with a single image its axis is lost: the result is (B, num_classes) for B = 1, too, so no squeeze()"
    expect(
        student(z[:, :1], 0.5),
        right[:1],
        "the guess for a batch of one image",
        [(right[0], lost), (_power(views[:, 0], 2), lost)],
    )
    large = torch.tensor([[[120.0, 0, 0]], [[0, 0, 0]]])
    overflow = "the guess is nan for large logits, since their exp overflows: use softmax, which takes care of that"
    expect(
        student(large, 0.5),
        [[8 / 9, 1 / 18, 1 / 18]],
        "the guess from two views with the logits [120, 0, 0] and [0, 0, 0]",
        [(torch.full((1, 3), math.nan), overflow), (torch.tensor([[math.nan, 0, 0]]), overflow)],
    )
    three = torch.stack([z[0], z[1], z[1]])
    expect(
        student(three, 0.5),
        _power(torch.stack([views[0], views[1], views[1]]).mean(0), 2),
        "the guess from three views",
        wrong=[
            (right, "only two of three views are used: average over all K"),
            (
                _power((views[0] + 2 * views[1]) / 2, 2),
                "the sum is divided by two: average over all K, however many",
            ),
        ],
    )


@exercise("8.3", "MixUp")
def _(student):
    # As many columns and classes as images, so that a weight along the wrong axis raises no error and must be found out
    x1, x2 = torch.arange(18.0).view(3, 1, 2, 3), 20 - 3 * torch.arange(18.0).view(3, 1, 2, 3)
    p1, p2 = torch.eye(3), torch.tensor([[0.2, 0.2, 0.6], [0.5, 0.1, 0.4], [0.3, 0.6, 0.1]])
    lam, larger = torch.tensor([0.3, 0.8, 0.9]), torch.tensor([0.7, 0.8, 0.9])

    def images(weight: torch.Tensor) -> torch.Tensor:
        weight = weight.view(-1, 1, 1, 1)
        return weight * x1 + (1 - weight) * x2

    def labels(weight: torch.Tensor) -> torch.Tensor:
        weight = weight.view(-1, 1)
        return weight * p1 + (1 - weight) * p2

    x, p = expect_tuple(student(x1, p1, x2, p2, lam), ("x", "p"))
    no_max = "for a lambda below one half the partner outweighs the image itself: take max(lambda, 1 - lambda)"
    raised = "lambda is raised to one half: .3 must become .7, so that the proportions of the mixture stay"
    single = "one lambda for the whole batch: each image has its own, lam.view(-1, 1, 1, 1) * x1"
    swapped = "the weights are swapped: the larger one belongs to x1 and p1"
    what = "lambda .3, .8, .9"
    if getattr(x, "shape", None) == p1.shape and getattr(p, "shape", None) == x1.shape:
        raise Fix("the two values are swapped: return (x, p), the images first")
    expect(
        x,
        images(larger),
        f"the mixed images for {what}",
        wrong=[
            (images(lam), no_max),
            (images(1 - larger), swapped),
            (images(1 - lam), swapped),
            (images(lam.clamp(min=0.5)), raised),
            *((images(one.expand(3)), single) for one in (larger.max(), lam.max(), larger[0], lam[0], lam.mean())),
            (
                larger * x1 + (1 - larger) * x2,
                "lambda runs along the columns of the images: give it the shape (B, 1, 1, 1)",
            ),
            (lam * x1 + (1 - lam) * x2, "lambda runs along the columns of the images: give it the shape (B, 1, 1, 1)"),
            (x1, "the images are not mixed"),
            ((x1 + x2) / 2, "lambda is ignored: all is mixed half and half"),
            (larger.view(-1, 1, 1, 1) * (x1 + x2), "the partner's weight is 1 - lambda, not lambda"),
            (
                x1 + (1 - larger).view(-1, 1, 1, 1) * x2,
                "the image keeps its full weight: it must be lambda, and 1 - lambda the partner's",
            ),
        ],
        float_tensor=True,
    )
    expect(
        p,
        labels(larger),
        f"the mixed labels for {what}",
        wrong=[
            (p1, "the labels are not mixed: they are mixed exactly as the images are"),
            (
                labels(lam),
                "the labels are mixed with lambda, the images with max(lambda, 1 - lambda): use the same for both",
            ),
            (labels(1 - larger), "the labels are mixed the other way round: the same weights as for the images"),
            (labels(lam.clamp(min=0.5)), raised),
            (larger * p1 + (1 - larger) * p2, "lambda runs along the classes of the labels: give it the shape (B, 1)"),
            (lam * p1 + (1 - lam) * p2, "lambda runs along the classes of the labels: give it the shape (B, 1)"),
            *((labels(one.expand(3)), single) for one in (larger.max(), larger.mean(), larger[0])),
            ((p1 + p2) / 2, "lambda is ignored: the labels are mixed half and half"),
            (F.one_hot(labels(larger).argmax(1), 3), "a mixed label is a distribution: no argmax"),
        ],
        float_tensor=True,
    )
    x1, x2, p1, p2 = torch.ones(2, 3, 4, 4), torch.zeros(2, 3, 4, 4), torch.eye(5)[[0, 1]], torch.eye(5)[[1, 4]]
    x, p = expect_tuple(student(x1, p1, x2, p2, torch.tensor([0.0, 0.5])), ("x", "p"))
    expect(x[:, 0, 0, 0], [1.0, 0.5], "the brightness of two mixtures of white and black at lambda 0 and .5")
    expect(p, [[1.0, 0, 0, 0, 0], [0, 0.5, 0, 0, 0.5]], "the labels of two mixtures at lambda 0 and .5")


@exercise("8.4", "two losses")
def _(student):
    # The first rows are the worked example of the lesson; two labelled and four unlabelled images, three classes
    z_l, p_l = torch.tensor([[2.0, 1, 0], [0, 2, 1]]), torch.tensor([[0.8, 0.15, 0.05], [0, 1, 0]])
    z_u = torch.tensor([[2.0, 1, 0], [0, 1, 1], [1, -1, 0], [0, 0, 3]])
    p_u = torch.tensor([[0.8, 0.15, 0.05], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.9, 0.1, 0]])

    def soft_ce(z: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        return (p * (z.logsumexp(1, keepdim=True) - z)).sum(1)

    def squares(s: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        return (p - s) ** 2

    logits_l, logits_u = z_l.clone().requires_grad_(), z_u.clone().requires_grad_()
    result = student(logits_l, p_l, logits_u, p_u)
    if isinstance(result, torch.Tensor) and result.ndim == 0:
        raise Fix("it returned one number: return the two losses, (loss_l, loss_u), not their sum")
    loss_l, loss_u = expect_tuple(result, ("loss_l", "loss_u"))
    right_l, right_u = soft_ce(z_l, p_l).mean(), squares(z_u.softmax(1), p_u).mean()
    twice = "softmax is applied twice: cross_entropy and log_softmax take logits"
    expect(
        loss_l,
        right_l,
        "loss_l",
        wrong=[
            (right_u, "the two losses are swapped: return (loss_l, loss_u)"),
            (squares(z_l.softmax(1), p_l).mean(), "the labelled loss is the cross-entropy, not the Brier loss"),
            (soft_ce(z_l, p_l), "one number is wanted: the mean over the images"),
            (soft_ce(z_l, p_l).sum(), "the cross-entropies are summed: take their mean over the images"),
            (
                right_l / 3,
                "the cross-entropy is divided by the classes, too: sum over the classes, mean over the images",
            ),
            (
                soft_ce(z_l, p_l.argmax(1, keepdim=True) == torch.arange(3)).mean(),
                "the labels are soft: no argmax of them",
            ),
            (soft_ce(z_l.softmax(1), p_l).mean(), twice),
            (
                (p_l * (z_l.logsumexp(0) - z_l)).sum(1).mean(),
                "the log_softmax runs over the images (dim=0): over the classes (dim=1)",
            ),
            (soft_ce(p_l, z_l.softmax(1)).mean(), "logits and labels are swapped in the cross-entropy"),
            (soft_ce(z_l, p_l.softmax(1)).mean(), "the labels are distributions already: no softmax of them"),
            (-right_l, "the sign is wrong: a cross-entropy is positive"),
            (-(p_l * z_l.softmax(1)).sum(1).mean(), "the logarithm is missing: the cross-entropy is -p log(softmax)"),
            (
                (p_l * (p_l.clamp(min=1e-9).log() - z_l.log_softmax(1))).sum(1).mean(),
                "this is the Kullback-Leibler divergence: the cross-entropy does not subtract the labels' own entropy",
            ),
        ],
    )
    expect(
        loss_u,
        right_u,
        "loss_u",
        wrong=[
            (
                squares(z_u.softmax(1), p_u).sum(1).mean(),
                "the squares are summed over the classes: take the mean over the classes, too",
            ),
            (squares(z_u.softmax(1), p_u).sum(), "the squares are summed: take the mean over images and classes"),
            (
                squares(z_u.softmax(1), p_u).mean(1).sum(),
                "the images are summed: take the mean over images and classes",
            ),
            (squares(z_u.softmax(1), p_u).mean(1), "one number is wanted: the mean over images and classes"),
            (squares(z_u.softmax(1), p_u), "one number is wanted: the mean over images and classes"),
            (squares(z_u, p_u).mean(), "the logits are compared with probabilities: apply softmax first"),
            (squares(z_u.softmax(1).softmax(1), p_u).mean(), "softmax is applied twice"),
            (squares(z_u.softmax(0), p_u).mean(), "the softmax runs over the images (dim=0): over the classes (dim=1)"),
            (squares(z_u.log_softmax(1), p_u).mean(), "the logarithm does not belong here: compare probabilities"),
            (
                squares(z_u.sigmoid(), p_u).mean(),
                "sigmoid treats classes one by one: softmax makes them a distribution",
            ),
            (
                squares(z_u.softmax(1), p_u.softmax(1)).mean(),
                "the guesses are distributions already: no softmax of them",
            ),
            (soft_ce(z_u, p_u).mean(), "the unlabelled loss is the Brier loss, not the cross-entropy"),
            (right_u.sqrt(), "this is the root of the Brier loss: no square root"),
            (right_u / 2, "there is no factor one half in the Brier loss"),
            *(((z_u.softmax(1) - p_u).norm(dim=1).mean() / by, "these are lengths (a norm takes a root): square them") for by in (1, 3)),
            ((z_u.softmax(1) - p_u).abs().mean(), "these are absolute differences: square them"),
            ((z_u.softmax(1) - p_u).mean(), "these are differences: square them"),
        ],
    )
    for name, loss in (("loss_l", loss_l), ("loss_u", loss_u)):
        if not (isinstance(loss, torch.Tensor) and loss.requires_grad):
            raise Fix(f"{name} carries no gradient to its logits: no detach, no .item(), no no_grad here")
    gradient_l, gradient_u = torch.autograd.grad(loss_l + loss_u, [logits_l, logits_u], allow_unused=True)
    leaf_l, leaf_u = z_l.clone().requires_grad_(), z_u.clone().requires_grad_()
    true = soft_ce(leaf_l, p_l).mean() + squares(leaf_u.softmax(1), p_u).mean()
    for name, gradient, wanted in zip("lu", (gradient_l, gradient_u), torch.autograd.grad(true, [leaf_l, leaf_u])):
        if gradient is None:
            raise Fix(f"loss_{name} carries no gradient to logits_{name}")
        expect(gradient, wanted, f"the gradient of logits_{name}")
    far = torch.tensor([[120.0, 0, 0]])
    extreme, square = expect_tuple(student(far, torch.tensor([[0.5, 0.5, 0]]), far, p_u[:1]), ("loss_l", "loss_u"))
    if not torch.isfinite(torch.as_tensor(square)):
        raise Fix("for logits [120, 0, 0] the Brier loss is not finite: use softmax, not exp divided by its sum")
    if not torch.isfinite(torch.as_tensor(extreme)):
        raise Fix("for logits [120, 0, 0] the cross-entropy is not finite: use log_softmax, not the log of a softmax")
    if 1 < float(extreme) < 59:
        raise Fix(
            "for logits [120, 0, 0] the cross-entropy is too small: is something clamped, or a small number added "
            "before the log? Use log_softmax, which needs neither"
        )
    expect(extreme, 60.0, "loss_l for logits [120, 0, 0] and the label [.5, .5, 0]")


@exercise("8.5", "the ramp")
def _(student):
    late, exchanged = student(20000, 16384, 75.0), torch.tensor(75 * 16384 / 20000)
    turned = torch.allclose(torch.as_tensor(late).float(), exchanged)
    expect(
        student(4096, 16384, 75.0),
        18.75,
        "the weight at step 4096 of a ramp of 16384 steps to 75",
        wrong=[
            (0.25, "this is the share of the ramp: multiply it by lambda_u"),
            *([(75.0, "step and ramp_steps are exchanged: the share is step / ramp_steps")] if turned else []),
            (75.0, "there is no ramp: a quarter of the way the weight is a quarter of lambda_u"),
            (0.0, "the weight is 0 on the way: the ramp is linear (a whole-number division //?)"),
            (56.25, "the ramp falls: it starts at 0 and rises to lambda_u"),
            (75 * 4097 / 16384, "the ramp starts at 0: no step + 1"),
            (75 * 0.25**2, "the ramp is quadratic: linear is wanted"),
            (75 * math.exp(-5 * 0.75**2), "this is the exponential ramp of other methods: MixMatch's is linear"),
            (75 * math.sin(math.pi / 8), "this is a curved ramp: linear is wanted"),
            (75 * (1 - math.cos(math.pi / 4)) / 2, "this is a curved ramp: linear is wanted"),
            (75 * 16384 / 4096, "the fraction is upside down: step / ramp_steps"),
        ],
    )
    expect(
        late,
        75.0,
        "the weight after the ramp",
        wrong=[
            (75 * 20000 / 16384, "after ramp_steps the weight goes on growing: it stays at lambda_u"),
            (0.0, "after ramp_steps the weight falls back to 0: it stays at lambda_u"),
            (1.0, "after the ramp the weight is lambda_u, not 1"),
        ],
    )
    expect(student(16384, 16384, 75.0), 75.0, "the weight at the end of the ramp")
    expect(student(0, 400, 5.0), 0.0, "the weight at step 0")
    expect(
        student(300, 400, 0.5),
        0.375,
        "the weight at step 300 of a ramp of 400 steps to .5",
        wrong=[(0.5, "the share of the ramp is capped by lambda_u: cap it by 1, then multiply")],
    )
    expect(
        student(1, 400, 0.6),
        0.0015,
        "the weight at step 1 of a ramp of 400 steps to .6",
        wrong=[
            (0.0, "the weight is rounded to 0 at step 1: round nothing"),
            (0.0015 * 2, "the ramp starts at 0: no step + 1"),
        ],
    )
    for step in (0, 7):
        try:
            weight = student(step, 0, 50.0)
        except Fix as error:
            if "ZeroDivisionError" in str(error):
                raise Fix("with ramp_steps = 0 it divides by zero: then there is no ramp, the weight is lambda_u") from None
            raise
        expect(
            weight,
            50.0,
            f"the weight at step {step} with ramp_steps = 0",
            wrong=[
                (0.0, "ramp_steps = 0 means no ramp: the weight is lambda_u from the first step"),
                (math.nan, "with ramp_steps = 0 it divides by zero: then there is no ramp, the weight is lambda_u"),
                (50.0 * step, "ramp_steps = 0 means no ramp: the weight is lambda_u from the first step"),
            ],
        )


@exercise("8.6", "MixMatch")
def _(student):
    x_l, y_l = torch.tensor([[1.5, 0, 0], [0, 1, 0.5]]).view(2, 3, 1, 1), torch.tensor([0, 1])
    one = torch.tensor([[0.5, 1, 0], [1, -0.5, 0], [0, 0, 1.2], [0.7, 0.7, 0]]).view(4, 3, 1, 1)
    two = torch.tensor([[0.2, 1.3, 0], [0.9, 0.3, 0], [0.4, 0, -1], [0.1, 1.2, 0.6]]).view(4, 3, 1, 1)
    q = torch.tensor([[0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.3, 0.6, 0.1]])
    lam = torch.tensor([0.85, 0.25, 0.6, 0.3, 0.8, 0.55, 0.95, 0.1, 0.7, 0.35])
    order = torch.tensor([3, 0, 5, 9, 7, 2, 4, 6, 1, 8])
    all_x, labels = torch.cat([x_l, one, two]), torch.eye(3)[y_l]
    all_p, larger, own = torch.cat([labels, q, q]), torch.maximum(lam, 1 - lam), torch.arange(10)

    def mixed(x=all_x, p=all_p, x_order=order, p_order=order, weight=larger):
        """Logits and labels of the mixtures, for one way to put the step together."""
        weight, flat = weight[: len(x)].view(-1, 1), x.flatten(1)
        z = (weight * flat + (1 - weight) * flat[x_order]) ** 3
        return z, weight * p + (1 - weight) * p[p_order]

    def entropy(z, p):
        return -(p * z.log_softmax(1)).sum(1).mean()

    def brier(z, p):
        return (z.softmax(1) - p).square().mean()

    def total(z, p, n=2):
        return entropy(z[:n], p[:n]) + 3 * brier(z[n:], p[n:])

    def of(*inputs):
        try:
            return student(*inputs)
        except Fix as error:
            if "Sizes of tensors must match" in str(error):
                raise Fix(f"{error} Does one_hot know the number of classes? It is that of q") from None
            raise

    model = Probe(power=3)
    result = of(model, x_l, y_l, [one, two], q, lam, order, 3.0)
    if isinstance(result, torch.Tensor):
        raise Fix("it must return two values, (loss, logs), but returned the loss only")
    loss, logs = expect_tuple(result, ("loss", "logs"))
    if not isinstance(loss, torch.Tensor):
        raise Fix("the loss must be a tensor, so that it can be differentiated: no .item() on it")
    z, p = mixed()
    plain_z, plain_p = mixed(weight=torch.ones(10))
    loss_l, loss_u = entropy(z[:2], p[:2]), brier(z[2:], p[2:])
    last_z, last_p = mixed(torch.cat([one, two, x_l]), torch.cat([q, q, labels]))
    logits = all_x.flatten(1) ** 3
    z_of_logits = larger.view(-1, 1) * logits + (1 - larger.view(-1, 1)) * logits[order]
    back = order.argsort()
    by_image = torch.cat([x_l, torch.stack([one, two], 1).flatten(0, 1)])
    cut = "the logits are cut at the wrong place: the first len(x_l) belong to the labelled images"
    expect(
        loss,
        loss_l + 3 * loss_u,
        "the loss of the worked example",
        wrong=[
            *wrong_weights(loss_l, loss_u, 3),
            (loss_l, "the unlabelled loss is missing"),
            (loss_u, "the labelled loss is missing, and so is lambda_u"),
            (3 * loss_u, "the labelled loss is missing"),
            (loss_l / 2 + 1.5 * loss_u, "the two losses are averaged: add them"),
            (loss_l + 9 * loss_u, "the squares are summed over the classes: does mixmatch_losses take their mean?"),
            (total(*mixed(p_order=own)), "the partner's label is missing: permute the labels as the images, p[order]"),
            (
                total(*mixed(x_order=own)),
                "the partner's image is missing: permute the images as the labels, and run the model on the mixed ones",
            ),
            (
                total(*mixed(x_order=back, p_order=back)),
                "the permutation runs backwards: the partner of image i is image order[i], so x[order]",
            ),
            (total(*mixed(x_order=back)), "images and labels have different partners: permute both by [order]"),
            (total(*mixed(p_order=back)), "images and labels have different partners: permute both by [order]"),
            (
                total(*mixed(weight=lam)),
                "lambda is below one half for some images: does mixup take max(lambda, 1 - lambda)?",
            ),
            (total(plain_z, plain_p), "nothing is mixed"),
            (entropy(plain_z[:2], plain_p[:2]) + 3 * loss_u, "the labelled images are not mixed: mix all of them"),
            (loss_l + 3 * brier(plain_z[2:], plain_p[2:]), "the unlabelled images are not mixed: mix all of them"),
            (
                total(*mixed(p=torch.cat([labels, q.repeat_interleave(2, 0)]))),
                "the guesses stand in another order than the views: view by view, so q and then q again",
            ),
            (
                total(*mixed(torch.cat([x_l, two, one]))),
                "the views are glued in another order: the labelled images, then the first view, then the second",
            ),
            (
                entropy(last_z[8:], last_p[8:]) + 3 * brier(last_z[:8], last_p[:8]),
                "the images are glued in another order: the labelled ones come first",
            ),
            (
                total(*mixed(torch.cat([x_l, one, one]))),
                "the second view is missing: each view of an image is an image of its own",
            ),
            (
                loss_l + 1.5 * loss_u,
                "the unlabelled loss is divided by the number of views: it is a mean over all mixtures already",
            ),
            (
                loss_l + 6 * loss_u,
                "the unlabelled losses of the views are added: it is one mean over all mixtures of unlabelled images",
            ),
            (
                total(*mixed(p=torch.cat([labels, torch.eye(3)[q.argmax(1)].repeat(2, 1)]))),
                "the guesses are made all or nothing: take q as it is, no argmax",
            ),
            (
                total(*mixed(by_image, torch.cat([labels, q.repeat_interleave(2, 0)]))),
                "the views are glued image by image: view by view, so all of the first view, then all of the second",
            ),
            (
                total(*mixed(by_image)),
                "the views are glued image by image, and the guesses view by view: both view by view",
            ),
            (
                total(*mixed(weight=larger[order])),
                "lambda is permuted, too: lam[i] belongs to mixture i, only the partners are taken by [order]",
            ),
            (
                entropy(z[:2], labels) + 3 * loss_u,
                "the labelled mixtures are compared with plain labels: their labels are mixed like the images",
            ),
            (
                loss_l + 3 * brier(z[2:], all_p[2:]),
                "the unlabelled mixtures are compared with plain guesses: their labels are mixed like the images",
            ),
            (
                loss_l + 3 * brier(z[2:6], p[2:6]),
                "the unlabelled loss looks at the first view only: it is for all mixtures after the labelled ones",
            ),
            (total(z, p, 3), cut),
            (total(z, p, 4), cut),
            (total(z, p, 6), cut),
            (total(z_of_logits, p), "the logits are mixed: mix the images, then run the model on the mixtures"),
            (entropy(z, p) + 3 * loss_u, "the cross-entropy runs over all images: it is for the labelled ones"),
            (loss_l + 3 * brier(z, p), "the Brier loss runs over all images: it is for the unlabelled ones"),
        ],
    )
    if model.scale.grad is not None:
        raise Fix("backward() is called inside: leave that to the training loop, return the loss")
    if not loss.requires_grad:
        raise Fix("the loss carries no gradient: the mixed images go through the model with gradients")
    scale = torch.ones(1, requires_grad=True)
    of_l = torch.autograd.grad(entropy(scale * z[:2], p[:2]), scale)[0]
    of_u = torch.autograd.grad(3 * brier(scale * z[2:], p[2:]), scale)[0]
    expect(
        torch.autograd.grad(loss, model.scale)[0],
        of_l + of_u,
        "the gradient of the model's weight",
        wrong=[
            (
                of_l,
                "the model does not learn from the unlabelled mixtures: no detach, no .item() of their loss in the sum",
            ),
            (
                of_u,
                "the model does not learn from the labelled mixtures: no detach, no .item() of their loss in the sum",
            ),
        ],
    )
    model.expect_mode()
    sizes = [size for size, *_ in model.calls]
    if sum(sizes) == 10 and len(sizes) > 1:
        raise Fix("the images go through the model in parts: one joint pass, so that BatchNorm sees them together")
    if sizes != [10]:
        raise Fix(f"the model runs {len(sizes)} times, on {sizes} images: once, on the mixed ones (the guess is given, as q)")
    if not isinstance(logs, dict) or "brier" not in logs:
        raise Fix('logs must be a dict, {"brier": the unlabelled loss as a number}')
    if isinstance(logs["brier"], torch.Tensor) and logs["brier"].requires_grad:
        raise Fix("logs['brier'] carries a gradient: a plain number is wanted, .item()")
    expect(
        logs["brier"],
        loss_u,
        "logs['brier']",
        wrong=[
            (3 * loss_u, "logs['brier'] is weighted: log the loss before it is multiplied by lambda_u"),
            (loss_l, "logs['brier'] holds the labelled loss"),
            (loss_l + 3 * loss_u, "logs['brier'] holds the whole loss"),
        ],
    )
    fixed = "the weight is not lambda_u, though it equals it where lambda_u is 3"
    unweighted, logs = expect_tuple(of(Probe(power=3), x_l, y_l, [one, two], q, lam, order, 0.0), ("loss", "logs"))
    expect(unweighted, loss_l, "the loss with lambda_u = 0", [(loss_l + 3 * loss_u, fixed)])
    skipped = "with lambda_u = 0 the unlabelled loss is not logged: log it whatever its weight"
    if not isinstance(logs, dict) or "brier" not in logs:
        raise Fix(skipped)
    expect(logs["brier"], loss_u, "logs['brier'] with lambda_u = 0", [(0.0, skipped)])
    short = torch.tensor([4, 0, 3, 1, 5, 2])
    # Four classes, and one channel: not as many as there are classes
    grey = [torch.cat([x, x[:, :1] / 2], 1).view(-1, 1, 4, 1) for x in (x_l, one)]
    four = torch.cat([0.9 * q, torch.full((4, 1), 0.1)], 1)
    single, _ = expect_tuple(of(Probe(power=3), grey[0], y_l, grey[1:], four, lam[:6], short, 0.5), ("loss", "logs"))
    z, p = mixed(torch.cat(grey), torch.cat([torch.eye(4)[y_l], four]), short, short)
    loss_l, loss_u = entropy(z[:2], p[:2]), brier(z[2:], p[2:])
    expect(
        single,
        loss_l + loss_u / 2,
        "the loss with one view (K = 1), images of one channel, four classes and lambda_u = .5",
        [(loss_l + 3 * loss_u, fixed), *wrong_weights(loss_l, loss_u, 0.5)],
    )


@exercise("8.7", "from which weight on the collapse pays")
def _(student):
    def of(*costs):
        try:
            return student(*costs)
        except Fix as error:
            if "ZeroDivisionError" in str(error) and costs[2] > costs[0]:
                raise Fix("it divides by zero where B saves nothing: then B is never as cheap, math.inf") from None
            if "ZeroDivisionError" in str(error):
                raise Fix(
                    "it divides by zero where B pays no more on labelled images and saves nothing on the others: "
                    "it is as cheap already at weight 0, so the answer is 0"
                ) from None
            raise

    expect(
        of(0.8, 0.006, 0.85, 0.002),
        12.5,
        "the weight for A = (.8, .006) and B = (.85, .002)",
        wrong=[
            (
                -12.5,
                "the sign is wrong: what B pays MORE on labelled images, over what it pays LESS on unlabelled ones",
            ),
            (0.08, "the fraction is upside down: what B pays more on labelled images stands above"),
            (-0.08, "the fraction is upside down, and the sign is wrong"),
            (0.05 * 0.004, "divide by what B saves, do not multiply"),
            (0.05, "this is what B pays more on labelled images: divide it by what it saves on unlabelled ones"),
            (0.046, "both differences are added: one must outweigh the other, so divide"),
            (0.85 / 0.002 - 0.8 / 0.006, "divide the differences: not the difference of the fractions"),
            (0.85 / 0.006, "subtract first: two differences, then their fraction"),
            (0.85 / 0.8, "subtract first: two differences, then their fraction"),
            (0.05 / 0.008, "the Brier losses are added: take their difference, what B saves"),
            (12, "the weight is rounded: it need not be a whole number"),
            (13, "the weight is rounded: it need not be a whole number"),
            (0.0, "B pays more on labelled images, so it is not as cheap at weight 0"),
            (math.inf, "B saves something, so a large enough weight makes it the cheaper one"),
        ],
    )
    already = (
        (0.9, 0.006, 0.85, 0.002),
        (0.85, 0.006, 0.85, 0.002),
        (0.85, 0.002, 0.85, 0.002),
        (0.9, 0.002, 0.85, 0.006),
    )
    for costs in already:
        expect(
            of(*costs),
            0.0,
            "the weight where B pays no more than A even on labelled images",
            wrong=[
                (-12.5, "a negative weight: where B is at least as cheap already at weight 0, the answer is 0"),
                (
                    12.5,
                    "two negative differences give a positive fraction (or their sign is lost by abs?): here B is at "
                    "least as cheap already at weight 0, so the answer is 0, whatever the fraction",
                ),
                (math.inf, "here B is at least as cheap already at weight 0, so the answer is 0"),
            ],
        )
    for costs in ((0.8, 0.002, 0.85, 0.006), (0.8, 0.002, 0.85, 0.002)):
        expect(
            of(*costs),
            math.inf,
            "the weight where B saves nothing on unlabelled images",
            wrong=[
                (-12.5, "a negative weight: where B's Brier loss is larger it is never as cheap, math.inf"),
                (
                    12.5,
                    "the sign of the difference is lost (abs?): where B's Brier loss is larger it is never as cheap",
                ),
                (0.0, "B pays more on labelled images and saves nothing: it is never as cheap, math.inf"),
                (math.nan, "where B saves nothing it is never as cheap: math.inf, not nan"),
            ],
        )
    stepwise = "the weight is rounded, or searched for in steps: solve for it, and round nothing"
    expect(
        of(0.0, 0.3, 0.1, 0.0),
        1 / 3,
        "the weight for A = (0, .3) and B = (.1, 0)",
        [(part, stepwise) for part in (0.3, 0.33, 0.333, 0.34, 0.35, 0.4, 0.5)],
    )
    bounded = "the weight is cut off, or searched for up to a bound: solve for it, it may be large"
    expect(
        of(0.1, 0.0021, 0.5, 0.002),
        4000.0,
        "the weight for A = (.1, .0021) and B = (.5, .002)",
        [(part, bounded) for part in (100.0, 1000.0, math.inf)],
        tolerance=1e-3,
    )
