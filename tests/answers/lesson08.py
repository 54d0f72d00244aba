"""Answers to the exercises of lesson 08: other right ones, and wrong ones with a fragment of the cause to be named."""

import math

import numpy as np
import torch
import torch.nn.functional as F

# ---------------------------------------------------------------------------------------------------- 8.1 sharpening


def sharpen_by_logits(p, T):
    return (p.log() / T).softmax(dim=1)


def sharpen_functional(p, T):
    return F.normalize(torch.pow(p, 1.0 / T), p=1, dim=-1)


def sharpen_loop(p, T):
    rows = []
    for row in p.tolist():
        powers = [v ** (1 / T) for v in row]
        rows.append([v / sum(powers) for v in powers])
    return torch.tensor(rows)


def sharpen_numpy(p, T):
    powers = p.numpy().astype(np.float64) ** (1 / T)
    return torch.from_numpy(powers / powers.sum(axis=1, keepdims=True))


def _sharp(p, T, dim=1):
    powers = p ** (1 / T)
    return powers / powers.sum(dim, keepdim=True)


def sharpen_in_place(p, T):
    p.pow_(1 / T)
    return p / p.sum(1, keepdim=True)


def sharpen_times_logarithm(p, T):
    return _sharp((p * p.log()).exp() * p ** (1 / T), 1.0)


# --------------------------------------------------------------------------------------------- 8.2 the averaged guess


def guess_sum(logits, T):
    total = sum(view.detach().softmax(1) for view in logits)  # sharpening divides by the sum: no mean needed
    return _sharp(total, T)


@torch.no_grad()
def guess_functional(logits, T):
    return sharpen_by_logits(F.softmax(logits, dim=2).mean(dim=0), T)


def guess_loop(logits, T):
    rows = []
    for b in range(logits.shape[1]):
        p = torch.stack([logits[k, b].detach().softmax(0) for k in range(logits.shape[0])]).mean(0)
        rows.append(p ** (1 / T) / (p ** (1 / T)).sum())
    return torch.stack(rows)


def _guess(probabilities, T_used=lambda T: T):
    return lambda logits, T: _sharp(probabilities(logits.detach()), T_used(T))


def guess_squeeze(logits, T):
    p = logits.detach().squeeze().softmax(-1)
    return _sharp(p.mean(0) if p.ndim == 3 else p, T)


def guess_inference(logits, T):
    with torch.inference_mode():
        return _sharp(logits.softmax(2).mean(0), T)


# ---------------------------------------------------------------------------------------------------------- 8.3 MixUp


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


def _mix(weight_x=lambda lam: lam.maximum(1 - lam), weight_p=None):
    def answer(x1, p1, x2, p2, lam):
        wx, wp = weight_x(lam).view(-1, 1, 1, 1), (weight_p or weight_x)(lam).view(-1, 1)
        return wx * x1 + (1 - wx) * x2, wp * p1 + (1 - wp) * p2

    return answer


def _larger(lam):
    return torch.maximum(lam, 1 - lam)


def mixup_columns(x1, p1, x2, p2, lam):
    w = _larger(lam)
    return w * x1 + (1 - w) * x2, w[:, None] * p1 + (1 - w[:, None]) * p2


def mixup_classes(x1, p1, x2, p2, lam):
    w = _larger(lam)
    return _mix()(x1, p1, x2, p2, lam)[0], w * p1 + (1 - w) * p2


def mixup_in_place(x1, p1, x2, p2, lam):
    lam[lam < 0.5] = 1 - lam[lam < 0.5]
    return _mix(lambda lam: lam)(x1, p1, x2, p2, lam)


# ----------------------------------------------------------------------------------------------------- 8.4 two losses


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


def _ce(z, p):
    return F.cross_entropy(z, p)


def _squares(z, p):
    return (z.softmax(1) - p) ** 2


def _losses(labelled=_ce, unlabelled=lambda z, p: _squares(z, p).mean()):
    return lambda z_l, p_l, z_u, p_u: (labelled(z_l, p_l), unlabelled(z_u, p_u))


# ------------------------------------------------------------------------------------------------------- 8.5 the ramp


def ramp_branches(step, ramp_steps, lambda_u):
    if step >= ramp_steps:
        return lambda_u
    return lambda_u * step / ramp_steps


def ramp_numpy(step, ramp_steps, lambda_u):
    return lambda_u * np.clip(step / max(ramp_steps, 1e-9), 0, 1) if ramp_steps else np.float64(lambda_u)


def ramp_tensor(step, ramp_steps, lambda_u):
    return torch.tensor(lambda_u) if ramp_steps == 0 else lambda_u * torch.tensor(step / ramp_steps).clamp(max=1)


def _ramp(share):
    return lambda step, ramp_steps, lambda_u: lambda_u * (share(step / ramp_steps) if ramp_steps else 1.0)


# ------------------------------------------------------------------------------------------------------- 8.6 the step


def _parts(x_l, y_l, views, q):
    labels = F.one_hot(y_l, q.shape[1]).float()
    return torch.cat([x_l, *views]), torch.cat([labels, *[q] * len(views)])


def _end(z, p, n, lambda_u):
    loss_l, loss_u = losses_functional(z[:n], p[:n], z[n:], p[n:])
    return loss_l + lambda_u * loss_u, {"brier": loss_u.item()}


def step_alone(model, x_l, y_l, views, q, lam, order, lambda_u):
    x, p = _parts(x_l, y_l, views, q)
    x, p = mixup_lerp(x, p, x[order], p[order], lam)
    return _end(model(x), p, len(x_l), lambda_u)


def step_repeat(model, x_l, y_l, views, q, lam, order, lambda_u):
    x_u = torch.stack(list(views)).flatten(0, 1)
    x, p = torch.cat([x_l, x_u]), torch.cat([torch.eye(q.shape[1])[y_l], q.repeat(len(views), 1)])
    x, p = mixup_loop(x, p, x.index_select(0, order), p.index_select(0, order), lam)
    logits_l, logits_u = model(x).split([len(x_l), len(x_u)])
    loss_u = (logits_u.softmax(-1) - p[len(x_l) :]).pow(2).mean()
    return lambda_u * loss_u + losses_by_hand(logits_l, p[: len(x_l)], logits_u, p[:1])[0], {"brier": float(loss_u.detach())}


def _step(change=lambda a: a, losses=None, logs=None):
    """`change` gets the parts (x, p, px, pp, lam, n) before mixing; px, pp are the partners."""

    def answer(model, x_l, y_l, views, q, lam, order, lambda_u):
        x, p = _parts(x_l, y_l, views, q)
        x, p, px, pp, lam, n = change((x, p, x[order], p[order], lam, len(x_l)))
        x, p = mixup_lerp(x, p, px, pp, lam)
        z = model(x)
        loss_l, loss_u = F.cross_entropy(z[:n], p[:n]), _squares(z[n:], p[n:]).mean()
        loss = (losses or (lambda l, u, w: l + w * u))(loss_l, loss_u, lambda_u)
        return loss, (logs or (lambda l, u, w: {"brier": u.item()}))(loss_l, loss_u, lambda_u)

    return answer


def step_few_classes(model, x_l, y_l, views, q, lam, order, lambda_u):
    labels = F.one_hot(y_l).float()
    return step_alone(model, x_l, labels.argmax(1), views, q, lam, order, lambda_u + 0 * torch.cat([labels, q]).sum())


def _step_of(put_together, loss=_end):
    """`put_together` gets (x_l, labels, views, q) and returns images and labels; `loss` ends the step."""

    def answer(model, x_l, y_l, views, q, lam, order, lambda_u):
        x, p = put_together(x_l, y_l, views, q)
        mixed_x, mixed_p = mixup_lerp(x, p, x[order], p[order], lam)
        return loss(model(mixed_x), mixed_p, len(x_l), lambda_u)

    return answer


def _one_hot(num_classes):
    return lambda x_l, y_l, views, q: (
        torch.cat([x_l, *views]),
        torch.cat([F.one_hot(y_l, num_classes).float(), *[q] * len(views)]),
    )


step_one_hot_of_labels, step_three_classes = _step_of(_one_hot(-1)), _step_of(_one_hot(3))


@_step_of
def step_image_by_image(x_l, y_l, views, q):
    x_u, q_u = torch.stack(list(views), 1).flatten(0, 1), q.repeat_interleave(len(views), 0)
    return torch.cat([x_l, x_u]), torch.cat([F.one_hot(y_l, q.shape[1]).float(), q_u])


@_step_of
def step_hard_guesses(x_l, y_l, views, q):
    return _parts(x_l, y_l, views, F.one_hot(q.argmax(1), q.shape[1]).float())


def step_order(lam):
    return lam[torch.tensor([3, 0, 5, 9, 7, 2, 4, 6, 1, 8])[: len(lam)] % len(lam)]


def step_plain_labels(model, x_l, y_l, views, q, lam, order, lambda_u):
    def end(z, p, n, lambda_u):
        return _end(z, torch.cat([F.one_hot(y_l, q.shape[1]).float(), p[n:]]), n, lambda_u)

    return _step_of(_parts, end)(model, x_l, y_l, views, q, lam, order, lambda_u)


def step_plain_guesses(model, x_l, y_l, views, q, lam, order, lambda_u):
    def end(z, p, n, lambda_u):
        return _end(z, torch.cat([p[:n], *[q] * len(views)]), n, lambda_u)

    return _step_of(_parts, end)(model, x_l, y_l, views, q, lam, order, lambda_u)


def step_model_before_mixing(model, x_l, y_l, views, q, lam, order, lambda_u):
    x, p = _parts(x_l, y_l, views, q)
    _, mixed = mixup_lerp(x, p, x[order], p[order], lam)
    return _end(model(x), mixed, len(x_l), lambda_u)


def step_first_view_only(model, x_l, y_l, views, q, lam, order, lambda_u):
    def end(z, p, n, lambda_u):
        return _end(z[: n + len(q)], p[: n + len(q)], n, lambda_u)

    return _step_of(_parts, end)(model, x_l, y_l, views, q, lam, order, lambda_u)


def step_channels_as_classes(model, x_l, y_l, views, q, lam, order, lambda_u):
    assert len(F.one_hot(y_l, x_l.shape[1])) == len(y_l)
    return step_alone(model, x_l, y_l, views, q, lam, order, lambda_u)


def step_training_mode(model, x_l, y_l, views, q, lam, order, lambda_u):
    model.train()
    return step_alone(model, x_l, y_l, views, q, lam, order, lambda_u)


def step_equal_parts(model, x_l, y_l, views, q, lam, order, lambda_u):
    x, p = _parts(x_l, y_l, views, q)
    x, p = mixup_lerp(x, p, x[order], p[order], lam)
    return _end(model(x), p, len(x) // (1 + len(views)), lambda_u)


def step_raw_lambda(model, x_l, y_l, views, q, lam, order, lambda_u):
    x, p = _parts(x_l, y_l, views, q)
    x, p = _mix(lambda lam: lam)(x, p, x[order], p[order], lam)
    return _end(model(x), p, len(x_l), lambda_u)


def step_backwards(model, x_l, y_l, views, q, lam, order, lambda_u):
    return step_alone(model, x_l, y_l, views, q, lam, order.argsort(), lambda_u)


def step_interleaved_guesses(model, x_l, y_l, views, q, lam, order, lambda_u):
    x, p = _parts(x_l, y_l, views, q)
    p = torch.cat([p[: len(x_l)], q.repeat_interleave(len(views), 0)])
    x, p = mixup_lerp(x, p, x[order], p[order], lam)
    return _end(model(x), p, len(x_l), lambda_u)


def step_views_swapped(model, x_l, y_l, views, q, lam, order, lambda_u):
    return step_alone(model, x_l, y_l, views[::-1], q, lam, order, lambda_u)


def step_first_view_twice(model, x_l, y_l, views, q, lam, order, lambda_u):
    return step_alone(model, x_l, y_l, [views[0]] * len(views), q, lam, order, lambda_u)


def step_unlabelled_first(model, x_l, y_l, views, q, lam, order, lambda_u):
    x, p = _parts(x_l, y_l, views, q)
    n = len(x_l)
    x, p = torch.cat([x[n:], x[:n]]), torch.cat([p[n:], p[:n]])
    x, p = mixup_lerp(x, p, x[order], p[order], lam)
    z, m = model(x), len(x) - n
    return F.cross_entropy(z[m:], p[m:]) + lambda_u * _squares(z[:m], p[:m]).mean(), {"brier": 0.0}


def step_mixes_logits(model, x_l, y_l, views, q, lam, order, lambda_u):
    x, p = _parts(x_l, y_l, views, q)
    z = model(x)
    w = _larger(lam)[:, None]
    return _end(w * z + (1 - w) * z[order], w * p + (1 - w) * p[order], len(x_l), lambda_u)


def step_in_parts(model, x_l, y_l, views, q, lam, order, lambda_u):
    x, p = _parts(x_l, y_l, views, q)
    x, p = mixup_lerp(x, p, x[order], p[order], lam)
    n = len(x_l)
    return _end(torch.cat([model(x[:n]), model(x[n:])]), p, n, lambda_u)


def step_guesses_again(model, x_l, y_l, views, q, lam, order, lambda_u):
    with torch.no_grad():
        model(torch.cat(list(views)))
    return step_alone(model, x_l, y_l, views, q, lam, order, lambda_u)


def step_eval_mode(model, *rest):
    model.eval()
    return step_alone(model, *rest)


def step_no_gradient(model, *rest):
    with torch.no_grad():
        return step_alone(model, *rest)


def step_backward(model, *rest):
    loss, logs = step_alone(model, *rest)
    loss.backward(retain_graph=True)
    return loss, logs


def step_all_cross_entropy(model, x_l, y_l, views, q, lam, order, lambda_u):
    x, p = _parts(x_l, y_l, views, q)
    x, p = mixup_lerp(x, p, x[order], p[order], lam)
    z, n = model(x), len(x_l)
    return F.cross_entropy(z, p) + lambda_u * _squares(z[n:], p[n:]).mean(), {"brier": 0.0}


def step_all_brier(model, x_l, y_l, views, q, lam, order, lambda_u):
    x, p = _parts(x_l, y_l, views, q)
    x, p = mixup_lerp(x, p, x[order], p[order], lam)
    z, n = model(x), len(x_l)
    return F.cross_entropy(z[:n], p[:n]) + lambda_u * _squares(z, p).mean(), {"brier": 0.0}


def step_labelled_plain(model, x_l, y_l, views, q, lam, order, lambda_u):
    n = len(x_l)
    lam = torch.cat([torch.ones(n), lam[n:]])
    return step_alone(model, x_l, y_l, views, q, lam, order, lambda_u)


# ------------------------------------------------------------------------------------------------------ 8.7 the price


def price_numpy(labelled_a, brier_a, labelled_b, brier_b):
    if labelled_b <= labelled_a:
        return np.float64(0)
    return np.inf if brier_b >= brier_a else np.divide(labelled_b - labelled_a, brier_a - brier_b)


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


def _price(formula, zero=True, never=True):
    def answer(la, ba, lb, bb):
        if zero and lb <= la:
            return 0.0
        if never and bb >= ba:
            return math.inf
        return formula(la, ba, lb, bb)

    return answer


def _ratio(la, ba, lb, bb):
    return (lb - la) / (ba - bb)


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
    p = torch.stack([target for _, target in mixed]).to(z.dtype)
    return _end(z, p, len(x_l), lambda_u)


def price_errors(labelled_a, brier_a, labelled_b, brier_b):
    if labelled_a >= labelled_b:
        return 0
    try:
        weight = (labelled_b - labelled_a) / (brier_a - brier_b)
    except ZeroDivisionError:
        return math.inf
    return weight if weight > 0 else math.inf


RIGHT = {
    "8.1": [sharpen_by_logits, sharpen_functional, sharpen_loop, sharpen_numpy],
    "8.2": [guess_sum, guess_functional, guess_loop],
    "8.3": [mixup_loop, mixup_lerp, mixup_einsum],
    "8.4": [losses_functional, losses_by_hand, losses_loop],
    "8.5": [ramp_branches, ramp_numpy, ramp_tensor],
    "8.6": [step_alone, step_repeat, step_loop],
    "8.7": [price_numpy, price_search, price_errors],
}

WRONG = {
    "8.1": [
        (lambda p, T: p ** (1 // T) / (p ** (1 // T)).sum(1, keepdim=True), "1 / T, not 1 // T"),
        (lambda p, T: _sharp(p, 1 / T), "the exponent is T and not 1 / T"),
        (lambda p, T: p**T, "the exponent is T and not 1 / T"),
        (lambda p, T: (p / T).softmax(1), "softmax takes logits"),
        (lambda p, T: (p * T).softmax(1), "softmax takes logits"),
        (lambda p, T: _sharp(p.softmax(1), T), "softmax takes logits"),
        (lambda p, T: (p ** (1 / T)).softmax(1), "not the way to normalise"),
        (lambda p, T: p ** (1 / T), "do not sum to one"),
        (lambda p, T: _sharp(p, T, dim=0), "over the images (dim=0)"),
        (lambda p, T: p ** (1 / T) / (p ** (1 / T)).sum(), "one sum for the whole batch"),
        (lambda p, T: p ** (1 / T) / (p ** (1 / T)).amax(1, keepdim=True), "not by the largest"),
        (lambda p, T: _sharp(p, 0.5), "T is ignored"),
        (lambda p, T: p, "nothing is sharpened"),
        (lambda p, T: p / T / (p / T).sum(1, keepdim=True), "nothing is sharpened"),
        (lambda p, T: p / T, "dividing by T"),
        (lambda p, T: F.one_hot(p.argmax(1), p.shape[1]).float(), "all or nothing"),
        (lambda p, T: p.argmax(1), "a distribution for each image"),
        (lambda p, T: _sharp(p, 1 / (3 - 2 * T)) if T > 0.3 else _sharp(p, 1 / (2 - T)), "not 2 - T"),
        (lambda p, T: p ** (1 / T) / (p ** (1 / T)).sum(1), "must match"),
        (lambda p, T: _sharp(p, min(T, 1)), "T above 1 is left out"),
        (lambda p, T: p if T >= 1 else _sharp(p, T), "T above 1 is left out"),
        (lambda p, T: _sharp(p.clamp(min=1e-4), T), "does not stay zero"),
        (lambda p, T: ((p + 1e-8).log() / T).softmax(1), "does not stay zero"),
        (sharpen_in_place, "changes its input"),
        (sharpen_times_logarithm, "gives nan"),
        (lambda p, T: sharpen_by_logits(p, T).tolist(), "must be a float tensor, and is list"),
    ],
    "8.2": [
        (
            lambda z, T: torch.stack([_sharp(v.detach().softmax(1), T) for v in z]).mean(0),
            "each view is sharpened by itself",
        ),
        (_guess(lambda z: z.mean(0).softmax(1)), "the logits are averaged: average the probabilities"),
        (lambda z, T: z.detach().mean(0).softmax(1), "nothing is sharpened"),
        (lambda z, T: z.detach().softmax(2).mean(0), "the average is not sharpened"),
        (lambda z, T: _sharp(z.softmax(2).mean(0), T), "carries a gradient"),
        (_guess(lambda z: z.mean(0)), "the softmax is missing"),
        (_guess(lambda z: z.softmax(0).mean(0)), "over the views (dim=0)"),
        (_guess(lambda z: z.softmax(1).mean(0)), "over the images (dim=1)"),
        (_guess(lambda z: z[0].softmax(1)), "only the first view"),
        (_guess(lambda z: z[-1].softmax(1)), "only the last view"),
        (lambda z, T: torch.stack([_sharp(v.detach().softmax(1), T) for v in z]), "share one guess"),
        (_guess(lambda z: z.softmax(2).mean(1)), "the average runs over the images (dim=1)"),
        (_guess(lambda z: z.softmax(2).amax(0)), "the largest of the views"),
        (_guess(lambda z: z.softmax(2).prod(0)), "the views are multiplied"),
        (_guess(lambda z: z.softmax(2).mean(0), T_used=lambda T: 0.5), "the argument T is ignored"),
        (_guess(lambda z: z.softmax(2).mean(0), T_used=lambda T: 1 / T), "flatter"),
        (_guess(lambda z: z[:2].softmax(2).mean(0)), "only two of three views"),
        (lambda z, T: guess_sum(z, T).argmax(1), "not its likeliest class"),
        (lambda z, T: F.one_hot(guess_sum(z, T).argmax(1), z.shape[2]).float(), "not its likeliest class"),
        (_guess(lambda z: -z.softmax(2).mean(0)), "must not be negative"),
        (guess_inference, "inference_mode"),
        (guess_squeeze, "no squeeze()"),
        (lambda z, T: guess_sum(z, T).squeeze(), "no squeeze()"),
        (_guess(lambda z: (z.exp() / z.exp().sum(2, keepdim=True)).mean(0)), "overflows"),
        (lambda z, T: guess_sum(z.requires_grad_(False), T), "leaf"),
        (lambda z, T: guess_sum(z.detach_(), T), "not detach_()"),
    ],
    "8.3": [
        (_mix(lambda lam: lam), "take max(lambda, 1 - lambda)"),
        (_mix(lambda lam: torch.minimum(lam, 1 - lam)), "the weights are swapped"),
        (_mix(lambda lam: 1 - lam), "the weights are swapped"),
        (_mix(lambda lam: lam.clamp(min=0.5)), "raised to one half"),
        (_mix(lambda lam: _larger(lam).max().expand(len(lam))), "one lambda for the whole batch"),
        (_mix(lambda lam: _larger(lam)[0].expand(len(lam))), "one lambda for the whole batch"),
        (_mix(lambda lam: lam.mean().expand(len(lam))), "one lambda for the whole batch"),
        (mixup_columns, "along the columns"),
        (mixup_classes, "along the classes"),
        (lambda x1, p1, x2, p2, lam: (_mix()(x1, p1, x2, p2, lam)[0], p1), "the labels are not mixed"),
        (lambda x1, p1, x2, p2, lam: (x1, _mix()(x1, p1, x2, p2, lam)[1]), "the images are not mixed"),
        (_mix(_larger, lambda lam: lam), "the labels are mixed with lambda"),
        (_mix(lambda lam: lam, _larger), "take max(lambda, 1 - lambda)"),
        (_mix(_larger, lambda lam: 1 - _larger(lam)), "the other way round"),
        (_mix(lambda lam: torch.full_like(lam, 0.5)), "half and half"),
        (lambda *a: _mix()(*a)[::-1], "the two values are swapped"),
        (lambda *a: _mix()(*a)[0], "must return 2 values"),
        (
            lambda x1, p1, x2, p2, lam: (_mix()(x1, p1, x2, p2, lam)[0], _mix()(x1, p1, x2, p2, lam)[1].argmax(1)),
            "labels",
        ),
        (mixup_in_place, "changes its input"),
    ],
    "8.4": [
        (
            lambda zl, pl, zu, pu: (
                F.cross_entropy(zl, pl),
                F.mse_loss(zu.exp() / zu.exp().sum(1, keepdim=True), pu),
            ),
            "Brier loss is not finite",
        ),
        (_losses(unlabelled=lambda z, p: _squares(z, p).sum(1).mean()), "summed over the classes"),
        (_losses(unlabelled=lambda z, p: _squares(z, p).sum()), "the squares are summed"),
        (_losses(unlabelled=lambda z, p: _squares(z, p).mean(1).sum()), "the images are summed"),
        (_losses(unlabelled=lambda z, p: (z - p).square().mean()), "the logits are compared"),
        (_losses(unlabelled=lambda z, p: _squares(z.softmax(1), p).mean()), "softmax is applied twice"),
        (_losses(unlabelled=lambda z, p: (z.softmax(0) - p).square().mean()), "over the images (dim=0)"),
        (_losses(unlabelled=_ce), "the Brier loss, not the cross-entropy"),
        (_losses(unlabelled=lambda z, p: _squares(z, p)), "one number is wanted"),
        (_losses(unlabelled=lambda z, p: _squares(z, p).mean().sqrt()), "root"),
        (_losses(unlabelled=lambda z, p: (z.softmax(1) - p).abs().mean()), "square them"),
        (_losses(unlabelled=lambda z, p: _squares(z.detach(), p).mean()), "loss_u carries no gradient"),
        (_losses(unlabelled=lambda z, p: (z.log_softmax(1) - p).square().mean()), "logarithm does not belong here"),
        (_losses(labelled=lambda z, p: _squares(z, p).mean()), "not the Brier loss"),
        (_losses(labelled=lambda z, p: F.cross_entropy(z, p.argmax(1))), "no argmax"),
        (_losses(labelled=lambda z, p: F.cross_entropy(z.softmax(1), p)), "softmax is applied twice"),
        (_losses(labelled=lambda z, p: F.cross_entropy(z, p, reduction="sum")), "are summed"),
        (_losses(labelled=lambda z, p: F.cross_entropy(z, p, reduction="none")), "one number is wanted"),
        (_losses(labelled=lambda z, p: -(p * z.log_softmax(1)).mean()), "divided by the classes"),
        (_losses(labelled=lambda z, p: (p * z.log_softmax(1)).sum(1).mean()), "the sign is wrong"),
        (_losses(labelled=lambda z, p: -(p * z.softmax(1)).sum(1).mean()), "the logarithm is missing"),
        (_losses(labelled=lambda z, p: F.kl_div(z.log_softmax(1), p, reduction="batchmean")), "Kullback-Leibler"),
        (_losses(labelled=lambda z, p: F.cross_entropy(z, p).item()), "loss_l carries no gradient"),
        (_losses(labelled=lambda z, p: -(p * z.softmax(1).log()).sum(1).mean()), "not finite"),
        (_losses(labelled=lambda z, p: -(p * (z.softmax(1) + 1e-8).log()).sum(1).mean()), "before the log"),
        (_losses(labelled=lambda z, p: -(p * z.log_softmax(0)).sum(1).mean()), "over the images (dim=0)"),
        (_losses(unlabelled=lambda z, p: (z.softmax(1) - p).norm(dim=1).mean() / 3), "a norm takes a root"),
        (lambda *a: losses_functional(*a)[::-1], "swapped"),
        (lambda *a: sum(losses_functional(*a)), "one number"),
    ],
    "8.5": [
        (lambda step, ramp_steps, lambda_u: lambda_u, "there is no ramp"),
        (lambda step, ramp_steps, lambda_u: lambda_u * step / ramp_steps, "goes on growing"),
        (lambda step, ramp_steps, lambda_u: lambda_u * min(1.0, step / ramp_steps), "divides by zero"),
        (lambda step, ramp_steps, lambda_u: min(1.0, step / max(ramp_steps, 1)), "multiply it by lambda_u"),
        (lambda step, ramp_steps, lambda_u: min(lambda_u, step / max(ramp_steps, 1)), "multiply it by lambda_u"),
        (lambda step, ramp_steps, lambda_u: lambda_u * min(1, step // max(ramp_steps, 1)), "on the way"),
        (lambda step, ramp_steps, lambda_u: lambda_u * min(1.0, (step + 1) / max(ramp_steps, 1)), "starts at 0"),
        (lambda step, ramp_steps, lambda_u: lambda_u * min(1.0, step / max(ramp_steps, 1)), "from the first step"),
        (lambda step, ramp_steps, lambda_u: lambda_u * min(1.0, step / ramp_steps) if ramp_steps else 0.0, "no ramp"),
        (lambda step, ramp_steps, lambda_u: lambda_u * max(1.0, step / max(ramp_steps, 1)), "there is no ramp"),
        (_ramp(lambda t: 1 - min(1.0, t)), "the ramp falls"),
        (_ramp(lambda t: min(1.0, t) ** 2), "quadratic"),
        (_ramp(lambda t: math.exp(-5 * (1 - min(1.0, t)) ** 2)), "exponential"),
        (_ramp(lambda t: math.sin(min(1.0, t) * math.pi / 2)), "curved"),
        (_ramp(lambda t: t if t <= 1 else 0.0), "falls back to 0"),
        (lambda step, ramp_steps, lambda_u: ramp_steps / max(step, 1) * lambda_u, "upside down"),
        (lambda step, ramp_steps, lambda_u: lambda_u * min(1, ramp_steps / step) if step else lambda_u, "exchanged"),
        (_ramp(lambda t: round(min(1.0, t), 2)), "rounded to 0"),
        (
            lambda step, ramp_steps, lambda_u: min(lambda_u, step * lambda_u // 1 / ramp_steps) if ramp_steps else lambda_u,
            "rounded to 0",
        ),
    ],
    "8.6": [
        (step_few_classes, "it raised RuntimeError"),
        (step_training_mode, "neither eval() nor train()"),
        (step_equal_parts, "cut at the wrong place"),
        (_step(losses=lambda l, u, w: l + u), "lambda_u is ignored"),
        (_step(losses=lambda l, u, w: l + 3 * u), "the weight is not lambda_u"),
        (_step(losses=lambda l, u, w: l + w * u.item()), "does not learn from the unlabelled mixtures"),
        (_step(losses=lambda l, u, w: l.item() + w * u), "does not learn from the labelled mixtures"),
        (step_one_hot_of_labels, "the number of classes"),
        (step_three_classes, "the number of classes"),
        (_step(losses=lambda l, u, w: l + w * u / 2), "number of views"),
        (_step(losses=lambda l, u, w: l + 2 * w * u), "of the views are added"),
        (step_image_by_image, "glued image by image"),
        (_step(lambda a: (*a[:4], step_order(a[4]), a[5])), "lambda is permuted"),
        (step_plain_labels, "compared with plain labels"),
        (step_plain_guesses, "compared with plain guesses"),
        (step_first_view_only, "the first view only"),
        (step_model_before_mixing, "the model on the mixed ones"),
        (step_hard_guesses, "all or nothing"),
        (_step(logs=lambda l, u, w: {"brier": u.item() if w else 0.0}), "log it whatever its weight"),
        (step_channels_as_classes, "Class values must be smaller"),
        (_step(losses=lambda l, u, w: w * (l + u)), "multiplies both losses"),
        (_step(losses=lambda l, u, w: w * l + u), "multiplies the labelled loss"),
        (_step(losses=lambda l, u, w: l), "unlabelled loss is missing"),
        (_step(losses=lambda l, u, w: w * u), "labelled loss is missing"),
        (_step(lambda a: (*a[:3], a[1], *a[4:])), "partner's label is missing"),
        (_step(lambda a: (*a[:2], a[0], *a[3:])), "partner's image is missing"),
        (_step(lambda a: (*a[:4], torch.ones_like(a[4]), a[5])), "nothing is mixed"),
        (_step(lambda a: (*a[:5], 3)), "cut at the wrong place"),
        (step_raw_lambda, "does mixup take max"),
        (step_backwards, "runs backwards"),
        (step_interleaved_guesses, "another order than the views"),
        (step_views_swapped, "glued in another order: the labelled images, then"),
        (step_first_view_twice, "second view is missing"),
        (step_unlabelled_first, "the labelled ones come first"),
        (step_labelled_plain, "labelled images are not mixed"),
        (step_mixes_logits, "the logits are mixed"),
        (step_all_cross_entropy, "cross-entropy runs over all images"),
        (step_all_brier, "Brier loss runs over all images"),
        (step_in_parts, "in parts"),
        (step_guesses_again, "the model runs 2 times"),
        (step_eval_mode, "neither eval() nor train()"),
        (step_no_gradient, "carries no gradient"),
        (step_backward, "backward() is called inside"),
        (lambda *a: step_alone(*a)[0], "the loss only"),
        (lambda *a: (step_alone(*a)[0].item(), step_alone(*a)[1]), "no .item()"),
        (_step(logs=lambda l, u, w: {}), "logs must be a dict"),
        (_step(logs=lambda l, u, w: u.item()), "logs must be a dict"),
        (_step(logs=lambda l, u, w: {"brier": u}), "carries a gradient"),
        (_step(logs=lambda l, u, w: {"brier": (w * u).item()}), "is weighted"),
        (_step(logs=lambda l, u, w: {"brier": l.item()}), "holds the labelled loss"),
    ],
    "8.7": [
        (
            lambda la, ba, lb, bb: math.inf if bb >= ba else max(0.0, (lb - la) / (ba - bb)),
            "already at weight 0, so the answer is 0",
        ),
        (_ratio, "already at weight 0, the answer is 0"),
        (
            lambda la, ba, lb, bb: 0.0 if lb < la else math.inf if lb > la and bb >= ba else _ratio(la, ba, lb, bb),
            "already at weight 0, so the answer is 0",
        ),
        (
            lambda la, ba, lb, bb: (0.0 if lb <= la else math.inf) if ba == bb else max(0.0, _ratio(la, ba, lb, bb)),
            "two negative differences",
        ),
        (_price(lambda la, ba, lb, bb: round(_ratio(la, ba, lb, bb), 2)), "round nothing"),
        (_price(lambda la, ba, lb, bb: math.ceil(_ratio(la, ba, lb, bb) * 10 - 1e-9) / 10), "searched for in steps"),
        (_price(lambda la, ba, lb, bb: min(_ratio(la, ba, lb, bb), 1000.0)), "cut off"),
        (
            lambda la, ba, lb, bb: 0.0 if lb <= la else math.inf if bb > ba else _ratio(la, ba, lb, bb),
            "divides by zero",
        ),
        (_price(_ratio, zero=False), "already at weight 0, the answer is 0"),
        (_price(lambda la, ba, lb, bb: abs((lb - la) / (ba - bb)), zero=False), "abs?"),
        (_price(lambda la, ba, lb, bb: abs((lb - la) / (ba - bb)) if ba != bb else math.inf, never=False), "abs?"),
        (
            _price(lambda la, ba, lb, bb: _ratio(la, ba, lb, bb) if ba != bb else math.inf, never=False),
            "never as cheap",
        ),
        (
            _price(lambda la, ba, lb, bb: max(0.0, _ratio(la, ba, lb, bb)) if ba > bb else 0.0, never=False),
            "saves nothing",
        ),
        (_price(lambda la, ba, lb, bb: (lb - la) / (bb - ba)), "the sign is wrong"),
        (_price(lambda la, ba, lb, bb: (ba - bb) / (lb - la)), "upside down"),
        (_price(lambda la, ba, lb, bb: (bb - ba) / (lb - la)), "upside down"),
        (_price(lambda la, ba, lb, bb: lb - la), "divide it by what it saves"),
        (_price(lambda la, ba, lb, bb: (lb - la) * (ba - bb)), "do not multiply"),
        (_price(lambda la, ba, lb, bb: (lb - la) / (ba + bb)), "are added"),
        (_price(lambda la, ba, lb, bb: lb / la), "subtract first"),
        (_price(lambda la, ba, lb, bb: lb / bb - la / ba), "difference of the fractions"),
        (_price(lambda la, ba, lb, bb: round(_ratio(la, ba, lb, bb))), "rounded"),
        (_price(lambda la, ba, lb, bb: (la - lb) + (ba - bb)), "expected 12.5"),
        (lambda la, ba, lb, bb: math.inf if bb >= ba or lb <= la else _ratio(la, ba, lb, bb), "so the answer is 0"),
    ],
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
