"""Checks of lesson 04: D from K logits, the losses without labels, the discriminator's loss, feature matching, the
generator's step, diversity."""

import math
import warnings

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.check.core import Fix, Probe, exercise, expect, expect_tuple

OVERFLOW = "exp overflows for large logits: stay with logarithms, {}"


def _z(logits: torch.Tensor) -> torch.Tensor:
    return logits.double().exp().sum(1)


@exercise("4.1", "D from K logits")
def _(student):
    logits = torch.tensor([[1.0, 2.0, 0.5], [-1.0, 0.0, 0.5], [-2.0, -2.0, -2.0]])
    right = torch.tensor([0.921606, 0.751033, 0.288765])
    z = _z(logits)
    result = student(logits)
    expect(
        result,
        right,
        "D for the logits [1, 2, .5], [-1, 0, .5] and [-2, -2, -2]",
        wrong=[
            (1 - right, "this is the probability of fake, 1 / (Z + 1): real is wanted, Z / (Z + 1)"),
            (right.view(-1, 1), "one number for each image is wanted, shape (B,): no keepdim"),
            (z.log(), "this is log Z, not yet D: the sigmoid of it is missing"),
            (z, "this is Z, not yet D = Z / (Z + 1)"),
            (right.log(), "this is log D: D itself is wanted"),
            (z.sigmoid(), "the sigmoid is taken of Z: take it of log Z, with logsumexp"),
            (logits.softmax(1).amax(1), "this is the largest class probability, not D: how high the logits are counts"),
            (
                logits.softmax(1),
                "this is a softmax over the classes: D asks whether the image is real, one number each",
            ),
            (
                torch.ones(3),
                "these are all 1, as a sum over a whole softmax is: over K classes the fake logit 0 is missing, "
                "over K + 1 answers the fake must stay out of the sum",
            ),
            (logits.amax(1).sigmoid(), "only the largest logit is used: Z is a sum over all classes, logsumexp"),
            (logits.sum(1).sigmoid(), "the logits are added: Z adds their exponentials, logsumexp"),
            (logits.mean(1).sigmoid(), "the logits are averaged: Z adds their exponentials, logsumexp"),
            (logits.sigmoid(), "one sigmoid for each class: D is one number for each image"),
            (logits.sigmoid().mean(1), "sigmoids of single classes are averaged: take one sigmoid of logsumexp"),
            (logits.sigmoid().amax(1), "only the largest logit is used: Z is a sum over all classes, logsumexp"),
            (
                z / (z + 3),
                "this is Z / (Z + K): the denominator is Z + 1, with Z the sum of the exponentials, not their mean",
            ),
            (
                F.pad(logits, (0, 1)).logsumexp(1).sigmoid(),
                "the 0 of fake is counted twice: the sigmoid already brings the + 1, so logsumexp runs over K logits",
            ),
            (
                logits.logsumexp(0).sigmoid(),
                "the sum runs over the images (dim=0): it must run over the classes (dim=1)",
            ),
            (
                logits.log_softmax(1).logsumexp(1).sigmoid(),
                "log_softmax takes the height of the logits away: logsumexp of the logits themselves",
            ),
            (right.mean(), "one number for each image is wanted: no mean over the batch"),
            ((right > 0.5).float(), "a probability is wanted, not a decision"),
        ],
        float_tensor=True,
    )
    for size in (120.0, 1000.0):  # the second is too large for exp in float64, too
        expect(
            student(size * torch.tensor([[1.0, 0, 0], [-1, -1, -1], [1, 1, -1]])),
            [1.0, 0.0, 1.0],
            f"D for logits of size {size:.0f}",
            wrong=[
                ([math.nan, 0.0, math.nan], OVERFLOW.format("the sigmoid of logsumexp")),
                ([math.nan] * 3, OVERFLOW.format("the sigmoid of logsumexp")),
                (
                    [1.0, math.nan, 1.0],
                    "one number is subtracted from the whole batch: each image has its own largest logit",
                ),
            ],
        )
    for size in (88.0, 120.0):  # e to the 88 is a float, and the sum of three is not
        expect(
            student(torch.full((1, 3), size)),
            [1.0],
            f"D for three logits of {size:.0f}",
            [
                (
                    [math.nan],
                    OVERFLOW.format("the sigmoid of logsumexp; a bound for single logits leaves their sum too large"),
                )
            ],
        )
    expect(student(torch.zeros(2, 9)), [0.9, 0.9], "D for nine logits of 0", [([0.75] * 2, "K is not always 3")])


@exercise("4.2", "losses on real and fake images")
def _(student):
    logits_real = torch.tensor([[1.0, 2.0, 0.5], [-1.0, -2.0, 0.0]])
    logits_fake = torch.tensor([[-1.0, 0.0, 0.5], [0.0, 0.0, 0.0], [2.0, -1.0, 1.0]])
    real, fake = _z(logits_real), _z(logits_fake)
    d_real, d_fake = real / (real + 1), fake / (fake + 1)
    loss_real, loss_fake = expect_pair(student, logits_real, logits_fake)
    right_real, right_fake = -d_real.log().mean(), -(1 - d_fake).log().mean()
    both = "for two real and three generated images"
    for name, loss, right, other, believed, logits, sign in (
        ("loss_real", loss_real, right_real, right_fake, d_real, logits_real, -1),
        ("loss_fake", loss_fake, right_fake, right_real, 1 - d_fake, logits_fake, 1),
    ):
        n = len(logits)
        causes = [
            (other, "the two losses are swapped: return (loss_real, loss_fake), in this order"),
            (right * n / (5 - n), f"{name} is divided by the number of the other images: each over its own batch"),
            (right * n / 5, f"{name} is divided by the number of all images: each over its own batch"),
        ]
        expect(loss, right, f"{name} {both}", causes + _wrong(right, believed, logits, sign))
    first = expect_pair(student, logits_real[:1], logits_fake[:1])
    expect(first[0], 0.081638, "loss_real for one image with the logits [1, 2, .5]")
    expect(first[1], 1.390436, "loss_fake for one image with the logits [-1, 0, .5]")
    leaves = [logits_real.clone().requires_grad_(), logits_fake.clone().requires_grad_()]
    losses = expect_pair(student, *leaves)
    for name, loss, leaf, slope in (
        ("real", losses[0], leaves[0], (d_real - 1) / 2),
        ("fake", losses[1], leaves[1], d_fake / 3),
    ):
        if not (isinstance(loss, torch.Tensor) and loss.requires_grad):
            raise Fix(f"loss_{name} carries no gradient to its logits: no detach, no .item(), no no_grad here")
        (gradient,) = torch.autograd.grad(loss, leaf, retain_graph=True, allow_unused=True)
        if gradient is None:
            raise Fix(f"loss_{name} carries no gradient to logits_{name}")
        expect(gradient, slope.view(-1, 1) * leaf.detach().softmax(1), f"the gradient of logits_{name}")
    far = torch.tensor([[120.0, 0, 0]])
    exact = "for logits of size 120 {} is not exact: use F.softplus of (minus) log Z, no logarithm of a rounded D"
    easy, hard = expect_pair(student, far, far)
    expect(hard, 120.0, "loss_fake for the logits [120, 0, 0]", _not_exact(hard, exact.format("loss_fake")))
    expect(easy, 0.0, "loss_real for the logits [120, 0, 0]", _not_exact(easy, exact.format("loss_real")))
    hard, easy = expect_pair(student, far * 0 - 120, far * 0 - 120)
    right = 120 - math.log(3)
    expect(hard, right, "loss_real for the logits [-120, -120, -120]", _not_exact(hard, exact.format("loss_real")))
    expect(easy, 0.0, "loss_fake for the logits [-120, -120, -120]", _not_exact(easy, exact.format("loss_fake")))


def expect_pair(student, logits_real, logits_fake) -> tuple:
    result = student(logits_real, logits_fake)
    if isinstance(result, torch.Tensor) and result.ndim == 0:
        raise Fix("it returned one number: return the two losses, (loss_real, loss_fake), not their sum")
    return expect_tuple(result, ("loss_real", "loss_fake"))


def _not_exact(value, cause: str) -> list:
    """Whatever was returned, if it is not right, is named with this cause."""
    return [(value, cause)]


def _wrong(right: torch.Tensor, believed: torch.Tensor, logits: torch.Tensor, sign: int) -> list:
    """What typical mistakes give for one of the two losses; `believed` is the probability whose logarithm is wanted."""
    name, n = {-1: "real", 1: "fake"}[sign], len(logits)
    s = logits.double().logsumexp(1)
    formula = {-1: "softplus(-log Z)", 1: "softplus(log Z)"}[sign]
    return [
        (-(1 - believed).log().mean(), f"the sign inside is wrong: loss_{name} is the mean of {formula}"),
        (-right, "the sign is wrong: -log of a probability is positive"),
        (right / 2, "no factor one half here: the weights come with the discriminator's loss"),
        (right * n, "the losses are summed: take their mean over the batch"),
        (F.softplus(sign * s), "one number is wanted: the mean over the batch"),
        (-believed.mean().log(), "the mean comes after the logarithm: one loss for each image, then their mean"),
        (1 - believed.mean(), "the logarithm is missing: -log of the probability, not one minus it"),
        (believed.mean(), "the logarithm is missing: this is the mean of the probability itself"),
        (F.softplus(sign * logits.double()).mean(), "each class is judged by itself: first log Z, one number an image"),
        (F.softplus(sign * logits.double()).sum(1).mean(), "each class is judged by itself: first log Z for an image"),
        (F.softplus(sign * logits.double().amax(1)).mean(), "only the largest logit is used: logsumexp of all"),
        (F.softplus(sign * logits.double().sum(1)).mean(), "the logits are added: log Z is their logsumexp"),
        (F.softplus(sign * logits.double().logsumexp(0)).mean(), "logsumexp runs over the images: dim=1"),
        (F.softplus(sign * s.exp()).mean(), "softplus takes log Z, not Z"),
        (F.softplus(sign * s.sigmoid()).mean(), "softplus takes log Z, not D: the sigmoid is in it already"),
        ((sign * s).mean(), "the softplus is missing: log(1 + exp(s)), which neither s nor its relu is"),
        ((sign * s).relu().mean(), "relu is not softplus: log(1 + exp(s))"),
    ]


@exercise("4.3", "the discriminator's loss")
def _(student):
    # The labelled image, the first unlabelled and the first fake are those of the exercises before
    x_l, y_l = torch.tensor([[1.0, 2.0, 0.5], [0.5, -1.0, 0.0]]).view(2, 3, 1, 1), torch.tensor([1, 2])
    x_u = torch.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 1.5], [2.0, 0.0, 0.3]]).view(3, 3, 1, 1)
    drawn = torch.tensor([[-1.0, 0, 0.5], [0.2, 0.1, -2], [1.2, 0, 0], [0.3, -0.4, 0.8]]).view(4, 3, 1, 1)
    leaf = drawn.clone().requires_grad_()
    model, fakes = Probe(), leaf * 1
    try:
        result = student(model, x_l, y_l, x_u, fakes)
    except Fix as error:
        if "batch_size" in str(error) and "to match target" in str(error):
            raise Fix("the labelled logits are not as many as the labels: cut behind len(x_l) images") from None
        raise
    if isinstance(result, torch.Tensor):
        raise Fix("it must return two values, (loss, logs), but returned the loss only")
    loss, logs = expect_tuple(result, ("loss", "logs"))
    if isinstance(loss, dict):
        raise Fix("loss and logs are swapped: return (loss, logs), in this order")
    if not isinstance(loss, torch.Tensor):
        raise Fix("the loss must be a tensor, so that it can be differentiated: no .item() on it")
    z_l, z_u, z_f = (x.flatten(1).double() for x in (x_l, x_u, drawn))
    labelled, real, fake = _three(z_l, y_l, z_u, z_f)
    eight = F.cross_entropy(F.pad(z_l, (0, 1)), y_l)
    turned = torch.cat([z_u, z_l])
    real_l, fake_of_u = _three(z_l, y_l, z_l, z_u)[1:]
    expect(
        loss,
        labelled + (real + fake) / 2,
        "the loss of the worked example",
        wrong=[
            (labelled + real + fake, "the one half is missing: it weighs loss_real and loss_fake"),
            ((labelled + real + fake) / 2, "the one half weighs all three: the labelled loss keeps its full weight"),
            (labelled / 2 + real + fake, "the one half is at the wrong place: it weighs loss_real and loss_fake"),
            (labelled + real / 2 + fake, "the one half must weigh loss_fake, too"),
            (labelled + real + fake / 2, "the one half must weigh loss_real, too"),
            (labelled, "loss_real and loss_fake are missing"),
            ((real + fake) / 2, "the labelled loss is missing"),
            (labelled + real / 2, "loss_fake is missing"),
            (labelled + fake / 2, "loss_real is missing"),
            (labelled - (real + fake) / 2, "the sign is wrong: all three parts are added"),
            (
                eight + (real + fake) / 2,
                "the cross-entropy runs over K + 1 answers: given that the image is real, over the K classes only",
            ),
            (
                labelled + (_three(z_l, y_l, torch.cat([z_l, z_u]), z_f)[1] + fake) / 2,
                "loss_real takes the labelled images, too: of the logits of the joint pass only those from len(x_l) on",
            ),
            (
                labelled + (_three(z_l, y_l, z_u[1:], z_f)[1] + fake) / 2,
                "unlabelled images are lost: of the logits of the joint pass all from len(x_l) on are theirs",
            ),
            (labelled + (real_l + fake) / 2, "loss_real takes the labelled images: the unlabelled ones are wanted"),
            (
                labelled + sum(_three(z_l, y_l, z_f, z_u)[1:]) / 2,
                "real and generated images are swapped in real_fake_losses",
            ),
            (labelled + (real + fake_of_u) / 2, "loss_fake is computed on the unlabelled images, which are real"),
            (
                F.cross_entropy(z_l.softmax(1), y_l) + (real + fake) / 2,
                "a softmax comes before the cross-entropy, which has one inside: hand it the logits as they are",
            ),
            (
                _three(turned[:2], y_l, turned[2:], z_f)[0] + (_three(z_l, y_l, turned[2:], z_f)[1] + fake) / 2,
                "labelled and unlabelled images are mixed up: with x_l in front, cut behind len(x_l) images",
            ),
            (
                2 * labelled + (real + fake) / 2,
                "the cross-entropies are summed: take their mean over the labelled images",
            ),
        ],
    )
    if model.scale.grad is not None:
        raise Fix("backward() is called inside: leave that to the training loop, return the loss")
    if not fakes.requires_grad:
        raise Fix("it changes its input: detach_() cuts the fakes themselves, detach() returns a detached tensor")
    if not loss.requires_grad:
        raise Fix("the loss carries no gradient: the images go through the model with gradients")
    (gradient, to_fakes) = torch.autograd.grad(loss, [model.scale, leaf], allow_unused=True)
    if to_fakes is not None:
        raise Fix("a gradient runs back into the fakes, and so into the generator: detach them")
    scale = torch.ones(1, dtype=torch.float64, requires_grad=True)
    parts = _three(scale * z_l, y_l, scale * z_u, scale * z_f)
    of_labelled, of_real, of_fake = (torch.autograd.grad(part, scale)[0] for part in parts)
    expect(
        gradient,
        of_labelled + (of_real + of_fake) / 2,
        "the gradient of the model's weight",
        wrong=[
            (
                of_labelled + of_real / 2,
                "the model does not learn from the fakes: detach the images, not what it says of them",
            ),
            (
                of_labelled + of_fake / 2,
                "the model does not learn from the unlabelled images: no no_grad, no detach there",
            ),
            (of_labelled, "only the labelled images have a gradient: no no_grad, no detach of logits"),
        ],
    )
    _expect_passes(model)
    _expect_logs(logs, z_u, z_f)
    _, logs = student(Probe(power=2), x_l, y_l, x_u, drawn)
    for name, z in (("real", z_u), ("fake", z_f)):
        expect(
            logs[name],
            _mean_d(z**2),
            f"logs['{name}'] for a model that squares its images",
            [(_mean_d(z), f"logs['{name}'] is computed from the images: D takes the model's logits on them")],
        )


def _three(z_l, y_l, z_u, z_f) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The three parts of the loss, written without softplus."""
    real, fake = z_u.exp().sum(1), z_f.exp().sum(1)
    labelled = -z_l.softmax(1)[torch.arange(len(y_l)), y_l].log().mean()
    return labelled, -(real / (real + 1)).log().mean(), (fake + 1).log().mean()


def _expect_passes(model: Probe) -> None:
    model.expect_mode()
    sizes = [size for size, *_ in model.calls]
    if sorted(sizes) == [4, 5]:
        return
    if sizes == [9]:
        raise Fix("all images go through the model together: the fakes get a pass of their own, because of BatchNorm")
    if sorted(sizes) == [2, 3, 4]:
        raise Fix("labelled and unlabelled images go through separately: glue them for one pass, torch.cat")
    raise Fix(f"the model runs {len(sizes)} times, on {sizes} images: twice is wanted, on the 5 real and the 4 generated images")


def _mean_d(z: torch.Tensor) -> torch.Tensor:
    return (z.exp().sum(1) / (z.exp().sum(1) + 1)).mean()


def _expect_logs(logs, z_u: torch.Tensor, z_f: torch.Tensor) -> None:
    if not isinstance(logs, dict) or not {"real", "fake"} <= set(logs):
        raise Fix('logs must be a dict, {"real": ..., "fake": ...}')
    real, fake = _mean_d(z_u), _mean_d(z_f)
    for name, value, other in (("real", real, fake), ("fake", fake, real)):
        if isinstance(logs[name], torch.Tensor) and logs[name].requires_grad:
            raise Fix(f"logs['{name}'] carries a gradient: a plain number is wanted, .item()")
        expect(
            logs[name],
            value,
            f"logs['{name}']",
            wrong=[
                (other, "logs['real'] and logs['fake'] are swapped"),
                (1 - value, f"logs['{name}'] is 1 - D: both hold the mean of D"),
                (_three(z_u, torch.zeros(len(z_u)).long(), z_u, z_f)[1 + (name == "fake")], "D is wanted, not a loss"),
            ],
        )


@exercise("4.4", "feature matching")
def _(student):
    # Two of each: means (2, 3) and (1, 5)
    real, fake = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[4.0, 5.0], [-2.0, 5.0]])
    single = "image is compared with image: take the mean of each batch first, then the difference"
    over_features = "the means run over the features (dim=1): they must run over the batch (dim=0)"
    over_both = "the means run over images and features at once: one mean for each feature is wanted, dim=0"
    absolute = "absolute differences (the authors' code for CIFAR) are {}: the sum of the squares is wanted"
    length = "this is the length of the difference: the squared length is wanted, no square root"
    expect(
        student(real, fake),
        5.0,
        "the loss for real features [[1, 2], [3, 4]] and fake ones [[4, 5], [-2, 5]]",
        wrong=[
            (2.5, "the squares are averaged over the features, or halved: their plain sum is wanted"),
            (11.0, single),
            (22.0, single),
            (44.0, single),
            (16.0, single),  # all pairs
            (math.sqrt(5), length),
            ([1.0, 4.0], "one number is wanted: sum the squares over the features"),
            (20.0, "the features are summed over the batch: take their mean"),
            (13.0, over_features),
            (6.5, over_features),
            (0.25, over_both),
            (3.0, absolute.format("summed")),
            (1.5, absolute.format("averaged")),
            (-1.0, "the differences are not squared, so that opposite ones cancel"),
            (-5.0, "the sign is wrong: a squared length is positive"),
            (1.0, "the difference of the means is summed before it is squared: square first, then sum"),
        ],
    )
    # Means (3, -1, 4) and (1, 0, 1): more fakes than real images, and a difference of both signs
    real = torch.tensor([[2.0, -3.0, 4.0], [4.0, 1.0, 4.0]])
    fake = torch.tensor([[2.0, 0.0, -1.0], [0.0, 4.0, 2.0], [1.0, -4.0, 2.0]])
    leaf = fake.clone().requires_grad_()
    try:
        result = student(real, leaf)
    except Fix as error:
        if "must match the size" in str(error):
            raise Fix("the batches may differ in size: means first, then the difference") from None
        raise
    own_size = "both sums are divided by the same number: each batch is divided by its own size"
    expect(
        result,
        14.0,
        "the loss for means (3, -1, 4) and (1, 0, 1)",
        wrong=[
            (9.5, own_size),
            (38 / 9, own_size),
        ],
    )
    if not (isinstance(result, torch.Tensor) and result.requires_grad):
        raise Fix("no gradient reaches the fake features: no detach, no .item() here, or the generator cannot learn")
    (gradient,) = torch.autograd.grad(result, leaf)
    expect(gradient, torch.tensor([[-4.0, 2, -6]]).expand(3, 3) / 3, "the gradient of the fake features")
    expect(student(real, fake[[2, 0, 1]]), 14.0, "the loss after a shuffle of the fakes")
    real, fake = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[2.0, 2.0], [0.0, 2.0]])
    expect(student(real, fake), 2.0, "the loss for the features of the worked example")


class _Watched(nn.Module):
    """A network that notes whether somebody switched its mode."""

    switched = False

    def train(self, mode: bool = True):
        self.switched = True
        return super().train(mode)


class _Judge(_Watched):
    """A discriminator whose features are the flattened images times a weight; it notes its passes."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.scale.grad = torch.tensor(7.0)  # from the training loop
        self.calls: list[int] = []
        self.with_gradient: list[int] = []  # the passes of images that a gradient can flow back to
        self.asked_for_logits = False

    def features(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.append(len(x))
        if x.requires_grad:
            self.with_gradient.append(len(x))
        return self.scale * x.flatten(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.asked_for_logits = True
        return self.scale * x.flatten(1).repeat(1, 2)


class _Painter(_Watched):
    """A generator of two weights: noise times one plus the other, as an image of two pixels."""

    def __init__(self):
        super().__init__()
        self.weight, self.shift = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(0.0))
        for p in self.parameters():
            p.grad = torch.tensor(100.0)  # from a step before
        self.drawn: list[torch.Tensor] = []

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        self.drawn.append((self.weight * z + self.shift).view(-1, 1, 1, 2))
        return self.drawn[-1]

    def state(self) -> list[float]:
        return [p.item() for p in self.parameters()]


class _Descent:
    """An optimiser that counts its steps (torch's own takes seconds to import on its first use)."""

    def __init__(self, painter: _Painter, lr: float):
        self.weights, self.lr, self.steps = list(painter.parameters()), lr, 0
        self.param_groups = [{"params": self.weights, "lr": lr}]

    def zero_grad(self, set_to_none: bool = True) -> None:
        for p in self.weights:
            p.grad = None if set_to_none else torch.zeros(())

    def step(self) -> None:
        self.steps += 1
        for p in self.weights:
            if p.grad is not None:
                p.data -= self.lr * p.grad


@exercise("4.5", "the generator's step")
def _(student):
    # Real features: mean (4, 2). Fake ones: mean (2, 6). Objective (4 - 2)² + (2 - 6)² = 20, its gradient in the weight
    # 2 · ((2 - 4) · 2 + (6 - 2) · 6) = 40 and in the shift 2 · ((2 - 4) · 2 + (6 - 2) · 2) = 8. A step of size .01 takes
    # the weight from 1 to .6 and the shift from 0 to -.08.
    x_u, z = torch.tensor([[1.0, 2], [3, 0]]).view(2, 1, 1, 2), torch.tensor([[0.0, 2], [2, 1], [1, 6]])
    judge, painter = _Judge(), _Painter()
    optimizer = _Descent(painter, lr=0.01)
    handed: list[tuple] = []

    def objective(real, fake):
        handed.append((real, fake))
        return (real.mean(0) - fake.mean(0)).square().sum()

    try:
        value = student(judge, painter, optimizer, x_u, z, objective)
    except Fix as error:
        if "does not require grad" in str(error) or "does not have a grad_fn" in str(error):
            raise Fix("no gradient reaches the generator: the fakes and their features need one, no detach there") from None
        raise
    if 3 in judge.calls and 3 not in judge.with_gradient:
        raise Fix("the fakes are cut off from the generator, which must learn through them: no detach of the fakes")
    _expect_hands_off(judge, painter)
    if not handed:
        raise Fix("the objective is never called: objective(features_real, features_fake)")
    if judge.asked_for_logits:
        raise Fix("it calls model(...), which gives logits: the features are model.features(...)")
    for given, wanted, name in zip(handed[0], ([[2.0, 4], [6, 0]], [[0.0, 4], [4, 2], [2, 12]]), ("real", "fake")):
        expect(
            given,
            wanted,
            f"what the objective gets as features_{name}",
            wrong=[
                ([[0.0, 4], [4, 2], [2, 12]], "the features are swapped: objective(features_real, features_fake)"),
                (x_u, "the objective gets images: it wants features, model.features(x_u)"),
                (z.view(3, 1, 1, 2), "the objective gets images: it wants features, model.features(fakes)"),
            ],
        )
    if not judge.calls:
        raise Fix("it does not use the model it was given: no copy of it, model.features(...) itself")
    if optimizer.steps != 1:
        raise Fix(f"the optimiser takes {optimizer.steps} steps: one is wanted")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of a gradient that is asked for inside the graph
        stopped = any(fakes.grad is not None for fakes in painter.drawn)
    if stopped and all(p.grad is None for p in painter.parameters()):
        raise Fix(
            "the backward pass ends at the fakes, and the generator's weights get no gradient: "
            "`inputs` takes its parameters, inputs=list(painter.parameters())"
        )
    part = "only a part of the generator moves: all of its parameters need a gradient, inputs=list(...) of them all"
    expect(
        painter.state(),
        [0.6, -0.08],
        "the generator's two weights after the step (from 1 and 0, gradients 40 and 8, step size .01)",
        wrong=[
            (
                [1.0, 0.0],
                "the generator did not move: backward comes after zero_grad() and before step()",
            ),
            ([0.6, 0.0], part),
            ([1.0, -0.08], part),
            ([0.0, -1.0], "the generator moved by its old gradient: backward comes before the step"),
            ([-0.4, -1.08], "the old gradient is added to the new one: zero_grad() before backward"),
            ([1.4, 0.08], "the generator moved uphill: minimise the objective"),
        ],
    )
    if isinstance(value, torch.Tensor):
        raise Fix("a plain float is wanted, not a tensor: return loss.item()")
    after = "this is the objective after the step: return the one that was minimised"
    expect(value, 20.0, "the returned objective", [(10.8352, after)])
    if sorted(judge.calls) == [5]:
        raise Fix("real and generated images go through the model together: each in a pass of its own")
    if sorted(judge.calls) != [2, 3]:
        raise Fix(f"model.features runs on {judge.calls} images: once on the 2 real and once on the 3 generated ones")
    _expect_any_objective(student)
    _expect_no_gradient_stays(student)


def _expect_hands_off(judge: _Judge, painter: _Painter) -> None:
    if judge.switched:
        raise Fix("it switches the mode: call neither eval() nor train(), the training loop takes care of the mode")
    if painter.switched:
        raise Fix("it switches the generator's mode: call neither eval() nor train(), for both networks")
    expect(judge.scale, 2.0, "the model's weight", [])
    if not judge.scale.requires_grad:
        raise Fix("the model's weights are frozen and stay so: it could never learn again, set requires_grad back")
    if judge.scale.grad is None:
        raise Fix("the gradients of the model are deleted: leave its .grad as it was")
    expect(
        judge.scale.grad,
        7.0,
        "the model's .grad",
        wrong=[
            (0.0, "the gradients of the model are set to zero: leave its .grad as it was"),
            (
                judge.scale.grad,
                "a gradient lands in the model's weights: limit backward to the generator, inputs=list(...)",
            ),
        ],
    )


def _expect_no_gradient_stays(student) -> None:
    """A model that has no .grad yet, as before the first step of its own."""
    judge, painter = _Judge(), _Painter()
    judge.scale.grad = None
    x_u, z = torch.ones(2, 1, 1, 2), torch.tensor([[1.0, 2], [3, 4]])
    student(judge, painter, _Descent(painter, lr=0.01), x_u, z, lambda real, fake: -fake.sum())
    if judge.scale.grad is not None:
        raise Fix("the model's .grad was None before, and is not any more: leave it as it was, inputs=list(...)")


def _expect_any_objective(student) -> None:
    """The objective is handed in: another one must be minimised as well, one that has no use for the real images."""
    judge, painter = _Judge(), _Painter()
    value = student(
        judge,
        painter,
        _Descent(painter, lr=0.01),
        torch.ones(2, 1, 1, 2),
        torch.tensor([[1.0, 2], [3, 4]]),
        lambda real, fake: -fake.sum(),
    )
    expect(value, -20.0, "the objective -fake.sum()", [])
    what = "the generator's two weights after a step on another objective"
    expect(painter.state(), [1.2, 0.08], what, [([1.0, 0.0], "the generator did not move")])


@exercise("4.6", "diversity")
def _(student):
    # Real images at 0, 2 and 6 on a line: distances 2, 6, 4, mean 4. Five fakes, two of them equal: mean distance 5.2.
    reals = torch.tensor([0.0, 2, 6]).view(3, 1, 1, 1) * torch.tensor([1.0, 0, 0, 0]).view(1, 1, 2, 2)
    fakes = torch.ones(5, 1, 2, 2)
    fakes[:, 0, 0, 0], fakes[:, 0, 1, 0] = torch.tensor([0.0, 3, 0, -3, 0]), torch.tensor([0.0, 4, 0, 4, 8])
    result = student(fakes, reals)
    flat_f, flat_r = fakes.flatten(1), reals.flatten(1)
    all_f, all_r = torch.cdist(flat_f, flat_f), torch.cdist(flat_r, flat_r)
    l1_f, l1_r = torch.cdist(flat_f, flat_f, p=1), torch.cdist(flat_r, flat_r, p=1)
    expect(
        result,
        1.3,
        "the diversity of five fakes (distances 5, 0, 5, 8, 5, 6, 5, 5, 8, 5) beside three real images (distances 2, 6, 4)",
        wrong=[
            (1 / 1.3, "the fraction is upside down: fakes above, real images below"),
            (5.2, "this is the mean distance of the fakes: divide by that of the real images"),
            (
                all_f.mean() / all_r.mean(),
                "each image is compared with itself, too: leave the zeros of the diagonal out",
            ),
            (52 / 15 / 2, "the upper triangle holds the diagonal, too: triu(diagonal=1)"),
            (52 / 9 / 4, "the pair of equal fakes is left out: its distance 0 counts, only the diagonal does not"),
            (
                52 / 12,
                "the distances are summed, or both sums divided by the same number: a mean over each batch's own pairs",
            ),
            ((all_f**2).sum() / 20 / ((all_r**2).sum() / 6), "the distances are squared: take the root"),
            (
                ((all_f**2).sum() / 20 / ((all_r**2).sum() / 6)) ** 0.5,
                "the root comes after the mean: it belongs to each distance, then their mean",
            ),
            ((all_f**2).mean() / (all_r**2).mean(), "the distances are squared, and the diagonal is counted"),
            (l1_f.sum() / 20 / (l1_r.sum() / 6), "these are sums of absolute differences: the Euclidean distance"),
            (l1_f.mean() / l1_r.mean(), "these are absolute differences: the Euclidean distance is wanted"),
            (torch.cdist(flat_f, flat_r).mean(), "fakes are compared with real images: fakes with fakes are wanted"),
            (
                torch.cdist(flat_f, flat_r).mean() / 4,
                "fakes are compared with real images: fakes with fakes are wanted",
            ),
            (1.2, "a ratio is wanted, not a difference"),
            (fakes.std() / reals.std(), "this compares the spread of pixels: the distances of images are wanted"),
            (fakes.std(0).mean() / reals.std(0).mean(), "this compares the spread of pixels: distances of images"),
            (8 / 6, "these are the largest distances: their mean is wanted"),
            (5 / 4, "these are medians: the mean is wanted"),
            (5 / 3, "only neighbours in the batch are compared: all pairs"),
            (5.6 / 4, "only neighbours in the batch are compared: all pairs"),
        ],
    )
    same = torch.full((3, 3, 2, 2), 0.4)
    expect(
        student(same, torch.arange(24.0).view(2, 3, 2, 2)),
        0.0,
        "the diversity of three equal images",
        wrong=[(math.nan, "equal fakes give nan: they must give 0")],
        tolerance=1e-3,
    )
    colour = torch.arange(36.0).view(3, 3, 2, 2)
    expect(student(colour / 2, colour), 0.5, "the diversity of fakes that are the real images with half the contrast")
    expect(
        student(colour / 2000, colour / 1000),
        0.5,
        "the diversity of fakes that are the real images with half the contrast, all distances below .1",
        wrong=[
            (
                torch.pdist(colour.flatten(1) / 2000).mean(),
                "small distances are not divided by: no clamp, no max below",
            ),
        ],
        tolerance=1e-2,
    )
    first = torch.zeros(2, 3, 2, 2)
    first[1, 0] = 3.0
    second = torch.zeros(2, 3, 2, 2)
    second[1] = 3.0
    single = "the distance is taken for each channel or row by itself: over all pixels and channels of an image at once"
    expect(
        student(first, second),
        1 / math.sqrt(3),
        "the diversity of two fakes that differ in one channel beside real ones that differ in three",
        wrong=[(1 / 3, single), (1.0, single)],
    )
