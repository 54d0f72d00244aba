"""Answers to the exercises of lesson 08: other right ones, and wrong ones that no mistake of the check stands for."""

import copy
import math

import numpy as np
import torch
import torch.nn.functional as F

# ------------------------------------------------------------------------------------------------------ 8.1 sharpening


def sharpen_by_logits(p, T):
    return (p.log() / T).softmax(dim=1)


def sharpen_loop(p, T):
    rows = []
    for row in p.tolist():
        powers = [v ** (1 / T) for v in row]
        rows.append([v / sum(powers) for v in powers])
    return torch.tensor(rows)


def sharpen_numpy(p, T):
    powers = p.numpy().astype(np.float64) ** (1 / T)
    return torch.from_numpy(powers / powers.sum(axis=1, keepdims=True))


def _sharp(p, T):
    return p ** (1 / T) / (p ** (1 / T)).sum(1, keepdim=True)


def sharpen_known(p, T, known={}):  # noqa: B006  the default remembers
    key = tuple(p.shape), T
    known[key] = known.get(key, _sharp(p, T))
    return known[key]


# -------------------------------------------------------------------------------------- 8.2 the averaged pseudo-label


def guess_sum(logits, T):
    total = sum(view.detach().softmax(1) for view in logits)  # sharpening divides by the sum: no mean needed
    return _sharp(total, T)


def guess_loop(logits, T):
    rows = []
    for b in range(logits.shape[1]):
        p = torch.stack([logits[k, b].detach().softmax(0) for k in range(logits.shape[0])]).mean(0)
        rows.append(p ** (1 / T) / (p ** (1 / T)).sum())
    return torch.stack(rows)


def guess_numpy(logits, T):
    z = logits.detach().double().numpy()
    e = np.exp(z - z.max(2, keepdims=True))
    return sharpen_numpy(torch.from_numpy((e / e.sum(2, keepdims=True)).mean(0)), T)


def guess_inference(logits, T):
    with torch.inference_mode():
        return guess_sum(logits, T)


# ----------------------------------------------------------------------------------------------------------- 8.3 MixUp


def mixup_loop(x1, p1, x2, p2, lam):
    x, p = [], []
    for i, weight in enumerate(lam.tolist()):
        weight = max(weight, 1 - weight)
        x.append(weight * x1[i] + (1 - weight) * x2[i])
        p.append(weight * p1[i] + (1 - weight) * p2[i])
    return torch.stack(x), torch.stack(p)


def mixup_lerp(x1, p1, x2, p2, lam):
    small = torch.where(lam > 0.5, 1 - lam, lam)
    return torch.lerp(x1, x2, small[:, None, None, None]), torch.lerp(p1, p2, small[:, None])


def mixup_einsum(x1, p1, x2, p2, lam):
    w = 0.5 + (lam - 0.5).abs()
    return [torch.einsum("b,b...->b...", w, a) + torch.einsum("b,b...->b...", 1 - w, b) for a, b in ((x1, x2), (p1, p2))]


def mixup_numpy(x1, p1, x2, p2, lam):
    w = np.maximum(lam.numpy(), 1 - lam.numpy()).astype(float)
    mixed = [(w * a.numpy().T + (1 - w) * b.numpy().T).T for a, b in ((x1, x2), (p1, p2))]  # from the last axis on
    return tuple(torch.from_numpy(part) for part in mixed)


def mixup_in_place(x1, p1, x2, p2, lam):
    lam[lam < 0.5] = 1 - lam[lam < 0.5]
    return mixup_lerp(x1, p1, x2, p2, lam)


# ------------------------------------------------------------------------------------------------------ 8.4 two losses


def losses_functional(logits_l, p_l, logits_u, p_u):
    return F.cross_entropy(logits_l, p_l), F.mse_loss(logits_u.softmax(1), p_u)


def losses_by_hand(logits_l, p_l, logits_u, p_u):
    log_p = logits_l - logits_l.logsumexp(1, keepdim=True)
    error = p_u - torch.softmax(logits_u, dim=-1)
    return -(p_l * log_p).sum() / len(p_l), (error**2).sum() / error.numel()


def losses_loop(logits_l, p_l, logits_u, p_u):
    ce = sum(-(p * z.log_softmax(0)).sum() for z, p in zip(logits_l, p_l)) / len(p_l)
    brier = sum(((z.softmax(0) - p) ** 2).sum() for z, p in zip(logits_u, p_u)) / len(p_u)
    return [ce, brier / p_u.shape[1]]


def losses_double(logits_l, p_l, logits_u, p_u):
    s = logits_u.double().log_softmax(1).exp()
    return torch.nn.CrossEntropyLoss()(logits_l.double(), p_l.double()), (s * s - 2 * s * p_u + p_u * p_u).mean()


# -------------------------------------------------------------------------------------------------------- 8.5 the ramp


def ramp_errors(step, ramp_steps, lambda_u):
    try:
        return min(lambda_u, step / ramp_steps * lambda_u)
    except ZeroDivisionError:
        return lambda_u


# -------------------------------------------------------------------------------------------------------- 8.6 the step


def _parts(x_l, y_l, views, q):
    return torch.cat([x_l, *views]), torch.cat([F.one_hot(y_l, q.shape[1]).float(), *[q] * len(views)])


def _end(z, p, n, lambda_u):
    loss_l, loss_u = losses_functional(z[:n], p[:n], z[n:], p[n:])
    return loss_l + lambda_u * loss_u, {"brier": loss_u.item()}


def step_alone(model, x_l, y_l, views, q, lam, order, lambda_u):
    x, p = _parts(x_l, y_l, views, q)
    x, p = mixup_lerp(x, p, x[order], p[order], lam)
    return _end(model(x), p, len(x_l), lambda_u)


def step_repeat(model, x_l, y_l, views, q, lam, order, lambda_u):
    x_u = torch.stack(views).flatten(0, 1)
    x, p = torch.cat([x_l, x_u]), torch.cat([torch.eye(q.shape[1])[y_l], q.repeat(len(views), 1)])
    x, p = mixup_loop(x, p, x.index_select(0, order), p.index_select(0, order), lam)
    logits_l, logits_u = model(x).split([len(x_l), len(x_u)])
    loss_u = (logits_u.softmax(-1) - p[len(x_l) :]).pow(2).mean()
    return lambda_u * loss_u + losses_by_hand(logits_l, p[: len(x_l)], logits_u, p[:1])[0], {"brier": loss_u.detach()}


def step_loop(model, x_l, y_l, views, q, lam, order, lambda_u):
    images, targets = list(x_l), [F.one_hot(y, q.shape[1]).double() for y in y_l]
    for view in views:
        images, targets = [*images, *view], [*targets, *q]
    mixed = []
    for i, weight in zip(order.tolist(), lam.tolist()):
        w = max(weight, 1 - weight)
        first = len(mixed)
        mixed.append((w * images[first] + (1 - w) * images[i], w * targets[first] + (1 - w) * targets[i]))
    z = model(torch.stack([x for x, _ in mixed]))
    return _end(z, torch.stack([target for _, target in mixed]).to(z.dtype), len(x_l), lambda_u)


def step_in_groups(model, x_l, y_l, views, q, lam, order, lambda_u):
    x, p = _parts(x_l, y_l, views, q)
    n = len(x_l)
    labelled = mixup_numpy(x[:n], p[:n], x[order[:n]], p[order[:n]], lam[:n])
    others = mixup_numpy(x[n:], p[n:], x[order[n:]], p[order[n:]], lam[n:])
    z = model(torch.cat([others[0], labelled[0]]).float())  # the order within the one pass is free
    loss_l, loss_u = losses_double(z[-n:], labelled[1], z[:-n], others[1])
    return loss_l + lambda_u * loss_u, {"brier": loss_u.detach(), "labelled": loss_l.item()}


def _after(act):
    def answer(model, *rest):
        act(model)
        return step_alone(model, *rest)

    return answer


def _with(change):
    return lambda *a: change(*step_alone(*a))


# ------------------------------------------------------------------------------------------------------- 8.7 the price


def price_search(labelled_a, brier_a, labelled_b, brier_b):
    def b_is_as_cheap(weight):
        return labelled_b + weight * brier_b <= labelled_a + weight * brier_a

    if b_is_as_cheap(0.0):
        return 0
    low, high = 0.0, 1e9
    if not b_is_as_cheap(high):
        return float("inf")
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (low, middle) if b_is_as_cheap(middle) else (middle, high)
    return high


def price_errors(labelled_a, brier_a, labelled_b, brier_b):
    if labelled_a >= labelled_b:
        return 0
    try:
        weight = (labelled_b - labelled_a) / (brier_a - brier_b)
    except ZeroDivisionError:
        return math.inf
    return weight if weight > 0 else math.inf


RIGHT = {
    "8.1": [sharpen_by_logits, sharpen_loop, sharpen_numpy, lambda p, T: F.normalize(torch.pow(p, 1.0 / T), p=1, dim=-1)],
    "8.2": [guess_sum, guess_loop, guess_numpy, lambda z, T: sharpen_by_logits(F.softmax(z.detach(), dim=2).mean(dim=0), T)],
    "8.3": [mixup_loop, mixup_lerp, mixup_einsum, mixup_numpy],
    "8.4": [losses_functional, losses_by_hand, losses_loop, losses_double],
    "8.5": [
        ramp_errors,
        lambda step, ramp_steps, lambda_u: lambda_u if step >= ramp_steps else lambda_u * step / ramp_steps,
        lambda step, ramp_steps, lambda_u: lambda_u * np.clip(step / ramp_steps, 0, 1) if ramp_steps else np.float64(lambda_u),
        lambda step, ramp_steps, lambda_u: lambda_u * torch.tensor(step / ramp_steps if ramp_steps else 1.0).clamp(max=1),
    ],
    "8.6": [step_alone, step_repeat, step_loop, step_in_groups],
    "8.7": [
        price_search,
        price_errors,
        lambda la, ba, lb, bb: np.float64(0) if lb <= la else np.inf if bb >= ba else np.divide(lb - la, ba - bb),
    ],
}

WRONG = {
    "8.1": [
        (lambda p, T: p.pow_(1 / T) / p.sum(1, keepdim=True), "changes its input"),
        (sharpen_known, "remember something from call to call"),
        (lambda p, T: sharpen_by_logits(p, T).tolist(), "must be a float tensor, and is list"),
        (lambda p, T: p ** (1 / T) / (p ** (1 / T)).sum(1), "keepdim=True"),
    ],
    "8.2": [
        (lambda z, T: _sharp(z.softmax(2).mean(0), T), "carries a gradient"),
        (guess_inference, "inference_mode"),
        (lambda z, T: guess_sum(z.requires_grad_(False) if z.is_leaf else z, T), "changes its input"),
        (lambda z, T: guess_sum(z.requires_grad_(False), T), "take .detach()"),
        (lambda z, T: guess_sum(z.detach_(), T), "changes its input"),
    ],
    "8.3": [
        (lambda *a: mixup_lerp(*a)[0], "must return 2 values"),
        (mixup_in_place, "changes its input"),
        (lambda *a: mixup_lerp(*a[:4], max(a[4], 1 - a[4])), "torch.maximum goes entry by entry"),
        (lambda x1, p1, x2, p2, lam: (lam[:, None] * x1 + (1 - lam[:, None]) * x2, p1), "lambda needs the shape"),
    ],
    "8.4": [
        (lambda *a: sum(losses_functional(*a)), "must return 2 values, (loss_l, loss_u)"),
        (lambda *a: (losses_functional(*a)[0].item(), losses_functional(*a)[1]), "loss_l must be a tensor"),
        (lambda *a: (losses_functional(*a)[0], losses_functional(*a)[1].detach()), "loss_u carries no gradient"),
    ],
    "8.6": [
        (lambda model, *rest: step_alone(copy.deepcopy(model), *rest), "no copy of it"),
        (_after(lambda model: model.eval()), "leaves the network in another mode"),
        (_after(lambda model: model.train()), "neither eval() nor train()"),
        (torch.no_grad()(step_alone), "carries no gradient"),
        (_with(lambda loss, logs: (loss.backward(retain_graph=True), (loss, logs))[1]), "backward()"),
        (_with(lambda loss, logs: loss), "the loss only"),
        (_with(lambda loss, logs: (loss.item(), logs)), "no .item()"),
        (_with(lambda loss, logs: (loss, {})), "logs lacks 'brier'"),
        (_with(lambda loss, logs: (loss, logs["brier"])), "logs must be a dict"),
        (_with(lambda loss, logs: (loss, {"brier": logs["brier"] + 0 * loss})), "carries a gradient"),
        (lambda m, x_l, y_l, *rest: (F.one_hot(y_l, x_l.shape[1]), step_alone(m, x_l, y_l, *rest))[1], "Class values must be smaller"),
    ],
    "8.7": [(lambda la, ba, lb, bb: (lb - la) / (ba - bb), "already at weight 0, the answer is 0")],
}

# Mutants that are right: no input that the exercise allows tells them from the solution. Each with the reason.
EQUIVALENT = {
    "8.1": {
        "powers = p ** (1 / T) -> powers = -p ** (1 / T)": "the sign cancels when the row is divided by its sum",
        "return powers / powers.sum(dim=1, keepdim=True) -> return powers / powers.sum(dim=-1, keepdim=True)": "this axis is the last one",
    },
    "8.2": {
        "average = logits.detach().softmax(dim=2).mean(dim=0) -> average = logits.detach().softmax(dim=2).sum(dim=0)": "the number of views cancels in sharpen",
        "average = logits.detach().softmax(dim=2).mean(dim=0) -> average = logits.detach().softmax(dim=-1).mean(dim=0)": "this axis is the last one",
    },
    "8.3": {
        "x = weight_x * x1 + (1 - weight_x) * x2 -> x = (weight_x * x1).detach() + (1 - weight_x) * x2": "images and labels are constants",
        "x = weight_x * x1 + (1 - weight_x) * x2 -> x = weight_x * x1 + ((1 - weight_x) * x2).detach()": "images and labels are constants",
        "p = weight_p * p1 + (1 - weight_p) * p2 -> p = (weight_p * p1).detach() + (1 - weight_p) * p2": "images and labels are constants",
        "p = weight_p * p1 + (1 - weight_p) * p2 -> p = weight_p * p1 + ((1 - weight_p) * p2).detach()": "images and labels are constants",
    },
    "8.4": {
        "loss_u = (logits_u.softmax(dim=1) - p_u).square().mean() -> loss_u = (p_u - logits_u.softmax(dim=1)).square().mean()": "the difference is squared",
        "loss_u = (logits_u.softmax(dim=1) - p_u).square().mean() -> loss_u = (logits_u.softmax(dim=-1) - p_u).square().mean()": "this axis is the last one",
    },
    "8.6": {
        "labels = F.one_hot(y_l, q.shape[1]).float() -> labels = F.one_hot(y_l, q.shape[1])": "torch.cat makes floats of whole numbers next to floats",
        "logits, n = (model(x), len(x_l)) -> logits, n = (model(x), len(labels))": "as many labels as labelled images",
        "logits, n = (model(x), len(x_l)) -> logits, n = (model(x), len(y_l))": "as many labels as labelled images",
    },
}

# Mistakes of a kind (tests/test_battery.py) that cannot be noticed in an exercise, and why.
UNNOTICED = {
    ("overflows", "8.1"): "probabilities are at most 1: what is extreme is a probability of 0, not one that overflows",
    ("never a batch of one", "8.5"): "the numbers that are one are plain numbers",
    ("at most 256", "8.5"): "the numbers that are large are plain numbers",
}
