"""Checks of lesson 06: views, pseudo-label and mask, FixMatch's loss and step, what the mask keeps, zip."""

import copy
import math

import torch
import torch.nn.functional as F

from course_utils.batches import Batch
from course_utils.check.battery import classes, extreme_logits, none, scattered, uniform
from course_utils.check.cases import RECORDED, Case, Exercise, loss_and_logs, returns, slips
from course_utils.check.expect import ANY, Fix, Part
from course_utils.check.probe import Probe

# The worked example: four images, three classes (the second is unsure), threshold .95
_Q = torch.tensor([[0.97, 0.02, 0.01], [0.60, 0.30, 0.10], [0.03, 0.96, 0.01], [0.01, 0.03, 0.96]])
_LOGITS_W = _Q.log() + torch.tensor([[4.0], [3.2], [6.5], [0.0]])  # the same probabilities, logits shifted row by row
_LOGITS_S = torch.tensor([[2.0, 0, 0], [0.5, 0, 1], [0, 1, 0], [1, 0, 0]])
_LABEL, _MASK = torch.tensor([0, 0, 1, 2]), torch.tensor([1.0, 0, 1, 1])
_LOSS_U = 0.5856096

_NEAR = torch.tensor([[0.8 + d, 0.2 - d] for d in (1e-4, -1e-4, 1e-6, -1e-6)]).log()
_OF_EIGHT = torch.tensor([2, 0, 1, 0, 2, 2, 0, 2])  # classes for the eight rows of extreme_logits


def _ce(logits, target):
    return F.cross_entropy(logits, target, reduction="none")


# ---------------------------------------------------------------------------------------------------------- 6.1 views

_ELSE = [  # what else may come out of an image, and the cause
    (lambda x: x.flip(2), "images are turned upside down: left-right is the last axis (width, 3), not the height (2)"),
    (lambda x: x.flip(1), "the channels are reversed: left-right is the last axis (width, 3)"),
    (lambda x: x.flip(0), "the order of the batch is reversed: mirror within each image, along the width (axis 3)"),
    (lambda x: x.flip(2, 3), "images are turned by half a turn: mirror along the width (axis 3) only"),
    (lambda x: -x, "the values change their sign: mirroring moves the pixels and keeps their values, x.flip(3)"),
    (lambda x: -x.flip(3), "the values change their sign: mirroring moves the pixels and keeps their values"),
]


def _mirrored(student, x, seed):
    """Which images of `x` come back mirrored, (B,) bool; Fix if one comes back as something else."""
    out = student(x, torch.Generator().manual_seed(seed))
    if not isinstance(out, torch.Tensor) or out.shape != x.shape:
        got = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
        raise Fix(f"it must return a batch of the same shape {tuple(x.shape)}, but returned {got}")
    if out.data_ptr() == x.data_ptr():
        raise Fix("where no image is mirrored it returns `x` itself: a new batch is wanted, x.clone() at least")
    same, mirrored = (out == x).flatten(1).all(1), (out == x.flip(3)).flatten(1).all(1)
    if (same | mirrored).all():
        return mirrored & ~same
    for other, cause in _ELSE:
        if ((out == other(x)).flatten(1).all(1) | same).all():
            raise Fix(cause)
    if ((out == x) | (out == x.flip(3))).all():
        raise Fix("a random number is drawn for each pixel, row or channel: one for each image, of the shape (B, 1, 1, 1)")
    sums = x.double().flatten(1).sum(1)
    if torch.equal(out.double().flatten(1).sum(1).sort().values, sums.sort().values):
        raise Fix("the images change places: mirror each at its place, and keep the order of the batch")
    raise Fix("some images are neither the original nor its mirror image, and have other values: only move the pixels")


def _images(n, shape=(2, 2, 3)):
    return torch.arange(float(n * math.prod(shape))).view(n, *shape)


def _each_by_itself(student):
    x = _images(600)
    first = _mirrored(student, x, 1)
    if first.all():
        raise Fix("every image is mirrored: it should happen with probability one half")
    if not first.any():
        if any(_mirrored(student, x, seed).all() for seed in range(2, 9)):
            raise Fix("one random number decides for the whole batch: draw B numbers, one for each image")
        raise Fix("no image is mirrored: it should happen with probability one half")
    patterns = [first, *(_mirrored(student, x, seed) for seed in range(2, 9))]
    different = len({tuple(pattern.tolist()) for pattern in patterns})
    if different == 1:
        raise Fix("another `rng` mirrors the same images: hand it over, torch.rand(..., generator=rng), and set no seed")
    if different < 5:
        raise Fix(f"eight different `rng` give {different} different results only: one random number decides for many images")
    if all(pattern.sum() == len(x) // 2 for pattern in patterns):
        raise Fix("exactly half of the batch is mirrored each time: draw the numbers one by one, independently")


def _goes_on(student):
    x, rng = _images(600), torch.Generator().manual_seed(1)
    if torch.equal(student(x, rng), student(x, rng)):
        raise Fix("a second call with the same `rng` mirrors the same images: draw from `rng` itself, and don't reseed it")
    once, again = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    if not torch.equal(student(x, once), student(x, again)):
        raise Fix("the same state of `rng` gives two results: all randomness comes from `rng`")


def _independent(student):
    """Limits of more than six standard errors: a right answer fails less than once in a million seeds."""
    for n in (8000, 8001):
        mirrored = _mirrored(student, _images(n, (1, 1, 2)), 5)
        fraction = mirrored.float().mean().item()
        if abs(fraction - 0.5) > 0.04:
            raise Fix(f"about {fraction:.0%} of the images are mirrored: the probability should be one half")
        for lag in (*range(1, 17), n // 8, n // 4, n // 3, n // 2, n // 2 + 1):
            if abs((mirrored[lag:] == mirrored[:-lag]).float().mean() - 0.5) > 0.06:
                raise Fix(f"the random numbers of images that are {lag} apart depend on each other: draw B numbers for B images")


def _one_image(student):
    single = _images(1)
    count = sum(_mirrored(student, single, seed).item() for seed in range(200))
    if not 50 < count < 150:
        raise Fix(f"a batch of one image is mirrored in {count} of 200 tries: the probability should be one half")


def _scattered_images(student):
    for x in (scattered(_images(40)), _images(40, (3, 4, 4)).to(memory_format=torch.channels_last), _images(40, (1, 5, 2))):
        if not 5 < _mirrored(student, x, 2).sum() < 35:
            raise Fix(f"of 40 images of shape {tuple(x.shape[1:])} about half should be mirrored")


flip_each = Exercise(
    "6.1",
    "flip_each",
    "a random draw for each image",
    why="Chance for each image by itself is what makes augmented views worth their name; you will draw millions of them.",
    observe=returns("the batch"),
    rules=[_each_by_itself, _goes_on],
    errors={"must match": "one random number for each image needs the shape (B, 1, 1, 1)"},
    battery={
        **none("pixels are moved at random: no labels, nothing computed from their values, no network, no setting"),
        "one": [_one_image],
        "sizes": [_independent],
        "layout": [_scattered_images],
    },
)


# ------------------------------------------------------------------------------------------- 6.2 pseudo-label and mask


def _leaf(x):
    return x.clone().requires_grad_()


@slips
def _label_and_mask(probabilities=lambda z: z.softmax(1), keep=lambda c, tau: c >= tau, label=lambda q: q.argmax(1)):
    def answer(z, tau):
        q = probabilities(z.detach())
        return label(q), keep(q.amax(1), tau).float()

    return answer


def _only_kept(z, tau):
    q = z.detach().softmax(1)
    kept = q.amax(1) >= tau
    return q.argmax(1)[kept], kept[kept].float()


def _label_of_the_sure(z, tau):
    q = z.detach().softmax(1)
    kept = q.amax(1) >= tau
    return q.argmax(1) * kept, kept.float()


def _swapped(z, tau):
    q = z.detach().softmax(1)
    return (q.amax(1) >= tau).float(), q.argmax(1)


def _from_hand(z, tau):
    p = z.detach().exp() / z.detach().exp().sum(1, keepdim=True)
    return p.argmax(1), (p.amax(1) >= tau).float()


OVER_IMAGES = "softmax runs over the images (dim=0): it must run over the classes (dim=1)"
CONFIDENCES = "the mask holds confidences: it is 1 where the confidence is at least tau, else 0"
EXACT = "compare as it is, no rounding, no tolerance, no half precision"
LOST = "the pseudo-label of an unsure image is lost: the most probable class of every image, the mask says the rest"

pseudo_label_and_mask = Exercise(
    "6.2",
    "pseudo_label_and_mask",
    "pseudo-label and mask",
    why="Two lines, and the network teaches itself, but only where it is sure and never through its own answer.",
    observe=returns(Part("the pseudo-label", "int64 tensor", constant=True), Part("the mask", "float tensor", constant=True)),
    cases=[
        Case("for confidences .97, .60, .96, .96 at tau = .95", (_leaf(_LOGITS_W), 0.95), (_LABEL, _MASK)),
        Case("for the same images at tau = .5", (_LOGITS_W, 0.5), (_LABEL, torch.ones(4))),
        Case(
            "for a confidence of exactly tau = .5",
            (torch.tensor([[1.0, 1.0], [0.0, 3.0]]), 0.5),
            (torch.tensor([0, 1]), [1, 1]),
        ),
        Case("for logits [1, .5, 0] at tau = .6", (torch.tensor([[1.0, 0.5, 0.0]]), 0.6), ([0], [0])),
        Case("for logits [0, 1] and [0, 9] at tau = .95", (torch.tensor([[0.0, 1], [0, 9]]), 0.95), ([1, 1], [0, 1])),
        Case(
            "for confidences .9495 and .9505 at tau = .95",
            (torch.tensor([[0.9495, 0.0505], [0.0495, 0.9505]]).log(), 0.95),
            ([0, 1], [0, 1]),
        ),
        Case("at tau = 0", (_LOGITS_W, 0.0), (_LABEL, torch.ones(4))),
    ],
    mistakes={
        "tau is compared with logits: apply softmax first": _label_and_mask(probabilities=lambda z: z),
        OVER_IMAGES: (
            _label_and_mask(probabilities=lambda z: z.softmax(0)),
            lambda z, tau: (z.argmax(1), (z.detach().softmax(0).amax(1) >= tau).float()),
        ),
        "a confidence of exactly tau must pass: >= instead of >": _label_and_mask(keep=lambda c, tau: c > tau),
        CONFIDENCES: (_label_and_mask(keep=lambda c, tau: c), _label_and_mask(keep=lambda c, tau: c * (c >= tau))),
        "the mask is inverted: 1 means keep": _label_and_mask(keep=lambda c, tau: c < tau),
        "tau is ignored: the threshold is the argument, not a fixed .95": _label_and_mask(keep=lambda c, tau: c >= 0.95),
        "sigmoid treats classes one by one: softmax makes them a distribution": _label_and_mask(probabilities=torch.sigmoid),
        "the two values are swapped: return (pseudo-label, mask)": _swapped,
        "the pseudo-label is one class number for each image, not a distribution: argmax over the classes": _label_and_mask(
            label=lambda q: q
        ),
        "the first value is the confidence: return (pseudo-label, mask), where max(dim=1) gives (value, class)": _label_and_mask(
            label=lambda q: q.amax(1)
        ),
        "unsure images are left out: a pseudo-label for every image, the mask says which count": _only_kept,
        "the maximum is taken over the images (dim=0): take it over the classes (dim=1)": _label_and_mask(label=lambda q: q.argmax(0)),
        "the probabilities are sharper than softmax gives: no temperature, no sharpening": _label_and_mask(
            probabilities=lambda z: (2 * z).softmax(1)
        ),
        "softmax is applied twice": _label_and_mask(probabilities=lambda z: z.softmax(1).softmax(1)),
        "every image passes: compare the highest probability with tau": _label_and_mask(keep=lambda c, tau: c >= 0),
        "log(tau) does not exist at tau = 0: compare probabilities with tau, no logarithms": _label_and_mask(
            keep=lambda c, tau: c.log() >= math.log(tau)
        ),
        LOST: _label_of_the_sure,
        "where two classes are equally probable there are two pseudo-labels: one for each image is wanted, argmax": _label_and_mask(
            label=lambda q: (q == q.amax(1, keepdim=True)).nonzero()[:, 1]
        ),
        f"just below tau passes: {EXACT}": (
            _label_and_mask(keep=lambda c, tau: c.round(decimals=2) >= tau),
            _label_and_mask(keep=lambda c, tau: c >= tau - 1e-3),
        ),
        f"just above tau does not pass: {EXACT}": _label_and_mask(keep=lambda c, tau: (c > tau + 1e-3) | (c == tau)),
        f"half precision: {EXACT}": _label_and_mask(probabilities=lambda z: z.half().softmax(1)),
        "tau = 0 is taken as missing: it is a threshold like any other, and every image passes": _label_and_mask(
            keep=lambda c, tau: c >= (tau or 0.95)
        ),
        "exp() of a large logit is infinite: softmax subtracts the largest one first": _from_hand,
    },
    battery={
        **none("there are no labels, no network and no loop, and nothing that is returned has a gradient"),
        "one": [Case("for a batch of one image", (uniform(1, 1, 4), 0.4))],
        "classes": [
            Case("for two classes", (uniform(2, 5, 2), 0.7)),
            Case("for ten classes, the last one never the most probable", (uniform(3, 6, 10) - 3 * torch.eye(10)[9], 0.2)),
        ],
        "extremes": [Case("for logits of ±90, ±120 and ±300", (_leaf(extreme_logits()), 0.95))],
        "sizes": [Case("for 3000 images", (uniform(4, 3000, 3), 0.6))],
        "ties": [
            Case("for confidences that miss tau = .8 by 1e-4 and 1e-6", (_NEAR, 0.8)),
            Case("for two classes that differ by 1e-4 and 1e-6", (torch.tensor([[1.0, 1.0001], [1.000001, 1.0]]), 0.5)),
        ],
        "layout": [Case("for logits that are not contiguous", (scattered(uniform(5, 4, 3)), 0.5))],
        "ends": [Case("at tau = 1", (torch.tensor([[200.0, 0.0], [3.0, 0.0]]), 1.0))],
    },
)


# --------------------------------------------------------------------------------------------- 6.3 the unlabelled loss


@slips
def _unlabelled(losses=_ce, mask=lambda m: m, mean=torch.mean):
    return lambda z, label, m: mean(losses(z, label) * mask(m))


def _of_four(z, label, m):
    return sum(m[i] * F.cross_entropy(z[i], label[i]) for i in range(4)) / 4


SOFTMAX_TWICE = "softmax is applied twice: cross_entropy takes logits"
KEPT = "the mean runs over the kept images: divide by all of them"
SIZE_WRITTEN = "the number of images is written in: divide by the number of all images, which .mean() counts"
INFINITE = "log(softmax) of a small probability is infinite: log_softmax or cross_entropy stay with logarithms"


def _drawn_logits(seed, n, num_classes):
    return uniform(seed, n, num_classes), classes(seed + 1, n, num_classes)


# Six images of two classes: logits 0 and 0 for the first five, whose loss is log 2; 0 and 1 for the last
_SIX = torch.zeros(6, 2).index_put((torch.tensor(5), torch.tensor(1)), torch.tensor(1.0))
_HALF, _LAST, _ZEROS = math.log(2), math.log(1 + math.e), torch.zeros(6, dtype=torch.int64)

unlabelled_loss = Exercise(
    "6.3",
    "unlabelled_loss",
    "the unlabelled loss",
    why="A shy start comes for free: as long as few images pass the mask, this loss stays small.",
    observe=returns(Part("the loss", "tensor"), gradient={0: "the strong logits"}),
    cases=[
        Case("of the worked example", (_LOGITS_S, _LABEL, _MASK), _LOSS_U),
        Case(
            "when nothing is kept",
            (_LOGITS_S, _LABEL, torch.zeros(4)),
            {"the loss": 0.0, "the gradient to the strong logits": torch.zeros(4, 3)},
        ),
        Case(
            "of six images of two classes, three of them kept", (_SIX, _ZEROS, torch.tensor([1.0, 1, 0, 0, 0, 1])), (2 * _HALF + _LAST) / 6
        ),
        Case("of one image", (_SIX[5:], _ZEROS[:1], torch.ones(1)), _LAST),
    ],
    mistakes={
        KEPT: (
            lambda z, label, m: (_ce(z, label) * m).sum() / m.sum(),
            lambda z, label, m: (_ce(z, label) * m).sum() / m.sum().clamp(min=1),
            lambda z, label, m: _ce(z, label)[m == 1].mean(),
        ),
        "divide by the number of images, not of classes": lambda z, label, m: (_ce(z, label) * m).sum() / z.shape[1],
        "this is the sum: divide by the number of all images": _unlabelled(mean=torch.sum),
        "return one number: the mean over all images": _unlabelled(mean=lambda x: x),
        "the mask is not applied": _unlabelled(mask=torch.ones_like),
        "mask each image's loss, then take the mean; not the mean loss times the mean mask (or (B, 1) met (B,) and became (B, B))": lambda z, label, m: (
            F.cross_entropy(z, label) * m.mean()
        ),
        "the mask is applied to the logits: an image with logits 0 still has a loss; mask the losses": lambda z, label, m: F.cross_entropy(
            z * m[:, None], label
        ),
        "the mask is inverted: 1 means keep": _unlabelled(mask=lambda m: 1 - m),
        SOFTMAX_TWICE: _unlabelled(losses=lambda z, label: _ce(z.softmax(1), label)),
        "the target is the argmax of the strong view: it is the pseudo-label": _unlabelled(losses=lambda z, label: _ce(z, z.argmax(1))),
        "the sign is wrong: a cross-entropy is positive": _unlabelled(losses=lambda z, label: -_ce(z, label)),
        "divide by the number of images, not by images times classes": lambda z, label, m: (_ce(z, label) * m).sum() / z.numel(),
        SIZE_WRITTEN: lambda z, label, m: (_ce(z, label) * m).sum() / 4,
        "only the first four images count: go through all of them": _of_four,
        "the number of classes is written in: z.shape[1] tells it": lambda z, label, m: (
            -(z.log_softmax(1) * F.one_hot(label, 3)).sum(1).mul(m).mean()
        ),
        "one_hot counts the classes that occur: hand it num_classes=z.shape[1]": lambda z, label, m: (
            -(z.log_softmax(1) * F.one_hot(label)).sum(1).mul(m).mean()
        ),
        INFINITE: (
            _unlabelled(losses=lambda z, label: -z.softmax(1)[range(len(label)), label].log()),
            lambda z, label, m: -z.softmax(1)[range(len(label)), label].log()[m > 0].sum() / len(m),
        ),
        "a small number is added before the logarithm: bad mistakes then give no gradient; use cross_entropy": _unlabelled(
            losses=lambda z, label: -(z.softmax(1)[range(len(label)), label] + 1e-8).log()
        ),
        "the logarithm is missing: cross-entropy is -log of the probability": _unlabelled(
            losses=lambda z, label: -z.softmax(1)[range(len(label)), label]
        ),
        "the classes are weighted: every image counts the same": lambda z, label, m: (
            F.cross_entropy(z, label, weight=1 / torch.bincount(label, minlength=z.shape[1]).clamp(min=1)) * m.mean()
        ),
    },
    errors={"must match the size": "is a number of images or classes written in?"},
    battery={
        **none("there is no network, no setting and no loop, and nothing is compared"),
        "one": [Case("for one image that is masked out", (uniform(1, 1, 3), torch.tensor([2]), torch.zeros(1)))],
        "classes": [
            Case("for two classes", (*_drawn_logits(2, 5, 2), torch.tensor([1.0, 0, 1, 1, 0]))),
            Case("for ten classes, the last one absent", (uniform(4, 6, 10), classes(5, 6, 9), torch.tensor([1.0, 0, 1, 1, 0, 1]))),
        ],
        "uneven": [Case("for pseudo-labels of which most are class 0", (*_drawn_logits(6, 12, 4), torch.ones(12)))],
        "extremes": [Case("for logits of ±90, ±120 and ±300", (extreme_logits(), _OF_EIGHT, torch.tensor([1.0, 1, 1, 1, 0, 1, 0, 1])))],
        "gradient": [Case("for eight images", (*_drawn_logits(8, 8, 3), torch.tensor([1.0, 0, 0, 1, 1, 0, 1, 0])))],
        "sizes": [Case("for 3000 images", (*_drawn_logits(10, 3000, 3), classes(12, 3000, 2).float()))],
        "layout": [
            Case("for inputs that are not contiguous", (scattered(uniform(13, 4, 3)), scattered(_LABEL), scattered(_MASK))),
        ],
    },
)


# -------------------------------------------------------------------------------------------------------- 6.4 FixMatch


def _images_of(logits):
    return logits.reshape(len(logits), -1, 1, 1)


def _batch(z_l, y_l, z_w, z_s):
    return Batch(_images_of(z_l), y_l, _images_of(z_w), _images_of(z_s), torch.arange(len(z_w)))


def _drawn(seed, labelled, unlabelled, num_classes, absent=()):
    z_l, z_s = uniform(seed, labelled, num_classes), uniform(seed + 1, unlabelled, num_classes)
    return _batch(z_l, classes(seed + 2, labelled, num_classes, absent), 4 * uniform(seed + 3, unlabelled, num_classes), z_s)


_LOGITS_L, _Y_L = torch.tensor([[1.0, 0, 0], [0, 2.0, 0]]), torch.tensor([1, 1])
# sure in the first image, and not of the pseudo-label
_STRONG = torch.tensor([[0.0, 5, 0], [0.5, 0, 1], [0, 1, 0], [1, 0, 0]])
_LOSS_L, _LOSSES = F.cross_entropy(_LOGITS_L, _Y_L), _ce(_STRONG, _LABEL)
_EXAMPLE = _batch(_LOGITS_L, _Y_L, _LOGITS_W, _STRONG)
_UNSURE = _EXAMPLE._replace(x_w=torch.zeros_like(_EXAMPLE.x_w))


def _passes(model, batch, *_):
    model.expect_weak_and_joint_pass(batch, no_grad=True)


@slips
def _step(
    weak=lambda model, batch: model(batch.x_w),
    probabilities=lambda z: z.softmax(1),
    strong=lambda batch: batch.x_s,
    cut=lambda z, batch: z.tensor_split([len(batch.x_l)]),
    losses=_ce,
    mean=lambda losses, mask, batch: (losses * mask).mean(),
    total=lambda loss_l, loss_u, lambda_u: loss_l + lambda_u * loss_u,
    logs=lambda mask, batch: {"mask": mask.mean().item()},
    tau_of=lambda tau: tau,
):
    def answer(model, batch, tau=0.95, lambda_u=1.0):
        with torch.no_grad():
            confidence, label = probabilities(weak(model, batch)).max(1)
        mask = (confidence >= tau_of(tau)).float()
        z_l, z_s = cut(model(torch.cat([batch.x_l, strong(batch)])), batch)
        loss_u = mean(losses(z_s, label), mask, batch)
        return total(F.cross_entropy(z_l, batch.y_l), loss_u, lambda_u), logs(mask, batch)

    return answer


def _from_strong(part):
    """Pseudo-label, mask or both from the strong view."""

    def answer(model, batch, tau=0.95, lambda_u=1.0):
        with torch.no_grad():
            confidence, label = model(batch.x_w).softmax(1).max(1)
        z_l, z_s = model(torch.cat([batch.x_l, batch.x_s])).tensor_split([len(batch.x_l)])
        own = z_s.detach().softmax(1).max(1)
        mask = ((own.values if part != "label" else confidence) >= tau).float()
        losses = _ce(z_s, own.indices if part != "mask" else label)
        return F.cross_entropy(z_l, batch.y_l) + lambda_u * (losses * mask).mean(), {"mask": mask.mean().item()}

    return answer


def _one_mean(model, batch, tau=0.95, lambda_u=1.0):
    with torch.no_grad():
        confidence, label = model(batch.x_w).softmax(1).max(1)
    z = model(torch.cat([batch.x_l, batch.x_s]))
    return F.cross_entropy(z, torch.cat([batch.y_l, label])), {"mask": (confidence >= tau).float().mean().item()}


def _glued_in_another_order(model, batch, tau=0.95, lambda_u=1.0):
    with torch.no_grad():
        confidence, label = model(batch.x_w).softmax(1).max(1)
    mask, n = (confidence >= tau).float(), len(batch.x_l)
    z = model(torch.cat([batch.x_s, batch.x_l]))
    return F.cross_entropy(z[:n], batch.y_l) + lambda_u * (_ce(z[n:], label) * mask).mean(), {"mask": mask.mean().item()}


def _separate(model, batch, tau=0.95, lambda_u=1.0):
    with torch.no_grad():
        confidence, label = model(batch.x_w).softmax(1).max(1)
    mask = (confidence >= tau).float()
    loss_l = F.cross_entropy(model(batch.x_l), batch.y_l)
    return loss_l + lambda_u * (_ce(model(batch.x_s), label) * mask).mean(), {"mask": mask.mean().item()}


def _labelled_with_weak(model, batch, tau=0.95, lambda_u=1.0):
    n = len(batch.x_l)
    z = model(torch.cat([batch.x_l, batch.x_w]))
    confidence, label = z[n:].detach().softmax(1).max(1)
    mask = (confidence >= tau).float()
    loss_u = (_ce(model(batch.x_s), label) * mask).mean()
    return F.cross_entropy(z[:n], batch.y_l) + lambda_u * loss_u, {"mask": mask.mean().item()}


def _kept_only(model, batch, tau=0.95, lambda_u=1.0):
    with torch.no_grad():
        confidence, label = model(batch.x_w).softmax(1).max(1)
    kept, n = confidence >= tau, len(batch.x_l)
    z = model(torch.cat([batch.x_l, batch.x_s[kept]]))
    loss_u = _ce(z[n:], label[kept]).sum() / len(kept)
    return F.cross_entropy(z[:n], batch.y_l) + lambda_u * loss_u, {"mask": kept.float().mean().item()}


def _labelled_once_more(model, batch, tau=0.95, lambda_u=1.0):
    loss, logs = _step(total=lambda loss_l, loss_u, lambda_u: lambda_u * loss_u)(model, batch, tau, lambda_u)
    return loss + F.cross_entropy(model(batch.x_l), batch.y_l), logs


def _weights_in_eval(model, batch, tau=0.95, lambda_u=1.0):
    model.eval()
    loss = _step(logs=lambda mask, batch: {"mask": mask.mean()})(model, batch, tau, lambda_u)
    model.train()
    return loss


PIECES = "the weak views go through the model in pieces: one pass, so that BatchNorm sees them together"
MU_WRITTEN = "mu is not always 2: divide by the number of all unlabelled images, which .mean() counts"
CUT = "are the logits cut in the wrong place? Cut after len(batch.x_l) rows"

fixmatch_loss = Exercise(
    "6.4",
    "fixmatch_loss",
    "FixMatch",
    why="You wrote FixMatch, the method that most later work is compared with, and it fits on one screen.",
    observe=loss_and_logs("mask", passes=_passes),
    cases=[
        Case("of the worked example", (Probe(), _EXAMPLE), {"the loss": _LOSS_L + (_LOSSES * _MASK).mean(), "logs['mask']": 0.75}),
        Case("with lambda_u = 3", (Probe(), _EXAMPLE), _LOSS_L + 3 * (_LOSSES * _MASK).mean(), {"lambda_u": 3.0}),
        Case("with tau = .5", (Probe(), _EXAMPLE), {"the loss": _LOSS_L + _LOSSES.mean(), "logs['mask']": 1.0}, {"tau": 0.5}),
        Case("when nothing is kept", (Probe(), _UNSURE), {"the loss": _LOSS_L, "logs['mask']": 0.0}),
        Case("with lambda_u = 0", (Probe(), _EXAMPLE), {"the loss": _LOSS_L, "logs['mask']": 0.75}, {"lambda_u": 0.0}),
    ],
    mistakes={
        "the labelled loss is missing": _step(total=lambda loss_l, loss_u, lambda_u: lambda_u * loss_u),
        "the unlabelled loss is missing": _step(total=lambda loss_l, loss_u, lambda_u: loss_l + 0 * loss_u),
        "lambda_u is ignored": _step(total=lambda loss_l, loss_u, lambda_u: loss_l + loss_u),
        "lambda_u multiplies both losses: it weighs the unlabelled one only": _step(
            total=lambda loss_l, loss_u, lambda_u: lambda_u * (loss_l + loss_u)
        ),
        "lambda_u multiplies the labelled loss: it weighs the unlabelled one": _step(
            total=lambda loss_l, loss_u, lambda_u: lambda_u * loss_l + loss_u
        ),
        "lambda_u is cut off at 1: it is a weight, and may be larger": _step(
            total=lambda loss_l, loss_u, lambda_u: loss_l + min(lambda_u, 1.0) * loss_u
        ),
        "the unlabelled mean runs over the kept images: divide by all of them": (
            _step(mean=lambda losses, mask, batch: (losses * mask).sum() / mask.sum().clamp(min=1)),
            _step(mean=lambda losses, mask, batch: (losses * mask).sum() / mask.sum()),
        ),
        "the unlabelled losses are summed: divide by the number of all unlabelled images": _step(
            mean=lambda losses, mask, batch: (losses * mask).sum()
        ),
        "the number of images is written in: divide by the number of all unlabelled images, which .mean() counts": _step(
            mean=lambda losses, mask, batch: (losses * mask).sum() / 4
        ),
        MU_WRITTEN: _step(mean=lambda losses, mask, batch: (losses * mask).sum() / (2 * len(batch.x_l))),
        "the mask is not applied": _step(mean=lambda losses, mask, batch: losses.mean()),
        "softmax is applied before the cross-entropy, which applies it itself: hand over the logits": _step(
            losses=lambda z, label: _ce(z.softmax(1), label)
        ),
        "softmax is applied twice to the weak logits: pseudo_label_and_mask takes logits": _step(
            probabilities=lambda z: z.softmax(1).softmax(1)
        ),
        "tau is compared with logits: apply softmax to the weak ones": _step(probabilities=lambda z: z),
        "tau is ignored": _step(tau_of=lambda tau: 0.95),
        "the pseudo-label comes from the strong view: it comes from x_w, and x_s learns it": _from_strong("label"),
        "the mask comes from the strong view: take it from x_w": _from_strong("mask"),
        "pseudo-label and mask come from the strong view: they come from x_w, and x_s learns": _from_strong("both"),
        "the unlabelled loss is computed on the weak views: learn on x_s": _step(strong=lambda batch: batch.x_w),
        "the two views are swapped: the pseudo-label comes from x_w, and x_s learns it": lambda model, batch, tau=0.95, lambda_u=1.0: _step(
            logs=lambda mask, batch: {"mask": mask.mean()}
        )(model, batch._replace(x_w=batch.x_s, x_s=batch.x_w), tau, lambda_u),
        "labelled and strong images are averaged together: two means, then their sum": _one_mean,
        "the images are glued together in one order and cut apart in another": _glued_in_another_order,
        CUT: (
            _step(cut=lambda z, batch: z.chunk(2)),
            _step(cut=lambda z, batch: z.tensor_split([len(z) // 3])),
            _step(cut=lambda z, batch: z.tensor_split([len(z) - 2 * len(batch.x_l)])),
        ),
        "logs['mask'] is a count: the mean of the mask is wanted": _step(logs=lambda mask, batch: {"mask": mask.sum().item()}),
        "logs['mask'] is divided by 4, which is written in: the mean of the mask": _step(
            logs=lambda mask, batch: {"mask": mask.sum().item() / 4}
        ),
        "logs['mask'] is the fraction that is left out: the mean of the mask is wanted": _step(
            logs=lambda mask, batch: {"mask": 1 - mask.mean().item()}
        ),
        "labelled and strong images go through the model separately: one joint pass": _separate,
        "the labelled images go through the model with the weak views: with the strong ones, x_s": _labelled_with_weak,
        "not all strong images go through the model with gradients": _kept_only,
        "images go through the model once more": _labelled_once_more,
        "the model is not asked about the weak views": _step(weak=lambda model, batch: copy.deepcopy(model).eval()(batch.x_w)),
        PIECES: _step(weak=lambda model, batch: torch.cat([model(x[None]) for x in batch.x_w])),
        "other images go along with the weak views": _step(
            weak=lambda model, batch: model(torch.cat([batch.x_l, batch.x_w]))[len(batch.x_l) :]
        ),
        "the weak views go through the model with gradients": _step(
            weak=lambda model, batch: torch.enable_grad()(model)(batch.x_w).detach()
        ),
        "the weak views go through the model twice": _step(weak=lambda model, batch: (model(batch.x_w) + model(batch.x_w)) / 2),
        "it switches the mode: call neither eval() nor train()": _weights_in_eval,
    },
    errors={"match target batch_size": CUT, "must match the size": CUT, "split_with_sizes": CUT},
    battery={
        **none("there is no loop"),
        "one": [
            Case("for one labelled and one unlabelled image", (Probe(), _drawn(1, 1, 1, 3), 0.6)),
            Case("for one labelled and eight unlabelled images", (Probe(), _drawn(5, 1, 8, 2))),
        ],
        "classes": [
            Case("for two classes", (Probe(), _drawn(9, 3, 3, 2))),
            Case("for ten classes, the last one absent", (Probe(), _drawn(13, 4, 12, 10, absent=(9,)), 0.8)),
        ],
        "uneven": [Case("for labels of which most are class 0", (Probe(), _drawn(17, 12, 12, 3)))],
        "extremes": [
            Case(
                "for logits of ±90, ±120 and ±300",
                (Probe(), _batch(extreme_logits(), _OF_EIGHT, extreme_logits().flip(1), extreme_logits().flip(0))),
            )
        ],
        "gradient": [Case("for four labelled and eight unlabelled images", (Probe(), _drawn(21, 4, 8, 3)))],
        "sizes": [Case("for 2100 unlabelled images", (Probe(), _drawn(25, 2, 2100, 3)))],
        "ties": [
            Case(
                "for confidences that miss tau = .8 by 1e-4 and 1e-6",
                (Probe(), _batch(uniform(29, 2, 2), torch.tensor([0, 1]), _NEAR, uniform(30, 4, 2)), 0.8),
            )
        ],
        "passes": [Case("for as many unlabelled images as labelled ones", (Probe(), _drawn(31, 5, 5, 3)))],
        "layout": [Case("for images that are not contiguous", (Probe(), Batch(*map(scattered, _EXAMPLE))))],
        "ends": [
            Case("with lambda_u = 10 and tau = 0", (Probe(), _EXAMPLE), options={"lambda_u": 10.0, "tau": 0.0}),
            Case("with lambda_u = .01 and tau = .97", (Probe(), _EXAMPLE), options={"lambda_u": 0.01, "tau": 0.97}),
        ],
    },
)


# --------------------------------------------------------------------------------------------- 6.5 what the mask keeps


def _count(labels, weights, n):
    return torch.bincount(labels, weights=weights.double(), minlength=n)


@slips
def _kept(fraction=lambda c: c["kept"] / c["all"], precision=lambda c: c["right"] / c["kept labels"]):
    def answer(label, mask, truth, n):
        one, right = torch.ones_like(mask), (label == truth).float()
        counts = {
            "kept": _count(truth, mask, n),
            "all": _count(truth, one, n),
            "guessed": _count(label, one, n),
            "kept labels": _count(label, mask, n),
            "right": _count(label, mask * right, n),
            "any right": _count(label, right, n),
            "not below": _count(label, mask * (label >= truth), n),
            "not above": _count(label, mask * (label <= truth), n),
        }
        return fraction(counts), precision(counts)

    return answer


def _of_true_classes(label, mask, truth, num_classes):
    fraction, precision = torch.full((2, num_classes), math.nan)
    for c in truth.unique():
        fraction[c] = mask[truth == c].mean()
        precision[c] = (truth[(mask > 0) & (label == c)] == c).float().mean()
    return fraction, precision


def _short(label, mask, truth, num_classes):
    n = int(truth.max()) + 1
    return _kept(fraction=lambda c: (c["kept"] / c["all"])[:n], precision=lambda c: (c["right"] / c["kept labels"])[:n])(
        label, mask, truth, num_classes
    )


NAN_NOT_0 = "where there is nothing to divide by, the value is unknown: nan, not 0"
_EIGHT = torch.tensor([0, 0, 0, 1, 0, 1, 0, 2]), torch.tensor([1.0, 1, 1, 0, 0, 1, 1, 0]), torch.tensor([0, 0, 1, 1, 0, 1, 2, 2])
_UP, _DOWN, _NAN = torch.tensor([1, 1, 0]), torch.tensor([0, 1, 1]), math.nan


def _kept_of(seed, n, occur, num_classes, truth=None):
    return classes(seed, n, occur), classes(seed + 1, n, 2).float(), classes(seed + 2, n, occur) if truth is None else truth, num_classes


kept_by_class = Exercise(
    "6.5",
    "kept_by_class",
    "what the mask keeps, class by class",
    why="One total hides what happens to the rare classes; now you see who gets in, and under which name.",
    observe=returns(Part("the fraction that is kept", "float tensor"), Part("the precision", "float tensor")),
    cases=[
        Case("of eight images of four classes", (*_EIGHT, 4), ([2 / 3, 2 / 3, 1 / 2, _NAN], [1 / 2, 1.0, _NAN, _NAN])),
        Case("when nothing is kept", (_EIGHT[0], torch.zeros(8), _EIGHT[2], 3), ([0.0, 0.0, 0.0], [_NAN] * 3)),
        Case("for pseudo-labels [1, 1, 0] and true classes [0, 1, 1], all kept", (_UP, torch.ones(3), _DOWN, 2), (ANY, [0.0, 0.5])),
        Case("for pseudo-labels [0, 1, 1] and true classes [1, 1, 0], all kept", (_DOWN, torch.ones(3), _UP, 2), (ANY, [0.0, 0.5])),
        Case(
            "for pseudo-labels [0, 0], both kept, and true classes [1, 1]",
            (torch.tensor([0, 0]), torch.ones(2), torch.tensor([1, 1]), 2),
            ([_NAN, 1.0], [0.0, _NAN]),
        ),
    ],
    mistakes={
        "the two values are swapped: return (fraction, precision)": lambda *a: _kept(
            fraction=lambda c: c["right"] / c["kept labels"], precision=lambda c: c["kept"] / c["all"]
        )(*a),
        "the fraction is counted by pseudo-label: of the images that TRULY are class c": _kept(
            fraction=lambda c: c["kept labels"] / c["guessed"]
        ),
        f"the fraction of a class without images: {NAN_NOT_0}": _kept(fraction=lambda c: c["kept"] / c["all"].clamp(min=1)),
        "these are fractions of all kept images: divide by the size of each true class": _kept(
            fraction=lambda c: c["kept"] / c["kept"].sum()
        ),
        "these are fractions of all images: divide by the size of each true class": _kept(fraction=lambda c: c["kept"] / c["all"].sum()),
        "these are counts: divide by the size of each true class": _kept(fraction=lambda c: c["kept"]),
        "this counts only kept images whose pseudo-label is right: the fraction counts all kept ones": _kept(
            fraction=lambda c: c["right"] / c["all"]
        ),
        "the precision is over all pseudo-labels: only the kept ones count": _kept(precision=lambda c: c["any right"] / c["guessed"]),
        "this divides by the size of the true class (recall): divide by how many were kept with this pseudo-label": _kept(
            precision=lambda c: c["right"] / c["all"]
        ),
        "this divides by all pseudo-labels of the class: divide by the kept ones only": _kept(
            precision=lambda c: c["right"] / c["guessed"]
        ),
        "this divides by the kept images that truly are c: divide by those with this pseudo-label": _kept(
            precision=lambda c: c["right"] / c["kept"]
        ),
        f"the precision of a class that nothing was kept of: {NAN_NOT_0}": _kept(
            precision=lambda c: (c["right"] / c["kept labels"]).nan_to_num()
        ),
        "these are counts: divide by how many were kept with this pseudo-label": _kept(precision=lambda c: c["right"]),
        "a pseudo-label above the true class counts as right: it must be the true class, ==": _kept(
            precision=lambda c: c["not below"] / c["kept labels"]
        ),
        "a pseudo-label below the true class counts as right: it must be the true class, ==": _kept(
            precision=lambda c: c["not above"] / c["kept labels"]
        ),
        "a class that is a pseudo-label, but no image's true class, has a known precision: 0, not nan": _of_true_classes,
        "the last class has no image and was left out: minlength=num_classes": _short,
        "half precision: the counts and fractions are rounded": _kept(fraction=lambda c: (c["kept"] / c["all"]).half().double()),
    },
    errors={"must match the size": "is a count too short for the last class? minlength=num_classes"},
    battery={
        **none("there are only counts of class numbers: no logits, no gradient, no network, no loop"),
        "one": [Case("for one image", (torch.tensor([1]), torch.ones(1), torch.tensor([2]), 3))],
        "classes": [
            Case("for two classes", _kept_of(1, 9, 2, 2)),
            Case("for ten classes, the last one absent", _kept_of(4, 40, 9, 10)),
            Case("for ten classes, the last true one never a pseudo-label", _kept_of(7, 40, 8, 10, truth=9 - classes(9, 40, 10))),
        ],
        "uneven": [Case("for true classes of which most are class 0", _kept_of(10, 30, 4, 4))],
        "sizes": [Case("for 5000 images", _kept_of(13, 5000, 3, 3))],
        "layout": [
            Case("for inputs that are not contiguous", (*map(scattered, _EIGHT), 4)),
        ],
        "ends": [Case("when everything is kept", (_EIGHT[0], torch.ones(8), _EIGHT[2], 4))],
    },
)


# ------------------------------------------------------------------------------------------------------------- 6.6 zip


@slips
def _seen(
    steps=lambda a, b, x, y: min(math.ceil(a / x), math.ceil(b / y)),
    images=lambda steps, b, y: min(steps * y, b),
    fraction=lambda n, b: n / b,
):
    return lambda a, b, x, y: fraction(images(steps(a, b, x, y), b, y), b)


def _last_is_lost(a, b, x, y):
    steps, lost = min(math.ceil(a / x), math.ceil(b / y)), y - b % y
    return min(1.0, (steps * y - lost * (math.ceil(a / x) == math.ceil(b / y))) / b)


MORE_THAN_ALL = "more than all cannot be seen: zip stops at the shorter loader, and the last unlabelled batch is smaller"


def _zip(a, b, x, y, right=RECORDED):
    return Case(f"for {a} and {b} images in batches of {x} and {y}", (a, b, x, y), right)


zip_coverage = Exercise(
    "6.6",
    "zip_coverage",
    "where zip stops",
    why="A loop can be right in every line and still see only a part of its data; from now on you will spot it.",
    observe=returns(Part("the fraction", "number")),
    cases=[
        _zip(500, 6507, 16, 64, 2048 / 6507),
        _zip(1000, 100, 10, 30, 1.0),
        _zip(96, 1000, 32, 100, 0.3),
        _zip(400, 200, 40, 8, 0.4),
        _zip(64, 100, 16, 25, 1.0),
        _zip(64, 90, 16, 25, 1.0),
    ],
    mistakes={
        "this is a full pass: zip stops after the labelled loader's batches": lambda a, b, x, y: 1.0,
        "the labelled loader's last, smaller batch counts too: round up": _seen(steps=lambda a, b, x, y: a // x),
        "count the unlabelled images: each step brings batch_u of them": lambda a, b, x, y: a / b,
        "each step brings batch_u unlabelled images, not batch_l": lambda a, b, x, y: min(1.0, math.ceil(a / x) * x / b),
        "this is the fraction of the batches: count images (the last batch is smaller)": lambda a, b, x, y: min(
            1.0, math.ceil(a / x) / math.ceil(b / y)
        ),
        "this is a count of images: divide by num_unlabelled": lambda a, b, x, y: min(b, math.ceil(a / x) * y),
        MORE_THAN_ALL: (
            lambda a, b, x, y: math.ceil(a / x) * y / b,
            _seen(images=lambda steps, b, y: steps * y),
            lambda a, b, x, y: math.ceil(a / x) * y / b if math.ceil(a / x) <= math.ceil(b / y) else 1.0,
        ),
        "the unlabelled loader has ceil(num_unlabelled / batch_u) batches: divide by batch_u, not batch_l": _seen(
            steps=lambda a, b, x, y: min(math.ceil(a / x), math.ceil(b / x))
        ),
        "the labelled loader has ceil(num_labelled / batch_l) batches: divide by batch_l, not batch_u": _seen(
            steps=lambda a, b, x, y: math.ceil(a / y)
        ),
        "batch_u is how many images a step brings, not how many steps there are": _seen(steps=lambda a, b, x, y: min(math.ceil(a / x), y)),
        "these are steps: count the images they bring, and divide by num_unlabelled": lambda a, b, x, y: math.ceil(a / x),
        "this is a percentage: the fraction is between 0 and 1": _seen(fraction=lambda n, b: 100 * n / b),
        "this is the fraction that is NOT seen": _seen(fraction=lambda n, b: 1 - n / b),
        "batches that come out even have no smaller last one: round up, do not add one": _seen(steps=lambda a, b, x, y: a // x + 1),
        "round the number of batches up before multiplying": lambda a, b, x, y: min(1.0, a / x * y / b),
        "the unlabelled loader's last, smaller batch counts too: round up": _seen(steps=lambda a, b, x, y: min(math.ceil(a / x), b // y)),
        "where both loaders have as many batches, the last one of each is seen, too": _last_is_lost,
        "the fraction is rounded": _seen(fraction=lambda n, b: round(n / b, 2)),
    },
    battery={
        **none("plain whole numbers come in: no labels, no logits, no gradient, no network, no layout"),
        "one": [_zip(1, 1, 1, 1), _zip(1, 100, 16, 7), _zip(100, 1, 16, 7)],
        "sizes": [_zip(3000, 1_000_000, 32, 224), _zip(50, 70, 64, 448)],
        "ties": [_zip(33, 10_000, 32, 100), _zip(31, 10_000, 32, 100)],
        "ends": [_zip(65, 129, 16, 32)],
        "longer": [_zip(7, 23, 2, 5), _zip(13, 23, 2, 5), _zip(9, 23, 2, 5), _zip(250, 999, 7, 28)],
    },
)
