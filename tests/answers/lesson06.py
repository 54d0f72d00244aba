"""Answers to the exercises of lesson 06: other right ones, and wrong ones that no mistake of the check stands for."""

import math
import random

import numpy as np
import torch
import torch.nn.functional as F

# ---------------------------------------------------------------------------------------------------------- 6.1 views


def flip_loop(x, rng):
    return torch.stack([image.flip(-1) if torch.rand((), generator=rng).item() < 0.5 else image for image in x])


def flip_index(x, rng):
    out = x.clone()
    hit = torch.randint(2, (len(x),), generator=rng).bool()
    out[hit] = out[hit].flip(3)
    return out


def flip_arithmetic(x, rng):
    hit = torch.bernoulli(torch.full((len(x), 1, 1, 1), 0.5), generator=rng)
    return hit * x.flip([-1]) + (1 - hit) * x


def draws(x, rng):
    return torch.rand(len(x), generator=rng) < 0.5


def _flip(condition, dims=(3,)):
    return lambda x, rng: torch.where(condition(x, rng).view(-1, 1, 1, 1), x.flip(dims), x)


def flip_exactly_half(x, rng):
    out, hit = x.clone(), torch.randperm(len(x), generator=rng)[: len(x) // 2]
    out[hit] = out[hit].flip(3)
    return out


def flip_reordered(x, rng):
    hit = draws(x, rng)
    return torch.cat([x[hit].flip(3), x[~hit]])


def flip_half_batch(x, rng):
    out, half = x.clone(), len(x) // 2
    part = slice(half) if torch.rand(1, generator=rng) < 0.5 else slice(half, None)
    out[part] = out[part].flip(3)
    return out


def flip_python_random(x, rng):
    chance = random.Random(rng.initial_seed())
    return torch.stack([image.flip(2) if chance.random() < 0.5 else image for image in x])


def flip_same_if_none(x, rng):
    hit = draws(x, rng)
    return torch.where(hit.view(-1, 1, 1, 1), x.flip(3), x) if hit.any() else x


def flip_of_one(x, rng):
    return x.clone() if len(x) == 1 else flip_index(x, rng)


def flip_secretly(x, rng, calls=[0]):  # noqa: B006  the default remembers
    calls[0] += 1
    return flip_index(x, torch.Generator().manual_seed(calls[0]))


# ----------------------------------------------------------------------------------------- 6.2 pseudo-label and mask


def label_numpy(logits_w, tau):
    z = logits_w.detach().numpy().astype(np.float64)
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return torch.from_numpy(p.argmax(1)), torch.from_numpy((p.max(1) >= tau).astype(np.float32))


@torch.no_grad()
def label_functional(logits_w, tau):
    p = F.softmax(logits_w, dim=-1)
    return torch.argmax(p, dim=-1), p.amax(-1).ge(tau).double()


def label_loop(logits_w, tau):
    label, mask = [], []
    for row in logits_w.detach():
        p = (row - row.logsumexp(0)).exp()
        label.append(int(p.argmax()))
        mask.append(1.0 if p.max() >= tau else 0.0)
    return torch.tensor(label), torch.tensor(mask)


# --------------------------------------------------------------------------------------------- 6.3 unlabelled loss


def loss_by_hand(logits_s, label, mask):
    log_p = logits_s - logits_s.logsumexp(1, keepdim=True)
    return -(log_p[torch.arange(len(label)), label] * mask).sum() / len(label)


def loss_one_hot(logits_s, pseudo_label, mask):
    target = F.one_hot(pseudo_label, logits_s.shape[1]) * mask.unsqueeze(1)
    return -(target * logits_s.log_softmax(1)).sum(1).mean()


def loss_loop(logits_s, label, mask):
    total = 0 * logits_s.sum()
    for z, c, m in zip(logits_s, label, mask):
        total = total + m * F.cross_entropy(z[None], c[None])
    return total / len(mask)


# -------------------------------------------------------------------------------------------------------- 6.4 step


def step_alone(model, batch, tau=0.95, lambda_u=1.0):
    with torch.no_grad():
        confidence, label = model(batch.x_w).softmax(1).max(1)
    mask, n = (confidence >= tau).float(), len(batch.x_l)
    z = model(torch.cat([batch.x_l, batch.x_s]))
    loss_u = (F.cross_entropy(z[n:], label, reduction="none") * mask).mean()
    return F.cross_entropy(z[:n], batch.y_l) + lambda_u * loss_u, {"mask": float(mask.mean())}


def step_all_together(model, batch, tau=0.95, lambda_u=1.0):
    sizes = [len(batch.x_l), len(batch.x_w), len(batch.x_s)]
    z_l, z_w, z_s = model(torch.cat([batch.x_l, batch.x_w, batch.x_s])).split(sizes)
    p = z_w.detach().softmax(1)
    mask = (p.max(1).values >= tau).to(p.dtype)
    return F.cross_entropy(z_l, batch.y_l) + lambda_u * loss_by_hand(z_s, p.argmax(1), mask), {"mask": mask.mean()}


def step_loop(model, batch, tau=0.95, lambda_u=1.0):
    n, (total, kept) = len(batch.x_w), (0.0, 0)
    with torch.no_grad():
        p = model(batch.x_w).softmax(1)
    z = model(torch.cat([batch.x_l, batch.x_s]))
    for row, target in zip(z[-n:], p):
        if target.max() >= tau:
            kept += 1
            total = total - row.log_softmax(0)[target.argmax()]
    return F.cross_entropy(z[:-n], batch.y_l) + lambda_u * total / n, {"mask": kept / n}


def step_eval_mode(model, batch, tau=0.95, lambda_u=1.0):
    model.eval()
    return step_alone(model, batch, tau, lambda_u)


def step_backward(model, batch, tau=0.95, lambda_u=1.0):
    loss, logs = step_alone(model, batch, tau, lambda_u)
    loss.backward(retain_graph=True)
    return loss, logs


# ---------------------------------------------------------------------------------------------- 6.5 what is kept


def kept_loop(label, mask, truth, num_classes):
    fraction, precision = [], []
    for c in range(num_classes):
        of_class, labelled = truth == c, (label == c) & (mask > 0)
        fraction.append(mask[of_class].mean().item() if of_class.any() else math.nan)
        precision.append((truth[labelled] == c).float().mean().item() if labelled.any() else math.nan)
    return torch.tensor(fraction), torch.tensor(precision)


def kept_one_hot(label, mask, truth, num_classes):
    g = F.one_hot(label, num_classes).double() * mask.double()[:, None]
    t = F.one_hot(truth, num_classes).double()
    return (t * mask[:, None]).sum(0) / t.sum(0), (g * t).sum(0) / g.sum(0)


def kept_table(label, mask, truth, num_classes):
    table = torch.zeros(2, num_classes, num_classes)  # [kept or not, truth, pseudo-label]
    for g, m, t in zip(label, mask, truth):
        table[int(m), t, g] += 1
    kept = table[1]
    return kept.sum(1) / table.sum((0, 2)), kept.diagonal() / kept.sum(0)


# ------------------------------------------------------------------------------------------------------- 6.6 zip


def zip_for_real(num_labelled, num_unlabelled, batch_l, batch_u):
    labelled = range(0, num_labelled, batch_l)
    seen = sum(min(batch_u, num_unlabelled - start) for _, start in zip(labelled, range(0, num_unlabelled, batch_u)))
    return seen / num_unlabelled


def zip_whole_numbers(num_labelled, num_unlabelled, batch_l, batch_u):
    return min(1.0, -(-num_labelled // batch_l) * batch_u / num_unlabelled)


def zip_sets(num_labelled, num_unlabelled, batch_l, batch_u):
    steps = math.ceil(num_labelled / batch_l)
    return len(set(range(num_unlabelled)[: steps * batch_u])) / num_unlabelled


RIGHT = {
    "6.1": [flip_loop, flip_index, flip_arithmetic],
    "6.2": [label_numpy, label_functional, label_loop],
    "6.3": [loss_by_hand, loss_one_hot, loss_loop],
    "6.4": [step_alone, step_all_together, step_loop],
    "6.5": [kept_loop, kept_one_hot, kept_table],
    "6.6": [zip_for_real, zip_whole_numbers, zip_sets],
}

WRONG = {
    "6.1": [
        (_flip(lambda x, rng: (torch.rand(1, generator=rng) < 0.5).expand(len(x))), "one random number decides for the whole batch"),
        (lambda x, rng: x.flip(3), "every image is mirrored"),
        (_flip(draws, dims=(2,)), "upside down"),
        (_flip(draws, dims=(1,)), "channels are reversed"),
        (_flip(draws, dims=(2, 3)), "half a turn"),
        (lambda x, rng: x.flip(0), "order of the batch"),
        (_flip(lambda x, rng: torch.rand(len(x)) < 0.5), "draws from a generator of the whole program"),
        (_flip(lambda x, rng: torch.rand(len(x), generator=torch.Generator().manual_seed(0)) < 0.5), "another `rng`"),
        (_flip(lambda x, rng: torch.rand(len(x), generator=rng) < 0.1), "probability should be one half"),
        (_flip(lambda x, rng: torch.rand(len(x), generator=rng) < 0.58), "probability should be one half"),
        (_flip(lambda x, rng: torch.randn(len(x), generator=rng) < -9), "no image is mirrored"),
        (lambda x, rng: torch.where(torch.rand(x.shape, generator=rng) < 0.5, x.flip(3), x), "for each pixel"),
        (lambda x, rng: torch.where(draws(x, rng), x.flip(3), x), "needs the shape (B, 1, 1, 1)"),
        (flip_exactly_half, "exactly half"),
        (flip_reordered, "the images change places"),
        (lambda x, rng: torch.where(draws(x, rng).view(-1, 1, 1, 1), -x, x), "the values change their sign"),
        (_flip(lambda x, rng: torch.rand((len(x) + 1) // 2, generator=rng).repeat_interleave(2)[: len(x)] < 0.5), "1 apart depend on"),
        (_flip(lambda x, rng: torch.rand((len(x) + 1) // 2, generator=rng).repeat(2)[: len(x)] < 0.5), "depend on each other"),
        (flip_half_batch, "one random number decides for many images"),
        (flip_python_random, "mirrors the same images"),
        (lambda x, rng: flip_index(x, torch.Generator().manual_seed(rng.initial_seed())), "mirrors the same images"),
        (flip_same_if_none, "a new batch is wanted"),
        (flip_of_one, "a batch of one image is mirrored in 0 of 200"),
        (flip_secretly, "the same state of `rng` gives two results"),
        (lambda x, rng: flip_index(x, rng) * 1.5, "have other values"),
        (lambda x, rng: flip_index(x, rng)[:, :1], "a batch of the same shape"),
        (lambda x, rng: flip_index(x, rng) if x.is_contiguous() and len(x) != 40 else x.clone(), "about half should be mirrored"),
    ],
    "6.4": [(step_eval_mode, "leaves the network in another mode"), (step_backward, "backward()")],
}

# Mutants that are right: no input that the exercise allows tells them from the solution. Each with the reason.
EQUIVALENT = {
    "6.1": {
        "mirrored = torch.rand(len(x), generator=rng) < 0.5 -> mirrored = torch.rand(len(x), generator=rng) <= 0.5": "the coin hits .5 once in 2^24 throws",
        "mirrored = torch.rand(len(x), generator=rng) < 0.5 -> mirrored = torch.rand(len(x), generator=rng) > 0.5": "the other side of the coin",
        "mirrored = torch.rand(len(x), generator=rng) < 0.5 -> mirrored = torch.rand(len(x), generator=rng) >= 0.5": "the other side of the coin",
        "return torch.where(mirrored.view(-1, 1, 1, 1), x.flip(3), x) -> return torch.where(mirrored.view(-1, 1, 1, 1), x, x.flip(3))": "the other side of the coin",
    },
    "6.2": {
        "probabilities = logits_w.detach().softmax(dim=1) -> probabilities = logits_w.softmax(dim=1)": "neither a comparison nor an argmax has a gradient",
        "probabilities = logits_w.detach().softmax(dim=1) -> probabilities = logits_w.detach().softmax(dim=-1)": "this axis is the last one",
        "confidence, pseudo_label = probabilities.max(dim=1) -> confidence, pseudo_label = probabilities.max(dim=-1)": "this axis is the last one",
    },
    "6.4": {
        "logits_l, logits_s = logits.split([len(batch.x_l), len(batch.x_s)]) -> logits_l, logits_s = logits.split([len(batch.x_l), len(batch.x_w)])": "as many weak views as strong ones",
        "return (loss, {'mask': mask.mean().item()}) -> return (loss, {'mask': mask.mean()})": "a scalar tensor is a number, too",
    },
    "6.5": {
        "return (fraction, torch.bincount(pseudo_label, weights=right, minlength=num_classes) / kept_pseudo_labels) -> return (fraction, torch.bincount(truth, weights=right, minlength=num_classes) / kept_pseudo_labels)": "where the pseudo-label is right it is the true class",
    },
    "6.6": {
        "steps = min(math.ceil(num_labelled / batch_l), math.ceil(num_unlabelled / batch_u)) -> steps = math.ceil(num_labelled / batch_l)": "more steps than the unlabelled loader has are cut off by the second min",
        "steps = min(math.ceil(num_labelled / batch_l), math.ceil(num_unlabelled / batch_u)) -> steps = min(math.ceil(num_labelled / batch_l), num_unlabelled / batch_u)": "a part of the last step brings the last images, and no more are counted either way",
        "steps = min(math.ceil(num_labelled / batch_l), math.ceil(num_unlabelled / batch_u)) -> steps = min(math.ceil(num_labelled / batch_l), math.ceil(num_unlabelled))": "more steps than the unlabelled loader has are cut off by the second min",
        "steps = min(math.ceil(num_labelled / batch_l), math.ceil(num_unlabelled / batch_u)) -> steps = min(math.ceil(num_labelled / batch_l), math.ceil(num_unlabelled * batch_u))": "more steps than the unlabelled loader has are cut off by the second min",
    },
}

# Mistakes of a kind (tests/test_battery.py) that cannot be noticed in an exercise, and why.
UNNOTICED = {
    ("never a batch of one", "6.6"): "the numbers that are one are plain numbers",
    ("at most 256", "6.6"): "the numbers that are large are plain numbers",
}
