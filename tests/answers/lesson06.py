"""Answers to the exercises of lesson 06: other right ones, and wrong ones with a fragment of the cause to be named."""

import copy
import math
import random

import numpy as np
import torch
import torch.nn.functional as F

# ------------------------------------------------------------------------------------------------------ 6.1 views


def flip_loop(x, rng):
    return torch.stack([image.flip(-1) if torch.rand((), generator=rng).item() < 0.5 else image for image in x])


def flip_index(x, rng):
    out = x.clone()
    coins = torch.randint(2, (len(x),), generator=rng).bool()
    out[coins] = out[coins].flip(3)
    return out


def flip_arithmetic(x, rng):
    coin = torch.bernoulli(torch.full((len(x), 1, 1, 1), 0.5), generator=rng)
    return coin * x.flip([-1]) + (1 - coin) * x


def _flip(condition, dims=(3,)):
    return lambda x, rng: torch.where(condition(x, rng).view(-1, 1, 1, 1), x.flip(dims), x)


def coins(x, rng):
    return torch.rand(len(x), generator=rng) < 0.5


def flip_exactly_half(x, rng):
    out = x.clone()
    hit = torch.randperm(len(x), generator=rng)[: len(x) // 2]
    out[hit] = out[hit].flip(3)
    return out


def flip_reordered(x, rng):
    hit = coins(x, rng)
    return torch.cat([x[hit].flip(3), x[~hit]])


def flip_half_batch(x, rng):
    out, half = x.clone(), len(x) // 2
    part = slice(half) if torch.rand(1, generator=rng) < 0.5 else slice(half, None)
    out[part] = out[part].flip(3)
    return out


def flip_pairs(x, rng):
    hit = (torch.rand((len(x) + 1) // 2, generator=rng) < 0.5).repeat_interleave(2)[: len(x)]
    return torch.where(hit.view(-1, 1, 1, 1), x.flip(3), x)


def flip_reseeded(x, rng):
    torch.manual_seed(rng.initial_seed())
    return torch.where((torch.rand(len(x)) < 0.5).view(-1, 1, 1, 1), x.flip(3), x)


def flip_python_random(x, rng):
    chance = random.Random(rng.initial_seed())
    return torch.stack([image.flip(2) if chance.random() < 0.5 else image for image in x])


def flip_same_if_none(x, rng):
    hit = coins(x, rng)
    return torch.where(hit.view(-1, 1, 1, 1), x.flip(3), x) if hit.any() else x


def flip_in_place(x, rng):
    hit = coins(x, rng)
    x[hit] = x[hit].flip(3)
    return x


# --------------------------------------------------------------------------------------------- 6.2 guess and mask


def guess_numpy(logits_w, tau):
    z = logits_w.detach().numpy().astype(np.float64)
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return torch.from_numpy(p.argmax(1)), torch.from_numpy((p.max(1) >= tau).astype(np.float32))


@torch.no_grad()
def guess_functional(logits_w, tau):
    p = F.softmax(logits_w, dim=-1)
    return torch.argmax(p, dim=-1), p.amax(-1).ge(tau).double()


def guess_loop(logits_w, tau):
    guess, mask = [], []
    for row in logits_w.detach():
        p = row.exp() / row.exp().sum()
        guess.append(int(p.argmax()))
        mask.append(1.0 if p.max() >= tau else 0.0)
    return torch.tensor(guess), torch.tensor(mask)


def _guess(probabilities, keep=lambda c, tau: (c >= tau).float()):
    def answer(logits_w, tau):
        c, guess = probabilities(logits_w.detach()).max(1)
        return guess, keep(c, tau)

    return answer


def _soft(z):
    return z.softmax(1)


def guess_with_gradient(logits_w, tau):
    c, guess = logits_w.softmax(1).max(1)
    return guess, (c >= tau) * c / c


def guess_in_place(logits_w, tau):
    logits_w.detach_()
    return guess_functional(logits_w, tau)


def guess_logarithms(logits_w, tau):
    c, guess = logits_w.detach().log_softmax(1).max(1)
    return guess, (c >= math.log(tau)).float()


def guess_passing(logits_w, tau):
    q = logits_w.detach().softmax(1)
    return (q >= tau).float().argmax(1), (q.amax(1) >= tau).float()


def guess_all_largest(logits_w, tau):
    q = logits_w.detach().softmax(1)
    return (q == q.amax(1, keepdim=True)).nonzero()[:, 1], (q.amax(1) >= tau).float()


def guess_over_images(logits_w, tau):
    c, guess = logits_w.detach().softmax(1).max(0)
    return guess, (c >= tau).float()


# --------------------------------------------------------------------------------------------- 6.3 unlabelled loss


def loss_by_hand(logits_s, guess, mask):
    log_p = logits_s - logits_s.logsumexp(1, keepdim=True)
    return -(log_p[torch.arange(len(guess)), guess] * mask).sum() / len(guess)


def loss_one_hot(logits_s, guess, mask):
    target = F.one_hot(guess, logits_s.shape[1]) * mask.unsqueeze(1)
    return -(target * logits_s.log_softmax(1)).sum(1).mean()


def loss_loop(logits_s, guess, mask):
    total = 0 * logits_s.sum()
    for z, c, m in zip(logits_s, guess, mask):
        total = total + m * F.cross_entropy(z[None], c[None])
    return total / len(mask)


def loss_three_classes(logits_s, guess, mask):
    return -((logits_s.log_softmax(1) * F.one_hot(guess, 3)).sum(1) * mask).mean()


def loss_of_four(logits_s, guess, mask):
    return sum(mask[i] * F.cross_entropy(logits_s[i], guess[i]) for i in range(4)) / 4


def _ce(logits_s, guess):
    return F.cross_entropy(logits_s, guess, reduction="none")


# -------------------------------------------------------------------------------------------------------- 6.4 step


def _parts(model, batch, tau):
    with torch.no_grad():
        confidence, guess = model(batch.x_w).softmax(1).max(1)
    mask = (confidence >= tau).float()
    z = model(torch.cat([batch.x_l, batch.x_s]))
    return z[: len(batch.x_l)], z[len(batch.x_l) :], guess, mask


def step_alone(model, batch, tau=0.95, lambda_u=1.0):
    z_l, z_s, guess, mask = _parts(model, batch, tau)
    loss_u = (_ce(z_s, guess) * mask).mean()
    return F.cross_entropy(z_l, batch.y_l) + lambda_u * loss_u, {"mask": float(mask.mean())}


def step_all_together(model, batch, tau=0.95, lambda_u=1.0):
    sizes = [len(batch.x_l), len(batch.x_w), len(batch.x_s)]
    z_l, z_w, z_s = model(torch.cat([batch.x_l, batch.x_w, batch.x_s])).split(sizes)
    p = z_w.detach().softmax(1)
    mask = (p.max(1).values >= tau).to(p.dtype)
    loss = F.cross_entropy(z_l, batch.y_l) + lambda_u * loss_by_hand(z_s, p.argmax(1), mask)
    return loss, {"mask": mask.mean()}


def _step(loss, logs=lambda mask: {"mask": mask.mean().item()}):
    def answer(model, batch, tau=0.95, lambda_u=1.0):
        z_l, z_s, guess, mask = _parts(model, batch, tau)
        return loss(F.cross_entropy(z_l, batch.y_l), z_s, guess, mask, lambda_u), logs(mask)

    return answer


def _right_sum(l, z, g, m, lam):
    return l + lam * (_ce(z, g) * m).mean()


def step_guess_from_strong(model, batch, tau=0.95, lambda_u=1.0):
    return step_alone(model, batch._replace(x_w=batch.x_s), tau, lambda_u)


def step_loss_on_weak(model, batch, tau=0.95, lambda_u=1.0):
    return step_alone(model, batch._replace(x_s=batch.x_w), tau, lambda_u)


def step_separate(model, batch, tau=0.95, lambda_u=1.0):
    with torch.no_grad():
        confidence, guess = model(batch.x_w).softmax(1).max(1)
    mask = (confidence >= tau).float()
    loss_l = F.cross_entropy(model(batch.x_l), batch.y_l)
    return loss_l + lambda_u * (_ce(model(batch.x_s), guess) * mask).mean(), {"mask": mask.mean().item()}


def step_weak_with_gradient(model, batch, tau=0.95, lambda_u=1.0):
    confidence, guess = model(batch.x_w).softmax(1).max(1)
    mask = (confidence >= tau).float()
    z = model(torch.cat([batch.x_l, batch.x_s]))
    n = len(batch.x_l)
    return F.cross_entropy(z[:n], batch.y_l) + lambda_u * (_ce(z[n:], guess) * mask).mean(), {
        "mask": mask.mean().item()
    }


def step_weak_detached(model, batch, tau=0.95, lambda_u=1.0):
    confidence, guess = model(batch.x_w).detach().softmax(1).max(1)
    mask = (confidence >= tau).float()
    z, n = model(torch.cat([batch.x_l, batch.x_s])), len(batch.x_l)
    loss_u = (_ce(z[n:], guess) * mask).mean()
    return F.cross_entropy(z[:n], batch.y_l) + lambda_u * loss_u, {"mask": mask.mean().item()}


def step_labelled_with_weak(model, batch, tau=0.95, lambda_u=1.0):
    n = len(batch.x_l)
    z = model(torch.cat([batch.x_l, batch.x_w]))
    confidence, guess = z[n:].detach().softmax(1).max(1)
    mask = (confidence >= tau).float()
    loss_u = (_ce(model(batch.x_s), guess) * mask).mean()
    return F.cross_entropy(z[:n], batch.y_l) + lambda_u * loss_u, {"mask": mask.mean().item()}


def step_views_swapped(model, batch, tau=0.95, lambda_u=1.0):
    return step_alone(model, batch._replace(x_w=batch.x_s, x_s=batch.x_w), tau, lambda_u)


def _step_passes(ask, cut=lambda z, b: z.tensor_split([len(b.x_l)]), labelled=None, divisor=lambda b: len(b.x_w)):
    """FixMatch with another way to ask for the guesses, to cut, to get the labelled logits or to divide."""

    def answer(model, batch, tau=0.95, lambda_u=1.0):
        with torch.no_grad():
            confidence, guess = ask(model, batch).softmax(1).max(1)
        mask = (confidence >= tau).float()
        z_l, z_s = cut(model(torch.cat([batch.x_l, batch.x_s])), batch)
        z_l = labelled(model, batch) if labelled else z_l
        loss_u = (_ce(z_s, guess) * mask).sum() / divisor(batch)
        return F.cross_entropy(z_l, batch.y_l) + lambda_u * loss_u, {"mask": mask.mean().item()}

    return answer


def _weak(model, batch):
    return model(batch.x_w)


def step_kept_only(model, batch, tau=0.95, lambda_u=1.0):
    with torch.no_grad():
        confidence, guess = model(batch.x_w).softmax(1).max(1)
    kept, n = confidence >= tau, len(batch.x_l)
    z = model(torch.cat([batch.x_l, batch.x_s[kept]]))
    loss_u = _ce(z[n:], guess[kept]).sum() / len(kept)
    return F.cross_entropy(z[:n], batch.y_l) + lambda_u * loss_u, {"mask": kept.float().mean().item()}


def step_nothing_kept(model, batch, tau=0.95, lambda_u=1.0):
    with torch.no_grad():
        confidence, guess = model(batch.x_w).softmax(1).max(1)
    mask, n = (confidence >= tau).float(), len(batch.x_l)
    if mask.sum() == 0:
        return F.cross_entropy(model(batch.x_l), batch.y_l), {"mask": 0.0}
    z = model(torch.cat([batch.x_l, batch.x_s]))
    return F.cross_entropy(z[:n], batch.y_l) + lambda_u * (_ce(z[n:], guess) * mask).mean(), {
        "mask": mask.mean().item()
    }


def step_no_weight(model, batch, tau=0.95, lambda_u=1.0):
    if lambda_u == 0:
        return F.cross_entropy(model(batch.x_l), batch.y_l), {"mask": 0.0}
    return step_alone(model, batch, tau, lambda_u)


def step_logs_of_strong(model, batch, tau=0.95, lambda_u=1.0):
    z_l, z_s, guess, mask = _parts(model, batch, tau)
    loss_u = (_ce(z_s, guess) * mask).mean()
    share = (z_s.softmax(1).amax(1) >= tau).float().mean().item()
    return F.cross_entropy(z_l, batch.y_l) + lambda_u * loss_u, {"mask": share}


def step_softmax_twice(model, batch, tau=0.95, lambda_u=1.0):
    with torch.no_grad():
        confidence, guess = model(batch.x_w).softmax(1).softmax(1).max(1)
    mask, n = (confidence >= tau).float(), len(batch.x_l)
    z = model(torch.cat([batch.x_l, batch.x_s]))
    return F.cross_entropy(z[:n], batch.y_l) + lambda_u * (_ce(z[n:], guess) * mask).mean(), {
        "mask": mask.mean().item()
    }


def step_cut_in_another_order(model, batch, tau=0.95, lambda_u=1.0):
    with torch.no_grad():
        confidence, guess = model(batch.x_w).softmax(1).max(1)
    mask = (confidence >= tau).float()
    z = model(torch.cat([batch.x_s, batch.x_l]))
    n = len(batch.x_l)
    return F.cross_entropy(z[:n], batch.y_l) + lambda_u * (_ce(z[n:], guess) * mask).mean(), {
        "mask": mask.mean().item()
    }


def step_backward(model, batch, tau=0.95, lambda_u=1.0):
    loss, logs = step_alone(model, batch, tau, lambda_u)
    loss.backward(retain_graph=True)
    return loss, logs


def step_eval_mode(model, batch, tau=0.95, lambda_u=1.0):
    model.eval()
    return step_alone(model, batch, tau, lambda_u)


def step_no_gradient(model, batch, tau=0.95, lambda_u=1.0):
    with torch.no_grad():
        return step_alone(model, batch, tau, lambda_u)


def step_loss_only(model, batch, tau=0.95, lambda_u=1.0):
    return step_alone(model, batch, tau, lambda_u)[0]


# ---------------------------------------------------------------------------------------------- 6.5 what is kept


def kept_loop(guess, mask, truth, num_classes):
    share, precision = [], []
    for c in range(num_classes):
        of_class, guessed = truth == c, (guess == c) & (mask > 0)
        share.append(mask[of_class].mean().item() if of_class.any() else math.nan)
        precision.append((truth[guessed] == c).float().mean().item() if guessed.any() else math.nan)
    return torch.tensor(share), torch.tensor(precision)


def kept_one_hot(guess, mask, truth, num_classes):
    g = F.one_hot(guess, num_classes).double() * mask.double()[:, None]
    t = F.one_hot(truth, num_classes).double()
    return (t * mask[:, None]).sum(0) / t.sum(0), (g * t).sum(0) / g.sum(0)


def _count(labels, weights, n):
    return torch.bincount(labels, weights=weights.double(), minlength=n)


def _kept(share, precision):
    def answer(guess, mask, truth, n):
        one, right = torch.ones_like(mask), (guess == truth).float()
        counts = {
            "kept": _count(truth, mask, n),
            "all": _count(truth, one, n),
            "guessed": _count(guess, one, n),
            "kept guesses": _count(guess, mask, n),
            "right": _count(guess, mask * right, n),
            "any right": _count(guess, right, n),
            "not below": _count(guess, mask * (guess >= truth), n),
        }
        return share(counts), precision(counts)

    return answer


def kept_of_true_classes(guess, mask, truth, num_classes):
    share, precision = torch.full((2, num_classes), math.nan)
    for c in truth.unique():
        share[c] = mask[truth == c].mean()
        precision[c] = (truth[(mask > 0) & (guess == c)] == c).float().mean()
    return share, precision


def kept_short_count(guess, mask, truth, num_classes):
    share, precision = kept_loop(guess, mask, truth, num_classes)
    return share * 0 + torch.bincount(truth, weights=mask) / torch.bincount(truth), precision


def _share(c):
    return c["kept"] / c["all"]


def _precision(c):
    return c["right"] / c["kept guesses"]


# ------------------------------------------------------------------------------------------------------- 6.6 zip


def zip_for_real(num_labelled, num_unlabelled, batch_l, batch_u):
    labelled = range(0, num_labelled, batch_l)
    seen = sum(min(batch_u, num_unlabelled - start) for _, start in zip(labelled, range(0, num_unlabelled, batch_u)))
    return seen / num_unlabelled


def zip_whole_numbers(num_labelled, num_unlabelled, batch_l, batch_u):
    return min(1.0, -(-num_labelled // batch_l) * batch_u / num_unlabelled)


def zip_one_less(num_labelled, num_unlabelled, batch_l, batch_u):
    steps, all_steps = math.ceil(num_labelled / batch_l), math.ceil(num_unlabelled / batch_u)
    seen = min(steps, all_steps) * batch_u
    if steps == all_steps:
        seen -= batch_u - num_unlabelled % batch_u
    return min(1.0, seen / num_unlabelled)


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


def kept_table(guess, mask, truth, num_classes):
    table = torch.zeros(2, num_classes, num_classes)  # [kept or not, truth, guess]
    for g, m, t in zip(guess, mask, truth):
        table[int(m), t, g] += 1
    kept = table[1]
    return kept.sum(1) / table.sum((0, 2)), kept.diagonal() / kept.sum(0)


def zip_sets(num_labelled, num_unlabelled, batch_l, batch_u):
    steps = math.ceil(num_labelled / batch_l)
    return len(set(range(num_unlabelled)[: steps * batch_u])) / num_unlabelled


RIGHT = {
    "6.1": [flip_loop, flip_index, flip_arithmetic],
    "6.2": [guess_numpy, guess_functional, guess_loop],
    "6.3": [loss_by_hand, loss_one_hot, loss_loop],
    "6.4": [step_alone, step_all_together, step_loop, step_weak_detached, step_weak_with_gradient],
    "6.5": [kept_loop, kept_one_hot, kept_table],
    "6.6": [zip_for_real, zip_whole_numbers, zip_sets],
}

WRONG = {
    "6.1": [
        (
            _flip(lambda x, rng: (torch.rand(1, generator=rng) < 0.5).expand(len(x))),
            "one coin decides for the whole batch",
        ),
        (lambda x, rng: x.flip(3), "every image is mirrored"),
        (_flip(coins, dims=(2,)), "upside down"),
        (_flip(coins, dims=(1,)), "channels are reversed"),
        (_flip(coins, dims=(2, 3)), "half a turn"),
        (lambda x, rng: x.flip(0), "order of the batch"),
        (_flip(lambda x, rng: torch.rand(len(x)) < 0.5), "do not come from `rng`"),
        (_flip(lambda x, rng: torch.rand(len(x), generator=torch.Generator().manual_seed(0)) < 0.5), "another `rng`"),
        (_flip(lambda x, rng: torch.rand(len(x), generator=rng) < 0.1), "probability should be one half"),
        (_flip(lambda x, rng: torch.randn(len(x), generator=rng) < -9), "no image is mirrored"),
        (flip_in_place, "changes its input"),
        (
            lambda x, rng: torch.where(torch.rand(x.shape, generator=rng) < 0.5, x.flip(3), x),
            "coin drawn for each pixel",
        ),
        (lambda x, rng: torch.where(coins(x, rng), x.flip(3), x), "needs the shape (B, 1, 1, 1)"),
        (flip_exactly_half, "exactly half"),
        (flip_reordered, "the images change places"),
        (lambda x, rng: torch.where(coins(x, rng).view(-1, 1, 1, 1), -x, x), "the values change their sign"),
        (lambda x, rng: torch.where(coins(x, rng).view(-1, 1, 1, 1), -x.flip(3), x), "the values change their sign"),
        (flip_half_batch, "one coin decides for many images"),
        (flip_pairs, "the coins of neighbours"),
        (flip_reseeded, "draws the same coins again"),
        (flip_python_random, "draws the same coins again"),
        (
            lambda x, rng: flip_index(x, torch.Generator().manual_seed(rng.initial_seed())),
            "draws the same coins again",
        ),
        (_flip(lambda x, rng: torch.rand(len(x), generator=rng) < 0.4), "probability should be one half"),
        (_flip(lambda x, rng: torch.rand(len(x), generator=rng) < 0.58), "probability should be one half"),
        (flip_same_if_none, "a new batch is wanted"),
    ],
    "6.2": [
        (_guess(lambda z: z), "compared with logits"),
        (lambda z, tau: (z.argmax(1), (z.detach().softmax(0).max(1).values >= tau).float()), "over the images"),
        (_guess(_soft, lambda c, tau: (c > tau).float()), ">= instead of >"),
        (_guess(_soft, lambda c, tau: c), "holds confidences"),
        (_guess(_soft, lambda c, tau: (c < tau).float()), "inverted"),
        (_guess(_soft, lambda c, tau: (c >= 0.95).float()), "tau is ignored"),
        (_guess(lambda z: z.sigmoid()), "sigmoid"),
        (lambda z, tau: _guess(_soft)(z, tau)[::-1], "swapped"),
        (lambda z, tau: (z.detach().softmax(1), _guess(_soft)(z, tau)[1]), "not a distribution"),
        (
            lambda z, tau: (z.detach().softmax(1).max(1).values, _guess(_soft)(z, tau)[1]),
            "first value is the confidence",
        ),
        (lambda z, tau: _guess(_soft)(z, tau)[0], "must return 2 values"),
        (guess_with_gradient, "carries a gradient"),
        (_guess(_soft, lambda c, tau: c >= tau), "must be a float tensor, and is a tensor of torch.bool"),
        (
            lambda z, tau: [part[_guess(_soft)(z, tau)[1] > 0] for part in _guess(_soft)(z, tau)],
            "guess for every image",
        ),
        (_guess(lambda z: z.softmax(0)), "over the images"),
        (guess_over_images, "over the images (dim=0)"),
        (_guess(lambda z: (2 * z).softmax(1)), "sharper"),
        (_guess(lambda z: z.softmax(1).softmax(1)), "applied twice"),
        (guess_in_place, "detach_() cuts the logits themselves"),
        (guess_logarithms, "log(tau) does not exist"),
        (guess_passing, "the guess of an unsure image is lost"),
        (
            lambda z, tau: (guess_functional(z, tau)[0] * guess_functional(z, tau)[1].long(), _guess(_soft)(z, tau)[1]),
            "the guess of an unsure image is lost",
        ),
        (guess_all_largest, "where two classes are equally probable"),
        (_guess(_soft, lambda c, tau: (c.round(decimals=2) >= tau).float()), "no rounding and no tolerance"),
        (_guess(_soft, lambda c, tau: (c >= tau - 1e-3).float()), "no rounding and no tolerance"),
        (_guess(_soft, lambda c, tau: ((c - tau).abs() < 1e-2).float().maximum((c > tau).float())), "no tolerance"),
        (_guess(_soft, lambda c, tau: ((c > tau + 1e-3) | (c == tau)).float()), "just above tau"),
        (lambda z, tau: guess_functional(z, tau or 0.95), "tau = 0 is taken as missing"),
    ],
    "6.3": [
        (lambda z, g, m: (_ce(z, g) * m).sum() / m.sum(), "kept images"),
        (lambda z, g, m: (_ce(z, g) * m).sum(), "this is the sum"),
        (lambda z, g, m: _ce(z, g) * m, "one number"),
        (lambda z, g, m: _ce(z, g).mean(), "not applied"),
        (lambda z, g, m: F.cross_entropy(z, g) * m.mean(), "not the mean loss times the mean mask"),
        (lambda z, g, m: F.cross_entropy(z * m[:, None], g), "applied to the logits"),
        (lambda z, g, m: (_ce(z, g) * (1 - m.float())).mean(), "inverted"),
        (lambda z, g, m: (_ce(z.softmax(1), g) * m).mean(), "softmax is applied twice"),
        (lambda z, g, m: (_ce(z, z.argmax(1)) * m).mean(), "argmax of the strong view"),
        (lambda z, g, m: (_ce(z, g) * m).mean().detach(), "no gradient"),
        (lambda z, g, m: (_ce(z, g) * m).sum() / m.sum().clamp(min=1), "kept images"),
        (lambda z, g, m: -(_ce(z, g) * m).mean(), "sign"),
        (lambda z, g, m: _ce(z, g)[m == 1].mean(), "kept images"),
        (lambda z, g, m: (-z.log_softmax(1).gather(1, g[:, None]) * m).mean(), "became (B, B)"),
        (lambda z, g, m: (_ce(z, g) * m).sum() / 4, "the number of images is written in"),
        (loss_of_four, "only the first four images count"),
        (loss_three_classes, "is a number of images or classes written in?"),
        (lambda z, g, m: (-z.softmax(1)[range(len(g)), g].log() * m).mean(), "log(softmax)"),
        (lambda z, g, m: -(z.softmax(1)[range(len(g)), g].log()[m > 0]).sum() / len(m), "log(softmax)"),
        (lambda z, g, m: (_ce(z, g) * m).mean() if m.any() else 0.0, "no special case"),
    ],
    "6.4": [
        (step_guess_from_strong, "strong view"),
        (step_loss_on_weak, "computed on the weak views"),
        (step_separate, "separately"),
        (step_labelled_with_weak, "with the strong ones"),
        (step_eval_mode, "neither eval() nor train()"),
        (step_views_swapped, "two views are swapped"),
        (step_cut_in_another_order, "cut apart in another"),
        (step_backward, "backward() is called inside"),
        (
            lambda model, batch, tau=0.95, lambda_u=1.0: (step_alone(model, batch, tau, lambda_u)[0], 0.75),
            "logs must be a dict",
        ),
        (
            lambda model, batch, tau=0.95, lambda_u=1.0: (
                step_alone(model, batch, tau, lambda_u)[0].item(),
                {"mask": 0.75},
            ),
            "no .item()",
        ),
        (step_no_gradient, "no gradient"),
        (step_loss_only, "the loss only"),
        (_step(lambda l, z, g, m, lam: (_ce(z, g) * m).mean()), "labelled loss is missing"),
        (_step(lambda l, z, g, m, lam: l + (_ce(z, g) * m).mean()), "lambda_u is ignored"),
        (_step(lambda l, z, g, m, lam: lam * (l + (_ce(z, g) * m).mean())), "both losses"),
        (_step(lambda l, z, g, m, lam: lam * l + (_ce(z, g) * m).mean()), "multiplies the labelled loss"),
        (_step(lambda l, z, g, m, lam: l + lam * (_ce(z, g) * m).sum() / m.sum()), "kept images"),
        (_step(lambda l, z, g, m, lam: l + lam * _ce(z, g).mean()), "mask is not applied"),
        (_step(lambda l, z, g, m, lam: l + lam * (_ce(z, z.argmax(1)) * m).mean()), "guess comes from the strong view"),
        (_step(_right_sum, lambda m: {}), "lacks 'mask'"),
        (_step(_right_sum, lambda m: {"mask": m}), "whole mask"),
        (_step(_right_sum, lambda m: {"mask": m.sum().item()}), "count"),
        (lambda model, batch, tau=0.95, lambda_u=1.0: step_alone(model, batch, 0.95, lambda_u), "tau is ignored"),
        (lambda *a, **k: step_alone(*a, **k)[::-1], "the two values are swapped"),
        (step_softmax_twice, "pseudo_label_and_mask takes logits"),
        (step_kept_only, "only a part of the images goes through the model"),
        (_step_passes(_weak, lambda z, b: z.chunk(2)), "Cut after len(batch.x_l) rows"),
        (_step_passes(_weak, lambda z, b: z.tensor_split([len(z) // 3])), "Cut after len(batch.x_l) rows"),
        (
            _step_passes(_weak, lambda z, b: (z[: -2 * len(b.x_l)], z[-2 * len(b.x_l) :])),
            "Cut after len(batch.x_l) rows",
        ),
        (_step_passes(_weak, labelled=lambda m, b: m(b.x_l)), "once more"),
        (_step_passes(lambda m, b: copy.deepcopy(m).eval()(b.x_w)), "no copy's"),
        (_step_passes(lambda m, b: torch.cat([m(x[None]) for x in b.x_w])), "in pieces"),
        (_step_passes(lambda m, b: m(torch.cat([b.x_l, b.x_w]))[len(b.x_l) :]), "other images go along"),
        (_step_passes(lambda m, b: (m(b.x_w) + m(b.x_w)) / 2), "go through the model twice"),
        (_step_passes(_weak, divisor=lambda b: 4), "the number of images is written in"),
        (_step_passes(_weak, divisor=lambda b: 2 * len(b.x_l)), "mu is not always 2"),
        (_step(_right_sum, lambda m: {"mask": m.sum().item() / 4}), "divided by 4"),
        (step_logs_of_strong, "logs['mask']"),
        (step_nothing_kept, "when nothing is kept the strong images do not"),
        (step_no_weight, "when lambda_u is 0 the strong images do not"),
    ],
    "6.5": [
        (_kept(_precision, _share), "swapped"),
        (_kept(lambda c: c["kept guesses"] / c["guessed"], _precision), "counted by guess"),
        (_kept(lambda c: c["kept"] / c["all"].clamp(min=1), _precision), "unknown share"),
        (_kept(lambda c: c["kept"] / c["kept"].sum(), _precision), "shares of all kept images"),
        (_kept(lambda c: c["kept"] / c["all"].sum(), _precision), "shares of all images"),
        (_kept(lambda c: c["kept"], _precision), "counts"),
        (_kept(lambda c: c["right"] / c["all"], _precision), "guessed right"),
        (_kept(_share, lambda c: c["any right"] / c["guessed"]), "only the kept ones count"),
        (_kept(_share, lambda c: c["right"] / c["all"]), "recall"),
        (_kept(_share, lambda c: c["right"] / c["guessed"]), "kept ones only"),
        (_kept(_share, lambda c: c["right"] / c["kept"]), "those guessed as c"),
        (_kept(_share, lambda c: _precision(c).nan_to_num()), "nan, not 0"),
        (_kept(_share, lambda c: c["not below"] / c["kept guesses"]), "above the true class"),
        (lambda g, m, t, n: kept_loop(g, m, t, n - 1), "left out"),
        (kept_of_true_classes, "has a known precision: 0, not nan"),
        (kept_short_count, "minlength=num_classes"),
        (lambda g, m, t, n: tuple(x.tolist() for x in kept_loop(g, m, t, n)), "must be a float tensor, and is list"),
    ],
    "6.6": [
        (lambda a, b, x, y: 1.0, "full pass"),
        (lambda a, b, x, y: min(1.0, a // x * y / b), "round up"),
        (lambda a, b, x, y: a / b, "count the unlabelled images"),
        (lambda a, b, x, y: min(1.0, math.ceil(a / x) * x / b), "not batch_l"),
        (lambda a, b, x, y: min(1.0, math.ceil(a / x) / math.ceil(b / y)), "share of the batches"),
        (lambda a, b, x, y: min(b, math.ceil(a / x) * y), "count of images"),
        (lambda a, b, x, y: math.ceil(a / x) * y / b, "more than all"),
        (lambda a, b, x, y: min(math.ceil(a / x), math.ceil(b / y)) * y / b, "more than all"),
        (lambda a, b, x, y: min(b, min(math.ceil(a / x), math.ceil(b / x)) * y) / b, "divide by batch_u"),
        (lambda a, b, x, y: min(b, min(math.ceil(a / x), y) * y) / b, "not how many steps"),
        (lambda a, b, x, y: math.ceil(a / x), "these are steps"),
        (lambda a, b, x, y: 100 * zip_for_real(a, b, x, y), "percentage"),
        (lambda a, b, x, y: 1 - zip_for_real(a, b, x, y), "NOT seen"),
        (lambda a, b, x, y: min(1.0, (a // x + 1) * y / b), "do not add one"),
        (zip_one_less, "the last one of each is seen, too"),
        (
            lambda a, b, x, y: math.ceil(a / x) * y / b if math.ceil(a / x) <= math.ceil(b / y) else 1.0,
            "more than all",
        ),
    ],
}
