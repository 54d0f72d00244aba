"""Checks of lesson 04: D from K logits, the losses without labels, the discriminator's loss, feature matching, the
generator's step, diversity."""

import copy
import math
import warnings

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.check.battery import classes, extreme_logits, none, scattered, uniform
from course_utils.check.cases import RECORDED, Case, Exercise, returns, slips
from course_utils.check.expect import Fix, Part, expect_loss, flat, gradients
from course_utils.check.probe import Probe

HALF = "the numbers are rounded to half precision: keep the type that comes in"
SQUEEZED = "squeeze() takes the axis of a batch of one image away: leave it there"
K_WRITTEN = "K is not always 3: all logits of an image count"
ONLY_LARGEST = "only the largest logit is used: Z is a sum over all classes, logsumexp"
ADDED = "the logits are added: Z adds their exponentials, logsumexp"
AVERAGED = "the logits are averaged: Z adds their exponentials, logsumexp"
OVER_IMAGES = "the sum runs over the images (dim=0): it must run over the classes (dim=1)"
ONE_MAXIMUM = "one number is subtracted from the whole batch: each image has its own largest logit, logsumexp takes it"
FAKE_TWICE = "the 0 of fake is counted twice: logsumexp runs over the K logits, sigmoid and softplus bring the + 1"
_FAR = extreme_logits() + 0.25  # log Z is exactly 0 nowhere: a softplus by hand may have a kink there


def _lse(z):
    return z.logsumexp(1)


# ------------------------------------------------------------------------------------------------ 4.1 D from K logits


@slips
def _d(log_z=_lse, squash=torch.sigmoid):
    return lambda z: squash(log_z(z))


def _as_it_stands(z, top=0.0):
    """Z / (Z + 1), both divided by e to the `top`."""
    total = (z - top).exp().sum(1)
    return total / (total + math.exp(-top))


OVERFLOWS = "exp overflows for large logits: stay with logarithms, the sigmoid of logsumexp"
ONE_EACH = "one number for each image is wanted, shape (B,): {}"
_HIGH_AND_LOW = torch.tensor([[1.0, 0, 0], [-1, -1, -1], [1, 1, -1]])

probability_real = Exercise(
    "4.1",
    "probability_real",
    "D from K logits",
    why="One network, two jobs: it names the class, and the very same logits tell real from fake.",
    observe=returns(Part("D", "float tensor")),
    cases=[
        Case(
            "for the logits [1, 2, .5], [-1, 0, .5] and [-2, -2, -2]",
            (torch.tensor([[1.0, 2.0, 0.5], [-1.0, 0.0, 0.5], [-2.0, -2.0, -2.0]]),),
            [0.9216063, 0.7510332, 0.2887652],
        ),
        Case("for logits of ±120", (120 * _HIGH_AND_LOW,), [1.0, 0.0, 1.0]),
        Case("for logits of ±1000", (1000 * _HIGH_AND_LOW,), [1.0, 0.0, 1.0]),  # too large for exp in float64, too
        Case("for three logits of 88, and three of 89", (torch.tensor([[88.0], [89.0]]).repeat(1, 3),), [1.0, 1.0]),
        Case("for nine logits of 0", (torch.zeros(2, 9),), [0.9, 0.9]),
    ],
    mistakes={
        "this is the probability of fake, 1 / (Z + 1): real is wanted, Z / (Z + 1)": _d(squash=lambda s: torch.sigmoid(-s)),
        ONE_EACH.format("no keepdim"): _d(log_z=lambda z: z.logsumexp(1, keepdim=True)),
        ONE_EACH.format("no mean over the batch"): _d(squash=lambda s: s.sigmoid().mean()),
        ONE_EACH.format("not one sigmoid for each class"): _d(log_z=lambda z: z),
        ONE_EACH.format("not a softmax over the classes"): lambda z: z.softmax(1),
        "this is log Z, not yet D: the sigmoid of it is missing": _d(squash=lambda s: s),
        "this is Z, not yet D = Z / (Z + 1)": _d(squash=torch.exp),
        "this is log D: D itself is wanted": _d(squash=F.logsigmoid),
        "the sigmoid is taken of Z: take it of log Z, with logsumexp": _d(squash=lambda s: s.exp().sigmoid()),
        "this is the largest class probability, not D: how high the logits are counts": lambda z: z.softmax(1).amax(1),
        "these are all 1, as a sum over a whole softmax is: the logit 0 of fake takes part, and stays out of the sum": (
            lambda z: z.softmax(1).sum(1),
            lambda z: F.pad(z, (0, 1)).softmax(1).sum(1),
        ),
        ONLY_LARGEST: (_d(log_z=lambda z: z.amax(1)), lambda z: z.sigmoid().amax(1)),
        ADDED: _d(log_z=lambda z: z.sum(1)),
        AVERAGED: _d(log_z=lambda z: z.mean(1)),
        "sigmoids of single classes are averaged: take one sigmoid of logsumexp": lambda z: z.sigmoid().mean(1),
        "this is Z / (Z + K), or the mean of the exponentials: Z is their sum, and D = Z / (Z + 1)": (
            lambda z: _d(squash=lambda s: torch.sigmoid(s - math.log(z.shape[1])))(z)
        ),
        FAKE_TWICE: _d(log_z=lambda z: _lse(F.pad(z, (0, 1)))),
        OVER_IMAGES: _d(log_z=lambda z: z.logsumexp(0)),
        "log_softmax takes the height of the logits away: logsumexp of the logits themselves": _d(log_z=lambda z: _lse(z.log_softmax(1))),
        "a probability is wanted, not a decision": _d(squash=lambda s: (s > 0).float()),
        OVERFLOWS: (_as_it_stands, lambda z: _as_it_stands(z.double())),
        "a bound for single logits leaves their sum too large: the sigmoid of logsumexp": lambda z: _as_it_stands(z.clamp(max=88)),
        ONE_MAXIMUM: lambda z: _as_it_stands(z, z.max().item()),
        K_WRITTEN: _d(log_z=lambda z: _lse(z[:, :3])),
        SQUEEZED: (_d(log_z=lambda z: _lse(z.squeeze())), _d(log_z=lambda z: z.squeeze().logsumexp(-1))),
        "D is cut off before 0 and 1: no clamp, it may be 0 or 1": _d(squash=lambda s: s.sigmoid().clamp(1e-3, 1 - 1e-3)),
        HALF: _d(log_z=lambda z: _lse(z.half()).float()),
    },
    battery={
        **none("logits become numbers one by one: no labels, no network, no setting, and nothing is compared or learnt"),
        "one": [Case("for one image", (uniform(1, 1, 4),))],
        "classes": [Case("for two classes", (uniform(2, 5, 2),)), Case("for ten classes", (uniform(3, 6, 10) - 3,))],
        "extremes": [
            Case("for logits of ±90, ±120 and ±300", (_FAR,)),
            Case("for logits of 6 to 12 and -6 to -12", (_HIGH_AND_LOW.repeat(3, 1) * torch.arange(6.0, 14, 0.9).view(9, 1),)),
        ],
        "sizes": [Case("for 3000 images", (uniform(4, 3000, 3) - 1,)), Case("for 300 classes", (uniform(5, 4, 300) - 6,))],
        "layout": [Case("for logits that are not contiguous", (uniform(6, 3, 4).T,))],
    },
)


# ------------------------------------------------------------------------------------------ 4.2 real and fake losses


@slips
def _pair(log_z=_lse, real=lambda s: F.softplus(-s), fake=F.softplus, mean=torch.mean, last=lambda r, f: (r, f)):
    return lambda z_real, z_fake: last(mean(real(log_z(z_real))), mean(fake(log_z(z_fake))))


def _of_d(loss, **others):
    """Both by a formula of the probability that is to be high: D on real images, 1 - D on generated ones."""
    return _pair(real=lambda s: loss(s.sigmoid()), fake=lambda s: loss(1 - s.sigmoid()), **others)


def _divided(number):
    """Sums, divided by a number that is made from the batch's own and the other's."""
    return lambda z, other: _pair(mean=lambda x: x.sum() / number(len(x), len(z) + len(other) - len(x)))(z, other)


def _logits_of(rows):
    return torch.tensor(rows, dtype=torch.float32)


ROUNDED_D = (
    "this is the logarithm of a D that is rounded to 0 or 1: F.softplus of log Z, or of minus it, stays exact, and so does its gradient"
)
CUT_OFF = "the probability is cut off, or a number added to it, before the logarithm: F.softplus of log Z stays exact without"
REPAIRED = (
    "the logarithm of a rounded D is replaced where it is infinite (F.binary_cross_entropy does so): F.softplus of log Z needs no repair"
)
DETACHED = "part of the formula is detached: the gradient is wrong, though the loss is right"
EACH_CLASS = "each class is judged by itself: first log Z, one number for each image"
_HIGH = torch.full((1, 3), 1000.0)
_BETWEEN = _logits_of([[6, 0, 0], [9, 3, 0], [12, 0, 0], [-15, 1, 14], [16.5, 0, 0], [0, 25, 1]])  # 1 - D is rounded, not yet to 0

real_fake_losses = Exercise(
    "4.2",
    "real_fake_losses",
    "losses on real and fake images",
    why="Losses that stay exact for extreme logits are what keeps a training like this from blowing up.",
    observe=returns("loss_real", "loss_fake", gradient={0: "logits_real", 1: "logits_fake"}),
    cases=[
        Case(
            "for two real and three generated images",
            (_logits_of([[1, 2, 0.5], [-1, -2, 0]]), _logits_of([[-1, 0, 0.5], [0, 0, 0], [2, -1, 1]])),
            (0.2958037, 1.7389733),
        ),
        Case(
            "for one image with the logits [1, 2, .5] and one with [-1, 0, .5]",
            (_logits_of([[1, 2, 0.5]]), _logits_of([[-1, 0, 0.5]])),
            (0.0816371, 1.3904356),
        ),
        Case(
            "for two images with two logits of 0 and one with three",
            (torch.zeros(2, 2), torch.zeros(1, 3)),
            {
                "loss_real": math.log(1.5),
                "loss_fake": math.log(4),
                "the gradient to logits_real": -torch.full((2, 2), 1 / 12),
                "the gradient to logits_fake": torch.full((1, 3), 1 / 2),  # of the sum loss_real + 2 loss_fake
            },
        ),
        Case("for the logits [120, 0, 0] in both", (_logits_of([[120, 0, 0]]), _logits_of([[120, 0, 0]])), (0.0, 120.0)),
        Case("for three logits of -120 in both", (-0.12 * _HIGH, -0.12 * _HIGH), (120 - math.log(3), 0.0)),
        Case("for three logits of -1000 and three of 1000", (-_HIGH, _HIGH), (1000 - math.log(3), 1000 + math.log(3))),
    ],
    mistakes={
        "the two losses are swapped: return (loss_real, loss_fake), in this order": _pair(last=lambda r, f: (f, r)),
        "a loss is divided by the number of the other images: each over its own batch": _divided(lambda own, other: other),
        "a loss is divided by the number of all images: each over its own batch": _divided(lambda own, other: own + other),
        "a number of images is written in: .mean() counts them": _divided(lambda own, other: 3),
        "the sign inside is wrong: -log D is softplus(-log Z), and -log(1 - D) is softplus(log Z)": _pair(
            real=F.softplus, fake=lambda s: F.softplus(-s)
        ),
        "the sign is wrong: -log of a probability is positive": _pair(mean=lambda x: -x.mean()),
        "no factor one half here: the weights come with the discriminator's loss": _pair(mean=lambda x: x.mean() / 2),
        "the losses are summed: take their mean over the batch": _pair(mean=torch.sum),
        "one number is wanted: the mean over the batch": _pair(mean=lambda x: x),
        "the mean comes after the logarithm: one loss for each image, then their mean": _of_d(lambda p: -p.mean().log(), mean=lambda x: x),
        "the logarithm is missing: -log of the probability, not one minus it": _of_d(lambda p: 1 - p),
        "the logarithm is missing: this is the mean of the probability itself": _of_d(lambda p: p),
        "these are squares: -log of the probability is wanted": _of_d(lambda p: (1 - p).square()),
        EACH_CLASS: (_pair(log_z=lambda z: z), _pair(log_z=lambda z: z, mean=lambda x: x.sum(1).mean())),
        ONLY_LARGEST: _pair(log_z=lambda z: z.amax(1)),
        ADDED: _pair(log_z=lambda z: z.sum(1)),
        AVERAGED: _pair(log_z=lambda z: z.mean(1)),
        OVER_IMAGES: _pair(log_z=lambda z: z.logsumexp(0)),
        FAKE_TWICE: _pair(log_z=lambda z: _lse(F.pad(z, (0, 1)))),
        "softplus takes log Z, not Z": _pair(real=lambda s: F.softplus(-s.exp()), fake=lambda s: F.softplus(s.exp())),
        "softplus takes log Z, not D: the sigmoid is in it already": _pair(log_z=lambda z: _lse(z).sigmoid()),
        "the softplus is missing: log(1 + exp(s)), not s": _pair(real=torch.neg, fake=lambda s: s),
        "relu is not softplus: log(1 + exp(s))": _pair(real=lambda s: (-s).relu(), fake=torch.relu),
        "the targets are smoothed: 1 for real and 0 for fake images": (
            _pair(real=lambda s: F.softplus(-s) + s / 10, fake=lambda s: F.softplus(s) - s / 10),
            _pair(real=lambda s: F.softplus(-s) + s / 10),
        ),
        ROUNDED_D: (
            _of_d(lambda p: -p.log()),
            _pair(real=lambda s: -(s.exp() / (s.exp() + 1)).log(), fake=lambda s: -(1 / (s.exp() + 1)).log()),
            _pair(fake=lambda s: (1 + s.exp()).log(), real=lambda s: (1 + (-s).exp()).log()),
        ),
        "exp overflows for large logits: logsumexp takes the largest one out first": _pair(log_z=lambda z: z.exp().sum(1).log()),
        CUT_OFF: (
            _of_d(lambda p: -(p + 1e-8).log()),
            _of_d(lambda p: -p.clamp(1e-7, 1 - 1e-7).log()),
            _of_d(lambda p: -p.clamp(1e-12).log()),
        ),
        REPAIRED: (
            _of_d(lambda p: (-p.log()).nan_to_num(posinf=100.0)),
            _of_d(lambda p: F.binary_cross_entropy(p, torch.ones_like(p), reduction="none")),
            _pair(fake=lambda s: torch.where((1 - s.sigmoid()) > 0, -(1 - s.sigmoid()).log(), s)),
        ),
        ONE_MAXIMUM: _pair(log_z=lambda z: (z - z.max()).exp().sum(1).log() + z.max()),
        DETACHED: (
            _pair(real=lambda s: F.softplus(s).detach() - s, fake=lambda s: s + F.softplus(-s).detach()),
            _pair(real=lambda s: F.softplus(s) - s.detach(), fake=lambda s: s.detach() + F.softplus(-s)),
        ),
        K_WRITTEN: _pair(log_z=lambda z: _lse(z[:, :3])),
        SQUEEZED: _pair(log_z=lambda z: _lse(z.squeeze())),
        HALF: _pair(log_z=lambda z: _lse(z.half()).float()),
    },
    battery={
        **none("logits become two means: no labels, no network, no setting, nothing is compared, no loop"),
        "one": [Case("for one real and four generated images", (uniform(1, 1, 4), uniform(2, 4, 4)))],
        "classes": [
            Case("for two classes", (uniform(3, 5, 2) + 3, uniform(4, 3, 2) - 4)),
            Case("for ten classes", (uniform(5, 6, 10) - 3, uniform(6, 6, 10) - 3)),
        ],
        "extremes": [
            Case("for logits of ±90, ±120 and ±300", (_FAR, _FAR.flip(1))),
            Case("for logits of 6 to 25 and -6 to -25", (-_BETWEEN.abs(), _BETWEEN)),
        ],
        "gradient": [Case("for eight images each", (uniform(7, 8, 3), uniform(8, 8, 3)))],
        "sizes": [Case("for 2100 real and 2050 generated images", (uniform(9, 2100, 3), uniform(10, 2050, 3)))],
        "layout": [Case("for logits that are not contiguous", (uniform(11, 3, 4).T, scattered(uniform(12, 2, 3))))],
    },
)


# ----------------------------------------------------------------------------------------- 4.3 the discriminator's loss


def _discriminating(function, model, x_l, y_l, x_u, fakes):
    """Observe the loss, its gradient to the logits of each group, the logs, and how the network was called."""
    drawn = fakes.requires_grad_().movedim(0, 0) if not fakes.is_contiguous() else fakes.requires_grad_() * 1  # no leaf, as if generated
    loss, logs = expect_loss(function(model, x_l, y_l, x_u, drawn), "real", "fake")
    seen = {"the loss": loss}
    for name, images in (("x_l", x_l), ("x_u", x_u), ("the fakes", fakes)):
        seen[f"the gradient to the logits of {name}"] = model.gradient_to(loss, images)
    seen |= {f"logs[{name!r}]": logs[name] for name in ("real", "fake")} | {"the logs": logs}
    if gradients(loss, [fakes])[0].any():
        seen["the gradient to the fakes"] = Fix("a gradient runs back into the fakes, and so into the generator: detach them")
    cause = _of_passes(model, len(x_l), len(x_u), len(fakes))
    return seen | ({"the passes": Fix(cause)} if cause else {})


def _of_passes(model, labelled, unlabelled, fakes):
    """What is wrong with the way in which the network was called; None if nothing is."""
    model.expect_mode()
    sizes = [size for size, *_ in model.calls]
    if not sizes:
        return "it does not use the model it was given: call it, no copy of it"
    if sorted(sizes) == sorted((labelled + unlabelled, fakes)):
        return None
    if sizes == [labelled + unlabelled + fakes]:
        return "all images go through the model together: the fakes get a pass of their own, because of BatchNorm"
    if sorted(sizes) == sorted((labelled, unlabelled, fakes)):
        return "labelled and unlabelled images go through separately: glue them for one pass, torch.cat"
    wanted = f"twice is wanted, on the {labelled + unlabelled} real and the {fakes} generated images"
    return f"the model runs {len(sizes)} times, on {sizes} images: {wanted}"


def _mean_d(z, mean=torch.mean):
    return mean(torch.sigmoid(_lse(z))).item()


def _real_loss(z):
    return F.softplus(-_lse(z)).mean()


def _fake_loss(z):
    return F.softplus(_lse(z)).mean()


def _two_passes(cut=lambda z, l, u: z.tensor_split([l]), fakes=lambda model, f: model(f.detach())):
    return lambda model, x_l, x_u, f: (*cut(model(torch.cat([x_l, x_u])), len(x_l), len(x_u)), fakes(model, f))


_TWICE = _two_passes()


@slips
def _disc(
    z=_TWICE,
    ce=F.cross_entropy,
    of=lambda l, u, f: (u, f),
    real=_real_loss,
    fake=_fake_loss,
    total=lambda l, r, f: l + (r + f) / 2,
    logs=lambda l, u, f: {"real": _mean_d(u), "fake": _mean_d(f)},
):
    def answer(model, x_l, y_l, x_u, fakes):
        groups = z(model, x_l, x_u, fakes)
        z_real, z_fake = of(*groups)
        return total(ce(groups[0], y_l), real(z_real), fake(z_fake)), logs(*groups)

    return answer


def _cut(at):
    return _disc(z=_two_passes(cut=at))


def _logs(of_real, of_fake):
    return _disc(logs=lambda l, u, f: {"real": of_real(u), "fake": of_fake(f)})


def _logs_of_images(model, x_l, y_l, x_u, fakes):
    logs = {"real": _mean_d(x_u.flatten(1)), "fake": _mean_d(fakes.detach().flatten(1))}
    return _disc(logs=lambda *_: logs)(model, x_l, y_l, x_u, fakes)


def _weighted(z, y):
    return F.cross_entropy(z, y, weight=1 / torch.bincount(y, minlength=z.shape[1]).clamp(min=1))


def _as_images(logits):
    return logits.reshape(len(logits), -1, 1, 1)


def _groups(seed, labelled, unlabelled, fakes, num_classes, absent=()):
    x_l, x_u, x_f = (_as_images(uniform(seed + i, n, num_classes)) for i, n in enumerate((labelled, unlabelled, fakes)))
    return x_l, classes(seed + 3, labelled, num_classes, absent), x_u, x_f


def _model(power):
    """A network with a gradient from the training loop, and a frozen weight."""
    model = Probe(power)
    model.scale.grad = torch.ones(1)
    model.frozen = nn.Parameter(torch.ones(1), requires_grad=False)
    return model


def _of(what, groups, right=RECORDED, power=1):
    return Case(what, lambda: (_model(power), *copy.deepcopy(groups)), right)


def _known(loss, real, fake):
    return {"the loss": loss, "logs['real']": real, "logs['fake']": fake}


# The labelled image, the first unlabelled and the first fake are those of the exercises before
_EXAMPLE = (
    _as_images(_logits_of([[1, 2, 0.5], [0.5, -1, 0]])),
    torch.tensor([1, 2]),
    _as_images(_logits_of([[1, 2, 0.5], [0, -1, 1.5], [2, 0, 0.3]])),
    _as_images(_logits_of([[-1, 0, 0.5], [0.2, 0.1, -2], [1.2, 0, 0], [0.3, -0.4, 0.8]])),
)
_ZEROS = torch.zeros(1, 2, 1, 1), torch.tensor([1]), torch.zeros(3, 2, 1, 1), torch.zeros(2, 2, 1, 1)
_EXTREME = _as_images(_FAR), torch.tensor([2, 0, 1, 0, 2, 2, 0, 2]), _as_images(_FAR.flip(1)), _as_images(_FAR.flip(0))
CUT = "the logits are cut at a number that is not len(x_l): cut behind len(x_l) images"
MIXED_UP = "labelled and unlabelled images are mixed up: with x_l in front, cut behind len(x_l) images"
NO_DETACH = "no no_grad, no detach of logits there"
ONE_HOT = "one_hot counts the classes that occur: hand it num_classes, or the labels to F.cross_entropy"

discriminator_loss = Exercise(
    "4.3",
    "discriminator_loss",
    "the discriminator's loss",
    why="Unlabelled images have a task at last: to look real. That is how a GAN learns from them.",
    observe=_discriminating,
    cases=[
        _of("of the worked example", _EXAMPLE, _known(1.6071254, 0.8941640, 0.7783297)),
        _of("for a model that squares its images", _EXAMPLE, _known(2.0413722, 0.9651652, 0.8709795), power=2),
        _of("for two logits of 0 for every image", _ZEROS, _known(math.log(2) + (math.log(1.5) + math.log(3)) / 2, 2 / 3, 2 / 3)),
    ],
    mistakes={
        "the one half is missing: it weighs loss_real and loss_fake": _disc(total=lambda l, r, f: l + r + f),
        "the one half weighs all three: the labelled loss keeps its full weight": _disc(total=lambda l, r, f: (l + r + f) / 2),
        "the one half is at the wrong place: it weighs loss_real and loss_fake": _disc(total=lambda l, r, f: l / 2 + r + f),
        "the one half must weigh loss_fake, too": _disc(total=lambda l, r, f: l + r / 2 + f),
        "the one half must weigh loss_real, too": _disc(total=lambda l, r, f: l + r + f / 2),
        "the one half is there twice: once is enough, real_fake_losses has no weights": _disc(total=lambda l, r, f: l + (r + f) / 4),
        "loss_real and loss_fake are missing": _disc(total=lambda l, r, f: l),
        "the labelled loss is missing": _disc(total=lambda l, r, f: (r + f) / 2),
        "loss_fake is missing": _disc(total=lambda l, r, f: l + r / 2),
        "loss_real is missing": _disc(total=lambda l, r, f: l + f / 2),
        "the sign is wrong: all three parts are added": _disc(total=lambda l, r, f: l - (r + f) / 2),
        "the cross-entropy runs over K + 1 answers: given that the image is real, over the K classes only": _disc(
            ce=lambda z, y: F.cross_entropy(F.pad(z, (0, 1)), y)
        ),
        "loss_real takes the labelled images, too: of the joint logits only those from len(x_l) on": _disc(
            of=lambda l, u, f: (torch.cat([l, u]), f)
        ),
        "loss_real takes the labelled images: the unlabelled ones are wanted": _disc(of=lambda l, u, f: (l, f)),
        "real and generated images are swapped in real_fake_losses": _disc(of=lambda l, u, f: (f, u)),
        "loss_fake is computed on the unlabelled images, which are real": _disc(of=lambda l, u, f: (u, u)),
        "loss_fake is the generator's aim, -log D: the discriminator calls the fakes fake, -log(1 - D)": _disc(fake=_real_loss),
        "unlabelled images are lost: of the joint logits all from len(x_l) on are theirs": (
            _cut(lambda z, l, u: (z[:l], z[u:])),
            _cut(lambda z, l, u: (z[:l], z[l : 2 * l])),
        ),
        MIXED_UP: (
            _disc(z=lambda model, x_l, x_u, f: (*model(torch.cat([x_u, x_l])).tensor_split([len(x_l)]), model(f.detach()))),
            _cut(lambda z, l, u: (z[-l:], z[:u])),
        ),
        CUT: tuple(map(_cut, (lambda z, l, u: z.tensor_split([32]), lambda z, l, u: z.chunk(2), lambda z, l, u: z.tensor_split([u])))),
        "a softmax comes before the cross-entropy, which has one inside: hand it the logits as they are": _disc(
            ce=lambda z, y: F.cross_entropy(z.softmax(1), y)
        ),
        "the cross-entropies are summed: take their mean": _disc(ce=lambda z, y: F.cross_entropy(z, y, reduction="sum")),
        "the labels are smoothed: the plain cross-entropy is wanted": _disc(ce=lambda z, y: F.cross_entropy(z, y, label_smoothing=0.1)),
        "the classes are weighted: every labelled image counts the same": _disc(ce=_weighted),
        "log(softmax) of a small probability is infinite: F.cross_entropy stays with logarithms": _disc(
            ce=lambda z, y: -z.softmax(1)[range(len(y)), y].log().mean()
        ),
        "a number is added before the logarithm: bad mistakes then give no gradient; F.cross_entropy needs none": _disc(
            ce=lambda z, y: -(z.softmax(1)[range(len(y)), y] + 1e-8).log().mean()
        ),
        ONE_HOT: tuple(
            _disc(ce=lambda z, y, order=order: -math.prod([z.log_softmax(1), F.one_hot(y)][::order]).sum(1).mean()) for order in (1, -1)
        ),
        "the model does not learn from the fakes: detach the images, not what it says of them": (
            _disc(z=_two_passes(fakes=torch.no_grad()(lambda model, f: model(f)))),
            _disc(of=lambda l, u, f: (u, f.detach())),
        ),
        f"the model does not learn from the unlabelled images: {NO_DETACH}": _disc(of=lambda l, u, f: (u.detach(), f)),
        f"only the labelled images have a gradient: {NO_DETACH}": _disc(of=lambda l, u, f: (u.detach(), f.detach())),
        f"the model does not learn from the labelled images: {NO_DETACH}": _disc(ce=lambda z, y: F.cross_entropy(z.detach(), y)),
        "logs['real'] and logs['fake'] are swapped": _disc(logs=lambda l, u, f: {"real": _mean_d(f), "fake": _mean_d(u)}),
        "logs hold 1 - D: both are the mean of D": (_logs(_mean_d, lambda z: 1 - _mean_d(z)), _logs(lambda z: 1 - _mean_d(z), _mean_d)),
        "logs hold losses: the mean of D is wanted": _logs(lambda z: _real_loss(z).item(), lambda z: _fake_loss(z).item()),
        "logs['real'] is taken over the labelled images: over x_u, and only over x_u": (
            _disc(logs=lambda l, u, f: {"real": _mean_d(torch.cat([l, u])), "fake": _mean_d(f)}),
            _disc(logs=lambda l, u, f: {"real": _mean_d(l), "fake": _mean_d(f)}),
        ),
        "logs hold sums over the images: their means are wanted": _logs(*[lambda z: _mean_d(z, torch.sum)] * 2),
        "logs count how often D is above one half: the mean of D is wanted": _logs(*[lambda z: (_lse(z) > 0).double().mean().item()] * 2),
        "logs hold D of the mean log Z: D of each image, then the mean": _logs(*[lambda z: _lse(z).mean().sigmoid().item()] * 2),
        "logs are computed from the images: D takes the model's logits on them": _logs_of_images,
        "a gradient runs back into the fakes, and so into the generator": _disc(z=_two_passes(fakes=lambda model, f: model(f))),
        "all images go through the model together: the fakes get a pass of their own": _disc(
            z=lambda model, *groups: model(torch.cat(groups).detach()).split([len(x) for x in groups])
        ),
        "labelled and unlabelled images go through separately: glue them": _disc(
            z=lambda model, x_l, x_u, f: (model(x_l), model(x_u), model(f.detach()))
        ),
        HALF: _disc(z=_two_passes(fakes=lambda model, f: model(f.detach().half().float()))),
    },
    errors={
        "to match target": CUT,
        "must match the size": "is it one_hot without num_classes, or are the logits cut at a number that is not len(x_l)?",
        "leaf variables": "a generator's images are no leaves: fakes.detach() is a new tensor without gradient",
    },
    battery={
        **none("there is no setting, nothing is compared, and no loop"),
        "one": [
            _of("for one labelled, one unlabelled and one generated image", _groups(1, 1, 1, 1, 4)),
            _of("for five labelled, one unlabelled and two generated images", _groups(5, 5, 1, 2, 3)),
        ],
        "classes": [
            _of("for two classes", _groups(9, 3, 5, 4, 2)),
            _of("for ten classes, the last one absent", _groups(13, 6, 6, 6, 10, absent=(9,)), power=2),
        ],
        "uneven": [_of("for labels of which most are class 0", _groups(17, 12, 4, 4, 3))],
        "extremes": [_of("for logits of ±90, ±120 and ±300", _EXTREME)],
        "gradient": [_of("for eight images of each kind", _groups(21, 8, 8, 8, 3))],
        "sizes": [_of("for 300 labelled, 2100 unlabelled and 2200 generated images", _groups(25, 300, 2100, 2200, 3))],
        "passes": [_of("for four labelled, nine unlabelled and seven generated images", _groups(29, 4, 9, 7, 3))],
        "layout": [
            _of("for images that are not contiguous", tuple(map(scattered, _groups(33, 4, 3, 2, 3)))),
            _of("for images of two by two pixels", tuple(x if x.ndim == 1 else x.view(-1, 1, 2, 2) for x in _groups(37, 4, 3, 2, 4))),
        ],
    },
)


# ------------------------------------------------------------------------------------------------ 4.4 feature matching


@slips
def _matching(of=lambda x: x.mean(0), compare=lambda r, f: r - f, power=torch.square, total=torch.sum):
    return lambda r, f: total(power(compare(of(r), of(f))))


def _in_pairs(formula):
    """A formula for batches of the same size, on as many images as both have."""
    return lambda r, f: formula(r[: len(f)], f[: len(r)])


IMAGE_BY_IMAGE = "image is compared with image: take the mean of each batch first, then the difference"
OVER_FEATURES = "the means run over the features (dim=1): they must run over the batch (dim=0)"
OWN_SIZE = "both sums are divided by the same number: each batch is divided by its own size"
MEANS_FIRST = "the batches may differ in size: means first, then the difference"
ABSOLUTE = "absolute differences (the authors' code for CIFAR) are {}: the sum of the squares is wanted"
EXPANDED = "squares of large numbers are subtracted, which leaves rounding errors: subtract the means first, then square"
ROOTED = "the square of a square root has no gradient at 0: the sum of the squares needs no root"
_TWO = _logits_of([[1, 2], [3, 4]])
_QUARTERS = _logits_of([[1, -0.5, 0.25], [0.5, 0.75, -1.25], [-0.25, 1, 2], [2.75, -1.25, 0.5]])  # their sums are exact

feature_matching = Exercise(
    "4.4",
    "feature_matching",
    "feature matching",
    why="Matching averages is a calmer game than fooling the discriminator, and easier to keep in balance.",
    observe=returns("the loss", gradient={1: "features_fake"}),
    cases=[
        Case(
            "for real features [[1, 2], [3, 4]] and fake ones [[4, 5], [-2, 5]]",
            (_TWO, _logits_of([[4, 5], [-2, 5]])),
            {"the loss": 5.0, "the gradient to features_fake": [[-1.0, 2], [-1, 2]]},
        ),
        Case(
            "when the means, (2, 3), are equal",
            (_logits_of([[0, 3], [4, 3]]), _TWO),
            {"the loss": 0.0, "the gradient to features_fake": torch.zeros(2, 2)},
        ),
        Case(
            "for real features [[4, 5], [-2, 5]] and fake ones [[2, 2], [0, 2]]",
            (_logits_of([[4, 5], [-2, 5]]), _logits_of([[2, 2], [0, 2]])),
            9.0,
        ),
        Case(
            "for means (3, -1, 4) and (1, 0, 1), of two real and three generated images",
            (_logits_of([[2, -3, 4], [4, 1, 4]]), _logits_of([[2, 0, -1], [0, 4, 2], [1, -4, 2]])),
            {"the loss": 14.0, "the gradient to features_fake": _logits_of([[-4, 2, -6]]).repeat(3, 1) / 3},
        ),
    ],
    mistakes={
        "the squares are averaged over the features: their plain sum is wanted": _matching(total=torch.mean),
        "there is no factor one half: the plain sum of the squares": _matching(total=lambda x: x.sum() / 2),
        IMAGE_BY_IMAGE: (
            _in_pairs(F.mse_loss),
            _in_pairs(lambda r, f: (r - f).square().sum(1).mean()),
            _in_pairs(lambda r, f: F.mse_loss(r, f, reduction="sum")),
            lambda r, f: torch.cdist(r, f).square().mean(),
        ),
        MEANS_FIRST: (_in_pairs(lambda r, f: (r - f).mean(0).square().sum()), lambda r, f: (r - f).mean(0).square().sum()),
        "this is the length of the difference: the squared length is wanted, no square root": _matching(total=lambda x: x.sum().sqrt()),
        ROOTED: _matching(total=lambda x: x.sum().sqrt() ** 2),
        "one number is wanted: sum the squares over the features": _matching(total=lambda x: x),
        "the features are summed over the batch: take their mean": _matching(of=lambda x: x.sum(0)),
        OVER_FEATURES: tuple(_in_pairs(_matching(of=lambda x: x.mean(1), total=total)) for total in (torch.sum, torch.mean)),
        "the means run over images and features at once: one mean for each feature is wanted, dim=0": _matching(of=torch.mean),
        ABSOLUTE.format("summed"): _matching(power=torch.abs),
        ABSOLUTE.format("averaged"): _matching(power=torch.abs, total=torch.mean),
        "the differences are not squared, so that opposite ones cancel": _matching(power=lambda x: x),
        "the difference of the means is summed before it is squared: square first, then sum": _matching(
            power=torch.sum, total=torch.square
        ),
        "the sign is wrong: a squared length is positive": _matching(total=lambda x: -x.sum()),
        OWN_SIZE: (
            lambda r, f: _matching(of=lambda x: x.sum(0) / len(r))(r, f),
            lambda r, f: _matching(of=lambda x: x.sum(0) / len(f))(r, f),
        ),
        "a number of images is written in: .mean(dim=0) counts them": _matching(of=lambda x: x.sum(0) / 2),
        "these are medians: means are wanted": _matching(of=lambda x: x.median(0).values),
        "the spread is compared, not the mean": _matching(of=lambda x: x.var(0, correction=0)),
        "the features are brought to length 1: take them as they are": _matching(of=lambda x: F.normalize(x).mean(0)),
        "the squares of the means are subtracted: subtract first, then square": _matching(of=lambda x: x.mean(0).square(), power=torch.abs),
        EXPANDED: (
            _matching(compare=lambda r, f: r.square() - 2 * r * f + f.square(), power=lambda x: x),
            lambda r, f: (r @ r.T).mean() - 2 * (r @ f.T).mean() + (f @ f.T).mean(),
        ),
        "part of the square is detached: half of the gradient is missing": _matching(power=lambda x: x * x.detach()),
        HALF: _matching(of=lambda x: x.half().mean(0).float()),
    },
    errors={"must match the size": MEANS_FIRST, "Dimension out of range": SQUEEZED},
    battery={
        **none("features become one number: no labels, no network, no setting, nothing is compared, no loop"),
        "one": [
            Case("for one real and one generated image", (uniform(1, 1, 4), uniform(2, 1, 4))),
            Case("for one feature", (uniform(3, 5, 1), uniform(4, 3, 1))),
        ],
        "extremes": [Case("for features near 1000", (_QUARTERS + 1000, _QUARTERS.flip(0) * 2 + 1000))],
        "gradient": [Case("for eight images each", (uniform(5, 8, 3), uniform(6, 8, 3)))],
        "sizes": [
            Case("for 3000 real and 2100 generated images", (uniform(7, 3000, 3), uniform(8, 2100, 3) + 1)),
            Case("for 2100 features", (uniform(9, 3, 2100), uniform(10, 4, 2100))),
        ],
        "layout": [Case("for features that are not contiguous", (scattered(uniform(11, 4, 3)), uniform(12, 3, 2).T))],
    },
)


# ---------------------------------------------------------------------------------------------- 4.5 the generator's step


class _Watched(nn.Module):
    """A network that notes whether somebody switched its mode."""

    switched = False

    def train(self, mode=True):
        self.switched = True
        return super().train(mode)


class _Judge(_Watched):
    """A discriminator whose features are the flattened images times 2; it notes its passes, and whether a gradient can flow."""

    def __init__(self):
        super().__init__()
        self.body, self.frozen, self.last = (nn.Parameter(torch.tensor(w), requires_grad=w != 1) for w in (2.0, 1.0, 0.5))
        self.body.grad = torch.tensor(7.0)  # from the training loop
        self.passes, self.asked_for_logits = [], False

    def features(self, x):
        self.passes.append((len(x), x.requires_grad))
        return self.frozen * self.body * x.flatten(1)

    def head(self, features):
        return self.last * features

    def forward(self, x):
        self.asked_for_logits = True
        return self.head(self.features(x))


class _Painter(_Watched):
    """A generator of two weights: noise times one plus the other, as an image of two pixels."""

    def __init__(self):
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(0.0))
        self.scale.grad, self.shift.grad = torch.tensor(100.0), torch.tensor(100.0)  # from a step before
        self.drawn = []

    def forward(self, z):
        self.drawn.append((self.scale * z + self.shift).reshape(-1, 1, 1, 2))
        return self.drawn[-1]


class _Descent:
    """An optimiser with a group for each parameter, which counts its steps (torch's own takes seconds to import on its first use)."""

    def __init__(self, parameters):
        self.param_groups, self.state, self.steps = [{"params": [p], "lr": 0.01} for p in parameters], {}, 0

    def zero_grad(self, set_to_none=True):
        for p in (group["params"][0] for group in self.param_groups):
            p.grad = None if set_to_none else torch.zeros(())

    def step(self, closure=None):
        with torch.enable_grad():
            loss = None if closure is None else closure()
        self.steps += 1
        for group in self.param_groups:
            if (p := group["params"][0]).grad is not None:
                p.data -= group["lr"] * p.grad
        return loss


VALUE, WEIGHTS = "the objective that it returns", "the generator's two weights (1 and 0 before)"
GETS = "what the objective gets as features_{}"
_value = returns(Part(VALUE, "number"))


def _moving(function, x_u, z, aim, steps=1):
    """Observe some steps: what the objective gets, where the generator's weights go, what is returned, how the networks are used."""
    judge, painter = _Judge(), _Painter()
    optimizer, handed = _Descent(painter.parameters()), []

    def objective(features_real, features_fake):
        handed.append((features_real, features_fake))
        return aim(judge, features_real, features_fake)

    for step in range(steps):
        seen = _value(function, judge, painter, optimizer, x_u + step if step else x_u, z - step / 4 if step else z, objective)
    _hands_off(judge, painter)
    if optimizer.steps != steps:
        raise Fix(f"the optimiser takes {optimizer.steps / steps:g} steps in each call: one is wanted")
    if not handed:
        raise Fix("the objective is never called: objective(features_real, features_fake)")
    _expect_a_way_back(judge, painter)
    moved = {WEIGHTS: [p.item() for p in painter.parameters()]}
    seen = {GETS.format(name): features for name, features in zip(("real", "fake"), handed[-1])} | moved | seen
    cause = _of_features(judge, painter, len(x_u), len(z), steps)
    return seen | ({"the passes": Fix(cause)} if cause else {})


def _hands_off(judge, painter):
    """Raise Fix unless the networks were left alone, but for the generator's weights."""
    if judge.switched or painter.switched:
        which = "mode" if judge.switched else "generator's mode"
        raise Fix(f"it switches the {which}: call neither eval() nor train(), of neither network")
    if flat(judge.parameters()).tolist() != flat(_Judge().parameters()).tolist():
        raise Fix("it moves the model's weights: only the generator learns here")
    gradient = judge.body.grad
    if gradient is None or gradient == 0:
        raise Fix("the gradients of the model are deleted or set to zero: leave its .grad as it was")
    if gradient != 7:
        raise Fix("a gradient lands in the model's weights: limit backward to the generator, inputs=list(painter.parameters())")
    if any(p.grad is not None for p in (judge.frozen, judge.last)):
        raise Fix("where the model's .grad was None it is None no longer: leave it as it was, inputs=list(painter.parameters())")


def _expect_a_way_back(judge, painter):
    """Raise Fix unless a gradient can flow from the objective to the generator's weights."""
    if judge.asked_for_logits:
        raise Fix("it calls model(...), which gives logits: the features are model.features(...)")
    if judge.passes and not any(gradient for _, gradient in judge.passes):
        raise Fix("the fakes are cut off from the generator, which must learn through them: no detach of the fakes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of a gradient that is asked for inside the graph
        if any(fakes.grad is not None for fakes in painter.drawn) and all(p.grad is None for p in painter.parameters()):
            raise Fix("the backward pass ends at the fakes: `inputs` takes the generator's weights, inputs=list(painter.parameters())")


def _of_features(judge, painter, real, fakes, steps):
    """What is wrong with the passes through the two networks; None if nothing is."""
    if not judge.passes:
        return "it does not use the model it was given: no copy of it, model.features(...) itself"
    if len(painter.drawn) != steps:
        return f"painter(z) is called {len(painter.drawn) / steps:g} times: draw the fakes once"
    sizes = [size for size, _ in judge.passes[: len(judge.passes) // steps]]
    if sizes == [real + fakes]:
        return "real and generated images go through the model together: each in a pass of its own"
    if sorted(sizes) != sorted((real, fakes)) or len(judge.passes) != 2 * steps:
        return f"model.features runs on {sizes} images: once on the {real} real and once on the {fakes} generated ones"
    return None


def _distance(judge, real, fake):
    return (real.mean(0) - fake.mean(0)).square().sum()


def _limited(loss, painter):
    loss.backward(inputs=[*painter.parameters()])


@slips
def _move(
    before=lambda m, p: None,
    real=lambda m, x: m.features(x).detach(),
    fakes=lambda p, z: p(z),
    fake=lambda m, x: m.features(x),
    loss=lambda o, r, f, m: o(r, f),
    backward=lambda l, m, p, x: _limited(l, p),
    order=("zero", "backward", "step"),
    value=lambda l, again: l.item(),
):
    """A step of the generator `p` against the model `m` on the objective `o`; `again` makes the loss anew."""

    def answer(m, p, optimizer, x_u, z, o):
        before(m, p)
        drawn = fakes(p, z)
        lowered = loss(o, real(m, x_u), fake(m, drawn), m)
        acts = {"zero": optimizer.zero_grad, "backward": lambda: backward(lowered, m, p, drawn), "step": optimizer.step}
        for act in order:
            acts[act]()
        return value(lowered, lambda: o(real(m, x_u), fake(m, p(z))))

    return answer


def _to_some(choose):
    """Backward to a part of the generator's weights only."""
    return _move(backward=lambda l, m, p, x: l.backward(inputs=choose(list(p.parameters()))))


DID_NOT_MOVE = "the generator did not move: backward comes after zero_grad() and before step()"
PART_MOVES = "only a part of the generator moves: all of its parameters need a gradient, inputs=list(...) of them all"
NO_GRADIENT = "no gradient reaches the generator: the fakes and their features need one, no detach, no no_grad there"
GETS_IMAGES = "the objective gets images: it wants features, model.features(...)"
_REAL, _NOISE = _logits_of([[1.25, 2], [2.75, 0]]).view(2, 1, 1, 2), _logits_of([[0, 2], [2, 1], [1, 6]])


def _moved(real, fake, weights, value):
    return {GETS.format("real"): real, GETS.format("fake"): fake, WEIGHTS: weights, VALUE: value}


generator_step = Exercise(
    "4.5",
    "generator_step",
    "the generator's step",
    why="Two networks, two optimisers, and only one of them moves: you now control who learns when.",
    observe=_moving,
    changes=("gradients", "weights"),  # the generator's; _hands_off looks after the model's
    cases=[
        # Real features: mean (4, 2). Fake ones: mean (2, 6). Objective (4 - 2)² + (2 - 6)² = 20, its gradient in the weight
        # 2 · ((2 - 4) · 2 + (6 - 2) · 6) = 40 and in the shift 2 · ((2 - 4) · 2 + (6 - 2) · 2) = 8. A step of size .01 takes
        # the weight from 1 to .6 and the shift from 0 to -.08.
        Case(
            "after a step of size .01 with gradients 40 and 8",
            (_REAL, _NOISE, _distance),
            _moved([[2.5, 4], [5.5, 0]], [[0.0, 4], [4, 2], [2, 12]], [0.6, -0.08], 20.0),
        ),
        Case(
            "for the objective -fake.sum(), which has no use for the real images",
            (_REAL / 2, _logits_of([[1, 2], [3, 4], [0, 0.5]]), lambda judge, real, fake: -fake.sum()),
            _moved([[1.25, 2], [2.75, 0]], [[2.0, 4], [6, 8], [0, 1]], [1.21, 0.12], -21.0),
        ),
    ],
    mistakes={
        "a gradient lands in the model's weights": _move(backward=lambda l, *_: l.backward()),
        "where the model's .grad was None it is None no longer": _move(
            backward=lambda l, m, p, x: l.backward(inputs=[*p.parameters(), m.last])
        ),
        "the gradients of the model are deleted or set to zero": (
            _move(backward=lambda l, m, *_: (l.backward(), m.zero_grad())),
            _move(before=lambda m, p: m.zero_grad(set_to_none=False)),
        ),
        "it moves the model's weights": _move(before=lambda m, p: m.body.data.add_(0.1)),
        "it leaves requires_grad changed": (
            _move(before=lambda m, p: m.requires_grad_(False)),
            _move(backward=lambda l, m, p, x: (_limited(l, p), m.requires_grad_(True))),
        ),
        PART_MOVES: (_to_some(lambda parameters: parameters[:1]), _to_some(lambda parameters: parameters[1:])),
        "it switches the mode": _move(before=lambda m, p: m.train()),
        "it switches the generator's mode": _move(before=lambda m, p: p.train()),
        "it does not use the model it was given": _move(
            real=lambda m, x: copy.deepcopy(m).features(x).detach(), fake=lambda m, x: copy.deepcopy(m).features(x)
        ),
        "the old gradient is added to the new one: zero_grad() before backward": _move(order=("backward", "step")),
        "takes 0 steps": _move(order=("zero", "backward")),
        "takes 2 steps": _move(order=("zero", "backward", "step", "step")),
        DID_NOT_MOVE: (_move(order=("backward", "zero", "step")), _move(order=("zero", "step"))),
        "the generator moved by its old gradient: backward comes before the step": _move(order=("step", "zero", "backward")),
        "the fakes are cut off from the generator": _move(fakes=lambda p, z: p(z).detach()),
        NO_GRADIENT: _move(fake=lambda m, x: m.features(x).detach()),
        "the features are swapped: objective(features_real, features_fake)": _move(loss=lambda o, r, f, m: o(f, r)),
        GETS_IMAGES: tuple(_move(real=images, fake=images) for images in (lambda m, x: x, lambda m, x: x.flatten(1))),
        "the objective gets means: it wants the features of all images": _move(
            loss=lambda o, r, f, m: o(r.mean(0, keepdim=True), f.mean(0, keepdim=True))
        ),
        "it calls model(...), which gives logits": _move(fake=lambda m, x: m(x)),
        "the objective is never called": _move(loss=lambda o, r, f, m: _distance(m, r, f)),
        "it lowers an objective of its own: minimise the one that is handed in": _move(
            loss=lambda o, r, f, m: o(r, f) * 0 + _distance(m, r, f)
        ),
        "real and generated images go through the model together": _move(
            real=lambda m, x: x, fake=lambda m, x: x, loss=lambda o, r, f, m: o(*m.features(torch.cat([r, f])).tensor_split([len(r)]))
        ),
        "the generator moved uphill: minimise the objective": (
            _move(loss=lambda o, r, f, m: -o(r, f)),
            _move(backward=lambda l, m, p, x: _limited(-l, p)),
        ),
        "a factor stands before the objective: lower it as it is": _move(loss=lambda o, r, f, m: o(r, f) / len(f)),
        "the gradient is cut off: no clipping": _move(
            backward=lambda l, m, p, x: (_limited(l, p), nn.utils.clip_grad_norm_(p.parameters(), 1.0))
        ),
        "this is the objective after the step: return the one that was minimised": _move(value=lambda l, again: again().item()),
        "the returned objective has another sign than the one that was lowered": (
            _move(value=lambda l, again: abs(l.item())),
            _move(value=lambda l, again: -l.item()),
        ),
        "the backward pass ends at the fakes": _move(backward=lambda l, m, p, x: l.backward(inputs=[x])),
        "painter(z) is called 2 times": _move(fakes=lambda p, z: (p(z), p(z))[1]),
        "model.features runs on [2, 2, 3] images": _move(real=lambda m, x: (m.features(x), m.features(x))[1].detach()),
        HALF: _move(value=lambda l, again: l.half().item()),
    },
    errors={"does not require grad": NO_GRADIENT, "does not have a grad_fn": NO_GRADIENT},
    battery={
        **none("there are no labels, nothing is compared, and no gradient is returned: the generator's move shows it in every case"),
        "one": [Case("for one real and one generated image", (uniform(1, 1, 1, 1, 2), uniform(2, 1, 2), _distance))],
        "extremes": [Case("for images of ±120", (_logits_of([120, -120]).view(1, 1, 1, 2), 120 * _NOISE, _distance))],
        "sizes": [Case("for 300 real and 2100 generated images", (uniform(3, 300, 1, 1, 2) + 1, uniform(4, 2100, 2), _distance))],
        "passes": [
            Case("for as many real images as generated ones", (uniform(5, 4, 1, 1, 2), uniform(6, 4, 2), _distance)),
            Case("for more real images than generated ones", (uniform(7, 7, 1, 1, 2), uniform(8, 3, 2), _distance)),
        ],
        "layout": [Case("for inputs that are not contiguous", (scattered(_REAL), scattered(_NOISE), _distance))],
        "ends": [
            Case(
                "for an objective that is 0, with a gradient", (_REAL, _NOISE, lambda judge, real, fake: fake.sum() - fake.sum().detach())
            ),
            Case(
                "for the objective -log D, which asks the model's last layer",
                (_REAL, _NOISE, lambda judge, real, fake: -F.logsigmoid(_lse(judge.head(fake))).mean()),
            ),
        ],
        "longer": [Case("after three steps", (uniform(7, 3, 1, 1, 2), uniform(8, 5, 2), _distance), options={"steps": 3})],
    },
)


# ------------------------------------------------------------------------------------------------------- 4.6 diversity


def _ratio(of):
    """What `of` makes of the rows of all fakes, divided by what it makes of those of all real images."""
    return lambda fakes, reals: of(fakes.flatten(1)) / of(reals.flatten(1))


def _table(rows, p=2.0):
    return (rows[:, None] - rows[None]).abs().pow(p).sum(2).pow(1 / p)


def _upper(table, diagonal=1):
    return table[torch.ones_like(table).triu(diagonal) > 0]


@slips
def _diversity(images=lambda x: x.flatten(1), distances=torch.pdist, mean=torch.mean, last=lambda f, r: f / r):
    return lambda fakes, reals: last(mean(distances(images(fakes))), mean(distances(images(reals))))


def _expanded(rows):
    squares = rows.square().sum(1)
    return (squares[:, None] + squares - 2 * rows @ rows.T).sqrt()


def _of_channels(x):
    return torch.stack([_upper(_table(channel.flatten(1))) for channel in x.unbind(1)])


NEIGHBOURS = "only neighbours in the batch are compared: all pairs"
SPREAD = "this compares the spread of pixels: the distances of images are wanted"
CROSSED = "fakes are compared with real images: fakes with fakes are wanted"
SINGLE = "the distance is taken for each channel or row by itself: over all pixels and channels of an image at once"
SUMMED = "the distances are summed, or divided by a wrong number: a mean over each batch's own pairs"
DIAGONAL = "each image is compared with itself, too: leave the zeros of the diagonal out"
SQUARED = "the distances are squared: take the root"
ROOT_LAST = "the root comes after the mean: it belongs to each distance, then their mean"
ABSOLUTE_SUMS = "these are sums of absolute differences: the Euclidean distance is wanted"
EQUAL_LOST = "the pair of equal fakes is left out: its distance 0 counts, only the diagonal does not"
BELOW_ZERO = "|a|² + |b|² - 2ab may be just below 0 for equal images, and its root is nan: subtract the images first"
VIEW = "`.view` needs contiguous images: .flatten(1), or .reshape"

# Real images at 0, 2 and 6 on a line: distances 2, 6, 4, mean 4. Five fakes, two of them equal: mean distance 5.2.
_ON_A_LINE = _logits_of([0, 2, 6]).view(3, 1, 1, 1) * _logits_of([[1, 0], [0, 0]])
_FIVE = F.pad(_logits_of([[0, 0], [3, 4], [0, 0], [-3, 4], [0, 8]]).view(5, 1, 2, 1), (0, 1), value=1)
_COLOUR = torch.arange(36.0).view(3, 3, 2, 2)
_ALL_CHANNELS = torch.stack([torch.zeros(3, 2, 2), torch.full((3, 2, 2), 3.0)])
_ONE_CHANNEL = _ALL_CHANNELS * _logits_of([1, 0, 0]).view(3, 1, 1)


def _four_axes(seed, *shape):
    return uniform(seed, *shape, low=-1.0, high=1.0)


diversity = Exercise(
    "4.6",
    "diversity",
    "diversity",
    why="A generator can cheat by painting one image over and over; you can now tell by a number.",
    observe=returns(Part("the diversity", "number")),
    cases=[
        Case(
            "of five fakes (distances 5, 0, 5, 8, 5, 6, 5, 5, 8, 5) beside three real images (distances 2, 6, 4)", (_FIVE, _ON_A_LINE), 1.3
        ),
        Case("of three equal images", (torch.full((3, 3, 2, 2), 0.4), torch.arange(24.0).view(2, 3, 2, 2)), 0.0, tolerance=1e-3),
        Case("of fakes that are the real images with half the contrast", (_COLOUR / 2, _COLOUR), 0.5),
        Case("of the same images, all distances below .1", (_COLOUR / 2000, _COLOUR / 1000), 0.5, tolerance=1e-2),
        Case(
            "of fakes that differ in one channel beside real images that differ in three", (_ONE_CHANNEL, _ALL_CHANNELS), 1 / math.sqrt(3)
        ),
    ],
    mistakes={
        "the fraction is upside down: fakes above, real images below": _diversity(last=lambda f, r: r / f),
        "this is the mean distance of the fakes: divide by that of the real images": _diversity(last=lambda f, r: f),
        "a ratio is wanted, not a difference": _diversity(last=lambda f, r: f - r),
        "a diversity above 1 is cut off: fakes may be more diverse than real images": _diversity(last=lambda f, r: (f / r).clamp(max=1)),
        "small distances are not divided by: no clamp, no max below": _diversity(last=lambda f, r: f / r.clamp(min=1)),
        DIAGONAL: _ratio(lambda rows: _table(rows).mean()),
        "the upper triangle holds the diagonal, too: triu(diagonal=1)": _ratio(lambda rows: _upper(_table(rows), 0).mean()),
        EQUAL_LOST: _ratio(lambda rows: _table(rows)[_table(rows) > 0].mean().nan_to_num()),
        "equal fakes give nan: they must give 0": _ratio(lambda rows: _table(rows)[_table(rows) > 0].mean()),
        "a pair of equal images is counted once: all pairs of two positions": _diversity(
            images=lambda x: torch.unique(x.flatten(1), dim=0)
        ),
        SUMMED: (
            _diversity(mean=torch.sum),
            _ratio(lambda rows: _table(rows).sum()),
            lambda f, r: _diversity(mean=lambda d: d.sum() / len(r))(f, r),
            _ratio(lambda rows: torch.pdist(rows).sum() / len(rows)),
        ),
        SQUARED: _diversity(mean=lambda d: d.square().mean()),
        ROOT_LAST: _diversity(mean=lambda d: d.square().mean().sqrt()),
        "the distances are squared, and the diagonal is counted": _ratio(lambda rows: _table(rows).square().mean()),
        ABSOLUTE_SUMS: (_diversity(distances=lambda x: torch.pdist(x, p=1)), _ratio(lambda rows: _table(rows, 1.0).mean())),
        CROSSED: (
            lambda f, r: torch.cdist(f.flatten(1), r.flatten(1)).mean(),
            lambda f, r: torch.cdist(f.flatten(1), r.flatten(1)).mean() / torch.pdist(r.flatten(1)).mean(),
        ),
        SPREAD: (_ratio(torch.std), _ratio(lambda rows: rows.std(0).mean())),
        "distances to the mean image are taken: all pairs of images": _ratio(lambda rows: (rows - rows.mean(0)).norm(dim=1).mean()),
        "only distances to the first image are taken: all pairs": _ratio(lambda rows: (rows[1:] - rows[0]).norm(dim=1).mean()),
        "these are the largest distances: their mean is wanted": _diversity(mean=torch.max),
        "these are medians: the mean is wanted": _diversity(mean=torch.median),
        NEIGHBOURS: (
            _ratio(lambda rows: (rows[1:] - rows[:-1]).norm(dim=1).mean()),
            _ratio(lambda rows: (rows - rows.roll(1, 0)).norm(dim=1).mean()),
        ),
        "only the first images are compared: all pairs": _diversity(images=lambda x: x[:64].flatten(1)),
        SINGLE: (
            _diversity(images=lambda x: x[:, 0].flatten(1)),
            _diversity(images=lambda x: x, distances=_of_channels),
            _diversity(images=lambda x: x, distances=_of_channels, mean=lambda d: d.mean(1), last=lambda f, r: (f / r).mean()),
            _diversity(images=lambda x: x, distances=lambda x: torch.cdist(x[:, None], x[None])),
        ),
        "the images are averaged over their channels: each channel counts by itself": _diversity(images=lambda x: x.mean(1).flatten(1)),
        "the pixels are clamped: take the images as they are": _diversity(images=lambda x: x.clamp(-1, 1).flatten(1)),
        VIEW: _diversity(images=lambda x: x.view(len(x), -1)),
        HALF: _diversity(images=lambda x: x.flatten(1).half().float()),
        BELOW_ZERO: (
            _ratio(lambda rows: _upper(_expanded(rows)).mean()),
            _ratio(lambda rows: _expanded(rows).sum() / (len(rows) ** 2 - len(rows))),
        ),
    },
    errors={"view size is not compatible": VIEW},
    battery={
        **none("two batches become one number: no labels, no network, no setting, no loop, and nothing learns by it"),
        "one": "two images make a pair, and the contract excludes fewer",
        "extremes": [
            Case(
                "of images that differ little, with pixels of about 1000",
                (1000 + _ON_A_LINE / 64, 1000 + _COLOUR[:, :1] / 64),
            ),
            Case("of images with pixels of 0 to 255", (_COLOUR.flip(0) * 7, torch.arange(24.0).view(2, 3, 2, 2) * 10)),
        ],
        "sizes": [
            Case("of 260 fakes beside two real images", (_four_axes(1, 260, 1, 2, 2), _four_axes(2, 2, 1, 2, 2)), tolerance=1e-4),
            Case("of four fakes of 2352 pixels beside 70 real images", (_four_axes(3, 4, 3, 28, 28), _four_axes(4, 70, 3, 28, 28))),
        ],
        "layout": [
            Case("of images that are not contiguous", (scattered(_four_axes(5, 4, 3, 2, 2)), _four_axes(6, 3, 2, 2, 3).movedim(3, 1))),
            Case(
                "of one image, 64 times", (_four_axes(7, 1, 3, 2, 2).expand(64, -1, -1, -1), 2 * _four_axes(8, 4, 3, 2, 2)), tolerance=1e-3
            ),
            Case("of images of one channel", (_four_axes(9, 3, 1, 3, 2), _four_axes(10, 5, 1, 3, 2))),
        ],
        "ends": [
            Case("of fakes that are nearly alike", (0.3 + _four_axes(11, 4, 3, 2, 2) / 1000, _four_axes(12, 4, 3, 2, 2)), tolerance=1e-4)
        ],
    },
)
